/* virtio 1.0, 2.4 "Virtqueues": split rings. Everything in them is the
 * guest's: chains are cut at the queue's size, addresses must be RAM below
 * PHYS_PRIVATE, and an index is always taken modulo the queue's size.
 */
#include "machine/virtio.h"

#include "base/phys.h"
#include "machine/machine.h"

#include <string.h>

enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4, AVAIL_NO_INTERRUPT = 1 };

struct desc {
	uint64_t at;
	uint32_t len;
	uint16_t flags, next;
};

static bool in_ram(uint64_t at, uint64_t len)
{
	return at < PHYS_PRIVATE && len <= PHYS_PRIVATE - at;
}

static void tell(struct virtio *v, uint64_t at, size_t len, bool write)
{
	struct phys *p = &v->m->phys;
	if (p->device)
		p->device(p->device_ctx, hpa(at), len, write);
}

static bool dma_read(struct virtio *v, uint64_t at, void *out, size_t len)
{
	if (!in_ram(at, len) || !phys_read(&v->m->phys, hpa(at), out, len))
		return false;
	tell(v, at, len, false);
	return true;
}

static bool dma_write(struct virtio *v, uint64_t at, const void *in, size_t len)
{
	if (!in_ram(at, len))
		return false;
	tell(v, at, len, true);
	return phys_write(&v->m->phys, hpa(at), in, len);
}

static bool read_desc(struct virtio *v, uint64_t table, unsigned i, struct desc *d)
{
	_Static_assert(sizeof(struct desc) == 16, "as the ring has it");
	return dma_read(v, table + 16 * (uint64_t)i, d, sizeof(*d));
}

static const char *add_segment(struct virtio_chain *c, const struct desc *d)
{
	bool write = d->flags & DESC_WRITE;
	if (c->segments == VIRTIO_SEGMENTS)
		return "too many buffers in one chain";
	if (!write && c->writable)
		return "a readable buffer after a writable one";
	if (!in_ram(d->at, d->len))
		return "a buffer outside memory";
	c->segment[c->segments++] = (struct virtio_segment){d->at, d->len, write};
	if (write)
		c->writable += d->len;
	else
		c->readable += d->len;
	return NULL;
}

/* Follows a chain of at most `size` descriptors of one table; an indirect
 * table may stand only at the end of the outer one. */
static const char *walk(
	struct virtio *v, uint64_t table, unsigned size, unsigned first, bool indirect)
{
	struct desc d = {.flags = DESC_NEXT, .next = (uint16_t)first};
	for (unsigned n = 0; d.flags & DESC_NEXT; n++) {
		if (d.next >= size)
			return "a descriptor index beyond the table";
		if (n == size)
			return "a chain that runs in a circle";
		if (!read_desc(v, table, d.next, &d))
			return "a descriptor table outside memory";
		if (!(d.flags & DESC_INDIRECT)) {
			const char *why = add_segment(&v->chain, &d);
			if (why)
				return why;
			continue;
		}
		if (indirect || (d.flags & DESC_NEXT) || !d.len || d.len % 16 ||
			d.len / 16 > VIRTIO_SEGMENTS)
			return "an indirect table where none may be";
		return walk(v, d.at, d.len / 16, 0, true);
	}
	return NULL;
}

bool virtio_pop(struct virtio *v, unsigned queue)
{
	struct virtio_queue *q = &v->queue[queue];
	uint16_t index, head;
	if (!q->enabled || !virtio_running(v))
		return false;
	if (!dma_read(v, q->driver + 2, &index, 2)) {
		virtio_broken(v, "an available ring outside memory");
		return false;
	}
	if (index == q->avail_seen)
		return false;
	if ((uint16_t)(index - q->avail_seen) > q->size) {
		virtio_broken(v, "more requests than the queue holds");
		return false;
	}
	if (!dma_read(v, q->driver + 4 + 2 * (uint64_t)(q->avail_seen % q->size), &head, 2)) {
		virtio_broken(v, "an available ring outside memory");
		return false;
	}
	q->avail_seen++;
	v->chain.head = head;
	v->chain.segments = 0;
	v->chain.readable = v->chain.writable = 0;
	const char *why = walk(v, q->desc, q->size, head, false);
	if (why)
		virtio_broken(v, why);
	return !why;
}

void virtio_unpop(struct virtio *v, unsigned queue)
{
	v->queue[queue].avail_seen--;
}

void virtio_push(struct virtio *v, unsigned queue, uint16_t head, uint32_t written)
{
	struct virtio_queue *q = &v->queue[queue];
	uint32_t entry[2] = {head, written};
	uint16_t flags = 0, next = (uint16_t)(q->used_next + 1);
	if (!dma_write(v, q->device + 4 + 8 * (uint64_t)(q->used_next % q->size), entry, 8) ||
		!dma_write(v, q->device + 2, &next, 2) || !dma_read(v, q->driver, &flags, 2)) {
		virtio_broken(v, "a used ring outside memory");
		return;
	}
	q->used_next = next;
	if (!(flags & AVAIL_NO_INTERRUPT))
		virtio_interrupt(v, 1, q->vector);
}

static bool copy(struct virtio *v, bool write, uint64_t offset, void *p, size_t len)
{
	uint8_t *at = p;
	for (unsigned i = 0; len && i < v->chain.segments; i++) {
		const struct virtio_segment *g = &v->chain.segment[i];
		if (g->write != write)
			continue;
		if (offset >= g->len) {
			offset -= g->len;
			continue;
		}
		size_t n = g->len - offset < len ? g->len - offset : len;
		if (write ? !dma_write(v, g->at + offset, at, n) : !dma_read(v, g->at + offset, at, n))
			return false;
		offset = 0;
		at += n;
		len -= n;
	}
	return !len;
}

bool virtio_get(struct virtio *v, uint64_t offset, void *out, size_t len)
{
	return copy(v, false, offset, out, len);
}

bool virtio_put(struct virtio *v, uint64_t offset, const void *in, size_t len)
{
	return copy(v, true, offset, (void *)in, len);
}

/* virtio 1.0, 5.2 "Block Device". */
#include "machine/virtio_devices.h"

#include "base/buf.h"
#include "base/state.h"
#include "machine/disk.h"
#include "machine/machine.h"
#include "machine/virtio.h"

#include <stdlib.h>
#include <string.h>

#define F_SEG_MAX BIT(2)
#define F_BLK_SIZE BIT(6)
#define F_FLUSH   BIT(9)
#define BUFFER    (64u * 1024)

enum { TYPE_IN = 0, TYPE_OUT = 1, TYPE_FLUSH = 4, TYPE_ID = 8 };
enum { STATUS_OK, STATUS_ERROR, STATUS_UNSUPPORTED };
enum { ID_BYTES = 20, CONFIG_SIZE = 60 };

struct done {
	uint64_t at; /* the tick at which the driver hears of it */
	uint16_t head;
	uint32_t written;
};

struct virtio_block {
	struct virtio v;
	struct disk *disk; /* owned */
	struct clock_timer timer;
	struct done done[VIRTIO_QUEUE_SIZE]; /* oldest first */
	uint64_t in_flight;
	uint8_t buffer[BUFFER]; /* not state */
};

static bool transfer(struct virtio_block *b, bool in, uint64_t sector, uint64_t bytes)
{
	if (bytes % DISK_SECTOR || sector > disk_sectors(b->disk) ||
		bytes / DISK_SECTOR > disk_sectors(b->disk) - sector)
		return false;
	for (uint64_t at = 0; at < bytes;) {
		size_t n = bytes - at < BUFFER ? (size_t)(bytes - at) : BUFFER;
		uint64_t where = sector + at / DISK_SECTOR;
		bool ok = in ? disk_read(b->disk, where, b->buffer, n) &&
				       virtio_put(&b->v, at, b->buffer, n)
			     : virtio_get(&b->v, 16 + at, b->buffer, n) &&
				       disk_write(b->disk, where, b->buffer, n);
		if (!ok)
			return false;
		at += n;
	}
	return true;
}

static uint8_t perform(struct virtio_block *b, uint32_t *written)
{
	struct {
		uint32_t type, reserved;
		uint64_t sector;
	} head;
	const struct virtio_chain *c = &b->v.chain;
	uint64_t data = c->writable - 1;
	if (!virtio_get(&b->v, 0, &head, sizeof(head)))
		return STATUS_ERROR;
	switch (head.type) {
	case TYPE_IN:
		*written = (uint32_t)data;
		return transfer(b, true, head.sector, data) ? STATUS_OK : STATUS_ERROR;
	case TYPE_OUT:
		return transfer(b, false, head.sector, c->readable - 16) ? STATUS_OK : STATUS_ERROR;
	case TYPE_FLUSH:
		return disk_flush(b->disk) ? STATUS_OK : STATUS_ERROR;
	case TYPE_ID: {
		static const char id[ID_BYTES] = "nestscope-disk";
		*written = data < ID_BYTES ? (uint32_t)data : ID_BYTES;
		return virtio_put(&b->v, 0, id, *written) ? STATUS_OK : STATUS_ERROR;
	}
	default:
		return STATUS_UNSUPPORTED;
	}
}

static void serve(void *dev, unsigned queue)
{
	struct virtio_block *b = dev;
	while (b->in_flight < VIRTIO_QUEUE_SIZE && virtio_pop(&b->v, queue)) {
		struct virtio_chain *c = &b->v.chain;
		uint32_t written = 0;
		if (c->readable < 16 || !c->writable || c->writable > UINT32_MAX) {
			virtio_broken(&b->v, "a block request without header or status");
			return;
		}
		uint8_t status = perform(b, &written);
		if (!virtio_put(&b->v, c->writable - 1, &status, 1)) {
			virtio_broken(&b->v, "a status byte outside memory");
			return;
		}
		struct clock *clock = &b->v.m->clock;
		b->done[b->in_flight++] =
			(struct done){clock->now + VIRTIO_BLOCK_LATENCY, c->head, written + 1};
		clock_arm(clock, &b->timer, b->done[0].at);
	}
}

static void complete(void *owner)
{
	struct virtio_block *b = owner;
	struct clock *clock = &b->v.m->clock;
	while (b->in_flight && b->done[0].at <= clock->now) {
		struct done d = b->done[0];
		memmove(b->done, b->done + 1, --b->in_flight * sizeof(d));
		virtio_push(&b->v, 0, d.head, d.written);
	}
	if (b->in_flight)
		clock_arm(clock, &b->timer, b->done[0].at);
	serve(b, 0);
}

static void config_read(void *dev, unsigned offset, uint8_t *out, unsigned size)
{
	struct virtio_block *b = dev;
	uint8_t config[CONFIG_SIZE] = {0};
	uint64_t sectors = disk_sectors(b->disk);
	uint32_t seg_max = VIRTIO_QUEUE_SIZE - 2, block = DISK_SECTOR;
	memcpy(config, &sectors, 8);
	memcpy(config + 12, &seg_max, 4);
	memcpy(config + 20, &block, 4);
	memcpy(out, config + offset, size);
}

static void reset(void *dev)
{
	struct virtio_block *b = dev;
	b->in_flight = 0;
	clock_disarm(&b->v.m->clock, &b->timer);
}

static const struct virtio_ops ops = {.notify = serve, .config_read = config_read, .reset = reset};

struct virtio_block *virtio_block_new(struct machine *m, struct disk *disk)
{
	struct virtio_block *b = xalloc(sizeof(*b));
	b->disk = disk;
	clock_register(&m->clock, &b->timer, complete, b);
	virtio_init(&b->v, m, VIRTIO_ID_BLOCK, 1, CONFIG_SIZE, F_SEG_MAX | F_BLK_SIZE | F_FLUSH, &ops, b,
		"virtio-block");
	return b;
}

void virtio_block_free(struct virtio_block *b)
{
	if (b)
		disk_close(b->disk);
	free(b);
}

void virtio_block_state(struct virtio_block *b, struct state *s)
{
	state_section(s, "virtio-block", 1);
	virtio_state(&b->v, s);
	disk_state(b->disk, s);
	state_count(s, &b->in_flight, VIRTIO_QUEUE_SIZE);
	for (uint64_t i = 0; i < b->in_flight && state_ok(s); i++) {
		state_u64(s, &b->done[i].at);
		state_u16(s, &b->done[i].head);
		state_u32(s, &b->done[i].written);
	}
}

#include "base/phys.h"

#include "base/state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void phys_init(struct phys *p)
{
	memset(p, 0, sizeof(*p));
	p->generation = 1;
}

void phys_done(struct phys *p)
{
	for (unsigned i = 0; i < p->ranges; i++) {
		struct phys_range *r = &p->range[i];
		munmap(r->host, r->size);
		munmap(r->page, r->size / PAGE_SIZE * sizeof(*r->page));
	}
	p->ranges = 0;
}

#define HUGE_PAGE ((size_t)2 << 20)

/* Address space of n zero bytes. Large areas begin where the host can back them
 * by huge pages, and ask for those: guests miss the host's TLB less. */
static void *reserve(size_t n)
{
	size_t more = n >= HUGE_PAGE ? HUGE_PAGE : 0;
	uint8_t *m = mmap(NULL, n + more, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m == MAP_FAILED)
		return NULL;
	if (!more)
		return m;
	size_t before = -(uintptr_t)m & (HUGE_PAGE - 1), end = (n + PAGE_SIZE - 1) & PAGE_MASK;
	if (before)
		munmap(m, before);
	if (before + end < n + more)
		munmap(m + before + end, n + more - before - end);
	madvise(m + before, n, MADV_HUGEPAGE);
	return m + before;
}

bool phys_add(struct phys *p, enum phys_kind kind, struct hpa base, uint64_t size, const char *name,
	struct err *e)
{
	assert(p->ranges < PHYS_RANGES && !(base.v % PAGE_SIZE) && !(size % PAGE_SIZE) && size);
	for (unsigned i = 0; i < p->ranges; i++) {
		const struct phys_range *r = &p->range[i];
		assert(base.v + size <= r->base.v || r->base.v + r->size <= base.v);
	}
	uint8_t *host = reserve(size);
	struct phys_page *page = host ? reserve(size / PAGE_SIZE * sizeof(*page)) : NULL;
	if (!page) {
		err_errno(e, "no address space for %llu bytes of %s", (unsigned long long)size, name);
		if (host)
			munmap(host, size);
		return false;
	}
	p->range[p->ranges++] = (struct phys_range){kind, base, size, host, page, name};
	if (p->remapped)
		p->remapped(p->remapped_ctx);
	return true;
}

struct phys_range *phys_find(const struct phys *p, struct hpa at)
{
	for (unsigned i = 0; i < p->ranges; i++)
		if (at.v - p->range[i].base.v < p->range[i].size)
			return (struct phys_range *)&p->range[i];
	return NULL;
}

bool phys_page_at(
	const struct phys *p, struct hpa at, uint8_t **host, struct phys_page **page,
	enum phys_kind *kind)
{
	struct phys_range *r = phys_find(p, at);
	if (!r)
		return false;
	uint64_t n = (at.v - r->base.v) / PAGE_SIZE;
	*host = r->host + n * PAGE_SIZE;
	*page = &r->page[n];
	*kind = r->kind;
	return true;
}

static size_t in_page(struct hpa at, size_t len)
{
	size_t room = PAGE_SIZE - at.v % PAGE_SIZE;
	return len < room ? len : room;
}

/* True when [at, at+len) is backed by memory of a kind up to `max`. */
static bool backed(const struct phys *p, struct hpa at, size_t len, enum phys_kind max)
{
	if (at.v + len < at.v)
		return false;
	while (len) {
		const struct phys_range *r = phys_find(p, at);
		if (!r || r->kind > max)
			return false;
		uint64_t room = r->base.v + r->size - at.v;
		size_t n = len < room ? len : (size_t)room;
		at.v += n;
		len -= n;
	}
	return true;
}

bool phys_read(const struct phys *p, struct hpa at, void *out, size_t len)
{
	if (!backed(p, at, len, PHYS_ROM))
		return false;
	for (uint8_t *o = out; len;) {
		const struct phys_range *r = phys_find(p, at);
		size_t n = in_page(at, len);
		memcpy(o, r->host + (at.v - r->base.v), n);
		o += n;
		at.v += n;
		len -= n;
	}
	return true;
}

static bool put(struct phys *p, struct hpa at, const void *in, size_t len, enum phys_kind max)
{
	if (!backed(p, at, len, max))
		return false;
	for (const uint8_t *i = in; len;) {
		struct phys_range *r = phys_find(p, at);
		size_t n = in_page(at, len);
		struct phys_page *page = &r->page[(at.v - r->base.v) / PAGE_SIZE];
		if (page->code && p->written)
			p->written(p->written_ctx, at, n);
		if (page->hooks && p->hooked)
			p->hooked(p->hooked_ctx, at, i, n);
		memcpy(r->host + (at.v - r->base.v), i, n);
		page->dirty = p->generation;
		i += n;
		at.v += n;
		len -= n;
	}
	return true;
}

bool phys_write(struct phys *p, struct hpa at, const void *in, size_t len)
{
	return put(p, at, in, len, PHYS_RAM);
}

bool phys_load(struct phys *p, struct hpa at, const void *in, size_t len)
{
	return put(p, at, in, len, PHYS_ROM);
}

static bool all_zero(const uint8_t *host)
{
	const uint64_t *w = (const uint64_t *)host;
	for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
		if (w[i])
			return false;
	return true;
}

void phys_state(struct phys *p, struct state *s)
{
	state_section(s, "phys", 1);
	for (unsigned i = 0; i < p->ranges; i++) {
		struct phys_range *r = &p->range[i];
		if (r->base.v >= PHYS_PRIVATE)
			continue;
		uint64_t base = r->base.v, size = r->size;
		state_u64(s, &base);
		state_u64(s, &size);
		if (base != r->base.v || size != r->size) {
			state_fail(s, "the snapshot's memory '%s' differs in place or size", r->name);
			return;
		}
		for (uint64_t at = 0; at < size && state_ok(s); at += PAGE_SIZE) {
			bool used = state_mode(s) != STATE_LOAD && !all_zero(r->host + at);
			state_bool(s, &used);
			if (state_mode(s) == STATE_LOAD)
				p->range[i].page[at / PAGE_SIZE].dirty = p->generation;
			if (used)
				state_bytes(s, r->host + at, PAGE_SIZE);
			else if (state_mode(s) == STATE_LOAD && !all_zero(r->host + at))
				memset(r->host + at, 0, PAGE_SIZE);
		}
	}
	if (state_mode(s) == STATE_LOAD && p->remapped)
		p->remapped(p->remapped_ctx);
}

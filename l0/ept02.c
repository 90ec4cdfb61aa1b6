#include "l0/ept02.h"

#include "base/state.h"
#include "l0/ept01.h"

#include <assert.h>
#include <string.h>

#define EPTP_AD BIT(6)
#define EPTP_ROOT UINT64_C(0x000ffffffffff000)
/* What makes two EPTPs different contexts; memory type does not. */
#define EPTP_KEY  (EPTP_ROOT | EPTP_AD | 0x38)

bool ept02_init(struct ept02 *e, struct private_mem *mem, struct phys *phys, unsigned phys_bits)
{
	struct ept_alloc alloc = private_ept_alloc(mem);

	memset(e, 0, sizeof(*e));
	e->mem = mem;
	e->phys = phys;
	e->phys_bits = phys_bits;
	e->exec_only = e->page1g = true;
	for (unsigned i = 0; i < EPT02_ROOTS; i++) {
		e->root[i].eptp12 = EPT02_NONE;
		if (!ept_table_init(&e->root[i].table, &alloc, true))
			return false;
	}
	return true;
}

static uint64_t pointer(const struct ept02_root *r)
{
	return ept_table_eptp(&r->table, r->eptp12 & EPTP_AD);
}

static void drop(struct ept02 *e, struct ept02_root *r)
{
	if (r->eptp12 == EPT02_NONE)
		return;
	ept_table_clear(&r->table);
	r->loggeds = 0;
	if (e->flush)
		e->flush(e->flush_ctx, pointer(r));
}

static struct ept02_root *find(struct ept02 *e, uint64_t eptp12)
{
	for (unsigned i = 0; i < EPT02_ROOTS; i++)
		if (e->root[i].eptp12 == (eptp12 & EPTP_KEY))
			return &e->root[i];
	return NULL;
}

static struct ept02_root *get(struct ept02 *e, uint64_t eptp12)
{
	struct ept02_root *r = find(e, eptp12), *oldest = &e->root[0];

	if (!r) {
		for (unsigned i = 0; i < EPT02_ROOTS; i++)
			if (e->root[i].used < oldest->used)
				oldest = &e->root[i];
		r = oldest;
		drop(e, r);
		r->eptp12 = eptp12 & EPTP_KEY;
	}
	r->used = ++e->stamp;
	return r;
}

uint64_t ept02_pointer(struct ept02 *e, uint64_t eptp12)
{
	return pointer(get(e, eptp12));
}

/* INVEPT names EP4TA (bits 51:12 of the EPTP): A/D variants go together. */
void ept02_invalidate(struct ept02 *e, uint64_t eptp12)
{
	for (unsigned i = 0; i < EPT02_ROOTS; i++)
		if (e->root[i].eptp12 != EPT02_NONE &&
			!((e->root[i].eptp12 ^ eptp12) & EPTP_ROOT))
			drop(e, &e->root[i]);
}

void ept02_invalidate_all(struct ept02 *e)
{
	for (unsigned i = 0; i < EPT02_ROOTS; i++)
		drop(e, &e->root[i]);
}

static void retrack(struct ept02 *e, struct ept02_root *r)
{
	unsigned shift;

	if (!r->loggeds)
		return;
	for (unsigned i = 0; i < r->loggeds; i++) {
		uint64_t *leaf = ept_leaf_entry(&r->table, r->logged[i], &shift);
		if (leaf)
			*leaf &= ~EPT_W;
	}
	r->loggeds = 0;
	if (e->flush)
		e->flush(e->flush_ctx, pointer(r));
}

void ept02_retrack(struct ept02 *e, uint64_t eptp12)
{
	struct ept02_root *r = find(e, eptp12);

	if (r)
		retrack(e, r);
}

void ept02_retrack_all(struct ept02 *e)
{
	for (unsigned i = 0; i < EPT02_ROOTS; i++)
		retrack(e, &e->root[i]);
}

struct walk_root ept02_walk_root(const struct ept02 *e, uint64_t eptp12, bool mbec)
{
	return (struct walk_root){.format = WALK_EPT,
		.root = eptp12,
		.phys_bits = e->phys_bits,
		.page1g = e->page1g,
		.exec_only = e->exec_only,
		.ad = eptp12 & EPTP_AD,
		.mbec = mbec};
}

static bool read_entry(void *ctx, uint64_t at, unsigned size, uint64_t *value)
{
	struct ept02 *e = ctx;

	*value = 0;
	return at < PHYS_PRIVATE && phys_read(e->phys, hpa(at), value, size);
}

static bool set_entry(void *ctx, uint64_t at, unsigned size, uint64_t old, uint64_t new_value)
{
	struct ept02 *e = ctx;

	(void)old; /* one thread: nothing came between */
	e->setting = true;
	phys_write(e->phys, hpa(at), &new_value, size); /* ROM keeps its bits */
	e->setting = false;
	return true;
}

/* The leaf is about to become dirty: an entry of L1's log, or full. */
static bool log_dirty(struct ept02 *e, const struct ept02_pml *pml, uint64_t at)
{
	uint64_t page = at & PAGE_MASK;

	if (*pml->index > 511)
		return false;
	phys_write(e->phys, hpa((pml->address & PAGE_MASK) + *pml->index * 8u), &page, 8);
	--*pml->index;
	return true;
}

/* A list that is full gives way with the whole table: it fills again. */
static void note_logged(struct ept02 *e, uint64_t eptp12, uint64_t at)
{
	struct ept02_root *r = get(e, eptp12);

	if (r->loggeds == EPT02_LOGGED)
		drop(e, r);
	r->logged[r->loggeds++] = at;
}

/* A leaf of the merge of what EPT12's walk found and EPT01. A table page that
 * is not to be had empties all merged tables first: they fill again. */
static void fill_leaf(
	struct ept02 *e, uint64_t eptp12, uint64_t at, const struct walk_result *walk)
{
	struct ept_leaf ept12 = ept_leaf_of(walk), ept01 = ept01_leaf(e->phys, walk->pa), leaf;
	bool done;

	if (eptp12 & EPTP_AD && !walk->dirty)
		ept12.rights &= ~WALK_W;
	leaf = ept_merge(at, &ept12, walk->pa, &ept01);
	leaf.ve_suppress = true;
	if (ept_map_leaf(&get(e, eptp12)->table, at, &leaf))
		return;
	ept02_invalidate_all(e);
	done = ept_map_leaf(&get(e, eptp12)->table, at, &leaf);
	assert(done);
	(void)done;
}

static enum ept02_result found(enum walk_status status)
{
	switch (status) {
	case WALK_OK:
		return EPT02_FILLED;
	case WALK_MISCONFIG:
		return EPT02_MISCONFIG;
	case WALK_VIOLATION:
		return EPT02_VIOLATION;
	default:
		return EPT02_UNBACKED;
	}
}

enum ept02_result ept02_fill(struct ept02 *e, uint64_t eptp12, bool mbec, uint64_t at,
	const struct walk_access *access, const struct ept02_pml *pml, struct walk_result *walk)
{
	struct walk_root root = ept02_walk_root(e, eptp12, mbec);
	struct walk_mem mem = {.ctx = e, .read = read_entry};
	bool writes;

	enum ept02_result r = found(ept_walk(&root, at, access, &mem, walk));
	if (r != EPT02_FILLED)
		return r;
	if (root.ad) {
		const struct walk_step *leaf = &walk->step[walk->steps - 1];
		writes = access->write || access->table;
		if (pml->on && writes && !(leaf->value & EPT_D) && !log_dirty(e, pml, at))
			return EPT02_PML_FULL;
		mem.set = set_entry;
		r = found(ept_walk(&root, at, access, &mem, walk));
		if (r != EPT02_FILLED)
			return r; /* L1's log lies in EPT12 */
		if (pml->on && walk->dirty)
			note_logged(e, eptp12, at);
	}
	fill_leaf(e, eptp12, at, walk);
	return EPT02_FILLED;
}

void ept02_state(struct ept02 *e, struct state *s)
{
	state_section(s, "ept02", 2);
	state_u64(s, &e->stamp);
	for (unsigned i = 0; i < EPT02_ROOTS; i++) {
		state_u64(s, &e->root[i].eptp12);
		state_u64(s, &e->root[i].table.root);
		state_u32(s, &e->root[i].table.pages);
		state_u64(s, &e->root[i].used);
		state_u32(s, &e->root[i].loggeds);
		if (e->root[i].loggeds > EPT02_LOGGED) {
			e->root[i].loggeds = 0;
			state_fail(s, "more logged pages than there can be");
		}
		for (unsigned n = 0; n < e->root[i].loggeds; n++)
			state_u64(s, &e->root[i].logged[n]);
	}
}

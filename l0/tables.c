#include "l0/tables.h"

#include "base/buf.h"
#include "ept/formats.h"
#include "l0/nested.h"

#include <stdlib.h>
#include <string.h>

#define TABLES_MAX 65536u /* pages that are followed */
#define SLOTS      (2 * TABLES_MAX)
#define ROOTS      (EPT02_ROOTS + L0_VCPUS * 2 * TABLES_SPACES)
/* A page that is a table. */
struct table {
	uint64_t at;    /* L1-physical, page */
	uint64_t own;   /* the same as its level has it: L2-physical for tables of an L2 */
	uint64_t from;  /* the first address that it translates */
	uint8_t level;  /* 4 to 1; 0: it was one */
	uint8_t root;
};

struct followed {
	struct tables_root is;
	uint64_t used;  /* stamp; 0: a free slot */
};

struct tables {
	struct l0 *l;
	struct followed root[ROOTS];
	uint64_t stamp;
	struct table *table; /* owned */
	uint32_t *slot;      /* owned; hash of the address to index + 1 */
	unsigned tables;
	bool hooked;         /* pages were hooked: stores have to leave the fast path */
};

static uint32_t *slot_of(const struct tables *t, uint64_t at)
{
	unsigned i = (unsigned)(at * UINT64_C(0x9e3779b97f4a7c15) >> 40) & (SLOTS - 1);
	while (t->slot[i] && t->table[t->slot[i] - 1].at != at)
		i = (i + 1) & (SLOTS - 1);
	return &t->slot[i];
}

static bool page_of(const struct l0 *l, uint64_t at, uint8_t **host, struct phys_page **page)
{
	enum phys_kind kind;
	return at < PHYS_PRIVATE && phys_page_at(&l->machine->phys, hpa(at), host, page, &kind) &&
	       kind == PHYS_RAM;
}

static bool read_entry(void *ctx, uint64_t at, unsigned size, uint64_t *value)
{
	struct l0 *l = ctx;
	*value = 0;
	return at < PHYS_PRIVATE && phys_read(&l->machine->phys, hpa(at), value, size);
}

/* From an address as the tables' level has it to an L1-physical one. */
static bool l1_physical(struct l0 *l, const struct tables_root *r, uint64_t own, uint64_t *at)
{
	*at = own;
	if (!r->eptp12)
		return true;
	struct walk_root root = ept02_walk_root(&l->nested->ept02, r->eptp12, false);
	const struct walk_mem mem = {l, read_entry, NULL};
	const struct walk_access access = {.table = true, .linear = true};
	struct walk_result walk;
	if (ept_walk(&root, own, &access, &mem, &walk) != WALK_OK)
		return false;
	*at = walk.pa;
	return true;
}

static unsigned shift_of(const struct tables_root *r, unsigned level)
{
	return ept_formats[r->format].level[level].shift;
}

static uint64_t entry_of(const struct tables_root *r, const uint8_t *host, unsigned i)
{
	uint64_t v = 0;
	unsigned size = ept_formats[r->format].size;
	memcpy(&v, host + i * size, size);
	return v;
}

/* The table that an entry of a table of `level` points to. */
static bool points(const struct tables_root *r, uint64_t entry, unsigned level, uint64_t *to)
{
	const struct format *f = &ept_formats[r->format];
	uint8_t leaf = f->level[level].leaf;
	bool page = leaf == LEAF_ALWAYS ||
		(entry & ENTRY_PS && leaf != LEAF_NEVER && (leaf != LEAF_PSE || r->pse));
	*to = entry & f->table;
	return !page && entry & (f->ept ? EPT_RWX : ENTRY_P);
}

/* --- the tree -------------------------------------------------------------- */

/* The table at `own` and all below it; a page counts once, so that loops end. */
static void add(struct tables *t, uint8_t root, uint64_t own, unsigned level, uint64_t from)
{
	const struct tables_root *r = &t->root[root].is;
	struct phys_page *page;
	uint8_t *host;
	uint64_t at, to;
	if (!l1_physical(t->l, r, own, &at) || !page_of(t->l, at, &host, &page) ||
		page->hooks & PHYS_HOOK_TABLE)
		return;
	uint32_t *slot = slot_of(t, at);
	if (!*slot) {
		if (t->tables == TABLES_MAX)
			return;
		*slot = ++t->tables;
	}
	t->table[*slot - 1] = (struct table){at, own, from, (uint8_t)level, root};
	page->hooks |= PHYS_HOOK_TABLE;
	t->hooked = true;
	for (unsigned i = 0; level > 1 && i <= ept_formats[r->format].index_mask; i++)
		if (points(r, entry_of(r, host, i), level, &to))
			add(t, root, to, level - 1, from + ((uint64_t)i << shift_of(r, level)));
}

static void forget(struct tables *t, const struct tables_root *r, uint64_t own)
{
	struct phys_page *page;
	uint8_t *host;
	uint64_t at, to;
	if (!l1_physical(t->l, r, own, &at) || !page_of(t->l, at, &host, &page) ||
		!(page->hooks & PHYS_HOOK_TABLE))
		return;
	uint32_t *slot = slot_of(t, at);
	if (!*slot)
		return;
	page->hooks &= ~(uint32_t)PHYS_HOOK_TABLE;
	struct table *is = &t->table[*slot - 1];
	unsigned level = is->level;
	is->level = 0;
	for (unsigned i = 0; level > 1 && i <= ept_formats[r->format].index_mask; i++)
		if (points(r, entry_of(r, host, i), level, &to))
			forget(t, r, to);
}

static void follow(struct tables *t, unsigned root)
{
	const struct tables_root *r = &t->root[root].is;
	const struct format *f = &ept_formats[r->format];
	if (r->format != WALK_PAE)
		add(t, (uint8_t)root, r->root & f->root, f->top, 0);
	for (uint64_t i = 0; r->format == WALK_PAE && i < 4; i++)
		if (r->pdpte[i] & ENTRY_P)
			add(t, (uint8_t)root, r->pdpte[i] & f->table, f->top, i << 30);
}

static void unhook(struct tables *t)
{
	struct phys_page *page;
	uint8_t *host;
	for (unsigned i = 0; i < t->tables; i++)
		if (page_of(t->l, t->table[i].at, &host, &page))
			page->hooks &= ~(uint32_t)PHYS_HOOK_TABLE;
	t->tables = 0;
}

/* A root has gone: what only it led to goes, what others share stays. */
static void afresh(struct tables *t)
{
	unhook(t);
	memset(t->slot, 0, SLOTS * sizeof(*t->slot));
	for (unsigned i = 0; i < ROOTS; i++)
		if (t->root[i].used)
			follow(t, i);
}

/* Stores to pages hooked since must not be on the fast path. */
static void settle(struct tables *t)
{
	if (t->hooked)
		engine_dirty_restart(t->l->engine);
	t->hooked = false;
}

/* --- stores ------------------------------------------------------------------ */

static void tell(struct tables *t, const struct table *is, unsigned i, uint64_t from, uint64_t old,
	uint64_t value)
{
	const struct tables_root *r = &t->root[is->root].is;
	if (r->format == WALK_4LEVEL)
		from = (uint64_t)((int64_t)(from << 16) >> 16);
	struct l0_event ev = {.kind = r->level ? L0_EV_TABLE_WRITE : L0_EV_EPT_WRITE,
		.vcpu = (uint8_t)t->l->turn, .level = r->level ? r->level : 1,
		.shift = (uint8_t)shift_of(r, is->level), .number = from,
		.at = is->own + (uint64_t)ept_formats[r->format].size * i, .old = old,
		.new_ = value};
	l0_tell(t->l, &ev);
}

static void entry_changes(
	struct tables *t, const struct table *is, unsigned i, uint64_t old, uint64_t value)
{
	const struct tables_root *r = &t->root[is->root].is;
	uint64_t from = is->from + ((uint64_t)i << shift_of(r, is->level)), was, to;
	bool had = points(r, old, is->level, &was), has = points(r, value, is->level, &to);
	if (had && (!has || was != to))
		forget(t, r, was);
	if (has && (!had || was != to))
		add(t, is->root, to, is->level - 1u, from);
	tell(t, is, i, from, old, value);
}

/* A or D is being set: by L0, for the processor. */
static bool setting(const struct l0 *l)
{
	return l->nested && (l->nested->ept02.setting || l->nested->shadow.setting);
}

static void on_store(void *ctx, struct hpa at, const void *in, size_t len)
{
	struct tables *t = ctx;
	struct phys_page *page;
	uint8_t *host;
	uint64_t base = at.v & PAGE_MASK, old, value;
	uint32_t *slot = slot_of(t, base);
	if (!*slot || setting(t->l) || !page_of(t->l, base, &host, &page))
		return;
	const size_t size = ept_formats[t->root[t->table[*slot - 1].root].is.format].size;
	size_t first = at.v % PAGE_SIZE, end = first + len;
	for (size_t i = first / size; i * size < end; i++) {
		struct table is = t->table[*slot - 1]; /* a change can forget it */
		size_t a = i * size < first ? first : i * size;
		size_t b = i * size + size > end ? end : i * size + size;
		if (!is.level)
			continue;
		old = value = 0;
		memcpy(&old, host + i * size, size);
		memcpy(&value, &old, size);
		memcpy((uint8_t *)&value + (a - i * size), (const uint8_t *)in + (a - first), b - a);
		if (value != old)
			entry_changes(t, &is, (unsigned)i, old, value);
	}
	settle(t);
}

/* --- roots ------------------------------------------------------------------- */

static bool same_root(const struct tables_root *a, const struct tables_root *b)
{
	return a->level == b->level && a->vcpu == b->vcpu && a->format == b->format &&
	       a->root == b->root && a->eptp12 == b->eptp12 && a->pse == b->pse && !memcmp(a->pdpte, b->pdpte, sizeof a->pdpte);
}

void tables_use(struct tables *t, const struct tables_root *root)
{
	struct followed *to = NULL, *free_slot = NULL;
	unsigned n = 0, most = root->level ? TABLES_SPACES : EPT02_ROOTS;
	for (struct followed *f = t->root; f < t->root + ROOTS; f++) {
		if (!f->used) {
			free_slot = free_slot ? free_slot : f;
			continue;
		}
		if (f->is.level != root->level || f->is.vcpu != root->vcpu)
			continue;
		if (same_root(&f->is, root)) {
			f->used = ++t->stamp;
			return;
		}
		n++;
		if (!to || f->used < to->used)
			to = f;
	}
	bool full = n == most;
	if (!full)
		to = free_slot;
	*to = (struct followed){*root, ++t->stamp};
	if (full)
		afresh(t);
	else
		follow(t, (unsigned)(to - t->root));
	settle(t);
}

struct tables *tables_new(struct l0 *l)
{
	struct tables *t = xalloc(sizeof(*t));
	_Static_assert(ROOTS <= UINT8_MAX, "an index fits");
	t->l = l;
	t->table = xalloc(TABLES_MAX * sizeof(*t->table));
	t->slot = xalloc(SLOTS * sizeof(*t->slot));
	l->machine->phys.hooked = on_store;
	l->machine->phys.hooked_ctx = t;
	return t;
}

void tables_free(struct tables *t)
{
	if (!t)
		return;
	unhook(t);
	t->l->machine->phys.hooked = NULL;
	free(t->table);
	free(t->slot);
	free(t);
}

/* Building EPT tables. */
#include "ept/build.h"

#define NONE UINT64_MAX
#define TABLE_BITS (EPT_RWX | EPT_XU) /* a non-leaf entry grants everything */

static uint64_t leaf_bits(const struct ept_leaf *l)
{
	uint64_t e = l->pa & ENTRY_ADDR & ~(BIT(l->shift) - 1);

	e |= l->rights & EPT_RWX;
	e |= l->rights & WALK_XU ? EPT_XU : 0;
	e |= (uint64_t)l->memtype << EPT_TYPE_SHIFT;
	e |= l->ignore_pat ? EPT_IPAT : 0;
	e |= l->accessed ? EPT_A : 0;
	e |= l->dirty ? EPT_D : 0;
	e |= l->ve_suppress ? EPT_SVE : 0;
	e |= l->shift > 12 ? EPT_PS : 0;
	return e;
}

static unsigned level_shift(unsigned level)
{
	return 12 + 9 * (level - 1);
}

static bool is_table(unsigned level, uint64_t e)
{
	return level > 1 && e && !(e & EPT_PS);
}

static uint64_t new_page(struct ept_table *t)
{
	uint64_t at = t->alloc.page(t->alloc.ctx);

	if (at != NONE)
		t->pages++;
	return at;
}

static uint64_t *entries(const struct ept_table *t, uint64_t at)
{
	return t->alloc.entries(t->alloc.ctx, at);
}

/* Frees the table below an entry of `level`, and all under it. */
static void drop_below(struct ept_table *t, unsigned level, uint64_t e)
{
	if (!is_table(level, e))
		return;
	uint64_t at = e & ENTRY_ADDR;
	const uint64_t *sub = entries(t, at);
	for (unsigned i = 0; level > 2 && i < 512; i++)
		drop_below(t, level - 1, sub[i]);
	t->alloc.drop(t->alloc.ctx, at);
	t->pages--;
}

bool ept_table_init(struct ept_table *t, const struct ept_alloc *alloc, bool page1g)
{
	*t = (struct ept_table){.alloc = *alloc, .root = NONE, .page1g = page1g};
	t->root = new_page(t);
	return t->root != NONE;
}

void ept_table_clear(struct ept_table *t)
{
	uint64_t *top = entries(t, t->root);

	for (unsigned i = 0; i < 512; i++) {
		drop_below(t, 4, top[i]);
		top[i] = 0;
	}
}

void ept_table_done(struct ept_table *t)
{
	if (t->root == NONE)
		return;
	ept_table_clear(t);
	t->alloc.drop(t->alloc.ctx, t->root);
	t->root = NONE;
	t->pages = 0;
}

/* Turns an empty or large-page entry into a table that says the same. */
static bool make_table(struct ept_table *t, unsigned level, uint64_t *e)
{
	uint64_t at = new_page(t);

	if (at == NONE)
		return false;
	uint64_t *sub = entries(t, at);
	unsigned shift = level_shift(level - 1);
	for (unsigned i = 0; *e && i < 512; i++)
		sub[i] = (*e & ~(level == 2 ? EPT_PS : 0)) + ((uint64_t)i << shift);
	*e = at | TABLE_BITS;
	return true;
}

/* The entry for gpa at `level`, with tables made on the way; NULL: no page. */
static uint64_t *entry_at(struct ept_table *t, uint64_t gpa, unsigned level)
{
	uint64_t *e = &entries(t, t->root)[gpa >> 39 & 511];

	for (unsigned l = 4; l > level; l--) {
		if (!is_table(l, *e) && !make_table(t, l, e))
			return NULL;
		e = &entries(t, *e & ENTRY_ADDR)[gpa >> level_shift(l - 1) & 511];
	}
	return e;
}

static bool put(struct ept_table *t, uint64_t gpa, unsigned shift, uint64_t value)
{
	unsigned level = (shift - 12) / 9 + 1;

	if (t->max_pages && t->pages + 4 > t->max_pages)
		ept_table_clear(t);
	uint64_t *e = entry_at(t, gpa, level);
	if (!e)
		return false;
	drop_below(t, level, *e);
	*e = value;
	return true;
}

bool ept_map_leaf(struct ept_table *t, uint64_t gpa, const struct ept_leaf *how)
{
	return put(t, gpa, how->shift, leaf_bits(how));
}

static unsigned largest(const struct ept_table *t, uint64_t a, uint64_t size)
{
	if (t->page1g && !(a & (BIT(30) - 1)) && size >= BIT(30))
		return 30;
	return !(a & (BIT(21) - 1)) && size >= BIT(21) ? 21 : 12;
}

bool ept_map(struct ept_table *t, uint64_t gpa, uint64_t size, const struct ept_leaf *how)
{
	struct ept_leaf l = *how;

	while (size) {
		l.shift = largest(t, gpa | l.pa, size);
		if (!ept_map_leaf(t, gpa, &l))
			return false;
		gpa += BIT(l.shift);
		l.pa += BIT(l.shift);
		size -= BIT(l.shift);
	}
	return true;
}

bool ept_unmap(struct ept_table *t, uint64_t gpa, uint64_t size)
{
	while (size) {
		unsigned shift = 30, step = 12;
		uint64_t *e = ept_leaf_entry(t, gpa, &shift);
		if (!e) /* nothing there up to the end of this entry's reach */
			step = shift;
		else if (!(gpa & (BIT(shift) - 1)) && size >= BIT(shift))
			*e = 0, step = shift;
		else if (!put(t, gpa, 12, 0))
			return false;
		uint64_t next = (gpa | (BIT(step) - 1)) + 1;
		if (next - gpa >= size)
			return true;
		size -= next - gpa;
		gpa = next;
	}
	return true;
}

uint64_t *ept_leaf_entry(struct ept_table *t, uint64_t gpa, unsigned *shift)
{
	uint64_t *e = &entries(t, t->root)[gpa >> 39 & 511];
	unsigned level = 4;

	while (is_table(level, *e)) {
		level--;
		e = &entries(t, *e & ENTRY_ADDR)[gpa >> level_shift(level) & 511];
	}
	*shift = level_shift(level);
	return *e ? e : NULL;
}

uint64_t ept_table_eptp(const struct ept_table *t, bool ad)
{
	return t->root | 3 << 3 | 6 | (ad ? BIT(6) : 0);
}

struct ept_leaf ept_leaf_of(const struct walk_result *r)
{
	uint64_t e = r->step[r->steps - 1].value;

	return (struct ept_leaf){.pa = r->pa & ~(BIT(r->page_shift) - 1), .shift = r->page_shift,
		.rights = r->rights, .memtype = r->memtype, .ignore_pat = r->ignore_pat,
		.accessed = e & EPT_A, .dirty = r->dirty, .ve_suppress = r->ve_suppress};
}

struct ept_leaf ept_merge(
	uint64_t gpa, const struct ept_leaf *ept12, uint64_t l1_pa, const struct ept_leaf *ept01)
{
	struct ept_leaf l = *ept12;

	(void)gpa;
	if (ept01->shift < l.shift)
		l.shift = ept01->shift;
	uint64_t host = ept01->pa + (l1_pa & (BIT(ept01->shift) - 1));
	l.pa = host & ~(BIT(l.shift) - 1);
	l.rights &= ept01->rights;
	l.memtype = ept_memtype_combine(ept12->memtype, ept01->memtype);
	return l;
}

uint8_t ept_memtype_combine(uint8_t a, uint8_t b)
{
	if (a == b || b == 6)
		return a;
	if (a == 6)
		return b;
	return (a == 4 && b == 5) || (a == 5 && b == 4) ? 4 : 0;
}

const char *ept_memtype_name(uint8_t t)
{
	static const char *const name[8] = {"UC", "WC", "2?", "3?", "WT", "WP", "WB", "UC-"};

	return name[t & 7];
}

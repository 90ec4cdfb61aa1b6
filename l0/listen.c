#include "l0/listen.h"

#include "base/buf.h"
#include "l0/nested.h"

#include <stdlib.h>
#include <string.h>

#define TABLES_MAX 65536u /* pages of EPT12 that are followed */
#define SLOTS      (2 * TABLES_MAX)
#define ADDRESS    UINT64_C(0x000ffffffffff000)
#define NO_MODE    L0_MODES

/* A page that is a table of EPT12. */
struct table {
	uint64_t at;   /* L1-physical */
	uint64_t from; /* the first L2-physical address that it translates */
	uint8_t level; /* 4 to 1; 0: it was one */
};

struct listen {
	bool ept, mode;
	struct table *table;   /* owned; NULL while nobody listens */
	uint32_t *slot;        /* owned; hash of the address to index + 1 */
	unsigned tables;
	bool hooked;           /* pages were hooked: stores have to leave the fast path */
	uint8_t seen[L0_VCPUS];             /* the mode that L1 was in */
	uint8_t seen2[NESTED_VMCS12S];      /* and each L2 */
	uint64_t seen2_at[NESTED_VMCS12S];  /* whose it is */
};

static struct listen *of(struct l0 *l)
{
	if (!l->listen)
		l->listen = xalloc(sizeof(*l->listen));
	return l->listen;
}

/* --- EPT12 ---------------------------------------------------------------- */

static uint32_t *slot_of(const struct listen *s, uint64_t at)
{
	unsigned i = (unsigned)(at * UINT64_C(0x9e3779b97f4a7c15) >> 40) & (SLOTS - 1);
	while (s->slot[i] && s->table[s->slot[i] - 1].at != at)
		i = (i + 1) & (SLOTS - 1);
	return &s->slot[i];
}

static bool page_of(const struct l0 *l, uint64_t at, uint8_t **host, struct phys_page **page)
{
	enum phys_kind kind;
	return at < PHYS_PRIVATE && phys_page_at(&l->machine->phys, hpa(at), host, page, &kind) &&
	       kind == PHYS_RAM;
}

static unsigned shift_of(unsigned level)
{
	return 12 + 9 * (level - 1);
}

/* The table that an entry of a table of `level` points to. */
static bool points(uint64_t entry, unsigned level, uint64_t *to)
{
	*to = entry & ADDRESS;
	return level > 1 && entry & 7 && !(level <= 3 && entry & BIT(7));
}

/* The table at `at` and all below it; a page counts once, so that loops end. */
static void add(struct l0 *l, uint64_t at, unsigned level, uint64_t from)
{
	struct listen *s = l->listen;
	struct phys_page *page;
	uint8_t *host;
	uint32_t *slot;
	uint64_t to;
	if (!page_of(l, at, &host, &page) || page->hooks & PHYS_HOOK_TABLE)
		return;
	slot = slot_of(s, at);
	if (!*slot) {
		if (s->tables == TABLES_MAX)
			return;
		*slot = ++s->tables;
	}
	s->table[*slot - 1] = (struct table){at, from, (uint8_t)level};
	page->hooks |= PHYS_HOOK_TABLE;
	s->hooked = true;
	for (unsigned i = 0; level > 1 && i < 512; i++)
		if (points(((uint64_t *)(void *)host)[i], level, &to))
			add(l, to, level - 1, from + ((uint64_t)i << shift_of(level)));
}

static void forget(struct l0 *l, uint64_t at)
{
	struct listen *s = l->listen;
	struct phys_page *page;
	uint8_t *host;
	uint64_t to;
	if (!page_of(l, at, &host, &page) || !(page->hooks & PHYS_HOOK_TABLE))
		return;
	page->hooks &= ~(uint32_t)PHYS_HOOK_TABLE;
	struct table *t = &s->table[*slot_of(s, at) - 1];
	unsigned level = t->level;
	t->level = 0;
	for (unsigned i = 0; level > 1 && i < 512; i++)
		if (points(((uint64_t *)(void *)host)[i], level, &to))
			forget(l, to);
}

static void entry_changes(
	struct l0 *l, const struct table *t, unsigned i, uint64_t old, uint64_t value)
{
	uint64_t from = t->from + ((uint64_t)i << shift_of(t->level)), was, is;
	unsigned level = t->level;
	bool had = points(old, level, &was), has = points(value, level, &is);
	struct l0_event ev = {.kind = L0_EV_EPT_WRITE, .vcpu = (uint8_t)l->turn,
		.level = l->vcpu[l->turn].level, .shift = (uint8_t)shift_of(level), .number = from,
		.at = t->at + 8 * i, .old = old, .new_ = value};
	if (had && (!has || was != is))
		forget(l, was);
	if (has && (!had || was != is))
		add(l, is, level - 1, from);
	l0_tell(l, &ev);
}

static void on_store(void *ctx, struct hpa at, const void *in, size_t len)
{
	struct l0 *l = ctx;
	struct listen *s = l->listen;
	struct phys_page *page;
	uint8_t *host, want[8];
	uint64_t base = at.v & PAGE_MASK, old, value;
	uint32_t *slot = slot_of(s, base);
	size_t first = at.v % PAGE_SIZE, end = first + len;
	if (!*slot || l->nested->ept02.setting || !page_of(l, base, &host, &page))
		return;
	for (size_t i = first / 8; i * 8 < end; i++) {
		struct table t = s->table[*slot - 1]; /* a change can forget it */
		size_t a = i * 8 < first ? first : i * 8, b = i * 8 + 8 > end ? end : i * 8 + 8;
		memcpy(&old, host + i * 8, 8);
		memcpy(want, &old, 8);
		memcpy(want + (a - i * 8), (const uint8_t *)in + (a - first), b - a);
		memcpy(&value, want, 8);
		if (t.level && value != old)
			entry_changes(l, &t, (unsigned)i, old, value);
	}
	if (s->hooked)
		engine_dirty_restart(l->engine);
	s->hooked = false;
}

void listen_ept(struct l0 *l, uint64_t eptp12)
{
	struct listen *s = l->listen;
	if (!s || !s->ept)
		return;
	add(l, eptp12 & ADDRESS, 4, 0);
	if (s->hooked)
		engine_dirty_restart(l->engine);
	s->hooked = false;
}

static void start_ept(struct l0 *l)
{
	struct listen *s = l->listen;
	struct phys *p = &l->machine->phys;
	s->table = xalloc(TABLES_MAX * sizeof(*s->table));
	s->slot = xalloc(SLOTS * sizeof(*s->slot));
	s->tables = 0;
	s->ept = true;
	p->hooked = on_store;
	p->hooked_ctx = l;
	for (unsigned i = 0; i < EPT02_ROOTS; i++)
		if (l->nested->ept02.root[i].eptp12 != EPT02_NONE)
			listen_ept(l, l->nested->ept02.root[i].eptp12);
}

static void stop_ept(struct l0 *l)
{
	struct listen *s = l->listen;
	struct phys_page *page;
	uint8_t *host;
	for (unsigned i = 0; i < s->tables; i++)
		if (page_of(l, s->table[i].at, &host, &page))
			page->hooks &= ~(uint32_t)PHYS_HOOK_TABLE;
	free(s->table);
	free(s->slot);
	s->table = NULL;
	s->slot = NULL;
	s->ept = false;
	l->machine->phys.hooked = NULL;
}

/* --- modes ---------------------------------------------------------------- */

const char *l0_mode_name(enum l0_mode m)
{
	static const char *const names[] = {"real-address", "16-bit protected",
		"16-bit protected, paged", "32-bit protected", "32-bit protected, paged", "virtual-8086",
		"virtual-8086, paged", "16-bit compatibility", "32-bit compatibility", "64-bit"};
	_Static_assert(sizeof(names) / sizeof(*names) == L0_MODES, "a name for each");
	return m < L0_MODES ? names[m] : "unknown";
}

static enum l0_mode mode_of(const struct vcpu *c)
{
	bool paged = c->cr0 & CR0_PG, big = c->seg[SEG_CS].ar & AR_DB;
	if (!(c->cr0 & CR0_PE))
		return L0_MODE_REAL;
	if (c->msr.efer & EFER_LMA)
		return c->seg[SEG_CS].ar & AR_L ? L0_MODE_LONG :
			big ? L0_MODE_COMPAT32 : L0_MODE_COMPAT16;
	if (c->rflags & FLAG_VM)
		return L0_MODE_V86 + paged;
	return (big ? L0_MODE_PROT32 : L0_MODE_PROT16) + paged;
}

/* Where the mode of what runs is remembered: L1's by vCPU, L2's by VMCS12. */
static uint8_t *seen(struct l0 *l, const struct l0_vcpu *v)
{
	struct listen *s = l->listen;
	if (v->level != 2)
		return &s->seen[v->cpu->id];
	const struct nested_vmcs12 *m = nested_of(v)->cur;
	size_t i = (size_t)(m - l->nested->vmcs12);
	if (s->seen2_at[i] != m->at)
		s->seen2[i] = NO_MODE;
	s->seen2_at[i] = m->at;
	return &s->seen2[i];
}

static void on_mode(void *ctx, struct vcpu *c)
{
	struct l0 *l = ctx;
	const struct l0_vcpu *v = &l->vcpu[c->id];
	uint8_t *before = seen(l, v), old = *before, is = (uint8_t)mode_of(c);
	*before = is;
	if (old == is || old == NO_MODE)
		return;
	struct l0_event ev = {.kind = L0_EV_MODE, .vcpu = (uint8_t)c->id, .level = v->level,
		.at = c->seg_base[SEG_CS] + c->rip, .old = old, .new_ = is};
	l0_tell(l, &ev);
}

static void forget_modes(struct listen *s)
{
	memset(s->seen, NO_MODE, sizeof(s->seen));
	memset(s->seen2, NO_MODE, sizeof(s->seen2));
}

/* -------------------------------------------------------------------------- */

void listen_update(struct l0 *l)
{
	bool ept = l0_observed(l, L0_EV_EPT_WRITE) && l->nested;
	bool mode = l0_observed(l, L0_EV_MODE);
	if (!l->listen && !ept && !mode)
		return;
	struct listen *s = of(l);
	if (ept != s->ept)
		(ept ? start_ept : stop_ept)(l);
	if (mode != s->mode) {
		forget_modes(s);
		engine_watch_mode(l->engine, mode ? on_mode : NULL, l);
		s->mode = mode;
	}
}

void listen_restart(struct l0 *l)
{
	if (!l->listen)
		return;
	forget_modes(l->listen);
	if (l->listen->ept)
		stop_ept(l); /* the next slice starts it again */
}

void listen_free(struct l0 *l)
{
	if (!l->listen)
		return;
	if (l->listen->ept)
		stop_ept(l);
	free(l->listen);
}

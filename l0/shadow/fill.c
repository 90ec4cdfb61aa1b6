/* Shadow entries come about: one walk of the guest's tables, copied. */
#include "l0/shadow/pages.h"

#include "cpu/vcpu.h"

#include <string.h>

#define TABLE_ENTRY (ENTRY_P | ENTRY_W | ENTRY_U | ENTRY_A)
#define PTE_CACHING (BIT(3) | BIT(4) | BIT(7)) /* PWT, PCD and, in a 4-KiB page's entry, PAT */
#define KEY_SHIFT   59
#define ALL_RIGHTS  (WALK_R | WALK_W | WALK_X | WALK_U)

struct fill {
	struct shadow_mmu *m;
	const struct shadow_space *sp;
	const struct walk_result *walk;
	const struct walk_access *access;
	const struct walk_root *root; /* the guest's */
	uint64_t va;
	uint8_t rights;  /* of the path so far */
	bool changed;
	bool once;       /* the leaf is for this instruction alone */
};

/* --- the guest's side */

static uint8_t role_of(const struct shadow_regs *r)
{
	uint8_t role;

	if (!(r->cr0 & CR0_PG))
		return WALK_NONE;
	role = r->efer & EFER_LMA ? WALK_4LEVEL : r->cr4 & CR4_PAE ? WALK_PAE : WALK_32BIT;
	role |= r->efer & EFER_NXE ? ROLE_NXE : 0;
	if (role_format(role) == WALK_32BIT)
		role |= r->cr4 & CR4_PSE ? ROLE_PSE : 0;
	if (r->cr0 & CR0_WP)
		return role | ROLE_WP;
	/* with WP clear they decide over what a supervisor's write may turn a leaf into,
	 * and for how long */
	role |= r->cr4 & CR4_SMEP ? ROLE_SMEP : 0;
	role |= r->cr4 & CR4_PKE ? ROLE_PKE : 0;
	return role | (r->cr4 & CR4_SMAP ? ROLE_SMAP : 0);
}

struct walk_root shadow_guest_root(const struct shadow_mmu *m, const struct shadow_regs *r)
{
	struct walk_root root = {.format = role_format(role_of(r)),
		.root = r->cr3,
		.phys_bits = m->phys_bits,
		.pse = r->cr4 & CR4_PSE,
		.page1g = true,
		.wp = r->cr0 & CR0_WP,
		.nxe = r->efer & EFER_NXE,
		.smep = r->cr4 & CR4_SMEP,
		.smap = r->cr4 & CR4_SMAP,
		.pke = r->cr4 & CR4_PKE};

	memcpy(root.pdpte, r->pdpte, sizeof(root.pdpte));
	return root;
}

static bool read_entry(void *ctx, uint64_t at, unsigned size, uint64_t *value)
{
	const struct shadow_mmu *m = ctx;

	*value = 0;
	if (!phys_read(m->phys, hpa(at), value, size)) /* nothing there reads as ones */
		*value = size == 4 ? UINT32_MAX : UINT64_MAX;
	return true;
}

static bool set_entry(void *ctx, uint64_t at, unsigned size, uint64_t old, uint64_t new_value)
{
	struct shadow_mmu *m = ctx;

	(void)old;
	m->setting = true;
	phys_write(m->phys, hpa(at), &new_value, size); /* ROM keeps its bits */
	m->setting = false;
	return true;
}

/* --- roots */

static uint64_t root_key(const struct shadow_regs *r, uint8_t role, unsigned i)
{
	uint64_t key = (uint64_t)role << KEY_ROLE_SHIFT | key_access(ALL_RIGHTS);

	switch (role_format(role)) {
	case WALK_4LEVEL:
		return key | (r->cr3 & ENTRY_ADDR) | 4;
	case WALK_PAE:
		return key | (r->pdpte[i] & ENTRY_ADDR) | 2;
	default:
		return key | (r->cr3 & UINT64_C(0xfffff000)) | i << 3 | 2;
	}
}

static bool root_present(const struct shadow_regs *r, uint8_t role, unsigned i)
{
	return role_format(role) != WALK_PAE || r->pdpte[i] & ENTRY_P;
}

static uint32_t page_or_afresh(struct shadow_mmu *m, uint64_t key, uint64_t va)
{
	uint32_t n = shadow_page_get(m, key, va);

	if (n != SHADOW_NONE)
		return n;
	shadow_drop_all(m);
	return shadow_page_get(m, key, va);
}

void shadow_leave(struct shadow_mmu *m, struct shadow_space *sp)
{
	for (unsigned i = 0; i < sp->roots; i++)
		if (sp->root[i] != SHADOW_NONE)
			m->page[sp->root[i]].pins--;
	sp->roots = 0;
}

static void flush(struct shadow_mmu *m)
{
	if (m->zapped && m->flush)
		m->flush(m->flush_ctx);
	m->zapped = false;
}

static void sync_roots(struct shadow_mmu *m, const struct shadow_space *sp, bool all)
{
	bool stale = all;

	for (unsigned i = 0; i < sp->roots; i++)
		if (sp->root[i] != SHADOW_NONE && m->page[sp->root[i]].synced <= sp->flushed)
			stale = true;
	if (!stale)
		return;
	m->syncs++;
	m->stamp++;
	shadow_revoke(m);
	for (unsigned i = 0; i < sp->roots; i++)
		if (sp->root[i] != SHADOW_NONE)
			shadow_sync(m, sp->root[i], 1);
}

bool shadow_enter(struct shadow_mmu *m, struct shadow_space *sp, const struct shadow_regs *r,
	bool sync)
{
	struct shadow_space old = *sp;

	shadow_leave(m, sp);
	sp->role = role_of(r);
	if (role_format(sp->role) == WALK_NONE)
		return old.roots || old.role != sp->role;
	while (sp->roots < (role_format(sp->role) == WALK_4LEVEL ? 1 : 4)) {
		unsigned i = sp->roots++;
		sp->root[i] = SHADOW_NONE;
		if (!root_present(r, sp->role, i))
			continue;
		sp->root[i] = page_or_afresh(m, root_key(r, sp->role, i), (uint64_t)i << 30);
		if (sp->root[i] != SHADOW_NONE)
			m->page[sp->root[i]].pins++;
	}
	sync_roots(m, sp, sync);
	flush(m);
	return old.roots != sp->roots || old.role != sp->role ||
		memcmp(old.root, sp->root, sp->roots * sizeof(old.root[0]));
}

struct shadow_regs shadow_hardware(
	const struct shadow_mmu *m, const struct shadow_space *sp, const struct shadow_regs *r)
{
	struct shadow_regs hw = *r;
	bool four = role_format(sp->role) == WALK_4LEVEL;

	if (!sp->roots) {
		hw.cr4 &= ~(CR4_SMEP | CR4_SMAP); /* nothing of it without paging */
		return hw;
	}
	hw.cr0 |= CR0_WP;
	hw.cr4 |= CR4_PAE;
	hw.efer |= EFER_NXE;
	hw.cr3 = four ? m->page[sp->root[0]].table : 0;
	if (four && r->cr4 & CR4_PCIDE)
		hw.cr3 |= r->cr3 & 0xfff;
	for (unsigned i = 0; i < 4; i++)
		hw.pdpte[i] = four || sp->root[i] == SHADOW_NONE ? 0 :
			m->page[sp->root[i]].table | ENTRY_P;
	return hw;
}

/* --- one leaf */

static uint8_t entry_rights(const struct fill *f, uint64_t e)
{
	bool nx = f->sp->role & ROLE_NXE && e & ENTRY_XD;

	return (uint8_t)(WALK_R | (e & ENTRY_W ? WALK_W : 0) | (e & ENTRY_U ? WALK_U : 0) |
		(nx ? 0 : WALK_X));
}

static uint64_t leaf_entry(uint64_t pa, uint8_t rights, bool dirty, uint64_t caching, unsigned key)
{
	uint64_t e = (pa & ENTRY_ADDR) | ENTRY_P | ENTRY_A | caching | (uint64_t)key << KEY_SHIFT;

	e |= rights & WALK_U ? ENTRY_U : 0;
	e |= rights & WALK_X ? 0 : ENTRY_XD;
	e |= rights & WALK_W && dirty ? ENTRY_W | ENTRY_D : 0;
	return e;
}

/* With the guest's CR0.WP clear, write-disable of a protection key does not
 * count for supervisors; with WP set below it would. */
static bool key_refuses_write(const struct fill *f)
{
	return f->root->pke && f->root->pkru >> (2 * f->walk->key + 1) & 1;
}

/* What the guest's leaf allows, in a role with CR0.WP set below. */
static uint8_t effective_rights(const struct fill *f)
{
	uint8_t rights = f->rights, role = f->sp->role;

	if (role & ROLE_WP)
		return rights;
	if (!(rights & WALK_U))
		return rights | WALK_W; /* only supervisors get here, and they may write */
	if (!f->access->write || f->access->user || (rights & WALK_W && !key_refuses_write(f)))
		return rights;
	rights = (uint8_t)((rights | WALK_W) & ~WALK_U);
	return role & ROLE_SMEP ? (uint8_t)(rights & ~WALK_X) : rights;
}

static uint64_t caching_of(const struct fill *f)
{
	uint8_t type = f->walk->memtype; /* PAT, PCD, PWT */

	return (uint64_t)(type & 3) << 3 | (type & 4 ? BIT(7) : 0);
}

static void put(struct fill *f, uint64_t *e, uint64_t value)
{
	if (*e == value)
		return;
	/* more rights need no flush: the processor walks again before it faults */
	if (*e && ((*e ^ value) & ENTRY_ADDR || *e & ~value & (ENTRY_W | ENTRY_U) ||
			  ~*e & value & ENTRY_XD))
		f->m->zapped = true;
	*e = value;
	f->changed = true;
}

/* The leaf itself; one that says more than the guest's is kept in mind. */
static void put_leaf(struct fill *f, uint32_t page)
{
	struct shadow_mmu *m = f->m;
	unsigned index = f->va >> PAGE_SHIFT & 511;
	uint8_t rights = effective_rights(f);

	if (rights & WALK_W && f->rights & ~rights & WALK_U) {
		if (m->grants == SHADOW_GRANTS)
			shadow_revoke(m);
		m->granted[m->grants].page = page;
		m->granted[m->grants++].index = index;
		f->once = f->sp->role & (ROLE_SMAP | ROLE_PKE);
	}
	put(f, &table_of(m, &m->page[page])[index],
		leaf_entry(f->walk->pa, rights, f->walk->dirty, caching_of(f), f->walk->key));
}

/* Entry `index` of `parent` leads to the page of `key`; SHADOW_NONE: no room. */
static uint32_t link(struct fill *f, uint32_t parent, unsigned level, uint64_t key)
{
	struct shadow_mmu *m = f->m;
	unsigned shift = level_shift(level), index = f->va >> shift & 511;
	uint32_t n = shadow_page_get(m, key, f->va & ~(BIT(shift) - 1));
	uint64_t *e = &table_of(m, &m->page[parent])[index], value;

	if (n == SHADOW_NONE)
		return n;
	value = m->page[n].table | TABLE_ENTRY;
	if (*e != value) {
		m->stamp++; /* it may not have been in use for long */
		shadow_sync(m, n, 1);
		put(f, e, value);
	}
	if (m->page[parent].copy != PRIVATE_NONE)
		shadow_remember(m, &m->page[parent], index);
	return n;
}

/* --- parts of large pages */

static uint64_t direct_key(const struct fill *f, unsigned level, uint64_t base)
{
	const struct walk_result *w = f->walk;

	return base | (uint64_t)f->sp->role << KEY_ROLE_SHIFT | key_access(f->rights) |
		(uint64_t)w->key << 12 | (uint64_t)w->memtype << 16 | KEY_DIRECT |
		(w->dirty ? BIT(3) : 0) | level;
}

/* All of a part comes at once: the guest's one entry allows it. */
static void populate(struct fill *f, uint32_t n, uint64_t base)
{
	uint64_t *e = table_of(f->m, &f->m->page[n]);
	uint8_t rights = f->rights;

	if (e[0])
		return;
	if (!(f->sp->role & ROLE_WP) && !(rights & WALK_U))
		rights |= WALK_W;
	for (unsigned i = 0; i < 512; i++)
		e[i] = leaf_entry(
			base + i * PAGE_SIZE, rights, f->walk->dirty, caching_of(f), f->walk->key);
	f->changed = true;
}

/* Tables for a large page, from its own level down to pages of 4 KiB. */
static uint32_t split(struct fill *f, uint32_t page, unsigned level)
{
	for (; level > 1 && page != SHADOW_NONE; level--) {
		uint64_t base = f->walk->pa & ~(BIT(level_shift(level)) - 1);
		page = link(f, page, level, direct_key(f, level - 1, base));
		if (page != SHADOW_NONE && level == 2)
			populate(f, page, base);
	}
	return page;
}

/* --- the path */

static uint64_t child_key(const struct fill *f, uint64_t entry, unsigned level)
{
	uint64_t key = (uint64_t)f->sp->role << KEY_ROLE_SHIFT | key_access(f->rights) | level;

	if (role_format(f->sp->role) == WALK_32BIT) /* which half of the guest's table */
		return key | (entry & UINT64_C(0xfffff000)) | (f->va >> 21 & 1) << 3;
	return key | (entry & ENTRY_ADDR);
}

/* False: there is no room, all starts afresh. */
static bool copy_path(struct fill *f)
{
	struct shadow_mmu *m = f->m;
	bool four = role_format(f->sp->role) == WALK_4LEVEL;
	unsigned i = role_format(f->sp->role) == WALK_PAE;
	uint32_t page = f->sp->root[four ? 0 : f->va >> 30 & 3];

	f->rights = ALL_RIGHTS;
	for (; page != SHADOW_NONE; i++) {
		const struct walk_step *s = &f->walk->step[i];
		f->rights &= entry_rights(f, s->value);
		if (s->leaf) {
			uint32_t leaf_page = split(f, page, s->level);
			if (leaf_page == SHADOW_NONE)
				return false;
			put_leaf(f, leaf_page);
			if (s->level == 1)
				shadow_remember(m, &m->page[page], f->va >> PAGE_SHIFT & 511);
			return true;
		}
		page = link(f, page, s->level, child_key(f, s->value, s->level - 1));
	}
	return false;
}

enum shadow_result shadow_fill(struct shadow_mmu *m, struct shadow_space *sp,
	const struct walk_root *root, uint64_t va, const struct walk_access *a,
	struct walk_result *walk)
{
	const struct walk_mem mem = {m, read_entry, set_entry};
	struct fill f = {.m = m, .sp = sp, .walk = walk, .access = a, .root = root, .va = va};

	if (ept_walk(root, va, a, &mem, walk) != WALK_OK)
		return SHADOW_FAULT;
	if (!sp->roots)
		return SHADOW_REFUSED;
	m->fills++;
	if (!copy_path(&f)) {
		shadow_drop_all(m);
		copy_path(&f);
		f.changed = true;
	}
	flush(m);
	if (!f.changed)
		return SHADOW_REFUSED;
	return f.once ? SHADOW_FILLED_ONCE : SHADOW_FILLED;
}

void shadow_over(struct shadow_mmu *m)
{
	shadow_revoke(m);
	flush(m);
}

/* --- INVLPG */

static void zap_leaf(struct shadow_mmu *m, struct shadow_page *p, uint64_t *e, uint64_t va)
{
	if (!*e)
		return;
	*e = 0;
	m->zaps++;
	if (p->aliased)
		m->zapped = true;
	else if (m->flush_page)
		m->flush_page(m->flush_ctx, va);
}

/* The whole of a large page goes: its parts stay, unused. */
static void zap_large(struct shadow_mmu *m, const struct shadow_page *p, uint64_t *e, unsigned index)
{
	bool pair = role_format(key_role(p->key)) == WALK_32BIT;

	e[index] = 0;
	if (pair)
		e[index ^ 1] = 0;
	m->zapped = true;
	m->zaps++;
}

static void invalidate(struct shadow_mmu *m, uint32_t page, uint64_t va)
{
	for (unsigned level = key_level(m->page[page].key); level; level--) {
		struct shadow_page *p = &m->page[page];
		unsigned index = va >> level_shift(level) & 511;
		uint64_t *e = table_of(m, p);

		if (level == 1) {
			zap_leaf(m, p, &e[index], va);
			return;
		}
		if (!e[index])
			return;
		page = page_of_entry(m, e[index]);
		if (m->page[page].key & KEY_DIRECT) {
			zap_large(m, p, e, index);
			return;
		}
	}
}

void shadow_invlpg(struct shadow_mmu *m, struct shadow_space *sp, uint64_t va)
{
	bool four = role_format(sp->role) == WALK_4LEVEL;

	if (!sp->roots || sp->root[four ? 0 : va >> 30 & 3] == SHADOW_NONE)
		return;
	m->stamp++;
	shadow_revoke(m);
	for (unsigned i = 0; i < sp->roots; i++)
		if (sp->root[i] != SHADOW_NONE)
			shadow_sync(m, sp->root[i], 2);
	invalidate(m, sp->root[four ? 0 : va >> 30 & 3], va);
	shadow_flushed(m, sp);
	flush(m);
}

void shadow_flushed(struct shadow_mmu *m, struct shadow_space *sp)
{
	sp->flushed = ++m->stamp;
}

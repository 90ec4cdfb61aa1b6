/* Fills: from a linear address through the guest's tables and EPT to the table
 * of the context and to the view. */
#include "cpu/tlb_ctx.h"

#include "cpu/fp.h"

/* --- EPT */

struct fill {
	struct vcpu *c;
	uint64_t va;
	bool user;
	enum cpu_step step;   /* why a callback aborted */
	struct gpa gpa;       /* being translated by EPT */
	struct ept_cache *ept;
};

static bool raw_read(void *ctx, uint64_t at, unsigned size, uint64_t *value)
{
	struct fill *f = ctx;
	uint8_t *host;
	struct phys_page *page;
	enum phys_kind kind;
	if (!phys_page_at(f->c->phys, hpa(at), &host, &page, &kind)) {
		*value = size == 4 ? UINT32_MAX : UINT64_MAX;
		return true;
	}
	host += at % PAGE_SIZE;
	*value = size == 4 ? *(uint32_t *)host : *(uint64_t *)host;
	return true;
}

static void raw_write(struct vcpu *c, uint64_t at, unsigned size, uint64_t value)
{
	uint8_t *host;
	struct phys_page *page;
	enum phys_kind kind;
	if (!phys_page_at(c->phys, hpa(at), &host, &page, &kind) || kind != PHYS_RAM)
		return;
	code_written(c->engine->shared, page, at, size);
	page->dirty = c->phys->generation;
	host += at % PAGE_SIZE;
	if (size == 4)
		*(uint32_t *)host = (uint32_t)value;
	else
		*(uint64_t *)host = value;
}

/* A or D of an EPT entry; with PML the log comes first. */
static bool ept_set(void *ctx, uint64_t at, unsigned size, uint64_t old, uint64_t new_value)
{
	struct fill *f = ctx;
	struct vcpu *c = f->c;
	if (c->nonroot.pml && (new_value & ~old & BIT(9)) && c->hooks->pml) {
		f->step = c->hooks->pml(c, gpa(f->gpa.v & PAGE_MASK));
		if (f->step != CPU_DONE)
			return false;
	}
	raw_write(c, at, size, new_value);
	return true;
}

/* By what is cached for the page, or for the large page that it is part of. */
static const struct ept_entry *ept_cached(struct ept_cache *x, uint64_t at, uint8_t need, bool dirty)
{
	const struct ept_entry *e = &x->e[at >> PAGE_SHIFT & (EPT_DEEP - 1)];
	if (e->tag != ((at & PAGE_MASK) | 1)) {
		e = &x->large[upper_slot(at)];
		if (e->tag != upper_tag(at))
			return NULL;
	}
	return (e->rights & need) == need && (!dirty || e->dirty) ? e : NULL;
}

static void ept_forget(struct ept_cache *x, uint64_t at)
{
	x->e[at >> PAGE_SHIFT & (EPT_DEEP - 1)].tag = 0;
	x->large[upper_slot(at)].tag = 0;
	x->upper[upper_slot(at)].tag = 0;
}

static void ept_keep(struct ept_cache *x, uint64_t at, const struct walk_result *r)
{
	struct ept_entry *e = &x->e[at >> PAGE_SHIFT & (EPT_DEEP - 1)];
	struct upper *u = &x->upper[upper_slot(at)];
	if (r->page_shift >= UPPER_SHIFT) {
		e->tag = 0;
		e = &x->large[upper_slot(at)];
		e->tag = upper_tag(at);
		e->shift = UPPER_SHIFT;
	} else {
		e->tag = (at & PAGE_MASK) | 1;
		e->shift = PAGE_SHIFT;
		x->large[upper_slot(at)].tag = 0;
		u->tag = upper_tag(at);
		u->to = r->upper;
	}
	e->hpa = r->pa & ~(BIT(e->shift) - 1);
	e->rights = r->rights;
	e->dirty = r->dirty;
}

/* From the last level if the levels above are cached and it succeeds, else from
 * the root: what refuses an access is never told from a cache. */
static enum walk_status ept_lookup(
	struct fill *f, uint64_t at, const struct walk_access *a, struct walk_result *r)
{
	struct vcpu *c = f->c;
	const struct upper *u = &f->ept->upper[upper_slot(at)];
	const struct walk_mem mem = {f, raw_read, ept_set};
	struct walk_root root = {.format = WALK_EPT,
		.root = c->nonroot.eptp,
		.phys_bits = 46,
		.page1g = true,
		.exec_only = true,
		.ad = c->nonroot.eptp & BIT(6),
		.mbec = c->nonroot.mbec};
	f->gpa = gpa(at);
	if (u->tag == upper_tag(at)) {
		root.upper = &u->to;
		enum walk_status st = ept_walk(&root, at, a, &mem, r);
		if (st == WALK_OK || st == WALK_ABORT)
			return st;
		root.upper = NULL;
	}
	return ept_walk(&root, at, a, &mem, r);
}

/* GPA to HPA for one access; false with f->step otherwise. */
static bool ept_translate(struct fill *f, uint64_t at, const struct walk_access *a, uint64_t *out,
	uint8_t *rights, bool *dirty)
{
	struct vcpu *c = f->c;
	bool ad = c->nonroot.eptp & BIT(6);
	bool writes = a->write || (a->table && ad);
	uint8_t x = c->nonroot.mbec && a->linear_user ? WALK_XU : WALK_X;
	uint8_t need = (uint8_t)(a->fetch ? x : a->write ? WALK_W : WALK_R);
	if (a->table && ad)
		need = WALK_R | WALK_W;
	if (!f->ept)
		f->ept = tlb_ept_cache(c);
	const struct ept_entry *e = ept_cached(f->ept, at, need, writes && ad);
	if (e) {
		*out = e->hpa | (at & (BIT(e->shift) - 1));
		*rights = e->rights;
		*dirty = e->dirty || !ad;
		return true;
	}
	struct walk_result r;
	enum walk_status st = ept_lookup(f, at, a, &r);
	if (st == WALK_ABORT)
		return false;
	if (st != WALK_OK) {
		struct cpu_ept_fault ef = {.misconfig = st == WALK_MISCONFIG,
			.qualification = st == WALK_MISCONFIG ? 0 : r.error,
			.gpa = gpa(at),
			.gva = gva(f->va),
			.linear_user = a->linear_user,
			.ve_suppress = r.ve_suppress};
		ept_forget(f->ept, at);
		fp_leave(c);
		f->step = c->hooks->ept_fault(c, &ef);
		return false;
	}
	ept_keep(f->ept, at, &r);
	*out = r.pa;
	*rights = r.rights;
	*dirty = r.dirty || !ad;
	return true;
}

/* --- guest tables */

static bool table_at(struct fill *f, uint64_t at, bool write, uint64_t *out)
{
	if (!f->ept && !(f->c->nonroot.on && f->c->nonroot.ept)) {
		*out = at;
		return true;
	}
	const struct walk_access a = {
		.write = write, .table = true, .linear = true, .linear_user = f->user};
	uint8_t rights;
	bool dirty;
	return ept_translate(f, at, &a, out, &rights, &dirty);
}

static bool guest_read(void *ctx, uint64_t at, unsigned size, uint64_t *value)
{
	return table_at(ctx, at, false, &at) && raw_read(ctx, at, size, value);
}

static bool guest_set(void *ctx, uint64_t at, unsigned size, uint64_t old, uint64_t new_value)
{
	struct fill *f = ctx;
	(void)old;
	if (!table_at(f, at, true, &at))
		return false;
	raw_write(f->c, at, size, new_value);
	return true;
}

static void root_of(const struct vcpu *c, struct walk_root *r)
{
	*r = (struct walk_root){.format = tlb_format(c),
		.root = c->cr3,
		.phys_bits = c->nonroot.phys_bits ? c->nonroot.phys_bits :
			c->model->phys_bits ? c->model->phys_bits : 46,
		.pse = c->cr4 & CR4_PSE,
		.page1g = true,
		.wp = c->cr0 & CR0_WP,
		.nxe = c->msr.efer & EFER_NXE,
		.smep = c->cr4 & CR4_SMEP,
		.smap = c->cr4 & CR4_SMAP,
		.ac = c->rflags & FLAG_AC,
		.pke = c->cr4 & CR4_PKE,
		.pkru = c->pkru};
	for (unsigned i = 0; i < 4; i++)
		r->pdpte[i] = c->pdpte[i];
}

/* From the last level if what is above is cached and it succeeds, else from the
 * root: SDM Vol. 3A 4.10.3.2 "Using the Paging-Structure Caches to Translate
 * Linear Addresses". */
static enum walk_status guest_walk(struct tlb_ctx *x, struct walk_root *root, uint64_t at,
	const struct walk_access *a, const struct walk_mem *mem, struct walk_result *r)
{
	struct upper *u = &x->upper[upper_slot(at)];
	enum walk_status st;
	if (root->format == WALK_4LEVEL && u->tag == upper_tag(at) && u->gen == x->gen_upper) {
		root->upper = &u->to;
		st = ept_walk(root, at, a, mem, r);
		root->upper = NULL;
		if (st == WALK_OK || st == WALK_ABORT)
			return st;
	}
	st = ept_walk(root, at, a, mem, r);
	if (root->format == WALK_4LEVEL)
		u->tag = 0; /* a page fault takes along what led to it */
	if (st == WALK_OK && root->format == WALK_4LEVEL && r->page_shift == PAGE_SHIFT)
		*u = (struct upper){upper_tag(at), x->gen_upper, r->upper};
	return st;
}

/* Walks the guest's tables (and EPT) and fills `d`. */
static enum cpu_step deep_fill(struct vcpu *c, uint64_t at, enum tlb_want want, bool user,
	bool implicit, struct tlb_ctx *x, struct deep *d)
{
	struct fill f = {.c = c, .va = at, .user = user};
	const struct walk_access a = {.write = want == TLB_WRITE,
		.fetch = want == TLB_FETCH,
		.user = user,
		.implicit = implicit,
		.linear = true};
	const struct walk_mem mem = {&f, guest_read, guest_set};
	struct walk_root root;
	struct walk_result r;
	c->engine->shared->stats.tlb_walks++;
	root_of(c, &root);
	d->tag = 0;
	enum walk_status st = guest_walk(x, &root, at, &a, &mem, &r);
	if (st == WALK_ABORT)
		return f.step;
	if (st != WALK_OK)
		return cpu_raise_pf(c, gva(at), (uint32_t)r.error);
	uint64_t to = r.pa;
	uint8_t rights = WALK_R | WALK_W | WALK_X | WALK_XU;
	bool ept_dirty = true;
	if (c->nonroot.on && c->nonroot.ept) {
		struct walk_access ea = a;
		/* The page's U/S, for mode-based execute control. */
		ea.linear_user = r.rights & WALK_U;
		if (!ept_translate(&f, r.pa, &ea, &to, &rights, &ept_dirty))
			return f.step;
	}
	d->gpa = r.pa & PAGE_MASK;
	d->hpa = to & PAGE_MASK;
	d->rights = r.rights;
	d->ept = rights;
	d->ept_dirty = ept_dirty;
	d->key = r.key;
	d->dirty = r.dirty;
	d->shift = (uint8_t)r.page_shift;
	if (d->shift > 12) {
		unsigned b = tlb_bloom(at >> LARGE_SHIFT << 12);
		x->large_seen[b >> 6] |= BIT(b & 63);
		x->huge_seen |= d->shift > LARGE_SHIFT;
	}
	d->global = r.global && (c->cr4 & CR4_PGE);
	d->gen = d->global ? x->gen_all : x->gen_local;
	d->tag = (at & PAGE_MASK) | 1;
	return CPU_DONE;
}

/* Would an access of this kind pass, by the cached rights? */
static bool deep_allows(const struct vcpu *c, const struct deep *d, enum tlb_want want,
	enum tlb_flavour fl)
{
	bool user = fl == TLB_USER, upage = d->rights & WALK_U;
	if (user && !upage)
		return false;
	if (want == TLB_FETCH) {
		uint8_t x = c->nonroot.mbec && upage ? WALK_XU : WALK_X;
		return (d->rights & WALK_X) && (d->ept & x) &&
			!(!user && upage && (c->cr4 & CR4_SMEP));
	}
	if (!user && upage && fl == TLB_SUPER && (c->cr4 & CR4_SMAP))
		return false;
	if (upage && (c->cr4 & CR4_PKE) && (c->msr.efer & EFER_LMA)) {
		unsigned k = c->pkru >> (2 * d->key) & 3;
		if ((k & 1) || ((k & 2) && want == TLB_WRITE && (user || (c->cr0 & CR0_WP))))
			return false;
	}
	if (want == TLB_READ)
		return d->ept & WALK_R;
	return ((d->rights & WALK_W) || (!user && !(c->cr0 & CR0_WP))) && (d->ept & WALK_W) &&
		d->dirty && d->ept_dirty;
}

static void view_fill(struct vcpu *c, struct tlb *t, uint64_t at, const struct deep *d,
	const struct tlb_place *p)
{
	uint64_t page = at & PAGE_MASK;
	struct tlb_entry *e = &t->e[page >> PAGE_SHIFT & (TLB_SIZE - 1)];
	struct engine_shared *s = c->engine->shared;
	if (!p->host || p->apic)
		return;
	t->used = true;
	e->read = e->write = e->exec = TLB_NONE;
	e->addend = (uint64_t)(uintptr_t)p->host - at;
	if (deep_allows(c, d, TLB_FETCH, t->flavour)) {
		unsigned b = tlb_bloom(page);
		t->ctx->code_seen[b >> 6] |= BIT(b & 63);
		e->exec = page;
	}
	if (s->watches + s->debug_watches && watch_page(s, page, p->hpa.v & PAGE_MASK))
		return;
	if (deep_allows(c, d, TLB_READ, t->flavour))
		e->read = page;
	if (p->kind == PHYS_RAM && !p->page->code && !p->page->hooks &&
		deep_allows(c, d, TLB_WRITE, t->flavour)) {
		p->page->dirty = c->phys->generation;
		e->write = page;
	}
}

enum cpu_step tlb_resolve(struct vcpu *c, uint64_t at, enum tlb_want want, enum cpu_access who,
	struct tlb_place *out)
{
	struct tlb_ctx *x = c->tlb->ctx;
	enum tlb_flavour fl = who == ACCESS_SYSTEM ? TLB_SUPER : tlb_flavour(c);
	struct deep *d = &x->deep[at >> PAGE_SHIFT & (TLB_DEEP - 1)];
	bool hit = d->tag == ((at & PAGE_MASK) | 1) &&
		d->gen == (d->global ? x->gen_all : x->gen_local) && deep_allows(c, d, want, fl);
	c->engine->shared->stats.tlb_misses++;
	if (!hit) {
		enum cpu_step step = deep_fill(
			c, at, want, fl == TLB_USER, who == ACCESS_SYSTEM, x, d);
		if (step != CPU_DONE)
			return step;
	}
	out->hpa = hpa(d->hpa | (at & (PAGE_SIZE - 1)));
	out->gpa = gpa(d->gpa | (at & (PAGE_SIZE - 1)));
	out->apic = c->nonroot.on && d->hpa == c->nonroot.apic_access.v;
	if (phys_page_at(c->phys, out->hpa, &out->host, &out->page, &out->kind)) {
		out->host += at & (PAGE_SIZE - 1);
	} else {
		out->host = NULL;
		out->page = NULL;
		out->kind = PHYS_NONE;
	}
	view_fill(c, &x->view[fl], at, d, out);
	return CPU_DONE;
}

bool tlb_peek(struct vcpu *c, uint64_t at, struct hpa *page, bool *writable)
{
	if (!c->tlb)
		return false;
	struct tlb_ctx *x = c->tlb->ctx;
	const struct deep *d = &x->deep[at >> PAGE_SHIFT & (TLB_DEEP - 1)];
	if (d->tag != ((at & PAGE_MASK) | 1) || d->gen != (d->global ? x->gen_all : x->gen_local))
		return false;
	*page = hpa(d->hpa);
	*writable = (d->rights & WALK_W) && (d->ept & WALK_W);
	return true;
}

enum cpu_step tlb_gpa(struct vcpu *c, struct gpa at, bool write, uint64_t *out)
{
	struct fill f = {.c = c, .va = 0};
	const struct walk_access a = {.write = write};
	uint8_t rights;
	bool dirty;
	*out = at.v;
	if (!(c->nonroot.on && c->nonroot.ept) || ept_translate(&f, at.v, &a, out, &rights, &dirty))
		return CPU_DONE;
	return f.step;
}

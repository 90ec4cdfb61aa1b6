#include "cpu/tlb.h"

#include "base/buf.h"
#include "cpu/fp.h"
#include "cpu/model.h"
#include "cpu/run.h"
#include "ept/walk.h"

#include <stdlib.h>
#include <string.h>

#define POOL_SIZE 32u
#define EPT_CACHES 8u
#define EPT_DEEP   4096u

/* A raw translation: rights of the guest's tables before WP, SMEP, SMAP and
 * keys, and those of EPT. */
struct deep {
	uint64_t tag; /* page address | 1; 0 when empty */
	uint64_t hpa, gpa;
	uint32_t gen;
	uint8_t rights, ept; /* WALK_* */
	uint8_t key, shift;
	bool dirty, global, ept_dirty;
};

struct ctx_key {
	uint64_t eptp;
	uint16_t vpid, pcid;
	uint8_t format;
	bool nonroot, ept;
};

struct tlb_ctx {
	struct ctx_key key;
	bool live;
	uint64_t used;
	uint32_t gen_all, gen_local; /* of global entries; of the others */
	uint64_t rules;      /* WP, SMEP... that the views were filled under */
	uint64_t large_seen[8]; /* bloom filter of the 4M regions with parts of large pages */
	bool huge_seen;         /* a part of a 1G page was seen */
	uint64_t code_seen[8]; /* bloom filter of pages with fetch translations since gen moved */
	struct deep deep[TLB_DEEP];
	struct tlb view[TLB_FLAVOURS];
};

/* GPA to HPA of one EPTP. */
struct ept_entry {
	uint64_t tag, hpa; /* page address | 1 */
	uint8_t rights;
	bool dirty;
};

struct ept_cache {
	uint64_t eptp;
	bool live;
	uint64_t used;
	struct ept_entry e[EPT_DEEP];
};

struct tlb_pool {
	struct tlb_ctx *ctx[POOL_SIZE];
	struct ept_cache *ept[EPT_CACHES];
	uint64_t clock;
	uint16_t last_vpid;
	bool last_nonroot;
};

struct tlb_pool *tlb_pool_new(void)
{
	return xalloc(sizeof(struct tlb_pool));
}

void tlb_pool_free(struct tlb_pool *p)
{
	for (unsigned i = 0; i < POOL_SIZE; i++)
		free(p->ctx[i]);
	for (unsigned i = 0; i < EPT_CACHES; i++)
		free(p->ept[i]);
	free(p);
}

/* --- views */

static unsigned bloom(uint64_t page)
{
	return (page >> 12 ^ page >> 21 ^ page >> 30) & 511;
}

static void view_clear(struct tlb *t)
{
	if (!t->used)
		return;
	for (unsigned i = 0; i < TLB_SIZE; i++)
		t->e[i].read = t->e[i].write = t->e[i].exec = TLB_NONE;
	t->used = false;
	t->epoch = 0;
}

static void ctx_clear_views(struct tlb_ctx *x)
{
	for (unsigned f = 0; f < TLB_FLAVOURS; f++) {
		view_clear(&x->view[f]);
		x->view[f].epoch = 0;
	}
	for (unsigned i = 0; i < 8; i++)
		x->code_seen[i] = 0;
}

static void ctx_flush(struct tlb_ctx *x, bool globals_too)
{
	if (globals_too) {
		x->gen_all++;
		x->huge_seen = false;
		for (unsigned i = 0; i < 8; i++)
			x->large_seen[i] = 0;
	}
	x->gen_local++;
	ctx_clear_views(x);
}

#define LARGE_SHIFT 22 /* the largest page but 1G ones */
#define LARGE_PARTS (1u << (LARGE_SHIFT - PAGE_SHIFT))

/* All parts of the large page that holds `page`; false when it is not one. Parts
 * of one page are neighbours in the table. */
static bool ctx_flush_large(struct tlb_ctx *x, uint64_t page, bool only_global)
{
	unsigned b = bloom(page >> LARGE_SHIFT << 12), first = 0, count = TLB_DEEP;
	bool any = false;
	if (!x->huge_seen) {
		if (!(x->large_seen[b >> 6] >> (b & 63) & 1))
			return false;
		first = (page >> PAGE_SHIFT) & (TLB_DEEP - 1) & ~(LARGE_PARTS - 1);
		count = LARGE_PARTS;
	}
	for (unsigned i = first; i < first + count; i++) {
		struct deep *d = &x->deep[i];
		if (d->shift <= 12 || (d->tag ^ page) >> d->shift || (only_global && !d->global))
			continue;
		any |= d->tag != 0;
		d->tag = 0;
	}
	if (any)
		ctx_clear_views(x);
	return any;
}

static void ctx_flush_page(struct tlb_ctx *x, uint64_t page, bool only_global)
{
	if (ctx_flush_large(x, page, only_global))
		return;
	struct deep *d = &x->deep[page >> PAGE_SHIFT & (TLB_DEEP - 1)];
	if (d->tag == (page | 1) && (!only_global || d->global))
		d->tag = 0;
	for (unsigned f = 0; f < TLB_FLAVOURS; f++) {
		struct tlb_entry *e = &x->view[f].e[page >> PAGE_SHIFT & (TLB_SIZE - 1)];
		if (e->read == page || e->write == page || e->exec == page)
			e->read = e->write = e->exec = TLB_NONE;
	}
	unsigned b = bloom(page);
	if (x->code_seen[b >> 6] >> (b & 63) & 1)
		for (unsigned f = 0; f < TLB_FLAVOURS; f++)
			x->view[f].epoch = 0;
}

void tlb_clear_views(struct tlb_pool *p)
{
	for (unsigned i = 0; i < POOL_SIZE; i++)
		if (p->ctx[i])
			ctx_clear_views(p->ctx[i]);
}

void tlb_protect(struct tlb_pool *p, const uint8_t *host, bool read_too)
{
	for (unsigned i = 0; i < POOL_SIZE; i++) {
		struct tlb_ctx *x = p->ctx[i];
		for (unsigned f = 0; x && f < TLB_FLAVOURS; f++) {
			struct tlb *t = &x->view[f];
			for (unsigned n = 0; t->used && n < TLB_SIZE; n++) {
				struct tlb_entry *e = &t->e[n];
				uint64_t page = e->write != TLB_NONE ? e->write : e->read;
				if (page == TLB_NONE || page + e->addend != (uintptr_t)host)
					continue;
				e->write = TLB_NONE;
				if (read_too)
					e->read = TLB_NONE;
			}
		}
	}
}

/* --- contexts */

static enum walk_format format_of(const struct vcpu *c)
{
	if (!(c->cr0 & CR0_PG))
		return WALK_NONE;
	if (c->msr.efer & EFER_LMA)
		return WALK_4LEVEL;
	return c->cr4 & CR4_PAE ? WALK_PAE : WALK_32BIT;
}

static struct ctx_key key_of(const struct vcpu *c, unsigned pcid)
{
	struct ctx_key k = {.vpid = c->nonroot.on ? c->nonroot.vpid : 0,
		.pcid = (uint16_t)pcid,
		.format = (uint8_t)format_of(c),
		.nonroot = c->nonroot.on,
		.ept = c->nonroot.on && c->nonroot.ept};
	if (k.ept)
		k.eptp = c->nonroot.eptp;
	return k;
}

static unsigned pcid_of(const struct vcpu *c)
{
	return c->cr4 & CR4_PCIDE ? c->cr3 & 0xfff : 0;
}

static bool same_key(const struct ctx_key *a, const struct ctx_key *b)
{
	return a->eptp == b->eptp && a->vpid == b->vpid && a->pcid == b->pcid &&
		a->format == b->format && a->nonroot == b->nonroot && a->ept == b->ept;
}

static struct tlb_ctx *ctx_new(struct vcpu *c)
{
	fp_leave(c);
	/* an entry of a view lies in one cache line */
	struct tlb_ctx *x = aligned_alloc(64, (sizeof(*x) + 63) & ~(size_t)63);
	if (!x)
		abort();
	memset(x, 0, sizeof(*x));
	for (unsigned f = 0; f < TLB_FLAVOURS; f++) {
		x->view[f].ctx = x;
		x->view[f].flavour = f;
		x->view[f].used = true;
	}
	x->gen_all = x->gen_local = 1;
	return x;
}

static struct tlb_ctx *ctx_get(struct vcpu *c, const struct ctx_key *k)
{
	struct tlb_pool *p = c->engine->pool;
	unsigned victim = 0;
	for (unsigned i = 0; i < POOL_SIZE; i++) {
		struct tlb_ctx *x = p->ctx[i];
		if (!x) {
			victim = i;
			break;
		}
		if (x->live && same_key(&x->key, k)) {
			x->used = ++p->clock;
			return x;
		}
		if (x->used < p->ctx[victim]->used)
			victim = i;
	}
	struct tlb_ctx *x = p->ctx[victim];
	if (!x)
		x = p->ctx[victim] = ctx_new(c);
	ctx_flush(x, true);
	for (unsigned f = 0; f < TLB_FLAVOURS; f++) {
		x->view[f].used = true;
		view_clear(&x->view[f]);
	}
	x->key = *k;
	x->live = true;
	x->used = ++p->clock;
	return x;
}

/* What decides over rights besides the tables. */
static uint64_t rules_of(const struct vcpu *c)
{
	return (c->cr0 & CR0_WP) | (c->cr4 & (CR4_SMEP | CR4_SMAP | CR4_PKE | CR4_PSE | CR4_PGE)) |
		(c->msr.efer & EFER_NXE) << 20 |
		(c->cr4 & CR4_PKE ? (uint64_t)c->pkru << 32 : 0);
}

static enum tlb_flavour flavour_of(const struct vcpu *c)
{
	if (c->cpl == 3)
		return TLB_USER;
	return c->rflags & FLAG_AC && c->cr4 & CR4_SMAP ? TLB_SUPER_AC : TLB_SUPER;
}

/* Fetches do not depend on EFLAGS.AC: both supervisor views share one gen. */
static void view_use(struct vcpu *c, struct tlb *t)
{
	struct engine_shared *s = c->engine->shared;
	struct tlb *fetch = t->flavour == TLB_SUPER_AC ? &t->ctx->view[TLB_SUPER] : t;
	if (fetch->epoch != s->epoch) {
		fetch->epoch = s->epoch;
		fetch->gen = ++s->next_gen;
	}
	t->epoch = s->epoch;
	c->tlb = t;
	c->code_gen = fetch->gen << MODE_BITS | c->engine->mode;
}

/* VPID 0 means no tags: nothing survives a VM entry or exit. */
static void fresh_at_transition(struct vcpu *c)
{
	struct tlb_pool *p = c->engine->pool;
	uint16_t vpid = c->nonroot.on ? c->nonroot.vpid : 0;
	if (p->last_nonroot == c->nonroot.on && p->last_vpid == vpid)
		return;
	if (!vpid || !p->last_vpid)
		for (unsigned i = 0; i < POOL_SIZE; i++)
			if (p->ctx[i] && !p->ctx[i]->key.vpid)
				ctx_flush(p->ctx[i], true);
	p->last_nonroot = c->nonroot.on;
	p->last_vpid = vpid;
}

void tlb_select(struct vcpu *c)
{
	fresh_at_transition(c);
	struct ctx_key k = key_of(c, pcid_of(c));
	struct tlb_ctx *x = c->tlb ? c->tlb->ctx : NULL;
	if (!x || !x->live || !same_key(&x->key, &k))
		x = ctx_get(c, &k);
	uint64_t rules = rules_of(c);
	if (x->rules != rules) {
		/* The tables are read differently under other NXE, PSE or PGE. */
		const uint64_t deep = CR4_PSE | CR4_PGE | EFER_NXE << 20;
		if ((x->rules ^ rules) & deep)
			ctx_flush(x, true);
		ctx_clear_views(x);
		x->rules = rules;
	}
	view_use(c, &x->view[flavour_of(c)]);
}

void tlb_rights_changed(struct vcpu *c)
{
	view_use(c, &c->tlb->ctx->view[flavour_of(c)]);
}

/* --- EPT */

static struct ept_cache *ept_get(struct vcpu *c)
{
	struct tlb_pool *p = c->engine->pool;
	uint64_t eptp = c->nonroot.eptp;
	unsigned victim = 0;
	for (unsigned i = 0; i < EPT_CACHES; i++) {
		struct ept_cache *x = p->ept[i];
		if (!x) {
			victim = i;
			break;
		}
		if (x->live && x->eptp == eptp) {
			x->used = ++p->clock;
			return x;
		}
		if (x->used < p->ept[victim]->used)
			victim = i;
	}
	struct ept_cache *x = p->ept[victim];
	if (!x) {
		fp_leave(c);
		x = p->ept[victim] = xalloc(sizeof(*x));
	}
	for (unsigned i = 0; i < EPT_DEEP; i++)
		x->e[i].tag = 0;
	x->eptp = eptp;
	x->live = true;
	x->used = ++p->clock;
	return x;
}

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
		f->ept = ept_get(c);
	struct ept_entry *e = &f->ept->e[at >> PAGE_SHIFT & (EPT_DEEP - 1)];
	if (e->tag == ((at & PAGE_MASK) | 1) && (e->rights & need) == need &&
		(!writes || !ad || e->dirty)) {
		*out = e->hpa | (at & (PAGE_SIZE - 1));
		*rights = e->rights;
		*dirty = e->dirty || !ad;
		return true;
	}
	const struct walk_root root = {.format = WALK_EPT,
		.root = c->nonroot.eptp,
		.phys_bits = 46,
		.page1g = true,
		.exec_only = true,
		.ad = ad,
		.mbec = c->nonroot.mbec};
	const struct walk_mem mem = {f, raw_read, ept_set};
	struct walk_result r;
	f->gpa = gpa(at);
	enum walk_status st = ept_walk(&root, at, a, &mem, &r);
	if (st == WALK_ABORT)
		return false;
	if (st != WALK_OK) {
		struct cpu_ept_fault ef = {.misconfig = st == WALK_MISCONFIG,
			.qualification = st == WALK_MISCONFIG ? 0 : r.error,
			.gpa = gpa(at),
			.gva = gva(f->va),
			.linear_user = a->linear_user,
			.ve_suppress = r.ve_suppress};
		e->tag = 0;
		fp_leave(c);
		f->step = c->hooks->ept_fault(c, &ef);
		return false;
	}
	e->tag = (at & PAGE_MASK) | 1;
	e->hpa = r.pa & PAGE_MASK;
	e->rights = r.rights;
	e->dirty = r.dirty;
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
	*r = (struct walk_root){.format = format_of(c),
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
	enum walk_status st = ept_walk(&root, at, &a, &mem, &r);
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
		unsigned b = bloom(at >> LARGE_SHIFT << 12);
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
		unsigned b = bloom(page);
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
	enum tlb_flavour fl = who == ACCESS_SYSTEM ? TLB_SUPER : flavour_of(c);
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

/* --- invalidation */

/* Calls for every context of the current (non-)root state and VPID. */
#define EACH_CTX(c, x)                                                        \
	for (struct tlb_ctx **px_ = (c)->engine->pool->ctx, *x;               \
		px_ < (c)->engine->pool->ctx + POOL_SIZE; px_++)              \
		if ((x = *px_) && x->live)

static bool is_current(const struct vcpu *c, const struct tlb_ctx *x)
{
	return x->key.nonroot == c->nonroot.on &&
		x->key.vpid == (c->nonroot.on ? c->nonroot.vpid : 0);
}

void tlb_flush_page(struct vcpu *c, struct gva at)
{
	tlb_flush_pcid_page(c, pcid_of(c), at);
	EACH_CTX(c, x)
		if (is_current(c, x) && x->key.pcid != pcid_of(c))
			ctx_flush_page(x, at.v & PAGE_MASK, true);
	tlb_select(c);
}

void tlb_flush_pcid_page(struct vcpu *c, unsigned pcid, struct gva at)
{
	EACH_CTX(c, x)
		if (is_current(c, x) && x->key.pcid == pcid)
			ctx_flush_page(x, at.v & PAGE_MASK, false);
	tlb_select(c);
}

void tlb_flush_pcid(struct vcpu *c, unsigned pcid)
{
	EACH_CTX(c, x)
		if (is_current(c, x) && x->key.pcid == pcid)
			ctx_flush(x, false);
	tlb_select(c);
}

void tlb_flush_non_global(struct vcpu *c)
{
	EACH_CTX(c, x)
		if (is_current(c, x))
			ctx_flush(x, false);
	tlb_select(c);
}

void tlb_flush_all(struct vcpu *c)
{
	EACH_CTX(c, x)
		if (is_current(c, x))
			ctx_flush(x, true);
	tlb_select(c);
}

void tlb_invvpid_page(struct vcpu *c, uint16_t vpid, struct gva at)
{
	EACH_CTX(c, x)
		if (x->key.vpid == vpid && x->key.nonroot)
			ctx_flush_page(x, at.v & PAGE_MASK, false);
	tlb_select(c);
}

void tlb_invvpid(struct vcpu *c, uint16_t vpid, bool keep_globals)
{
	EACH_CTX(c, x)
		if (x->key.vpid == vpid && x->key.nonroot)
			ctx_flush(x, !keep_globals);
	tlb_select(c);
}

void tlb_invvpid_all(struct vcpu *c)
{
	EACH_CTX(c, x)
		if (x->key.vpid)
			ctx_flush(x, true);
	tlb_select(c);
}

static bool same_ept(uint64_t a, uint64_t b)
{
	return !((a ^ b) & ~(uint64_t)0xfff);
}

void tlb_invept(struct vcpu *c, uint64_t eptp)
{
	struct tlb_pool *p = c->engine->pool;
	EACH_CTX(c, x)
		if (x->key.ept && same_ept(x->key.eptp, eptp))
			ctx_flush(x, true);
	for (unsigned i = 0; i < EPT_CACHES; i++)
		if (p->ept[i] && same_ept(p->ept[i]->eptp, eptp))
			p->ept[i]->live = false;
	tlb_select(c);
}

void tlb_invept_all(struct vcpu *c)
{
	struct tlb_pool *p = c->engine->pool;
	EACH_CTX(c, x)
		if (x->key.ept)
			ctx_flush(x, true);
	for (unsigned i = 0; i < EPT_CACHES; i++)
		if (p->ept[i])
			p->ept[i]->live = false;
	tlb_select(c);
}

void tlb_flush_linear(struct vcpu *c, struct gva at)
{
	EACH_CTX(c, x)
		ctx_flush_page(x, at.v & PAGE_MASK, false);
	tlb_select(c);
}

void tlb_flush_everything(struct vcpu *c)
{
	struct tlb_pool *p = c->engine->pool;
	EACH_CTX(c, x)
		ctx_flush(x, true);
	for (unsigned i = 0; i < EPT_CACHES; i++)
		if (p->ept[i])
			p->ept[i]->live = false;
	tlb_select(c);
}

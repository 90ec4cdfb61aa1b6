/* Contexts: which one c translates by, and what invalidates them. */
#include "cpu/tlb_ctx.h"

#include "base/buf.h"
#include "cpu/fp.h"

#include <stdlib.h>
#include <string.h>

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
	x->gen_upper++;
	ctx_clear_views(x);
}

#define LARGE_PARTS (1u << (LARGE_SHIFT - PAGE_SHIFT))

/* All parts of the large page that holds `page`; false when it is not one. Parts
 * of one page are neighbours in the table. */
static bool ctx_flush_large(struct tlb_ctx *x, uint64_t page, bool only_global)
{
	unsigned b = tlb_bloom(page >> LARGE_SHIFT << 12), first = 0, count = TLB_DEEP;
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
	x->gen_upper++; /* whatever the address is */
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
	unsigned b = tlb_bloom(page);
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

static struct ctx_key key_of(const struct vcpu *c, unsigned pcid)
{
	struct ctx_key k = {.vpid = c->nonroot.on ? c->nonroot.vpid : 0,
		.pcid = (uint16_t)pcid,
		.format = (uint8_t)tlb_format(c),
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
	x->gen_all = x->gen_local = x->gen_upper = 1;
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
	view_use(c, &x->view[tlb_flavour(c)]);
}

void tlb_rights_changed(struct vcpu *c)
{
	view_use(c, &c->tlb->ctx->view[tlb_flavour(c)]);
}
struct ept_cache *tlb_ept_cache(struct vcpu *c)
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
	for (unsigned i = 0; i < UPPERS; i++)
		x->large[i].tag = x->upper[i].tag = 0;
	x->eptp = eptp;
	x->live = true;
	x->used = ++p->clock;
	return x;
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

/* Fast forms, in 64-bit code, of what a system call is made of: SYSCALL,
 * SYSRET, SWAPGS, CLI, CLAC, STAC, PUSHFQ, POPFQ. Whatever is not the everyday
 * case (TF, alignment checks, faults, an interrupt that becomes possible) takes
 * the slow way, or leaves for the loop.
 */
#include "cpu/fast.h"

#include "cpu/desc.h"
#include "cpu/fp.h"

enum { FLAT_CODE = 0xa09b, FLAT_DATA = 0xc093 };

/* tlb_rights_changed, where no block has died since the view was last used.
 * The views of a context stand side by side. */
static inline __attribute__((always_inline)) void rights_changed(struct vcpu *c, enum tlb_flavour to)
{
	struct tlb *t = c->tlb + ((int)to - (int)c->tlb->flavour);
	const struct tlb *fetch = to == TLB_SUPER_AC ? t + (TLB_SUPER - TLB_SUPER_AC) : t;
	uint64_t epoch = c->engine->shared->epoch;
	if (__builtin_expect(fetch->epoch != epoch || t->epoch != epoch, 0)) {
		tlb_rights_changed(c);
		return;
	}
	c->tlb = t;
	c->code_gen = fetch->gen << MODE_BITS | c->engine->mode;
}

static inline enum tlb_flavour super_flavour(const struct vcpu *c)
{
	return c->rflags & FLAG_AC && c->cr4 & CR4_SMAP ? TLB_SUPER_AC : TLB_SUPER;
}

/* As a change of level leaves CS and SS; the mode stays what it was. */
static inline __attribute__((always_inline)) void level_set(
	struct vcpu *c, uint16_t cs, uint16_t ss, unsigned cpl)
{
	uint32_t dpl = cpl << AR_DPL_SHIFT;
	struct seg *s = &c->seg[SEG_CS], *t = &c->seg[SEG_SS];
	fp_settle(c);
	s->sel = cs;
	t->sel = ss;
	s->base = t->base = 0;
	s->limit = t->limit = UINT32_MAX;
	s->ar = FLAT_CODE | dpl;
	t->ar = FLAT_DATA | dpl;
	c->cpl = (uint8_t)cpl;
	rights_changed(c, cpl ? TLB_USER : super_flavour(c));
}

/* No trap, no check that the new level or flags switch on. */
static inline bool everyday(const struct vcpu *c, uint64_t flags)
{
	return !((c->rflags | flags) & (FLAG_TF | FLAG_RF)) && !c->mode_changed && !c->pmu_levels &&
		!(c->engine->mode & (MODE_ALIGN | MODE_STEP)) &&
		!((flags & FLAG_AC) && (c->cr0 & CR0_AM)) && !c->sti_shadow && !c->movss_shadow;
}

/* May the next instruction follow at once? */
static inline bool nothing_pends(const struct vcpu *c)
{
	return !c->engine->brk && (!c->pending || only_masked(c));
}

/* The block's link remembers where it went last time. */
FAST_FN go_to(struct vcpu *c, const struct op *o, uint64_t target)
{
	struct link *l = (struct link *)(o + 2);
	uint64_t gen = c->code_gen;
	if (__builtin_expect(!nothing_pends(c), 0)) {
		c->rip = target;
		return;
	}
	if (__builtin_expect(l->gen == gen && l->to->rip == target, 1))
		BLOCK_ENTER(c, l->to);
	const struct jcache *j = &c->engine->jc[jcache_slot(target, gen)];
	if (j->rip == target && j->gen == gen)
		*l = (struct link){j->to, gen};
	return jump_to(c, target);
}

static void call_syscall(struct vcpu *c, const struct op *o)
{
	uint16_t sel = (uint16_t)(c->msr.star >> 32) & 0xfffc;
	flags_sync(c);
	if (!(c->msr.efer & EFER_SCE) || !everyday(c, 0))
		return op_fallback(c, o);
	c->gpr[RCX] = o[1].link->end;
	c->gpr[R11] = c->rflags;
	c->rflags = (c->rflags & ~c->msr.fmask) | FLAG_1;
	level_set(c, sel, (uint16_t)(sel + 8), 0);
	return go_to(c, o, c->msr.lstar);
}

static void call_sysret(struct vcpu *c, const struct op *o)
{
	const uint64_t mask = 0x3c7fd7;
	uint16_t sel = (uint16_t)(c->msr.star >> 48);
	uint64_t rip = c->gpr[RCX], flags = c->gpr[R11] & mask;
	if (!(c->msr.efer & EFER_SCE) || c->cpl || !canonical(rip) || !everyday(c, flags))
		return op_fallback(c, o);
	c->rflags = (c->rflags & ~mask) | flags | FLAG_1;
	c->lazy[3] = LAZY_NONE; /* all replaced */
	level_set(c, (uint16_t)((sel + 16) | 3), (uint16_t)((sel + 8) | 3), 3);
	return go_to(c, o, rip);
}

bool bind_syscall(struct vcpu *c, const struct insn *i, struct op *o)
{
	(void)i;
	o->run = call_syscall;
	return c->engine->mode & MODE_CODE64;
}

bool bind_sysret(struct vcpu *c, const struct insn *i, struct op *o)
{
	o->run = call_sysret;
	return c->engine->mode & MODE_CODE64 && i->rex_w;
}

static void swapgs(struct vcpu *c, const struct op *o)
{
	uint64_t base = c->seg[SEG_GS].base;
	if (c->cpl)
		return op_fallback(c, o);
	fp_settle(c);
	c->seg[SEG_GS].base = c->seg_base[SEG_GS] = c->msr.kernel_gs_base;
	c->msr.kernel_gs_base = base;
	OP_NEXT(c, o);
}

bool bind_swapgs(struct vcpu *c, const struct insn *i, struct op *o)
{
	(void)i;
	o->run = swapgs;
	return c->engine->mode & MODE_CODE64;
}

static void cli(struct vcpu *c, const struct op *o)
{
	if (c->cpl > cpu_iopl(c))
		return op_fallback(c, o);
	c->rflags &= ~(uint64_t)FLAG_IF;
	OP_NEXT(c, o);
}

bool bind_cli(struct vcpu *c, const struct insn *i, struct op *o)
{
	(void)i;
	o->run = cli;
	return c->engine->mode & MODE_CODE64;
}

FAST_FN do_ac(struct vcpu *c, const struct op *o, bool on)
{
	if (c->cpl || c->mode_changed)
		return op_fallback(c, o);
	c->rflags = (c->rflags & ~(uint64_t)FLAG_AC) | (on ? FLAG_AC : 0);
	rights_changed(c, super_flavour(c));
	OP_NEXT(c, o);
}

static void clac(struct vcpu *c, const struct op *o)
{
	do_ac(c, o, false);
}

static void stac(struct vcpu *c, const struct op *o)
{
	do_ac(c, o, true);
}

bool bind_clac(struct vcpu *c, const struct insn *i, struct op *o)
{
	(void)i;
	o->run = clac;
	return c->engine->mode & MODE_CODE64;
}

bool bind_stac(struct vcpu *c, const struct insn *i, struct op *o)
{
	(void)i;
	o->run = stac;
	return c->engine->mode & MODE_CODE64;
}

static void pushfq(struct vcpu *c, const struct op *o)
{
	uint64_t sp = c->gpr[RSP] - 8;
	void *p = tlb_host_write(c->tlb, sp, 8);
	if (__builtin_expect(!p, 0))
		return op_miss_write(c, o, sp);
	flags_sync(c);
	mem_put(p, 64, c->rflags & ~(uint64_t)(FLAG_RF | FLAG_VM));
	c->gpr[RSP] = sp;
	OP_NEXT(c, o);
}

bool bind_pushfq(struct vcpu *c, const struct insn *i, struct op *o)
{
	o->run = pushfq;
	return c->engine->mode & MODE_CODE64 && !(c->engine->mode & MODE_ALIGN) && i->opsize == 8;
}

static void popfq(struct vcpu *c, const struct op *o)
{
	uint64_t sp = c->gpr[RSP], mask = FLAGS_ARITH | FLAG_DF | FLAG_NT | FLAG_ID;
	const void *p = tlb_host_read(c->tlb, sp, 8);
	if (__builtin_expect(!p, 0))
		return op_miss_read(c, o, sp);
	uint64_t v = mem_get(p, 64);
	if (c->cpl || !everyday(c, v) || (v ^ c->rflags) & FLAG_AC)
		return op_fallback(c, o);
	mask |= FLAG_IOPL | FLAG_IF;
	c->rflags = (c->rflags & ~mask) | (v & mask);
	c->lazy[3] = LAZY_NONE;
	c->gpr[RSP] = sp + 8;
	if (__builtin_expect(nothing_pends(c), 1))
		OP_NEXT(c, o);
	c->rip = o[1].link->end;
}

bool bind_popfq(struct vcpu *c, const struct insn *i, struct op *o)
{
	o->run = popfq;
	return c->engine->mode & MODE_CODE64 && !(c->engine->mode & MODE_ALIGN) && i->opsize == 8;
}

/* What every op can end in: the row's slow function, a fault or exit, a TLB miss,
 * the end of its block. Each puts rip, flags and counts right and goes on, or
 * returns to the loop (cpu/engine.c) with engine.why set. */
#include "cpu/run.h"

#include "base/log.h"
#include "cpu/fp.h"
#include "cpu/jit.h"

#include <string.h>

/* Puts rip, flags and counts as they are before this op. */
static void at_op(struct vcpu *c, const struct op *o)
{
	flags_sync(c);
	c->rip = op_rip(c, o);
	c->retired = retired_at(c, o);
}

/* This op has completed; has the loop something to do before the next? */
static inline bool must_leave(const struct vcpu *c)
{
	return c->engine->brk || (c->pending && !only_masked(c)) || c->sti_shadow || c->movss_shadow ||
		(c->rflags & (FLAG_TF | FLAG_RF)) || c->activity != ACTIVITY_ACTIVE;
}

/* ... or is the next op not the next in memory, or not in this mode? */
static inline bool must_stop(const struct vcpu *c)
{
	return must_leave(c) || c->mode_changed;
}

static void leave_after(struct vcpu *c, const struct op *o)
{
	c->ic += o->left - 1;
	c->engine->why = RUN_ON;
}

/* A block has ended in a transfer or a change of mode: straight into the block
 * at c->rip if the jump cache knows it (in steps the horizon says no). */
static void go_on(struct vcpu *c, const struct op *o)
{
	if (c->mode_changed) {
		if (c->engine->shared->mode_fn) /* which asks for exact state */
			return leave_after(c, o);
		engine_renew_mode(c);
	}
	const struct jcache *j = &c->engine->jc[jcache_slot(c->rip, c->code_gen)];
	if (j->rip == c->rip && j->gen == c->code_gen)
		BLOCK_ENTER(c, j->to);
}

void op_finish(struct vcpu *c, const struct op *o, enum cpu_step step)
{
	struct engine *e = c->engine;
	switch (step) {
	case CPU_DONE:
		if (__builtin_expect(c->next_rip != c->rip + o->len, 0) || must_stop(c)) {
			c->rip = c->next_rip;
			if (o->left == 1 && !must_leave(c))
				return go_on(c, o);
			return leave_after(c, o);
		}
		OP_NEXT(c, o);
	case CPU_AGAIN:
		return leave_after(c, o);
	case CPU_LEAVE:
		c->rip = c->next_rip;
		leave_after(c, o);
		e->why = RUN_LEAVE;
		return;
	case CPU_FAULT:
	case CPU_EXIT:
		if (step == CPU_EXIT)
			c->next_rip = c->rip + o->len; /* VM-exit instruction length */
		c->ic += o->left;
		e->why = step == CPU_FAULT ? RUN_FAULT : RUN_EXIT;
		return;
	}
}

void op_run_slow(struct vcpu *c, const struct op *o, insn_slow_fn *slow, const struct insn *i)
{
	at_op(c, o);
	c->next_rip = c->rip + o->len;
	if (i->mode != 8)
		c->next_rip = i->mode == 4 ? (uint32_t)c->next_rip : c->next_rip;
	c->engine->shared->stats.slow_ops++;
	const struct insn_row *row = &insn_table[i->row];
	if (row->attrs & (I_CPL0 | I_OUTCALL)) {
		if ((row->attrs & I_CPL0) && c->cpl)
			return op_finish(c, o, cpu_raise_error(c, VEC_GP, 0));
		if (row->attrs & I_OUTCALL) {
			fp_leave(c);
			clock_set(c->clock, c->clock_base + c->retired);
			enum cpu_step step = slow(c, i);
			const struct engine_shared *s = c->engine->shared;
			if (s->outcall_fn && (step == CPU_DONE || step == CPU_AGAIN))
				s->outcall_fn(s->outcall_ctx, c, i);
			engine_rearm(c);
			return op_finish(c, o, step);
		}
	}
	return op_finish(c, o, slow(c, i));
}

void op_slow(struct vcpu *c, const struct op *o)
{
	return op_run_slow(c, o, insn_table[o->insn->row].slow, o->insn);
}

const struct insn *op_insn(struct vcpu *c, const struct op *o)
{
	struct block *b = op_block(o);
	unsigned n = (unsigned)(o - b->op);
	if (b->insn && b->insn[n])
		return b->insn[n];
	fp_leave(c);
	struct insn i;
	insn_of_block(c->engine->shared, b, o, &i);
	block_slot_insn(b, n, &i);
	c->engine->shared->bytes += sizeof(i);
	return b->insn[n];
}

void op_fallback(struct vcpu *c, const struct op *o)
{
	const struct insn *i = op_insn(c, o);
	return op_run_slow(c, o, insn_table[i->row].slow, i);
}

static void op_miss(struct vcpu *c, const struct op *o, uint64_t at, enum tlb_want want)
{
	struct tlb_place p;
	/* Only the way out can tell a bad address; it looks at the segment. */
	if ((uint64_t)((int64_t)(at << 16) >> 16) != at)
		return op_fallback(c, o);
	c->retired = retired_at(c, o);
	flags_sync(c);
	enum cpu_step step = tlb_resolve(c, at, want, ACCESS_DATA, &p);
	if (step != CPU_DONE) {
		c->rip = op_rip(c, o);
		return op_finish(c, o, step);
	}
	/* Two accesses of one instruction that share a slot would take turns. */
	struct engine *en = c->engine;
	bool turns = en->miss_retired == c->retired && en->miss_at != at &&
		!((en->miss_at ^ at) >> PAGE_SHIFT & (TLB_SIZE - 1));
	en->miss_retired = c->retired;
	en->miss_at = at;
	const struct tlb_entry *e = &c->tlb->e[at >> PAGE_SHIFT & (TLB_SIZE - 1)];
	if (!turns && (want == TLB_WRITE ? e->write : e->read) == (at & PAGE_MASK) &&
		at % PAGE_SIZE <= PAGE_SIZE - 8)
		OP_GO(c, o);
	return op_fallback(c, o);
}

void op_miss_read(struct vcpu *c, const struct op *o, uint64_t at)
{
	return op_miss(c, o, at, TLB_READ);
}

void op_miss_write(struct vcpu *c, const struct op *o, uint64_t at)
{
	return op_miss(c, o, at, TLB_WRITE);
}

/* Within one page, and canonical? */
static bool one_page(uint64_t at, unsigned size)
{
	return !(((at + size - 1) ^ at) & PAGE_MASK) && (uint64_t)((int64_t)(at << 16) >> 16) == at;
}

void *op_host_read(struct vcpu *c, uint64_t at, unsigned size)
{
	void *h = tlb_host_read(c->tlb, at, size);
	struct tlb_place p;
	if (h || !one_page(at, size))
		return h;
	/* A fault shows again on the slow way. */
	if (tlb_resolve(c, at, TLB_READ, ACCESS_DATA, &p) != CPU_DONE)
		return NULL;
	return tlb_host_read(c->tlb, at, size);
}

void *op_host_write(struct vcpu *c, uint64_t at, unsigned size)
{
	void *h = tlb_host_write(c->tlb, at, size);
	struct tlb_place p;
	if (h || !one_page(at, size))
		return h;
	if (tlb_resolve(c, at, TLB_WRITE, ACCESS_DATA, &p) != CPU_DONE)
		return NULL;
	return tlb_host_write(c->tlb, at, size);
}

/* The end of a block that no branch ends. */
void op_end(struct vcpu *c, const struct op *o)
{
	struct block *b = o->link;
	struct link *l = (struct link *)(o + 1);
	if (l->gen == c->code_gen)
		BLOCK_ENTER(c, l->to);
	if (b->mode & MODE_CODE64 || b->mode >> (MODE_FLAT_SHIFT + SEG_CS) & 1) {
		c->rip = b->end;
		engine_patch(c, l);
	} else {
		/* the same code can run at another base */
		c->rip = (uint32_t)(b->gva + b->bytes - c->seg[SEG_CS].base);
	}
}

void op_mark(struct vcpu *c, const struct op *o)
{
	c->rip = op_rip(c, o);
	c->ic += o->left;
	c->engine->why = RUN_MARK;
}

void op_ud(struct vcpu *c, const struct op *o)
{
	const struct insn *i = o->insn;
	at_op(c, o);
	if (o->aux == VEC_UD && i->row == UINT16_MAX) {
		fp_leave(c);
		uint64_t key = 0;
		memcpy(&key, i->bytes, 3);
		log_once(c->log, LOG_WARN, "opcode", key,
			"unknown opcode %02x %02x %02x %02x %02x %02x at %#llx: #UD", i->bytes[0],
			i->bytes[1], i->bytes[2], i->bytes[3], i->bytes[4], i->bytes[5],
			(unsigned long long)c->rip);
	}
	if (o->aux == VEC_GP)
		return op_finish(c, o, cpu_raise_error(c, VEC_GP, 0));
	return op_finish(c, o, cpu_raise(c, o->aux));
}

/* The first op of a block that has not been translated. */
void op_heat(struct vcpu *c, const struct op *o)
{
	struct block *b = op_block(o);
	if (++b->heat >= c->engine->shared->heat) {
		fp_leave(c);
		b->op[0].run = b->first;
		jit_block(c, b);
		OP_GO(c, o);
	}
	return b->first(c, o);
}

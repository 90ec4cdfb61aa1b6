#include "cpu/far.h"

#include "cpu/insn_table.h"
#include "cpu/mem.h"
#include "cpu/stack.h"
#include "cpu/task.h"

enum cpu_step far_check_rip(struct vcpu *c, const struct seg *cs, uint64_t rip)
{
	bool wide = cpu_long_mode(c) && (cs->ar & AR_L);

	if (wide ? canonical(rip) : rip <= cs->limit)
		return CPU_DONE;
	return cpu_raise_error(c, VEC_GP, 0);
}

/* L and D together are reserved in IA-32e mode. */
static bool bad_size(const struct vcpu *c, const struct desc *d)
{
	return cpu_long_mode(c) && (desc_ar(d) & (AR_L | AR_DB)) == (AR_L | AR_DB);
}

enum cpu_step far_direct_code(struct vcpu *c, uint16_t sel, struct desc *d, struct seg *cs)
{
	bool ok = desc_conforming(d) ? desc_dpl(d) <= c->cpl
				     : (sel & 3) <= c->cpl && desc_dpl(d) == c->cpl;

	if (!ok || bad_size(c, d))
		return raise_sel(c, VEC_GP, sel, 0);
	if (!desc_present(d))
		return raise_sel(c, VEC_NP, sel, 0);
	CPU_TRY(desc_mark_accessed(c, sel, d));
	*cs = desc_seg((sel & 0xfffc) | c->cpl, d);
	return CPU_DONE;
}

enum cpu_step far_return_code(struct vcpu *c, uint16_t sel, struct seg *cs)
{
	unsigned rpl = sel & 3;
	struct desc d;

	if (sel_null(sel))
		return cpu_raise_error(c, VEC_GP, 0);
	CPU_TRY(desc_get(c, sel, 8, VEC_GP, 0, &d));
	if (!desc_code(&d) || rpl < c->cpl || bad_size(c, &d) ||
		(desc_conforming(&d) ? desc_dpl(&d) > rpl : desc_dpl(&d) != rpl))
		return raise_sel(c, VEC_GP, sel, 0);
	if (!desc_present(&d))
		return raise_sel(c, VEC_NP, sel, 0);
	CPU_TRY(desc_mark_accessed(c, sel, &d));
	*cs = desc_seg(sel, &d);
	return CPU_DONE;
}

enum cpu_step far_return_ss(
	struct vcpu *c, uint16_t sel, unsigned cpl, const struct seg *cs, struct seg *ss)
{
	if (sel_null(sel) && cpu_long_mode(c) && (cs->ar & AR_L) && cpl != 3 && (sel & 3) == cpl) {
		*ss = (struct seg){.sel = sel, .ar = AR_UNUSABLE | cpl << AR_DPL_SHIFT};
		return CPU_DONE;
	}
	return seg_fetch_ss(c, sel, cpl, VEC_GP, 0, ss);
}

/* The pointer operand: immediate, or in memory (offset first). */
static enum cpu_step far_pointer(struct vcpu *c, const struct insn *i, uint16_t *sel, uint64_t *off)
{
	uint8_t image[10];

	if (i->op[0].kind == OPND_FAR) {
		*off = i->imm;
		*sel = (uint16_t)i->imm2;
		return CPU_DONE;
	}
	CPU_TRY(cpu_mem_read(c, i->seg, insn_offset(c, i), image, i->opsize + 2u));
	*off = 0;
	for (unsigned n = 0; n < i->opsize; n++)
		*off |= (uint64_t)image[n] << 8 * n;
	*sel = (uint16_t)(image[i->opsize] | image[i->opsize + 1] << 8);
	return CPU_DONE;
}

static enum cpu_step push_return(struct vcpu *c, unsigned size, struct stack *st)
{
	struct frame f;

	*st = stack_here(c);
	f.n = 0;
	f.size = size;
	frame_add(&f, c->seg[SEG_CS].sel);
	frame_add(&f, c->next_rip);
	return frame_push(c, st, &f);
}

static enum cpu_step to_real(
	struct vcpu *c, const struct insn *i, uint16_t sel, uint64_t off, bool call)
{
	struct stack st = {0};

	if (off > c->seg[SEG_CS].limit || (cpu_v86(c) && off > 0xffff))
		return cpu_raise_error(c, VEC_GP, 0);
	if (call) {
		CPU_TRY(push_return(c, i->opsize, &st));
		stack_set_sp(c, st.width, st.sp);
	}
	if (cpu_v86(c))
		seg_set_v86(c, SEG_CS, sel);
	else
		seg_set_real(c, SEG_CS, sel);
	c->next_rip = off;
	c->mode_changed = true;
	return CPU_DONE;
}

static enum cpu_step to_code(struct vcpu *c, const struct insn *i, uint16_t sel, uint64_t off,
	struct desc *d, bool call)
{
	struct stack st;
	struct seg cs;

	CPU_TRY(far_direct_code(c, sel, d, &cs));
	if (!(cpu_long_mode(c) && (cs.ar & AR_L)) && i->opsize == 8)
		off &= 0xffffffff;
	CPU_TRY(far_check_rip(c, &cs, off));
	if (call) {
		CPU_TRY(push_return(c, i->opsize, &st));
		stack_set_sp(c, st.width, st.sp);
	}
	seg_set(c, SEG_CS, &cs);
	c->next_rip = off;
	return CPU_DONE;
}

struct gate {
	uint16_t sel;
	uint64_t off;
	unsigned size, params;
	struct seg cs;
	unsigned cpl;
};

/* SDM Vol. 3A 5.8.4 "Accessing a Code Segment Through a Call Gate". */
static enum cpu_step read_gate(
	struct vcpu *c, uint16_t sel, struct desc *d, bool call, struct gate *g)
{
	bool lm = cpu_long_mode(c), ok;
	struct desc code;

	if (desc_dpl(d) < c->cpl || desc_dpl(d) < (sel & 3u))
		return raise_sel(c, VEC_GP, sel, 0);
	if (!desc_present(d))
		return raise_sel(c, VEC_NP, sel, 0);
	if (lm) {
		CPU_TRY(desc_get(c, sel, 16, VEC_GP, 0, d));
		/* the type field of the upper half must be zero: read with the rest */
	}
	g->size = lm ? 8 : desc_type(d) == DESC_CALL16 ? 2 : 4;
	g->params = lm ? 0 : d->hi & 31;
	g->sel = gate_sel(d);
	g->off = gate_offset(d);
	if (g->size == 2)
		g->off &= 0xffff;
	if (sel_null(g->sel))
		return cpu_raise_error(c, VEC_GP, 0);
	CPU_TRY(desc_get(c, g->sel, 8, VEC_GP, 0, &code));
	ok = desc_code(&code) && desc_dpl(&code) <= c->cpl &&
		(call || desc_conforming(&code) || desc_dpl(&code) == c->cpl);
	if (!ok || (lm && (desc_ar(&code) & (AR_L | AR_DB)) != AR_L))
		return raise_sel(c, VEC_GP, g->sel, 0);
	if (!desc_present(&code))
		return raise_sel(c, VEC_NP, g->sel, 0);
	CPU_TRY(desc_mark_accessed(c, g->sel, &code));
	g->cpl = desc_conforming(&code) ? c->cpl : desc_dpl(&code);
	g->cs = desc_seg((g->sel & 0xfffc) | g->cpl, &code);
	return far_check_rip(c, &g->cs, g->off);
}

/* The new stack of an inner level, and the old one's parameters, in *f. */
static enum cpu_step inner_frame(
	struct vcpu *c, const struct gate *g, struct seg *ss, struct stack *st, struct frame *f)
{
	const struct seg *tr = &c->seg[SEG_TR];
	uint64_t params[31];

	f->n = 0;
	f->size = g->size;
	frame_add(f, c->seg[SEG_SS].sel);
	frame_add(f, c->gpr[RSP]);
	if (!cpu_long_mode(c)) {
		CPU_TRY(task_inner_stack(c, g->cpl, 0, ss, st));
		CPU_TRY(stack_peek(c, 0, g->size, g->params, params));
		for (unsigned n = g->params; n-- > 0;)
			frame_add(f, params[n]);
	} else {
		*ss = (struct seg){
			.sel = (uint16_t)g->cpl, .ar = AR_UNUSABLE | g->cpl << AR_DPL_SHIFT};
		*st = (struct stack){.ss = ss, .width = 8, .who = ACCESS_SYSTEM};
		if (4 + 8 * g->cpl + 7 > tr->limit)
			return raise_sel(c, VEC_TS, tr->sel, 0);
		CPU_TRY(cpu_lin_read(
			c, gva(tr->base + 4 + 8 * g->cpl), &st->sp, 8, ACCESS_SYSTEM));
		if (!canonical(st->sp))
			return cpu_raise_error(c, VEC_SS, 0);
	}
	frame_add(f, c->seg[SEG_CS].sel);
	frame_add(f, c->next_rip);
	return CPU_DONE;
}

static enum cpu_step to_gate(struct vcpu *c, uint16_t sel, struct desc *d, bool call)
{
	struct stack st;
	struct frame f;
	struct gate g;
	struct seg ss;

	CPU_TRY(read_gate(c, sel, d, call, &g));
	if (call && g.cpl < c->cpl) {
		CPU_TRY(inner_frame(c, &g, &ss, &st, &f));
		CPU_TRY(frame_push(c, &st, &f));
		cpl_set(c, g.cpl);
		seg_set(c, SEG_SS, &ss);
		stack_set_sp(c, st.width, st.sp);
	} else if (call) {
		CPU_TRY(push_return(c, g.size, &st));
		stack_set_sp(c, st.width, st.sp);
	}
	g.cs.sel = (g.cs.sel & 0xfffc) | c->cpl;
	seg_set(c, SEG_CS, &g.cs);
	c->next_rip = g.off;
	return CPU_DONE;
}

static enum cpu_step to_task(struct vcpu *c, uint16_t sel, struct desc *d, bool call)
{
	enum task_source source = call ? TASK_CALL : TASK_JMP;

	if (desc_dpl(d) < c->cpl || desc_dpl(d) < (sel & 3u))
		return raise_sel(c, VEC_GP, sel, 0);
	if (!desc_present(d))
		return raise_sel(c, VEC_NP, sel, 0);
	if (desc_type(d) == DESC_TASK_GATE) {
		sel = gate_sel(d);
		if (sel & 4)
			return raise_sel(c, VEC_GP, sel, 0);
		CPU_TRY(desc_get(c, sel, 8, VEC_GP, 0, d));
		if (desc_plain(d) || (desc_type(d) != DESC_TSS16 && desc_type(d) != DESC_TSS32))
			return raise_sel(c, VEC_GP, sel, 0);
		if (!desc_present(d))
			return raise_sel(c, VEC_NP, sel, 0);
	}
	return task_switch(c, sel, d, source);
}

static enum cpu_step transfer(struct vcpu *c, const struct insn *i, bool call)
{
	struct desc d;
	uint16_t sel;
	uint64_t off;

	CPU_TRY(far_pointer(c, i, &sel, &off));
	if (cpu_real(c) || cpu_v86(c))
		return to_real(c, i, sel, off, call);
	if (sel_null(sel))
		return cpu_raise_error(c, VEC_GP, 0);
	CPU_TRY(desc_get(c, sel, 8, VEC_GP, 0, &d));
	if (desc_code(&d))
		return to_code(c, i, sel, off, &d, call);
	switch (desc_plain(&d) ? 0 : desc_type(&d)) {
	case DESC_CALL16:
		if (cpu_long_mode(c))
			break;
		/* fall through */
	case DESC_CALL32:
		return to_gate(c, sel, &d, call);
	case DESC_TASK_GATE:
	case DESC_TSS16:
	case DESC_TSS32:
		if (!cpu_long_mode(c))
			return to_task(c, sel, &d, call);
		break;
	default:
		break;
	}
	return raise_sel(c, VEC_GP, sel, 0);
}

enum cpu_step sys_jmp_far(struct vcpu *c, const struct insn *i)
{
	return transfer(c, i, false);
}

enum cpu_step sys_call_far(struct vcpu *c, const struct insn *i)
{
	return transfer(c, i, true);
}

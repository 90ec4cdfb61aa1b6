/* Interrupt delivery in IA-32e mode. SDM Vol. 3A 6.14 "Exception and Interrupt
 * Handling in 64-bit Mode". */
#include "cpu/idt.h"

#include "cpu/desc.h"
#include "cpu/stack.h"

struct handler {
	struct desc gate;
	struct seg cs;
	unsigned cpl; /* of the handler */
};

static enum cpu_step find_gate(
	struct vcpu *c, const struct cpu_fault *ev, unsigned ext, struct desc *gate)
{
	unsigned at = ev->vector * 16u, error = ev->vector * 8u + 2;
	uint32_t raw[4];

	if (at + 15 > c->idtr.limit)
		return cpu_raise_error(c, VEC_GP, error + ext);
	CPU_TRY(cpu_lin_read(c, gva(c->idtr.base + at), raw, 16, ACCESS_SYSTEM));
	*gate = (struct desc){raw[0], raw[1], raw[2]};
	if (desc_plain(gate) || (desc_type(gate) != DESC_INT32 && desc_type(gate) != DESC_TRAP32))
		return cpu_raise_error(c, VEC_GP, error + ext);
	if (event_software(ev) && desc_dpl(gate) < c->cpl)
		return cpu_raise_error(c, VEC_GP, error);
	if (!desc_present(gate))
		return cpu_raise_error(c, VEC_NP, error + ext);
	return CPU_DONE;
}

static enum cpu_step find_code(struct vcpu *c, unsigned ext, struct handler *h)
{
	uint16_t sel = gate_sel(&h->gate);
	struct desc d;

	if (sel_null(sel))
		return cpu_raise_error(c, VEC_GP, ext);
	CPU_TRY(desc_get(c, sel, 8, VEC_GP, ext, &d));
	if (!desc_code(&d) || desc_dpl(&d) > c->cpl || (desc_ar(&d) & (AR_L | AR_DB)) != AR_L)
		return raise_sel(c, VEC_GP, sel, ext);
	if (!desc_present(&d))
		return raise_sel(c, VEC_NP, sel, ext);
	CPU_TRY(desc_mark_accessed(c, sel, &d));
	h->cpl = desc_conforming(&d) ? c->cpl : desc_dpl(&d);
	h->cs = desc_seg((sel & 0xfffc) | h->cpl, &d);
	return CPU_DONE;
}

/* The stack: IST entry, or RSPn of the TSS when the level changes, or RSP. */
static enum cpu_step find_stack(struct vcpu *c, unsigned ext, const struct handler *h, uint64_t *sp)
{
	const struct seg *tr = &c->seg[SEG_TR];
	unsigned ist = h->gate.hi & 7, off;

	*sp = c->gpr[RSP];
	if (!ist && h->cpl == c->cpl)
		return CPU_DONE;
	/* the IST field is bits 34:32 of the gate, the low bits of its second word */
	off = ist ? 28 + 8 * ist : 4 + 8 * h->cpl;
	if (off + 7 > tr->limit)
		return raise_sel(c, VEC_TS, tr->sel, ext);
	CPU_TRY(cpu_lin_read(c, gva(tr->base + off), sp, 8, ACCESS_SYSTEM));
	return canonical(*sp) ? CPU_DONE : cpu_raise_error(c, VEC_SS, ext);
}

static void enter(struct vcpu *c, const struct handler *h, uint64_t sp)
{
	if (h->cpl != c->cpl) {
		struct seg ss = {.sel = (uint16_t)h->cpl, .ar = AR_UNUSABLE | h->cpl << AR_DPL_SHIFT};

		cpl_set(c, h->cpl);
		seg_set(c, SEG_SS, &ss);
	}
	seg_set(c, SEG_CS, &h->cs);
	c->gpr[RSP] = sp;
	c->rip = gate_offset(&h->gate);
	if (c->rflags & FLAG_TF)
		c->mode_changed = true;
	c->rflags &= ~(uint64_t)(FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM);
	if (desc_type(&h->gate) == DESC_INT32)
		c->rflags &= ~(uint64_t)FLAG_IF;
}

enum cpu_step idt_deliver_long(struct vcpu *c, const struct cpu_fault *ev)
{
	unsigned ext = !event_software(ev);
	struct handler h;
	struct stack st = {.ss = &c->seg[SEG_SS], .width = 8, .error = ext};
	struct frame f;

	CPU_TRY(find_gate(c, ev, ext, &h.gate));
	CPU_TRY(find_code(c, ext, &h));
	if (!canonical(gate_offset(&h.gate)))
		return cpu_raise_error(c, VEC_GP, ext);
	CPU_TRY(find_stack(c, ext, &h, &st.sp));
	st.sp &= ~UINT64_C(15);
	st.who = h.cpl == c->cpl ? ACCESS_DATA : ACCESS_SYSTEM;
	f.n = 0;
	f.size = 8;
	frame_add(&f, c->seg[SEG_SS].sel);
	frame_add(&f, c->gpr[RSP]);
	frame_add(&f, event_flags(c, ev));
	frame_add(&f, c->seg[SEG_CS].sel);
	frame_add(&f, event_return_rip(c, ev));
	if (ev->has_error)
		frame_add(&f, ev->error);
	CPU_TRY(frame_push(c, &st, &f));
	enter(c, &h, st.sp);
	return CPU_DONE;
}

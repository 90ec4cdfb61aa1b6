/* Interrupt delivery in protected mode, v8086 mode included. SDM Vol. 2A
 * "INT n/INTO/INT3/INT1-Call to Interrupt Procedure", Operation. */
#include "cpu/idt.h"

#include "cpu/desc.h"
#include "cpu/stack.h"
#include "cpu/task.h"

struct handler {
	struct desc gate;
	struct seg cs;
	unsigned cpl;  /* of the handler */
	unsigned size; /* of a pushed value: 2 or 4 bytes */
};

static enum cpu_step find_gate(
	struct vcpu *c, const struct cpu_fault *ev, unsigned ext, struct handler *h)
{
	unsigned at = ev->vector * 8u, error = ev->vector * 8u + 2;
	uint32_t raw[2];

	if (at + 7 > c->idtr.limit)
		return cpu_raise_error(c, VEC_GP, error + ext);
	CPU_TRY(cpu_lin_read(
		c, gva((c->idtr.base + at) & 0xffffffff), raw, 8, ACCESS_SYSTEM));
	h->gate = (struct desc){raw[0], raw[1], 0};
	switch (desc_plain(&h->gate) ? 0 : desc_type(&h->gate)) {
	case DESC_INT16:
	case DESC_TRAP16:
		h->size = 2;
		break;
	case DESC_INT32:
	case DESC_TRAP32:
	case DESC_TASK_GATE:
		h->size = 4;
		break;
	default:
		return cpu_raise_error(c, VEC_GP, error + ext);
	}
	if (event_software(ev) && desc_dpl(&h->gate) < c->cpl)
		return cpu_raise_error(c, VEC_GP, error);
	if (!desc_present(&h->gate))
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
	if (!desc_code(&d) || desc_dpl(&d) > c->cpl)
		return raise_sel(c, VEC_GP, sel, ext);
	if (!desc_present(&d))
		return raise_sel(c, VEC_NP, sel, ext);
	h->cpl = desc_conforming(&d) ? c->cpl : desc_dpl(&d);
	if (cpu_v86(c) && h->cpl != 0)
		return raise_sel(c, VEC_GP, sel, ext);
	CPU_TRY(desc_mark_accessed(c, sel, &d));
	h->cs = desc_seg((sel & 0xfffc) | h->cpl, &d);
	return CPU_DONE;
}

static uint64_t entry_rip(const struct handler *h)
{
	uint64_t off = gate_offset(&h->gate);

	return h->size == 2 ? off & 0xffff : off & 0xffffffff;
}

static void collect(struct vcpu *c, const struct cpu_fault *ev, const struct handler *h,
	bool change, struct frame *f)
{
	f->n = 0;
	f->size = h->size;
	if (cpu_v86(c)) {
		frame_add(f, c->seg[SEG_GS].sel);
		frame_add(f, c->seg[SEG_FS].sel);
		frame_add(f, c->seg[SEG_DS].sel);
		frame_add(f, c->seg[SEG_ES].sel);
	}
	if (change) {
		frame_add(f, c->seg[SEG_SS].sel);
		frame_add(f, c->gpr[RSP]);
	}
	frame_add(f, event_flags(c, ev));
	frame_add(f, c->seg[SEG_CS].sel);
	frame_add(f, event_return_rip(c, ev));
	if (ev->has_error)
		frame_add(f, ev->error);
}

static void enter(struct vcpu *c, const struct handler *h, const struct stack *st)
{
	if (cpu_v86(c)) {
		seg_set_null(c, SEG_GS, 0);
		seg_set_null(c, SEG_FS, 0);
		seg_set_null(c, SEG_DS, 0);
		seg_set_null(c, SEG_ES, 0);
	}
	if (st->ss != &c->seg[SEG_SS]) {
		cpl_set(c, h->cpl);
		seg_set(c, SEG_SS, st->ss);
	}
	seg_set(c, SEG_CS, &h->cs);
	stack_set_sp(c, st->width, st->sp);
	c->rip = entry_rip(h);
	if (c->rflags & (FLAG_TF | FLAG_VM))
		c->mode_changed = true;
	c->rflags &= ~(uint64_t)(FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM);
	if (desc_type(&h->gate) == DESC_INT32 || desc_type(&h->gate) == DESC_INT16)
		c->rflags &= ~(uint64_t)FLAG_IF;
}

enum cpu_step idt_deliver_protected(struct vcpu *c, const struct cpu_fault *ev)
{
	unsigned ext = !event_software(ev);
	struct handler h;
	struct stack st;
	struct frame f;
	struct seg ss;
	bool change;

	CPU_TRY(find_gate(c, ev, ext, &h));
	if (desc_type(&h.gate) == DESC_TASK_GATE)
		return task_switch_event(c, gate_sel(&h.gate), ev);
	CPU_TRY(find_code(c, ext, &h));
	change = h.cpl != c->cpl;
	if (change) {
		CPU_TRY(task_inner_stack(c, h.cpl, ext, &ss, &st));
	} else {
		st = stack_here(c);
		st.error = ext;
	}
	collect(c, ev, &h, change, &f);
	if (entry_rip(&h) > h.cs.limit)
		return cpu_raise_error(c, VEC_GP, ext);
	CPU_TRY(frame_push(c, &st, &f));
	enter(c, &h, &st);
	return CPU_DONE;
}

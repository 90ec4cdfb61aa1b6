/* Interrupt delivery in real-address mode, and through the IVT of a v8086 task.
 * SDM Vol. 3B 20.1.4 "Interrupt and Exception Handling", 20.3.3.4 "Method 5:
 * Software Interrupt Handling". */
#include "cpu/idt.h"

#include "cpu/desc.h"
#include "cpu/stack.h"

static enum cpu_step push_frame(struct vcpu *c, uint64_t flags, uint64_t ip)
{
	struct stack st = stack_here(c);
	struct frame f;

	f.n = 0;
	f.size = 2;
	frame_add(&f, flags & 0xffff);
	frame_add(&f, c->seg[SEG_CS].sel);
	frame_add(&f, ip & 0xffff);
	CPU_TRY(frame_push(c, &st, &f));
	stack_set_sp(c, st.width, st.sp);
	return CPU_DONE;
}

enum cpu_step idt_deliver_real(struct vcpu *c, const struct cpu_fault *ev)
{
	uint16_t entry[2];

	if (ev->vector * 4u + 3 > c->idtr.limit)
		return cpu_raise(c, VEC_GP);
	CPU_TRY(cpu_lin_read(c, gva(c->idtr.base + ev->vector * 4u), entry, 4, ACCESS_SYSTEM));
	CPU_TRY(push_frame(c, c->rflags, event_return_rip(c, ev)));
	c->rflags &= ~(uint64_t)(FLAG_IF | FLAG_TF | FLAG_AC | FLAG_RF);
	seg_set_real(c, SEG_CS, entry[1]);
	c->rip = entry[0];
	c->mode_changed = true;
	return CPU_DONE;
}

enum cpu_step idt_deliver_v86(struct vcpu *c, unsigned vector)
{
	uint64_t flags = c->rflags | FLAG_IOPL;
	uint16_t entry[2];

	/* With IOPL below 3 the program sees VIF where IF would be. */
	if (cpu_iopl(c) < 3)
		flags = (flags & ~(uint64_t)FLAG_IF) | (c->rflags & FLAG_VIF ? FLAG_IF : 0);
	else
		flags = c->rflags;
	CPU_TRY(cpu_lin_read(c, gva(vector * 4u), entry, 4, ACCESS_DATA));
	CPU_TRY(push_frame(c, flags, c->next_rip));
	c->rflags &= ~(uint64_t)(FLAG_TF | FLAG_NT | (cpu_iopl(c) < 3 ? FLAG_VIF : FLAG_IF));
	seg_set_v86(c, SEG_CS, entry[1]);
	c->next_rip = entry[0];
	c->mode_changed = true;
	return CPU_DONE;
}

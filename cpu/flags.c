/* RFLAGS as a whole: PUSHF, POPF, CLI, STI, and the virtual interrupt flag of
 * CR4.VME and CR4.PVI. SDM Vol. 3B 20.3 "Interrupt and Exception Handling in
 * Virtual-8086 Mode", 20.4 "Protected-Mode Virtual Interrupts". */
#include "cpu/far.h"
#include "cpu/insn_table.h"
#include "cpu/stack.h"

/* What blocks or translations are keyed on. */
enum { KEYED = FLAG_TF | FLAG_AC | FLAG_VM | FLAG_RF };

void flags_write(struct vcpu *c, uint64_t value, uint64_t mask)
{
	uint64_t f = (c->rflags & ~mask) | (value & mask) | FLAG_1;

	if ((f ^ c->rflags) & KEYED)
		c->mode_changed = true;
	c->rflags = f;
}

uint64_t flags_writable(const struct vcpu *c, unsigned size)
{
	uint64_t m = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT;

	if (size != 2)
		m |= FLAG_RF | FLAG_AC | FLAG_ID;
	if (c->cpl == 0)
		m |= FLAG_IOPL;
	if (c->cpl <= cpu_iopl(c))
		m |= FLAG_IF;
	return m;
}

enum cpu_step sys_pushf(struct vcpu *c, const struct insn *i)
{
	uint64_t f = c->rflags & ~(uint64_t)(FLAG_RF | FLAG_VM);
	struct stack st;
	struct frame frame;

	if (cpu_v86(c) && cpu_iopl(c) < 3) {
		if (!(c->cr4 & CR4_VME) || i->opsize != 2)
			return cpu_raise_error(c, VEC_GP, 0);
		f = (f & ~(uint64_t)FLAG_IF) | FLAG_IOPL | (f & FLAG_VIF ? FLAG_IF : 0);
	}
	st = stack_here(c);
	frame.n = 0;
	frame.size = i->opsize;
	frame_add(&frame, f);
	CPU_TRY(frame_push(c, &st, &frame));
	stack_set_sp(c, st.width, st.sp);
	return CPU_DONE;
}

enum cpu_step sys_popf(struct vcpu *c, const struct insn *i)
{
	uint64_t v, mask = flags_writable(c, i->opsize) & ~(uint64_t)FLAG_RF;

	if (cpu_v86(c)) {
		mask &= ~(uint64_t)FLAG_IOPL;
		if (cpu_iopl(c) < 3) {
			if (!(c->cr4 & CR4_VME) || i->opsize != 2)
				return cpu_raise_error(c, VEC_GP, 0);
			CPU_TRY(stack_peek(c, 0, i->opsize, 1, &v));
			if ((v & FLAG_TF) || ((v & FLAG_IF) && (c->rflags & FLAG_VIP)))
				return cpu_raise_error(c, VEC_GP, 0);
			stack_move(c, i->opsize);
			v |= v & FLAG_IF ? FLAG_VIF : 0;
			flags_write(c, v, (mask & ~(uint64_t)FLAG_IF) | FLAG_VIF);
			return CPU_DONE;
		}
	}
	CPU_TRY(stack_peek(c, 0, i->opsize, 1, &v));
	stack_move(c, i->opsize);
	flags_write(c, v, mask);
	c->rflags &= ~(uint64_t)FLAG_RF;
	return CPU_DONE;
}

/* Does the virtual interrupt flag stand in for IF? */
static bool virtual_if(const struct vcpu *c)
{
	uint64_t cr4 = c->cr4;

	return cpu_v86(c) ? cr4 & CR4_VME : (cr4 & CR4_PVI) && c->cpl == 3;
}

enum cpu_step sys_cli(struct vcpu *c, const struct insn *i)
{
	(void)i;
	if (cpu_real(c) || c->cpl <= cpu_iopl(c))
		c->rflags &= ~(uint64_t)FLAG_IF;
	else if (virtual_if(c))
		c->rflags &= ~(uint64_t)FLAG_VIF;
	else
		return cpu_raise_error(c, VEC_GP, 0);
	return CPU_DONE;
}

enum cpu_step sys_sti(struct vcpu *c, const struct insn *i)
{
	(void)i;
	if (cpu_real(c) || c->cpl <= cpu_iopl(c)) {
		if (!(c->rflags & FLAG_IF))
			c->sti_shadow = true;
		c->rflags |= FLAG_IF;
	} else if (virtual_if(c) && !(c->rflags & FLAG_VIP)) {
		c->rflags |= FLAG_VIF;
	} else {
		return cpu_raise_error(c, VEC_GP, 0);
	}
	return CPU_DONE;
}

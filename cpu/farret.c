/* Far RET and IRET. SDM Vol. 2B "RET-Return from Procedure", Vol. 2A
 * "IRET/IRETD/IRETQ-Interrupt Return", Operation. */
#include "cpu/far.h"
#include "cpu/insn_table.h"
#include "cpu/mem.h"
#include "cpu/stack.h"
#include "cpu/task.h"

static uint64_t cut(uint64_t v, unsigned size)
{
	return size == 8 ? v : size == 4 ? v & 0xffffffff : v & 0xffff;
}

/* Loads CS, SS:RSP and CPL of an outer level. */
static void enter_outer(struct vcpu *c, const struct seg *cs, const struct seg *ss, uint64_t sp)
{
	unsigned cpl = cs->sel & 3;
	bool outer = cpl > c->cpl; /* not so for IRET within a level in 64-bit mode */

	seg_set(c, SEG_CS, cs);
	cpl_set(c, cpl);
	seg_set(c, SEG_SS, ss);
	stack_set_sp(c, cpu_64bit(c) ? 8 : stack_width(ss), sp);
	if (outer)
		seg_drop_inner(c);
}

enum cpu_step sys_ret_far(struct vcpu *c, const struct insn *i)
{
	unsigned size = i->opsize, drop = i->operands ? (uint16_t)i->imm : 0;
	uint64_t v[2], outer[2];
	struct seg cs, ss;

	CPU_TRY(stack_peek(c, 0, size, 2, v));
	if (cpu_real(c) || cpu_v86(c)) {
		if (v[0] > c->seg[SEG_CS].limit)
			return cpu_raise_error(c, VEC_GP, 0);
		stack_move(c, 2 * size + drop);
		if (cpu_real(c))
			seg_set_real(c, SEG_CS, (uint16_t)v[1]);
		else
			seg_set_v86(c, SEG_CS, (uint16_t)v[1]);
		c->next_rip = v[0];
		c->mode_changed = true;
		return CPU_DONE;
	}
	CPU_TRY(far_return_code(c, (uint16_t)v[1], &cs));
	if ((cs.sel & 3) == c->cpl) {
		CPU_TRY(far_check_rip(c, &cs, v[0]));
		stack_move(c, 2 * size + drop);
		seg_set(c, SEG_CS, &cs);
		c->next_rip = v[0];
		return CPU_DONE;
	}
	CPU_TRY(stack_peek(c, 2 * size + drop, size, 2, outer));
	CPU_TRY(far_return_ss(c, (uint16_t)outer[1], cs.sel & 3, &cs, &ss));
	CPU_TRY(far_check_rip(c, &cs, v[0]));
	enter_outer(c, &cs, &ss, outer[0]);
	stack_move(c, drop);
	c->next_rip = v[0];
	return CPU_DONE;
}

static enum cpu_step iret_real(struct vcpu *c, unsigned size)
{
	uint64_t v[3];

	CPU_TRY(stack_peek(c, 0, size, 3, v));
	if (v[0] > c->seg[SEG_CS].limit || v[0] > 0xffff)
		return cpu_raise_error(c, VEC_GP, 0);
	stack_move(c, 3 * size);
	seg_set_real(c, SEG_CS, (uint16_t)v[1]);
	c->next_rip = v[0];
	c->mode_changed = true;
	flags_write(c, v[2], flags_writable(c, size));
	return CPU_DONE;
}

/* IRET by a v8086 program: at IOPL 3 alone, or on VIF with CR4.VME. */
static enum cpu_step iret_v86(struct vcpu *c, unsigned size)
{
	bool vme = c->cr4 & CR4_VME;
	uint64_t v[3], mask = flags_writable(c, size) & ~(uint64_t)FLAG_IOPL;

	if (cpu_iopl(c) < 3) {
		if (!vme || size != 2)
			return cpu_raise_error(c, VEC_GP, 0);
		CPU_TRY(stack_peek(c, 0, size, 3, v));
		if ((v[2] & FLAG_TF) || ((v[2] & FLAG_IF) && (c->rflags & FLAG_VIP)))
			return cpu_raise_error(c, VEC_GP, 0);
		mask = (mask & ~(uint64_t)FLAG_IF) | FLAG_VIF;
		v[2] |= v[2] & FLAG_IF ? FLAG_VIF : 0;
	} else {
		CPU_TRY(stack_peek(c, 0, size, 3, v));
	}
	if (v[0] > 0xffff)
		return cpu_raise_error(c, VEC_GP, 0);
	stack_move(c, 3 * size);
	seg_set_v86(c, SEG_CS, (uint16_t)v[1]);
	c->next_rip = v[0];
	c->mode_changed = true;
	flags_write(c, v[2], mask);
	return CPU_DONE;
}

static enum cpu_step iret_to_v86(struct vcpu *c, const uint64_t v[3])
{
	static const uint8_t order[] = {SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS};
	uint64_t outer[6];

	CPU_TRY(stack_peek(c, 12, 4, 6, outer));
	if (v[0] > 0xffff)
		return cpu_raise_error(c, VEC_GP, 0);
	flags_write(c, v[2], flags_writable(c, 4) | FLAG_VM | FLAG_VIF | FLAG_VIP);
	cpl_set(c, 3);
	seg_set_v86(c, SEG_CS, (uint16_t)v[1]);
	for (unsigned n = 0; n < sizeof(order); n++)
		seg_set_v86(c, order[n], (uint16_t)outer[n + 1]);
	c->gpr[RSP] = outer[0];
	c->next_rip = v[0];
	c->mode_changed = true;
	return CPU_DONE;
}

/* Return to the task whose TSS the back link names. */
static enum cpu_step iret_task(struct vcpu *c)
{
	struct desc d;
	uint16_t link;

	if (cpu_long_mode(c))
		return cpu_raise_error(c, VEC_GP, 0);
	CPU_TRY(cpu_lin_read(c, gva(c->seg[SEG_TR].base & 0xffffffff), &link, 2, ACCESS_SYSTEM));
	if (link & 4)
		return raise_sel(c, VEC_TS, link, 0);
	CPU_TRY(desc_get(c, link, 8, VEC_TS, 0, &d));
	if (desc_plain(&d) ||
		(desc_type(&d) != DESC_TSS16_BUSY && desc_type(&d) != DESC_TSS32_BUSY))
		return raise_sel(c, VEC_TS, link, 0);
	if (!desc_present(&d))
		return raise_sel(c, VEC_NP, link, 0);
	return task_switch(c, link, &d, TASK_IRET);
}

static enum cpu_step iret_protected(struct vcpu *c, unsigned size)
{
	uint64_t v[5], mask = flags_writable(c, size);
	struct seg cs, ss;
	bool outer;

	if (c->rflags & FLAG_NT)
		return iret_task(c);
	if (cpu_64bit(c)) {
		CPU_TRY(stack_peek(c, 0, size, 5, v));
		outer = true;
	} else {
		CPU_TRY(stack_peek(c, 0, size, 3, v));
		if (size == 4 && (v[2] & FLAG_VM) && c->cpl == 0 && !cpu_long_mode(c))
			return iret_to_v86(c, v);
		outer = false;
	}
	if (c->cpl == 0 && size != 2)
		mask |= FLAG_VIF | FLAG_VIP;
	CPU_TRY(far_return_code(c, (uint16_t)v[1], &cs));
	if (!outer && (cs.sel & 3) != c->cpl) {
		CPU_TRY(stack_peek(c, 3 * size, size, 2, v + 3));
		outer = true;
	}
	if (!outer) {
		CPU_TRY(far_check_rip(c, &cs, v[0]));
		stack_move(c, 3 * size);
		seg_set(c, SEG_CS, &cs);
	} else {
		CPU_TRY(far_return_ss(c, (uint16_t)v[4], cs.sel & 3, &cs, &ss));
		CPU_TRY(far_check_rip(c, &cs, v[0]));
		enter_outer(c, &cs, &ss, cut(v[3], size));
	}
	c->next_rip = v[0];
	flags_write(c, v[2], mask);
	return CPU_DONE;
}

enum cpu_step sys_iret(struct vcpu *c, const struct insn *i)
{
	enum cpu_step s;

	/* NMIs are unblocked even when the return itself faults. */
	if (c->nmi_blocked && !c->nonroot.iret_keeps_nmi) {
		c->nmi_blocked = false;
		c->iret_unblocked_nmi = true;
	}
	if (cpu_real(c))
		s = iret_real(c, i->opsize);
	else if (cpu_v86(c))
		s = iret_v86(c, i->opsize);
	else
		s = iret_protected(c, i->opsize);
	if (s != CPU_FAULT)
		c->iret_unblocked_nmi = false;
	return s;
}

/* INT n, INT3, INTO, INT1, BOUND, UD. */
#include "cpu/deliver.h"
#include "cpu/desc.h"
#include "cpu/idt.h"
#include "cpu/insn_table.h"
#include "cpu/mem.h"

/* The redirection bitmap: the 32 bytes below the I/O bitmap. SDM Vol. 3B
 * 20.3.3 "Class 3-Software Interrupt Handling in Virtual-8086 Mode". */
static enum cpu_step redirected(struct vcpu *c, unsigned vector, bool *to_program)
{
	const struct seg *tr = &c->seg[SEG_TR];
	uint16_t base;
	uint8_t bits;

	CPU_TRY(cpu_lin_read(c, gva((tr->base + 102) & 0xffffffff), &base, 2, ACCESS_SYSTEM));
	if (base < 32u || base - 32u + vector / 8 > tr->limit)
		return cpu_raise_error(c, VEC_GP, 0);
	CPU_TRY(cpu_lin_read(
		c, gva((tr->base + base - 32 + vector / 8) & 0xffffffff), &bits, 1, ACCESS_SYSTEM));
	*to_program = !(bits >> vector % 8 & 1);
	return CPU_DONE;
}

enum cpu_step sys_int(struct vcpu *c, const struct insn *i)
{
	unsigned vector = (uint8_t)i->imm;
	bool to_program = false;

	if (cpu_v86(c)) {
		if (c->cr4 & CR4_VME)
			CPU_TRY(redirected(c, vector, &to_program));
		if (to_program)
			return idt_deliver_v86(c, vector);
		if (cpu_iopl(c) < 3)
			return cpu_raise_error(c, VEC_GP, 0);
	}
	return cpu_deliver_software(c, vector, TYPE_SWINT);
}

enum cpu_step sys_int3(struct vcpu *c, const struct insn *i)
{
	(void)i;
	return cpu_deliver_software(c, VEC_BP, TYPE_SWEXC);
}

enum cpu_step sys_into(struct vcpu *c, const struct insn *i)
{
	(void)i;
	return c->rflags & FLAG_OF ? cpu_deliver_software(c, VEC_OF, TYPE_SWEXC) : CPU_DONE;
}

enum cpu_step sys_int1(struct vcpu *c, const struct insn *i)
{
	(void)i;
	return cpu_deliver_software(c, VEC_DB, TYPE_PRIV_SWEXC);
}

enum cpu_step sys_bound(struct vcpu *c, const struct insn *i)
{
	int64_t at, low, high;

	if (i->opsize == 2) {
		int16_t b[2];

		CPU_TRY(cpu_mem_read(c, i->seg, insn_offset(c, i), b, 4));
		low = b[0];
		high = b[1];
		at = (int16_t)gpr_read(c, &i->op[0]);
	} else {
		int32_t b[2];

		CPU_TRY(cpu_mem_read(c, i->seg, insn_offset(c, i), b, 8));
		low = b[0];
		high = b[1];
		at = (int32_t)gpr_read(c, &i->op[0]);
	}
	return at < low || at > high ? cpu_raise(c, VEC_BR) : CPU_DONE;
}

enum cpu_step sys_ud(struct vcpu *c, const struct insn *i)
{
	(void)i;
	return cpu_raise(c, VEC_UD);
}

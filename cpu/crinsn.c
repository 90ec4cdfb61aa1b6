/* MOV to and from CRn and DRn, LMSW, CLTS, XSETBV, XGETBV. The place of each VM
 * exit among the faults is SDM Vol. 3C 25.1.1 "Relative Priority of Faults and
 * VM Exits". */
#include "cpu/cr.h"
#include "cpu/desc.h"
#include "cpu/engine.h"
#include "cpu/insn_table.h"
#include "cpu/model.h"

/* Bits that a guest/host mask gives to the host keep the processor's value. */
static uint64_t owned(uint64_t value, uint64_t now, uint64_t mask)
{
	return (value & ~mask) | (now & mask);
}

static enum cpu_step write_cr8(struct vcpu *c, uint64_t v)
{
	enum cpu_step s = CPU_DONE;

	if (v > 15)
		return cpu_raise_error(c, VEC_GP, 0);
	if (c->nonroot.on && c->hooks->set_cr8 && c->hooks->set_cr8(c, v, &s))
		return s;
	if (c->apic_ops)
		c->apic_ops->set_tpr(c->apic, (uint8_t)(v << 4));
	return CPU_DONE;
}

static uint64_t read_cr8(struct vcpu *c)
{
	uint64_t v;

	if (c->nonroot.on && c->hooks->get_cr8 && c->hooks->get_cr8(c, &v))
		return v;
	return c->apic_ops ? c->apic_ops->get_tpr(c->apic) >> 4 : 0;
}

static bool cr_exists(const struct vcpu *c, unsigned n)
{
	return n == 0 || n == 2 || n == 3 || n == 4 || (n == 8 && cpu_64bit(c));
}

static enum cpu_step write_cr(struct vcpu *c, const struct insn *i)
{
	uint64_t v = gpr_read(c, &i->op[1]);
	unsigned n = i->op[0].reg;

	if (!cpu_64bit(c))
		v &= 0xffffffff;
	CPU_TRY(cpu_intercepted(c, EV_MOV_TO_CR, i, v));
	switch (n) {
	case 0:
		return cr0_write(c, owned(v, c->cr0, c->nonroot.cr0_mask));
	case 2:
		c->cr2 = v;
		return CPU_DONE;
	case 3:
		return cr3_write(c, v);
	case 4:
		return cr4_write(c, owned(v, c->cr4, c->nonroot.cr4_mask));
	default:
		return write_cr8(c, v);
	}
}

static enum cpu_step read_cr(struct vcpu *c, const struct insn *i)
{
	unsigned n = i->op[1].reg;
	uint64_t v;

	CPU_TRY(cpu_intercepted(c, EV_MOV_FROM_CR, i, 0));
	switch (n) {
	case 0:
		v = cpu_visible_cr0(c);
		break;
	case 2:
		v = c->cr2;
		break;
	case 3:
		v = c->cr3;
		break;
	case 4:
		v = cpu_visible_cr4(c);
		break;
	default:
		v = read_cr8(c);
		break;
	}
	gpr_write(c, &i->op[0], v);
	return CPU_DONE;
}

enum cpu_step sys_mov_cr(struct vcpu *c, const struct insn *i)
{
	bool write = i->op[0].kind == OPND_CR;

	if (!cr_exists(c, i->op[write ? 0 : 1].reg) || i->lock)
		return cpu_raise(c, VEC_UD);
	if (c->cpl != 0)
		return cpu_raise_error(c, VEC_GP, 0);
	return write ? write_cr(c, i) : read_cr(c, i);
}

enum cpu_step sys_lmsw(struct vcpu *c, const struct insn *i)
{
	uint64_t v, bits;

	CPU_TRY(insn_read(c, i, 0, &v));
	v &= 0xffff;
	CPU_TRY(cpu_intercepted(c, EV_LMSW, i, v));
	bits = (v & 15) | (c->cr0 & CR0_PE); /* cannot leave protected mode */
	return cr0_write(c, owned((c->cr0 & ~UINT64_C(15)) | bits, c->cr0, c->nonroot.cr0_mask));
}

enum cpu_step sys_clts(struct vcpu *c, const struct insn *i)
{
	CPU_TRY(cpu_intercepted(c, EV_CLTS, i, 0));
	return cr0_write(c, owned(c->cr0 & ~CR0_TS, c->cr0, c->nonroot.cr0_mask));
}

static uint64_t dr_value(unsigned n, uint64_t v)
{
	if (n == 6)
		return (v & 0xe00f) | 0xffff0ff0;
	if (n == 7)
		return (v & 0xffff23ff) | 0x400;
	return v;
}

static void write_dr(struct vcpu *c, unsigned n, uint64_t v)
{
	v = dr_value(n, v);
	if (n < 4)
		c->dr[n] = v;
	else if (n == 6)
		c->dr6 = v;
	else
		c->dr7 = v;
	if (n != 6)
		engine_debug_changed(c);
}

enum cpu_step sys_mov_dr(struct vcpu *c, const struct insn *i)
{
	bool write = i->op[0].kind == OPND_DR;
	unsigned n = i->op[write ? 0 : 1].reg;
	uint64_t v;

	if (n > 7 || ((n == 4 || n == 5) && (c->cr4 & CR4_DE)))
		return cpu_raise(c, VEC_UD);
	if (c->cpl != 0)
		return cpu_raise_error(c, VEC_GP, 0);
	CPU_TRY(cpu_intercepted(c, EV_MOV_DR, i, 0));
	if (c->dr7 & 0x2000) { /* GD: a fault, with BD in DR6 */
		cpu_raise(c, VEC_DB);
		c->fault.payload = 0x2000;
		return CPU_FAULT;
	}
	if (n == 4 || n == 5)
		n += 2;
	if (!write) {
		v = n < 4 ? c->dr[n] : n == 6 ? c->dr6 : c->dr7;
		gpr_write(c, &i->op[0], v);
		return CPU_DONE;
	}
	v = gpr_read(c, &i->op[1]);
	if (!cpu_64bit(c))
		v &= 0xffffffff;
	if (n >= 6 && v >> 32)
		return cpu_raise_error(c, VEC_GP, 0);
	write_dr(c, n, v);
	return CPU_DONE;
}

enum cpu_step xcr_write(struct vcpu *c, uint32_t n, uint64_t v)
{
	if (n || (v & ~cpu_model_xcr0(c->model)) || !(v & 1) || (v & 6) == 4)
		return cpu_raise_error(c, VEC_GP, 0);
	c->xcr0 = v;
	c->mode_changed = true;
	return CPU_DONE;
}

enum cpu_step sys_xsetbv(struct vcpu *c, const struct insn *i)
{
	uint64_t v = (uint32_t)c->gpr[RAX] | c->gpr[RDX] << 32;

	if (!(c->cr4 & CR4_OSXSAVE))
		return cpu_raise(c, VEC_UD);
	if (c->cpl != 0)
		return cpu_raise_error(c, VEC_GP, 0);
	CPU_TRY(cpu_intercepted(c, EV_XSETBV, i, 0));
	return xcr_write(c, (uint32_t)c->gpr[RCX], v);
}

enum cpu_step sys_xgetbv(struct vcpu *c, const struct insn *i)
{
	uint32_t n = (uint32_t)c->gpr[RCX];

	(void)i;
	if (!(c->cr4 & CR4_OSXSAVE))
		return cpu_raise(c, VEC_UD);
	if (n > 1 || (n == 1 && !cpu_has(c->model, FEAT_XGETBV1)))
		return cpu_raise_error(c, VEC_GP, 0);
	/* ECX = 1 asks which parts are in use: all that are enabled. */
	c->gpr[RAX] = (uint32_t)c->xcr0;
	c->gpr[RDX] = c->xcr0 >> 32;
	return CPU_DONE;
}

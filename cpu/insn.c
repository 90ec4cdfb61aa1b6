#include "cpu/insn.h"

#include "cpu/mem.h"
#include "cpu/vcpu.h"

uint64_t insn_offset(const struct vcpu *c, const struct insn *i)
{
	uint64_t at = (uint64_t)i->disp;
	if (i->base == INSN_RIP)
		at += c->rip + i->len;
	else if (i->base != INSN_NO_REG)
		at += c->gpr[i->base];
	if (i->index != INSN_NO_REG)
		at += c->gpr[i->index] * i->scale;
	return i->addrsize == 8 ? at : i->addrsize == 4 ? (uint32_t)at : (uint16_t)at;
}

uint64_t gpr_read(const struct vcpu *c, const struct insn_operand *o)
{
	uint64_t v = c->gpr[o->reg];
	switch (o->size) {
	case 1:
		return (uint8_t)(o->high8 ? v >> 8 : v);
	case 2:
		return (uint16_t)v;
	case 4:
		return (uint32_t)v;
	default:
		return v;
	}
}

void gpr_write(struct vcpu *c, const struct insn_operand *o, uint64_t value)
{
	uint64_t *r = &c->gpr[o->reg];
	switch (o->size) {
	case 1:
		if (o->high8)
			*r = (*r & ~UINT64_C(0xff00)) | (value & 0xff) << 8;
		else
			*r = (*r & ~UINT64_C(0xff)) | (value & 0xff);
		break;
	case 2:
		*r = (*r & ~UINT64_C(0xffff)) | (value & 0xffff);
		break;
	case 4:
		*r = (uint32_t)value;
		break;
	default:
		*r = value;
	}
}

enum cpu_step insn_read(struct vcpu *c, const struct insn *i, unsigned n, uint64_t *value)
{
	const struct insn_operand *o = &i->op[n];
	switch (o->kind) {
	case OPND_GPR:
		*value = gpr_read(c, o);
		return CPU_DONE;
	case OPND_SEG:
		*value = c->seg[o->reg].sel;
		return CPU_DONE;
	case OPND_IMM:
		*value = n && i->op[n - 1].kind == OPND_IMM ? i->imm2 : i->imm;
		return CPU_DONE;
	case OPND_REL:
		*value = i->imm;
		return CPU_DONE;
	case OPND_MEM:
		*value = 0;
		return cpu_mem_read(c, i->seg, insn_offset(c, i), value, o->size);
	default:
		return cpu_raise(c, VEC_UD);
	}
}

enum cpu_step insn_write(struct vcpu *c, const struct insn *i, unsigned n, uint64_t value)
{
	const struct insn_operand *o = &i->op[n];
	switch (o->kind) {
	case OPND_GPR:
		gpr_write(c, o, value);
		return CPU_DONE;
	case OPND_MEM:
		return cpu_mem_write(c, i->seg, insn_offset(c, i), &value, o->size);
	default:
		return cpu_raise(c, VEC_UD);
	}
}

#include "cpu/fast.h"

static uint8_t slot(unsigned reg)
{
	return (uint8_t)(reg == INSN_NO_REG ? offsetof(struct vcpu, zero)
					    : offsetof(struct vcpu, gpr) + 8 * reg);
}

static void slots(const struct insn *i, struct op *o)
{
	o->base = slot(i->base);
	o->index = slot(i->index);
	o->scale = (uint8_t)__builtin_ctz(i->scale);
	o->disp = (int32_t)i->disp;
	o->seg = (uint8_t)(offsetof(struct vcpu, seg_base) + 8u * i->seg);
}

static enum fast_addr absolute(struct op *o, uint64_t at, uint64_t imm)
{
	if ((int64_t)imm != (int32_t)imm)
		return ADDR_SLOW;
	o->imm = at;
	o->disp = (int32_t)imm;
	return ADDR_A;
}

enum fast_addr fast_mem(struct vcpu *c, const struct insn *i, struct op *o, uint64_t imm)
{
	uint32_t m = c->engine->mode;
	bool based = i->seg == SEG_FS || i->seg == SEG_GS;
	if (m & MODE_ALIGN || !(m >> (MODE_FLAT_SHIFT + i->seg) & 1) || i->addrsize == 2)
		return ADDR_SLOW;
	if (i->base != INSN_RIP)
		slots(i, o);
	else
		o->seg = (uint8_t)(offsetof(struct vcpu, seg_base) + 8u * i->seg);
	o->imm = imm;
	if (!(m & MODE_CODE64))
		return ADDR_W;
	if (i->addrsize == 4)
		return based || i->base == INSN_RIP ? ADDR_SLOW : ADDR_W;
	if (i->base == INSN_RIP)
		return absolute(o, op_lin(o) + o->len + (uint64_t)i->disp, imm);
	if (i->disp != (int32_t)i->disp)
		return i->base == INSN_NO_REG && i->index == INSN_NO_REG
			? absolute(o, (uint64_t)i->disp, imm)
			: ADDR_SLOW;
	return i->index == INSN_NO_REG && !based ? ADDR_B : ADDR_F;
}

bool op_bind_mem(struct vcpu *c, const struct insn *i, struct op *o)
{
	uint64_t imm = o->imm;
	enum fast_addr a = fast_mem(c, i, o, 0);
	o->imm = imm;
	return a == ADDR_B || a == ADDR_F;
}

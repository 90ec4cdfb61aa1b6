/* Data movement and sign extension, conditional moves and sets, LEA, XLAT. */
#include "cpu/alu.h"
#include "cpu/insn_table.h"
#include "cpu/mem.h"
#include "cpu/mnemonic.h"
#include "cpu/slow.h"

enum cpu_step slow_mov(struct vcpu *c, const struct insn *i)
{
	uint64_t v;
	enum cpu_step step = insn_read(c, i, 1, &v);
	return step == CPU_DONE ? insn_write(c, i, 0, v) : step;
}

enum cpu_step slow_movsx(struct vcpu *c, const struct insn *i)
{
	uint64_t v;
	enum cpu_step step = insn_read(c, i, 1, &v);
	return step == CPU_DONE ? insn_write(c, i, 0, (uint64_t)sx(v, i->op[1].size * 8u)) : step;
}

enum cpu_step slow_lea(struct vcpu *c, const struct insn *i)
{
	gpr_write(c, &i->op[0], insn_offset(c, i));
	return CPU_DONE;
}

/* The condition code of SETcc, CMOVcc and Jcc is in the opcode. */
enum cpu_step slow_setcc(struct vcpu *c, const struct insn *i)
{
	return insn_write(c, i, 0, flags_cond(c, i->opcode & 15));
}

enum cpu_step slow_cmov(struct vcpu *c, const struct insn *i)
{
	uint64_t v;
	enum cpu_step step = insn_read(c, i, 1, &v);
	if (step != CPU_DONE)
		return step;
	/* a 32-bit destination is zero-extended either way */
	gpr_write(c, &i->op[0], flags_cond(c, i->opcode & 15) ? v : gpr_read(c, &i->op[0]));
	return CPU_DONE;
}

enum cpu_step slow_convert(struct vcpu *c, const struct insn *i)
{
	uint64_t a = c->gpr[RAX];
	struct insn_operand o = {.kind = OPND_GPR};
	switch (i->mnemonic) {
	case ZYDIS_MNEMONIC_CBW:
		o.size = 2;
		a = (uint64_t)sx(a, 8);
		break;
	case ZYDIS_MNEMONIC_CWDE:
		o.size = 4;
		a = (uint64_t)sx(a, 16);
		break;
	case ZYDIS_MNEMONIC_CDQE:
		o.size = 8;
		a = (uint64_t)sx(a, 32);
		break;
	case ZYDIS_MNEMONIC_CWD:
		o.size = 2;
		o.reg = RDX;
		a = (uint64_t)(sx(a, 16) >> 63);
		break;
	case ZYDIS_MNEMONIC_CDQ:
		o.size = 4;
		o.reg = RDX;
		a = (uint64_t)(sx(a, 32) >> 63);
		break;
	default:
		o.size = 8;
		o.reg = RDX;
		a = (uint64_t)((int64_t)a >> 63);
		break;
	}
	gpr_write(c, &o, a);
	return CPU_DONE;
}

enum cpu_step slow_xlat(struct vcpu *c, const struct insn *i)
{
	uint64_t at = c->gpr[RBX] + (uint8_t)c->gpr[RAX];
	uint8_t v;
	at = i->addrsize == 8 ? at : i->addrsize == 4 ? (uint32_t)at : (uint16_t)at;
	enum cpu_step step = cpu_mem_read(c, i->seg, at, &v, 1);
	if (step == CPU_DONE)
		c->gpr[RAX] = (c->gpr[RAX] & ~UINT64_C(0xff)) | v;
	return step;
}

enum cpu_step slow_bswap(struct vcpu *c, const struct insn *i)
{
	const struct insn_operand *o = &i->op[0];
	uint64_t v = c->gpr[o->reg];
	if (o->size == 2) /* undefined; silicon clears the word */
		gpr_write(c, o, 0);
	else
		gpr_write(c, o, o->size == 8 ? __builtin_bswap64(v) : __builtin_bswap32((uint32_t)v));
	return CPU_DONE;
}

enum cpu_step slow_movbe(struct vcpu *c, const struct insn *i)
{
	uint64_t v;
	enum cpu_step step = insn_read(c, i, 1, &v);
	if (step != CPU_DONE)
		return step;
	return insn_write(c, i, 0, __builtin_bswap64(v) >> (64 - i->op[0].size * 8));
}

enum cpu_step slow_nop(struct vcpu *c, const struct insn *i)
{
	(void)c;
	(void)i;
	return CPU_DONE;
}

/* A cache-line operand is read, as far as faults go. */
enum cpu_step slow_clflush(struct vcpu *c, const struct insn *i)
{
	uint8_t v;
	return cpu_mem_read(c, i->seg, insn_offset(c, i), &v, 1);
}

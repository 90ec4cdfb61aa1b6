/* String operations, one iteration at a time. */
#include "cpu/alu.h"
#include "cpu/insn_table.h"
#include "cpu/mem.h"
#include "cpu/mnemonic.h"
#include "cpu/slow.h"

static uint64_t cut(uint64_t v, unsigned size)
{
	return size == 8 ? v : size == 4 ? (uint32_t)v : (uint16_t)v;
}

static void advance(struct vcpu *c, const struct insn *i, unsigned reg, unsigned size)
{
	const struct insn_operand o = {.kind = OPND_GPR, .reg = (uint8_t)reg, .size = i->addrsize};
	gpr_write(c, &o, c->gpr[reg] + (c->rflags & FLAG_DF ? -(uint64_t)size : size));
}

static unsigned size_of(const struct insn *i)
{
	switch (i->mnemonic) {
	case ZYDIS_MNEMONIC_MOVSB:
	case ZYDIS_MNEMONIC_STOSB:
	case ZYDIS_MNEMONIC_LODSB:
	case ZYDIS_MNEMONIC_CMPSB:
	case ZYDIS_MNEMONIC_SCASB:
		return 1;
	case ZYDIS_MNEMONIC_MOVSW:
	case ZYDIS_MNEMONIC_STOSW:
	case ZYDIS_MNEMONIC_LODSW:
	case ZYDIS_MNEMONIC_CMPSW:
	case ZYDIS_MNEMONIC_SCASW:
		return 2;
	case ZYDIS_MNEMONIC_MOVSD:
	case ZYDIS_MNEMONIC_STOSD:
	case ZYDIS_MNEMONIC_LODSD:
	case ZYDIS_MNEMONIC_CMPSD:
	case ZYDIS_MNEMONIC_SCASD:
		return 4;
	default:
		return 8;
	}
}

static bool repeats(const struct insn *i)
{
	return i->rep || i->repne;
}

static uint64_t count_of(const struct vcpu *c, const struct insn *i)
{
	return cut(c->gpr[RCX], i->addrsize);
}

/* One iteration is done: counts it; `on` is the condition of REPE or REPNE. */
static enum cpu_step iterated(struct vcpu *c, const struct insn *i, bool on)
{
	const struct insn_operand o = {.kind = OPND_GPR, .reg = RCX, .size = i->addrsize};
	if (!repeats(i))
		return CPU_DONE;
	uint64_t n = count_of(c, i) - 1;
	gpr_write(c, &o, n);
	return n && on ? CPU_AGAIN : CPU_DONE;
}

static bool finished(const struct vcpu *c, const struct insn *i)
{
	return repeats(i) && count_of(c, i) == 0;
}

enum cpu_step slow_movs(struct vcpu *c, const struct insn *i)
{
	unsigned size = size_of(i);
	uint64_t v = 0;
	if (finished(c, i))
		return CPU_DONE;
	enum cpu_step step = cpu_mem_read(c, i->seg, cut(c->gpr[RSI], i->addrsize), &v, size);
	if (step == CPU_DONE)
		step = cpu_mem_write(c, SEG_ES, cut(c->gpr[RDI], i->addrsize), &v, size);
	if (step != CPU_DONE)
		return step;
	advance(c, i, RSI, size);
	advance(c, i, RDI, size);
	return iterated(c, i, true);
}

enum cpu_step slow_stos(struct vcpu *c, const struct insn *i)
{
	unsigned size = size_of(i);
	if (finished(c, i))
		return CPU_DONE;
	enum cpu_step step =
		cpu_mem_write(c, SEG_ES, cut(c->gpr[RDI], i->addrsize), &c->gpr[RAX], size);
	if (step != CPU_DONE)
		return step;
	advance(c, i, RDI, size);
	return iterated(c, i, true);
}

enum cpu_step slow_lods(struct vcpu *c, const struct insn *i)
{
	unsigned size = size_of(i);
	const struct insn_operand o = {.kind = OPND_GPR, .reg = RAX, .size = (uint8_t)size};
	uint64_t v = 0;
	if (finished(c, i))
		return CPU_DONE;
	enum cpu_step step = cpu_mem_read(c, i->seg, cut(c->gpr[RSI], i->addrsize), &v, size);
	if (step != CPU_DONE)
		return step;
	gpr_write(c, &o, v);
	advance(c, i, RSI, size);
	return iterated(c, i, true);
}

enum cpu_step slow_cmps(struct vcpu *c, const struct insn *i)
{
	unsigned size = size_of(i);
	uint64_t a = 0, b = 0;
	if (finished(c, i))
		return CPU_DONE;
	/* silicon reads ES:(E)DI first: it is the one that faults when both would */
	enum cpu_step step = cpu_mem_read(c, SEG_ES, cut(c->gpr[RDI], i->addrsize), &b, size);
	if (step == CPU_DONE)
		step = cpu_mem_read(c, i->seg, cut(c->gpr[RSI], i->addrsize), &a, size);
	if (step != CPU_DONE)
		return step;
	alu(c, ALU_CMP, size * 8, a, b, false);
	advance(c, i, RSI, size);
	advance(c, i, RDI, size);
	return iterated(c, i, (a == b) != i->repne);
}

enum cpu_step slow_scas(struct vcpu *c, const struct insn *i)
{
	unsigned size = size_of(i);
	uint64_t a = zx(c->gpr[RAX], size * 8), b = 0;
	if (finished(c, i))
		return CPU_DONE;
	enum cpu_step step = cpu_mem_read(c, SEG_ES, cut(c->gpr[RDI], i->addrsize), &b, size);
	if (step != CPU_DONE)
		return step;
	alu(c, ALU_CMP, size * 8, a, b, false);
	advance(c, i, RDI, size);
	return iterated(c, i, (a == b) != i->repne);
}

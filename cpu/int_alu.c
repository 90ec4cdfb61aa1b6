/* ADD OR ADC SBB AND SUB XOR CMP TEST INC DEC NEG NOT, XADD CMPXCHG XCHG, and
 * other arithmetic on one destination: the form that serves every mode. */
#include "cpu/alu.h"
#include "cpu/insn_table.h"
#include "cpu/mem.h"
#include "cpu/mnemonic.h"
#include "cpu/slow.h"

enum cpu_step slow_rmw_read(struct vcpu *c, const struct insn *i, unsigned n, uint64_t *v)
{
	if (i->op[n].kind == OPND_MEM) {
		enum cpu_step step =
			cpu_mem_probe_write(c, i->seg, insn_offset(c, i), i->op[n].size);
		if (step != CPU_DONE)
			return step;
	}
	return insn_read(c, i, n, v);
}

enum alu_op alu_of(unsigned mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_ADD:
		return ALU_ADD;
	case ZYDIS_MNEMONIC_OR:
		return ALU_OR;
	case ZYDIS_MNEMONIC_ADC:
		return ALU_ADC;
	case ZYDIS_MNEMONIC_SBB:
		return ALU_SBB;
	case ZYDIS_MNEMONIC_AND:
		return ALU_AND;
	case ZYDIS_MNEMONIC_SUB:
		return ALU_SUB;
	case ZYDIS_MNEMONIC_XOR:
		return ALU_XOR;
	case ZYDIS_MNEMONIC_CMP:
		return ALU_CMP;
	default:
		return ALU_TEST;
	}
}

enum cpu_step slow_alu(struct vcpu *c, const struct insn *i)
{
	enum alu_op op = alu_of(i->mnemonic);
	unsigned bits = i->op[0].size * 8u;
	uint64_t a, b;
	bool keeps = op == ALU_CMP || op == ALU_TEST;
	enum cpu_step step = keeps ? insn_read(c, i, 0, &a) : slow_rmw_read(c, i, 0, &a);
	if (step == CPU_DONE)
		step = insn_read(c, i, 1, &b);
	if (step != CPU_DONE)
		return step;
	if (keeps) {
		alu(c, op, bits, a, b, false);
		return CPU_DONE;
	}
	uint64_t saved = 0;
	if (op == ALU_ADC || op == ALU_SBB)
		saved = flag_cf(c);
	/* memory is writable now, but a device or a hook may still refuse */
	uint64_t r = op == ALU_ADC ? a + b + saved
		: op == ALU_SBB    ? a - b - saved
				   : alu(c, op, bits, a, b, true);
	step = insn_write(c, i, 0, r);
	if (step == CPU_DONE)
		alu(c, op, bits, a, b, false);
	return step;
}

enum cpu_step slow_incdec(struct vcpu *c, const struct insn *i)
{
	bool inc = i->mnemonic == ZYDIS_MNEMONIC_INC;
	uint64_t a;
	enum cpu_step step = slow_rmw_read(c, i, 0, &a);
	if (step == CPU_DONE)
		step = insn_write(c, i, 0, inc ? a + 1 : a - 1);
	if (step == CPU_DONE)
		alu_step(c, inc, i->op[0].size * 8u, a, false);
	return step;
}

enum cpu_step slow_neg(struct vcpu *c, const struct insn *i)
{
	uint64_t a;
	enum cpu_step step = slow_rmw_read(c, i, 0, &a);
	if (step == CPU_DONE)
		step = insn_write(c, i, 0, -a);
	if (step == CPU_DONE)
		alu(c, ALU_SUB, i->op[0].size * 8u, 0, a, false);
	return step;
}

enum cpu_step slow_not(struct vcpu *c, const struct insn *i)
{
	uint64_t a;
	enum cpu_step step = slow_rmw_read(c, i, 0, &a);
	return step == CPU_DONE ? insn_write(c, i, 0, ~a) : step;
}

enum cpu_step slow_xchg(struct vcpu *c, const struct insn *i)
{
	unsigned m = i->op[1].kind == OPND_MEM;
	uint64_t a, b;
	enum cpu_step step = slow_rmw_read(c, i, m, &a);
	if (step == CPU_DONE)
		step = insn_read(c, i, !m, &b);
	if (step == CPU_DONE)
		step = insn_write(c, i, m, b);
	if (step == CPU_DONE)
		step = insn_write(c, i, !m, a);
	return step;
}

enum cpu_step slow_xadd(struct vcpu *c, const struct insn *i)
{
	uint64_t a, b;
	enum cpu_step step = slow_rmw_read(c, i, 0, &a);
	if (step == CPU_DONE)
		step = insn_read(c, i, 1, &b);
	if (step != CPU_DONE)
		return step;
	if (i->op[0].kind == OPND_MEM) {
		step = insn_write(c, i, 0, a + b);
		if (step != CPU_DONE)
			return step;
		gpr_write(c, &i->op[1], a);
	} else {
		gpr_write(c, &i->op[1], a);
		gpr_write(c, &i->op[0], a + b);
	}
	alu(c, ALU_ADD, i->op[0].size * 8u, a, b, false);
	return CPU_DONE;
}

enum cpu_step slow_cmpxchg(struct vcpu *c, const struct insn *i)
{
	const struct insn_operand acc = {.kind = OPND_GPR, .reg = RAX, .size = i->op[0].size};
	unsigned bits = acc.size * 8u;
	uint64_t old, a = gpr_read(c, &acc), b;
	enum cpu_step step = slow_rmw_read(c, i, 0, &old);
	if (step == CPU_DONE)
		step = insn_read(c, i, 1, &b);
	if (step != CPU_DONE)
		return step;
	if (zx(a ^ old, bits) == 0) {
		step = insn_write(c, i, 0, b);
	} else {
		/* the destination is written with what it holds */
		if (i->op[0].kind == OPND_MEM)
			step = insn_write(c, i, 0, old);
		if (step == CPU_DONE)
			gpr_write(c, &acc, old);
	}
	if (step == CPU_DONE)
		alu(c, ALU_CMP, bits, a, old, false);
	return step;
}

enum cpu_step slow_cmpxchg8b(struct vcpu *c, const struct insn *i)
{
	uint64_t off = insn_offset(c, i), old, want, with;
	enum cpu_step step = cpu_mem_probe_write(c, i->seg, off, 8);
	if (step == CPU_DONE)
		step = cpu_mem_read(c, i->seg, off, &old, 8);
	if (step != CPU_DONE)
		return step;
	want = (uint32_t)c->gpr[RAX] | c->gpr[RDX] << 32;
	with = (uint32_t)c->gpr[RBX] | c->gpr[RCX] << 32;
	step = cpu_mem_write(c, i->seg, off, old == want ? &with : &old, 8);
	if (step != CPU_DONE)
		return step;
	flags_put(c, FLAG_ZF, old == want ? FLAG_ZF : 0);
	if (old != want) {
		c->gpr[RAX] = (uint32_t)old;
		c->gpr[RDX] = old >> 32;
	}
	return CPU_DONE;
}

enum cpu_step slow_cmpxchg16b(struct vcpu *c, const struct insn *i)
{
	uint64_t off = insn_offset(c, i), old[2], with[2] = {c->gpr[RBX], c->gpr[RCX]};
	struct gva lin;
	enum cpu_step step = cpu_linear(c, i->seg, off, 16, true, &lin);
	if (step == CPU_DONE && lin.v & 15)
		step = cpu_raise_error(c, VEC_GP, 0);
	if (step == CPU_DONE)
		step = cpu_mem_probe_write(c, i->seg, off, 16);
	if (step == CPU_DONE)
		step = cpu_mem_read(c, i->seg, off, old, 16);
	if (step != CPU_DONE)
		return step;
	bool same = old[0] == c->gpr[RAX] && old[1] == c->gpr[RDX];
	step = cpu_mem_write(c, i->seg, off, same ? with : old, 16);
	if (step != CPU_DONE)
		return step;
	flags_put(c, FLAG_ZF, same ? FLAG_ZF : 0);
	if (!same) {
		c->gpr[RAX] = old[0];
		c->gpr[RDX] = old[1];
	}
	return CPU_DONE;
}

/* ADCX and ADOX: one carry chain each, no other flag. */
enum cpu_step slow_adx(struct vcpu *c, const struct insn *i)
{
	bool o = i->mnemonic == ZYDIS_MNEMONIC_ADOX;
	unsigned bits = i->op[0].size * 8u;
	uint64_t a, b;
	enum cpu_step step = insn_read(c, i, 0, &a);
	if (step == CPU_DONE)
		step = insn_read(c, i, 1, &b);
	if (step != CPU_DONE)
		return step;
	flags_sync(c);
	uint64_t r = a + b + (c->rflags >> (o ? 11 : 0) & 1);
	bool carry = carries_add(a, b, r) >> (bits - 1) & 1;
	gpr_write(c, &i->op[0], r);
	flags_put(c, o ? FLAG_OF : FLAG_CF, carry ? FLAG_OF | FLAG_CF : 0);
	return CPU_DONE;
}

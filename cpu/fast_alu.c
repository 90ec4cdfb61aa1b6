/* Fast forms of the two-operand arithmetic, INC and DEC, NEG and NOT. */
#include "cpu/fast.h"

#include "cpu/mnemonic.h"

#define KEEPS(name) ((name) == ALU_CMP || (name) == ALU_TEST)

FAST_FN do_rr(struct vcpu *c, const struct op *o, enum alu_op op, unsigned bits, bool dead)
{
	uint64_t r = alu(c, op, bits, reg_get(c, o->dst, bits), reg_get(c, o->src, bits), dead);
	if (!KEEPS(op))
		reg_put(c, o->dst, bits, r);
	OP_NEXT(c, o);
}

FAST_FN do_ri(struct vcpu *c, const struct op *o, enum alu_op op, unsigned bits, bool dead)
{
	uint64_t r = alu(c, op, bits, reg_get(c, o->dst, bits), o->imm, dead);
	if (!KEEPS(op))
		reg_put(c, o->dst, bits, r);
	OP_NEXT(c, o);
}

FAST_FN do_rm(struct vcpu *c, const struct op *o, enum alu_op op, unsigned bits, enum fast_addr a)
{
	MEM_READ(c, o, a, bits);
	uint64_t r = alu(c, op, bits, reg_get(c, o->dst, bits), mem_get(p, bits), false);
	if (!KEEPS(op))
		reg_put(c, o->dst, bits, r);
	OP_NEXT(c, o);
}

/* CMP and TEST of memory with `b`, which reads only. */
FAST_FN do_mkeep(struct vcpu *c, const struct op *o, enum alu_op op, unsigned bits,
	enum fast_addr a, bool imm)
{
	MEM_READ(c, o, a, bits);
	alu(c, op, bits, mem_get(p, bits), imm ? fast_imm(o, a) : reg_get(c, o->src, bits), false);
	OP_NEXT(c, o);
}

FAST_FN do_mchange(struct vcpu *c, const struct op *o, enum alu_op op, unsigned bits,
	enum fast_addr a, bool imm)
{
	MEM_WRITE(c, o, a, bits);
	uint64_t b = imm ? fast_imm(o, a) : reg_get(c, o->src, bits);
	mem_put(p, bits, alu(c, op, bits, mem_get(p, bits), b, false));
	OP_NEXT(c, o);
}

FAST_FN do_m(struct vcpu *c, const struct op *o, enum alu_op op, unsigned bits, enum fast_addr a,
	bool imm)
{
	if (KEEPS(op))
		return do_mkeep(c, o, op, bits, a, imm);
	return do_mchange(c, o, op, bits, a, imm);
}

#define EACH_SIZE(M, name) M(name, 8) M(name, 16) M(name, 32) M(name, 64)
#define EACH_ALU(M)                                                                        \
	EACH_SIZE(M, ADD) EACH_SIZE(M, OR) EACH_SIZE(M, ADC) EACH_SIZE(M, SBB) EACH_SIZE(M, AND) \
	EACH_SIZE(M, SUB) EACH_SIZE(M, XOR) EACH_SIZE(M, CMP) EACH_SIZE(M, TEST)

#define MAKE_REG(name, bits)                                             \
	static void rr_##name##_##bits(struct vcpu *c, const struct op *o) \
	{                                                              \
		do_rr(c, o, ALU_##name, bits, false);                    \
	}                                                              \
	static void rrd_##name##_##bits(struct vcpu *c, const struct op *o) \
	{                                                              \
		do_rr(c, o, ALU_##name, bits, true);                     \
	}                                                              \
	static void ri_##name##_##bits(struct vcpu *c, const struct op *o) \
	{                                                              \
		do_ri(c, o, ALU_##name, bits, false);                    \
	}                                                              \
	static void rid_##name##_##bits(struct vcpu *c, const struct op *o) \
	{                                                              \
		do_ri(c, o, ALU_##name, bits, true);                     \
	}
EACH_ALU(MAKE_REG)

#define MAKE_MEM1(name, bits, a)                                              \
	static void rm_##name##_##bits##a(struct vcpu *c, const struct op *o) \
	{                                                                   \
		do_rm(c, o, ALU_##name, bits, ADDR_##a);                      \
	}                                                                   \
	static void mr_##name##_##bits##a(struct vcpu *c, const struct op *o) \
	{                                                                   \
		do_m(c, o, ALU_##name, bits, ADDR_##a, false);                \
	}                                                                   \
	static void mi_##name##_##bits##a(struct vcpu *c, const struct op *o) \
	{                                                                   \
		do_m(c, o, ALU_##name, bits, ADDR_##a, true);                 \
	}
#define MAKE_MEM(name, bits) \
	MAKE_MEM1(name, bits, B) MAKE_MEM1(name, bits, F) MAKE_MEM1(name, bits, W) MAKE_MEM1(name, bits, A)
EACH_ALU(MAKE_MEM)

#define REG_ROW(f, name) \
	[ALU_##name] = {f##_##name##_8, f##_##name##_16, f##_##name##_32, f##_##name##_64},
#define REG_TABLE(f)                                                                       \
	static op_fn *const f##_table[9][4] = {REG_ROW(f, ADD) REG_ROW(f, OR) REG_ROW(f, ADC) \
		REG_ROW(f, SBB) REG_ROW(f, AND) REG_ROW(f, SUB) REG_ROW(f, XOR) REG_ROW(f, CMP) \
		REG_ROW(f, TEST)};
REG_TABLE(rr)
REG_TABLE(rrd)
REG_TABLE(ri)
REG_TABLE(rid)

#define MEM_CELL(f, name, bits) \
	{f##_##name##_##bits##B, f##_##name##_##bits##F, f##_##name##_##bits##W, f##_##name##_##bits##A}
#define MEM_ROW(f, name)                                                                   \
	[ALU_##name] = {MEM_CELL(f, name, 8), MEM_CELL(f, name, 16), MEM_CELL(f, name, 32),      \
		MEM_CELL(f, name, 64)},
#define MEM_TABLE(f)                                                                          \
	static op_fn *const f##_table[9][4][4] = {MEM_ROW(f, ADD) MEM_ROW(f, OR) MEM_ROW(f, ADC) \
		MEM_ROW(f, SBB) MEM_ROW(f, AND) MEM_ROW(f, SUB) MEM_ROW(f, XOR) MEM_ROW(f, CMP) \
		MEM_ROW(f, TEST)};
MEM_TABLE(rm)
MEM_TABLE(mr)
MEM_TABLE(mi)

static void alu_produced(struct vcpu *c, enum alu_op op, unsigned bits)
{
	if (op == ALU_ADD || op == ALU_ADC)
		fast_produced(c, LAZY_ADD, bits);
	else if (op == ALU_SUB || op == ALU_CMP)
		fast_produced(c, LAZY_SUB, bits);
	else if (op == ALU_SBB) /* its operands do not compare: there was a borrow */
		fast_produced(c, LAZY_ADD, bits);
	else
		fast_produced(c, LAZY_LOGIC, bits);
}

bool bind_alu(struct vcpu *c, const struct insn *i, struct op *o)
{
	enum alu_op op = alu_of(i->mnemonic);
	unsigned s = fast_size(i->op[0].size);
	bool dead = c->engine->flags_dead;
	enum fast_addr a;
	alu_produced(c, op, i->op[0].size * 8u);
	if (fast_is_reg(i, 0) && i->op[1].kind != OPND_MEM) {
		o->dst = fast_reg(&i->op[0]);
		if (fast_is_reg(i, 1)) {
			o->src = fast_reg(&i->op[1]);
			o->run = (dead ? rrd_table : rr_table)[op][s];
		} else {
			o->imm = i->imm;
			o->run = (dead ? rid_table : ri_table)[op][s];
		}
		return true;
	}
	if (fast_is_reg(i, 0)) {
		o->dst = fast_reg(&i->op[0]);
		a = fast_mem(c, i, o, 0);
		if (a != ADDR_SLOW)
			o->run = rm_table[op][s][a];
		return a != ADDR_SLOW;
	}
	if (fast_is_reg(i, 1)) {
		o->src = fast_reg(&i->op[1]);
		a = fast_mem(c, i, o, 0);
		if (a != ADDR_SLOW)
			o->run = mr_table[op][s][a];
		return a != ADDR_SLOW;
	}
	a = fast_mem(c, i, o, i->imm);
	if (a != ADDR_SLOW)
		o->run = mi_table[op][s][a];
	return a != ADDR_SLOW;
}

/* --- one operand */

enum one { ONE_INC, ONE_DEC, ONE_NEG, ONE_NOT };

static inline __attribute__((always_inline)) uint64_t one(
	struct vcpu *c, enum one op, unsigned bits, uint64_t v, bool dead)
{
	switch (op) {
	case ONE_INC:
		return alu_step(c, true, bits, v, dead);
	case ONE_DEC:
		return alu_step(c, false, bits, v, dead);
	case ONE_NEG:
		return alu(c, ALU_SUB, bits, 0, v, dead);
	default:
		return ~v;
	}
}

FAST_FN do_one_r(struct vcpu *c, const struct op *o, enum one op, unsigned bits, bool dead)
{
	reg_put(c, o->dst, bits, one(c, op, bits, reg_get(c, o->dst, bits), dead));
	OP_NEXT(c, o);
}

FAST_FN do_one_m(struct vcpu *c, const struct op *o, enum one op, unsigned bits, enum fast_addr a)
{
	MEM_WRITE(c, o, a, bits);
	mem_put(p, bits, one(c, op, bits, mem_get(p, bits), false));
	OP_NEXT(c, o);
}

#define MAKE_ONE_M(name, bits, a)                                             \
	static void one_m_##name##_##bits##a(struct vcpu *c, const struct op *o) \
	{                                                                   \
		do_one_m(c, o, ONE_##name, bits, ADDR_##a);                   \
	}
#define MAKE_ONE(name, bits)                                                  \
	static void one_r_##name##_##bits(struct vcpu *c, const struct op *o) \
	{                                                                   \
		do_one_r(c, o, ONE_##name, bits, false);                      \
	}                                                                   \
	static void one_d_##name##_##bits(struct vcpu *c, const struct op *o) \
	{                                                                   \
		do_one_r(c, o, ONE_##name, bits, true);                       \
	}                                                                   \
	MAKE_ONE_M(name, bits, B) MAKE_ONE_M(name, bits, F) MAKE_ONE_M(name, bits, W) MAKE_ONE_M(name, bits, A)
EACH_SIZE(MAKE_ONE, INC)
EACH_SIZE(MAKE_ONE, DEC)
EACH_SIZE(MAKE_ONE, NEG)
EACH_SIZE(MAKE_ONE, NOT)

#define ONE_ROW(f, name) {f##_##name##_8, f##_##name##_16, f##_##name##_32, f##_##name##_64}
#define ONE_CELLS(name)                                                                         \
	{MEM_CELL(one_m, name, 8), MEM_CELL(one_m, name, 16), MEM_CELL(one_m, name, 32),            \
		MEM_CELL(one_m, name, 64)}
static op_fn *const one_r_table[4][4] = {
	ONE_ROW(one_r, INC), ONE_ROW(one_r, DEC), ONE_ROW(one_r, NEG), ONE_ROW(one_r, NOT)};
static op_fn *const one_d_table[4][4] = {
	ONE_ROW(one_d, INC), ONE_ROW(one_d, DEC), ONE_ROW(one_d, NEG), ONE_ROW(one_d, NOT)};
static op_fn *const one_m_table[4][4][4] = {
	ONE_CELLS(INC), ONE_CELLS(DEC), ONE_CELLS(NEG), ONE_CELLS(NOT)};

bool bind_one(struct vcpu *c, const struct insn *i, struct op *o)
{
	enum one op = i->mnemonic == ZYDIS_MNEMONIC_INC ? ONE_INC
		: i->mnemonic == ZYDIS_MNEMONIC_DEC     ? ONE_DEC
		: i->mnemonic == ZYDIS_MNEMONIC_NEG     ? ONE_NEG
							: ONE_NOT;
	unsigned s = fast_size(i->op[0].size);
	if (op == ONE_NEG)
		fast_produced(c, LAZY_SUB, i->op[0].size * 8u);
	else
		fast_produced(c, op == ONE_INC ? LAZY_INC : LAZY_DEC, i->op[0].size * 8u);
	if (fast_is_reg(i, 0)) {
		o->dst = fast_reg(&i->op[0]);
		o->run = (c->engine->flags_dead ? one_d_table : one_r_table)[op][s];
		return true;
	}
	enum fast_addr a = fast_mem(c, i, o, 0);
	if (a != ADDR_SLOW)
		o->run = one_m_table[op][s][a];
	return a != ADDR_SLOW;
}

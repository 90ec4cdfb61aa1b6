/* Fast shifts and rotates of registers, and shifts of memory by a constant. */
#include "cpu/fast.h"

#include "cpu/mnemonic.h"

FAST_FN do_shift_i(struct vcpu *c, const struct op *o, enum shift_op op, unsigned bits, bool dead)
{
	uint64_t v = reg_get(c, o->dst, bits);
	reg_put(c, o->dst, bits, alu_shift(c, op, bits, v, o->aux, dead));
	OP_NEXT(c, o);
}

/* A count of 0 changes nothing but the upper half of a 32-bit register. */
FAST_FN do_shift_cl(struct vcpu *c, const struct op *o, enum shift_op op, unsigned bits, bool dead)
{
	unsigned n = c->gpr[RCX] & (bits == 64 ? 63 : 31);
	uint64_t v = reg_get(c, o->dst, bits);
	if (n)
		v = alu_shift(c, op, bits, v, n, dead);
	reg_put(c, o->dst, bits, v);
	OP_NEXT(c, o);
}

#define MAKE_SHIFT(what, bits)                                          \
	static void i_##what##bits(struct vcpu *c, const struct op *o)  \
	{                                                               \
		do_shift_i(c, o, SHIFT_##what, bits, false);            \
	}                                                               \
	static void id_##what##bits(struct vcpu *c, const struct op *o) \
	{                                                               \
		do_shift_i(c, o, SHIFT_##what, bits, true);             \
	}                                                               \
	static void cl_##what##bits(struct vcpu *c, const struct op *o) \
	{                                                               \
		do_shift_cl(c, o, SHIFT_##what, bits, false);           \
	}                                                               \
	static void cld_##what##bits(struct vcpu *c, const struct op *o) \
	{                                                               \
		do_shift_cl(c, o, SHIFT_##what, bits, true);            \
	}
#define MAKE_SHIFTS(what) \
	MAKE_SHIFT(what, 8) MAKE_SHIFT(what, 16) MAKE_SHIFT(what, 32) MAKE_SHIFT(what, 64)
MAKE_SHIFTS(SHL)
MAKE_SHIFTS(SHR)
MAKE_SHIFTS(SAR)

#define SHIFT_ROW(f, what) {f##what##8, f##what##16, f##what##32, f##what##64}
#define SHIFT_TABLE(f) {SHIFT_ROW(f, SHL), SHIFT_ROW(f, SHR), SHIFT_ROW(f, SAR)}
static op_fn *const shift_table[4][3][4] = {
	SHIFT_TABLE(i_), SHIFT_TABLE(id_), SHIFT_TABLE(cl_), SHIFT_TABLE(cld_)};

static void same(struct vcpu *c, const struct op *o)
{
	OP_NEXT(c, o);
}

bool bind_shift(struct vcpu *c, const struct insn *i, struct op *o)
{
	unsigned s = fast_size(i->op[0].size), bits = i->op[0].size * 8u;
	unsigned what = i->mnemonic == ZYDIS_MNEMONIC_SHL ? SHIFT_SHL
		: i->mnemonic == ZYDIS_MNEMONIC_SHR       ? SHIFT_SHR
							  : SHIFT_SAR;
	bool dead = c->engine->flags_dead;
	if (!fast_is_reg(i, 0))
		return false;
	o->dst = fast_reg(&i->op[0]);
	if (i->operands > 1 && fast_is_reg(i, 1)) {
		o->run = shift_table[2 + dead][what][s];
		return true;
	}
	unsigned n = i->operands > 1 ? (unsigned)i->imm & (bits == 64 ? 63 : 31) : 1;
	if (!n) {
		/* flags stay, so what they came from is not known here */
		o->run = same;
		return bits != 32;
	}
	o->aux = (uint16_t)n;
	o->run = shift_table[dead][what][s];
	fast_produced(c, LAZY_CFOF, bits);
	return true;
}

/* ROL and ROR by a constant; the other flags stay, so the lazy form goes. */
FAST_FN do_rotate(struct vcpu *c, const struct op *o, bool left, unsigned bits, bool dead)
{
	uint64_t v = reg_get(c, o->dst, bits), r;
	unsigned n = o->aux;
	if (bits == 32)
		r = left ? (uint32_t)v << n | (uint32_t)v >> (32 - n)
			 : (uint32_t)v >> n | (uint32_t)v << (32 - n);
	else
		r = left ? v << n | v >> (64 - n) : v >> n | v << (64 - n);
	r = zx(r, bits);
	if (!dead) {
		unsigned cf = left ? r & 1 : r >> (bits - 1) & 1;
		unsigned of = left ? (r >> (bits - 1) & 1) ^ cf
				   : (r >> (bits - 1) ^ r >> (bits - 2)) & 1;
		flags_put(c, FLAG_CF | FLAG_OF, (cf ? FLAG_CF : 0) | (of ? FLAG_OF : 0));
	}
	reg_put(c, o->dst, bits, r);
	OP_NEXT(c, o);
}

#define MAKE_ROTATE(name, left, bits, dead)                        \
	static void name(struct vcpu *c, const struct op *o)       \
	{                                                          \
		do_rotate(c, o, left, bits, dead);                 \
	}
MAKE_ROTATE(rol32, true, 32, false)
MAKE_ROTATE(rol64, true, 64, false)
MAKE_ROTATE(ror32, false, 32, false)
MAKE_ROTATE(ror64, false, 64, false)
MAKE_ROTATE(rol32d, true, 32, true)
MAKE_ROTATE(rol64d, true, 64, true)
MAKE_ROTATE(ror32d, false, 32, true)
MAKE_ROTATE(ror64d, false, 64, true)

bool bind_rotate(struct vcpu *c, const struct insn *i, struct op *o)
{
	static op_fn *const table[2][2][2] = {
		{{ror32, ror32d}, {ror64, ror64d}}, {{rol32, rol32d}, {rol64, rol64d}}};
	bool left = i->mnemonic == ZYDIS_MNEMONIC_ROL, wide = i->op[0].size == 8;
	unsigned n = i->operands > 1 ? (unsigned)i->imm & (wide ? 63 : 31) : 1;
	if (!fast_is_reg(i, 0) || i->op[0].size < 4 || !n ||
		(i->operands > 1 && i->op[1].kind != OPND_IMM))
		return false;
	o->dst = fast_reg(&i->op[0]);
	o->aux = (uint16_t)n;
	o->run = table[left][wide][c->engine->flags_dead];
	return true;
}

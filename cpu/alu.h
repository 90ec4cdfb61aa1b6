/* Arithmetic on operands of 8 to 64 bits with lazy flags: what slow and fast
 * handlers have in common, so that both leave the same lazy form. `bits` is a
 * constant at every hot call.
 */
#ifndef CPU_ALU_H
#define CPU_ALU_H

#include "cpu/flags.h"

enum alu_op { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP, ALU_TEST };

/* Of these nine mnemonics (int_alu.c). */
enum alu_op alu_of(unsigned mnemonic);

/* Sign-extends the low `bits`. */
static inline int64_t sx(uint64_t v, unsigned bits)
{
	return (int64_t)(v << (64 - bits)) >> (64 - bits);
}

static inline uint64_t zx(uint64_t v, unsigned bits)
{
	return v << (64 - bits) >> (64 - bits);
}

/* The result (junk above `bits`); sets the flags unless `dead`. */
static inline __attribute__((always_inline)) uint64_t alu(
	struct vcpu *c, enum alu_op op, unsigned bits, uint64_t a, uint64_t b, bool dead)
{
	uint64_t r;
	switch (op) {
	case ALU_ADD:
		r = a + b;
		break;
	case ALU_ADC:
		r = a + b + flag_cf(c);
		break;
	case ALU_SUB:
	case ALU_CMP:
		r = a - b;
		break;
	case ALU_SBB:
		r = a - b - flag_cf(c);
		break;
	case ALU_OR:
		r = a | b;
		break;
	case ALU_XOR:
		r = a ^ b;
		break;
	default:
		r = a & b;
		break;
	}
	if (dead)
		return r;
	c->lazy[0] = (uint64_t)sx(r, bits);
	if (op == ALU_ADD || op == ALU_ADC || op == ALU_SUB || op == ALU_CMP || op == ALU_SBB) {
		c->lazy[1] = a;
		c->lazy[2] = b;
		c->lazy[3] = LAZY(op == ALU_ADD || op == ALU_ADC ? LAZY_ADD : LAZY_SUB, bits);
	} else {
		c->lazy[3] = LAZY(LAZY_LOGIC, bits);
	}
	return r;
}

/* INC and DEC keep CF. */
static inline __attribute__((always_inline)) uint64_t alu_step(
	struct vcpu *c, bool inc, unsigned bits, uint64_t a, bool dead)
{
	uint64_t r = inc ? a + 1 : a - 1;
	if (dead)
		return r;
	uint64_t cf = flag_cf(c);
	flags_lazy(c, LAZY(inc ? LAZY_INC : LAZY_DEC, bits) | cf << 16, sx(r, bits), a, 1);
	return r;
}

static inline void flags_cfof(struct vcpu *c, unsigned bits, uint64_t r, unsigned cf, unsigned of)
{
	c->lazy[0] = (uint64_t)sx(r, bits);
	c->lazy[3] = LAZY(LAZY_CFOF, bits) | (uint64_t)(cf & 1) << 16 | (uint64_t)(of & 1) << 17;
}

enum shift_op { SHIFT_SHL, SHIFT_SHR, SHIFT_SAR };

/* n is masked by the caller and not 0; n may exceed 8- and 16-bit operands. */
static inline __attribute__((always_inline)) uint64_t alu_shift(
	struct vcpu *c, enum shift_op op, unsigned bits, uint64_t a, unsigned n, bool dead)
{
	uint64_t r;
	unsigned cf, of;
	switch (op) {
	case SHIFT_SHL:
		r = a << n;
		cf = n <= bits ? a >> (bits - n) & 1 : 0;
		of = (r >> (bits - 1) & 1) ^ cf;
		break;
	case SHIFT_SHR:
		a = zx(a, bits);
		r = a >> n;
		cf = a >> (n - 1) & 1;
		of = a >> (bits - 1) & 1;
		break;
	default:
		r = (uint64_t)(sx(a, bits) >> n);
		cf = (unsigned)(sx(a, bits) >> (n - 1)) & 1;
		of = 0;
		break;
	}
	if (!dead)
		flags_cfof(c, bits, r, cf, of);
	return r;
}

#endif

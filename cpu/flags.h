/* Lazy arithmetic flags.
 *
 * c->lazy holds the last flag-setting operation until someone asks:
 *   lazy[0]  result, sign-extended from its size: ZF, SF and PF need no more
 *   lazy[1]  first operand (ADD, SUB)    upper bits beyond the size are junk
 *   lazy[2]  second operand (ADD, SUB)
 *   lazy[3]  LAZY_* | bits << 8 | CF << 16 | OF << 17
 * LAZY_NONE: c->rflags is complete. The other bits of rflags always are.
 */
#ifndef CPU_FLAGS_H
#define CPU_FLAGS_H

#include "cpu/vcpu.h"

enum lazy_kind {
	LAZY_NONE,
	LAZY_LOGIC, /* CF = OF = AF = 0 */
	LAZY_ADD,   /* also ADC: the carries follow from operands and result */
	LAZY_SUB,   /* also SBB, CMP, NEG */
	LAZY_INC,   /* as ADD of 1, but CF is kept in bit 16 */
	LAZY_DEC,
	LAZY_CFOF   /* CF and OF in bits 16 and 17, AF = 0 */
};

#define LAZY(kind, bits) ((uint64_t)(kind) | (uint64_t)(bits) << 8)

/* Carry (or borrow) out of every bit position. */
static inline uint64_t carries_add(uint64_t a, uint64_t b, uint64_t r)
{
	return (a & b) | ((a | b) & ~r);
}

static inline uint64_t carries_sub(uint64_t a, uint64_t b, uint64_t r)
{
	return (~a & b) | ((~a | b) & r);
}

static inline uint64_t lazy_carries(const struct vcpu *c, bool add)
{
	return add ? carries_add(c->lazy[1], c->lazy[2], c->lazy[0])
		   : carries_sub(c->lazy[1], c->lazy[2], c->lazy[0]);
}

/* CF as 0 or 1. */
static inline unsigned flag_cf(const struct vcpu *c)
{
	unsigned bits = c->lazy[3] >> 8 & 0xff;
	switch (c->lazy[3] & 0xff) {
	case LAZY_NONE:
		return c->rflags & 1;
	case LAZY_LOGIC:
		return 0;
	case LAZY_ADD:
		return lazy_carries(c, true) >> (bits - 1) & 1;
	case LAZY_SUB:
		return lazy_carries(c, false) >> (bits - 1) & 1;
	default:
		return c->lazy[3] >> 16 & 1;
	}
}

/* The six arithmetic flags in their places. */
static inline uint32_t flags_arith(const struct vcpu *c)
{
	unsigned kind = c->lazy[3] & 0xff, bits = c->lazy[3] >> 8 & 0xff;
	uint64_t r = c->lazy[0], v = 0;
	uint32_t f;
	if (kind == LAZY_NONE)
		return c->rflags & FLAGS_ARITH;
	f = (r == 0 ? FLAG_ZF : 0) | (r >> 63 ? FLAG_SF : 0) |
		(__builtin_parity((uint8_t)r) ? 0 : FLAG_PF);
	if (kind == LAZY_LOGIC)
		return f;
	if (kind == LAZY_CFOF)
		return f | (c->lazy[3] >> 16 & 1 ? FLAG_CF : 0) | (c->lazy[3] >> 17 & 1 ? FLAG_OF : 0);
	v = lazy_carries(c, kind == LAZY_ADD || kind == LAZY_INC);
	if (kind >= LAZY_INC)
		f |= c->lazy[3] >> 16 & 1 ? FLAG_CF : 0;
	else
		f |= v >> (bits - 1) & 1 ? FLAG_CF : 0;
	f |= ((v >> (bits - 1)) ^ (v >> (bits - 2))) & 1 ? FLAG_OF : 0;
	return f | (v & 8 ? FLAG_AF : 0);
}

/* Completes c->rflags. */
static inline __attribute__((always_inline)) void flags_sync(struct vcpu *c)
{
	if ((c->lazy[3] & 0xff) != LAZY_NONE) {
		c->rflags = (c->rflags & ~(uint64_t)FLAGS_ARITH) | flags_arith(c);
		c->lazy[3] = LAZY_NONE;
	}
}

/* Replaces the flags of `mask` by those of `value`; completes c->rflags. */
static inline void flags_put(struct vcpu *c, uint32_t mask, uint32_t value)
{
	flags_sync(c);
	c->rflags = (c->rflags & ~(uint64_t)mask) | (value & mask);
}

static inline void flags_lazy(struct vcpu *c, uint64_t kind, int64_t r, uint64_t a, uint64_t b)
{
	c->lazy[0] = (uint64_t)r;
	c->lazy[1] = a;
	c->lazy[2] = b;
	c->lazy[3] = kind;
}

/* The sixteen conditions, by the low four bits of the opcode; 0 or 1. */
static inline bool flags_cond(const struct vcpu *c, unsigned cc)
{
	uint32_t f;
	bool r;
	switch (cc >> 1) {
	case 1:
		r = flag_cf(c);
		return r ^ (cc & 1);
	case 2:
		r = (c->lazy[3] & 0xff) ? c->lazy[0] == 0 : (c->rflags & FLAG_ZF) != 0;
		return r ^ (cc & 1);
	case 4:
		r = (c->lazy[3] & 0xff) ? c->lazy[0] >> 63 : (c->rflags & FLAG_SF) != 0;
		return r ^ (cc & 1);
	default:
		break;
	}
	f = flags_arith(c);
	switch (cc >> 1) {
	case 0:
		r = (f & FLAG_OF) != 0;
		break;
	case 3:
		r = (f & (FLAG_CF | FLAG_ZF)) != 0;
		break;
	case 5:
		r = (f & FLAG_PF) != 0;
		break;
	case 6:
		r = ((f >> 7) ^ (f >> 11)) & 1;
		break;
	default:
		r = (((f >> 7) ^ (f >> 11)) & 1) | ((f >> 6) & 1);
		break;
	}
	return r ^ (cc & 1);
}

#endif

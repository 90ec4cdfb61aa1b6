/* Pieces that translations of integer instructions share: operands of the guest,
 * and instructions of the host that take a size. For cpu/jit_int.c and
 * cpu/jit_mov.c. */
#ifndef CPU_JIT_FORMS_H
#define CPU_JIT_FORMS_H

#include "cpu/jit_code.h"

/* The opcode's byte form when `size` is 1. */
static inline unsigned sized(unsigned opcode, unsigned size)
{
	return size == 1 ? opcode & ~1u : opcode;
}

static inline void op_rm(struct segment *s, unsigned opcode, unsigned size, unsigned reg, unsigned base)
{
	put_mem(s, size, sized(opcode, size), reg, base, 0, size == 1);
}

static inline void put_imm(struct segment *s, unsigned size, uint64_t imm)
{
	put8(s, (unsigned)imm);
	if (size > 1)
		put8(s, (unsigned)(imm >> 8));
	if (size > 2) {
		put8(s, (unsigned)(imm >> 16));
		put8(s, (unsigned)(imm >> 24));
	}
}

static inline bool is_reg(const struct insn *i, unsigned n)
{
	return i->op[n].kind == OPND_GPR;
}

static inline bool is_mem(const struct insn *i, unsigned n)
{
	return i->op[n].kind == OPND_MEM;
}

static inline uint64_t small_imm(const struct insn *i, unsigned size)
{
	return size == 8 ? i->imm : size == 4 ? (uint64_t)(int64_t)(int32_t)i->imm
		: size == 2                   ? (uint64_t)(int64_t)(int16_t)i->imm
					      : (uint64_t)(int64_t)(int8_t)i->imm;
}

static inline void load(struct segment *s, unsigned size, unsigned to)
{
	unsigned op = size == 1 ? 0x0fb6 : size == 2 ? 0x0fb7 : 0x8b;
	put_mem(s, size == 8 ? 8 : 4, op, to, H_T0, 0, false);
}

/* The register that holds the second operand, a register's or loaded from memory. */
static inline unsigned source_in(struct segment *s, const struct insn *i, unsigned size)
{
	if (!is_mem(i, 1))
		return reg_in(s, i->op[1].reg);
	mem_address(s, i);
	mem_lookup(s, size, false);
	load(s, size, H_T1);
	return H_T1;
}

static inline void shift_put(struct segment *s, unsigned digit, unsigned size, unsigned a, unsigned n)
{
	put_rr(s, size, sized(0xc1, size), digit, a, size == 1 ? 2 : 0);
	put8(s, n);
}

/* The top bit of a, in ECX. */

#endif

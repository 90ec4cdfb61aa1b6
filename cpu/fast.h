/* What fast handlers are made of.
 *
 * A handler body is an always-inline function with constant parameters
 * (operation, size in bits, kind of address); macros make the instances and
 * the tables that binders choose from. A handler that misses the TLB tail-calls
 * op_miss_read or op_miss_write, which fill and run it again, or run the row's
 * slow function; so nothing is written before the access has succeeded.
 */
#ifndef CPU_FAST_H
#define CPU_FAST_H

#include "cpu/alu.h"
#include "cpu/insn_table.h"
#include "cpu/run.h"

#define FAST_FN static inline __attribute__((always_inline)) void

/* Kinds of address. ADDR_A keeps the address in imm and an immediate in disp. */
enum fast_addr {
	ADDR_B,   /* base + disp, 64 bits, no segment base */
	ADDR_F,   /* base + index << scale + disp + segment base, 64 bits */
	ADDR_W,   /* the same, cut to 32 bits */
	ADDR_A,   /* imm + segment base */
	ADDR_SLOW /* limits, alignment checks, 16-bit addresses: not here */
};

static inline __attribute__((always_inline)) uint64_t reg_get(
	const struct vcpu *c, unsigned off, unsigned bits)
{
	const void *p = (const char *)c + off;
	switch (bits) {
	case 8:
		return *(const m8 *)p;
	case 16:
		return *(const m16 *)p;
	case 32:
		return *(const m32 *)p;
	default:
		return *(const m64 *)p;
	}
}

static inline __attribute__((always_inline)) void reg_put(
	struct vcpu *c, unsigned off, unsigned bits, uint64_t v)
{
	void *p = (char *)c + off;
	switch (bits) {
	case 8:
		*(m8 *)p = (uint8_t)v;
		break;
	case 16:
		*(m16 *)p = (uint16_t)v;
		break;
	case 32:
		*(m64 *)p = (uint32_t)v;
		break;
	default:
		*(m64 *)p = v;
		break;
	}
}

static inline __attribute__((always_inline)) uint64_t mem_get(const void *p, unsigned bits)
{
	switch (bits) {
	case 8:
		return *(const m8 *)p;
	case 16:
		return *(const m16 *)p;
	case 32:
		return *(const m32 *)p;
	default:
		return *(const m64 *)p;
	}
}

static inline __attribute__((always_inline)) void mem_put(void *p, unsigned bits, uint64_t v)
{
	switch (bits) {
	case 8:
		*(m8 *)p = (uint8_t)v;
		break;
	case 16:
		*(m16 *)p = (uint16_t)v;
		break;
	case 32:
		*(m32 *)p = (uint32_t)v;
		break;
	default:
		*(m64 *)p = v;
		break;
	}
}

static inline __attribute__((always_inline)) uint64_t fast_at(
	const struct vcpu *c, const struct op *o, enum fast_addr a)
{
	switch (a) {
	case ADDR_B:
		return reg_get(c, o->base, 64) + (uint64_t)(int64_t)o->disp;
	case ADDR_F:
		return op_linear(c, o);
	case ADDR_W:
		return (uint32_t)op_linear(c, o);
	default:
		return o->imm + reg_get(c, o->seg, 64);
	}
}

static inline __attribute__((always_inline)) uint64_t fast_imm(
	const struct op *o, enum fast_addr a)
{
	return a == ADDR_A ? (uint64_t)(int64_t)o->disp : o->imm;
}

/* Declares `p`, the host memory of the operand at `at`, or leaves. */
#define MEM_READ(c, o, a, bits)                                \
	uint64_t at = fast_at(c, o, a);                        \
	void *p = tlb_host_read((c)->tlb, at, (bits) / 8);     \
	if (__builtin_expect(!p, 0))                           \
	return op_miss_read(c, o, at)

#define MEM_WRITE(c, o, a, bits)                               \
	uint64_t at = fast_at(c, o, a);                        \
	void *p = tlb_host_write((c)->tlb, at, (bits) / 8);    \
	if (__builtin_expect(!p, 0))                           \
	return op_miss_write(c, o, at)

/* Offset of a register operand in struct vcpu. */
static inline uint8_t fast_reg(const struct insn_operand *r)
{
	return (uint8_t)(offsetof(struct vcpu, gpr) + 8u * r->reg + r->high8);
}

/* 0..3 for 1, 2, 4, 8 bytes. */
static inline unsigned fast_size(unsigned bytes)
{
	return bytes == 1 ? 0 : bytes == 2 ? 1 : bytes == 4 ? 2 : 3;
}

/* Chooses the kind of address for i's memory operand and fills the slots;
 * `imm` is the instruction's immediate (0 without one). */
enum fast_addr fast_mem(struct vcpu *c, const struct insn *i, struct op *o, uint64_t imm);

static inline bool fast_is_reg(const struct insn *i, unsigned n)
{
	return i->op[n].kind == OPND_GPR;
}

/* Code with flat CS, where branches need no limit check; 64-bit or 32-bit. */
static inline bool fast_flat_code(const struct vcpu *c)
{
	uint32_t m = c->engine->mode;
	return m & MODE_CODE64 || (m & MODE_CODE32 && m >> (MODE_FLAT_SHIFT + SEG_CS) & 1);
}

/* A stack of the code's width whose accesses need no check. */
static inline bool fast_flat_stack(const struct vcpu *c)
{
	uint32_t m = c->engine->mode;
	if (m & MODE_ALIGN)
		return false;
	return m & MODE_CODE64 ||
		((m & MODE_CODE32) && (m & MODE_SS32) && m >> (MODE_FLAT_SHIFT + SEG_SS) & 1);
}

/* Goes on at `target`, by the cache of indirect jumps. */
FAST_FN jump_to(struct vcpu *c, uint64_t target)
{
	uint64_t gen = c->code_gen;
	const struct jcache *j = &c->engine->jc[jcache_slot(target, gen)];
	if (__builtin_expect(j->rip == target && j->gen == gen, 1))
		BLOCK_ENTER(c, j->to);
	c->rip = target;
}

static inline void fast_produced(struct vcpu *c, enum lazy_kind kind, unsigned bits)
{
	c->engine->produced = LAZY(kind, bits);
}

/* Condition cc, when what left the flags is known (cond_sub, cond_logic: of
 * results alone) or not. */
static inline __attribute__((always_inline)) bool cond_sub(
	const struct vcpu *c, unsigned bits, unsigned cc)
{
	int64_t sa = sx(c->lazy[1], bits), sb = sx(c->lazy[2], bits);
	uint64_t a = zx(c->lazy[1], bits), b = zx(c->lazy[2], bits), r = c->lazy[0];
	bool v;
	switch (cc >> 1) {
	case 0:
		v = ((c->lazy[1] ^ c->lazy[2]) & (c->lazy[1] ^ r)) >> (bits - 1) & 1;
		break;
	case 1:
		v = a < b;
		break;
	case 2:
		v = r == 0;
		break;
	case 3:
		v = a <= b;
		break;
	case 4:
		v = r >> 63;
		break;
	case 5:
		v = !__builtin_parity((uint8_t)r);
		break;
	case 6:
		v = sa < sb;
		break;
	default:
		v = sa <= sb;
		break;
	}
	return v ^ (cc & 1);
}

static inline __attribute__((always_inline)) bool cond_logic(const struct vcpu *c, unsigned cc)
{
	int64_t r = (int64_t)c->lazy[0];
	bool v;
	switch (cc >> 1) {
	case 0:
	case 1:
		v = false;
		break;
	case 2:
	case 3:
		v = r == 0;
		break;
	case 5:
		v = !__builtin_parity((uint8_t)r);
		break;
	case 4:
	case 6:
		v = r < 0;
		break;
	default:
		v = r <= 0;
		break;
	}
	return v ^ (cc & 1);
}

/* 0 unknown, 1 results alone, 2..5 SUB of 8, 16, 32, 64 bits. */
static inline unsigned fast_cond(const struct vcpu *c, unsigned cc)
{
	unsigned kind = c->engine->producer & 0xff, bits = c->engine->producer >> 8 & 0xff;
	if (kind == LAZY_SUB)
		return 2 + fast_size(bits / 8);
	if (kind == LAZY_LOGIC)
		return 1;
	/* ZF, SF and PF come from the result, whatever made it */
	if (kind != LAZY_NONE && (cc >> 1 == 2 || cc >> 1 == 4 || cc >> 1 == 5))
		return 1;
	return 0;
}

#endif

/* Fast multiplication and division, bit tests and scans, exchanges. */
#include "cpu/fast.h"

#include "cpu/mnemonic.h"

typedef __int128 s128;
typedef unsigned __int128 u128;

#define CELLS(f) {f##B, f##F, f##W, f##A}
#define EACH_ADDR(M, ...) \
	M(__VA_ARGS__, B) M(__VA_ARGS__, F) M(__VA_ARGS__, W) M(__VA_ARGS__, A)

/* --- multiplication */

static inline __attribute__((always_inline)) uint64_t imul(
	struct vcpu *c, unsigned bits, uint64_t a, uint64_t b, bool dead)
{
	if (dead)
		return a * b;
	s128 r = (s128)sx(a, bits) * sx(b, bits);
	bool big = r != (s128)sx((uint64_t)r, bits);
	flags_cfof(c, bits, (uint64_t)r, big, big);
	return (uint64_t)r;
}

FAST_FN do_imul_r(struct vcpu *c, const struct op *o, unsigned bits, bool imm, bool dead)
{
	uint64_t a = reg_get(c, o->src, bits), b = imm ? o->imm : reg_get(c, o->dst, bits);
	reg_put(c, o->dst, bits, imul(c, bits, a, b, dead));
	OP_NEXT(c, o);
}

FAST_FN do_imul_m(struct vcpu *c, const struct op *o, unsigned bits, enum fast_addr a)
{
	MEM_READ(c, o, a, bits);
	reg_put(c, o->dst, bits, imul(c, bits, mem_get(p, bits), reg_get(c, o->dst, bits), false));
	OP_NEXT(c, o);
}

#define MAKE_IMUL_M(bits, a)                                             \
	static void imul_m##bits##a(struct vcpu *c, const struct op *o)  \
	{                                                                \
		do_imul_m(c, o, bits, ADDR_##a);                         \
	}
#define MAKE_IMUL(bits)                                                 \
	static void imul_r##bits(struct vcpu *c, const struct op *o)    \
	{                                                               \
		do_imul_r(c, o, bits, false, false);                    \
	}                                                               \
	static void imul_rd##bits(struct vcpu *c, const struct op *o)   \
	{                                                               \
		do_imul_r(c, o, bits, false, true);                     \
	}                                                               \
	static void imul_i##bits(struct vcpu *c, const struct op *o)    \
	{                                                               \
		do_imul_r(c, o, bits, true, false);                     \
	}                                                               \
	static void imul_id##bits(struct vcpu *c, const struct op *o)   \
	{                                                               \
		do_imul_r(c, o, bits, true, true);                      \
	}                                                               \
	EACH_ADDR(MAKE_IMUL_M, bits)
MAKE_IMUL(32)
MAKE_IMUL(64)

FAST_FN do_mul(struct vcpu *c, const struct op *o, unsigned bits, bool is_signed)
{
	uint64_t a = c->gpr[RAX], b = reg_get(c, o->src, bits), lo, hi;
	bool big;
	if (is_signed) {
		s128 r = (s128)sx(a, bits) * sx(b, bits);
		lo = (uint64_t)r;
		hi = (uint64_t)(r >> bits);
		big = r != (s128)sx(lo, bits);
	} else {
		u128 r = (u128)zx(a, bits) * b;
		lo = (uint64_t)r;
		hi = (uint64_t)(r >> bits);
		big = zx(hi, bits) != 0;
	}
	reg_put(c, offsetof(struct vcpu, gpr) + 8 * RAX, bits, lo);
	reg_put(c, offsetof(struct vcpu, gpr) + 8 * RDX, bits, hi);
	flags_cfof(c, bits, lo, big, big);
	OP_NEXT(c, o);
}

static void mul32(struct vcpu *c, const struct op *o)
{
	do_mul(c, o, 32, false);
}
static void mul64(struct vcpu *c, const struct op *o)
{
	do_mul(c, o, 64, false);
}
static void smul32(struct vcpu *c, const struct op *o)
{
	do_mul(c, o, 32, true);
}
static void smul64(struct vcpu *c, const struct op *o)
{
	do_mul(c, o, 64, true);
}

bool bind_mul(struct vcpu *c, const struct insn *i, struct op *o)
{
	bool is_signed = i->mnemonic == ZYDIS_MNEMONIC_IMUL, wide = i->op[0].size == 8;
	if (!fast_is_reg(i, 0) || i->op[0].size < 4)
		return false;
	o->src = fast_reg(&i->op[0]);
	o->run = is_signed ? (wide ? smul64 : smul32) : wide ? mul64 : mul32;
	fast_produced(c, LAZY_CFOF, i->op[0].size * 8u);
	return true;
}

bool bind_imul(struct vcpu *c, const struct insn *i, struct op *o)
{
	static op_fn *const m[2][4] = {CELLS(imul_m32), CELLS(imul_m64)};
	bool wide = i->op[0].size == 8, dead = c->engine->flags_dead;
	if (i->operands == 1)
		return bind_mul(c, i, o);
	if (i->op[0].size < 4)
		return false;
	fast_produced(c, LAZY_CFOF, i->op[0].size * 8u);
	o->dst = fast_reg(&i->op[0]);
	if (fast_is_reg(i, 1)) {
		o->src = fast_reg(&i->op[1]);
		if (i->operands == 3) {
			o->imm = i->imm;
			o->run = dead ? (wide ? imul_id64 : imul_id32) : wide ? imul_i64 : imul_i32;
		} else {
			o->run = dead ? (wide ? imul_rd64 : imul_rd32) : wide ? imul_r64 : imul_r32;
		}
		return true;
	}
	if (i->operands == 3)
		return false;
	enum fast_addr a = fast_mem(c, i, o, 0);
	if (a != ADDR_SLOW)
		o->run = m[wide][a];
	return a != ADDR_SLOW;
}

/* --- division by a register; overflow and zero take the slow way */

static void div32(struct vcpu *c, const struct op *o)
{
	uint64_t n = c->gpr[RDX] << 32 | (uint32_t)c->gpr[RAX];
	uint32_t d = (uint32_t)reg_get(c, o->src, 32);
	if ((uint32_t)c->gpr[RDX] >= d)
		return op_fallback(c, o);
	c->gpr[RAX] = n / d;
	c->gpr[RDX] = n % d;
	OP_NEXT(c, o);
}

static void div64(struct vcpu *c, const struct op *o)
{
	uint64_t d = reg_get(c, o->src, 64), q, r;
	if (c->gpr[RDX] >= d)
		return op_fallback(c, o);
	__asm__("divq %4" : "=a"(q), "=d"(r) : "0"(c->gpr[RAX]), "1"(c->gpr[RDX]), "r"(d) : "cc");
	c->gpr[RAX] = q;
	c->gpr[RDX] = r;
	OP_NEXT(c, o);
}

static void idiv32(struct vcpu *c, const struct op *o)
{
	int64_t n = (int64_t)(c->gpr[RDX] << 32 | (uint32_t)c->gpr[RAX]);
	int32_t d = (int32_t)reg_get(c, o->src, 32);
	if (d == 0 || (n == INT64_MIN && d == -1) || n / d != (int32_t)(n / d))
		return op_fallback(c, o);
	c->gpr[RAX] = (uint32_t)(n / d);
	c->gpr[RDX] = (uint32_t)(n % d);
	OP_NEXT(c, o);
}

/* Only dividends that are sign-extended from 64 bits. */
static void idiv64(struct vcpu *c, const struct op *o)
{
	int64_t n = (int64_t)c->gpr[RAX], d = (int64_t)reg_get(c, o->src, 64);
	if ((uint64_t)(n >> 63) != c->gpr[RDX] || d == 0 || (n == INT64_MIN && d == -1))
		return op_fallback(c, o);
	c->gpr[RAX] = (uint64_t)(n / d);
	c->gpr[RDX] = (uint64_t)(n % d);
	OP_NEXT(c, o);
}

bool bind_div(struct vcpu *c, const struct insn *i, struct op *o)
{
	bool wide = i->op[0].size == 8;
	(void)c;
	if (!fast_is_reg(i, 0) || i->op[0].size < 4)
		return false;
	o->src = fast_reg(&i->op[0]);
	if (i->mnemonic == ZYDIS_MNEMONIC_DIV)
		o->run = wide ? div64 : div32;
	else
		o->run = wide ? idiv64 : idiv32;
	return true;
}

/* --- bits of registers */

FAST_FN do_bt(struct vcpu *c, const struct op *o, unsigned bits, unsigned mnemonic, bool imm)
{
	unsigned n = (unsigned)(imm ? o->aux : reg_get(c, o->src, 8)) & (bits - 1);
	uint64_t v = reg_get(c, o->dst, bits), bit = UINT64_C(1) << n;
	flags_put(c, FLAG_CF, v >> n & 1);
	if (mnemonic != ZYDIS_MNEMONIC_BT)
		reg_put(c, o->dst, bits,
			mnemonic == ZYDIS_MNEMONIC_BTS         ? v | bit
				: mnemonic == ZYDIS_MNEMONIC_BTR ? v & ~bit
								 : v ^ bit);
	OP_NEXT(c, o);
}

#define MAKE_BT(name, what, bits)                                        \
	static void name##_r##bits(struct vcpu *c, const struct op *o)   \
	{                                                                \
		do_bt(c, o, bits, ZYDIS_MNEMONIC_##what, false);         \
	}                                                                \
	static void name##_i##bits(struct vcpu *c, const struct op *o)   \
	{                                                                \
		do_bt(c, o, bits, ZYDIS_MNEMONIC_##what, true);          \
	}
#define MAKE_BTS(name, what) MAKE_BT(name, what, 32) MAKE_BT(name, what, 64)
MAKE_BTS(bt, BT)
MAKE_BTS(bts, BTS)
MAKE_BTS(btr, BTR)
MAKE_BTS(btc, BTC)

bool bind_bt(struct vcpu *c, const struct insn *i, struct op *o)
{
#define BT_ROW(n) {{n##_r32, n##_i32}, {n##_r64, n##_i64}}
	static op_fn *const table[4][2][2] = {BT_ROW(bt), BT_ROW(bts), BT_ROW(btr), BT_ROW(btc)};
	unsigned k = i->mnemonic == ZYDIS_MNEMONIC_BT ? 0
		: i->mnemonic == ZYDIS_MNEMONIC_BTS   ? 1
		: i->mnemonic == ZYDIS_MNEMONIC_BTR   ? 2
						      : 3;
	(void)c;
	if (!fast_is_reg(i, 0) || i->op[0].size < 4)
		return false;
	bool imm = i->op[1].kind == OPND_IMM;
	o->dst = fast_reg(&i->op[0]);
	o->aux = (uint16_t)i->imm;
	if (!imm)
		o->src = fast_reg(&i->op[1]);
	o->run = table[k][i->op[0].size == 8][imm];
	return true;
}

#define MAKE_SCAN(name, bits, value)                                                       \
	static void name##bits(struct vcpu *c, const struct op *o)                         \
	{                                                                                  \
		uint64_t v = reg_get(c, o->src, bits);                                     \
		flags_put(c, FLAGS_ARITH, v ? 0 : FLAG_ZF | FLAG_PF);                      \
		if (v)                                                                     \
			reg_put(c, o->dst, bits, value);                                   \
		OP_NEXT(c, o);                                                             \
	}
MAKE_SCAN(bsf, 32, (unsigned)__builtin_ctzll(v))
MAKE_SCAN(bsf, 64, (unsigned)__builtin_ctzll(v))
MAKE_SCAN(bsr, 32, 63u - (unsigned)__builtin_clzll(v))
MAKE_SCAN(bsr, 64, 63u - (unsigned)__builtin_clzll(v))

bool bind_bsf(struct vcpu *c, const struct insn *i, struct op *o)
{
	bool wide = i->op[0].size == 8;
	(void)c;
	if (!fast_is_reg(i, 1) || i->op[0].size < 4)
		return false;
	o->dst = fast_reg(&i->op[0]);
	o->src = fast_reg(&i->op[1]);
	if (i->mnemonic == ZYDIS_MNEMONIC_BSF)
		o->run = wide ? bsf64 : bsf32;
	else
		o->run = wide ? bsr64 : bsr32;
	return true;
}

static void bswap32(struct vcpu *c, const struct op *o)
{
	reg_put(c, o->dst, 32, __builtin_bswap32((uint32_t)reg_get(c, o->dst, 32)));
	OP_NEXT(c, o);
}

static void bswap64(struct vcpu *c, const struct op *o)
{
	reg_put(c, o->dst, 64, __builtin_bswap64(reg_get(c, o->dst, 64)));
	OP_NEXT(c, o);
}

bool bind_bswap(struct vcpu *c, const struct insn *i, struct op *o)
{
	(void)c;
	o->dst = fast_reg(&i->op[0]);
	o->run = i->op[0].size == 8 ? bswap64 : bswap32;
	return i->op[0].size >= 4;
}

/* --- exchanges, 32 and 64 bits */

FAST_FN do_xchg_r(struct vcpu *c, const struct op *o, unsigned bits)
{
	uint64_t a = reg_get(c, o->dst, bits), b = reg_get(c, o->src, bits);
	reg_put(c, o->dst, bits, b);
	reg_put(c, o->src, bits, a);
	OP_NEXT(c, o);
}

FAST_FN do_xchg_m(struct vcpu *c, const struct op *o, unsigned bits, enum fast_addr a)
{
	MEM_WRITE(c, o, a, bits);
	uint64_t v = mem_get(p, bits);
	mem_put(p, bits, reg_get(c, o->src, bits));
	reg_put(c, o->src, bits, v);
	OP_NEXT(c, o);
}

FAST_FN do_xadd_m(struct vcpu *c, const struct op *o, unsigned bits, enum fast_addr a)
{
	MEM_WRITE(c, o, a, bits);
	uint64_t v = mem_get(p, bits);
	mem_put(p, bits, alu(c, ALU_ADD, bits, v, reg_get(c, o->src, bits), false));
	reg_put(c, o->src, bits, v);
	OP_NEXT(c, o);
}

FAST_FN do_cmpxchg_m(struct vcpu *c, const struct op *o, unsigned bits, enum fast_addr a)
{
	MEM_WRITE(c, o, a, bits);
	uint64_t old = mem_get(p, bits), acc = reg_get(c, offsetof(struct vcpu, gpr), bits);
	alu(c, ALU_CMP, bits, acc, old, false);
	if (old == acc)
		mem_put(p, bits, reg_get(c, o->src, bits));
	else
		reg_put(c, offsetof(struct vcpu, gpr), bits, old);
	OP_NEXT(c, o);
}

#define MAKE_EXCHANGE(name, bits, a)                                     \
	static void name##bits##a(struct vcpu *c, const struct op *o)    \
	{                                                                \
		do_##name(c, o, bits, ADDR_##a);                         \
	}
#define MAKE_EXCHANGES(name) EACH_ADDR(MAKE_EXCHANGE, name, 32) EACH_ADDR(MAKE_EXCHANGE, name, 64)
MAKE_EXCHANGES(xchg_m)
MAKE_EXCHANGES(xadd_m)
MAKE_EXCHANGES(cmpxchg_m)

static void xchg_r32(struct vcpu *c, const struct op *o)
{
	do_xchg_r(c, o, 32);
}
static void xchg_r64(struct vcpu *c, const struct op *o)
{
	do_xchg_r(c, o, 64);
}

static bool bind_exchange(
	struct vcpu *c, const struct insn *i, struct op *o, op_fn *const table[2][4])
{
	if (i->op[0].kind != OPND_MEM || i->op[0].size < 4)
		return false;
	o->src = fast_reg(&i->op[1]);
	enum fast_addr a = fast_mem(c, i, o, 0);
	if (a != ADDR_SLOW)
		o->run = table[i->op[0].size == 8][a];
	return a != ADDR_SLOW;
}

bool bind_xchg(struct vcpu *c, const struct insn *i, struct op *o)
{
	static op_fn *const table[2][4] = {CELLS(xchg_m32), CELLS(xchg_m64)};
	if (!fast_is_reg(i, 0) || !fast_is_reg(i, 1))
		return bind_exchange(c, i, o, table);
	if (i->op[0].size < 4)
		return false;
	o->dst = fast_reg(&i->op[0]);
	o->src = fast_reg(&i->op[1]);
	o->run = i->op[0].size == 8 ? xchg_r64 : xchg_r32;
	return true;
}

bool bind_xadd(struct vcpu *c, const struct insn *i, struct op *o)
{
	static op_fn *const table[2][4] = {CELLS(xadd_m32), CELLS(xadd_m64)};
	fast_produced(c, LAZY_ADD, i->op[0].size * 8u);
	return bind_exchange(c, i, o, table);
}

bool bind_cmpxchg(struct vcpu *c, const struct insn *i, struct op *o)
{
	static op_fn *const table[2][4] = {CELLS(cmpxchg_m32), CELLS(cmpxchg_m64)};
	fast_produced(c, LAZY_SUB, i->op[0].size * 8u);
	return bind_exchange(c, i, o, table);
}

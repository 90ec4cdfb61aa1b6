/* Multiplication and division, and the decimal adjustments. */
#include "cpu/alu.h"
#include "cpu/insn_table.h"
#include "cpu/mnemonic.h"
#include "cpu/slow.h"

typedef unsigned __int128 u128;
typedef __int128 s128;

static void put(struct vcpu *c, unsigned reg, unsigned size, bool high8, uint64_t v)
{
	const struct insn_operand o = {
		.kind = OPND_GPR, .reg = (uint8_t)reg, .size = (uint8_t)size, .high8 = high8};
	gpr_write(c, &o, v);
}

/* SF, ZF, AF and PF are undefined after multiplications: SF and PF follow the
 * low half, as on recent processors. */
enum cpu_step slow_mul(struct vcpu *c, const struct insn *i)
{
	unsigned size = i->op[0].size, bits = size * 8;
	bool is_signed = i->mnemonic == ZYDIS_MNEMONIC_IMUL;
	uint64_t b;
	enum cpu_step step = insn_read(c, i, 0, &b);
	if (step != CPU_DONE)
		return step;
	uint64_t a = c->gpr[RAX];
	u128 r = is_signed ? (u128)((s128)sx(a, bits) * sx(b, bits))
			   : (u128)zx(a, bits) * zx(b, bits);
	uint64_t lo = (uint64_t)r, hi = (uint64_t)(r >> bits);
	if (size == 1) {
		put(c, RAX, 2, false, lo);
	} else {
		put(c, RAX, size, false, lo);
		put(c, RDX, size, false, hi);
	}
	bool big = is_signed ? (s128)r != (s128)sx(lo, bits) : zx(hi, bits) != 0;
	flags_cfof(c, bits, lo, big, big);
	return CPU_DONE;
}

enum cpu_step slow_imul(struct vcpu *c, const struct insn *i)
{
	if (i->operands == 1)
		return slow_mul(c, i);
	unsigned bits = i->op[0].size * 8u;
	uint64_t a, b;
	enum cpu_step step = insn_read(c, i, i->operands == 3 ? 1 : 0, &a);
	if (step == CPU_DONE)
		step = insn_read(c, i, i->operands == 3 ? 2 : 1, &b);
	if (step != CPU_DONE)
		return step;
	s128 r = (s128)sx(a, bits) * sx(b, bits);
	bool big = r != (s128)sx((uint64_t)r, bits);
	gpr_write(c, &i->op[0], (uint64_t)r);
	flags_cfof(c, bits, (uint64_t)r, big, big);
	return CPU_DONE;
}

/* 128 by 64 bits, shift and subtract; hi < d. */
static uint64_t divide(uint64_t hi, uint64_t lo, uint64_t d, uint64_t *rem)
{
	uint64_t q;
	__asm__("divq %4" : "=a"(q), "=d"(*rem) : "0"(lo), "1"(hi), "r"(d) : "cc");
	return q;
}

static enum cpu_step div_unsigned(struct vcpu *c, unsigned size, uint64_t d)
{
	unsigned bits = size * 8;
	uint64_t lo = zx(c->gpr[RAX], bits), hi = zx(c->gpr[RDX], bits), q, r;
	if (size == 1) {
		lo = c->gpr[RAX] & 0xff;
		hi = c->gpr[RAX] >> 8 & 0xff;
	}
	if (!d || hi >= d)
		return cpu_raise(c, VEC_DE);
	if (size == 8) {
		q = divide(hi, lo, d, &r);
	} else {
		uint64_t n = hi << bits | lo;
		q = n / d;
		r = n % d;
	}
	put(c, RAX, size, false, q);
	put(c, size == 1 ? RAX : RDX, size, size == 1, r);
	return CPU_DONE;
}

static enum cpu_step div_signed(struct vcpu *c, unsigned size, int64_t d)
{
	unsigned bits = size * 8;
	s128 n;
	if (size == 1)
		n = sx(c->gpr[RAX], 16);
	else
		n = (s128)((u128)(s128)sx(c->gpr[RDX], bits) << bits | zx(c->gpr[RAX], bits));
	if (!d)
		return cpu_raise(c, VEC_DE);
	bool neg = n < 0, dneg = d < 0;
	u128 un = neg ? -(u128)n : (u128)n;
	uint64_t ud = dneg ? -(uint64_t)d : (uint64_t)d, q, r;
	uint64_t limit = UINT64_C(1) << (bits - 1);
	if ((uint64_t)(un >> 64) >= ud)
		return cpu_raise(c, VEC_DE);
	q = divide((uint64_t)(un >> 64), (uint64_t)un, ud, &r);
	if (q > limit || (q == limit && neg == dneg))
		return cpu_raise(c, VEC_DE);
	if (neg != dneg)
		q = -q;
	if (neg)
		r = -r;
	put(c, RAX, size, false, q);
	put(c, size == 1 ? RAX : RDX, size, size == 1, r);
	return CPU_DONE;
}

enum cpu_step slow_div(struct vcpu *c, const struct insn *i)
{
	unsigned size = i->op[0].size;
	uint64_t d;
	enum cpu_step step = insn_read(c, i, 0, &d);
	if (step != CPU_DONE)
		return step;
	if (i->mnemonic == ZYDIS_MNEMONIC_DIV)
		return div_unsigned(c, size, zx(d, size * 8));
	return div_signed(c, size, sx(d, size * 8));
}

/* MULX: the high half to operand 0, the low half to operand 1, no flags. */
enum cpu_step slow_mulx(struct vcpu *c, const struct insn *i)
{
	unsigned bits = i->op[0].size * 8u;
	uint64_t b;
	enum cpu_step step = insn_read(c, i, 2, &b);
	if (step != CPU_DONE)
		return step;
	u128 r = (u128)zx(c->gpr[RDX], bits) * zx(b, bits);
	gpr_write(c, &i->op[1], (uint64_t)r);
	gpr_write(c, &i->op[0], (uint64_t)(r >> bits));
	return CPU_DONE;
}

/* --- decimal */

static void set_szp(struct vcpu *c, uint8_t v, uint32_t others)
{
	uint32_t f = (v ? 0 : FLAG_ZF) | (v & 0x80 ? FLAG_SF : 0) |
		(__builtin_parity(v) ? 0 : FLAG_PF);
	flags_put(c, FLAGS_ARITH, f | others);
}

enum cpu_step slow_daa(struct vcpu *c, const struct insn *i)
{
	bool sub = i->mnemonic == ZYDIS_MNEMONIC_DAS;
	flags_sync(c);
	uint8_t old = (uint8_t)c->gpr[RAX], al = old;
	bool cf = c->rflags & FLAG_CF, af = c->rflags & FLAG_AF, carry = false;
	uint32_t f = 0;
	if ((al & 15) > 9 || af) {
		carry = cf || (sub ? al < 6 : al > 0xf9);
		al = (uint8_t)(sub ? al - 6 : al + 6);
		f |= FLAG_AF;
	}
	if (old > 0x99 || cf) {
		al = (uint8_t)(sub ? al - 0x60 : al + 0x60);
		carry = true;
	}
	put(c, RAX, 1, false, al);
	set_szp(c, al, f | (carry ? FLAG_CF : 0));
	return CPU_DONE;
}

enum cpu_step slow_aaa(struct vcpu *c, const struct insn *i)
{
	bool sub = i->mnemonic == ZYDIS_MNEMONIC_AAS;
	flags_sync(c);
	uint16_t ax = (uint16_t)c->gpr[RAX];
	uint32_t f = 0;
	if ((ax & 15) > 9 || c->rflags & FLAG_AF) {
		ax = (uint16_t)(sub ? ax - 0x106 : ax + 0x106);
		f = FLAG_AF | FLAG_CF;
	}
	put(c, RAX, 2, false, ax & 0xff0f);
	set_szp(c, (uint8_t)(ax & 15), f);
	return CPU_DONE;
}

enum cpu_step slow_aam(struct vcpu *c, const struct insn *i)
{
	uint8_t al = (uint8_t)c->gpr[RAX], d = (uint8_t)i->imm;
	if (!d)
		return cpu_raise(c, VEC_DE);
	put(c, RAX, 2, false, (uint64_t)(al / d) << 8 | al % d);
	set_szp(c, al % d, 0);
	return CPU_DONE;
}

enum cpu_step slow_aad(struct vcpu *c, const struct insn *i)
{
	uint16_t ax = (uint16_t)c->gpr[RAX];
	uint8_t al = (uint8_t)((ax & 0xff) + (ax >> 8) * (uint8_t)i->imm);
	put(c, RAX, 2, false, al);
	set_szp(c, al, 0);
	return CPU_DONE;
}

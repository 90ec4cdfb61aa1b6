/* Bit tests and scans, counts, BMI1, BMI2, CRC32. */
#include "cpu/alu.h"
#include "cpu/insn_table.h"
#include "cpu/mem.h"
#include "cpu/mnemonic.h"
#include "cpu/slow.h"

static uint64_t bit_apply(unsigned mnemonic, uint64_t v, uint64_t bit)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_BTS:
		return v | bit;
	case ZYDIS_MNEMONIC_BTR:
		return v & ~bit;
	case ZYDIS_MNEMONIC_BTC:
		return v ^ bit;
	default:
		return v;
	}
}

/* A register bit offset reaches beyond a memory operand. */
enum cpu_step slow_bt(struct vcpu *c, const struct insn *i)
{
	unsigned size = i->op[0].size, bits = size * 8;
	bool writes = i->mnemonic != ZYDIS_MNEMONIC_BT;
	uint64_t n, v = 0, off = 0;
	enum cpu_step step = insn_read(c, i, 1, &n);
	if (step != CPU_DONE)
		return step;
	if (i->op[0].kind == OPND_MEM) {
		off = insn_offset(c, i);
		if (i->op[1].kind == OPND_GPR)
			off += (uint64_t)(sx(n, bits) >> (bits == 64 ? 6 : bits == 32 ? 5 : 4)) * size;
		off = i->addrsize == 8 ? off : i->addrsize == 4 ? (uint32_t)off : (uint16_t)off;
		if (writes)
			step = cpu_mem_probe_write(c, i->seg, off, size);
		if (step == CPU_DONE)
			step = cpu_mem_read(c, i->seg, off, &v, size);
		if (step != CPU_DONE)
			return step;
	} else {
		v = gpr_read(c, &i->op[0]);
	}
	n &= bits - 1;
	uint64_t r = bit_apply(i->mnemonic, v, UINT64_C(1) << n);
	if (writes && i->op[0].kind == OPND_MEM)
		step = cpu_mem_write(c, i->seg, off, &r, size);
	else if (writes)
		gpr_write(c, &i->op[0], r);
	if (step == CPU_DONE)
		flags_put(c, FLAG_CF, v >> n & 1);
	return step;
}

/* A zero source leaves the destination as it is. */
enum cpu_step slow_bsf(struct vcpu *c, const struct insn *i)
{
	uint64_t v;
	enum cpu_step step = insn_read(c, i, 1, &v);
	if (step != CPU_DONE)
		return step;
	flags_put(c, FLAGS_ARITH, v ? 0 : FLAG_ZF | FLAG_PF);
	if (v)
		gpr_write(c, &i->op[0],
			i->mnemonic == ZYDIS_MNEMONIC_BSF ? (unsigned)__builtin_ctzll(v)
							  : 63u - (unsigned)__builtin_clzll(v));
	return CPU_DONE;
}

static unsigned popcount(uint64_t v)
{
	v = v - (v >> 1 & UINT64_C(0x5555555555555555));
	v = (v & UINT64_C(0x3333333333333333)) + (v >> 2 & UINT64_C(0x3333333333333333));
	v = (v + (v >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	return v * UINT64_C(0x0101010101010101) >> 56;
}

enum cpu_step slow_count(struct vcpu *c, const struct insn *i)
{
	unsigned bits = i->op[0].size * 8u, r;
	uint64_t v;
	enum cpu_step step = insn_read(c, i, 1, &v);
	if (step != CPU_DONE)
		return step;
	if (i->mnemonic == ZYDIS_MNEMONIC_POPCNT) {
		gpr_write(c, &i->op[0], popcount(v));
		flags_put(c, FLAGS_ARITH, v ? 0 : FLAG_ZF);
		return CPU_DONE;
	}
	if (i->mnemonic == ZYDIS_MNEMONIC_TZCNT)
		r = v ? (unsigned)__builtin_ctzll(v) : bits;
	else
		r = v ? (unsigned)__builtin_clzll(v) - (64 - bits) : bits;
	gpr_write(c, &i->op[0], r);
	flags_put(c, FLAGS_ARITH, (v ? 0 : FLAG_CF) | (r ? 0 : FLAG_ZF));
	return CPU_DONE;
}

/* Flags of the BMI1 group: SF and ZF of the result, OF 0, CF as given. */
static enum cpu_step bmi_done(struct vcpu *c, const struct insn *i, uint64_t r, bool cf)
{
	unsigned bits = i->op[0].size * 8u;
	gpr_write(c, &i->op[0], r);
	flags_cfof(c, bits, r, cf, 0);
	return CPU_DONE;
}

enum cpu_step slow_andn(struct vcpu *c, const struct insn *i)
{
	uint64_t a, b;
	enum cpu_step step = insn_read(c, i, 1, &a);
	if (step == CPU_DONE)
		step = insn_read(c, i, 2, &b);
	return step != CPU_DONE ? step : bmi_done(c, i, ~a & b, false);
}

enum cpu_step slow_bls(struct vcpu *c, const struct insn *i)
{
	uint64_t a;
	enum cpu_step step = insn_read(c, i, 1, &a);
	if (step != CPU_DONE)
		return step;
	switch (i->mnemonic) {
	case ZYDIS_MNEMONIC_BLSI:
		return bmi_done(c, i, a & -a, a != 0);
	case ZYDIS_MNEMONIC_BLSMSK:
		return bmi_done(c, i, a ^ (a - 1), a == 0);
	default:
		return bmi_done(c, i, a & (a - 1), a == 0);
	}
}

enum cpu_step slow_bextr(struct vcpu *c, const struct insn *i)
{
	uint64_t a, k;
	enum cpu_step step = insn_read(c, i, 1, &a);
	if (step == CPU_DONE)
		step = insn_read(c, i, 2, &k);
	if (step != CPU_DONE)
		return step;
	unsigned start = k & 0xff, len = k >> 8 & 0xff;
	a = start < 64 ? a >> start : 0;
	if (len < 64)
		a &= (UINT64_C(1) << len) - 1;
	return bmi_done(c, i, a, false);
}

enum cpu_step slow_bzhi(struct vcpu *c, const struct insn *i)
{
	unsigned bits = i->op[0].size * 8u;
	uint64_t a, k;
	enum cpu_step step = insn_read(c, i, 1, &a);
	if (step == CPU_DONE)
		step = insn_read(c, i, 2, &k);
	if (step != CPU_DONE)
		return step;
	k &= 0xff;
	if (k < bits)
		a &= (UINT64_C(1) << k) - 1;
	return bmi_done(c, i, a, k >= bits);
}

enum cpu_step slow_pdep(struct vcpu *c, const struct insn *i)
{
	bool dep = i->mnemonic == ZYDIS_MNEMONIC_PDEP;
	uint64_t a, mask, r = 0;
	enum cpu_step step = insn_read(c, i, 1, &a);
	if (step == CPU_DONE)
		step = insn_read(c, i, 2, &mask);
	if (step != CPU_DONE)
		return step;
	for (unsigned k = 0; mask; k++, mask &= mask - 1) {
		unsigned at = (unsigned)__builtin_ctzll(mask);
		if (dep)
			r |= (a >> k & 1) << at;
		else
			r |= (a >> at & 1) << k;
	}
	gpr_write(c, &i->op[0], r);
	return CPU_DONE;
}

/* CRC-32C, polynomial 11EDC6F41h, bits reversed. */
enum cpu_step slow_crc32(struct vcpu *c, const struct insn *i)
{
	uint64_t v;
	enum cpu_step step = insn_read(c, i, 1, &v);
	if (step != CPU_DONE)
		return step;
	uint32_t crc = (uint32_t)c->gpr[i->op[0].reg];
	for (unsigned n = 0; n < i->op[1].size * 8u; n++) {
		uint32_t bit = (crc ^ (uint32_t)(v >> n)) & 1;
		crc = crc >> 1 ^ (bit ? 0x82f63b78 : 0);
	}
	c->gpr[i->op[0].reg] = crc;
	return CPU_DONE;
}

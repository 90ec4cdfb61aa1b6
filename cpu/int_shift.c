/* Shifts and rotates. */
#include "cpu/alu.h"
#include "cpu/insn_table.h"
#include "cpu/mnemonic.h"
#include "cpu/slow.h"

enum cpu_step slow_shift(struct vcpu *c, const struct insn *i)
{
	unsigned bits = i->op[0].size * 8u;
	enum shift_op op = i->mnemonic == ZYDIS_MNEMONIC_SHL ? SHIFT_SHL
		: i->mnemonic == ZYDIS_MNEMONIC_SHR          ? SHIFT_SHR
							     : SHIFT_SAR;
	uint64_t a, n = 1;
	enum cpu_step step = slow_rmw_read(c, i, 0, &a);
	if (step == CPU_DONE && i->operands > 1)
		step = insn_read(c, i, 1, &n);
	if (step != CPU_DONE)
		return step;
	n &= bits == 64 ? 63 : 31;
	if (!n)
		return insn_write(c, i, 0, a);
	step = insn_write(c, i, 0, alu_shift(c, op, bits, a, (unsigned)n, true));
	if (step == CPU_DONE)
		alu_shift(c, op, bits, a, (unsigned)n, false);
	return step;
}

/* ROL ROR RCL RCR: only CF and OF change; nothing does when the masked count
 * is 0. */
static uint64_t rotate(
	struct vcpu *c, unsigned mnemonic, unsigned bits, uint64_t a, unsigned n, unsigned *cfof)
{
	uint64_t r = a;
	unsigned cf = flag_cf(c), of, top = bits - 1;
	bool left = mnemonic == ZYDIS_MNEMONIC_ROL || mnemonic == ZYDIS_MNEMONIC_RCL;
	if (mnemonic == ZYDIS_MNEMONIC_ROL || mnemonic == ZYDIS_MNEMONIC_ROR) {
		unsigned k = n % bits;
		if (k)
			r = left ? zx(a << k | a >> (bits - k), bits)
				 : zx(a >> k | a << (bits - k), bits);
		cf = left ? r & 1 : r >> top & 1;
	} else {
		for (unsigned k = 0; k < n; k++) {
			unsigned out = left ? r >> top & 1 : r & 1;
			r = left ? zx(r << 1 | cf, bits) : r >> 1 | (uint64_t)cf << top;
			cf = out;
		}
	}
	of = left ? (r >> top & 1) ^ cf : (r >> top & 1) ^ (r >> (top - 1) & 1);
	*cfof = (cf ? FLAG_CF : 0) | (of ? FLAG_OF : 0);
	return r;
}

enum cpu_step slow_rotate(struct vcpu *c, const struct insn *i)
{
	unsigned bits = i->op[0].size * 8u, f;
	uint64_t a, n = 1;
	enum cpu_step step = slow_rmw_read(c, i, 0, &a);
	if (step == CPU_DONE && i->operands > 1)
		step = insn_read(c, i, 1, &n);
	if (step != CPU_DONE)
		return step;
	n &= bits == 64 ? 63 : 31;
	bool carry = i->mnemonic == ZYDIS_MNEMONIC_RCL || i->mnemonic == ZYDIS_MNEMONIC_RCR;
	unsigned k = carry && bits < 32 ? (unsigned)n % (bits + 1) : (unsigned)n;
	if (!k)
		return insn_write(c, i, 0, a);
	uint64_t r = rotate(c, i->mnemonic, bits, a, k, &f);
	step = insn_write(c, i, 0, r);
	if (step == CPU_DONE)
		flags_put(c, FLAG_CF | FLAG_OF, f);
	return step;
}

enum cpu_step slow_shiftd(struct vcpu *c, const struct insn *i)
{
	unsigned bits = i->op[0].size * 8u, cf;
	bool left = i->mnemonic == ZYDIS_MNEMONIC_SHLD;
	uint64_t a, b, n, r;
	enum cpu_step step = slow_rmw_read(c, i, 0, &a);
	if (step == CPU_DONE)
		step = insn_read(c, i, 1, &b);
	if (step == CPU_DONE)
		step = insn_read(c, i, 2, &n);
	if (step != CPU_DONE)
		return step;
	n &= bits == 64 ? 63 : 31;
	if (!n)
		return insn_write(c, i, 0, a);
	if (n > bits) {
		/* undefined; silicon shifts the pair, then the source again */
		n -= bits;
		uint64_t t = a;
		a = b;
		b = t;
	}
	a = zx(a, bits);
	b = zx(b, bits);
	if (left) {
		r = n == bits ? b : a << n | b >> (bits - n);
		cf = a >> (bits - n) & 1;
	} else {
		r = n == bits ? b : a >> n | b << (bits - n);
		cf = a >> (n - 1) & 1;
	}
	step = insn_write(c, i, 0, r);
	if (step == CPU_DONE)
		flags_cfof(c, bits, r, cf, (unsigned)((r ^ a) >> (bits - 1)) & 1);
	return step;
}

/* BMI2: no flags, the count is masked to the operand. */
enum cpu_step slow_shiftx(struct vcpu *c, const struct insn *i)
{
	unsigned bits = i->op[0].size * 8u;
	uint64_t a, n, r;
	enum cpu_step step = insn_read(c, i, 1, &a);
	if (step == CPU_DONE)
		step = insn_read(c, i, 2, &n);
	if (step != CPU_DONE)
		return step;
	n &= bits - 1;
	switch (i->mnemonic) {
	case ZYDIS_MNEMONIC_SHLX:
		r = a << n;
		break;
	case ZYDIS_MNEMONIC_SHRX:
		r = a >> n;
		break;
	case ZYDIS_MNEMONIC_SARX:
		r = (uint64_t)(sx(a, bits) >> n);
		break;
	default: /* RORX */
		r = n ? a >> n | a << (bits - n) : a;
		break;
	}
	gpr_write(c, &i->op[0], r);
	return CPU_DONE;
}

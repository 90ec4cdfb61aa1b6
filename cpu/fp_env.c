/* The x87 environment in its four layouts: FLDENV, FNSTENV, FNSAVE, FRSTOR.
 * SDM Vol. 1 8.1.10 "Saving the x87 FPU's State with FSTENV/FNSTENV and
 * FSAVE/FNSAVE". */
#include "cpu/fp.h"
#include "cpu/fp_regs.h"
#include "cpu/insn_table.h"
#include "cpu/mem.h"
#include "cpu/model.h"

enum { EXCEPTIONS = 0x3f, TOP_SHIFT = 11 };

#define ENV_MAX 28
#define REGS	80

static bool real_format(const struct vcpu *c)
{
	return !(c->cr0 & CR0_PE) || (c->rflags & FLAG_VM);
}

static unsigned env_size(const struct insn *i)
{
	return i->opsize == 2 ? 14 : 28;
}

static unsigned top(struct vcpu *c)
{
	return *fp_word(c, FX_FSW) >> TOP_SHIFT & 7;
}

/* Sets FSW. The area lists registers from the top of the stack; they stay where
 * they are in the FPU, so the list turns with TOP. */
static void set_status(struct vcpu *c, uint16_t sw)
{
	unsigned turn = ((sw >> TOP_SHIFT & 7) - top(c)) & 7;
	uint8_t was[8][10];

	for (unsigned n = 0; n < 8; n++)
		for (unsigned k = 0; k < 10; k++)
			was[n][k] = fp_st(c, n)[k];
	for (unsigned n = 0; n < 8; n++)
		for (unsigned k = 0; k < 10; k++)
			fp_st(c, n)[k] = was[(n + turn) & 7][k];
	*fp_word(c, FX_FSW) = sw;
}

/* 00 valid, 01 zero, 10 special. */
static unsigned tag_of(const uint8_t *st)
{
	uint64_t mantissa = *(const uint64_t *)st;
	unsigned exponent = *(const uint16_t *)(st + 8) & 0x7fff;

	if (!exponent)
		return mantissa ? 2 : 1;
	return exponent == 0x7fff || !(mantissa >> 63) ? 2 : 0;
}

static uint16_t full_tags(struct vcpu *c)
{
	unsigned present = c->fp.area[FX_FTW], tags = 0;

	for (unsigned n = 0; n < 8; n++) {
		unsigned t = present >> n & 1 ? tag_of(fp_st(c, (n - top(c)) & 7)) : 3;
		tags |= t << 2 * n;
	}
	return (uint16_t)tags;
}

static uint8_t abridged_tags(uint16_t tags)
{
	unsigned present = 0;
	for (unsigned n = 0; n < 8; n++)
		present |= (unsigned)((tags >> 2 * n & 3) != 3) << n;
	return (uint8_t)present;
}

/* The seven fields, of 16 or 32 bits. In real-address and v8086 mode pointers
 * are linear addresses, else offsets beside selectors. */
static void env_pack(struct vcpu *c, unsigned size, uint8_t *out)
{
	uint32_t ip = *(uint32_t *)(c->fp.area + FX_FIP), dp = *(uint32_t *)(c->fp.area + FX_FDP);
	uint32_t op = *fp_word(c, FX_FOP) & 0x7ff;
	uint32_t f[7] = {*fp_word(c, FX_FCW), *fp_word(c, FX_FSW), full_tags(c)};
	bool real = real_format(c), selectors = !cpu_has(c->model, FEAT_ZERO_FCS_FDS);
	uint32_t cs = selectors ? c->fp.fcs : 0, ds = selectors ? c->fp.fds : 0;

	if (real) {
		ip += (uint32_t)c->fp.fcs << 4;
		dp += (uint32_t)c->fp.fds << 4;
	}
	f[3] = ip;
	f[5] = dp;
	if (size == 28) {
		for (unsigned n = 0; n < 3; n++)
			f[n] |= 0xffff0000;
		f[4] = real ? (ip >> 16) << 12 | op : op << 16 | cs;
		f[6] = real ? (dp >> 16) << 12 : 0xffff0000 | ds;
		if (real)
			f[3] |= 0xffff0000, f[5] |= 0xffff0000;
		for (unsigned n = 0; n < 7; n++)
			((uint32_t *)out)[n] = f[n];
		return;
	}
	f[4] = real ? (ip >> 4 & 0xf000) | op : cs;
	f[6] = real ? dp >> 4 & 0xf000 : ds;
	for (unsigned n = 0; n < 7; n++)
		((uint16_t *)out)[n] = (uint16_t)f[n];
}

static void env_unpack(struct vcpu *c, unsigned size, const uint8_t *in)
{
	uint32_t f[7], ip, dp, op;
	bool real = real_format(c);

	for (unsigned n = 0; n < 7; n++)
		f[n] = size == 28 ? ((const uint32_t *)in)[n] : ((const uint16_t *)in)[n];
	ip = f[3], dp = f[5], op = size == 28 ? f[4] >> 16 : 0;
	c->fp.fcs = real ? 0 : (uint16_t)f[4];
	c->fp.fds = real ? 0 : (uint16_t)f[6];
	if (real) {
		uint32_t mask = size == 28 ? 0xffff : 0xf;
		ip = (ip & 0xffff) | (f[4] >> 12 & mask) << 16;
		dp = (dp & 0xffff) | (f[6] >> 12 & mask) << 16;
		op = f[4];
	}
	*fp_word(c, FX_FCW) = (uint16_t)((f[0] & 0x1f3f) | 0x40);
	set_status(c, (uint16_t)f[1]);
	c->fp.area[FX_FTW] = abridged_tags((uint16_t)f[2]);
	*(uint64_t *)(c->fp.area + FX_FIP) = ip;
	*(uint64_t *)(c->fp.area + FX_FDP) = dp;
	*fp_word(c, FX_FOP) = op & 0x7ff;
	fp_summarise(c);
}

/* Memory operands here are longer than cpu_mem_* takes in one go. */
static enum cpu_step env_write(struct vcpu *c, const struct insn *i, const uint8_t *in, unsigned n)
{
	struct gva at;
	enum cpu_step s = cpu_linear(c, i->seg, insn_offset(c, i), n, true, &at);
	return s ? s : cpu_lin_write(c, at, in, n, ACCESS_DATA);
}

static enum cpu_step env_read(struct vcpu *c, const struct insn *i, uint8_t *out, unsigned n)
{
	struct gva at;
	enum cpu_step s = cpu_linear(c, i->seg, insn_offset(c, i), n, false, &at);
	return s ? s : cpu_lin_read(c, at, out, n, ACCESS_DATA);
}

enum cpu_step fp_fnstenv(struct vcpu *c, const struct insn *i)
{
	uint8_t b[ENV_MAX];
	enum cpu_step s;

	fp_leave(c);
	env_pack(c, env_size(i), b);
	s = env_write(c, i, b, env_size(i));
	if (s == CPU_DONE) {
		*fp_word(c, FX_FCW) |= EXCEPTIONS;
		fp_summarise(c);
	}
	return s;
}

enum cpu_step fp_fldenv(struct vcpu *c, const struct insn *i)
{
	uint8_t b[ENV_MAX];
	enum cpu_step s;

	fp_leave(c);
	s = fp_wait(c);
	if (s)
		return s;
	s = env_read(c, i, b, env_size(i));
	if (s == CPU_DONE)
		env_unpack(c, env_size(i), b);
	return s;
}

static void move_regs(struct vcpu *c, uint8_t *b, bool load)
{
	for (unsigned n = 0; n < 8; n++)
		for (unsigned k = 0; k < 10; k++)
			if (load)
				fp_st(c, n)[k] = b[10 * n + k];
			else
				b[10 * n + k] = fp_st(c, n)[k];
}

/* FNINIT: the registers keep their contents, tagged empty. */
static void init(struct vcpu *c)
{
	*fp_word(c, FX_FCW) = 0x37f;
	set_status(c, 0);
	c->fp.area[FX_FTW] = 0;
	*fp_word(c, FX_FOP) = 0;
	*(uint64_t *)(c->fp.area + FX_FIP) = 0;
	*(uint64_t *)(c->fp.area + FX_FDP) = 0;
	c->fp.fcs = c->fp.fds = 0;
	c->fp.ferr = false;
}

enum cpu_step fp_fnsave(struct vcpu *c, const struct insn *i)
{
	uint8_t b[ENV_MAX + REGS];
	unsigned n = env_size(i);
	enum cpu_step s;

	fp_leave(c);
	env_pack(c, n, b);
	move_regs(c, b + n, false);
	s = env_write(c, i, b, n + REGS);
	if (s == CPU_DONE)
		init(c);
	return s;
}

enum cpu_step fp_frstor(struct vcpu *c, const struct insn *i)
{
	uint8_t b[ENV_MAX + REGS];
	unsigned n = env_size(i);
	enum cpu_step s;

	fp_leave(c);
	s = fp_wait(c);
	if (s)
		return s;
	s = env_read(c, i, b, n + REGS);
	if (s != CPU_DONE)
		return s;
	env_unpack(c, n, b);
	move_regs(c, b + n, true);
	return CPU_DONE;
}

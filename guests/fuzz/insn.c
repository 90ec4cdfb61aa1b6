/* Random instructions: L2's, which are likely to exit, and VMX instructions with
 * operands of any kind. */
#include "fuzz.h"

static uint8_t *bytes(uint8_t *p, uint64_t v, unsigned n)
{
	while (n--) {
		*p++ = (uint8_t)v;
		v >>= 8;
	}
	return p;
}

/* ModRM, SIB and displacement. */
static uint8_t *modrm(struct fuzz *f, uint8_t *p, unsigned reg)
{
	uint8_t m = (uint8_t)((rnd(f) & 0xc7) | reg << 3);

	*p++ = m;
	if ((m & 0xc0) != 0xc0 && (m & 7) == 4)
		*p++ = (uint8_t)rnd(f);
	if ((m & 0xc0) == 0x40)
		*p++ = (uint8_t)rnd(f);
	if ((m & 0xc0) == 0x80 || (m & 0xc7) == 5)
		p = bytes(p, one_in(f, 2) ? 0 : rnd(f), 4);
	return p;
}

uint8_t *insn_vmx(struct fuzz *f, uint8_t *p)
{
	static const struct {
		uint8_t prefix, op[3], reg; /* reg 8: any, 9: no ModRM */
	} ops[] = {{0, {0x0f, 0x78}, 8}, {0, {0x0f, 0x79}, 8}, {0, {0x0f, 0xc7}, 6},
		{0x66, {0x0f, 0xc7}, 6}, {0xf3, {0x0f, 0xc7}, 6}, {0, {0x0f, 0xc7}, 7},
		{0x66, {0x0f, 0x38, 0x80}, 8}, {0x66, {0x0f, 0x38, 0x81}, 8},
		{0x66, {0x0f, 0x38, 0x82}, 8}, {0, {0x0f, 0x01, 0xc1}, 9}, {0, {0x0f, 0x01, 0xc2}, 9},
		{0, {0x0f, 0x01, 0xc3}, 9}, {0, {0x0f, 0x01, 0xc4}, 9}, {0, {0x0f, 0x01, 0xd4}, 9}};
	unsigned n = below(f, sizeof(ops) / sizeof(*ops)), len = ops[n].op[2] ? 3 : 2;

	if (one_in(f, 16))
		*p++ = one_in(f, 2) ? 0x67 : one_in(f, 2) ? 0x66 : 0x64;
	if (ops[n].prefix)
		*p++ = ops[n].prefix;
	if (one_in(f, 3))
		*p++ = (uint8_t)(0x40 | (rnd(f) & 15));
	for (unsigned i = 0; i < len; i++)
		*p++ = ops[n].op[i];
	if (ops[n].reg == 9)
		return p;
	return modrm(f, p, ops[n].reg == 8 ? below(f, 8) : ops[n].reg);
}

uint8_t *insn_random(struct fuzz *f, uint8_t *p)
{
	static const char *const plain[] = {"\x0f\xa2", "\xf4", "\x0f\x30", "\x0f\x32", "\x0f\x31",
		"\x0f\x01\xf9", "\x0f\x33", "\xf3\x90", "\x0f\x09", "\x0f\x08", "\x0f\x01\xc8",
		"\x0f\x01\xc9", "\x0f\x01\xd1", "\xec", "\xee", "\xed", "\xef", "\x6c", "\x6e",
		"\xf3\x6c", "\xf3\x6f", "\xcc", "\xcf", "\x48\xcf", "\xfa", "\xfb", "\x9c", "\x9d",
		"\x0f\x06", "\x0f\x05", "\x0f\x07", "\xf1", "\x0f\xaa", "\xa4", "\xf3\xa4", "\xf3\x48\xab",
		"\x0f\x01\xcb", "\x0f\x01\xca", "\xcb", "\xc3", "\x0f\x34", "\x0f\x35", "\x9b", "\xd9\xf3",
		"\x0f\xc7\xf0", "\x0f\xc7\xf8"};

	switch (below(f, 10)) {
	case 0:
	case 1:
	case 2: {
		const char *s = plain[below(f, sizeof(plain) / sizeof(*plain))];
		while (*s)
			*p++ = (uint8_t)*s++;
		return p;
	}
	case 3: /* control and debug registers */
		if (one_in(f, 8))
			*p++ = 0x44;
		*p++ = 0x0f;
		*p++ = (uint8_t)(0x20 + below(f, 4));
		*p++ = (uint8_t)(0xc0 | (rnd(f) & 0x3f));
		return p;
	case 4: /* descriptor tables, LMSW, INVLPG, INVPCID */
		*p++ = 0x0f;
		*p++ = one_in(f, 4) ? 0x00 : 0x01;
		return modrm(f, p, below(f, 8));
	case 5:
		return insn_vmx(f, p);
	case 6: /* MOV, ADD, XCHG with memory */
		if (one_in(f, 2))
			*p++ = (uint8_t)(0x48 | (rnd(f) & 7));
		*p++ = "\x89\x8b\x01\x87\xff\xa5\x88\x03"[below(f, 8)];
		return modrm(f, p, below(f, 8));
	case 7: /* a register */
		*p++ = 0x48;
		*p++ = (uint8_t)(0xb8 + below(f, 8));
		return bytes(p, value(f), 8);
	case 8: /* INT n, IN and OUT with a number, JMP back */
		*p++ = "\xcd\xe4\xe6\xe5\xe7\xeb\x6a\xb0"[below(f, 8)];
		*p++ = (uint8_t)rnd(f);
		return p;
	default:
		return bytes(p, rnd(f), 1 + below(f, 8));
	}
}

void insn_fill_l2(struct fuzz *f)
{
	uint8_t *p = (uint8_t *)(L2_CODE + f->id * 4096ul), *end = p + 4000;

	p += below(f, 64);
	for (unsigned n = 4 + below(f, 40); n-- && p < end;)
		p = insn_random(f, p);
	for (unsigned n = 0; n < 8; n++) { /* VMCALL */
		*p++ = 0x0f;
		*p++ = 0x01;
		*p++ = 0xc1;
	}
}

/* A VMX instruction of L1 with any operands; an exception ends it as well. */
void insn_run_l1(struct fuzz *f)
{
	static uint64_t gpr[CPUS][16];
	uint8_t *code = (uint8_t *)(L1_CODE + f->id * 4096ul), *p = insn_vmx(f, code);
	int64_t to = fuzz_back - (p + 5);

	*p++ = 0xe9;
	bytes(p, (uint64_t)to, 4);
	for (unsigned i = 0; i < 16; i++)
		gpr[f->id][i] = one_in(f, 3) ? state_field(f) : one_in(f, 2) ? pool_page(f) : value(f);
	fuzz_call(code, gpr[f->id]);
}

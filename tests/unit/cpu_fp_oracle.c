/* Every form of every row of cpu/insn_fp.def that runs in user mode, held
 * against the host's own processor: random registers, flags, control words
 * and memory; 64-bit and 32-bit code; faults by vector.
 *
 * The same bytes run natively at the address where the guest runs them, on
 * their own copy of the data pages. Usage: cpu_fp_oracle [states-per-form [seed]]
 */
#include <cpuid.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "cpu/decode.h"
#include "cpu/fp.h"
#include "cpu/insn_table.h"
#include "cpu/mnemonic.h"
#include "cpu/xsave.h"
#include "tests/unit/fp_guest.h"

#define STATE 0x30000000u    /* struct native */
#define BACK  (CODE + 0x800) /* the native way back */

/* --- the native side */

struct native {
	uint64_t gpr[16];
	uint64_t rflags, entry, host_rsp, vector;
	uint32_t far_entry[2];
	uint8_t area[1024] __attribute__((aligned(64)));
};

/* Absolute addresses of STATE are spelled out below. */
_Static_assert(offsetof(struct native, rflags) == 128, "");
_Static_assert(offsetof(struct native, entry) == 136, "");
_Static_assert(offsetof(struct native, host_rsp) == 144, "");
_Static_assert(offsetof(struct native, far_entry) == 160, "");
_Static_assert(offsetof(struct native, area) == 192, "");

__asm__(".pushsection .text\n"
	".macro regs op\n"
	"\\op rax, 0\n \\op rcx, 8\n \\op rdx, 16\n \\op rbx, 24\n \\op rbp, 40\n \\op rsi, 48\n"
	"\\op rdi, 56\n \\op r8, 64\n \\op r9, 72\n \\op r10, 80\n \\op r11, 88\n \\op r12, 96\n"
	"\\op r13, 104\n \\op r14, 112\n \\op r15, 120\n"
	".endm\n"
	".macro getreg r, n\n mov 0x30000000+\\n, %\\r\n .endm\n"
	".macro putreg r, n\n mov %\\r, 0x30000000+\\n\n .endm\n"
	"native_go:\n"
	"push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
	"mov %rsp, 0x30000000+144\n"
	"mov %edi, %r15d\n"
	"mov $7, %eax\n xor %edx, %edx\n xrstor64 0x30000000+192\n"
	"mov 0x30000000+32, %rsp\n"
	"test %r15d, %r15d\n"
	"pushq 0x30000000+128\n"
	"jnz 1f\n"
	"popfq\n regs getreg\n jmp *0x30000000+136\n"
	"1: popfq\n regs getreg\n ljmp *0x30000000+160\n"
	"native_back:\n"
	"regs putreg\n"
	"pushfq\n popq 0x30000000+128\n"
	"mov $7, %eax\n xor %edx, %edx\n xsave64 0x30000000+192\n"
	"mov 0x30000000+144, %rsp\n"
	"fninit\n movl $0x1f80, 0x30000000+152\n ldmxcsr 0x30000000+152\n"
	"mov 0x30000000+168, %rax\n"
	"pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n cld\n ret\n"
	"native_end: nop\n"
	".popsection\n");
void native_go(int compat);
extern const char native_back[], native_end[];

static struct native *const native = (struct native *)(uintptr_t)STATE;
static struct sigaction engine_fpe;
static uint64_t native_vector;
static bool host_pointers; /* the host's FDP and FOP follow the rules of our model */

static struct trial {
	struct form *f;
	uint8_t code[16];
	struct insn i;
	uint64_t target;
	uint64_t gpr[16], rflags;
	uint8_t area[1024];
} t;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
	uint64_t rip = (uint64_t)r[REG_RIP];

	if (rip >= CODE && rip < CODE + 32) {
		native_vector = (uint64_t)r[REG_TRAPNO] + 1;
		r[REG_RIP] = BACK;
		r[REG_CSGSFS] = (r[REG_CSGSFS] & ~0xffffll) | 0x33;
	} else if (sig == SIGFPE) {
		engine_fpe.sa_sigaction(sig, info, context);
	} else {
		dprintf(2,
			"signal %d at %#llx, rsp %#llx, address %p, code %02x %02x %02x %02x %02x "
			"%02x\n",
			sig, (unsigned long long)rip, (unsigned long long)r[REG_RSP], info->si_addr,
			t.code[0], t.code[1], t.code[2], t.code[3], t.code[4], t.code[5]);
		_exit(1);
	}
}

static void map_at(uint64_t at, size_t size, int prot)
{
	void *p = mmap((void *)(uintptr_t)at, size, prot,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (p == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
}

static void native_init(void)
{
	static const int sigs[] = {SIGSEGV, SIGFPE, SIGILL, SIGBUS, SIGTRAP};
	struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	static uint8_t stack[65536];
	stack_t ss = {.ss_size = sizeof stack, .ss_sp = stack};

	map_at(DATA, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE);
	map_at(CODE, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC);
	map_at(STATE, 4 * PAGE_SIZE, PROT_READ | PROT_WRITE);
	memcpy((void *)(uintptr_t)BACK, native_back, (size_t)(native_end - native_back));
	__asm__ volatile("mov %0, %%ds; mov %0, %%es" : : "r"(0x2b));
	sigaltstack(&ss, NULL);
	sigaction(SIGFPE, NULL, &engine_fpe);
	for (unsigned n = 0; n < sizeof sigs / sizeof sigs[0]; n++)
		sigaction(sigs[n], &sa, NULL);
}

/* --- forms */

struct form {
	uint8_t bytes[6];      /* prefixes and opcode; VEX with R, X, B and vvvv all ones */
	uint8_t len, rex, vex; /* where REX or VEX starts, +1; 0: none */
	bool mem, nds, compat;
	uint16_t row;
	uint64_t regs; /* legal (reg, rm) of ModRM, by 8 * reg + rm */
};

#define FORMS 16384
static struct form forms[FORMS];
static unsigned form_count;

/* The rows that are held against the host: all that user mode can run, but for
 * the XSAVE family, where XINUSE and the supported components are the host's
 * own (tests/unit/cpu_xsave.c, cpu_fp_gates.c). */
static bool held(const struct insn_row *r)
{
	return r->bind == fp_bind || r->slow == fp_fldenv || r->slow == fp_fnstenv ||
	       r->slow == fp_fnsave || r->slow == fp_frstor || r->slow == fp_maskmovq ||
	       r->slow == fp_maskmovdqu || r->slow == fp_maskmov || r->slow == fp_gather ||
	       r->slow == fp_ldmxcsr || r->slow == fp_stmxcsr || r->slow == fp_fxsave ||
	       r->slow == fp_fxrstor;
}

static bool ours(const struct insn *i, uint16_t *row)
{
	const struct insn_row *r = insn_row_of(i->mnemonic);
	if (!r)
		return false;
	*row = (uint16_t)(r - insn_table);
	return held(r);
}

static bool try_form(const struct form *f, uint8_t modrm, uint8_t vvvv_off, struct insn *i)
{
	uint8_t b[16] = {0};
	memcpy(b, f->bytes, f->len);
	/* registers that differ: a gather wants three */
	if (vvvv_off)
		b[f->vex + 1] &= (uint8_t) ~(6 << 3);
	b[f->len] = modrm;
	b[f->len + 1] = 3 << 3; /* SIB: index 3 */
	return insn_decode(b, 15, f->compat ? 4 : 8, true, i) == DECODE_OK;
}

/* One opcode: its memory and its register forms, by mnemonic. */
static void add_forms(struct form f)
{
	for (unsigned mem = 0; mem < 2; mem++) {
		unsigned first = form_count;
		for (unsigned m = 0; m < 64; m++) {
			uint8_t modrm = (uint8_t)(mem ? m : 0xc0 | m);
			struct insn i;
			unsigned n;
			if (mem && (m & 7) != 4 && (m & 7) != 3)
				continue; /* with SIB (gathers) and without */
			if (!try_form(&f, modrm, 0, &i) || !ours(&i, &f.row) || i.has_modrm == 0)
				continue;
			for (n = first; n < form_count && forms[n].row != f.row; n++)
				;
			if (n == form_count) {
				struct insn j;
				f.mem = mem;
				f.nds = f.vex && try_form(&f, modrm, 1, &j);
				f.regs = 0;
				forms[form_count++] = f;
			}
			forms[n].regs |= 1ull << m;
		}
	}
}

static void legacy_forms(bool compat)
{
	static const uint8_t prefix[] = {0, 0x66, 0xf2, 0xf3}, maps[] = {0, 0x38, 0x3a};
	for (unsigned p = 0; p < 4; p++)
		for (unsigned w = 0; w < (compat ? 1 : 2); w++)
			for (unsigned m = 0; m < 3; m++)
				for (unsigned op = 0; op < 256; op++) {
					struct form f = {.compat = compat};
					if (!maps[m] && (op == 0x38 || op == 0x3a))
						continue;
					if (prefix[p])
						f.bytes[f.len++] = prefix[p];
					if (!compat) {
						f.bytes[f.len++] = (uint8_t)(0x40 | w << 3);
						f.rex = f.len;
					}
					f.bytes[f.len++] = 0x0f;
					if (maps[m])
						f.bytes[f.len++] = maps[m];
					f.bytes[f.len++] = (uint8_t)op;
					add_forms(f);
				}
	for (unsigned op = 0xd8; op < 0xe0; op++) {
		add_forms((struct form){.bytes = {(uint8_t)op}, .len = 1, .compat = compat});
		add_forms((struct form){.bytes = {0x66, (uint8_t)op}, .len = 2, .compat = compat});
	}
}

static void vex_forms(bool compat)
{
	for (unsigned m = 1; m < 4; m++)
		for (unsigned wlp = 0; wlp < 16; wlp++)
			for (unsigned op = 0; op < 256; op++)
				add_forms((struct form){
					.bytes = {0xc4, (uint8_t)(0xe0 | m),
						(uint8_t)((wlp & 8) << 4 | 0x78 | (wlp & 7)),
						(uint8_t)op},
					.len = 4,
					.vex = 1,
					.compat = compat});
}

/* Instructions without ModRM. */
static void bare_forms(bool compat)
{
	static const uint8_t b[][4] = {
		{1, 0x9b}, {2, 0x0f, 0x77}, {3, 0xc5, 0xf8, 0x77}, {3, 0xc5, 0xfc, 0x77}};
	for (unsigned n = 0; n < 4; n++) {
		struct form f = {.len = b[n][0], .compat = compat};
		struct insn i;
		memcpy(f.bytes, b[n] + 1, f.len);
		if (insn_decode(f.bytes, f.len, compat ? 4 : 8, true, &i) == DECODE_OK &&
			ours(&i, &f.row))
			forms[form_count++] = f;
	}
}

/* --- random states */

static uint64_t seed;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static unsigned below(unsigned n)
{
	return (unsigned)(rnd() >> 20) % n;
}

static uint64_t lane(void)
{
	static const uint64_t d[] = {0, 1ull << 63, 0x3ff0000000000000, 0xbff0000000000000,
		0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000, 0x7ff4000000000001, 1,
		0x000fffffffffffff, 0x0010000000000000, 0x7fefffffffffffff, 0x43e0000000000000,
		0x41dfffffffc00000, 0x4008000000000000, 0x3ca0000000000000};
	static const uint32_t s[] = {0, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000,
		0x7fc00000, 0x7fa00001, 1, 0x7fffff, 0x800000, 0x7f7fffff, 0x4f000000, 0x40400000,
		0x33800000, 0x477fe000};
	switch (below(4)) {
	case 0:
		return d[below(16)];
	case 1:
		return s[below(16)] | (uint64_t)s[below(16)] << 32;
	case 2: /* ordinary doubles and floats near 1 */
		return below(2) ? (rnd() & 0x800fffffffffffff) | (uint64_t)(0x3f0 + below(32)) << 52
				: ((rnd() & 0x807fffff807fffff) |
					  (uint64_t)(0x70 + below(32)) << 23 |
					  (uint64_t)(0x70 + below(32)) << 55);
	default:
		return rnd();
	}
}

static void random_st(uint8_t *st)
{
	static const uint16_t exps[] = {0, 0x7fff, 0x3fff, 0x4000, 0xbfff, 1, 0x7ffe, 0x403e};
	uint64_t m = rnd();
	uint16_t e = below(3) ? (uint16_t)(0x3ff0 + below(64)) : exps[below(8)];
	if (below(8))
		m |= 1ull << 63;
	if (!below(6))
		m = below(2) ? 0 : 1ull << 63;
	if (below(2))
		e |= 0x8000;
	memcpy(st, &m, 8);
	memcpy(st + 8, &e, 2);
}

static void random_area(uint8_t *a)
{
	memset(a, 0, 1024);
	*(uint16_t *)(a + FX_FCW) =
		(uint16_t)(0x40 | below(4) << 10 | (below(4) ? 3 : below(4)) << 8 |
			   (below(6) ? 0x3f : below(64)));
	uint16_t sw = (uint16_t)(below(8) << 11 | (rnd() & 0x4700) | (below(3) ? 0 : below(64)));
	if (sw & ~*(uint16_t *)(a + FX_FCW) & 0x3f) {
		if (below(4))
			sw &= 0xffc0;
		else
			sw |= 0x8080;
	}
	*(uint16_t *)(a + FX_FSW) = sw;
	*(uint16_t *)(a + FX_FOP) = rnd() & 0x7ff;
	*(uint64_t *)(a + FX_FIP) = rnd() >> 17;
	*(uint64_t *)(a + FX_FDP) = rnd() >> 17;
	a[FX_FTW] = (uint8_t)(below(3) ? 0xff : rnd());
	for (unsigned n = 0; n < 8; n++)
		random_st(a + FX_ST + 16 * n);
	*(uint32_t *)(a + FX_MXCSR) =
		(uint32_t)((below(5) ? 0x1f80 : below(64) << 7) | below(4) << 13 |
			   (below(4) ? 0 : 0x8000) | (below(4) ? 0 : 0x40) |
			   (below(3) ? 0 : below(64)));
	*(uint32_t *)(a + FX_MXCSR_MASK) = MXCSR_VALID;
	for (unsigned n = 0; n < 32; n++)
		*(uint64_t *)(a + FX_XMM + 8 * n) = lane();
	for (unsigned n = 0; n < 32; n++)
		*(uint64_t *)(a + XSAVE_AVX + 8 * n) = lane();
	*(uint64_t *)(a + XSAVE_HEADER) = 7;
}

/* --- one comparison */

static uint64_t pick_target(void)
{
	switch (below(16)) {
	case 0:
		return DATA + PAGE_SIZE - 1 - below(32); /* over the page end */
	case 1:
		return below(4) ? DATA + 64 + below(64) : DATA + 2 * PAGE_SIZE - below(32);
	case 2:
		return DATA + 1024 + below(64);
	default:
		return DATA + 64 * (1 + below(40));
	}
}

static void make_code(struct form *f)
{
	unsigned n = f->len;
	memcpy(t.code, f->bytes, n);
	if (f->rex)
		t.code[f->rex - 1] |= (uint8_t)below(8);
	if (f->vex) {
		if (f->nds)
			t.code[2] &= (uint8_t) ~(below(f->compat ? 8 : 16) << 3);
		if (!f->compat)
			t.code[1] &= (uint8_t) ~(below(8) << 5);
	}
	if (f->regs) {
		unsigned m;
		do
			m = below(64);
		while (!(f->regs >> (f->mem ? (m & 070) | (f->regs & 0x0808080808080808ull ? 3 : 4)
					    : m) &
			 1));
		if (f->mem && !(f->regs & 0x0808080808080808ull))
			m = (m & 070) | 4;
		t.code[n++] = (uint8_t)(f->mem ? (below(3) << 6) | m : 0xc0 | m);
	}
	for (; n < 16; n++)
		t.code[n] = (uint8_t)rnd();
}

static bool vsib(void)
{
	return insn_table[t.f->row].slow == fp_gather;
}

/* Small indices for gathers. */
static void small_indices(void)
{
	for (unsigned n = 0; n < 4; n++) {
		uint8_t *lo = t.area + FX_XMM + 16 * t.i.index,
			*hi = t.area + XSAVE_AVX + 16 * t.i.index;
		uint64_t v =
			insn_table[t.f->row].name[8] == 'D' || insn_table[t.f->row].name[7] == 'D'
				? below(40) | (uint64_t)below(40) << 32
				: below(40);
		memcpy(n < 2 ? lo + 8 * n : hi + 8 * (n - 2), &v, 8);
	}
}

/* Makes the operand's address the target; false: this encoding cannot. */
static bool aim(void)
{
	struct insn *i = &t.i;
	bool implied = insn_table[t.f->row].slow == fp_maskmovdqu ||
		       insn_table[t.f->row].slow == fp_maskmovq;
	if (implied)
		t.gpr[RDI] = t.target;
	if (!t.f->mem)
		return true;
	if (i->base == INSN_RIP || i->base == INSN_NO_REG) {
		if (vsib() || i->index != INSN_NO_REG || (t.code[t.f->len] & 0xc7) != 5)
			return false;
		uint32_t d = (uint32_t)(t.target - (i->base == INSN_RIP ? CODE + i->len : 0));
		memcpy(t.code + t.f->len + 1, &d, 4);
		return true;
	}
	if (i->base == RSP || (!vsib() && i->index == i->base))
		return false;
	uint64_t index = 0;
	if (!vsib() && i->index != INSN_NO_REG) {
		t.gpr[i->index] = below(256);
		index = t.gpr[i->index] * i->scale;
	}
	t.gpr[i->base] = t.target - index - (uint64_t)i->disp;
	if (t.f->compat)
		t.gpr[i->base] = (uint32_t)t.gpr[i->base];
	return true;
}

static bool prepare(struct form *f)
{
	t.f = f;
	make_code(f);
	if (insn_decode(t.code, 15, f->compat ? 4 : 8, true, &t.i) != DECODE_OK)
		return false;
	const struct insn_row *r = insn_row_of(t.i.mnemonic);
	if (!r || r != &insn_table[f->row])
		return false;
	for (unsigned n = 0; n < t.i.operands; n++)
		if (t.i.op[n].kind == OPND_GPR && t.i.op[n].reg == RSP && !t.i.op[n].high8)
			return false; /* the native side needs its stack */
	t.target = pick_target();
	random_area(t.area);
	for (unsigned n = 0; n < 16; n++) {
		t.gpr[n] = below(3) ? lane() : below(40);
		if (f->compat)
			t.gpr[n] = n < 8 ? (uint32_t)t.gpr[n] : 0;
	}
	t.gpr[RSP] = STATE + 0x3000;
	if (!aim() || insn_decode(t.code, 15, f->compat ? 4 : 8, true, &t.i) != DECODE_OK)
		return false;
	if (vsib())
		small_indices();
	t.rflags = 2 | (rnd() & FLAGS_ARITH);
	return true;
}

static void fill(void)
{
	for (unsigned n = 0; n < 16; n++) {
		uint64_t at = (t.target & ~7ull) + 8 * n, v = lane();
		if (at < DATA || at + 8 > DATA + 2 * PAGE_SIZE)
			continue;
		memcpy((void *)(uintptr_t)at, &v, 8);
		memcpy(guest_data[(at - DATA) / PAGE_SIZE] + at % PAGE_SIZE, &v, 8);
	}
	if (insn_table[t.f->row].slow == fp_fxrstor || insn_table[t.f->row].slow == fp_ldmxcsr) {
		uint64_t at = t.target + (insn_table[t.f->row].slow == fp_fxrstor ? FX_MXCSR : 0);
		uint32_t v = (uint32_t)(below(8) ? rnd() & 0xffff : rnd());
		for (unsigned n = 0; n < 4 && at + n < DATA + 2 * PAGE_SIZE; n++) {
			((uint8_t *)(uintptr_t)at)[n] = (uint8_t)(v >> 8 * n);
			guest_data[(at + n - DATA) / PAGE_SIZE][(at + n) % PAGE_SIZE] =
				(uint8_t)(v >> 8 * n);
		}
	}
}

static void run_native(void)
{
	uint8_t *code = (uint8_t *)(uintptr_t)CODE;
	uint32_t back = BACK;
	memcpy(code, t.code, t.i.len);
	if (t.f->compat) {
		code[t.i.len] = 0xea;
		memcpy(code + t.i.len + 1, &back, 4);
		memcpy(code + t.i.len + 5, "\x33\0", 2);
	} else {
		uint64_t back64 = BACK;
		memcpy(code + t.i.len, "\xff\x25\0\0\0\0", 6);
		memcpy(code + t.i.len + 6, &back64, 8);
	}
	memcpy(native->gpr, t.gpr, sizeof t.gpr);
	memcpy(native->area, t.area, sizeof t.area);
	native->rflags = t.rflags;
	native->entry = CODE;
	native->far_entry[0] = CODE;
	native->far_entry[1] = 0x23;
	native_vector = 0;
	native_go(t.f->compat);
}

static unsigned run_guest(void)
{
	struct vcpu *c = cpu;
	guest_mode(c, t.f->compat);
	memcpy(c->gpr, t.gpr, sizeof t.gpr);
	c->rflags = t.rflags;
	memcpy(c->fp.area, t.area, 832);
	return (unsigned)(guest_run(c, t.code, t.i.len) + 1);
}

static unsigned failures;

static void show(const char *what, uint64_t guest, uint64_t host)
{
	printf("  %s: guest %#llx, host %#llx\n", what, (unsigned long long)guest,
		(unsigned long long)host);
}

static void compare_bytes(const char *what, const uint8_t *a, const uint8_t *b, unsigned n)
{
	for (unsigned k = 0; k < n; k++)
		if (a[k] != b[k]) {
			char s[64];
			snprintf(s, sizeof s, "%s+%u", what, k);
			show(s, a[k], b[k]);
			return;
		}
}

static void report(unsigned guest_vector)
{
	if (++failures > 20)
		return;
	printf("%s %s at %#llx, seed state:", insn_table[t.f->row].name,
		t.f->compat ? "32-bit" : "64-bit", (unsigned long long)t.target);
	for (unsigned n = 0; n < t.i.len; n++)
		printf(" %02x", t.code[n]);
	printf("  fcw %04x fsw %04x mxcsr %04x\n", *(uint16_t *)t.area, *(uint16_t *)(t.area + 2),
		*(uint32_t *)(t.area + FX_MXCSR));
	if (guest_vector != native_vector) {
		show("vector + 1", guest_vector, native_vector);
		show("cr2, base", cpu->cr2, t.i.base < 16 ? t.gpr[t.i.base] : 0);
	}
	for (unsigned n = 0; n < 16; n++)
		if (n != RSP && cpu->gpr[n] != native->gpr[n])
			show("gpr", cpu->gpr[n], native->gpr[n]);
	if ((cpu->rflags ^ native->rflags) & FLAGS_ARITH)
		show("flags", cpu->rflags & FLAGS_ARITH, native->rflags & FLAGS_ARITH);
	compare_bytes("area", cpu->fp.area, native->area, 24);
	compare_bytes("mxcsr", cpu->fp.area + 24, native->area + 24, 4);
	compare_bytes("st", cpu->fp.area + FX_ST, native->area + FX_ST, 128);
	compare_bytes("xmm", cpu->fp.area + FX_XMM, native->area + FX_XMM, 256);
	compare_bytes("ymmh", cpu->fp.area + XSAVE_AVX, native->area + XSAVE_AVX, 256);
	for (unsigned p = 0; p < 2; p++)
		compare_bytes("memory", guest_data[p], (uint8_t *)(uintptr_t)(DATA + p * PAGE_SIZE),
			PAGE_SIZE);
}

/* What an instruction leaves behind when it faults differs between processors: MMX
 * state entered, flags of MXCSR set, part of a packed decimal stored, or an
 * unmasked x87 exception before any access. */
static bool fault_varies(unsigned guest_vector)
{
	bool store = t.i.op[0].kind == OPND_MEM && t.i.op[0].written;
	bool implied = insn_table[t.f->row].slow == fp_maskmovq ||
		       insn_table[t.f->row].slow == fp_maskmovdqu;
	if (implied) /* bytes that are not selected may fault too */
		return guest_vector == VEC_PF + 1 || native_vector == VEC_PF + 1;
	/* how far beyond the faulting element a gather came is its own affair */
	if (insn_table[t.f->row].slow == fp_gather)
		return guest_vector == VEC_PF + 1 && native_vector == VEC_PF + 1;
	return guest_vector == VEC_PF + 1 && store;
}

/* The host's linear addresses may be wider: that shows where pointers are loaded. */
static bool same_pointers(void)
{
	unsigned wide = insn_table[t.f->row].slow == fp_fxrstor ? 6 : 8;
	return !memcmp(cpu->fp.area + FX_FIP, native->area + FX_FIP, wide) &&
		(!host_pointers ||
			(!memcmp(cpu->fp.area + FX_FOP, native->area + FX_FOP, 2) &&
				!memcmp(cpu->fp.area + FX_FDP, native->area + FX_FDP, wide)));
}

static bool same(unsigned guest_vector)
{
	if (fault_varies(guest_vector)) {
		for (unsigned p = 0; p < 2; p++)
			memcpy(guest_data[p], (uint8_t *)(uintptr_t)(DATA + p * PAGE_SIZE),
				PAGE_SIZE);
		return true;
	}
	bool ok = guest_vector == native_vector && !memcmp(cpu->fp.area, native->area, 6) &&
		  !memcmp(cpu->fp.area + FX_MXCSR, native->area + FX_MXCSR, 4) &&
		  !memcmp(cpu->fp.area + FX_ST, native->area + FX_ST, 128 + 256) &&
		  !memcmp(cpu->fp.area + XSAVE_AVX, native->area + XSAVE_AVX, 256);
	ok = ok && same_pointers();
	if (!guest_vector)
		ok = ok && !((cpu->rflags ^ native->rflags) & FLAGS_ARITH);
	for (unsigned n = 0; n < 16 && ok; n++)
		ok = n == RSP || cpu->gpr[n] == native->gpr[n];
	for (unsigned p = 0; p < 2; p++)
		ok = ok && !memcmp(guest_data[p], (uint8_t *)(uintptr_t)(DATA + p * PAGE_SIZE),
				   PAGE_SIZE);
	return ok;
}

/* False when the random encoding or its address is no use. */
static bool try_once(struct form *f)
{
	if (!prepare(f))
		return false;
	fill();
	run_native();
	unsigned v = run_guest();
	if (!same(v)) {
		report(v);
		for (unsigned p = 0; p < 2; p++)
			memcpy(guest_data[p], (uint8_t *)(uintptr_t)(DATA + p * PAGE_SIZE),
				PAGE_SIZE);
	}
	return true;
}

/* CPUID.(EAX=07H,ECX=0H):EBX[6] and [13], as our model has them. */
static bool follows_rules(void)
{
	unsigned a, b = 0, c, d;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && b >> 6 & 1 && b >> 13 & 1;
}

int main(int argc, char **argv)
{
	unsigned per_form = argc > 1 ? (unsigned)atoi(argv[1]) : 12;
	static uint8_t reached[ROW_COUNT];
	struct timespec a, b;
	uint64_t states = 0;

	seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 0x9e3779b97f4a7c15;
	guest_init();
	native_init();
	host_pointers = follows_rules();
	for (unsigned compat = 0; compat < 2; compat++) {
		legacy_forms(compat);
		vex_forms(compat);
		bare_forms(compat);
	}
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (unsigned n = 0; n < form_count; n++)
		for (unsigned k = 0; k < per_form; k++) {
			if (try_once(&forms[n])) {
				reached[forms[n].row] = 1;
				states++;
			}
		}
	clock_gettime(CLOCK_MONOTONIC, &b);
	for (unsigned r = 0; r < ROW_COUNT; r++)
		if (held(&insn_table[r]) && !reached[r]) {
			printf("row %s is not reached\n", insn_table[r].name);
			failures++;
		}
	double s = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
	printf("%u forms, %llu states, %.0f/s\n", form_count, (unsigned long long)states,
		(double)states / s);
	printf("[  %s ] every_form\n", failures ? "FAILED " : "     OK");
	return failures != 0;
}

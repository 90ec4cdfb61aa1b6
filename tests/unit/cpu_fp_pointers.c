/* FIP, FDP, FOP, FCS and FDS: which instructions set them, and how each image
 * in memory holds them. SDM Vol. 1 8.1.8 "x87 FPU Instruction and Data
 * (Operand) Pointers", 8.1.9 "Last Instruction Opcode", 8.1.10 "Saving the x87
 * FPU's State with FSTENV/FNSTENV and FSAVE/FNSAVE". */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "cpu/run.h"
#include "cpu/xsave.h"
#include "tests/unit/fp_guest.h"

#define RUN(n, ...) run(CODE, n, (const uint8_t[]){__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__}))

#define FLD1	    0xd9, 0xe8
#define FLDZ	    0xd9, 0xee
#define FNINIT	    0xdb, 0xe3
#define FNCLEX	    0xdb, 0xe2
#define FLD_RSI	    0xdd, 0x06	     /* fld qword [rsi] */
#define FDIV_RSI    0xd8, 0x76, 0x08 /* fdiv dword [rsi + 8]; 0: division by zero */
#define FLDCW_RSI   0xd9, 0x6e, 0x10 /* fldcw [rsi + 10h]: that exception is unmasked */
#define FNSTENV_RDI 0xd9, 0x37
#define FLDENV_RDI  0xd9, 0x27
#define FNSAVE_RDI  0xdd, 0x37
#define FRSTOR_RDI  0xdd, 0x27
#define FXSAVE_RDI  0x0f, 0xae, 0x07
#define FXRSTOR_RDI 0x0f, 0xae, 0x0f
#define FXSAVE64    0x48, 0x0f, 0xae, 0x07
#define XSAVE64     0x48, 0x0f, 0xae, 0x27
#define XRSTOR64    0x48, 0x0f, 0xae, 0x2f

#define OPERAND (DATA + 0x100)
#define IMAGE	(DATA + 0x400)
#define MARK	0x00007123456789ab

static struct cpu_model old_model;
static const struct cpu_model *new_model;

static uint8_t *image(void)
{
	return guest_data[0] + 0x400;
}

static uint64_t area(unsigned at)
{
	return *(uint64_t *)(cpu->fp.area + at);
}

static uint32_t dword(unsigned n)
{
	return ((uint32_t *)image())[n];
}

static uint16_t word(unsigned n)
{
	return ((uint16_t *)image())[n];
}

static uint16_t fop(void)
{
	return *(uint16_t *)(cpu->fp.area + FX_FOP);
}

static void model(const struct cpu_model *m)
{
	cpu->model = m;
	engine_flush(cpu->engine->shared);
}

static int fresh(void **ctx)
{
	(void)ctx;
	fp_host_init(NULL); /* the test runner handles SIGFPE too */
	model(new_model);
	guest_mode(cpu, false);
	fp_reset(cpu, false);
	*(uint16_t *)cpu->fp.area = 0x37f;
	cpu->fp.area[FX_FTW] = 0;
	cpu->gpr[RSI] = OPERAND;
	cpu->gpr[RDI] = IMAGE;
	cpu->gpr[RAX] = 7, cpu->gpr[RDX] = 0;
	cpu->gpr[RSP] = CODE + 0x5000 - 64;
	cpu->retired = 0;
	memset(guest_data[0], 0, PAGE_SIZE);
	*(uint16_t *)(guest_data[0] + 0x110) = 0x37b;
	return 0;
}

/* Runs n instructions without a pause between them. */
static void run(uint64_t rip, unsigned n, const uint8_t *code, unsigned len)
{
	vcpu_state_changed(cpu);
	phys_write(&phys, hpa(0x40000), code, len);
	cpu->rip = rip;
	engine_run(cpu, n);
}

static void test_who_sets_them(void **ctx)
{
	fresh(ctx);
	RUN(3, 0x90, FLD1, 0x90);
	assert_true(area(FX_FIP) == CODE + 1);
	assert_true(area(FX_FDP) == 0);
	assert_int_equal(fop(), 0);
	RUN(4, 0x90, 0x90, 0x2e, FLD_RSI, FLDCW_RSI); /* a prefix belongs to it; FLDCW does not */
	assert_true(area(FX_FIP) == CODE + 2);
	assert_true(area(FX_FDP) == 0); /* no exception */
	RUN(1, 0x9b);			/* FWAIT */
	RUN(2, 0x0f, 0x77, 0xdf, 0xe0); /* EMMS, FNSTSW AX */
	RUN(2, 0x0f, 0x58, 0xc1, FNCLEX); /* ADDPS */
	assert_true(area(FX_FIP) == CODE + 2);
	RUN(2, 0xd9, 0xf7, 0x90); /* FINCSTP */
	assert_true(area(FX_FIP) == CODE);
	RUN(3, FLD1, FNINIT, 0x90);
	assert_true(area(FX_FIP) == 0 && area(FX_FDP) == 0);
	RUN(2, FNINIT, FLD1);
	assert_true(area(FX_FIP) == CODE + 2);
}

static void test_a_fault_sets_nothing(void **ctx)
{
	fresh(ctx);
	RUN(1, FLD1);
	cpu->gpr[RSI] = DATA - 64;
	RUN(3, 0x90, 0x90, FLD_RSI);
	assert_true(cpu->rip == PADS + 16 * VEC_PF);
	assert_true(area(FX_FIP) == CODE);
}

/* Over a page end, where a buffer stands in for the operand. */
static void test_slow_operand(void **ctx)
{
	fresh(ctx);
	*(uint16_t *)cpu->fp.area = 0x37b;
	cpu->gpr[RSI] = DATA + PAGE_SIZE - 8 - 2;
	RUN(2, FLD1, FDIV_RSI);
	assert_true(area(FX_FIP) == CODE + 2);
	assert_true(area(FX_FDP) == DATA + PAGE_SIZE - 2);
	assert_int_equal(fop(), 0x076);
}

static void test_unmasked(void **ctx)
{
	fresh(ctx);
	RUN(4, FLD1, FLDCW_RSI, FDIV_RSI, 0x90);
	assert_true(area(FX_FIP) == CODE + 5);
	assert_true(area(FX_FDP) == OPERAND + 8);
	assert_int_equal(fop(), 0x076);
	/* FNCLEX takes the exception away, not what it left */
	fresh(ctx);
	RUN(4, FLD1, FLDCW_RSI, FDIV_RSI, FNCLEX);
	assert_true(area(FX_FDP) == OPERAND + 8);
	assert_int_equal(fop(), 0x076);
	RUN(2, FLD1, 0x90);
	assert_true(area(FX_FIP) == CODE);
	assert_int_equal(fop(), 0x076);
	/* an exception that FLDCW lets pend is nobody's */
	fresh(ctx);
	RUN(4, FLD1, FDIV_RSI, FLDCW_RSI, 0x90);
	assert_true(*(uint16_t *)(cpu->fp.area + FX_FSW) & FSW_ES);
	assert_true(area(FX_FIP) == CODE + 2);
	assert_true(area(FX_FDP) == 0);
	assert_int_equal(fop(), 0);
}

/* Without CPUID.(EAX=07H,ECX=0H):EBX[6] and [13]. */
static void test_old_model(void **ctx)
{
	fresh(ctx);
	model(&old_model);
	cpu->seg[SEG_FS].base = 0x100;
	cpu->seg[SEG_FS].sel = 0x4b;
	cpu->gpr[RSI] -= 0x100;
	RUN(2, 0x64, FLD_RSI, FLD1);
	assert_true(area(FX_FIP) == CODE + 3);
	assert_true(area(FX_FDP) == OPERAND - 0x100);
	assert_int_equal(fop(), 0);
	RUN(1, FXSAVE_RDI);
	assert_int_equal(dword(2), CODE + 3);
	assert_int_equal(dword(3), 8);
	assert_int_equal(dword(4), OPERAND - 0x100);
	assert_int_equal(dword(5), 0x4b);
	RUN(1, FNSTENV_RDI);
	assert_int_equal(dword(4), 8);
	assert_int_equal(dword(6), 0xffff004b);
}

static void test_protected_formats(void **ctx)
{
	fresh(ctx);
	guest_mode(cpu, true);
	RUN(5, FLD1, FLDCW_RSI, FDIV_RSI, FNSTENV_RDI, 0x90);
	assert_int_equal(dword(3), CODE + 5);
	assert_int_equal(dword(4), 0x076 << 16);
	assert_int_equal(dword(5), OPERAND + 8);
	assert_int_equal(dword(6), 0xffff0000);
	memset(image(), 0, 128);
	RUN(1, 0x66, FNSTENV_RDI);
	assert_int_equal(word(3), (CODE + 5) & 0xffff);
	assert_int_equal(word(4), 0);
	assert_int_equal(word(5), (OPERAND + 8) & 0xffff);
	assert_int_equal(word(6), 0);
	RUN(1, FNSAVE_RDI); /* which initialises */
	assert_int_equal(dword(3), CODE + 5);
	assert_true(area(FX_FIP) == 0 && area(FX_FDP) == 0 && !fop());
	RUN(1, FRSTOR_RDI);
	assert_true(area(FX_FIP) == CODE + 5 && area(FX_FDP) == OPERAND + 8 && fop() == 0x076);
	model(&old_model);
	fp_reset(cpu, false);
	RUN(2, FLD_RSI, 0x66, FNSTENV_RDI);
	assert_int_equal(word(4), 0x18);
	assert_int_equal(word(6), 0x10);
}

static void real_mode(void)
{
	cpu->cr0 = CR0_ET | CR0_NE;
	cpu->cr4 = CR4_OSFXSR;
	cpu->msr.efer = 0;
	for (unsigned n = 0; n < 6; n++)
		cpu->seg[n] = (struct seg){.sel = 0x2000, .base = 0x20000, .limit = 0xffff, .ar = 0x93};
	cpu->seg[SEG_CS] = (struct seg){.sel = 0x3f00, .base = 0x3f000, .limit = 0xffff, .ar = 0x93};
	cpu->gpr[RSI] = 0x100;
	cpu->gpr[RDI] = 0x400;
}

/* fld1; fldcw [si + 10h]; fdiv dword [si + 8]; fnstenv [di], after a NOP */
static void test_real_formats(void **ctx)
{
	static const uint8_t code[] = {0x90, FLD1, 0xd9, 0x6c, 0x10, 0xd8, 0x74, 0x08, 0xd9, 0x35};
	static const uint8_t wide[] = {0x66, 0xd9, 0x35, 0x66, 0xd9, 0x25};
	fresh(ctx);
	real_mode();
	run(0x1000, 5, code, sizeof code);
	assert_int_equal(word(3), 0x0006);
	assert_int_equal(word(4), 0x4000 | 0x074);
	assert_int_equal(word(5), 0x0108);
	assert_int_equal(word(6), 0x2000);
	run(0x1000, 1, wide, sizeof wide);
	assert_int_equal(dword(3), 0xffff0006);
	assert_int_equal(dword(4), 4 << 12 | 0x074);
	assert_int_equal(dword(5), 0xffff0108);
	assert_int_equal(dword(6), 2 << 12);
	fp_reset(cpu, false);
	run(0x1003, 1, wide, sizeof wide);
	assert_true(area(FX_FIP) == 0x40006 && area(FX_FDP) == 0x20108 && fop() == 0x074);
}

static void test_load(void **ctx)
{
	fresh(ctx);
	RUN(2, FLD1, FXSAVE64);
	assert_true(*(uint64_t *)(image() + FX_FIP) == CODE);
	*(uint64_t *)(image() + FX_FIP) = *(uint64_t *)(image() + FX_FDP) = MARK;
	*(uint16_t *)(image() + FX_FOP) = 0xffff;
	RUN(1, 0x48, FXRSTOR_RDI);
	assert_true(area(FX_FIP) == MARK && area(FX_FDP) == MARK && fop() == 0x7ff);
	RUN(2, 0x90, FXSAVE_RDI);
	assert_true(*(uint64_t *)(image() + FX_FIP) == (uint32_t)MARK);
	RUN(1, XSAVE64);
	assert_true(*(uint64_t *)(image() + FX_FDP) == MARK);
	RUN(2, FNINIT, XRSTOR64);
	assert_true(area(FX_FIP) == MARK && area(FX_FDP) == MARK && fop() == 0x7ff);
	RUN(1, FNSTENV_RDI);
	((uint32_t *)image())[3] = 0x1234, ((uint32_t *)image())[5] = 0x5678;
	((uint32_t *)image())[4] = 0x0123004b;
	RUN(2, FLDENV_RDI, 0x90);
	assert_true(area(FX_FIP) == 0x1234 && area(FX_FDP) == 0x5678 && fop() == 0x123);
}

/* Changes what the pointers follow from, right after the instruction. */
static void test_settled(void **ctx)
{
	/* fldcw [rsi + 10h]; fld1; fdiv dword fs:[rsi - 0f8h]; wrfsbase rax */
	static const uint8_t code[] = {FLDCW_RSI, FLD1, 0x64, 0xd8, 0xb6, 0x08, 0xff, 0xff, 0xff,
		0xf3, 0x48, 0x0f, 0xae, 0xd0, 0x90};
	fresh(ctx);
	cpu->cr4 |= CR4_FSGSBASE;
	cpu->seg[SEG_FS].base = 0x100;
	cpu->gpr[RAX] = 0x5000;
	run(CODE, 5, code, sizeof code);
	assert_true(cpu->seg[SEG_FS].base == 0x5000);
	assert_true(area(FX_FIP) == CODE + 5);
	assert_true(area(FX_FDP) == OPERAND - 0xf8);
	/* fld1; syscall, on a model with selectors */
	fresh(ctx);
	model(&old_model);
	cpu->msr.efer |= EFER_SCE;
	cpu->msr.star = (uint64_t)0x40 << 32;
	cpu->msr.lstar = CODE + 0x20;
	RUN(2, FLD1, 0x0f, 0x05, 0x90);
	assert_int_equal(cpu->seg[SEG_CS].sel, 0x40);
	assert_int_equal(cpu->fp.fcs, 8);
}

static int start(void **ctx)
{
	struct err e = {0};
	(void)ctx;
	guest_init();
	new_model = cpu->model;
	return cpu_model_parse(&old_model, "ivybridge", &e) ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_who_sets_them),
		cmocka_unit_test(test_a_fault_sets_nothing), cmocka_unit_test(test_slow_operand),
		cmocka_unit_test(test_unmasked), cmocka_unit_test(test_old_model),
		cmocka_unit_test(test_protected_formats), cmocka_unit_test(test_real_formats),
		cmocka_unit_test(test_load), cmocka_unit_test(test_settled)};
	return cmocka_run_group_tests(tests, start, NULL);
}

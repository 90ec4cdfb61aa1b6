/* What has to be on before x87 and SIMD instructions run, which exception they
 * raise otherwise, and the XSAVE family as instructions. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "cpu/xsave.h"
#include "tests/unit/fp_guest.h"

#define RUN(...) guest_run(cpu, (const uint8_t[]){__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__}))

#define FLD1	   0xd9, 0xe8
#define FADD	   0xd8, 0xc1
#define FNINIT	   0xdb, 0xe3
#define FNSTSW_AX  0xdf, 0xe0
#define FWAIT	   0x9b
#define PADDB_MM   0x0f, 0xfc, 0xc1
#define EMMS	   0x0f, 0x77
#define PADDB_XMM  0x66, 0x0f, 0xfc, 0xc1
#define ADDPS	   0x0f, 0x58, 0xc1
#define ADDPS_MEM  0x0f, 0x58, 0x06
#define CVTPI2PS   0x0f, 0x2a, 0xc1
#define LDMXCSR	   0x0f, 0xae, 0x16
#define VADDPS	   0xc5, 0xf0, 0x58, 0xc2
#define VPADDB_YMM 0xc5, 0xf5, 0xfc, 0xc2
#define VPGATHERDD 0xc4, 0xe2, 0x6d, 0x90, 0x04, 0x8e
#define FXSAVE	   0x0f, 0xae, 0x06
#define FXRSTOR	   0x0f, 0xae, 0x0e
#define XSAVE64	   0x48, 0x0f, 0xae, 0x26
#define XRSTOR64   0x48, 0x0f, 0xae, 0x2e
#define XSAVEOPT   0x0f, 0xae, 0x36
#define XSAVEC	   0x0f, 0xc7, 0x26
#define XSAVES64   0x48, 0x0f, 0xc7, 0x2e
#define XRSTORS64  0x48, 0x0f, 0xc7, 0x1e

static int fresh(void **ctx)
{
	(void)ctx;
	fp_host_init(NULL); /* the test runner handles SIGFPE too */
	guest_mode(cpu, false);
	fp_reset(cpu, false);
	*(uint16_t *)cpu->fp.area = 0x37f;
	cpu->fp.area[FX_FTW] = 0;
	cpu->gpr[RSI] = DATA + 64;
	cpu->gpr[RAX] = 0xffffffff, cpu->gpr[RDX] = 0xffffffff;
	cpu->pkru = 0;
	memset(guest_data[0], 0, PAGE_SIZE);
	return 0;
}

static void test_open(void **ctx)
{
	fresh(ctx);
	assert_int_equal(RUN(FLD1), -1);
	assert_int_equal(RUN(EMMS), -1);
	assert_int_equal(RUN(PADDB_MM), -1);
	assert_int_equal(RUN(PADDB_XMM), -1);
	assert_int_equal(RUN(ADDPS), -1);
	assert_int_equal(RUN(ADDPS_MEM), -1);
	assert_int_equal(RUN(VADDPS), -1);
	assert_int_equal(RUN(VPADDB_YMM), -1);
	assert_int_equal(RUN(FWAIT), -1);
}

static void test_ts(void **ctx)
{
	fresh(ctx);
	cpu->cr0 |= CR0_TS;
	assert_int_equal(RUN(FLD1), VEC_NM);
	assert_int_equal(RUN(FNINIT), VEC_NM);
	assert_int_equal(RUN(FWAIT), VEC_NM);
	assert_int_equal(RUN(PADDB_MM), VEC_NM);
	assert_int_equal(RUN(PADDB_XMM), VEC_NM);
	assert_int_equal(RUN(ADDPS_MEM), VEC_NM);
	assert_int_equal(RUN(VADDPS), VEC_NM);
	assert_int_equal(RUN(VPGATHERDD), VEC_NM);
	assert_int_equal(RUN(LDMXCSR), VEC_NM);
	assert_int_equal(RUN(FXSAVE), VEC_NM);
	assert_int_equal(RUN(XSAVE64), VEC_NM);
	assert_int_equal(RUN(XRSTORS64), VEC_NM);
	cpu->cr0 &= ~CR0_MP;
	assert_int_equal(RUN(FWAIT), -1);
}

static void test_em(void **ctx)
{
	fresh(ctx);
	cpu->cr0 |= CR0_EM;
	assert_int_equal(RUN(FLD1), VEC_NM);
	assert_int_equal(RUN(PADDB_MM), VEC_UD);
	assert_int_equal(RUN(EMMS), VEC_UD);
	assert_int_equal(RUN(PADDB_XMM), VEC_UD);
	assert_int_equal(RUN(ADDPS), VEC_UD);
	assert_int_equal(RUN(LDMXCSR), VEC_UD);
	assert_int_equal(RUN(FXSAVE), VEC_NM);
	assert_int_equal(RUN(FWAIT), -1);
	assert_int_equal(RUN(VADDPS), -1);
}

static void test_osfxsr(void **ctx)
{
	fresh(ctx);
	cpu->cr4 &= ~CR4_OSFXSR;
	assert_int_equal(RUN(PADDB_MM), -1);
	assert_int_equal(RUN(PADDB_XMM), VEC_UD);
	assert_int_equal(RUN(ADDPS), VEC_UD);
	assert_int_equal(RUN(CVTPI2PS), VEC_UD);
	assert_int_equal(RUN(LDMXCSR), VEC_UD);
	assert_int_equal(RUN(FXSAVE), -1);
}

static void test_avx(void **ctx)
{
	fresh(ctx);
	cpu->xcr0 = 3;
	assert_int_equal(RUN(VADDPS), VEC_UD);
	assert_int_equal(RUN(VPGATHERDD), VEC_UD);
	cpu->xcr0 = 7;
	assert_int_equal(RUN(VADDPS), -1);
	cpu->cr4 &= ~CR4_OSXSAVE;
	assert_int_equal(RUN(VADDPS), VEC_UD);
	assert_int_equal(RUN(XSAVE64), VEC_UD);
	assert_int_equal(RUN(XRSTOR64), VEC_UD);
	assert_int_equal(RUN(XSAVEC), VEC_UD);
}

static void test_simd_exception(void **ctx)
{
	fresh(ctx);
	uint32_t *mxcsr = (uint32_t *)(cpu->fp.area + FX_MXCSR);
	*mxcsr = 0x1f00; /* invalid operation unmasked */
	*(uint32_t *)(cpu->fp.area + FX_XMM) = 0x7fa00000;
	assert_int_equal(RUN(ADDPS), VEC_XM);
	assert_int_equal(*mxcsr, 0x1f01);
	assert_int_equal(*(uint32_t *)(cpu->fp.area + FX_XMM), 0x7fa00000);
	cpu->cr4 &= ~CR4_OSXMMEXCPT;
	assert_int_equal(RUN(ADDPS), VEC_UD);
	/* over a page end */
	cpu->gpr[RSI] = DATA + PAGE_SIZE - 8;
	cpu->cr4 |= CR4_OSXMMEXCPT;
	assert_int_equal(RUN(ADDPS_MEM), VEC_GP);
	assert_int_equal(RUN(0xc5, 0xf8, 0x58, 0x06), VEC_XM);
}

static void test_x87_exception(void **ctx)
{
	fresh(ctx);
	*(uint16_t *)cpu->fp.area = 0x37e; /* invalid operation unmasked */
	assert_int_equal(RUN(FADD), -1);   /* of empty registers */
	assert_int_equal(RUN(FNSTSW_AX), -1);
	assert_int_equal(cpu->gpr[RAX] & 0x80c1, 0x80c1);
	assert_int_equal(RUN(FLD1), VEC_MF);
	assert_int_equal(RUN(FWAIT), VEC_MF);
	assert_int_equal(RUN(EMMS), VEC_MF);
	assert_int_equal(RUN(0xd9, 0x06), VEC_MF); /* FLD m32 */
	cpu->gpr[RSI] = DATA - 64;		   /* not mapped: #MF first */
	assert_int_equal(RUN(0xd9, 0x06), VEC_MF);
	assert_int_equal(RUN(0xdb, 0xe2), -1); /* FNCLEX */
	assert_int_equal(RUN(0xd9, 0x06), VEC_PF);
}

static unsigned ferr_rises;

static void on_ferr(void *dev, unsigned n, bool level)
{
	(void)n;
	*(bool *)dev = level;
	ferr_rises += level;
}

/* Without CR0.NE the processor asserts FERR# and waits. */
static void test_ferr(void **ctx)
{
	static const uint8_t waiting[][2] = {{FLD1}, {FWAIT, 0x90}, {EMMS}, {0xd9, 0x06}, {0xd9, 0x26},
		{0xdd, 0x26}};
	const struct cpu_pins pins = vcpu_pins(cpu);
	const uint16_t *sw = (const uint16_t *)(cpu->fp.area + FX_FSW);
	bool level = false;
	fresh(ctx);
	cpu->ferr = (struct irq_line){on_ferr, &level, 0};
	ferr_rises = 0;
	*(uint16_t *)cpu->fp.area = 0x37e;
	cpu->cr0 &= ~CR0_NE;
	assert_int_equal(RUN(FADD), -1);
	assert_int_equal(RUN(FNSTSW_AX), -1); /* does not wait */
	assert_false(level);
	for (unsigned n = 0; n < 6; n++) {
		assert_int_equal(guest_run(cpu, waiting[n], 2), -1);
		assert_true(level);
		assert_int_equal(ferr_rises, 1);
		assert_int_equal(cpu->activity, ACTIVITY_HLT);
		assert_true(cpu->rip == CODE);
		cpu->activity = ACTIVITY_ACTIVE; /* some interrupt */
	}
	/* IGNNE# lets it go on; the exception stays */
	pins.ignne(cpu, true);
	assert_int_equal(RUN(0xd9, 0x06), -1);
	assert_true(cpu->rip == CODE + 2);
	assert_int_equal(*sw & 0x80c1, 0x80c1);
	assert_int_equal(RUN(FWAIT), -1);
	assert_true(cpu->rip == CODE + 1);
	/* without the exception FERR# falls, and with it what IGNNE# does */
	assert_int_equal(RUN(0xdb, 0xe2), -1); /* FNCLEX */
	assert_false(cpu->fp.ferr);
	assert_int_equal(RUN(FNINIT), -1);
	*(uint16_t *)cpu->fp.area = 0x37e;
	assert_int_equal(RUN(FADD), -1);
	assert_int_equal(RUN(FLD1), -1);
	assert_int_equal(cpu->activity, ACTIVITY_HLT);
	assert_int_equal(ferr_rises, 2);
	cpu->activity = ACTIVITY_ACTIVE;
	assert_int_equal(RUN(FNINIT), -1);
	assert_false(cpu->fp.ferr);
	pins.ignne(cpu, false);
	cpu->ferr = (struct irq_line){0};
}

static void test_xsave_faults(void **ctx)
{
	fresh(ctx);
	cpu->gpr[RSI] = DATA + 32;
	assert_int_equal(RUN(XSAVE64), VEC_GP);
	assert_int_equal(RUN(XSAVEC), VEC_GP);
	assert_int_equal(RUN(XRSTOR64), VEC_GP);
	assert_int_equal(RUN(FXSAVE), -1);
	cpu->gpr[RSI] = DATA + 8;
	assert_int_equal(RUN(FXSAVE), VEC_GP);
	assert_int_equal(RUN(FXRSTOR), VEC_GP);
	cpu->gpr[RSI] = DATA + 2 * PAGE_SIZE - 512;
	assert_int_equal(RUN(FXSAVE), -1);
	assert_int_equal(RUN(XSAVE64), VEC_PF);
	assert_int_equal(RUN(XRSTOR64), VEC_PF);
	cpu->gpr[RSI] = DATA + 64;
	assert_int_equal(RUN(XRSTORS64), VEC_GP); /* not compacted */
	*(uint32_t *)(guest_data[0] + 64 + FX_MXCSR) = 0x10000;
	assert_int_equal(RUN(XRSTOR64), VEC_GP);
	assert_int_equal(RUN(FXRSTOR), VEC_GP);
	assert_int_equal(RUN(0x0f, 0xae, 0x56, FX_MXCSR), VEC_GP); /* LDMXCSR */
}

static void test_xsave_round_trip(void **ctx)
{
	static const uint8_t save[][4] = {{XSAVE64}, {0x48, XSAVEOPT}, {0x48, XSAVEC}, {XSAVES64}};
	static const uint8_t restore[][4] = {{XRSTOR64}, {XRSTOR64}, {XRSTOR64}, {XRSTORS64}};
	for (unsigned k = 0; k < 4; k++) {
		uint8_t was[832];
		fresh(ctx);
		cpu->cr4 |= CR4_PKE;
		cpu->xcr0 = 0x207;
		cpu->gpr[RSI] = DATA + PAGE_SIZE - 640; /* the header is cut by the page end */
		for (unsigned n = 0; n < 256; n++)
			cpu->fp.area[FX_XMM + n] = (uint8_t)n, cpu->fp.area[XSAVE_AVX + n] = 7;
		*(uint64_t *)(cpu->fp.area + XSAVE_HEADER) = 7;
		cpu->pkru = 0x5554;
		memcpy(was, cpu->fp.area, sizeof was);
		assert_int_equal(guest_run(cpu, save[k], 4), -1);
		memset(cpu->fp.area + FX_XMM, 0, 256);
		memset(cpu->fp.area + XSAVE_AVX, 0, 256);
		cpu->pkru = 0;
		cpu->gpr[RAX] = cpu->gpr[RDX] = 0xffffffff;
		assert_int_equal(guest_run(cpu, restore[k], 4), -1);
		assert_memory_equal(was, cpu->fp.area, sizeof was);
		assert_int_equal(cpu->pkru, 0x5554);
	}
}

/* VPGATHERDD xmm0, [rsi + 4 * xmm1], xmm2 with element 2 not mapped: what came
 * before is done and its mask is clear, so that it can go on. */
static void test_gather_fault(void **ctx)
{
	static const uint8_t gather[] = {0xc4, 0xe2, 0x69, 0x90, 0x04, 0x8e};
	fresh(ctx);
	uint32_t *x = (uint32_t *)(cpu->fp.area + FX_XMM);
	const uint32_t index[] = {1, 2, 1 << 20, 3};
	for (unsigned n = 0; n < 4; n++) {
		((uint32_t *)(guest_data[0] + 64))[n] = 0x100 + n;
		x[n] = 0xdead0000 + n;
		x[4 + n] = index[n];
		x[8 + n] = n == 1 ? 0x7fffffff : 0x80000000;
	}
	assert_int_equal(guest_run(cpu, gather, sizeof gather), VEC_PF);
	assert_int_equal(x[0], 0x101);
	assert_int_equal(x[1], 0xdead0001); /* not selected */
	assert_int_equal(x[2], 0xdead0002);
	assert_int_equal(x[8], 0);
	assert_int_equal(x[10], 0xffffffff);
	x[6] = 0;
	assert_int_equal(guest_run(cpu, gather, sizeof gather), -1);
	assert_int_equal(x[2], 0x100);
	assert_int_equal(x[3], 0x103);
	for (unsigned n = 8; n < 12; n++)
		assert_int_equal(x[n], 0);
}

static int start(void **ctx)
{
	(void)ctx;
	guest_init();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_open), cmocka_unit_test(test_ts),
		cmocka_unit_test(test_em), cmocka_unit_test(test_osfxsr),
		cmocka_unit_test(test_avx), cmocka_unit_test(test_simd_exception),
		cmocka_unit_test(test_x87_exception), cmocka_unit_test(test_ferr),
		cmocka_unit_test(test_xsave_faults),
		cmocka_unit_test(test_xsave_round_trip), cmocka_unit_test(test_gather_fault)};
	return cmocka_run_group_tests(tests, start, NULL);
}

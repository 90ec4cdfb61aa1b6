/* cpu/xsave.h and cpu/fp.h: the FXSAVE and XSAVE families over bytes; entering
 * and leaving. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/fp.h"
#include "cpu/xsave.h"
#include "base/state.h"

/* A state in which every component is in use. */
static struct vcpu *full(void)
{
	struct vcpu *c = aligned_alloc(64, (sizeof *c + 63) & ~63ul);
	memset(c, 0, sizeof *c);
	fp_reset(c, false);
	for (unsigned n = 0; n < 8; n++)
		memset(c->fp.area + FX_ST + 16 * n, 0x10 + (int)n, 10);
	for (unsigned n = 0; n < 256; n++)
		c->fp.area[FX_XMM + n] = (uint8_t)(n + 1), c->fp.area[XSAVE_AVX + n] = (uint8_t)~n;
	c->fp.area[XSAVE_HEADER] = 7;
	return c;
}

static void apply(uint8_t *mem, const struct xsave_image *im)
{
	for (unsigned n = 0; n < im->parts; n++)
		memcpy(mem + im->part[n].at, im->bytes + im->part[n].at, im->part[n].size);
}

/* Loads `mem` into *fp as XRSTOR does; false: #GP. */
static bool load(const uint8_t *mem, const struct xsave_how *how, uint64_t allowed,
	struct fp_state *fp, uint32_t *pkru)
{
	struct xsave_image im;
	memset(&im, 0xee, sizeof im);
	memcpy(im.bytes + XSAVE_HEADER, mem + XSAVE_HEADER, 64);
	if (!xsave_plan(&im, how, allowed))
		return false;
	for (unsigned n = 0; n < im.parts; n++)
		memcpy(im.bytes + im.part[n].at, mem + im.part[n].at, im.part[n].size);
	return xsave_load(&im, how, fp, pkru);
}

static uint64_t bv(const uint8_t *mem)
{
	return *(const uint64_t *)(mem + XSAVE_HEADER);
}

static void test_reset(void **ctx)
{
	(void)ctx;
	struct vcpu *c = full();
	fp_reset(c, true);
	assert_int_equal(c->fp.area[FX_XMM], 1);
	fp_reset(c, false);
	assert_int_equal(c->fp.area[FX_FCW], 0x40);
	assert_int_equal(c->fp.area[FX_XMM], 0);
	assert_int_equal(xsave_inuse(&c->fp, 0), XCOMP_X87);
	assert_int_equal(xsave_inuse(&c->fp, 4), XCOMP_X87 | XCOMP_PKRU);
	free(c);
}

static void test_sizes(void **ctx)
{
	(void)ctx;
	assert_int_equal(xsave_size(3, false), 576);
	assert_int_equal(xsave_size(7, false), 832);
	assert_int_equal(xsave_size(0x207, false), 2696);
	assert_int_equal(xsave_size(0x207, true), 840);
	assert_int_equal(xsave_size(0x203, true), 584);
}

static void test_round_trip(void **ctx)
{
	(void)ctx;
	static const enum xsave_kind kinds[] = {DO_XSAVE, DO_XSAVEOPT, DO_XSAVEC, DO_XSAVES};
	for (unsigned k = 0; k < 4; k++) {
		struct xsave_how how = {kinds[k], 0x207, true, true, false, false};
		struct vcpu *a = full(), *b = full();
		struct xsave_image im;
		uint8_t mem[XSAVE_MAX] = {0};
		uint32_t pkru = 0;
		xsave_store(&im, &how, &a->fp, 0x55555554, 0);
		apply(mem, &im);
		assert_int_equal(bv(mem), 0x207);
		memset(b->fp.area + FX_ST, 0, 128);
		memset(b->fp.area + FX_XMM, 0, 256);
		memset(b->fp.area + XSAVE_AVX, 0, 256);
		how.kind = k == 3 ? DO_XSAVES : DO_XSAVE;
		assert_true(load(mem, &how, 0x207, &b->fp, &pkru));
		assert_int_equal(pkru, 0x55555554);
		assert_memory_equal(a->fp.area, b->fp.area, 832);
		free(a);
		free(b);
	}
}

static void test_only_what_was_asked(void **ctx)
{
	(void)ctx;
	struct vcpu *a = full();
	struct xsave_how how = {DO_XSAVE, XCOMP_AVX, true, true, false, false};
	struct xsave_image im;
	uint8_t mem[XSAVE_MAX];
	memset(mem, 0xcc, sizeof mem);
	xsave_store(&im, &how, &a->fp, 0, 0xcc00000000000001);
	apply(mem, &im);
	assert_true(bv(mem) == 0xcc00000000000005);
	assert_int_equal(mem[0], 0xcc);
	assert_int_equal(mem[FX_XMM], 0xcc);
	assert_int_equal(*(uint32_t *)(mem + FX_MXCSR), MXCSR_INIT);
	assert_int_equal(mem[XSAVE_HEADER + 8], 0xcc);
	assert_memory_equal(mem + XSAVE_AVX, a->fp.area + XSAVE_AVX, 256);
	free(a);
}

static void test_32bit_has_eight(void **ctx)
{
	(void)ctx;
	struct vcpu *a = full();
	struct xsave_how how = {DO_FXSAVE, 0, false, false, false, false};
	struct xsave_image im;
	uint8_t mem[512];
	memset(mem, 0xcc, sizeof mem);
	*(uint64_t *)(a->fp.area + FX_FIP) = 0x1122334455667788;
	xsave_store(&im, &how, &a->fp, 0, 0);
	apply(mem, &im);
	assert_memory_equal(mem + FX_XMM, a->fp.area + FX_XMM, 128);
	assert_int_equal(mem[FX_XMM + 128], 0xcc);
	assert_int_equal(mem[464], 0xcc);
	assert_true(*(uint64_t *)(mem + FX_FIP) == 0x55667788);
	free(a);
}

static void test_init_optimisation(void **ctx)
{
	(void)ctx;
	struct vcpu *a = full();
	struct xsave_how how = {DO_XSAVEC, 7, true, true, false, false};
	struct xsave_image im;
	uint8_t mem[XSAVE_MAX];
	memset(mem, 0xcc, sizeof mem);
	memset(mem + XSAVE_HEADER, 0, 64);
	memset(a->fp.area + FX_XMM, 0, 256);
	memset(a->fp.area + XSAVE_AVX, 0, 256);
	xsave_store(&im, &how, &a->fp, 0, 0);
	apply(mem, &im);
	assert_int_equal(bv(mem), XCOMP_X87);
	assert_true(*(uint64_t *)(mem + XSAVE_HEADER + 8) == (7 | XSAVE_COMPACTED));
	assert_int_equal(mem[FX_XMM], 0xcc);
	assert_int_equal(mem[FX_MXCSR], 0xcc);
	assert_int_equal(mem[XSAVE_AVX], 0xcc);
	/* a changed MXCSR counts as SSE in use */
	*(uint32_t *)(a->fp.area + FX_MXCSR) = 0x1f00;
	xsave_store(&im, &how, &a->fp, 0, 0);
	apply(mem, &im);
	assert_int_equal(bv(mem), XCOMP_X87 | XCOMP_SSE);
	assert_int_equal(*(uint32_t *)(mem + FX_MXCSR), 0x1f00);
	/* loading it clears what is not there */
	struct vcpu *b = full();
	uint32_t pkru = 7;
	how.kind = DO_XSAVE;
	assert_true(load(mem, &how, 7, &b->fp, &pkru));
	assert_int_equal(pkru, 7);
	assert_int_equal(b->fp.area[XSAVE_AVX], 0);
	assert_int_equal(b->fp.area[FX_XMM], 0);
	free(a);
	free(b);
}

static void test_bad_headers(void **ctx)
{
	(void)ctx;
	static const struct {
		enum xsave_kind kind;
		uint64_t bv, comp, byte16, byte24;
		bool ok;
	} t[] = {
		{DO_XSAVE, 7, 0, 0, 0, true},
		{DO_XSAVE, 7, 0, 0, 1, true},
		{DO_XSAVE, 7, 0, 1, 0, false},
		{DO_XSAVE, 7, 1, 0, 0, false},
		{DO_XSAVE, 0xf, 0, 0, 0, false},
		{DO_XSAVE, 3, XSAVE_COMPACTED | 7, 0, 0, true},
		{DO_XSAVE, 3, XSAVE_COMPACTED | 7, 0, 1, false},
		{DO_XSAVE, 7, XSAVE_COMPACTED | 3, 0, 0, false},
		{DO_XSAVE, 3, XSAVE_COMPACTED | 0xf, 0, 0, false},
		{DO_XSAVES, 7, 0, 0, 0, false},
		{DO_XSAVES, 7, XSAVE_COMPACTED | 7, 0, 0, true},
	};
	for (unsigned n = 0; n < sizeof t / sizeof t[0]; n++) {
		struct vcpu *a = full();
		struct xsave_how how = {t[n].kind, 7, true, true, false, false};
		uint8_t mem[XSAVE_MAX] = {0};
		uint32_t pkru = 0;
		uint64_t *h = (uint64_t *)(mem + XSAVE_HEADER);
		h[0] = t[n].bv, h[1] = t[n].comp, h[2] = t[n].byte16, h[3] = t[n].byte24;
		assert_int_equal(load(mem, &how, 7, &a->fp, &pkru), t[n].ok);
		free(a);
	}
}

static void test_bad_mxcsr(void **ctx)
{
	(void)ctx;
	struct vcpu *a = full();
	struct xsave_how how = {DO_XSAVE, 7, true, true, false, false};
	uint8_t mem[XSAVE_MAX] = {0};
	uint32_t pkru = 0;
	*(uint32_t *)(mem + FX_MXCSR) = 0x10000;
	assert_false(load(mem, &how, 7, &a->fp, &pkru));
	assert_int_equal(a->fp.area[FX_XMM], 1);
	how.rfbm = XCOMP_X87;
	assert_true(load(mem, &how, 7, &a->fp, &pkru));
	how.kind = DO_FXSAVE;
	assert_false(load(mem, &how, 7, &a->fp, &pkru));
	free(a);
}

/* Host registers carry the state; ours is what a C program expects meanwhile. */
static void test_enter_leave(void **ctx)
{
	(void)ctx;
	struct vcpu *c = full();
	uint8_t was[832];
	uint32_t mxcsr;
	uint16_t fcw;
	*(uint32_t *)(c->fp.area + FX_MXCSR) = 0x9f80;
	*(uint64_t *)(c->fp.area + FX_FIP) = 0x1234;
	memcpy(was, c->fp.area, sizeof was);
	fp_enter(c);
	assert_true(c->fp.live);
	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	fp_leave(c);
	assert_int_equal(mxcsr, 0x9f80);
	assert_memory_equal(was, c->fp.area, sizeof was);
	__asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(mxcsr), "=m"(fcw));
	assert_int_equal(mxcsr, MXCSR_INIT);
	assert_int_equal(fcw, 0x37f);
	/* an address of ours never shows; the guest's pointers stay */
	*(uint16_t *)(c->fp.area + FX_FCW) = 0x37f;
	fp_enter(c);
	__asm__ volatile("fincstp; fld1; ffree %st; fincstp; fdecstp; fdecstp");
	fp_leave(c);
	assert_true(*(uint64_t *)(c->fp.area + FX_FIP) == 0x1234);
	free(c);
}

static void test_state(void **ctx)
{
	(void)ctx;
	struct vcpu *a = full(), *b = full();
	struct buf out = {0};
	struct err e = {0};
	struct state *s = state_saver(&out);
	fp_state(a, s);
	state_free(s);
	fp_reset(b, false);
	s = state_loader(out.data, out.len, &e);
	fp_state(b, s);
	assert_true(state_ok(s));
	state_free(s);
	assert_memory_equal(a->fp.area, b->fp.area, 832);
	buf_done(&out);
	free(a);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_reset),
		cmocka_unit_test(test_sizes), cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_only_what_was_asked), cmocka_unit_test(test_32bit_has_eight),
		cmocka_unit_test(test_init_optimisation), cmocka_unit_test(test_bad_headers),
		cmocka_unit_test(test_bad_mxcsr), cmocka_unit_test(test_enter_leave),
		cmocka_unit_test(test_state)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

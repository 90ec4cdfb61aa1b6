/* Stacks by ORC tables in guest memory, and the same as .debug_frame. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "introspect/cfi.h"
#include "introspect/fake.h"
#include "introspect/memory.h"
#include "introspect/orc.h"
#include "introspect/regs.h"
#include "introspect/symtab.h"

#include <string.h>

#define CODE  FAKE_L1_CODE
#define STACK (CODE + 0x80000) /* all in L1's one large page */
#define IP    (CODE + 0x100000)
#define TABLE (CODE + 0x110000)
#define ROWS  5

static const struct place l1 = {1, 0};

/* sp register and offset, bp register and offset, type, end: as Linux 6.1 has them */
static uint64_t entry(unsigned sp_reg, int sp, unsigned bp_reg, int bp, unsigned type, unsigned end)
{
	return (uint16_t)sp | (uint64_t)(uint16_t)bp << 16 |
		(uint64_t)(sp_reg | bp_reg << 4 | type << 8 | end << 10) << 32;
}

static void word(struct intro *s, uint64_t at, uint64_t v)
{
	assert_true(intro_write(s, l1, SPACE_VIRTUAL, at, &v, 8, NULL));
}

static struct intro *start(void)
{
	static const unsigned from[ROWS] = {0, 0x40, 0x80, 0xc0, 0x100};
	const uint64_t row[ROWS] = {entry(ORC_SP, 8, ORC_UNDEFINED, 0, 0, 0),
		entry(ORC_BP, 16, ORC_PREV_SP, -16, 0, 0), entry(ORC_SP, 24, ORC_UNDEFINED, 0, 1, 0),
		entry(ORC_SP_INDIRECT, 8, ORC_UNDEFINED, 0, 0, 0),
		entry(ORC_UNDEFINED, 0, ORC_UNDEFINED, 0, 0, 1)};
	struct intro *s = fake_session();
	struct sym_source *src = symtab_new(s, 1, "vmlinux", "kallsyms");
	for (unsigned i = 0; i < ROWS; i++) {
		int32_t rel = (int32_t)(CODE + from[i] - (IP + 4 * i));
		assert_true(intro_write(s, l1, SPACE_VIRTUAL, IP + 4 * i, &rel, 4, NULL));
		assert_true(intro_write(s, l1, SPACE_VIRTUAL, TABLE + 6 * i, &row[i], 6, NULL));
	}
	symtab_add(src, IP, 0, "__start_orc_unwind_ip", false);
	symtab_add(src, IP + 4 * ROWS, 0, "__stop_orc_unwind_ip", false);
	symtab_add(src, TABLE, 0, "__start_orc_unwind", false);
	symtab_finish(s, src);
	return s;
}

/* One frame of each kind: a call, one with RBP, an interrupt, a stack switch. */
static void test_steps(void **state)
{
	struct intro *s = start();
	struct orc o;
	struct orc_frame f = {CODE + 4, STACK, STACK + 0x10, false};
	(void)state;
	assert_true(orc_open(&o, s, l1));
	assert_false(o.late);
	word(s, STACK, CODE + 0x51);         /* return address into the second row */
	assert_int_equal(orc_step(&o, &f, true), ORC_FRAME);
	assert_true(f.pc == CODE + 0x51 && f.sp == STACK + 8 && f.bp == STACK + 0x10);
	word(s, STACK + 0x10, 0x1234);       /* the caller's RBP */
	word(s, STACK + 0x18, CODE + 0x81);  /* into the row of interrupts */
	assert_int_equal(orc_step(&o, &f, false), ORC_FRAME);
	assert_true(f.pc == CODE + 0x81 && f.sp == STACK + 0x20 && f.bp == 0x1234 && !f.exact);
	uint64_t regs = STACK + 0x20 + 24;   /* struct pt_regs */
	word(s, regs + 32, 0x5678);
	word(s, regs + 128, CODE + 0xc0);    /* interrupted at a row's first instruction */
	word(s, regs + 152, STACK + 0x400);
	assert_int_equal(orc_step(&o, &f, false), ORC_FRAME);
	assert_true(f.pc == CODE + 0xc0 && f.sp == STACK + 0x400 && f.bp == 0x5678 && f.exact);
	word(s, STACK + 0x400, STACK + 0x800); /* the other stack */
	word(s, STACK + 0x800, CODE + 0x101);
	assert_int_equal(orc_step(&o, &f, false), ORC_FRAME);
	assert_true(f.pc == CODE + 0x101 && f.sp == STACK + 0x808);
	assert_int_equal(orc_step(&o, &f, false), ORC_END);
	/* an RBP that cannot be this stack's, and code that no table knows */
	struct orc_frame strange = {CODE + 0x50, STACK, 0x1000, false};
	assert_int_equal(orc_step(&o, &strange, true), ORC_LOST);
	word(s, STACK + 0x20, CODE + 0x11);
	assert_int_equal(orc_step_to(&o, &strange, true, STACK + 0x28), ORC_FRAME);
	assert_true(strange.pc == CODE + 0x11 && strange.sp == STACK + 0x28);
	struct orc_frame outside = {0x1000, STACK, STACK, false};
	assert_int_equal(orc_step(&o, &outside, true), ORC_LOST);
	intro_free(s);
}

static uint32_t u32(const struct buf *b, size_t at)
{
	uint32_t v;
	memcpy(&v, b->data + at, 4);
	return v;
}

static uint64_t u64(const struct buf *b, size_t at)
{
	uint64_t v;
	memcpy(&v, b->data + at, 8);
	return v;
}

/* Two CIEs, then FDEs that lie side by side and cover what the tables do. */
static void test_debug_frame(void **state)
{
	struct intro *s = start();
	struct buf b = {0};
	uint64_t next = CODE;
	unsigned cies = 0, fdes = 0;
	(void)state;
	cfi_from_orc(s, l1, &b);
	for (size_t at = 0; at < b.len; at += 4 + u32(&b, at)) {
		assert_true(at + 8 <= b.len && u32(&b, at) % 8 == 4);
		if (u32(&b, at + 4) == UINT32_MAX) {
			cies++;
			continue;
		}
		assert_true(u32(&b, at + 4) < at);
		assert_int_equal(u64(&b, at + 8), next);
		next += u64(&b, at + 16);
		fdes++;
	}
	assert_int_equal(cies, 2);
	assert_int_equal(fdes, 3); /* calls, an interrupt's, and calls again */
	assert_int_equal(next, CODE + 0x101);
	/* the first: DW_CFA_def_cfa_sf rsp 8, the return address at CFA - 8 */
	size_t first = 0;
	while (u32(&b, first + 4) == UINT32_MAX)
		first += 4 + u32(&b, first);
	static const uint8_t rule[] = {0x12, 7, 8, 0x11, 16, 0x78, 0x08, 6};
	assert_memory_equal(b.data + first + 24, rule, sizeof rule);
	buf_done(&b);
	intro_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps), cmocka_unit_test(test_debug_frame)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

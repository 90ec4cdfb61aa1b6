/* EPT02 and the page-modification log: when a page is logged again. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "ept/formats.h"
#include "l0/ept02.h"

enum { RAM = 16 << 20, PML4 = 0x10000, PDPT = 0x11000, PD = 0x12000, PT = 0x13000, LOG = 0x20000 };
#define EPTP (PML4 | BIT(6) | 0x1e)

struct rig {
	struct phys phys;
	struct private_mem mem;
	struct ept02 e;
	uint16_t index;
	unsigned flushes;
};

static void put64(struct rig *r, uint64_t at, uint64_t v)
{
	assert_true(phys_write(&r->phys, hpa(at), &v, 8));
}

static uint64_t get64(struct rig *r, uint64_t at)
{
	uint64_t v = 0;

	assert_true(phys_read(&r->phys, hpa(at), &v, 8));
	return v;
}

static void count_flush(void *ctx, uint64_t eptp02)
{
	(void)eptp02;
	++*(unsigned *)ctx;
}

static int setup(void **state)
{
	struct rig *r = test_calloc(1, sizeof *r);
	struct err e = {0};

	phys_init(&r->phys);
	assert_true(phys_add(&r->phys, PHYS_RAM, hpa(0), RAM, "ram", &e));
	assert_true(private_init(&r->mem, &r->phys, UINT64_C(16) << 20, &e));
	assert_true(ept02_init(&r->e, &r->mem, &r->phys, 40));
	r->e.flush = count_flush;
	r->e.flush_ctx = &r->flushes;
	r->index = 511;
	put64(r, PML4, PDPT | EPT_RWX);
	put64(r, PDPT, PD | EPT_RWX);
	put64(r, PD, PT | EPT_RWX);
	put64(r, PD + 8, (PT + 0x1000) | EPT_RWX);
	for (uint64_t n = 0; n < 1024; n++)
		put64(r, PT + 8 * n, n << 12 | EPT_RWX | 6 << EPT_TYPE_SHIFT);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	private_done(&r->mem);
	phys_done(&r->phys);
	test_free(r);
	return 0;
}

static enum ept02_result touch(struct rig *r, uint64_t gpa, bool write, bool pml)
{
	struct walk_access access = {.write = write, .linear = true};
	struct ept02_pml log = {.on = pml, .address = LOG, .index = &r->index};
	struct walk_result walk;

	return ept02_fill(&r->e, EPTP, false, gpa, &access, &log, &walk);
}

/* The log takes the place of the table that maps the page it logs. */
static void test_log_in_the_tables_is_a_violation(void **state)
{
	struct rig *r = *state;
	struct walk_access access = {.write = true, .linear = true};
	struct walk_result walk;
	uint16_t index = 5;
	struct ept02_pml log = {.on = true, .address = PT, .index = &index};

	assert_int_equal(
		ept02_fill(&r->e, EPTP, false, 0x5000, &access, &log, &walk), EPT02_VIOLATION);
	assert_int_equal(get64(r, PT + 5 * 8), 0x5000);
	assert_int_equal(index, 4);
}

static bool writable(struct rig *r, uint64_t gpa)
{
	unsigned shift;
	const uint64_t *leaf = ept_leaf_entry(&r->e.root[0].table, gpa, &shift);

	for (unsigned i = 0; i < EPT02_ROOTS && !leaf; i++)
		leaf = ept_leaf_entry(&r->e.root[i].table, gpa, &shift);
	return leaf && (*leaf & EPT_W);
}

static void test_logged_once_until_tracked_again(void **state)
{
	struct rig *r = *state;

	assert_int_equal(touch(r, 0x5000, true, true), EPT02_FILLED);
	assert_int_equal(r->index, 510);
	assert_int_equal(get64(r, LOG + 511 * 8), 0x5000);
	assert_true(writable(r, 0x5000));
	/* L1 clears D without INVEPT: unseen until translations die */
	put64(r, PT + 5 * 8, get64(r, PT + 5 * 8) & ~EPT_D);
	assert_true(writable(r, 0x5000));
	ept02_retrack(&r->e, EPTP);
	assert_int_equal(r->flushes, 1);
	assert_false(writable(r, 0x5000));
	assert_int_equal(touch(r, 0x5000, true, true), EPT02_FILLED);
	assert_int_equal(r->index, 509);
	assert_true(get64(r, PT + 5 * 8) & EPT_D);
	/* nothing was logged meanwhile: nothing to do */
	ept02_retrack(&r->e, EPTP);
	ept02_retrack_all(&r->e);
	assert_int_equal(r->flushes, 2);
	/* still dirty: not logged again */
	assert_int_equal(touch(r, 0x5000, true, true), EPT02_FILLED);
	assert_int_equal(r->index, 509);
}

/* A page that is dirty already becomes writable by a read. */
static void test_dirty_page_is_tracked(void **state)
{
	struct rig *r = *state;

	put64(r, PT + 7 * 8, get64(r, PT + 7 * 8) | EPT_D | EPT_A);
	assert_int_equal(touch(r, 0x7000, false, true), EPT02_FILLED);
	assert_true(writable(r, 0x7000));
	assert_int_equal(r->index, 511);
	ept02_retrack_all(&r->e);
	assert_false(writable(r, 0x7000));
}

static void test_full_log_and_full_list(void **state)
{
	struct rig *r = *state;

	for (uint64_t n = 0; n < 512; n++)
		assert_int_equal(touch(r, n << 12, true, true), EPT02_FILLED);
	assert_int_equal(r->index, UINT16_MAX);
	assert_int_equal(touch(r, 600 << 12, true, true), EPT02_PML_FULL);
	assert_false(get64(r, PT + 600 * 8) & EPT_D);
	r->index = 511;
	assert_int_equal(touch(r, 600 << 12, true, true), EPT02_FILLED);
	assert_false(writable(r, 0x5000)); /* went with the table */
	assert_true(writable(r, 600 << 12));
}

static void test_without_log_nothing_is_tracked(void **state)
{
	struct rig *r = *state;

	assert_int_equal(touch(r, 0x5000, true, false), EPT02_FILLED);
	assert_int_equal(r->index, 511);
	ept02_retrack_all(&r->e);
	assert_int_equal(r->flushes, 0);
	assert_true(writable(r, 0x5000));
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {T(test_log_in_the_tables_is_a_violation),
		T(test_logged_once_until_tracked_again),
		T(test_dirty_page_is_tracked), T(test_full_log_and_full_list),
		T(test_without_log_nothing_is_tracked)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

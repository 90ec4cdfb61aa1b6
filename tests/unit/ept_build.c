/* ept/build.h: mapping, splitting, unmapping, merging; seen by the walker. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ept/build.h"

#define POOL 64

struct pool {
	uint64_t page[POOL][512];
	bool used[POOL];
	unsigned limit;
};

static uint64_t pool_page(void *ctx)
{
	struct pool *p = ctx;

	for (unsigned i = 0; i < p->limit; i++) {
		if (p->used[i])
			continue;
		p->used[i] = true;
		memset(p->page[i], 0, 4096);
		return (uint64_t)(i + 1) << 12;
	}
	return UINT64_MAX;
}

static void pool_drop(void *ctx, uint64_t at)
{
	struct pool *p = ctx;

	assert_true(p->used[(at >> 12) - 1]);
	p->used[(at >> 12) - 1] = false;
}

static uint64_t *pool_entries(void *ctx, uint64_t at)
{
	return ((struct pool *)ctx)->page[(at >> 12) - 1];
}

static bool pool_read(void *ctx, uint64_t at, unsigned size, uint64_t *value)
{
	(void)size;
	*value = pool_entries(ctx, at & PAGE_MASK)[at >> 3 & 511];
	return true;
}

static unsigned pool_used(const struct pool *p)
{
	unsigned n = 0;

	for (unsigned i = 0; i < POOL; i++)
		n += p->used[i];
	return n;
}

struct fix {
	struct pool *pool;
	struct ept_table t;
};

static int setup(void **ctx)
{
	struct fix *f = calloc(1, sizeof *f);

	f->pool = calloc(1, sizeof *f->pool);
	f->pool->limit = POOL;
	const struct ept_alloc a = {f->pool, pool_page, pool_drop, pool_entries};
	assert_true(ept_table_init(&f->t, &a, true));
	*ctx = f;
	return 0;
}

static int teardown(void **ctx)
{
	struct fix *f = *ctx;

	ept_table_done(&f->t);
	assert_int_equal(pool_used(f->pool), 0);
	free(f->pool);
	free(f);
	return 0;
}

static enum walk_status walk(struct fix *f, uint64_t gpa, struct walk_result *r)
{
	const struct walk_root root = {.format = WALK_EPT, .root = ept_table_eptp(&f->t, false),
		.phys_bits = 46, .page1g = true, .exec_only = true};
	const struct walk_access a = {0};
	const struct walk_mem m = {f->pool, pool_read, NULL};

	return ept_walk(&root, gpa, &a, &m, r);
}

static const struct ept_leaf all = {.rights = 31, .memtype = 6};

static void test_largest_pages(void **ctx)
{
	struct fix *f = *ctx;
	struct walk_result r;
	struct ept_leaf l = all;

	/* 2 MiB - 4 KiB .. 3 GiB + 4 KiB, one to one */
	l.pa = 0x1ff000;
	assert_true(ept_map(&f->t, 0x1ff000, 0xc0001000 - 0x1ff000, &l));
	static const struct {
		uint64_t at;
		unsigned shift;
	} want[] = {{0x1ff123, 12}, {0x200000, 21}, {0x3fffffff, 21}, {0x40000000, 30},
		{0xbfffffff, 30}, {0xc0000fff, 12}};
	for (unsigned i = 0; i < sizeof want / sizeof *want; i++) {
		assert_int_equal(walk(f, want[i].at, &r), WALK_OK);
		assert_true(r.pa == want[i].at && r.page_shift == want[i].shift);
		assert_int_equal(r.memtype, 6);
	}
	assert_int_equal(walk(f, 0x1fefff, &r), WALK_VIOLATION);
	assert_int_equal(walk(f, 0xc0001000, &r), WALK_VIOLATION);
	/* an unaligned target forbids large pages */
	l.pa = 0x1000;
	assert_true(ept_map(&f->t, 0x200000, 0x400000, &l));
	assert_int_equal(walk(f, 0x3ff123, &r), WALK_OK);
	assert_true(r.pa == 0x200123 && r.page_shift == 12);
}

static void test_split_and_unmap(void **ctx)
{
	struct fix *f = *ctx;
	struct walk_result r;

	assert_true(ept_map(&f->t, 0, BIT(30), &all));
	assert_int_equal(f->t.pages, 2);
	assert_true(ept_unmap(&f->t, 0x5000, 0x1000));
	assert_int_equal(f->t.pages, 4);
	assert_int_equal(walk(f, 0x5fff, &r), WALK_VIOLATION);
	assert_int_equal(walk(f, 0x4fff, &r), WALK_OK);
	assert_true(r.page_shift == 12 && r.pa == 0x4fff);
	assert_int_equal(walk(f, 0x200000, &r), WALK_OK);
	assert_true(r.page_shift == 21 && r.pa == 0x200000);
	/* across sizes, and over holes */
	assert_true(ept_unmap(&f->t, 0x3000, BIT(40)));
	for (uint64_t a = 0x3000; a < BIT(30); a += 0x1ff000)
		assert_int_equal(walk(f, a, &r), WALK_VIOLATION);
	assert_int_equal(walk(f, 0x2fff, &r), WALK_OK);
	/* a large page over a table frees it */
	assert_true(ept_map(&f->t, 0, BIT(30), &all));
	assert_int_equal(f->t.pages, 2);
	assert_int_equal(walk(f, 0x5fff, &r), WALK_OK);
	assert_int_equal(r.page_shift, 30);
}

static void test_leaves_keep_their_bits(void **ctx)
{
	struct fix *f = *ctx;
	struct walk_result r;
	const struct ept_leaf l = {.pa = 0x7000, .shift = 12, .rights = WALK_R | WALK_X,
		.memtype = 4, .ignore_pat = true, .accessed = true, .dirty = true, .ve_suppress = true};
	unsigned shift;

	assert_true(ept_map_leaf(&f->t, 0x9abc, &l));
	assert_int_equal(*ept_leaf_entry(&f->t, 0x9000, &shift),
		(int64_t)(0x7000 | EPT_R | EPT_X | 4 << 3 | EPT_IPAT | EPT_A | EPT_D | EPT_SVE));
	assert_int_equal(shift, 12);
	assert_int_equal(walk(f, 0x9abc, &r), WALK_OK);
	struct ept_leaf back = ept_leaf_of(&r);
	assert_true(back.pa == l.pa && back.shift == 12 && back.memtype == 4 && back.ignore_pat);
	assert_true(back.accessed && back.dirty && back.ve_suppress);
	assert_null(ept_leaf_entry(&f->t, 0x40009abc, &shift));
	/* splitting a restricted large page restricts the pieces */
	struct ept_leaf big = l;
	big.shift = 21;
	big.pa = 0x400000;
	assert_true(ept_map_leaf(&f->t, 0x400000, &big));
	big = all;
	big.shift = 12;
	assert_true(ept_map_leaf(&f->t, 0x401000, &big));
	assert_int_equal(walk(f, 0x402000, &r), WALK_OK);
	assert_int_equal(r.rights & (WALK_R | WALK_W | WALK_X), WALK_R | WALK_X);
	assert_true(r.pa == 0x402000 && r.memtype == 4 && r.ve_suppress);
}

static void test_merge(void **ctx)
{
	(void)ctx;
	const struct ept_leaf small = {.pa = 0x5000, .shift = 12, .rights = WALK_R | WALK_W,
		.memtype = 6};
	const struct ept_leaf large = {.pa = BIT(30), .shift = 30, .rights = WALK_R | WALK_X,
		.memtype = 4};

	struct ept_leaf l = ept_merge(0x123456, &small, 0x5456, &large);
	assert_true(l.pa == BIT(30) + 0x5000 && l.shift == 12);
	assert_true(l.rights == WALK_R && l.memtype == 4);
	/* EPT12 2M page, EPT01 4K page */
	const struct ept_leaf two = {.pa = 0x400000, .shift = 21, .rights = 7, .memtype = 0};
	l = ept_merge(0x203456, &two, 0x403456, &small);
	assert_true(l.pa == 0x5000 && l.shift == 12 && l.memtype == 0);
	assert_int_equal(ept_memtype_combine(6, 5), 5);
	assert_int_equal(ept_memtype_combine(4, 5), 4);
	assert_int_equal(ept_memtype_combine(1, 4), 0);
	assert_string_equal(ept_memtype_name(6), "WB");
}

static void test_no_page_left(void **ctx)
{
	struct fix *f = *ctx;
	struct ept_leaf l = all;

	f->pool->limit = 3;
	l.shift = 12;
	assert_false(ept_map_leaf(&f->t, 0, &l));
	f->pool->limit = 8;
	f->t.max_pages = 8;
	for (uint64_t a = 0; a < BIT(36); a += BIT(31))
		assert_true(ept_map_leaf(&f->t, a, &l));
	assert_true(f->t.pages <= 8);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {T(test_largest_pages), T(test_split_and_unmap),
		T(test_leaves_keep_their_bits), T(test_merge), T(test_no_page_left)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* base/grid.h: clipping, text, shapes, dumps. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/grid.h"

static const struct style plain = {COLOUR_DEFAULT, COLOUR_DEFAULT, 0};

static void expect(struct grid *g, const char *want)
{
	struct buf b = {0};
	grid_dump(g, &b);
	assert_string_equal(b.data, want);
	buf_done(&b);
	grid_clear(g);
}

static void test_text(void **ctx)
{
	struct grid g;
	(void)ctx;
	grid_init(&g, 10, 2);
	assert_int_equal(grid_text(&g, 0, 0, plain, "hello"), 5);
	assert_int_equal(grid_text_max(&g, 0, 1, 6, plain, "truncated"), 6);
	expect(&g, "hello\ntrunc…\n");
	grid_text(&g, 0, 0, plain, "日本x");
	grid_text(&g, 0, 1, plain, "e\xcc\x81!\x01");
	expect(&g, "日本x\ne\xcc\x81!.\n");
	grid_text(&g, 0, 0, plain, "日本");
	grid_text(&g, 1, 0, plain, "x"); /* cuts a wide glyph */
	grid_text(&g, 9, 1, plain, "日"); /* no room for its half */
	expect(&g, " x本\n\n");
	grid_text(&g, -2, 0, plain, "clipped text");
	expect(&g, "ipped text\n\n");
	grid_done(&g);
}

static void test_clip_and_box(void **ctx)
{
	struct grid g;
	(void)ctx;
	grid_init(&g, 12, 4);
	g.ascii = true;
	grid_box(&g, (struct rect){0, 0, 12, 4}, plain, "walk");
	struct rect old = grid_clip(&g, (struct rect){1, 1, 4, 1});
	grid_text(&g, 1, 1, plain, "abcdefgh");
	grid_text(&g, 1, 2, plain, "hidden");
	grid_unclip(&g, old);
	expect(&g, "+ walk ----+\n|abcd      |\n|          |\n+----------+\n");
	grid_done(&g);
}

static void test_bars(void **ctx)
{
	const uint64_t v[] = {9, 0, 1, 4, 8};
	struct grid g;
	(void)ctx;
	grid_init(&g, 8, 2);
	grid_sparkline(&g, 0, 0, 4, plain, v, 5, 0);
	grid_bar(&g, 0, 1, 8, plain, 9, 16);
	expect(&g, " ▁▄█\n████▌\n");
	grid_done(&g);
}

static void test_styles(void **ctx)
{
	struct grid g;
	struct buf b = {0};
	(void)ctx;
	grid_init(&g, 8, 1);
	grid_text(&g, 0, 0, plain, "a");
	grid_text(&g, 1, 0, (struct style){COLOUR_L2, COLOUR_DEFAULT, ATTR_BOLD}, "b");
	grid_text(&g, 2, 0, (struct style){COLOUR_RGB(1, 2, 3), 0, 0}, "c");
	grid_dump_styled(&g, &b);
	assert_string_equal(b.data, "a{l2/default/b}b{#010203}c\n");
	buf_done(&b);
	grid_done(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_text),
		cmocka_unit_test(test_clip_and_box), cmocka_unit_test(test_bars),
		cmocka_unit_test(test_styles)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The exit ring: what it keeps, and how its saved state loads into other sizes. */
#include "base/state.h"
#include "l0/options.h"
#include "l0/ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

static void fill(struct ring *r, uint64_t records, uint64_t count)
{
	assert_true(ring_init(r, records, NULL));
	for (uint64_t i = 0; i < count; i++) {
		struct ring_record rec = {.rip = i, .cause = RING_NONE};
		struct ring_regs regs = {.cr3 = i};
		assert_int_equal(ring_put(r, &rec, &regs), i);
	}
}

/* Holds exactly first .. count - 1, each with its own values. */
static void holds(const struct ring *r, uint64_t first, uint64_t count)
{
	assert_int_equal(r->count, count);
	assert_int_equal(ring_oldest(r), first);
	assert_null(ring_at(r, count));
	if (first)
		assert_null(ring_at(r, first - 1));
	for (uint64_t i = first; i < count; i++) {
		assert_int_equal(ring_at(r, i)->rip, i);
		if (count - i <= RING_REGS)
			assert_int_equal(ring_regs_at(r, i)->cr3, i);
		else
			assert_null(ring_regs_at(r, i));
	}
}

static void keeps_the_last(void **state)
{
	struct ring r;
	(void)state;
	fill(&r, 5000, 4000);
	holds(&r, 0, 4000);
	ring_done(&r);
	fill(&r, 5000, 12345);
	holds(&r, 7345, 12345);
	ring_cost(&r, 7345, 9);
	ring_cost(&r, 7344, 8); /* gone: nothing happens */
	assert_int_equal(ring_at(&r, 7345)->cost, 9);
	assert_int_equal(ring_at(&r, 12344)->cost, 0);
	ring_done(&r);
}

static void reload(struct ring *from, struct ring *to, uint64_t records)
{
	struct buf b = {0};
	struct err e = {0};
	struct state *s = state_saver(&b);
	ring_state(from, s);
	state_free(s);
	assert_true(ring_init(to, records, NULL));
	s = state_loader(b.data, b.len, &e);
	ring_state(to, s);
	assert_true(state_ok(s));
	state_free(s);
	buf_done(&b);
}

static void loads_into_any_size(void **state)
{
	struct ring r, t, u;
	(void)state;
	fill(&r, 6000, 20000);
	reload(&r, &t, 6000);
	holds(&t, 14000, 20000);
	ring_done(&t);
	reload(&r, &t, 50000); /* larger: what the file has, then its own */
	holds(&t, 14000, 20000);
	struct ring_record rec = {.rip = 20000};
	struct ring_regs regs = {.cr3 = 20000};
	ring_put(&t, &rec, &regs);
	holds(&t, 14000, 20001);
	reload(&t, &u, 2000); /* smaller: the last of them */
	holds(&u, 18001, 20001);
	ring_done(&u);
	reload(&t, &u, 0); /* off: none */
	assert_int_equal(ring_oldest(&u), 20001);
	assert_null(ring_at(&u, 20000));
	assert_null(ring_regs_at(&u, 20000));
	ring_done(&u);
	ring_done(&t);
	ring_done(&r);
}

static void refuses_nonsense(void **state)
{
	struct ring r;
	struct buf b = {0};
	struct err e = {0};
	(void)state;
	fill(&r, 2000, 10);
	r.first = 11; /* a file that begins after its end */
	struct state *s = state_saver(&b);
	ring_state(&r, s);
	state_free(s);
	s = state_loader(b.data, b.len, &e);
	ring_state(&r, s);
	assert_false(state_ok(s));
	assert_non_null(strstr(e.msg, "exit ring"));
	state_free(s);
	buf_done(&b);
	ring_done(&r);
}

static void sizes(void **state)
{
	static const struct {
		const char *spec;
		uint64_t records; /* UINT64_MAX: refused */
	} row[] = {{"", RING_DEFAULT}, {"ring=on", RING_DEFAULT}, {"ring=off", 0}, {"ring=1K", 1024},
		{"ring=1M", 1u << 20}, {"ring=16M", 16u << 20}, {"ring=64M", RING_MAX},
		{"ring=1000000", 1000000}, {"ring=0", 0}, {"ring=1", UINT64_MAX},
		{"ring=65M", UINT64_MAX}, {"ring=", UINT64_MAX}, {"ring=-5", UINT64_MAX},
		{"ring=1Q", UINT64_MAX}};
	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct l0_options o;
		struct err e = {0};
		bool ok = l0_options_parse(&o, row[i].spec, &e);
		assert_int_equal(ok, row[i].records != UINT64_MAX);
		if (ok)
			assert_int_equal(o.ring, row[i].records);
		else
			assert_non_null(strstr(e.msg, "1K to 64M"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(keeps_the_last),
		cmocka_unit_test(loads_into_any_size), cmocka_unit_test(refuses_nonsense),
		cmocka_unit_test(sizes)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

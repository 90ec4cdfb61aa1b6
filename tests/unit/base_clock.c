/* base/clock.h: deadlines fire in order, time never steps back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"

struct log {
	int order[8], n;
};
struct timer {
	struct clock_timer t;
	struct log *log;
	int id;
	struct clock *again;
};

static void fire(void *owner)
{
	struct timer *t = owner;
	t->log->order[t->log->n++] = t->id;
	if (t->again) {
		clock_arm(t->again, &t->t, t->again->now);
		t->again = NULL;
	}
}

static void test_order(void **ctx)
{
	(void)ctx;
	struct clock c;
	struct log log = {0};
	struct timer t[3];
	clock_init(&c);
	for (int i = 0; i < 3; i++) {
		t[i] = (struct timer){.log = &log, .id = i};
		clock_register(&c, &t[i].t, fire, &t[i]);
	}
	assert_true(clock_next(&c) == CLOCK_NEVER);
	clock_arm(&c, &t[2].t, 5);
	clock_arm(&c, &t[0].t, 7);
	clock_arm(&c, &t[1].t, 5);
	assert_int_equal(clock_next(&c), 5);
	clock_set(&c, 6);
	clock_run(&c);
	assert_int_equal(log.n, 2);
	assert_int_equal(log.order[0], 1);
	assert_int_equal(log.order[1], 2);
	clock_disarm(&c, &t[0].t);
	assert_true(clock_next(&c) == CLOCK_NEVER);
}

static void test_rearmed_in_its_own_fire(void **ctx)
{
	(void)ctx;
	struct clock c;
	struct log log = {0};
	struct timer t = {.log = &log, .id = 4, .again = &c};
	clock_init(&c);
	clock_register(&c, &t.t, fire, &t);
	clock_arm(&c, &t.t, 1);
	clock_set(&c, 2);
	clock_run(&c);
	assert_int_equal(log.n, 2);
}

static void test_skip_counts_and_ordinals_restart(void **ctx)
{
	(void)ctx;
	struct clock c;
	clock_init(&c);
	clock_event(&c);
	assert_int_equal(clock_event(&c).ordinal, 1);
	clock_skip(&c, 100);
	assert_int_equal(c.skipped, 100);
	assert_int_equal(clock_position(&c).ordinal, 0);
	clock_skip(&c, 50);
	assert_int_equal(c.now, 100);
}

static void test_units(void **ctx)
{
	(void)ctx;
	assert_int_equal(clock_to_hz(CLOCK_HZ, 1193182), 1193182);
	assert_int_equal(clock_from_hz(1193182, 1193182), CLOCK_HZ);
	assert_int_equal(clock_to_hz(clock_from_hz(1, 3579545), 3579545), 1);
	assert_true(clock_to_hz(UINT64_MAX / 2, 14318180) > 0);
	assert_true(clock_from_hz(UINT64_MAX, 1) == CLOCK_NEVER - 1);
}

static void test_unregistered_in_any_order(void **ctx)
{
	struct clock c;
	struct clock_timer t[3];
	(void)ctx;
	clock_init(&c);
	for (unsigned i = 0; i < 3; i++) {
		clock_register(&c, &t[i], NULL, NULL);
		clock_arm(&c, &t[i], 10 + i);
	}
	clock_unregister(&c, &t[0]);
	t[0].deadline = 1; /* nobody looks at it */
	assert_int_equal(clock_next(&c), 11);
	clock_unregister(&c, &t[1]);
	clock_disarm(&c, &t[2]);
	assert_true(clock_next(&c) == CLOCK_NEVER);
	clock_unregister(&c, &t[2]);
	assert_int_equal(c.timers, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_order),
		cmocka_unit_test(test_rearmed_in_its_own_fire),
		cmocka_unit_test(test_skip_counts_and_ordinals_restart),
		cmocka_unit_test(test_unregistered_in_any_order),
		cmocka_unit_test(test_units)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

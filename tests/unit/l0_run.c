/* The run loop on our own L1: marks, stops, turns. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "l0/l0.h"
#include "tests/lib/l1_machine.h"

#define L2_ENTRY UINT64_C(0x8000) /* of the payloads, linear */
#define L2_LOOP  UINT64_C(0x800e) /* in the loop of `storm` */

static bool yes(void *ctx, const struct l0_event *ev)
{
	*(struct l0_event *)ctx = *ev;
	return true;
}

/* A mark stops once for each time that its instruction runs, whatever comes
 * between the stop and the instruction. */
static void count_stops(uint64_t at, bool kick, unsigned wanted)
{
	struct l0_event ev = {0};
	struct l0_observer o = {1u << L0_EV_BREAK, yes, &ev};
	struct l0 *l = l1_machine("storm end=off count=20", 1, NULL);
	unsigned stops = 0;
	uint64_t last = 0;
	assert_int_equal(l0_observe(l, &o), 0);
	engine_mark(l->engine, gva(at));
	for (;;) {
		struct l0_stop s = l0_run(l, NULL);
		if (s.why != L0_OBSERVER) {
			assert_int_equal(s.why, L0_POWER_OFF);
			break;
		}
		assert_true(l->clock->now > last);
		assert_int_equal(ev.at, at);
		assert_int_equal(ev.level, 2);
		assert_int_equal(l->vcpu[0].cpu->pending & PEND_STOP, 0);
		last = l->clock->now;
		stops++;
		if (kick)
			vcpu_pend(l->vcpu[0].cpu, PEND_STOP);
	}
	assert_int_equal(stops, wanted);
	l0_free(l);
}

/* L2's first fetch is an EPT violation that L0 handles, and runs again. */
static void test_mark_before_exit(void **ctx)
{
	(void)ctx;
	count_stops(L2_ENTRY, false, 1);
	count_stops(L2_ENTRY, true, 1);
}

static void test_mark_after_kick(void **ctx)
{
	(void)ctx;
	count_stops(L2_LOOP, false, 20);
	count_stops(L2_LOOP, true, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mark_before_exit),
		cmocka_unit_test(test_mark_after_kick),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

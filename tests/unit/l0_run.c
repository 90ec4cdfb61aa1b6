/* The run loop on our own L1: marks, stops, turns. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/state.h"
#include "l0/l0.h"
#include "machine/machine.h"
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

/* What is left of the turn 100 instructions after an interrupt for another vCPU,
 * and which instruction came when; with a mark on it when `marked`. */
#define INTERRUPT_AT UINT64_C(100000)

static void interrupt_another(void *machine)
{
	((struct machine *)machine)->yield = true;
}

static uint64_t left_of_turn(bool marked, uint64_t *at)
{
	struct l0_event ev = {0};
	struct l0_observer o = {1u << L0_EV_BREAK, yes, &ev};
	struct l0 *l = l1_machine("storm end=off", 2, NULL);
	struct l0_limits lim = {.clock = INTERRUPT_AT - 1};
	struct clock_timer t;
	unsigned stops = 0;
	assert_int_equal(l0_observe(l, &o), 0);
	assert_int_equal(l0_run(l, &lim).why, L0_LIMIT);
	lim.clock++;
	clock_register(l->clock, &t, interrupt_another, l->machine);
	clock_arm(l->clock, &t, INTERRUPT_AT);
	if (marked)
		engine_mark(l->engine, gva(*at));
	else if (l0_run(l, &lim).why == L0_LIMIT)
		*at = l->vcpu[0].cpu->rip;
	lim.clock = INTERRUPT_AT + 100;
	while (l0_run(l, &lim).why == L0_OBSERVER)
		stops += ev.at == *at;
	assert_int_equal(stops > 0, marked);
	assert_int_equal(l->clock->now, lim.clock);
	uint64_t left = l->turn_left;
	clock_unregister(l->clock, &t);
	l0_free(l);
	return left;
}

/* Its turn comes at the same place, whoever looks. */
static void test_interrupt_of_another(void **ctx)
{
	uint64_t at = 0, left = left_of_turn(false, &at);
	(void)ctx;
	assert_int_equal(left, 3001 - 100);
	assert_int_equal(left_of_turn(true, &at), left);
}

/* --- what is looked for only while somebody listens --- */

struct heard {
	unsigned n, leaves;
	struct l0_event ev[64];
};

static bool hear(void *ctx, const struct l0_event *ev)
{
	struct heard *h = ctx;
	if (h->n < 64)
		h->ev[h->n] = *ev;
	h->n++;
	h->leaves += ev->kind == L0_EV_EPT_WRITE && ev->shift == 12;
	return false;
}

static void listen_to(const char *args, unsigned vcpus, enum l0_event_kind kind, struct heard *h)
{
	struct l0_observer o = {kind == L0_EV_STOPPED ? 0 : 1u << kind, hear, h};
	struct l0 *alone = l1_machine(args, vcpus, NULL), *l = l1_machine(args, vcpus, NULL);
	assert_int_equal(l0_run(alone, NULL).why, L0_POWER_OFF);
	l0_observe(l, &o);
	assert_int_equal(l0_run(l, NULL).why, L0_POWER_OFF);
	assert_int_equal(l->clock->now, alone->clock->now);
	struct state_hash a = l0_hash(alone), b = l0_hash(l);
	assert_memory_equal(&a, &b, sizeof a);
	l0_free(alone);
	l0_free(l);
}

/* Each touch of L2 makes L1 take one mapping away and make another. */
static void test_ept_writes(void **ctx)
{
	struct heard h = {0};
	(void)ctx;
	listen_to("ept end=off count=30", 1, L0_EV_EPT_WRITE, &h);
	assert_int_equal(h.leaves, 2 * 30 - 1);
	assert_int_equal(h.n, h.leaves + 1); /* and the table for the window */
	assert_int_equal(h.ev[0].shift, 21);
	assert_int_equal(h.ev[0].number, 0x200000);
	for (unsigned i = 1; i < h.n; i++) {
		const struct l0_event *e = &h.ev[i];
		assert_int_equal(e->level, 1);
		assert_true(e->number >= 0x200000 && e->number < 0x400000);
		/* mapped, then taken away as it was, but for A and D */
		assert_int_equal(e->at, (h.ev[0].new_ & PAGE_MASK) + (e->number >> 12 & 511) * 8);
		if (i % 2)
			assert_true(!e->old && (e->new_ & 7) == 7);
		else
			assert_int_equal(e->old, h.ev[i - 1].new_);
	}
}

static void test_modes(void **ctx)
{
	static const uint8_t l2[] = {L0_MODE_PROT16, L0_MODE_PROT32, L0_MODE_COMPAT32, L0_MODE_LONG};
	struct heard h = {0};
	(void)ctx;
	listen_to("modes end=off count=2", 1, L0_EV_MODE, &h);
	unsigned n = 0;
	for (unsigned i = 0; i < h.n && i < 64; i++) {
		assert_int_not_equal(h.ev[i].old, h.ev[i].new_);
		if (h.ev[i].level == 2 && n < sizeof l2)
			assert_int_equal(h.ev[i].new_, l2[n++]);
	}
	assert_int_equal(n, sizeof l2);
}

/* Two L2s in turn and an L1 between them switch no mode. */
static void test_no_modes(void **ctx)
{
	struct heard h = {0};
	(void)ctx;
	listen_to("pair end=off count=20", 1, L0_EV_MODE, &h);
	assert_int_equal(h.n, 2); /* L1's own way into 64-bit mode */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mark_before_exit),
		cmocka_unit_test(test_mark_after_kick),
		cmocka_unit_test(test_interrupt_of_another),
		cmocka_unit_test(test_ept_writes),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_no_modes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

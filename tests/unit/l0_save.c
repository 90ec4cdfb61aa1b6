/* l0_save [ROUNDS] - save and load at positions all over a run, L2's included:
 * a machine loaded from each goes on to the end at which the machine that saved
 * it arrives, and that is the end of one that saved nothing. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/state.h"
#include "tests/lib/l1_machine.h"

#include <inttypes.h>
#include <string.h>

static unsigned rounds = 3;

struct ending {
	struct state_hash hash;
	uint64_t clock;
};

static struct ending finish(struct l0 *l)
{
	struct l0_stop s = l0_run(l, NULL);
	if (s.why != L0_POWER_OFF)
		fail_msg("the run ended by %d", s.why);
	struct ending e = {l0_hash(l), l->clock->now};
	return e;
}

static void same(const char *what, uint64_t at, struct ending a, struct ending b)
{
	if (a.clock != b.clock || a.hash.lo != b.hash.lo || a.hash.hi != b.hash.hi)
		fail_msg("%s: from %" PRIu64 " it ends at %" PRIu64 " with hash %016" PRIx64
			 ", alone at %" PRIu64 " with %016" PRIx64, what, at, b.clock, b.hash.lo,
			a.clock, a.hash.lo);
}

static uint64_t next(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return *seed >> 33;
}

static void save_and_load(const char *what, unsigned vcpus, const char *options)
{
	char args[64], path[] = "/tmp/l0_save.XXXXXX";
	struct err e = {0};
	uint64_t seed = strlen(what), begin = 24000; /* L1's set-up ends about there */
	unsigned in_l2 = 0;
	snprintf(args, sizeof args, "%s end=off", what);
	struct l0 *l = l1_machine(args, vcpus, options);
	struct ending alone = finish(l);
	assert_true(alone.clock > begin);
	l0_free(l);
	close(mkstemp(path));
	struct l0 *saver = l1_machine(args, vcpus, options);
	for (unsigned i = 0; i < rounds; i++) {
		uint64_t step = (alone.clock - begin) / rounds;
		uint64_t at = begin + step * i + next(&seed) % step;
		struct l0_limits lim = {.clock = at};
		assert_int_equal(l0_run(saver, &lim).why, L0_LIMIT);
		for (unsigned n = 0; i % 2 && n < 3000 && at + 1 < alone.clock && saver->vcpu[0].level == 1; n++) {
			lim = (struct l0_limits){.clock = ++at};
			l0_run(saver, &lim);
		}
		in_l2 += saver->vcpu[0].level == 2;
		if (!l0_save(saver, path, &e))
			fail_msg("%s", e.msg);
		struct l0 *loaded = l1_machine("cpuid", vcpus, options);
		if (!l0_load(loaded, path, &e))
			fail_msg("%s", e.msg);
		same(what, at, alone, finish(loaded));
		l0_free(loaded);
	}
	same(what, 0, alone, finish(saver));
	l0_free(saver);
	unlink(path);
	assert_true(rounds < 4 || in_l2);
	if (rounds >= 20)
		print_message("%s: %u of %u in L2\n", what, in_l2, rounds);
}

#define RUN(name, what, vcpus, options)                                                            \
	static void name(void **ctx)                                                               \
	{                                                                                          \
		(void)ctx;                                                                         \
		save_and_load(what, vcpus, options);                                               \
	}

RUN(test_storm, "storm", 1, NULL)
RUN(test_storm_exits, "storm", 1, "use.shadow-vmcs=off")
RUN(test_ticks, "ticks", 1, NULL)
RUN(test_ticks_two, "ticks", 2, NULL)
RUN(test_pair, "pair", 3, NULL)
RUN(test_ept, "ept", 1, NULL)
RUN(test_modes, "modes", 1, NULL)
RUN(test_spin, "spin", 1, NULL)
RUN(test_paging, "paging", 1, "mmu=shadow-on-ept")
RUN(test_no_vpid, "cpuid", 1, "use.vpid=off")
RUN(test_cap_vpid, "cpuid", 2, "cap.vpid=off")

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_storm),
		cmocka_unit_test(test_storm_exits),
		cmocka_unit_test(test_ticks),
		cmocka_unit_test(test_ticks_two),
		cmocka_unit_test(test_pair),
		cmocka_unit_test(test_ept),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_spin),
		cmocka_unit_test(test_paging),
		cmocka_unit_test(test_no_vpid),
		cmocka_unit_test(test_cap_vpid),
	};
	if (argc > 1)
		rounds = (unsigned)strtoul(argv[1], NULL, 10);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	if (rounds >= 20)
		print_message("%d passed, %d failed\n", (int)(sizeof tests / sizeof *tests) - failed, failed);
	return failed;
}

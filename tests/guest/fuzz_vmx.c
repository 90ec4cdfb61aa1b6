/* fuzz_vmx IMAGE SECONDS SEED - the fuzz guest (guests/fuzz) under L0, seed after
 * seed: on one processor and on three, with L0's options in rotation, now and then
 * through a snapshot. A run may end as a guest may end; a crash, a sanitizer's report
 * or a run that does not end in three minutes fails, and the last line named the seed.
 */
#include "base/state.h"
#include "l0/l0.h"
#include "vmx/vmx.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CLOCK_MAX   UINT64_C(2000000000) /* ticks, idle time included */
#define RETIRED_MAX UINT64_C(6000000)
#define ROUNDS      4000

static const char *const options[] = {NULL, "use.shadow-vmcs=off", "cap.vmcs-shadowing=off",
	"mmu=shadow-on-ept", "use.vpid=off", "cap.ve=off", "cap.unrestricted=off", "cap.apicv=off",
	"cap.pml=off,cap.mbec=off", "ring=off", "mmu=shadow-on-shadow", "use.preemption-timer=off",
	"use.pml=on", "use.pml=on,mmu=shadow-on-ept"};
#define OPTIONS (sizeof(options) / sizeof(*options))

struct totals {
	uint64_t runs, insns, transitions, entries, ends[L0_DEAD + 1];
};

static void stuck(int sig)
{
	static const char text[] = "no end after three minutes\n";
	(void)sig;
	if (write(2, text, sizeof(text) - 1) < 0)
		abort();
	abort();
}

static bool through_snapshot(struct l0 *l)
{
	struct buf b = {0};
	struct err e = {0};
	struct state_hash before = l0_hash(l), after;
	struct state *s = state_saver(&b);
	l0_state(l, s);
	state_free(s);
	s = state_loader(b.data, b.len, &e);
	l0_state(l, s);
	bool ok = state_ok(s);
	state_free(s);
	buf_done(&b);
	after = l0_hash(l);
	if (!ok)
		printf("a snapshot does not load: %s\n", e.msg);
	else if (before.lo != after.lo || before.hi != after.hi)
		printf("a snapshot loads as another machine\n");
	return ok && before.lo == after.lo && before.hi == after.hi;
}

static bool one(const char *image, uint64_t seed, struct totals *t)
{
	unsigned cpus = seed % 5 == 4 ? 3 : 1;
	char args[64];
	struct err e = {0};
	bool good = true;
	snprintf(args, sizeof args, "s=%" PRIu64 " n=%u c=%u", seed, ROUNDS, cpus);
	struct l0_config cfg = {.mem = 128u << 20, .vcpus = cpus, .quantum = 500,
		.l0 = options[seed % OPTIONS],
		.load = {.kind = LOAD_MULTIBOOT, .kernel = image, .append = args}};
	printf("seed %" PRIu64 ": --multiboot %s --append '%s' --mem 128M --cpus %u --quantum 500%s%s\n",
		seed, image, args, cpus, cfg.l0 ? " --l0 " : "", cfg.l0 ? cfg.l0 : "");
	fflush(stdout);
	struct l0 *l = l0_new(&cfg, &e);
	if (!l) {
		printf("%s\n", e.msg);
		return false;
	}
	struct l0_limits lim = {.clock = CLOCK_MAX, .retired = RETIRED_MAX, .stop_on_reset = true};
	if (seed % 3 == 0) {
		lim.retired = 300000 + seed * 7919 % 2000000;
		if (l0_run(l, &lim).why == L0_LIMIT && l->clock->now < CLOCK_MAX)
			good = through_snapshot(l);
		lim.retired = RETIRED_MAX;
	}
	struct l0_stop s = l0_run(l, &lim);
	t->runs++;
	t->insns += l0_retired(l);
	t->transitions += l->ring.count;
	for (unsigned i = 0; i < cpus; i++)
		t->entries += vmx_of(l->vcpu[i].cpu)->entries;
	t->ends[s.why]++;
	l0_free(l);
	return good;
}

int main(int argc, char **argv)
{
	static const char *const names[] = {"limit", "observer", "interrupt", "power-off", "finished",
		"reset", "triple fault", "dead"};
	struct totals t = {0};
	unsigned failed = 0;
	if (argc != 4) {
		fprintf(stderr, "usage: fuzz_vmx IMAGE SECONDS SEED\n");
		return 2;
	}
	time_t end = time(NULL) + strtol(argv[2], NULL, 10);
	signal(SIGALRM, stuck);
	for (uint64_t seed = strtoull(argv[3], NULL, 10); time(NULL) < end && failed < 5; seed++) {
		alarm(180);
		failed += !one(argv[1], seed, &t);
	}
	printf("%" PRIu64 " instructions, %" PRIu64 " VM entries, %" PRIu64 " transitions; ends:", t.insns,
		t.entries, t.transitions);
	for (unsigned i = 0; i <= L0_DEAD; i++)
		if (t.ends[i])
			printf(" %s %" PRIu64, names[i], t.ends[i]);
	printf("\n%" PRIu64 " passed, %u failed\n", t.runs - failed, failed);
	return failed != 0;
}

/* The run loop: turns, timers, idle time, power, stops. */
#include "l0/l0.h"

#include "base/input.h"
#include "base/log.h"
#include "base/loop.h"
#include "l0/listen.h"
#include "l0/nested.h"
#include "machine/machine.h"
#include "vmx/controls.h"

#include <time.h>

#define LAG_MAX UINT64_C(100000000) /* ns that real pace may fall behind before it starts afresh */

static uint64_t host_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* --- Whose turn ----------------------------------------------------------- */

static void next_turn(struct l0 *l)
{
	l->turn = (l->turn + 1) % l->vcpus;
	l->turn_left = l->quantum;
}

/* False when a turn would be wasted on it. A store to the line that it waits
 * for ends MWAIT when its turn comes; so does an interrupt that is masked, if
 * MWAIT asked for that. */
static bool runnable(struct vcpu *c)
{
	if (c->activity == ACTIVITY_MWAIT &&
		(vcpu_monitor_hit(c) || (c->mwait_intr && c->pending & PEND_INTR))) {
		c->activity = ACTIVITY_ACTIVE;
		c->monitor = gpa(UINT64_MAX);
	}
	return vcpu_may_run(c);
}

/* A device's interrupt went to another vCPU: its turn, before another
 * instruction of this one, whether that would exit, stop at a mark or run. */
static void give_way(struct l0 *l)
{
	if (l->machine->yield && !nested_holds_turn(&l->vcpu[l->turn]))
		next_turn(l);
	l->machine->yield = false;
}

static bool find_turn(struct l0 *l)
{
	for (unsigned n = 0; n < l->vcpus; n++) {
		if (runnable(l->vcpu[l->turn].cpu))
			return true;
		next_turn(l);
	}
	return false;
}

/* --- Stops ---------------------------------------------------------------- */

static void stop(struct l0 *l, enum l0_why why, uint64_t value)
{
	if (l->have_stop && l->stop.why != L0_OBSERVER)
		return;
	l->have_stop = true;
	l->stop = (struct l0_stop){.why = why, .vcpu = l->turn, .value = value};
}

/* Turns without an instruction before a slice ends. */
#define STILL_MAX 4096u

static bool at_limit(const struct l0 *l, const struct l0_limits *lim)
{
	return lim && ((lim->clock && l->clock->now >= lim->clock) ||
			      (lim->retired && l0_retired(l) >= lim->retired) ||
			      (lim->step_end &&
				      l->vcpu[lim->step_vcpu].cpu->retired >= lim->step_end));
}

static void at_most(uint64_t *v, uint64_t max)
{
	if (*v > max)
		*v = max;
}

/* How many instructions may run before somebody has to look. */
static uint64_t distance(const struct l0 *l, const struct l0_limits *lim, uint64_t budget)
{
	uint64_t next = inputs_next(l->inputs), n = budget;
	at_most(&n, l->turn_left);
	if (next != CLOCK_NEVER) /* one that waits for an event of this clock: an exit comes */
		at_most(&n, next > l->clock->now ? next - l->clock->now : 1);
	if (lim && lim->clock)
		at_most(&n, lim->clock - l->clock->now);
	if (lim && lim->retired)
		at_most(&n, lim->retired - l0_retired(l));
	if (lim && lim->step_end && lim->step_vcpu == l->turn)
		at_most(&n, lim->step_end - l->vcpu[l->turn].cpu->retired);
	return n;
}

/* --- Power ---------------------------------------------------------------- */

static void reset_vcpus(struct l0 *l)
{
	for (unsigned i = 0; i < l->vcpus; i++) {
		vcpu_reset(l->vcpu[i].cpu, false);
		if (i)
			l->vcpu[i].cpu->activity = ACTIVITY_WAIT_SIPI;
	}
	l->turn = 0;
	l->turn_left = l->quantum;
	if (l->nested)
		nested_start(l->nested);
}

static void power(struct l0 *l, const struct l0_limits *lim)
{
	struct machine_event ev;
	struct err e = {0};
	while ((ev = machine_poll(l->machine)).power != MACHINE_RUNNING) {
		switch (ev.power) {
		case MACHINE_POWEROFF:
			stop(l, L0_POWER_OFF, 0);
			break;
		case MACHINE_EXIT:
			stop(l, L0_DEBUG_EXIT, ev.value);
			break;
		case MACHINE_RESET:
		case MACHINE_BOOT:
			if (ev.power == MACHINE_RESET)
				machine_reset(l->machine);
			else
				machine_firmware(l->machine);
			if (!l0_boot(l, &e)) {
				log_say(l->log, LOG_ERROR, "reset", "%.180s", e.msg);
				stop(l, L0_POWER_OFF, 0);
			} else if (lim && lim->stop_on_reset) {
				stop(l, L0_RESET, 0);
			}
			break;
		case MACHINE_SLEEP:
			l->asleep = true;
			break;
		case MACHINE_WAKE:
			l->asleep = false;
			reset_vcpus(l);
			break;
		case MACHINE_RUNNING:
			break;
		}
	}
}

/* --- One turn, or a piece of one ------------------------------------------ */

static void at_mark(struct l0 *l, struct vcpu *c)
{
	struct l0_event ev = {.kind = L0_EV_BREAK, .vcpu = (uint8_t)l->turn,
		.level = l->vcpu[l->turn].level, .at = c->seg_base[SEG_CS] + c->rip};
	/* RF: the instruction runs again after a fault; was it told already? A fetch
	 * that faulted was not. */
	bool again = c->rflags & FLAG_RF && l->told_rip[l->turn] == c->rip;
	if (!again)
		l0_tell(l, &ev);
	l->over[l->turn] = true;
	l->over_rip[l->turn] = l->told_rip[l->turn] = c->rip;
}

static void at_watch(struct l0 *l, struct vcpu *c)
{
	struct l0_event ev = {.kind = L0_EV_WATCH, .vcpu = (uint8_t)l->turn,
		.level = l->vcpu[l->turn].level, .watch = engine_watch_hit(c)};
	if (ev.watch)
		ev.at = ev.watch->at.v;
	l0_tell(l, &ev);
}

static void triple_fault(struct l0 *l)
{
	struct l0_event ev = {
		.kind = L0_EV_TRIPLE_FAULT, .vcpu = (uint8_t)l->turn, .level = l->vcpu[l->turn].level};
	l0_tell(l, &ev);
	stop(l, L0_TRIPLE, 0);
}

static void left(struct l0 *l, struct vcpu *c, enum cpu_leave why)
{
	switch (why) {
	case LEAVE_SLICE:
	case LEAVE_DEADLINE:
		break;
	case LEAVE_HALT:
	case LEAVE_YIELD:
		next_turn(l);
		break;
	case LEAVE_VMEXIT:
		if (l->vmexit)
			l->vmexit(&l->vcpu[l->turn]);
		break;
	case LEAVE_BREAK:
		at_mark(l, c);
		break;
	case LEAVE_WATCH:
		at_watch(l, c);
		break;
	case LEAVE_SHUTDOWN: /* on a bare machine: with VMX it is an exit */
		triple_fault(l);
		break;
	case LEAVE_KICK:
		vcpu_unpend(c, PEND_STOP);
		break;
	}
}

static void charge(struct l0 *l, uint64_t insns)
{
	l->turn_left -= insns < l->turn_left ? insns : l->turn_left;
}

/* Returns the instructions that ran. */
static uint64_t run_turn(
	struct l0 *l, const struct l0_limits *lim, uint64_t budget, unsigned *idle_turns)
{
	struct vcpu *c = l->vcpu[l->turn].cpu;
	unsigned who = l->turn;
	uint64_t before = c->retired;
	uint8_t level = l->vcpu[who].level;
	bool over = l->over[who] && c->rip == l->over_rip[who];
	l->machine->current = who;
	if (over)
		engine_step_over(c);
	l->over[who] = false;
	enum cpu_leave why = engine_run(c, distance(l, lim, budget));
	uint64_t done = c->retired - before;
	charge(l, done);
	*idle_turns = why == LEAVE_HALT && !done ? *idle_turns + 1 : 0;
	left(l, c, why);
	if (why == LEAVE_VMEXIT) { /* what L0 completed is the guest's too */
		charge(l, c->retired - before - done);
		done = c->retired - before;
	}
	/* A kick, a deadline or an exit that L0 handled came first: still before it. */
	if (over && !done && c->rip == l->over_rip[who] && l->vcpu[who].level == level)
		l->over[who] = true;
	if (nested_holds_turn(&l->vcpu[who]))
		l->turn_left += !l->turn_left;
	else if (!l->turn_left || (l->machine->yield && l->turn == who))
		next_turn(l);
	l->machine->yield = false;
	return done;
}

/* --- Idle time ------------------------------------------------------------ */

/* Does nothing but an NMI, which nobody sends, end this wait? In L2 external
 * interrupts can exit, whatever IF says, and so does the preemption timer. */
static bool hopeless(const struct l0_vcpu *v)
{
	const struct vcpu *c = v->cpu;
	const struct vmx_cpu *x = v->level == 2 ? vmx_of(c) : NULL;
	if (c->activity == ACTIVITY_WAIT_SIPI)
		return true;
	if (x && (x->timer_on || nested_of(v)->timer.on))
		return false;
	if (c->activity == ACTIVITY_SHUTDOWN)
		return true;
	return c->activity == ACTIVITY_HLT && !(c->rflags & FLAG_IF) &&
	       !(x && (x->pin & PIN_EXT_INTR_EXITING || x->proc2 & PROC2_VIRTUAL_INTR_DELIVERY));
}

static bool dead(const struct l0 *l)
{
	for (unsigned i = 0; !l->asleep && i < l->vcpus; i++)
		if (!hopeless(&l->vcpu[i]))
			return false;
	return !l->asleep;
}

/* All vCPUs wait: moves the clock, or says until when to wait. */
static enum l0_slice idle(struct l0 *l, const struct l0_limits *lim, uint64_t *wake)
{
	uint64_t next = clock_next(l->clock), now = host_ns();
	at_most(&next, inputs_next(l->inputs));
	if (dead(l)) {
		stop(l, L0_DEAD, 0);
		return L0_SLICE_MORE;
	}
	if (lim && lim->clock)
		at_most(&next, lim->clock);
	*wake = UINT64_MAX;
	if (next == CLOCK_NEVER)
		return L0_SLICE_WAIT;
	if (l->pace == L0_PACE_REAL && inputs_next(l->inputs) == CLOCK_NEVER) {
		uint64_t due = l->pace_host + (next - l->pace_clock);
		if (!l->pace_host || l->clock->now < l->pace_clock || due + LAG_MAX < now) {
			l->pace_host = now;
			l->pace_clock = l->clock->now;
			due = now + (next - l->clock->now);
		}
		if (due > now) {
			uint64_t here = l->pace_clock + (now - l->pace_host);
			clock_skip(l->clock, here < next ? here : next);
			*wake = due;
			return L0_SLICE_WAIT;
		}
	}
	clock_skip(l->clock, next);
	return L0_SLICE_MORE;
}

/* --- The loop ------------------------------------------------------------- */

void l0_limits_start(const struct l0 *l, struct l0_limits *lim)
{
	lim->step_end = 0;
	if (lim->step_count && lim->step_vcpu < l->vcpus)
		lim->step_end = l->vcpu[lim->step_vcpu].cpu->retired + lim->step_count;
}

static bool take_stop(struct l0 *l, const struct l0_limits *lim, struct l0_stop *out)
{
	if (!l->have_stop && l->interrupted)
		stop(l, L0_INTERRUPT, 0);
	if (!l->have_stop && at_limit(l, lim))
		stop(l, L0_LIMIT, 0);
	if (!l->have_stop)
		return false;
	*out = l->stop;
	l->have_stop = false;
	l->interrupted = false;
	struct l0_event ev = {.kind = L0_EV_STOPPED, .vcpu = (uint8_t)out->vcpu, .number = out->why};
	l0_tell(l, &ev);
	l->have_stop = false;
	for (unsigned i = 0; i < l->vcpus; i++) /* the kick has done its work */
		vcpu_unpend(l->vcpu[i].cpu, PEND_STOP);
	return true;
}

enum l0_slice l0_run_slice(struct l0 *l, const struct l0_limits *lim, uint64_t budget,
	uint64_t *wake, struct l0_stop *out)
{
	unsigned skips = 0, idle_turns = 0, still = 0;
	if (!budget)
		budget = L0_SLICE;
	listen_update(l);
	for (;;) {
		if (clock_next(l->clock) <= l->clock->now)
			clock_run(l->clock);
		if (inputs_due(l->inputs))
			inputs_run(l->inputs, false);
		give_way(l);
		power(l, lim);
		if (take_stop(l, lim, out))
			return L0_SLICE_STOP;
		if (!budget)
			return L0_SLICE_MORE;
		/* A vCPU whose event stays blocked halts again at once. */
		if (!l->asleep && idle_turns <= 2 * l->vcpus && find_turn(l)) {
			uint64_t done = run_turn(l, lim, budget, &idle_turns);
			budget -= done < budget ? done : budget;
			/* Exits that retire nothing end a slice too: signals are served. */
			still = done ? 0 : still + 1;
			if (still == STILL_MAX)
				return L0_SLICE_MORE;
			continue;
		}
		idle_turns = 0;
		if (inputs_next(l->inputs) <= l->clock->now) {
			inputs_run(l->inputs, true); /* no event of this clock comes any more */
			continue;
		}
		enum l0_slice r = idle(l, lim, wake);
		if (r != L0_SLICE_MORE || ++skips == 64)
			return r;
	}
}

static int timeout_ms(uint64_t wake)
{
	uint64_t now = host_ns();
	if (wake == UINT64_MAX)
		return 1000;
	if (wake <= now)
		return 0;
	return wake - now > 1000000000 ? 1000 : (int)((wake - now + 999999) / 1000000);
}

struct l0_stop l0_run(struct l0 *l, const struct l0_limits *limits)
{
	struct l0_limits lim = limits ? *limits : (struct l0_limits){0};
	struct l0_stop out = {0};
	uint64_t wake = 0;
	l0_limits_start(l, &lim);
	for (;;) {
		enum l0_slice r = l0_run_slice(l, &lim, 0, &wake, &out);
		if (r == L0_SLICE_STOP)
			return out;
		loop_poll(l->loop, r == L0_SLICE_WAIT ? timeout_ms(wake) : 0);
		if (l->progress)
			l->progress(l->progress_ctx, l);
	}
}

void l0_interrupt(struct l0 *l)
{
	l->interrupted = true;
}

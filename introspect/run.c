/* The run loop's inside: one slice of the backend, and why it ended. */
#include "introspect/private.h"
#include "introspect/expr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SLICE_DEFAULT 2000000 /* instructions: a few milliseconds */

void run_init(struct intro *s)
{
	s->last = (struct stop_event){.why = WHY_START, .at = {LEVEL_L1, 0}, .exit = UINT64_MAX};
	snprintf(s->last.text, sizeof s->last.text, "has not run yet");
	sink_attach(s);
	intro_update_wants(s);
	s->last.at = intro_here(s);
	s->last.position = intro_position(s);
	intro_pc(s, s->last.at, &s->last.rip);
}

void run_done(struct intro *s)
{
	free(s->defer);
	s->defer = NULL;
	s->defers = 0;
	s->plan.going = false; /* the backend goes too: no mark to clear */
	expr_free(s->plan.expr);
	expr_free(s->until);
	s->plan.expr = s->until = NULL;
}

void run_begin(struct intro *s)
{
	s->running = true;
	s->pause = s->have_stop = false;
	watches_follow(s);
	/* the instruction at which each vCPU stands is not a hit again */
	if (s->ops->step_over_mark)
		s->ops->step_over_mark(s->ctx, s->last.at.vcpu);
	intro_update_wants(s);
	if (intro_listening(s, EVENT_RUN))
		intro_emit(s, &(struct event){.kind = EVENT_RUN, .at = intro_here(s),
			.position = intro_position(s)});
}

void intro_step_into_handlers(struct intro *s, bool on)
{
	s->into_handlers = on;
}

void intro_pause(struct intro *s)
{
	if (!s->running)
		return;
	s->pause = true;
	if (s->ops->interrupt)
		s->ops->interrupt(s->ctx);
}

void intro_request_stop(struct intro *s, enum stop_why why, const char *text)
{
	if (s->have_stop || !s->running)
		return;
	s->have_stop = true;
	s->pending = (struct stop_event){.why = why, .at = intro_here(s), .exit = UINT64_MAX};
	snprintf(s->pending.text, sizeof s->pending.text, "%s", text ? text : stop_why_name(why));
}

bool intro_running(const struct intro *s)
{
	return s->running;
}

const struct stop_event *intro_last_stop(const struct intro *s)
{
	return &s->last;
}

void intro_defer(struct intro *s, void (*fn)(void *ctx), void *ctx)
{
	if (!s->inside) {
		fn(ctx);
		return;
	}
	s->defer = xresize(s->defer, (s->defers + 1) * sizeof *s->defer);
	s->defer[s->defers++] = (struct deferred){fn, ctx};
}

bool intro_inside(const struct intro *s)
{
	return s->inside;
}

enum stop_owner intro_actor(struct intro *s, enum stop_owner who)
{
	enum stop_owner before = s->actor;
	s->actor = who;
	if (s->ops->actor)
		s->ops->actor(s->ctx, who == OWNER_PLUGIN);
	return before;
}

static void run_deferred(struct intro *s)
{
	for (unsigned i = 0; i < s->defers; i++)
		s->defer[i].fn(s->defer[i].ctx);
	s->defers = 0;
}

void intro_set_limit(struct intro *s, uint64_t instructions)
{
	s->limit = instructions;
}

bool intro_set_until(struct intro *s, const char *text, struct err *e)
{
	struct expr *x = NULL;
	if (text && !(x = expr_compile(s, intro_here(s), text, e)))
		return false;
	expr_free(s->until);
	s->until = x;
	intro_update_wants(s);
	return true;
}

static uint64_t retired(struct intro *s)
{
	uint64_t sum = 0;
	struct intro_vcpu v;
	for (unsigned i = 0; i < intro_vcpus(s); i++)
		if (intro_vcpu(s, i, &v))
			sum += v.retired;
	return sum;
}

/* The machine stands: completes the event and tells everybody. */
static enum run_result stopped(struct intro *s)
{
	struct stop_event *ev = &s->pending;
	s->running = false;
	s->have_stop = s->pause = false;
	if (!ev->at.level)
		ev->at = intro_here(s);
	ev->position = intro_position(s);
	ev->rip = 0;
	intro_pc(s, ev->at, &ev->rip);
	s->last = *ev;
	plan_clear(s);
	symbols_auto(s, ev->at);
	if (ev->stop) {
		const struct stop *st = intro_stop(s, ev->stop);
		if (st && st->once)
			intro_stop_del(s, ev->stop);
	}
	if (intro_listening(s, EVENT_STOP))
		intro_emit(s, &(struct event){.kind = EVENT_STOP, .at = s->last.at,
			.position = s->last.position, .stop = &s->last});
	return RUN_STOPPED;
}

static void end(struct intro *s, const struct backend_ran *ran, enum stop_why why, const char *text)
{
	intro_request_stop(s, why, text);
	if (s->pending.why != why)
		return;
	s->pending.over = true;
	s->pending.status = ran->status;
}

static struct place place_of(struct intro *s, unsigned vcpu)
{
	struct intro_vcpu v;
	return (struct place){intro_vcpu(s, vcpu, &v) ? v.level : LEVEL_L1, vcpu};
}

/* A stop that came true: subscribers hear of it, then the machine stands,
 * unless it is a silent one. */
static void fire(struct intro *s, unsigned id, struct event ev)
{
	if (intro_listening(s, ev.kind))
		intro_emit(s, &ev);
	struct stop *st = intro_stop(s, id); /* a callback may have removed it */
	if (st && !st->silent)
		stop_fired(s, st, ev.at, UINT64_MAX);
	else if (st && st->once)
		intro_stop_del(s, id);
}

static void hit_mark(struct intro *s, const struct backend_ran *ran)
{
	struct place at = place_of(s, ran->vcpu);
	struct stop *st;
	for (unsigned id = 0; (st = intro_stop_next_break(s, ran->address, id)) != NULL;) {
		id = st->id;
		if (stop_hits(s, st, at, NULL, NULL))
			fire(s, id, (struct event){.kind = EVENT_BREAK, .at = at,
				.position = intro_position(s), .address = ran->address, .value = id});
	}
}

#define HITS_MAX 64 /* stops on one range */

static bool has(const unsigned *id, unsigned n, unsigned one)
{
	for (unsigned i = 0; i < n; i++)
		if (id[i] == one)
			return true;
	return false;
}

static void hit_watch(struct intro *s, const struct backend_ran *ran)
{
	struct place at = place_of(s, ran->vcpu);
	bool had = s->have_stop;
	unsigned id[HITS_MAX], n = 0; /* first, since firing one may change the list */
	for (unsigned k = 0; k < ran->watches; k++)
		for (unsigned i = 0; i < s->watches && n < HITS_MAX; i++)
			if (s->watch[i].id == ran->watch[k] && !has(id, n, s->watch[i].stop))
				id[n++] = s->watch[i].stop;
	for (unsigned i = 0; i < n; i++) {
		struct stop *st = intro_stop(s, id[i]);
		if (st && stop_hits(s, st, at, NULL, NULL))
			fire(s, id[i], (struct event){.kind = st->silent ? EVENT_MEMORY : EVENT_WATCH,
				.at = at, .position = intro_position(s),
				.address = watch_touched(s, st, ran), .size = ran->size,
				.write = ran->write, .value = id[i]});
	}
	struct stop_event *ev = &s->pending;
	const struct stop *st = !had && s->have_stop ? intro_stop(s, ev->stop) : NULL;
	if (st) {
		ev->watch_address = watch_touched(s, st, ran);
		ev->watch_space = st->space;
		ev->watch_level = st->level;
		ev->watch_access = ran->write ? WATCH_WRITE : WATCH_READ;
		ev->watch_device = ran->device;
	}
}

static const char *step_text(const struct run_plan *p)
{
	static const char *const names[] = {"step", "step within", "next", "finish", "line step"};
	return p->kind == PLAN_STEP ? names[p->step] : "until";
}

/* What the backend's return means. */
static void look(struct intro *s, const struct backend_ran *ran)
{
	char text[64];
	bool planned = false;
	switch (ran->leave) {
	case BACKEND_MARK: {
		struct place at = intro_here(s);
		at.vcpu = ran->vcpu;
		planned = s->plan.going && plan_mark(s, at, ran->address);
		hit_mark(s, ran);
		if (!s->have_stop && !planned && s->ops->step_over_mark)
			s->ops->step_over_mark(s->ctx, ran->vcpu);
		break;
	}
	case BACKEND_WATCH:
		hit_watch(s, ran);
		break;
	case BACKEND_IDLE:
		end(s, ran, WHY_IDLE, "every vCPU is halted and nothing can wake one");
		s->pending.over = false; /* a typed key may */
		break;
	case BACKEND_SHUTDOWN:
		end(s, ran, WHY_SHUTDOWN, "triple fault of L1");
		break;
	case BACKEND_POWEROFF:
		end(s, ran, WHY_POWEROFF, "the guest switched off");
		break;
	case BACKEND_EXIT:
		snprintf(text, sizeof text, "the guest ended with status %d", ran->status);
		end(s, ran, WHY_EXIT, text);
		break;
	default:
		break;
	}
	if (s->have_stop || (ran->leave == BACKEND_MARK && s->plan.going && !planned))
		return;
	if (plan_advance(s, ran)) {
		struct place at = s->plan.at;
		intro_request_stop(s, s->plan.kind == PLAN_STEP ? WHY_STEP : WHY_UNTIL,
			step_text(&s->plan));
		s->pending.at = at;
		/* free runs end on the mark; a step may end on a breakpoint too */
	}
}

static uint64_t budget_of(struct intro *s, uint64_t budget)
{
	uint64_t timer = events_next_timer(s), now = intro_position(s).clock;
	if (!budget)
		budget = SLICE_DEFAULT;
	if (timer != UINT64_MAX && timer > now && timer - now < budget)
		budget = timer - now;
	if (s->limit) {
		uint64_t done = retired(s);
		uint64_t left = s->limit > done ? s->limit - done : 0;
		if (left < budget)
			budget = left;
	}
	return budget;
}

static uint64_t host_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static enum run_result one_run(struct intro *s, uint64_t budget, uint64_t *wake, uint64_t *executed)
{
	struct backend_ran ran = {0};
	int vcpu = plan_step_vcpu(s);
	s->generation++;
	s->inside = true;
	s->ops->run(s->ctx, budget, vcpu, &ran);
	s->inside = false;
	run_deferred(s);
	*executed = ran.executed;
	look(s, &ran);
	events_run_timers(s);
	if (s->pause && !s->have_stop)
		intro_request_stop(s, WHY_PAUSE, "paused");
	if (!s->have_stop && s->limit && retired(s) >= s->limit)
		intro_request_stop(s, WHY_LIMIT, "the instruction limit is reached");
	if (s->have_stop)
		return stopped(s);
	if (ran.leave == BACKEND_WAIT) {
		if (wake)
			*wake = ran.wake;
		return RUN_WAITING;
	}
	return RUN_RUNNING;
}

static void tell_levels(struct intro *s)
{
	struct intro_level l[INTRO_MAX_LEVELS];
	if (!intro_listening(s, EVENT_LEVEL))
		return;
	unsigned n = intro_levels(s, l, INTRO_MAX_LEVELS);
	for (; s->levels_told < n; s->levels_told++)
		intro_emit(s, &(struct event){.kind = EVENT_LEVEL, .at = {l[s->levels_told].id, 0},
			.position = intro_position(s), .text = l[s->levels_told].name});
}

enum run_result intro_run_slice(struct intro *s, uint64_t budget, uint64_t *wake)
{
	uint64_t start = host_now(), left = budget_of(s, budget), executed;
	enum run_result r = RUN_RUNNING;
	if (!s->running)
		return RUN_STOPPED;
	if (!left) {
		intro_request_stop(s, WHY_LIMIT, "the instruction limit is reached");
		return stopped(s);
	}
	for (unsigned turns = 0; r == RUN_RUNNING && left && turns < 100000; turns++) {
		r = one_run(s, left, wake, &executed);
		left -= executed < left ? executed : left;
		if (!executed && turns % 64 == 63 && host_now() - start > 20000000)
			break;
	}
	watches_follow(s);
	tell_levels(s);
	symbols_meet(s);
	stats_update(s);
	trace_update(s);
	s->host_ns += host_now() - start;
	return r;
}

const struct stop_event *intro_run(struct intro *s)
{
	uint64_t wake = 0;
	for (;;) {
		enum run_result r = intro_run_slice(s, 0, &wake);
		if (r == RUN_STOPPED)
			return intro_last_stop(s);
		if (r == RUN_WAITING) {
			uint64_t t = host_now();
			struct timespec ts = {0, 1000000};
			if (wake > t && wake - t < 1000000)
				ts.tv_nsec = (long)(wake - t);
			nanosleep(&ts, NULL);
		}
	}
}

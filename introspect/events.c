/* Subscriptions: filters first, then the callback. */
#include "introspect/private.h"
#include "introspect/expr.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *name, *help;
} events[EVENT_KINDS] = {
#define EVENT(id, name, help) {name, help},
#include "introspect/events.def"
#undef EVENT
};

const char *event_kind_name(enum event_kind k)
{
	return events[k].name;
}

const char *event_kind_help(enum event_kind k)
{
	return events[k].help;
}

bool event_kind_find(const char *name, enum event_kind *k)
{
	for (int i = 0; i < EVENT_KINDS; i++) {
		if (!strcasecmp(events[i].name, name)) {
			*k = i;
			return true;
		}
	}
	return false;
}

void event_filter_init(struct event_filter *f, enum event_kind kind)
{
	*f = (struct event_filter){.kinds = BIT(kind), .vcpu = -1};
}

void events_init(struct intro *s)
{
	s->next_sub = 1;
}

static void relisten(struct intro *s)
{
	s->listened = 0;
	for (unsigned i = 0; i < s->subs; i++)
		if (s->sub[i].id)
			s->listened |= s->sub[i].filter.kinds;
	intro_update_wants(s);
}

/* Removed subscriptions go when nobody walks the array. */
static void sweep(struct intro *s)
{
	unsigned n = 0;
	if (s->iterating)
		return;
	for (unsigned i = 0; i < s->subs; i++) {
		if (s->sub[i].id)
			s->sub[n++] = s->sub[i];
		else
			expr_free(s->sub[i].filter.expr);
	}
	s->subs = n;
}

void events_done(struct intro *s)
{
	for (unsigned i = 0; i < s->subs; i++)
		expr_free(s->sub[i].filter.expr);
	free(s->sub);
	s->sub = NULL;
	s->subs = 0;
}

#define SUBSCRIPTIONS_MAX 4096

unsigned intro_subscribe(
	struct intro *s, const struct event_filter *f, event_fn *fn, void *ctx, struct err *e)
{
	if (s->subs >= SUBSCRIPTIONS_MAX) {
		err_set(e, ERR_GENERAL, "there are %u subscriptions already, which is the most",
			s->subs);
		return 0;
	}
	if (!f->kinds || f->kinds >> EVENT_KINDS) {
		err_set(e, ERR_GENERAL, "the subscription names no event");
		return 0;
	}
	if ((f->kinds & BIT(EVENT_TIMER)) && !f->period) {
		err_set(e, ERR_GENERAL, "a timer subscription needs a period above 0 ns");
		return 0;
	}
	s->sub = xresize(s->sub, (s->subs + 1) * sizeof *s->sub);
	s->sub[s->subs++] = (struct subscription){.id = s->next_sub, .filter = *f, .fn = fn,
		.ctx = ctx, .next = intro_position(s).clock + f->period};
	relisten(s);
	return s->next_sub++;
}

static struct subscription *find(struct intro *s, unsigned id)
{
	for (unsigned i = 0; i < s->subs; i++)
		if (s->sub[i].id == id && id)
			return &s->sub[i];
	return NULL;
}

bool intro_unsubscribe(struct intro *s, unsigned id)
{
	struct subscription *sub = find(s, id);
	if (!sub)
		return false;
	sub->id = 0;
	sweep(s);
	relisten(s);
	return true;
}

bool intro_subscription_counts(struct intro *s, unsigned id, uint64_t *matches, uint64_t *faults)
{
	struct subscription *sub = find(s, id);
	if (!sub)
		return false;
	*matches = sub->matches;
	*faults = sub->faults;
	return true;
}

bool intro_listening(const struct intro *s, enum event_kind kind)
{
	return s->listened >> kind & 1;
}

static bool in_range(const struct event_filter *f, const struct event *ev)
{
	uint64_t v = ev->exit && ev->kind != EVENT_MEMORY ? ev->exit->detail : ev->address;
	return v >= f->low && v <= f->high;
}

static bool matches(struct intro *s, struct subscription *sub, const struct event *ev)
{
	const struct event_filter *f = &sub->filter;
	if (!(f->kinds >> ev->kind & 1))
		return false;
	if (f->levels && !(f->levels >> (ev->at.level & 31) & 1))
		return false;
	if (f->vcpu >= 0 && (unsigned)f->vcpu != ev->at.vcpu)
		return false;
	if ((f->reasons[0] | f->reasons[1]) && ev->exit) {
		uint32_t r = ev->exit->reason & 0xffff;
		if (r >= 128 || !(f->reasons[r / 64] >> r % 64 & 1))
			return false;
	}
	if (f->field && ev->vmwrite && ev->vmwrite->encoding != f->field)
		return false;
	if (f->has_range && !in_range(f, ev))
		return false;
	if (f->expr) {
		struct expr_env env = {s, ev->at, ev->exit, ev, sub->matches};
		if (!expr_true(f->expr, &env, &sub->faults))
			return false;
	}
	sub->matches++;
	return f->every < 2 || sub->matches % f->every == 0;
}

void intro_emit(struct intro *s, const struct event *ev)
{
	unsigned n = s->subs; /* those that come meanwhile hear the next one */
	if (!intro_listening(s, ev->kind))
		return;
	s->iterating++;
	for (unsigned i = 0; i < n; i++) {
		struct subscription *sub = &s->sub[i];
		if (!sub->id || !matches(s, sub, ev))
			continue;
		event_fn *fn = sub->fn;
		fn(sub->ctx, ev); /* may move s->sub */
	}
	s->iterating--;
	sweep(s);
}

uint64_t events_next_timer(const struct intro *s)
{
	uint64_t next = UINT64_MAX;
	for (unsigned i = 0; i < s->subs; i++)
		if (s->sub[i].id && (s->sub[i].filter.kinds & BIT(EVENT_TIMER)) &&
			s->sub[i].next < next)
			next = s->sub[i].next;
	return next;
}

void events_run_timers(struct intro *s)
{
	struct position now = intro_position(s);
	unsigned n = s->subs;
	s->iterating++;
	for (unsigned i = 0; i < n; i++) {
		struct subscription *sub = &s->sub[i];
		struct event ev = {.kind = EVENT_TIMER, .at = intro_here(s), .position = now,
			.value = sub->next};
		if (!sub->id || !(sub->filter.kinds & BIT(EVENT_TIMER)) || sub->next > now.clock)
			continue;
		sub->next += sub->filter.period;
		if (sub->next <= now.clock) /* missed some while idle: no backlog */
			sub->next = now.clock + sub->filter.period;
		if (matches(s, sub, &ev)) {
			event_fn *fn = sub->fn;
			fn(sub->ctx, &ev);
		}
	}
	s->iterating--;
	sweep(s);
}

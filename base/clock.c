#include "base/clock.h"

#include "base/state.h"

#include <assert.h>
#include <string.h>

void clock_init(struct clock *c)
{
	memset(c, 0, sizeof(*c));
	c->next = CLOCK_NEVER;
}

void clock_register(struct clock *c, struct clock_timer *t, void (*fire)(void *owner), void *owner)
{
	assert(c->timers < CLOCK_TIMERS);
	*t = (struct clock_timer){CLOCK_NEVER, fire, owner};
	c->timer[c->timers++] = t;
}

static void find_next(struct clock *c)
{
	c->next = CLOCK_NEVER;
	for (unsigned i = 0; i < c->timers; i++)
		if (c->timer[i]->deadline < c->next)
			c->next = c->timer[i]->deadline;
}

void clock_unregister(struct clock *c, struct clock_timer *t)
{
	unsigned to = 0;
	for (unsigned i = 0; i < c->timers; i++)
		if (c->timer[i] != t)
			c->timer[to++] = c->timer[i];
	c->timers = to;
	find_next(c);
}

void clock_arm(struct clock *c, struct clock_timer *t, uint64_t deadline)
{
	uint64_t old = t->deadline;
	t->deadline = deadline;
	if (deadline <= c->next)
		c->next = deadline;
	else if (old == c->next)
		find_next(c);
}

void clock_disarm(struct clock *c, struct clock_timer *t)
{
	clock_arm(c, t, CLOCK_NEVER);
}

void clock_set(struct clock *c, uint64_t now)
{
	assert(now >= c->now);
	if (now != c->now)
		c->ordinal = 0;
	c->now = now;
}

void clock_skip(struct clock *c, uint64_t to)
{
	if (to <= c->now)
		return;
	c->skipped += to - c->now;
	clock_set(c, to);
}

void clock_run(struct clock *c)
{
	while (c->next <= c->now) {
		struct clock_timer *t = NULL;
		for (unsigned i = 0; i < c->timers; i++)
			if (c->timer[i]->deadline == c->next) {
				t = c->timer[i];
				break;
			}
		assert(t);
		clock_disarm(c, t);
		t->fire(t->owner);
	}
}

struct position clock_position(struct clock *c)
{
	return (struct position){c->now, c->ordinal};
}

struct position clock_event(struct clock *c)
{
	return (struct position){c->now, c->ordinal++};
}

uint64_t clock_to_hz(uint64_t ticks, uint64_t hz)
{
	return (uint64_t)((unsigned __int128)ticks * hz / CLOCK_HZ);
}

uint64_t clock_from_hz(uint64_t units, uint64_t hz)
{
	unsigned __int128 t = ((unsigned __int128)units * CLOCK_HZ + hz - 1) / hz;
	return t > CLOCK_NEVER - 1 ? CLOCK_NEVER - 1 : (uint64_t)t;
}

void clock_state(struct clock *c, struct state *s)
{
	state_section(s, "clock", 1);
	state_u64(s, &c->now);
	state_u64(s, &c->skipped);
	if (state_bookkeeping(s))
		state_u64(s, &c->ordinal);
	uint32_t n = c->timers;
	state_u32(s, &n);
	if (n != c->timers) {
		state_fail(s, "the snapshot has %u timers, this machine %u", n, c->timers);
		return;
	}
	for (unsigned i = 0; i < c->timers; i++)
		state_u64(s, &c->timer[i]->deadline);
	find_next(c);
}

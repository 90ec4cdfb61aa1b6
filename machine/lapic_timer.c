/* The local APIC's timer, SDM Vol. 3A 10.5.4 "APIC Timer". The count is kept
 * as "left at tick from", so that a change of divider or mode goes on from
 * the current count. */
#include "machine/lapic.h"

enum { MODE_ONE_SHOT = 0, MODE_PERIODIC = 1, MODE_DEADLINE = 2 };

static unsigned mode(uint32_t lvt)
{
	return lvt >> 17 & 3;
}

static uint64_t divider(const struct lapic *l)
{
	unsigned code = (l->divide & 3) | (l->divide >> 1 & 4);
	return code == 7 ? 1 : 2u << code;
}

static uint64_t now(const struct lapic *l)
{
	return l->all->cfg.clock->now;
}

uint32_t lapic_timer_count(const struct lapic *l)
{
	if (!l->left || mode(l->lvt[LVT_TIMER]) == MODE_DEADLINE)
		return 0;
	uint64_t elapsed = (now(l) - l->from) / divider(l);
	if (elapsed < l->left)
		return l->left - (uint32_t)elapsed;
	if (mode(l->lvt[LVT_TIMER]) == MODE_ONE_SHOT || !l->initial)
		return 0;
	return l->initial - (uint32_t)((elapsed - l->left) % l->initial);
}

static void arm(struct lapic *l)
{
	struct clock *c = l->all->cfg.clock;
	if (mode(l->lvt[LVT_TIMER]) == MODE_DEADLINE)
		clock_arm(c, &l->timer, l->tsc_deadline ? l->tsc_deadline : CLOCK_NEVER);
	else if (l->left)
		clock_arm(c, &l->timer, l->from + l->left * divider(l));
	else
		clock_disarm(c, &l->timer);
}

/* Moves (left, from) to the present, without changing what is counted. */
static void rebase(struct lapic *l)
{
	l->left = lapic_timer_count(l);
	l->from = now(l);
}

void lapic_timer_initial(struct lapic *l, uint32_t v)
{
	if (mode(l->lvt[LVT_TIMER]) == MODE_DEADLINE)
		return;
	l->initial = l->left = v;
	l->from = now(l);
	arm(l);
}

void lapic_timer_divide(struct lapic *l, uint32_t v)
{
	rebase(l);
	l->divide = v & 0xb;
	arm(l);
}

void lapic_timer_lvt(struct lapic *l, uint32_t old)
{
	uint32_t lvt = l->lvt[LVT_TIMER];
	if (mode(old) == mode(lvt))
		return;
	if (mode(old) == MODE_DEADLINE || mode(lvt) == MODE_DEADLINE) {
		l->left = 0;
		l->tsc_deadline = 0;
	} else {
		l->lvt[LVT_TIMER] = old;
		rebase(l);
		l->lvt[LVT_TIMER] = lvt;
	}
	arm(l);
}

void lapic_timer_deadline(struct lapic *l, uint64_t tick)
{
	if (mode(l->lvt[LVT_TIMER]) != MODE_DEADLINE)
		return;
	l->tsc_deadline = tick;
	if (tick && tick <= now(l)) {
		l->tsc_deadline = 0;
		lapic_lvt_fire(l, LVT_TIMER);
	}
	arm(l);
}

static void fire(void *owner)
{
	struct lapic *l = owner;
	if (mode(l->lvt[LVT_TIMER]) == MODE_DEADLINE) {
		l->tsc_deadline = 0;
	} else if (mode(l->lvt[LVT_TIMER]) == MODE_PERIODIC && l->initial) {
		uint64_t d = divider(l), period = l->initial * d;
		uint64_t due = l->from + l->left * d;
		l->from = due + (now(l) - due) / period * period;
		l->left = l->initial;
		arm(l);
	} else {
		l->left = 0;
	}
	lapic_lvt_fire(l, LVT_TIMER);
}

void lapic_timer_init(struct lapic *l)
{
	clock_register(l->all->cfg.clock, &l->timer, fire, l);
}

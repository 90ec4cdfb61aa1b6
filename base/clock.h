/* Virtual time and deadlines.
 *
 * One tick is one nanosecond of virtual time and one retired instruction (of
 * any vCPU): now = instructions retired by all vCPUs + idle skips. TSC, APIC
 * timer, PIT, HPET, PM timer and RTC derive from it. It never steps back.
 *
 * Invariant: whoever runs the processor brings `now` up to date before any
 * call into a device, and after such a call asks clock_next() again, since
 * the device may have armed an earlier deadline.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct state;

#define CLOCK_HZ    UINT64_C(1000000000) /* ticks per virtual second; also the TSC frequency */
#define CLOCK_NEVER UINT64_MAX

/* A point of a run: one clock value can hold several states (before or after
 * delivery, exit, entry), told apart by the ordinal. */
struct position {
	uint64_t clock;
	uint64_t ordinal;
};

/* Embedded in its owner; registered once at construction, in a fixed order
 * (the order is its identity in a snapshot and breaks ties). */
struct clock_timer {
	uint64_t deadline; /* CLOCK_NEVER while not armed */
	void (*fire)(void *owner);
	void *owner;
};

#define CLOCK_TIMERS 128

struct clock {
	uint64_t now;
	uint64_t skipped; /* part of `now` that was idle, not instructions */
	uint64_t ordinal; /* events at `now` so far */
	uint64_t next;    /* cached minimum of the deadlines */
	struct clock_timer *timer[CLOCK_TIMERS];
	unsigned timers;
};

void clock_init(struct clock *c);
void clock_register(struct clock *c, struct clock_timer *t, void (*fire)(void *owner), void *owner);

/* The owner goes away before the clock does. */
void clock_unregister(struct clock *c, struct clock_timer *t);

/* (Re)arms t for the absolute tick `deadline`; a past deadline fires at the
 * next clock_run. */
void clock_arm(struct clock *c, struct clock_timer *t, uint64_t deadline);
void clock_disarm(struct clock *c, struct clock_timer *t);

/* The earliest deadline, CLOCK_NEVER if none. */
static inline uint64_t clock_next(const struct clock *c)
{
	return c->next;
}

/* Moves time forward to `now` (never back) without firing. */
void clock_set(struct clock *c, uint64_t now);

/* All vCPUs idle: moves to `to` and counts the distance as skipped. */
void clock_skip(struct clock *c, uint64_t to);

/* Fires every timer with deadline <= now, earliest first, ties by
 * registration; a timer is disarmed before its fire() runs. */
void clock_run(struct clock *c);

struct position clock_position(struct clock *c);
struct position clock_event(struct clock *c); /* the same, and moves the ordinal */

/* Ticks to units of a counter of `hz`, without overflow, and back (rounded up). */
uint64_t clock_to_hz(uint64_t ticks, uint64_t hz);
uint64_t clock_from_hz(uint64_t units, uint64_t hz);

void clock_state(struct clock *c, struct state *s);

#endif

/* The high-precision event timers: one 64-bit counter of 100 MHz, three
 * comparators, legacy replacement. Counts are computed from the clock.
 * IA-PC HPET Specification 1.0a.
 */
#ifndef MACHINE_HPET_H
#define MACHINE_HPET_H

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct bus;
struct state;

#define HPET_BASE   UINT64_C(0xfed00000)
#define HPET_TICK   10 /* clock ticks per count */
#define HPET_TIMERS 3

struct hpet;

struct hpet_timer {
	struct hpet *hpet;
	unsigned index;
	uint64_t config, comparator, period, fsb;
	struct clock_timer timer;
};

struct hpet_wires {
	struct clock *clock;
	struct bus *bus;
	void (*gsi)(void *ctx, unsigned gsi, bool level);     /* IOAPIC input */
	void (*legacy)(void *ctx, bool on);                   /* PIT and RTC lose IRQ 0 and 8 */
	void (*isa)(void *ctx, unsigned irq, bool level);     /* legacy IRQ 0 and 8 */
	void *ctx;
};

struct hpet {
	struct hpet_wires wires;
	uint64_t config, status;
	uint64_t counter; /* at tick `from` */
	uint64_t from;
	struct hpet_timer t[HPET_TIMERS];
};

void hpet_init(struct hpet *h, const struct hpet_wires *w);
void hpet_reset(struct hpet *h);
void hpet_state(struct hpet *h, struct state *s);
void hpet_info(const struct hpet *h, struct buf *out);

#endif

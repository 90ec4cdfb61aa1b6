/* The 8254 timer (ports 40h-43h) and system control port B (61h).
 *
 * Counts are computed from the clock when they are read; only channel 0, whose
 * output is IRQ 0, keeps a deadline. Input 1,193,182 Hz.
 * Intel 8254 datasheet.
 */
#ifndef MACHINE_PIT_H
#define MACHINE_PIT_H

#include "base/clock.h"
#include "base/irq.h"

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct bus;
struct state;

#define PIT_HZ 1193182

struct pit_channel {
	uint8_t mode;        /* 0..5 */
	uint8_t access;      /* 1 low byte, 2 high byte, 3 low then high */
	bool bcd, gate;
	bool loaded;         /* a count has been written and runs (once gated, modes 1 and 5) */
	bool high_next_write, high_next_read;
	uint8_t low_byte;    /* first half of a 16-bit write */
	uint32_t reload;     /* 1..65536 (10000 in BCD) */
	uint64_t start;      /* tick at which `reload` began to count */
	uint64_t held;       /* input clocks counted when the gate went low */
	uint16_t latched;    /* latched count */
	uint8_t latches;     /* bytes of it left to read */
	uint8_t status;
	bool status_latched;
};

struct pit {
	struct clock *clock;
	struct irq_line irq;
	struct pit_channel ch[3];
	uint64_t pulses;     /* of channel 0 since its start */
	struct clock_timer timer;
	bool speaker;
	bool irq_off;        /* HPET's legacy replacement owns IRQ 0 */
};

void pit_init(struct pit *p, struct bus *bus, struct clock *clock, struct irq_line irq);
void pit_reset(struct pit *p);
void pit_legacy_off(struct pit *p, bool off);
void pit_state(struct pit *p, struct state *s);
void pit_info(const struct pit *p, struct buf *out);

#endif

/* The pair of 8259A interrupt controllers with ELCR: ports 20h/21h, A0h/A1h,
 * 4D0h/4D1h. The slave hangs on the master's input 2.
 * Intel 8259A datasheet.
 */
#ifndef MACHINE_PIC_H
#define MACHINE_PIC_H

#include "base/irq.h"

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct bus;
struct state;

struct pic_chip {
	struct pic *pair;
	uint8_t irr, imr, isr, level; /* level: inputs that are asserted */
	uint8_t elcr, elcr_writable;
	uint8_t base;      /* vector of input 0 */
	uint8_t lowest;    /* input with the lowest priority; 7 after reset */
	uint8_t icw;       /* next initialisation word expected: 2, 3, 4; 0 none */
	uint8_t icw1, icw4;
	bool read_isr, poll, special_mask, rotate_aeoi;
	bool slave;
};

struct pic {
	struct pic_chip chip[2];
	struct irq_line intr; /* the master's INT output */
	bool out;
};

void pic_init(struct pic *p, struct bus *bus, struct irq_line intr);
void pic_reset(struct pic *p);
/* As firmware leaves them: vectors 08h and 70h, everything masked. */
void pic_firmware(struct pic *p);
void pic_set(struct pic *p, unsigned irq, bool level); /* irq 0..15 */
/* Interrupt acknowledge: the vector (spurious ones included). */
int pic_ack(struct pic *p);
void pic_elcr(struct pic *p, unsigned irq, bool level_triggered);
void pic_state(struct pic *p, struct state *s);
void pic_info(const struct pic *p, struct buf *out);

#endif

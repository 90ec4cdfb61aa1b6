/* The keyboard controller (ports 60h, 64h) and a keyboard behind it. No mouse.
 *
 * Keys come through the input log (INPUT_KEY) as scan codes of set 1, which is
 * what the controller's translation gives a PC's software; they wait in a
 * queue of I8042_KEYS bytes. The output port drives A20 and INIT#.
 */
#ifndef MACHINE_I8042_H
#define MACHINE_I8042_H

#include "base/irq.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct machine;
struct ports;
struct state;

#define I8042_KEYS    256
#define I8042_REPLIES 8

struct i8042 {
	struct machine *machine;
	struct ports *ports; /* A20 is the same wire as port 92h's */
	struct irq_line irq;
	uint8_t command;     /* the command byte */
	uint8_t outport;
	uint8_t pending;     /* controller command that waits for a byte at 60h */
	uint8_t kbd_pending; /* keyboard command that waits for its argument */
	bool scanning;
	bool last_was_command;
	uint8_t reply[I8042_REPLIES]; /* of the controller, before all keys */
	uint8_t replies;
	uint8_t key[I8042_KEYS];
	uint16_t keys;
	uint8_t last;        /* what an empty port 60h reads as */
};

void i8042_init(struct i8042 *k, struct machine *m, struct ports *ports, struct irq_line irq);
void i8042_reset(struct i8042 *k);
void i8042_keys(struct i8042 *k, const uint8_t *codes, size_t n); /* what does not fit is lost */
void i8042_state(struct i8042 *k, struct state *s);
void i8042_info(const struct i8042 *k, struct buf *out);

#endif

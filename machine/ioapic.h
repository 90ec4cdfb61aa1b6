/* The IOAPIC: 24 inputs, version 20h (with an EOI register).
 *
 * An input's level is "asserted or not": polarity bits are kept for the guest
 * but a wire is never inverted. Edges that arrive while masked are lost.
 * Intel 82093AA datasheet.
 */
#ifndef MACHINE_IOAPIC_H
#define MACHINE_IOAPIC_H

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct bus;
struct lapics;
struct state;

#define IOAPIC_BASE UINT64_C(0xfec00000)
#define IOAPIC_PINS 24

struct ioapic {
	struct lapics *lapics;
	uint8_t id, select;
	uint64_t entry[IOAPIC_PINS];
	uint32_t level; /* inputs that are asserted */
};

void ioapic_init(struct ioapic *a, struct bus *bus, struct lapics *lapics);
void ioapic_reset(struct ioapic *a);
void ioapic_set(struct ioapic *a, unsigned pin, bool level);
/* A local APIC ended a level-triggered interrupt. */
void ioapic_eoi(struct ioapic *a, uint8_t vector);
void ioapic_state(struct ioapic *a, struct state *s);
void ioapic_info(const struct ioapic *a, struct buf *out);

#endif

/* Single ports: system control port A (92h), reset control (CF9h), POST code
 * (80h), debugcon (E9h), debug-exit (F4h), "Shutdown" (8900h), and 8901h, at which our ROM
 * asks for the guest to be loaded.
 *
 * debugcon is a serial port without a receiver: its bytes go to `debugcon`.
 * INIT# (92h bit 0, the keyboard controller, CF9h = 04h) reaches every vCPU
 * and leaves all devices alone; CF9h with bit 1 set resets the machine.
 *
 * F0h is the PC's way to report x87 exceptions: FERR# of the boot processor
 * raises IRQ 13; a write to F0h lowers it and, while FERR# is up, raises
 * IGNNE#, which falls with FERR#.
 */
#ifndef MACHINE_PORTS_H
#define MACHINE_PORTS_H

#include "base/irq.h"
#include "machine/serial.h"

#include <stdbool.h>
#include <stdint.h>

struct machine;
struct state;

struct ports {
	struct machine *machine;
	struct irq_line irq13;
	bool ferr; /* the boot processor's FERR# */
	struct serial_backend debugcon;
	uint8_t control_a, reset_control, post;
	uint8_t shutdown; /* characters of "Shutdown" seen at 8900h */
};

void ports_init(struct ports *p, struct machine *m, struct irq_line irq13);
struct irq_line ports_ferr(struct ports *p);
void ports_reset(struct ports *p);
void ports_a20(struct ports *p, bool on); /* the keyboard controller moved it */
bool ports_a20_on(const struct ports *p);
void ports_state(struct ports *p, struct state *s);

#endif

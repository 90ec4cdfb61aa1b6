/* What ties the machine to the host: disks, network, the serial ports' other
 * ends, and the virtio devices in front of them.
 */
#ifndef L0_OUTSIDE_H
#define L0_OUTSIDE_H

#include "base/err.h"

#include <stdbool.h>

struct l0;
struct outside;
struct state;

/* Opens everything that the configuration names and adds the devices. */
struct outside *outside_new(struct l0 *l, struct err *e);
void outside_free(struct outside *o);

/* What is typed goes to the port or console on stdio, where a front end that
 * has standard input (no_stdin) lends it while a run lasts. */
void outside_lend_stdin(struct outside *o, bool lent);

/* The devices' part of the machine's state. */
void outside_state(struct outside *o, struct state *s);

#endif

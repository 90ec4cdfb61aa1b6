/* What is looked for only while an observer asks for it: changes of EPT12's
 * entries and switches of the processor's mode.
 *
 * EPT12's tables are known from the EPTPs that L1 has entered L2 with: their
 * pages are hooked, so that stores to them leave the fast path, and the tree is
 * followed as it changes. Nothing here is machine state, and a run takes the
 * same course with it and without.
 */
#ifndef L0_LISTEN_H
#define L0_LISTEN_H

#include <stdint.h>

struct l0;

void listen_free(struct l0 *l);

/* Starts and stops looking, as the observers want; between slices. */
void listen_update(struct l0 *l);

/* The machine is another one: after a load. */
void listen_restart(struct l0 *l);

/* L1 enters L2 with this EPTP. */
void listen_ept(struct l0 *l, uint64_t eptp12);

#endif

/* What is looked for only while an observer asks for it: changes of page tables
 * (l0/tables.h has the trees), switches of the processor's mode, and accesses to
 * registers and ports that do not exit.
 *
 * Which trees there are is heard where L1 enters L2 and where the processor may
 * have another CR3. Nothing here is machine state, and a run takes the same
 * course with it and without.
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

/* Which pages of L1's memory were written: the log that the processor keeps for
 * EPT01 (use.pml=on), and what EPT02 lets L2 write. The set only grows. L1's own
 * log for its L2 is another one (cap.pml, l0/ept02.h).
 *
 * SDM Vol. 3C 28.3.6 "Page-Modification Logging". EPT01 has pages of 4 KiB then,
 * so that an entry of the log names what was written.
 */
#ifndef L0_DIRTY_H
#define L0_DIRTY_H

#include "base/phys.h"

#include <stdbool.h>
#include <stdint.h>

struct state;
struct vmcs;

struct dirty {
	uint64_t *bits;  /* owned; one per page below `pages`; NULL: not kept */
	uint64_t pages;
	uint64_t count;  /* bits set */
};

#define DIRTY_LOG_FIRST 511u /* the index of an empty log; it counts down */

/* Keeps a set over the RAM that phys has; without it all else does nothing. */
void dirty_init(struct dirty *d, const struct phys *phys);
void dirty_done(struct dirty *d);
/* The pages of [at, at + size). */
void dirty_mark(struct dirty *d, uint64_t at, uint64_t size);
bool dirty_has(const struct dirty *d, uint64_t at);
/* The log of a VMCS into the set; the log is empty then. */
void dirty_drain(struct dirty *d, const struct phys *phys, struct vmcs *v);
/* How many pages the log names that are not in the set yet. */
uint64_t dirty_waiting(const struct dirty *d, const struct phys *phys, const struct vmcs *v);
void dirty_state(struct dirty *d, struct state *s);

#endif

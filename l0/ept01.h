/* EPT01: L1-physical to host-physical, one to one, with the largest pages.
 *
 * Every address that L1 can form is mapped with all rights: RAM and ROM
 * write-back, everything else uncached, so that L1's accesses to devices need
 * no exit. A large page never mixes memory types.
 */
#ifndef L0_EPT01_H
#define L0_EPT01_H

#include "l0/private.h"

/* Builds the tables for `phys_bits` of L1-physical space, `small`: memory by pages of
 * 4 KiB. False when L0's memory does not suffice. */
bool ept01_build(struct ept_table *t, struct private_mem *m, const struct phys *phys,
	unsigned phys_bits, bool small);

/* The leaf that EPT01 has for an address. */
struct ept_leaf ept01_leaf(const struct phys *phys, uint64_t at);

#endif

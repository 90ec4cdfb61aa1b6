/* EPT01: L1-physical to host-physical, one to one, with the largest pages.
 *
 * Every address that L1 can form is mapped with all rights: RAM and ROM
 * write-back, everything else uncached, so that L1's accesses to devices need
 * no exit. A large page never mixes memory types.
 */
#ifndef L0_EPT01_H
#define L0_EPT01_H

#include "l0/private.h"

/* Builds the tables for `phys_bits` of L1-physical space and returns the EPTP,
 * 0 when L0's memory does not suffice. `ad`: the EPTP enables accessed and
 * dirty flags. */
uint64_t ept01_build(
	struct private_mem *m, const struct phys *phys, unsigned phys_bits, bool ad);

/* What EPT01 says of an address: log2 of the leaf's size and the memory type. */
void ept01_leaf(const struct phys *phys, uint64_t at, unsigned *shift, uint8_t *memtype);

#endif

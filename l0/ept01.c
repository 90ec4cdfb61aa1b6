#include "l0/ept01.h"

#include "ept/formats.h"

#define MEMTYPE_UC 0
#define MEMTYPE_WB 6

/* Is [at, at + size) all memory, or all not? Ranges of RAM and ROM count. */
static bool uniform(const struct phys *phys, uint64_t at, uint64_t size, uint8_t *memtype)
{
	*memtype = MEMTYPE_UC;
	for (unsigned i = 0; i < phys->ranges; i++) {
		const struct phys_range *r = &phys->range[i];
		uint64_t end = r->base.v + r->size;

		if (!r->host || r->base.v >= at + size || end <= at)
			continue;
		if (r->base.v > at || end < at + size)
			return false;
		*memtype = MEMTYPE_WB;
	}
	return true;
}

void ept01_leaf(const struct phys *phys, uint64_t at, unsigned *shift, uint8_t *memtype)
{
	for (*shift = 30; *shift > 12; *shift -= 9)
		if (uniform(phys, at >> *shift << *shift, UINT64_C(1) << *shift, memtype))
			return;
	uniform(phys, at & PAGE_MASK, PAGE_SIZE, memtype);
}

/* Fills the table that covers [base, base + 512 << shift). */
static bool fill(struct private_mem *m, const struct phys *phys, uint64_t table, unsigned shift,
	uint64_t base, unsigned entries)
{
	uint64_t *e = private_host(m, table);

	for (unsigned i = 0; i < entries; i++) {
		uint64_t at = base + ((uint64_t)i << shift), size = UINT64_C(1) << shift;
		uint8_t memtype;

		if (shift <= 30 && (uniform(phys, at, size, &memtype) || shift == 12)) {
			e[i] = at | EPT_RWX | (uint64_t)memtype << EPT_TYPE_SHIFT |
				(shift > 12 ? EPT_PS : 0) | EPT_XU;
			continue;
		}
		uint64_t next = private_new(m);
		if (next == PRIVATE_NONE || !fill(m, phys, next, shift - 9, at, 512))
			return false;
		e[i] = next | EPT_RWX | EPT_XU;
	}
	return true;
}

uint64_t ept01_build(
	struct private_mem *m, const struct phys *phys, unsigned phys_bits, bool ad)
{
	uint64_t root = private_new(m);
	unsigned entries = phys_bits > 39 ? 1u << (phys_bits - 39) : 1;

	if (root == PRIVATE_NONE || !fill(m, phys, root, 39, 0, entries))
		return 0;
	return root | 3 << 3 | MEMTYPE_WB | (ad ? BIT(6) : 0);
}

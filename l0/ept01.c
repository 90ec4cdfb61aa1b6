#include "l0/ept01.h"

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

struct ept_leaf ept01_leaf(const struct phys *phys, uint64_t at)
{
	struct ept_leaf l = {.rights = WALK_R | WALK_W | WALK_X | WALK_XU, .ve_suppress = true};

	for (l.shift = 30; l.shift > 12; l.shift -= 9)
		if (uniform(phys, at >> l.shift << l.shift, BIT(l.shift), &l.memtype))
			break;
	if (l.shift == 12)
		uniform(phys, at & PAGE_MASK, PAGE_SIZE, &l.memtype);
	l.pa = at >> l.shift << l.shift;
	return l;
}

bool ept01_build(struct ept_table *t, struct private_mem *m, const struct phys *phys,
	unsigned phys_bits, bool small)
{
	struct ept_alloc alloc = private_ept_alloc(m);
	struct ept_leaf leaf;

	if (!ept_table_init(t, &alloc, true))
		return false;
	for (uint64_t at = 0; at < BIT(phys_bits); at += BIT(leaf.shift)) {
		leaf = ept01_leaf(phys, at);
		if (small && leaf.memtype == MEMTYPE_WB)
			leaf = (struct ept_leaf){.pa = at, .shift = PAGE_SHIFT, .rights = leaf.rights,
				.memtype = leaf.memtype, .ve_suppress = leaf.ve_suppress};
		if (!ept_map_leaf(t, at, &leaf))
			return false;
	}
	return true;
}

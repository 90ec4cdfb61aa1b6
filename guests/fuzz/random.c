/* Numbers, and values that are likely to matter. */
#include "fuzz.h"

uint64_t rnd(struct fuzz *f)
{
	uint64_t x = f->seed;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	f->seed = x;
	return x * 0x2545f4914f6cdd1dul;
}

uint32_t below(struct fuzz *f, uint32_t n)
{
	return (uint32_t)((rnd(f) >> 32) * n >> 32);
}

bool one_in(struct fuzz *f, uint32_t n)
{
	return !below(f, n);
}

uint64_t pool_page(struct fuzz *f)
{
	return POOL + (uint64_t)below(f, POOL_PAGES) * 4096;
}

uint64_t value(struct fuzz *f)
{
	static const uint64_t edges[] = {0, 1, 7, 0xfff, 0x1000, 0xffff, 0x7fffffff, 0x80000000,
		0xffffffff, 0x100000000, 0x7fffffffffff, 0x800000000000, 0xffff7fffffffffff,
		0xffff800000000000, 0x8000000000000000, ~0ul, 0xfee00000, 0xfec00000, 0xfffff000,
		0xa0000, 0xf0000, 0x8000000 - 8, 0x8000000, 0x3ffffff000, 0x4000000000,
		0x200000000000, 0xffffffffff000, 0xfed00000, 0x100000};

	switch (below(f, 8)) {
	case 0:
		return edges[below(f, sizeof(edges) / sizeof(*edges))];
	case 1:
		return rnd(f);
	case 2:
		return 1ul << below(f, 64);
	case 3:
		return below(f, 256);
	case 4:
		return pool_page(f) + below(f, 4096);
	case 5:
		return edges[below(f, sizeof(edges) / sizeof(*edges))] + below(f, 17) - 8;
	case 6:
		return VMCSS + (uint64_t)below(f, SLOTS + CPUS) * 4096;
	default:
		return pool_page(f);
	}
}

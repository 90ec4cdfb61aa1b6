/* The pool: bitmaps, lists, EPT tables, page tables, descriptors. The first
 * pages begin as tables that work; decay makes them loop, lead out of memory,
 * and change while they are walked.
 */
#include "fuzz.h"

enum { EPT_PML4, EPT_PDPT, EPT_PD, EPT_PT, EPT_PT2, OTHER_PML4, OTHER_PDPT, GUEST_PML4, GUEST_PDPT,
	GUEST_PD, LIST, TABLES };

static uint64_t *page(unsigned n)
{
	return (uint64_t *)(POOL + n * 4096ul);
}

static uint64_t at(unsigned n)
{
	return POOL + n * 4096ul;
}

/* L2-physical is L1-physical in the first 64 MiB; the 2 MiB that hold the pool
 * and the 2 MiB of L2's code have tables of 4 KiB pages. */
void memory_build(struct fuzz *f)
{
	const uint64_t leaf = 0x37;

	(void)f;
	for (unsigned n = 0; n < TABLES; n++)
		for (unsigned i = 0; i < 512; i++)
			page(n)[i] = 0;
	page(EPT_PML4)[0] = at(EPT_PDPT) | 7;
	page(EPT_PDPT)[0] = at(EPT_PD) | 7;
	for (unsigned i = 8; i < 32; i++) /* not L1's own code */
		page(EPT_PD)[i] = (uint64_t)i << 21 | leaf | 0x80;
	page(EPT_PD)[POOL >> 21] = at(EPT_PT) | 7;
	page(EPT_PD)[(POOL >> 21) + 1] = at(EPT_PT2) | 7;
	for (unsigned i = 0; i < 512; i++) {
		page(EPT_PT)[i] = (POOL + i * 4096ul) | leaf;
		page(EPT_PT2)[i] = (POOL + 0x200000 + i * 4096ul) | leaf;
	}
	page(OTHER_PML4)[0] = at(OTHER_PDPT) | 7;
	page(OTHER_PDPT)[0] = at(EPT_PD) | 7;
	page(OTHER_PML4)[511] = at(OTHER_PML4) | 7; /* a loop */
	for (unsigned i = 0; i < 5; i++)
		page(LIST)[2 * i] = i < 3 ? 0x174 + i : 0xc0000080 + i;
	page(GUEST_PML4)[0] = at(GUEST_PDPT) | 7;
	page(GUEST_PML4)[511] = at(GUEST_PML4) | 3;
	page(GUEST_PDPT)[0] = at(GUEST_PD) | 7;
	for (unsigned i = 8; i < 32; i++)
		page(GUEST_PD)[i] = (uint64_t)i << 21 | 0x87;
}

uint64_t memory_eptp(struct fuzz *f)
{
	uint64_t eptp = (one_in(f, 4) ? at(OTHER_PML4) : one_in(f, 16) ? pool_page(f) : at(EPT_PML4));

	return eptp | 0x18 | (one_in(f, 8) ? 0 : 6) | (one_in(f, 2) ? 0x40 : 0);
}

uint64_t memory_cr3(void)
{
	return at(GUEST_PML4);
}

uint64_t memory_list(void)
{
	return at(LIST);
}

static uint64_t entry(struct fuzz *f)
{
	switch (below(f, 5)) {
	case 0: /* to a table: loops are likely */
		return at(below(f, TABLES)) | below(f, 8);
	case 1:
		return pool_page(f) | below(f, 4096);
	case 2:
		return (value(f) & ~0xffful) | 7;
	case 3:
		return (uint64_t)below(f, 32) << 21 | below(f, 4096) | 0x80;
	default:
		return value(f);
	}
}

/* An MSR list, a bitmap, a VMCS, or just a word. */
void memory_spoil(struct fuzz *f)
{
	static const uint32_t msrs[] = {0x10, 0x174, 0x175, 0x277, 0x38f, 0x3f1, 0x480, 0x808, 0x830,
		0x8ff, 0xc0000080, 0xc0000081, 0xc0000082, 0xc0000100, 0xc0000101, 0xc0000103, 0x1b,
		0x3a, 0x1d9, 0xda0, 0x12345678};
	uint64_t *p = (uint64_t *)pool_page(f);

	switch (below(f, 8)) {
	case 0:
	case 1: /* an entry of a table that may be in use */
		page(below(f, LIST))[one_in(f, 2) ? below(f, 512) : below(f, 16)] = entry(f);
		break;
	case 2:
		for (unsigned i = 0; i < 16; i += 2) {
			p[i] = msrs[below(f, sizeof(msrs) / sizeof(*msrs))] |
				(one_in(f, 16) ? rnd(f) << 32 : 0);
			p[i + 1] = value(f);
		}
		break;
	case 3: { /* a VMCS, current or not */
		uint64_t *v = (uint64_t *)(VMCSS + below(f, SLOTS) * 4096ul);
		v[one_in(f, 4) ? below(f, 4) : below(f, 512)] ^= one_in(f, 2) ? value(f) :
			1ul << below(f, 64);
		break;
	}
	case 4: {
		uint64_t fill = one_in(f, 2) ? 0 : one_in(f, 2) ? ~0ul : rnd(f);
		p = (uint64_t *)(POOL + (TABLES + below(f, POOL_PAGES - TABLES)) * 4096ul);
		for (unsigned i = 0; i < 512; i++)
			p[i] = fill;
		break;
	}
	case 5:
		memory_build(f);
		break;
	default:
		p[below(f, 512)] = one_in(f, 2) ? entry(f) : value(f);
	}
}

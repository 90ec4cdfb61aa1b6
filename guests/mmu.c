/* Memory of L2: EPT that maps L2-physical 0..4 MiB to the guest's piece of
 * L1's memory, or, without EPT, a shadow of L2's own page tables.
 */
#include "l1.h"

#define PRESENT	   1ul
#define WRITABLE   2ul
#define LARGE	   0x80ul
#define EPT_RWX	   7ul
#define EPT_WB	   (6ul << 3)
#define ADDRESS(e) ((e) & 0xffffffffff000ul)

/* Zeroed pages above L2's memory, never given back. */
uint64_t *page_new(void)
{
	static uint64_t next = L2_BASE + 2 * L2_SIZE;
	uint64_t *page = (uint64_t *)next;

	next += 4096;
	for (unsigned n = 0; n < 512; n++)
		page[n] = 0;
	return page;
}

/* The entry of the last level for `at`, tables made on the way. */
static uint64_t *entry(uint64_t *table, uint64_t at, uint64_t link)
{
	for (unsigned shift = 39; shift > 12; shift -= 9) {
		uint64_t *e = &table[at >> shift & 511];
		if (!*e)
			*e = (uint64_t)page_new() | link;
		table = (uint64_t *)ADDRESS(*e);
	}
	return &table[at >> 12 & 511];
}

uint64_t ept_pointer(const struct guest *g)
{
	return (uint64_t)g->root | 3 << 3 | 6; /* four levels, write-back */
}

/* The window of the violation loop (from 2 MiB up) stays unmapped. */
void ept_build(struct guest *g)
{
	g->root = page_new();
	for (uint64_t at = 0; at < L2_WINDOW; at += 4096)
		*entry(g->root, at, EPT_RWX) = (g->mem + at) | EPT_RWX | EPT_WB;
}

/* Maps the page that L2 missed and takes the one mapped before away, so that
 * each touch is a violation. */
void ept_violation(struct guest *g, uint64_t at)
{
	at &= ~4095ul;
	if (g->mapped)
		*entry(g->root, g->mapped, EPT_RWX) = 0;
	*entry(g->root, at, EPT_RWX) = (g->mem + at) | EPT_RWX | EPT_WB;
	g->mapped = at;
	invept(1, ept_pointer(g));
}

/* An empty shadow; L2's faults fill it. */
void shadow_build(struct guest *g)
{
	g->root = page_new();
}

void shadow_flush(struct guest *g)
{
	for (uint64_t at = 0; at < L2_SIZE * 2; at += 1ul << 21) {
		uint64_t *table = g->root;
		for (unsigned shift = 39; shift > 12 && table; shift -= 9)
			table = (uint64_t *)ADDRESS(table[at >> shift & 511]);
		for (unsigned n = 0; table && n < 512; n++)
			table[n] = 0;
	}
	invvpid(2, 0);
}

/* Walks L2's four-level tables; true when the shadow now has the page, false
 * when the fault is L2's own. */
bool shadow_fault(struct guest *g, uint64_t linear, uint32_t error)
{
	uint64_t *table, e = g->cr3, rights = PRESENT | WRITABLE | 4;

	for (unsigned shift = 39; shift >= 12; shift -= 9) {
		if (ADDRESS(e) >= L2_SIZE)
			return false;
		table = (uint64_t *)(g->mem + ADDRESS(e));
		e = table[linear >> shift & 511];
		if (!(e & PRESENT) || (error & 2 && !(e & WRITABLE)))
			return false;
		rights &= e;
		if (shift == 21 && e & LARGE) {
			e = ADDRESS(e) | (linear & 0x1ff000);
			break;
		}
	}
	if (ADDRESS(e) >= L2_SIZE)
		return false;
	*entry(g->root, linear & 0xfffffffff000, 7) = (g->mem + ADDRESS(e)) | rights;
	return true;
}

/* L0's own pages: VMCS regions, EPT tables, bitmaps. They live from
 * PHYS_PRIVATE up, where no guest is ever mapped, so that a real structure of
 * the processor (an EPTP, a VMCS pointer) can point to them.
 *
 * A page's address is a function of the order of allocations alone, so that
 * the same run uses the same addresses.
 */
#ifndef L0_PRIVATE_H
#define L0_PRIVATE_H

#include "base/phys.h"
#include "ept/build.h"

struct state;

struct private_mem {
	uint8_t *host;    /* of the whole range; phys owns it */
	uint32_t pages;   /* in the range */
	uint32_t top;     /* pages handed out at least once */
	uint32_t frees;   /* pages on the free list, last freed first out */
	uint32_t *free;   /* owned; `pages` entries */
};

#define PRIVATE_NONE UINT64_MAX

/* Adds the range to phys. */
bool private_init(struct private_mem *m, struct phys *phys, uint64_t bytes, struct err *e);
void private_done(struct private_mem *m);

/* A zeroed page, or PRIVATE_NONE when the range is used up. */
uint64_t private_new(struct private_mem *m);
void private_free(struct private_mem *m, uint64_t hpa);

/* The page's memory; the address must have come from private_new. */
static inline void *private_host(const struct private_mem *m, uint64_t hpa)
{
	return m->host + (hpa - PHYS_PRIVATE);
}

/* For the builder of EPT tables. */
struct ept_alloc private_ept_alloc(struct private_mem *m);

/* Allocation state and the contents of every page handed out. */
void private_state(struct private_mem *m, struct state *s);

#endif

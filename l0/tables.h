/* Page-table trees that are followed while somebody listens: EPT12's and the
 * guests' own.
 *
 * The pages of a tree are hooked, so that stores to them leave the fast path;
 * each store is held against the tree, which grows and shrinks with it, and told.
 * A and D that the processor sets are no stores. Nothing here is machine state,
 * and a run takes the same course with it and without.
 *
 * The roots: each EPTP that L1 has entered L2 with; of the guests the last
 * TABLES_SPACES values of CR3 of each processor and level. A page counts once,
 * by the first path that led to it.
 */
#ifndef L0_TABLES_H
#define L0_TABLES_H

#include "ept/walk.h"
#include "l0/l0.h"

#define TABLES_SPACES 4

struct tables;

struct tables_root {
	uint8_t level;      /* whose: 1, 2; 0: EPT12 */
	uint8_t vcpu;       /* of L1; EPT12: 0 */
	enum walk_format format;
	bool pse;           /* 32-bit paging: 4M pages */
	uint64_t root;      /* CR3 or EPTP */
	uint64_t pdpte[4];  /* WALK_PAE: the registers */
	uint64_t eptp12;    /* where an L2's tables lie; 0: in L1-physical memory */
};

struct tables *tables_new(struct l0 *l);
void tables_free(struct tables *t); /* pages lose their hooks; NULL: nothing */

/* This root is in use; a tree that is not followed is from here on. */
void tables_use(struct tables *t, const struct tables_root *root);

#endif

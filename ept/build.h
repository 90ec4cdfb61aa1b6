/* EPT tables as L0 builds them: EPT01 (largest pages over all of memory) and
 * EPT02 (one leaf at a time, as the merge of EPT12's and EPT01's).
 *
 * Pure over an allocator of table pages: nothing here knows where they live.
 * Invariant: every non-leaf entry grants all rights; only leaves restrict.
 *
 * SDM Vol. 3C 28.3.2 "EPT Translation Mechanism".
 */
#ifndef EPT_BUILD_H
#define EPT_BUILD_H

#include "ept/formats.h"
#include "ept/walk.h"

/* Table pages; ids are physical addresses of the space the tables live in. */
struct ept_alloc {
	void *ctx;
	uint64_t (*page)(void *ctx);                   /* a zeroed page; UINT64_MAX: none left */
	void (*drop)(void *ctx, uint64_t at);
	uint64_t *(*entries)(void *ctx, uint64_t at);  /* its 512 entries */
};

struct ept_table {
	struct ept_alloc alloc;
	uint64_t root;    /* of the PML4; UINT64_MAX before ept_table_init */
	unsigned pages;   /* table pages in use, the root included */
	unsigned max_pages; /* when reached, everything but the root is dropped; 0: no limit */
	bool page1g;
};

/* A leaf: what an entry says, apart from where. */
struct ept_leaf {
	uint64_t pa;     /* of the page's first byte */
	unsigned shift;  /* 12, 21 or 30 */
	uint8_t rights;  /* WALK_R, WALK_W, WALK_X, WALK_XU */
	uint8_t memtype;
	bool ignore_pat, accessed, dirty, ve_suppress;
};

bool ept_table_init(struct ept_table *t, const struct ept_alloc *alloc, bool page1g);
void ept_table_done(struct ept_table *t);

/* Drops every mapping; the root stays where it is. */
void ept_table_clear(struct ept_table *t);

/* Maps [gpa, gpa + size) to [pa, ...) with the largest pages that alignment
 * allows; multiples of 4 KiB. Replaces what was there. False when no table
 * page is left. */
bool ept_map(struct ept_table *t, uint64_t gpa, uint64_t size, const struct ept_leaf *how);
/* Unmaps, splitting large pages at the ends. */
bool ept_unmap(struct ept_table *t, uint64_t gpa, uint64_t size);

/* Installs one leaf of how->shift at gpa (cut to its alignment); smaller
 * tables below it are dropped, a larger leaf above it is split. */
bool ept_map_leaf(struct ept_table *t, uint64_t gpa, const struct ept_leaf *how);

/* The leaf entry that translates gpa: its value, NULL when none; *shift is
 * its size. The caller may clear rights in it and has to invalidate. */
uint64_t *ept_leaf_entry(struct ept_table *t, uint64_t gpa, unsigned *shift);

/* EPTP for the table: write-back walks, 4 levels; `ad` sets bit 6. */
uint64_t ept_table_eptp(const struct ept_table *t, bool ad);

/* The leaf of a walk that ended in WALK_OK or in a refusal at its leaf. */
struct ept_leaf ept_leaf_of(const struct walk_result *r);

/* EPT02's leaf for gpa: the smaller page, the intersected rights and memory
 * type of EPT12's leaf (L2-physical to L1-physical) and EPT01's for the page
 * that it leads to. `l1_pa` is where EPT12 translates gpa. */
struct ept_leaf ept_merge(
	uint64_t gpa, const struct ept_leaf *ept12, uint64_t l1_pa, const struct ept_leaf *ept01);

/* Memory types 0 UC, 1 WC, 4 WT, 5 WP, 6 WB: what both allow, SDM Vol. 3A
 * 11.5.2.2 "Selecting Memory Types" in spirit. */
uint8_t ept_memtype_combine(uint8_t a, uint8_t b);
const char *ept_memtype_name(uint8_t t);

#endif

/* EPT02: L2-physical to host-physical, merged from EPT12 (L1's tables) and
 * EPT01, filled leaf by leaf when L2 misses one.
 *
 * One set of tables per EPTP that L1 has used, least recently used one out.
 * An entry once made stays until L1 invalidates it, as on silicon. A leaf is
 * the smaller of EPT12's and EPT01's; rights and memory types intersect; it
 * stays read-only until EPT12's own leaf is dirty, so that each first write
 * comes by here (dirty flag, page-modification log).
 */
#ifndef L0_EPT02_H
#define L0_EPT02_H

#include "ept/build.h"
#include "ept/walk.h"
#include "l0/private.h"

struct state;

#define EPT02_ROOTS 32
#define EPT02_NONE  UINT64_MAX

#define EPT02_LOGGED 512

struct ept02_root {
	uint64_t eptp12; /* as L1 wrote it; EPT02_NONE: free */
	struct ept_table table;
	uint64_t used;   /* stamp of the last use */
	/* pages made writable since ept02_retrack, for the page-modification log */
	uint64_t logged[EPT02_LOGGED];
	uint32_t loggeds;
};

struct ept02 {
	struct private_mem *mem;
	struct phys *phys;
	unsigned phys_bits;
	bool exec_only, page1g; /* as offered to L1 */
	bool setting;           /* A or D of EPT12 is being set: the write is not L1's */
	uint64_t stamp;
	struct ept02_root root[EPT02_ROOTS];
	/* Tells the processors that what they cached through eptp02 is void. */
	void (*flush)(void *ctx, uint64_t eptp02);
	void *flush_ctx;
};

bool ept02_init(struct ept02 *e, struct private_mem *mem, struct phys *phys, unsigned phys_bits);

/* The EPTP of the merged tables for L1's EPTP, made on first use. */
uint64_t ept02_pointer(struct ept02 *e, uint64_t eptp12);

/* INVEPT: forgets what was merged for one EPTP (bits 51:12 and the walk
 * length count, as the processor tags), or for all. */
void ept02_invalidate(struct ept02 *e, uint64_t eptp12);
void ept02_invalidate_all(struct ept02 *e);

/* What the processor knew of dirty flags is void (its translations died with a
 * transition without VPID, or by INVVPID): pages that were logged look into
 * EPT12 again at their next write. */
void ept02_retrack(struct ept02 *e, uint64_t eptp12);
void ept02_retrack_all(struct ept02 *e);

enum ept02_result {
	EPT02_FILLED,    /* L2 tries again */
	EPT02_VIOLATION, /* reflect; walk->error is the qualification by EPT12 */
	EPT02_MISCONFIG, /* reflect */
	EPT02_PML_FULL,  /* reflect; nothing was changed */
	EPT02_UNBACKED   /* EPT12 leads out of L1's memory or its tables do */
};

/* Where L1's page-modification log goes on. */
struct ept02_pml {
	bool on;
	uint64_t address; /* L1-physical page */
	uint16_t *index;  /* GUEST_PML_INDEX of VMCS12 */
};

/* L2 missed at `at` with this access: walks EPT12, sets its A and D, logs,
 * and fills the leaf. *walk is the walk of EPT12. */
enum ept02_result ept02_fill(struct ept02 *e, uint64_t eptp12, bool mbec, uint64_t at,
	const struct walk_access *access, const struct ept02_pml *pml, struct walk_result *walk);

/* EPT12 as the one walker wants it; for introspection too. */
struct walk_root ept02_walk_root(const struct ept02 *e, uint64_t eptp12, bool mbec);

void ept02_state(struct ept02 *e, struct state *s);

#endif

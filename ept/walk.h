/* The one page-table walker, for guest paging and for EPT.
 *
 * A paging format is data (ept/formats.c): levels, index bits, entry size,
 * which bits mean what and which are reserved. The walker is pure: it reads
 * entries through a callback, so that it serves the TLB fill (entries in
 * host memory, or behind a second walk), the inspector (reads that never
 * fault) and tests (arrays). It sets A and D through a second callback, or
 * not at all when that is NULL.
 *
 * SDM Vol. 3A chapter 4 "Paging"; Vol. 3C 28.3 "The Extended Page Table
 * Mechanism (EPT)".
 */
#ifndef EPT_WALK_H
#define EPT_WALK_H

#include "base/addr.h"

#include <stdbool.h>
#include <stdint.h>

enum walk_format {
	WALK_NONE,    /* paging off: identity */
	WALK_32BIT,   /* SDM 4.3 "32-Bit Paging" */
	WALK_PAE,     /* SDM 4.4 "PAE Paging"; root[0..3] are the PDPTE registers */
	WALK_4LEVEL,  /* SDM 4.5 "4-Level Paging and 5-Level Paging" */
	WALK_EPT      /* SDM 28.3.2 "EPT Translation Mechanism"; 4 levels */
};

/* What the levels above the last one say: a paging-structure-cache entry, SDM
 * Vol. 3A 4.10.3 "Paging-Structure Caches". */
struct walk_upper {
	uint64_t table;  /* physical address of the last level's table */
	uint64_t rights; /* AND of the levels above, in the format's own bits */
};

/* What the tables are and the control bits that change their meaning. */
struct walk_root {
	enum walk_format format;
	uint64_t root;      /* CR3 or EPTP, as the register holds it */
	uint64_t pdpte[4];  /* WALK_PAE only */
	unsigned phys_bits; /* MAXPHYADDR: higher bits are reserved */
	bool pse;           /* 32-bit: 4M pages */
	bool page1g;        /* 1G pages exist */
	bool wp, nxe, smep, smap; /* CR0.WP, EFER.NXE, CR4.SMEP, CR4.SMAP */
	bool ac;            /* EFLAGS.AC, for SMAP */
	bool pke;           /* CR4.PKE; with pkru */
	uint32_t pkru;
	bool exec_only;     /* EPT: execute-only entries are legal */
	bool ad;            /* EPT: accessed and dirty flags (EPTP bit 6) */
	bool mbec;          /* EPT: bit 10 is execute for user-mode addresses */
	const struct walk_upper *upper; /* where the walk begins, at the last level, without
	                     * looking at or marking what is above; NULL: at the root.
	                     * 4-level paging and EPT. */
};

struct walk_access {
	bool write, fetch;
	bool user;      /* CPL 3, and not an implicit supervisor access */
	bool implicit;  /* implicit supervisor access (SMAP ignores AC) */
	/* for WALK_EPT */
	bool linear;    /* comes from a translation: qualification bit 7 */
	bool table;     /* access to a guest paging-structure entry: bit 8 clear */
	bool linear_user; /* U/S of the linear page, for mbec */
};

/* Reads an entry of `size` 4 or 8 bytes at a physical address of the space
 * that the tables live in. false aborts the walk (WALK_ABORT); the callback
 * keeps the reason in its own ctx. */
struct walk_mem {
	void *ctx;
	bool (*read)(void *ctx, uint64_t at, unsigned size, uint64_t *value);
	/* Sets bits: compare with old, store new. false aborts. NULL: A and D
	 * are reported in the result but not written. */
	bool (*set)(void *ctx, uint64_t at, unsigned size, uint64_t old, uint64_t new_value);
};

enum walk_status {
	WALK_OK,
	WALK_FAULT,     /* guest paging: out->error is the #PF error code */
	WALK_VIOLATION, /* EPT violation: out->error is the exit qualification */
	WALK_MISCONFIG, /* EPT misconfiguration at out->step[out->steps - 1] */
	WALK_ABORT      /* a callback said no */
};

/* Why an entry stops the walk; the blame of `walk` and `autopsy`. */
enum walk_blame {
	BLAME_NONE, BLAME_NOT_PRESENT, BLAME_RESERVED, BLAME_READ, BLAME_WRITE, BLAME_FETCH,
	BLAME_USER, BLAME_SMEP, BLAME_SMAP, BLAME_KEY, BLAME_CANONICAL, BLAME_MEMTYPE,
	BLAME_WRITE_ONLY, BLAME_ABORT
};

struct walk_step {
	uint8_t level;   /* 4 PML4E, 3 PDPTE, 2 PDE, 1 PTE */
	bool leaf;
	uint64_t at;     /* physical address of the entry */
	uint64_t value;  /* as read, before A/D were set */
	enum walk_blame blame;
	uint64_t bad;    /* the bits that are to blame */
};

enum { WALK_R = 1, WALK_W = 2, WALK_X = 4, WALK_U = 8, WALK_XU = 16 };

struct walk_result {
	uint64_t pa;        /* translation of the address itself */
	unsigned page_shift; /* size of the leaf: 12, 21, 22, 30 */
	uint8_t rights;     /* WALK_*: what this walk found on all levels together; for
	                     * guest paging before WP, SMEP, SMAP and keys are applied */
	bool global;
	bool dirty;         /* the leaf's D is set (after this walk) */
	uint8_t key;        /* protection key */
	uint8_t memtype;    /* guest: PAT index 0..7; EPT: memory type 0..7 */
	bool ignore_pat;    /* EPT */
	bool ve_suppress;   /* EPT: bit 63 of the last entry read */
	uint64_t error;     /* see enum walk_status */
	enum walk_blame blame;
	struct walk_upper upper; /* when the walk came to the last level of 4K pages */
	unsigned steps;
	struct walk_step step[4];
};

/* Translates addr. *out is complete for every status: steps up to the entry
 * that stopped the walk, with the blame. */
enum walk_status ept_walk(const struct walk_root *root, uint64_t addr,
	const struct walk_access *access, const struct walk_mem *mem, struct walk_result *out);

const char *walk_blame_name(enum walk_blame b);
const char *walk_level_name(enum walk_format f, unsigned level);

#endif

/* Shadow page tables: what the processor walks instead of the guest's tables.
 *
 * A shadow page stands for one table of the guest under one role (paging
 * format, and the control bits that change what its entries mean), shared by
 * all roots that lead to it. Shadow tables are always 8-byte entries of 4 KiB
 * pages: 4-level for a guest in IA-32e mode, PAE for the other two formats;
 * pages that the guest maps large are split. Entries come about when an
 * access misses: the guest's tables are walked, A and D set there, and the
 * translation is copied.
 *
 * Together the shadow tables are a TLB of unlimited size, under the rules of
 * SDM Vol. 3A 4.10 "Caching Translation Information": an entry may outlive a
 * change of the guest's until the guest invalidates it. Invalidation compares
 * the guest's tables with the copies that the shadow pages were filled from.
 *
 *   table entries   grant everything; only leaves restrict
 *   leaves          rights of the whole path; writable only once the guest's
 *                   own leaf is dirty, so that each first write comes by here
 *   CR0.WP          is always 1 below; for a guest with WP clear a supervisor's
 *                   write to a user page that is read-only, or write-disabled by
 *                   its key, makes the leaf writable and supervisor-only, until a
 *                   user access or an invalidation turns it back. SMAP and keys do
 *                   not hold for such a leaf: under either it lasts for the one
 *                   instruction. An implicit write counts as explicit there, because
 *                   a page fault does not tell: the one liberty taken.
 *
 * Guest-physical addresses equal host-physical ones.
 */
#ifndef L0_SHADOW_MMU_H
#define L0_SHADOW_MMU_H

#include "ept/walk.h"
#include "l0/private.h"

struct state;

#define SHADOW_PAGES 6144u /* shadow pages; when they are used up, all start afresh */
#define SHADOW_NONE  UINT32_MAX
#define SHADOW_GRANTS 16u

/* The registers of a guest that decide over paging, as the guest has them. */
struct shadow_regs {
	uint64_t cr0, cr3, cr4, efer, pdpte[4];
};

struct shadow_page {
	uint64_t key;    /* which table, level, role, rights above it; 0: free */
	uint64_t table;  /* private page: what the processor walks */
	uint64_t copy;   /* private page: the guest's table as of the last look; PRIVATE_NONE
	                  * for a part of a large page */
	uint64_t synced; /* stamp of the last look */
	uint64_t va;     /* the linear address that it begins at, by its first use */
	uint32_t next;   /* of the hash chain */
	uint16_t pins;   /* roots in use */
	bool aliased;    /* begins at other linear addresses as well */
};

/* One address space in use: the roots that a processor has in CR3 or PDPTEs. */
struct shadow_space {
	uint8_t role;
	unsigned roots;    /* 0 while paging is off; 1, or 4 with PAE tables */
	uint32_t root[4];  /* shadow pages; SHADOW_NONE: PDPTE not present */
	uint64_t flushed;  /* stamp: roots synced before are stale */
};

struct shadow_mmu {
	struct private_mem *mem;
	struct phys *phys;
	unsigned phys_bits;  /* of the guest */
	uint64_t stamp;
	uint32_t used, cursor; /* shadow pages in use; where to look for a free one */
	struct shadow_page *page; /* owned; SHADOW_PAGES */
	uint32_t *chain;     /* owned; heads by hash */
	uint32_t *owner;     /* owned; private page number to shadow page */
	/* Translations are void: everything, or one page in every space. */
	void (*flush)(void *ctx);
	void (*flush_page)(void *ctx, uint64_t va);
	void *flush_ctx;
	bool setting;        /* A or D of the guest's tables is being set: the write is not its */
	bool zapped;         /* entries went since the last flush */
	/* leaves that a guest with CR0.WP clear has made writable; they end with the
	 * next invalidation */
	struct {
		uint32_t page, index;
	} granted[SHADOW_GRANTS];
	uint32_t grants;
	/* host statistics, not state */
	uint64_t fills, syncs, zaps, drops;
};

void shadow_init(struct shadow_mmu *m, struct private_mem *mem, struct phys *phys,
	unsigned phys_bits);
void shadow_done(struct shadow_mmu *m);
/* Forgets everything (reset). No space is in use afterwards. */
void shadow_reset(struct shadow_mmu *m);
void shadow_state(struct shadow_mmu *m, struct state *s);
void shadow_space_state(struct shadow_space *sp, struct state *s);

/* The guest's own tables as the one walker wants them. */
struct walk_root shadow_guest_root(const struct shadow_mmu *m, const struct shadow_regs *r);

/* Points the space at the tables for these registers: made, or found as they
 * were left, and brought up to date when `sync` or when flushed since. True:
 * they are other tables, or of another role, than before. */
bool shadow_enter(struct shadow_mmu *m, struct shadow_space *sp, const struct shadow_regs *r,
	bool sync);
/* The space is not in use any more. */
void shadow_leave(struct shadow_mmu *m, struct shadow_space *sp);

/* What the processor runs the guest on: CR0, CR3, CR4, EFER and the PDPTE
 * registers for the tables of `sp`. */
struct shadow_regs shadow_hardware(
	const struct shadow_mmu *m, const struct shadow_space *sp, const struct shadow_regs *r);

enum shadow_result {
	SHADOW_FILLED, /* try again */
	SHADOW_FILLED_ONCE, /* the same; shadow_over() after the instruction */
	SHADOW_FAULT,  /* the guest's own: walk->error is its error code */
	SHADOW_REFUSED /* the tables allow it already, and the processor does not: its
	                * own reason stands */
};

/* A page fault at va; `root` is shadow_guest_root() with AC and PKRU as they
 * are. *walk is the walk of the guest's tables. */
enum shadow_result shadow_fill(struct shadow_mmu *m, struct shadow_space *sp,
	const struct walk_root *root, uint64_t va, const struct walk_access *a,
	struct walk_result *walk);

/* The instruction of SHADOW_FILLED_ONCE is over, or does not come. */
void shadow_over(struct shadow_mmu *m);

/* INVLPG: the page, and all that is known of tables above page tables. */
void shadow_invlpg(struct shadow_mmu *m, struct shadow_space *sp, uint64_t va);
/* Every root that was synced before now is stale for this space. */
void shadow_flushed(struct shadow_mmu *m, struct shadow_space *sp);

#endif

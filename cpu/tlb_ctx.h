/* What lies behind cpu/tlb.h: contexts, their tables and filters, EPT caches.
 * cpu/tlb.c chooses and invalidates them, cpu/tlb_fill.c fills them.
 *
 * An entry holds while its gen is its context's (gen_all for global entries,
 * gen_local for the others); whatever empties a table moves the gen. Views hold
 * only what is in the table too, so they are cleared with it.
 */
#ifndef CPU_TLB_CTX_H
#define CPU_TLB_CTX_H

#include "cpu/model.h"
#include "cpu/run.h"
#include "cpu/tlb.h"
#include "ept/walk.h"

#define POOL_SIZE  32u
#define EPT_CACHES 8u
#define EPT_DEEP   4096u

#define LARGE_SHIFT 22 /* the largest page but 1G ones */

/* A raw translation: rights of the guest's tables before WP, SMEP, SMAP and
 * keys, and those of EPT. */
struct deep {
	uint64_t tag; /* page address | 1; 0 when empty */
	uint64_t hpa, gpa;
	uint32_t gen;
	uint8_t rights, ept; /* WALK_* */
	uint8_t key, shift;
	bool dirty, global, ept_dirty;
};

/* The levels above the last one for 2M of addresses: a paging-structure cache. */
#define UPPERS	    512u
#define UPPER_SHIFT 21

struct upper {
	uint64_t tag; /* address >> UPPER_SHIFT, + 1; 0 when empty */
	uint32_t gen;
	struct walk_upper to;
};

struct ctx_key {
	uint64_t eptp;
	uint16_t vpid, pcid;
	uint8_t format;
	bool nonroot, ept;
};

struct tlb_ctx {
	struct ctx_key key;
	bool live;
	uint64_t used;
	uint32_t gen_all, gen_local; /* of global entries; of the others */
	uint32_t gen_upper;  /* moves with any invalidation, also of a single page */
	uint64_t rules;      /* WP, SMEP... that the views were filled under */
	uint64_t large_seen[8]; /* bloom filter of the 4M regions with parts of large pages */
	bool huge_seen;         /* a part of a 1G page was seen */
	uint64_t code_seen[8]; /* bloom filter of pages with fetch translations since gen moved */
	struct deep deep[TLB_DEEP];
	struct upper upper[UPPERS];
	struct tlb view[TLB_FLAVOURS];
};

/* GPA to HPA of one EPTP: pages of 4K, and (in `large`) 2M of a larger one. */
struct ept_entry {
	uint64_t tag, hpa; /* page address | 1, or upper_tag */
	uint8_t rights, shift;
	bool dirty;
};

struct ept_cache {
	uint64_t eptp;
	bool live;
	uint64_t used;
	struct ept_entry e[EPT_DEEP];
	struct ept_entry large[UPPERS];
	struct upper upper[UPPERS]; /* gen is not used */
};

struct tlb_pool {
	struct tlb_ctx *ctx[POOL_SIZE];
	struct ept_cache *ept[EPT_CACHES];
	uint64_t clock;
	uint16_t last_vpid;
	bool last_nonroot;
};

/* A page's bit in code_seen, a region's in large_seen. */
static inline unsigned tlb_bloom(uint64_t page)
{
	return (page >> 12 ^ page >> 21 ^ page >> 30) & 511;
}

static inline enum walk_format tlb_format(const struct vcpu *c)
{
	if (!(c->cr0 & CR0_PG))
		return WALK_NONE;
	if (c->msr.efer & EFER_LMA)
		return WALK_4LEVEL;
	return c->cr4 & CR4_PAE ? WALK_PAE : WALK_32BIT;
}

static inline enum tlb_flavour tlb_flavour(const struct vcpu *c)
{
	if (c->cpl == 3)
		return TLB_USER;
	return c->rflags & FLAG_AC && c->cr4 & CR4_SMAP ? TLB_SUPER_AC : TLB_SUPER;
}

static inline unsigned upper_slot(uint64_t at)
{
	return at >> UPPER_SHIFT & (UPPERS - 1);
}

static inline uint64_t upper_tag(uint64_t at)
{
	return (at >> UPPER_SHIFT) + 1;
}

/* The cache of c's EPTP, emptied when it is another's. */
struct ept_cache *tlb_ept_cache(struct vcpu *c);

#endif

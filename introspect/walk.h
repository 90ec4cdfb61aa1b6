/* A page walk as data: every entry of every table that an access meets, at
 * all levels, and who says no.
 *
 * For an L2 linear address: the guest's tables translate to L2-physical; each
 * of their entries, and the final address, goes through EPT12 (L1's tables)
 * to L1-physical and through EPT01 (L0's) to host-physical; EPT02 is L0's
 * merge of the two, what the processor really uses. For L1: its tables and
 * EPT01. Physical addresses start at the EPT part. Where L0 does without EPT,
 * its shadow tables stand beside the guest's: they are what the processor
 * walks, from the linear address on.
 */
#ifndef INTROSPECT_WALK_H
#define INTROSPECT_WALK_H

#include "introspect/memory.h"

#include "ept/walk.h"

enum walk_table { TABLE_GUEST, TABLE_EPT12, TABLE_EPT01, TABLE_EPT02, TABLE_SHADOW, TABLES };
const char *walk_table_name(enum walk_table t); /* "guest", "ept12" ... */

/* One walk through one set of tables. */
struct walk_stage {
	bool done; /* false: not reached, or these tables are not in use */
	enum walk_table table;
	struct walk_root root;
	uint64_t in;
	enum walk_status status;
	struct walk_result result; /* result.pa is what came out */
};

/* A level's physical address through the EPTs to host memory. */
struct walk_nested {
	bool done;
	struct walk_stage ept12; /* L2 only, when VMCS12 enables EPT */
	struct walk_stage ept01;
	bool reached;    /* host-physical is known */
	struct hpa host;
};

/* The answer of the hardware to this access. */
enum walk_outcome {
	WALK_ACCESS_OK,
	WALK_PAGE_FAULT,  /* #PF in the level itself: error is its error code */
	WALK_GP,          /* non-canonical address */
	WALK_EPT_VIOLATION_L1, /* exit to L1: error is the exit qualification */
	WALK_EPT_MISCONFIG_L1,
	WALK_EPT_VIOLATION_L0, /* EPT01 refuses: L0's own business */
	WALK_UNKNOWN      /* tables not readable */
};

struct intro_walk {
	/* the question */
	struct place at;
	enum intro_space space;  /* virtual or physical */
	uint64_t address;
	struct walk_access access;

	struct walk_stage guest;          /* virtual addresses */
	struct walk_nested table[4];      /* of guest.result.step[i]'s address */
	struct walk_nested final;         /* of the address that the guest walk gave */
	struct walk_stage ept02;          /* of the same address, in L0's merge */
	bool ept02_differs;               /* EPT02 leads elsewhere or allows otherwise than 12 and 01 */
	struct walk_stage shadow;         /* of the linear address, in L0's shadow tables */
	bool shadow_differs;              /* they lead elsewhere than the guest's */

	/* the answer */
	enum walk_outcome outcome;
	enum walk_table blamed;  /* with an outcome that is not OK */
	unsigned blamed_step;    /* its index in that stage's result.step */
	int blamed_entry;        /* -1: the final address; else which guest entry's nested walk */
	uint64_t error;          /* predicted #PF error code or exit qualification */
	uint64_t guest_physical; /* as an exit would report it */
	struct hpa host;         /* with WALK_ACCESS_OK */
	uint8_t rights;          /* WALK_*: effective */
	uint8_t memtype;         /* effective: 0 UC, 1 WC, 4 WT, 5 WP, 6 WB */
	unsigned page_shift;     /* smallest leaf on the way */

	/* what the TLB holds for this linear address, when it holds something else */
	bool tlb_cached, tlb_stale, tlb_writable;
	struct hpa tlb_page;
	const char *tlb_missing; /* "INVEPT", "INVVPID or MOV CR3", "INVLPG"; NULL */
};

/* Walks; *out is complete for every outcome. False and *e: no such place, or
 * its tables are not known. */
bool intro_walk(struct intro *s, struct place at, enum intro_space space, uint64_t address,
	const struct walk_access *access, struct intro_walk *out, struct err *e);

/* The paging roots of a place. False: not known, or not in use (EPT off). */
bool intro_root(struct intro *s, struct place at, enum walk_table table, struct walk_root *out);

/* The addresses around `address`, up to where the answer changes, that are all
 * mapped with the same rights or all not mapped. A region that takes too many
 * entries to follow ends early, at a border of them. False and *e: no such
 * place, or host-physical addresses. */
struct intro_region {
	uint64_t from, last; /* both belong to it */
	bool mapped;
	uint8_t rights;      /* WALK_R, WALK_W, WALK_X */
};
bool intro_region(struct intro *s, struct place at, enum intro_space space, uint64_t address,
	struct intro_region *out, struct err *e);

/* Mapped ranges of an EPT, merged while rights, type and the distance to the
 * output stay equal. Called in rising order; false from fn ends. */
struct ept_range {
	uint64_t from, size;
	uint64_t to;       /* output address of `from` */
	uint8_t rights, memtype;
	unsigned page_shift; /* smallest page in it */
	uint64_t pages;
};
typedef bool ept_range_fn(void *ctx, const struct ept_range *r);
bool intro_ept_map(struct intro *s, struct place at, enum walk_table table, ept_range_fn *fn,
	void *ctx, struct err *e);

const char *intro_memtype_name(unsigned memtype); /* "UC", "WB" ... */
/* "rwx", "r-x" ...; with user execute when mbec. */
void intro_rights_print(uint8_t rights, struct buf *out);

/* Sentences for an EPT-violation qualification, a #PF error code, an entry. */
void intro_ept_qualification_decode(uint64_t qualification, struct buf *out);
void intro_pf_error_decode(uint64_t error, struct buf *out);
void intro_entry_decode(enum walk_format format, const struct walk_step *step, struct buf *out);

#endif

/* The inside of the engine: shared by its files only.
 *
 * A block's ops stand in op[0..n-1], one per instruction; op[n] goes on where
 * the block ends without a branch, and carries the block's address in .link;
 * op[n + 1] holds two links (taken or only, not taken). So any op finds its
 * block at o[o->left].link, and a branch its links at o[2].
 *
 * c->ic has the whole block taken off when it is entered; whoever leaves
 * early gives back o->left (this op does not retire) or o->left - 1. So at any
 * op: retired before it = horizon - ic - left.
 *
 * A handler that returns to the loop has set c->rip, or engine.why.
 */
#ifndef CPU_RUN_H
#define CPU_RUN_H

#include "cpu/engine.h"
#include "cpu/flags.h"
#include "cpu/op.h"
#include "cpu/tlb.h"

/* What decoding depended on: part of a block's key. */
enum {
	MODE_CODE64 = 1 << 0, MODE_CODE32 = 1 << 1, MODE_SS32 = 1 << 2,
	MODE_FLAT_SHIFT = 3, /* + enum seg_reg ES..GS: no check can fail, see mode_flat */
	MODE_ALIGN = 1 << 9, /* alignment checks are on */
	MODE_PROTECTED = 1 << 10, /* not real-address and not v8086 mode */
	MODE_EM = 1 << 11, MODE_TS = 1 << 12, MODE_MP = 1 << 13, MODE_OSFXSR = 1 << 14,
	MODE_AVX = 1 << 15, /* CR4.OSXSAVE and XCR0 allow it */
	MODE_STEP = 1 << 16, /* one instruction per block */
	MODE_NOMARK = 1 << 17, /* marks are not looked at */
	MODE_BITS = 18
};

struct link {
	struct block *to;
	uint64_t gen; /* c->code_gen for which it holds */
} __attribute__((may_alias));

struct block {
	uint64_t gva, hpa;
	const uint8_t *host; /* of the first page */
	uint64_t hpa2;   /* second page of an instruction across a page end, or ~0 */
	uint64_t rip;    /* where it starts, and where it ends, as offsets in CS; */
	uint64_t end;    /* of flat code only */
	uint32_t mode;
	uint8_t n;       /* instructions */
	bool marked;     /* starts with a breakpoint mark: op[0] leaves */
	bool dead;       /* out of all tables; freed at the next turn of the loop */
	uint16_t bytes;
	uint16_t heat;   /* entries, until it is translated */
	op_fn *first;    /* the interpreter's handler of op[0] */
	struct block *hash_next;
	struct block *page_next, *page2_next;
	struct insn **insn;      /* n entries, those in use filled; owned */
	struct op op[];
};

static inline size_t block_bytes(const struct block *b)
{
	return sizeof(*b) + (b->n + 2u) * sizeof(struct op);
}

enum run_why { RUN_ON, RUN_FAULT, RUN_EXIT, RUN_LEAVE, RUN_MARK };

#define JCACHE 4096u
/* Integers anywhere in memory, at any alignment. */
typedef uint8_t m8;
typedef uint16_t __attribute__((may_alias, aligned(1))) m16;
typedef uint32_t __attribute__((may_alias, aligned(1))) m32;
typedef uint64_t __attribute__((may_alias, aligned(1))) m64;

struct jcache {
	uint64_t rip, gen;
	struct block *to;
};

struct engine {
	struct jcache jc[JCACHE];
	struct engine_shared *shared;
	struct tlb_pool *pool;
	enum run_why why;
	bool brk;            /* leave the block after this op */
	struct link *patch;  /* the loop fills it with the block it finds at patch_rip */
	uint64_t patch_rip;  /* an event between the two blocks leads elsewhere */
	uint32_t mode;
	uint64_t end;        /* c->retired at which the budget is used up */
	bool step_over;
	/* For binders: the flags that no one reads after this instruction, and
	 * what left the flags before it (LAZY(kind, bits), 0: not known). */
	bool flags_dead;
	uint64_t producer, produced;
	/* watches */
	struct engine_watch_hit hit;
	bool hit_pending;
	bool mtf_due; /* an instruction has run since PEND_MTF was set */
	/* the last TLB miss that went back to the fast path: c->retired and address */
	uint64_t miss_retired, miss_at;
};

#define BLOCK_BYTES_MAX ((size_t)160 << 20)
#define BLOCK_HASH (512u * 1024)
#define PAGE_HASH  4096u
#define GVA_PAGES  4096u

struct code_page {
	uint64_t hpa;
	struct code_page *next;
	struct block *blocks;
};

struct engine_shared {
	struct phys *phys;
	struct bus *bus;
	struct block *hash[BLOCK_HASH];
	struct code_page *page[PAGE_HASH];
	struct block *grave;
	size_t bytes;        /* of all blocks */
	uint64_t epoch;      /* moves when any block dies */
	uint64_t next_gen;
	struct vcpu *running;
	struct vcpu *vcpu[256];
	unsigned vcpus;
	uint32_t gva_blocks[GVA_PAGES]; /* how many blocks begin in linear pages of this hash */
	uint64_t *mark;      /* owned; a set with open addressing, NO_MARK is an empty slot */
	unsigned marks, mark_slots;
	struct watched {
		struct engine_watch w;
		unsigned id;
	} *watch;            /* owned */
	unsigned watches, next_watch;
	unsigned debug_marks, debug_watches; /* in debug registers, of all vCPUs */
	engine_trace_fn *trace;
	void *trace_ctx;
	engine_mode_fn *mode_fn;
	void *mode_ctx;
	engine_outcall_fn *outcall_fn;
	void *outcall_ctx;
	struct engine_stats stats;
	struct stubs *stubs; /* native code (cpu/stub.h); owned; NULL when refused */
	struct jit *jit;     /* the translator (cpu/jit.h); owned; NULL when refused */
	unsigned heat;       /* entries that make a block worth it; 0: never */
};

#define NO_MARK UINT64_MAX

static inline unsigned gva_page(uint64_t gva)
{
	return (unsigned)(gva >> 12 ^ gva >> 24) % GVA_PAGES;
}

/* block.c */
uint32_t mode_of(const struct vcpu *c);
/* The block at c->rip in this mode, built when needed. CPU_FAULT with c->fault
 * when it cannot be fetched. */
enum cpu_step block_find(struct vcpu *c, uint32_t mode, struct block **out);
void block_bury(struct engine_shared *s); /* frees the dead ones */
void block_flush(struct engine_shared *s);
void block_flush_gva(struct engine_shared *s, uint64_t gva); /* every block of that page */
/* The engine or a device writes RAM that may hold code. */
void code_written(struct engine_shared *s, struct phys_page *page, uint64_t hpa, size_t len);

/* block_build.c */
/* The block at linear `lin`, in no table yet; owned by the caller. */
enum cpu_step block_build(struct vcpu *c, uint32_t mode, uint64_t lin, struct block **out);
void block_slot_insn(struct block *b, unsigned n, const struct insn *i); /* keeps a copy */
/* Decodes an op of a block anew. */
void insn_of_block(struct engine_shared *s, const struct block *b, const struct op *o,
	struct insn *out);

/* Which of a block's instructions write flags that someone may read; fault[n]
 * is not negative where an exception stands in for the instruction. */
void block_liveness(const struct insn *i, const int8_t *fault, unsigned n, uint8_t *live);

/* op.c */
op_fn op_end, op_mark, op_ud, op_heat;
void op_miss_read(struct vcpu *c, const struct op *o, uint64_t at);
void op_miss_write(struct vcpu *c, const struct op *o, uint64_t at);
void op_fallback(struct vcpu *c, const struct op *o); /* the slow function of this op */

/* engine.c */
void engine_renew_mode(struct vcpu *c); /* after c->mode_changed: seg_base, mode, TLB context */
void engine_rearm(struct vcpu *c); /* the horizon after deadlines or pending events moved */

/* marks.c */
bool mark_at(const struct engine_shared *s, uint64_t lin);
bool mark_debug(const struct engine_shared *s, uint64_t lin);
uint64_t mark_debug_hits(const struct vcpu *c, uint64_t lin); /* DR6 bits */
void watch_check(struct vcpu *c, uint64_t at, unsigned size, bool write);
void watch_check_physical(struct vcpu *c, struct hpa at, unsigned size, bool write);
bool watch_page(const struct engine_shared *s, uint64_t page, uint64_t physical);

/* Contexts that run the same code (the kernel's, of several processes) take
 * slots of their own. */
static inline unsigned jcache_slot(uint64_t rip, uint64_t gen)
{
	return (rip ^ rip >> 12 ^ gen >> (MODE_BITS - 6)) & (JCACHE - 1);
}

static inline struct block *op_block(const struct op *o)
{
	return o[o->left].link;
}

/* Linear address of an op. */
static inline uint64_t op_lin(const struct op *o)
{
	return (op_block(o)->gva & PAGE_MASK) | o->rip_low;
}

static inline uint64_t op_rip(const struct vcpu *c, const struct op *o)
{
	uint64_t lin = op_lin(o);
	return op_block(o)->mode & MODE_CODE64 ? lin : (uint32_t)(lin - c->seg[SEG_CS].base);
}

static inline uint64_t retired_at(const struct vcpu *c, const struct op *o)
{
	return c->horizon - (uint64_t)c->ic - o->left;
}

/* A link that holds no longer: c->rip is where it has to lead. */
static inline void engine_patch(struct vcpu *c, struct link *l)
{
	c->engine->patch = l;
	c->engine->patch_rip = c->rip;
}

/* Nothing but an interrupt that IF holds back: the boundary has no choice. */
static inline bool only_masked(const struct vcpu *c)
{
	return c->pending == PEND_INTR && !(c->rflags & FLAG_IF) && !c->nonroot.extint_exits &&
		c->activity == ACTIVITY_ACTIVE;
}

/* Enters a block, or goes back to the loop when the horizon is nearer. */
#define BLOCK_ENTER(c, b)                                 \
	do {                                              \
		struct block *b_ = (b);                   \
		if (__builtin_expect(((c)->ic -= b_->n) < 0, 0)) { \
			(c)->ic += b_->n;                 \
			(c)->rip = b_->rip;               \
			return;                           \
		}                                         \
		OP_GO(c, b_->op);                         \
	} while (0)

#endif

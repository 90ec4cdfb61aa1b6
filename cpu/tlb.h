/* Cached translations, the engine's view.
 *
 * A context belongs to (non-root or not, VPID, EPTP, PCID, paging format). It
 * holds a hashed table of raw translations and three direct-mapped views of
 * it, one for each set of rights: supervisor, supervisor with EFLAGS.AC (SMAP
 * open), user. A view's entry lets the fast path through; whatever needs a
 * second look (MMIO, code, watched, D clear, no right) has a tag that cannot
 * match. Switching CPL, AC, CR3 with PCID or root mode is a pointer change.
 */
#ifndef CPU_TLB_H
#define CPU_TLB_H

#include "base/phys.h"
#include "cpu/mem.h"
#include "cpu/vcpu.h"

#define TLB_SIZE  2048u /* entries of a view */
#define TLB_DEEP  8192u /* entries of a context's table */
#define TLB_NONE  UINT64_C(1) /* a tag that matches no address */

struct tlb_entry {
	uint64_t read, write, exec; /* page address or TLB_NONE */
	uint64_t addend;            /* host pointer - linear address */
};

enum tlb_flavour { TLB_SUPER, TLB_SUPER_AC, TLB_USER, TLB_FLAVOURS };

struct tlb_ctx;

struct tlb {
	struct tlb_entry e[TLB_SIZE] __attribute__((aligned(64)));
	uint64_t gen;   /* unique; anew whenever a fetch translation may be stale */
	uint64_t epoch; /* engine_shared.epoch that gen goes with */
	struct tlb_ctx *ctx;
	enum tlb_flavour flavour; /* also its place among its context's views */
	bool used; /* has entries */
};

enum tlb_want { TLB_READ, TLB_WRITE, TLB_FETCH };

/* Where a linear address leads. host is NULL for what is not RAM or ROM. */
struct tlb_place {
	struct hpa hpa;
	struct gpa gpa;
	uint8_t *host; /* of the byte itself */
	struct phys_page *page;
	enum phys_kind kind;
	bool apic; /* the APIC-access page */
};

struct tlb_pool;
struct tlb_pool *tlb_pool_new(void);
void tlb_pool_free(struct tlb_pool *p);

/* Points c->tlb at the view for c's state and renews c->code_gen. */
void tlb_select(struct vcpu *c);

/* The same when nothing but CPL and EFLAGS.AC has changed. */
void tlb_rights_changed(struct vcpu *c);

/* Translates for an access with c's rights (or a supervisor's, ACCESS_SYSTEM)
 * and fills the view where the fast path may go next time. CPU_FAULT: #PF;
 * CPU_EXIT: EPT. The address is canonical. */
enum cpu_step tlb_resolve(struct vcpu *c, uint64_t at, enum tlb_want want, enum cpu_access who,
	struct tlb_place *out);

/* Guest-physical to host-physical, through EPT when it is on. */
enum cpu_step tlb_gpa(struct vcpu *c, struct gpa at, bool write, uint64_t *out);

/* Takes the write (or all) tags of a page's host memory out of every view. */
void tlb_protect(struct tlb_pool *p, const uint8_t *host, bool read_too);
/* Empties all views (rights, watches or dirty generation changed). */
void tlb_clear_views(struct tlb_pool *p);

/* What c caches for a page, without a walk; false when nothing. */
bool tlb_peek(struct vcpu *c, uint64_t at, struct hpa *page, bool *writable);

static inline void *tlb_host_read(const struct tlb *t, uint64_t at, unsigned size)
{
	const struct tlb_entry *e = &t->e[at >> PAGE_SHIFT & (TLB_SIZE - 1)];
	if (__builtin_expect(((at + (size - 1)) & PAGE_MASK) == e->read, 1))
		return (void *)(uintptr_t)(at + e->addend);
	return NULL;
}

static inline void *tlb_host_write(const struct tlb *t, uint64_t at, unsigned size)
{
	const struct tlb_entry *e = &t->e[at >> PAGE_SHIFT & (TLB_SIZE - 1)];
	if (__builtin_expect(((at + (size - 1)) & PAGE_MASK) == e->write, 1))
		return (void *)(uintptr_t)(at + e->addend);
	return NULL;
}

#endif

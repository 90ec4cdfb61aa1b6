/* The engine: runs decoded blocks of one vCPU, to an exact count.
 *
 * All vCPUs of a machine share one code cache (engine_shared). engine_run
 * brings clock->now up to date before it calls any device and when it
 * returns; timers are fired by the caller, between slices.
 */
#ifndef CPU_ENGINE_H
#define CPU_ENGINE_H

#include "base/addr.h"
#include "cpu/vcpu.h"

struct engine_shared;
struct phys;
struct bus;

struct engine_shared *engine_shared_new(struct phys *phys, struct bus *bus);
void engine_shared_free(struct engine_shared *e);

/* Runs at most `budget` instructions and never past clock_next(). Delivers
 * pending events. Returns why it stopped; c->retired and clock->now are
 * exact. Never returns with FP state live. */
enum cpu_leave engine_run(struct vcpu *c, uint64_t budget);

/* Marks for breakpoints, by linear address, for every vCPU and every level:
 * engine_run returns LEAVE_BREAK before the instruction there. The owner
 * (l0/) decides whether it means anything, and steps over it by
 * engine_step_over. Costs nothing where there is no mark. */
void engine_mark(struct engine_shared *e, struct gva at);
void engine_unmark(struct engine_shared *e, struct gva at);

/* No other vCPU could use a turn: each waits, and nothing has come that ends its
 * wait. One in MWAIT could; only memory tells. */
bool engine_alone(const struct vcpu *c);

/* The next engine_run starts with the instruction at rip, mark or no mark. */
void engine_step_over(struct vcpu *c);

/* Watched ranges, by linear or host-physical address (which any mapping may
 * lead to): engine_run returns LEAVE_WATCH after the instruction that touched
 * one with an access of its own; engine_watch_hit tells which. */
struct engine_watch {
	struct gva at; /* physical: the value of a struct hpa */
	uint64_t len;
	bool read, write;
	bool physical;
};
unsigned engine_watch_add(struct engine_shared *e, const struct engine_watch *w); /* id > 0 */
void engine_watch_del(struct engine_shared *e, unsigned id);
struct engine_watch_hit {
	unsigned id;
	struct gva at; /* in the watch's space */
	unsigned more[7], mores; /* other watches that the same instruction touched */
	unsigned size;
	bool write;
	bool device;
};
/* Does a device's access touch physical watches? Fills *out. */
bool engine_watch_device(
	const struct engine_shared *e, struct hpa at, size_t len, bool write, struct engine_watch_hit *out);
const struct engine_watch_hit *engine_watch_hit(const struct vcpu *c); /* NULL: none */

/* DR0-DR3 or DR7 changed: their instruction breakpoints become marks and their
 * data breakpoints watches, which end in PEND_DB instead of leaving. */
void engine_debug_changed(struct vcpu *c);

/* Forgets all code: after a load, or when the memory map changed. */
void engine_flush(struct engine_shared *e);

/* Blocks are translated to host code when entered `heat` times (1: at once,
 * steps too; 0: never). What the guest sees does not depend on it. */
void engine_translate(struct engine_shared *e, unsigned heat);

/* phys->generation moved: the next store to each page marks it again. */
void engine_dirty_restart(struct engine_shared *e);

/* Translations as the TLB holds them, for stale-TLB detection: true when the
 * current context of c caches `at`, with the page it leads to. */
bool engine_tlb_peek(struct vcpu *c, struct gva at, struct hpa *page, bool *writable);

/* A trace: fn is called before every instruction of every vCPU with the state
 * complete (c->rip, registers, rflags), and sees the instruction that is about
 * to run. NULL switches it off; it costs nothing then. Set between slices. */
typedef void engine_trace_fn(void *ctx, struct vcpu *c, const struct insn *i);
void engine_set_trace(struct engine_shared *e, engine_trace_fn *fn, void *ctx);

/* fn is told, before the next instruction, whenever something that decoding
 * depends on may have changed: modes, segments, rights. NULL switches it off;
 * it costs nothing then. Set between slices. */
typedef void engine_mode_fn(void *ctx, struct vcpu *c);
void engine_watch_mode(struct engine_shared *e, engine_mode_fn *fn, void *ctx);

/* fn is told after each instruction that may reach out of the processor (the
 * rows with I_OUTCALL: ports, control registers, MSRs) and did what it does: no
 * fault, no exit. A repeated one is told for each element. NULL switches it off;
 * it costs nothing then. Set between slices. */
typedef void engine_outcall_fn(void *ctx, struct vcpu *c, const struct insn *i);
void engine_watch_outcalls(struct engine_shared *e, engine_outcall_fn *fn, void *ctx);

/* Host statistics; outside state and hash. */
struct engine_stats {
	uint64_t blocks_built, blocks_flushed, tlb_misses, tlb_walks, smc_events, slow_ops;
};
void engine_stats(const struct engine_shared *e, struct engine_stats *out);

#endif

/* The loop: finds blocks, enters them, deals with what made them return.
 *
 * On return from a block, engine.why says what to do; with RUN_ON, c->rip is
 * where to go on. Between blocks retired = horizon - ic.
 */
#include "cpu/engine.h"

#include "base/buf.h"
#include "cpu/deliver.h"
#include "cpu/fp.h"
#include "cpu/jit.h"
#include "cpu/mnemonic.h"
#include "cpu/pmu.h"
#include "cpu/run.h"
#include "cpu/stub.h"

#include <stdlib.h>

/* --- shared part */

static void on_written(void *ctx, struct hpa at, size_t len)
{
	struct engine_shared *s = ctx;
	uint8_t *host;
	struct phys_page *page;
	enum phys_kind kind;
	if (phys_page_at(s->phys, at, &host, &page, &kind))
		code_written(s, page, at.v, len);
}

static void on_remapped(void *ctx)
{
	struct engine_shared *s = ctx;
	engine_flush(s);
}

struct engine_shared *engine_shared_new(struct phys *phys, struct bus *bus)
{
	struct engine_shared *s = xalloc(sizeof(*s));
	s->phys = phys;
	s->bus = bus;
	s->epoch = 1;
	s->stubs = stubs_new();
	s->jit = jit_new();
	s->heat = JIT_HEAT;
	phys->written = on_written;
	phys->written_ctx = s;
	phys->remapped = on_remapped;
	phys->remapped_ctx = s;
	return s;
}

void engine_shared_free(struct engine_shared *s)
{
	if (!s)
		return;
	block_flush(s);
	block_bury(s);
	for (unsigned h = 0; h < PAGE_HASH; h++)
		while (s->page[h]) {
			struct code_page *p = s->page[h];
			s->page[h] = p->next;
			free(p);
		}
	if (s->phys->written_ctx == s)
		s->phys->written = NULL;
	if (s->phys->remapped_ctx == s)
		s->phys->remapped = NULL;
	free(s->mark);
	free(s->watch);
	stubs_free(s->stubs);
	jit_free(s->jit);
	free(s);
}

void engine_flush(struct engine_shared *s)
{
	block_flush(s);
	for (unsigned v = 0; v < s->vcpus; v++)
		if (s->vcpu[v]->tlb)
			tlb_flush_everything(s->vcpu[v]);
}

void engine_dirty_restart(struct engine_shared *s)
{
	for (unsigned v = 0; v < s->vcpus; v++)
		tlb_clear_views(s->vcpu[v]->engine->pool);
}

void engine_set_trace(struct engine_shared *s, engine_trace_fn *fn, void *ctx)
{
	s->trace = fn;
	s->trace_ctx = ctx;
}

void engine_watch_mode(struct engine_shared *s, engine_mode_fn *fn, void *ctx)
{
	s->mode_fn = fn;
	s->mode_ctx = ctx;
}

void engine_watch_outcalls(struct engine_shared *s, engine_outcall_fn *fn, void *ctx)
{
	s->outcall_fn = fn;
	s->outcall_ctx = ctx;
}

void engine_stats(const struct engine_shared *s, struct engine_stats *out)
{
	*out = s->stats;
}

bool engine_alone(const struct vcpu *c)
{
	const struct engine_shared *s = c->engine->shared;
	for (unsigned v = 0; v < s->vcpus; v++) {
		const struct vcpu *other = s->vcpu[v];
		if (other != c && (other->activity == ACTIVITY_MWAIT || vcpu_may_run(other)))
			return false;
	}
	return true;
}

bool engine_tlb_peek(struct vcpu *c, struct gva at, struct hpa *page, bool *writable)
{
	return tlb_peek(c, at.v, page, writable);
}

void engine_translate(struct engine_shared *s, unsigned heat)
{
	s->heat = heat;
	engine_flush(s);
}

/* --- the loop */

static void count(struct vcpu *c)
{
	c->retired = c->horizon - (uint64_t)c->ic;
}

/* Where the engine has to look up next: its end, a deadline, a counter's wrap. */
static uint64_t next_horizon(const struct vcpu *c)
{
	uint64_t next = clock_next(c->clock), h = c->engine->end;
	next = next > c->clock_base ? next - c->clock_base : 0;
	if (next < h)
		h = next;
	if (c->pmu_wakes && pmu_next(c) < h - c->retired && h > c->retired)
		h = c->retired + pmu_next(c);
	return h < c->retired ? c->retired : h;
}

/* Starts (again) towards the next event. */
static void set_horizon(struct vcpu *c)
{
	c->horizon = next_horizon(c);
	c->ic = (int64_t)(c->horizon - c->retired);
}

void engine_rearm(struct vcpu *c)
{
	struct engine *e = c->engine;
	if (e->shared->running != c)
		return;
	uint64_t h = next_horizon(c);
	if (h < c->horizon) {
		c->ic -= (int64_t)(c->horizon - h);
		c->horizon = h;
		e->brk = true;
	}
	if (c->pending && !only_masked(c))
		e->brk = true;
}

void engine_renew_mode(struct vcpu *c)
{
	struct engine *e = c->engine;
	flags_sync(c);
	c->mode_changed = false;
	for (unsigned n = 0; n < 6; n++)
		c->seg_base[n] = c->seg[n].base;
	e->mode = mode_of(c);
	if (e->mode & MODE_CODE64)
		c->seg_base[SEG_ES] = c->seg_base[SEG_CS] = c->seg_base[SEG_SS] =
			c->seg_base[SEG_DS] = 0;
	tlb_select(c);
}

static enum cpu_leave leave(struct vcpu *c, enum cpu_leave why)
{
	flags_sync(c);
	fp_leave(c);
	clock_set(c->clock, c->clock_base + c->retired);
	c->engine->patch = NULL; /* whoever looks may move rip */
	c->engine->shared->running = NULL;
	c->engine->step_over = false;
	return why;
}

/* One instruction at a time: traps, shadows, marks, a near horizon. */
static bool wants_step(const struct vcpu *c)
{
	return (c->rflags & (FLAG_TF | FLAG_RF)) || c->sti_shadow || c->movss_shadow ||
		(c->pending & PEND_MTF) || c->engine->step_over || c->engine->shared->trace;
}

static bool swallows_tf(const struct insn *i)
{
	return i->mnemonic == ZYDIS_MNEMONIC_INT || i->mnemonic == ZYDIS_MNEMONIC_INT3 ||
		i->mnemonic == ZYDIS_MNEMONIC_INTO || i->mnemonic == ZYDIS_MNEMONIC_INT1 ||
		/* these trap by the TF that they load */
		i->mnemonic == ZYDIS_MNEMONIC_SYSCALL || i->mnemonic == ZYDIS_MNEMONIC_SYSRET;
}

static enum cpu_step deliver(struct vcpu *c)
{
	fp_leave(c);
	flags_sync(c);
	return cpu_deliver(c);
}

static void run(struct vcpu *c, const struct op *o)
{
	jit_enter(c, o);
	while (c->chain) {
		o = c->chain;
		c->chain = NULL;
		jit_enter(c, o);
	}
}

static enum cpu_step run_step(struct vcpu *c)
{
	struct engine *e = c->engine;
	struct block *b;
	uint64_t flags = c->rflags;
	bool sti = c->sti_shadow, movss = c->movss_shadow;
	enum cpu_step step =
		block_find(c, e->mode | MODE_STEP | (e->step_over ? MODE_NOMARK : 0), &b);
	if (step != CPU_DONE)
		return step;
	if (e->shared->trace) {
		flags_sync(c);
		fp_leave(c);
		e->shared->trace(e->shared->trace_ctx, c, op_insn(c, b->op));
	}
	if (b->marked) {
		e->why = RUN_MARK;
		return CPU_DONE;
	}
	e->step_over = false;
	bool swallow = flags & FLAG_TF && swallows_tf(op_insn(c, b->op));
	/* The horizon is this instruction: no branch goes on into its target. */
	int64_t rest = c->ic - 1;
	c->ic = 0;
	c->horizon -= (uint64_t)rest;
	run(c, b->op);
	c->ic += rest;
	c->horizon += (uint64_t)rest;
	e->patch = NULL; /* blocks of one instruction are not linked */
	if (e->why == RUN_EXIT)
		return CPU_DONE;
	/* Shadows end with the instruction after the one that set them. */
	c->sti_shadow &= !sti;
	c->movss_shadow &= !movss;
	e->mtf_due = (c->pending & PEND_MTF) != 0;
	if (e->why == RUN_FAULT)
		return CPU_DONE;
	flags_sync(c);
	c->rflags &= ~(flags & FLAG_RF);
	if (flags & FLAG_TF && !swallow) {
		c->pending_db |= BIT(14);
		c->pending |= PEND_DB;
	}
	return CPU_DONE;
}

static bool flat_code(const struct engine *e)
{
	return e->mode & MODE_CODE64 || e->mode >> (MODE_FLAT_SHIFT + SEG_CS) & 1;
}

/* The block at c->rip, by the cache of indirect jumps or the tables; fills the
 * cache and the link that led here. */
static enum cpu_step next_block(struct vcpu *c, struct block **out)
{
	struct engine *e = c->engine;
	struct link *patch = e->patch;
	struct jcache *j = &e->jc[jcache_slot(c->rip, c->code_gen)];
	uint64_t gen = c->code_gen;
	e->patch = NULL;
	if (j->rip == c->rip && j->gen == gen) {
		*out = j->to;
	} else {
		enum cpu_step step = block_find(c, e->mode, out);
		if (step != CPU_DONE)
			return step;
		if ((*out)->hpa2 != UINT64_MAX || (*out)->marked || gen != c->code_gen ||
			e->brk || !flat_code(e))
			return CPU_DONE;
		*j = (struct jcache){c->rip, gen, *out};
	}
	if (patch && e->patch_rip == c->rip) {
		patch->to = *out;
		patch->gen = gen;
	}
	return CPU_DONE;
}

static enum cpu_step run_blocks(struct vcpu *c)
{
	struct engine *e = c->engine;
	struct block *b;
	enum cpu_step step = next_block(c, &b);
	if (step != CPU_DONE)
		return step;
	if (b->marked) {
		e->why = RUN_MARK;
		return CPU_DONE;
	}
	if (b->n > c->ic)
		return run_step(c);
	c->ic -= b->n;
	run(c, b->op);
	return CPU_DONE;
}

/* At a mark: true when the run has to stop. */
static bool at_mark(struct vcpu *c, enum cpu_step *step)
{
	uint64_t lin = c->rip + (cpu_64bit(c) ? 0 : c->seg[SEG_CS].base);
	uint64_t hits = mark_debug_hits(c, lin);
	*step = CPU_DONE;
	/* the shadow of MOV SS hides instruction breakpoints too */
	if (hits && !(c->rflags & FLAG_RF) && !c->movss_shadow) {
		flags_sync(c);
		cpu_raise(c, VEC_DB);
		c->fault.payload = hits;
		*step = CPU_FAULT;
		return false;
	}
	return mark_at(c->engine->shared, lin);
}

/* Events at the boundary before c->rip. CPU_DONE: go on. */
static enum cpu_step boundary(struct vcpu *c)
{
	/* The monitor trap flag acts after an instruction, not before the first. */
	uint32_t mtf = c->engine->mtf_due ? 0 : c->pending & PEND_MTF;
	flags_sync(c);
	fp_leave(c);
	clock_set(c->clock, c->clock_base + c->retired);
	c->pending &= ~mtf;
	enum cpu_step step = c->pending ? cpu_boundary(c) : CPU_DONE;
	c->pending |= mtf;
	return step;
}

/* True when who listens wants a stop. */
static bool tell_mode(struct vcpu *c)
{
	struct engine_shared *s = c->engine->shared;
	fp_leave(c);
	clock_set(c->clock, c->clock_base + c->retired);
	s->mode_fn(s->mode_ctx, c);
	return c->pending & PEND_STOP;
}

enum cpu_leave engine_run(struct vcpu *c, uint64_t budget)
{
	struct engine *e = c->engine;
	struct engine_shared *s = e->shared;
	s->running = c;
	c->clock_base = c->clock->now - c->retired;
	e->end = c->retired + budget < budget ? UINT64_MAX / 2 : c->retired + budget;
	if (e->end - c->retired > (uint64_t)INT64_MAX / 2)
		e->end = c->retired + (uint64_t)INT64_MAX / 2;
	c->mode_changed = true;
	pmu_changed(c);
	e->patch = NULL;
	e->why = RUN_ON;
	e->hit_pending = false;
	e->mtf_due = false;
	for (;;) {
		enum cpu_step step = CPU_DONE;
		e->brk = false;
		bool full = s->bytes > BLOCK_BYTES_MAX || (s->jit && jit_full(s->jit));
		if (s->grave || full) {
			fp_leave(c);
			e->patch = NULL;
			if (full)
				block_flush(s);
			block_bury(s);
			if (full && s->jit)
				jit_restart(s->jit);
			e->brk = false;
		}
		if (c->pmu_wakes && !pmu_next(c))
			pmu_sync(c);
		if (c->pending && !only_masked(c)) {
			step = boundary(c);
			if (step == CPU_EXIT)
				return leave(c, LEAVE_VMEXIT);
			if (step == CPU_LEAVE)
				return leave(c, c->leave);
			if (step == CPU_FAULT)
				goto fault;
		}
		if (c->activity != ACTIVITY_ACTIVE)
			return leave(c, LEAVE_HALT);
		set_horizon(c);
		if (e->hit_pending)
			return leave(c, LEAVE_WATCH);
		if (c->ic <= 0)
			return leave(c, c->retired >= e->end ? LEAVE_SLICE : LEAVE_DEADLINE);
		if (c->mode_changed) {
			engine_renew_mode(c);
			if (s->mode_fn && tell_mode(c))
				continue;
		} else if (c->tlb->epoch != s->epoch) {
			tlb_select(c);
		}
		e->why = RUN_ON;
		step = wants_step(c) ? run_step(c) : run_blocks(c);
		if (step == CPU_FAULT) {
			e->why = RUN_FAULT;
		} else if (step == CPU_EXIT) {
			e->why = RUN_EXIT;
		}
		count(c);
		switch (e->why) {
		case RUN_ON:
			continue;
		case RUN_EXIT:
			return leave(c, LEAVE_VMEXIT);
		case RUN_LEAVE:
			return leave(c, c->leave);
		case RUN_MARK:
			if (at_mark(c, &step))
				return leave(c, LEAVE_BREAK);
			if (step != CPU_FAULT) {
				e->step_over = true;
				continue;
			}
			break;
		case RUN_FAULT:
			break;
		}
fault:
		e->patch = NULL;
		step = deliver(c);
		if (step == CPU_EXIT)
			return leave(c, LEAVE_VMEXIT);
		if (step == CPU_LEAVE)
			return leave(c, c->leave);
	}
}

void engine_step_over(struct vcpu *c)
{
	c->engine->step_over = true;
}

#include "l0/ring.h"

#include "base/state.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

bool ring_init(struct ring *r, uint64_t records, struct err *e)
{
	*r = (struct ring){.records = records};
	if (!records)
		return true;
	r->record = calloc(records, sizeof(*r->record));
	r->regs = calloc(RING_REGS, sizeof(*r->regs));
	if (r->record && r->regs)
		return true;
	ring_done(r);
	return err_set(e, ERR_GENERAL, "--l0 ring: no memory for %" PRIu64 " records of %zu bytes", records,
		sizeof(*r->record));
}

void ring_done(struct ring *r)
{
	free(r->record);
	free(r->regs);
	memset(r, 0, sizeof(*r));
}

uint64_t ring_put(struct ring *r, const struct ring_record *rec, const struct ring_regs *regs)
{
	r->record[r->count % r->records] = *rec;
	if (regs)
		r->regs[r->count % RING_REGS] = *regs;
	else
		memset(&r->regs[r->count % RING_REGS], 0, sizeof(*regs));
	return r->count++;
}

uint64_t ring_oldest(const struct ring *r)
{
	uint64_t oldest = r->count > r->records ? r->count - r->records : 0;
	return oldest > r->first ? oldest : r->first;
}

const struct ring_record *ring_at(const struct ring *r, uint64_t number)
{
	if (number >= r->count || number < ring_oldest(r))
		return NULL;
	return &r->record[number % r->records];
}

const struct ring_regs *ring_regs_at(const struct ring *r, uint64_t number)
{
	if (number >= r->count || number < ring_oldest(r) || r->count - number > RING_REGS)
		return NULL;
	return &r->regs[number % RING_REGS];
}

void ring_cost(struct ring *r, uint64_t number, uint64_t cost)
{
	if (ring_at(r, number))
		r->record[number % r->records].cost = cost;
}

static void record_state(struct ring_record *r, struct state *s)
{
	state_u64(s, &r->at.clock);
	state_u64(s, &r->at.ordinal);
	state_u8(s, &r->from);
	state_u8(s, &r->to);
	state_u8(s, &r->handler);
	state_u8(s, &r->vcpu);
	state_u16(s, &r->reason);
	state_u16(s, &r->mode);
	state_u32(s, &r->intr_info);
	state_u32(s, &r->insn_len);
	state_u64(s, &r->qualification);
	state_u64(s, &r->rip);
	state_u64(s, &r->detail);
	state_u64(s, &r->cost);
	state_u64(s, &r->cause);
	state_u64(s, &r->vmcs12);
}

static void regs_state(struct ring_regs *g, struct state *s)
{
	for (unsigned k = 0; k < 16; k++)
		state_u64(s, &g->gpr[k]);
	state_u64(s, &g->rflags);
	state_u64(s, &g->cr3);
}

/* What a ring that is smaller than the file's does not keep is read over: a
 * later record takes its slot, or (ring=off) nothing does. */
void ring_state(struct ring *r, struct state *s)
{
	struct ring_record none;
	struct ring_regs no_regs;
	uint64_t first = ring_oldest(r), from;
	if (!state_bookkeeping(s))
		return;
	state_section(s, "ring", 2);
	state_u64(s, &r->count);
	state_u64(s, &first);
	if (state_ok(s) && first > r->count)
		state_fail(s, "the exit ring begins after its end");
	for (uint64_t i = first; i < r->count && state_ok(s); i++)
		record_state(r->record ? &r->record[i % r->records] : &none, s);
	from = r->count - first > RING_REGS ? r->count - RING_REGS : first;
	for (uint64_t i = from; i < r->count && state_ok(s); i++)
		regs_state(r->record ? &r->regs[i % RING_REGS] : &no_regs, s);
	if (state_mode(s) == STATE_LOAD)
		r->first = r->record ? first : r->count;
}

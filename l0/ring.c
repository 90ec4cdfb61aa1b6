#include "l0/ring.h"

#include "base/buf.h"
#include "base/state.h"

#include <stdlib.h>
#include <string.h>

void ring_done(struct ring *r)
{
	free(r->record);
	free(r->regs);
	memset(r, 0, sizeof(*r));
}

static void need_memory(struct ring *r)
{
	if (r->record)
		return;
	r->record = xalloc(sizeof(*r->record) * RING_RECORDS);
	r->regs = xalloc(sizeof(*r->regs) * RING_REGS);
}

uint64_t ring_put(struct ring *r, const struct ring_record *rec, const struct ring_regs *regs)
{
	need_memory(r);
	r->record[r->count % RING_RECORDS] = *rec;
	if (regs)
		r->regs[r->count % RING_REGS] = *regs;
	else
		memset(&r->regs[r->count % RING_REGS], 0, sizeof(*regs));
	return r->count++;
}

uint64_t ring_oldest(const struct ring *r)
{
	return r->count > RING_RECORDS ? r->count - RING_RECORDS : 0;
}

const struct ring_record *ring_at(const struct ring *r, uint64_t number)
{
	if (number >= r->count || number < ring_oldest(r))
		return NULL;
	return &r->record[number % RING_RECORDS];
}

const struct ring_regs *ring_regs_at(const struct ring *r, uint64_t number)
{
	if (number >= r->count || r->count - number > RING_REGS)
		return NULL;
	return &r->regs[number % RING_REGS];
}

void ring_cost(struct ring *r, uint64_t number, uint64_t cost)
{
	if (ring_at(r, number))
		r->record[number % RING_RECORDS].cost = cost;
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

void ring_state(struct ring *r, struct state *s)
{
	if (!state_bookkeeping(s))
		return;
	state_section(s, "ring", 1);
	state_u64(s, &r->count);
	if (r->count)
		need_memory(r);
	for (uint64_t i = ring_oldest(r); i < r->count && state_ok(s); i++)
		record_state(&r->record[i % RING_RECORDS], s);
	uint64_t first = r->count > RING_REGS ? r->count - RING_REGS : 0;
	for (uint64_t i = first; i < r->count && state_ok(s); i++) {
		struct ring_regs *g = &r->regs[i % RING_REGS];
		for (unsigned k = 0; k < 16; k++)
			state_u64(s, &g->gpr[k]);
		state_u64(s, &g->rflags);
		state_u64(s, &g->cr3);
	}
}

/* The exit ring of the live machine, as records. */
#include "introspect/live_machine.h"

#include <string.h>

static enum exit_kind kind_of(const struct ring_record *r)
{
	if (r->reason == RING_ENTRY_OK)
		return EXIT_ENTRY;
	if (r->from == LEVEL_L1 && (r->reason == EXIT_REASON_VMLAUNCH ||
		    r->reason == EXIT_REASON_VMRESUME || r->reason == EXIT_REASON_INVALID_STATE ||
		    r->reason == EXIT_REASON_MSR_LOAD_FAIL))
		return EXIT_ENTRY_FAIL;
	return r->from == LEVEL_L1 || r->handler != RING_BY_L1 ? EXIT_EXIT : EXIT_REFLECT;
}

void live_record(struct live *v, uint64_t seq, const struct ring_record *r, struct exit_record *out)
{
	const struct ring_regs *regs = ring_regs_at(&v->l->ring, seq);
	unsigned l2 = r->vmcs12 != UINT64_MAX ? live_level_at(v, r->vmcs12) : LEVEL_L2;
	const char *what = exit_detail_kind(r->reason);
	*out = (struct exit_record){.seq = seq, .at = r->at, .kind = kind_of(r), .vcpu = r->vcpu,
		.from = (uint8_t)(r->from >= 2 ? l2 : r->from), .to = (uint8_t)(r->to >= 2 ? l2 : r->to),
		.handler = r->handler == RING_BY_L1, .reason = r->reason,
		.qualification = r->qualification, .rip = r->rip, .cr3 = regs ? regs->cr3 : 0,
		.detail = *what ? r->detail : UINT64_MAX,
		.gpa = r->reason == EXIT_REASON_EPT_VIOLATION || r->reason == EXIT_REASON_EPT_MISCONFIG ?
			r->detail : UINT64_MAX, .gla = UINT64_MAX,
		.intr_info = r->intr_info, .insn_length = r->insn_len, .vmcs12 = r->vmcs12,
		.cause = r->cause, .cost = r->cost, .model_cost = l0_options_cost(&v->l->options),
		.by_tool = r->mode & RING_TOOL};
	/* an exit that L0 handles leads back to where it came from, through L0 */
	if (out->kind == EXIT_EXIT)
		out->to = LEVEL_L0;
	else if (out->kind == EXIT_ENTRY_FAIL)
		out->to = (uint8_t)l2;
}

void live_exits_range(void *ctx, uint64_t *first, uint64_t *end)
{
	struct live *v = ctx;
	*first = ring_oldest(&v->l->ring);
	*end = v->l->ring.count;
}

bool live_exit_at(void *ctx, uint64_t seq, struct exit_record *out)
{
	struct live *v = ctx;
	const struct ring_record *r = ring_at(&v->l->ring, seq);
	if (!r)
		return false;
	live_record(v, seq, r, out);
	return true;
}

bool live_exit_gprs(void *ctx, uint64_t seq, uint64_t gpr[16])
{
	struct live *v = ctx;
	const struct ring_regs *regs = ring_regs_at(&v->l->ring, seq);
	if (!regs)
		return false;
	memcpy(gpr, regs->gpr, sizeof regs->gpr);
	return true;
}

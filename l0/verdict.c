/* Exits that an observer takes for itself before L0 decides: swallowed, or made
 * into another exit for L1.
 *
 * A verdict is an entry of the input log (INPUT_EXIT) that names the number
 * which the transition has in the ring. Whether it comes from an observer or
 * from a log that is played, it is applied when that transition comes: the log
 * delivers it at the clock of the exit, before the instruction runs.
 */
#include "l0/nested.h"

#include "base/input.h"
#include "base/log.h"

#include <string.h>

/* Has the exit an instruction that the level can go on behind? SDM Vol. 3C
 * 27.2.5 "Information for VM Exits Due to Instruction Execution". */
static bool has_instruction(const struct vmx_exit *x)
{
	switch (x->reason) {
	case EXIT_REASON_EXCEPTION_NMI: case EXIT_REASON_EXTERNAL_INTERRUPT:
	case EXIT_REASON_TRIPLE_FAULT: case EXIT_REASON_INIT_SIGNAL: case EXIT_REASON_SIPI_SIGNAL:
	case EXIT_REASON_INTERRUPT_WINDOW: case EXIT_REASON_NMI_WINDOW:
	case EXIT_REASON_TASK_SWITCH: case EXIT_REASON_INVALID_STATE: case EXIT_REASON_MSR_LOAD_FAIL:
	case EXIT_REASON_MONITOR_TRAP_FLAG: case EXIT_REASON_TPR_BELOW_THRESHOLD:
	case EXIT_REASON_APIC_ACCESS: case EXIT_REASON_EOI_INDUCED: case EXIT_REASON_EPT_VIOLATION:
	case EXIT_REASON_EPT_MISCONFIG: case EXIT_REASON_PREEMPTION_TIMER:
	case EXIT_REASON_APIC_WRITE: case EXIT_REASON_PML_FULL:
		return false;
	default:
		return x->insn_len && !x->trap;
	}
}

static void taken(void *ctx, uint32_t target, const uint8_t *data, uint32_t len)
{
	struct nested *n = ctx;
	if (len != sizeof(struct l0_verdict) || (target & ~L0_BY_PLUGIN) >= n->l->vcpus)
		return;
	/* the oldest that never came makes room */
	if (n->verdicts == NESTED_VERDICTS)
		memmove(n->verdict, n->verdict + 1, --n->verdicts * sizeof(n->verdict[0]));
	memcpy(&n->verdict[n->verdicts++], data, len);
}

void verdict_init(struct nested *n)
{
	inputs_register(n->l->inputs, INPUT_EXIT, taken, n);
}

/* Asks the observers, with the record that the transition would get. */
static void ask(struct nested_vcpu *nv, const struct vmx_exit *x, unsigned level)
{
	struct l0 *l = nv->n->l;
	struct ring_record r = {.at = l0_position(l), .from = (uint8_t)level, .to = 1,
		.handler = level == 2 && reflect_wanted(nv, x) ? RING_BY_L1 : RING_BY_L0,
		.vcpu = (uint8_t)nv->c->id, .reason = (uint16_t)x->reason, .mode = nv->n->opt->mmu,
		.intr_info = x->intr_info, .insn_len = x->insn_len, .qualification = x->qualification,
		.rip = nv->c->rip, .detail = record_detail(nv, x),
		.cause = level == 1 ? nv->cause : RING_NONE,
		.vmcs12 = nv->cur ? nv->cur->at : UINT64_MAX};
	struct l0_verdict v = {.number = l->ring.count};
	struct l0_event ev = {.kind = L0_EV_EXIT_BEFORE, .vcpu = r.vcpu, .level = (uint8_t)level,
		.number = l->ring.count, .record = &r, .verdict = &v};
	l0_tell(l, &ev);
	if (v.action == L0_VERDICT_NONE)
		return;
	if (v.action == L0_VERDICT_SWALLOW && !has_instruction(x)) {
		log_once(l->log, LOG_WARN, "verdict", x->reason, "%s has no instruction to go on behind: "
			"it is not swallowed", vmx_exit_reason_name(x->reason & 0xffff));
		return;
	}
	if (!input_put(l->inputs, INPUT_EXIT, nv->c->id | L0_BY_PLUGIN, &v, sizeof(v)))
		log_once(l->log, LOG_WARN, "verdict", 0, "recorded inputs are played: exits cannot be "
			"swallowed or rewritten");
}

static bool due(struct nested *n, uint64_t number, struct l0_verdict *out)
{
	for (unsigned i = 0; i < n->verdicts; i++) {
		if (n->verdict[i].number != number)
			continue;
		*out = n->verdict[i];
		memmove(n->verdict + i, n->verdict + i + 1,
			(--n->verdicts - i) * sizeof(n->verdict[0]));
		return true;
	}
	return false;
}

enum l0_verdict_action verdict_apply(struct nested_vcpu *nv, struct vmx_exit *x, unsigned level)
{
	struct nested *n = nv->n;
	struct l0_verdict v;
	if (l0_observed(n->l, L0_EV_EXIT_BEFORE))
		ask(nv, x, level);
	if (!n->verdicts || !due(n, n->l->ring.count, &v))
		return L0_VERDICT_NONE;
	if (v.action == L0_VERDICT_REWRITE && level == 2) {
		x->reason = v.reason;
		x->qualification = v.qualification;
		return L0_VERDICT_REWRITE;
	}
	if (v.action != L0_VERDICT_SWALLOW || !has_instruction(x))
		return L0_VERDICT_NONE;
	for (unsigned i = 0; i < GPR_COUNT; i++)
		if (v.mask >> i & 1)
			nv->c->gpr[i] = v.gpr[i];
	return L0_VERDICT_SWALLOW;
}

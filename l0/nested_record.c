/* One record in the exit ring for each transition. */
#include "l0/nested.h"

#include "l0/shadow/vcpu.h"
#include "vmx/controls.h"

#include <string.h>

uint64_t record_detail(const struct nested_vcpu *nv, const struct vmx_exit *x)
{
	switch (x->reason & 0xffff) {
	case EXIT_REASON_CPUID:
		return (uint32_t)nv->c->gpr[RAX];
	case EXIT_REASON_MSR_READ:
	case EXIT_REASON_MSR_WRITE:
		return (uint32_t)nv->c->gpr[RCX];
	case EXIT_REASON_IO_INSTRUCTION:
		return x->qualification >> 16 & 0xffff;
	case EXIT_REASON_CR_ACCESS:
		return x->qualification & 15;
	case EXIT_REASON_EXCEPTION_NMI:
	case EXIT_REASON_EXTERNAL_INTERRUPT:
		return x->intr_info & INTR_VECTOR;
	case EXIT_REASON_EPT_VIOLATION:
	case EXIT_REASON_EPT_MISCONFIG:
		return x->gpa.v;
	default:
		return x->qualification;
	}
}

static uint64_t put(struct nested_vcpu *nv, const struct vmx_exit *x, struct ring_record *r)
{
	struct ring_regs regs;
	struct l0 *l = nv->n->l;

	if (!nv->n->opt->ring)
		return RING_NONE;
	r->at = clock_event(l->clock);
	r->vcpu = (uint8_t)nv->c->id;
	r->mode = (uint16_t)(nv->n->opt->mmu | (nv->by_tool ? RING_TOOL : 0));
	r->intr_info = x->intr_info;
	r->insn_len = x->insn_len;
	r->qualification = x->qualification;
	r->detail = r->from == 1 ? nv->detail : record_detail(nv, x);
	r->vmcs12 = nv->cur ? nv->cur->at : UINT64_MAX;
	memcpy(regs.gpr, nv->c->gpr, sizeof(regs.gpr));
	regs.rflags = nv->c->rflags;
	regs.cr3 = shadow_cr3_of(nv, nv->l0v->level);
	return l0_record(l, r, &regs);
}

static bool vmx_instruction(uint32_t reason)
{
	return (reason >= EXIT_REASON_VMCALL && reason <= EXIT_REASON_VMXON) ||
		reason == EXIT_REASON_INVEPT || reason == EXIT_REASON_INVVPID ||
		reason == EXIT_REASON_VMFUNC;
}

static void tell_insn(struct nested_vcpu *nv, uint32_t reason, uint64_t rip)
{
	struct l0_event ev = {.kind = L0_EV_VMX_INSN,
		.vcpu = (uint8_t)nv->c->id,
		.level = 1,
		.number = reason,
		.at = rip};

	if (vmx_instruction(reason) && l0_observed(nv->n->l, L0_EV_VMX_INSN))
		l0_tell(nv->n->l, &ev);
}

void record_l1_handled(struct nested_vcpu *nv, const struct vmx_exit *x, uint64_t rip)
{
	struct ring_record r = {.from = 1,
		.to = 1,
		.handler = RING_BY_L0,
		.reason = (uint16_t)x->reason,
		.rip = rip,
		.cause = nv->cause};

	put(nv, x, &r);
	tell_insn(nv, x->reason & 0xffff, rip);
}

void record_l2_handled(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	struct ring_record r = {.from = 2,
		.to = 2,
		.handler = RING_BY_L0,
		.reason = (uint16_t)x->reason,
		.rip = nv->c->rip,
		.cause = RING_NONE};

	put(nv, x, &r);
}

void record_reflected(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	struct ring_record r = {.from = 2,
		.to = 1,
		.handler = RING_BY_L1,
		.reason = (uint16_t)x->reason,
		.rip = nv->c->rip,
		.cause = RING_NONE};

	nv->cause = put(nv, x, &r);
}

/* `failed`: the reason of an entry that did not succeed, 0 for one that did. */
void record_entry(struct nested_vcpu *nv, const struct vmx_exit *x, uint64_t rip, uint32_t failed)
{
	struct ring_record r = {.from = 1,
		.to = failed ? 1 : 2,
		.handler = RING_BY_L0,
		.reason = failed ? (uint16_t)failed : RING_ENTRY_OK,
		.rip = rip,
		.cause = nv->cause};

	if (nv->cause != RING_NONE && !failed)
		ring_cost(&nv->n->l->ring, nv->cause, nv->c->retired - nv->cause_retired);
	put(nv, x, &r);
	tell_insn(nv, x->reason & 0xffff, rip);
	if (!failed)
		nv->cause = RING_NONE;
}

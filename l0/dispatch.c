/* Who handles an exit. */
#include "l0/nested.h"

#include "base/log.h"
#include "l0/shadow/vcpu.h"
#include "vmx/controls.h"

#include <assert.h>

static nested_l1_fn *const l1_handler[EXIT_REASON_COUNT] = {
#define EXIT_L1(reason, fn) [EXIT_REASON_##reason] = fn,
#include "l0/exits_l1.def"
#undef EXIT_L1
};

static const struct {
	enum reflect_rule rule;
	uint32_t bits;
} rules[EXIT_REASON_COUNT] = {
#define REFLECT(reason, rule, bits) [EXIT_REASON_##reason] = {RULE_##rule, bits},
#include "l0/reflect.def"
#undef REFLECT
};

bool reflect_exception(const struct vmcs *v, const struct vmx_exit *x)
{
	uint32_t vector = x->intr_info & INTR_VECTOR, bitmap = vmcs_get(v, VMCS_EXCEPTION_BITMAP);
	bool set;

	if ((x->intr_info & INTR_TYPE) >> INTR_TYPE_SHIFT == TYPE_NMI)
		return vmcs_get(v, VMCS_PIN_BASED_VM_EXEC_CONTROL) & PIN_NMI_EXITING;
	set = bitmap >> (vector & 31) & 1;
	if (vector != VEC_PF) /* SDM Vol. 3C 25.2 "Other Causes of VM Exits" */
		return set;
	return set == ((x->intr_error & vmcs_get(v, VMCS_PAGE_FAULT_ERROR_CODE_MASK)) ==
			      vmcs_get(v, VMCS_PAGE_FAULT_ERROR_CODE_MATCH));
}

static bool bitmap_bit(const struct nested_vcpu *nv, uint64_t page, uint32_t bit)
{
	uint8_t byte = 0xff;

	phys_read(&nv->n->l->machine->phys, hpa(page + bit / 8), &byte, 1);
	return byte >> (bit % 8) & 1;
}

static bool wants_msr(const struct nested_vcpu *nv, const struct vmcs *v, bool write)
{
	uint32_t msr = (uint32_t)nv->c->gpr[RCX], base = write ? 0x4000 : 0;
	uint64_t page = vmcs_get(v, VMCS_MSR_BITMAP);

	if (!(vmcs_get(v, VMCS_CPU_BASED_VM_EXEC_CONTROL) & PROC1_USE_MSR_BITMAPS))
		return true;
	if (msr < 0x2000)
		return bitmap_bit(nv, page, base + msr);
	if (msr - 0xc0000000u < 0x2000)
		return bitmap_bit(nv, page, base + 0x2000 + (msr - 0xc0000000u));
	return true;
}

static bool wants_port(const struct nested_vcpu *nv, const struct vmcs *v, uint64_t qualification)
{
	uint32_t proc1 = vmcs_get(v, VMCS_CPU_BASED_VM_EXEC_CONTROL);
	uint32_t port = qualification >> 16 & 0xffff, size = (qualification & 7) + 1;

	if (!(proc1 & PROC1_USE_IO_BITMAPS))
		return proc1 & PROC1_UNCOND_IO_EXITING;
	for (uint32_t p = port; p < port + size; p++)
		if (p > 0xffff ||
			bitmap_bit(nv, vmcs_get(v, VMCS_IO_BITMAP_A + (p >> 15)), p & 0x7fff))
			return true;
	return false;
}

bool reflect_wanted(const struct nested_vcpu *nv, const struct vmx_exit *x)
{
	const struct vmcs *v = &nv->cur->v;
	uint32_t reason = x->reason & 0xffff;

	switch (rules[reason].rule) {
	case RULE_ALWAYS:
	case RULE_CR:
		return true;
	case RULE_NEVER:
	case RULE_LOG:
		return false;
	case RULE_PIN:
		return vmcs_get(v, VMCS_PIN_BASED_VM_EXEC_CONTROL) & rules[reason].bits;
	case RULE_PROC1:
		return vmcs_get(v, VMCS_CPU_BASED_VM_EXEC_CONTROL) & rules[reason].bits;
	case RULE_PROC2:
		return vmcs_proc2(v) & rules[reason].bits;
	case RULE_EXCEPTION:
		return reflect_exception(v, x);
	case RULE_PORT:
		return wants_port(nv, v, x->qualification);
	case RULE_MSR:
		return wants_msr(nv, v, reason == EXIT_REASON_MSR_WRITE);
	case RULE_MEMORY:
		return !(vmcs_proc2(v) & PROC2_ENABLE_EPT);
	case RULE_FUNCTION:
		return !(vmcs_proc2(v) & PROC2_ENABLE_VMFUNC);
	}
	return true;
}

/* L0's own part of an exit of L2; *x may become another exit for L1. */
static bool handle_l2(struct nested_vcpu *nv, struct vmx_exit *x)
{
	switch (rules[x->reason & 0xffff].rule) {
	case RULE_MEMORY:
		return nested_l2_memory(nv, x);
	case RULE_FUNCTION:
		return nested_l2_vmfunc(nv, x);
	case RULE_MSR:
		return nested_l2_msr(nv, x);
	case RULE_LOG:
		return nested_l2_pml_full(nv, x);
	default:
		log_once(nv->n->l->log, LOG_ERROR, "l0", x->reason,
			"L2 left by %s, which neither L1 nor L0 asked for",
			vmx_exit_reason_name(x->reason & 0xffff));
		return false;
	}
}

/* Does anybody, or the input log, have a say before L0? */
static bool may_decide(const struct nested_vcpu *nv)
{
	return nv->n->verdicts || l0_observed(nv->n->l, L0_EV_EXIT_BEFORE);
}

static void record_tool(
	struct nested_vcpu *nv, const struct vmx_exit *x, unsigned level, uint64_t rip)
{
	nv->by_tool = true;
	if (level == 2)
		record_l2_handled(nv, x);
	else
		record_l1_handled(nv, x, rip);
	nv->by_tool = false;
}

static void exit_l2(struct nested_vcpu *nv)
{
	struct vmx_exit x = *vmx_exit_complete(nv->c);
	enum l0_verdict_action verdict = may_decide(nv) ? verdict_apply(nv, &x, 2) : L0_VERDICT_NONE;
	enum shadow_exit shadow;

	nested_timer_save(nv);
	if (nv->vmcs02.v[VMCS_PML_ADDRESS])
		dirty_drain(&nv->n->dirty, &nv->n->l->machine->phys, &nv->vmcs02);
	if (verdict == L0_VERDICT_SWALLOW) {
		record_tool(nv, &x, 2, nv->c->rip);
		nested_l2_complete(nv, &x);
		vmcs02_reenter(nv, &x);
		return;
	}
	if (verdict == L0_VERDICT_REWRITE) {
		nv->by_tool = true;
		reflect(nv, &x);
		nv->by_tool = false;
		return;
	}
	shadow = shadow_on(nv) ? shadow_l2_exit(nv, &x) : SHADOW_EXIT_PASS;
	if (shadow == SHADOW_EXIT_REENTER || (shadow == SHADOW_EXIT_PASS &&
			!reflect_wanted(nv, &x) && handle_l2(nv, &x))) {
		record_l2_handled(nv, &x);
		vmcs02_reenter(nv, &x);
		return;
	}
	reflect(nv, &x);
}

static void exit_l1(struct nested_vcpu *nv)
{
	struct vcpu *c = nv->c;
	struct vmx_exit x = vmx_of(c)->exit;
	uint64_t rip = c->rip;
	nested_l1_fn *fn = l1_handler[x.reason & 0xffff];
	struct cpu_fault fault;
	enum cpu_step step;

	nv->detail = record_detail(nv, &x);
	if (may_decide(nv) && verdict_apply(nv, &x, 1) == L0_VERDICT_SWALLOW) {
		record_tool(nv, &x, 1, rip);
		nested_completed(nv, x.insn_len);
		vmx_exit_complete(c);
		vmcs01_enter(nv);
		return;
	}
	if (x.reason != EXIT_REASON_EXCEPTION_NMI)
		shadow_instruction_over(nv);
	if (x.reason != EXIT_REASON_EXCEPTION_NMI && x.reason != EXIT_REASON_INVLPG)
		shadow_lift(nv);
	step = (fn ? fn : l1_unexpected)(nv, &x);
	if (step == CPU_EXIT)
		return;
	record_l1_handled(nv, &x, rip);
	fault = c->fault;
	if (step == CPU_DONE)
		nested_completed(nv, x.insn_len);
	vmx_exit_complete(c);
	if (step == CPU_FAULT)
		vmcs01_inject(nv, &fault);
	else
		vmcs01_enter(nv);
}

/* An entry can be followed by an exit at once, before any instruction. */
void nested_exit(struct l0_vcpu *v)
{
	struct nested_vcpu *nv = nested_of(v);

	do {
		if (v->level == 2)
			exit_l2(nv);
		else
			exit_l1(nv);
	} while (vmx_of(nv->c)->exiting);
}

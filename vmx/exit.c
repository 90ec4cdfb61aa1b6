/* VM exit: the record into the VMCS, guest state saved. SDM Vol. 3C chapter
 * 27 "VM Exits".
 */
#include "vmx/record.h"

static void save_information(struct vmcs *v, const struct vmx_exit *x)
{
	v->v[VMCS_VM_EXIT_REASON] = x->reason;
	v->v[VMCS_EXIT_QUALIFICATION] = x->qualification;
	v->v[VMCS_VM_EXIT_INTR_INFO] = x->intr_info;
	v->v[VMCS_VM_EXIT_INTR_ERROR_CODE] = x->intr_error;
	v->v[VMCS_IDT_VECTORING_INFO_FIELD] = x->idt_info;
	v->v[VMCS_IDT_VECTORING_ERROR_CODE] = x->idt_error;
	v->v[VMCS_VM_EXIT_INSTRUCTION_LEN] = x->insn_len;
	v->v[VMCS_VMX_INSTRUCTION_INFO] = x->insn_info;
	v->v[VMCS_GUEST_LINEAR_ADDRESS] = x->linear;
	v->v[VMCS_GUEST_PHYSICAL_ADDRESS] = x->gpa.v;
	v->v[VMCS_VM_ENTRY_INTR_INFO_FIELD] &= ~(uint64_t)INTR_VALID;
}

/* RFLAGS.RF as saved, SDM 27.3.3 "Saving RIP, RSP, and RFLAGS": set where the
 * event is a fault of the instruction, clear for instructions that exit. */
static void save_rf(struct vmcs *v, const struct vmx_exit *x)
{
	uint64_t *flags = &v->v[VMCS_GUEST_RFLAGS];

	switch (x->reason) {
	case EXIT_REASON_EPT_VIOLATION:
	case EXIT_REASON_EPT_MISCONFIG:
	case EXIT_REASON_APIC_ACCESS:
	case EXIT_REASON_PML_FULL:
		if (!(x->idt_info & INTR_VALID))
			*flags |= FLAG_RF;
		break;
	case EXIT_REASON_EXCEPTION_NMI:
		if ((x->intr_info & INTR_TYPE) >> INTR_TYPE_SHIFT == TYPE_HWEXC &&
			(x->intr_info & INTR_VECTOR) != VEC_DB && !(x->idt_info & INTR_VALID))
			*flags |= FLAG_RF;
		break;
	default:
		if (x->insn_len && !(x->idt_info & INTR_VALID))
			*flags &= ~(uint64_t)FLAG_RF;
		break;
	}
}

uint64_t vmx_timer_deadline(const struct vcpu *c, uint32_t value)
{
	return ((vmx_tsc(c) >> VMX_TIMER_SHIFT) + value) << VMX_TIMER_SHIFT;
}

uint64_t vmx_timer_until(const struct vcpu *c, uint64_t deadline)
{
	uint64_t now = vmx_tsc(c);

	return deadline <= now ? 0 : (deadline >> VMX_TIMER_SHIFT) - (now >> VMX_TIMER_SHIFT);
}

uint64_t vmx_timer_left(const struct vcpu *c)
{
	const struct vmx_cpu *x = vmx_of(c);

	return x->timer_on ? vmx_timer_until(c, x->timer_deadline) : 0;
}

static void save_timer(struct vcpu *c, struct vmx_cpu *x, struct vmcs *v)
{
	if (!x->timer_on)
		return;
	clock_disarm(c->clock, &x->timer);
	if (x->exit_ctl & EXIT_SAVE_PREEMPTION_TIMER)
		v->v[VMCS_VMX_PREEMPTION_TIMER_VALUE] = vmx_timer_left(c);
}

/* IRET lifted blocking by NMI and then did not complete: bit 12 of the field
 * that tells about the event, SDM 27.2.3 "Information About NMI Unblocking Due
 * to IRET". */
static void report_unblocking(struct vcpu *c, struct vmx_exit *x)
{
	if (!c->iret_unblocked_nmi || (x->idt_info & INTR_VALID))
		return;
	if (x->reason == EXIT_REASON_EXCEPTION_NMI && (x->intr_info & INTR_VECTOR) != VEC_DF)
		x->intr_info |= INTR_NMI_UNBLOCK;
	else if (x->reason == EXIT_REASON_EPT_VIOLATION || x->reason == EXIT_REASON_PML_FULL)
		x->qualification |= BIT(12);
}

/* Processors report the length for faults on data accesses too (hypervisors
 * skip the instruction with it); next_rip is what the engine left. */
static void add_length(const struct vcpu *c, struct vmx_exit *x)
{
	bool fetch = x->reason == EXIT_REASON_EPT_VIOLATION ? x->qualification & BIT(2) : false;
	uint64_t len = c->next_rip - c->rip;

	if (x->insn_len || fetch || (x->idt_info & INTR_VALID) || len > 15)
		return;
	if (x->reason == EXIT_REASON_EPT_VIOLATION || x->reason == EXIT_REASON_EPT_MISCONFIG ||
		x->reason == EXIT_REASON_APIC_ACCESS || x->reason == EXIT_REASON_PML_FULL)
		x->insn_len = len;
}

const struct vmx_exit *vmx_exit_complete(struct vcpu *c)
{
	struct vmx_cpu *x = vmx_of(c);
	struct vmcs *v = x->vmcs;

	if (!x->exiting)
		return &x->exit;
	x->exiting = false;
	x->exits++;
	report_unblocking(c, &x->exit);
	c->iret_unblocked_nmi = false;
	add_length(c, &x->exit);
	save_information(v, &x->exit);
	vmx_save_guest_state(c, v);
	save_rf(v, &x->exit);
	save_timer(c, x, v);
	c->delivering = false;
	vcpu_unpend(c, PEND_WINDOWS | PEND_MTF | PEND_TIMER | PEND_VIRT);
	uint32_t count = v->v[VMCS_VM_EXIT_MSR_STORE_COUNT];
	if (count) {
		const struct vmx_msr_mem m = vmx_msr_mem_phys(c);
		if (vmx_store_msrs(c, &m, v->v[VMCS_VM_EXIT_MSR_STORE_ADDR], count))
			v->abort = ABORT_MSR_STORE;
	}
	return &x->exit;
}

void vmx_force_exit(struct vcpu *c, const struct vmx_exit *exit)
{
	struct vmx_cpu *x = vmx_of(c);

	x->exit = *exit;
	x->exiting = true;
}

void vmx_exit_at_boundary(struct vcpu *c, enum vmx_exit_reason reason)
{
	struct vmx_cpu *x = vmx_of(c);

	if (x->trap_due)
		return;
	vmx_record_trap(c, reason, 0);
	x->trap.trap = false; /* no instruction caused it */
}

void vmx_sync(struct vcpu *c)
{
	struct vmx_cpu *x = vmx_of(c);

	if (c->nonroot.on && x->live && x->vmcs)
		vmx_save_guest_state(c, x->vmcs);
}

void vmx_leave(struct vcpu *c)
{
	struct vmx_cpu *x = vmx_of(c);

	if (x->timer_on)
		clock_disarm(c->clock, &x->timer);
	x->timer_on = x->mtf_on = x->trap_due = x->exiting = x->live = false;
	x->vmcs = x->shadow = NULL;
	c->nonroot = (struct cpu_nonroot){.apic_access = hpa(UINT64_MAX)};
	vcpu_unpend(c, PEND_WINDOWS | PEND_MTF | PEND_TIMER | PEND_VIRT);
	vcpu_state_changed(c);
}

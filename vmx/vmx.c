/* Attaching VMX to a vCPU: the hooks, the MSRs, saved state. */
#include "base/state.h"
#include "vmx/record.h"

#include <stdlib.h>

static bool is_vmx_msr(uint32_t msr)
{
	return msr >= MSR_VMX_BASIC && msr <= 0x493;
}

static bool hook_rdmsr(struct vcpu *c, uint32_t msr, uint64_t *value, enum cpu_step *step)
{
	if (is_vmx_msr(msr)) {
		*step = vmx_caps_rdmsr(vmx_of(c)->caps, msr, value) ? CPU_DONE :
			cpu_raise_error(c, VEC_GP, 0);
		return true;
	}
	return c->nonroot.on && vmx_apic_rdmsr(c, msr, value, step);
}

static bool hook_wrmsr(struct vcpu *c, uint32_t msr, uint64_t value, enum cpu_step *step)
{
	if (is_vmx_msr(msr)) {
		*step = cpu_raise_error(c, VEC_GP, 0);
		return true;
	}
	return c->nonroot.on && vmx_apic_wrmsr(c, msr, value, step);
}

/* SDM Vol. 3C 23.8 "Restrictions on VMX Operation". */
static bool cr0_allowed(const struct vcpu *c, uint64_t value)
{
	const struct vmx_cpu *x = vmx_of(c);
	uint64_t fixed = vmx_caps_msr(x->caps, MSR_VMX_CR0_FIXED0);

	if (!c->nonroot.on)
		return true;
	if (c->nonroot.unrestricted)
		fixed &= ~(CR0_PE | CR0_PG);
	return !(fixed & ~value);
}

static bool cr4_allowed(const struct vcpu *c, uint64_t value)
{
	const struct vmx_cpu *x = vmx_of(c);

	if (!c->nonroot.on)
		return true;
	return !(vmx_caps_msr(x->caps, MSR_VMX_CR4_FIXED0) & ~value) &&
		!(value & ~vmx_caps_msr(x->caps, MSR_VMX_CR4_FIXED1));
}

const struct cpu_hooks vmx_hooks = {
	.intercept = vmx_intercept,
	.vmx_insn = vmx_insn,
	.ept_fault = vmx_ept_fault,
	.apic_access = vmx_apic_access,
	.rdmsr = hook_rdmsr,
	.wrmsr = hook_wrmsr,
	.get_cr8 = vmx_get_cr8,
	.set_cr8 = vmx_set_cr8,
	.cr0_allowed = cr0_allowed,
	.cr4_allowed = cr4_allowed,
	.pml = vmx_pml,
	.virtual_interrupt = vmx_virtual_interrupt,
};

static void timer_fired(void *owner)
{
	vcpu_pend(owner, PEND_TIMER);
}

bool vmx_attach(struct vcpu *c, const struct vmx_caps *caps, struct err *e)
{
	struct vmx_cpu *x = calloc(1, sizeof *x);

	if (!x)
		return err_set(e, ERR_GENERAL, "no memory for the VMX state of a vCPU");
	x->caps = caps;
	c->vmx = x;
	c->hooks = &vmx_hooks;
	c->nonroot = (struct cpu_nonroot){.apic_access = hpa(UINT64_MAX)};
	if (c->clock)
		clock_register(c->clock, &x->timer, timer_fired, c);
	return true;
}

void vmx_detach(struct vcpu *c)
{
	struct vmx_cpu *x = vmx_of(c);

	if (!x)
		return;
	if (c->clock)
		clock_unregister(c->clock, &x->timer);
	c->nonroot = (struct cpu_nonroot){.apic_access = hpa(UINT64_MAX)};
	c->hooks = NULL;
	c->vmx = NULL;
	free(x);
}

static void exit_state(struct vmx_exit *x, struct state *s)
{
	state_u32(s, &x->reason);
	state_u32(s, &x->intr_info);
	state_u32(s, &x->intr_error);
	state_u32(s, &x->idt_info);
	state_u32(s, &x->idt_error);
	state_u32(s, &x->insn_len);
	state_u32(s, &x->insn_info);
	state_u64(s, &x->qualification);
	state_u64(s, &x->linear);
	state_u64(s, &x->gpa.v);
	state_bool(s, &x->ack);
	state_bool(s, &x->linear_user);
	state_bool(s, &x->trap);
}

/* Of this, what the guest can tell: what the entry in use has armed. */
static void armed_state(struct vmx_cpu *x, struct state *s)
{
	state_bool(s, &x->trap_due);
	if (x->trap_due)
		exit_state(&x->trap, s);
	state_bool(s, &x->timer_on);
	if (x->timer_on)
		state_u64(s, &x->timer_deadline);
	state_bool(s, &x->mtf_on);
	state_bool(s, &x->ple_seen);
	if (x->ple_seen) {
		state_u64(s, &x->ple_first);
		state_u64(s, &x->ple_last);
	}
	state_u8(s, &x->rvi);
	state_u8(s, &x->svi);
}

void vmx_state(struct vcpu *c, struct state *s)
{
	struct vmx_cpu *x = vmx_of(c);

	state_section(s, "vmx", 3);
	if (!state_bookkeeping(s)) {
		armed_state(x, s);
		return;
	}
	exit_state(&x->exit, s);
	exit_state(&x->trap, s);
	state_bool(s, &x->exiting);
	state_bool(s, &x->trap_due);
	state_bool(s, &x->live);
	state_bool(s, &x->timer_on);
	state_bool(s, &x->mtf_on);
	state_bool(s, &x->ple_seen);
	state_u64(s, &x->timer_deadline);
	state_u64(s, &x->ple_first);
	state_u64(s, &x->ple_last);
	state_u64(s, &x->entries);
	state_u64(s, &x->exits);
	state_u64(s, &x->shadow_reads);
	state_u64(s, &x->shadow_writes);
	state_u32(s, &x->shadow_error);
	state_u8(s, &x->rvi);
	state_u8(s, &x->svi);
}

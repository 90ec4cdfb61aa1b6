/* What L0 completes for L1. */
#include "l0/nested.h"

#include "base/log.h"
#include "cpu/cpuid.h"
#include "cpu/cr.h"
#include "cpu/deliver.h"
#include "cpu/msr.h"
#include "cpu/mem.h"
#include "l0/shadow/vcpu.h"
#include "vmx/controls.h"

#define DR6_BS BIT(14)

void nested_retire(struct nested_vcpu *nv)
{
	nv->c->retired++;
	clock_set(nv->c->clock, nv->c->clock->now + 1);
}

void nested_redelivered(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	unsigned type = (x->idt_info & INTR_TYPE) >> INTR_TYPE_SHIFT;
	const struct vmx_cpu *v = vmx_of(nv->c);

	if (!(x->idt_info & INTR_VALID) ||
		(type != TYPE_SWINT && type != TYPE_SWEXC && type != TYPE_PRIV_SWEXC))
		return;
	/* met another exit on its way, or only the trap flag of the hypervisor behind it */
	if (!v->exiting || v->exit.reason == EXIT_REASON_MONITOR_TRAP_FLAG)
		nested_retire(nv);
}

void nested_completed(struct nested_vcpu *nv, unsigned insn_len)
{
	struct vcpu *c = nv->c;

	c->rip += insn_len;
	if (!cpu_64bit(c))
		c->rip &= c->seg[SEG_CS].ar & AR_DB ? 0xffffffff : 0xffff;
	c->sti_shadow = c->movss_shadow = false;
	c->rflags &= ~(uint64_t)FLAG_RF;
	if (c->rflags & FLAG_TF) {
		c->pending_db |= DR6_BS;
		vcpu_pend(c, PEND_DB);
	}
	nested_retire(nv);
}

enum cpu_step l1_cpuid(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	struct vcpu *c = nv->c;
	uint32_t r[4];

	(void)x;
	cpu_cpuid(c, (uint32_t)c->gpr[RAX], (uint32_t)c->gpr[RCX], r);
	c->gpr[RAX] = r[0];
	c->gpr[RBX] = r[1];
	c->gpr[RCX] = r[2];
	c->gpr[RDX] = r[3];
	return CPU_DONE;
}

/* Exits always; asked about after CPL and CR4.OSXSAVE. */
enum cpu_step l1_xsetbv(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	struct vcpu *c = nv->c;

	(void)x;
	return xcr_write(c, (uint32_t)c->gpr[RCX], (uint32_t)c->gpr[RAX] | c->gpr[RDX] << 32);
}

static bool vmx_msr(uint32_t n)
{
	return n >= 0x480 && n <= 0x4ff;
}

/* IA32_VMX_*: what L1 is offered. The rest exits because the bitmap has no bit
 * for it, and is the processor's. */
enum cpu_step l1_rdmsr(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	struct vcpu *c = nv->c;
	uint64_t v;

	(void)x;
	if (!vmx_msr((uint32_t)c->gpr[RCX])) {
		if (!msr_read(c, (uint32_t)c->gpr[RCX], &v))
			return cpu_raise_error(c, VEC_GP, 0);
	} else if (!cpu_has(c->model, FEAT_VMX) ||
		   !vmx_caps_rdmsr(&nv->n->l1, (uint32_t)c->gpr[RCX], &v)) {
		return cpu_raise_error(c, VEC_GP, 0);
	}
	c->gpr[RAX] = (uint32_t)v;
	c->gpr[RDX] = v >> 32;
	return CPU_DONE;
}

enum cpu_step l1_wrmsr(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	struct vcpu *c = nv->c;
	uint32_t n = (uint32_t)c->gpr[RCX];
	uint64_t v = (uint32_t)c->gpr[RAX] | c->gpr[RDX] << 32;

	(void)x;
	return !vmx_msr(n) && msr_write(c, n, v) ? CPU_DONE : cpu_raise_error(c, VEC_GP, 0);
}

/* Bits that VMCS01 masks: the shadow takes L1's, the register keeps L0's. */
static enum cpu_step write_cr0(struct nested_vcpu *nv, uint64_t v)
{
	const uint64_t fixed = CR0_PE | CR0_PG | CR0_NE;
	enum cpu_step step;

	if (nv->vmxon != NESTED_NONE && (v & fixed) != fixed)
		return cpu_raise_error(nv->c, VEC_GP, 0);
	step = cr0_write(nv->c, v | CR0_NE);
	if (step == CPU_DONE) {
		vmcs_set(&nv->vmcs01, VMCS_CR0_READ_SHADOW, v);
		vmcs01_update(nv);
	}
	return step;
}

static enum cpu_step write_cr4(struct nested_vcpu *nv, uint64_t v)
{
	enum cpu_step step;

	if ((nv->vmxon != NESTED_NONE && !(v & CR4_VMXE)) ||
		(v & CR4_VMXE && !cpu_has(nv->c->model, FEAT_VMX)))
		return cpu_raise_error(nv->c, VEC_GP, 0);
	step = cr4_write(nv->c, v | CR4_VMXE);
	if (step == CPU_DONE)
		vmcs_set(&nv->vmcs01, VMCS_CR4_READ_SHADOW, v);
	return step;
}

/* SDM Vol. 3C 27.2.1 table 27-3 "Exit Qualification for Control-Register
 * Accesses". */
enum cpu_step l1_cr(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	struct vcpu *c = nv->c;
	unsigned cr = x->qualification & 15, type = x->qualification >> 4 & 3;
	uint64_t v = c->gpr[x->qualification >> 8 & 15];

	if (!cpu_64bit(c))
		v = (uint32_t)v;
	if (type == 0 && cr == 0)
		return write_cr0(nv, v);
	if (type == 0 && cr == 4)
		return write_cr4(nv, v);
	if (cr == 3 && shadow_on(nv))
		return shadow_l1_cr3(nv, x);
	if (type == 3) { /* LMSW changes the low four bits and cannot clear PE */
		v = cpu_visible_cr0(c);
		v = (v & ~UINT64_C(0xe)) | (x->qualification >> 16 & 0xf);
		return write_cr0(nv, v);
	}
	return l1_unexpected(nv, x);
}

/* The processor does it itself, outside VMX, without bits of CR0 that VMX asks
 * for: one instruction, or the event that waits before it. */
static enum cpu_step bare(struct nested_vcpu *nv, const struct vmx_exit *x, uint64_t cr0_without)
{
	struct vcpu *c = nv->c;

	record_l1_handled(nv, x, c->rip);
	vmx_exit_complete(c);
	vmx_leave(c);
	tlb_flush_all(c);
	engine_step_over(c);
	c->cr0 &= ~cr0_without;
	engine_run(c, 1);
	c->cr0 |= cr0_without;
	vmcs01_enter(nv);
	return CPU_EXIT;
}

enum cpu_step l1_bare(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	return bare(nv, x, 0);
}

/* #MF of an L1 whose CR0.NE is clear: FERR#, or an instruction that IGNNE# lets
 * run. */
enum cpu_step l1_x87_error(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	shadow_lift(nv);
	return bare(nv, x, CR0_NE);
}

/* A task gate in L1's IDT, or a far transfer to a TSS. */
enum cpu_step l1_task_switch(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	struct vcpu *c = nv->c;
	struct cpu_fault ev = {.vector = x->idt_info & INTR_VECTOR,
		.type = (x->idt_info & INTR_TYPE) >> INTR_TYPE_SHIFT,
		.has_error = x->idt_info & INTR_ERROR_CODE,
		.error = x->idt_error,
		.insn_len = (uint8_t)x->insn_len};

	if (!(x->idt_info & INTR_VALID))
		return l1_bare(nv, x);
	record_l1_handled(nv, x, c->rip);
	vmx_exit_complete(c);
	vmx_leave(c);
	tlb_flush_all(c);
	c->next_rip = c->rip + x->insn_len;
	cpu_inject(c, &ev);
	vmcs01_enter(nv);
	return CPU_EXIT;
}

/* INIT is blocked in VMX root operation, SDM Vol. 3C 23.8 "Restrictions on VMX
 * Operation"; VMXOFF lets it through. */
enum cpu_step l1_init(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	struct vcpu *c = nv->c;

	record_l1_handled(nv, x, c->rip);
	vmx_exit_complete(c);
	if (nv->vmxon != NESTED_NONE) {
		nv->init_blocked = true;
		vmcs01_enter(nv);
		return CPU_EXIT;
	}
	cpu_init_signal(c);
	nested_start_vcpu(nv);
	return CPU_EXIT;
}

enum cpu_step l1_sipi(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	struct vcpu *c = nv->c;
	uint8_t vector = (uint8_t)x->qualification;

	record_l1_handled(nv, x, c->rip);
	vmx_exit_complete(c);
	c->seg[SEG_CS].sel = (uint16_t)(vector << 8);
	c->seg[SEG_CS].base = (uint64_t)vector << 12;
	c->rip = 0;
	c->activity = ACTIVITY_ACTIVE;
	vcpu_state_changed(c);
	vmcs01_enter(nv);
	return CPU_EXIT;
}

static enum cpu_step shut_down(struct nested_vcpu *nv)
{
	struct l0 *l = nv->n->l;
	struct l0_event ev = {
		.kind = L0_EV_TRIPLE_FAULT, .vcpu = (uint8_t)nv->c->id, .level = 1};

	nv->c->activity = ACTIVITY_SHUTDOWN;
	vmcs01_enter(nv);
	l0_tell(l, &ev);
	if (!l->have_stop || l->stop.why == L0_OBSERVER) {
		l->have_stop = true;
		l->stop = (struct l0_stop){.why = L0_TRIPLE, .vcpu = nv->c->id};
	}
	return CPU_EXIT;
}

enum cpu_step l1_triple_fault(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	record_l1_handled(nv, x, nv->c->rip);
	vmx_exit_complete(nv->c);
	return shut_down(nv);
}

void nested_abort(struct nested_vcpu *nv, enum vmx_abort indicator)
{
	log_say(nv->n->l->log, LOG_WARN, "vmx", "VMX abort %u on vCPU %u", indicator, nv->c->id);
	if (nv->cur) {
		uint32_t v = indicator;
		nv->cur->v.abort = indicator;
		phys_write(&nv->n->l->machine->phys, hpa(nv->cur->at + 4), &v, sizeof(v));
	}
	shut_down(nv);
}

/* L0's own log of what L1 writes is full. */
enum cpu_step l1_pml_full(struct nested_vcpu *nv, const struct vmx_exit *first)
{
	const struct vmx_exit x = *first;

	if (!nv->n->opt->use[L0_USE_PML])
		return l1_unexpected(nv, first);
	record_l1_handled(nv, &x, nv->c->rip);
	vmx_exit_complete(nv->c);
	dirty_drain(&nv->n->dirty, &nv->n->l->machine->phys, &nv->vmcs01);
	vmcs01_again(nv, &x);
	return CPU_EXIT;
}

/* VMCS01 did not ask for it: the processor does it itself, and the log says so. */
enum cpu_step l1_unexpected(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	const char *name = vmx_exit_reason_name(x->reason & 0xffff);

	log_once(nv->n->l->log, LOG_ERROR, "l0", x->reason, "L1 left by %s, which VMCS01 does not ask for",
		name ? name : "an unknown reason");
	return l1_bare(nv, x);
}

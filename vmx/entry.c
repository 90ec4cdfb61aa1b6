/* VM entry, SDM Vol. 3C chapter 26 "VM Entries".
 */
#include "cpu/deliver.h"
#include "base/phys.h"
#include "vmx/record.h"

#define KEEP_PENDING (PEND_INTR | PEND_NMI | PEND_INIT | PEND_SIPI | PEND_RESET | PEND_STOP)

static uint8_t *page_of(struct vcpu *c, uint64_t at)
{
	uint8_t *host;
	struct phys_page *page;
	enum phys_kind kind;

	if (!phys_page_at(c->phys, hpa(at & PAGE_MASK), &host, &page, &kind) || kind != PHYS_RAM)
		return NULL;
	return host;
}

/* Host memory of the pages that the controls use; NULL where nothing is. */
static void find_pages(struct vcpu *c, struct vmx_cpu *x, const struct vmcs *v)
{
	bool io = x->proc1 & PROC1_USE_IO_BITMAPS;
	bool shadow = x->proc2 & PROC2_SHADOW_VMCS;

	x->io_bitmap[0] = io ? page_of(c, v->v[VMCS_IO_BITMAP_A]) : NULL;
	x->io_bitmap[1] = io ? page_of(c, v->v[VMCS_IO_BITMAP_B]) : NULL;
	x->msr_bitmap = x->proc1 & PROC1_USE_MSR_BITMAPS ? page_of(c, v->v[VMCS_MSR_BITMAP]) : NULL;
	x->virtual_apic =
		x->proc1 & PROC1_TPR_SHADOW ? page_of(c, v->v[VMCS_VIRTUAL_APIC_PAGE_ADDR]) : NULL;
	x->vmread_bitmap = shadow ? page_of(c, v->v[VMCS_VMREAD_BITMAP]) : NULL;
	x->vmwrite_bitmap = shadow ? page_of(c, v->v[VMCS_VMWRITE_BITMAP]) : NULL;
}

/* The silicon's width; a model may show less, and with EPT guest-physical
 * addresses are the model's. */
static uint8_t phys_bits_of(const struct vmx_cpu *x)
{
	return x->proc2 & PROC2_ENABLE_EPT ? 0 : (uint8_t)x->caps->phys_bits;
}

/* What the processor itself needs of the controls. */
static void set_nonroot(struct vcpu *c, const struct vmx_cpu *x, const struct vmcs *v)
{
	bool scale = x->proc2 & PROC2_TSC_SCALING;
	bool offset = x->proc1 & PROC1_USE_TSC_OFFSETTING;
	bool ept = x->proc2 & PROC2_ENABLE_EPT;

	c->nonroot = (struct cpu_nonroot){
		.on = true,
		.cr0_mask = v->v[VMCS_CR0_GUEST_HOST_MASK],
		.cr0_shadow = v->v[VMCS_CR0_READ_SHADOW],
		.cr4_mask = v->v[VMCS_CR4_GUEST_HOST_MASK],
		.cr4_shadow = v->v[VMCS_CR4_READ_SHADOW],
		.tsc_offset = offset ? v->v[VMCS_TSC_OFFSET] : 0,
		.tsc_multiplier = offset && scale ? v->v[VMCS_TSC_MULTIPLIER] : 0,
		.ept = ept,
		.eptp = ept ? v->v[VMCS_EPT_POINTER] : 0,
		.mbec = ept && (x->proc2 & PROC2_MODE_BASED_EPT_EXEC),
		.phys_bits = phys_bits_of(x),
		.pml = x->proc2 & PROC2_ENABLE_PML,
		.unrestricted = x->proc2 & PROC2_UNRESTRICTED_GUEST,
		.vpid = x->proc2 & PROC2_ENABLE_VPID ? v->v[VMCS_VIRTUAL_PROCESSOR_ID] : 0,
		.apic_access = hpa(x->proc2 & PROC2_VIRTUALIZE_APIC_ACCESSES ?
			v->v[VMCS_APIC_ACCESS_ADDR] & PAGE_MASK : UINT64_MAX),
		.nmi_mask_by_virtual = x->pin & PIN_VIRTUAL_NMIS ? 1 : 0,
		.extint_exits = x->pin & PIN_EXT_INTR_EXITING,
		.iret_keeps_nmi = (x->pin & PIN_NMI_EXITING) && !(x->pin & PIN_VIRTUAL_NMIS),
	};
}

static void take_controls(struct vmx_cpu *x, struct vmcs *v)
{
	x->pin = v->v[VMCS_PIN_BASED_VM_EXEC_CONTROL];
	x->proc1 = v->v[VMCS_CPU_BASED_VM_EXEC_CONTROL];
	x->proc2 = vmcs_proc2(v);
	x->exit_ctl = v->v[VMCS_VM_EXIT_CONTROLS];
	x->entry_ctl = v->v[VMCS_VM_ENTRY_CONTROLS];
}

/* Windows, timer, monitor trap flag. */
static void arm(struct vcpu *c, struct vmx_cpu *x, const struct vmcs *v)
{
	vcpu_unpend(c, ~(uint32_t)(KEEP_PENDING | PEND_DB));
	if (x->proc1 & (PROC1_INTR_WINDOW_EXITING | PROC1_NMI_WINDOW_EXITING))
		vcpu_pend(c, PEND_WINDOWS);
	x->mtf_on = x->proc1 & PROC1_MONITOR_TRAP_FLAG;
	if (x->mtf_on)
		vcpu_pend(c, PEND_MTF);
	x->trap_due = false;
	x->ple_seen = false;
	x->timer_on = x->pin & PIN_PREEMPTION_TIMER;
	if (!x->timer_on)
		return;
	uint64_t value = v->v[VMCS_VMX_PREEMPTION_TIMER_VALUE];
	x->timer_deadline = vmx_timer_deadline(c, value);
	if (!value || x->timer_deadline <= vmx_tsc(c))
		vcpu_pend(c, PEND_TIMER);
	else
		clock_arm(c->clock, &x->timer, x->timer_deadline - c->msr.tsc_adjust);
}

static bool check_mem(void *ctx, uint64_t at, unsigned size, uint64_t *value)
{
	*value = 0;
	return phys_read(((struct vcpu *)ctx)->phys, hpa(at), value, size);
}

static enum vmx_entry entry_failure(
	struct vmx_cpu *x, enum vmx_exit_reason reason, uint64_t qualification)
{
	x->exit = (struct vmx_exit){.reason = reason | EXIT_REASON_ENTRY_FAILURE,
		.qualification = qualification};
	return reason == EXIT_REASON_INVALID_STATE ? VMX_FAIL_GUEST : VMX_FAIL_MSR_LOAD;
}

/* A class that was checked and not written since is not checked again; guest
 * state follows from all three classes. */
static enum vmx_entry check(struct vcpu *c, struct vmcs *v, bool host, int *failed)
{
	struct vmx_cpu *x = vmx_of(c);
	const struct vmx_check_ctx ctx = {.v = v, .caps = x->caps, .host_long_mode = true,
		.mem = check_mem, .mem_ctx = c, .current_vmcs = v->at.v, .vmxon = UINT64_MAX};
	const uint8_t ctrl = 1 << VMCS_TYPE_CONTROL, guest = 1 << VMCS_TYPE_GUEST;

	if (v->dirty & ctrl) {
		*failed = vmx_check_first(&ctx, CHECK_CTRL);
		if (*failed >= 0)
			return VMX_FAIL_CONTROLS;
	}
	if (host) {
		*failed = vmx_check_first(&ctx, CHECK_HOST);
		if (*failed >= 0)
			return VMX_FAIL_HOST;
	}
	if (v->dirty & (ctrl | guest)) {
		*failed = vmx_check_first(&ctx, CHECK_GUEST);
		if (*failed >= 0)
			return entry_failure(
				x, EXIT_REASON_INVALID_STATE, vmx_check_qualification(*failed));
	}
	v->dirty = 0;
	return VMX_ENTERED;
}

/* SDM 26.6.1 "Vectored-Event Injection" and 26.6.2 "Injection of Pending MTF
 * VM Exits". */
static enum cpu_step inject(struct vcpu *c, struct vmx_cpu *x, const struct vmcs *v, uint32_t info)
{
	struct cpu_fault ev = {.vector = info, .type = info >> INTR_TYPE_SHIFT & 7,
		.has_error = info & INTR_ERROR_CODE,
		.error = v->v[VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE] & 0xffff,
		.insn_len = v->v[VMCS_VM_ENTRY_INSTRUCTION_LEN]};

	if (ev.type == TYPE_OTHER)
		return vmx_record(c, EXIT_REASON_MONITOR_TRAP_FLAG, NULL, 0);
	bool software = ev.type == TYPE_SWINT || ev.type == TYPE_SWEXC || ev.type == TYPE_PRIV_SWEXC;
	c->next_rip = c->rip + (software ? ev.insn_len : 0);
	c->activity = ACTIVITY_ACTIVE;
	if (ev.vector == VEC_PF && ev.type == TYPE_HWEXC)
		ev.payload = c->cr2; /* the hypervisor has set CR2 */
	enum cpu_step step = cpu_inject(c, &ev);
	if (step != CPU_DONE)
		return step;
	/* pending debug exceptions do not survive the event */
	c->pending_db = 0;
	vcpu_unpend(c, PEND_DB);
	if (x->mtf_on)
		return vmx_record(c, EXIT_REASON_MONITOR_TRAP_FLAG, NULL, 0);
	return CPU_DONE;
}

/* SDM 26.7.7 "VM Exits Induced by the TPR Threshold". */
static bool tpr_exit(const struct vmx_cpu *x, const struct vmcs *v)
{
	return (x->proc1 & PROC1_TPR_SHADOW) && (x->proc2 & PROC2_VIRTUALIZE_APIC_ACCESSES) &&
		!(x->proc2 & PROC2_VIRTUAL_INTR_DELIVERY) && x->virtual_apic &&
		(x->virtual_apic[0x80] >> 4) < (v->v[VMCS_TPR_THRESHOLD] & 15);
}

static enum vmx_entry run_on(struct vcpu *c, struct vmx_cpu *x, struct vmcs *v)
{
	uint32_t info = v->v[VMCS_VM_ENTRY_INTR_INFO_FIELD];

	x->live = true;
	x->entries++;
	if (info & INTR_VALID)
		inject(c, x, v, info);
	if (!x->exiting && tpr_exit(x, v))
		vmx_record(c, EXIT_REASON_TPR_BELOW_THRESHOLD, NULL, 0);
	return x->exiting ? VMX_ENTERED_EXIT : VMX_ENTERED;
}

enum vmx_entry vmx_enter(struct vcpu *c, struct vmcs *v, struct vmcs *shadow, bool check_host,
	int *failed)
{
	struct vmx_cpu *x = vmx_of(c);
	int row = -1;
	enum vmx_entry result = check(c, v, check_host, &row);

	if (failed)
		*failed = row;
	if (result != VMX_ENTERED)
		return result;
	if (x->timer_on)
		clock_disarm(c->clock, &x->timer);
	take_controls(x, v);
	x->vmcs = v;
	x->shadow = shadow;
	x->exiting = false;
	x->shadow_error = 0;
	find_pages(c, x, v);
	vmx_load_guest_state(c, v);
	set_nonroot(c, x, v);
	arm(c, x, v);
	vmx_apic_enter(c);
	vcpu_state_changed(c);
	uint32_t count = v->v[VMCS_VM_ENTRY_MSR_LOAD_COUNT];
	if (count) {
		const struct vmx_msr_mem m = vmx_msr_mem_phys(c);
		unsigned bad = vmx_load_msrs(c, &m, v->v[VMCS_VM_ENTRY_MSR_LOAD_ADDR], count);
		if (bad)
			return entry_failure(x, EXIT_REASON_MSR_LOAD_FAIL, bad);
		vcpu_state_changed(c);
	}
	return run_on(c, x, v);
}

void vmx_reattach(struct vcpu *c, struct vmcs *v, struct vmcs *shadow)
{
	struct vmx_cpu *x = vmx_of(c);

	x->vmcs = v;
	x->shadow = shadow;
	if (!v)
		return;
	take_controls(x, v);
	find_pages(c, x, v);
	if (c->nonroot.on)
		c->nonroot.phys_bits = phys_bits_of(x);
	if (x->timer_on && c->nonroot.on && !(c->pending & PEND_TIMER))
		clock_arm(c->clock, &x->timer, x->timer_deadline - c->msr.tsc_adjust);
}

/* An exit of L2 becomes one of L1, as if the processor had done it. */
#include "l0/nested.h"

#include "l0/shadow/vcpu.h"
#include "vmx/controls.h"

#include <string.h>

/* Guest-state fields that VMCS12 takes over from VMCS02 at an exit. */
static bool taken(enum vmcs_field f)
{
	return vmcs_encoding_type(vmcs_encoding(f)) == VMCS_TYPE_GUEST &&
		f != VMCS_VMCS_LINK_POINTER && f != VMCS_GUEST_PML_INDEX &&
		f != VMCS_VMX_PREEMPTION_TIMER_VALUE &&
		!(f >= VMCS_GUEST_PDPTR0 && f <= VMCS_GUEST_PDPTR3);
}

void reflect_fields(struct nested *n)
{
	unsigned count = 0;

	for (unsigned f = 0; f < VMCS_FIELDS; f++)
		if (taken(f))
			n->taken[count++] = (uint8_t)f;
	n->takens = count;
}
_Static_assert(VMCS_FIELDS <= 256, "field indices fit a byte");

static void take_guest_state(struct nested_vcpu *nv)
{
	const struct nested *n = nv->n;
	uint64_t *to = nv->cur->v.v;
	const uint64_t *from = nv->vmcs02.v;
	uint64_t efer = to[VMCS_GUEST_IA32_EFER];

	for (unsigned i = 0; i < n->takens; i++)
		to[n->taken[i]] = from[n->taken[i]];
	if (shadow_on(nv))
		shadow_take(nv, efer);
	if (to[VMCS_VM_EXIT_CONTROLS] & EXIT_SAVE_PREEMPTION_TIMER)
		to[VMCS_VMX_PREEMPTION_TIMER_VALUE] = from[VMCS_VMX_PREEMPTION_TIMER_VALUE];
	if (nv->eptp12)
		memcpy(&to[VMCS_GUEST_PDPTR0], &from[VMCS_GUEST_PDPTR0], 4 * sizeof(*to));
	/* the entry control follows the mode, SDM Vol. 3C 27.2 */
	to[VMCS_VM_ENTRY_CONTROLS] = (to[VMCS_VM_ENTRY_CONTROLS] & ~(uint64_t)ENTRY_IA32E_MODE) |
		(from[VMCS_VM_ENTRY_CONTROLS] & ENTRY_IA32E_MODE);
}

static void take_exit_information(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	uint64_t *to = nv->cur->v.v;

	to[VMCS_VM_EXIT_REASON] = x->reason;
	to[VMCS_EXIT_QUALIFICATION] = x->qualification;
	to[VMCS_GUEST_LINEAR_ADDRESS] = x->linear;
	to[VMCS_GUEST_PHYSICAL_ADDRESS] = x->gpa.v;
	to[VMCS_VM_EXIT_INTR_INFO] = x->intr_info;
	to[VMCS_VM_EXIT_INTR_ERROR_CODE] = x->intr_error;
	to[VMCS_IDT_VECTORING_INFO_FIELD] = x->idt_info;
	to[VMCS_IDT_VECTORING_ERROR_CODE] = x->idt_error;
	to[VMCS_VM_EXIT_INSTRUCTION_LEN] = x->insn_len;
	to[VMCS_VMX_INSTRUCTION_INFO] = x->insn_info;
	to[VMCS_VM_ENTRY_INTR_INFO_FIELD] &= ~(uint64_t)INTR_VALID;
	if (vmx_of(nv->c)->shadow_error) /* of a VMREAD or VMWRITE that L1's shadow VMCS served */
		to[VMCS_VM_INSTRUCTION_ERROR] = vmx_of(nv->c)->shadow_error;
	for (unsigned f = VMCS_IO_RCX; f <= VMCS_IO_RIP; f++)
		to[f] = nv->vmcs02.v[f];
}

static void keep_registers(struct nested_vcpu *nv)
{
	struct nested_vmcs12 *m = nv->cur;

	memcpy(m->gpr, nv->c->gpr, sizeof(m->gpr));
	memcpy(m->dr, nv->c->dr, sizeof(m->dr));
	m->dr6 = nv->c->dr6;
	m->cr2 = nv->c->cr2;
	m->gpr[RSP] = nv->vmcs02.v[VMCS_GUEST_RSP];
}

/* L1's shadow VMCS for L2 goes back to L1's memory. */
static void store_shadow12(struct nested_vcpu *nv)
{
	uint8_t page[VMCS_SIZE];
	uint64_t at = nv->vmcs02.v[VMCS_VMCS_LINK_POINTER];
	struct phys *phys = &nv->n->l->machine->phys;

	if (at == UINT64_MAX || !nv->shadow12 || !nv->shadow12->dirty ||
		!phys_read(phys, hpa(at), page, sizeof(page)))
		return;
	vmcs12_store(nv->shadow12, page);
	phys_write(phys, hpa(at), page, sizeof(page));
}

/* Host state and MSRs of VMCS12 into the processor, then L1 goes on. */
static void resume_l1(struct nested_vcpu *nv)
{
	const struct vmcs *v = &nv->cur->v;
	struct vmx_msr_mem mem = vmx_msr_mem_phys(nv->c);
	enum vmx_abort abort = vmx_load_host_state(nv->c, v);

	if (!abort && vmcs_get(v, VMCS_VM_EXIT_MSR_LOAD_COUNT) &&
		vmx_load_msrs(nv->c, &mem, vmcs_get(v, VMCS_VM_EXIT_MSR_LOAD_ADDR),
			(uint32_t)vmcs_get(v, VMCS_VM_EXIT_MSR_LOAD_COUNT)))
		abort = ABORT_MSR_LOAD;
	vmcs12_to_shadow(nv);
	if (!(vmcs_proc2(v) & PROC2_ENABLE_VPID))
		nested_flush_l1(nv);
	if (abort)
		nested_abort(nv, abort);
	else
		vmcs01_enter(nv);
}

static void note_reflection(struct nested_vcpu *nv)
{
	nv->cur->reflected = (struct nested_writer){.at = l0_position(nv->n->l),
		.vcpu = (uint8_t)nv->c->id,
		.kind = NESTED_BY_L0};
	nv->cause_retired = nv->c->retired;
}

void reflect(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	struct vmx_msr_mem mem = vmx_msr_mem_phys(nv->c);
	const struct vmcs *v = &nv->cur->v;
	bool stored;

	shadow_lift(nv);
	nested_timer_stop(nv);
	take_guest_state(nv);
	take_exit_information(nv, x);
	keep_registers(nv);
	store_shadow12(nv);
	nv->cur->exits++;
	record_reflected(nv, x);
	note_reflection(nv);
	stored = !vmcs_get(v, VMCS_VM_EXIT_MSR_STORE_COUNT) ||
		!vmx_store_msrs(nv->c, &mem, vmcs_get(v, VMCS_VM_EXIT_MSR_STORE_ADDR),
			(uint32_t)vmcs_get(v, VMCS_VM_EXIT_MSR_STORE_COUNT));
	if (!stored) {
		vmx_load_host_state(nv->c, v);
		nested_abort(nv, ABORT_MSR_STORE);
		return;
	}
	resume_l1(nv);
}

/* SDM Vol. 3C 26.8 "VM-Entry Failures During or After Loading Guest State":
 * of the exit information only reason and qualification are written. */
void reflect_entry_failure(struct nested_vcpu *nv, uint32_t reason, uint64_t qualification)
{
	/* Guest state is not saved: its fields keep their last writer. */
	vmcs12_put(nv, VMCS_VM_EXIT_REASON, reason | EXIT_REASON_ENTRY_FAILURE, NESTED_BY_L0);
	vmcs12_put(nv, VMCS_EXIT_QUALIFICATION, qualification, NESTED_BY_L0);
	resume_l1(nv);
}

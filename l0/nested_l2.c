/* Exits of L2 that L0 handles, or turns into another exit for L1. */
#include "l0/nested.h"

#include "l0/nested_flags.h"
#include "vmx/controls.h"

#include <string.h>

/* Bits of an EPT violation's qualification, SDM Vol. 3C 27.2.1 table 27-7. */
#define QUAL_WRITE   BIT(1)
#define QUAL_FETCH   BIT(2)
#define QUAL_LINEAR  BIT(7)
#define QUAL_FINAL   BIT(8)
#define QUAL_NMI     BIT(12)

/* The information area of #VE, SDM Vol. 3C 25.5.6.2 "Virtualization-Exception
 * Information". */
struct ve_area {
	uint32_t reason, busy;
	uint64_t qualification, linear, gpa;
	uint16_t eptp_index;
} __attribute__((packed));

static struct walk_access access_of(const struct vmx_exit *x)
{
	uint64_t q = x->qualification;
	bool misconfig = (x->reason & 0xffff) == EXIT_REASON_EPT_MISCONFIG;

	if (misconfig)
		q = 0;
	return (struct walk_access){.write = q & QUAL_WRITE,
		.fetch = q & QUAL_FETCH,
		.linear = q & QUAL_LINEAR,
		.table = (q & QUAL_LINEAR) && !(q & QUAL_FINAL),
		.linear_user = x->linear_user};
}

/* SDM Vol. 3C 25.5.6.1 "Convertible EPT Violations". */
static bool raise_ve(struct nested_vcpu *nv, struct vmx_exit *x, const struct walk_result *walk)
{
	const struct vmcs *v = &nv->cur->v;
	struct phys *phys = &nv->n->l->machine->phys;
	struct hpa at = hpa(vmcs_get(v, VMCS_VE_INFORMATION_ADDRESS));
	struct ve_area area;

	if (!(vmcs_proc2(v) & PROC2_EPT_VIOLATION_VE) || walk->ve_suppress ||
		x->idt_info & INTR_VALID || !(vmcs_get(&nv->vmcs02, VMCS_GUEST_CR0) & CR0_PE) ||
		!phys_read(phys, at, &area, sizeof(area)) || area.busy)
		return false;
	area = (struct ve_area){EXIT_REASON_EPT_VIOLATION, UINT32_MAX, x->qualification, x->linear,
		x->gpa.v, (uint16_t)vmcs_get(v, VMCS_EPTP_INDEX)};
	phys_write(phys, at, &area, sizeof(area));
	if (vmcs_get(v, VMCS_EXCEPTION_BITMAP) >> VEC_VE & 1) {
		*x = (struct vmx_exit){.reason = EXIT_REASON_EXCEPTION_NMI,
			.intr_info = VEC_VE | TYPE_HWEXC << INTR_TYPE_SHIFT | INTR_VALID};
		return false;
	}
	vmcs_set(&nv->vmcs02, VMCS_VM_ENTRY_INTR_INFO_FIELD,
		VEC_VE | TYPE_HWEXC << INTR_TYPE_SHIFT | INTR_VALID);
	return true;
}

/* IRET had ended NMI blocking when the access missed: blocking comes back,
 * because the IRET runs again. */
static void block_nmi_again(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	struct vmcs *v = &nv->vmcs02;

	if (!(x->idt_info & INTR_VALID) && x->qualification & QUAL_NMI)
		vmcs_set(v, VMCS_GUEST_INTERRUPTIBILITY_INFO,
			vmcs_get(v, VMCS_GUEST_INTERRUPTIBILITY_INFO) | BLOCKING_NMI);
}

/* L0's own log: L2 runs on EPT01. It is emptied at each exit. */
bool nested_l2_pml_full(struct nested_vcpu *nv, struct vmx_exit *x)
{
	block_nmi_again(nv, x);
	return true;
}

/* What L2 may write from here on counts as written. */
static void note_writable(struct nested_vcpu *nv, const struct walk_result *walk)
{
	struct ept_leaf ept12 = ept_leaf_of(walk), ept01 = ept01_leaf(nv->n->ept02.phys, walk->pa);
	uint64_t size = BIT(ept12.shift < ept01.shift ? ept12.shift : ept01.shift);

	if (ept12.rights & WALK_W)
		dirty_mark(&nv->n->dirty, walk->pa & ~(size - 1), size);
}

bool nested_l2_memory(struct nested_vcpu *nv, struct vmx_exit *x)
{
	struct walk_access access = access_of(x);
	const struct vmcs *v = &nv->cur->v;
	uint16_t index = (uint16_t)vmcs_get(v, VMCS_GUEST_PML_INDEX);
	struct ept02_pml pml = {.on = vmcs_proc2(v) & PROC2_ENABLE_PML,
		.address = vmcs_get(v, VMCS_PML_ADDRESS),
		.index = &index};
	struct walk_result walk;
	enum ept02_result r = ept02_fill(&nv->n->ept02, nv->eptp12,
		vmcs_proc2(v) & PROC2_MODE_BASED_EPT_EXEC, x->gpa.v, &access, &pml, &walk);

	nv->cur->v.v[VMCS_GUEST_PML_INDEX] = index;
	switch (r) {
	case EPT02_FILLED:
		block_nmi_again(nv, x);
		if (nv->n->opt->use[L0_USE_PML])
			note_writable(nv, &walk);
		return true;
	case EPT02_VIOLATION:
		x->reason = EXIT_REASON_EPT_VIOLATION;
		x->qualification = walk.error | (x->qualification & QUAL_NMI);
		return raise_ve(nv, x, &walk);
	case EPT02_PML_FULL:
		x->reason = EXIT_REASON_PML_FULL;
		x->qualification &= QUAL_NMI;
		return false;
	default:
		x->reason = EXIT_REASON_EPT_MISCONFIG;
		x->qualification = 0;
		return false;
	}
}

/* An exception for L2, instead of the instruction that it tried. */
static void inject_gp(struct nested_vcpu *nv)
{
	vmcs_set(&nv->vmcs02, VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE, 0);
	vmcs_set(&nv->vmcs02, VMCS_VM_ENTRY_INTR_INFO_FIELD,
		VEC_GP | TYPE_HWEXC << INTR_TYPE_SHIFT | INTR_ERROR_CODE | INTR_VALID);
}

void nested_l2_complete(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	nested_completed(nv, x->insn_len);
	vmx_save_guest_state(nv->c, &nv->vmcs02);
}

/* The same; false: the monitor trap flag makes what follows an exit for L1. */
static bool complete(struct nested_vcpu *nv, struct vmx_exit *x)
{
	nested_l2_complete(nv, x);
	if (!(vmcs_get(&nv->vmcs02, VMCS_CPU_BASED_VM_EXEC_CONTROL) & PROC1_MONITOR_TRAP_FLAG))
		return true;
	*x = (struct vmx_exit){.reason = EXIT_REASON_MONITOR_TRAP_FLAG};
	return false;
}

/* IA32_VMX_* that L1 lets L2 touch: they read as L1's own. */
bool nested_l2_msr(struct nested_vcpu *nv, struct vmx_exit *x)
{
	struct vcpu *c = nv->c;
	uint64_t value;

	if ((x->reason & 0xffff) == EXIT_REASON_MSR_WRITE ||
		!vmx_caps_rdmsr(&nv->n->l1, (uint32_t)c->gpr[RCX], &value)) {
		inject_gp(nv);
		return true;
	}
	c->gpr[RAX] = (uint32_t)value;
	c->gpr[RDX] = value >> 32;
	return complete(nv, x);
}

/* VM function 0, SDM Vol. 3C 25.5.5.3 "EPTP Switching". */
bool nested_l2_vmfunc(struct nested_vcpu *nv, struct vmx_exit *x)
{
	struct vcpu *c = nv->c;
	struct vmcs *v = &nv->cur->v;
	uint64_t eptp, entry = (uint32_t)c->gpr[RCX];

	if ((uint32_t)c->gpr[RAX] || !(vmcs_get(v, VMCS_VM_FUNCTION_CONTROL) & 1) || entry > 511 ||
		!phys_read(&nv->n->l->machine->phys,
			hpa(vmcs_get(v, VMCS_EPTP_LIST_ADDRESS) + entry * 8), &eptp, 8) ||
		!l1_eptp_ok(nv->n, eptp))
		return false;
	v->v[VMCS_EPT_POINTER] = eptp;
	if (vmcs_proc2(v) & PROC2_EPT_VIOLATION_VE)
		v->v[VMCS_EPTP_INDEX] = entry;
	nv->eptp12 = eptp;
	nv->cur->eptp = eptp;
	vmcs_set(&nv->vmcs02, VMCS_EPT_POINTER, ept02_pointer(&nv->n->ept02, eptp));
	return complete(nv, x);
}

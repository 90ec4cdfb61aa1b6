/* What EPT refuses: violation and misconfiguration exits, #VE, and the
 * page-modification log.
 */
#include "base/phys.h"
#include "vmx/record.h"

/* The virtualization-exception information area, SDM Vol. 3C 25.5.6.2
 * "Virtualization-Exception Information". */
struct ve_info {
	uint32_t reason, busy;
	uint64_t qualification, linear, gpa;
	uint16_t eptp_index;
};

/* SDM 25.5.6.1 "Convertible EPT Violations". */
static bool convert(struct vcpu *c, const struct cpu_ept_fault *f)
{
	const struct vmx_cpu *x = vmx_of(c);
	struct hpa area = hpa(vmcs_get(x->vmcs, VMCS_VE_INFORMATION_ADDRESS));
	struct ve_info ve = {.reason = EXIT_REASON_EPT_VIOLATION, .busy = UINT32_MAX,
		.qualification = f->qualification, .linear = f->gva.v, .gpa = f->gpa.v,
		.eptp_index = vmcs_get(x->vmcs, VMCS_EPTP_INDEX)};
	uint32_t busy;

	if (!(x->proc2 & PROC2_EPT_VIOLATION_VE) || f->misconfig || f->ve_suppress ||
		!(c->cr0 & CR0_PE) || c->delivering)
		return false;
	if (!phys_read(c->phys, hpa(area.v + 4), &busy, sizeof busy) || busy)
		return false;
	return phys_write(c->phys, area, &ve, offsetof(struct ve_info, eptp_index) + 2);
}

enum cpu_step vmx_ept_fault(struct vcpu *c, const struct cpu_ept_fault *f)
{
	if (convert(c, f))
		return cpu_raise(c, VEC_VE);
	vmx_record(c, f->misconfig ? EXIT_REASON_EPT_MISCONFIG : EXIT_REASON_EPT_VIOLATION, NULL,
		f->misconfig ? 0 : f->qualification);
	struct vmx_exit *x = &vmx_of(c)->exit;
	x->gpa = f->gpa;
	x->linear_user = f->linear_user;
	if (!f->misconfig && (f->qualification & BIT(7)))
		x->linear = f->gva.v;
	return CPU_EXIT;
}

/* SDM Vol. 3C 28.3.6 "Page-Modification Logging". */
enum cpu_step vmx_pml(struct vcpu *c, struct gpa at)
{
	struct vmx_cpu *x = vmx_of(c);
	uint16_t index = vmcs_get(x->vmcs, VMCS_GUEST_PML_INDEX);
	uint64_t entry = at.v & PAGE_MASK;

	if (index > 511)
		return vmx_record(c, EXIT_REASON_PML_FULL, NULL, 0);
	phys_write(c->phys, hpa(vmcs_get(x->vmcs, VMCS_PML_ADDRESS) + 8 * index), &entry, sizeof entry);
	x->vmcs->v[VMCS_GUEST_PML_INDEX] = (uint16_t)(index - 1);
	return CPU_DONE;
}

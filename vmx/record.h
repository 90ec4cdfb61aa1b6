/* Recording a VM exit: shared by the files of the hardware half.
 *
 * A recorded exit ends the engine's run; the first one wins until it is
 * completed.
 */
#ifndef VMX_RECORD_H
#define VMX_RECORD_H

#include "cpu/insn.h"
#include "vmx/controls.h"
#include "vmx/vmx.h"

/* Records an exit and returns CPU_EXIT. `i` gives the instruction length;
 * NULL for events that are not instructions. IDT-vectoring information comes
 * from the event being delivered, if any. */
enum cpu_step vmx_record(
	struct vcpu *c, enum vmx_exit_reason reason, const struct insn *i, uint64_t qualification);

/* An exit after the current instruction (TPR threshold, EOI, APIC write):
 * taken at the next instruction boundary. */
void vmx_record_trap(struct vcpu *c, enum vmx_exit_reason reason, uint64_t qualification);

/* The instruction-information field, SDM 27.2.5, for `reason`; 0 where the
 * exit has none. *qualification gets the displacement where the SDM says so. */
uint32_t vmx_insn_info(const struct vcpu *c, enum vmx_exit_reason reason, const struct insn *i,
	uint64_t *qualification);

/* Linear address of i's memory operand (or of an implied string operand). */
uint64_t vmx_insn_linear(const struct vcpu *c, const struct insn *i);

/* Virtual-APIC, vmx/apic.c. */
void vmx_apic_enter(struct vcpu *c);
bool vmx_apic_rdmsr(struct vcpu *c, uint32_t msr, uint64_t *value, enum cpu_step *step);
bool vmx_apic_wrmsr(struct vcpu *c, uint32_t msr, uint64_t value, enum cpu_step *step);
bool vmx_get_cr8(struct vcpu *c, uint64_t *value);
bool vmx_set_cr8(struct vcpu *c, uint64_t value, enum cpu_step *step);
enum cpu_step vmx_apic_access(struct vcpu *c, const struct cpu_apic_access *a);
int vmx_virtual_interrupt(struct vcpu *c);

/* vmx/insn.c, vmx/memory.c, vmx/intercept.c */
enum cpu_step vmx_insn(struct vcpu *c, const struct insn *i);
enum cpu_step vmx_ept_fault(struct vcpu *c, const struct cpu_ept_fault *f);
enum cpu_step vmx_pml(struct vcpu *c, struct gpa at);
enum cpu_step vmx_intercept(
	struct vcpu *c, enum cpu_event ev, const struct insn *i, uint64_t detail);

#endif

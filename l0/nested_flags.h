/* How a VMX instruction ends for L1, SDM Vol. 3C 30.2 "Conventions". */
#ifndef L0_NESTED_FLAGS_H
#define L0_NESTED_FLAGS_H

#include "l0/nested.h"

/* CPU_DONE when L1 may execute VMX instructions, else the fault is raised. */
enum cpu_step l1_permitted(struct nested_vcpu *nv);

/* All return CPU_DONE: the instruction completes, its flags say how. */
enum cpu_step vm_succeed(struct nested_vcpu *nv);
enum cpu_step vm_fail_invalid(struct nested_vcpu *nv);
enum cpu_step vm_fail(struct nested_vcpu *nv, enum vmx_insn_error error);

/* Would an EPTP pass the entry checks? */
bool l1_eptp_ok(const struct nested *n, uint64_t eptp);

#endif

/* Model-specific registers: one table (cpu/msrs.def), one way in for RDMSR,
 * WRMSR, VMX's MSR lists and tools. */
#ifndef CPU_MSR_H
#define CPU_MSR_H

#include "cpu/vcpu.h"

#define MSR_EFER 0xc0000080u

/* As RDMSR and WRMSR do without intercepts and privilege; false = #GP(0), and
 * nothing has changed. Unknown ones are logged by number, or read as zero and
 * swallow writes with the ignore-msrs switch. */
bool msr_read(struct vcpu *c, uint32_t n, uint64_t *value);
bool msr_write(struct vcpu *c, uint32_t n, uint64_t value);

/* "IA32_EFER", or NULL. */
const char *msr_name(uint32_t n);

/* Power-up values of the plain ones (INIT changes none). */
void msr_reset(struct vcpu *c);

#endif

/* CPUID as the guest sees it now: the model's leaves (cpu/model.h) with what
 * follows live state put in (OSXSAVE, OSPKE, APIC ID, XSAVE sizes). Also used
 * by L0 to answer an intercepted CPUID. */
#ifndef CPU_CPUID_H
#define CPU_CPUID_H

#include "cpu/vcpu.h"

void cpu_cpuid(const struct vcpu *c, uint32_t leaf, uint32_t sub, uint32_t r[4]);

#endif

/* The time-stamp counter: one count per tick of the virtual clock. Callers have
 * had the clock brought up to date. */
#ifndef CPU_TSC_H
#define CPU_TSC_H

#include "cpu/vcpu.h"

/* Before VMX offset and scaling. */
static inline uint64_t tsc_host(const struct vcpu *c)
{
	return c->clock->now + c->msr.tsc_adjust;
}

/* As RDTSC reads it, SDM Vol. 3C 25.3 "Changes to Instruction Behavior in VMX
 * Non-Root Operation". */
static inline uint64_t tsc_read(const struct vcpu *c)
{
	uint64_t t = tsc_host(c);

	if (!c->nonroot.on)
		return t;
	if (c->nonroot.tsc_multiplier)
		t = (uint64_t)((unsigned __int128)t * c->nonroot.tsc_multiplier >> 48);
	return t + c->nonroot.tsc_offset;
}

#endif

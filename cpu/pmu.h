/* Architectural performance monitoring, version 2: four general and three fixed
 * counters of 48 bits. Instructions retired and the clock (core and reference
 * cycles alike) count; the other events stay at zero. SDM Vol. 3B 18.2.2
 * "Architectural Performance Monitoring Version 2".
 */
#ifndef CPU_PMU_H
#define CPU_PMU_H

#include "cpu/vcpu.h"

/* Brings the counters up to date and reports overflows through LVTPC. Called
 * with the clock and `retired` complete. */
void pmu_sync(struct vcpu *c);

/* The counters' controls were written: renews c->pmu_wakes and c->pmu_levels. */
void pmu_changed(struct vcpu *c);

/* CPL is about to change, and some counter counts at one level only. */
void pmu_level(struct vcpu *c);

/* Instructions until the next overflow that interrupts, if nothing changes;
 * UINT64_MAX: none. */
uint64_t pmu_next(const struct vcpu *c);

/* RDPMC's counter; false = #GP. */
bool pmu_rdpmc(struct vcpu *c, uint32_t index, uint64_t *value);

#endif

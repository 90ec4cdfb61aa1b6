/* Control registers: what a write checks and what it changes.
 *
 * The cr_write functions take the whole new value as the processor would hold
 * it (guest/host masks already applied) and return CPU_FAULT with #GP(0) and
 * nothing changed where the SDM wants it. SDM Vol. 3A 2.5 "Control Registers".
 */
#ifndef CPU_CR_H
#define CPU_CR_H

#include "cpu/vcpu.h"

enum cpu_step cr0_write(struct vcpu *c, uint64_t value);
enum cpu_step cr3_write(struct vcpu *c, uint64_t value);
enum cpu_step cr4_write(struct vcpu *c, uint64_t value);
/* Extended control register n; only XCR0 is there. */
enum cpu_step xcr_write(struct vcpu *c, uint32_t n, uint64_t value);

/* The CR4 bits that the model has. */
uint64_t cr4_supported(const struct vcpu *c);

/* PAE paging: loads the four PDPTEs that `cr3` points at; #GP(0) on reserved
 * bits. Does nothing outside PAE paging. */
enum cpu_step pdptes_load(struct vcpu *c, uint64_t cr3);

/* Are PDPTEs in use with these control values? */
static inline bool pae_paging(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
	return (cr0 & CR0_PG) && (cr4 & CR4_PAE) && !(efer & EFER_LMA);
}

#endif

/* Pieces that far transfers share: target checks and the flags they load. */
#ifndef CPU_FAR_H
#define CPU_FAR_H

#include "cpu/desc.h"
#include "cpu/insn.h"

/* Is `rip` a legal start in a code segment `cs` (limit, or canonical for a
 * 64-bit one)? #GP(0) if not. */
enum cpu_step far_check_rip(struct vcpu *c, const struct seg *cs, uint64_t rip);

/* A direct target of JMP or CALL: type, privilege, presence; *cs is the cached
 * form with RPL = CPL. */
enum cpu_step far_direct_code(struct vcpu *c, uint16_t sel, struct desc *d, struct seg *cs);

/* The code segment that a return goes to; *cs with the selector's own RPL. */
enum cpu_step far_return_code(struct vcpu *c, uint16_t sel, struct seg *cs);

/* The SS of a return to level `cpl`; null is legal into 64-bit code. */
enum cpu_step far_return_ss(
	struct vcpu *c, uint16_t sel, unsigned cpl, const struct seg *cs, struct seg *ss);

/* Writes the bits of `mask` into RFLAGS; notes what blocks are keyed on. */
void flags_write(struct vcpu *c, uint64_t value, uint64_t mask);

/* What POPF and IRET may write at this CPL and IOPL, for an operand of `size`
 * bytes, VM and the virtual interrupt flags aside. */
uint64_t flags_writable(const struct vcpu *c, unsigned size);

#endif

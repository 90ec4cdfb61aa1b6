/* Helpers that the slow integer handlers share. */
#ifndef CPU_SLOW_H
#define CPU_SLOW_H

#include "cpu/insn.h"
#include "cpu/vcpu.h"

/* Reads operand n that will be written too: checks for the write come first. */
enum cpu_step slow_rmw_read(struct vcpu *c, const struct insn *i, unsigned n, uint64_t *v);

/* One value on or off the stack, SDM Vol. 1 6.2.2 "Setting Up Stacks": the
 * stack size is i's. Nothing changes unless CPU_DONE. */
enum cpu_step slow_push_value(struct vcpu *c, const struct insn *i, uint64_t v, unsigned size);
enum cpu_step slow_pop_value(struct vcpu *c, const struct insn *i, uint64_t *v, unsigned size);

/* RSP of i's stack size, and its update. */
uint64_t slow_sp(const struct vcpu *c, const struct insn *i);
void slow_set_sp(struct vcpu *c, const struct insn *i, uint64_t sp);

/* next_rip = target cut to the operand size, after the checks of a near
 * branch: #GP(0) beyond the limit or not canonical. */
enum cpu_step slow_branch(struct vcpu *c, const struct insn *i, uint64_t target);

#endif

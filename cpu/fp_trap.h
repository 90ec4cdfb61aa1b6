/* Where the host's SIGFPE continues, and what runs there.
 *
 * A native stub runs with the guest's MXCSR and x87 control word, so an
 * unmasked exception of the guest is one of the host's, at the same
 * instruction. The signal handler only moves the saved RIP to a landing pad;
 * stubs keep their two arguments in place, so that the pad is an op handler.
 */
#ifndef CPU_FP_TRAP_H
#define CPU_FP_TRAP_H

#include "cpu/op.h"

/* In aux of an op that is no op of a block but a frame on the caller's stack
 * (a stub that is called, not chained): the pad stores the vector in imm and
 * returns to that caller. */
#define FP_CALLED 0xffff

op_fn fp_pad_mf; /* an x87 exception was pending */
op_fn fp_pad_xm; /* a SIMD exception */

/* What an exception of a stub means to the guest: #MF, #XM, or #UD without
 * CR4.OSXMMEXCPT. SDM Vol. 3A 6.15 "Exception and Interrupt Reference". */
enum cpu_step fp_raise(struct vcpu *c, enum cpu_vector vec);

#endif

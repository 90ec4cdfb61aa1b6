/* Named bits of registers (regs_bits.def): for decoding and for gdb's flags
 * types. */
#ifndef INTROSPECT_REGS_BITS_H
#define INTROSPECT_REGS_BITS_H

#include "introspect/regs.h"

/* The i-th named bit of a register, by rising bit; false past the end. */
bool reg_bit(enum reg_id id, unsigned i, unsigned *bit, const char **name);

#endif

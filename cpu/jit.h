/* The translator: hot blocks of 64-bit code as code for the host.
 *
 * A block that has been entered JIT_HEAT times is gone through in segments:
 * runs of instructions that the translator knows. A segment becomes one piece
 * of host code, and the op it starts with gets that code as its handler; all
 * other ops stay as they are. So translated and interpreted ops follow each
 * other freely, and what they have in common is the op's contract: RDI is the
 * vCPU, RSI the op, the whole block is off c->ic, guest state is in memory.
 *
 * Inside a segment guest registers live in host registers; every way out
 * writes back what has changed. A load or store that misses the TLB leaves
 * for op_miss_*, which runs that op and the rest of the block interpreted.
 * Flags are left in the lazy form that the interpreter would leave.
 *
 * Segments are never patched and never die before their block; the memory is
 * given out until it is full, then all blocks go.
 */
#ifndef CPU_JIT_H
#define CPU_JIT_H

#include "cpu/run.h"

#define JIT_HEAT 48u /* entries before a block is translated */

struct jit;
struct jit *jit_new(void); /* NULL: the host refuses executable memory */
void jit_free(struct jit *j);

/* Translates what can be; the ops' handlers change. Never with FP state live. */
void jit_block(struct vcpu *c, struct block *b);

/* Has the code memory run out? Then all blocks have to go before it starts anew. */
bool jit_full(const struct jit *j);
void jit_restart(struct jit *j);

/* Runs `o`; host code may use every general register. */
void jit_enter(struct vcpu *c, const struct op *o);

#endif

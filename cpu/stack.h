/* Stack frames of transfers: checked as a whole, written as a whole.
 *
 * Pushes of far calls and of event delivery are collected in a frame and
 * written by frame_push, which translates everything before it writes, so
 * that the transfer can be restarted after a fault.
 */
#ifndef CPU_STACK_H
#define CPU_STACK_H

#include "cpu/mem.h"
#include "cpu/vcpu.h"

struct stack {
	const struct seg *ss; /* not necessarily the loaded one */
	uint64_t sp;
	unsigned width;       /* bytes of the stack pointer: 2, 4, 8 (64-bit mode) */
	enum cpu_access who;  /* ACCESS_SYSTEM for a stack of an inner level */
	uint32_t error;       /* of the #SS beyond the limit */
};

struct frame {
	unsigned n;
	unsigned size;  /* bytes of each: 2, 4 or 8 */
	uint64_t v[40]; /* a call gate's 31 parameters and four more; not cleared */
};

static inline void frame_add(struct frame *f, uint64_t v)
{
	f->v[f->n++] = v;
}

/* The stack that is loaded, for accesses at the current CPL. */
struct stack stack_here(struct vcpu *c);

/* Bytes of the stack pointer under a stack segment outside 64-bit mode. */
static inline unsigned stack_width(const struct seg *ss)
{
	return ss->ar & AR_DB ? 4 : 2;
}

/* Pushes v[0] first; moves st->sp, not RSP. */
enum cpu_step frame_push(struct vcpu *c, struct stack *st, const struct frame *f);

/* Reads n values of `size` bytes upwards from SS:RSP + skip; RSP stays. */
enum cpu_step stack_peek(struct vcpu *c, unsigned skip, unsigned size, unsigned n, uint64_t *out);

/* Writes (R/E)SP by the width of the stack. */
void stack_set_sp(struct vcpu *c, unsigned width, uint64_t sp);

/* RSP + delta, by the width of the loaded stack. */
void stack_move(struct vcpu *c, int64_t delta);

#endif

/* The x87/SSE/AVX boundary.
 *
 * Guest FP state is in host registers only between fp_enter and fp_leave,
 * inside engine_run. Code that can run in between is built with
 * -mgeneral-regs-only and calls nothing outside the engine's archive except
 * functions that leave first. fp_leave saves x87, SSE and AVX to c->fp and
 * gives the host a clean FPU. Both do nothing when already there.
 *
 * c->fp.area is a non-compacted XSAVE area (cpu/xsave.h). FIP, FDP and FOP in
 * it are the guest's, in host registers or not: what the host's FPU keeps there
 * is an address of ours. A stub notes only which op it was (c->fp.x87_op);
 * fp_leave makes pointers of it, so whoever changes what they follow from (CS,
 * the base of a segment) calls fp_settle before.
 */
#ifndef CPU_FP_H
#define CPU_FP_H

#include "cpu/op.h"

void fp_enter(struct vcpu *c); /* c->fp into host registers */
void fp_leave(struct vcpu *c); /* host registers into c->fp */

/* Bits beside the pointer in c->fp.x87_op. */
enum {
	FP_CW_LOADED = 1, /* FLDCW came after it: an exception that pends is not its own */
	FP_CLEARED = 2	  /* FNINIT came last: there is no op */
};

static inline void fp_settle(struct vcpu *c)
{
	if (__builtin_expect(c->fp.x87_op != 0, 0))
		fp_leave(c);
}

/* Sets FIP, and FDP and FOP where they apply, after the x87 instruction `i` at
 * `ip` (offset in CS), whose memory operand lies at `dp` in its segment.
 * `unmasked`: it met an unmasked exception. SDM Vol. 1 8.1.8 "x87 FPU Instruction
 * and Data (Operand) Pointers", 8.1.9 "Last Instruction Opcode". */
void fp_point(struct vcpu *c, const struct insn *i, uint64_t ip, uint64_t dp, bool unmasked);

/* Before a waiting instruction, after fp_leave: CPU_DONE when it may run; #MF
 * when an exception pends; CPU_AGAIN when the processor says so by FERR#
 * (CR0.NE clear) and stands still, as in HLT, until an interrupt comes. */
enum cpu_step fp_wait(struct vcpu *c);

/* An exception pends and CR0.NE, as the guest has it, is clear: true when IGNNE#
 * lets the instruction run, else asserts FERR# and makes the processor wait. */
bool fp_report(struct vcpu *c);

/* An instruction that runs although an exception pends: takes the exceptions out
 * of FSW, and puts them back afterwards. */
unsigned fp_hide(struct vcpu *c);
void fp_show(struct vcpu *c, unsigned hidden);

/* ES and B say whether an unmasked exception pends; FERR# falls with them. */
void fp_summarise(struct vcpu *c);

/* Power-up state; INIT leaves x87, SSE and AVX as they are. SDM Vol. 3A 9.1.1
 * "Processor State After Reset" table 9-1. */
void fp_reset(struct vcpu *c, bool init);

/* Visits x87, SSE, AVX state (not PKRU, not XCR0). */
struct state;
void fp_state(struct vcpu *c, struct state *s);

/* Once per process, from app/ and from tests that run guest code: the SIGFPE
 * handler, and whether this host can run native stubs. False with a reason
 * when it cannot. */
struct err;
bool fp_host_init(struct err *e);

/* Takes from a model the features whose instructions this host cannot run. */
struct cpu_model;
void fp_host_limit(struct cpu_model *m);

#endif

/* The x87/SSE/AVX boundary.
 *
 * Guest FP state is in host registers only between fp_enter and fp_leave,
 * inside engine_run. Code that can run in between is built with
 * -mgeneral-regs-only and calls nothing outside the engine's archive except
 * functions that leave first. fp_leave saves x87, SSE and AVX to c->fp and
 * gives the host a clean FPU. Both do nothing when already there.
 */
#ifndef CPU_FP_H
#define CPU_FP_H

#include "cpu/op.h"

void fp_enter(struct vcpu *c); /* c->fp into host registers */
void fp_leave(struct vcpu *c); /* host registers into c->fp */

void fp_reset(struct vcpu *c, bool init);

/* Once per process, from app/: features of the host, the SIGFPE handler. False
 * with a reason on a host that cannot run native stubs. */
struct err;
bool fp_host_init(struct err *e);

#endif

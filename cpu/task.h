/* Task-state segments: inner stacks, and hardware task switches.
 * SDM Vol. 3A chapter 7 "Task Management". */
#ifndef CPU_TASK_H
#define CPU_TASK_H

#include "cpu/desc.h"
#include "cpu/stack.h"

enum task_source { TASK_CALL, TASK_IRET, TASK_JMP, TASK_IDT };

/* The stack of privilege level `cpl` from the current TSS, checked. *st uses
 * *ss. Errors are #TS(selector + ext) and #SS(selector + ext). */
enum cpu_step task_inner_stack(
	struct vcpu *c, unsigned cpl, unsigned ext, struct seg *ss, struct stack *st);

/* Switches to the TSS of selector `sel`, whose descriptor the caller has found
 * to be an available TSS (busy for TASK_IRET). c->next_rip is the new task's EIP
 * afterwards. */
enum cpu_step task_switch(
	struct vcpu *c, uint16_t sel, const struct desc *tss, enum task_source source);

/* Through a task gate of the IDT: checks the TSS selector too, pushes the error
 * code on the new task's stack, and leaves the new EIP in c->rip. */
enum cpu_step task_switch_event(struct vcpu *c, uint16_t sel, const struct cpu_fault *ev);

#endif

/* Events between instructions: exceptions, interrupts, NMI, INIT, SIPI,
 * traps, windows. Implemented beside segmentation (cpu/deliver.c), called by
 * the engine's loop and by VM-entry injection.
 */
#ifndef CPU_DELIVER_H
#define CPU_DELIVER_H

#include "cpu/vcpu.h"

/* Delivers c->fault through the IVT or IDT; c->next_rip is what a software
 * event pushes. Faults on the way become double and triple faults by SDM Vol.
 * 3A 6.15 "Exception and Interrupt Reference" table 6-5. Asks the intercepts
 * first (EV_FAULT). CPU_DONE: rip is the handler's. CPU_EXIT: a VM exit is
 * recorded. CPU_LEAVE: shutdown (c->leave). */
enum cpu_step cpu_deliver(struct vcpu *c);

/* The same for an event that is not asked about (VM-entry injection). */
enum cpu_step cpu_inject(struct vcpu *c, const struct cpu_fault *event);

/* INT n, INT3, INTO, INT1 from their handlers: delivers through the IDT and
 * leaves the new RIP in c->next_rip, so that the instruction retires. */
enum cpu_step cpu_deliver_software(struct vcpu *c, unsigned vector, enum cpu_event_type type);

/* At an instruction boundary with c->pending != 0: takes the event of highest
 * priority (SDM Vol. 3A 6.9 "Priority Among Simultaneous Exceptions and
 * Interrupts") if it is open, one at most. CPU_DONE: go on at c->rip.
 * CPU_LEAVE: c->leave says why. Also wakes a halted processor. */
enum cpu_step cpu_boundary(struct vcpu *c);

/* What INIT does: the state of table 9-1, the local APIC's too; the bootstrap
 * processor goes on at the reset vector, the others wait for a SIPI. */
void cpu_init_signal(struct vcpu *c);

/* May an external interrupt be taken now (IF, shadows)? An NMI? */
bool cpu_interrupts_open(const struct vcpu *c);
bool cpu_nmi_open(const struct vcpu *c);

#endif

/* Delivery of one event through the IVT or the IDT, by mode.
 *
 * CPU_DONE: rip, stack, flags and CPL are the handler's. CPU_FAULT: c->fault
 * met the event, and nothing of the processor's state has changed. CPU_EXIT:
 * the first event or an access on its way left for a VM exit.
 */
#ifndef CPU_IDT_H
#define CPU_IDT_H

#include "cpu/vcpu.h"

enum cpu_step idt_deliver_real(struct vcpu *c, const struct cpu_fault *ev);
enum cpu_step idt_deliver_protected(struct vcpu *c, const struct cpu_fault *ev);
enum cpu_step idt_deliver_long(struct vcpu *c, const struct cpu_fault *ev);

/* INT n in v8086 mode that CR4.VME sends through the IVT of the 8086 program. */
enum cpu_step idt_deliver_v86(struct vcpu *c, unsigned vector);

static inline bool event_software(const struct cpu_fault *ev)
{
	return ev->type == TYPE_SWINT || ev->type == TYPE_SWEXC;
}

/* The RIP that the frame holds: behind a software event's instruction. */
static inline uint64_t event_return_rip(const struct vcpu *c, const struct cpu_fault *ev)
{
	return event_software(ev) || ev->type == TYPE_PRIV_SWEXC ? c->next_rip : c->rip;
}

/* The RFLAGS that the frame holds: faults set RF, SDM Vol. 3B 17.3.1.1
 * "Instruction-Breakpoint Exception Condition". */
static inline uint64_t event_flags(const struct vcpu *c, const struct cpu_fault *ev)
{
	uint64_t f = c->rflags;

	if (ev->type == TYPE_HWEXC && ev->vector != VEC_DB && ev->vector != VEC_DF &&
		ev->vector != VEC_MC)
		f |= FLAG_RF;
	return f;
}

#endif

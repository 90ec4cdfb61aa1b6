#include "cpu/deliver.h"

#include "cpu/desc.h"
#include "cpu/idt.h"

/* SDM Vol. 3A 6.15 "Exception and Interrupt Reference", table 6-4. */
enum event_class { BENIGN, CONTRIBUTORY, PAGE_FAULT, DOUBLE_FAULT };

static enum event_class class_of(const struct cpu_fault *ev)
{
	if (ev->type != TYPE_HWEXC)
		return BENIGN;
	switch (ev->vector) {
	case VEC_DE:
	case VEC_TS:
	case VEC_NP:
	case VEC_SS:
	case VEC_GP:
	case VEC_CP:
		return CONTRIBUTORY;
	case VEC_PF:
	case VEC_VE:
		return PAGE_FAULT;
	case VEC_DF:
		return DOUBLE_FAULT;
	default:
		return BENIGN;
	}
}

/* A second event during the delivery of the first: table 6-5. */
enum meeting { SERIAL, DOUBLE, TRIPLE };

static enum meeting meet(const struct cpu_fault *first, const struct cpu_fault *second)
{
	enum event_class a = class_of(first), b = class_of(second);

	if (a == DOUBLE_FAULT)
		return b == BENIGN ? SERIAL : TRIPLE;
	if (a == CONTRIBUTORY)
		return b == CONTRIBUTORY ? DOUBLE : SERIAL;
	if (a == PAGE_FAULT)
		return b == CONTRIBUTORY || b == PAGE_FAULT ? DOUBLE : SERIAL;
	return SERIAL;
}

static enum cpu_step triple_fault(struct vcpu *c)
{
	enum cpu_step s;

	c->delivering = false;
	s = cpu_intercepted(c, EV_TRIPLE_FAULT, NULL, 0);
	c->iret_unblocked_nmi = false;
	if (s != CPU_DONE)
		return s;
	c->activity = ACTIVITY_SHUTDOWN;
	c->leave = LEAVE_SHUTDOWN;
	return CPU_LEAVE;
}

/* Exceptions can be intercepted; interrupts are asked about at the boundary. */
static enum cpu_step ask(struct vcpu *c, const struct cpu_fault *ev)
{
	if (ev->type == TYPE_EXTINT || ev->type == TYPE_NMI || ev->type == TYPE_SWINT)
		return CPU_DONE;
	return cpu_intercepted(c, EV_FAULT, NULL, 0);
}

/* A #DB takes debug exceptions along that a load of SS has held back. */
static void merge_held(struct vcpu *c)
{
	if (c->fault.vector != VEC_DB || !c->pending_db ||
		(c->fault.type != TYPE_HWEXC && c->fault.type != TYPE_PRIV_SWEXC))
		return;
	c->fault.payload |= c->pending_db;
	c->pending_db = 0;
	vcpu_unpend(c, PEND_DB);
}

/* What an exception leaves in registers besides its frame. */
static void latch(struct vcpu *c, const struct cpu_fault *ev)
{
	if (ev->type != TYPE_HWEXC && ev->type != TYPE_PRIV_SWEXC)
		return;
	if (ev->vector == VEC_PF) {
		c->cr2 = ev->payload;
	} else if (ev->vector == VEC_DB) {
		c->dr6 = (c->dr6 & ~UINT64_C(0xf)) | ev->payload;
		c->dr7 &= ~UINT64_C(0x2000); /* GD */
	}
}

/* One attempt; CPU_FAULT is an event that met this one. */
static enum cpu_step attempt(struct vcpu *c, const struct cpu_fault *ev)
{
	enum cpu_step s;

	latch(c, ev);
	if (cpu_real(c))
		s = idt_deliver_real(c, ev);
	else if (cpu_long_mode(c))
		s = idt_deliver_long(c, ev);
	else
		s = idt_deliver_protected(c, ev);
	if (s == CPU_DONE && ev->type == TYPE_NMI)
		c->nmi_blocked = true;
	return s;
}

/* Delivers *ev and whatever it meets, until a handler's rip is loaded. `ev` has
 * been asked about. */
static enum cpu_step deliver(struct vcpu *c, struct cpu_fault ev)
{
	for (;;) {
		enum cpu_step s;

		c->vectoring = ev;
		c->delivering = true;
		s = attempt(c, &ev);
		if (s != CPU_FAULT) {
			c->delivering = false;
			c->iret_unblocked_nmi = false;
			if (s == CPU_DONE)
				c->sti_shadow = c->movss_shadow = false;
			return s;
		}
		s = ask(c, &c->fault);
		if (s != CPU_DONE) {
			c->delivering = false;
			return s;
		}
		switch (meet(&ev, &c->fault)) {
		case SERIAL:
			ev = c->fault;
			break;
		case TRIPLE:
			return triple_fault(c);
		case DOUBLE:
			c->delivering = false;
			c->fault = (struct cpu_fault){
				.vector = VEC_DF, .type = TYPE_HWEXC, .has_error = true};
			s = ask(c, &c->fault);
			if (s != CPU_DONE)
				return s;
			ev = c->fault;
			break;
		}
	}
}

enum cpu_step cpu_deliver(struct vcpu *c)
{
	struct cpu_fault ev;
	enum cpu_step s;

	merge_held(c);
	ev = c->fault;

	/* A software event's own fault comes here with `delivering` set. */
	if (cpu_real(c))
		ev.has_error = c->fault.has_error = false;
	s = ask(c, &ev);
	if (s == CPU_DONE)
		return deliver(c, ev);
	c->delivering = false;
	c->iret_unblocked_nmi = false;
	return s;
}

enum cpu_step cpu_inject(struct vcpu *c, const struct cpu_fault *event)
{
	return deliver(c, *event);
}

enum cpu_step cpu_deliver_software(struct vcpu *c, unsigned vector, enum cpu_event_type type)
{
	uint64_t rip = c->rip;
	struct cpu_fault ev = {.vector = (uint8_t)vector, .type = (uint8_t)type,
		.insn_len = (uint8_t)(c->next_rip - c->rip)};

	c->fault = ev;
	merge_held(c);
	ev = c->fault;
	CPU_TRY(ask(c, &ev));
	c->vectoring = ev;
	c->delivering = true;
	/* On a fault `delivering` stays set: the fault is delivered next, and its
	 * intercept can see what was being vectored. */
	enum cpu_step s = attempt(c, &ev);

	if (s == CPU_FAULT)
		return s;
	c->delivering = false;
	if (s == CPU_DONE) {
		c->next_rip = c->rip;
		c->rip = rip;
		c->sti_shadow = c->movss_shadow = false;
	}
	return s;
}

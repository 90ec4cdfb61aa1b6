/* Between two instructions: which pending event is next. SDM Vol. 3A 6.9
 * "Prioritization of Concurrent Events"; the places of VMX's own events are
 * from Vol. 3C 25.5 "Other Causes of VM Exits" and 25.7. */
#include "cpu/deliver.h"

#include "cpu/desc.h"

bool cpu_interrupts_open(const struct vcpu *c)
{
	return (c->rflags & FLAG_IF) && !c->sti_shadow && !c->movss_shadow;
}

bool cpu_nmi_open(const struct vcpu *c)
{
	return !c->nmi_blocked && !c->movss_shadow && !c->sti_shadow;
}

static void wake(struct vcpu *c)
{
	c->activity = ACTIVITY_ACTIVE;
	c->monitor = gpa(UINT64_MAX);
}

/* Delivers `ev`, which has passed its own intercept. */
static enum cpu_step take(struct vcpu *c, struct cpu_fault ev)
{
	wake(c);
	c->fault = ev;
	return cpu_deliver(c);
}

void cpu_init_signal(struct vcpu *c)
{
	/* A SIPI that came before this processor had its turn came after INIT. */
	uint32_t sipi = c->pending & PEND_SIPI;
	bool bsp = true;

	vcpu_unpend(c, PEND_INIT);
	if (c->apic_ops) {
		c->apic_ops->reset(c->apic, true);
		bsp = c->apic_ops->get_base(c->apic) & BIT(8);
	}
	vcpu_reset(c, true);
	if (!bsp) {
		c->activity = ACTIVITY_WAIT_SIPI;
		vcpu_pend(c, sipi);
	}
}

static enum cpu_step take_init(struct vcpu *c)
{
	CPU_TRY(cpu_intercepted(c, EV_INIT, NULL, 0));
	cpu_init_signal(c);
	return CPU_DONE;
}

static enum cpu_step take_sipi(struct vcpu *c)
{
	struct seg cs = {.sel = (uint16_t)(c->sipi_vector << 8), .base = (uint32_t)c->sipi_vector << 12,
		.limit = 0xffff, .ar = AR_P | AR_S | AR_WRITE | AR_ACCESSED};

	CPU_TRY(cpu_intercepted(c, EV_SIPI, NULL, c->sipi_vector));
	vcpu_unpend(c, PEND_SIPI);
	seg_set(c, SEG_CS, &cs);
	c->rip = 0;
	c->mode_changed = true;
	wake(c);
	return CPU_DONE;
}

static enum cpu_step take_trap(struct vcpu *c)
{
	struct cpu_fault ev = {.vector = VEC_DB, .type = TYPE_HWEXC, .payload = c->pending_db};

	vcpu_unpend(c, PEND_DB);
	c->pending_db = 0;
	return take(c, ev);
}

static enum cpu_step take_nmi(struct vcpu *c)
{
	struct cpu_fault ev = {.vector = VEC_NMI, .type = TYPE_NMI};

	CPU_TRY(cpu_intercepted(c, EV_NMI, NULL, 0));
	vcpu_unpend(c, PEND_NMI);
	return take(c, ev);
}

static enum cpu_step take_vector(struct vcpu *c, int vector)
{
	struct cpu_fault ev = {.vector = (uint8_t)vector, .type = TYPE_EXTINT};

	return vector < 0 ? CPU_DONE : take(c, ev);
}

/* "External-interrupt exiting" looks past IF, but not past the shadows. */
static enum cpu_step take_interrupt(struct vcpu *c, bool *taken)
{
	*taken = false;
	if (c->sti_shadow || c->movss_shadow)
		return CPU_DONE;
	CPU_TRY(cpu_intercepted(c, EV_EXTINT, NULL, 0));
	/* a posted-interrupt notification is used up without an exit */
	if (!cpu_interrupts_open(c) || !c->apic_ops || !(c->pending & PEND_INTR))
		return CPU_DONE;
	*taken = true;
	return take_vector(c, c->apic_ops->ack(c->apic));
}

static enum cpu_step look_at_windows(struct vcpu *c)
{
	if (cpu_nmi_open(c))
		CPU_TRY(cpu_intercepted(c, EV_NMI_WINDOW, NULL, 0));
	return CPU_DONE;
}

/* NMI and below: what an active or halted processor takes. */
static enum cpu_step take_lower(struct vcpu *c, bool shutdown)
{
	bool virtual_nmi = c->nonroot.on && c->nonroot.nmi_mask_by_virtual;
	bool taken;

	if (c->pending & PEND_WINDOWS)
		CPU_TRY(look_at_windows(c));
	if ((c->pending & PEND_NMI) && (cpu_nmi_open(c) || (virtual_nmi && !c->movss_shadow)))
		return take_nmi(c);
	if (shutdown)
		return CPU_DONE;
	if ((c->pending & PEND_WINDOWS) && cpu_interrupts_open(c))
		CPU_TRY(cpu_intercepted(c, EV_INTR_WINDOW, NULL, 0));
	if (c->pending & PEND_INTR) {
		CPU_TRY(take_interrupt(c, &taken));
		if (taken)
			return CPU_DONE;
	}
	if ((c->pending & PEND_VIRT) && cpu_interrupts_open(c) && c->nonroot.on)
		return take_vector(c, c->hooks->virtual_interrupt(c));
	return CPU_DONE;
}

static enum cpu_step take_highest(struct vcpu *c)
{
	uint32_t p = c->pending;

	if (p & PEND_RESET) {
		vcpu_unpend(c, PEND_RESET);
		vcpu_reset(c, false);
		return CPU_DONE;
	}
	if (c->activity == ACTIVITY_WAIT_SIPI) {
		vcpu_unpend(c, PEND_INIT); /* it is in that state already */
		return p & PEND_SIPI ? take_sipi(c) : CPU_DONE;
	}
	if (p & PEND_INIT)
		return take_init(c);
	vcpu_unpend(c, PEND_SIPI); /* lost when nobody waits for it */
	if (c->activity == ACTIVITY_SHUTDOWN) {
		if (p & PEND_TIMER)
			CPU_TRY(cpu_intercepted(c, EV_PREEMPTION_TIMER, NULL, 0));
		return take_lower(c, true);
	}
	if (p & PEND_MTF) {
		vcpu_unpend(c, PEND_MTF);
		CPU_TRY(cpu_intercepted(c, EV_MTF, NULL, 0));
	}
	if ((p & PEND_DB) && c->movss_shadow) {
		/* The load of SS loses its own single-step trap; data breakpoints
		 * that it met are held for one instruction. */
		c->pending_db &= ~UINT64_C(0x4000);
		if (!c->pending_db)
			vcpu_unpend(c, PEND_DB);
	} else if (p & PEND_DB) {
		return take_trap(c);
	}
	if (p & PEND_TIMER)
		CPU_TRY(cpu_intercepted(c, EV_PREEMPTION_TIMER, NULL, 0));
	return take_lower(c, false);
}

enum cpu_step cpu_boundary(struct vcpu *c)
{
	enum cpu_step s;

	if (c->pending & PEND_STOP) {
		vcpu_unpend(c, PEND_STOP);
		c->leave = LEAVE_KICK;
		return CPU_LEAVE;
	}
	uint64_t rip;
	do { /* what still pends comes before the handler's first instruction */
		rip = c->rip;
		s = take_highest(c);
	} while (s == CPU_DONE && c->rip != rip && c->pending && c->activity == ACTIVITY_ACTIVE);
	if (s == CPU_DONE && c->activity == ACTIVITY_WAIT_SIPI && (c->pending & PEND_SIPI))
		s = take_sipi(c);
	if (s == CPU_DONE && c->activity != ACTIVITY_ACTIVE) {
		c->leave = LEAVE_HALT;
		return CPU_LEAVE;
	}
	return s;
}

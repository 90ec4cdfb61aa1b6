/* Recording VM exits. */
#include "vmx/record.h"

uint64_t vmx_tsc(const struct vcpu *c)
{
	/* inside a slice the clock lags behind the count, outside the other way round */
	uint64_t counted = c->clock_base + c->retired;
	uint64_t now = c->clock ? c->clock->now : 0;

	return (counted > now ? counted : now) + c->msr.tsc_adjust;
}

static uint32_t event_info(const struct cpu_fault *f)
{
	return f->vector | (uint32_t)f->type << INTR_TYPE_SHIFT |
		(f->has_error ? INTR_ERROR_CODE : 0) | INTR_VALID;
}

/* SDM 27.2.4 "Information for VM Exits During Event Delivery". */
static void record_vectoring(struct vcpu *c, struct vmx_exit *x)
{
	if (!c->delivering)
		return;
	x->idt_info = event_info(&c->vectoring);
	x->idt_error = c->vectoring.has_error ? c->vectoring.error : 0;
	if (c->vectoring.type == TYPE_SWINT || c->vectoring.type == TYPE_SWEXC ||
		c->vectoring.type == TYPE_PRIV_SWEXC)
		x->insn_len = c->vectoring.insn_len;
}

enum cpu_step vmx_record(
	struct vcpu *c, enum vmx_exit_reason reason, const struct insn *i, uint64_t qualification)
{
	struct vmx_cpu *v = vmx_of(c);
	struct vmx_exit *x = &v->exit;

	*x = (struct vmx_exit){.reason = reason, .qualification = qualification};
	if (i) {
		x->insn_len = i->len;
		x->insn_info = vmx_insn_info(c, reason, i, &x->qualification);
	}
	record_vectoring(c, x);
	v->exiting = true;
	return CPU_EXIT;
}

void vmx_record_trap(struct vcpu *c, enum vmx_exit_reason reason, uint64_t qualification)
{
	struct vmx_cpu *v = vmx_of(c);

	v->trap = (struct vmx_exit){.reason = reason, .qualification = qualification, .trap = true};
	v->trap_due = true;
	vcpu_pend(c, PEND_TIMER);
}

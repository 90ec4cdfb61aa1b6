/* L2's preemption timer without the hardware's (use.preemption-timer=off): a
 * deadline of L0's own ends L2's run at the same tick, and by the same exit.
 *
 * It runs from L1's entry to the reflection that ends it; the exits that L0
 * handles meanwhile do not stop it. SDM Vol. 3C 25.5.1 "VMX-Preemption Timer".
 */
#include "l0/nested.h"

#include "base/state.h"
#include "vmx/controls.h"

static void fired(void *owner)
{
	struct nested_vcpu *nv = owner;

	vmx_exit_at_boundary(nv->c, EXIT_REASON_PREEMPTION_TIMER);
}

/* In the place of the hardware's timer, which nobody uses then: the state of a
 * machine is the same with either. */
void nested_timer_init(struct nested_vcpu *nv)
{
	if (nv->n->opt->use[L0_USE_PREEMPTION_TIMER])
		return;
	clock_unregister(nv->c->clock, &vmx_of(nv->c)->timer);
	clock_register(nv->c->clock, &nv->timer.clock, fired, nv);
}

void nested_timer_done(struct nested_vcpu *nv)
{
	if (nv->c && !nv->n->opt->use[L0_USE_PREEMPTION_TIMER])
		clock_unregister(nv->c->clock, &nv->timer.clock);
}

void nested_timer_resume(struct nested_vcpu *nv)
{
	if (!nv->timer.on)
		return;
	if (nv->timer.deadline <= vmx_tsc(nv->c))
		vmx_exit_at_boundary(nv->c, EXIT_REASON_PREEMPTION_TIMER);
	else
		clock_arm(nv->c->clock, &nv->timer.clock, nv->timer.deadline - nv->c->msr.tsc_adjust);
}

void nested_timer_start(struct nested_vcpu *nv)
{
	const struct vmcs *v = &nv->cur->v;

	nv->timer.on = !nv->n->opt->use[L0_USE_PREEMPTION_TIMER] &&
		vmcs_get(v, VMCS_PIN_BASED_VM_EXEC_CONTROL) & PIN_PREEMPTION_TIMER;
	if (!nv->timer.on)
		return;
	nv->timer.deadline =
		vmx_timer_deadline(nv->c, vmcs_get(v, VMCS_VMX_PREEMPTION_TIMER_VALUE));
	nested_timer_resume(nv);
}

/* The value that an exit of the hardware's timer would save. */
void nested_timer_save(struct nested_vcpu *nv)
{
	if (nv->timer.on)
		nv->vmcs02.v[VMCS_VMX_PREEMPTION_TIMER_VALUE] =
			vmx_timer_until(nv->c, nv->timer.deadline);
}

void nested_timer_stop(struct nested_vcpu *nv)
{
	if (!nv->timer.on)
		return;
	nv->timer.on = false;
	clock_disarm(nv->c->clock, &nv->timer.clock);
}

void nested_timer_state(struct nested_vcpu *nv, struct state *s)
{
	if (nv->n->opt->use[L0_USE_PREEMPTION_TIMER])
		return;
	state_bool(s, &nv->timer.on);
	state_u64(s, &nv->timer.deadline);
}

/* For the hash: what L2 can tell is a timer, whoever runs it. */
void nested_timer_hash(struct nested_vcpu *nv, struct state *s)
{
	struct vmx_cpu *x = vmx_of(nv->c);
	const struct vmx_cpu kept = *x;

	if (nv->timer.on) {
		x->timer_on = true;
		x->timer_deadline = nv->timer.deadline;
		if (x->trap_due && x->trap.reason == EXIT_REASON_PREEMPTION_TIMER)
			x->trap_due = false;
	}
	vmx_state(nv->c, s);
	*x = kept;
}

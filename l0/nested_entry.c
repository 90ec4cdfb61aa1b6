/* VMLAUNCH and VMRESUME for L1, SDM Vol. 3C chapter 26 "VM Entries". */
#include "l0/nested.h"

#include "base/log.h"
#include "l0/nested_flags.h"
#include "l0/shadow/vcpu.h"
#include "vmx/controls.h"

#include <assert.h>
#include <string.h>

static bool read_l1(void *ctx, uint64_t at, unsigned size, uint64_t *value)
{
	struct nested *n = ctx;

	*value = 0;
	return size <= 8 && phys_read(&n->l->machine->phys, hpa(at), value, size);
}

struct vmx_check_ctx nested_check_ctx(const struct nested_vcpu *nv, const struct vmcs *v)
{
	return (struct vmx_check_ctx){.v = v,
		.caps = &nv->n->l1,
		.host_long_mode = nv->c->msr.efer & EFER_LMA,
		.mem = read_l1,
		.mem_ctx = nv->n,
		.current_vmcs = nv->cur ? nv->cur->at : NESTED_NONE,
		.vmxon = nv->vmxon};
}

static void keep_failure(struct nested_vcpu *nv, const struct vmx_exit *x, int check,
	uint32_t insn_error, uint32_t reason, uint64_t qualification)
{
	struct nested_failure *f = &nv->cur->failure;

	f->valid = true;
	f->at = l0_position(nv->n->l);
	f->rip = nv->c->rip;
	f->cr3 = nv->c->cr3;
	f->launch = (x->reason & 0xffff) == EXIT_REASON_VMLAUNCH;
	f->insn_error = insn_error;
	f->reason = reason;
	f->qualification = qualification;
	f->check = check;
	f->host_long_mode = nv->c->msr.efer & EFER_LMA;
	f->v = nv->cur->v;
}

/* Controls and host state: 0, or the VM-instruction error. */
static enum vmx_insn_error check_before(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	struct vmx_check_ctx ctx = nested_check_ctx(nv, &nv->cur->v);
	const uint8_t ctrl = BIT(VMCS_TYPE_CONTROL), host = BIT(VMCS_TYPE_HOST);
	uint8_t dirty = nv->merged ? nv->cur->v.dirty : 0xf;
	int failed;

	if (dirty & ctrl && (failed = vmx_check_first(&ctx, CHECK_CTRL)) >= 0) {
		keep_failure(nv, x, failed, INSN_ERROR_ENTRY_INVALID_CONTROL_FIELD, 0, 0);
		return INSN_ERROR_ENTRY_INVALID_CONTROL_FIELD;
	}
	if (dirty & (ctrl | host) && (failed = vmx_check_first(&ctx, CHECK_HOST)) >= 0) {
		keep_failure(nv, x, failed, INSN_ERROR_ENTRY_INVALID_HOST_STATE_FIELD, 0, 0);
		return INSN_ERROR_ENTRY_INVALID_HOST_STATE_FIELD;
	}
	return 0;
}

static bool guest_state_ok(struct nested_vcpu *nv, const struct vmx_exit *x, uint64_t *qual)
{
	struct vmx_check_ctx ctx = nested_check_ctx(nv, &nv->cur->v);
	const uint8_t ctrl = BIT(VMCS_TYPE_CONTROL), guest = BIT(VMCS_TYPE_GUEST);
	uint8_t dirty = nv->merged ? nv->cur->v.dirty : 0xf;
	int failed;

	if (!(dirty & (ctrl | guest)))
		return true;
	failed = vmx_check_first(&ctx, CHECK_GUEST);
	if (failed < 0)
		return true;
	*qual = vmx_check_qualification(failed);
	keep_failure(nv, x, failed, 0, EXIT_REASON_INVALID_STATE, *qual);
	return false;
}

static void entry_failed(struct nested_vcpu *nv, const struct vmx_exit *x, uint64_t rip,
	uint32_t reason, uint64_t qualification)
{
	record_entry(nv, x, rip, reason);
	reflect_entry_failure(nv, reason, qualification);
}

/* L2 runs, or L1 goes on at its host RIP with an entry failure. */
static void enter_l2(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	struct vcpu *c = nv->c;
	uint64_t rip = c->rip, qualification = 0;
	struct vmcs *shadow;
	enum vmx_entry r;
	int failed = -1;

	vmx_exit_complete(c);
	if (!guest_state_ok(nv, x, &qualification)) {
		entry_failed(nv, x, rip, EXIT_REASON_INVALID_STATE, qualification);
		return;
	}
	if (shadow_on(nv) && !shadow_pdptes_ok(nv, &nv->cur->v)) {
		keep_failure(nv, x, CHECK_GUEST_PDPTES_IN_MEMORY, 0, EXIT_REASON_INVALID_STATE,
			ENTRY_QUAL_PDPTE);
		entry_failed(nv, x, rip, EXIT_REASON_INVALID_STATE, ENTRY_QUAL_PDPTE);
		return;
	}
	vmcs02_merge(nv);
	shadow = nv->vmcs02.v[VMCS_VMCS_LINK_POINTER] == UINT64_MAX ? NULL : nv->shadow12;
	nested_retire(nv);
	r = vmx_enter(c, &nv->vmcs02, shadow, false, &failed);
	switch (r) {
	case VMX_ENTERED:
	case VMX_ENTERED_EXIT:
		shadow_entered(nv);
		nested_timer_start(nv);
		if (nv->init_blocked) { /* held back in L1's root operation */
			nv->init_blocked = false;
			vcpu_pend(c, PEND_INIT);
		}
		break;
	case VMX_FAIL_GUEST: /* what depends on memory: PDPTEs, the link pointer */
	case VMX_FAIL_MSR_LOAD: {
		struct vmx_exit f = vmx_of(c)->exit;
		keep_failure(nv, x, failed, 0, f.reason & 0xffff, f.qualification);
		nv->merged = false;
		if (r == VMX_FAIL_MSR_LOAD) /* L2's state is in the vCPU already */
			shadow_drop_l2(nv);
		entry_failed(nv, x, rip, f.reason & 0xffff, f.qualification);
		return;
	}
	case VMX_FAIL_CONTROLS:
	case VMX_FAIL_HOST:
		log_say(nv->n->l->log, LOG_ERROR, "vmx", "VMCS02 does not pass %s",
			failed >= 0 ? vmx_checks[failed].name : "a check");
		assert(!"VMCS02 must pass when VMCS12 has passed");
	}
	nv->cur->v.dirty = 0;
	if ((x->reason & 0xffff) == EXIT_REASON_VMLAUNCH)
		nv->cur->v.launched = true;
	nv->cur->entries++;
	nv->cur->seen = true;
	nv->cur->eptp = nv->eptp12;
	nv->l0v->level = 2;
	record_entry(nv, x, rip, 0);
}

static enum cpu_step enter(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	bool launch = (x->reason & 0xffff) == EXIT_REASON_VMLAUNCH;
	enum cpu_step step = l1_permitted(nv);
	enum vmx_insn_error error;

	if (step != CPU_DONE)
		return step;
	vmcs12_from_shadow(nv);
	if (!nv->cur || nv->cur->v.shadow)
		return vm_fail_invalid(nv);
	if (nv->c->movss_shadow)
		return vm_fail(nv, INSN_ERROR_ENTRY_MOV_SS_BLOCKING);
	if (launch && nv->cur->v.launched)
		return vm_fail(nv, INSN_ERROR_VMLAUNCH_NONCLEAR_VMCS);
	if (!launch && !nv->cur->v.launched)
		return vm_fail(nv, INSN_ERROR_VMRESUME_NONLAUNCHED_VMCS);
	error = check_before(nv, x);
	if (error) {
		record_entry(nv, x, nv->c->rip, x->reason & 0xffff);
		return vm_fail(nv, error);
	}
	enter_l2(nv, x);
	return CPU_EXIT;
}

enum cpu_step l1_vmlaunch(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	return enter(nv, x);
}

enum cpu_step l1_vmresume(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	return enter(nv, x);
}

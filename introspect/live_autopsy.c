/* Entry autopsy and capabilities of the live machine, from vmx/'s rows. */
#include "introspect/live_machine.h"

#include "l0/shadow/vcpu.h"
#include "vmx/controls.h"

#include <stdio.h>
#include <string.h>

/* The VMCS12 with the latest failure on a vCPU. */
static struct nested_vmcs12 *last_failed(struct live *v, unsigned vcpu)
{
	struct nested_vmcs12 *best = NULL;
	for (unsigned i = 0; i < NESTED_VMCS12S; i++) {
		struct nested_vmcs12 *m = &v->n->vmcs12[i];
		if (m->at == NESTED_NONE || !m->failure.valid ||
			(m->vcpu >= 0 ? (unsigned)m->vcpu : vcpu) != vcpu)
			continue;
		if (!best || m->failure.at.clock > best->failure.at.clock)
			best = m;
	}
	return best;
}

/* The capability MSR's word on the first field, where it is a control. */
static void legal_bits(struct live *v, struct autopsy_finding *out, uint32_t msr)
{
	uint64_t value;
	out->msr = msr;
	if (!msr || !vmx_caps_rdmsr(&v->n->l1, msr, &value))
		return;
	for (int g = 0; g < GROUP_COUNT; g++) {
		if (vmx_control_groups[g].msr != msr && vmx_control_groups[g].true_msr != msr)
			continue;
		out->has_legal = true;
		out->must_be_1 = (uint32_t)value;
		out->may_be_1 = value >> 32;
	}
}

static void finding(struct live *v, const struct nested_vmcs12 *m, const struct vmcs *x,
	const struct vmx_check_failure *fail, struct autopsy_finding *out)
{
	const struct vmx_check *row = &vmx_checks[fail->id];
	*out = (struct autopsy_finding){.check = row->name, .section = row->section,
		.rule = row->legal, .bad_bits = fail->bad};
	for (unsigned i = 0; i < row->fields && i < AUTOPSY_FIELDS; i++) {
		enum vmcs_field f = row->field[i];
		struct nested_writer w = vmcs12_writer(m, f);
		struct autopsy_field *field = &out->field[out->fields++];
		*field = (struct autopsy_field){.encoding = vmcs_encoding(f), .value = vmcs_get(x, f),
			.written = w.kind != NESTED_BY_NOBODY};
		field->writer = (struct intro_vmcs_write){.at = w.at, .encoding = field->encoding,
			.writer = live_writer_kind(w.kind),
			.vcpu = w.vcpu, .vmcs12 = m->at, .rip = w.rip, .cr3 = w.cr3,
			.value = field->value};
	}
	legal_bits(v, out, row->msr);
}

static void run_checks(struct live *v, struct nested_vcpu *nv, const struct nested_vmcs12 *m,
	const struct vmcs *x, bool host_long_mode, struct autopsy *out)
{
	struct vmx_check_failure fail[AUTOPSY_MAX];
	struct vmx_check_ctx ctx = nested_check_ctx(nv, x);
	ctx.host_long_mode = host_long_mode;
	ctx.current_vmcs = m->at;
	unsigned n = vmx_check_all(&ctx, fail, AUTOPSY_MAX);
	for (unsigned i = 0; i < n && i < AUTOPSY_MAX; i++)
		finding(v, m, x, &fail[i], &out->finding[out->findings++]);
}

static bool live_now(struct live *v, struct nested_vcpu *nv, struct autopsy *out, struct err *e)
{
	struct vmcs now;
	if (!nv->cur)
		return err_set(e, ERR_GENERAL, "L1 has no current VMCS on this vCPU (VMPTRLD makes one)");
	now = nv->shadow.dirty ? nv->shadow : nv->cur->v;
	out->vmcs12 = nv->cur->at;
	out->live = true;
	run_checks(v, nv, nv->cur, &now, nv->c->msr.efer & EFER_LMA, out);
	out->kind = out->findings ? AUTOPSY_ENTRY_FAIL : AUTOPSY_CLEAN;
	out->instruction = "the next VM entry";
	out->rip = nv->c->rip;
	out->cr3 = shadow_regs_of(nv, nv->l0v->level).cr3;
	out->position = l0_position(v->l);
	if (out->findings) {
		/* by the class of the first row that fails: SDM 26.2, 26.3 */
		enum vmx_check_class c = CHECK_GUEST;
		for (int i = 0; i < CHECK_COUNT; i++)
			if (!strcmp(vmx_checks[i].name, out->finding[0].check))
				c = vmx_checks[i].class;
		if (c != CHECK_GUEST) {
			out->kind = AUTOPSY_VMFAIL;
			out->error = c == CHECK_CTRL ? INSN_ERROR_ENTRY_INVALID_CONTROL_FIELD :
				INSN_ERROR_ENTRY_INVALID_HOST_STATE_FIELD;
			out->error_text = vm_instruction_error_text(out->error);
		} else {
			out->reason = EXIT_REASON_INVALID_STATE;
		}
	}
	return true;
}

/* A VMX instruction that failed without a failed entry: its number is kept in
 * VMCS12. */
static bool instruction_error(struct nested_vcpu *nv, struct autopsy *out)
{
	uint64_t error = nv->cur ? vmcs_get(&nv->cur->v, VMCS_VM_INSTRUCTION_ERROR) : 0;
	if (!error)
		return false;
	struct nested_writer w = vmcs12_writer(nv->cur, VMCS_VM_INSTRUCTION_ERROR);
	out->kind = AUTOPSY_VMFAIL;
	out->error = (uint32_t)error;
	out->error_text = vm_instruction_error_text(out->error);
	out->instruction = "a VMX instruction";
	out->vmcs12 = nv->cur->at;
	out->rip = w.rip;
	out->cr3 = w.cr3;
	out->position = w.at;
	return true;
}

bool live_autopsy(void *ctx, struct place at, bool live, struct autopsy *out, struct err *e)
{
	struct live *v = ctx;
	struct nested_vcpu *nv = live_nested(v, at.vcpu);
	memset(out, 0, sizeof *out);
	out->at = (struct place){LEVEL_L1, at.vcpu};
	if (!nv)
		return err_set(e, ERR_GENERAL, "the processor is bare (--l0 none): no VM entries to explain");
	if (live)
		return live_now(v, nv, out, e);
	const struct nested_vmcs12 *m = last_failed(v, at.vcpu);
	if (!m) {
		if (instruction_error(nv, out))
			return true;
		return err_set(e, ERR_GENERAL, "no VM entry or VMX instruction of L1 has failed on vCPU %u; "
			"autopsy live checks VMCS12 as it is", at.vcpu);
	}
	const struct nested_failure *f = &m->failure;
	out->kind = f->insn_error ? AUTOPSY_VMFAIL : AUTOPSY_ENTRY_FAIL;
	out->position = f->at;
	out->vmcs12 = m->at;
	out->instruction = f->launch ? "VMLAUNCH" : "VMRESUME";
	out->rip = f->rip;
	out->cr3 = f->cr3;
	out->error = f->insn_error;
	out->error_text = vm_instruction_error_text(f->insn_error);
	out->reason = f->reason;
	out->qualification = f->qualification;
	run_checks(v, nv, m, &f->v, f->host_long_mode, out);
	if (!out->findings && f->reason == EXIT_REASON_MSR_LOAD_FAIL)
		snprintf(out->advice, sizeof out->advice, "entry %llu of the VM-entry MSR-load list cannot be "
			"loaded: reserved bits must be 0, index and value those that WRMSR takes",
			(unsigned long long)f->qualification);
	return true;
}

/* --- capabilities ------------------------------------------------------------------------- */

static bool msr_rows(const struct vmx_caps *caps, cap_fn *fn, void *ctx)
{
	static const char *const names[] = {"IA32_VMX_BASIC", "IA32_VMX_PINBASED_CTLS",
		"IA32_VMX_PROCBASED_CTLS", "IA32_VMX_EXIT_CTLS", "IA32_VMX_ENTRY_CTLS", "IA32_VMX_MISC",
		"IA32_VMX_CR0_FIXED0", "IA32_VMX_CR0_FIXED1", "IA32_VMX_CR4_FIXED0", "IA32_VMX_CR4_FIXED1",
		"IA32_VMX_VMCS_ENUM", "IA32_VMX_PROCBASED_CTLS2", "IA32_VMX_EPT_VPID_CAP",
		"IA32_VMX_TRUE_PINBASED_CTLS", "IA32_VMX_TRUE_PROCBASED_CTLS", "IA32_VMX_TRUE_EXIT_CTLS",
		"IA32_VMX_TRUE_ENTRY_CTLS", "IA32_VMX_VMFUNC"};
	for (uint32_t msr = MSR_VMX_BASIC; msr <= MSR_VMX_LAST; msr++) {
		struct cap_row row = {.group = names[msr - MSR_VMX_BASIC], .msr = msr, .bit = -1};
		if (vmx_caps_rdmsr(caps, msr, &row.value) && !fn(ctx, &row))
			return false;
	}
	return true;
}

static void control_rows(const struct vmx_caps *caps, cap_fn *fn, void *ctx)
{
	for (unsigned i = 0; i < vmx_controls_count; i++) {
		const struct vmx_control *c = &vmx_controls[i];
		const struct vmx_control_group_row *g = &vmx_control_groups[c->group];
		uint32_t msr = vmx_control_msr(caps, c->group);
		uint64_t value = 0;
		const char *key = vmx_cap_key(c->cap);
		vmx_caps_rdmsr(caps, msr, &value);
		struct cap_row row = {.group = vmcs_name(g->field), .name = c->text, .msr = msr,
			.bit = c->bit, .may_be_1 = value >> 32 >> c->bit & 1, .must_be_1 = value >> c->bit & 1,
			.key = key && *key ? key : NULL, .section = g->section};
		if (!fn(ctx, &row))
			return;
	}
}

bool live_caps(void *ctx, const char *model, cap_fn *fn, void *fn_ctx, struct err *e)
{
	struct live *v = ctx;
	struct vmx_caps other = {0};
	struct cpu_model m;
	bool cap[CAP_COUNT];
	const struct vmx_caps *caps;
	if (!v->n)
		return err_set(e, ERR_GENERAL, "the processor is bare (--l0 none): L1 is offered no VMX");
	caps = &v->n->l1;
	if (model) {
		if (!cpu_model_parse(&m, model, e))
			return false;
		vmx_caps_full(cap);
		vmx_caps_make(&other, cap, m.phys_bits, vmx_model_cr4(&m));
		caps = &other;
	}
	if (msr_rows(caps, fn, fn_ctx))
		control_rows(caps, fn, fn_ctx);
	return true;
}

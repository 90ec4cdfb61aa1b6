/* VMCS access through the backend, with errors that say what would be right. */
#include "introspect/private.h"
#include "introspect/exits.h"

#include <string.h>

static bool no_vmcs(struct intro *s, struct place at, enum intro_vmcs which, struct err *e)
{
	struct intro_vcpu v;
	if (which == INTRO_VMCS01)
		return err_set(e, ERR_GENERAL,
			"there is no VMCS01: the processor is bare (--l0 none)");
	if (intro_vcpu(s, at.vcpu, &v) && v.vmx == INTRO_VMX_OFF)
		return err_set(e, ERR_GENERAL, "there is no VMCS%s: L1 has not executed VMXON on "
			"vCPU %u", intro_vmcs_name(which), at.vcpu);
	if (which == INTRO_VMCS12)
		return err_set(e, ERR_GENERAL, "there is no VMCS12: L1 has no current VMCS on "
			"vCPU %u (VMPTRLD makes one)", at.vcpu);
	if (which == INTRO_VMCS02)
		return err_set(e, ERR_GENERAL, "there is no VMCS02: L1 has not entered an L2 on "
			"vCPU %u yet", at.vcpu);
	return err_set(e, ERR_GENERAL, "there is no shadow VMCS: VMCS shadowing is off "
		"(--l0 use.shadow-vmcs=on), or L1 has no current VMCS on vCPU %u", at.vcpu);
}

bool intro_vmcs_region(struct intro *s, struct place at, enum intro_vmcs which, uint64_t *out)
{
	return at.vcpu < intro_vcpus(s) && s->ops->vmcs_region(s->ctx, at, which, out);
}

bool intro_vmcs_get(struct intro *s, struct place at, enum intro_vmcs which, uint32_t encoding,
	struct intro_vmcs_value *out, struct err *e)
{
	uint64_t region;
	const struct intro_field *f = intro_field_by_encoding(encoding);
	if (!f)
		return err_set(e, ERR_GENERAL, "no VMCS field has the encoding 0x%x", encoding);
	if (!intro_vmcs_region(s, at, which, &region))
		return no_vmcs(s, at, which, e);
	if (!s->ops->vmcs_get(s->ctx, at, which, encoding, out))
		return err_set(e, ERR_GENERAL, "VMCS%s has no field %s", intro_vmcs_name(which), f->name);
	return true;
}

bool intro_vmcs_set(struct intro *s, struct place at, enum intro_vmcs which, uint32_t encoding,
	uint64_t value, struct err *e)
{
	const struct intro_field *f = intro_field_by_encoding(encoding);
	struct intro_vmcs_value old;
	if (!intro_vmcs_get(s, at, which, encoding, &old, e))
		return false;
	if (which != INTRO_VMCS12)
		return err_set(e, ERR_GENERAL, "VMCS%s is L0's own; write VMCS12 and L0 merges it at the "
			"next entry", intro_vmcs_name(which));
	if (f->size < 8 && value >> (8 * f->size))
		return err_set(e, ERR_GENERAL, "0x%llx does not fit the %u bits of %s",
			(unsigned long long)value, 8 * f->size, f->name);
	if (!s->ops->vmcs_set)
		return intro_cannot(s, "write VMCS fields", e);
	if (!s->ops->vmcs_set(s->ctx, at, encoding, value, e))
		return false;
	intro_changed(s, at, f->name);
	return true;
}

bool intro_vmcs_writer(
	struct intro *s, struct place at, uint32_t encoding, struct intro_vmcs_write *out)
{
	return s->ops->vmcs_writer && s->ops->vmcs_writer(s->ctx, at, encoding, out);
}

size_t intro_vmcs_history(struct intro *s, struct place at, uint32_t encoding,
	struct intro_vmcs_write *out, size_t max)
{
	uint64_t region;
	size_t n = 0;
	if (!s->ops->vmcs_write_at || !intro_vmcs_region(s, at, INTRO_VMCS12, &region))
		return 0;
	for (size_t i = 0; n < max && s->ops->vmcs_write_at(s->ctx, i, &out[n]); i++)
		if (out[n].vmcs12 == region && (!encoding || out[n].encoding == encoding))
			n++;
	return n;
}

bool intro_vmcs_origin(struct intro *s, struct place at, uint32_t encoding,
	struct intro_vmcs_origin *out, struct err *e)
{
	struct intro_vmcs_value v;
	const struct intro_field *f = intro_field_by_encoding(encoding);
	if (!intro_vmcs_get(s, at, INTRO_VMCS02, encoding, &v, e))
		return false;
	if (!s->ops->vmcs_origin || !s->ops->vmcs_origin(s->ctx, at, encoding, out))
		return err_set(e, ERR_GENERAL, "the merge has no rule for %s", f->name);
	return true;
}

/* --- in words ---------------------------------------------------------------------- */

static uint64_t beside(struct intro *s, struct place at, enum intro_vmcs which, const char *name)
{
	struct intro_vmcs_value v;
	const struct intro_field *f = intro_field_find(name);
	return f && intro_vmcs_get(s, at, which, f->encoding, &v, NULL) ? v.value : 0;
}

/* Whose code a VMCS's guest or host pointers lead to; 0: nestscope's own. */
static unsigned level_of(struct intro *s, struct place at, enum intro_vmcs which, bool guest)
{
	struct intro_level l[INTRO_MAX_LEVELS];
	uint64_t region;
	if (which == INTRO_VMCS01)
		return guest ? LEVEL_L1 : 0;
	if (!guest)
		return which == INTRO_VMCS02 ? 0 : LEVEL_L1;
	if (at.level >= LEVEL_L2)
		return at.level;
	unsigned n = intro_levels(s, l, INTRO_MAX_LEVELS);
	if (s->ops->vmcs_region(s->ctx, at, INTRO_VMCS12, &region))
		for (unsigned i = 0; i < n; i++)
			if (l[i].id >= LEVEL_L2 && l[i].vmcs12 == region)
				return l[i].id;
	return LEVEL_L2;
}

void intro_vmcs_decode(struct intro *s, struct place at, enum intro_vmcs which,
	const struct intro_field *f, uint64_t value, struct buf *out)
{
	size_t n = strlen(f->name);
	struct symbol y;
	if (!strcmp(f->name, "EXIT_QUALIFICATION")) {
		const struct exit_record r = {.kind = EXIT_EXIT, .qualification = value,
			.reason = (uint32_t)beside(s, at, which, "VM_EXIT_REASON"),
			.intr_info = (uint32_t)beside(s, at, which, "VM_EXIT_INTR_INFO")};
		exit_qualification_decode(&r, out);
	} else if (n > 4 && (!strcmp(f->name + n - 4, "_RIP") || !strcmp(f->name + n - 4, "_EIP"))) {
		struct place code = {level_of(s, at, which, !strncmp(f->name, "GUEST_", 6)), at.vcpu};
		if (value && code.level && intro_symbol_at(s, code, value, &y))
			intro_symbol_print(s, code, value, out);
	} else {
		intro_field_decode(f, value, out);
	}
}

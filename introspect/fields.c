/* VMCS fields by name, and what their values mean; all from vmx/'s rows. */
#include "introspect/vmcs.h"
#include "introspect/exits.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Width, type and index of an encoding: SDM Vol. 3C 24.11.2 "VMREAD, VMWRITE,
 * and Encodings of VMCS Fields" table 24-21. */
#define ENC_TYPE(enc)  ((enc) >> 10 & 3)
#define ENC_WIDTH(enc) ((enc) >> 13 & 3)
#define ENC_SIZE(enc)  (ENC_WIDTH(enc) == 0 ? 2 : ENC_WIDTH(enc) == 2 ? 4 : 8)

static const struct intro_field fields[] = {
#define FIELD(enc, name, cap)                                                                  \
	{enc, #name, ENC_SIZE(enc), ENC_WIDTH(enc) == 3, ENC_TYPE(enc) == 1, ENC_TYPE(enc)},
#include "vmx/fields.def"
#undef FIELD
};

#define FIELDS (sizeof fields / sizeof *fields)

unsigned intro_field_count(void)
{
	return FIELDS;
}

const struct intro_field *intro_field_at(unsigned i)
{
	return i < FIELDS ? &fields[i] : NULL;
}

enum {
#define FIELD(enc, name, cap) AT_##name,
#include "vmx/fields.def"
#undef FIELD
};

const struct intro_field *intro_field_by_encoding(uint32_t encoding)
{
	switch (encoding) {
#define FIELD(enc, name, cap) \
	case enc: return &fields[AT_##name];
#include "vmx/fields.def"
#undef FIELD
	default: return NULL;
	}
}

/* Equal without case and underscores. */
static bool same_name(const char *a, const char *b)
{
	for (;; a++, b++) {
		while (*a == '_')
			a++;
		while (*b == '_')
			b++;
		if (toupper((unsigned char)*a) != toupper((unsigned char)*b))
			return false;
		if (!*a)
			return true;
	}
}

const struct intro_field *intro_field_find(const char *name)
{
	char *end;
	if (name[0] == '0' && (name[1] == 'x' || name[1] == 'X')) {
		unsigned long enc = strtoul(name, &end, 16);
		return *end || end == name + 2 ? NULL : intro_field_by_encoding((uint32_t)enc);
	}
	for (unsigned i = 0; i < FIELDS; i++)
		if (same_name(fields[i].name, name))
			return &fields[i];
	return NULL;
}

const char *intro_field_group_name(enum intro_field_group g)
{
	static const char *const names[FIELD_GROUPS] = {"control", "exit", "guest", "host"};
	return names[g];
}

bool intro_field_match(const struct intro_field *f, const char *pattern)
{
	if (!strcasecmp(pattern, "all") || !strcasecmp(pattern, intro_field_group_name(f->group)))
		return true;
	return !fnmatch(pattern, f->name, FNM_CASEFOLD) || same_name(f->name, pattern);
}

const char *intro_vmcs_name(enum intro_vmcs v)
{
	static const char *const names[INTRO_VMCS_COUNT] = {"01", "12", "02", "shadow"};
	return names[v];
}

bool intro_vmcs_parse(const char *text, enum intro_vmcs *v)
{
	if (!strncasecmp(text, "vmcs", 4))
		text += 4;
	if (!strcmp(text, "1"))
		text = "01";
	if (!strcmp(text, "2"))
		text = "02";
	for (int i = 0; i < INTRO_VMCS_COUNT; i++) {
		if (!strcasecmp(text, intro_vmcs_name(i))) {
			*v = i;
			return true;
		}
	}
	return false;
}

const char *intro_writer_name(enum intro_writer w)
{
	static const char *const names[] = {
		"nobody", "VMWRITE", "shadowed VMWRITE", "L0", "memory", "debugger", "plugin"};
	return names[w];
}

/* --- parts ------------------------------------------------------------------- */

enum group { PIN, PROC1, PROC2, EXIT, ENTRY };

#define CTRL_GROUP(group, field, msr, true_msr, default1, section) section,
static const char *const sections[] = {
#include "vmx/controls.def"
};
#undef CTRL_GROUP

static const struct {
	enum group group;
	struct intro_field_part part;
} controls[] = {
#define CTRL(group, bit, name, cap, text) {group, {bit, 1, text, NULL}},
#include "vmx/controls.def"
#undef CTRL
};

static const char *const control_fields[] = {
#define CTRL_GROUP(group, field, msr, true_msr, default1, section) #field,
#include "vmx/controls.def"
#undef CTRL_GROUP
};

#define FIELD_PART(field, low, bits, name) {low, bits, name, NULL},
static const struct intro_field_part other_parts[] = {
#include "introspect/field_parts.def"
};
#undef FIELD_PART

static const char *const other_names[] = {
#define FIELD_PART(field, low, bits, name) field,
#include "introspect/field_parts.def"
#undef FIELD_PART
};

unsigned intro_field_parts(
	const struct intro_field *f, struct intro_field_part *out, unsigned max)
{
	unsigned n = 0;
	for (size_t i = 0; i < sizeof controls / sizeof *controls && n < max; i++) {
		if (strcmp(control_fields[controls[i].group], f->name))
			continue;
		out[n] = controls[i].part;
		out[n++].section = sections[controls[i].group];
	}
	for (size_t i = 0; i < sizeof other_parts / sizeof *other_parts && n < max; i++)
		if (!fnmatch(other_names[i], f->name, 0))
			out[n++] = other_parts[i];
	return n;
}

static void decode_intr_info(uint64_t v, struct buf *out)
{
	static const char *const types[] = {"external interrupt", "reserved", "NMI",
		"hardware exception", "software interrupt", "privileged software exception",
		"software exception", "other event"};
	if (!(v & UINT64_C(0x80000000))) {
		buf_str(out, "not valid");
		return;
	}
	buf_fmt(out, "%s, vector %u%s%s", types[v >> 8 & 7], (unsigned)(v & 0xff),
		v & BIT(11) ? ", error code" : "", v & BIT(12) ? ", NMI unblocking" : "");
}

static void decode_access_rights(uint64_t v, struct buf *out)
{
	if (v & BIT(16)) {
		buf_str(out, "unusable");
		return;
	}
	buf_fmt(out, "type %u, %s, DPL %u%s%s%s%s", (unsigned)(v & 15),
		v & BIT(4) ? v & 8 ? "code" : "data" : "system", (unsigned)(v >> 5 & 3),
		v & BIT(7) ? "" : ", not present", v & BIT(13) ? ", L" : "",
		v & BIT(14) ? ", D/B" : "", v & BIT(15) ? ", G" : "");
}

static void decode_parts(const struct intro_field *f, uint64_t value, struct buf *out)
{
	struct intro_field_part part[48];
	const char *gap = "";
	unsigned n = intro_field_parts(f, part, 48);
	for (unsigned i = 0; i < n; i++) {
		uint64_t v = value >> part[i].low & (BIT(part[i].bits) - 1);
		if (!v)
			continue;
		buf_fmt(out, "%s%s", gap, part[i].name);
		if (part[i].bits > 1)
			buf_fmt(out, "=%llu", (unsigned long long)v);
		gap = ", ";
	}
}

void intro_field_decode(const struct intro_field *f, uint64_t value, struct buf *out)
{
	static const char *const activity[] = {"active", "HLT", "shutdown", "wait-for-SIPI"};
	if (!fnmatch("*_AR_BYTES", f->name, 0))
		decode_access_rights(value, out);
	else if (!strcmp(f->name, "VM_EXIT_INTR_INFO") || !strcmp(f->name, "IDT_VECTORING_INFO_FIELD") ||
		!strcmp(f->name, "VM_ENTRY_INTR_INFO_FIELD"))
		decode_intr_info(value, out);
	else if (!strcmp(f->name, "VM_EXIT_REASON"))
		buf_fmt(out, "%s%s", exit_reason_name(value & 0xffff),
			value & BIT(31) ? ", VM-entry failure" : "");
	else if (!strcmp(f->name, "VM_INSTRUCTION_ERROR"))
		buf_str(out, vm_instruction_error_text((uint32_t)value));
	else if (!strcmp(f->name, "GUEST_ACTIVITY_STATE"))
		buf_str(out, value < 4 ? activity[value] : "reserved");
	else
		decode_parts(f, value, out);
}

const char *vm_instruction_error_text(uint32_t number)
{
	switch (number) {
	case 0:
		return "";
#define INSN_ERROR(n, name, text) \
	case n:                   \
		return text;
#include "vmx/insn_errors.def"
#undef INSN_ERROR
	default:
		return "unknown VM-instruction error";
	}
}

/* The field table and VMREAD/VMWRITE proper. */
#include "vmx/vmcs.h"
#include "base/state.h"
#include "vmx/caps.h"
#include "vmx/codes.h"

#include <string.h>
#include <strings.h>

struct field_row {
	uint16_t encoding;
	uint16_t offset; /* in VMCS12 */
	uint8_t cap;
	const char *name;
};

enum field_offset {
#define VMCS12(offset, name) OFFSET_##name = offset,
#include "vmx/vmcs12_layout.def"
#include "vmx/vmcs12_ext.def"
#undef VMCS12
};

static const struct field_row rows[VMCS_FIELDS] = {
#define FIELD(encoding, name, cap) [VMCS_##name] = {encoding, OFFSET_##name, CAP_##cap, #name},
#include "vmx/fields.def"
#undef FIELD
};

/* Dense index + 1 by width, type and index; a repeated encoding does not
 * compile. Indices go to 63. */
#define KEY(e) (((e) >> 13 & 3) << 8 | ((e) >> 10 & 3) << 6 | ((e) >> 1 & 63))
static const uint8_t by_key[1024] = {
#define FIELD(encoding, name, cap) [KEY(encoding)] = VMCS_##name + 1,
#include "vmx/fields.def"
#undef FIELD
};
_Static_assert(VMCS_FIELDS < 255, "a field's index fits a byte");

void vmcs_init(struct vmcs *v, struct hpa at)
{
	*v = (struct vmcs){.revision = VMCS_REVISION, .at = at, .dirty = 0xf};
}

int vmcs_find(uint32_t encoding)
{
	/* bits 31:15 and 12 are reserved, and indices above 63 are not used */
	if (encoding & ~UINT32_C(0x6c7f))
		return -1;
	if ((encoding & 1) && vmcs_encoding_width(encoding) != VMCS_WIDTH_64)
		return -1;
	return by_key[KEY(encoding)] - 1;
}

int vmcs_find_name(const char *name)
{
	for (int f = 0; f < VMCS_FIELDS; f++)
		if (!strcasecmp(rows[f].name, name))
			return f;
	return -1;
}

uint32_t vmcs_encoding(enum vmcs_field f)
{
	return rows[f].encoding;
}

const char *vmcs_name(enum vmcs_field f)
{
	return rows[f].name;
}

unsigned vmcs_bytes(enum vmcs_field f)
{
	static const uint8_t bytes[] = {2, 8, 4, 8};

	return bytes[vmcs_encoding_width(rows[f].encoding)];
}

uint64_t vmcs_mask(enum vmcs_field f)
{
	return UINT64_MAX >> (64 - 8 * vmcs_bytes(f));
}

bool vmcs_exists(const struct vmx_caps *caps, enum vmcs_field f)
{
	return caps->cap[rows[f].cap];
}

void vmcs_set(struct vmcs *v, enum vmcs_field f, uint64_t value)
{
	v->v[f] = value & vmcs_mask(f);
	v->dirty |= 1u << vmcs_encoding_type(rows[f].encoding);
}

int vmcs_read(const struct vmcs *v, const struct vmx_caps *caps, uint32_t encoding,
	uint64_t *value, enum vmcs_field *field)
{
	int f = vmcs_find(encoding);

	if (f < 0 || !vmcs_exists(caps, f))
		return INSN_ERROR_UNSUPPORTED_VMCS_COMPONENT;
	if (field)
		*field = f;
	*value = encoding & 1 ? v->v[f] >> 32 : v->v[f];
	return 0;
}

int vmcs_write(struct vmcs *v, const struct vmx_caps *caps, uint32_t encoding, uint64_t value,
	enum vmcs_field *field)
{
	int f = vmcs_find(encoding);

	if (f < 0 || !vmcs_exists(caps, f))
		return INSN_ERROR_UNSUPPORTED_VMCS_COMPONENT;
	if (field)
		*field = f;
	/* IA32_VMX_MISC bit 29: VMWRITE reaches read-only data too */
	if (vmcs_encoding_type(encoding) == VMCS_TYPE_READ_ONLY &&
		!(vmx_caps_msr(caps, MSR_VMX_MISC) & BIT(29)))
		return INSN_ERROR_VMWRITE_READ_ONLY_COMPONENT;
	if (encoding & 1)
		value = (v->v[f] & UINT32_MAX) | value << 32;
	vmcs_set(v, f, value);
	return 0;
}

unsigned vmcs12_offset(enum vmcs_field f)
{
	return rows[f].offset;
}

void vmcs12_load(struct vmcs *v, const uint8_t page[VMCS_SIZE])
{
	uint32_t head[3];

	memcpy(head, page, sizeof head);
	v->revision = head[0] & ~(uint32_t)VMCS_SHADOW;
	v->shadow = head[0] >> 31;
	v->abort = head[1];
	v->launched = head[2];
	for (int f = 0; f < VMCS_FIELDS; f++) {
		v->v[f] = 0;
		memcpy(&v->v[f], page + rows[f].offset, vmcs_bytes(f));
	}
	v->dirty = 0xf;
}

void vmcs12_store(const struct vmcs *v, uint8_t page[VMCS_SIZE])
{
	const uint32_t head[3] = {
		v->revision | (v->shadow ? UINT32_C(1) << 31 : 0), v->abort, v->launched};

	memcpy(page, head, sizeof head);
	for (int f = 0; f < VMCS_FIELDS; f++)
		memcpy(page + rows[f].offset, &v->v[f], vmcs_bytes(f));
}

void vmcs_state(struct vmcs *v, struct state *s)
{
	state_section(s, "vmcs", 2);
	for (int f = 0; f < VMCS_FIELDS; f++) {
		state_u64(s, &v->v[f]);
		v->v[f] &= vmcs_mask(f);
	}
	state_u32(s, &v->revision);
	state_bool(s, &v->shadow);
	state_bool(s, &v->launched);
	state_u32(s, &v->abort);
	state_u64(s, &v->at.v);
	if (state_bookkeeping(s))
		state_u8(s, &v->dirty);
}

/* A VMCS as a C object: the hardware's own copy of the fields.
 *
 * Fields are 64-bit values at a dense index (enum vmcs_field, from
 * vmx/fields.def); a value never has bits above its field's width. A program
 * sees fields by encoding, and only those that its processor has (vmcs_read,
 * vmcs_write); vmx/ and l0/ use the index directly through vmcs_get and
 * vmcs_set.
 *
 * SDM Vol. 3C chapter 24 "Virtual Machine Control Structures".
 */
#ifndef VMX_VMCS_H
#define VMX_VMCS_H

#include "base/addr.h"

#include <assert.h>

struct state;
struct vmx_caps;

enum vmcs_field {
#define FIELD(encoding, name, cap) VMCS_##name,
#include "vmx/fields.def"
#undef FIELD
	VMCS_FIELDS
};

enum vmcs_encoding {
#define FIELD(encoding, name, cap) ENC_##name = encoding,
#include "vmx/fields.def"
#undef FIELD
};

enum vmcs_width { VMCS_WIDTH_16, VMCS_WIDTH_64, VMCS_WIDTH_32, VMCS_WIDTH_NATURAL };
enum vmcs_type { VMCS_TYPE_CONTROL, VMCS_TYPE_READ_ONLY, VMCS_TYPE_GUEST, VMCS_TYPE_HOST };

#define VMCS_REVISION UINT32_C(0x11e57ed0) /* KVM's VMCS12 layout */
#define VMCS_SIZE     4096
#define VMCS_SHADOW   BIT(31) /* shadow-VMCS indicator, beside the revision */

struct vmcs {
	uint64_t v[VMCS_FIELDS];
	uint32_t revision;
	bool shadow;    /* the shadow-VMCS indicator */
	bool launched;
	uint32_t abort; /* VMX-abort indicator, SDM 27.7 "VMX Aborts" */
	struct hpa at;  /* where the region is; UINT64_MAX when it has none */
	uint8_t dirty;  /* bit n: a field of enum vmcs_type n was set since vmx/ checked it */
};

static inline enum vmcs_width vmcs_encoding_width(uint32_t encoding)
{
	return encoding >> 13 & 3;
}

static inline enum vmcs_type vmcs_encoding_type(uint32_t encoding)
{
	return encoding >> 10 & 3;
}

/* All fields 0, clear, every class dirty. */
void vmcs_init(struct vmcs *v, struct hpa at);

/* Dense index of an encoding, its high half included; -1 when there is none. */
int vmcs_find(uint32_t encoding);
/* By name, as fields.def spells it, letters of either case; -1 when unknown. */
int vmcs_find_name(const char *name);

uint32_t vmcs_encoding(enum vmcs_field f);
const char *vmcs_name(enum vmcs_field f);
unsigned vmcs_bytes(enum vmcs_field f); /* 2, 4 or 8 */
uint64_t vmcs_mask(enum vmcs_field f);  /* the bits that the width has */

/* Does a processor with these capabilities have the field? */
bool vmcs_exists(const struct vmx_caps *caps, enum vmcs_field f);

static inline uint64_t vmcs_get(const struct vmcs *v, enum vmcs_field f)
{
	return v->v[f];
}

/* Sets a field and marks its class dirty. */
void vmcs_set(struct vmcs *v, enum vmcs_field f, uint64_t value);

/* VMREAD and VMWRITE proper: 0, or the VM-instruction error (12: no such
 * field on this processor; 13: read-only and the processor cannot write
 * those). `field`, when not NULL, gets the dense index. */
int vmcs_read(const struct vmcs *v, const struct vmx_caps *caps, uint32_t encoding,
	uint64_t *value, enum vmcs_field *field);
int vmcs_write(struct vmcs *v, const struct vmx_caps *caps, uint32_t encoding, uint64_t value,
	enum vmcs_field *field);

/* VMCS12 in L1's memory (vmx/vmcs12_layout.def, vmcs12_ext.def): fields,
 * revision, shadow indicator, abort indicator and launch state, from and to
 * a page. Bytes that no row names are kept by the store. */
void vmcs12_load(struct vmcs *v, const uint8_t page[VMCS_SIZE]);
void vmcs12_store(const struct vmcs *v, uint8_t page[VMCS_SIZE]);
unsigned vmcs12_offset(enum vmcs_field f);

void vmcs_state(struct vmcs *v, struct state *s);

#endif

/* The VMCSs of a nested stack: 01 (L0 runs L1), 12 (L1 wrote it for L2), 02
 * (L0 really runs L2) and the shadow of 12 that L1's VMREAD/VMWRITE use.
 *
 * Fields are named by encoding; names are the SDM's. A VMCS is asked for at a
 * place: 01 of the vCPU; 12, 02 and shadow of the L2 of that place (for L1:
 * of the L2 that this vCPU entered last).
 */
#ifndef INTROSPECT_VMCS_H
#define INTROSPECT_VMCS_H

#include "base/addr.h"
#include "introspect/session.h"

enum intro_vmcs { INTRO_VMCS01, INTRO_VMCS12, INTRO_VMCS02, INTRO_VMCS_SHADOW, INTRO_VMCS_COUNT };

/* Groups as the SDM's chapter on the VMCS orders them; from the encoding. */
enum intro_field_group { FIELD_CONTROL, FIELD_EXIT_INFO, FIELD_GUEST, FIELD_HOST, FIELD_GROUPS };

struct intro_field {
	uint32_t encoding;
	const char *name;    /* "GUEST_RIP" */
	uint8_t size;        /* bytes: 2, 4, 8 */
	bool natural;        /* natural width */
	bool read_only;      /* VM-exit information */
	enum intro_field_group group;
};

/* All fields, in the order of the table; index 0..count-1. */
unsigned intro_field_count(void);
const struct intro_field *intro_field_at(unsigned i);
const struct intro_field *intro_field_by_encoding(uint32_t encoding); /* NULL: unknown */
/* By name (case ignored, also without underscores), or "0x681e"; NULL: unknown. */
const struct intro_field *intro_field_find(const char *name);
/* Does the field match "GUEST_*", "guest", "host", "control", "exit"? */
bool intro_field_match(const struct intro_field *f, const char *pattern);
const char *intro_field_group_name(enum intro_field_group g);
const char *intro_vmcs_name(enum intro_vmcs v);              /* "01" ... "shadow" */
bool intro_vmcs_parse(const char *text, enum intro_vmcs *v); /* "01", "vmcs12", "shadow" */

/* What a value means, one part after the other: named control bits, access
 * rights, exit reason, event information. Appends nothing for plain values. */
void intro_field_decode(const struct intro_field *f, uint64_t value, struct buf *out);

/* The same for a field of a VMCS that is there: also the qualification, by the
 * reason beside it, and the symbol of an instruction pointer. */
void intro_vmcs_decode(struct intro *s, struct place at, enum intro_vmcs which,
	const struct intro_field *f, uint64_t value, struct buf *out);

/* One named bit or part of a field, for bit-by-bit views. */
struct intro_field_part {
	uint8_t low, bits;
	const char *name;     /* "HLT exiting" */
	const char *section;  /* SDM section, number and title; may be NULL */
};
/* At most max of them, by rising bit; returns how many. */
unsigned intro_field_parts(
	const struct intro_field *f, struct intro_field_part *out, unsigned max);
/* The SDM's words for a VM-instruction error number; "" for 0. */
const char *vm_instruction_error_text(uint32_t number);

struct intro_vmcs_value {
	uint64_t value;
	bool live;      /* the processor runs on it now: read from there */
	uint64_t as_of; /* else: clock of the last exit that saved it */
};

/* False and *e: no such VMCS here, or the field is not in it. */
bool intro_vmcs_get(struct intro *s, struct place at, enum intro_vmcs which, uint32_t encoding,
	struct intro_vmcs_value *out, struct err *e);
/* Writes through the input log; 12 only (01, 02 and shadow are L0's). */
bool intro_vmcs_set(struct intro *s, struct place at, enum intro_vmcs which, uint32_t encoding,
	uint64_t value, struct err *e);

/* The region's address: L1-physical for 12 and shadow (when L1 has one),
 * host-physical for 01 and 02; false when there is none. */
bool intro_vmcs_region(struct intro *s, struct place at, enum intro_vmcs which, uint64_t *out);

/* Who may have written a field of VMCS12. */
enum intro_writer {
	WRITER_NONE, WRITER_VMWRITE, WRITER_SHADOWED, WRITER_L0, WRITER_MEMORY, WRITER_DEBUGGER,
	WRITER_PLUGIN
};
const char *intro_writer_name(enum intro_writer w);

struct intro_vmcs_write {
	struct position at;
	uint32_t encoding;
	enum intro_writer writer;
	unsigned vcpu;
	uint64_t vmcs12;   /* which */
	uint64_t rip, cr3; /* of L1 at that moment; for symbols */
	uint64_t old_value, value;
};

/* The last writer of a field of VMCS12; false when nobody wrote it since
 * VMCLEAR. */
bool intro_vmcs_writer(
	struct intro *s, struct place at, uint32_t encoding, struct intro_vmcs_write *out);

/* Writes of one field (0: all fields), newest first; returns how many, at
 * most max. The ring keeps the last 16 Ki of all. */
size_t intro_vmcs_history(struct intro *s, struct place at, uint32_t encoding,
	struct intro_vmcs_write *out, size_t max);

/* Where the bits of a VMCS02 field come from. */
struct intro_vmcs_origin {
	uint64_t from_l1;  /* bits taken from VMCS12 */
	uint64_t from_l0;  /* bits that L0 sets or clears for itself (as in VMCS01) */
	uint64_t merged;   /* bits computed from both */
	uint64_t computed; /* neither: L0's own pages, translated addresses */
	const char *rule;  /* one sentence: the merge rule */
	bool shadowed_read, shadowed_write; /* VMCS shadowing serves L1's access */
};
bool intro_vmcs_origin(struct intro *s, struct place at, uint32_t encoding,
	struct intro_vmcs_origin *out, struct err *e);

#endif

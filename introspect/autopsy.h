/* Entry autopsy: why a VM entry, or a VMX instruction, failed - every check
 * that fails, not the first - and what L0 offers L1.
 */
#ifndef INTROSPECT_AUTOPSY_H
#define INTROSPECT_AUTOPSY_H

#include "introspect/vmcs.h"

#define AUTOPSY_FIELDS 4

struct autopsy_field {
	uint32_t encoding;
	uint64_t value;
	bool written; /* `writer` says where L1 last wrote it */
	struct intro_vmcs_write writer;
};

struct autopsy_finding {
	const char *check;   /* the row's name, "HOST_CS_NOT_NULL" */
	const char *section; /* SDM number and title */
	const char *rule;    /* one sentence: what the SDM demands */
	unsigned fields;
	struct autopsy_field field[AUTOPSY_FIELDS];
	uint64_t bad_bits;   /* of field[0] */
	bool has_legal;
	uint64_t must_be_1, may_be_1; /* field[0]: legal values by capability MSR */
	uint32_t msr;        /* that MSR; 0: none */
	char legal[96];      /* legal value in words */
};

enum autopsy_kind {
	AUTOPSY_CLEAN,      /* the VMCS12 would pass now */
	AUTOPSY_VMFAIL_INVALID,
	AUTOPSY_VMFAIL,     /* VMfailValid: `error` is the VM-instruction error */
	AUTOPSY_ENTRY_FAIL, /* reason 33 or 34: `reason`, `qualification` */
	AUTOPSY_EPT_MISCONFIG,
	AUTOPSY_ABORT       /* VMX abort: `error` is the indicator */
};

#define AUTOPSY_MAX 64

struct autopsy {
	enum autopsy_kind kind;
	struct place at;         /* L1 on its vCPU */
	struct position position;
	uint64_t vmcs12;
	const char *instruction; /* "VMLAUNCH"... */
	uint64_t rip, cr3;       /* of that instruction */
	uint32_t error;
	const char *error_text;  /* the SDM's words for the VM-instruction error */
	uint32_t reason;
	uint64_t qualification;
	bool live;               /* the checks were run on VMCS12 as it is now */
	unsigned findings;
	struct autopsy_finding finding[AUTOPSY_MAX];
	char advice[200];        /* what would be right, in one sentence; "" when findings say it */
};

/* The last failure on the vCPU, or (live) the checks run now on its current
 * VMCS12. False and *e: nothing failed yet, no VMCS12. */
bool intro_autopsy(struct intro *s, struct place at, bool live, struct autopsy *out, struct err *e);

/* What L0 offers L1: one row per capability MSR, then one per control. */
struct cap_row {
	const char *group;   /* "IA32_VMX_BASIC", "IA32_VMX_PROCBASED_CTLS" ... */
	const char *name;    /* control or part; NULL: the MSR itself */
	uint32_t msr;
	uint64_t value;      /* MSR rows */
	int bit;             /* control rows */
	bool may_be_1, must_be_1;
	const char *key;     /* the --l0 key that switches it; NULL: none */
	const char *section;
};
typedef bool cap_fn(void *ctx, const struct cap_row *row);
/* Of this machine (model NULL), or of a named model. False and *e: unknown. */
bool intro_caps(struct intro *s, const char *model, cap_fn *fn, void *ctx, struct err *e);

#endif

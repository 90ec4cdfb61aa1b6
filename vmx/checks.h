/* VM-entry checks: one row per rule of SDM Vol. 3C 26.2 and 26.3.
 *
 * The rows are in vmx/checks_ctrl.def, checks_host.def and checks_guest.def.
 * The same rows serve the hardware half (a VMCS against the hardware's
 * capabilities), L0 (VMCS12 against what it offers L1) and the autopsy, which
 * wants every failing row and not only the first.
 */
#ifndef VMX_CHECKS_H
#define VMX_CHECKS_H

#include "vmx/caps.h"
#include "vmx/vmcs.h"

enum vmx_check_class { CHECK_CTRL, CHECK_HOST, CHECK_GUEST };

enum vmx_check_id {
#define CHECK(name, section, fields, msr, legal, bad) CHECK_##name,
#include "vmx/checks_ctrl.def"
#include "vmx/checks_host.def"
#include "vmx/checks_guest.def"
#undef CHECK
	CHECK_COUNT
};

#define CHECK_FIELDS 4

struct vmx_check {
	const char *name;
	const char *section; /* number "and title" */
	enum vmx_check_class class;
	uint32_t msr;        /* capability MSR that the rule comes from; 0: none */
	const char *legal;   /* what would be right, one phrase */
	uint16_t field[CHECK_FIELDS]; /* enum vmcs_field; the first has the bad bits */
	uint8_t fields;
};

extern const struct vmx_check vmx_checks[CHECK_COUNT];

/* What is checked. `mem` reads guest hypervisor memory (the level that wrote
 * the VMCS): 8 or 4 bytes; false when nothing is there. NULL: rows that need
 * memory pass (they are checked again when the memory is at hand). */
struct vmx_check_ctx {
	const struct vmcs *v;
	const struct vmx_caps *caps;
	bool host_long_mode; /* the processor is in IA-32e mode at VM entry */
	bool (*mem)(void *ctx, uint64_t at, unsigned size, uint64_t *value);
	void *mem_ctx;
	uint64_t current_vmcs; /* the region's address: link pointers may not equal it */
	uint64_t vmxon;        /* UINT64_MAX: not known */
};

struct vmx_check_failure {
	enum vmx_check_id id;
	uint64_t bad; /* offending bits of the first field; 0: the value as a whole */
};

/* The first failing row of a class, in the processor's order; -1 when all pass. */
int vmx_check_first(const struct vmx_check_ctx *ctx, enum vmx_check_class class);

/* Every failing row of all classes, at most `max`; returns how many fail. */
unsigned vmx_check_all(const struct vmx_check_ctx *ctx, struct vmx_check_failure *out, unsigned max);

/* The exit qualification of a guest-state failure. */
uint64_t vmx_check_qualification(enum vmx_check_id id);

#endif

/* Control bits by name: PIN_*, PROC1_*, PROC2_*, EXIT_*, ENTRY_*, and the
 * table of them (vmx/controls.def) for whoever shows or checks controls.
 */
#ifndef VMX_CONTROLS_H
#define VMX_CONTROLS_H

#include "vmx/caps.h"
#include "vmx/vmcs.h"

enum vmx_control_bits {
#define CTRL(group, bit, name, cap, text) group##_##name = 1u << (bit),
#include "vmx/controls.def"
#undef CTRL
};

enum vmx_control_group {
#define CTRL_GROUP(group, field, msr, true_msr, default1, section) GROUP_##group,
#include "vmx/controls.def"
#undef CTRL_GROUP
	GROUP_COUNT
};

struct vmx_control_group_row {
	const char *name;
	enum vmcs_field field;
	uint32_t msr, true_msr, default1;
	const char *section;
};

struct vmx_control {
	enum vmx_control_group group;
	uint8_t bit;
	enum vmx_cap cap;
	const char *name; /* HLT_EXITING */
	const char *text; /* "HLT exiting" */
};

extern const struct vmx_control_group_row vmx_control_groups[GROUP_COUNT];
extern const struct vmx_control vmx_controls[];
extern const unsigned vmx_controls_count;

/* The row of a bit; NULL when the architecture names none. */
const struct vmx_control *vmx_control_find(enum vmx_control_group group, unsigned bit);

/* The MSR that says which bits may be 0 and 1 (TRUE or plain). */
uint32_t vmx_control_msr(const struct vmx_caps *caps, enum vmx_control_group group);

/* Secondary controls count only when the primary ones activate them. */
static inline uint32_t vmcs_proc2(const struct vmcs *v)
{
	return vmcs_get(v, VMCS_CPU_BASED_VM_EXEC_CONTROL) & PROC1_SECONDARY_CONTROLS ?
		vmcs_get(v, VMCS_SECONDARY_VM_EXEC_CONTROL) : 0;
}

#endif

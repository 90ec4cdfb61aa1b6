/* The table of control bits. */
#include "vmx/controls.h"

const struct vmx_control_group_row vmx_control_groups[GROUP_COUNT] = {
#define CTRL_GROUP(group, field, msr, true_msr, default1, section) \
	[GROUP_##group] = {#group, VMCS_##field, msr, true_msr, default1, section},
#include "vmx/controls.def"
#undef CTRL_GROUP
};

const struct vmx_control vmx_controls[] = {
#define CTRL(group, bit, name, cap, text) {GROUP_##group, bit, CAP_##cap, #name, text},
#include "vmx/controls.def"
#undef CTRL
};
const unsigned vmx_controls_count = sizeof vmx_controls / sizeof *vmx_controls;

const struct vmx_control *vmx_control_find(enum vmx_control_group group, unsigned bit)
{
	for (unsigned i = 0; i < vmx_controls_count; i++)
		if (vmx_controls[i].group == group && vmx_controls[i].bit == bit)
			return &vmx_controls[i];
	return NULL;
}

uint32_t vmx_control_msr(const struct vmx_caps *caps, enum vmx_control_group group)
{
	const struct vmx_control_group_row *row = &vmx_control_groups[group];

	return caps->cap[CAP_TRUE_CONTROLS] ? row->true_msr : row->msr;
}

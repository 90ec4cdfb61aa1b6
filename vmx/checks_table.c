/* The rows of checks_*.def as data, for the autopsy and the tests. */
#include "vmx/checks.h"

#define S_EXEC   "26.2.1.1 \"VM-Execution Control Fields\""
#define S_EXIT   "26.2.1.2 \"VM-Exit Control Fields\""
#define S_ENTRY  "26.2.1.3 \"VM-Entry Control Fields\""
#define S_HOST_CR "26.2.2 \"Checks on Host Control Registers, MSRs, and SSP\""
#define S_HOST_SEG "26.2.3 \"Checks on Host Segment and Descriptor-Table Registers\""
#define S_HOST_SIZE "26.2.4 \"Checks Related to Address-Space Size\""
#define S_GUEST_CR "26.3.1.1 \"Checks on Guest Control Registers, Debug Registers, and MSRs\""
#define S_GUEST_SEG "26.3.1.2 \"Checks on Guest Segment Registers\""
#define S_GUEST_TABLE "26.3.1.3 \"Checks on Guest Descriptor-Table Registers\""
#define S_GUEST_RIP "26.3.1.4 \"Checks on Guest RIP, RFLAGS, and SSP\""
#define S_GUEST_NONREG "26.3.1.5 \"Checks on Guest Non-Register State\""
#define S_GUEST_PDPTE "26.3.1.6 \"Checks on Guest Page-Directory-Pointer-Table Entries\""

/* plain or TRUE, as the processor has it: the plain one is named */
#define M_PIN   MSR_VMX_PINBASED_CTLS
#define M_PROC1 MSR_VMX_PROCBASED_CTLS
#define M_EXIT  MSR_VMX_EXIT_CTLS
#define M_ENTRY MSR_VMX_ENTRY_CTLS

#define F1(a)          {VMCS_##a}, 1
#define F2(a, b)       {VMCS_##a, VMCS_##b}, 2
#define F3(a, b, c)    {VMCS_##a, VMCS_##b, VMCS_##c}, 3
#define F4(a, b, c, d) {VMCS_##a, VMCS_##b, VMCS_##c, VMCS_##d}, 4

#define ROW(name, section, class, msr, legal, ...) \
	[CHECK_##name] = {#name, section, class, msr, legal, __VA_ARGS__},

const struct vmx_check vmx_checks[CHECK_COUNT] = {
#define CHECK(name, section, fields, msr, legal, bad) \
	ROW(name, section, CHECK_CTRL, msr, legal, fields)
#include "vmx/checks_ctrl.def"
#undef CHECK
#define CHECK(name, section, fields, msr, legal, bad) \
	ROW(name, section, CHECK_HOST, msr, legal, fields)
#include "vmx/checks_host.def"
#undef CHECK
#define CHECK(name, section, fields, msr, legal, bad) \
	ROW(name, section, CHECK_GUEST, msr, legal, fields)
#include "vmx/checks_guest.def"
#undef CHECK
};

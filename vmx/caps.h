/* What a processor's VMX can do: capabilities, and the MSRs that tell.
 *
 * Two sets exist: the hardware's (everything, L0 runs on it) and the one that
 * L0 offers L1 (`--l0 cap.*`). Entry checks, VMREAD/VMWRITE and the
 * IA32_VMX_* MSRs all follow from one struct vmx_caps.
 *
 * SDM Vol. 3D Appendix A "VMX Capability Reporting Facility".
 */
#ifndef VMX_CAPS_H
#define VMX_CAPS_H

#include "base/addr.h"
#include "base/err.h"

struct cpu_model;

enum vmx_cap {
#define CAP(name, key, needs, text) CAP_##name,
#include "vmx/caps.def"
#undef CAP
	CAP_COUNT
};

enum vmx_msr {
	MSR_VMX_BASIC = 0x480, MSR_VMX_PINBASED_CTLS, MSR_VMX_PROCBASED_CTLS, MSR_VMX_EXIT_CTLS,
	MSR_VMX_ENTRY_CTLS, MSR_VMX_MISC, MSR_VMX_CR0_FIXED0, MSR_VMX_CR0_FIXED1,
	MSR_VMX_CR4_FIXED0, MSR_VMX_CR4_FIXED1, MSR_VMX_VMCS_ENUM, MSR_VMX_PROCBASED_CTLS2,
	MSR_VMX_EPT_VPID_CAP, MSR_VMX_TRUE_PINBASED_CTLS, MSR_VMX_TRUE_PROCBASED_CTLS,
	MSR_VMX_TRUE_EXIT_CTLS, MSR_VMX_TRUE_ENTRY_CTLS, MSR_VMX_VMFUNC,
	MSR_VMX_LAST = MSR_VMX_VMFUNC
};

/* Bits of IA32_VMX_EPT_VPID_CAP that code asks for. */
#define EPT_VPID_EXEC_ONLY   BIT(0)
#define EPT_VPID_WALK4       BIT(6)
#define EPT_VPID_UC          BIT(8)
#define EPT_VPID_WB          BIT(14)
#define EPT_VPID_2M          BIT(16)
#define EPT_VPID_1G          BIT(17)
#define EPT_VPID_INVEPT      BIT(20)
#define EPT_VPID_AD          BIT(21)
#define EPT_VPID_INVEPT_ONE  BIT(25)
#define EPT_VPID_INVEPT_ALL  BIT(26)
#define EPT_VPID_INVVPID     BIT(32)
#define EPT_VPID_INVVPID_ADDRESS BIT(40)
#define EPT_VPID_INVVPID_ONE BIT(41)
#define EPT_VPID_INVVPID_ALL BIT(42)
#define EPT_VPID_INVVPID_KEEP_GLOBAL BIT(43)

struct vmx_caps {
	bool cap[CAP_COUNT];
	uint64_t msr[MSR_VMX_LAST - MSR_VMX_BASIC + 1];
	unsigned phys_bits; /* MAXPHYADDR */
	bool private_rules; /* UNRESTRICTED_NO_EPT may be used (never for L1) */
};

#define VMX_TIMER_SHIFT 2 /* the preemption timer counts at TSC >> 2 */
#define VMX_MSR_LIST_MAX 512

/* Everything that the architecture's rows offer. */
void vmx_caps_full(bool cap[CAP_COUNT]);

/* Switches one capability by its key. False with a reason when there is no
 * such key. */
bool vmx_caps_switch(bool cap[CAP_COUNT], const char *key, bool on, struct err *e);

/* Withdraws what lacks a capability that it needs, and computes the MSRs.
 * `cr4` is the mask of CR4 bits that the CPU model allows. */
void vmx_caps_make(struct vmx_caps *caps, const bool cap[CAP_COUNT], unsigned phys_bits,
	uint64_t cr4);

/* The CR4 bits that a model allows. */
uint64_t vmx_model_cr4(const struct cpu_model *m);

/* IA32_VMX_* by number; false when the processor does not have that MSR. */
bool vmx_caps_rdmsr(const struct vmx_caps *caps, uint32_t msr, uint64_t *value);

static inline uint64_t vmx_caps_msr(const struct vmx_caps *caps, enum vmx_msr msr)
{
	return caps->msr[msr - MSR_VMX_BASIC];
}

const char *vmx_cap_key(enum vmx_cap cap);
const char *vmx_cap_text(enum vmx_cap cap);

#endif

/* Capability MSRs from capabilities. */
#include "vmx/caps.h"
#include "cpu/model.h"
#include "cpu/vcpu.h"
#include "vmx/controls.h"

#include <string.h>

static const struct {
	const char *key, *text;
	uint8_t needs;
} rows[CAP_COUNT] = {
#define CAP(name, key, needs, text) [CAP_##name] = {key, text, CAP_##needs},
#include "vmx/caps.def"
#undef CAP
};

const char *vmx_cap_key(enum vmx_cap cap)
{
	return rows[cap].key;
}

const char *vmx_cap_text(enum vmx_cap cap)
{
	return rows[cap].text;
}

void vmx_caps_full(bool cap[CAP_COUNT])
{
	for (int i = 0; i < CAP_COUNT; i++)
		cap[i] = i != CAP_NEVER && i != CAP_UNRESTRICTED_NO_EPT;
}

bool vmx_caps_switch(bool cap[CAP_COUNT], const char *key, bool on, struct err *e)
{
	for (int i = 0; i < CAP_COUNT; i++) {
		if (!*rows[i].key || strcmp(rows[i].key, key))
			continue;
		cap[i] = on;
		return true;
	}
	return err_set(e, ERR_USAGE, "no VMX capability is called \"%s\"", key);
}

/* Bits of a control field that may be 1. */
static uint32_t allowed1(const struct vmx_caps *caps, enum vmx_control_group group)
{
	uint32_t bits = vmx_control_groups[group].default1;

	for (unsigned i = 0; i < vmx_controls_count; i++)
		if (vmx_controls[i].group == group && caps->cap[vmx_controls[i].cap])
			bits |= 1u << vmx_controls[i].bit;
	return bits;
}

/* Bits of a control field that may be 0 by the TRUE MSR, among default1. */
static uint32_t named(enum vmx_control_group group)
{
	uint32_t bits = 0;

	for (unsigned i = 0; i < vmx_controls_count; i++)
		if (vmx_controls[i].group == group)
			bits |= 1u << vmx_controls[i].bit;
	return bits;
}

static void make_controls(struct vmx_caps *caps)
{
	for (int g = 0; g < GROUP_COUNT; g++) {
		const struct vmx_control_group_row *row = &vmx_control_groups[g];
		uint64_t high = (uint64_t)allowed1(caps, g) << 32;
		caps->msr[row->true_msr - MSR_VMX_BASIC] = high | (row->default1 & ~named(g));
		if (row->true_msr != row->msr)
			caps->msr[row->msr - MSR_VMX_BASIC] = high | row->default1;
	}
	if (!caps->private_rules || !caps->cap[CAP_UNRESTRICTED_NO_EPT])
		return;
	caps->msr[MSR_VMX_PROCBASED_CTLS2 - MSR_VMX_BASIC] |=
		(uint64_t)PROC2_UNRESTRICTED_GUEST << 32;
}

static uint64_t make_ept_vpid(const struct vmx_caps *caps)
{
	uint64_t v = 0;

	if (caps->cap[CAP_EPT])
		v |= EPT_VPID_WALK4 | EPT_VPID_UC | EPT_VPID_WB | EPT_VPID_2M | EPT_VPID_INVEPT |
			EPT_VPID_INVEPT_ONE | EPT_VPID_INVEPT_ALL;
	v |= caps->cap[CAP_EPT_EXEC_ONLY] ? EPT_VPID_EXEC_ONLY : 0;
	v |= caps->cap[CAP_EPT_1G] ? EPT_VPID_1G : 0;
	v |= caps->cap[CAP_EPT_AD] ? EPT_VPID_AD : 0;
	if (caps->cap[CAP_VPID])
		v |= EPT_VPID_INVVPID | EPT_VPID_INVVPID_ADDRESS | EPT_VPID_INVVPID_ONE |
			EPT_VPID_INVVPID_ALL | EPT_VPID_INVVPID_KEEP_GLOBAL;
	return v;
}

/* SDM Vol. 3D A.6 "Miscellaneous Data". */
static uint64_t make_misc(const struct vmx_caps *caps)
{
	uint64_t v = VMX_TIMER_SHIFT;

	v |= caps->cap[CAP_UNRESTRICTED] ? BIT(5) : 0; /* exits store EFER.LMA in IA-32e mode guest */
	v |= 7 * BIT(6);                               /* HLT, shutdown, wait-for-SIPI */
	v |= 4 * BIT(16);                              /* CR3-target values */
	v |= (uint64_t)(VMX_MSR_LIST_MAX / 512 - 1) << 25;
	v |= caps->cap[CAP_VMCS_SHADOWING] ? BIT(29) : 0; /* VMWRITE to read-only data */
	v |= BIT(30); /* injection with instruction length 0 */
	return v;
}

static uint64_t highest_index(const struct vmx_caps *caps)
{
	uint32_t top = 0;

	for (int f = 0; f < VMCS_FIELDS; f++) {
		uint32_t index = vmcs_encoding(f) >> 1 & 0x1ff;
		if (vmcs_exists(caps, f) && index > top)
			top = index;
	}
	return top;
}

void vmx_caps_make(struct vmx_caps *caps, const bool cap[CAP_COUNT], unsigned phys_bits, uint64_t cr4)
{
	bool private_rules = caps->private_rules;

	*caps = (struct vmx_caps){.phys_bits = phys_bits, .private_rules = private_rules};
	memcpy(caps->cap, cap, sizeof caps->cap);
	caps->cap[CAP_ALWAYS] = true;
	caps->cap[CAP_NEVER] = false;
	/* rows stand after what they need, so that one pass is enough */
	for (int i = 0; i < CAP_COUNT; i++)
		caps->cap[i] = caps->cap[i] && caps->cap[rows[i].needs];
	make_controls(caps);
	uint64_t *m = caps->msr;
	m[MSR_VMX_BASIC - MSR_VMX_BASIC] = VMCS_REVISION | (uint64_t)VMCS_SIZE << 32 |
		UINT64_C(6) << 50 | BIT(54) | (caps->cap[CAP_TRUE_CONTROLS] ? BIT(55) : 0);
	m[MSR_VMX_MISC - MSR_VMX_BASIC] = make_misc(caps);
	m[MSR_VMX_CR0_FIXED0 - MSR_VMX_BASIC] = CR0_PE | CR0_NE | CR0_PG;
	m[MSR_VMX_CR0_FIXED1 - MSR_VMX_BASIC] = UINT32_MAX;
	m[MSR_VMX_CR4_FIXED0 - MSR_VMX_BASIC] = CR4_VMXE;
	m[MSR_VMX_CR4_FIXED1 - MSR_VMX_BASIC] = cr4 | CR4_VMXE;
	m[MSR_VMX_VMCS_ENUM - MSR_VMX_BASIC] = highest_index(caps) << 1;
	m[MSR_VMX_EPT_VPID_CAP - MSR_VMX_BASIC] = make_ept_vpid(caps);
	m[MSR_VMX_VMFUNC - MSR_VMX_BASIC] = caps->cap[CAP_VMFUNC] ? 1 : 0;
}

bool vmx_caps_rdmsr(const struct vmx_caps *caps, uint32_t msr, uint64_t *value)
{
	if (msr < MSR_VMX_BASIC || msr > MSR_VMX_LAST)
		return false;
	if (msr >= MSR_VMX_TRUE_PINBASED_CTLS && msr <= MSR_VMX_TRUE_ENTRY_CTLS &&
		!caps->cap[CAP_TRUE_CONTROLS])
		return false;
	if (msr == MSR_VMX_PROCBASED_CTLS2 && !caps->cap[CAP_SECONDARY])
		return false;
	if (msr == MSR_VMX_EPT_VPID_CAP && !caps->cap[CAP_EPT] && !caps->cap[CAP_VPID])
		return false;
	if (msr == MSR_VMX_VMFUNC && !caps->cap[CAP_VMFUNC])
		return false;
	*value = caps->msr[msr - MSR_VMX_BASIC];
	return true;
}

uint64_t vmx_model_cr4(const struct cpu_model *m)
{
	static const struct {
		uint8_t leaf, reg, bit;
		uint64_t cr4;
	} map[] = {
		{1, 3, 1, CR4_VME | CR4_PVI}, {1, 3, 4, CR4_TSD}, {1, 3, 2, CR4_DE},
		{1, 3, 3, CR4_PSE}, {1, 3, 6, CR4_PAE}, {1, 3, 7, CR4_MCE}, {1, 3, 13, CR4_PGE},
		{1, 3, 24, CR4_OSFXSR}, {1, 3, 25, CR4_OSXMMEXCPT}, {1, 2, 5, CR4_VMXE},
		{1, 2, 17, CR4_PCIDE}, {1, 2, 26, CR4_OSXSAVE}, {7, 1, 0, CR4_FSGSBASE},
		{7, 1, 7, CR4_SMEP}, {7, 1, 20, CR4_SMAP}, {7, 2, 2, CR4_UMIP}, {7, 2, 3, CR4_PKE},
	};
	uint64_t cr4 = CR4_PCE;

	for (unsigned i = 0; i < sizeof map / sizeof *map; i++) {
		uint32_t out[4] = {0};
		cpu_model_cpuid(m, map[i].leaf, 0, out);
		if (out[map[i].reg] >> map[i].bit & 1)
			cr4 |= map[i].cr4;
	}
	return cr4;
}

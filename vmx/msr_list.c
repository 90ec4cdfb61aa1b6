/* MSR lists of VM entries and exits, SDM Vol. 3C 24.7.2 "VM-Exit Controls for
 * MSRs", 26.4 "Loading MSRs", 27.4 "Saving MSRs". An entry: 31:0 MSR number,
 * 63:32 reserved, 127:64 value.
 */
#include "cpu/msr.h"
#include "base/phys.h"
#include "vmx/record.h"

#define MSR_TSC 0x10

static bool phys_list_read(void *ctx, uint64_t at, void *out, unsigned size)
{
	return phys_read(((struct vcpu *)ctx)->phys, hpa(at), out, size);
}

static bool phys_list_write(void *ctx, uint64_t at, const void *in, unsigned size)
{
	return phys_write(((struct vcpu *)ctx)->phys, hpa(at), in, size);
}

struct vmx_msr_mem vmx_msr_mem_phys(struct vcpu *c)
{
	return (struct vmx_msr_mem){c, phys_list_read, phys_list_write};
}

static bool is_x2apic(const struct vcpu *c, uint32_t msr)
{
	return msr >= 0x800 && msr <= 0x8ff && c->apic_ops &&
		(c->apic_ops->get_base(c->apic) & BIT(10));
}

/* MSRs that no list may load: FS.base and GS.base, x2APIC registers in x2APIC
 * mode, the microcode trigger, SMM-only ones. */
static bool may_load(const struct vcpu *c, const uint32_t entry[4])
{
	uint32_t msr = entry[0];

	return !entry[1] && msr != 0xc0000100 && msr != 0xc0000101 && msr != 0x79 && msr != 0x9b &&
		!is_x2apic(c, msr);
}

/* The time-stamp counter in a list is the processor's, without the offset and
 * the multiplier of the guest that runs. */
static bool list_read_msr(struct vcpu *c, uint32_t msr, uint64_t *value)
{
	if (msr != MSR_TSC)
		return msr_read(c, msr, value);
	*value = vmx_tsc(c);
	return true;
}

unsigned vmx_load_msrs(struct vcpu *c, const struct vmx_msr_mem *m, uint64_t at, uint32_t count)
{
	for (uint32_t n = 0; n < count; n++) {
		uint32_t e[4];
		if (n >= VMX_MSR_LIST_MAX || !m->read(m->ctx, at + 16 * (uint64_t)n, e, sizeof e) ||
			!may_load(c, e) ||
			!msr_write(c, e[0], e[2] | (uint64_t)e[3] << 32))
			return n + 1;
	}
	return 0;
}

unsigned vmx_store_msrs(struct vcpu *c, const struct vmx_msr_mem *m, uint64_t at, uint32_t count)
{
	for (uint32_t n = 0; n < count; n++) {
		uint32_t e[2];
		uint64_t where = at + 16 * (uint64_t)n, value;
		if (n >= VMX_MSR_LIST_MAX || !m->read(m->ctx, where, e, sizeof e) || e[1] ||
			e[0] == 0x9e || is_x2apic(c, e[0]) ||
			!list_read_msr(c, e[0], &value) ||
			!m->write(m->ctx, where + 8, &value, sizeof value))
			return n + 1;
	}
	return 0;
}

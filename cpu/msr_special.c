#include "cpu/msr_special.h"

#include "cpu/desc.h"
#include "cpu/fp.h"
#include "cpu/mem.h"
#include "cpu/model.h"
#include "cpu/tsc.h"

bool rd_nothing(struct vcpu *c, uint32_t n, uint64_t *v)
{
	(void)c;
	(void)n;
	*v = 0;
	return true;
}

bool wr_nothing(struct vcpu *c, uint32_t n, uint64_t v)
{
	(void)c;
	(void)n;
	(void)v;
	return true;
}

bool rd_tsc(struct vcpu *c, uint32_t n, uint64_t *v)
{
	(void)n;
	*v = tsc_read(c);
	return true;
}

/* A write moves IA32_TSC_ADJUST by the same amount, SDM Vol. 3B 17.17.3
 * "Time-Stamp Counter Adjustment". */
bool wr_tsc(struct vcpu *c, uint32_t n, uint64_t v)
{
	(void)n;
	c->msr.tsc_adjust += v - tsc_host(c);
	return true;
}

bool rd_tsc_adjust(struct vcpu *c, uint32_t n, uint64_t *v)
{
	(void)n;
	*v = c->msr.tsc_adjust;
	return cpu_has(c->model, FEAT_TSC_ADJUST);
}

bool wr_tsc_adjust(struct vcpu *c, uint32_t n, uint64_t v)
{
	(void)n;
	if (!cpu_has(c->model, FEAT_TSC_ADJUST))
		return false;
	c->msr.tsc_adjust = v;
	return true;
}

bool rd_apic_base(struct vcpu *c, uint32_t n, uint64_t *v)
{
	(void)n;
	if (c->apic_ops)
		*v = c->apic_ops->get_base(c->apic);
	return c->apic_ops != NULL;
}

bool wr_apic_base(struct vcpu *c, uint32_t n, uint64_t v)
{
	(void)n;
	if (!c->apic_ops || v >> c->model->phys_bits ||
		((v & BIT(10)) && !cpu_has(c->model, FEAT_X2APIC)))
		return false;
	return c->apic_ops->set_base(c->apic, v);
}

bool rd_feature_control(struct vcpu *c, uint32_t n, uint64_t *v)
{
	(void)n;
	*v = c->msr.feature_control;
	return true;
}

/* Bit 0 locks the register until reset. */
bool wr_feature_control(struct vcpu *c, uint32_t n, uint64_t v)
{
	uint64_t known = 1;

	(void)n;
	if (cpu_has(c->model, FEAT_VMX) && c->hooks)
		known |= 4;
	if ((c->msr.feature_control & 1) || (v & ~known))
		return false;
	c->msr.feature_control = v;
	return true;
}

bool rd_spec_ctrl(struct vcpu *c, uint32_t n, uint64_t *v)
{
	(void)n;
	*v = c->msr.spec_ctrl;
	return cpu_has(c->model, FEAT_SPEC_CTRL);
}

bool wr_spec_ctrl(struct vcpu *c, uint32_t n, uint64_t v)
{
	(void)n;
	if (!cpu_has(c->model, FEAT_SPEC_CTRL) || (v & ~UINT64_C(7)))
		return false;
	c->msr.spec_ctrl = v;
	return true;
}

bool rd_bios_sign(struct vcpu *c, uint32_t n, uint64_t *v)
{
	(void)n;
	*v = (uint64_t)c->model->microcode << 32;
	return true;
}

bool rd_arch_caps(struct vcpu *c, uint32_t n, uint64_t *v)
{
	(void)n;
	*v = cpu_model_arch_capabilities(c->model);
	return cpu_has(c->model, FEAT_ARCH_CAPS);
}

/* Registers that hold a canonical address. */
#define CANONICAL_MSR(name, field)                                 \
	bool rd_##name(struct vcpu *c, uint32_t n, uint64_t *v)    \
	{                                                          \
		(void)n;                                           \
		*v = c->field;                                     \
		return true;                                       \
	}                                                          \
	bool wr_##name(struct vcpu *c, uint32_t n, uint64_t v)     \
	{                                                          \
		(void)n;                                           \
		if (!canonical(v))                                 \
			return false;                              \
		c->field = v;                                      \
		return true;                                       \
	}
CANONICAL_MSR(sysenter_esp, msr.sysenter_esp)
CANONICAL_MSR(sysenter_eip, msr.sysenter_eip)
CANONICAL_MSR(lstar, msr.lstar)
CANONICAL_MSR(cstar, msr.cstar)
CANONICAL_MSR(kernel_gs, msr.kernel_gs_base)

static bool set_base(struct vcpu *c, enum seg_reg r, uint64_t v)
{
	if (!canonical(v))
		return false;
	fp_settle(c);
	c->seg[r].base = c->seg_base[r] = v;
	if (!cpu_64bit(c))
		c->mode_changed = true;
	return true;
}

bool rd_fs_base(struct vcpu *c, uint32_t n, uint64_t *v)
{
	(void)n;
	*v = c->seg[SEG_FS].base;
	return true;
}

bool wr_fs_base(struct vcpu *c, uint32_t n, uint64_t v)
{
	(void)n;
	return set_base(c, SEG_FS, v);
}

bool rd_gs_base(struct vcpu *c, uint32_t n, uint64_t *v)
{
	(void)n;
	*v = c->seg[SEG_GS].base;
	return true;
}

bool wr_gs_base(struct vcpu *c, uint32_t n, uint64_t v)
{
	(void)n;
	return set_base(c, SEG_GS, v);
}

bool rd_tsc_aux(struct vcpu *c, uint32_t n, uint64_t *v)
{
	(void)n;
	*v = c->msr.tsc_aux;
	return cpu_has(c->model, FEAT_RDTSCP) || cpu_has(c->model, FEAT_RDPID);
}

bool wr_tsc_aux(struct vcpu *c, uint32_t n, uint64_t v)
{
	(void)n;
	if (v >> 32 || !(cpu_has(c->model, FEAT_RDTSCP) || cpu_has(c->model, FEAT_RDPID)))
		return false;
	c->msr.tsc_aux = v;
	return true;
}

bool rd_xss(struct vcpu *c, uint32_t n, uint64_t *v)
{
	(void)n;
	*v = c->msr.xss;
	return cpu_has(c->model, FEAT_XSAVES);
}

bool wr_xss(struct vcpu *c, uint32_t n, uint64_t v)
{
	(void)n;
	return cpu_has(c->model, FEAT_XSAVES) && v == 0;
}

bool rd_efer(struct vcpu *c, uint32_t n, uint64_t *v)
{
	(void)n;
	*v = c->msr.efer;
	return true;
}

bool wr_efer(struct vcpu *c, uint32_t n, uint64_t v)
{
	uint64_t known = EFER_SCE | EFER_LME | EFER_LMA;

	(void)n;
	if (cpu_has(c->model, FEAT_NX))
		known |= EFER_NXE;
	if ((v & ~known) || (((v ^ c->msr.efer) & EFER_LME) && (c->cr0 & CR0_PG)))
		return false;
	v = (v & ~EFER_LMA) | (c->msr.efer & EFER_LMA);
	if ((v ^ c->msr.efer) & EFER_NXE)
		tlb_flush_all(c);
	if (v != c->msr.efer)
		c->mode_changed = true;
	c->msr.efer = v;
	return true;
}

/* SDM Vol. 3A 11.12.2 "IA32_PAT MSR", 11.11.2.1 "IA32_MTRR_DEF_TYPE MSR". */
bool memtypes_legal(uint64_t v, bool pat)
{
	for (unsigned n = 0; n < 8; n++) {
		unsigned t = v >> 8 * n & 0xff;

		if (t > 7 || t == 2 || t == 3 || (t == 7 && !pat))
			return false;
	}
	return true;
}

bool rd_pat(struct vcpu *c, uint32_t n, uint64_t *v)
{
	(void)n;
	*v = c->msr.pat;
	return true;
}

bool wr_pat(struct vcpu *c, uint32_t n, uint64_t v)
{
	(void)n;
	if (!memtypes_legal(v, true))
		return false;
	c->msr.pat = v;
	return true;
}

bool rd_mtrr_def(struct vcpu *c, uint32_t n, uint64_t *v)
{
	(void)n;
	*v = c->mtrr.def_type;
	return true;
}

bool wr_mtrr_def(struct vcpu *c, uint32_t n, uint64_t v)
{
	(void)n;
	if ((v & ~UINT64_C(0xcff)) || !memtypes_legal(v & 0xff, false))
		return false;
	c->mtrr.def_type = v;
	return true;
}

bool rd_mtrr_var(struct vcpu *c, uint32_t n, uint64_t *v)
{
	unsigned i = (n - 0x200) / 2;

	*v = n & 1 ? c->mtrr.mask[i] : c->mtrr.base[i];
	return true;
}

bool wr_mtrr_var(struct vcpu *c, uint32_t n, uint64_t v)
{
	unsigned i = (n - 0x200) / 2;

	if (v >> c->model->phys_bits)
		return false;
	if (n & 1) {
		if (v & 0x7ff)
			return false;
		c->mtrr.mask[i] = v;
	} else {
		if ((v & 0xf00) || !memtypes_legal(v & 0xff, false))
			return false;
		c->mtrr.base[i] = v;
	}
	return true;
}

/* 250h, 258h-259h, 268h-26Fh to 0..10. */
static unsigned fixed_index(uint32_t n)
{
	return n == 0x250 ? 0 : n < 0x268 ? n - 0x258 + 1 : n - 0x268 + 3;
}

bool rd_mtrr_fixed(struct vcpu *c, uint32_t n, uint64_t *v)
{
	*v = c->mtrr.fixed[fixed_index(n)];
	return true;
}

bool wr_mtrr_fixed(struct vcpu *c, uint32_t n, uint64_t v)
{
	if (!memtypes_legal(v, false))
		return false;
	c->mtrr.fixed[fixed_index(n)] = v;
	return true;
}

bool rd_mc(struct vcpu *c, uint32_t n, uint64_t *v)
{
	*v = c->msr.mc[(n - 0x400) / 4][n & 3];
	return true;
}

/* CTL takes all zeros or all ones (guests clear bits 0 and 10 for old errata),
 * STATUS zero alone. SDM Vol. 3B 15.3.2 "Error-Reporting Register Banks". */
bool wr_mc(struct vcpu *c, uint32_t n, uint64_t v)
{
	if ((n & 3) == 0 && v && (v | 0x401) != ~UINT64_C(0))
		return false;
	if ((n & 3) == 1 && v)
		return false;
	c->msr.mc[(n - 0x400) / 4][n & 3] = v;
	return true;
}

/* The APIC counts in clock ticks; the guest in its adjusted TSC. */
bool rd_deadline(struct vcpu *c, uint32_t n, uint64_t *v)
{
	if (!c->apic_ops || !cpu_has(c->model, FEAT_TSC_DEADLINE) ||
		!c->apic_ops->rdmsr(c->apic, n, v))
		return false;
	if (*v)
		*v += c->msr.tsc_adjust;
	return true;
}

bool wr_deadline(struct vcpu *c, uint32_t n, uint64_t v)
{
	if (!c->apic_ops || !cpu_has(c->model, FEAT_TSC_DEADLINE))
		return false;
	if (v) {
		/* a deadline before tick 1 has passed already, and 0 would disarm */
		bool passed = v <= tsc_host(c);

		v = passed ? (c->clock->now ? c->clock->now : 1) : v - c->msr.tsc_adjust;
	}
	return c->apic_ops->wrmsr(c->apic, n, v);
}

bool rd_x2apic(struct vcpu *c, uint32_t n, uint64_t *v)
{
	return c->apic_ops && c->apic_ops->rdmsr(c->apic, n, v);
}

bool wr_x2apic(struct vcpu *c, uint32_t n, uint64_t v)
{
	return c->apic_ops && c->apic_ops->wrmsr(c->apic, n, v);
}

/* Performance counters where the vendor is AMD: there, and standing still. */
bool rd_k7_perf(struct vcpu *c, uint32_t n, uint64_t *v)
{
	(void)n;
	*v = 0;
	return c->model->vendor[0] == 'A';
}

bool wr_k7_perf(struct vcpu *c, uint32_t n, uint64_t v)
{
	(void)n;
	(void)v;
	return c->model->vendor[0] == 'A';
}

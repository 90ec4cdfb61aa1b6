#include "cpu/cr.h"

#include "cpu/desc.h"
#include "cpu/mem.h"
#include "cpu/model.h"

static enum cpu_step gp(struct vcpu *c)
{
	return cpu_raise_error(c, VEC_GP, 0);
}

static uint64_t above_phys(const struct vcpu *c)
{
	return ~(BIT(c->model->phys_bits) - 1);
}

enum cpu_step pdptes_load(struct vcpu *c, uint64_t cr3)
{
	uint64_t p[4], reserved = above_phys(c) | 0x1e6;

	for (unsigned n = 0; n < 4; n++) {
		CPU_TRY(cpu_gpa_read(c, gpa((cr3 & 0xffffffe0) + 8 * n), 8, &p[n]));
		if ((p[n] & 1) && (p[n] & reserved))
			return gp(c);
	}
	for (unsigned n = 0; n < 4; n++)
		c->pdpte[n] = p[n];
	return CPU_DONE;
}

/* SDM Vol. 2B "MOV-Move to/from Control Registers", exceptions. */
static bool cr0_legal(const struct vcpu *c, uint64_t v)
{
	bool paging_on = (v & CR0_PG) && !(c->cr0 & CR0_PG);

	if (v >> 32 || ((v & CR0_PG) && !(v & CR0_PE)) || ((v & CR0_NW) && !(v & CR0_CD)))
		return false;
	if (!(v & CR0_PG) && (c->cr0 & CR0_PG) && (cpu_64bit(c) || (c->cr4 & CR4_PCIDE)))
		return false;
	if (paging_on && (c->msr.efer & EFER_LME) &&
		(!(c->cr4 & CR4_PAE) || (c->seg[SEG_CS].ar & AR_L) ||
			(c->seg[SEG_TR].ar & AR_TYPE) == DESC_TSS16_BUSY))
		return false;
	return !c->hooks || !c->hooks->cr0_allowed || c->hooks->cr0_allowed(c, v);
}

enum cpu_step cr0_write(struct vcpu *c, uint64_t v)
{
	const uint64_t known = CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM |
		CR0_NW | CR0_CD | CR0_PG;
	uint64_t changed, efer = c->msr.efer;

	if (!cr0_legal(c, v))
		return gp(c);
	v = (v & known) | CR0_ET;
	changed = v ^ c->cr0;
	if (changed & CR0_PG) {
		efer &= ~EFER_LMA;
		if ((v & CR0_PG) && (efer & EFER_LME))
			efer |= EFER_LMA;
	}
	if ((changed & (CR0_PG | CR0_CD | CR0_NW)) && pae_paging(v, c->cr4, efer))
		CPU_TRY(pdptes_load(c, c->cr3));
	c->msr.efer = efer;
	c->cr0 = v;
	if (changed & (CR0_PG | CR0_PE | CR0_WP))
		tlb_flush_all(c);
	if (changed)
		c->mode_changed = true;
	return CPU_DONE;
}

enum cpu_step cr3_write(struct vcpu *c, uint64_t v)
{
	bool pcide = c->cr4 & CR4_PCIDE, keep = pcide && v >> 63;

	if (pcide)
		v &= ~BIT(63);
	if (!cpu_long_mode(c))
		v &= 0xffffffff;
	else if (v & above_phys(c))
		return gp(c);
	if (pae_paging(c->cr0, c->cr4, c->msr.efer))
		CPU_TRY(pdptes_load(c, v));
	c->cr3 = v;
	if (!keep)
		tlb_flush_pcid(c, pcide ? v & 0xfff : 0);
	c->mode_changed = true;
	return CPU_DONE;
}

uint64_t cr4_supported(const struct vcpu *c)
{
	static const struct {
		uint8_t feature;
		uint32_t bits;
	} by_feature[] = {
		{FEAT_VME, CR4_VME | CR4_PVI}, {FEAT_TSC, CR4_TSD}, {FEAT_DE, CR4_DE},
		{FEAT_PSE, CR4_PSE}, {FEAT_PAE, CR4_PAE}, {FEAT_MCE, CR4_MCE}, {FEAT_PGE, CR4_PGE},
		{FEAT_BASE, CR4_PCE}, {FEAT_FXSR, CR4_OSFXSR}, {FEAT_SSE, CR4_OSXMMEXCPT},
		{FEAT_UMIP, CR4_UMIP}, {FEAT_FSGSBASE, CR4_FSGSBASE}, {FEAT_PCID, CR4_PCIDE},
		{FEAT_XSAVE, CR4_OSXSAVE}, {FEAT_SMEP, CR4_SMEP}, {FEAT_SMAP, CR4_SMAP},
		{FEAT_PKU, CR4_PKE}, {FEAT_LA57, CR4_LA57}, {FEAT_SMX, CR4_SMXE},
	};
	uint64_t bits = c->hooks && cpu_has(c->model, FEAT_VMX) ? CR4_VMXE : 0;

	for (unsigned n = 0; n < sizeof(by_feature) / sizeof(by_feature[0]); n++)
		if (cpu_has(c->model, by_feature[n].feature))
			bits |= by_feature[n].bits;
	return bits;
}

static bool cr4_legal(const struct vcpu *c, uint64_t v)
{
	/* VMXE may be set below the guest (VMX operation of a level that the model
	 * does not show); the guest itself cannot turn it on. */
	if (v & ~(cr4_supported(c) | (c->cr4 & CR4_VMXE)))
		return false;
	if (cpu_long_mode(c) && !(v & CR4_PAE))
		return false;
	if ((v & ~c->cr4 & CR4_PCIDE) && (!cpu_long_mode(c) || (c->cr3 & 0xfff)))
		return false;
	return !c->hooks || !c->hooks->cr4_allowed || c->hooks->cr4_allowed(c, v);
}

enum cpu_step cr4_write(struct vcpu *c, uint64_t v)
{
	const uint64_t tables = CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP;
	uint64_t changed = v ^ c->cr4;

	if (!cr4_legal(c, v))
		return gp(c);
	if ((changed & tables) && pae_paging(c->cr0, v, c->msr.efer))
		CPU_TRY(pdptes_load(c, c->cr3));
	c->cr4 = v;
	if ((changed & (tables | CR4_SMAP)) || (changed & ~v & CR4_PCIDE))
		tlb_flush_all(c);
	if (changed)
		c->mode_changed = true;
	return CPU_DONE;
}

/* Host-state fields into struct vcpu, SDM Vol. 3C 27.5 "Loading Host State".
 */
#include "base/phys.h"
#include "cpu/pmu.h"
#include "vmx/record.h"

#include <string.h>

#define CR0_KEPT (CR0_ET | UINT64_C(0xffc0) | BIT(17) | UINT64_C(0x1ff80000) | CR0_NW | CR0_CD)

/* 27.5.1 "Loading Host Control Registers, Debug Registers, MSRs". */
static void load_registers(struct vcpu *c, const struct vmcs *v, uint32_t exit)
{
	bool host64 = exit & EXIT_HOST_ADDR_SPACE_SIZE;

	c->cr0 = (v->v[VMCS_HOST_CR0] & ~CR0_KEPT & UINT32_MAX) | (c->cr0 & CR0_KEPT);
	c->cr3 = v->v[VMCS_HOST_CR3];
	c->cr4 = v->v[VMCS_HOST_CR4];
	c->cr4 = host64 ? c->cr4 | CR4_PAE : c->cr4 & ~CR4_PCIDE;
	c->dr7 = 0x400;
	c->msr.debugctl = 0;
	c->msr.sysenter_cs = v->v[VMCS_HOST_IA32_SYSENTER_CS];
	c->msr.sysenter_esp = v->v[VMCS_HOST_IA32_SYSENTER_ESP];
	c->msr.sysenter_eip = v->v[VMCS_HOST_IA32_SYSENTER_EIP];
	c->msr.efer &= ~(EFER_LMA | EFER_LME);
	if (exit & EXIT_LOAD_IA32_EFER)
		c->msr.efer = v->v[VMCS_HOST_IA32_EFER];
	else if (host64)
		c->msr.efer |= EFER_LMA | EFER_LME;
	if (exit & EXIT_LOAD_IA32_PAT)
		c->msr.pat = v->v[VMCS_HOST_IA32_PAT];
	if (exit & EXIT_LOAD_PERF_GLOBAL_CTRL)
		c->pmu.global_ctrl = v->v[VMCS_HOST_IA32_PERF_GLOBAL_CTRL];
}

/* 27.5.2 "Loading Host Segment and Descriptor-Table Registers". */
static void load_segments(struct vcpu *c, const struct vmcs *v, bool host64)
{
	static const struct {
		uint8_t seg, sel;
	} data[] = {{SEG_ES, VMCS_HOST_ES_SELECTOR}, {SEG_SS, VMCS_HOST_SS_SELECTOR},
		{SEG_DS, VMCS_HOST_DS_SELECTOR}, {SEG_FS, VMCS_HOST_FS_SELECTOR},
		{SEG_GS, VMCS_HOST_GS_SELECTOR}};

	c->seg[SEG_CS] = (struct seg){.sel = v->v[VMCS_HOST_CS_SELECTOR], .limit = UINT32_MAX,
		.ar = 11 | AR_S | AR_P | AR_G | (host64 ? AR_L : AR_DB)};
	for (unsigned n = 0; n < sizeof data / sizeof *data; n++) {
		uint16_t sel = v->v[data[n].sel];
		c->seg[data[n].seg] = (struct seg){.sel = sel, .limit = UINT32_MAX,
			.ar = 3 | AR_S | AR_P | AR_DB | AR_G | (sel ? 0 : AR_UNUSABLE)};
	}
	c->seg[SEG_FS].base = v->v[VMCS_HOST_FS_BASE];
	c->seg[SEG_GS].base = v->v[VMCS_HOST_GS_BASE];
	c->seg[SEG_TR] = (struct seg){.sel = v->v[VMCS_HOST_TR_SELECTOR],
		.base = v->v[VMCS_HOST_TR_BASE], .limit = 0x67, .ar = 11 | AR_P};
	c->seg[SEG_LDTR] = (struct seg){.ar = AR_UNUSABLE};
	c->gdtr = (struct desc_table){v->v[VMCS_HOST_GDTR_BASE], 0xffff};
	c->idtr = (struct desc_table){v->v[VMCS_HOST_IDTR_BASE], 0xffff};
	if (c->pmu_levels)
		pmu_level(c);
	c->cpl = 0;
}

/* 27.5.4 "Checking and Loading Host Page-Directory-Pointer-Table Entries". */
static bool load_pdptes(struct vcpu *c, unsigned phys_bits)
{
	uint64_t pdpte[4];
	uint64_t reserved = UINT64_C(0x1e6) | ~(BIT(phys_bits) - 1);

	if (!phys_read(c->phys, hpa(c->cr3 & UINT64_C(0xffffffe0)), pdpte, sizeof pdpte))
		return false;
	for (int n = 0; n < 4; n++)
		if ((pdpte[n] & 1) && (pdpte[n] & reserved))
			return false;
	memcpy(c->pdpte, pdpte, sizeof pdpte);
	return true;
}

enum vmx_abort vmx_load_host_state(struct vcpu *c, const struct vmcs *v)
{
	struct vmx_cpu *x = vmx_of(c);
	uint32_t exit = v->v[VMCS_VM_EXIT_CONTROLS];
	bool host64 = exit & EXIT_HOST_ADDR_SPACE_SIZE;

	x->live = false;
	load_registers(c, v, exit);
	load_segments(c, v, host64);
	c->rip = c->next_rip = v->v[VMCS_HOST_RIP];
	c->gpr[RSP] = v->v[VMCS_HOST_RSP];
	c->rflags = FLAG_1;
	c->lazy[3] = 0;
	c->activity = ACTIVITY_ACTIVE;
	c->sti_shadow = c->movss_shadow = false;
	c->pending_db = 0;
	vcpu_unpend(c, PEND_DB);
	c->delivering = false;
	c->monitor = gpa(UINT64_MAX);
	bool pae = !host64 && (c->cr4 & CR4_PAE) && (c->cr0 & CR0_PG);
	bool ok = !pae || load_pdptes(c, x->caps->phys_bits);
	return ok ? 0 : ABORT_HOST_PDPTE;
}

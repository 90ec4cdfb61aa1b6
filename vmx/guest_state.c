/* Guest-state fields from and to struct vcpu. SDM Vol. 3C 26.3.2 "Loading
 * Guest State", 27.3 "Saving Guest State".
 */
#include "base/phys.h"
#include "cpu/pmu.h"
#include "vmx/record.h"

/* CR0 bits that entry and exit leave alone: ET, 15:6, 17, 28:19, NW, CD. */
#define CR0_KEPT (CR0_ET | UINT64_C(0xffc0) | BIT(17) | UINT64_C(0x1ff80000) | CR0_NW | CR0_CD)

#define AR_BITS UINT32_C(0x1f0ff)

static const struct {
	uint8_t sel, base, limit, ar;
} segs[SEG_COUNT] = {
#define SEG(n) [SEG_##n] = {VMCS_GUEST_##n##_SELECTOR, VMCS_GUEST_##n##_BASE, \
	VMCS_GUEST_##n##_LIMIT, VMCS_GUEST_##n##_AR_BYTES}
	SEG(ES), SEG(CS), SEG(SS), SEG(DS), SEG(FS), SEG(GS), SEG(LDTR), SEG(TR),
#undef SEG
};

static void load_segments(struct vcpu *c, const struct vmcs *v)
{
	for (int n = 0; n < SEG_COUNT; n++) {
		c->seg[n] = (struct seg){.sel = v->v[segs[n].sel], .base = v->v[segs[n].base],
			.limit = v->v[segs[n].limit], .ar = v->v[segs[n].ar] & AR_BITS};
	}
	c->gdtr = (struct desc_table){
		v->v[VMCS_GUEST_GDTR_BASE], v->v[VMCS_GUEST_GDTR_LIMIT]};
	c->idtr = (struct desc_table){
		v->v[VMCS_GUEST_IDTR_BASE], v->v[VMCS_GUEST_IDTR_LIMIT]};
	if (c->pmu_levels)
		pmu_level(c);
	c->cpl = seg_dpl(&c->seg[SEG_SS]);
}

static void save_segments(const struct vcpu *c, struct vmcs *v)
{
	for (int n = 0; n < SEG_COUNT; n++) {
		v->v[segs[n].sel] = c->seg[n].sel;
		v->v[segs[n].base] = c->seg[n].base;
		v->v[segs[n].limit] = c->seg[n].limit;
		v->v[segs[n].ar] = c->seg[n].ar & AR_BITS;
	}
	/* the privilege level is SS.DPL, whatever loaded SS */
	v->v[VMCS_GUEST_SS_AR_BYTES] = (v->v[VMCS_GUEST_SS_AR_BYTES] & ~UINT64_C(0x60)) |
		(uint64_t)c->cpl << AR_DPL_SHIFT;
	v->v[VMCS_GUEST_GDTR_BASE] = c->gdtr.base;
	v->v[VMCS_GUEST_GDTR_LIMIT] = c->gdtr.limit;
	v->v[VMCS_GUEST_IDTR_BASE] = c->idtr.base;
	v->v[VMCS_GUEST_IDTR_LIMIT] = c->idtr.limit;
}

static void load_efer(struct vcpu *c, const struct vmcs *v, uint32_t entry)
{
	if (entry & ENTRY_LOAD_IA32_EFER) {
		c->msr.efer = v->v[VMCS_GUEST_IA32_EFER];
		return;
	}
	uint64_t mode = entry & ENTRY_IA32E_MODE ? EFER_LMA | EFER_LME : 0;
	uint64_t mask = c->cr0 & CR0_PG ? EFER_LMA | EFER_LME : EFER_LMA;
	c->msr.efer = (c->msr.efer & ~mask) | (mode & mask);
}

static void load_msrs(struct vcpu *c, const struct vmcs *v, uint32_t entry)
{
	c->msr.sysenter_cs = v->v[VMCS_GUEST_SYSENTER_CS];
	c->msr.sysenter_esp = v->v[VMCS_GUEST_SYSENTER_ESP];
	c->msr.sysenter_eip = v->v[VMCS_GUEST_SYSENTER_EIP];
	load_efer(c, v, entry);
	if (entry & ENTRY_LOAD_DEBUG_CONTROLS) {
		c->dr7 = (v->v[VMCS_GUEST_DR7] & UINT64_C(0xffff2fff)) | BIT(10);
		c->msr.debugctl = v->v[VMCS_GUEST_IA32_DEBUGCTL];
	}
	if (entry & ENTRY_LOAD_IA32_PAT)
		c->msr.pat = v->v[VMCS_GUEST_IA32_PAT];
	if (entry & ENTRY_LOAD_PERF_GLOBAL_CTRL)
		c->pmu.global_ctrl = v->v[VMCS_GUEST_IA32_PERF_GLOBAL_CTRL];
}

/* PDPTEs are fields with EPT. Unrestricted guest without EPT, private to L0,
 * keeps them there too: CR3 then need not fit in 32 bits. */
static bool pdptes_in_fields(uint32_t proc2)
{
	return proc2 & (PROC2_ENABLE_EPT | PROC2_UNRESTRICTED_GUEST);
}

/* In memory of the space that CR3 is in: RAM below PHYS_PRIVATE, or L0's own. */
static void load_pdptes(struct vcpu *c, const struct vmcs *v)
{
	if (!(c->cr4 & CR4_PAE) || !(c->cr0 & CR0_PG) || (c->msr.efer & EFER_LMA))
		return;
	if (pdptes_in_fields(vmcs_proc2(v))) {
		for (int n = 0; n < 4; n++)
			c->pdpte[n] = v->v[VMCS_GUEST_PDPTR0 + n];
		return;
	}
	phys_read(c->phys, hpa(c->cr3 & UINT64_C(0xffffffe0)), c->pdpte, sizeof c->pdpte);
}

static void load_non_register(struct vcpu *c, const struct vmcs *v)
{
	uint32_t block = v->v[VMCS_GUEST_INTERRUPTIBILITY_INFO];
	uint64_t pending = v->v[VMCS_GUEST_PENDING_DBG_EXCEPTIONS];

	c->activity = (enum cpu_activity)(v->v[VMCS_GUEST_ACTIVITY_STATE] & 3);
	c->sti_shadow = block & BLOCKING_STI;
	c->movss_shadow = block & BLOCKING_MOV_SS;
	c->smm_blocked = block & BLOCKING_SMI;
	c->nmi_blocked = block & BLOCKING_NMI;
	c->pending_db = pending & (BIT(14) | 0xf);
	if (!(pending & (BIT(12) | BIT(14)))) /* B0-B3 alone do not make a #DB */
		c->pending_db = 0;
	if (c->pending_db)
		vcpu_pend(c, PEND_DB);
	else
		vcpu_unpend(c, PEND_DB);
}

void vmx_load_guest_state(struct vcpu *c, const struct vmcs *v)
{
	uint32_t entry = v->v[VMCS_VM_ENTRY_CONTROLS];

	c->cr0 = (v->v[VMCS_GUEST_CR0] & ~CR0_KEPT & UINT32_MAX) | (c->cr0 & CR0_KEPT);
	c->cr3 = v->v[VMCS_GUEST_CR3];
	c->cr4 = v->v[VMCS_GUEST_CR4];
	load_msrs(c, v, entry);
	load_segments(c, v);
	load_pdptes(c, v);
	c->rip = c->next_rip = v->v[VMCS_GUEST_RIP];
	c->gpr[RSP] = v->v[VMCS_GUEST_RSP];
	c->rflags = v->v[VMCS_GUEST_RFLAGS];
	c->lazy[3] = 0;
	load_non_register(c, v);
	c->delivering = false;
	c->monitor = gpa(UINT64_MAX);
}

static void save_msrs(const struct vcpu *c, struct vmcs *v)
{
	uint32_t exit = v->v[VMCS_VM_EXIT_CONTROLS];

	v->v[VMCS_GUEST_SYSENTER_CS] = (uint32_t)c->msr.sysenter_cs;
	v->v[VMCS_GUEST_SYSENTER_ESP] = c->msr.sysenter_esp;
	v->v[VMCS_GUEST_SYSENTER_EIP] = c->msr.sysenter_eip;
	if (exit & EXIT_SAVE_DEBUG_CONTROLS) {
		v->v[VMCS_GUEST_DR7] = c->dr7;
		v->v[VMCS_GUEST_IA32_DEBUGCTL] = c->msr.debugctl;
	}
	if (exit & EXIT_SAVE_IA32_PAT)
		v->v[VMCS_GUEST_IA32_PAT] = c->msr.pat;
	if (exit & EXIT_SAVE_IA32_EFER)
		v->v[VMCS_GUEST_IA32_EFER] = c->msr.efer;
}

/* SDM 27.3.4 "Saving Non-Register State". */
static void save_non_register(const struct vcpu *c, struct vmcs *v)
{
	bool halted = c->activity == ACTIVITY_HLT;
	uint64_t pending = c->pending & PEND_DB ? c->pending_db & (BIT(14) | 0xf) : 0;

	v->v[VMCS_GUEST_ACTIVITY_STATE] = c->activity == ACTIVITY_MWAIT ? 0 : c->activity;
	v->v[VMCS_GUEST_INTERRUPTIBILITY_INFO] = (c->sti_shadow ? BLOCKING_STI : 0) |
		(c->movss_shadow ? BLOCKING_MOV_SS : 0) | (c->nmi_blocked ? BLOCKING_NMI : 0);
	if (pending & 0xf)
		pending |= BIT(12);
	/* a trap that single-stepping still owes */
	if ((c->sti_shadow || c->movss_shadow || halted) && (c->rflags & FLAG_TF) &&
		!(c->msr.debugctl & BIT(1)))
		pending |= BIT(14);
	v->v[VMCS_GUEST_PENDING_DBG_EXCEPTIONS] = pending;
}

void vmx_save_guest_state(struct vcpu *c, struct vmcs *v)
{
	const struct vmx_cpu *x = vmx_of(c);
	uint32_t proc2 = vmcs_proc2(v);

	v->v[VMCS_GUEST_CR0] = c->cr0;
	v->v[VMCS_GUEST_CR3] = c->cr3;
	v->v[VMCS_GUEST_CR4] = c->cr4;
	save_msrs(c, v);
	save_segments(c, v);
	v->v[VMCS_GUEST_RIP] = c->rip;
	v->v[VMCS_GUEST_RSP] = c->gpr[RSP];
	v->v[VMCS_GUEST_RFLAGS] = c->rflags;
	save_non_register(c, v);
	if (pdptes_in_fields(proc2))
		for (int n = 0; n < 4; n++)
			v->v[VMCS_GUEST_PDPTR0 + n] = c->pdpte[n];
	if (proc2 & PROC2_VIRTUAL_INTR_DELIVERY)
		v->v[VMCS_GUEST_INTR_STATUS] = x->rvi | x->svi << 8;
	if (vmx_caps_msr(x->caps, MSR_VMX_MISC) & BIT(5)) {
		v->v[VMCS_VM_ENTRY_CONTROLS] &= ~(uint64_t)ENTRY_IA32E_MODE;
		if (c->msr.efer & EFER_LMA)
			v->v[VMCS_VM_ENTRY_CONTROLS] |= ENTRY_IA32E_MODE;
	}
}

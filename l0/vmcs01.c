/* VMCS01: what L0 runs L1 on. */
#include "l0/nested.h"

#include "base/log.h"
#include "cpu/msr.h"
#include "l0/shadow/vcpu.h"
#include "vmx/controls.h"

#include <assert.h>
#include <string.h>

#define VPID01 0xffff /* out of the way of the VPIDs that hypervisors hand out */

/* L1 in VMX operation may not clear these, SDM Vol. 3C 23.8 "Restrictions on
 * VMX Operation"; outside it only NE is not L1's own. */
#define CR0_FIXED (CR0_PE | CR0_PG | CR0_NE)

static void set_controls(struct nested_vcpu *nv)
{
	const struct l0_options *o = nv->n->opt;
	uint32_t group[GROUP_COUNT];

	for (unsigned g = 0; g < GROUP_COUNT; g++) /* default1 bits, as the MSR has them */
		group[g] = (uint32_t)nv->n->hw.msr[vmx_control_msr(&nv->n->hw, g) - MSR_VMX_BASIC];
	group[GROUP_PROC2] = 0;
#define VMCS01(g, name, when, why) group[GROUP_##g] |= (when) ? g##_##name : 0;
#include "l0/vmcs01.def"
#undef VMCS01
	/* CR3 accesses and INVLPG are L1's own, unless a row says otherwise: off by
	 * the TRUE MSR */
	for (unsigned g = 0; g < GROUP_COUNT; g++)
		if (vmcs_get(&nv->vmcs01, vmx_control_groups[g].field) != group[g])
			vmcs_set(&nv->vmcs01, vmx_control_groups[g].field, group[g]);
}

static void intercept_msr(uint8_t *bitmap, uint32_t msr)
{
	if (msr >= 0xc0000000) {
		msr &= 0x1fff;
		bitmap += 1024;
	}
	bitmap[msr >> 3] |= 1 << (msr & 7);          /* read */
	bitmap[2048 + (msr >> 3)] |= 1 << (msr & 7); /* write */
}

/* VMREAD and VMWRITE exit for fields that L1's processor lacks, and VMWRITE for
 * fields that it cannot write. */
static void fill_shadow_bitmaps(struct nested_vcpu *nv)
{
	struct private_mem *mem = &nv->n->mem;
	uint8_t *rd = private_host(mem, nv->vmread_bitmap), *wr = private_host(mem, nv->vmwrite_bitmap);

	bool all = vmx_caps_msr(&nv->n->l1, MSR_VMX_MISC) & BIT(29);

	memset(rd, 0xff, PAGE_SIZE);
	memset(wr, 0xff, PAGE_SIZE);
	for (unsigned f = 0; f < VMCS_FIELDS; f++) {
		uint32_t e = vmcs_encoding(f);
		bool write = all || vmcs_encoding_type(e) != VMCS_TYPE_READ_ONLY;
		if (!vmcs_exists(&nv->n->l1, f))
			continue;
		for (uint32_t half = 0; half <= (vmcs_encoding_width(e) == VMCS_WIDTH_64); half++) {
			rd[(e + half) >> 3] &= ~(1 << ((e + half) & 7));
			if (write)
				wr[(e + half) >> 3] &= ~(1 << ((e + half) & 7));
		}
	}
}

static uint64_t region(struct nested_vcpu *nv, struct vmcs *v, bool shadow)
{
	uint64_t at = private_new(&nv->n->mem);

	if (at == PRIVATE_NONE)
		return at;
	vmcs_init(v, hpa(at));
	v->revision = VMCS_REVISION;
	v->shadow = shadow;
	*(uint32_t *)private_host(&nv->n->mem, at) = VMCS_REVISION | (shadow ? VMCS_SHADOW : 0);
	return at;
}

bool vmcs01_init(struct nested_vcpu *nv)
{
	struct private_mem *mem = &nv->n->mem;
	struct vmcs *v = &nv->vmcs01;
	uint64_t pml01 = 0;

	nv->msr_bitmap01 = private_new(mem);
	nv->msr_bitmap02 = private_new(mem);
	nv->vmread_bitmap = private_new(mem);
	nv->vmwrite_bitmap = private_new(mem);
	if (nv->n->opt->use[L0_USE_PML]) {
		pml01 = private_new(mem);
		nv->pml02 = private_new(mem);
	}
	if (nv->vmwrite_bitmap == PRIVATE_NONE || nv->pml02 == PRIVATE_NONE || region(nv, v, false) == PRIVATE_NONE ||
		region(nv, &nv->vmcs02, false) == PRIVATE_NONE ||
		region(nv, &nv->shadow, true) == PRIVATE_NONE)
		return false;
	for (uint32_t msr = MSR_VMX_BASIC; msr <= MSR_VMX_LAST; msr++)
		intercept_msr(private_host(mem, nv->msr_bitmap01), msr);
	if (shadow_on(nv))
		intercept_msr(private_host(mem, nv->msr_bitmap01), MSR_EFER);
	fill_shadow_bitmaps(nv);
	set_controls(nv);
	vmcs_set(v, VMCS_PML_ADDRESS, pml01);
	vmcs_set(v, VMCS_GUEST_PML_INDEX, DIRTY_LOG_FIRST);
	vmcs_set(v, VMCS_MSR_BITMAP, nv->msr_bitmap01);
	vmcs_set(v, VMCS_VMREAD_BITMAP, nv->vmread_bitmap);
	vmcs_set(v, VMCS_VMWRITE_BITMAP, nv->vmwrite_bitmap);
	vmcs_set(v, VMCS_EPT_POINTER, nv->n->eptp01);
	vmcs_set(v, VMCS_VIRTUAL_PROCESSOR_ID, VPID01);
	vmcs_set(v, VMCS_VMCS_LINK_POINTER, UINT64_MAX);
	return true;
}

static void put(struct vmcs *v, enum vmcs_field f, uint64_t value)
{
	if (vmcs_get(v, f) != value)
		vmcs_set(v, f, value);
}

void vmcs01_update(struct nested_vcpu *nv)
{
	struct vmcs *v = &nv->vmcs01;
	bool on = nv->vmxon != NESTED_NONE;
	bool shadow = on && nv->cur && nv->n->opt->use[L0_USE_SHADOW_VMCS];
	uint64_t bitmap;

	set_controls(nv);
	put(v, VMCS_CR0_GUEST_HOST_MASK, on ? CR0_FIXED : CR0_NE);
	put(v, VMCS_CR4_GUEST_HOST_MASK, CR4_VMXE);
	if (on) {
		put(v, VMCS_CR0_READ_SHADOW, CR0_FIXED);
		put(v, VMCS_CR4_READ_SHADOW, CR4_VMXE);
	}
	bitmap = shadow_on(nv) ? BIT(VEC_PF) : 0;
	if (!(vmcs_get(v, VMCS_CR0_READ_SHADOW) & CR0_NE))
		bitmap |= BIT(VEC_MF); /* L1's is FERR# */
	put(v, VMCS_EXCEPTION_BITMAP, bitmap);
	put(v, VMCS_VMCS_LINK_POINTER, shadow ? nv->shadow.at.v : UINT64_MAX);
}

void vmcs01_enter(struct nested_vcpu *nv)
{
	struct vmcs *shadow = NULL;
	int failed = -1;
	enum vmx_entry r;

	shadow_lower(nv);
	if (vmcs_get(&nv->vmcs01, VMCS_VMCS_LINK_POINTER) != UINT64_MAX)
		shadow = &nv->shadow;
	vmx_save_guest_state(nv->c, &nv->vmcs01);
	if (!(vmcs_get(&nv->vmcs01, VMCS_VM_ENTRY_CONTROLS) & ENTRY_IA32E_MODE) !=
		!(nv->c->msr.efer & EFER_LMA))
		set_controls(nv);
	nv->l0v->level = 1;
	r = vmx_enter(nv->c, &nv->vmcs01, shadow, false, &failed);
	if (r != VMX_ENTERED && r != VMX_ENTERED_EXIT) {
		log_say(nv->n->l->log, LOG_ERROR, "vmx", "VMCS01 does not pass its own checks: %s",
			failed >= 0 ? vmx_checks[failed].name : "MSR load");
		assert(!"VMCS01 is L0's own and must be enterable");
	}
	vmcs_set(&nv->vmcs01, VMCS_VM_ENTRY_INTR_INFO_FIELD, 0);
}

void vmcs01_inject(struct nested_vcpu *nv, const struct cpu_fault *f)
{
	uint32_t info = f->vector | (uint32_t)f->type << INTR_TYPE_SHIFT | INTR_VALID;

	if (f->has_error) {
		info |= INTR_ERROR_CODE;
		vmcs_set(&nv->vmcs01, VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE, f->error);
	}
	if (f->vector == VEC_PF)
		nv->c->cr2 = f->payload;
	vmcs_set(&nv->vmcs01, VMCS_VM_ENTRY_INTR_INFO_FIELD, info);
	vmcs01_enter(nv);
}

/* SDM Vol. 3C 27.2.3 "Information About NMI Unblocking Due to IRET": where the bit
 * is depends on the exit. */
static bool unblocked_nmi(const struct vmx_exit *x)
{
	if (x->idt_info & INTR_VALID)
		return false;
	return (x->reason & 0xffff) == EXIT_REASON_EXCEPTION_NMI ? x->intr_info & INTR_NMI_UNBLOCK :
		x->qualification & BIT(12);
}

void vmcs01_again(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	struct vmcs *v = &nv->vmcs01;

	if (x->idt_info & INTR_VALID) {
		vmcs_set(v, VMCS_VM_ENTRY_INTR_INFO_FIELD, x->idt_info & ~INTR_NMI_UNBLOCK);
		vmcs_set(v, VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE, x->idt_error);
		vmcs_set(v, VMCS_VM_ENTRY_INSTRUCTION_LEN, x->insn_len);
	}
	if (unblocked_nmi(x))
		nv->c->nmi_blocked = true;
	vmcs01_enter(nv);
	nested_redelivered(nv, x);
}

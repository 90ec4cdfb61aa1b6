/* VMCS02: VMCS12 merged with what L0 needs, by the rows of merge.def. */
#include "l0/listen.h"
#include "l0/nested.h"

#include "cpu/msr.h"
#include "l0/shadow/vcpu.h"
#include "vmx/controls.h"

#include <assert.h>
#include <string.h>

/* The values that the rows take. */
struct merge {
	uint32_t proc2;
	uint32_t timer; /* all bits, or none with a timer of L0's own */
	bool ept;
	uint64_t pml; /* L0's log, 0: none */
	uint64_t eptp, vpid, msr_bitmap, link, tsc_offset, pdpte[4];
};

/* SDM Vol. 3A 4.4.1 "PDPTE Registers": PAE paging, not IA-32e. */
static bool uses_pdptes(const struct vmcs *v)
{
	return vmcs_get(v, VMCS_GUEST_CR0) & CR0_PG && vmcs_get(v, VMCS_GUEST_CR4) & CR4_PAE &&
		!(vmcs_get(v, VMCS_VM_ENTRY_CONTROLS) & ENTRY_IA32E_MODE);
}

static void find_pdptes(struct nested_vcpu *nv, const struct vmcs *v12, struct merge *m)
{
	for (unsigned i = 0; i < 4; i++)
		m->pdpte[i] = vmcs_get(v12, VMCS_GUEST_PDPTR0 + i);
	if (!(m->proc2 & PROC2_ENABLE_EPT) && uses_pdptes(v12))
		phys_read(&nv->n->l->machine->phys, hpa(vmcs_get(v12, VMCS_GUEST_CR3) & 0xffffffe0),
			m->pdpte, sizeof(m->pdpte));
}

/* L1's MSR bitmap with L0's bits set; absent memory intercepts all. */
static uint64_t merge_msr_bitmap(struct nested_vcpu *nv, const struct vmcs *v12)
{
	struct private_mem *mem = &nv->n->mem;
	uint64_t *out = private_host(mem, nv->msr_bitmap02);
	const uint64_t *mine = private_host(mem, nv->msr_bitmap01);
	static const uint16_t words[] = {MSR_VMX_BASIC / 64, 256 + MSR_VMX_BASIC / 64,
		128 + (MSR_EFER & 0x1fff) / 64, 384 + (MSR_EFER & 0x1fff) / 64};

	if (!(vmcs_get(v12, VMCS_CPU_BASED_VM_EXEC_CONTROL) & PROC1_USE_MSR_BITMAPS))
		return 0;
	if (!phys_read(&nv->n->l->machine->phys, hpa(vmcs_get(v12, VMCS_MSR_BITMAP)), out,
		    PAGE_SIZE))
		memset(out, 0xff, PAGE_SIZE);
	for (unsigned i = 0; i < 4; i++) /* IA32_VMX_* share a word, IA32_EFER has another */
		out[words[i]] |= mine[words[i]];
	return nv->msr_bitmap02;
}
static_assert(MSR_VMX_BASIC / 64 == MSR_VMX_LAST / 64, "L0's MSRs share a word of the bitmap");

/* L1's shadow VMCS for L2 (VMCS shadowing offered to L1 and used by it). */
static uint64_t load_shadow12(struct nested_vcpu *nv, const struct vmcs *v12, uint32_t proc2)
{
	uint64_t at = vmcs_get(v12, VMCS_VMCS_LINK_POINTER);
	uint8_t page[VMCS_SIZE];

	if (!(proc2 & PROC2_SHADOW_VMCS) || at == UINT64_MAX ||
		!phys_read(&nv->n->l->machine->phys, hpa(at), page, sizeof(page)))
		return UINT64_MAX;
	if (!nv->shadow12)
		nv->shadow12 = xalloc(sizeof(*nv->shadow12));
	vmcs_init(nv->shadow12, hpa(at));
	vmcs12_load(nv->shadow12, page);
	nv->shadow12->dirty = 0;
	return at;
}

static void prepare(struct nested_vcpu *nv, struct merge *m)
{
	struct nested *n = nv->n;
	const struct vmcs *v12 = &nv->cur->v;

	m->proc2 = vmcs_proc2(v12);
	nv->eptp12 = m->proc2 & PROC2_ENABLE_EPT ? vmcs_get(v12, VMCS_EPT_POINTER) : 0;
	if (nv->eptp12)
		listen_ept(n->l, nv->eptp12);
	if (m->proc2 & PROC2_ENABLE_PML && !(m->proc2 & PROC2_ENABLE_VPID))
		ept02_retrack(&n->ept02, nv->eptp12);
	m->ept = !shadow_on(nv);
	m->timer = n->opt->use[L0_USE_PREEMPTION_TIMER] ? UINT32_MAX : 0;
	m->eptp = nv->eptp12 ? ept02_pointer(&n->ept02, nv->eptp12) : m->ept ? n->eptp01 : 0;
	m->pml = m->ept && !nv->eptp12 && n->opt->use[L0_USE_PML] ? nv->pml02 : 0;
	m->vpid = m->proc2 & PROC2_ENABLE_VPID && n->opt->use[L0_USE_VPID] ?
		vmcs_get(v12, VMCS_VIRTUAL_PROCESSOR_ID) : 0;
	m->msr_bitmap = merge_msr_bitmap(nv, v12);
	m->link = load_shadow12(nv, v12, m->proc2);
	m->tsc_offset = vmcs_get(v12, VMCS_CPU_BASED_VM_EXEC_CONTROL) & PROC1_USE_TSC_OFFSETTING ?
		vmcs_get(v12, VMCS_TSC_OFFSET) : 0;
	find_pdptes(nv, v12, m);
}

void vmcs02_merge(struct nested_vcpu *nv)
{
	uint64_t *v = nv->vmcs02.v;
	struct merge merge, *m = &merge;
	uint8_t dirty = nv->merged ? nv->cur->v.dirty : 0xf;

	prepare(nv, m);
	memcpy(v, nv->cur->v.v, sizeof(nv->vmcs02.v));
#define MERGE(f, mask, source, value, why)                                                         \
	v[VMCS_##f] = (v[VMCS_##f] & ~(uint64_t)(mask)) | ((uint64_t)(value) & (mask));
#include "l0/merge.def"
#undef MERGE
	if (shadow_on(nv))
		shadow_merge(nv, &nv->vmcs02, m->vpid);
	nv->vmcs02.dirty |= dirty;
	nv->merged = true;
}

struct merge_row {
	uint16_t field;
	uint8_t source;
	uint64_t mask;
	const char *why;
};

#define MERGE(f, mask, source, value, why) {VMCS_##f, SOURCE_##source, mask, why},
static const struct merge_row rows[] = {
#include "l0/merge.def"
};
static const struct merge_row shadow_rows[] = {
#include "l0/shadow/merge.def"
};
#undef MERGE

static const struct merge_row *row_of(
	const struct merge_row *r, unsigned count, enum vmcs_field f, unsigned bit)
{
	while (count-- > 0)
		if (r[count].field == f && r[count].mask >> bit & 1)
			return &r[count];
	return NULL;
}

enum vmcs02_source vmcs02_origin(
	const struct nested_vcpu *nv, enum vmcs_field f, unsigned bit, const char **why)
{
	const struct merge_row *r = NULL;

	if (shadow_on(nv))
		r = row_of(shadow_rows, sizeof(shadow_rows) / sizeof(shadow_rows[0]), f, bit);
	if (!r)
		r = row_of(rows, sizeof(rows) / sizeof(rows[0]), f, bit);
	if (r) {
		*why = r->why;
		return r->source;
	}
	if (vmcs_encoding_type(vmcs_encoding(f)) == VMCS_TYPE_HOST) {
		*why = "not in use: an exit of L2 enters L0, which is not a guest program";
		return SOURCE_L0;
	}
	*why = "VMCS12";
	return SOURCE_L1;
}

/* An event that the exit interrupted is delivered again, SDM Vol. 3C 27.2.4
 * "Information for VM Exits During Event Delivery". */
static void reinject(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	struct vmcs *v = &nv->vmcs02;

	if (x->idt_info & INTR_VALID) {
		vmcs_set(v, VMCS_VM_ENTRY_INTR_INFO_FIELD, x->idt_info & ~INTR_NMI_UNBLOCK);
		vmcs_set(v, VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE, x->idt_error);
		vmcs_set(v, VMCS_VM_ENTRY_INSTRUCTION_LEN, x->insn_len);
	}
}

void vmcs02_reenter(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	struct vmcs *v = &nv->vmcs02;
	struct vmcs *shadow = v->v[VMCS_VMCS_LINK_POINTER] == UINT64_MAX ? NULL : nv->shadow12;
	int failed = -1;
	enum vmx_entry r;

	reinject(nv, x);
	/* loaded by the entry that L1 made, and L2's own since */
	v->v[VMCS_VM_ENTRY_MSR_LOAD_COUNT] = 0;
	v->v[VMCS_VM_ENTRY_CONTROLS] &= ~(uint64_t)(ENTRY_LOAD_DEBUG_CONTROLS |
		ENTRY_LOAD_PERF_GLOBAL_CTRL | ENTRY_LOAD_IA32_PAT | ENTRY_LOAD_IA32_EFER);
	if (v->v[VMCS_PIN_BASED_VM_EXEC_CONTROL] & PIN_PREEMPTION_TIMER)
		v->v[VMCS_VMX_PREEMPTION_TIMER_VALUE] = vmx_timer_left(nv->c);
	r = vmx_enter(nv->c, v, shadow, false, &failed);
	assert(r == VMX_ENTERED || r == VMX_ENTERED_EXIT);
	(void)r;
	nested_redelivered(nv, x);
	nested_timer_resume(nv);
}

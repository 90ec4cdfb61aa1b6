/* Memory and paging roots of the live machine. */
#include "introspect/live_machine.h"

#include "base/input.h"
#include "l0/shadow/vcpu.h"
#include "vmx/controls.h"

#include <string.h>

enum intro_mem_status live_host_read(void *ctx, struct hpa at, void *out, size_t len)
{
	struct live *v = ctx;
	const struct machine *m = v->l->machine;
	if (phys_read(&m->phys, at, out, len))
		return MEM_OK;
	return bus_mmio_at(&m->bus, at) ? MEM_DEVICE : MEM_NOTHING;
}

enum intro_mem_status live_host_write(void *ctx, struct hpa at, const void *in, size_t len)
{
	struct live *v = ctx;
	const struct machine *m = v->l->machine;
	const struct phys_range *r = phys_find(&m->phys, at);
	uint8_t data[8 + PAGE_SIZE];
	if (!r)
		return bus_mmio_at(&m->bus, at) ? MEM_DEVICE : MEM_NOTHING;
	if (r->kind == PHYS_ROM || len > PAGE_SIZE)
		return MEM_READ_ONLY;
	memcpy(data, &at.v, 8);
	memcpy(data + 8, in, len);
	return input_put(v->l->inputs, INPUT_MEMORY, v->by_plugin ? LIVE_BY_PLUGIN : 0, data, (uint32_t)len + 8) ? MEM_OK :
		MEM_READ_ONLY;
}

/* What decides about paging, of a running or a saved level. */
struct paging {
	uint64_t cr0, cr3, cr4, efer, rflags, pdpte[4];
	uint32_t pkru;
	bool have_pdptes;
};

static struct paging from_vcpu(const struct vcpu *c)
{
	struct paging p = {c->cr0, c->cr3, c->cr4, c->msr.efer, c->rflags, {0}, c->pkru, true};
	memcpy(p.pdpte, c->pdpte, sizeof p.pdpte);
	return p;
}

/* On shadow tables the processor holds other registers than the guest. */
static struct paging from_running(struct live *v, unsigned vcpu)
{
	const struct nested_vcpu *nv = live_nested(v, vcpu);
	struct paging p = from_vcpu(live_cpu(v, vcpu));
	if (!nv || !shadow_on(nv))
		return p;
	struct shadow_regs r = shadow_regs_of(nv, nv->l0v->level);
	p.cr0 = r.cr0;
	p.cr3 = r.cr3;
	p.cr4 = r.cr4;
	p.efer = r.efer;
	memcpy(p.pdpte, r.pdpte, sizeof p.pdpte);
	return p;
}

static struct paging from_guest_state(const struct vmcs *v)
{
	struct paging p = {vmcs_get(v, VMCS_GUEST_CR0), vmcs_get(v, VMCS_GUEST_CR3),
		vmcs_get(v, VMCS_GUEST_CR4), vmcs_get(v, VMCS_GUEST_IA32_EFER),
		vmcs_get(v, VMCS_GUEST_RFLAGS), {0}, 0, vmcs_proc2(v) & PROC2_ENABLE_EPT};
	for (unsigned i = 0; i < 4; i++)
		p.pdpte[i] = vmcs_get(v, VMCS_GUEST_PDPTR0 + i);
	/* EFER may not be saved: IA-32e mode is a VM-entry control too */
	if (vmcs_get(v, VMCS_VM_ENTRY_CONTROLS) & ENTRY_IA32E_MODE)
		p.efer |= EFER_LMA | EFER_LME | EFER_NXE;
	return p;
}

static struct paging from_host_state(const struct vmcs *v)
{
	struct paging p = {vmcs_get(v, VMCS_HOST_CR0), vmcs_get(v, VMCS_HOST_CR3),
		vmcs_get(v, VMCS_HOST_CR4), vmcs_get(v, VMCS_HOST_IA32_EFER), 2, {0}, 0, false};
	if (vmcs_get(v, VMCS_VM_EXIT_CONTROLS) & EXIT_HOST_ADDR_SPACE_SIZE)
		p.efer |= EFER_LMA | EFER_LME | EFER_NXE;
	return p;
}

static void guest_root(struct live *v, struct place at, const struct paging *p,
	struct walk_root *out)
{
	const struct cpu_model *model = &v->l->model;
	*out = (struct walk_root){.root = p->cr3, .phys_bits = model->phys_bits ? model->phys_bits : 46,
		.pse = p->cr4 & CR4_PSE, .page1g = true, .wp = p->cr0 & CR0_WP, .nxe = p->efer & EFER_NXE,
		.smep = p->cr4 & CR4_SMEP, .smap = p->cr4 & CR4_SMAP, .ac = p->rflags & FLAG_AC,
		.pke = p->cr4 & CR4_PKE, .pkru = p->pkru};
	out->format = !(p->cr0 & CR0_PG) ? WALK_NONE : p->efer & EFER_LMA ? WALK_4LEVEL :
		p->cr4 & CR4_PAE ? WALK_PAE : WALK_32BIT;
	memcpy(out->pdpte, p->pdpte, sizeof out->pdpte);
	if (out->format == WALK_PAE && !p->have_pdptes) {
		(void)at; /* L1-physical below L0's own pages is host-physical */
		phys_read(&v->l->machine->phys, hpa(p->cr3 & 0xffffffe0), out->pdpte, sizeof out->pdpte);
	}
}

static bool guest_tables(struct live *v, struct place at, struct walk_root *out)
{
	enum intro_state st = live_place_state(v, at);
	const struct nested_vmcs12 *m = live_vmcs12(v, at);
	struct paging p;
	if (st == PLACE_RUNNING)
		p = from_running(v, at.vcpu);
	else if (st == PLACE_SAVED && m)
		p = at.level == LEVEL_L1 ? from_host_state(&m->v) : from_guest_state(&m->v);
	else
		return false;
	guest_root(v, at, &p, out);
	return true;
}

static bool ept02_of(struct live *v, uint64_t eptp12, bool mbec, struct walk_root *out)
{
	struct ept02 *e = &v->n->ept02;
	for (unsigned i = 0; i < EPT02_ROOTS; i++) {
		const struct ept02_root *r = &e->root[i];
		if (r->eptp12 == EPT02_NONE || ((r->eptp12 ^ eptp12) & (UINT64_C(0x000ffffffffff000) | 0x38)))
			continue;
		*out = (struct walk_root){.format = WALK_EPT, .root = ept_table_eptp(&r->table, false),
			.phys_bits = v->n->hw.phys_bits, .page1g = true, .exec_only = true, .mbec = mbec};
		return true;
	}
	return false;
}

/* What the processor walks for this level, or walked when it last ran. */
static bool shadow_tables(struct live *v, struct place at, struct walk_root *out)
{
	const struct nested_vcpu *nv = live_nested(v, at.vcpu);
	unsigned level = at.level >= LEVEL_L2 ? 2 : 1;
	if (!shadow_on(nv) || live_place_state(v, at) == PLACE_NONE ||
		(level == 2 && live_vmcs12(v, at) != nv->cur))
		return false;
	struct shadow_regs r = nv->l0v->level == level ? shadow_regs_of(nv, level) :
		nv->paging.regs[level == 2];
	struct shadow_regs hw = shadow_hardware(&v->n->shadow, &nv->paging.space[level == 2], &r);
	if (!nv->paging.space[level == 2].roots)
		return false;
	struct paging p = {hw.cr0, hw.cr3, hw.cr4, hw.efer, live_cpu(v, at.vcpu)->rflags, {0},
		live_cpu(v, at.vcpu)->pkru, true};
	memcpy(p.pdpte, hw.pdpte, sizeof p.pdpte);
	guest_root(v, at, &p, out);
	out->phys_bits = v->n->hw.phys_bits;
	return true;
}

bool live_root(void *ctx, struct place at, enum walk_table table, struct walk_root *out)
{
	struct live *v = ctx;
	if (table == TABLE_GUEST)
		return guest_tables(v, at, out);
	if (!v->n)
		return false;
	if (table == TABLE_SHADOW)
		return shadow_tables(v, at, out);
	if (table == TABLE_EPT01 && !v->l->options.use[L0_USE_EPT])
		return false;
	if (table == TABLE_EPT01) {
		*out = (struct walk_root){.format = WALK_EPT, .root = v->n->eptp01, .phys_bits = 46,
			.page1g = true, .exec_only = true};
		return true;
	}
	const struct nested_vmcs12 *m = at.level >= LEVEL_L2 ? live_vmcs12(v, at) : NULL;
	uint32_t proc2 = m ? vmcs_proc2(&m->v) : 0;
	if (!(proc2 & PROC2_ENABLE_EPT))
		return false;
	uint64_t eptp = vmcs_get(&m->v, VMCS_EPT_POINTER);
	bool mbec = proc2 & PROC2_MODE_BASED_EPT_EXEC;
	if (table == TABLE_EPT02)
		return ept02_of(v, eptp, mbec, out);
	*out = ept02_walk_root(&v->n->ept02, eptp, mbec);
	return true;
}

bool live_tlb_peek(void *ctx, struct place at, uint64_t linear, struct hpa *page, bool *writable)
{
	struct live *v = ctx;
	return live_place_state(v, at) == PLACE_RUNNING &&
		engine_tlb_peek(live_cpu(v, at.vcpu), gva(linear), page, writable);
}

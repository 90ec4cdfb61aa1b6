/* Registers up and down: the guest's own, and those of its shadow tables. */
#include "l0/shadow/vcpu.h"

#include "base/state.h"
#include "cpu/mem.h"
#include "vmx/controls.h"

#include <string.h>

/* Bits that the guest does not write by itself. */
#define OWNED_CR0 (CR0_PG | CR0_WP)
#define OWNED_EFER (EFER_NXE | EFER_LMA | EFER_LME)
#define VPID_LIFT 0xfffe /* L0's own accesses to the guest's memory */

static void flush_all(void *ctx)
{
	const struct nested *n = ctx;

	for (unsigned i = 0; i < n->l->vcpus; i++) {
		tlb_flush_all(n->l->vcpu[i].cpu);
		tlb_invvpid_all(n->l->vcpu[i].cpu);
	}
}

static void flush_page(void *ctx, uint64_t va)
{
	const struct nested *n = ctx;

	for (unsigned i = 0; i < n->l->vcpus; i++)
		tlb_flush_linear(n->l->vcpu[i].cpu, gva(va));
}

void shadow_new(struct nested *n)
{
	shadow_init(&n->shadow, &n->mem, &n->l->machine->phys, n->l->model.phys_bits);
	n->shadow.flush = flush_all;
	n->shadow.flush_page = flush_page;
	n->shadow.flush_ctx = n;
}

void shadow_forget(struct nested_vcpu *nv)
{
	struct shadow_vcpu *s = &nv->paging;

	if (!shadow_on(nv))
		return;
	shadow_leave(&nv->n->shadow, &s->space[0]);
	shadow_leave(&nv->n->shadow, &s->space[1]);
	if (s->once)
		shadow_over(&nv->n->shadow);
	memset(s, 0, sizeof(*s));
}

/* --- between struct vcpu and struct shadow_regs */

static struct shadow_regs live(const struct vcpu *c)
{
	struct shadow_regs r = {.cr0 = c->cr0, .cr3 = c->cr3, .cr4 = c->cr4, .efer = c->msr.efer};

	memcpy(r.pdpte, c->pdpte, sizeof(r.pdpte));
	return r;
}

static void load(struct vcpu *c, const struct shadow_regs *r)
{
	c->cr0 = r->cr0;
	c->cr3 = r->cr3;
	c->cr4 = r->cr4;
	c->msr.efer = r->efer;
	memcpy(c->pdpte, r->pdpte, sizeof(c->pdpte));
}

static uint64_t mix(uint64_t owned, uint64_t own, uint64_t now)
{
	return (own & owned) | (now & ~owned);
}

struct shadow_regs shadow_regs_of(const struct nested_vcpu *nv, unsigned level)
{
	const struct vcpu *c = nv->c;
	struct shadow_regs r = nv->paging.regs[level == 2];

	if (!shadow_on(nv) || !nv->paging.lowered)
		return live(c);
	r.cr0 = mix(OWNED_CR0, r.cr0, c->cr0);
	r.cr4 = mix(SHADOW_OWNED_CR4, r.cr4, c->cr4);
	r.efer = mix(OWNED_EFER, r.efer, c->msr.efer);
	return r;
}

void shadow_lift(struct nested_vcpu *nv)
{
	struct vcpu *c = nv->c;
	struct shadow_regs r;

	if (!shadow_on(nv) || !nv->paging.lowered)
		return;
	r = shadow_regs_of(nv, nv->l0v->level);
	load(c, &r);
	nv->paging.lowered = false;
	c->nonroot.vpid = VPID_LIFT;
	c->nonroot.phys_bits = 0;
	vcpu_state_changed(c);
}

/* --- down again */

static bool other_rules(const struct shadow_regs *a, const struct shadow_regs *b)
{
	return ((a->cr0 ^ b->cr0) & OWNED_CR0) || ((a->cr4 ^ b->cr4) & SHADOW_OWNED_CR4) ||
		((a->efer ^ b->efer) & OWNED_EFER);
}

static bool other_tables(const struct shadow_regs *a, const struct shadow_regs *b)
{
	return a->cr3 != b->cr3 || memcmp(a->pdpte, b->pdpte, sizeof(a->pdpte));
}

static void put(struct vmcs *v, enum vmcs_field f, uint64_t value)
{
	if (vmcs_get(v, f) != value)
		vmcs_set(v, f, value);
}

/* CR0.CD and NW do not matter to paging, but a write to them loads PDPTEs. */
static uint64_t cr0_mask(const struct shadow_space *sp)
{
	return OWNED_CR0 | (sp->roots == 4 ? CR0_CD | CR0_NW : 0);
}

static void set_masks(struct vmcs *v, uint64_t cr0, const struct shadow_regs *r)
{
	put(v, VMCS_CR0_GUEST_HOST_MASK, vmcs_get(v, VMCS_CR0_GUEST_HOST_MASK) | cr0);
	put(v, VMCS_CR4_GUEST_HOST_MASK, vmcs_get(v, VMCS_CR4_GUEST_HOST_MASK) | SHADOW_OWNED_CR4);
	put(v, VMCS_CR0_READ_SHADOW, mix(cr0, r->cr0, vmcs_get(v, VMCS_CR0_READ_SHADOW)));
	put(v, VMCS_CR4_READ_SHADOW, mix(SHADOW_OWNED_CR4, r->cr4, vmcs_get(v, VMCS_CR4_READ_SHADOW)));
}

/* The hardware's translations go along with the tables, so that they never
 * know more than the tables do. */
static void flush_for(struct nested_vcpu *nv, const struct vmcs *v, bool all, bool pcid)
{
	struct vcpu *c = nv->c;

	if (c->nonroot.vpid == VPID_LIFT)
		tlb_invvpid(c, VPID_LIFT, false);
	c->nonroot.on = true;
	c->nonroot.vpid = vmcs_proc2(v) & PROC2_ENABLE_VPID ?
		(uint16_t)vmcs_get(v, VMCS_VIRTUAL_PROCESSOR_ID) : 0;
	if (all)
		tlb_flush_all(c);
	else if (pcid)
		tlb_flush_pcid(c, c->cr4 & CR4_PCIDE ? c->cr3 & 0xfff : 0);
}

void shadow_lower(struct nested_vcpu *nv)
{
	struct shadow_vcpu *s = &nv->paging;
	struct shadow_mmu *m = &nv->n->shadow;
	struct shadow_regs r, hw;
	bool rules, moved = false;

	if (!shadow_on(nv) || s->lowered)
		return;
	r = live(nv->c);
	rules = !s->known || other_rules(&r, &s->regs[0]);
	if (rules)
		shadow_flushed(m, &s->space[0]);
	if (rules || s->sync || other_tables(&r, &s->regs[0]))
		moved = shadow_enter(m, &s->space[0], &r, s->sync || rules);
	s->regs[0] = r;
	s->known = s->lowered = true;
	hw = shadow_hardware(m, &s->space[0], &r);
	load(nv->c, &hw);
	flush_for(nv, &nv->vmcs01, rules, (moved && !s->keep) || s->sync);
	s->sync = s->keep = false;
	set_masks(&nv->vmcs01, cr0_mask(&s->space[0]), &r);
}

void shadow_lower_l2(struct nested_vcpu *nv, bool sync)
{
	struct shadow_vcpu *s = &nv->paging;
	struct shadow_mmu *m = &nv->n->shadow;
	struct shadow_regs r = live(nv->c), hw;
	bool rules = other_rules(&r, &s->regs[1]), moved = false;
	const struct vmcs *v12 = &nv->cur->v;
	struct vmcs *v = &nv->vmcs02;

	if (rules || sync || other_tables(&r, &s->regs[1]))
		moved = shadow_enter(m, &s->space[1], &r, sync || rules);
	s->regs[1] = r;
	s->lowered = true;
	hw = shadow_hardware(m, &s->space[1], &r);
	load(nv->c, &hw);
	flush_for(nv, v, rules || moved || sync, false);
	vmx_save_guest_state(nv->c, v);
	set_masks(v, cr0_mask(&s->space[1]) & ~vmcs_get(v12, VMCS_CR0_GUEST_HOST_MASK), &r);
	put(v, VMCS_CR4_READ_SHADOW, mix(vmcs_get(v12, VMCS_CR4_GUEST_HOST_MASK),
		vmcs_get(v12, VMCS_CR4_READ_SHADOW), vmcs_get(v, VMCS_CR4_READ_SHADOW)));
}

/* --- L2's entry and exit */

static bool pae(const struct shadow_regs *r)
{
	return r->cr0 & CR0_PG && r->cr4 & CR4_PAE && !(r->efer & EFER_LMA);
}

static void read_pdptes(const struct nested_vcpu *nv, struct shadow_regs *r)
{
	if (pae(r) && !phys_read(&nv->n->l->machine->phys, hpa(r->cr3 & 0xffffffe0), r->pdpte,
			      sizeof(r->pdpte)))
		memset(r->pdpte, 0, sizeof(r->pdpte));
}

/* What an entry with these fields leads to, SDM Vol. 3C 26.3.2.1 "Loading
 * Guest Control Registers, Debug Registers, and MSRs". */
static struct shadow_regs regs_of_vmcs12(const struct nested_vcpu *nv, const struct vmcs *v12)
{
	uint32_t entry = (uint32_t)vmcs_get(v12, VMCS_VM_ENTRY_CONTROLS);
	struct shadow_regs r = {.cr0 = vmcs_get(v12, VMCS_GUEST_CR0),
		.cr3 = vmcs_get(v12, VMCS_GUEST_CR3),
		.cr4 = vmcs_get(v12, VMCS_GUEST_CR4),
		.efer = vmcs_get(v12, VMCS_GUEST_IA32_EFER)};

	if (!(entry & ENTRY_LOAD_IA32_EFER))
		r.efer = mix(EFER_LMA | EFER_LME, entry & ENTRY_IA32E_MODE ? EFER_LMA | EFER_LME : 0,
			nv->c->msr.efer);
	read_pdptes(nv, &r);
	return r;
}

bool shadow_pdptes_ok(const struct nested_vcpu *nv, const struct vmcs *v12)
{
	struct shadow_regs r = regs_of_vmcs12(nv, v12);
	uint64_t reserved = ~(BIT(nv->n->shadow.phys_bits) - 1) | 0x1e6;

	for (unsigned i = 0; pae(&r) && i < 4; i++)
		if (r.pdpte[i] & 1 && r.pdpte[i] & reserved)
			return false;
	return true;
}

void shadow_write(struct nested_vcpu *nv, const struct shadow_regs *r)
{
	struct vcpu *c = nv->c;
	struct cpu_nonroot nonroot = c->nonroot;
	bool l2 = nv->l0v->level == 2;
	const struct vmcs *v = l2 ? &nv->vmcs02 : &nv->vmcs01;
	struct shadow_regs own = *r;

	read_pdptes(nv, &own);
	shadow_lift(nv);
	load(c, &own);
	nv->paging.sync = !l2;
	if (l2)
		shadow_lower_l2(nv, true);
	else
		shadow_lower(nv);
	c->nonroot = nonroot;
	c->nonroot.cr0_mask = vmcs_get(v, VMCS_CR0_GUEST_HOST_MASK);
	c->nonroot.cr0_shadow = vmcs_get(v, VMCS_CR0_READ_SHADOW);
	c->nonroot.cr4_mask = vmcs_get(v, VMCS_CR4_GUEST_HOST_MASK);
	c->nonroot.cr4_shadow = vmcs_get(v, VMCS_CR4_READ_SHADOW);
	vcpu_state_changed(c);
}

/* The values that the rows of merge.def take. */
struct hardware {
	struct shadow_regs regs;
	uint64_t cr0_mask, cr0_shadow, cr4_shadow;
};

void shadow_merge(struct nested_vcpu *nv, struct vmcs *v, uint64_t vpid)
{
	struct shadow_vcpu *s = &nv->paging;
	struct shadow_mmu *m = &nv->n->shadow;
	const struct vmcs *v12 = &nv->cur->v;
	struct shadow_regs r = regs_of_vmcs12(nv, v12);
	struct hardware h;

	/* without a VPID every entry flushes; another VPID knows nothing of what
	 * the tables hold for the one before */
	bool fresh = !vpid || vpid != s->vpid;
	bool moved = shadow_enter(m, &s->space[1], &r, fresh);
	if ((moved || fresh) && vpid)
		tlb_invvpid(nv->c, (uint16_t)vpid, false);
	s->vpid = (uint16_t)vpid;
	s->regs[1] = r;
	h.regs = shadow_hardware(m, &s->space[1], &r);
	h.cr0_mask = vmcs_get(v12, VMCS_CR0_GUEST_HOST_MASK) | cr0_mask(&s->space[1]);
	h.cr0_shadow = mix(vmcs_get(v12, VMCS_CR0_GUEST_HOST_MASK),
		vmcs_get(v12, VMCS_CR0_READ_SHADOW), r.cr0);
	h.cr4_shadow = mix(vmcs_get(v12, VMCS_CR4_GUEST_HOST_MASK),
		vmcs_get(v12, VMCS_CR4_READ_SHADOW), r.cr4);
#define MERGE(f, mask, source, value, why)                                                         \
	v->v[VMCS_##f] = (v->v[VMCS_##f] & ~(uint64_t)(mask)) | ((uint64_t)(value) & (mask));
#include "l0/shadow/merge.def"
#undef MERGE
}

void shadow_entered(struct nested_vcpu *nv)
{
	nv->paging.lowered = shadow_on(nv);
}

void shadow_drop_l2(struct nested_vcpu *nv)
{
	if (shadow_on(nv))
		load(nv->c, &nv->paging.regs[1]);
}

static void regs_state(struct shadow_regs *r, struct state *s)
{
	state_u64(s, &r->cr0);
	state_u64(s, &r->cr3);
	state_u64(s, &r->cr4);
	state_u64(s, &r->efer);
	for (unsigned i = 0; i < 4; i++)
		state_u64(s, &r->pdpte[i]);
}

void shadow_vcpu_state(struct shadow_vcpu *sv, struct state *s)
{
	for (unsigned i = 0; i < 2; i++) {
		regs_state(&sv->regs[i], s);
		shadow_space_state(&sv->space[i], s);
	}
	state_u16(s, &sv->vpid);
	state_bool(s, &sv->lowered);
	state_bool(s, &sv->known);
	state_bool(s, &sv->sync);
	state_bool(s, &sv->keep);
	state_bool(s, &sv->once);
}

void shadow_take(struct nested_vcpu *nv, uint64_t old_efer)
{
	struct shadow_regs r = shadow_regs_of(nv, 2);
	uint64_t *to = nv->cur->v.v;

	to[VMCS_GUEST_CR0] = r.cr0;
	to[VMCS_GUEST_CR3] = r.cr3;
	to[VMCS_GUEST_CR4] = r.cr4;
	to[VMCS_GUEST_IA32_EFER] =
		to[VMCS_VM_EXIT_CONTROLS] & EXIT_SAVE_IA32_EFER ? r.efer : old_efer;
}

/* Construction and start of the nested machine. */
#include "l0/nested.h"

#include "base/buf.h"
#include "cpu/mem.h"
#include "l0/shadow/vcpu.h"

#include <stdlib.h>
#include <string.h>

#define PRIVATE_BYTES (UINT64_C(256) << 20) /* the host commits what is touched */

static void flush(void *ctx, uint64_t eptp02)
{
	struct nested *n = ctx;

	for (unsigned i = 0; i < n->l->vcpus; i++)
		tlb_invept(n->l->vcpu[i].cpu, eptp02);
}

static void make_caps(struct nested *n)
{
	const struct cpu_model *m = &n->l->model;
	bool cap[CAP_COUNT];

	vmx_caps_full(cap);
	cap[CAP_UNRESTRICTED_NO_EPT] = true;
	vmx_caps_make(&n->hw, cap, 46, vmx_model_cr4(m)); /* L0's memory is above PHYS_PRIVATE */
	n->hw.private_rules = true;
	vmx_caps_make(&n->l1, n->opt->cap, m->phys_bits, vmx_model_cr4(m));
}

static bool init_memory(struct nested *n, struct err *e)
{
	struct phys *phys = &n->l->machine->phys;

	if (!private_init(&n->mem, phys, PRIVATE_BYTES, e))
		return false;
	bool pml = n->opt->use[L0_USE_PML];
	if (!ept01_build(&n->ept01, &n->mem, phys, n->l->model.phys_bits, pml) ||
		!ept02_init(&n->ept02, &n->mem, phys, n->l->model.phys_bits))
		return err_set(e, ERR_GENERAL, "L0 has too little memory for its EPT tables");
	if (n->opt->mmu == L0_MMU_SHADOW_ON_SHADOW)
		shadow_new(n);
	n->eptp01 = ept_table_eptp(&n->ept01, pml);
	if (pml)
		dirty_init(&n->dirty, phys);
	n->ept02.exec_only = n->l1.cap[CAP_EPT_EXEC_ONLY];
	n->ept02.page1g = n->l1.cap[CAP_EPT_1G];
	n->ept02.flush = flush;
	n->ept02.flush_ctx = n;
	return true;
}

static bool init_vcpu(struct nested *n, unsigned i, struct err *e)
{
	struct nested_vcpu *nv = &n->vcpu[i];

	*nv = (struct nested_vcpu){.n = n,
		.l0v = &n->l->vcpu[i],
		.c = n->l->vcpu[i].cpu,
		.vmxon = NESTED_NONE,
		.cause = RING_NONE};
	n->l->vcpu[i].nested = nv;
	if (!vmx_attach(nv->c, &n->hw, e))
		return false;
	vmx_of(nv->c)->shadow_wrote = vmcs12_shadow_wrote;
	vmx_of(nv->c)->shadow_ctx = nv;
	nested_timer_init(nv);
	return vmcs01_init(nv) || err_set(e, ERR_GENERAL, "L0 has too little memory for a vCPU");
}

bool nested_new(struct l0 *l, const struct l0_options *o, struct err *e)
{
	struct nested *n = xalloc(sizeof(*n));

	l->nested = n;
	n->l = l;
	n->opt = o;
	n->vmcs12 = xalloc(NESTED_VMCS12S * sizeof(*n->vmcs12));
	n->vcpu = xalloc(l->vcpus * sizeof(*n->vcpu));
	reflect_fields(n);
	make_caps(n);
	if (!init_memory(n, e))
		return false;
	for (unsigned i = 0; i < l->vcpus; i++)
		if (!init_vcpu(n, i, e))
			return false;
	l->vmexit = nested_exit;
	verdict_init(n);
	return true;
}

void nested_free(struct nested *n)
{
	if (!n)
		return;
	for (unsigned i = 0; i < n->l->vcpus; i++) {
		free(n->vcpu[i].shadow12);
		nested_timer_done(&n->vcpu[i]);
		vmx_detach(n->l->vcpu[i].cpu);
	}
	shadow_done(&n->shadow);
	dirty_done(&n->dirty);
	private_done(&n->mem);
	free(n->vmcs12);
	free(n->vcpu);
	free(n);
}

/* The vCPU stands at its start state, outside VMX: VMCS01 takes it over. */
void nested_start_vcpu(struct nested_vcpu *nv)
{
	struct vcpu *c = nv->c;
	struct vmcs *v = &nv->vmcs01;

	shadow_forget(nv);
	nested_timer_stop(nv);
	if (c->nonroot.on)
		vmx_leave(c);
	nv->vmxon = NESTED_NONE;
	nv->cause = RING_NONE;
	nv->init_blocked = false;
	if (nv->cur)
		nv->cur->vcpu = -1;
	nv->cur = NULL;
	nv->merged = false;
	vmcs_set(v, VMCS_CR0_READ_SHADOW, c->cr0);
	vmcs_set(v, VMCS_CR4_READ_SHADOW, c->cr4 & ~CR4_VMXE);
	c->cr0 |= CR0_NE;
	c->cr4 |= CR4_VMXE;
	vcpu_state_changed(c);
	vmcs01_update(nv);
	vmcs01_enter(nv);
}

void nested_start(struct nested *n)
{
	for (unsigned i = 0; i < NESTED_VMCS12S; i++)
		n->vmcs12[i] = (struct nested_vmcs12){.at = NESTED_NONE, .vcpu = -1};
	ept02_invalidate_all(&n->ept02);
	for (unsigned i = 0; i < n->l->vcpus; i++)
		shadow_forget(&n->vcpu[i]);
	if (n->opt->mmu == L0_MMU_SHADOW_ON_SHADOW)
		shadow_reset(&n->shadow);
	for (unsigned i = 0; i < n->l->vcpus; i++) {
		n->vcpu[i].cur = NULL;
		nested_start_vcpu(&n->vcpu[i]);
	}
}

/* L1's translations are void: an exit of an L2 without a VPID. */
void nested_flush_l1(struct nested_vcpu *nv)
{
	nv->paging.sync = true;
	if (shadow_on(nv))
		shadow_flushed(&nv->n->shadow, &nv->paging.space[0]);
	if (nv->n->opt->use[L0_USE_VPID])
		tlb_invvpid(nv->c, (uint16_t)vmcs_get(&nv->vmcs01, VMCS_VIRTUAL_PROCESSOR_ID), false);
}

/* After a load: the processor's references to L0's structures. */
void nested_loaded(struct nested_vcpu *nv)
{
	bool l2 = nv->l0v->level == 2;
	struct vmcs *v = l2 ? &nv->vmcs02 : &nv->vmcs01, *shadow = l2 ? nv->shadow12 : &nv->shadow;

	if (vmcs_get(v, VMCS_VMCS_LINK_POINTER) == UINT64_MAX)
		shadow = NULL;
	vmx_reattach(nv->c, v, shadow);
}

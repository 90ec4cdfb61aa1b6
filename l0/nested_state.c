/* Nested state in snapshots and in the hash.
 *
 * The hash holds what L1 and L2 can tell: the current VMCS12s, the VMX state
 * of each vCPU, the registers that VMCS01 shadows. VMCS01, VMCS02, the shadow
 * VMCS and EPT02 follow from these and from --l0, which may differ between
 * two runs that are the same to their guests.
 */
#include "l0/nested.h"

#include "base/state.h"
#include "l0/shadow/vcpu.h"

static void writer_state(struct nested_writer *w, struct state *s)
{
	state_u64(s, &w->at.clock);
	state_u64(s, &w->at.ordinal);
	state_u64(s, &w->rip);
	state_u64(s, &w->cr3);
	state_u8(s, &w->vcpu);
	state_u8(s, &w->kind);
}

static void failure_state(struct nested_failure *f, struct state *s)
{
	uint32_t check = (uint32_t)f->check;

	state_bool(s, &f->valid);
	if (!f->valid)
		return;
	state_u64(s, &f->at.clock);
	state_u64(s, &f->at.ordinal);
	state_u64(s, &f->rip);
	state_u64(s, &f->cr3);
	state_bool(s, &f->launch);
	state_u32(s, &f->insn_error);
	state_u32(s, &f->reason);
	state_u64(s, &f->qualification);
	state_u32(s, &check);
	state_bool(s, &f->host_long_mode);
	vmcs_state(&f->v, s);
	f->check = (int)check;
	if (f->check < -1 || f->check >= CHECK_COUNT)
		state_fail(s, "a failed entry names check %d", f->check);
}

static void vmcs12_state(struct nested_vmcs12 *m, unsigned vcpus, struct state *s)
{
	uint32_t vcpu = (uint32_t)m->vcpu;

	/* one that is not current lives in L1's memory */
	if (!state_bookkeeping(s) && (m->at == NESTED_NONE || m->vcpu < 0))
		return;
	state_u64(s, &m->at);
	if (m->at == NESTED_NONE)
		return;
	if (state_bookkeeping(s))
		state_u64(s, &m->used);
	state_u32(s, &vcpu);
	m->vcpu = (int32_t)vcpu;
	if (m->vcpu < -1 || m->vcpu >= (int32_t)vcpus) {
		state_fail(s, "a VMCS is current on vCPU %d of %u", m->vcpu, vcpus);
		m->vcpu = -1;
	}
	vmcs_state(&m->v, s);
	if (!state_bookkeeping(s))
		return;
	for (unsigned f = 0; f < VMCS_FIELDS; f++)
		writer_state(&m->writer[f], s);
	writer_state(&m->reflected, s);
	state_bool(s, &m->seen);
	for (unsigned i = 0; i < GPR_COUNT; i++)
		state_u64(s, &m->gpr[i]);
	for (unsigned i = 0; i < 4; i++)
		state_u64(s, &m->dr[i]);
	state_u64(s, &m->dr6);
	state_u64(s, &m->cr2);
	state_u64(s, &m->exits);
	state_u64(s, &m->entries);
	state_u64(s, &m->eptp);
	failure_state(&m->failure, s);
}

/* Guest state lives in the processor; the VMCS in use shows it as of now. */
static void own_part(struct nested_vcpu *nv, struct state *s)
{
	if (state_mode(s) != STATE_LOAD)
		vmx_sync(nv->c);
	vmcs_state(&nv->vmcs01, s);
	vmcs_state(&nv->vmcs02, s);
	vmcs_state(&nv->shadow, s);
	state_bool(s, &nv->merged);
	state_u64(s, &nv->eptp12);
	state_u64(s, &nv->cause);
	state_u64(s, &nv->cause_retired);
	nested_timer_state(nv, s);
}

static struct nested_vmcs12 *current_of(const struct nested_vcpu *nv, uint64_t at)
{
	for (unsigned i = 0; i < NESTED_VMCS12S; i++)
		if (at != NESTED_NONE && nv->n->vmcs12[i].at == at &&
			nv->n->vmcs12[i].vcpu == (int32_t)nv->c->id)
			return &nv->n->vmcs12[i];
	return NULL;
}

static void vcpu_part(struct nested_vcpu *nv, struct state *s)
{
	uint64_t cur = nv->cur ? nv->cur->at : NESTED_NONE;
	bool has_shadow12 = nv->shadow12;

	state_u64(s, &nv->vmxon);
	state_u64(s, &cur);
	state_bool(s, &nv->init_blocked);
	state_u64(s, &nv->vmcs01.v[VMCS_CR0_READ_SHADOW]);
	state_u64(s, &nv->vmcs01.v[VMCS_CR4_READ_SHADOW]);
	if (state_bookkeeping(s))
		own_part(nv, s);
	else if (nv->l0v->level != 2)
		has_shadow12 = false;
	state_bool(s, &has_shadow12);
	if (has_shadow12) {
		if (!nv->shadow12)
			nv->shadow12 = xalloc(sizeof(*nv->shadow12));
		vmcs_state(nv->shadow12, s);
	}
	if (shadow_on(nv) && state_bookkeeping(s))
		shadow_vcpu_state(&nv->paging, s);
	if (state_mode(s) == STATE_LOAD)
		nv->cur = current_of(nv, cur);
}

void nested_state(struct nested *n, struct state *s)
{
	state_section(s, "nested", 3);
	if (state_bookkeeping(s)) {
		private_state(&n->mem, s);
		ept02_state(&n->ept02, s);
		dirty_state(&n->dirty, s);
		if (n->opt->mmu == L0_MMU_SHADOW_ON_SHADOW)
			shadow_state(&n->shadow, s);
		state_u64(s, &n->stamp);
	} else {
		for (unsigned i = 0; i < n->l->vcpus; i++)
			vmcs12_from_shadow(&n->vcpu[i]);
	}
	for (unsigned i = 0; i < NESTED_VMCS12S && state_ok(s); i++)
		vmcs12_state(&n->vmcs12[i], n->l->vcpus, s);
	for (unsigned i = 0; i < n->l->vcpus && state_ok(s); i++) {
		struct nested_vcpu *nv = &n->vcpu[i];
		vcpu_part(nv, s);
		if (state_bookkeeping(s))
			vmx_state(nv->c, s);
		else
			nested_timer_hash(nv, s);
		if (state_mode(s) != STATE_LOAD || !state_ok(s))
			continue;
		if (nv->l0v->level == 2 && !nv->cur)
			state_fail(s, "vCPU %u runs an L2 without a current VMCS", i);
		else
			nested_loaded(nv);
	}
}

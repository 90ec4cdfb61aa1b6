/* VMX instructions for L1, SDM Vol. 3C 30.3 "VMX Instructions". VMREAD and
 * VMWRITE come here only for what the shadow VMCS does not serve.
 */
#include "l0/nested.h"

#include "cpu/mem.h"
#include "vmx/controls.h"

#include "l0/nested_flags.h"
#include "l0/shadow/vcpu.h"

/* What every VMX instruction but VMXON asks first. */
enum cpu_step l1_permitted(struct nested_vcpu *nv)
{
	if (nv->vmxon == NESTED_NONE)
		return cpu_raise(nv->c, VEC_UD);
	if (nv->c->cpl)
		return cpu_raise_error(nv->c, VEC_GP, 0);
	return CPU_DONE;
}

enum cpu_step vm_succeed(struct nested_vcpu *nv)
{
	nv->c->rflags &= ~(uint64_t)FLAGS_ARITH;
	return CPU_DONE;
}

enum cpu_step vm_fail_invalid(struct nested_vcpu *nv)
{
	vm_succeed(nv);
	nv->c->rflags |= FLAG_CF;
	return CPU_DONE;
}

enum cpu_step vm_fail(struct nested_vcpu *nv, enum vmx_insn_error error)
{
	if (!nv->cur)
		return vm_fail_invalid(nv);
	vm_succeed(nv);
	nv->c->rflags |= FLAG_ZF;
	vmcs12_put(nv, VMCS_VM_INSTRUCTION_ERROR, error, NESTED_BY_L0);
	return CPU_DONE;
}

static struct vmx_operand operand(const struct nested_vcpu *nv, const struct vmx_exit *x)
{
	return vmx_operand(nv->c, x->insn_info, x->qualification);
}

/* The pointer operand of VMXON, VMPTRLD and VMCLEAR. */
static enum cpu_step read_pointer(struct nested_vcpu *nv, const struct vmx_exit *x, uint64_t *p)
{
	struct vmx_operand o = operand(nv, x);
	enum cpu_step step = cpu_mem_read(nv->c, o.seg, o.offset, p, sizeof(*p));

	if (step == CPU_DONE)
		nv->detail = *p;
	return step;
}

/* A VMCS or VMXON pointer: page-aligned, within the physical address width. */
static bool pointer_ok(const struct nested_vcpu *nv, uint64_t p)
{
	return !(p & (PAGE_SIZE - 1)) && !(p >> nv->n->l1.phys_bits);
}

static uint32_t revision_at(const struct nested_vcpu *nv, uint64_t p)
{
	uint32_t r = UINT32_MAX;

	phys_read(&nv->n->l->machine->phys, hpa(p), &r, sizeof(r));
	return r;
}

static bool vmxon_allowed(const struct vcpu *c)
{
	const uint64_t cr0 = CR0_PE | CR0_NE | CR0_PG;

	return !c->cpl && (cpu_visible_cr0(c) & cr0) == cr0 && (c->msr.feature_control & 5) == 5;
}

enum cpu_step l1_vmxon(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	struct vcpu *c = nv->c;
	enum cpu_step step;
	uint64_t p;

	if (!(cpu_visible_cr4(c) & CR4_VMXE) || !cpu_has(c->model, FEAT_VMX))
		return cpu_raise(c, VEC_UD);
	if (nv->vmxon != NESTED_NONE)
		return c->cpl ? cpu_raise_error(c, VEC_GP, 0) :
				vm_fail(nv, INSN_ERROR_VMXON_IN_ROOT);
	if (!vmxon_allowed(c))
		return cpu_raise_error(c, VEC_GP, 0);
	step = read_pointer(nv, x, &p);
	if (step != CPU_DONE)
		return step;
	if (!pointer_ok(nv, p) || revision_at(nv, p) != VMCS_REVISION)
		return vm_fail_invalid(nv);
	nv->vmxon = p;
	vmcs12_make_current(nv, NESTED_NONE);
	return vm_succeed(nv);
}

enum cpu_step l1_vmxoff(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	enum cpu_step step = l1_permitted(nv);

	(void)x;
	if (step != CPU_DONE)
		return step;
	vmcs12_make_current(nv, NESTED_NONE);
	nv->vmxon = NESTED_NONE;
	vmcs01_update(nv);
	if (nv->init_blocked) {
		nv->init_blocked = false;
		vcpu_pend(nv->c, PEND_INIT);
	}
	return vm_succeed(nv);
}

enum cpu_step l1_vmclear(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	struct nested_vmcs12 *m;
	enum cpu_step step = l1_permitted(nv);
	uint32_t clear = 0;
	uint64_t p;

	if (step != CPU_DONE || (step = read_pointer(nv, x, &p)) != CPU_DONE)
		return step;
	if (!pointer_ok(nv, p))
		return vm_fail(nv, INSN_ERROR_VMCLEAR_INVALID_ADDRESS);
	if (p == nv->vmxon)
		return vm_fail(nv, INSN_ERROR_VMCLEAR_VMXON_POINTER);
	m = vmcs12_find(nv->n, p);
	if (m)
		m->v.launched = false;
	if (nv->cur && nv->cur->at == p)
		vmcs12_make_current(nv, NESTED_NONE);
	else
		phys_write(&nv->n->l->machine->phys, hpa(p + 8), &clear, sizeof(clear));
	return vm_succeed(nv);
}

enum cpu_step l1_vmptrld(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	enum cpu_step step = l1_permitted(nv);
	uint32_t revision;
	uint64_t p;

	if (step != CPU_DONE || (step = read_pointer(nv, x, &p)) != CPU_DONE)
		return step;
	if (!pointer_ok(nv, p))
		return vm_fail(nv, INSN_ERROR_VMPTRLD_INVALID_ADDRESS);
	if (p == nv->vmxon)
		return vm_fail(nv, INSN_ERROR_VMPTRLD_VMXON_POINTER);
	revision = revision_at(nv, p);
	if ((revision & ~(uint32_t)VMCS_SHADOW) != VMCS_REVISION ||
		(revision & VMCS_SHADOW && !nv->n->l1.cap[CAP_VMCS_SHADOWING]))
		return vm_fail(nv, INSN_ERROR_VMPTRLD_INCORRECT_REVISION);
	if (!nv->cur || nv->cur->at != p)
		vmcs12_make_current(nv, p);
	return vm_succeed(nv);
}

enum cpu_step l1_vmptrst(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	enum cpu_step step = l1_permitted(nv);
	uint64_t p = nv->cur ? nv->cur->at : UINT64_MAX;
	struct vmx_operand o = operand(nv, x);

	if (step != CPU_DONE)
		return step;
	step = cpu_mem_write(nv->c, o.seg, o.offset, &p, 8);
	return step == CPU_DONE ? vm_succeed(nv) : step;
}

/* The field operand; outside 64-bit mode its upper half does not count. */
static uint32_t field_operand(struct nested_vcpu *nv, const struct vmx_operand *o)
{
	uint64_t e = nv->c->gpr[o->reg2];

	nv->detail = e;
	return cpu_64bit(nv->c) && e >> 32 ? UINT32_MAX : (uint32_t)e;
}

enum cpu_step l1_vmread(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	enum cpu_step step = l1_permitted(nv);
	struct vmx_operand o = operand(nv, x);
	unsigned size = cpu_64bit(nv->c) ? 8 : 4;
	uint64_t v;
	int error;

	if (step != CPU_DONE)
		return step;
	if (!nv->cur)
		return vm_fail_invalid(nv);
	vmcs12_from_shadow(nv);
	error = vmcs_read(&nv->cur->v, &nv->n->l1, field_operand(nv, &o), &v, NULL);
	if (error)
		return vm_fail(nv, (enum vmx_insn_error)error);
	if (o.is_reg)
		nv->c->gpr[o.reg] = size == 8 ? v : (uint32_t)v;
	else if ((step = cpu_mem_write(nv->c, o.seg, o.offset, &v, size)) != CPU_DONE)
		return step;
	return vm_succeed(nv);
}

enum cpu_step l1_vmwrite(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	enum cpu_step step = l1_permitted(nv);
	struct vmx_operand o = operand(nv, x);
	unsigned size = cpu_64bit(nv->c) ? 8 : 4;
	enum vmcs_field f;
	uint64_t v = 0;
	int error;

	if (step != CPU_DONE)
		return step;
	if (!nv->cur)
		return vm_fail_invalid(nv);
	if (o.is_reg)
		v = size == 8 ? nv->c->gpr[o.reg] : (uint32_t)nv->c->gpr[o.reg];
	else if ((step = cpu_mem_read(nv->c, o.seg, o.offset, &v, size)) != CPU_DONE)
		return step;
	vmcs12_from_shadow(nv);
	error = vmcs_write(&nv->cur->v, &nv->n->l1, field_operand(nv, &o), v, &f);
	if (error)
		return vm_fail(nv, (enum vmx_insn_error)error);
	vmcs12_put(nv, f, vmcs_get(&nv->cur->v, f), NESTED_BY_VMWRITE);
	return vm_succeed(nv);
}

enum cpu_step l1_vmcall(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	enum cpu_step step = l1_permitted(nv);

	(void)x;
	return step == CPU_DONE ? vm_fail(nv, INSN_ERROR_VMCALL_IN_ROOT) : step;
}

enum cpu_step l1_vmfunc(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	(void)x;
	return cpu_raise(nv->c, VEC_UD); /* not in VMX root operation */
}

/* SDM Vol. 3C 26.2.1.1: what an EPTP must look like. */
bool l1_eptp_ok(const struct nested *n, uint64_t eptp)
{
	uint64_t cap = vmx_caps_msr(&n->l1, MSR_VMX_EPT_VPID_CAP);
	unsigned type = eptp & 7;

	return ((type == 6 && cap & EPT_VPID_WB) || (type == 0 && cap & EPT_VPID_UC)) &&
		(eptp >> 3 & 7) == 3 && (!(eptp & BIT(6)) || cap & EPT_VPID_AD) &&
		!(eptp & 0xf80) && !(eptp >> n->l1.phys_bits);
}

/* INVEPT and INVVPID: type in reg2, a descriptor of 16 bytes in memory. */
static enum cpu_step descriptor(
	struct nested_vcpu *nv, const struct vmx_exit *x, uint64_t *type, uint64_t d[2])
{
	enum cpu_step step = l1_permitted(nv);
	struct vmx_operand o = operand(nv, x);

	if (step != CPU_DONE)
		return step;
	*type = nv->c->gpr[o.reg2];
	if (!cpu_64bit(nv->c))
		*type = (uint32_t)*type;
	nv->detail = *type;
	return cpu_mem_read(nv->c, o.seg, o.offset, d, 16);
}

enum cpu_step l1_invept(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	uint64_t cap = vmx_caps_msr(&nv->n->l1, MSR_VMX_EPT_VPID_CAP), type, d[2];
	enum cpu_step step;

	if (!(cap & EPT_VPID_INVEPT))
		return cpu_raise(nv->c, VEC_UD);
	step = descriptor(nv, x, &type, d);
	if (step != CPU_DONE)
		return step;
	if (type == 1 && cap & EPT_VPID_INVEPT_ONE && l1_eptp_ok(nv->n, d[0]))
		ept02_invalidate(&nv->n->ept02, d[0]);
	else if (type == 2 && cap & EPT_VPID_INVEPT_ALL)
		ept02_invalidate_all(&nv->n->ept02);
	else
		return vm_fail(nv, INSN_ERROR_INVEPT_INVVPID_INVALID_OPERAND);
	return vm_succeed(nv);
}

static bool canonical(uint64_t at)
{
	return (uint64_t)((int64_t)(at << 16) >> 16) == at;
}

enum cpu_step l1_invvpid(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	uint64_t cap = vmx_caps_msr(&nv->n->l1, MSR_VMX_EPT_VPID_CAP), type, d[2];
	enum cpu_step step;
	uint16_t vpid;

	if (!(cap & EPT_VPID_INVVPID))
		return cpu_raise(nv->c, VEC_UD);
	step = descriptor(nv, x, &type, d);
	if (step != CPU_DONE)
		return step;
	vpid = (uint16_t)d[0];
	if (type > 3 || !(cap >> 40 & BIT(type)) || d[0] >> 16 || (type != 2 && !vpid) ||
		(type == 0 && !canonical(d[1])))
		return vm_fail(nv, INSN_ERROR_INVEPT_INVVPID_INVALID_OPERAND);
	if (shadow_on(nv))
		shadow_flushed(&nv->n->shadow, &nv->paging.space[1]);
	if (type == 0)
		tlb_invvpid_page(nv->c, vpid, gva(d[1]));
	else if (type == 2)
		tlb_invvpid_all(nv->c);
	else
		tlb_invvpid(nv->c, vpid, type == 3);
	ept02_retrack_all(&nv->n->ept02);
	return vm_succeed(nv);
}

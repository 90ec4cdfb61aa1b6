/* VMX instructions in non-root operation: an exit each, except VMREAD and
 * VMWRITE that a shadow VMCS serves, and VMFUNC. On a bare processor and in
 * root operation nobody runs them (L0 is C): they are #UD.
 *
 * SDM Vol. 3C chapter 30 "VMX Instruction Reference"; 25.1.2.
 */
#include "cpu/mem.h"
#include "base/phys.h"
#include "vmx/record.h"

#include <Zydis/Zydis.h>

static const struct {
	uint16_t mnemonic;
	uint8_t reason;
} exits[] = {
	{ZYDIS_MNEMONIC_VMCALL, EXIT_REASON_VMCALL}, {ZYDIS_MNEMONIC_VMCLEAR, EXIT_REASON_VMCLEAR},
	{ZYDIS_MNEMONIC_VMLAUNCH, EXIT_REASON_VMLAUNCH},
	{ZYDIS_MNEMONIC_VMPTRLD, EXIT_REASON_VMPTRLD},
	{ZYDIS_MNEMONIC_VMPTRST, EXIT_REASON_VMPTRST}, {ZYDIS_MNEMONIC_VMREAD, EXIT_REASON_VMREAD},
	{ZYDIS_MNEMONIC_VMRESUME, EXIT_REASON_VMRESUME},
	{ZYDIS_MNEMONIC_VMWRITE, EXIT_REASON_VMWRITE}, {ZYDIS_MNEMONIC_VMXOFF, EXIT_REASON_VMXOFF},
	{ZYDIS_MNEMONIC_VMXON, EXIT_REASON_VMXON}, {ZYDIS_MNEMONIC_INVEPT, EXIT_REASON_INVEPT},
	{ZYDIS_MNEMONIC_INVVPID, EXIT_REASON_INVVPID},
};

/* The flags of VMsucceed, VMfailInvalid and VMfail, SDM 30.2 "Conventions". */
static void succeed(struct vcpu *c)
{
	c->rflags &= ~(uint64_t)FLAGS_ARITH;
}

static void fail_invalid(struct vcpu *c)
{
	c->rflags = (c->rflags & ~(uint64_t)FLAGS_ARITH) | FLAG_CF;
}

/* The error number goes to the VMCS that controls the guest. */
static void fail_valid(struct vcpu *c, int error)
{
	struct vmx_cpu *x = vmx_of(c);

	c->rflags = (c->rflags & ~(uint64_t)FLAGS_ARITH) | FLAG_ZF;
	x->vmcs->v[VMCS_VM_INSTRUCTION_ERROR] = x->shadow_error = error;
}

/* SDM 24.10 "VMCS Types: Ordinary and Shadow" and 25.1.2: does the bitmap send
 * this field to the hypervisor? */
static bool shadowed(const struct vmx_cpu *x, const uint8_t *bitmap, uint64_t field)
{
	return (x->proc2 & PROC2_SHADOW_VMCS) && bitmap && !(field >> 15) &&
		!(bitmap[field >> 3] >> (field & 7) & 1);
}

/* Operands of VMREAD and VMWRITE are 64 bits in 64-bit mode, else 32. */
static uint64_t operand_mask(const struct vcpu *c)
{
	return cpu_64bit(c) ? UINT64_MAX : UINT32_MAX;
}

/* #GP(0) first, then a shadow VMCS must be there. */
static enum cpu_step shadow_ready(struct vcpu *c, bool *ready)
{
	struct vmx_cpu *x = vmx_of(c);

	*ready = false;
	if (c->cpl)
		return cpu_raise_error(c, VEC_GP, 0);
	*ready = x->shadow != NULL;
	if (!*ready)
		fail_invalid(c);
	return CPU_DONE;
}

static enum cpu_step do_vmread(struct vcpu *c, const struct insn *i)
{
	struct vmx_cpu *x = vmx_of(c);
	uint64_t field = gpr_read(c, &i->op[1]) & operand_mask(c), value;
	bool ready;

	if (!shadowed(x, x->vmread_bitmap, field))
		return vmx_record(c, EXIT_REASON_VMREAD, i, 0);
	enum cpu_step step = shadow_ready(c, &ready);
	if (step != CPU_DONE || !ready)
		return step;
	int error = vmcs_read(x->shadow, x->caps, field, &value, NULL);
	if (error) {
		fail_valid(c, error);
		return CPU_DONE;
	}
	step = insn_write(c, i, 0, value & operand_mask(c));
	if (step == CPU_DONE) {
		x->shadow_reads++;
		succeed(c);
	}
	return step;
}

static enum cpu_step do_vmwrite(struct vcpu *c, const struct insn *i)
{
	struct vmx_cpu *x = vmx_of(c);
	uint64_t field = gpr_read(c, &i->op[0]) & operand_mask(c), value;
	enum vmcs_field f;
	bool ready;

	if (!shadowed(x, x->vmwrite_bitmap, field))
		return vmx_record(c, EXIT_REASON_VMWRITE, i, 0);
	enum cpu_step step = shadow_ready(c, &ready);
	if (step != CPU_DONE || !ready)
		return step;
	step = insn_read(c, i, 1, &value);
	if (step != CPU_DONE)
		return step;
	int index = vmcs_find(field);
	uint64_t old = index < 0 ? 0 : vmcs_get(x->shadow, index);
	int error = vmcs_write(x->shadow, x->caps, field, value & operand_mask(c), &f);
	if (error) {
		fail_valid(c, error);
		return CPU_DONE;
	}
	x->shadow_writes++;
	succeed(c);
	if (x->shadow_wrote)
		x->shadow_wrote(x->shadow_ctx, c, x->shadow, f, old);
	return CPU_DONE;
}

/* Is this EPTP one that VM entry would take? */
static bool eptp_legal(const struct vmx_caps *caps, uint64_t eptp)
{
	uint64_t type = eptp & 7;

	return (type == 0 || type == 6) && (eptp >> 3 & 7) == 3 &&
		(!(eptp & BIT(6)) || caps->cap[CAP_EPT_AD]) && !(eptp & 0xf80) &&
		!(eptp >> caps->phys_bits);
}

/* SDM 25.5.5 "VM Functions". */
static enum cpu_step do_vmfunc(struct vcpu *c, const struct insn *i)
{
	struct vmx_cpu *x = vmx_of(c);
	uint32_t leaf = c->gpr[RAX], index = c->gpr[RCX];
	uint64_t eptp;

	if (!(x->proc2 & PROC2_ENABLE_VMFUNC) || leaf > 63)
		return cpu_raise(c, VEC_UD);
	if (leaf != 0 || !(vmcs_get(x->vmcs, VMCS_VM_FUNCTION_CONTROL) & 1) || index > 511 ||
		!phys_read(c->phys, hpa(vmcs_get(x->vmcs, VMCS_EPTP_LIST_ADDRESS) + 8 * index), &eptp, 8) ||
		!eptp_legal(x->caps, eptp))
		return vmx_record(c, EXIT_REASON_VMFUNC, i, 0);
	x->vmcs->v[VMCS_EPT_POINTER] = eptp;
	if (x->proc2 & PROC2_EPT_VIOLATION_VE)
		x->vmcs->v[VMCS_EPTP_INDEX] = (uint16_t)index;
	c->nonroot.eptp = eptp;
	vcpu_state_changed(c);
	return CPU_DONE;
}

enum cpu_step vmx_insn(struct vcpu *c, const struct insn *i)
{
	bool long_compat = cpu_long_mode(c) && !cpu_64bit(c);

	if (!c->nonroot.on)
		return cpu_raise(c, VEC_UD);
	if (i->mnemonic == ZYDIS_MNEMONIC_VMFUNC)
		return do_vmfunc(c, i);
	/* VMCALL alone is for everybody; the others want protected mode, no
	 * virtual-8086 mode and no compatibility mode */
	if (i->mnemonic != ZYDIS_MNEMONIC_VMCALL &&
		(!(c->cr0 & CR0_PE) || (c->rflags & FLAG_VM) || long_compat))
		return cpu_raise(c, VEC_UD);
	if (i->mnemonic == ZYDIS_MNEMONIC_VMREAD)
		return do_vmread(c, i);
	if (i->mnemonic == ZYDIS_MNEMONIC_VMWRITE)
		return do_vmwrite(c, i);
	for (unsigned n = 0; n < sizeof exits / sizeof *exits; n++)
		if (exits[n].mnemonic == i->mnemonic)
			return vmx_record(c, exits[n].reason, i, 0);
	return cpu_raise(c, VEC_UD);
}

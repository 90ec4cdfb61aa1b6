/* CPUID: the model's leaves with the live bits put in. */
#include "cpu/cpuid.h"

#include "cpu/desc.h"
#include "cpu/insn_table.h"
#include "cpu/model.h"

#define MISC_ENABLE_MONITOR BIT(18)

/* Bytes of the XSAVE area for the components of `x`; compacted ones follow one
 * another, SDM Vol. 1 13.4 "XSAVE Area". */
static uint32_t xsave_size(uint64_t x, bool compact)
{
	uint32_t size = 576;

	if (x & BIT(2))
		size = 832;
	if (x & BIT(9))
		size = compact ? size + 8 : 2696;
	return size;
}

static void leaf_1(const struct vcpu *c, uint32_t r[4])
{
	r[1] |= c->id << 24;
	if (c->cr4 & CR4_OSXSAVE)
		r[2] |= 1u << 27;
	if (!c->hooks)
		r[2] &= ~(1u << 5); /* VMX */
	if (!(c->msr.misc_enable & MISC_ENABLE_MONITOR))
		r[2] &= ~(1u << 3);
	if (c->apic_ops && !(c->apic_ops->get_base(c->apic) & BIT(11)))
		r[3] &= ~(1u << 9); /* the APIC is switched off */
}

void cpu_cpuid(const struct vcpu *c, uint32_t leaf, uint32_t sub, uint32_t r[4])
{
	cpu_model_cpuid(c->model, leaf, sub, r);
	switch (leaf) {
	case 1:
		leaf_1(c, r);
		break;
	case 7:
		if (sub == 0 && (c->cr4 & CR4_PKE))
			r[2] |= 1u << 4; /* OSPKE */
		break;
	case 0xb:
		r[3] = c->id;
		break;
	case 0xd:
		if (sub == 0 && r[0])
			r[1] = xsave_size(c->xcr0, false);
		else if (sub == 1 && (r[0] & 10))
			r[1] = xsave_size(c->xcr0 | c->msr.xss, true);
		break;
	case 0x80000001: /* SYSCALL is shown in 64-bit mode alone */
		if (!cpu_64bit(c) && c->model->vendor[0] == 'G')
			r[3] &= ~(1u << 11);
		break;
	}
}

enum cpu_step sys_cpuid(struct vcpu *c, const struct insn *i)
{
	uint32_t r[4];

	CPU_TRY(cpu_intercepted(c, EV_CPUID, i, 0));
	cpu_cpuid(c, (uint32_t)c->gpr[RAX], (uint32_t)c->gpr[RCX], r);
	c->gpr[RAX] = r[0];
	c->gpr[RBX] = r[1];
	c->gpr[RCX] = r[2];
	c->gpr[RDX] = r[3];
	return CPU_DONE;
}

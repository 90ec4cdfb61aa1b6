/* The instruction-information field, made at an exit and taken apart by who
 * handles it. SDM Vol. 3C 27.2.5 "Information for VM Exits Due to
 * Instruction Execution", tables 27-8 to 27-14:
 *
 *   1:0 scale | 6:3 register 1 | 9:7 address size (0 16, 1 32, 2 64) |
 *   10 register form | 11 or 12:11 operand size | 17:15 segment |
 *   21:18 index, 22 none | 26:23 base, 27 none | 31:28 register 2 or identity
 */
#include "vmx/record.h"

#include <Zydis/Zydis.h>

#define REG1_SHIFT  3
#define SIZE_SHIFT  7
#define REG_FORM    BIT(10)
#define SEG_SHIFT   15
#define INDEX_SHIFT 18
#define NO_INDEX    BIT(22)
#define BASE_SHIFT  23
#define NO_BASE     BIT(27)
#define REG2_SHIFT  28

static uint32_t address_size(const struct insn *i)
{
	return (uint32_t)(i->addrsize == 2 ? 0 : i->addrsize == 4 ? 1 : 2) << SIZE_SHIFT;
}

static const struct insn_operand *memory_operand(const struct insn *i)
{
	for (unsigned n = 0; n < i->operands; n++)
		if (i->op[n].kind == OPND_MEM)
			return &i->op[n];
	return NULL;
}

/* Scale, address size, segment, index and base of the memory operand. */
static uint32_t memory_info(const struct vcpu *c, const struct insn *i, uint64_t *displacement)
{
	uint32_t info = address_size(i) | (uint32_t)i->seg << SEG_SHIFT;

	*displacement = i->disp;
	if (i->base == INSN_RIP)
		*displacement += c->rip + i->len;
	if (i->base < INSN_NO_REG)
		info |= (uint32_t)i->base << BASE_SHIFT;
	else
		info |= NO_BASE;
	if (i->index < INSN_NO_REG) {
		info |= (uint32_t)i->index << INDEX_SHIFT;
		info |= i->scale == 8 ? 3 : i->scale == 4 ? 2 : i->scale == 2 ? 1 : 0;
	} else {
		info |= NO_INDEX;
	}
	return info;
}

static uint32_t descriptor_identity(uint16_t mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_SIDT:
	case ZYDIS_MNEMONIC_STR:
		return 1;
	case ZYDIS_MNEMONIC_LGDT:
	case ZYDIS_MNEMONIC_LLDT:
		return 2;
	case ZYDIS_MNEMONIC_LIDT:
	case ZYDIS_MNEMONIC_LTR:
		return 3;
	default:
		return 0;
	}
}

/* The register operand that is not the memory one, or the second register. */
static uint32_t register2(const struct insn *i, unsigned field_operand)
{
	return (uint32_t)(i->op[field_operand].reg & 15) << REG2_SHIFT;
}

static uint32_t first_register(const struct insn *i, unsigned n)
{
	return REG_FORM | (uint32_t)(i->op[n].reg & 15) << REG1_SHIFT;
}

uint32_t vmx_insn_info(const struct vcpu *c, enum vmx_exit_reason reason, const struct insn *i,
	uint64_t *qualification)
{
	bool mem = memory_operand(i);
	uint32_t info;

	switch (reason) {
	case EXIT_REASON_VMREAD: /* r/m, field */
	case EXIT_REASON_VMWRITE: { /* field, r/m */
		unsigned value = reason == EXIT_REASON_VMREAD ? 0 : 1;
		info = mem ? memory_info(c, i, qualification) : first_register(i, value);
		return info | register2(i, !value);
	}
	case EXIT_REASON_INVEPT:
	case EXIT_REASON_INVVPID:
	case EXIT_REASON_INVPCID:
		return memory_info(c, i, qualification) | register2(i, 0);
	case EXIT_REASON_VMCLEAR:
	case EXIT_REASON_VMPTRLD:
	case EXIT_REASON_VMPTRST:
	case EXIT_REASON_VMXON:
	case EXIT_REASON_XSAVES:
	case EXIT_REASON_XRSTORS:
		return mem ? memory_info(c, i, qualification) : 0;
	case EXIT_REASON_GDTR_IDTR:
		return memory_info(c, i, qualification) | descriptor_identity(i->mnemonic) << REG2_SHIFT |
			(i->opsize == 2 ? 0 : BIT(11));
	case EXIT_REASON_LDTR_TR:
		info = mem ? memory_info(c, i, qualification) : first_register(i, 0);
		return info | descriptor_identity(i->mnemonic) << REG2_SHIFT;
	case EXIT_REASON_RDRAND:
	case EXIT_REASON_RDSEED:
		return (uint32_t)(i->op[0].reg & 15) << REG1_SHIFT |
			(uint32_t)(i->opsize == 2 ? 0 : i->opsize == 4 ? 1 : 2) << 11;
	case EXIT_REASON_IO_INSTRUCTION:
		return *qualification & BIT(4) ?
			address_size(i) | (uint32_t)(*qualification & BIT(3) ? 0 : i->seg) << SEG_SHIFT : 0;
	default:
		return 0;
	}
}

static uint64_t cut(uint64_t v, unsigned addrsize)
{
	return addrsize == 8 ? v : v & (UINT64_MAX >> (64 - 8 * addrsize));
}

uint64_t vmx_insn_linear(const struct vcpu *c, const struct insn *i)
{
	uint64_t at = insn_offset(c, i) + c->seg_base[i->seg];

	return cpu_64bit(c) ? at : (uint32_t)at;
}

struct vmx_operand vmx_operand(const struct vcpu *c, uint32_t info, uint64_t displacement)
{
	struct vmx_operand o = {.reg2 = info >> REG2_SHIFT};
	static const uint8_t size[4] = {2, 4, 8, 8};

	if (info & REG_FORM) {
		o.is_reg = true;
		o.reg = info >> REG1_SHIFT & 15;
		return o;
	}
	o.seg = (info >> SEG_SHIFT & 7) % 6;
	o.addrsize = size[info >> SIZE_SHIFT & 3];
	o.offset = displacement;
	if (!(info & NO_BASE))
		o.offset += c->gpr[info >> BASE_SHIFT & 15];
	if (!(info & NO_INDEX))
		o.offset += c->gpr[info >> INDEX_SHIFT & 15] << (info & 3);
	o.offset = cut(o.offset, o.addrsize);
	return o;
}

/* Instructions on single flags. */
#include "cpu/flags.h"
#include "cpu/insn_table.h"
#include "cpu/mnemonic.h"
#include "cpu/slow.h"

enum cpu_step slow_flag(struct vcpu *c, const struct insn *i)
{
	switch (i->mnemonic) {
	case ZYDIS_MNEMONIC_CLC:
		flags_put(c, FLAG_CF, 0);
		break;
	case ZYDIS_MNEMONIC_STC:
		flags_put(c, FLAG_CF, FLAG_CF);
		break;
	case ZYDIS_MNEMONIC_CMC:
		flags_put(c, FLAG_CF, !flag_cf(c));
		break;
	case ZYDIS_MNEMONIC_CLD:
		c->rflags &= ~(uint64_t)FLAG_DF;
		break;
	default:
		c->rflags |= FLAG_DF;
		break;
	}
	return CPU_DONE;
}

enum cpu_step slow_lahf(struct vcpu *c, const struct insn *i)
{
	const uint32_t mask = FLAG_SF | FLAG_ZF | FLAG_AF | FLAG_PF | FLAG_CF;
	const struct insn_operand ah = {.kind = OPND_GPR, .reg = RAX, .size = 1, .high8 = 1};
	if (i->mnemonic == ZYDIS_MNEMONIC_SAHF) {
		flags_put(c, mask, (uint32_t)gpr_read(c, &ah));
	} else {
		flags_sync(c);
		gpr_write(c, &ah, (c->rflags & mask) | FLAG_1);
	}
	return CPU_DONE;
}

static enum cpu_step salc(struct vcpu *c)
{
	const struct insn_operand al = {.kind = OPND_GPR, .reg = RAX, .size = 1};
	gpr_write(c, &al, flag_cf(c) ? 0xff : 0);
	return CPU_DONE;
}

enum cpu_step slow_salc(struct vcpu *c, const struct insn *i)
{
	(void)i;
	return salc(c);
}

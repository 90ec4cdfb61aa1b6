/* Translation of integer instructions: the same instruction, on the registers
 * that stand for the guest's, with memory at [rax] once it has been looked up.
 * Here arithmetic and shifts; moves are in cpu/jit_mov.c. */
#include "cpu/jit_forms.h"

#include "cpu/flags.h"
#include "cpu/mnemonic.h"

static void op_rr(struct segment *s, unsigned opcode, unsigned size, unsigned reg, unsigned rm)
{
	put_rr(s, size, sized(opcode, size), reg, rm, size == 1 ? 3 : 0);
}

/* op /digit reg, imm */
static void op_ri(struct segment *s, unsigned digit, unsigned size, unsigned rm, uint64_t imm)
{
	bool small = size > 1 && (int64_t)imm == (int8_t)imm;
	put_rr(s, size, size == 1 ? 0x80 : small ? 0x83 : 0x81, digit, rm, size == 1 ? 2 : 0);
	put_imm(s, small ? 1 : size, imm);
}

static void lazy_store(struct segment *s, unsigned n, unsigned reg)
{
	put_mem(s, 8, 0x89, reg, H_C, VCPU_LAZY(n), false);
}

static void lazy_const(struct segment *s, unsigned n, uint64_t v)
{
	put_mem(s, 8, 0xc7, 0, H_C, VCPU_LAZY(n), false);
	put32(s, (uint32_t)v);
}

/* --- two-operand arithmetic */

enum { D_ADD, D_OR, D_ADC, D_SBB, D_AND, D_SUB, D_XOR, D_CMP, D_TEST };

struct alu_form {
	unsigned digit, size;
	bool imm_b;
	uint64_t imm;
	unsigned b; /* host register */
	bool live;
};

static void apply(struct segment *s, const struct alu_form *f, unsigned a)
{
	unsigned digit = f->digit == D_TEST ? D_AND : f->digit == D_CMP ? D_SUB : f->digit;
	if (f->imm_b)
		op_ri(s, digit, f->size, a, f->imm);
	else
		op_rr(s, digit << 3 | 1, f->size, f->b, a);
}

/* Flags of an operation whose result is in r, its operands in a and b. */
static void leave_flags(struct segment *s, const struct alu_form *f, unsigned r, unsigned a,
	unsigned b)
{
	bool add = f->digit == D_ADD || f->digit == D_ADC;
	bool sub = f->digit == D_SUB || f->digit == D_SBB || f->digit == D_CMP;
	if (!f->live)
		return;
	if (add || sub) {
		lazy_store(s, 1, a);
		if (f->imm_b)
			lazy_const(s, 2, f->imm);
		else
			lazy_store(s, 2, b);
	}
	flags_result(s, f->size, r);
	flags_kind(s, add ? LAZY_ADD : sub ? LAZY_SUB : LAZY_LOGIC, f->size * 8);
	s->exact = f->digit == D_SUB || f->digit == D_CMP;
	s->hf = true;
	s->hf_no_cf = false;
}

/* Destination in a register. */
static void alu_to_reg(struct segment *s, const struct alu_form *f, unsigned a)
{
	bool keeps = f->digit == D_CMP || f->digit == D_TEST;
	bool logic = f->digit == D_OR || f->digit == D_AND || f->digit == D_XOR;
	s->hf = false;
	if (keeps && !f->live)
		return;
	if (f->digit == D_TEST && !f->imm_b && f->b == a) {
		op_rr(s, 0x85, f->size, a, a);
		leave_flags(s, f, a, a, a);
	} else if (keeps) {
		put_mov(s, H_T2, a);
		apply(s, f, H_T2);
		leave_flags(s, f, H_T2, a, f->b);
	} else if (!f->live || logic) {
		apply(s, f, a);
		leave_flags(s, f, a, a, a);
	} else {
		put_mov(s, H_T2, a);
		apply(s, f, a);
		leave_flags(s, f, a, H_T2, f->b == a ? H_T2 : f->b);
	}
}

/* Memory at [rax]: read, changed, written. */
static void alu_to_mem(struct segment *s, const struct alu_form *f)
{
	bool keeps = f->digit == D_CMP || f->digit == D_TEST;
	load(s, f->size, H_T1);
	put_mov(s, H_T2, H_T1);
	apply(s, f, H_T2);
	if (!keeps)
		op_rm(s, 0x89, f->size, H_T2, H_T0);
	leave_flags(s, f, H_T2, H_T1, f->b);
}

static bool alu_op(struct segment *s, const struct insn *i, unsigned digit)
{
	struct alu_form f = {.digit = digit, .size = i->op[0].size, .live = s->live[s->k]};
	bool carry = digit == D_ADC || digit == D_SBB;
	bool mem = is_mem(i, 0) || is_mem(i, 1), keeps = digit == D_CMP || digit == D_TEST;
	if (mem && (carry || !mem_plain(s, i)))
		return false;
	f.imm_b = i->op[1].kind == OPND_IMM;
	f.imm = small_imm(i, f.size);
	if (f.imm_b && (int64_t)f.imm != (int32_t)f.imm)
		return false;
	if (is_mem(i, 0)) {
		if (!f.imm_b)
			f.b = reg_in(s, i->op[1].reg);
		mem_address(s, i);
		mem_lookup(s, f.size, !keeps);
		alu_to_mem(s, &f);
		return true;
	}
	unsigned a = reg_in(s, i->op[0].reg);
	if (is_mem(i, 1)) {
		mem_address(s, i);
		mem_lookup(s, f.size, false);
		load(s, f.size, f.b = H_T1);
	} else if (!f.imm_b) {
		f.b = reg_in(s, i->op[1].reg);
	}
	if (carry) {
		flags_carry(s);
		put_rr(s, 4, 0x0fba, 4, H_T0, 0); /* bt eax, 0: mov keeps CF */
		put8(s, 0);
	}
	alu_to_reg(s, &f, a);
	if (!keeps)
		reg_changed(s, i->op[0].reg);
	return true;
}

/* --- one operand */

static bool step_op(struct segment *s, const struct insn *i, bool inc)
{
	unsigned size = i->op[0].size, digit = inc ? 0 : 1;
	bool live = s->live[s->k], mem = is_mem(i, 0);
	if (mem && !mem_plain(s, i))
		return false;
	unsigned a = mem ? H_T1 : reg_in(s, i->op[0].reg);
	if (live) {
		uint32_t kind = (uint32_t)LAZY(inc ? LAZY_INC : LAZY_DEC, size * 8);
		flags_carry(s);
		put_rr(s, 4, 0xc1, 4, H_T0, 0); /* shl eax, 16 */
		put8(s, 16);
		put_rr(s, 4, 0x81, 1, H_T0, 0); /* or eax, kind */
		put32(s, kind);
		put_mem(s, 8, 0x89, H_T0, H_C, mem ? VCPU(tmp) : VCPU_LAZY(3), false);
	}
	if (mem) {
		mem_address(s, i);
		mem_lookup(s, size, true);
		if (live) {
			put_mem(s, 8, 0x8b, H_T2, H_C, VCPU(tmp), false);
			put_mem(s, 8, 0x89, H_T2, H_C, VCPU_LAZY(3), false);
		}
		load(s, size, a);
	}
	if (live) {
		lazy_store(s, 1, a);
		lazy_const(s, 2, 1);
	}
	put_rr(s, size, sized(0xff, size), digit, a, size == 1 ? 2 : 0);
	if (mem)
		op_rm(s, 0x89, size, a, H_T0);
	s->hf = false;
	if (live) {
		flags_result(s, size, a);
		flags_known(s, inc ? LAZY_INC : LAZY_DEC, size * 8);
		s->hf = s->hf_no_cf = true;
	}
	if (!mem)
		reg_changed(s, i->op[0].reg);
	return true;
}

static bool neg_op(struct segment *s, const struct insn *i)
{
	unsigned size = i->op[0].size;
	bool live = s->live[s->k];
	if (!is_reg(i, 0))
		return false;
	unsigned a = reg_in(s, i->op[0].reg);
	if (live) {
		lazy_const(s, 1, 0);
		lazy_store(s, 2, a);
	}
	put_rr(s, size, sized(0xf7, size), 3, a, size == 1 ? 2 : 0);
	s->hf = false;
	if (live) {
		flags_result(s, size, a);
		flags_kind(s, LAZY_SUB, size * 8);
		s->hf = s->exact = true;
		s->hf_no_cf = false;
	}
	reg_changed(s, i->op[0].reg);
	return true;
}

static bool not_op(struct segment *s, const struct insn *i)
{
	unsigned size = i->op[0].size;
	if (!is_reg(i, 0))
		return false;
	unsigned a = reg_in(s, i->op[0].reg);
	put_rr(s, size, sized(0xf7, size), 2, a, size == 1 ? 2 : 0);
	reg_changed(s, i->op[0].reg);
	return true;
}

/* --- shifts of registers */

/* lazy[3] of LAZY_CFOF from CF in EAX and OF in ECX (or none). */
static void cfof(struct segment *s, unsigned bits, bool of)
{
	if (of) {
		put_lea_index(s, 4, H_T0, H_T0, H_T1, 1, 0);
	}
	put_rr(s, 4, 0xc1, 4, H_T0, 0); /* shl eax, 16 */
	put8(s, 16);
	put_rr(s, 4, 0x81, 1, H_T0, 0); /* or eax, kind */
	put32(s, (uint32_t)LAZY(LAZY_CFOF, bits));
	put_mem(s, 8, 0x89, H_T0, H_C, VCPU_LAZY(3), false);
	flags_known(s, LAZY_CFOF, bits);
}

static void carry_to_eax(struct segment *s)
{
	put_rr(s, 1, 0x0f92, 0, H_T0, 2);
	put_rr(s, 4, 0x0fb6, H_T0, H_T0, 2);
}

static void top_bit(struct segment *s, unsigned size, unsigned a)
{
	put_mov(s, H_T1, a);
	shift_put(s, 5, size, H_T1, size * 8 - 1);
}

static bool shift_op(struct segment *s, const struct insn *i, unsigned digit)
{
	unsigned size = i->op[0].size, g = i->op[0].reg;
	bool live = s->live[s->k];
	if (!is_reg(i, 0))
		return false;
	if (i->operands > 1 && is_reg(i, 1)) {
		if (live)
			return false;
		unsigned n = reg_in(s, RCX), a = reg_in(s, g);
		put_mov(s, H_T1, n);
		put_rr(s, size, sized(0xd3, size), digit, a, size == 1 ? 2 : 0);
		s->hf = false;
		reg_changed(s, g);
		return true;
	}
	unsigned n = i->operands > 1 ? (unsigned)i->imm & (size == 8 ? 63 : 31) : 1;
	if (!n || (live && (size < 4 || digit < 4)))
		return false;
	unsigned a = reg_in(s, g);
	if (live && digit == 5)
		top_bit(s, size, a);
	shift_put(s, digit, size, a, n);
	reg_changed(s, g);
	s->hf = false;
	if (!live)
		return true;
	carry_to_eax(s);
	if (digit == 4) {
		top_bit(s, size, a);
		put_rr(s, 4, 0x31, H_T0, H_T1, 0);
	}
	cfof(s, size * 8, digit != 7);
	flags_result(s, size, a);
	return true;
}

static bool double_shift(struct segment *s, const struct insn *i, unsigned opcode)
{
	unsigned size = i->op[0].size;
	if (!is_reg(i, 0) || size < 4 || s->live[s->k] || i->op[2].kind != OPND_IMM)
		return false;
	unsigned a = reg_in(s, i->op[0].reg), b = reg_in(s, i->op[1].reg);
	put_rr(s, size, opcode, b, a, 0);
	put8(s, (unsigned)i->imm & (size == 8 ? 63 : 31));
	reg_changed(s, i->op[0].reg);
	s->hf = false;
	return true;
}

/* --- multiplication */

static bool imul_op(struct segment *s, const struct insn *i)
{
	unsigned size = i->op[0].size;
	bool live = s->live[s->k];
	if (i->operands < 2 || size < 4 || (is_mem(i, 1) && !mem_plain(s, i)) ||
		(i->operands == 3 && (int64_t)small_imm(i, size) != (int32_t)i->imm))
		return false;
	unsigned a, b = source_in(s, i, size);
	if (i->operands == 3) {
		a = reg_out(s, i->op[0].reg);
		put_rr(s, size, 0x69, a, b, 0);
		put32(s, (uint32_t)i->imm);
	} else {
		a = reg_in(s, i->op[0].reg);
		put_rr(s, size, 0x0faf, a, b, 0);
	}
	reg_changed(s, i->op[0].reg);
	s->hf = false;
	if (!live)
		return true;
	carry_to_eax(s);
	put_mov(s, H_T1, H_T0);
	cfof(s, size * 8, true);
	flags_result(s, size, a);
	return true;
}

static bool by_mnemonic(struct segment *s, const struct insn *i)
{
	switch (i->mnemonic) {
	case ZYDIS_MNEMONIC_ADD: return alu_op(s, i, D_ADD);
	case ZYDIS_MNEMONIC_OR: return alu_op(s, i, D_OR);
	case ZYDIS_MNEMONIC_ADC: return alu_op(s, i, D_ADC);
	case ZYDIS_MNEMONIC_SBB: return alu_op(s, i, D_SBB);
	case ZYDIS_MNEMONIC_AND: return alu_op(s, i, D_AND);
	case ZYDIS_MNEMONIC_SUB: return alu_op(s, i, D_SUB);
	case ZYDIS_MNEMONIC_XOR: return alu_op(s, i, D_XOR);
	case ZYDIS_MNEMONIC_CMP: return alu_op(s, i, D_CMP);
	case ZYDIS_MNEMONIC_TEST: return alu_op(s, i, D_TEST);
	case ZYDIS_MNEMONIC_INC: return step_op(s, i, true);
	case ZYDIS_MNEMONIC_DEC: return step_op(s, i, false);
	case ZYDIS_MNEMONIC_NEG: return neg_op(s, i);
	case ZYDIS_MNEMONIC_NOT: return not_op(s, i);
	case ZYDIS_MNEMONIC_ROL: return shift_op(s, i, 0);
	case ZYDIS_MNEMONIC_ROR: return shift_op(s, i, 1);
	case ZYDIS_MNEMONIC_SHL: return shift_op(s, i, 4);
	case ZYDIS_MNEMONIC_SHR: return shift_op(s, i, 5);
	case ZYDIS_MNEMONIC_SAR: return shift_op(s, i, 7);
	case ZYDIS_MNEMONIC_SHLD: return double_shift(s, i, 0x0fa4);
	case ZYDIS_MNEMONIC_SHRD: return double_shift(s, i, 0x0fac);
	case ZYDIS_MNEMONIC_IMUL: return imul_op(s, i);
	default: return jit_mov(s, i);
	}
}

bool jit_int(struct segment *s, const struct insn *i)
{
	for (unsigned n = 0; n < i->operands; n++)
		if ((i->op[n].kind == OPND_GPR && i->op[n].high8) ||
			(i->op[n].kind != OPND_GPR && i->op[n].kind != OPND_MEM &&
				i->op[n].kind != OPND_IMM))
			return false;
	return by_mnemonic(s, i);
}

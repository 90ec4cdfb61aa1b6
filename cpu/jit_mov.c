/* Translation of moves: whatever leaves the flags alone. As cpu/jit_int.c. */
#include "cpu/jit_forms.h"

#include "cpu/insn_table.h"
#include "cpu/mnemonic.h"

static bool extend_op(struct segment *s, const struct insn *i, bool sign)
{
	unsigned from = i->op[1].size, to = i->op[0].size, op, b;
	if (!is_reg(i, 0) || (is_mem(i, 1) && !mem_plain(s, i)) ||
		(!is_reg(i, 1) && !is_mem(i, 1)))
		return false;
	if (from == 4 || from == to)
		op = sign && to == 8 && from == 4 ? 0x63 : from == 1 ? 0x8a : 0x8b;
	else
		op = (sign ? 0x0fbe : 0x0fb6) | (from == 2);
	if (op == 0x8b && from == 4)
		to = 4;
	bool mem = is_mem(i, 1);
	if (mem) {
		mem_address(s, i);
		mem_lookup(s, from, false);
		b = H_T0;
	} else {
		b = reg_in(s, i->op[1].reg);
	}
	unsigned a = to >= 4 ? reg_out(s, i->op[0].reg) : reg_in(s, i->op[0].reg);
	if (mem)
		put_mem(s, to, op, a, b, 0, to == 1);
	else
		put_rr(s, to, op, a, b, (to == 1 ? 1 : 0) | (from == 1 ? 2 : 0));
	reg_changed(s, i->op[0].reg);
	return true;
}

static bool mov_op(struct segment *s, const struct insn *i)
{
	unsigned size = i->op[0].size;
	bool imm = i->op[1].kind == OPND_IMM;
	if (is_reg(i, 0) && !imm)
		return extend_op(s, i, false);
	if (is_reg(i, 0)) {
		unsigned g = i->op[0].reg, a = size >= 4 ? reg_out(s, g) : reg_in(s, g);
		if (size >= 4) {
			put_const(s, a, size == 4 ? (uint32_t)i->imm : i->imm);
		} else {
			put_rr(s, size, size == 1 ? 0xc6 : 0xc7, 0, a, size == 1 ? 2 : 0);
			put_imm(s, size, i->imm);
		}
		reg_changed(s, g);
		return true;
	}
	if (!is_mem(i, 0) || !mem_plain(s, i) || (!imm && !is_reg(i, 1)))
		return false;
	uint64_t v = small_imm(i, size);
	if (imm && (int64_t)v != (int32_t)v)
		return false;
	unsigned b = imm ? 0 : reg_in(s, i->op[1].reg);
	mem_address(s, i);
	mem_lookup(s, size, true);
	if (imm) {
		op_rm(s, 0xc7, size, 0, H_T0);
		put_imm(s, size, v);
	} else {
		op_rm(s, 0x89, size, b, H_T0);
	}
	return true;
}

static bool lea_op(struct segment *s, const struct insn *i)
{
	unsigned size = i->op[0].size;
	if (size == 2 || i->addrsize == 2 || i->disp != (int32_t)i->disp)
		return false;
	if (i->addrsize == 4)
		size = 4;
	unsigned a;
	if (i->base == INSN_RIP) {
		const struct op *o = &s->b->op[s->k];
		uint64_t at = op_lin(o) + o->len + (uint64_t)i->disp;
		a = reg_out(s, i->op[0].reg);
		put_const(s, a, size == 4 ? (uint32_t)at : at);
	} else if (i->index != INSN_NO_REG) {
		unsigned x = reg_in(s, i->index);
		int b = i->base == INSN_NO_REG ? -1 : (int)reg_in(s, i->base);
		a = reg_out(s, i->op[0].reg);
		put_lea_index(s, size, a, b, x, (unsigned)__builtin_ctz(i->scale), (int32_t)i->disp);
	} else if (i->base != INSN_NO_REG) {
		unsigned b = reg_in(s, i->base);
		a = reg_out(s, i->op[0].reg);
		put_mem(s, size, 0x8d, a, b, (int32_t)i->disp, false);
	} else {
		a = reg_out(s, i->op[0].reg);
		put_const(s, a, size == 4 ? (uint32_t)i->disp : (uint64_t)i->disp);
	}
	reg_changed(s, i->op[0].reg);
	return true;
}

static bool xchg_op(struct segment *s, const struct insn *i)
{
	unsigned size = i->op[0].size;
	if (!is_reg(i, 0) || !is_reg(i, 1) || size < 4)
		return false;
	unsigned a = reg_in(s, i->op[0].reg), b = reg_in(s, i->op[1].reg);
	put_mov(s, H_T0, a);
	put_rr(s, size, 0x89, b, a, 0);
	put_rr(s, size, 0x89, H_T0, b, 0);
	reg_changed(s, i->op[0].reg);
	reg_changed(s, i->op[1].reg);
	return true;
}

static bool convert_op(struct segment *s, const struct insn *i)
{
	unsigned a = reg_in(s, RAX);
	if (i->mnemonic == ZYDIS_MNEMONIC_CWDE) {
		put_rr(s, 4, 0x0fbf, a, a, 0);
		reg_changed(s, RAX);
	} else if (i->mnemonic == ZYDIS_MNEMONIC_CDQE) {
		put_rr(s, 8, 0x63, a, a, 0);
		reg_changed(s, RAX);
	} else {
		unsigned size = i->mnemonic == ZYDIS_MNEMONIC_CQO ? 8 : 4;
		unsigned d = reg_out(s, RDX);
		put_rr(s, size, 0x89, a, d, 0);
		shift_put(s, 7, size, d, size * 8 - 1);
		s->hf = false;
		reg_changed(s, RDX);
	}
	return true;
}

static bool bswap_op(struct segment *s, const struct insn *i)
{
	unsigned size = i->op[0].size;
	if (size < 4)
		return false;
	unsigned a = reg_in(s, i->op[0].reg);
	put_op(s, size, 0x0fc8 | (a & 7), 0, 0, a, 0);
	reg_changed(s, i->op[0].reg);
	return true;
}

/* --- on conditions */

static bool set_op(struct segment *s, const struct insn *i)
{
	unsigned cc = i->opcode & 15;
	if (is_reg(i, 0)) {
		unsigned a = reg_in(s, i->op[0].reg);
		flags_want(s, &cc);
		put_rr(s, 1, 0x0f90 | cc, 0, a, 2);
		reg_changed(s, i->op[0].reg);
		return true;
	}
	if (!mem_plain(s, i))
		return false;
	flags_want(s, &cc);
	put_mem(s, 1, 0x0f90 | cc, 0, H_C, VCPU(tmp), false);
	mem_address(s, i);
	mem_lookup(s, 1, true);
	put_mem(s, 4, 0x8b, H_T1, H_C, VCPU(tmp), false);
	op_rm(s, 0x89, 1, H_T1, H_T0);
	return true;
}

static bool cmov_op(struct segment *s, const struct insn *i)
{
	unsigned cc = i->opcode & 15, size = i->op[0].size;
	if (size < 4 || (is_mem(i, 1) && !mem_plain(s, i)))
		return false;
	unsigned a = reg_in(s, i->op[0].reg), b = source_in(s, i, size);
	flags_want(s, &cc);
	put_rr(s, size, 0x0f40 | cc, a, b, 0);
	reg_changed(s, i->op[0].reg);
	return true;
}

bool jit_mov(struct segment *s, const struct insn *i)
{
	insn_bind_fn *bind = insn_table[i->row].bind;
	switch (i->mnemonic) {
	case ZYDIS_MNEMONIC_MOV: return mov_op(s, i);
	case ZYDIS_MNEMONIC_MOVZX: return extend_op(s, i, false);
	case ZYDIS_MNEMONIC_MOVSX:
	case ZYDIS_MNEMONIC_MOVSXD: return extend_op(s, i, true);
	case ZYDIS_MNEMONIC_LEA: return lea_op(s, i);
	case ZYDIS_MNEMONIC_XCHG: return xchg_op(s, i);
	case ZYDIS_MNEMONIC_CWDE:
	case ZYDIS_MNEMONIC_CDQE:
	case ZYDIS_MNEMONIC_CDQ:
	case ZYDIS_MNEMONIC_CQO: return convert_op(s, i);
	case ZYDIS_MNEMONIC_BSWAP: return bswap_op(s, i);
	default:
		return bind == bind_setcc ? set_op(s, i) :
			bind == bind_cmov ? cmov_op(s, i) :
					    bind == bind_nop;
	}
}

/* Translation of the stack and of near branches, which end their segment. */
#include "cpu/jit_code.h"

#include "cpu/insn_table.h"
#include "cpu/mnemonic.h"

static bool canonical(uint64_t v)
{
	return (uint64_t)((int64_t)(v << 16) >> 16) == v;
}

/* Link n of the block, from RSI. */
static uint32_t link_at(const struct segment *s, unsigned n)
{
	return op_disp(s, s->b->n + 1u) + n * (uint32_t)sizeof(struct link);
}

static bool wide_stack(const struct segment *s, const struct insn *i)
{
	return !(s->b->mode & MODE_ALIGN) && i->opsize == 8 && i->stacksize == 8;
}

/* RSP -+ 8, flags kept. */
static void move_stack(struct segment *s, int32_t by)
{
	unsigned sp = reg_in(s, RSP);
	put_mem(s, 8, 0x8d, sp, sp, by, false);
	reg_changed(s, RSP);
}

static void stack_write(struct segment *s)
{
	put_mem(s, 8, 0x8d, H_T0, reg_in(s, RSP), -8, false);
	mem_lookup(s, 8, true);
}

static void stack_read(struct segment *s)
{
	put_mov(s, H_T0, reg_in(s, RSP));
	mem_lookup(s, 8, false);
}

static bool push_op(struct segment *s, const struct insn *i)
{
	bool imm = i->op[0].kind == OPND_IMM;
	if (!wide_stack(s, i) || (!imm && i->op[0].kind != OPND_GPR) ||
		(imm && (int64_t)i->imm != (int32_t)i->imm))
		return false;
	unsigned b = imm ? 0 : reg_in(s, i->op[0].reg);
	stack_write(s);
	if (imm) {
		put_mem(s, 8, 0xc7, 0, H_T0, 0, false);
		put32(s, (uint32_t)i->imm);
	} else {
		put_mem(s, 8, 0x89, b, H_T0, 0, false);
	}
	move_stack(s, -8);
	return true;
}

static bool pop_op(struct segment *s, const struct insn *i)
{
	if (!wide_stack(s, i) || i->op[0].kind != OPND_GPR)
		return false;
	reg_in(s, RSP);
	unsigned a = reg_out(s, i->op[0].reg);
	stack_read(s);
	move_stack(s, 8);
	put_mem(s, 8, 0x8b, a, H_T0, 0, false);
	reg_changed(s, i->op[0].reg);
	return true;
}

static bool leave_op(struct segment *s, const struct insn *i)
{
	if (!wide_stack(s, i))
		return false;
	unsigned bp = reg_in(s, RBP), sp = reg_out(s, RSP);
	put_mov(s, H_T0, bp);
	mem_lookup(s, 8, false);
	put_mem(s, 8, 0x8d, sp, bp, 8, false);
	put_mem(s, 8, 0x8b, bp, H_T0, 0, false);
	reg_changed(s, RSP);
	reg_changed(s, RBP);
	return true;
}

/* --- direct */

static bool relative(const struct segment *s, const struct insn *i, uint64_t *target)
{
	const struct op *o = &s->b->op[s->k];
	*target = op_lin(o) + o->len + i->imm;
	return i->op[0].kind == OPND_REL && canonical(*target);
}

/* Once more through this block, registers as they are. */
static void loop_put(struct segment *s)
{
	put_mem(s, 8, 0x83, 5, H_C, VCPU(ic), false);
	put8(s, s->b->n);
	put8(s, 0x0f); /* jns head */
	put8(s, 0x89);
	put32(s, (uint32_t)(s->head - (s->p + 4)));
	regs_store(s);
	put8(s, 0xe9);
	put32(s, 0);
	int32_t rel = jit_exit_rel(s->j, EXIT_HORIZON, s->p);
	s->p -= 4;
	put32(s, (uint32_t)rel);
}

static void branch_to(struct segment *s, unsigned link, uint64_t target)
{
	if (s->loop && target == s->b->gva) {
		loop_put(s);
		return;
	}
	if (s->loop)
		regs_store(s);
	follow_put(s, link_at(s, link), target);
}

static bool jmp_op(struct segment *s, const struct insn *i)
{
	uint64_t target;
	s->ended = true;
	if (relative(s, i, &target)) {
		s->self = target == s->b->gva;
		if (!s->loop)
			regs_store(s);
		branch_to(s, 0, target);
		return true;
	}
	return false;
}

static bool jcc_op(struct segment *s, const struct insn *i)
{
	uint64_t target, end = s->b->end;
	unsigned cc = i->opcode & 15, link = 0;
	if (!relative(s, i, &target))
		return false;
	s->ended = true;
	flags_want(s, &cc);
	if (!s->loop)
		regs_store(s);
	s->self = target == s->b->gva;
	if (s->self) { /* the way round comes first */
		cc ^= 1;
		end = target;
		target = s->b->end;
		link = 1;
	}
	put8(s, 0x0f);
	put8(s, 0x80 | cc);
	uint8_t *from = s->p;
	put32(s, 0);
	branch_to(s, 1 - link, end);
	uint8_t *here = s->p;
	s->p = from;
	put32(s, (uint32_t)(here - (from + 4)));
	s->p = here;
	branch_to(s, link, target);
	return true;
}

static void push_return(struct segment *s)
{
	stack_write(s);
	uint64_t v = s->b->end;
	if (v == (uint64_t)(int64_t)(int32_t)v) {
		put_mem(s, 8, 0xc7, 0, H_T0, 0, false);
		put32(s, (uint32_t)v);
	} else {
		put_const(s, H_T1, v);
		put_mem(s, 8, 0x89, H_T1, H_T0, 0, false);
	}
	move_stack(s, -8);
}

/* --- indirect: the address in RDX */

static void check_target(struct segment *s)
{
	put_mov(s, H_T1, H_T2);
	put_rr(s, 8, 0xc1, 4, H_T1, 0);
	put8(s, 16);
	put_rr(s, 8, 0xc1, 7, H_T1, 0);
	put8(s, 16);
	put_rr(s, 8, 0x39, H_T2, H_T1, 0);
	cold_jump(s, 0x0f85, COLD_HANDLER);
	s->hf = false;
}

static bool call_op(struct segment *s, const struct insn *i)
{
	uint64_t target;
	if (s->b->mode & MODE_ALIGN)
		return false;
	if (relative(s, i, &target)) {
		push_return(s);
		regs_store(s);
		s->ended = true;
		follow_put(s, link_at(s, 0), target);
		return true;
	}
	if (i->op[0].kind != OPND_GPR || i->op[0].size != 8)
		return false;
	unsigned b = reg_in(s, i->op[0].reg);
	put_mov(s, H_T2, b);
	check_target(s);
	put_mem(s, 8, 0x89, b, H_C, VCPU(tmp), false);
	push_return(s);
	put_mem(s, 8, 0x8b, H_T2, H_C, VCPU(tmp), false);
	regs_store(s);
	s->ended = true;
	jump_put(s);
	return true;
}

static bool ret_op(struct segment *s, const struct insn *i)
{
	if (s->b->mode & MODE_ALIGN)
		return false;
	stack_read(s);
	put_mem(s, 8, 0x8b, H_T2, H_T0, 0, false);
	check_target(s);
	move_stack(s, 8 + (i->operands ? (int32_t)(i->imm & 0xffff) : 0));
	regs_store(s);
	s->ended = true;
	jump_put(s);
	return true;
}

static bool jmp_indirect(struct segment *s, const struct insn *i)
{
	if (i->op[0].size != 8)
		return false;
	if (i->op[0].kind == OPND_GPR) {
		put_mov(s, H_T2, reg_in(s, i->op[0].reg));
	} else {
		if (i->op[0].kind != OPND_MEM || !mem_plain(s, i))
			return false;
		mem_address(s, i);
		mem_lookup(s, 8, false);
		put_mem(s, 8, 0x8b, H_T2, H_T0, 0, false);
	}
	check_target(s);
	regs_store(s);
	s->ended = true;
	jump_put(s);
	return true;
}

bool jit_flow(struct segment *s, const struct insn *i)
{
	insn_bind_fn *bind = insn_table[i->row].bind;
	switch (i->mnemonic) {
	case ZYDIS_MNEMONIC_PUSH:
		return push_op(s, i);
	case ZYDIS_MNEMONIC_POP:
		return pop_op(s, i);
	case ZYDIS_MNEMONIC_LEAVE:
		return leave_op(s, i);
	case ZYDIS_MNEMONIC_JMP:
		return i->op[0].kind == OPND_REL ? jmp_op(s, i) : jmp_indirect(s, i);
	case ZYDIS_MNEMONIC_CALL:
		return call_op(s, i);
	case ZYDIS_MNEMONIC_RET:
		return ret_op(s, i);
	default:
		return bind == bind_jcc && jcc_op(s, i);
	}
}

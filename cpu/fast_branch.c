/* Fast near branches in flat code, and the stack operations they are made of. */
#include "cpu/fast.h"

#include "cpu/mnemonic.h"

/* Follows link `l` to `target`, which is where it leads. */
FAST_FN follow(struct vcpu *c, struct link *l, uint64_t target)
{
	if (__builtin_expect(l->gen == c->code_gen, 1))
		BLOCK_ENTER(c, l->to);
	c->rip = target;
	engine_patch(c, l);
}

static inline struct link *links(const struct op *o)
{
	return (struct link *)(o + 2);
}

static bool canonical(uint64_t v)
{
	return (uint64_t)((int64_t)(v << 16) >> 16) == v;
}

/* --- direct */

static void jmp_rel(struct vcpu *c, const struct op *o)
{
	return follow(c, links(o), o->imm);
}

FAST_FN do_jcc(struct vcpu *c, const struct op *o, bool taken)
{
	if (taken)
		return follow(c, links(o), o->imm);
	return follow(c, links(o) + 1, o[1].link->end);
}

#define EACH_CC(M, ...)                                                                    \
	M(__VA_ARGS__, 0) M(__VA_ARGS__, 1) M(__VA_ARGS__, 2) M(__VA_ARGS__, 3) M(__VA_ARGS__, 4) \
	M(__VA_ARGS__, 5) M(__VA_ARGS__, 6) M(__VA_ARGS__, 7) M(__VA_ARGS__, 8) M(__VA_ARGS__, 9) \
	M(__VA_ARGS__, 10) M(__VA_ARGS__, 11) M(__VA_ARGS__, 12) M(__VA_ARGS__, 13)         \
	M(__VA_ARGS__, 14) M(__VA_ARGS__, 15)

#define COND_any(cc) flags_cond(c, cc)
#define COND_res(cc) cond_logic(c, cc)
#define COND_s8(cc)  cond_sub(c, 8, cc)
#define COND_s16(cc) cond_sub(c, 16, cc)
#define COND_s32(cc) cond_sub(c, 32, cc)
#define COND_s64(cc) cond_sub(c, 64, cc)
#define MAKE_JCC(from, cc)                                           \
	static void j_##from##cc(struct vcpu *c, const struct op *o) \
	{                                                            \
		do_jcc(c, o, COND_##from(cc));                       \
	}
EACH_CC(MAKE_JCC, any)
EACH_CC(MAKE_JCC, res)
EACH_CC(MAKE_JCC, s8)
EACH_CC(MAKE_JCC, s16)
EACH_CC(MAKE_JCC, s32)
EACH_CC(MAKE_JCC, s64)
#define JCC_CELL(from, cc) j_##from##cc,
static op_fn *const jcc_table[6][16] = {{EACH_CC(JCC_CELL, any)}, {EACH_CC(JCC_CELL, res)},
	{EACH_CC(JCC_CELL, s8)}, {EACH_CC(JCC_CELL, s16)}, {EACH_CC(JCC_CELL, s32)},
	{EACH_CC(JCC_CELL, s64)}};

/* Where a relative branch leads; false when it needs checks. */
static bool relative(struct vcpu *c, const struct insn *i, const struct op *o, uint64_t *target)
{
	if (!fast_flat_code(c) || i->op[0].kind != OPND_REL)
		return false;
	*target = op_lin(o) + o->len + i->imm;
	if (i->mode == 8)
		return canonical(*target);
	*target = (uint32_t)*target;
	return i->opsize == 4;
}

bool bind_jcc(struct vcpu *c, const struct insn *i, struct op *o)
{
	unsigned cc = i->opcode & 15;
	if (!relative(c, i, o, &o->imm))
		return false;
	o->run = jcc_table[fast_cond(c, cc)][cc];
	return true;
}

/* --- stack, 64 or 32 bits wide */

static inline __attribute__((always_inline)) uint64_t stack_at(
	const struct vcpu *c, unsigned bits, uint64_t sp)
{
	return bits == 64 ? sp : (uint32_t)(sp + c->seg_base[SEG_SS]);
}

#define PUSH(c, o, bits, value)                                             \
	uint64_t sp = (c)->gpr[RSP] - (bits) / 8, at = stack_at(c, bits, sp); \
	void *p = tlb_host_write((c)->tlb, at, (bits) / 8);                 \
	if (__builtin_expect(!p, 0))                                        \
		return op_miss_write(c, o, at);                             \
	mem_put(p, bits, value);                                            \
	reg_put(c, offsetof(struct vcpu, gpr) + 8 * RSP, bits, sp)

#define STACK_READ(c, o, bits)                                              \
	uint64_t sp = (c)->gpr[RSP], at = stack_at(c, bits, sp);            \
	void *p = tlb_host_read((c)->tlb, at, (bits) / 8);                  \
	if (__builtin_expect(!p, 0))                                        \
		return op_miss_read(c, o, at)

#define SP_SLOT (offsetof(struct vcpu, gpr) + 8 * RSP)

FAST_FN do_push_r(struct vcpu *c, const struct op *o, unsigned bits)
{
	PUSH(c, o, bits, reg_get(c, o->src, bits));
	OP_NEXT(c, o);
}

FAST_FN do_push_i(struct vcpu *c, const struct op *o, unsigned bits)
{
	PUSH(c, o, bits, o->imm);
	OP_NEXT(c, o);
}

FAST_FN do_pop_r(struct vcpu *c, const struct op *o, unsigned bits)
{
	STACK_READ(c, o, bits);
	uint64_t v = mem_get(p, bits);
	reg_put(c, SP_SLOT, bits, sp + bits / 8);
	reg_put(c, o->dst, bits, v);
	OP_NEXT(c, o);
}

FAST_FN do_leave(struct vcpu *c, const struct op *o, unsigned bits)
{
	uint64_t sp = c->gpr[RBP], at = stack_at(c, bits, sp);
	void *p = tlb_host_read(c->tlb, at, bits / 8);
	if (__builtin_expect(!p, 0))
		return op_miss_read(c, o, at);
	reg_put(c, SP_SLOT, bits, sp + bits / 8);
	reg_put(c, offsetof(struct vcpu, gpr) + 8 * RBP, bits, mem_get(p, bits));
	OP_NEXT(c, o);
}

FAST_FN do_call_rel(struct vcpu *c, const struct op *o, unsigned bits)
{
	PUSH(c, o, bits, o[1].link->end);
	return follow(c, links(o), o->imm);
}

FAST_FN do_call_r(struct vcpu *c, const struct op *o, unsigned bits)
{
	uint64_t target = reg_get(c, o->src, bits);
	if (bits == 64 && !canonical(target))
		return op_fallback(c, o);
	PUSH(c, o, bits, o[1].link->end);
	return jump_to(c, target);
}

FAST_FN do_ret(struct vcpu *c, const struct op *o, unsigned bits)
{
	STACK_READ(c, o, bits);
	uint64_t target = mem_get(p, bits);
	if (bits == 64 && __builtin_expect(!canonical(target), 0))
		return op_fallback(c, o);
	reg_put(c, SP_SLOT, bits, sp + bits / 8 + o->imm);
	return jump_to(c, target);
}

FAST_FN do_jmp_r(struct vcpu *c, const struct op *o, unsigned bits)
{
	uint64_t target = reg_get(c, o->src, bits);
	if (bits == 64 && !canonical(target))
		return op_fallback(c, o);
	return jump_to(c, target);
}

FAST_FN do_jmp_m(struct vcpu *c, const struct op *o, enum fast_addr a)
{
	const unsigned bits = a == ADDR_W ? 32 : 64;
	MEM_READ(c, o, a, bits);
	uint64_t target = mem_get(p, bits);
	if (bits == 64 && !canonical(target))
		return op_fallback(c, o);
	return jump_to(c, target);
}

FAST_FN do_call_m(struct vcpu *c, const struct op *o, enum fast_addr a)
{
	const unsigned bits = a == ADDR_W ? 32 : 64;
	uint64_t from = fast_at(c, o, a);
	const void *q = tlb_host_read(c->tlb, from, bits / 8);
	if (__builtin_expect(!q, 0))
		return op_miss_read(c, o, from);
	uint64_t target = mem_get(q, bits);
	if (bits == 64 && !canonical(target))
		return op_fallback(c, o);
	PUSH(c, o, bits, o[1].link->end);
	return jump_to(c, target);
}

#define MAKE_PAIR(name)                                               \
	static void name##32(struct vcpu *c, const struct op *o)      \
	{                                                             \
		do_##name(c, o, 32);                                  \
	}                                                             \
	static void name##64(struct vcpu *c, const struct op *o)      \
	{                                                             \
		do_##name(c, o, 64);                                  \
	}
MAKE_PAIR(push_r)
MAKE_PAIR(push_i)
MAKE_PAIR(pop_r)
MAKE_PAIR(leave)
MAKE_PAIR(call_rel)
MAKE_PAIR(call_r)
MAKE_PAIR(ret)
MAKE_PAIR(jmp_r)

#define MAKE_FOUR(name)                                                                   \
	static void name##B(struct vcpu *c, const struct op *o) { do_##name(c, o, ADDR_B); } \
	static void name##F(struct vcpu *c, const struct op *o) { do_##name(c, o, ADDR_F); } \
	static void name##W(struct vcpu *c, const struct op *o) { do_##name(c, o, ADDR_W); } \
	static void name##A(struct vcpu *c, const struct op *o) { do_##name(c, o, ADDR_A); }
MAKE_FOUR(jmp_m)
MAKE_FOUR(call_m)
static op_fn *const jmp_m_table[4] = {jmp_mB, jmp_mF, jmp_mW, jmp_mA};
static op_fn *const call_m_table[4] = {call_mB, call_mF, call_mW, call_mA};

/* Operands of the code's own width on a flat stack. */
static bool plain(const struct vcpu *c, const struct insn *i)
{
	return fast_flat_stack(c) && i->opsize == i->mode && i->stacksize == i->mode;
}

bool bind_push(struct vcpu *c, const struct insn *i, struct op *o)
{
	if (!plain(c, i))
		return false;
	if (fast_is_reg(i, 0)) {
		o->src = fast_reg(&i->op[0]);
		o->run = i->mode == 8 ? push_r64 : push_r32;
		return true;
	}
	if (i->op[0].kind != OPND_IMM)
		return false;
	o->imm = i->imm;
	o->run = i->mode == 8 ? push_i64 : push_i32;
	return true;
}

bool bind_pop(struct vcpu *c, const struct insn *i, struct op *o)
{
	if (!plain(c, i) || !fast_is_reg(i, 0))
		return false;
	o->dst = fast_reg(&i->op[0]);
	o->run = i->mode == 8 ? pop_r64 : pop_r32;
	return true;
}

bool bind_leave(struct vcpu *c, const struct insn *i, struct op *o)
{
	o->run = i->mode == 8 ? leave64 : leave32;
	return plain(c, i);
}

/* An indirect branch through memory: addresses of the code's own width. */
static enum fast_addr through_memory(struct vcpu *c, const struct insn *i, struct op *o)
{
	enum fast_addr a = fast_mem(c, i, o, 0);
	return i->mode == 8 && a == ADDR_W ? ADDR_SLOW : a;
}

bool bind_jmp(struct vcpu *c, const struct insn *i, struct op *o)
{
	o->run = jmp_rel;
	if (relative(c, i, o, &o->imm))
		return true;
	if (!fast_flat_code(c) || i->op[0].kind == OPND_REL || i->op[0].size != i->mode)
		return false;
	if (fast_is_reg(i, 0)) {
		o->src = fast_reg(&i->op[0]);
		o->run = i->mode == 8 ? jmp_r64 : jmp_r32;
		return true;
	}
	enum fast_addr a = through_memory(c, i, o);
	if (a != ADDR_SLOW)
		o->run = jmp_m_table[a];
	return a != ADDR_SLOW;
}

bool bind_call(struct vcpu *c, const struct insn *i, struct op *o)
{
	if (!fast_flat_code(c) || !fast_flat_stack(c))
		return false;
	o->run = i->mode == 8 ? call_rel64 : call_rel32;
	if (relative(c, i, o, &o->imm))
		return true;
	if (i->op[0].kind == OPND_REL || i->op[0].size != i->mode)
		return false;
	if (fast_is_reg(i, 0)) {
		o->src = fast_reg(&i->op[0]);
		o->run = i->mode == 8 ? call_r64 : call_r32;
		return true;
	}
	enum fast_addr a = through_memory(c, i, o);
	if (a != ADDR_SLOW)
		o->run = call_m_table[a];
	return a != ADDR_SLOW;
}

bool bind_ret(struct vcpu *c, const struct insn *i, struct op *o)
{
	if (!fast_flat_code(c) || !fast_flat_stack(c) || (i->mode != 8 && i->opsize != 4))
		return false;
	o->imm = i->operands ? i->imm & 0xffff : 0;
	o->run = i->mode == 8 ? ret64 : ret32;
	return true;
}

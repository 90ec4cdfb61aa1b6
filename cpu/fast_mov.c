/* Fast forms of MOV, MOVZX, MOVSX, LEA, CMOVcc, SETcc and sign extension. */
#include "cpu/fast.h"

#include "cpu/mnemonic.h"

#define CELLS(f)      {f##B, f##F, f##W, f##A}
#define EACH_ADDR(M, ...) \
	M(__VA_ARGS__, B) M(__VA_ARGS__, F) M(__VA_ARGS__, W) M(__VA_ARGS__, A)

/* Moves with extension: from and to are sizes in bits. */
FAST_FN do_mov_rr(struct vcpu *c, const struct op *o, unsigned from, unsigned to, bool sign)
{
	uint64_t v = reg_get(c, o->src, from);
	reg_put(c, o->dst, to, sign ? (uint64_t)sx(v, from) : v);
	OP_NEXT(c, o);
}

FAST_FN do_mov_rm(struct vcpu *c, const struct op *o, unsigned from, unsigned to, bool sign,
	enum fast_addr a)
{
	MEM_READ(c, o, a, from);
	uint64_t v = mem_get(p, from);
	reg_put(c, o->dst, to, sign ? (uint64_t)sx(v, from) : v);
	OP_NEXT(c, o);
}

#define MOV_RM(name, from, to, sign, a)                              \
	static void rm_##name##a(struct vcpu *c, const struct op *o) \
	{                                                            \
		do_mov_rm(c, o, from, to, sign, ADDR_##a);           \
	}
#define MOV_KIND(name, from, to, sign)                            \
	static void rr_##name(struct vcpu *c, const struct op *o) \
	{                                                         \
		do_mov_rr(c, o, from, to, sign);                  \
	}                                                         \
	EACH_ADDR(MOV_RM, name, from, to, sign)
#define MOV_KINDS(M)                                                                      \
	M(mov8, 8, 8, false) M(mov16, 16, 16, false) M(mov32, 32, 32, false)              \
	M(mov64, 64, 64, false) M(zx8_16, 8, 16, false) M(zx8_32, 8, 32, false)           \
	M(zx16_32, 16, 32, false) M(sx8_16, 8, 16, true) M(sx8_32, 8, 32, true)           \
	M(sx8_64, 8, 64, true) M(sx16_32, 16, 32, true) M(sx16_64, 16, 64, true)          \
	M(sx32_64, 32, 64, true)
MOV_KINDS(MOV_KIND)

static const struct {
	uint8_t from, to;
	bool sign;
	op_fn *rr, *rm[4];
} kinds[] = {
#define MOV_ROW(name, from, to, sign) {from, to, sign, rr_##name, CELLS(rm_##name)},
	MOV_KINDS(MOV_ROW)};

static bool bind_extend(struct vcpu *c, const struct insn *i, struct op *o, bool sign)
{
	unsigned from = i->op[1].size * 8u, to = i->op[0].size * 8u;
	if (from == to)
		sign = false;
	if (!sign && to == 64 && from < 64)
		to = 32; /* clears the upper half either way */
	for (unsigned k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		if (kinds[k].from != from || kinds[k].to != to || kinds[k].sign != sign)
			continue;
		o->dst = fast_reg(&i->op[0]);
		if (fast_is_reg(i, 1)) {
			o->src = fast_reg(&i->op[1]);
			o->run = kinds[k].rr;
			return true;
		}
		enum fast_addr a = fast_mem(c, i, o, 0);
		if (a != ADDR_SLOW)
			o->run = kinds[k].rm[a];
		return a != ADDR_SLOW;
	}
	return false;
}

bool bind_movzx(struct vcpu *c, const struct insn *i, struct op *o)
{
	return bind_extend(c, i, o, false);
}

bool bind_movsx(struct vcpu *c, const struct insn *i, struct op *o)
{
	return bind_extend(c, i, o, true);
}

/* --- immediates and stores */

FAST_FN do_mov_ri(struct vcpu *c, const struct op *o, unsigned bits)
{
	reg_put(c, o->dst, bits, o->imm);
	OP_NEXT(c, o);
}

FAST_FN do_mov_mr(struct vcpu *c, const struct op *o, unsigned bits, enum fast_addr a)
{
	MEM_WRITE(c, o, a, bits);
	mem_put(p, bits, reg_get(c, o->src, bits));
	OP_NEXT(c, o);
}

FAST_FN do_mov_mi(struct vcpu *c, const struct op *o, unsigned bits, enum fast_addr a)
{
	MEM_WRITE(c, o, a, bits);
	mem_put(p, bits, fast_imm(o, a));
	OP_NEXT(c, o);
}

#define MOV_STORE(bits, a)                                                  \
	static void mov_mr##bits##a(struct vcpu *c, const struct op *o)     \
	{                                                                   \
		do_mov_mr(c, o, bits, ADDR_##a);                            \
	}                                                                   \
	static void mov_mi##bits##a(struct vcpu *c, const struct op *o)     \
	{                                                                   \
		do_mov_mi(c, o, bits, ADDR_##a);                            \
	}
#define MOV_SIZE(bits)                                               \
	static void mov_ri##bits(struct vcpu *c, const struct op *o) \
	{                                                            \
		do_mov_ri(c, o, bits);                               \
	}                                                            \
	EACH_ADDR(MOV_STORE, bits)
MOV_SIZE(8)
MOV_SIZE(16)
MOV_SIZE(32)
MOV_SIZE(64)

static op_fn *const ri_table[4] = {mov_ri8, mov_ri16, mov_ri32, mov_ri64};
static op_fn *const mr_table[4][4] = {
	CELLS(mov_mr8), CELLS(mov_mr16), CELLS(mov_mr32), CELLS(mov_mr64)};
static op_fn *const mi_table[4][4] = {
	CELLS(mov_mi8), CELLS(mov_mi16), CELLS(mov_mi32), CELLS(mov_mi64)};

bool bind_mov(struct vcpu *c, const struct insn *i, struct op *o)
{
	unsigned s = fast_size(i->op[0].size);
	enum fast_addr a;
	if (fast_is_reg(i, 0)) {
		if (i->op[1].kind != OPND_IMM)
			return bind_extend(c, i, o, false);
		o->dst = fast_reg(&i->op[0]);
		o->imm = i->imm;
		o->run = ri_table[s];
		return true;
	}
	if (fast_is_reg(i, 1)) {
		o->src = fast_reg(&i->op[1]);
		a = fast_mem(c, i, o, 0);
		if (a != ADDR_SLOW)
			o->run = mr_table[s][a];
		return a != ADDR_SLOW;
	}
	uint64_t imm = (uint64_t)sx(i->imm, i->op[0].size == 8 ? 64 : i->op[0].size * 8u);
	a = fast_mem(c, i, o, imm);
	if (a != ADDR_SLOW)
		o->run = mi_table[s][a];
	return a != ADDR_SLOW;
}

/* --- LEA: the address alone, without segments */

FAST_FN do_lea(struct vcpu *c, const struct op *o, unsigned bits, bool index)
{
	uint64_t v = reg_get(c, o->base, 64) + (uint64_t)(int64_t)o->disp;
	if (index)
		v += reg_get(c, o->index, 64) << o->scale;
	reg_put(c, o->dst, bits, v);
	OP_NEXT(c, o);
}

static void lea32(struct vcpu *c, const struct op *o)
{
	do_lea(c, o, 32, false);
}
static void lea64(struct vcpu *c, const struct op *o)
{
	do_lea(c, o, 64, false);
}
static void lea32x(struct vcpu *c, const struct op *o)
{
	do_lea(c, o, 32, true);
}
static void lea64x(struct vcpu *c, const struct op *o)
{
	do_lea(c, o, 64, true);
}

bool bind_lea(struct vcpu *c, const struct insn *i, struct op *o)
{
	bool wide = i->op[0].size == 8;
	if (i->addrsize == 2 || i->op[0].size == 2 || (i->addrsize == 4 && wide))
		return false;
	o->dst = fast_reg(&i->op[0]);
	if (i->base == INSN_RIP) {
		if (i->addrsize != 8 || !(c->engine->mode & MODE_CODE64))
			return false;
		o->imm = op_lin(o) + o->len + (uint64_t)i->disp;
		o->run = wide ? mov_ri64 : mov_ri32;
		return true;
	}
	o->base = (uint8_t)(i->base == INSN_NO_REG ? offsetof(struct vcpu, zero)
						   : offsetof(struct vcpu, gpr) + 8u * i->base);
	o->index = (uint8_t)(i->index == INSN_NO_REG ? offsetof(struct vcpu, zero)
						     : offsetof(struct vcpu, gpr) + 8u * i->index);
	o->scale = (uint8_t)__builtin_ctz(i->scale);
	o->disp = (int32_t)i->disp;
	if (i->index == INSN_NO_REG)
		o->run = wide ? lea64 : lea32;
	else
		o->run = wide ? lea64x : lea32x;
	return true;
}

/* --- on conditions */

enum cond_from { FROM_ANY, FROM_RESULT, FROM_SUB8, FROM_SUB16, FROM_SUB32, FROM_SUB64 };

static inline __attribute__((always_inline)) bool cond(
	const struct vcpu *c, enum cond_from from, unsigned cc)
{
	if (from == FROM_ANY)
		return flags_cond(c, cc);
	if (from == FROM_RESULT)
		return cond_logic(c, cc);
	return cond_sub(c, 8u << (from - FROM_SUB8), cc);
}

#define EACH_CC(M, ...)                                                                    \
	M(__VA_ARGS__, 0) M(__VA_ARGS__, 1) M(__VA_ARGS__, 2) M(__VA_ARGS__, 3) M(__VA_ARGS__, 4) \
	M(__VA_ARGS__, 5) M(__VA_ARGS__, 6) M(__VA_ARGS__, 7) M(__VA_ARGS__, 8) M(__VA_ARGS__, 9) \
	M(__VA_ARGS__, 10) M(__VA_ARGS__, 11) M(__VA_ARGS__, 12) M(__VA_ARGS__, 13)         \
	M(__VA_ARGS__, 14) M(__VA_ARGS__, 15)
#define EACH_FROM(M) M(ANY) M(RESULT) M(SUB8) M(SUB16) M(SUB32) M(SUB64)

#define MAKE_COND(from, cc)                                                     \
	static void set_##from##cc(struct vcpu *c, const struct op *o)          \
	{                                                                       \
		reg_put(c, o->dst, 8, cond(c, FROM_##from, cc));                \
		OP_NEXT(c, o);                                                  \
	}                                                                       \
	static void cmov32_##from##cc(struct vcpu *c, const struct op *o)       \
	{                                                                       \
		unsigned s_ = cond(c, FROM_##from, cc) ? o->src : o->dst;       \
		reg_put(c, o->dst, 32, reg_get(c, s_, 32));                     \
		OP_NEXT(c, o);                                                  \
	}                                                                       \
	static void cmov64_##from##cc(struct vcpu *c, const struct op *o)       \
	{                                                                       \
		unsigned s_ = cond(c, FROM_##from, cc) ? o->src : o->dst;       \
		reg_put(c, o->dst, 64, reg_get(c, s_, 64));                     \
		OP_NEXT(c, o);                                                  \
	}
#define MAKE_CONDS(from) EACH_CC(MAKE_COND, from)
EACH_FROM(MAKE_CONDS)

#define COND_CELL(f, from, cc)  f##from##cc,
#define SET_ROW(from)    {EACH_CC(COND_CELL, set_, from)},
#define CMOV32_ROW(from) {EACH_CC(COND_CELL, cmov32_, from)},
#define CMOV64_ROW(from) {EACH_CC(COND_CELL, cmov64_, from)},
static op_fn *const set_table[6][16] = {EACH_FROM(SET_ROW)};
static op_fn *const cmov32_table[6][16] = {EACH_FROM(CMOV32_ROW)};
static op_fn *const cmov64_table[6][16] = {EACH_FROM(CMOV64_ROW)};

bool bind_setcc(struct vcpu *c, const struct insn *i, struct op *o)
{
	unsigned cc = i->opcode & 15;
	if (!fast_is_reg(i, 0))
		return false;
	o->dst = fast_reg(&i->op[0]);
	o->run = set_table[fast_cond(c, cc)][cc];
	return true;
}

/* A load happens whether or not the condition holds. */
FAST_FN do_cmov_m(struct vcpu *c, const struct op *o, unsigned bits, enum fast_addr a)
{
	MEM_READ(c, o, a, bits);
	uint64_t v = mem_get(p, bits), old = reg_get(c, o->dst, bits);
	reg_put(c, o->dst, bits, flags_cond(c, o->aux) ? v : old);
	OP_NEXT(c, o);
}

#define MAKE_CMOV_M(bits, a)                                             \
	static void cmov_m##bits##a(struct vcpu *c, const struct op *o)  \
	{                                                                \
		do_cmov_m(c, o, bits, ADDR_##a);                         \
	}
EACH_ADDR(MAKE_CMOV_M, 32)
EACH_ADDR(MAKE_CMOV_M, 64)
static op_fn *const cmov_m_table[2][4] = {CELLS(cmov_m32), CELLS(cmov_m64)};

bool bind_cmov(struct vcpu *c, const struct insn *i, struct op *o)
{
	unsigned cc = i->opcode & 15, from = fast_cond(c, cc);
	bool wide = i->op[0].size == 8;
	if (i->op[0].size == 2)
		return false;
	o->dst = fast_reg(&i->op[0]);
	o->aux = (uint16_t)cc;
	if (fast_is_reg(i, 1)) {
		o->src = fast_reg(&i->op[1]);
		o->run = (wide ? cmov64_table : cmov32_table)[from][cc];
		return true;
	}
	enum fast_addr a = fast_mem(c, i, o, 0);
	if (a != ADDR_SLOW)
		o->run = cmov_m_table[wide][a];
	return a != ADDR_SLOW;
}

/* --- CBW and its kin */

#define MAKE_CONVERT(name, to, value)                           \
	static void name(struct vcpu *c, const struct op *o)    \
	{                                                       \
		value;                                          \
		OP_NEXT(c, o);                                  \
	}
MAKE_CONVERT(cwde, 32, c->gpr[RAX] = (uint32_t)sx(c->gpr[RAX], 16))
MAKE_CONVERT(cdqe, 64, c->gpr[RAX] = (uint64_t)sx(c->gpr[RAX], 32))
MAKE_CONVERT(cdq, 32, c->gpr[RDX] = (uint32_t)(sx(c->gpr[RAX], 32) >> 63))
MAKE_CONVERT(cqo, 64, c->gpr[RDX] = (uint64_t)((int64_t)c->gpr[RAX] >> 63))

bool bind_convert(struct vcpu *c, const struct insn *i, struct op *o)
{
	(void)c;
	o->run = i->mnemonic == ZYDIS_MNEMONIC_CWDE ? cwde
		: i->mnemonic == ZYDIS_MNEMONIC_CDQE ? cdqe
		: i->mnemonic == ZYDIS_MNEMONIC_CDQ  ? cdq
		: i->mnemonic == ZYDIS_MNEMONIC_CQO  ? cqo
						     : NULL;
	return o->run != NULL;
}

static void nop(struct vcpu *c, const struct op *o)
{
	OP_NEXT(c, o);
}

bool bind_nop(struct vcpu *c, const struct insn *i, struct op *o)
{
	(void)c;
	(void)i;
	o->run = nop;
	return true;
}

/* MOVS, STOS and LODS in flat code, upwards, as far as pages and the horizon
 * reach in one go; the host's own string instructions have the same meaning.
 *
 * A repetition retires once per iteration: the op's own place in the block is
 * its last one, the others come off c->ic as they are done. RCX, RSI and RDI
 * are brought up to date after every piece, so that the op can start again.
 */
#include "cpu/fast.h"

#include "cpu/mnemonic.h"

enum string_op { STRING_MOVS, STRING_STOS };

static inline __attribute__((always_inline)) uint64_t string_at(
	const struct vcpu *c, unsigned width, unsigned reg, unsigned seg_slot)
{
	if (width == 64)
		return c->gpr[reg];
	return (uint32_t)(c->gpr[reg] + reg_get(c, seg_slot, 64));
}

static inline __attribute__((always_inline)) void advance(
	struct vcpu *c, unsigned width, unsigned reg, uint64_t n)
{
	reg_put(c, offsetof(struct vcpu, gpr) + 8 * reg, width, c->gpr[reg] + n);
}

static inline __attribute__((always_inline)) void native(
	enum string_op op, unsigned size, void *to, const void *from, uint64_t n, uint64_t value)
{
	if (op == STRING_MOVS) {
		switch (size) {
		case 1:
			__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
			break;
		case 2:
			__asm__ volatile("rep movsw" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
			break;
		case 4:
			__asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
			break;
		default:
			__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
			break;
		}
		return;
	}
	switch (size) {
	case 1:
		__asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(value) : "memory");
		break;
	case 2:
		__asm__ volatile("rep stosw" : "+D"(to), "+c"(n) : "a"(value) : "memory");
		break;
	case 4:
		__asm__ volatile("rep stosl" : "+D"(to), "+c"(n) : "a"(value) : "memory");
		break;
	default:
		__asm__ volatile("rep stosq" : "+D"(to), "+c"(n) : "a"(value) : "memory");
		break;
	}
}

static inline uint64_t elements_to_page_end(uint64_t at, unsigned size)
{
	return (PAGE_SIZE - at % PAGE_SIZE) / size;
}

static inline uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

FAST_FN do_rep(struct vcpu *c, const struct op *o, enum string_op op, unsigned size, unsigned width)
{
	const unsigned es = offsetof(struct vcpu, seg_base) + 8 * SEG_ES;
	if (c->rflags & FLAG_DF)
		return op_fallback(c, o);
	for (;;) {
		uint64_t n = width == 64 ? c->gpr[RCX] : (uint32_t)c->gpr[RCX], k = n;
		uint64_t to = string_at(c, width, RDI, es), from = to;
		const void *p = NULL;
		if (!n)
			OP_NEXT(c, o);
		if (op == STRING_MOVS) {
			from = string_at(c, width, RSI, o->seg);
			k = least(k, elements_to_page_end(from, size));
			p = tlb_host_read(c->tlb, from, size);
			if (__builtin_expect(!p, 0))
				return op_miss_read(c, o, from);
		}
		k = least(k, elements_to_page_end(to, size));
		void *q = tlb_host_write(c->tlb, to, size);
		if (__builtin_expect(!q, 0))
			return op_miss_write(c, o, to);
		bool last = k == n, all = k <= (uint64_t)c->ic + (last ? 1 : 0);
		if (!all)
			k = (uint64_t)c->ic + 1;
		native(op, size, q, p, k, c->gpr[RAX]);
		advance(c, width, RCX, -k);
		advance(c, width, RDI, k * size);
		if (op == STRING_MOVS)
			advance(c, width, RSI, k * size);
		if (all && last) {
			c->ic -= (int64_t)k - 1;
			OP_NEXT(c, o);
		}
		if (!all) {
			/* the horizon: this op's own place went with the last iteration */
			c->ic -= (int64_t)k - 1;
			c->ic += o->left - 1;
			c->rip = op_rip(c, o);
			return;
		}
		c->ic -= (int64_t)k;
	}
}

FAST_FN do_one(struct vcpu *c, const struct op *o, enum string_op op, unsigned size, unsigned width)
{
	const unsigned es = offsetof(struct vcpu, seg_base) + 8 * SEG_ES;
	uint64_t to = string_at(c, width, RDI, es);
	const void *p = &c->gpr[RAX];
	if (c->rflags & FLAG_DF)
		return op_fallback(c, o);
	if (op == STRING_MOVS) {
		uint64_t from = string_at(c, width, RSI, o->seg);
		p = tlb_host_read(c->tlb, from, size);
		if (__builtin_expect(!p, 0))
			return op_miss_read(c, o, from);
	}
	void *q = tlb_host_write(c->tlb, to, size);
	if (__builtin_expect(!q, 0))
		return op_miss_write(c, o, to);
	mem_put(q, size * 8, mem_get(p, size * 8));
	advance(c, width, RDI, size);
	if (op == STRING_MOVS)
		advance(c, width, RSI, size);
	OP_NEXT(c, o);
}

FAST_FN do_lods(struct vcpu *c, const struct op *o, unsigned size, unsigned width)
{
	uint64_t from = string_at(c, width, RSI, o->seg);
	if (c->rflags & FLAG_DF)
		return op_fallback(c, o);
	const void *p = tlb_host_read(c->tlb, from, size);
	if (__builtin_expect(!p, 0))
		return op_miss_read(c, o, from);
	reg_put(c, offsetof(struct vcpu, gpr) + 8 * RAX, size * 8, mem_get(p, size * 8));
	advance(c, width, RSI, size);
	OP_NEXT(c, o);
}

#define MAKE(size, width)                                                         \
	static void movs_rep##size##_##width(struct vcpu *c, const struct op *o)  \
	{                                                                         \
		do_rep(c, o, STRING_MOVS, size, width);                           \
	}                                                                         \
	static void stos_rep##size##_##width(struct vcpu *c, const struct op *o)  \
	{                                                                         \
		do_rep(c, o, STRING_STOS, size, width);                           \
	}                                                                         \
	static void movs##size##_##width(struct vcpu *c, const struct op *o)      \
	{                                                                         \
		do_one(c, o, STRING_MOVS, size, width);                           \
	}                                                                         \
	static void stos##size##_##width(struct vcpu *c, const struct op *o)      \
	{                                                                         \
		do_one(c, o, STRING_STOS, size, width);                           \
	}                                                                         \
	static void lods##size##_##width(struct vcpu *c, const struct op *o)      \
	{                                                                         \
		do_lods(c, o, size, width);                                       \
	}
#define MAKE_SIZES(width) MAKE(1, width) MAKE(2, width) MAKE(4, width) MAKE(8, width)
MAKE_SIZES(32)
MAKE_SIZES(64)

#define ROW(f, width) {f##1_##width, f##2_##width, f##4_##width, f##8_##width}
#define TABLE(f)      {ROW(f, 32), ROW(f, 64)}
static op_fn *const table[5][2][4] = {
	TABLE(movs_rep), TABLE(stos_rep), TABLE(movs), TABLE(stos), TABLE(lods)};

/* Flat segments, addresses of the code's own width. */
static bool plain(const struct vcpu *c, const struct insn *i, bool source, bool dest)
{
	uint32_t m = c->engine->mode;
	if (m & MODE_ALIGN || i->addrsize != i->mode || i->mode == 2)
		return false;
	if (source && (i->seg == SEG_FS || i->seg == SEG_GS || !(m >> (MODE_FLAT_SHIFT + i->seg) & 1)))
		return false;
	return !dest || m >> (MODE_FLAT_SHIFT + SEG_ES) & 1;
}

static bool bind(struct op *o, const struct insn *i, unsigned what, unsigned size)
{
	o->seg = (uint8_t)(offsetof(struct vcpu, seg_base) + 8u * i->seg);
	o->run = table[what][i->mode == 8][fast_size(size)];
	return true;
}

bool bind_movs(struct vcpu *c, const struct insn *i, struct op *o)
{
	unsigned size = i->mnemonic == ZYDIS_MNEMONIC_MOVSB ? 1
		: i->mnemonic == ZYDIS_MNEMONIC_MOVSW       ? 2
		: i->mnemonic == ZYDIS_MNEMONIC_MOVSD       ? 4
							    : 8;
	return plain(c, i, true, true) && bind(o, i, i->rep || i->repne ? 0 : 2, size);
}

bool bind_stos(struct vcpu *c, const struct insn *i, struct op *o)
{
	unsigned size = i->mnemonic == ZYDIS_MNEMONIC_STOSB ? 1
		: i->mnemonic == ZYDIS_MNEMONIC_STOSW       ? 2
		: i->mnemonic == ZYDIS_MNEMONIC_STOSD       ? 4
							    : 8;
	return plain(c, i, false, true) && bind(o, i, i->rep || i->repne ? 1 : 3, size);
}

bool bind_lods(struct vcpu *c, const struct insn *i, struct op *o)
{
	unsigned size = i->mnemonic == ZYDIS_MNEMONIC_LODSB ? 1
		: i->mnemonic == ZYDIS_MNEMONIC_LODSW       ? 2
		: i->mnemonic == ZYDIS_MNEMONIC_LODSD       ? 4
							    : 8;
	return !i->rep && !i->repne && plain(c, i, true, false) && bind(o, i, 4, size);
}

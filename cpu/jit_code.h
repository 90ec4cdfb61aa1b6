/* The inside of the translator: host code, and the segment being made.
 *
 * Host registers: RDI the vCPU, RSI the segment's first op, RAX RCX RDX for
 * the moment; the others hold guest registers (jit_regs.c).
 */
#ifndef CPU_JIT_CODE_H
#define CPU_JIT_CODE_H

#include "cpu/jit.h"
#include "cpu/run.h"

#include <stddef.h>

enum { H_C = RDI, H_OP = RSI, H_T0 = RAX, H_T1 = RCX, H_T2 = RDX };

/* Ways out of host code, at the start of the code memory. */
enum jit_exit {
	EXIT_MISS_READ, EXIT_MISS_WRITE, EXIT_UNLINKED, EXIT_HORIZON, EXIT_JUMP, EXIT_COND, EXIT_CF,
	EXITS
};

/* A way out of the fast path, put behind the segment. */
struct cold {
	uint8_t *from;  /* its 32-bit displacement */
	uint8_t what;   /* enum jit_exit, or COLD_HANDLER: run the op interpreted */
	uint8_t op;
	uint16_t dirty; /* guest registers to write back */
	int8_t host[16];
	uint32_t link;   /* EXIT_UNLINKED: which, from the segment's first op */
	uint64_t target;
};
enum { COLD_HANDLER = EXITS };
#define MAX_COLD 160u

struct segment {
	struct jit *j;
	struct vcpu *c;
	struct block *b;
	uint8_t *p, *limit;
	uint8_t *start;
	const struct insn *insn; /* of the whole block */
	const uint8_t *live;     /* likewise: flags it writes are wanted */
	unsigned first;          /* op in RSI */
	unsigned k;              /* op being translated */
	/* guest registers in host registers */
	int8_t host[16];         /* by guest register; -1: in memory */
	int8_t guest[16];        /* by host register; -1: free */
	uint16_t dirty, busy;    /* guest registers: changed; in use by this op */
	uint32_t stamp, used[16];
	uint16_t touched, changed; /* ever, in this segment */
	/* flags */
	bool hf;                 /* host flags are the guest's, */
	bool hf_no_cf;           /* but for CF */
	uint32_t known;          /* lazy[3] & 0xffff */
	bool sure;               /* else a guess: to be checked first */
	bool exact;              /* a SUB whose operands compare (no borrow went in) */
	/* a block that jumps to itself; loop: registers stay on the way */
	bool loop, self;
	uint8_t *head;
	unsigned colds;
	bool ended;              /* a branch has ended the segment */
	struct cold cold[MAX_COLD];
};

/* jit_mem.c */
uint8_t *jit_room(struct jit *j, size_t most); /* NULL: full */
const void *jit_place(const struct jit *j, const uint8_t *p); /* where p will run */
void jit_take(struct jit *j, uint8_t *end);
int32_t jit_exit_rel(const struct jit *j, enum jit_exit e, const uint8_t *after);

/* --- encoding */

static inline void put8(struct segment *s, unsigned v)
{
	*s->p++ = (uint8_t)v;
}

static inline void put32(struct segment *s, uint32_t v)
{
	*(m32 *)s->p = v;
	s->p += 4;
}

static inline void put64(struct segment *s, uint64_t v)
{
	*(m64 *)s->p = v;
	s->p += 8;
}

/* Prefixes and opcode (0x0fxx: two bytes). `size` 1: byte registers reg, rm
 * (when they are registers: byte_regs bit 0 reg, bit 1 rm). */
static inline void put_op(struct segment *s, unsigned size, unsigned opcode, unsigned reg,
	unsigned index, unsigned rm, unsigned byte_regs)
{
	unsigned rex = (size == 8 ? 8u : 0) | (reg >> 3) << 2 | (index >> 3) << 1 | rm >> 3;
	if (size == 2)
		put8(s, 0x66);
	if (rex || ((byte_regs & 1) && reg >= 4) || ((byte_regs & 2) && rm >= 4))
		put8(s, 0x40 | rex);
	if (opcode >> 8)
		put8(s, opcode >> 8);
	put8(s, opcode);
}

static inline void put_rr(struct segment *s, unsigned size, unsigned opcode, unsigned reg,
	unsigned rm, unsigned byte_regs)
{
	put_op(s, size, opcode, reg, 0, rm, byte_regs);
	put8(s, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

/* Operand [base + disp]. */
static inline void put_mem(struct segment *s, unsigned size, unsigned opcode, unsigned reg,
	unsigned base, int32_t disp, bool byte_reg)
{
	unsigned mod = disp == 0 && (base & 7) != 5 ? 0 : disp == (int8_t)disp ? 1 : 2;
	put_op(s, size, opcode, reg, 0, base, byte_reg);
	put8(s, mod << 6 | (reg & 7) << 3 | (base & 7));
	if ((base & 7) == 4)
		put8(s, 0x24);
	if (mod == 1)
		put8(s, (uint8_t)disp);
	else if (mod == 2)
		put32(s, (uint32_t)disp);
}

/* LEA reg, [base + index << scale + disp]; base < 0: none. */
static inline void put_lea_index(struct segment *s, unsigned size, unsigned reg, int base,
	unsigned index, unsigned scale, int32_t disp)
{
	unsigned b = base < 0 ? 5 : (unsigned)base;
	unsigned mod = base < 0 ? 0 : disp == 0 && (b & 7) != 5 ? 0 : disp == (int8_t)disp ? 1 : 2;
	put_op(s, size, 0x8d, reg, index, b, 0);
	put8(s, mod << 6 | (reg & 7) << 3 | 4);
	put8(s, scale << 6 | (index & 7) << 3 | (b & 7));
	if (mod == 1)
		put8(s, (uint8_t)disp);
	else if (mod == 2 || base < 0)
		put32(s, (uint32_t)disp);
}

static inline void put_mov(struct segment *s, unsigned to, unsigned from)
{
	put_rr(s, 8, 0x89, from, to, 0);
}

/* reg = v, flags kept. */
static inline void put_const(struct segment *s, unsigned reg, uint64_t v)
{
	if (v == (uint32_t)v) {
		put_op(s, 4, 0xb8 | (reg & 7), 0, 0, reg, 0);
		put32(s, (uint32_t)v);
	} else if (v == (uint64_t)(int64_t)(int32_t)v) {
		put_rr(s, 8, 0xc7, 0, reg, 0);
		put32(s, (uint32_t)v);
	} else {
		put_op(s, 8, 0xb8 | (reg & 7), 0, 0, reg, 0);
		put64(s, v);
	}
}

#define VCPU(field) ((int32_t)offsetof(struct vcpu, field))
#define VCPU_GPR(n) ((int32_t)(offsetof(struct vcpu, gpr) + 8u * (n)))
#define VCPU_LAZY(n) ((int32_t)(offsetof(struct vcpu, lazy) + 8u * (n)))

/* --- jit_regs.c */

/* The host register of guest register g; its value is in it. */
unsigned reg_in(struct segment *s, unsigned g);
/* Likewise for one that is about to be overwritten as a whole. */
unsigned reg_out(struct segment *s, unsigned g);
void reg_changed(struct segment *s, unsigned g);
void regs_start(struct segment *s);
/* Emits the write-back of what has changed (flags kept). */
void regs_store(struct segment *s);

/* --- jit_exits.c */

/* A jump (opcode 0x0f8x or 0xe9) to a way out, with today's registers. */
struct cold *cold_jump(struct segment *s, unsigned opcode, unsigned what);
void colds_put(struct segment *s);
/* Follows the link at `link` (from the segment's first op) to `target`. */
void follow_put(struct segment *s, uint32_t link, uint64_t target);
/* On to op k by its handler. */
void go_put(struct segment *s, unsigned k);
/* To the address in RDX, by the jump cache. */
void jump_put(struct segment *s);
static inline uint32_t op_disp(const struct segment *s, unsigned k)
{
	return (k - s->first) * (uint32_t)sizeof(struct op);
}

/* --- jit_flags.c */

/* Stores the lazy form; R is RAX (not yet sign-extended) for add_sub. */
void flags_known(struct segment *s, enum lazy_kind kind, unsigned bits);
void flags_result(struct segment *s, unsigned size, unsigned reg);
void flags_kind(struct segment *s, enum lazy_kind kind, unsigned bits);
/* Makes host flags in which condition `*cc` (which may change) is the guest's
 * cc; uses the three scratch registers. */
void flags_want(struct segment *s, unsigned *cc);
/* CF as 0 or 1 in RAX; uses the scratch registers. */
void flags_carry(struct segment *s);

/* --- jit_int.c (which asks jit_mov.c), jit_flow.c: false when the instruction is not one of theirs */
bool jit_int(struct segment *s, const struct insn *i);
bool jit_mov(struct segment *s, const struct insn *i);
bool jit_flow(struct segment *s, const struct insn *i);

/* --- jit_operand.c */

/* The memory operand of i, can it be translated? */
bool mem_plain(const struct segment *s, const struct insn *i);
/* Leaves its address in RAX. */
void mem_address(struct segment *s, const struct insn *i);
/* The address in RAX becomes a host pointer, for `size` bytes; uses RCX, RDX. */
void mem_lookup(struct segment *s, unsigned size, bool write);

#endif

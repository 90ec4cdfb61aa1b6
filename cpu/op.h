/* The decoded op: the only form in which code is executed.
 *
 * An op is 32 bytes. Handlers are chained by sibling calls: each ends in a
 * jump to the next op's handler (checked on the disassembly); a plain return
 * goes back to engine_run's loop. Register operands are byte offsets from
 * struct vcpu, so that AH, SPL and the rest need no case.
 *
 * Invariant 5: no guest-visible write before every translation of the op has
 * succeeded. A TLB miss is a tail call that fills and runs the op again.
 */
#ifndef CPU_OP_H
#define CPU_OP_H

#include "cpu/insn.h"
#include "cpu/vcpu.h"

struct op;
struct block;

typedef void op_fn(struct vcpu *c, const struct op *o);

struct op {
	op_fn *run;
	union {
		uint64_t imm;
		struct block *link;
		const struct insn *insn; /* slow ops and native stubs */
		const void *code;        /* native stub: its entry */
	};
	int32_t disp;
	uint8_t dst, src;    /* byte offsets into struct vcpu */
	uint8_t base, index; /* likewise; vcpu.zero when absent */
	uint8_t seg;         /* byte offset of seg_base[n] */
	uint8_t scale;       /* shift count */
	uint8_t left;        /* instructions left in the block, this one included */
	uint8_t len;         /* bytes of the instruction */
	uint16_t rip_low;    /* linear address of the instruction, bits 11:0 */
	uint16_t aux;        /* the handler's own */
};

_Static_assert(sizeof(struct op) == 32, "an op is 32 bytes");
_Static_assert(__builtin_offsetof(struct vcpu, seg_base) + 8 * 6 <= 256,
	"op slots reach the register file with one byte");

/* Goes on at op `o_`. Without sibling calls (-O0, sanitizers) the loop does it. */
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__)
#define OP_GO(c, o_) return (o_)->run((c), (o_))
#else
#define OP_GO(c, o_) return (void)((c)->chain = (o_))
#endif
#define OP_NEXT(c, o) OP_GO(c, (o) + 1)

/* Chooses a handler for `i` and fills `o`; false when the form is not one of
 * the row's (then the row's slow function runs, or #UD without one). All that
 * the mode decides (operand size, flat segments, alignment) is decided here,
 * from c and i. On entry o is zero but for rip_low, len and left. To keep `i`,
 * set o->insn = i: the block then keeps a copy and points o at it. */
typedef bool insn_bind_fn(struct vcpu *c, const struct insn *i, struct op *o);

/* Calls the row's slow handler through c, with rip and rflags complete, and
 * ends or goes on as its result says. */
op_fn op_slow;

/* The pieces that binders and native stubs share. */

/* Fills base, index, scale, disp and seg of `o` for i's memory operand, for
 * op_linear; false when the address needs more than op_linear does (segment
 * limits, 16- or 32-bit wrap-around, RIP-relative beyond disp): then take the
 * slow way. */
bool op_bind_mem(struct vcpu *c, const struct insn *i, struct op *o);

/* The instruction behind any op of a running block (decoded on first use). */
const struct insn *op_insn(struct vcpu *c, const struct op *o);

/* The linear address of the op's memory operand (flat form; binders choose
 * another handler where limits or wrap-around have to be checked). */
static inline uint64_t op_linear(const struct vcpu *c, const struct op *o)
{
	const char *r = (const char *)c;
	return *(const uint64_t *)(r + o->base) +
		(*(const uint64_t *)(r + o->index) << o->scale) + (int64_t)o->disp +
		*(const uint64_t *)(r + o->seg);
}

/* Host pointer for a read or write of `size` bytes at linear `at`, or NULL
 * when the access is not plain RAM, crosses a page, or has to fault; then the
 * handler takes the slow way (cpu_mem_*), which can tell. */
void *op_host_read(struct vcpu *c, uint64_t at, unsigned size);
void *op_host_write(struct vcpu *c, uint64_t at, unsigned size);

/* Leaves for a fault or exit that `step` says, at this op (rip, counts and
 * flags put right). To be used as the handler's tail call. */
void op_finish(struct vcpu *c, const struct op *o, enum cpu_step step);

/* The way out of a fast handler whose op_host_* gave NULL: runs `slow` for this
 * op with rip, rflags and counts complete, and goes on. Tail call. */
void op_run_slow(struct vcpu *c, const struct op *o, insn_slow_fn *slow, const struct insn *i);

#endif

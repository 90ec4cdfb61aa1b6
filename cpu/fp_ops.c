/* Native instructions as ops: the binder of most rows, the handlers around
 * stubs with a memory operand, and the slow way for everything else. */
#include "cpu/fast.h"
#include "cpu/fp.h"
#include "cpu/fp_regs.h"
#include "cpu/fp_trap.h"
#include "cpu/mem.h"
#include "cpu/stub.h"

/* --- gates */

static enum cpu_step gate_avx(struct vcpu *c)
{
	bool on = (c->cr0 & CR0_PE) && !(c->rflags & FLAG_VM) && (c->cr4 & CR4_OSXSAVE) &&
		  (c->xcr0 & (XCOMP_SSE | XCOMP_AVX)) == (XCOMP_SSE | XCOMP_AVX);
	if (!on)
		return cpu_raise(c, VEC_UD);
	return c->cr0 & CR0_TS ? cpu_raise(c, VEC_NM) : CPU_DONE;
}

/* SDM Vol. 3A 2.5 "Control Registers" (EM, MP, TS, OSFXSR); Vol. 3A 13.1
 * "Providing Operating System Support for SSE Extensions". */
static enum cpu_step gate(struct vcpu *c, const struct stub_plan *p)
{
	uint64_t cr0 = c->cr0;

	for (unsigned k = 0; k < 2; k++)
		if (!cpu_has(c->model, p->feature[k]) ||
			!stub_host_has(c->engine->shared->stubs, p->feature[k]))
			return cpu_raise(c, VEC_UD);
	switch (p->gate) {
	case GATE_X87:
		return cr0 & (CR0_EM | CR0_TS) ? cpu_raise(c, VEC_NM) : CPU_DONE;
	case GATE_FWAIT:
		return (cr0 & CR0_MP) && (cr0 & CR0_TS) ? cpu_raise(c, VEC_NM) : CPU_DONE;
	case GATE_MMX:
		if (cr0 & CR0_EM)
			return cpu_raise(c, VEC_UD);
		return cr0 & CR0_TS ? cpu_raise(c, VEC_NM) : CPU_DONE;
	case GATE_SSE:
		if ((cr0 & CR0_EM) || !(c->cr4 & CR4_OSFXSR))
			return cpu_raise(c, VEC_UD);
		return cr0 & CR0_TS ? cpu_raise(c, VEC_NM) : CPU_DONE;
	case GATE_AVX:
		return gate_avx(c);
	default:
		return CPU_DONE;
	}
}

/* --- fast handlers */

/* In aux: the address bits that have to be 0; and whether a pending #MF comes
 * before a page fault, which only the slow way knows. */
#define ALIGN 0x1f
#define WAITS 0x8000

static inline __attribute__((always_inline)) void run_stub(
	struct vcpu *c, const struct op *o, uint64_t arg, uint64_t at)
{
	return ((stub_fn *)(uintptr_t)o->code)(c, o, arg, at);
}

/* As fast_at; imm holds the code, so an absolute address takes the eight bytes
 * of displacement and registers. */
static inline __attribute__((always_inline)) uint64_t address(
	const struct vcpu *c, const struct op *o, enum fast_addr a)
{
	if (a == ADDR_A)
		return *(const m64 *)&o->disp + reg_get(c, o->seg, 64);
	return fast_at(c, o, a);
}

static void set_address(struct op *o, uint64_t at)
{
	*(m64 *)&o->disp = at;
}

_Static_assert(offsetof(struct op, index) - offsetof(struct op, disp) == 7, "set_address");

#define MEMORY_OP(name, direction, size, a)                                                        \
	static void name(struct vcpu *c, const struct op *o)                                       \
	{                                                                                          \
		uint64_t at = address(c, o, a);                                                    \
		void *p = tlb_host_##direction(c->tlb, at, size);                                  \
		if (__builtin_expect(!p, 0)) {                                                     \
			if (at % PAGE_SIZE > PAGE_SIZE - (size) || o->aux & WAITS)                 \
				return op_fallback(c, o);                                          \
			return op_miss_##direction(c, o, at);                                      \
		}                                                                                  \
		if (__builtin_expect(at & o->aux & ALIGN, 0))                                      \
			return op_fallback(c, o);                                                  \
		return run_stub(c, o, (uintptr_t)p, at);                                              \
	}

#define SIZES(X) X(1) X(2) X(4) X(8) X(10) X(16) X(32)
#define MEMORY_OPS(size)                                                                           \
	MEMORY_OP(load##size##_b, read, size, ADDR_B)                                              \
	MEMORY_OP(load##size##_f, read, size, ADDR_F)                                              \
	MEMORY_OP(load##size##_w, read, size, ADDR_W)                                              \
	MEMORY_OP(load##size##_a, read, size, ADDR_A)                                              \
	MEMORY_OP(store##size##_b, write, size, ADDR_B)                                            \
	MEMORY_OP(store##size##_f, write, size, ADDR_F)                                            \
	MEMORY_OP(store##size##_w, write, size, ADDR_W)                                            \
	MEMORY_OP(store##size##_a, write, size, ADDR_A)
SIZES(MEMORY_OPS)

#define MEMORY_ROW(size)                                                                           \
	{size, {load##size##_b, load##size##_f, load##size##_w, load##size##_a},                   \
		{store##size##_b, store##size##_f, store##size##_w, store##size##_a}},
static const struct {
	uint8_t size;
	op_fn *load[ADDR_SLOW], *store[ADDR_SLOW];
} memory_ops[] = {SIZES(MEMORY_ROW)};

static op_fn *memory_op(const struct stub_plan *p, enum fast_addr a)
{
	for (unsigned n = 0; n < sizeof memory_ops / sizeof memory_ops[0]; n++)
		if (memory_ops[n].size == p->mem)
			return p->mem_write ? memory_ops[n].store[a] : memory_ops[n].load[a];
	return NULL;
}

static void with_flags(struct vcpu *c, const struct op *o)
{
	return run_stub(c, o, flags_arith(c), 0);
}

static bool bind_memory(
	struct vcpu *c, const struct insn *i, struct op *o, const struct stub_plan *p)
{
	enum fast_addr a = fast_mem(c, i, o, 0);

	if (a == ADDR_SLOW)
		return false;
	if (a == ADDR_A)
		set_address(o, o->imm);
	o->run = memory_op(p, a);
	o->aux = (uint16_t)((p->aligned ? p->mem - 1 : 0) | (p->waits ? WAITS : 0));
	return o->run;
}

bool fp_bind(struct vcpu *c, const struct insn *i, struct op *o)
{
	struct stubs *stubs = c->engine->shared->stubs;
	struct stub_plan p;
	const struct stub *s;

	if (!stubs || !stub_plan(i, &p) || gate(c, &p) != CPU_DONE ||
		p.pointers == POINTERS_STAY_SW)
		return false;
	if (p.mem && !bind_memory(c, i, o, &p))
		return false;
	s = stub_get(stubs, &p);
	if (!s)
		return false;
	o->code = (const void *)(uintptr_t)s->code;
	if (!p.mem)
		o->run = p.flags_in ? with_flags : (op_fn *)(uintptr_t)s->code;
	return true;
}

/* --- the slow way: any address, through a buffer */

static void called(struct vcpu *c, const struct op *o)
{
	(void)c;
	(void)o;
}

/* Runs the stub once and comes back; the vector that it raised, or 0. */
static unsigned call_stub(struct vcpu *c, stub_fn *code, uint64_t arg)
{
	struct op frame[2] = {{.aux = FP_CALLED}, {.run = called}};

	fp_enter(c);
	code(c, frame, arg, 0);
	/* the landing pad may have written it */
	return (unsigned)*(volatile uint64_t *)&frame[0].imm;
}

/* The unmasked exceptions that pend, with FP state live. */
static unsigned x87_unmasked(void)
{
	uint16_t cw, sw;

	__asm__ volatile("fnstsw %0; fnstcw %1" : "=m"(sw), "=m"(cw));
	return sw & ~cw & 0x3f;
}

static enum cpu_step check_alignment(
	struct vcpu *c, const struct insn *i, const struct stub_plan *p, uint64_t offset)
{
	struct gva at;
	enum cpu_step s = cpu_linear(c, i->seg, offset, p->mem, p->mem_write, &at);
	if (s == CPU_DONE && at.v & (p->mem - 1u))
		return cpu_raise_error(c, VEC_GP, 0);
	return s;
}

static enum cpu_step fetch_operand(struct vcpu *c, const struct insn *i, const struct stub_plan *p,
	uint64_t offset, uint8_t *buf)
{
	enum cpu_step s = CPU_DONE;
	if (p->aligned)
		s = check_alignment(c, i, p, offset);
	if (!s && p->mem_read)
		s = cpu_mem_read(c, i->seg, offset, buf, p->mem);
	if (!s && p->mem_write)
		s = cpu_mem_probe_write(c, i->seg, offset, p->mem);
	return s;
}

/* The stub has run, and state is live: what it did to FIP, FDP, FOP and FERR#. */
static void point_after(struct vcpu *c, const struct insn *i, const struct stub_plan *p,
	uint64_t offset, bool done, unsigned unmasked)
{
	if (p->pointers == POINTERS_SET) {
		c->fp.x87_op = 0; /* call_stub's frame */
		if (done)
			fp_point(c, i, c->rip, offset, unmasked);
	} else if (p->pointers == POINTERS_STAY_SW) {
		c->fp.ferr = false;
	}
}

enum cpu_step fp_native(struct vcpu *c, const struct insn *i)
{
	/* an x87 store that meets one of these leaves its destination alone */
	const unsigned withhold = 0x19; /* invalid operand, overflow, underflow */
	uint8_t buf[32] __attribute__((aligned(32)));
	struct stubs *stubs = c->engine->shared->stubs;
	struct stub_plan p;
	const struct stub *st;
	uint64_t offset = insn_offset(c, i);
	enum cpu_step s;
	unsigned vec, hidden, unmasked;

	fp_leave(c); /* the decoder uses vector registers */
	if (!stubs || !stub_plan(i, &p) || p.mem > sizeof buf)
		return cpu_raise(c, VEC_UD);
	s = gate(c, &p);
	if (!s && p.waits)
		s = fp_wait(c);
	if (!s && p.mem)
		s = fetch_operand(c, i, &p, offset, buf);
	if (s)
		return s;
	fp_leave(c);
	hidden = p.waits ? fp_hide(c) : 0;
	st = stub_get(stubs, &p);
	vec = call_stub(
		c, st ? st->code : stub_once(stubs, &p), p.mem ? (uintptr_t)buf : flags_arith(c));
	unmasked = p.pointers == POINTERS_SET ? x87_unmasked() : 0;
	point_after(c, i, &p, offset, !vec, unmasked);
	fp_show(c, hidden);
	if (vec)
		return fp_raise(c, vec);
	if (p.mem_write && !(unmasked & withhold))
		return cpu_mem_write(c, i->seg, offset, buf, p.mem);
	return CPU_DONE;
}

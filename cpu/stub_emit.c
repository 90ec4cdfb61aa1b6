/* From a plan to machine code (cpu/stub.h). */
#include "cpu/stub.h"
#include "cpu/flags.h"
#include "cpu/fp.h"

#include <stddef.h>

struct out {
	uint8_t *p;
	unsigned n;
};

static void byte(struct out *o, unsigned v)
{
	o->p[o->n++] = (uint8_t)v;
}

static void bytes(struct out *o, const uint8_t *v, unsigned n)
{
	while (n--)
		byte(o, *v++);
}

static void dword(struct out *o, uint32_t v)
{
	for (unsigned k = 0; k < 4; k++)
		byte(o, v >> 8 * k & 0xff);
}

/* jmp or jcc with a 32-bit displacement; `at` is where the code starts. */
static void jump(struct out *o, int cc, uint64_t at, uint64_t to)
{
	if (cc >= 0) {
		byte(o, 0x0f);
		byte(o, 0x80 | (unsigned)cc);
	} else {
		byte(o, 0xe9);
	}
	dword(o, (uint32_t)(to - (at + o->n + 4)));
}

/* mov r64, [rdi + 8 * guest] */
static void load(struct out *o, const struct stub_reg *r)
{
	unsigned offset = 8u * r->guest;
	if (r->high8) { /* movzx r32, byte [rdi + 8 * guest + 1] */
		byte(o, 0x0f);
		byte(o, 0xb6);
		offset++;
	} else {
		byte(o, 0x48);
		byte(o, 0x8b);
	}
	byte(o, 0x47 | r->scratch << 3);
	byte(o, offset);
}

/* mov [rdi + 8 * guest], r64 or r16 */
static void store(struct out *o, const struct stub_reg *r)
{
	byte(o, r->word ? 0x66 : 0x48);
	byte(o, 0x89);
	byte(o, 0x47 | r->scratch << 3);
	byte(o, 8u * r->guest);
}

_Static_assert(__builtin_offsetof(struct vcpu, gpr) == 0, "stubs find registers from RDI");
_Static_assert(8 * 15 + 1 < 128, "by one signed byte");

/* cmp byte [rdi + live], 0; je start */
static void check_live(struct out *o, uint64_t at, uint64_t base)
{
	byte(o, 0x80);
	byte(o, 0xbf);
	dword(o, __builtin_offsetof(struct vcpu, fp.live));
	byte(o, 0);
	jump(o, 4, at, base + STUB_TO_START);
}

/* `opcode` is a whole instruction but for the displacement from RDI. */
static void fp_field(struct out *o, const char *opcode, unsigned offset)
{
	while (*opcode)
		byte(o, (uint8_t)*opcode++);
	dword(o, offset);
}

/* After the operation: one that faults leaves the pointers alone. */
static void note_pointers(struct out *o, const struct stub_plan *p)
{
	const unsigned op = offsetof(struct vcpu, fp.x87_op);

	switch (p->pointers) {
	case POINTERS_SET:
		fp_field(o, "\x48\x89\xb7", op); /* mov [rdi + op], rsi */
		if (p->mem) /* mov [rdi + at], rcx */
			fp_field(o, "\x48\x89\x8f", offsetof(struct vcpu, fp.x87_at));
		break;
	case POINTERS_STAY_CW: /* or byte [rdi + op], FP_CW_LOADED */
		fp_field(o, "\x80\x8f", op);
		byte(o, FP_CW_LOADED);
		break;
	case POINTERS_CLEAR: /* mov qword [rdi + op], FP_CLEARED; mov byte [rdi + ferr], 0 */
		fp_field(o, "\x48\xc7\x87", op);
		dword(o, FP_CLEARED);
		fp_field(o, "\xc6\x87", offsetof(struct vcpu, fp.ferr));
		byte(o, 0);
		break;
	default:
		break;
	}
}

unsigned stub_emit(const struct stub_plan *p, uint8_t *out, uint64_t at, uint64_t base)
{
	static const uint8_t next[] = {0x48, 0x83, 0xc6, sizeof(struct op), 0xff, 0x26};
	static const uint8_t mov_r8_rdx[] = {0x49, 0x89, 0xd0};
	static const uint8_t push_rdx_popf[] = {0x52, 0x9d}, pushf_pop_rdx[] = {0x9c, 0x5a};
	struct out o = {out, 0};

	check_live(&o, at, base);
	if (p->pointer_r8)
		bytes(&o, mov_r8_rdx, sizeof mov_r8_rdx);
	for (unsigned k = 0; k < p->loads; k++)
		load(&o, &p->load[k]);
	if (p->flags_in)
		bytes(&o, push_rdx_popf, sizeof push_rdx_popf);
	bytes(&o, p->code, p->code_len);
	note_pointers(&o, p);
	if (p->flags_out)
		bytes(&o, pushf_pop_rdx, sizeof pushf_pop_rdx);
	for (unsigned k = 0; k < p->stores; k++)
		store(&o, &p->store[k]);
	if (p->flags_out)
		jump(&o, -1, at, base + STUB_TO_FLAGS);
	else
		bytes(&o, next, sizeof next);
	return o.n;
}

/* The first FP op of a slice: run it again with the state in place. */
static void start(struct vcpu *c, const struct op *o)
{
	fp_enter(c);
	return o->run(c, o);
}

static void put_flags(struct vcpu *c, const struct op *o, uint64_t flags)
{
	flags_put(c, FLAGS_ARITH, (uint32_t)flags);
	return o[1].run(c, o + 1);
}

/* mov rax, target; jmp rax */
static void entry(uint8_t *out, uint64_t target)
{
	struct out o = {out, 0};
	byte(&o, 0x48);
	byte(&o, 0xb8);
	dword(&o, (uint32_t)target);
	dword(&o, (uint32_t)(target >> 32));
	byte(&o, 0xff);
	byte(&o, 0xe0);
}

void stub_emit_entries(uint8_t *out)
{
	entry(out + STUB_TO_START, (uintptr_t)start);
	entry(out + STUB_TO_FLAGS, (uintptr_t)put_flags);
}

#include "cpu/stack.h"

#include "cpu/desc.h"

/* No memcpy: the C library's may use registers that hold guest state. */
static void put(void *at, uint64_t v, unsigned size)
{
	if (size == 8)
		__builtin_memcpy(at, &v, 8);
	else if (size == 4)
		__builtin_memcpy(at, &v, 4);
	else
		__builtin_memcpy(at, &v, 2);
}

static uint64_t get(const void *at, unsigned size)
{
	uint64_t v = 0;

	if (size == 8)
		__builtin_memcpy(&v, at, 8);
	else if (size == 4)
		__builtin_memcpy(&v, at, 4);
	else
		__builtin_memcpy(&v, at, 2);
	return v;
}

static uint64_t width_mask(unsigned width)
{
	return width == 8 ? ~UINT64_C(0) : width == 4 ? 0xffffffff : 0xffff;
}

struct stack stack_here(struct vcpu *c)
{
	struct stack st = {.ss = &c->seg[SEG_SS], .who = ACCESS_DATA};

	st.width = cpu_64bit(c) ? 8 : stack_width(st.ss);
	st.sp = c->gpr[RSP] & width_mask(st.width);
	return st;
}

static enum cpu_step check(struct vcpu *c, const struct stack *st, uint64_t off, unsigned size)
{
	bool ok = st->width == 8 ? canonical(off) && canonical(off + size - 1)
				 : seg_inside(st->ss, off, size);

	return ok ? CPU_DONE : cpu_raise_error(c, VEC_SS, st->error);
}

static struct gva linear(const struct stack *st, uint64_t off)
{
	return gva(st->width == 8 ? off : (st->ss->base + off) & 0xffffffff);
}

enum cpu_step frame_push(struct vcpu *c, struct stack *st, const struct frame *f)
{
	uint64_t mask = width_mask(st->width), bytes = (uint64_t)f->n * f->size;
	uint8_t image[sizeof(f->v)];

	if (st->sp >= bytes || st->width == 8) {
		uint64_t low = st->sp - bytes;

		CPU_TRY(check(c, st, low, (unsigned)bytes));
		for (unsigned i = 0; i < f->n; i++)
			put(image + (f->n - 1 - i) * f->size, f->v[i], f->size);
		CPU_TRY(cpu_lin_write(c, linear(st, low), image, (unsigned)bytes, st->who));
		st->sp = low;
		return CPU_DONE;
	}
	/* the stack pointer wraps within the frame */
	for (unsigned pass = 0; pass < 2; pass++) {
		uint64_t sp = st->sp;

		for (unsigned i = 0; i < f->n; i++) {
			sp = (sp - f->size) & mask;
			CPU_TRY(check(c, st, sp, f->size));
			if (pass)
				CPU_TRY(cpu_lin_write(c, linear(st, sp), &f->v[i], f->size, st->who));
			else
				CPU_TRY(cpu_lin_probe_write(c, linear(st, sp), f->size, st->who));
		}
		if (pass)
			st->sp = sp;
	}
	return CPU_DONE;
}

enum cpu_step stack_peek(struct vcpu *c, unsigned skip, unsigned size, unsigned n, uint64_t *out)
{
	struct stack st = stack_here(c);
	uint64_t mask = width_mask(st.width), sp = (st.sp + skip) & mask;
	uint8_t image[64];

	if (n * size <= sizeof(image) && sp + n * size - 1 <= mask) {
		CPU_TRY(cpu_mem_read(c, SEG_SS, sp, image, n * size));
		for (unsigned i = 0; i < n; i++)
			out[i] = get(image + i * size, size);
		return CPU_DONE;
	}
	for (unsigned i = 0; i < n; i++) {
		CPU_TRY(cpu_mem_read(c, SEG_SS, sp, image, size));
		out[i] = get(image, size);
		sp = (sp + size) & mask;
	}
	return CPU_DONE;
}

void stack_set_sp(struct vcpu *c, unsigned width, uint64_t sp)
{
	if (width == 2)
		c->gpr[RSP] = (c->gpr[RSP] & ~UINT64_C(0xffff)) | (sp & 0xffff);
	else
		c->gpr[RSP] = sp & width_mask(width);
}

void stack_move(struct vcpu *c, int64_t delta)
{
	struct stack st = stack_here(c);

	stack_set_sp(c, st.width, st.sp + (uint64_t)delta);
}

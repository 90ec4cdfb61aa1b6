/* RFLAGS as returns and system calls write it. */
#include "cpu/far.h"

/* What blocks or translations are keyed on. */
enum { KEYED = FLAG_TF | FLAG_AC | FLAG_VM | FLAG_RF };

void flags_write(struct vcpu *c, uint64_t value, uint64_t mask)
{
	uint64_t f = (c->rflags & ~mask) | (value & mask) | FLAG_1;

	if ((f ^ c->rflags) & KEYED)
		c->mode_changed = true;
	c->rflags = f;
}

uint64_t flags_writable(const struct vcpu *c, unsigned size)
{
	uint64_t m = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT;

	if (size != 2)
		m |= FLAG_RF | FLAG_AC | FLAG_ID;
	if (c->cpl == 0)
		m |= FLAG_IOPL;
	if (c->cpl <= cpu_iopl(c))
		m |= FLAG_IF;
	return m;
}

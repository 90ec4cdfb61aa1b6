/* Guest registers in host registers, inside one segment. */
#include "cpu/jit_code.h"

static const uint8_t pool[] = {RBX, RBP, R8, R9, R10, R11, R12, R13, R14, R15};
#define POOL (sizeof(pool) / sizeof(pool[0]))

void regs_start(struct segment *s)
{
	for (unsigned r = 0; r < 16; r++)
		s->host[r] = s->guest[r] = -1;
	s->dirty = s->busy = 0;
}

static void store(struct segment *s, unsigned g)
{
	put_mem(s, 8, 0x89, (unsigned)s->host[g], H_C, VCPU_GPR(g), false);
}

/* A free host register, made by giving up the guest register used longest ago. */
static unsigned take(struct segment *s, unsigned g)
{
	unsigned victim = 16;
	for (unsigned n = 0; n < POOL; n++) {
		int old = s->guest[pool[n]];
		if (old < 0) {
			victim = pool[n];
			break;
		}
		if (s->busy >> old & 1)
			continue;
		if (victim == 16 || s->used[old] < s->used[s->guest[victim]])
			victim = pool[n];
	}
	int old = s->guest[victim];
	if (old >= 0) {
		if (s->dirty >> old & 1)
			store(s, (unsigned)old);
		s->dirty &= (uint16_t)~(1u << old);
		s->host[old] = -1;
	}
	s->guest[victim] = (int8_t)g;
	s->host[g] = (int8_t)victim;
	return victim;
}

static void use(struct segment *s, unsigned g)
{
	s->busy |= (uint16_t)(1u << g);
	s->touched |= (uint16_t)(1u << g);
	s->used[g] = ++s->stamp;
}

unsigned reg_in(struct segment *s, unsigned g)
{
	use(s, g);
	if (s->host[g] < 0) {
		unsigned h = take(s, g);
		put_mem(s, 8, 0x8b, h, H_C, VCPU_GPR(g), false);
	}
	return (unsigned)s->host[g];
}

unsigned reg_out(struct segment *s, unsigned g)
{
	use(s, g);
	return s->host[g] < 0 ? take(s, g) : (unsigned)s->host[g];
}

void reg_changed(struct segment *s, unsigned g)
{
	s->dirty |= (uint16_t)(1u << g);
	s->changed |= (uint16_t)(1u << g);
}

void regs_store(struct segment *s)
{
	for (unsigned g = 0; g < 16; g++)
		if (s->dirty >> g & 1)
			store(s, g);
}

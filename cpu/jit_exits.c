/* Ways out of a segment: links, jumps by the cache, misses. */
#include "cpu/jit_code.h"

#define LINK_TO  ((uint32_t)offsetof(struct link, to))
#define LINK_GEN ((uint32_t)offsetof(struct link, gen))

static void jump_exit(struct segment *s, unsigned opcode, enum jit_exit e)
{
	if (opcode >> 8)
		put8(s, opcode >> 8);
	put8(s, opcode);
	put32(s, 0);
	int32_t rel = jit_exit_rel(s->j, e, s->p);
	s->p -= 4;
	put32(s, (uint32_t)rel);
}

struct cold *cold_jump(struct segment *s, unsigned opcode, unsigned what)
{
	struct cold *x = &s->cold[s->colds++];
	if (opcode >> 8)
		put8(s, opcode >> 8);
	put8(s, opcode);
	x->from = s->p;
	x->what = (uint8_t)what;
	x->op = (uint8_t)s->k;
	x->dirty = s->dirty;
	for (unsigned g = 0; g < 16; g++)
		x->host[g] = s->host[g];
	put32(s, 0);
	return x;
}

/* RSI: from the segment's first op to op k. */
static void go_to_op(struct segment *s, unsigned k)
{
	if (k != s->first)
		put_mem(s, 8, 0x8d, H_OP, H_OP, (int32_t)op_disp(s, k), false);
}

static void cold_put(struct segment *s, const struct cold *x)
{
	uint32_t rel = (uint32_t)(s->p - (x->from + 4));
	uint8_t *here = s->p;
	s->p = x->from;
	put32(s, rel);
	s->p = here;
	for (unsigned g = 0; g < 16; g++)
		if (x->dirty >> g & 1)
			put_mem(s, 8, 0x89, (unsigned)x->host[g], H_C, VCPU_GPR(g), false);
	switch (x->what) {
	case EXIT_UNLINKED:
		put_mem(s, 8, 0x8d, H_T2, H_OP, (int32_t)x->link, false);
		put_const(s, H_T1, x->target);
		break;
	case EXIT_MISS_READ:
	case EXIT_MISS_WRITE:
		put_mov(s, H_T2, H_T0);
		go_to_op(s, x->op);
		break;
	case COLD_HANDLER: {
		unsigned k = x->op;
		go_to_op(s, k);
		put_const(s, H_T0, (uintptr_t)(k ? s->b->op[k].run : s->b->first));
		put8(s, 0xff); /* jmp rax */
		put8(s, 0xe0);
		return;
	}
	default:
		break;
	}
	jump_exit(s, 0xe9, x->what);
}

void colds_put(struct segment *s)
{
	for (unsigned n = 0; n < s->colds; n++)
		cold_put(s, &s->cold[n]);
}

/* Into the block in RSI, or out when the horizon is nearer. */
static void enter_put(struct segment *s)
{
	put_mem(s, 4, 0x0fb6, H_T0, H_OP, (int32_t)offsetof(struct block, n), false);
	put_rr(s, 8, 0x81, 0, H_OP, 0); /* add rsi, offset of op[0] */
	put32(s, offsetof(struct block, op));
	put_mem(s, 8, 0x29, H_T0, H_C, VCPU(ic), false);
	jump_exit(s, 0x0f88, EXIT_HORIZON);
	put8(s, 0xff); /* jmp [rsi] */
	put8(s, 0x26);
}

void follow_put(struct segment *s, uint32_t link, uint64_t target)
{
	put_mem(s, 8, 0x8b, H_T0, H_C, VCPU(code_gen), false);
	put_mem(s, 8, 0x3b, H_T0, H_OP, (int32_t)(link + LINK_GEN), false);
	uint16_t dirty = s->dirty;
	s->dirty = 0; /* written back already */
	struct cold *x = cold_jump(s, 0x0f85, EXIT_UNLINKED);
	s->dirty = dirty;
	x->link = link;
	x->target = target;
	put_mem(s, 8, 0x8b, H_OP, H_OP, (int32_t)(link + LINK_TO), false);
	enter_put(s);
}

void go_put(struct segment *s, unsigned k)
{
	regs_store(s);
	go_to_op(s, k);
	put8(s, 0xff);
	put8(s, 0x26);
}

/* As jcache_slot says. */
void jump_put(struct segment *s)
{
	_Static_assert(sizeof(struct jcache) == 24 && offsetof(struct engine, jc) == 0, "");
	put_mem(s, 8, 0x8b, R9, H_C, VCPU(code_gen), false);
	put_mov(s, H_T0, H_T2);
	put_mov(s, R8, R9);
	put_rr(s, 8, 0xc1, 5, H_T0, 0); /* shr rax, 12 */
	put8(s, 12);
	put_rr(s, 8, 0xc1, 5, R8, 0);
	put8(s, MODE_BITS - 6);
	put_rr(s, 8, 0x31, H_T2, H_T0, 0);
	put_rr(s, 8, 0x31, R8, H_T0, 0);
	put_rr(s, 4, 0x81, 4, H_T0, 0); /* and eax, 4095 */
	put32(s, JCACHE - 1);
	put_lea_index(s, 8, H_T0, H_T0, H_T0, 1, 0);
	put_mem(s, 8, 0x8b, H_T1, H_C, VCPU(engine), false);
	put_lea_index(s, 8, H_T0, H_T1, H_T0, 3, 0);
	put_mem(s, 8, 0x39, H_T2, H_T0, offsetof(struct jcache, rip), false);
	jump_exit(s, 0x0f85, EXIT_JUMP);
	put_mem(s, 8, 0x39, R9, H_T0, offsetof(struct jcache, gen), false);
	jump_exit(s, 0x0f85, EXIT_JUMP);
	put_mem(s, 8, 0x8b, H_OP, H_T0, offsetof(struct jcache, to), false);
	enter_put(s);
}

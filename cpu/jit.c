/* Blocks: decoded once more, cut into segments, each put into code memory. */
#include "cpu/jit_code.h"

#include "cpu/insn_table.h"

#define OP_BYTES 512u /* of host code, ways out included: more than any op needs */
#define BLOCK_OPS 64u

static void segment_start(struct segment *s, uint8_t *p, unsigned first)
{
	s->p = s->start = p;
	s->first = s->k = first;
	s->colds = 0;
	s->ended = s->loop = s->self = false;
	s->hf = s->hf_no_cf = s->exact = s->sure = false;
	s->touched = s->changed = 0;
	s->stamp = 0;
	/* what the flags look like here today; checked by the op that reads them */
	s->known = (uint32_t)(s->c->lazy[3] & 0xffff);
	if (first)
		s->known = LAZY_NONE;
	regs_start(s);
}

/* One op; leaves no trace when it cannot. */
static bool op_put(struct segment *s)
{
	const struct insn *i = &s->insn[s->k];
	const struct insn_row *row = i->row == UINT16_MAX ? NULL : &insn_table[i->row];
	struct segment_mark {
		uint8_t *p;
		int8_t host[16], guest[16];
		uint16_t dirty;
		uint32_t known;
		bool hf, no_cf, sure, exact;
		unsigned colds;
	} m = {.p = s->p, .dirty = s->dirty, .known = s->known, .hf = s->hf, .no_cf = s->hf_no_cf,
		.sure = s->sure, .exact = s->exact, .colds = s->colds};
	op_fn *run = s->k ? s->b->op[s->k].run : s->b->first;
	if (!row || run == op_ud || run == op_slow || !row->bind)
		return false;
	for (unsigned r = 0; r < 16; r++) {
		m.host[r] = s->host[r];
		m.guest[r] = s->guest[r];
	}
	s->busy = 0;
	if (row->attrs & I_ENDS ? jit_flow(s, i) : jit_flow(s, i) || jit_int(s, i))
		return true;
	for (unsigned r = 0; r < 16; r++) {
		s->host[r] = m.host[r];
		s->guest[r] = m.guest[r];
	}
	s->p = m.p;
	s->dirty = m.dirty;
	s->known = m.known;
	s->hf = m.hf;
	s->hf_no_cf = m.no_cf;
	s->sure = m.sure;
	s->exact = m.exact;
	s->colds = m.colds;
	s->ended = false;
	return false;
}

/* Ops from s->k on, as far as they go, and the way on. */
static void ops_put(struct segment *s)
{
	while (s->k < s->b->n && op_put(s)) {
		s->k++;
		if (s->ended)
			break;
	}
	if (s->ended)
		return;
	if (s->k < s->b->n) {
		go_put(s, s->k);
	} else {
		regs_store(s);
		follow_put(s, op_disp(s, s->k + 1), s->b->end);
	}
}

static unsigned count(uint16_t set)
{
	unsigned n = 0;
	for (; set; set &= (uint16_t)(set - 1))
		n++;
	return n;
}

/* A block that jumps to its own start keeps its registers on the way round. */
static void loop_again(struct segment *s)
{
	uint16_t touched = s->touched, changed = s->changed;
	if (!s->self || s->first || count(touched) > 10)
		return;
	segment_start(s, s->start, 0);
	for (unsigned g = 0; g < 16; g++)
		if (touched >> g & 1)
			reg_in(s, g);
	s->dirty = changed;
	s->loop = true;
	s->head = s->p;
	ops_put(s);
}

static bool worth(const struct segment *s)
{
	return s->k >= s->first + 2 || s->ended;
}

void jit_block(struct vcpu *c, struct block *b)
{
	struct jit *j = c->engine->shared->jit;
	struct insn insn[BLOCK_OPS];
	uint8_t live[BLOCK_OPS];
	int8_t fault[BLOCK_OPS];
	struct segment s = {.j = j, .c = c, .b = b, .insn = insn, .live = live};
	if (b->n > BLOCK_OPS || b->dead)
		return;
	for (unsigned n = 0; n < b->n; n++) {
		insn_of_block(c->engine->shared, b, &b->op[n], &insn[n]);
		fault[n] = (n ? b->op[n].run : b->first) == op_ud ? 0 : -1;
	}
	block_liveness(insn, fault, b->n, live);
	for (unsigned k = 0; k < b->n;) {
		uint8_t *room = jit_room(j, (b->n + 4) * OP_BYTES);
		if (!room)
			return;
		segment_start(&s, room, k);
		ops_put(&s);
		if (worth(&s)) {
			loop_again(&s);
			colds_put(&s);
			jit_take(j, s.p);
			b->op[k].run = (op_fn *)(uintptr_t)jit_place(j, s.start);
		}
		k = s.k + 1;
	}
}

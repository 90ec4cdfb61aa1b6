/* Building a block: fetched, decoded, gated, bound; which flags nobody reads. */
#include "cpu/run.h"

#include "base/buf.h"
#include "base/log.h"
#include "cpu/decode.h"
#include "cpu/fp.h"
#include "cpu/mnemonic.h"
#include "cpu/model.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_MAX 40u

struct build {
	struct vcpu *c;
	uint32_t mode;
	uint64_t lin;
	struct tlb_place at;
	uint64_t hpa2;
	unsigned n, bytes;
	bool marked;
	struct insn insn[BLOCK_MAX];
	int8_t fault[BLOCK_MAX]; /* vector that the instruction raises instead, or -1 */
	uint8_t live[BLOCK_MAX]; /* someone reads flags that this one writes */
};

static bool is_marked(const struct engine_shared *s, uint64_t gva)
{
	return (s->marks && mark_at(s, gva)) || (s->debug_marks && mark_debug(s, gva));
}

static bool has_operand(const struct insn *i, unsigned kind)
{
	for (unsigned k = 0; k < i->operands; k++)
		if (i->op[k].kind == kind)
			return true;
	return false;
}

/* The vector that the mode alone makes of the instruction, or -1. SDM Vol. 3A
 * 2.5 "Control Registers", Vol. 2A 2.6 "Exception Classes". */
static int gate(const struct build *b, const struct insn *i, const struct insn_row *row)
{
	uint32_t m = b->mode;
	if (!cpu_has(b->c->model, row->feature))
		return VEC_UD;
	if (row->attrs & I_NO64 && m & MODE_CODE64)
		return VEC_UD;
	if (row->attrs & I_ONLY64 && !(m & MODE_CODE64))
		return VEC_UD;
	if (row->attrs & I_NOREAL && !(m & MODE_PROTECTED))
		return VEC_UD;
	if (row->attrs & I_AVX) {
		if (!(m & MODE_AVX) || !(m & MODE_PROTECTED))
			return VEC_UD;
		return m & MODE_TS ? VEC_NM : -1;
	}
	if (row->attrs & I_SSE) {
		if (m & MODE_EM || !(m & MODE_OSFXSR))
			return VEC_UD;
		return m & MODE_TS ? VEC_NM : -1;
	}
	if (row->attrs & I_FPU) {
		if (i->mnemonic == ZYDIS_MNEMONIC_FWAIT)
			return (m & MODE_MP) && (m & MODE_TS) ? VEC_NM : -1;
		if (has_operand(i, OPND_MM) || i->mnemonic == ZYDIS_MNEMONIC_EMMS)
			return m & MODE_EM ? VEC_UD : m & MODE_TS ? VEC_NM : -1;
		return m & (MODE_EM | MODE_TS) ? VEC_NM : -1;
	}
	return -1;
}

static unsigned code_size(uint32_t mode)
{
	return mode & MODE_CODE64 ? 8 : mode & MODE_CODE32 ? 4 : 2;
}

/* Decodes one instruction whose bytes may go on in the next page. */
static enum cpu_step decode_one(struct build *b, enum decode_status *st)
{
	unsigned off = (b->lin & (PAGE_SIZE - 1)) + b->bytes, room = PAGE_SIZE - off;
	const uint8_t *p = b->at.host + b->bytes;
	struct insn *i = &b->insn[b->n];
	unsigned cs = code_size(b->mode);
	bool ss32 = b->mode & MODE_SS32;
	*st = insn_decode(p, room, cs, ss32, i);
	if (*st != DECODE_MORE || b->n)
		return CPU_DONE;
	struct tlb_place next;
	uint64_t at = (b->lin & PAGE_MASK) + PAGE_SIZE;
	if (cs != 8)
		at = (uint32_t)at;
	enum cpu_step step = tlb_resolve(b->c, at, TLB_FETCH, ACCESS_DATA, &next);
	fp_leave(b->c);
	if (step != CPU_DONE)
		return step;
	uint8_t buf[15];
	if (room > 15)
		room = 15;
	memset(buf, 0xff, sizeof(buf));
	memcpy(buf, p, room);
	if (next.host)
		memcpy(buf + room, next.host, 15 - room);
	b->hpa2 = next.hpa.v;
	*st = insn_decode(buf, 15, cs, ss32, i);
	if (i->len <= room)
		b->hpa2 = UINT64_MAX;
	return CPU_DONE;
}

static const struct insn_row ud_row = {.name = "(unknown)"};

/* Decodes up to the end of the block. */
static enum cpu_step gather(struct build *b)
{
	const struct vcpu *c = b->c;
	const struct seg *cs = &c->seg[SEG_CS];
	unsigned max = b->mode & MODE_STEP ? 1 : BLOCK_MAX;
	while (b->n < max && (b->lin & (PAGE_SIZE - 1)) + b->bytes < PAGE_SIZE) {
		enum decode_status st;
		struct insn *i = &b->insn[b->n];
		if (b->n && !(b->mode & MODE_NOMARK) &&
			is_marked(c->engine->shared, b->lin + b->bytes))
			break;
		enum cpu_step step = decode_one(b, &st);
		if (step != CPU_DONE)
			return step;
		if (st == DECODE_MORE)
			break;
		if (!(b->mode & MODE_CODE64) &&
			c->rip + b->bytes + i->len - 1 > (uint64_t)cs->limit) {
			if (b->n)
				break;
			return cpu_raise_error(b->c, VEC_GP, 0);
		}
		const struct insn_row *row = st == DECODE_OK ? insn_row_of(i->mnemonic) : NULL;
		if (!row)
			row = &ud_row;
		i->row = row == &ud_row ? UINT16_MAX : (uint16_t)(row - insn_table);
		b->fault[b->n] = st == DECODE_LONG ? VEC_GP
			: row == &ud_row           ? VEC_UD
						   : (int8_t)gate(b, i, row);
		if (i->len == 0)
			i->len = 1;
		b->bytes += i->len;
		b->n++;
		if (b->fault[b->n - 1] >= 0 || row->attrs & I_ENDS ||
			b->hpa2 != UINT64_MAX)
			break;
	}
	return CPU_DONE;
}

void insn_of_block(struct engine_shared *s, const struct block *b, const struct op *o,
	struct insn *out)
{
	uint8_t buf[15];
	unsigned off = o->rip_low, room = PAGE_SIZE - off;
	if (room > o->len)
		room = o->len;
	memcpy(buf, b->host + off, room);
	if (room < o->len && !phys_read(s->phys, hpa(b->hpa2), buf + room, o->len - room))
		memset(buf + room, 0xff, o->len - room);
	enum decode_status st =
		insn_decode(buf, o->len, code_size(b->mode), b->mode & MODE_SS32, out);
	const struct insn_row *row = st == DECODE_OK ? insn_row_of(out->mnemonic) : NULL;
	out->row = row ? (uint16_t)(row - insn_table) : UINT16_MAX;
}

static bool by_cl(const struct insn *i)
{
	for (unsigned k = 1; k < i->operands; k++)
		if (i->op[k].kind == OPND_GPR && i->op[k].size == 1 && i->op[k].reg == RCX)
			return true;
	return false;
}

/* The flags that the handlers of i overwrite whatever the operands are. A flag
 * that the manual leaves undefined counts only where ours always sets it, so
 * that its value does not depend on how blocks were cut. */
static uint32_t overwrites(const struct insn *i)
{
	uint32_t written = i->flags_written & FLAGS_ARITH;
	switch (i->mnemonic) {
	case ZYDIS_MNEMONIC_SHL:
	case ZYDIS_MNEMONIC_SHR:
	case ZYDIS_MNEMONIC_SAR:
	case ZYDIS_MNEMONIC_ROL:
	case ZYDIS_MNEMONIC_ROR:
	case ZYDIS_MNEMONIC_SHLD:
	case ZYDIS_MNEMONIC_SHRD:
		if (by_cl(i) || (i->operands > 1 && !(i->imm & (i->op[0].size == 8 ? 63 : 31))))
			return 0;
		return written;
	case ZYDIS_MNEMONIC_RCL:
	case ZYDIS_MNEMONIC_RCR:
		return 0;
	case ZYDIS_MNEMONIC_BT:
	case ZYDIS_MNEMONIC_BTS:
	case ZYDIS_MNEMONIC_BTR:
	case ZYDIS_MNEMONIC_BTC:
		return FLAG_CF;
	default:
		return written;
	}
}

/* Which instructions write flags that can be seen: by a later one, or because
 * a fault or the end of the block shows them. */
void block_liveness(const struct insn *insn, const int8_t *fault, unsigned count, uint8_t *out)
{
	uint32_t live = FLAGS_ARITH;
	for (unsigned n = count; n--;) {
		const struct insn *i = &insn[n];
		uint32_t written = i->flags_written & FLAGS_ARITH;
		uint32_t attrs = i->row == UINT16_MAX ? 0 : insn_table[i->row].attrs;
		out[n] = (written & live) != 0;
		if (!(attrs & I_PURE) || fault[n] >= 0 ||
			(has_operand(i, OPND_MEM) && !(attrs & I_NOMEM))) {
			live = FLAGS_ARITH;
			continue;
		}
		live &= ~overwrites(i);
		live |= i->flags_read & FLAGS_ARITH;
	}
}

void block_slot_insn(struct block *b, unsigned n, const struct insn *i)
{
	if (!b->insn)
		b->insn = xalloc(b->n * sizeof(*b->insn));
	if (!b->insn[n]) {
		b->insn[n] = xalloc(sizeof(*i));
		*b->insn[n] = *i;
	}
}

static void bind(struct build *b, struct block *k, unsigned n)
{
	struct vcpu *c = b->c;
	const struct insn *i = &b->insn[n];
	struct op *o = &k->op[n];
	const struct insn_row *row = i->row == UINT16_MAX ? &ud_row : &insn_table[i->row];
	struct engine *e = c->engine;
	e->flags_dead = !b->live[n];
	e->produced = 0;
	if (b->fault[n] >= 0) {
		o->run = op_ud;
		o->aux = (uint16_t)b->fault[n];
		o->insn = i;
	} else if (!row->bind || !row->bind(c, i, o)) {
		struct op clean = {.rip_low = o->rip_low, .len = o->len, .left = o->left};
		*o = clean;
		o->run = row->slow ? op_slow : op_ud;
		o->aux = VEC_UD;
		o->insn = i;
		e->produced = 0;
	}
	if (o->insn == i) {
		block_slot_insn(k, n, i);
		o->insn = k->insn[n];
		e->shared->bytes += sizeof(*i);
	}
	if (i->flags_written & FLAGS_ARITH)
		e->producer = e->produced;
}

static struct block *assemble(struct build *b)
{
	struct vcpu *c = b->c;
	struct engine_shared *s = c->engine->shared;
	struct block *k = xalloc(sizeof(*k) + (b->n + 2) * sizeof(struct op));
	unsigned low = b->lin & (PAGE_SIZE - 1);
	k->gva = b->lin;
	k->hpa = b->at.hpa.v;
	k->host = (const uint8_t *)((uintptr_t)b->at.host & PAGE_MASK);
	k->hpa2 = b->hpa2;
	k->rip = c->rip;
	k->end = c->rip + b->bytes;
	if (!(b->mode & MODE_CODE64))
		k->end = (uint32_t)k->end;
	k->mode = b->mode;
	k->n = (uint8_t)b->n;
	k->bytes = (uint16_t)b->bytes;
	k->marked = b->marked;
	k->op[b->n].run = op_end;
	k->op[b->n].link = k;
	c->engine->producer = 0;
	block_liveness(b->insn, b->fault, b->n, b->live);
	for (unsigned n = 0; n < b->n; n++) {
		struct op *o = &k->op[n];
		o->rip_low = (uint16_t)low;
		o->len = b->insn[n].len;
		o->left = (uint8_t)(b->n - n);
		low += b->insn[n].len;
		bind(b, k, n);
	}
	if (s->jit && s->heat && !k->marked && k->hpa2 == UINT64_MAX && b->mode & MODE_CODE64 &&
		(!(b->mode & MODE_STEP) || s->heat == 1)) {
		k->first = k->op[0].run;
		k->op[0].run = op_heat;
	}
	s->bytes += block_bytes(k);
	s->stats.blocks_built++;
	return k;
}

enum cpu_step block_build(struct vcpu *c, uint32_t mode, uint64_t lin, struct block **out)
{
	struct build b;
	struct engine_shared *s = c->engine->shared;
	b.c = c;
	b.mode = mode;
	b.lin = lin;
	b.hpa2 = UINT64_MAX;
	b.n = b.bytes = 0;
	fp_leave(c);
	enum cpu_step step = tlb_resolve(c, lin, TLB_FETCH, ACCESS_DATA, &b.at);
	if (step != CPU_DONE)
		return step;
	if (!b.at.host) {
		log_once(c->log, LOG_WARN, "cpu", b.at.hpa.v,
			"instruction fetch from %#llx, where there is no memory",
			(unsigned long long)b.at.hpa.v);
		return cpu_raise_error(c, VEC_GP, 0);
	}
	b.marked = !(mode & MODE_NOMARK) && is_marked(s, lin);
	step = gather(&b);
	if (step != CPU_DONE)
		return step;
	*out = assemble(&b);
	return CPU_DONE;
}

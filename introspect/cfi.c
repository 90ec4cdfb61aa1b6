/* .debug_frame from ORC: DWARF Debugging Information Format Version 4, 6.4 "Call
 * Frame Information", with the augmentation "zS" of interrupted frames.
 *
 * An entry (FDE) takes up to ROWS rows, whatever functions they belong to: it
 * begins with a whole row, so that a look-up runs no more than these.
 */
#include "introspect/cfi.h"

#include "introspect/orc.h"

#include <string.h>

#define ROWS 64

/* DWARF's numbers of registers. */
enum { D_RAX, D_RDX, D_RCX, D_RBX, D_RSI, D_RDI, D_RBP, D_RSP, D_R8, D_R10 = 10, D_R13 = 13,
	D_RIP = 16 };

enum {
	CFA_ADVANCE = 0x40,
	CFA_ADVANCE1 = 2,
	CFA_ADVANCE2 = 3,
	CFA_ADVANCE4 = 4,
	CFA_UNDEFINED = 7,
	CFA_SAME = 8,
	CFA_EXPRESSION = 0x10,
	CFA_OFFSET_SF = 0x11,
	CFA_DEF_SF = 0x12,
	CFA_DEF_EXPRESSION = 0xf
};
enum { OP_DEREF = 6, OP_CONSTS = 0x11, OP_PLUS = 0x22, OP_BREG = 0x70 };

struct cfi {
	struct buf *out;
	size_t base;          /* where the section begins in *out */
	uint32_t cie[2];      /* of calls, of interrupted frames */
	struct buf body;      /* of the FDE under way */
	uint64_t start, end;  /* what it covers */
	unsigned rows;
	bool regs;            /* it is one of interrupted frames */
	struct orc_row last;
};

static void put(struct buf *b, uint64_t v, unsigned bytes)
{
	buf_add(b, &v, bytes); /* little-endian, as the hosts are */
}

static void uleb(struct buf *b, uint64_t v)
{
	do
		buf_char(b, (char)((v & 0x7f) | (v > 0x7f ? 0x80 : 0)));
	while (v >>= 7);
}

static void sleb(struct buf *b, int64_t v)
{
	for (;;) {
		uint8_t byte = v & 0x7f;
		v >>= 7;
		bool last = (v == 0 && !(byte & 0x40)) || (v == -1 && (byte & 0x40));
		buf_char(b, (char)(byte | (last ? 0 : 0x80)));
		if (last)
			return;
	}
}

/* Fills the length in front of an entry that began at `at`. */
static void close_entry(struct buf *b, size_t at)
{
	while ((b->len - at) % 8)
		buf_char(b, 0); /* DW_CFA_nop */
	uint32_t n = (uint32_t)(b->len - at - 4);
	memcpy(b->data + at, &n, 4);
}

static void common(struct cfi *c, bool regs)
{
	struct buf *b = c->out;
	size_t at = b->len;
	c->cie[regs] = (uint32_t)(at - c->base);
	put(b, 0, 4);
	put(b, UINT32_MAX, 4);
	put(b, 1, 1); /* version */
	buf_add(b, regs ? "zS" : "", regs ? 3 : 1);
	uleb(b, 1);   /* alignments of code and data */
	sleb(b, 1);
	put(b, D_RIP, 1);
	if (regs)
		uleb(b, 0);
	close_entry(b, at);
}

static void flush(struct cfi *c)
{
	struct buf *b = c->out;
	size_t at = b->len;
	if (c->rows) {
		put(b, 0, 4);
		put(b, c->cie[c->regs], 4);
		put(b, c->start, 8);
		put(b, c->end - c->start, 8);
		if (c->regs)
			uleb(b, 0);
		buf_add(b, c->body.data, c->body.len);
		close_entry(b, at);
	}
	buf_clear(&c->body);
	c->rows = 0;
}

/* --- one row -------------------------------------------------------------------------- */

/* The register that a rule begins with; false: DWARF has none. */
static bool reg_of(unsigned orc, unsigned *reg, bool *indirect)
{
	*indirect = orc == ORC_BP_INDIRECT || orc == ORC_SP_INDIRECT;
	switch (orc) {
	case ORC_SP: case ORC_SP_INDIRECT: *reg = D_RSP; return true;
	case ORC_BP: case ORC_BP_INDIRECT: *reg = D_RBP; return true;
	case ORC_DX: *reg = D_RDX; return true;
	case ORC_DI: *reg = D_RDI; return true;
	case ORC_R10: *reg = D_R10; return true;
	case ORC_R13: *reg = D_R13; return true;
	default: return false;
	}
}

/* An expression: the row's stack pointer and `more`, or what lies there. */
static void expression(const struct orc_row *r, int64_t more, bool deref, struct buf *out)
{
	struct buf e = {0};
	unsigned reg = D_RSP;
	bool indirect;
	reg_of(r->sp_reg, &reg, &indirect);
	buf_char(&e, (char)(OP_BREG + reg));
	if (r->sp_reg == ORC_SP_INDIRECT) { /* added to what lies on top */
		sleb(&e, 0);
		buf_char(&e, OP_DEREF);
		buf_char(&e, OP_CONSTS);
		sleb(&e, r->sp_offset + more);
		buf_char(&e, OP_PLUS);
	} else if (r->sp_reg == ORC_BP_INDIRECT) {
		sleb(&e, r->sp_offset);
		buf_char(&e, OP_DEREF);
		buf_char(&e, OP_CONSTS);
		sleb(&e, more);
		buf_char(&e, OP_PLUS);
	} else {
		sleb(&e, r->sp_offset + more);
	}
	if (deref)
		buf_char(&e, OP_DEREF);
	uleb(out, e.len);
	buf_add(out, e.data, e.len);
	buf_done(&e);
}

static void saved_at(struct buf *b, unsigned reg, const struct orc_row *r, int64_t offset)
{
	buf_char(b, CFA_EXPRESSION);
	uleb(b, reg);
	expression(r, offset, false, b);
}

static void call_row(struct buf *b, const struct orc_row *r)
{
	unsigned reg;
	bool indirect;
	reg_of(r->sp_reg, &reg, &indirect);
	if (indirect) {
		buf_char(b, CFA_DEF_EXPRESSION);
		expression(r, 0, false, b);
	} else {
		buf_char(b, CFA_DEF_SF);
		uleb(b, reg);
		sleb(b, r->sp_offset);
	}
	buf_char(b, CFA_OFFSET_SF);
	uleb(b, D_RIP);
	sleb(b, -8);
	if (r->bp_reg == ORC_PREV_SP) {
		buf_char(b, CFA_OFFSET_SF);
		uleb(b, D_RBP);
		sleb(b, r->bp_offset);
	} else if (r->bp_reg == ORC_BP) {
		buf_char(b, CFA_EXPRESSION);
		uleb(b, D_RBP);
		struct buf e = {0};
		buf_char(&e, OP_BREG + D_RBP);
		sleb(&e, r->bp_offset);
		uleb(b, e.len);
		buf_add(b, e.data, e.len);
		buf_done(&e);
	} else {
		buf_char(b, CFA_SAME);
		uleb(b, D_RBP);
	}
}

static void regs_row(struct buf *b, const struct orc_row *r)
{
	/* struct pt_regs: r15 r14 r13 r12 bp bx r11 r10 r9 r8 ax cx dx si di */
	static const uint8_t order[] = {15, 14, 13, 12, D_RBP, D_RBX, 11, 10, 9, 8, D_RAX, D_RCX, D_RDX,
		D_RSI, D_RDI};
	bool whole = r->form == ORC_REGS;
	buf_char(b, CFA_DEF_EXPRESSION);
	expression(r, whole ? 152 : 24, true, b);
	saved_at(b, D_RIP, r, whole ? 128 : 0);
	for (unsigned i = 0; whole && i < sizeof order; i++)
		saved_at(b, order[i], r, 8 * i);
}

static void advance(struct buf *b, uint64_t n)
{
	if (n < 64) {
		buf_char(b, (char)(CFA_ADVANCE | n));
	} else {
		buf_char(b, n < 256 ? CFA_ADVANCE1 : n < 65536 ? CFA_ADVANCE2 : CFA_ADVANCE4);
		put(b, n, n < 256 ? 1 : n < 65536 ? 2 : 4);
	}
}

static void add_row(void *ctx, const struct orc_row *r, uint64_t end)
{
	struct cfi *c = ctx;
	unsigned reg;
	bool indirect, known = r->form != ORC_STOP && reg_of(r->sp_reg, &reg, &indirect);
	bool regs = known && r->form != ORC_CALL;
	if (c->rows && (c->end != r->from || c->regs != regs || c->rows == ROWS ||
			       r->from - c->start > UINT32_MAX))
		flush(c);
	if (!c->rows) {
		c->start = r->from;
		c->regs = regs;
	} else {
		advance(&c->body, r->from - c->last.from);
	}
	if (regs) {
		regs_row(&c->body, r);
	} else if (known) {
		call_row(&c->body, r);
	} else { /* nothing is above it */
		buf_char(&c->body, CFA_DEF_SF);
		uleb(&c->body, D_RSP);
		sleb(&c->body, 8);
		buf_char(&c->body, CFA_UNDEFINED);
		uleb(&c->body, D_RIP);
	}
	c->last = *r;
	c->end = end;
	c->rows++;
}

void cfi_from_orc(struct intro *s, struct place at, struct buf *out)
{
	struct cfi c = {.out = out, .base = out->len};
	struct orc o;
	if (!orc_open(&o, s, at))
		return;
	common(&c, false);
	common(&c, true);
	if (!orc_each(&o, add_row, &c)) {
		buf_clear(out);
		buf_done(&c.body);
		return;
	}
	flush(&c);
	buf_done(&c.body);
}

/* Unwinding a Linux kernel's stack by its own ORC tables, read from guest
 * memory: for each range of instructions, where the caller's stack pointer and
 * RBP are. Format: the kernel's arch/x86/include/asm/orc_types.h.
 */
#include "introspect/orc.h"

#include "introspect/memory.h"
#include "introspect/regs.h"

#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX (1u << 26)
#define STACK_MAX   0x10000 /* bytes of a kernel stack */

static bool ip_at(const struct orc *o, const struct orc_table *t, uint64_t i, uint64_t *ip)
{
	uint64_t rel;
	if (!intro_read_uint(o->s, o->at, SPACE_VIRTUAL, t->ip + 4 * i, 4, &rel))
		return false;
	*ip = t->ip + 4 * i + (uint64_t)(int64_t)(int32_t)rel;
	return true;
}

bool orc_open(struct orc *o, struct intro *s, struct place at)
{
	struct symbol ip, ip_end, entry;
	struct orc_table *k = &o->kernel;
	*o = (struct orc){.s = s, .at = at};
	if (!intro_symbol_find(s, at, "__start_orc_unwind_ip", &ip) ||
		!intro_symbol_find(s, at, "__stop_orc_unwind_ip", &ip_end) ||
		!intro_symbol_find(s, at, "__start_orc_unwind", &entry) || ip_end.address <= ip.address)
		return false;
	k->ip = ip.address;
	k->entry = entry.address;
	k->count = (ip_end.address - ip.address) / 4;
	if (k->count >= ENTRIES_MAX || !ip_at(o, k, 0, &k->low) || !ip_at(o, k, k->count - 1, &k->high))
		return false;
	/* kernels from 6.4 on number the types from 2 (call) */
	unsigned calls[2] = {0};
	for (unsigned i = 0; i < 32; i++) {
		uint64_t bits;
		if (!intro_read_uint(s, at, SPACE_VIRTUAL, k->entry + 6 * (k->count / 2 + i) + 4, 2, &bits))
			return false;
		calls[0] += (bits >> 8 & 7) == 0;
		calls[1] += (bits >> 8 & 7) == 2;
	}
	o->late = calls[1] > calls[0];
	return true;
}

/* The tables for this code: the kernel's own, or a module's. */
static const struct orc_table *table_of(struct orc *o, uint64_t pc)
{
	if (pc >= o->kernel.low && pc <= o->kernel.high)
		return &o->kernel;
	if (o->module.count && pc >= o->module.low && pc <= o->module.high)
		return &o->module;
	if (!kernel_module_orc(o->s, o->at, pc, &o->module) || o->module.count >= ENTRIES_MAX)
		o->module.count = 0;
	return o->module.count ? &o->module : NULL;
}

/* An entry: sp_offset:16 bp_offset:16 sp_reg:4 bp_reg:4, then type and end. */
static enum orc_form form_of(const struct orc *o, unsigned bits)
{
	static const enum orc_form late[8] = {ORC_STOP, ORC_STOP, ORC_CALL, ORC_REGS, ORC_PARTIAL,
		ORC_STOP, ORC_STOP, ORC_STOP};
	static const enum orc_form early[4] = {ORC_CALL, ORC_REGS, ORC_PARTIAL, ORC_STOP};
	if (o->late)
		return late[bits >> 8 & 7];
	return bits >> 10 & 1 ? ORC_STOP : early[bits >> 8 & 3];
}

static struct orc_row row_of(const struct orc *o, uint64_t from, uint64_t raw)
{
	return (struct orc_row){from, (int16_t)raw, (int16_t)(raw >> 16), raw >> 32 & 15, raw >> 36 & 15,
		form_of(o, (unsigned)(raw >> 32))};
}

static bool lookup(struct orc *o, uint64_t pc, struct orc_row *row)
{
	const struct orc_table *t = table_of(o, pc);
	uint64_t lo = 0, hi = t ? t->count : 0, ip, raw;
	while (lo < hi) {
		uint64_t mid = (lo + hi) / 2;
		if (!ip_at(o, t, mid, &ip))
			return false;
		if (ip <= pc)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo || !intro_read_uint(o->s, o->at, SPACE_VIRTUAL, t->entry + 6 * (lo - 1), 6, &raw))
		return false;
	*row = row_of(o, 0, raw);
	return true;
}

static bool word(const struct orc *o, uint64_t at, uint64_t *v)
{
	return intro_read_uint(o->s, o->at, SPACE_VIRTUAL, at, 8, v);
}

static bool first_reg(const struct orc *o, bool first, enum reg_id id, uint64_t *v)
{
	return first && intro_reg_u64(o->s, o->at, id, v);
}

/* The stack pointer of the caller's frame. */
static bool caller_sp(const struct orc *o, const struct orc_row *e, const struct orc_frame *f,
	bool first, uint64_t *sp)
{
	uint64_t off = (uint64_t)(int64_t)e->sp_offset;
	switch (e->sp_reg) {
	case ORC_SP: *sp = f->sp + off; return true;
	case ORC_BP: /* on the same stack, or RBP holds something else (a guest's, around VM entries) */
		*sp = f->bp + off;
		return *sp > f->sp && *sp - f->sp <= STACK_MAX;
	case ORC_SP_INDIRECT:
		if (!word(o, f->sp, sp))
			return false;
		*sp += off;
		return true;
	case ORC_BP_INDIRECT: return word(o, f->bp + off, sp);
	case ORC_R10: return first_reg(o, first, R_R10, sp);
	case ORC_R13: return first_reg(o, first, R_R13, sp);
	case ORC_DI: return first_reg(o, first, R_RDI, sp);
	case ORC_DX: return first_reg(o, first, R_RDX, sp);
	default: return false;
	}
}

/* The caller's RBP. */
static bool caller_bp(const struct orc *o, const struct orc_row *e, uint64_t sp, uint64_t *bp)
{
	uint64_t off = (uint64_t)(int64_t)e->bp_offset;
	switch (e->bp_reg) {
	case ORC_UNDEFINED: return true;
	case ORC_PREV_SP: return word(o, sp + off, bp);
	case ORC_BP: return word(o, *bp + off, bp);
	default: return false;
	}
}

static enum orc_result up_from(
	const struct orc *o, const struct orc_row *e, struct orc_frame *f, uint64_t sp)
{
	struct orc_frame up = {.sp = sp, .bp = f->bp, .exact = e->form != ORC_CALL};
	bool ok;
	switch (e->form) {
	case ORC_CALL:
		ok = word(o, sp - 8, &up.pc) && caller_bp(o, e, sp, &up.bp);
		break;
	case ORC_REGS:
		ok = word(o, sp + 128, &up.pc) && word(o, sp + 152, &up.sp) && word(o, sp + 32, &up.bp);
		break;
	default: /* the frame that IRET takes */
		ok = word(o, sp, &up.pc) && word(o, sp + 24, &up.sp) && caller_bp(o, e, sp, &up.bp);
	}
	if (!ok)
		return ORC_LOST;
	*f = up;
	return ORC_FRAME;
}

/* A return address may be the first byte behind its function. */
static bool entry_of(struct orc *o, const struct orc_frame *f, bool first, struct orc_row *e)
{
	return lookup(o, first || f->exact ? f->pc : f->pc - 1, e);
}

enum orc_result orc_step(struct orc *o, struct orc_frame *f, bool first)
{
	struct orc_row e;
	uint64_t sp;
	if (!entry_of(o, f, first, &e))
		return ORC_LOST;
	if (e.form == ORC_STOP)
		return ORC_END;
	return caller_sp(o, &e, f, first, &sp) ? up_from(o, &e, f, sp) : ORC_LOST;
}

enum orc_result orc_step_to(struct orc *o, struct orc_frame *f, bool first, uint64_t top)
{
	struct orc_row e;
	if (!entry_of(o, f, first, &e) || e.form != ORC_CALL)
		return ORC_LOST;
	return up_from(o, &e, f, top);
}

/* --- all of them --------------------------------------------------------------------- */

#define ROWS_MAX (4u << 20) /* of one table; a kernel has a tenth */
#define PIECE    4096

struct walk {
	struct orc *o;
	orc_fn *fn;
	void *ctx;
};

static bool walk_table(void *ctx, const struct orc_table *t)
{
	struct walk *w = ctx;
	struct orc *o = w->o;
	int32_t *rel = xalloc(PIECE * sizeof *rel);
	uint8_t *raw = xalloc(PIECE * 6 + 2);
	struct orc_row row = {0};
	uint64_t count = t->count < ROWS_MAX ? t->count : ROWS_MAX, n = 0;
	bool ok = true;
	for (uint64_t first = 0; ok && first < count; first += n) {
		n = count - first < PIECE ? count - first : PIECE;
		ok = intro_read(o->s, o->at, SPACE_VIRTUAL, t->ip + 4 * first, rel, 4 * n, NULL) == 4 * n &&
			intro_read(o->s, o->at, SPACE_VIRTUAL, t->entry + 6 * first, raw, 6 * n, NULL) == 6 * n;
		for (uint64_t i = 0; ok && i < n; i++) {
			uint64_t from = t->ip + 4 * (first + i) + (uint64_t)(int64_t)rel[i], bits = 0;
			memcpy(&bits, raw + 6 * i, 6);
			if (first + i && from <= row.from)
				continue; /* the kernel sorts them */
			if (first + i)
				w->fn(w->ctx, &row, from);
			row = row_of(o, from, bits);
		}
	}
	if (ok && count && t->high >= row.from)
		w->fn(w->ctx, &row, t->high + 1);
	free(rel);
	free(raw);
	return ok;
}

bool orc_each(struct orc *o, orc_fn *fn, void *ctx)
{
	struct walk w = {o, fn, ctx};
	if (!walk_table(&w, &o->kernel))
		return false;
	kernel_each_orc(o->s, o->at, walk_table, &w);
	return true;
}

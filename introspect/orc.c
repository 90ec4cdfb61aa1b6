/* Unwinding a Linux kernel's stack by its own ORC tables, read from guest
 * memory: for each range of instructions, where the caller's stack pointer and
 * RBP are. Format: the kernel's arch/x86/include/asm/orc_types.h.
 */
#include "introspect/orc.h"

#include "introspect/memory.h"
#include "introspect/regs.h"

#include <string.h>

/* sp_offset, bp_offset, then sp_reg:4 bp_reg:4 type... */
struct entry {
	int16_t sp_offset, bp_offset;
	uint16_t bits;
};

enum { REG_UNDEFINED, REG_PREV_SP, REG_DX, REG_DI, REG_BP, REG_SP, REG_R10, REG_R13,
	REG_BP_INDIRECT, REG_SP_INDIRECT };
enum form { FORM_CALL, FORM_REGS, FORM_PARTIAL, FORM_END };

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

static bool lookup(struct orc *o, uint64_t pc, struct entry *e)
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
	*e = (struct entry){(int16_t)raw, (int16_t)(raw >> 16), (uint16_t)(raw >> 32)};
	return true;
}

static enum form form_of(const struct orc *o, const struct entry *e)
{
	unsigned type = e->bits >> 8 & (o->late ? 7 : 3);
	if (o->late)
		return type == 2 ? FORM_CALL : type == 3 ? FORM_REGS : type == 4 ? FORM_PARTIAL : FORM_END;
	if (e->bits >> 10 & 1)
		return FORM_END;
	return type == 0 ? FORM_CALL : type == 1 ? FORM_REGS : type == 2 ? FORM_PARTIAL : FORM_END;
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
static bool caller_sp(const struct orc *o, const struct entry *e, const struct orc_frame *f,
	bool first, uint64_t *sp)
{
	uint64_t off = (uint64_t)(int64_t)e->sp_offset;
	switch (e->bits & 15) {
	case REG_SP: *sp = f->sp + off; return true;
	case REG_BP: /* on the same stack, or RBP holds something else (a guest's, around VM entries) */
		*sp = f->bp + off;
		return *sp > f->sp && *sp - f->sp <= STACK_MAX;
	case REG_SP_INDIRECT:
		if (!word(o, f->sp, sp))
			return false;
		*sp += off;
		return true;
	case REG_BP_INDIRECT: return word(o, f->bp + off, sp);
	case REG_R10: return first_reg(o, first, R_R10, sp);
	case REG_R13: return first_reg(o, first, R_R13, sp);
	case REG_DI: return first_reg(o, first, R_RDI, sp);
	case REG_DX: return first_reg(o, first, R_RDX, sp);
	default: return false;
	}
}

/* The caller's RBP. */
static bool caller_bp(const struct orc *o, const struct entry *e, uint64_t sp, uint64_t *bp)
{
	uint64_t off = (uint64_t)(int64_t)e->bp_offset;
	switch (e->bits >> 4 & 15) {
	case REG_UNDEFINED: return true;
	case REG_PREV_SP: return word(o, sp + off, bp);
	case REG_BP: return word(o, *bp + off, bp);
	default: return false;
	}
}

static enum orc_result up_from(
	const struct orc *o, const struct entry *e, enum form form, struct orc_frame *f, uint64_t sp)
{
	struct orc_frame up = {.sp = sp, .bp = f->bp, .exact = form != FORM_CALL};
	bool ok;
	switch (form) {
	case FORM_CALL:
		ok = word(o, sp - 8, &up.pc) && caller_bp(o, e, sp, &up.bp);
		break;
	case FORM_REGS: /* struct pt_regs: bp at 32, ip at 128, sp at 152 */
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
static bool entry_of(struct orc *o, const struct orc_frame *f, bool first, struct entry *e)
{
	return lookup(o, first || f->exact ? f->pc : f->pc - 1, e);
}

enum orc_result orc_step(struct orc *o, struct orc_frame *f, bool first)
{
	struct entry e;
	uint64_t sp;
	if (!entry_of(o, f, first, &e))
		return ORC_LOST;
	enum form form = form_of(o, &e);
	if (form == FORM_END)
		return ORC_END;
	return caller_sp(o, &e, f, first, &sp) ? up_from(o, &e, form, f, sp) : ORC_LOST;
}

enum orc_result orc_step_to(struct orc *o, struct orc_frame *f, bool first, uint64_t top)
{
	struct entry e;
	if (!entry_of(o, f, first, &e) || form_of(o, &e) != FORM_CALL)
		return ORC_LOST;
	return up_from(o, &e, FORM_CALL, f, top);
}

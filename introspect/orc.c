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

bool orc_open(struct orc *o, struct intro *s, struct place at)
{
	struct symbol ip, ip_end, table;
	*o = (struct orc){.s = s, .at = at};
	if (!intro_symbol_find(s, at, "__start_orc_unwind_ip", &ip) ||
		!intro_symbol_find(s, at, "__stop_orc_unwind_ip", &ip_end) ||
		!intro_symbol_find(s, at, "__start_orc_unwind", &table) || ip_end.address <= ip.address)
		return false;
	o->ip = ip.address;
	o->table = table.address;
	o->count = (ip_end.address - ip.address) / 4;
	/* kernels from 6.4 on number the types from 2 (call) */
	unsigned calls[2] = {0};
	for (unsigned i = 0; i < 32; i++) {
		uint64_t bits;
		if (!intro_read_uint(s, at, SPACE_VIRTUAL, o->table + 6 * (o->count / 2 + i) + 4, 2, &bits))
			return false;
		calls[0] += (bits >> 8 & 7) == 0;
		calls[1] += (bits >> 8 & 7) == 2;
	}
	o->late = calls[1] > calls[0];
	return o->count < (1u << 26);
}

static bool ip_at(const struct orc *o, uint64_t i, uint64_t *ip)
{
	uint64_t rel;
	if (!intro_read_uint(o->s, o->at, SPACE_VIRTUAL, o->ip + 4 * i, 4, &rel))
		return false;
	*ip = o->ip + 4 * i + (uint64_t)(int64_t)(int32_t)rel;
	return true;
}

static bool lookup(const struct orc *o, uint64_t pc, struct entry *e)
{
	uint64_t lo = 0, hi = o->count, ip, raw;
	while (lo < hi) {
		uint64_t mid = (lo + hi) / 2;
		if (!ip_at(o, mid, &ip))
			return false;
		if (ip <= pc)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo || !intro_read_uint(o->s, o->at, SPACE_VIRTUAL, o->table + 6 * (lo - 1), 6, &raw))
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
	case REG_BP: *sp = f->bp + off; return true;
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

bool orc_step(const struct orc *o, struct orc_frame *f, bool first)
{
	struct entry e;
	uint64_t sp, old_bp = f->bp;
	/* a return address may be the first byte behind its function */
	if (!lookup(o, first || f->exact ? f->pc : f->pc - 1, &e))
		return false;
	enum form form = form_of(o, &e);
	if (form == FORM_END || !caller_sp(o, &e, f, first, &sp))
		return false;
	f->exact = form != FORM_CALL;
	switch (form) {
	case FORM_CALL:
		if (!word(o, sp - 8, &f->pc))
			return false;
		f->sp = sp;
		break;
	case FORM_REGS: /* struct pt_regs: bp at 32, ip at 128, sp at 152 */
		return word(o, sp + 128, &f->pc) && word(o, sp + 152, &f->sp) && word(o, sp + 32, &f->bp);
	default: /* the frame that IRET takes */
		if (!word(o, sp, &f->pc) || !word(o, sp + 24, &f->sp))
			return false;
	}
	switch (e.bits >> 4 & 15) {
	case REG_UNDEFINED: return true;
	case REG_PREV_SP: return word(o, sp + (uint64_t)(int64_t)e.bp_offset, &f->bp);
	case REG_BP: return word(o, old_bp + (uint64_t)(int64_t)e.bp_offset, &f->bp);
	default: return false;
	}
}

/* The call stack: a Linux kernel's ORC tables, else frame pointers where they
 * chain, else a scan of the stack for return addresses that says it is one. */
#include "introspect/orc.h"
#include "introspect/private.h"

#include <string.h>

struct unwinder {
	struct intro *s;
	struct place at;
	struct frame *out;
	size_t n, max;
};

static bool add(struct unwinder *u, uint64_t pc, uint64_t sp, uint64_t fp, const char *how)
{
	if (u->n >= u->max)
		return false;
	u->out[u->n++] = (struct frame){pc, sp, fp, how};
	return true;
}

/* Is the instruction before a return address a call? Calls are 2 to 7 bytes.
 * *target is a direct one's, else UINT64_MAX. */
static bool call_before(struct unwinder *u, uint64_t pc, uint64_t *target)
{
	struct insn_text t;
	for (unsigned n = 2; n <= 7 && n <= pc; n++) {
		if (intro_disas(u->s, u->at, pc - n, 0, &t, 1, NULL) && t.is_call && t.length == n) {
			*target = t.target;
			return true;
		}
	}
	return false;
}

static bool after_call(struct unwinder *u, uint64_t pc)
{
	uint64_t target;
	return call_before(u, pc, &target);
}

static bool word(struct unwinder *u, uint64_t at, unsigned size, uint64_t *v)
{
	return intro_read_uint(u->s, u->at, SPACE_VIRTUAL, at, size, v);
}

/* At a function's first instruction the return address is on top, and after
 * `push rbp` below it. */
static void entry_frame(struct unwinder *u, uint64_t pc, uint64_t *sp, uint64_t fp, unsigned size)
{
	struct symbol y;
	uint64_t ret;
	if (!intro_symbol_at(u->s, u->at, pc, &y))
		return;
	uint64_t slot = pc == y.address ? *sp : pc == y.address + 1 ? *sp + size : 0;
	if (slot && word(u, slot, size, &ret) && after_call(u, ret)) {
		add(u, ret, slot + size, fp, "frame pointer");
		*sp = slot + size;
	}
}

static bool chain(struct unwinder *u, uint64_t sp, uint64_t fp, unsigned size)
{
	uint64_t next, ret;
	size_t before = u->n;
	while (fp >= sp && fp - sp < 0x100000 && word(u, fp, size, &next) &&
		word(u, fp + size, size, &ret) && ret && after_call(u, ret)) {
		if (!add(u, ret, fp + 2 * size, next, "frame pointer"))
			break;
		sp = fp + 2 * size;
		if (next <= fp)
			break;
		fp = next;
	}
	return u->n > before;
}

#define SCAN_WORDS 1024

static void scan(struct unwinder *u, uint64_t sp, unsigned size)
{
	uint64_t v;
	for (unsigned i = 0; i < SCAN_WORDS && u->n < u->max; i++, sp += size) {
		struct symbol y;
		if (!word(u, sp, size, &v))
			return;
		if (v < 0x1000 || !after_call(u, v))
			continue;
		if (u->s->symbols && intro_symbol_at(u->s, u->at, v, &y) && !y.is_function)
			continue;
		add(u, v, sp + size, 0, "scan");
	}
}

#define FRAME_WORDS   64
#define FUNCTION_MAX  0x4000

/* Where ORC counts on an RBP that is not the function's (around a VM entry it
 * is the guest's): the first return address behind a call of this function. */
static bool by_call(struct unwinder *u, struct orc *o, struct orc_frame *f, bool first)
{
	for (unsigned i = 0; i < FRAME_WORDS; i++) {
		uint64_t slot = f->sp + 8 * i, v, target;
		struct symbol y;
		if (!word(u, slot, 8, &v))
			return false;
		if (!(v >> 63) || !call_before(u, v, &target) || f->pc - target >= FUNCTION_MAX ||
			!intro_symbol_at(u->s, u->at, target, &y) || y.address != target)
			continue;
		return orc_step_to(o, f, first, slot + 8) == ORC_FRAME &&
			add(u, f->pc, f->sp, f->bp, "call");
	}
	return false;
}

/* By the kernel's ORC tables to the end of its stack; where they are silent
 * (code that the kernel made itself), a scan goes on. */
static bool by_orc(struct unwinder *u, uint64_t pc, uint64_t sp, uint64_t fp)
{
	struct orc o;
	struct orc_frame f = {pc, sp, fp, false};
	struct symbol y;
	if (!intro_symbol_at(u->s, u->at, pc, &y) || !orc_open(&o, u->s, u->at))
		return false;
	size_t before = u->n;
	while (f.pc) {
		bool first = u->n == before;
		enum orc_result r = orc_step(&o, &f, first);
		if (r == ORC_END || (r == ORC_FRAME && (!f.pc || !add(u, f.pc, f.sp, f.bp, "orc"))))
			break;
		if (r == ORC_FRAME || by_call(u, &o, &f, first))
			continue;
		if (!first && f.pc >> 63)
			scan(u, f.sp, 8);
		break;
	}
	return u->n > before;
}

size_t intro_backtrace(struct intro *s, struct place at, struct frame *out, size_t max)
{
	struct unwinder u = {s, at, out, 0, max};
	uint64_t pc, sp, fp = 0, base = 0;
	unsigned bits = intro_code_bits(s, at);
	if (!max || !intro_pc(s, at, &pc) || !intro_reg_u64(s, at, R_RSP, &sp))
		return 0;
	intro_reg_u64(s, at, R_RBP, &fp);
	if (bits != 64 && intro_reg_u64(s, at, R_SS_BASE, &base)) {
		sp = (uint32_t)(sp + base);
		fp = (uint32_t)(fp + base);
	}
	add(&u, pc, sp, fp, "pc");
	if (bits == 64 && by_orc(&u, pc, sp, fp))
		return u.n;
	entry_frame(&u, pc, &sp, fp, bits ? bits / 8 : 8);
	if (!chain(&u, sp, fp, bits ? bits / 8 : 8))
		scan(&u, sp, bits ? bits / 8 : 8);
	return u.n;
}

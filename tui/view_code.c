/* Disassembly at the place, with symbols, lines and breakpoints. */
#include "tui/view.h"

#include "introspect/regs.h"
#include "introspect/run.h"
#include "introspect/symbols.h"

#include <stdlib.h>
#include <string.h>

#define BEFORE 12
#define AFTER  160

static void row(struct view *v, struct lines *l, const struct insn_text *i, struct place at, uint64_t pc)
{
	struct stop *st = intro_stop_find_break(v->s, at.level, i->address);
	lines_row(l, i->address);
	lines_add(l, COLOUR_BAD, "%s", !st ? " " : st->enabled ? (l->ascii ? "*" : "●") : "o");
	lines_attr(l, COLOUR_FOCUS, ATTR_BOLD, "%s", i->address == pc ? (l->ascii ? ">" : "▶") : " ");
	lines_add(l, COLOUR_ADDRESS, "%016llx  ", (unsigned long long)i->address);
	for (unsigned n = 0; n < i->length && n < 8; n++)
		lines_add(l, COLOUR_DIM, "%02x", i->bytes[n]);
	lines_pad(l, 38);
	lines_attr(l, COLOUR_DEFAULT, i->address == pc ? ATTR_BOLD : 0, "%s", i->text);
}

static void fill(struct view *v, struct lines *l, int width)
{
	struct place at = v->has_address ? v->address.at : tui_place(v->t);
	struct insn_text *code = xalloc((BEFORE + AFTER) * sizeof(struct insn_text));
	uint64_t pc = UINT64_MAX, from;
	struct err e = {0};
	(void)width;
	bool have_pc = intro_pc(v->s, at, &pc);
	uint64_t centre = v->has_address ? v->address.value : pc;
	if (!have_pc && !v->has_address) {
		lines_head(l, "registers of this place are unavailable");
		free(code);
		return;
	}
	from = intro_disas_back(v->s, at, centre, BEFORE);
	size_t n = intro_disas(v->s, at, from, 0, code, BEFORE + AFTER, &e);
	struct symbol last = {.name = NULL};
	struct source_line line, shown = {.line = 0};
	for (size_t i = 0; i < n; i++) {
		struct symbol sym;
		if (intro_symbol_at(v->s, at, code[i].address, &sym) && sym.name != last.name) {
			lines_row(l, UINT64_MAX);
			l->line[l->count - 1].head = true;
			lines_add(l, COLOUR_SYMBOL, "%s", sym.name);
			if (sym.module)
				lines_add(l, COLOUR_DIM, " [%s]", sym.module);
			last = sym;
		}
		if (intro_line_at(v->s, at, code[i].address, &line) && line.line != shown.line) {
			lines_row(l, UINT64_MAX);
			l->line[l->count - 1].head = true;
			lines_add(l, COLOUR_DIM, "  %s:%u", line.file, line.line);
			shown = line;
		}
		row(v, l, &code[i], at, pc);
	}
	if (!n)
		lines_head(l, e.msg[0] ? e.msg : "no code can be read here");
	/* The cursor goes along with the machine. */
	if (v->open_ref != centre) {
		v->open_ref = centre;
		v->list.ref = centre;
		v->list.cursor = SIZE_MAX / 2;
	}
	free(code);
}

static bool toggle_break(struct view *v)
{
	struct place at = tui_place(v->t);
	struct stop *st = intro_stop_find_break(v->s, at.level, v->list.ref);
	struct err e = {0};
	if (st) {
		intro_stop_del(v->s, st->id);
	} else {
		struct stop new;
		stop_init(&new, STOP_BREAK, at.level);
		new.address = v->list.ref;
		new.len = 1;
		if (!intro_stop_add(v->s, &new, &e))
			tui_message(v->t, "%s", e.msg);
	}
	return true;
}

static bool act(struct view *v, enum action a)
{
	struct insn_text i;
	struct place at = tui_place(v->t);
	struct err e = {0};
	switch (a) {
	case ACT_BREAK:
		return toggle_break(v);
	case ACT_OPEN: /* follow a branch */
		if (intro_disas(v->s, at, v->list.ref, 0, &i, 1, &e) && i.target != UINT64_MAX) {
			v->has_address = true;
			v->address = (struct intro_address){at, SPACE_VIRTUAL, i.target};
		}
		return true;
	default:
		return view_act_address(v, a, "code at");
	}
}

const struct view_ops view_code = {.name = "code", .title = "Code",
	.help = "disassembly with symbols; b sets a breakpoint, Enter follows a branch, Esc returns",
	.fill = fill, .act = act, .enter = view_enter_address};

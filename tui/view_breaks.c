/* Breakpoints, watchpoints and catches of everybody. */
#include "tui/view.h"

#include "introspect/expr.h"
#include "introspect/stops.h"
#include "introspect/symbols.h"

static void fill(struct view *v, struct lines *l, int width)
{
	static const char *const owner[] = {"user", "gdb", "plugin", "run"};
	unsigned n = intro_stop_count(v->s);
	(void)width;
	lines_head(l, "  id  on  level  kind         hits  owner   where");
	for (unsigned i = 0; i < n; i++) {
		const struct stop *st = intro_stop_at(v->s, i);
		struct buf b = {0};
		lines_row(l, st->id);
		lines_add(l, COLOUR_NUMBER, "%4u", st->id);
		lines_add(l, st->enabled ? COLOUR_GOOD : COLOUR_DIM, "  %-3s",
			st->enabled ? "yes" : "no");
		if (st->level)
			lines_add(l, st->level == LEVEL_L1 ? COLOUR_L1 : COLOUR_L2, " l%-5u", st->level);
		else
			lines_add(l, COLOUR_DIM, " any   ");
		lines_add(l, COLOUR_DEFAULT, " %-12s %5llu  %-7s ", stop_kind_name(st->kind),
			(unsigned long long)st->hits, owner[st->owner]);
		if (st->kind == STOP_BREAK || st->kind == STOP_WATCH) {
			const struct intro_address a = {{st->level ? st->level : LEVEL_L1, 0}, st->space,
				st->address};
			if (st->space != SPACE_VIRTUAL) {
				intro_address_print(v->s, &a, &b);
				lines_add(l, COLOUR_ADDRESS, "%s ", b.data);
			} else {
				intro_symbol_print(v->s, a.at, st->address, &b);
				lines_add(l, COLOUR_ADDRESS, "%llx ", (unsigned long long)st->address);
				lines_add(l, COLOUR_SYMBOL, "%s ", b.data);
			}
		} else {
			lines_add(l, COLOUR_DEFAULT, "%s ", st->text);
		}
		if (st->condition)
			lines_add(l, COLOUR_DIM, "if %s", expr_text(st->condition));
		buf_done(&b);
	}
	if (!n)
		lines_head(l, "none; b in the code panel sets one, :help break tells more");
}

static bool act(struct view *v, enum action a)
{
	struct stop *st = intro_stop(v->s, (unsigned)v->list.ref);
	if (!st)
		return false;
	if (a == ACT_OPEN)
		intro_stop_enable(v->s, st->id, !st->enabled);
	else if (a == ACT_REMOVE || a == ACT_BREAK)
		intro_stop_del(v->s, st->id);
	else
		return false;
	return true;
}

const struct view_ops view_breaks = {.name = "breaks", .title = "Breaks",
	.help = "breakpoints, watchpoints, catches; Enter switches one, Delete removes it",
	.fill = fill, .act = act};

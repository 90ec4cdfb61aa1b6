/* Exits: the top by level, handler, reason, detail and symbol. */
#include "tui/view.h"

#include "introspect/exits.h"
#include "introspect/expr.h"
#include "introspect/symbols.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 512

enum { SORT_COUNT, SORT_COST, SORT_CAUSED, SORT_REASON, SORTS };
static const char *const sort_name[SORTS] = {"count", "cost", "caused", "reason"};
static const char *const split_name[4] = {"reason", "detail", "address", "detail and address"};

struct own {
	struct exit_filter filter;
	bool filtered, drilled;
	uint32_t drill_reason;
	uint8_t drill_level;
};

static void open_view(struct view *v)
{
	struct own *o = xalloc(sizeof(*o));
	exit_filter_init(&o->filter);
	v->own = o;
}

static void close_view(struct view *v)
{
	struct own *o = v->own;
	expr_free((struct expr *)o->filter.expr);
	free(o);
}

static uint64_t key(const struct exit_stat *x, unsigned sort)
{
	switch (sort) {
	case SORT_COST:
		return x->cost;
	case SORT_CAUSED:
		return x->caused;
	case SORT_REASON:
		return UINT64_MAX - x->reason;
	default:
		return x->count;
	}
}

/* Stable insertion sort: the rows come by falling count. */
static void sort_rows(struct exit_stat *row, size_t n, unsigned sort)
{
	for (size_t i = 1; sort != SORT_COUNT && i < n; i++) {
		struct exit_stat x = row[i];
		size_t j = i;
		for (; j && key(&row[j - 1], sort) < key(&x, sort); j--)
			row[j] = row[j - 1];
		row[j] = x;
	}
}

static void head(struct view *v, struct lines *l)
{
	struct exit_totals t;
	struct own *o = v->own;
	intro_exit_totals(v->s, &t);
	double seconds = (double)(t.now - t.since) / 1e9;
	lines_row(l, UINT64_MAX);
	l->line[l->count - 1].head = true;
	lines_add(l, COLOUR_DEFAULT, "%llu transitions", (unsigned long long)t.transitions);
	if (seconds > 0)
		lines_add(l, COLOUR_DEFAULT, ", %.0f/virtual s", (double)t.transitions / seconds);
	if (t.host_ns)
		lines_add(l, COLOUR_DEFAULT, ", %.0f/s",
			(double)t.transitions * 1e9 / (double)t.host_ns);
	if (t.exits[2])
		lines_add(l, COLOUR_DEFAULT, ", %.2f l1 exits per l2 exit",
			(double)t.caused / (double)t.exits[2]);
	lines_add(l, COLOUR_DIM, "  by %s, sorted by %s%s", split_name[v->mode & 3],
		sort_name[v->sort % SORTS], o->filtered ? ", filtered" : "");
	lines_head(l, "      count    %  from  by  kind     reason                 cost    mult  detail");
}

static uint64_t ref_of(const struct exit_stat *x)
{
	uint64_t h = x->reason | (uint64_t)x->level << 40 | (uint64_t)x->kind << 48 |
		(uint64_t)x->handler << 52;
	return h ^ x->detail * 0x9e3779b97f4a7c15 ^ x->rip * 0xc2b2ae3d27d4eb4f;
}

static void row(struct view *v, struct lines *l, const struct exit_stat *x, uint64_t total)
{
	struct buf text = {0};
	char from[16];
	uint32_t c = x->level == LEVEL_L1 ? COLOUR_L1 : COLOUR_L2;
	/* an entry's rip is L1's VMLAUNCH or VMRESUME */
	unsigned code = x->kind == EXIT_ENTRY || x->kind == EXIT_ENTRY_FAIL ? LEVEL_L1 : x->level;
	lines_row(l, ref_of(x));
	lines_add(l, COLOUR_NUMBER, "%11llu %4.1f", (unsigned long long)x->count,
		total ? 100.0 * (double)x->count / (double)total : 0.0);
	if (x->level > LEVEL_L2)
		snprintf(from, sizeof(from), "l2:%u", x->level - 1);
	else
		snprintf(from, sizeof(from), "l%u", x->level);
	lines_add(l, c, "  %s", from);
	lines_add(l, x->handler ? COLOUR_L1 : COLOUR_L0, "%*sl%u", 6 - (int)strlen(from), "", x->handler);
	lines_add(l, x->kind == EXIT_ENTRY_FAIL ? COLOUR_BAD : COLOUR_DEFAULT, "  %-8s",
		exit_kind_name(x->kind));
	lines_add(l, COLOUR_DEFAULT, " %-20s", exit_reason_name(x->reason));
	if (x->cost)
		lines_add(l, COLOUR_DEFAULT, " %7.0f", (double)x->cost / (double)x->count);
	else
		lines_add(l, COLOUR_DIM, "       -");
	if (x->caused)
		lines_add(l, COLOUR_DEFAULT, " %7.2f  ", (double)x->caused / (double)x->count);
	else
		lines_add(l, COLOUR_DIM, "       -  ");
	if (x->detail != UINT64_MAX) {
		struct exit_record r = {.reason = x->reason, .detail = x->detail, .gpa = UINT64_MAX,
			.gla = UINT64_MAX};
		exit_detail_print(&r, &text);
		lines_add(l, COLOUR_ADDRESS, "%s ", text.data ? text.data : "");
	}
	buf_clear(&text);
	if (x->rip != UINT64_MAX) {
		intro_symbol_print_cr3(v->s, code, x->cr3, x->rip, &text);
		lines_add(l, COLOUR_SYMBOL, "%s", text.data);
	}
	buf_done(&text);
}

static void fill(struct view *v, struct lines *l, int width)
{
	struct own *o = v->own;
	struct exit_filter f = o->filter;
	struct exit_stat *x = xalloc(ROWS * sizeof(*x));
	uint64_t total = 0;
	(void)width;
	if (o->drilled) {
		f.levels = 1u << o->drill_level;
		f.reasons[0] = f.reasons[1] = 0;
		f.reasons[(o->drill_reason & 127) / 64] = BIT(o->drill_reason & 63);
	}
	size_t n = intro_exit_stats(v->s, &f, v->mode & 3, x, ROWS);
	for (size_t i = 0; i < n; i++)
		total += x[i].count;
	sort_rows(x, n, v->sort % SORTS);
	head(v, l);
	for (size_t i = 0; i < n; i++)
		row(v, l, &x[i], total);
	if (!n)
		lines_head(l, "no exits yet");
	free(x);
}

/* Enter: only this level and reason, one step finer. */
static bool drill(struct view *v)
{
	struct own *o = v->own;
	struct exit_stat *x = xalloc(ROWS * sizeof(*x));
	size_t n = intro_exit_stats(v->s, &o->filter, v->mode & 3, x, ROWS);
	for (size_t i = 0; i < n; i++)
		if (ref_of(&x[i]) == v->list.ref) {
			o->drilled = true;
			o->drill_reason = x[i].reason;
			o->drill_level = x[i].level;
			v->mode = v->mode == 0 ? STAT_BY_DETAIL : (STAT_BY_DETAIL | STAT_BY_RIP);
			break;
		}
	free(x);
	return true;
}

static bool act(struct view *v, enum action a)
{
	struct own *o = v->own;
	switch (a) {
	case ACT_OPEN:
		return drill(v);
	case ACT_BACK:
		if (!o->drilled)
			return false;
		o->drilled = false;
		v->mode = 0;
		return true;
	case ACT_SORT:
		v->sort = (v->sort + 1) % SORTS;
		return true;
	case ACT_MODE:
		v->mode = (v->mode + 1) & 3;
		return true;
	case ACT_RESET:
		intro_exit_stats_reset(v->s);
		return true;
	case ACT_FILTER:
		tui_ask(v->t, v, a, "filter exits (level=2 reason=CPUID ... if EXPR)", v->filter);
		return true;
	default:
		return false;
	}
}

static bool enter(struct view *v, enum action asked, const char *text, struct err *e)
{
	struct own *o = v->own;
	struct exit_filter f;
	(void)asked;
	exit_filter_init(&f);
	if (*text && !exit_filter_parse(v->s, text, &f, e))
		return false;
	expr_free((struct expr *)o->filter.expr);
	o->filter = f;
	o->filtered = *text != 0;
	strncpy(v->filter, text, sizeof(v->filter) - 1);
	return true;
}

const struct view_ops view_exits = {.name = "exits", .title = "Exits",
	.help = "exits by level, handler, reason; m splits by detail and address, Enter drills down",
	.open = open_view, .close = close_view, .fill = fill, .act = act, .enter = enter};

/* exits and its views; trace. */
#include "command/cmds.h"
#include "introspect/exits.h"
#include "introspect/expr.h"
#include "introspect/regs.h"
#include "introspect/symbols.h"
#include "introspect/trace.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void symbol_cell(struct shell *sh, unsigned level, uint64_t cr3, uint64_t rip, struct output *o)
{
	struct buf b = {0};
	if (rip == UINT64_MAX) {
		out_none(o);
		return;
	}
	intro_symbol_print_cr3(sh->s, level, cr3, rip, &b);
	out_str(o, b.data);
	buf_done(&b);
}

static void totals(struct shell *sh, struct output *o)
{
	struct exit_totals t;
	intro_exit_totals(sh->s, &t);
	uint64_t span = t.now > t.since ? t.now - t.since : 1, exits = t.exits[1] + t.exits[2];
	out_values(o, NULL);
#define PAIR(key, v) (out_key(o, key), out_grouped(o, v))
	PAIR("transitions", t.transitions);
	PAIR("exits of l1", t.exits[1]);
	PAIR("exits of l2", t.exits[2]);
	PAIR("handled by l0", t.to_l0);
	PAIR("reflected to l1", t.to_l1);
	PAIR("entries", t.entries);
	PAIR("failed entries", t.entry_failures);
	PAIR("l1 exits caused", t.caused);
	out_key(o, "multiplication");
	if (t.to_l1)
		out_fmt(o, "%.2f exits of l1 for each exit of l2 that reached it",
			(double)t.caused / (double)t.to_l1);
	else
		out_none(o);
	PAIR("virtual ns", span);
	out_key(o, "per virtual second");
	out_grouped(o, (uint64_t)((double)exits * 1e9 / (double)span));
	if (t.lost)
		PAIR("folded or lost", t.lost);
#undef PAIR
}

/* Which of the ring's records are listed: the last `count` that match. */
struct chosen {
	uint64_t first, end; /* of the ring */
	uint64_t last;       /* the newest of them */
	uint8_t *bit;        /* owned; NULL: all from `first` on */
};

static void choose(struct shell *sh, const struct exit_filter *f, uint64_t count, struct chosen *c)
{
	struct exit_record r;
	uint64_t n = 0;
	*c = (struct chosen){0};
	intro_exits_range(sh->s, &c->first, &c->end);
	c->last = c->end ? c->end - 1 : 0;
	if (exit_filter_all(f)) {
		if (c->end - c->first > count)
			c->first = c->end - count;
		return;
	}
	c->bit = xalloc((c->end - c->first) / 8 + 1);
	for (uint64_t q = c->end; q-- > c->first && n < count;) {
		if (!intro_exit(sh->s, q, &r) || !exit_filter_match(sh->s, f, &r))
			continue;
		c->last = n++ ? c->last : q;
		c->bit[(q - c->first) / 8] |= (uint8_t)(1u << (q - c->first) % 8);
	}
}

/* Symbols of the places that exits come from: few, and each many times. */
#define NAMES 1024
struct names {
	uint64_t rip;
	unsigned level; /* 0: free */
	char text[96];
};

static const char *name_of(struct shell *sh, struct names *names, const struct exit_record *r)
{
	struct names *n = &names[(r->rip ^ r->rip >> 10 ^ r->from) % NAMES];
	struct buf b = {0};
	if (n->level == r->from && n->rip == r->rip)
		return n->text;
	n->level = r->from;
	n->rip = r->rip;
	intro_symbol_print_cr3(sh->s, r->from, r->cr3, r->rip, &b);
	snprintf(n->text, sizeof n->text, "%s", b.data);
	buf_done(&b);
	return n->text;
}

static void exit_row(const struct exit_record *r, const char *name, struct buf *b, struct output *o)
{
	out_u64(o, r->seq);
	out_u64(o, r->at.clock);
	out_u64(o, r->vcpu);
	out_str(o, exit_kind_name(r->kind));
	cmd_level_name(r->from, o);
	cmd_level_name(r->to, o);
	out_str(o, r->by_tool ? "plugin" : r->kind == EXIT_ENTRY ? "-" : r->handler ? "l1" : "l0");
	out_str(o, r->kind == EXIT_ENTRY ? "" : exit_reason_name(r->reason));
	buf_clear(b);
	exit_detail_print(r, b);
	out_str(o, b->len ? b->data : "");
	buf_clear(b);
	exit_qualification_decode(r, b);
	out_str(o, b->len ? b->data : "");
	out_str(o, name);
	out_hex(o, r->rip);
	out_u64(o, r->cost);
	out_u64(o, r->model_cost);
	if (r->cause == UINT64_MAX)
		out_none(o);
	else
		out_u64(o, r->cause);
}

static unsigned digits(uint64_t v)
{
	unsigned n = 1;
	while (v /= 10)
		n++;
	return n;
}

static bool list(struct shell *sh, const struct exit_filter *f, uint64_t count, struct output *o)
{
	struct names *names = xalloc(NAMES * sizeof *names);
	struct exit_record r;
	struct chosen c;
	struct buf b = {0};
	choose(sh, f, count, &c);
	out_table(o, "exits", ">seq,>clock,>vcpu,kind,from,to,by,reason,detail,qualification,symbol,.rip,>cost,.cycles,>cause");
	if (c.end > c.first && intro_exit(sh->s, c.last, &r)) { /* numbers and clock only rise */
		out_width(o, 0, digits(r.seq));
		out_width(o, 1, digits(r.at.clock));
	}
	for (uint64_t q = c.first; q < c.end && !output_stopped(o); q++) {
		if (c.bit && !(c.bit[(q - c.first) / 8] >> (q - c.first) % 8 & 1))
			continue;
		if (intro_exit(sh->s, q, &r))
			exit_row(&r, name_of(sh, names, &r), &b, o);
	}
	buf_done(&b);
	free(c.bit);
	free(names);
	return true;
}

static int by_row(const void *a, const void *b)
{
	const struct exit_stat *x = a, *y = b;
#define ORDER(what) \
	if (x->what != y->what) \
		return x->what < y->what ? -1 : 1
	ORDER(rip);
	ORDER(reason);
	ORDER(level);
	ORDER(kind);
	ORDER(detail);
#undef ORDER
	return 0;
}

/* Rows of one symbol become one. */
static size_t merge_symbols(struct shell *sh, struct exit_stat *row, size_t n)
{
	size_t kept = 0;
	for (size_t i = 0; i < n; i++) {
		struct symbol y;
		unsigned code = row[i].kind == EXIT_ENTRY ? LEVEL_L1 : row[i].level;
		if (intro_symbol_at_cr3(sh->s, code, row[i].cr3, row[i].rip, &y))
			row[i].rip = y.address;
		row[i].cr3 = 0;
	}
	qsort(row, n, sizeof *row, by_row);
	for (size_t i = 0; i < n; i++) {
		if (!kept || by_row(&row[kept - 1], &row[i])) {
			row[kept++] = row[i];
			continue;
		}
		row[kept - 1].count += row[i].count;
		row[kept - 1].cost += row[i].cost;
		row[kept - 1].caused += row[i].caused;
	}
	return kept;
}

static int by_count(const void *a, const void *b)
{
	const struct exit_stat *x = a, *y = b;
	return x->count < y->count ? 1 : x->count > y->count ? -1 : by_row(a, b);
}

static void detail_cell(const struct exit_stat *s, struct output *o)
{
	struct exit_record r = {.kind = s->kind, .reason = s->reason, .detail = s->detail};
	struct buf b = {0};
	exit_detail_print(&r, &b);
	out_str(o, b.data ? b.data : "");
	buf_done(&b);
}

#define STATS_MAX 65536

static bool top(struct shell *sh, const struct exit_filter *f, unsigned split, bool symbols,
	uint64_t count, struct output *o)
{
	struct exit_stat *row = xalloc(STATS_MAX * sizeof *row);
	uint64_t all = 0;
	size_t n = intro_exit_stats(sh->s, f, split, row, STATS_MAX);
	for (size_t i = 0; i < n; i++)
		all += row[i].count;
	if (symbols) {
		n = merge_symbols(sh, row, n);
		qsort(row, n, sizeof *row, by_count);
	}
	out_table(o, "top", ">count,>share,level,kind,by,reason,detail,symbol,>cost,.cycles,>caused");
	for (size_t i = 0; i < n && i < count; i++) {
		const struct exit_stat *s = &row[i];
		bool entry = s->kind == EXIT_ENTRY;
		out_grouped(o, s->count);
		out_fmt(o, "%.1f%%", 100.0 * (double)s->count / (double)(all ? all : 1));
		cmd_level_name(s->level, o);
		out_str(o, exit_kind_name(s->kind));
		out_str(o, entry ? "-" : s->handler ? "l1" : "l0");
		out_str(o, entry ? "" : exit_reason_name(s->reason));
		detail_cell(s, o);
		/* an entry's rip is L1's VMLAUNCH or VMRESUME */
		symbol_cell(sh, entry ? LEVEL_L1 : s->level, s->cr3, s->rip, o);
		out_grouped(o, s->count ? s->cost / s->count : 0);
		out_u64(o, s->model_cost);
		out_grouped(o, s->caused);
	}
	free(row);
	return true;
}

static bool hist(struct shell *sh, const struct exit_filter *f, unsigned split, uint64_t count,
	struct output *o)
{
	struct exit_stat *row = xalloc(4096 * sizeof *row);
	size_t n = intro_exit_stats(sh->s, f, split, row, 4096);
	uint64_t full = n ? row[0].count : 0;
	out_table(o, "histogram", "level,reason,detail,>count,bar");
	for (size_t i = 0; i < n && i < count; i++) {
		struct buf bar = {0};
		if (row[i].kind == EXIT_ENTRY)
			continue;
		for (uint64_t k = 0; k < (row[i].count * 40 + full - 1) / (full ? full : 1); k++)
			buf_char(&bar, '#');
		cmd_level_name(row[i].level, o);
		out_str(o, exit_reason_name(row[i].reason));
		detail_cell(&row[i], o);
		out_u64(o, row[i].count);
		out_str(o, bar.data ? bar.data : "");
		buf_done(&bar);
	}
	free(row);
	return true;
}

static bool causes(struct shell *sh, struct exit_filter *f, unsigned split, uint64_t count,
	struct output *o)
{
	struct exit_stat *row = xalloc(4096 * sizeof *row);
	f->kinds = f->kinds ? f->kinds : 1u << EXIT_REFLECT;
	size_t n = intro_exit_stats(sh->s, f, split, row, 4096);
	out_table(o, "causes", "level,reason,detail,>count,>l1_exits,>per_exit,>l1_instructions");
	for (size_t i = 0; i < n && i < count; i++) {
		cmd_level_name(row[i].level, o);
		out_str(o, exit_reason_name(row[i].reason));
		detail_cell(&row[i], o);
		out_grouped(o, row[i].count);
		out_grouped(o, row[i].caused);
		out_fmt(o, "%.2f", (double)row[i].caused / (double)row[i].count);
		out_grouped(o, row[i].cost / row[i].count);
	}
	free(row);
	return true;
}

static bool storm(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	struct exit_storm s;
	uint64_t threshold;
	if (args_rest(a)) {
		if (!args_number(sh, a, &threshold, e) || !args_end(a, e))
			return false;
		intro_exit_storm_threshold(sh->s, threshold);
	}
	intro_exit_storm(sh->s, &s);
	out_values(o, NULL);
	out_key(o, "storm");
	out_bool(o, s.storming);
	out_key(o, "per virtual second");
	out_grouped(o, s.per_second);
	out_key(o, "threshold");
	out_grouped(o, s.threshold);
	out_key(o, "looked at");
	out_grouped(o, s.window);
	out_key(o, "cause");
	out_str(o, s.cause[0] ? s.cause : NULL);
	out_key(o, "remedy");
	out_str(o, s.remedy[0] ? s.remedy : NULL);
	return true;
}

static bool split_of(const char *w, unsigned *split, bool *symbols)
{
	*symbols |= !strcmp(w, "symbol");
	*split |= !strcmp(w, "detail") ? STAT_BY_DETAIL : 0;
	*split |= !strcmp(w, "rip") || !strcmp(w, "symbol") ? STAT_BY_RIP : 0;
	return !strcmp(w, "detail") || !strcmp(w, "rip") || !strcmp(w, "symbol");
}

bool cmd_exits(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	static const char *const views[] = {"list", "top", "hist", "causes", "storm", "reset"};
	struct exit_filter f;
	unsigned split = 0;
	bool symbols = false, ok = true;
	uint64_t count = 20;
	int view = -1;
	if (!args_rest(a)) {
		totals(sh, o);
		return true;
	}
	for (int i = 0; i < 6 && view < 0; i++)
		if (args_take(a, views[i]))
			view = i;
	if (view == 4)
		return storm(sh, a, o, e);
	if (view == 5) {
		intro_exit_stats_reset(sh->s);
		out_text(o, "statistics start anew");
		return args_end(a, e);
	}
	if (args_rest(a) && isdigit((unsigned char)*args_rest(a)) && !args_number(sh, a, &count, e))
		return false;
	while (args_take(a, "by"))
		if (!args_next(a) || !split_of(a->word, &split, &symbols))
			return cmd_choices("split", a->word, "detail, rip, symbol", e);
	if (!exit_filter_parse(sh->s, args_rest(a) ? a->rest : "", &f, e))
		return false;
	if (view == 1)
		ok = top(sh, &f, split, symbols, count, o);
	else if (view == 2)
		ok = hist(sh, &f, split, count, o);
	else if (view == 3)
		ok = causes(sh, &f, split, count, o);
	else
		ok = list(sh, &f, count, o);
	expr_free((struct expr *)f.expr);
	return ok;
}

bool cmd_trace(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	struct trace_status t;
	struct exit_filter f;
	enum trace_format format;
	char path[512];
	uint64_t max = 0;
	if (args_take(a, "off")) {
		intro_trace_status(sh->s, &t);
		if (!t.on)
			return err_set(e, ERR_GENERAL, "no trace runs; trace FILE starts one");
		if (!intro_trace_stop(sh->s, e))
			return false;
		out_text(o, "%s: %" PRIu64 " records", t.path, t.records);
		return true;
	}
	if (args_next(a)) {
		snprintf(path, sizeof path, "%s", a->word);
		format = trace_format_guess(path);
		for (int k = 0; k <= TRACE_FOLDED; k++)
			if (args_take(a, trace_format_name(k)))
				format = k;
		if (args_take(a, "max") && !args_number(sh, a, &max, e))
			return false;
		if (!exit_filter_parse(sh->s, args_rest(a) ? a->rest : "", &f, e))
			return false;
		if (!intro_trace_start(sh->s, path, format, &f, max, e)) {
			expr_free((struct expr *)f.expr);
			return false;
		}
	}
	intro_trace_status(sh->s, &t);
	out_values(o, NULL);
	out_key(o, "trace");
	out_str(o, t.on ? t.path : "off");
	if (!t.on)
		return true;
	out_key(o, "format");
	out_str(o, trace_format_name(t.format));
	out_key(o, "records");
	out_grouped(o, t.records);
	return true;
}

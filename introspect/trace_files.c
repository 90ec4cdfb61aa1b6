/* Traces as text, JSON lines, Chrome/Perfetto JSON and folded stacks. */
#include "introspect/trace_writer.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct file_writer {
	struct intro *s;
	FILE *f;           /* owned */
	char *path;        /* owned */
	struct buf line;
	bool first;
	/* folded: counts by stack */
	struct folded {
		char *stack; /* owned */
		uint64_t count;
	} *fold;           /* owned; open-addressed, a power of two */
	size_t folds, slots;
};

void trace_symbol(struct intro *s, const struct exit_record *r, struct buf *out)
{
	intro_symbol_print_cr3(s, r->from, r->cr3, r->rip, out);
}

static void *file_open(struct intro *s, const char *path, struct err *e)
{
	FILE *f = fopen(path, "we");
	if (!f) {
		err_errno(e, "cannot write a trace to '%s'", path);
		return NULL;
	}
	setvbuf(f, NULL, _IOFBF, 1 << 16);
	struct file_writer *w = xalloc(sizeof *w);
	*w = (struct file_writer){.s = s, .f = f, .path = xstrdup(path), .first = true};
	return w;
}

static bool put_line(struct file_writer *w, uint64_t *bytes, struct err *e)
{
	if (fwrite(w->line.data, 1, w->line.len, w->f) != w->line.len)
		return err_errno(e, "writing the trace '%s' failed", w->path);
	*bytes += w->line.len;
	return true;
}

static bool file_close(void *writer, struct err *e)
{
	struct file_writer *w = writer;
	bool ok = !fclose(w->f) || err_errno(e, "writing the trace '%s' failed", w->path);
	for (size_t i = 0; i < w->slots; i++)
		free(w->fold[i].stack);
	free(w->fold);
	buf_done(&w->line);
	free(w->path);
	free(w);
	return ok;
}

static bool text_record(void *writer, const struct exit_record *r, uint64_t *bytes, struct err *e)
{
	struct file_writer *w = writer;
	buf_clear(&w->line);
	buf_fmt(&w->line, "%" PRIu64 " %" PRIu64 " vcpu%u l%u->l%u %s", r->seq, r->at.clock, r->vcpu,
		r->from, r->to, exit_kind_name(r->kind));
	if (r->kind != EXIT_ENTRY) {
		buf_fmt(&w->line, " by l%u%s %s ", r->handler, r->by_tool ? " (plugin)" : "",
			exit_reason_name(r->reason));
		exit_detail_print(r, &w->line);
		buf_fmt(&w->line, " qual 0x%" PRIx64, r->qualification);
	}
	buf_str(&w->line, " at ");
	trace_symbol(w->s, r, &w->line);
	if (r->cost)
		buf_fmt(&w->line, " cost %" PRIu64, r->cost);
	if (r->cause != UINT64_MAX)
		buf_fmt(&w->line, " cause %" PRIu64, r->cause);
	buf_char(&w->line, '\n');
	return put_line(w, bytes, e);
}

static json_t *hex(uint64_t v)
{
	char t[24];
	snprintf(t, sizeof t, "0x%" PRIx64, v);
	return json_string(t);
}

/* The parts that every JSON form has. */
static json_t *as_json(struct file_writer *w, const struct exit_record *r)
{
	struct buf b = {0};
	json_t *j = json_pack("{s:I,s:I,s:i,s:s,s:i,s:i}", "seq", (json_int_t)r->seq, "clock",
		(json_int_t)r->at.clock, "vcpu", r->vcpu, "kind", exit_kind_name(r->kind), "from",
		r->from, "to", r->to);
	trace_symbol(w->s, r, &b);
	json_object_set_new(j, "rip", hex(r->rip));
	json_object_set_new(j, "symbol", json_string(b.data));
	if (r->kind != EXIT_ENTRY) {
		json_object_set_new(j, "handler", json_integer(r->handler));
		if (r->by_tool)
			json_object_set_new(j, "by_plugin", json_true());
		json_object_set_new(j, "reason", json_string(exit_reason_name(r->reason)));
		json_object_set_new(j, "qualification", hex(r->qualification));
		buf_clear(&b);
		exit_detail_print(r, &b);
		if (b.len)
			json_object_set_new(j, "detail", json_string(b.data));
	}
	if (r->cost)
		json_object_set_new(j, "cost", json_integer((json_int_t)r->cost));
	if (r->cause != UINT64_MAX)
		json_object_set_new(j, "cause", json_integer((json_int_t)r->cause));
	buf_done(&b);
	return j;
}

static void add_json(struct file_writer *w, json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT);
	buf_str(&w->line, text ? text : "{}");
	free(text);
	json_decref(j);
}

static bool jsonl_record(void *writer, const struct exit_record *r, uint64_t *bytes, struct err *e)
{
	struct file_writer *w = writer;
	buf_clear(&w->line);
	add_json(w, as_json(w, r));
	buf_char(&w->line, '\n');
	return put_line(w, bytes, e);
}

/* --- Chrome: one process per level, one thread per vCPU -------------------------- */

static void chrome_event(struct file_writer *w, json_t *j)
{
	buf_str(&w->line, w->first ? "[\n" : ",\n");
	w->first = false;
	add_json(w, j);
}

/* A transition ends the slice of the level that was left and begins the next. */
static bool chrome_record(void *writer, const struct exit_record *r, uint64_t *bytes, struct err *e)
{
	struct file_writer *w = writer;
	double us = (double)r->at.clock / 1000.0;
	const char *name = r->kind == EXIT_ENTRY ? "entry" : exit_reason_name(r->reason);
	buf_clear(&w->line);
	if (w->first) {
		static const char *const levels[] = {"L0", "L1", "L2"};
		for (int i = 0; i < 3; i++)
			chrome_event(w, json_pack("{s:s,s:s,s:i,s:{s:s}}", "ph", "M", "name",
				"process_name", "pid", i, "args", "name", levels[i]));
	}
	json_t *args = as_json(w, r);
	if (r->kind == EXIT_REFLECT)
		chrome_event(w, json_pack("{s:s,s:s,s:f,s:f,s:i,s:i,s:o}", "ph", "X", "name", name, "ts",
			us, "dur", (double)r->cost / 1000.0, "pid", r->to, "tid", r->vcpu, "args", args));
	else
		chrome_event(w, json_pack("{s:s,s:s,s:s,s:f,s:i,s:i,s:o}", "ph", "i", "s", "t", "name",
			name, "ts", us, "pid", r->from, "tid", r->vcpu, "args", args));
	return put_line(w, bytes, e);
}

static bool chrome_close(void *writer, struct err *e)
{
	struct file_writer *w = writer;
	fputs(w->first ? "[]\n" : "\n]\n", w->f);
	return file_close(w, e);
}

/* --- folded stacks: level;handler;reason;detail;symbol count ----------------------- */

#define FOLDS_MAX (1u << 20)

static uint64_t hash_text(const char *s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
	return h;
}

static struct folded *fold_slot(struct folded *fold, size_t slots, const char *stack)
{
	size_t i = hash_text(stack) & (slots - 1);
	while (fold[i].stack && strcmp(fold[i].stack, stack))
		i = (i + 1) & (slots - 1);
	return &fold[i];
}

static void fold_grow(struct file_writer *w)
{
	size_t slots = w->slots ? w->slots * 2 : 1024;
	struct folded *fold = xalloc(slots * sizeof *fold);
	for (size_t i = 0; i < w->slots; i++)
		if (w->fold[i].stack)
			*fold_slot(fold, slots, w->fold[i].stack) = w->fold[i];
	free(w->fold);
	w->fold = fold;
	w->slots = slots;
}

static bool folded_record(void *writer, const struct exit_record *r, uint64_t *bytes, struct err *e)
{
	struct file_writer *w = writer;
	struct symbol y;
	(void)e;
	if (r->kind == EXIT_ENTRY || w->folds >= FOLDS_MAX)
		return true;
	buf_clear(&w->line);
	buf_fmt(&w->line, "l%u;", r->from);
	if (intro_symbol_at_cr3(w->s, r->from ? r->from : 1, r->cr3, r->rip, &y))
		buf_fmt(&w->line, "%s;", y.name);
	else
		buf_fmt(&w->line, "0x%" PRIx64 ";", r->rip);
	buf_fmt(&w->line, "by l%u;%s", r->handler, exit_reason_name(r->reason));
	size_t at = w->line.len;
	buf_char(&w->line, ';');
	exit_detail_print(r, &w->line);
	if (w->line.len == at + 1)
		w->line.data[w->line.len = at] = 0;
	if (w->folds * 4 >= w->slots * 3)
		fold_grow(w);
	struct folded *slot = fold_slot(w->fold, w->slots, w->line.data);
	if (!slot->stack) {
		slot->stack = xstrdup(w->line.data);
		w->folds++;
		*bytes += w->line.len;
	}
	slot->count++;
	return true;
}

static int by_stack(const void *a, const void *b)
{
	const struct folded *x = a, *y = b;
	if (!x->stack || !y->stack)
		return !x->stack - !y->stack;
	return strcmp(x->stack, y->stack);
}

static bool folded_close(void *writer, struct err *e)
{
	struct file_writer *w = writer;
	if (w->slots)
		qsort(w->fold, w->slots, sizeof *w->fold, by_stack);
	for (size_t i = 0; i < w->folds; i++)
		fprintf(w->f, "%s %" PRIu64 "\n", w->fold[i].stack, w->fold[i].count);
	return file_close(w, e);
}

const struct trace_writer_ops trace_text_ops = {file_open, text_record, file_close};
const struct trace_writer_ops trace_jsonl_ops = {file_open, jsonl_record, file_close};
const struct trace_writer_ops trace_chrome_ops = {file_open, chrome_record, chrome_close};
const struct trace_writer_ops trace_folded_ops = {file_open, folded_record, folded_close};

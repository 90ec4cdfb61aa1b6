/* The trace of a session: takes records from the ring, hands them to a
 * writer, rotates at the size limit. */
#include "introspect/trace_writer.h"
#include "introspect/expr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name, *suffix;
	const struct trace_writer_ops *ops;
} formats[] = {{"text", ".txt", &trace_text_ops}, {"jsonl", ".jsonl", &trace_jsonl_ops},
	{"sqlite", ".db", &trace_sqlite_ops}, {"chrome", ".json", &trace_chrome_ops},
	{"folded", ".folded", &trace_folded_ops}};

const char *trace_format_name(enum trace_format f)
{
	return formats[f].name;
}

bool trace_format_find(const char *name, enum trace_format *f)
{
	for (int i = 0; i <= TRACE_FOLDED; i++) {
		if (!strcmp(formats[i].name, name)) {
			*f = i;
			return true;
		}
	}
	return false;
}

enum trace_format trace_format_guess(const char *path)
{
	size_t n = strlen(path);
	for (int i = 0; i <= TRACE_FOLDED; i++) {
		size_t k = strlen(formats[i].suffix);
		if (n >= k && !strcmp(path + n - k, formats[i].suffix))
			return i;
	}
	if (n >= 7 && !strcmp(path + n - 7, ".sqlite"))
		return TRACE_SQLITE;
	return TRACE_TEXT;
}

struct trace {
	struct trace_status status;
	const struct trace_writer_ops *ops;
	void *writer;
	struct exit_filter filter; /* owns its expression */
	uint64_t seq, max;
	struct err error;          /* the first; ends the trace */
};

bool intro_trace_start(struct intro *s, const char *path, enum trace_format format,
	const struct exit_filter *filter, uint64_t max_bytes, struct err *e)
{
	struct trace *t;
	uint64_t first;
	if (s->trace)
		return err_set(e, ERR_GENERAL, "a trace to '%s' runs already; trace off ends it",
			s->trace->status.path);
	if (strlen(path) >= sizeof t->status.path)
		return err_set(e, ERR_GENERAL, "the file name is too long");
	t = xalloc(sizeof *t);
	t->ops = formats[format].ops;
	t->filter = *filter;
	t->max = max_bytes;
	t->status.on = true;
	t->status.format = format;
	snprintf(t->status.path, sizeof t->status.path, "%s", path);
	intro_exits_range(s, &first, &t->seq);
	t->writer = t->ops->open(s, path, e);
	if (!t->writer) {
		free(t);
		return false;
	}
	s->trace = t;
	return true;
}

static bool rotate(struct intro *s, struct trace *t)
{
	char old[300];
	bool ok = t->ops->close(t->writer, &t->error);
	snprintf(old, sizeof old, "%s.1", t->status.path);
	t->writer = NULL;
	if (!ok)
		return false;
	if (rename(t->status.path, old))
		return err_errno(&t->error, "cannot rename '%s'", t->status.path);
	t->status.bytes = 0;
	t->writer = t->ops->open(s, t->status.path, &t->error);
	return t->writer != NULL;
}

void trace_update(struct intro *s)
{
	struct trace *t = s->trace;
	struct exit_record r;
	uint64_t first, end;
	if (!t || !t->writer)
		return;
	intro_exits_range(s, &first, &end);
	if (t->seq < first) {
		t->status.lost += first - t->seq;
		t->seq = first;
	}
	for (; t->seq < end && t->writer; t->seq++) {
		if (!intro_exit(s, t->seq, &r) || !exit_filter_match(s, &t->filter, &r))
			continue;
		/* the cost of a reflected exit comes at re-entry: wait for it */
		if (r.kind == EXIT_REFLECT && !r.cost && s->running && end - t->seq < 1000)
			break;
		if (!t->ops->record(t->writer, &r, &t->status.bytes, &t->error))
			break;
		t->status.records++;
		if (t->max && t->status.bytes >= t->max && !rotate(s, t))
			break;
	}
	if (t->error.msg[0])
		log_once(intro_log(s), LOG_ERROR, "trace", 0, "%s", t->error.msg);
}

bool intro_trace_stop(struct intro *s, struct err *e)
{
	struct trace *t = s->trace;
	bool running = s->running, ok = true;
	if (!t)
		return true;
	s->running = false; /* what waits for its cost goes out as it is */
	trace_update(s);
	s->running = running;
	if (t->writer)
		ok = t->ops->close(t->writer, &t->error);
	if (t->error.msg[0])
		ok = err_set(e, ERR_FILE, "%s", t->error.msg);
	expr_free((struct expr *)t->filter.expr);
	free(t);
	s->trace = NULL;
	return ok;
}

void intro_trace_status(struct intro *s, struct trace_status *out)
{
	memset(out, 0, sizeof *out);
	if (!s->trace)
		return;
	trace_update(s);
	*out = s->trace->status;
}

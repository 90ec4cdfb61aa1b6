/* One writer per trace format; for introspect/ alone. */
#ifndef INTROSPECT_TRACE_WRITER_H
#define INTROSPECT_TRACE_WRITER_H

#include "introspect/private.h"
#include "introspect/trace.h"

struct trace_writer_ops {
	void *(*open)(struct intro *s, const char *path, struct err *e);
	/* Adds what it wrote (an estimate for SQLite) to *bytes. */
	bool (*record)(void *writer, const struct exit_record *r, uint64_t *bytes, struct err *e);
	bool (*close)(void *writer, struct err *e); /* frees the writer in any case */
};

extern const struct trace_writer_ops trace_text_ops, trace_jsonl_ops, trace_sqlite_ops,
	trace_chrome_ops, trace_folded_ops;

/* "name+0x12" of a record's rip. */
void trace_symbol(struct intro *s, const struct exit_record *r, struct buf *out);

#endif

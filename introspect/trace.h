/* Traces: transitions written to a file while the machine runs.
 *
 * Records are taken from the exit ring at slice ends, filtered before they
 * are written. One trace a session.
 */
#ifndef INTROSPECT_TRACE_H
#define INTROSPECT_TRACE_H

#include "introspect/exits.h"

enum trace_format { TRACE_TEXT, TRACE_JSONL, TRACE_SQLITE, TRACE_CHROME, TRACE_FOLDED };

/* By name, or guessed from a file name's end. */
bool trace_format_find(const char *name, enum trace_format *f);
enum trace_format trace_format_guess(const char *path);
const char *trace_format_name(enum trace_format f);

/* max_bytes 0: no limit; at the limit the file is renamed to PATH.1 and begun
 * anew. The filter's expression passes to the trace on success. */
bool intro_trace_start(struct intro *s, const char *path, enum trace_format format,
	const struct exit_filter *filter, uint64_t max_bytes, struct err *e);
/* Writes what is left and closes; false and *e when writing failed. */
bool intro_trace_stop(struct intro *s, struct err *e);

struct trace_status {
	bool on;
	char path[256];
	enum trace_format format;
	uint64_t records, bytes, lost;
};
void intro_trace_status(struct intro *s, struct trace_status *out);

#endif

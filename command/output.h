/* What a command answers, as data: prose lines, key-values, tables, trees.
 * One model is rendered for humans or as JSON, so that both say the same.
 *
 * A document is a sequence of parts. Cells are added to the part that is open:
 * for a table column by column (rows fill by themselves), for key-values
 * after out_key(). Numbers that are addresses or bit patterns are hexadecimal
 * and become strings in JSON (64 bits do not fit its numbers).
 *
 * A document can flow: then a table that grows long is rendered block by block
 * while its rows come, so that memory stays bounded and a reader who has seen
 * enough can end it. In JSON what stands in front of such a table may share no
 * name with what follows it.
 */
#ifndef COMMAND_OUTPUT_H
#define COMMAND_OUTPUT_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct output;

struct output *output_new(void);
void output_free(struct output *o);
bool output_empty(const struct output *o);

/* A line of prose (JSON: an element of "text"). */
void out_text(struct output *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A blank line for humans; nothing in JSON. */
void out_gap(struct output *o);

/* Opens a table. columns: "level,>count,state"; '>' aligns right. The name is
 * its key in JSON; headings are the column names. Columns that start with '.'
 * are shown in JSON only. */
void out_table(struct output *o, const char *name, const char *columns);
/* Opens key-values; name NULL: at the top of the JSON object. */
void out_values(struct output *o, const char *name);
void out_key(struct output *o, const char *key);

/* Cells. */
void out_str(struct output *o, const char *s); /* NULL: as out_none */
void out_fmt(struct output *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void out_u64(struct output *o, uint64_t v);
void out_grouped(struct output *o, uint64_t v); /* 1,234,567 for humans */
void out_hex(struct output *o, uint64_t v);
void out_hexw(struct output *o, uint64_t v, unsigned bytes); /* all digits of the width */
void out_bool(struct output *o, bool v);
void out_none(struct output *o); /* "-", null */

/* Opens a tree, and adds nodes: depth 0 is a root. Attributes that follow
 * (out_key and a cell) are for JSON only. */
void out_tree(struct output *o, const char *name);
void out_node(struct output *o, unsigned depth, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Bytes as they are (a guest's screen, a help page): text for humans, one
 * string in JSON. */
void out_raw(struct output *o, const char *name, const char *text, size_t len);

/* The column (from 0) of the open table will not be narrower than this. */
void out_width(struct output *o, size_t column, size_t width);

/* Takes what was rendered so far (and clears it, or leaves it to grow); false:
 * nobody wants the rest. */
struct output_flow {
	bool (*fn)(void *ctx, struct buf *text);
	void *ctx;
};
/* From here on rows flow into *to; without a flow (NULL) the answer is an error
 * when it gets longer than 64 MiB. All borrowed. */
void output_flow(struct output *o, bool json, struct buf *to, const struct output_flow *flow);
/* Should the command stop making rows? */
bool output_stopped(const struct output *o);
/* Renders what has not flowed yet into *to. */
void output_end(struct output *o);

/* Marks the document as an error; it is rendered as "error: ..." alone. */
void out_error(struct output *o, const char *message);
const char *output_error_text(const struct output *o); /* NULL: none */

/* Renders; columns are as wide as their cells. */
void output_human(const struct output *o, struct buf *out);
/* One JSON object on one line. */
void output_json(const struct output *o, struct buf *out);

#endif

/* The document of command/output.h as its renderers see it; for command/ alone.
 *
 * A part's texts lie one after another in one buffer, so that a table of a
 * million rows is not a million allocations. Rows that were rendered leave the
 * part (they flow), what stands in front of them has been rendered by then.
 */
#ifndef COMMAND_OUTPUT_MODEL_H
#define COMMAND_OUTPUT_MODEL_H

#include "command/output.h"

#include <stddef.h>

enum part_kind { PART_TEXT, PART_GAP, PART_TABLE, PART_VALUES, PART_TREE, PART_RAW };
enum cell_kind { CELL_STR, CELL_INT, CELL_BOOL, CELL_NONE };

struct cell {
	uint64_t value;
	size_t at;    /* of its text in the part's; NUL-terminated */
	size_t key;   /* of its key, plus 1; 0: none */
	uint32_t len; /* bytes */
	int node;     /* trees: which node it belongs to */
	enum cell_kind kind;
};

struct column {
	char *name; /* owned */
	char *json; /* owned; '{"name":' or ',"name":', made when rows flow */
	size_t width; /* of the widest so far, heading included, on a screen */
	bool right, hidden;
};

struct node {
	unsigned depth;
	char *text; /* owned */
};

struct part {
	enum part_kind kind;
	char *name; /* owned; may be NULL */
	char *text; /* owned; PART_TEXT, PART_RAW */
	size_t len;
	struct buf cells_text;
	struct column *column;
	size_t columns;
	struct cell *cell;
	size_t cells, cells_cap;
	struct node *node;
	size_t nodes, nodes_cap;
};

struct output {
	struct part *part; /* owned */
	size_t parts;
	char *key;         /* owned; waits for its cell */
	char *error;       /* owned */

	const struct output_flow *flow; /* borrowed; NULL: nothing flows */
	struct buf *to;    /* where flowing rows go */
	bool json, begun;  /* a JSON object was opened in `to` */
	bool first_row;    /* none of the open table has flowed as JSON */
	bool open;         /* the last part is a table whose first rows have flowed */
	bool stopped;
	size_t flowed;     /* parts that were rendered already */
};

/* Columns of the screen that UTF-8 text takes, near enough for alignment. */
size_t text_width(const char *s, size_t len);

void human_part(const struct part *p, struct buf *out);
void human_heading(const struct part *p, struct buf *out);
void human_rows(const struct part *p, struct buf *out);

/* The members of parts [from, end) and the error, without the braces. */
void json_members(const struct output *o, size_t from, size_t end, struct buf *out);
/* "name":[ and then rows with commas between them; *first is cleared. */
void json_heading(struct part *p, struct buf *out);
void json_rows(const struct part *p, bool *first, struct buf *out);

#endif

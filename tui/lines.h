/* Rows of styled text with a cursor: what most panels are made of.
 *
 * A view fills `struct lines` each time it is drawn; the list then shows the
 * part around the cursor. A row has a reference (a register, a record's
 * number) by which the cursor finds it again when rows come and go.
 * Styles are spans of colour roles inside a row.
 */
#ifndef TUI_LINES_H
#define TUI_LINES_H

#include "base/buf.h"
#include "base/grid.h"

struct span {
	uint32_t start; /* byte in the row's text */
	struct style style;
};

#define LINE_SPANS 24

struct line {
	size_t start, len; /* in lines->text */
	uint64_t ref;
	bool head;         /* not selectable */
	unsigned spans;
	struct span span[LINE_SPANS];
};

struct lines {
	struct buf text;
	struct line *line;
	size_t count, cap;
	const char *filter; /* rows without this text are dropped; NULL or "": none */
	bool ascii;
};

void lines_clear(struct lines *l);
void lines_done(struct lines *l);

/* Starts a row; what is added goes to it until the next. */
void lines_row(struct lines *l, uint64_t ref);
void lines_head(struct lines *l, const char *text); /* a whole heading row */
void lines_add(struct lines *l, uint32_t colour, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void lines_attr(struct lines *l, uint32_t colour, uint8_t attr, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Blanks up to a column of the row. */
void lines_pad(struct lines *l, int column);
void lines_spark(struct lines *l, uint32_t colour, const uint64_t *v, int n, int width);
/* Ends filling: applies the filter. */
void lines_end(struct lines *l);

struct list {
	size_t cursor, top;
	uint64_t ref;   /* of the row under the cursor */
	bool follow;    /* stay at the last row */
	int shift;      /* columns scrolled to the right */
	int page;       /* rows shown last */
};

/* Puts the cursor on its reference again, and the window around it. */
void list_settle(struct list *s, const struct lines *l, int rows);
void list_draw(struct list *s, const struct lines *l, struct grid *g, struct rect r, bool focus);
void list_move(struct list *s, const struct lines *l, long by);
void list_goto(struct list *s, const struct lines *l, size_t row);
/* The next row with the text after (or, backwards, before) the cursor; wraps. */
bool list_search(struct list *s, const struct lines *l, const char *text);

#endif

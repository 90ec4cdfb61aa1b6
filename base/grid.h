/* A grid of character cells: what TUI panels and plugins draw on, and what
 * golden tests read. No terminal is involved: tui/ copies cells to curses.
 *
 * Drawing outside the clip rectangle does nothing, so that a panel never has
 * to test its bounds. Text is UTF-8; a cell holds one glyph (with combining
 * marks), a wide glyph takes two cells (the second is empty with `wide_tail`).
 * Control characters are drawn as '.'.
 */
#ifndef BASE_GRID_H
#define BASE_GRID_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* Colours by meaning; the front end's theme turns them into terminal colours.
 * 0..COLOUR_ROLES-1 are roles, COLOUR_RGB(r, g, b) is exact. */
enum colour {
	COLOUR_DEFAULT, COLOUR_DIM, COLOUR_TITLE, COLOUR_BORDER, COLOUR_FOCUS, COLOUR_SELECT,
	COLOUR_L0, COLOUR_L1, COLOUR_L2, COLOUR_CHANGED, COLOUR_GOOD, COLOUR_WARN, COLOUR_BAD,
	COLOUR_ADDRESS, COLOUR_SYMBOL, COLOUR_NUMBER, COLOUR_KEY, COLOUR_STATUS,
	COLOUR_BLACK, COLOUR_RED, COLOUR_GREEN, COLOUR_YELLOW, COLOUR_BLUE, COLOUR_MAGENTA,
	COLOUR_CYAN, COLOUR_WHITE,
	COLOUR_ROLES
};
#define COLOUR_RGB(r, g, b) (0x1000000u | (uint32_t)(r) << 16 | (uint32_t)(g) << 8 | (uint32_t)(b))

enum { ATTR_BOLD = 1, ATTR_UNDERLINE = 2, ATTR_REVERSE = 4, ATTR_BLINK = 8, ATTR_ITALIC = 16 };

struct style {
	uint32_t fg, bg; /* enum colour or COLOUR_RGB */
	uint8_t attr;    /* ATTR_* */
};

struct cell {
	char glyph[13]; /* UTF-8, NUL-terminated; "" is a blank */
	bool wide_tail;
	struct style style;
};

struct rect {
	int x, y, w, h;
};

struct grid {
	int w, h;
	struct cell *cell; /* owned; w * h, row by row */
	struct rect clip;  /* drawing happens inside */
	bool ascii;        /* lines, bars and sparklines in ASCII */
	int cursor_x, cursor_y; /* -1: hidden */
};

/* Sizes are held to 1..4096 cells a side. */
void grid_init(struct grid *g, int w, int h);
void grid_done(struct grid *g);
void grid_resize(struct grid *g, int w, int h); /* contents are cleared */
void grid_clear(struct grid *g);                /* the whole grid, whatever the clip */

struct rect rect_intersect(struct rect a, struct rect b);
bool rect_contains(struct rect r, int x, int y);
struct rect rect_inset(struct rect r, int by);

/* Narrows the clip to r and gives the old one back, for grid_unclip. */
struct rect grid_clip(struct grid *g, struct rect r);
void grid_unclip(struct grid *g, struct rect old);

/* NULL outside the grid. */
const struct cell *grid_at(const struct grid *g, int x, int y);

/* Draw at x, y; text returns the column after its end (as if unclipped) and
 * stops at a newline. At most `max` cells when max >= 0, with an ellipsis
 * where it is cut. */
int grid_text(struct grid *g, int x, int y, struct style st, const char *text);
int grid_text_max(struct grid *g, int x, int y, int max, struct style st, const char *text);
int grid_fmt(struct grid *g, int x, int y, struct style st, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
void grid_glyph(struct grid *g, int x, int y, struct style st, uint32_t codepoint);
void grid_fill(struct grid *g, struct rect r, struct style st, char c);
/* Changes the style of cells and leaves the text. */
void grid_restyle(struct grid *g, struct rect r, struct style st);
void grid_box(struct grid *g, struct rect r, struct style st, const char *title);
void grid_hline(struct grid *g, int x, int y, int w, struct style st);
void grid_vline(struct grid *g, int x, int y, int h, struct style st);
/* One cell per value, scaled to the largest (or to `full` when not 0); the
 * last `w` values when there are more. */
void grid_sparkline(struct grid *g, int x, int y, int w, struct style st, const uint64_t *v,
	int n, uint64_t full);
/* A bar of w cells filled part/whole, in eighths. */
void grid_bar(struct grid *g, int x, int y, int w, struct style st, uint64_t part, uint64_t whole);

/* Cells that `text` takes. */
int grid_text_width(const char *text);

/* Lines without trailing blanks, for golden tests. */
void grid_dump(const struct grid *g, struct buf *out);
/* The same with styles: "{fg/bg/attr}" wherever the style changes. */
void grid_dump_styled(const struct grid *g, struct buf *out);
const char *colour_name(uint32_t colour, char scratch[8]); /* "l2", "#10ff00" */

/* --- panels ----------------------------------------------------------------
 * What a front end shows in a rectangle. draw is a function of ctx and the
 * rectangle's size alone; it draws inside r and nowhere else. */
enum panel_key_result { PANEL_IGNORED, PANEL_REDRAW, PANEL_QUIT };

struct panel {
	const char *name;  /* one word, unique: "exits" */
	const char *title;
	void (*draw)(struct grid *g, struct rect r, void *ctx);
	/* A key: a Unicode code point, or PANEL_KEY_*. May be NULL. */
	enum panel_key_result (*key)(void *ctx, uint32_t key);
	void *ctx;
};

enum {
	PANEL_KEY_UP = 0x110000, PANEL_KEY_DOWN, PANEL_KEY_LEFT, PANEL_KEY_RIGHT, PANEL_KEY_PAGE_UP,
	PANEL_KEY_PAGE_DOWN, PANEL_KEY_HOME, PANEL_KEY_END, PANEL_KEY_DELETE, PANEL_KEY_INSERT,
	PANEL_KEY_BACKSPACE, PANEL_KEY_BACKTAB, PANEL_KEY_F1 /* F1 + n - 1 */
};

#endif

#include "base/grid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIDE_MAX 4096

static int side(int n)
{
	return n < 1 ? 1 : n > SIDE_MAX ? SIDE_MAX : n;
}

void grid_init(struct grid *g, int w, int h)
{
	*g = (struct grid){.cursor_x = -1, .cursor_y = -1};
	grid_resize(g, w, h);
}

void grid_done(struct grid *g)
{
	free(g->cell);
	g->cell = NULL;
	g->w = g->h = 0;
}

void grid_resize(struct grid *g, int w, int h)
{
	g->w = side(w);
	g->h = side(h);
	g->cell = xresize(g->cell, (size_t)g->w * (size_t)g->h * sizeof *g->cell);
	g->clip = (struct rect){0, 0, g->w, g->h};
	grid_clear(g);
}

void grid_clear(struct grid *g)
{
	memset(g->cell, 0, (size_t)g->w * (size_t)g->h * sizeof *g->cell);
	g->cursor_x = g->cursor_y = -1;
}

struct rect rect_intersect(struct rect a, struct rect b)
{
	int x0 = a.x > b.x ? a.x : b.x, y0 = a.y > b.y ? a.y : b.y;
	int x1 = a.x + a.w < b.x + b.w ? a.x + a.w : b.x + b.w;
	int y1 = a.y + a.h < b.y + b.h ? a.y + a.h : b.y + b.h;
	return (struct rect){x0, y0, x1 > x0 ? x1 - x0 : 0, y1 > y0 ? y1 - y0 : 0};
}

bool rect_contains(struct rect r, int x, int y)
{
	return x >= r.x && y >= r.y && x < r.x + r.w && y < r.y + r.h;
}

struct rect rect_inset(struct rect r, int by)
{
	struct rect in = {r.x + by, r.y + by, r.w - 2 * by, r.h - 2 * by};
	if (in.w < 0)
		in.w = 0;
	if (in.h < 0)
		in.h = 0;
	return in;
}

struct rect grid_clip(struct grid *g, struct rect r)
{
	struct rect old = g->clip;
	g->clip = rect_intersect(old, r);
	return old;
}

void grid_unclip(struct grid *g, struct rect old)
{
	g->clip = old;
}

const struct cell *grid_at(const struct grid *g, int x, int y)
{
	if (x < 0 || y < 0 || x >= g->w || y >= g->h)
		return NULL;
	return &g->cell[(size_t)y * (size_t)g->w + (size_t)x];
}

static struct cell *open_cell(struct grid *g, int x, int y)
{
	if (!rect_contains(g->clip, x, y))
		return NULL;
	return (struct cell *)grid_at(g, x, y);
}

/* --- UTF-8 ----------------------------------------------------------------- */

/* The next code point; a byte that starts none is U+FFFD. */
static uint32_t decode(const char **p)
{
	const unsigned char *s = (const unsigned char *)*p;
	unsigned n = *s < 0x80 ? 0 : (*s & 0xe0) == 0xc0 ? 1 : (*s & 0xf0) == 0xe0 ? 2 :
		(*s & 0xf8) == 0xf0 ? 3 : 9;
	uint32_t c = n == 0 ? *s : *s & (0x3fu >> n);
	if (n == 9) {
		++*p;
		return 0xfffd;
	}
	for (unsigned i = 1; i <= n; i++) {
		if ((s[i] & 0xc0) != 0x80) {
			*p += i;
			return 0xfffd;
		}
		c = c << 6 | (s[i] & 0x3f);
	}
	*p += n + 1;
	return c;
}

static int encode(uint32_t c, char out[5])
{
	int n = 0;
	if (c < 0x80) {
		out[n++] = (char)c;
	} else if (c < 0x800) {
		out[n++] = (char)(0xc0 | c >> 6);
		out[n++] = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		out[n++] = (char)(0xe0 | c >> 12);
		out[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		out[n++] = (char)(0x80 | (c & 0x3f));
	} else {
		out[n++] = (char)(0xf0 | (c >> 18 & 7));
		out[n++] = (char)(0x80 | (c >> 12 & 0x3f));
		out[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		out[n++] = (char)(0x80 | (c & 0x3f));
	}
	out[n] = 0;
	return n;
}

/* Cells of a code point: 0 combining, 2 wide, else 1; by range, so that it
 * does not depend on the locale. */
static int width_of(uint32_t c)
{
	if ((c >= 0x300 && c <= 0x36f) || (c >= 0x1ab0 && c <= 0x1aff) ||
		(c >= 0x20d0 && c <= 0x20ff) || (c >= 0xfe00 && c <= 0xfe0f) ||
		(c >= 0xfe20 && c <= 0xfe2f) || c == 0x200b || c == 0x200d)
		return 0;
	if ((c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0x303e) ||
		(c >= 0x3041 && c <= 0xa4cf) || (c >= 0xac00 && c <= 0xd7a3) ||
		(c >= 0xf900 && c <= 0xfaff) || (c >= 0xfe30 && c <= 0xfe6f) ||
		(c >= 0xff00 && c <= 0xff60) || (c >= 0xffe0 && c <= 0xffe6) ||
		(c >= 0x1f300 && c <= 0x1f64f) || (c >= 0x1f900 && c <= 0x1f9ff) ||
		(c >= 0x20000 && c <= 0x3fffd))
		return 2;
	return 1;
}

int grid_text_width(const char *text)
{
	int n = 0;
	while (*text && *text != '\n')
		n += width_of(decode(&text));
	return n;
}

/* A half of a wide glyph that loses its other half becomes a blank. */
static void break_wide(struct grid *g, int x, int y)
{
	struct cell *c = (struct cell *)grid_at(g, x, y);
	if (c && c->wide_tail) {
		struct cell *head = (struct cell *)grid_at(g, x - 1, y);
		if (head)
			head->glyph[0] = 0;
	}
	struct cell *next = (struct cell *)grid_at(g, x + 1, y);
	if (next && next->wide_tail) {
		next->wide_tail = false;
		next->glyph[0] = 0;
	}
}

static void put(struct grid *g, int x, int y, struct style st, uint32_t c, int width)
{
	struct cell *cell = open_cell(g, x, y), *tail = width == 2 ? open_cell(g, x + 1, y) : NULL;
	if (!cell)
		return;
	break_wide(g, x, y);
	if (width == 2 && !tail) { /* no room for the second half */
		c = ' ';
	}
	encode(c, cell->glyph);
	cell->wide_tail = false;
	cell->style = st;
	if (tail) {
		break_wide(g, x + 1, y);
		*tail = (struct cell){.wide_tail = true, .style = st};
	}
}

static void combine(struct grid *g, int x, int y, uint32_t c)
{
	struct cell *cell = open_cell(g, x, y);
	char mark[5];
	int n = encode(c, mark);
	if (cell && cell->glyph[0] && strlen(cell->glyph) + (size_t)n < sizeof cell->glyph)
		strcat(cell->glyph, mark);
}

void grid_glyph(struct grid *g, int x, int y, struct style st, uint32_t c)
{
	int w = width_of(c);
	if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		c = '.', w = 1;
	if (w == 0)
		combine(g, x - 1, y, c);
	else
		put(g, x, y, st, c, w);
}

int grid_text_max(struct grid *g, int x, int y, int max, struct style st, const char *text)
{
	int total = grid_text_width(text), at = x, last = x;
	bool cut = max >= 0 && total > max;
	int room = cut ? max - 1 : total;
	while (*text && *text != '\n') {
		uint32_t c = decode(&text);
		int w = width_of(c);
		if (w == 0) {
			combine(g, last, y, c);
			continue;
		}
		if (cut && at - x + w > room)
			break;
		grid_glyph(g, at, y, st, c);
		last = at;
		at += w;
	}
	if (cut && max > 0) {
		while (at < x + max - 1)
			grid_glyph(g, at++, y, st, ' ');
		grid_glyph(g, at++, y, st, g->ascii ? '~' : 0x2026);
	}
	return at;
}

int grid_text(struct grid *g, int x, int y, struct style st, const char *text)
{
	return grid_text_max(g, x, y, -1, st, text);
}

int grid_fmt(struct grid *g, int x, int y, struct style st, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return grid_text(g, x, y, st, text);
}

/* --- shapes ---------------------------------------------------------------- */

void grid_fill(struct grid *g, struct rect r, struct style st, char c)
{
	r = rect_intersect(r, g->clip);
	for (int y = r.y; y < r.y + r.h; y++)
		for (int x = r.x; x < r.x + r.w; x++)
			put(g, x, y, st, (unsigned char)c, 1);
}

void grid_restyle(struct grid *g, struct rect r, struct style st)
{
	r = rect_intersect(r, g->clip);
	for (int y = r.y; y < r.y + r.h; y++)
		for (int x = r.x; x < r.x + r.w; x++)
			open_cell(g, x, y)->style = st;
}

void grid_hline(struct grid *g, int x, int y, int w, struct style st)
{
	for (int i = 0; i < w; i++)
		grid_glyph(g, x + i, y, st, g->ascii ? '-' : 0x2500);
}

void grid_vline(struct grid *g, int x, int y, int h, struct style st)
{
	for (int i = 0; i < h; i++)
		grid_glyph(g, x, y + i, st, g->ascii ? '|' : 0x2502);
}

void grid_box(struct grid *g, struct rect r, struct style st, const char *title)
{
	static const uint32_t corners[] = {0x250c, 0x2510, 0x2514, 0x2518};
	int x1 = r.x + r.w - 1, y1 = r.y + r.h - 1;
	if (r.w < 2 || r.h < 2)
		return;
	grid_hline(g, r.x + 1, r.y, r.w - 2, st);
	grid_hline(g, r.x + 1, y1, r.w - 2, st);
	grid_vline(g, r.x, r.y + 1, r.h - 2, st);
	grid_vline(g, x1, r.y + 1, r.h - 2, st);
	for (int i = 0; i < 4; i++)
		grid_glyph(g, i & 1 ? x1 : r.x, i & 2 ? y1 : r.y, st, g->ascii ? '+' : corners[i]);
	if (title && *title && r.w > 6) {
		struct style ts = st;
		ts.attr |= ATTR_BOLD;
		grid_glyph(g, r.x + 1, r.y, st, ' ');
		int end = grid_text_max(g, r.x + 2, r.y, r.w - 5, ts, title);
		grid_glyph(g, end, r.y, st, ' ');
	}
}

/* part of full in `steps` steps, rounded up so that something shows. */
static unsigned scaled(uint64_t part, uint64_t full, unsigned steps)
{
	if (!full || !part)
		return 0;
	if (part >= full)
		return steps;
	unsigned n = (unsigned)((double)part * steps / (double)full);
	return n ? n : 1;
}

void grid_sparkline(struct grid *g, int x, int y, int w, struct style st, const uint64_t *v, int n,
	uint64_t full)
{
	static const char ascii[] = " .:-=+*%#";
	int skip = n > w ? n - w : 0;
	for (int i = skip; i < n && !full; i++)
		for (int k = skip; k < n; k++)
			full = v[k] > full ? v[k] : full;
	for (int i = skip; i < n; i++) {
		unsigned h = scaled(v[i], full, 8);
		grid_glyph(g, x + i - skip, y, st, g->ascii ? (uint32_t)ascii[h] :
			h ? 0x2580 + h : ' ');
	}
}

void grid_bar(struct grid *g, int x, int y, int w, struct style st, uint64_t part, uint64_t whole)
{
	unsigned eighths = scaled(part, whole, (unsigned)(w > 0 ? w : 0) * 8);
	for (int i = 0; i < w; i++) {
		unsigned here = eighths > (unsigned)i * 8 ? eighths - (unsigned)i * 8 : 0;
		if (here > 8)
			here = 8;
		/* U+2588 is full, U+258F one eighth */
		grid_glyph(g, x + i, y, st, g->ascii ? (here > 3 ? '#' : ' ') :
			here ? 0x2590 - here : ' ');
	}
}

/* --- dumps ----------------------------------------------------------------- */

const char *colour_name(uint32_t colour, char scratch[8])
{
	static const char *const names[COLOUR_ROLES] = {"default", "dim", "title", "border", "focus",
		"select", "l0", "l1", "l2", "changed", "good", "warn", "bad", "address", "symbol",
		"number", "key", "status", "black", "red", "green", "yellow", "blue", "magenta",
		"cyan", "white"};
	if (colour < COLOUR_ROLES)
		return names[colour];
	snprintf(scratch, 8, "#%06x", colour & 0xffffff);
	return scratch;
}

static bool same_style(struct style a, struct style b)
{
	return a.fg == b.fg && a.bg == b.bg && a.attr == b.attr;
}

static void dump_style(struct style st, struct buf *out)
{
	static const char letters[] = "burki"; /* bold, underline, reverse, blinK, italic */
	char fg[8], bg[8];
	buf_fmt(out, "{%s", colour_name(st.fg, fg));
	if (st.bg || st.attr)
		buf_fmt(out, "/%s", colour_name(st.bg, bg));
	if (st.attr)
		buf_char(out, '/');
	for (int i = 0; i < 5; i++)
		if (st.attr >> i & 1)
			buf_char(out, letters[i]);
	buf_char(out, '}');
}

static void dump(const struct grid *g, struct buf *out, bool styled)
{
	for (int y = 0; y < g->h; y++) {
		const struct cell *row = &g->cell[(size_t)y * (size_t)g->w];
		struct style st = {0};
		int end = g->w;
		while (end && (!row[end - 1].glyph[0] || !strcmp(row[end - 1].glyph, " ")) &&
			!row[end - 1].wide_tail && (!styled || same_style(row[end - 1].style, st)))
			end--;
		for (int x = 0; x < end; x++) {
			if (row[x].wide_tail)
				continue;
			if (styled && !same_style(st, row[x].style))
				dump_style(st = row[x].style, out);
			buf_str(out, row[x].glyph[0] ? row[x].glyph : " ");
		}
		buf_char(out, '\n');
	}
}

void grid_dump(const struct grid *g, struct buf *out)
{
	dump(g, out, false);
}

void grid_dump_styled(const struct grid *g, struct buf *out)
{
	dump(g, out, true);
}

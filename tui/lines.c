#include "tui/lines.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void lines_clear(struct lines *l)
{
	buf_clear(&l->text);
	l->count = 0;
}

void lines_done(struct lines *l)
{
	buf_done(&l->text);
	free(l->line);
	*l = (struct lines){0};
}

void lines_row(struct lines *l, uint64_t ref)
{
	if (l->count == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 64;
		l->line = xresize(l->line, l->cap * sizeof(*l->line));
	}
	l->line[l->count++] = (struct line){.start = l->text.len, .ref = ref};
}

static void add(struct lines *l, struct style st, const char *fmt, va_list ap)
{
	if (!l->count)
		lines_row(l, 0);
	struct line *row = &l->line[l->count - 1];
	if (row->spans < LINE_SPANS)
		row->span[row->spans++] = (struct span){(uint32_t)row->len, st};
	buf_vfmt(&l->text, fmt, ap);
	row->len = l->text.len - row->start;
}

void lines_add(struct lines *l, uint32_t colour, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	add(l, (struct style){colour, COLOUR_DEFAULT, 0}, fmt, ap);
	va_end(ap);
}

void lines_attr(struct lines *l, uint32_t colour, uint8_t attr, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	add(l, (struct style){colour, COLOUR_DEFAULT, attr}, fmt, ap);
	va_end(ap);
}

void lines_head(struct lines *l, const char *text)
{
	lines_row(l, UINT64_MAX);
	l->line[l->count - 1].head = true;
	lines_attr(l, COLOUR_TITLE, ATTR_BOLD, "%s", text);
}

static const char *row_text(const struct lines *l, const struct line *row, struct buf *scratch)
{
	buf_clear(scratch);
	buf_add(scratch, l->text.data + row->start, row->len);
	return scratch->data;
}

void lines_pad(struct lines *l, int column)
{
	struct buf b = {0};
	int w = l->count ? grid_text_width(row_text(l, &l->line[l->count - 1], &b)) : 0;
	buf_done(&b);
	lines_add(l, COLOUR_DEFAULT, "%*s", w < column ? column - w : 1, "");
}

void lines_spark(struct lines *l, uint32_t colour, const uint64_t *v, int n, int width)
{
	static const char *const block[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	static const char *const plain[] = {" ", "_", ".", "-", "=", "+", "*", "%", "#"};
	uint64_t top = 0;
	struct buf b = {0};
	int from = n > width ? n - width : 0;
	for (int i = from; i < n; i++)
		top = v[i] > top ? v[i] : top;
	for (int i = from; i < n; i++) {
		unsigned step = top ? (unsigned)((v[i] * 8 + top - 1) / top) : 0;
		buf_str(&b, l->ascii ? plain[step] : block[step]);
	}
	lines_add(l, colour, "%s", b.data ? b.data : "");
	buf_done(&b);
}

void lines_end(struct lines *l)
{
	struct buf b = {0};
	size_t kept = 0;
	if (!l->filter || !*l->filter)
		return;
	for (size_t i = 0; i < l->count; i++)
		if (l->line[i].head || strcasestr(row_text(l, &l->line[i], &b), l->filter))
			l->line[kept++] = l->line[i];
	l->count = kept;
	buf_done(&b);
}

/* --- the list ------------------------------------------------------------ */

static void settle_cursor(struct list *s, const struct lines *l)
{
	if (!l->count) {
		s->cursor = 0;
		return;
	}
	if (s->follow) {
		s->cursor = l->count - 1;
	} else if (s->cursor >= l->count || l->line[s->cursor].ref != s->ref) {
		for (size_t i = 0; i < l->count; i++)
			if (!l->line[i].head && l->line[i].ref == s->ref) {
				s->cursor = i;
				break;
			}
		if (s->cursor >= l->count)
			s->cursor = l->count - 1;
	}
	while (l->line[s->cursor].head && s->cursor + 1 < l->count)
		s->cursor++;
	s->ref = l->line[s->cursor].ref;
}

void list_settle(struct list *s, const struct lines *l, int rows)
{
	size_t n = rows > 0 ? (size_t)rows : 1;
	settle_cursor(s, l);
	s->page = (int)n;
	if (s->cursor < s->top)
		s->top = s->cursor;
	if (s->cursor >= s->top + n)
		s->top = s->cursor - n + 1;
	if (s->top + n > l->count)
		s->top = l->count > n ? l->count - n : 0;
	/* Headings right above the first row stay in sight. */
	while (s->top && l->line[s->top - 1].head && s->cursor < s->top - 1 + n)
		s->top--;
}

void list_draw(struct list *s, const struct lines *l, struct grid *g, struct rect r, bool focus)
{
	list_settle(s, l, r.h);
	struct rect old = grid_clip(g, r);
	for (int y = 0; y < r.h && s->top + (size_t)y < l->count; y++) {
		const struct line *row = &l->line[s->top + (size_t)y];
		int x = r.x - s->shift;
		for (unsigned i = 0; i < row->spans; i++) {
			size_t from = row->span[i].start;
			size_t to = i + 1 < row->spans ? row->span[i + 1].start : row->len;
			char text[512];
			while (from < to) { /* whole UTF-8 characters of a long span */
				size_t n = to - from < sizeof(text) ? to - from : sizeof(text) - 1;
				const char *p = l->text.data + row->start + from;
				while (n && from + n < to && ((unsigned char)p[n] & 0xc0) == 0x80)
					n--;
				if (!n)
					break;
				memcpy(text, p, n);
				text[n] = 0;
				x = grid_text(g, x, r.y + y, row->span[i].style, text);
				from += n;
			}
		}
		if (focus && s->top + (size_t)y == s->cursor && !row->head)
			grid_restyle(g, (struct rect){r.x, r.y + y, r.w, 1},
				(struct style){COLOUR_SELECT, COLOUR_DEFAULT, ATTR_REVERSE});
	}
	grid_unclip(g, old);
}

void list_goto(struct list *s, const struct lines *l, size_t row)
{
	if (!l->count)
		return;
	s->cursor = row < l->count ? row : l->count - 1;
	s->ref = l->line[s->cursor].ref;
	s->follow = false;
}

void list_move(struct list *s, const struct lines *l, long by)
{
	if (!l->count)
		return;
	long at = (long)s->cursor, step = by < 0 ? -1 : 1;
	for (long left = by < 0 ? -by : by; left; left--) {
		long to = at + step;
		while (to >= 0 && to < (long)l->count && l->line[to].head)
			to += step;
		if (to < 0 || to >= (long)l->count)
			break;
		at = to;
	}
	if (by < 0 && at == (long)s->cursor)
		s->top = 0; /* headings above the first row */
	list_goto(s, l, (size_t)at);
}

bool list_search(struct list *s, const struct lines *l, const char *text)
{
	struct buf b = {0};
	bool found = false;
	for (size_t i = 1; i <= l->count && !found && *text; i++) {
		size_t at = (s->cursor + i) % l->count;
		if (!l->line[at].head && strcasestr(row_text(l, &l->line[at], &b), text)) {
			list_goto(s, l, at);
			found = true;
		}
	}
	buf_done(&b);
	return found;
}

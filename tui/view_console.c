/* The guest's serial line in a terminal emulator (libvterm). Keys go to the
 * guest after Enter until the escape key, Ctrl-]. */
#include "tui/view.h"

#include "introspect/machine.h"

#include <stdlib.h>
#include <string.h>
#include <vterm.h>

#define ESCAPE_KEY 0x1d /* Ctrl-] */

struct own {
	VTerm *vt;
	VTermScreen *screen;
	uint64_t from; /* position in the console's stream */
	int rows, columns;
	bool typing;
};

static void open_view(struct view *v)
{
	struct own *o = xalloc(sizeof(*o));
	o->rows = 24;
	o->columns = 80;
	o->vt = vterm_new(o->rows, o->columns);
	vterm_set_utf8(o->vt, 1);
	o->screen = vterm_obtain_screen(o->vt);
	vterm_screen_enable_altscreen(o->screen, 1);
	vterm_screen_reset(o->screen, 1);
	v->own = o;
}

static void close_view(struct view *v)
{
	struct own *o = v->own;
	vterm_free(o->vt);
	free(o);
}

static void feed(struct view *v)
{
	struct own *o = v->own;
	struct buf b = {0};
	if (intro_console_read(v->s, 0, &o->from, &b))
		vterm_input_write(o->vt, b.data, b.len);
	buf_done(&b);
}

static uint32_t colour(struct own *o, VTermColor c, bool is_fg)
{
	if (is_fg ? VTERM_COLOR_IS_DEFAULT_FG(&c) : VTERM_COLOR_IS_DEFAULT_BG(&c))
		return COLOUR_DEFAULT;
	if (VTERM_COLOR_IS_INDEXED(&c) && c.indexed.idx < 8)
		return COLOUR_BLACK + c.indexed.idx;
	vterm_screen_convert_color_to_rgb(o->screen, &c);
	return COLOUR_RGB(c.rgb.red, c.rgb.green, c.rgb.blue);
}

static void draw_cell(struct own *o, struct grid *g, struct rect r, int x, int y)
{
	VTermScreenCell cell;
	if (!vterm_screen_get_cell(o->screen, (VTermPos){y, x}, &cell) || !cell.chars[0] ||
		cell.chars[0] == (uint32_t)-1)
		return;
	struct style st = {colour(o, cell.fg, true), colour(o, cell.bg, false),
		(uint8_t)((cell.attrs.bold ? ATTR_BOLD : 0) |
			(cell.attrs.underline ? ATTR_UNDERLINE : 0) |
			(cell.attrs.reverse ? ATTR_REVERSE : 0))};
	grid_glyph(g, r.x + x, r.y + y, st, cell.chars[0]);
}

static void draw(struct view *v, struct grid *g, struct rect r, bool focus)
{
	struct own *o = v->own;
	if (r.h > 0 && r.w > 0 && (r.h != o->rows || r.w != o->columns)) {
		o->rows = r.h;
		o->columns = r.w;
		vterm_set_size(o->vt, r.h, r.w);
	}
	feed(v);
	for (int y = 0; y < r.h; y++)
		for (int x = 0; x < r.w; x++)
			draw_cell(o, g, r, x, y);
	if (focus && o->typing) {
		VTermPos at;
		vterm_state_get_cursorpos(vterm_obtain_state(o->vt), &at);
		g->cursor_x = r.x + at.col;
		g->cursor_y = r.y + at.row;
	}
}

static const char *sequence(uint32_t key)
{
	switch (key) {
	case PANEL_KEY_UP: return "\033[A";
	case PANEL_KEY_DOWN: return "\033[B";
	case PANEL_KEY_RIGHT: return "\033[C";
	case PANEL_KEY_LEFT: return "\033[D";
	case PANEL_KEY_HOME: return "\033[H";
	case PANEL_KEY_END: return "\033[F";
	case PANEL_KEY_DELETE: return "\033[3~";
	case PANEL_KEY_PAGE_UP: return "\033[5~";
	case PANEL_KEY_PAGE_DOWN: return "\033[6~";
	case PANEL_KEY_BACKSPACE: return "\177";
	default: return NULL;
	}
}

static size_t utf8(uint32_t c, char out[4])
{
	if (c < 0x80)
		return out[0] = (char)c, 1;
	if (c < 0x800)
		return out[0] = (char)(0xc0 | c >> 6), out[1] = (char)(0x80 | (c & 63)), 2;
	if (c < 0x10000)
		return out[0] = (char)(0xe0 | c >> 12), out[1] = (char)(0x80 | (c >> 6 & 63)),
		       out[2] = (char)(0x80 | (c & 63)), 3;
	return out[0] = (char)(0xf0 | c >> 18), out[1] = (char)(0x80 | (c >> 12 & 63)),
	       out[2] = (char)(0x80 | (c >> 6 & 63)), out[3] = (char)(0x80 | (c & 63)), 4;
}

static bool key(struct view *v, uint32_t k)
{
	struct own *o = v->own;
	struct err e = {0};
	char bytes[4];
	if (!o->typing)
		return false;
	if (k == ESCAPE_KEY) {
		o->typing = false;
		tui_message(v->t, "keys go to nestscope again");
		return true;
	}
	const char *seq = sequence(k);
	if (!seq && k >= 0x110000)
		return true;
	if (k == '\n')
		k = '\r';
	size_t n = seq ? strlen(seq) : utf8(k, bytes);
	if (!intro_type(v->s, 0, seq ? seq : bytes, n, &e))
		tui_message(v->t, "%s", e.msg);
	return true;
}

static bool act(struct view *v, enum action a)
{
	struct own *o = v->own;
	if (a != ACT_OPEN)
		return false;
	o->typing = true;
	tui_message(v->t, "keys go to the guest; Ctrl-] ends that");
	return true;
}

/* The screen as rows, for saving as text. */
static void fill(struct view *v, struct lines *l, int width)
{
	struct own *o = v->own;
	struct grid g;
	struct buf b = {0};
	(void)width;
	grid_init(&g, o->columns, o->rows);
	draw(v, &g, (struct rect){0, 0, o->columns, o->rows}, false);
	grid_dump(&g, &b);
	char *save = NULL;
	for (char *p = b.data ? strtok_r(b.data, "\n", &save) : NULL; p; p = strtok_r(NULL, "\n", &save)) {
		lines_row(l, l->count);
		lines_add(l, COLOUR_DEFAULT, "%s", p);
	}
	buf_done(&b);
	grid_done(&g);
}

const struct view_ops view_console = {.name = "console", .title = "Console",
	.help = "the guest's serial line; Enter types at the guest, Ctrl-] comes back",
	.open = open_view, .close = close_view, .fill = fill, .draw = draw, .act = act, .key = key};

/* The terminal, through ncursesw; no other file includes it. */
#include "tui/frame.h"

#include "base/loop.h"

#include <curses.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#define PAIRS 240

struct terminal {
	struct tui *t;
	SCREEN *screen;
	int watch;
	bool colour;
	/* pairs handed out so far: the key is (fg, bg) */
	short fg[PAIRS], bg[PAIRS];
	short pairs;
	struct grid shown; /* what curses was told last; cells that stay are not told again */
};

static void readable(void *ctx, short revents)
{
	(void)revents;
	terminal_keys(ctx);
}

struct terminal *terminal_open(struct tui *t, struct err *e)
{
	struct terminal *tm = xalloc(sizeof(*tm));
	tm->t = t;
	tm->screen = isatty(0) && isatty(1) ? newterm(NULL, stdout, stdin) : NULL;
	if (!tm->screen) {
		const char *term = getenv("TERM");
		err_set(e, ERR_USAGE, "--tui wants a terminal on standard input and output%s%s",
			term ? ", TERM is " : "", term ? term : "");
		free(tm);
		return NULL;
	}
	grid_init(&tm->shown, 1, 1);
	set_term(tm->screen);
	raw();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(25);
	mousemask(BUTTON1_PRESSED | BUTTON4_PRESSED | BUTTON5_PRESSED, NULL);
	mouseinterval(0);
	const char *no_color = getenv("NO_COLOR");
	tm->colour = !t->cfg.monochrome && !(no_color && *no_color) && has_colors();
	if (tm->colour) {
		start_color();
		use_default_colors();
	}
	if (t->cfg.loop)
		tm->watch = loop_add(t->cfg.loop, 0, POLLIN, readable, tm);
	return tm;
}

void terminal_close(struct terminal *tm)
{
	if (tm->watch)
		loop_del(tm->t->cfg.loop, tm->watch);
	endwin();
	delscreen(tm->screen);
	grid_done(&tm->shown);
	free(tm);
}

void terminal_size(struct terminal *tm, int *w, int *h)
{
	(void)tm;
	getmaxyx(stdscr, *h, *w);
}

/* The nearest of the terminal's colours: 256, 16 or 8. */
static short nearest(uint32_t rgb)
{
	unsigned r = rgb >> 16 & 255, g = rgb >> 8 & 255, b = rgb & 255;
	if (COLORS >= 256)
		return (short)(16 + 36 * (r * 6 / 256) + 6 * (g * 6 / 256) + b * 6 / 256);
	return (short)((r > 127) | (g > 127) << 1 | (b > 127) << 2);
}

static short palette(const struct terminal *tm, uint32_t colour, bool fg)
{
	if (colour >= COLOUR_ROLES)
		return nearest(colour);
	short c = fg ? tm->t->theme.fg[colour] : tm->t->theme.bg[colour];
	if (c < COLORS)
		return c;
	/* 256-colour index to RGB of the cube, then to what there is */
	if (c >= 232)
		return c < 244 ? 0 : 7;
	unsigned n = (unsigned)c - 16;
	return nearest((n / 36 * 51) << 16 | (n / 6 % 6 * 51) << 8 | n % 6 * 51);
}

static short pair(struct terminal *tm, short fg, short bg)
{
	for (short i = 0; i < tm->pairs; i++)
		if (tm->fg[i] == fg && tm->bg[i] == bg)
			return (short)(i + 1);
	if (tm->pairs == PAIRS || tm->pairs + 1 >= COLOR_PAIRS)
		return 0;
	tm->fg[tm->pairs] = fg;
	tm->bg[tm->pairs] = bg;
	init_pair((short)(tm->pairs + 1), fg, bg);
	return ++tm->pairs;
}

static attr_t attributes(uint8_t a)
{
	return (a & ATTR_BOLD ? A_BOLD : 0) | (a & ATTR_UNDERLINE ? A_UNDERLINE : 0) |
		(a & ATTR_REVERSE ? A_REVERSE : 0) | (a & ATTR_BLINK ? A_BLINK : 0);
}

static void put(struct terminal *tm, int x, int y, const struct cell *c)
{
	wchar_t text[CCHARW_MAX + 1] = L" ";
	uint8_t attr = c->style.attr;
	short p = 0;
	if (c->wide_tail)
		return;
	if (c->glyph[0] && mbstowcs(text, c->glyph, CCHARW_MAX) == (size_t)-1)
		wcscpy(text, L"?");
	if (tm->colour) {
		uint32_t bg = c->style.bg != COLOUR_DEFAULT ? c->style.bg : c->style.fg;
		p = pair(tm, palette(tm, c->style.fg, true),
			bg < COLOUR_ROLES ? tm->t->theme.bg[bg] : palette(tm, bg, false));
	} else if (c->style.fg < COLOUR_ROLES) {
		attr |= tm->t->theme.attr[c->style.fg];
	}
	cchar_t cell;
	setcchar(&cell, text, attributes(attr), p, NULL);
	mvadd_wch(y, x, &cell);
}

void terminal_show(struct terminal *tm, const struct grid *g)
{
	bool all = tm->shown.w != g->w || tm->shown.h != g->h;
	if (all) {
		grid_resize(&tm->shown, g->w, g->h);
		erase();
	}
	for (int i = 0; i < g->w * g->h; i++) {
		if (!all && !memcmp(&g->cell[i], &tm->shown.cell[i], sizeof(g->cell[i])))
			continue;
		put(tm, i % g->w, i / g->w, &g->cell[i]);
		tm->shown.cell[i] = g->cell[i];
	}
	curs_set(g->cursor_x >= 0);
	if (g->cursor_x >= 0)
		move(g->cursor_y, g->cursor_x);
	refresh();
}

static uint32_t key_of(wint_t c)
{
	switch (c) {
	case KEY_UP: return PANEL_KEY_UP;
	case KEY_DOWN: return PANEL_KEY_DOWN;
	case KEY_LEFT: return PANEL_KEY_LEFT;
	case KEY_RIGHT: return PANEL_KEY_RIGHT;
	case KEY_PPAGE: return PANEL_KEY_PAGE_UP;
	case KEY_NPAGE: return PANEL_KEY_PAGE_DOWN;
	case KEY_HOME: return PANEL_KEY_HOME;
	case KEY_END: return PANEL_KEY_END;
	case KEY_DC: return PANEL_KEY_DELETE;
	case KEY_IC: return PANEL_KEY_INSERT;
	case KEY_BACKSPACE: return PANEL_KEY_BACKSPACE;
	case KEY_BTAB: return PANEL_KEY_BACKTAB;
	case KEY_ENTER: return '\n';
	default:
		return c > KEY_F0 && c <= KEY_F(12) ? PANEL_KEY_F1 + c - KEY_F(1) : 0;
	}
}

static void mouse(struct terminal *tm)
{
	MEVENT ev;
	if (getmouse(&ev) != OK)
		return;
	unsigned button = ev.bstate & BUTTON4_PRESSED ? 4 : ev.bstate & BUTTON5_PRESSED ? 5 : 1;
	tui_mouse(tm->t, ev.x, ev.y, button);
}

void terminal_keys(struct terminal *tm)
{
	wint_t c;
	int kind;
	while ((kind = get_wch(&c)) != ERR) {
		if (kind == KEY_CODE_YES && c == KEY_MOUSE) {
			mouse(tm);
		} else if (kind == KEY_CODE_YES && c == KEY_RESIZE) {
			tm->t->dirty = true;
		} else {
			uint32_t key = kind == KEY_CODE_YES ? key_of(c)
				: c == '\r'                 ? '\n'
				: c == 127                  ? PANEL_KEY_BACKSPACE
							    : c;
			if (key)
				tui_key(tm->t, key);
		}
	}
}

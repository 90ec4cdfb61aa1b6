/* The frame as cells: panes, status line, key line. */
#include "tui/frame.h"

#include "introspect/exits.h"
#include "introspect/run.h"

void view_fill(struct view *v, int width)
{
	lines_clear(&v->lines);
	v->lines.filter = v->ops->enter ? NULL : v->filter;
	v->lines.ascii = tui_ascii(v->t);
	if (v->ops->fill)
		v->ops->fill(v, &v->lines, width);
	lines_end(&v->lines);
}

static void pane(struct tui *t, struct grid *g, unsigned n)
{
	struct view *v = &t->view[t->pane[n]];
	struct rect r = t->rect[n], in = rect_inset(r, 1);
	bool focus = n == t->focus && !t->prompt.active;
	struct style border = {n == t->focus ? COLOUR_FOCUS : COLOUR_BORDER, COLOUR_DEFAULT, 0};
	struct buf title = {0};
	if (!r.w || !r.h)
		return;
	buf_fmt(&title, "%s", v->panel ? v->panel->title : v->ops->title);
	if (v->filter[0])
		buf_fmt(&title, " \\%s", v->filter);
	grid_box(g, r, border, title.data);
	buf_done(&title);
	struct rect old = grid_clip(g, in);
	if (v->panel) {
		v->panel->draw(g, in, v->panel->ctx);
	} else if (v->ops->draw) {
		v->ops->draw(v, g, in, focus);
	} else {
		view_fill(v, in.w);
		list_draw(&v->list, &v->lines, g, in, focus);
	}
	grid_unclip(g, old);
}

static void status(struct tui *t, struct grid *g, int y)
{
	struct style st = {COLOUR_STATUS, COLOUR_DEFAULT, 0}, warn = {COLOUR_WARN, COLOUR_DEFAULT,
		ATTR_BOLD};
	struct position at = intro_position(t->s);
	struct exit_storm storm;
	grid_fill(g, (struct rect){0, y, g->w, 1}, st, ' ');
	if (t->message[0]) {
		grid_text_max(g, 0, y, g->w, warn, t->message);
		return;
	}
	int x;
	if (intro_running(t->s)) {
		x = grid_text(g, 0, y, (struct style){COLOUR_GOOD, COLOUR_DEFAULT, ATTR_BOLD}, " running ");
	} else {
		x = grid_text(g, 0, y, (struct style){COLOUR_CHANGED, COLOUR_DEFAULT, ATTR_BOLD},
			" stopped ");
		x = grid_text_max(g, x, y, g->w / 2 - x, st, intro_last_stop(t->s)->text);
	}
	x = grid_fmt(g, x + 1, y, st, "l%u.%u  %.6f s ", t->place.level, t->place.vcpu,
		(double)at.clock / 1e9);
	intro_exit_storm(t->s, &storm);
	if (storm.storming && x < g->w) {
		struct buf b = {0};
		buf_fmt(&b, "storm: %s%s%s", storm.cause, storm.remedy[0] ? "; " : "", storm.remedy);
		grid_text_max(g, x + 1, y, g->w - x - 1, warn, b.data);
		buf_done(&b);
	}
}

/* The keys that are always in sight. */
static void key_line(struct tui *t, struct grid *g, int y)
{
	static const struct {
		enum action a;
		const char *word;
	} shown[] = {{ACT_HELP, "help"}, {ACT_PAUSE, "run/pause"}, {ACT_STEP, "step"},
		{ACT_WITHIN, "within"}, {ACT_LAYOUT_STORM, "storm"}, {ACT_LAYOUT_ENTRY, "entry"},
		{ACT_LAYOUT_EPT, "ept"}, {ACT_LAYOUT_CODE, "code"}, {ACT_LAYOUT_CONSOLE, "console"},
		{ACT_COMMAND, "command"}, {ACT_SEARCH, "search"}, {ACT_QUIT, "quit"}};
	int x = 0;
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
		struct buf b = {0};
		for (unsigned k = 0; k < t->bindings && !b.len; k++)
			if (t->binding[k].action == shown[i].a)
				key_print(t->binding[k].key, &b);
		if (b.len) {
			x = grid_text(g, x, y, (struct style){COLOUR_KEY, COLOUR_DEFAULT, ATTR_BOLD}, b.data);
			x = grid_text(g, x, y, (struct style){COLOUR_DIM, COLOUR_DEFAULT, 0}, " ");
			x = grid_text(g, x, y, (struct style){0}, shown[i].word) + 2;
		}
		buf_done(&b);
	}
}

void tui_draw(struct tui *t, struct grid *g)
{
	g->ascii = tui_ascii(t);
	g->cursor_x = g->cursor_y = -1;
	grid_clear(g);
	int body = g->h > 3 ? g->h - 2 : g->h;
	layout_place(t, g->w, body);
	for (unsigned n = 0; n < t->panes; n++)
		pane(t, g, n);
	if (g->h <= 3)
		return;
	status(t, g, g->h - 2);
	if (t->prompt.active)
		prompt_draw(t, g, g->h - 1);
	else
		key_line(t, g, g->h - 1);
}

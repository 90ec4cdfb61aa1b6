/* The line at the bottom: commands, searches, addresses, values. */
#include "tui/frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void prompt_done(struct prompt *p)
{
	for (unsigned i = 0; i < p->histories; i++)
		free(p->history[i]);
}

void prompt_open(struct tui *t, enum action why, struct view *v, const char *label, const char *text)
{
	struct prompt *p = &t->prompt;
	p->active = true;
	p->why = why;
	p->view = v;
	p->recall = p->histories;
	p->completion = 0;
	p->stem[0] = 0;
	snprintf(p->label, sizeof(p->label), "%s", label);
	snprintf(p->text, sizeof(p->text), "%s", text);
	p->at = strlen(p->text);
}

static void remember(struct prompt *p)
{
	if (!p->text[0] || (p->histories && !strcmp(p->history[p->histories - 1], p->text)))
		return;
	if (p->histories == TUI_HISTORY) {
		free(p->history[0]);
		memmove(p->history, p->history + 1, (TUI_HISTORY - 1) * sizeof(p->history[0]));
		p->histories--;
	}
	p->history[p->histories++] = xstrdup(p->text);
}

static void recall(struct prompt *p, int by)
{
	if ((by < 0 && !p->recall) || (by > 0 && p->recall >= p->histories))
		return;
	p->recall += (unsigned)by;
	snprintf(p->text, sizeof(p->text), "%s",
		p->recall < p->histories ? p->history[p->recall] : "");
	p->at = strlen(p->text);
}

static void complete(struct tui *t)
{
	struct prompt *p = &t->prompt;
	struct buf b = {0};
	if (p->why != ACT_COMMAND || !t->cfg.complete)
		return;
	if (!p->completion)
		snprintf(p->stem, sizeof(p->stem), "%s", p->text);
	if (!t->cfg.complete(t->cfg.ctx, p->stem, p->completion, &b)) {
		p->completion = 0;
		buf_done(&b);
		return;
	}
	p->completion++;
	snprintf(p->text, sizeof(p->text), "%s", b.data ? b.data : "");
	p->at = strlen(p->text);
	buf_done(&b);
}

static void accept(struct tui *t)
{
	struct prompt *p = &t->prompt;
	struct view *v = p->view;
	struct err e = {0};
	p->active = false;
	switch (p->why) {
	case ACT_COMMAND:
		remember(p);
		tui_command(t, p->text);
		return;
	case ACT_SEARCH:
		snprintf(v->search, sizeof(v->search), "%.127s", p->text);
		if (!list_search(&v->list, &v->lines, v->search))
			tui_message(t, "'%s' is not in this panel", v->search);
		return;
	case ACT_SAVE:
		if (save_view(v, p->text, &e))
			tui_message(t, "saved to %s", p->text);
		else
			tui_message(t, "%s", e.msg);
		return;
	default:
		if (p->why == ACT_FILTER && !v->ops->enter)
			snprintf(v->filter, sizeof(v->filter), "%.127s", p->text);
		else if (v->ops->enter && !v->ops->enter(v, p->why, p->text, &e))
			tui_message(t, "%s", e.msg);
	}
}

static void erase(struct prompt *p, size_t from, size_t to)
{
	memmove(p->text + from, p->text + to, strlen(p->text + to) + 1);
	p->at = from;
}

static void insert(struct prompt *p, char c)
{
	size_t len = strlen(p->text);
	if (len + 1 >= sizeof(p->text))
		return;
	memmove(p->text + p->at + 1, p->text + p->at, len - p->at + 1);
	p->text[p->at++] = c;
}

void prompt_key(struct tui *t, uint32_t key)
{
	struct prompt *p = &t->prompt;
	size_t len = strlen(p->text);
	if (key != '\t')
		p->completion = 0;
	switch (key) {
	case '\n': case '\r': accept(t); break;
	case 27: case 3: case 7: p->active = false; break;
	case '\t': complete(t); break;
	case PANEL_KEY_UP: case 16: recall(p, -1); break;
	case PANEL_KEY_DOWN: case 14: recall(p, 1); break;
	case PANEL_KEY_LEFT: case 2: p->at -= p->at > 0; break;
	case PANEL_KEY_RIGHT: case 6: p->at += p->at < len; break;
	case PANEL_KEY_HOME: case 1: p->at = 0; break;
	case PANEL_KEY_END: case 5: p->at = len; break;
	case PANEL_KEY_DELETE:
		if (p->at < len)
			erase(p, p->at, p->at + 1);
		break;
	case PANEL_KEY_BACKSPACE: case 8:
		if (p->at)
			erase(p, p->at - 1, p->at);
		else if (!len)
			p->active = false;
		break;
	case 21: erase(p, 0, p->at); break; /* C-u */
	case 11: p->text[p->at] = 0; break; /* C-k */
	default:
		if (key >= 32 && key < 127)
			insert(p, (char)key);
	}
}

void prompt_draw(struct tui *t, struct grid *g, int y)
{
	const struct prompt *p = &t->prompt;
	int x = grid_text(g, 0, y, (struct style){COLOUR_TITLE, COLOUR_DEFAULT, ATTR_BOLD}, p->label);
	x = grid_text(g, x, y, (struct style){COLOUR_TITLE, COLOUR_DEFAULT, 0},
		p->why == ACT_COMMAND || p->why == ACT_SEARCH ? "" : ": ");
	int room = g->w - x - 1;
	size_t from = room > 0 && p->at > (size_t)room ? p->at - (size_t)room : 0;
	grid_text(g, x, y, (struct style){0}, p->text + from);
	g->cursor_x = x + (int)(p->at - from);
	g->cursor_y = y;
}

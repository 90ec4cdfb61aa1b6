/* The frame: views, keys to actions, the machine's run control. */
#include "tui/frame.h"

#include "introspect/events.h"
#include "introspect/expr.h"
#include "introspect/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct view_ops *const builtin[] = {
#define VIEW(id) &view_##id,
#include "tui/views.def"
#undef VIEW
};
#define BUILTINS (sizeof(builtin) / sizeof(builtin[0]))

#define OUTPUT_MAX (1u << 20) /* bytes that tui_print() lets the output panel grow to */
#define FRAME_NS 50000000u /* 20 redraws a second */

bool tui_view_at(unsigned i, const char **name, const char **help)
{
	if (i >= BUILTINS)
		return false;
	*name = builtin[i]->name;
	*help = builtin[i]->help;
	return true;
}

static void on_stop(void *ctx, const struct event *ev)
{
	struct tui *t = ctx;
	t->place = ev->stop->at.level ? ev->stop->at : intro_here(t->s);
	t->dirty = true;
}

static struct view *add_view(struct tui *t, const struct view_ops *ops, const struct panel *p)
{
	struct view *v = &t->view[t->views++];
	*v = (struct view){.ops = ops, .t = t, .s = t->s, .open_ref = UINT64_MAX, .panel = p};
	if (ops->open)
		ops->open(v);
	return v;
}

struct tui *tui_new(const struct tui_config *cfg, struct err *e)
{
	struct tui *t = xalloc(sizeof(*t));
	struct event_filter f;
	t->cfg = *cfg;
	t->s = cfg->session;
	t->place = intro_here(t->s);
	for (size_t i = 0; i < BUILTINS; i++)
		add_view(t, builtin[i], NULL);
	keys_default(t);
	theme_default(&t->theme);
	layout_set(t, ACT_LAYOUT_STORM);
	event_filter_init(&f, EVENT_STOP);
	t->subscription = intro_subscribe(t->s, &f, on_stop, t, e);
	if (cfg->config && !config_read(t, cfg->config, e)) {
		tui_free(t);
		return NULL;
	}
	grid_init(&t->grid, 80, 24);
	t->dirty = true;
	return t;
}

void tui_free(struct tui *t)
{
	if (!t)
		return;
	tui_stop(t);
	intro_unsubscribe(t->s, t->subscription);
	for (unsigned i = 0; i < t->views; i++) {
		if (t->view[i].ops->close)
			t->view[i].ops->close(&t->view[i]);
		lines_done(&t->view[i].lines);
	}
	prompt_done(&t->prompt);
	buf_done(&t->output);
	grid_done(&t->grid);
	free(t);
}

/* --- plugin panels -------------------------------------------------------- */

static const struct view_ops plugin_ops = {.name = "plugin", .title = "Plugin",
	.help = "a plugin's panel"};

bool tui_add_panel(struct tui *t, const struct panel *p)
{
	if (t->views == TUI_VIEWS)
		return false;
	add_view(t, &plugin_ops, p);
	t->dirty = true;
	return true;
}

void tui_remove_panel(struct tui *t, const struct panel *p)
{
	for (unsigned i = BUILTINS; i < t->views; i++) {
		if (t->view[i].panel != p)
			continue;
		lines_done(&t->view[i].lines);
		memmove(&t->view[i], &t->view[i + 1], (--t->views - i) * sizeof(t->view[0]));
		for (unsigned n = 0; n < t->panes; n++) {
			if (t->pane[n] == i)
				t->pane[n] = 0;
			else if (t->pane[n] > i)
				t->pane[n]--;
		}
		return;
	}
}

/* --- what views call ------------------------------------------------------- */

struct place tui_place(const struct tui *t)
{
	return t->place;
}

void tui_set_place(struct tui *t, struct place at)
{
	t->place = at;
}

bool tui_ascii(const struct tui *t)
{
	return t->cfg.ascii;
}

const struct buf *tui_output(const struct tui *t)
{
	return &t->output;
}

void tui_print(struct tui *t, const char *text, size_t n)
{
	if (t->output.len > OUTPUT_MAX)
		buf_clear(&t->output);
	buf_add(&t->output, text, n);
	t->dirty = true;
}

void tui_message(struct tui *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(t->message, sizeof(t->message), fmt, ap);
	va_end(ap);
}

void tui_ask(struct tui *t, struct view *v, enum action why, const char *prompt, const char *text)
{
	prompt_open(t, why, v, prompt, text);
}

bool view_enter_address(struct view *v, enum action asked, const char *text, struct err *e)
{
	(void)asked;
	if (!intro_parse_address(v->s, tui_place(v->t), text, &v->address, e))
		return false;
	v->has_address = true;
	return true;
}

bool view_act_address(struct view *v, enum action a, const char *prompt)
{
	if (a == ACT_ADDRESS)
		tui_ask(v->t, v, a, prompt, "");
	else if (a == ACT_BACK)
		v->has_address = false;
	return a == ACT_ADDRESS || a == ACT_BACK;
}

struct view *tui_show(struct tui *t, const char *name)
{
	for (unsigned i = 0; i < t->views; i++) {
		if (strcmp(t->view[i].ops->name, name))
			continue;
		for (unsigned n = 0; n < t->panes; n++)
			if (t->pane[n] == i && t->rect[n].w) {
				t->focus = n;
				return &t->view[i];
			}
		t->pane[t->focus] = i;
		return &t->view[i];
	}
	return NULL;
}

void tui_command(struct tui *t, const char *line)
{
	buf_clear(&t->output);
	if (!strcmp(line, "q") || !strcmp(line, "quit")) {
		t->quit = true;
		return;
	}
	if (!t->cfg.command) {
		tui_message(t, "no commands in this session");
		return;
	}
	bool ok = t->cfg.command(t->cfg.ctx, t->place.level, t->place.vcpu, line, &t->output);
	size_t rows = 0;
	for (size_t i = 0; i < t->output.len; i++)
		rows += t->output.data[i] == '\n';
	if (rows > 1)
		tui_show(t, "output");
	else if (t->output.len)
		tui_message(t, "%.*s", (int)strcspn(t->output.data, "\n"), t->output.data);
	else if (!ok)
		tui_message(t, "the command failed");
}

/* --- actions --------------------------------------------------------------- */

static void run(struct tui *t, enum action a)
{
	struct err e = {0};
	static const enum step_kind kind[] = {[ACT_STEP] = STEP_THROUGH, [ACT_WITHIN] = STEP_WITHIN,
		[ACT_NEXT] = STEP_NEXT, [ACT_FINISH] = STEP_FINISH};
	if (a == ACT_PAUSE && intro_running(t->s))
		intro_pause(t->s);
	else if (a == ACT_PAUSE ? !intro_continue(t->s, &e)
				: !intro_step(t->s, t->place, kind[a], 1, &e))
		tui_message(t, "%s", e.msg);
}

static void next_level(struct tui *t)
{
	struct intro_level level[INTRO_MAX_LEVELS];
	unsigned n = intro_levels(t->s, level, INTRO_MAX_LEVELS);
	for (unsigned i = 0; i < n; i++)
		if (level[i].id == t->place.level) {
			t->place.level = level[(i + 1) % n].id;
			break;
		}
	tui_message(t, "looking at l%u", t->place.level);
}

static bool frame_action(struct tui *t, enum action a)
{
	unsigned *pane = &t->pane[t->focus];
	switch (a) {
	case ACT_QUIT: t->quit = true; return true;
	case ACT_HELP: tui_show(t, "help"); return true;
	case ACT_PAUSE: case ACT_STEP: case ACT_WITHIN: case ACT_NEXT: case ACT_FINISH:
		run(t, a);
		return true;
	case ACT_COMMAND: prompt_open(t, a, &t->view[*pane], ":", ""); return true;
	case ACT_SEARCH: prompt_open(t, a, &t->view[*pane], "/", ""); return true;
	case ACT_SAVE: prompt_open(t, a, &t->view[*pane], "save the panel to", ""); return true;
	case ACT_FOCUS_NEXT: t->focus = (t->focus + 1) % t->panes; return true;
	case ACT_FOCUS_PREV: t->focus = (t->focus + t->panes - 1) % t->panes; return true;
	case ACT_VIEW_NEXT: *pane = (*pane + 1) % t->views; return true;
	case ACT_VIEW_PREV: *pane = (*pane + t->views - 1) % t->views; return true;
	case ACT_ZOOM: t->zoom = !t->zoom; return true;
	case ACT_LEVEL: next_level(t); return true;
	case ACT_LAYOUT_STORM: case ACT_LAYOUT_ENTRY: case ACT_LAYOUT_EPT: case ACT_LAYOUT_CODE:
	case ACT_LAYOUT_CONSOLE:
		layout_set(t, a);
		return true;
	default:
		return false;
	}
}

static void list_action(struct tui *t, struct view *v, enum action a)
{
	struct list *s = &v->list;
	long page = s->page > 1 ? s->page - 1 : 1;
	switch (a) {
	case ACT_UP: list_move(s, &v->lines, -1); break;
	case ACT_DOWN: list_move(s, &v->lines, 1); break;
	case ACT_PAGE_UP: list_move(s, &v->lines, -page); break;
	case ACT_PAGE_DOWN: list_move(s, &v->lines, page); break;
	case ACT_HOME: list_goto(s, &v->lines, 0); s->top = 0; break;
	case ACT_END: s->follow = true; break;
	case ACT_LEFT: s->shift -= s->shift >= 8 ? 8 : s->shift; break;
	case ACT_RIGHT: s->shift += s->shift < 400 ? 8 : 0; break;
	case ACT_AGAIN:
		if (!list_search(s, &v->lines, v->search))
			tui_message(t, "'%s' is not in this panel", v->search);
		break;
	case ACT_FILTER: prompt_open(t, a, v, "filter rows with", v->filter); break;
	default: break;
	}
}

bool tui_key(struct tui *t, uint32_t key)
{
	struct view *v = &t->view[t->pane[t->focus]];
	t->message[0] = 0;
	t->dirty = true;
	if (t->prompt.active) {
		prompt_key(t, key);
		return !t->quit;
	}
	if (v->ops->key && v->ops->key(v, key))
		return !t->quit;
	if (v->panel && v->panel->key && v->panel->key(v->panel->ctx, key) != PANEL_IGNORED)
		return !t->quit;
	enum action a = keys_action(t, key);
	if (a != ACT_NONE && !(v->ops->act && v->ops->act(v, a)) && !frame_action(t, a))
		list_action(t, v, a);
	return !t->quit;
}

void tui_mouse(struct tui *t, int x, int y, unsigned button)
{
	for (unsigned n = 0; n < t->panes; n++) {
		if (!rect_contains(t->rect[n], x, y))
			continue;
		struct view *v = &t->view[t->pane[n]];
		t->focus = n;
		t->dirty = true;
		if (button == 4 || button == 5)
			list_move(&v->list, &v->lines, button == 4 ? -3 : 3);
		else if (y > t->rect[n].y)
			list_goto(&v->list, &v->lines, v->list.top + (size_t)(y - t->rect[n].y - 1));
		return;
	}
}

/* --- with a terminal -------------------------------------------------------- */

bool tui_start(struct tui *t, struct err *e)
{
	t->terminal = terminal_open(t, e);
	return t->terminal != NULL;
}

void tui_stop(struct tui *t)
{
	if (t->terminal)
		terminal_close(t->terminal);
	t->terminal = NULL;
}

bool tui_tick(struct tui *t)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	uint64_t now = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	if (!t->terminal || now - t->drawn_ns < FRAME_NS)
		return !t->quit;
	int w, h;
	terminal_keys(t->terminal);
	terminal_size(t->terminal, &w, &h);
	bool resized = w != t->grid.w || h != t->grid.h;
	if (!resized && !t->dirty && intro_generation(t->s) == t->drawn_generation)
		return !t->quit;
	if (resized)
		grid_resize(&t->grid, w, h);
	if (intro_running(t->s))
		t->place = intro_place_state(t->s, t->place) == PLACE_NONE ? intro_here(t->s) : t->place;
	tui_draw(t, &t->grid);
	terminal_show(t->terminal, &t->grid);
	t->drawn_generation = intro_generation(t->s);
	t->drawn_ns = now;
	t->dirty = false;
	return !t->quit;
}

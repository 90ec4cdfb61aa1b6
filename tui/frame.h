/* The frame around the views, as the files of tui/ share it. */
#ifndef TUI_FRAME_H
#define TUI_FRAME_H

#include "tui/tui.h"
#include "tui/view.h"

#define TUI_VIEWS   48 /* built-in and plugin panels */
#define TUI_PANES   4
#define TUI_KEYS    192
#define TUI_HISTORY 64
#define TUI_LINE    512

struct binding {
	uint32_t key;
	enum action action;
};

struct prompt {
	bool active;
	enum action why;      /* ACT_COMMAND, ACT_SEARCH, or what a view asked for */
	struct view *view;
	char label[96];
	char text[TUI_LINE];
	size_t at;            /* byte position of the cursor */
	char *history[TUI_HISTORY]; /* owned; of ':' lines */
	unsigned histories, recall;
	size_t completion;    /* which one Tab showed last */
	char stem[TUI_LINE];  /* what was typed before the first Tab */
};

/* Colours of a role: an index of the 256-colour palette, or -1. */
struct theme {
	short fg[COLOUR_ROLES], bg[COLOUR_ROLES];
	uint8_t attr[COLOUR_ROLES]; /* used instead of colour on a monochrome screen */
};

struct terminal;

struct tui {
	struct tui_config cfg;
	struct intro *s;
	struct view view[TUI_VIEWS];
	unsigned views;
	struct place place;
	unsigned pane[TUI_PANES]; /* index of the view in each */
	struct rect rect[TUI_PANES]; /* as drawn last, border included */
	unsigned panes, focus, shape;
	bool zoom;
	struct prompt prompt;
	char message[256];
	struct buf output;
	struct binding binding[TUI_KEYS];
	unsigned bindings;
	struct theme theme;
	bool quit;
	unsigned subscription;
	struct terminal *terminal;
	uint64_t drawn_generation, drawn_ns;
	bool dirty;
	struct grid grid;
};

/* --- keys.c */
void keys_default(struct tui *t);
enum action keys_action(const struct tui *t, uint32_t key);
bool keys_bind(struct tui *t, const char *key, const char *action, struct err *e);
void key_print(uint32_t key, struct buf *out);
bool key_parse(const char *name, uint32_t *key);

/* --- config.c: lines `bind KEY ACTION`, `colour ROLE FG [BG]` */
bool config_read(struct tui *t, const char *path, struct err *e);
void theme_default(struct theme *th);

/* --- layout.c */
void layout_set(struct tui *t, enum action which);
void layout_place(struct tui *t, int w, int h); /* fills t->rect */

/* --- prompt.c */
void prompt_open(struct tui *t, enum action why, struct view *v, const char *label, const char *text);
void prompt_key(struct tui *t, uint32_t key);
void prompt_draw(struct tui *t, struct grid *g, int y);
void prompt_done(struct prompt *p);

/* --- save.c */
bool save_view(struct view *v, const char *path, struct err *e);

/* --- draw.c */
void view_fill(struct view *v, int width);

/* --- curses.c: the only file that knows the terminal */
struct terminal *terminal_open(struct tui *t, struct err *e);
void terminal_close(struct terminal *tm);
void terminal_size(struct terminal *tm, int *w, int *h);
void terminal_show(struct terminal *tm, const struct grid *g);
/* Feeds waiting keys to tui_key and tui_mouse. */
void terminal_keys(struct terminal *tm);

#endif

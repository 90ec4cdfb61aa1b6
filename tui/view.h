/* A panel of the TUI: what it shows and what keys do in it.
 *
 * A view is a file and one struct view_ops. fill() turns the session into
 * rows; a view that is no list (console, screen, plugin panels) has draw()
 * instead. act() gets the actions that the frame does not take for itself and
 * says whether it used them.
 */
#ifndef TUI_VIEW_H
#define TUI_VIEW_H

#include "introspect/session.h"
#include "introspect/memory.h"
#include "tui/lines.h"

struct tui;
struct view;

enum action {
	ACT_NONE,
#define ACTION(id, name, keys, help) ACT_##id,
#include "tui/actions.def"
#undef ACTION
	ACT_COUNT
};

struct view_ops {
	const char *name, *title, *help;
	void (*open)(struct view *v);
	void (*close)(struct view *v);
	void (*fill)(struct view *v, struct lines *l, int width);
	void (*draw)(struct view *v, struct grid *g, struct rect r, bool focus);
	bool (*act)(struct view *v, enum action a);
	/* Raw keys before actions (the console); false: not taken. */
	bool (*key)(struct view *v, uint32_t key);
	/* A line that was asked for (ADDRESS, EDIT, FILTER); false: *e says why. */
	bool (*enter)(struct view *v, enum action asked, const char *text, struct err *e);
};

struct view {
	const struct view_ops *ops;
	struct tui *t;
	struct intro *s;
	struct list list;
	struct lines lines;   /* as drawn last */
	char filter[128];
	char search[128];
	unsigned mode, sort;  /* the view's own meaning */
	bool has_address;
	struct intro_address address; /* of walk, memory, code when asked for */
	uint64_t open_ref;    /* the row that is opened; UINT64_MAX: none */
	void *own;            /* allocated in open, freed in close */
	const struct panel *panel; /* plugin panels */
};

/* The place that the TUI looks at (the stack panel chooses it). */
struct place tui_place(const struct tui *t);
void tui_set_place(struct tui *t, struct place at);
bool tui_ascii(const struct tui *t);
/* One line at the bottom until the next key. */
void tui_message(struct tui *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Asks for a line; the view's enter() gets it. */
void tui_ask(struct tui *t, struct view *v, enum action why, const char *prompt, const char *text);
/* enter() of views that show what is at an address: the text becomes it. */
bool view_enter_address(struct view *v, enum action asked, const char *text, struct err *e);
/* act() of the same: asks for an address, or goes back to where the view is by
 * itself; false: it is another action. */
bool view_act_address(struct view *v, enum action a, const char *prompt);
/* Runs a command of the command table; its output goes to the output panel. */
void tui_command(struct tui *t, const char *line);
/* Shows a view in the focused pane. */
struct view *tui_show(struct tui *t, const char *name);

/* Every action, key and view once, for the help panel. */
void tui_help_rows(const struct tui *t, struct lines *l);
const struct buf *tui_output(const struct tui *t); /* of the last command */

#define VIEW(id) extern const struct view_ops view_##id;
#include "tui/views.def"
#undef VIEW

#endif

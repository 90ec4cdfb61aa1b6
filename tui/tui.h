/* The terminal front end: panels on a session.
 *
 * Drawing is a pure function from the session and the views' own state to a
 * character grid (base/grid.h); only tui/curses.c knows a terminal. The owner
 * of the event loop calls tui_tick() between slices; it redraws at most 20
 * times a second and only when something moved.
 */
#ifndef TUI_TUI_H
#define TUI_TUI_H

#include "base/err.h"
#include "base/grid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct intro;
struct loop;
struct tui;

struct tui_config {
	struct intro *session; /* not owned */
	struct loop *loop;     /* not owned; NULL: no keyboard (tests) */
	const char *config;    /* keys and colours file; NULL: none */
	bool ascii, monochrome;
	/* The ':' line. False: the command failed (out says why). NULL: none. */
	bool (*command)(void *ctx, unsigned level, unsigned vcpu, const char *line, struct buf *out);
	/* The i-th completion of `line`; false past the last. NULL: none. */
	bool (*complete)(void *ctx, const char *line, size_t i, struct buf *out);
	void *ctx;
};

struct tui *tui_new(const struct tui_config *cfg, struct err *e);
void tui_free(struct tui *t);

/* Panels of plugins; `p` stays the caller's until removed. */
bool tui_add_panel(struct tui *t, const struct panel *p);
void tui_remove_panel(struct tui *t, const struct panel *p);

/* Text for the output panel, behind what it shows already. */
void tui_print(struct tui *t, const char *text, size_t n);

/* Takes over the terminal, reads keys through the loop. */
bool tui_start(struct tui *t, struct err *e);
/* Gives the terminal back; safe to call at any time, also from a handler of a
 * fatal signal. */
void tui_stop(struct tui *t);

/* Between slices: draws when it is time. False: the user quit. */
bool tui_tick(struct tui *t);

/* --- without a terminal: tests, saving a screen -------------------------- */

/* A key: a Unicode code point or PANEL_KEY_*. False: the user quit. */
bool tui_key(struct tui *t, uint32_t key);
void tui_mouse(struct tui *t, int x, int y, unsigned button); /* 1 left, 4 up, 5 down */
void tui_draw(struct tui *t, struct grid *g);

/* The names of the views and what they show, for help and manual; false past
 * the end. */
bool tui_view_at(unsigned i, const char **name, const char **help);
/* Actions: name, default keys, help. */
bool tui_action_at(unsigned i, const char **name, const char **keys, const char **help);

#endif

/* Plugins on a session: C shared objects and Lua scripts over one table of
 * host functions (nestscope-plugin.h), and the control socket.
 *
 * A plugin that fails is disabled and says why; the session goes on. Nothing
 * here runs the machine: plugins hear events, and what they change goes
 * through the input log. The owner of the event loop needs to do nothing.
 */
#ifndef PLUGINS_PLUGINS_H
#define PLUGINS_PLUGINS_H

#include "base/err.h"
#include "base/grid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct control;
struct intro;
struct loop;
struct output;
struct plugins;
struct shell;

struct plugins_config {
	struct intro *session; /* not owned */
	struct shell *shell;   /* not owned; gets the plugins' commands */
	struct loop *loop;     /* not owned; the control socket's */
	bool unsafe;           /* Lua with io, os, package; files anywhere */
	/* A line for the user (without a newline). */
	void (*say)(void *ctx, const char *text);
	/* NULL: there is no full-screen front end. The panel stays the caller's. */
	bool (*add_panel)(void *ctx, const struct panel *p);
	void (*remove_panel)(void *ctx, const struct panel *p);
	void *ctx;
};

struct plugins *plugins_new(const struct plugins_config *cfg);
void plugins_free(struct plugins *ps);

/* "FILE[,KEY=VALUE]...": *.lua is a script, everything else a shared object.
 * False and *e: not loaded. */
bool plugins_load(struct plugins *ps, const char *spec, struct err *e);

/* Tells EVENT_QUIT: while output still has somewhere to go. */
void plugins_quit(struct plugins *ps);

/* The `plugin` and `lua` commands: the text after the command's name. */
bool plugins_command(
	struct plugins *ps, bool lua, const char *rest, struct output *o, struct err *e);

/* --- control.c: JSON lines on a Unix socket --------------------------------- */

/* "unix:PATH". Requests are lines of the command table and subscriptions; each
 * gets one answer, events come as lines of their own. */
struct control *control_new(const struct plugins_config *cfg, const char *spec, struct err *e);
void control_free(struct control *c);
unsigned control_clients(const struct control *c); /* connected */
bool control_served(const struct control *c);      /* one was connected, ever */

#endif

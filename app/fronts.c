/* The front ends, opened as the options say: the gdb stub, the TUI, plugins and
 * the control socket. */
#include "app/session.h"

#include "base/loop.h"
#include "gdbstub/gdbstub.h"
#include "plugins/plugins.h"
#include "tui/tui.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A line from gdb's `monitor` or the TUI's ':', at that front end's place. The
 * machine is not waited for: they see the stop when it comes. */
static const struct stop_event *no_wait(void *ctx, struct intro *s)
{
	(void)ctx, (void)s;
	return NULL;
}

static bool command(void *ctx, unsigned level, unsigned vcpu, const char *line, struct buf *out)
{
	struct session *ss = ctx;
	struct shell *sh = &ss->shell;
	struct place focus = sh->focus;
	const struct stop_event *(*wait)(void *, struct intro *) = sh->wait;
	bool json = sh->json;
	sh->focus = (struct place){level, vcpu};
	sh->wait = no_wait;
	sh->json = false;
	bool ok = command_run(sh, line, out);
	sh->focus = focus;
	sh->wait = wait;
	sh->json = json;
	return ok;
}

static bool complete(void *ctx, const char *line, size_t i, struct buf *out)
{
	struct session *ss = ctx;
	char word[128];
	size_t from;
	if (!command_complete(&ss->shell, line, i, word, NULL, &from))
		return false;
	buf_add(out, line, from);
	buf_str(out, word);
	return true;
}

static void kill_machine(void *ctx)
{
	struct session *ss = ctx;
	ss->over = true;
}

static bool open_gdb(struct session *ss, struct err *e)
{
	struct gdbstub_config cfg = {.session = ss->s, .loop = ss->l->loop, .owns = ss->o->gdb_owns,
		.kill = kill_machine, .monitor = command, .ctx = ss};
	ss->gdb = gdbstub_new(&cfg);
	for (unsigned i = 0; i < ss->o->gdb.count; i++) {
		if (!gdbstub_listen(ss->gdb, ss->o->gdb.at[i], e))
			return false;
		const char *where = gdbstub_address(ss->gdb, i);
		if (where && *where && !ss->o->tui)
			fprintf(stderr, "nestscope: gdb: target remote %s\n", where);
	}
	return true;
}

/* $XDG_CONFIG_HOME/nestscope.conf or ~/.config/nestscope.conf, when readable. */
static const char *config_path(char *path, size_t size)
{
	const char *dir = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	if (dir && *dir)
		snprintf(path, size, "%s/nestscope.conf", dir);
	else
		snprintf(path, size, "%s/.config/nestscope.conf", home ? home : "");
	return access(path, R_OK) ? NULL : path;
}

static bool utf8_terminal(void)
{
	const char *const name[] = {"LC_ALL", "LC_CTYPE", "LANG"};
	for (unsigned i = 0; i < 3; i++) {
		const char *value = getenv(name[i]);
		if (value && *value)
			return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
	}
	return false;
}

static bool open_tui(struct session *ss, struct err *e)
{
	char path[512];
	struct tui_config cfg = {.session = ss->s, .loop = ss->l->loop,
		.config = config_path(path, sizeof(path)), .ascii = !utf8_terminal(),
		.command = command, .complete = complete, .ctx = ss};
	ss->tui = tui_new(&cfg, e);
	return ss->tui && tui_start(ss->tui, e);
}

/* --- plugins and the control socket ------------------------------------------- */

static void say(void *ctx, const char *text)
{
	struct session *ss = ctx;
	if (ss->tui) {
		log_say(intro_log(ss->s), LOG_INFO, "plugin", "%s", text);
		return;
	}
	if (ss->prompt)
		prompt_hide(ss->prompt);
	puts(text);
	fflush(stdout);
	if (ss->prompt && !intro_running(ss->s))
		prompt_show(ss->prompt);
}

static bool add_panel(void *ctx, const struct panel *p)
{
	struct session *ss = ctx;
	return ss->tui && tui_add_panel(ss->tui, p);
}

static void remove_panel(void *ctx, const struct panel *p)
{
	struct session *ss = ctx;
	if (ss->tui)
		tui_remove_panel(ss->tui, p);
}

static bool plugin_command(void *ctx, bool lua, const char *rest, struct output *o, struct err *e)
{
	struct session *ss = ctx;
	return plugins_command(ss->plugins, lua, rest, o, e);
}

static bool open_plugins(struct session *ss, struct err *e)
{
	const struct plugins_config cfg = {.session = ss->s, .shell = &ss->shell, .loop = ss->l->loop,
		.unsafe = ss->o->plugin_unsafe, .say = say, .add_panel = ss->o->tui ? add_panel : NULL,
		.remove_panel = remove_panel, .ctx = ss};
	ss->plugins = plugins_new(&cfg);
	ss->shell.plugins = plugin_command;
	ss->shell.plugins_ctx = ss;
	for (unsigned i = 0; i < ss->o->plugins.count; i++)
		if (!plugins_load(ss->plugins, ss->o->plugins.at[i], e))
			return false;
	if (ss->o->control)
		ss->control = control_new(&cfg, ss->o->control, e);
	return !ss->o->control || ss->control;
}

bool fronts_open(struct session *ss, struct err *e)
{
	if (ss->o->gdb.count && !open_gdb(ss, e))
		return false;
	if (ss->o->tui && !open_tui(ss, e))
		return false;
	return open_plugins(ss, e);
}

void fronts_close(struct session *ss)
{
	if (ss->plugins)
		plugins_quit(ss->plugins);
	control_free(ss->control);
	ss->control = NULL;
	plugins_free(ss->plugins);
	ss->plugins = NULL;
	ss->shell.plugins = NULL;
	tui_free(ss->tui);
	ss->tui = NULL;
	gdbstub_free(ss->gdb);
	ss->gdb = NULL;
}

/* The gdb stub and the TUI, opened as the options say. */
#include "app/session.h"

#include "base/loop.h"
#include "gdbstub/gdbstub.h"
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

bool fronts_open(struct session *ss, struct err *e)
{
	if (ss->o->plugins.count || ss->o->control)
		return err_set(e, ERR_USAGE, "--plugin and --control are not there yet; -c, -x and --gdb "
			"drive a run meanwhile");
	if (ss->o->gdb.count && !open_gdb(ss, e))
		return false;
	return !ss->o->tui || open_tui(ss, e);
}

void fronts_close(struct session *ss)
{
	tui_free(ss->tui);
	ss->tui = NULL;
	gdbstub_free(ss->gdb);
	ss->gdb = NULL;
}

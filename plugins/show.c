/* What plugins show: lines, commands and their answers, panels, files. */
#include "plugins/host.h"

#include "introspect/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Opaque to plugins: the session's output model. */
static struct output *model(struct nestscope_output *out)
{
	return (struct output *)out;
}

void host_print(struct nestscope_plugin *p, const char *text)
{
	if (p->ps->cfg.say)
		p->ps->cfg.say(p->ps->cfg.ctx, text);
}

void host_log(struct nestscope_plugin *p, const char *level, const char *text)
{
	enum log_level l = !strcmp(level, "error") ? LOG_ERROR : !strcmp(level, "warn") ? LOG_WARN : LOG_INFO;
	log_say(intro_log(p->ps->s), l, "plugin", "%s: %s", p->name, text);
}

void host_fail(struct nestscope_plugin *p, const char *text)
{
	plugin_fail(p, "%s", text);
}

/* --- commands ---------------------------------------------------------------------- */

static bool run_command(void *ctx, const char *rest, struct output *o, struct err *e)
{
	struct plugin_command *c = ctx;
	struct nestscope_plugin *p = c->p;
	const struct event *before;
	if (p->disabled)
		return err_set(e, ERR_GENERAL, "plugin %s is disabled: %s", p->name, p->why);
	if (!plugin_enter(p, NULL, &before))
		return err_set(e, ERR_GENERAL, "plugin %s is busy", p->name);
	p->error[0] = 0;
	bool ok = !c->fn(p, c->ctx, rest, (struct nestscope_output *)o);
	if (!ok)
		err_set(e, ERR_GENERAL, "%s", p->error[0] ? p->error : "the plugin's command failed");
	plugin_leave(p, before);
	return ok;
}

static void free_command(struct plugin_command *c)
{
	free(c->name);
	free(c->usage);
	free(c->summary);
	free(c->details);
	free(c);
}

static bool good_name(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_");
	return n && !name[n] && n < 32 && name[0] >= 'a';
}

int host_add_command(struct nestscope_plugin *p, const char *name, const char *usage,
	const char *summary, const char *details, nestscope_command_fn *fn, void *ctx)
{
	struct err e = {0};
	if (p->dying || p->disabled)
		return plugin_fail(p, "the plugin is not active any more");
	if (!good_name(name))
		return plugin_fail(p, "a command's name is lower-case letters, digits and '-'");
	if (p->commands == PLUGIN_COMMANDS)
		return plugin_fail(p, "at most %d commands", PLUGIN_COMMANDS);
	struct plugin_command *c = xalloc(sizeof *c);
	*c = (struct plugin_command){p, xstrdup(name), xstrdup(usage ? usage : ""),
		xstrdup(summary ? summary : ""), xstrdup(details ? details : ""), fn, ctx};
	struct command row = {.name = c->name, .usage = c->usage, .complete = COMPLETE_WORDS,
		.summary = c->summary, .details = c->details, .plugin_fn = run_command, .ctx = c};
	if (!command_add(p->ps->cfg.shell, &row, &e)) {
		free_command(c);
		return plugin_err(p, &e);
	}
	p->command[p->commands++] = c;
	return 1;
}

void commands_drop(struct nestscope_plugin *p)
{
	while (p->commands) {
		struct plugin_command *c = p->command[--p->commands];
		command_remove(p->ps->cfg.shell, c->name);
		free_command(c);
	}
}

/* Commands that may run in the middle of an instruction. */
static bool looks(const char *line)
{
	static const char *const names[] = {"levels", "regs", "print", "mem", "find", "disas", "bt",
		"vmcs", "walk", "ept", "autopsy", "caps", "exits", "stops", "symbols", "events", "info",
		"console", "screen", "log", "help"};
	size_t n = strcspn(line, " ");
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (n == strlen(names[i]) && !strncmp(names[i], line, n))
			return strcmp(names[i], "exits") || !strstr(line, "reset");
	return false;
}

int host_command(
	struct nestscope_plugin *p, const char *line, int json, nestscope_text_fn *fn, void *ctx)
{
	struct shell *sh = p->ps->cfg.shell;
	struct buf out = {0};
	bool before = sh->json;
	if (intro_inside(p->ps->s) && !looks(line))
		return plugin_fail(p, "inside an event only commands that look can run");
	sh->json = json;
	bool ok = command_run(sh, line, &out);
	sh->json = before;
	fn(ctx, out.data ? out.data : "", out.len);
	if (!ok)
		plugin_fail(p, "%.500s", out.data ? out.data : "it failed");
	buf_done(&out);
	return ok;
}

void host_out_text(struct nestscope_output *out, const char *text)
{
	out_text(model(out), "%s", text);
}

void host_out_table(struct nestscope_output *out, const char *name, const char *columns)
{
	out_table(model(out), name, columns);
}

void host_out_values(struct nestscope_output *out, const char *name)
{
	out_values(model(out), name);
}

void host_out_key(struct nestscope_output *out, const char *key)
{
	out_key(model(out), key);
}

void host_out_str(struct nestscope_output *out, const char *text)
{
	out_str(model(out), text);
}

void host_out_u64(struct nestscope_output *out, uint64_t value)
{
	out_u64(model(out), value);
}

void host_out_hex(struct nestscope_output *out, uint64_t value)
{
	out_hex(model(out), value);
}

void host_print_output(struct nestscope_plugin *p,
	void (*fn)(void *ctx, struct nestscope_output *out), void *ctx)
{
	struct output *o = output_new();
	struct buf text = {0};
	fn(ctx, (struct nestscope_output *)o);
	if (p->ps->cfg.shell->json)
		output_json(o, &text);
	else
		output_human(o, &text);
	while (text.len && text.data[text.len - 1] == '\n')
		text.data[--text.len] = 0;
	if (text.len)
		host_print(p, text.data);
	buf_done(&text);
	output_free(o);
}

/* --- panels --------------------------------------------------------------------------- */

static void draw_panel(struct grid *g, struct rect r, void *ctx)
{
	struct plugin_panel *v = ctx;
	struct nestscope_plugin *p = v->p;
	struct nestscope_canvas canvas = {g, r};
	const struct event *before;
	struct rect old = grid_clip(g, r);
	if (p->disabled)
		grid_text_max(g, r.x, r.y, r.w, (struct style){COLOUR_BAD, COLOUR_DEFAULT, 0}, p->why);
	else if (r.w > 0 && r.h > 0 && plugin_enter(p, NULL, &before)) {
		v->draw(p, v->ctx, &canvas, (uint32_t)r.w, (uint32_t)r.h);
		plugin_leave_later(p, before);
	}
	grid_unclip(g, old);
}

static enum panel_key_result panel_key(void *ctx, uint32_t key)
{
	struct plugin_panel *v = ctx;
	struct nestscope_plugin *p = v->p;
	const struct event *before;
	if (!v->key || !plugin_enter(p, NULL, &before))
		return PANEL_IGNORED;
	int taken = v->key(p, v->ctx, key);
	plugin_leave_later(p, before);
	return taken ? PANEL_REDRAW : PANEL_IGNORED;
}

int host_add_panel(struct nestscope_plugin *p, const char *name, const char *title,
	nestscope_draw_fn *draw, nestscope_key_fn *key, void *ctx)
{
	const struct plugins_config *cfg = &p->ps->cfg;
	if (p->dying || p->disabled)
		return plugin_fail(p, "the plugin is not active any more");
	if (p->panels == PLUGIN_PANELS)
		return plugin_fail(p, "at most %d panels", PLUGIN_PANELS);
	struct plugin_panel *v = xalloc(sizeof *v);
	*v = (struct plugin_panel){p, xstrdup(name), xstrdup(title), draw, key, ctx, {0}};
	v->panel = (struct panel){v->name, v->title, draw_panel, panel_key, v};
	p->panel[p->panels++] = v;
	/* without a full-screen front end a panel is nobody's, and no error */
	if (cfg->add_panel && !cfg->add_panel(cfg->ctx, &v->panel))
		log_say(intro_log(p->ps->s), LOG_WARN, "plugin", "no room for the panel %s", name);
	return 1;
}

void panels_drop(struct nestscope_plugin *p)
{
	const struct plugins_config *cfg = &p->ps->cfg;
	while (p->panels) {
		struct plugin_panel *v = p->panel[--p->panels];
		if (cfg->remove_panel)
			cfg->remove_panel(cfg->ctx, &v->panel);
		free(v->name);
		free(v->title);
		free(v);
	}
}

static const char *const colours[] = {"default", "dim", "title", "border", "focus", "select", "l0",
	"l1", "l2", "changed", "good", "warn", "bad", "address", "symbol", "number", "key", "status",
	"black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"};

static struct style style_of(const char *colour)
{
	struct style st = {COLOUR_DEFAULT, COLOUR_DEFAULT, 0};
	for (uint32_t i = 0; colour && i < COLOUR_ROLES; i++)
		if (!strcmp(colours[i], colour))
			st.fg = i;
	return st;
}

uint32_t host_panel_text(struct nestscope_canvas *c, uint32_t x, uint32_t y, const char *colour,
	const char *text)
{
	if (x >= (uint32_t)c->r.w || y >= (uint32_t)c->r.h)
		return x;
	return (uint32_t)(grid_text_max(c->g, c->r.x + (int)x, c->r.y + (int)y, c->r.w - (int)x,
		style_of(colour), text) - c->r.x);
}

void host_panel_bar(struct nestscope_canvas *c, uint32_t x, uint32_t y, uint32_t width,
	const char *colour, uint64_t part, uint64_t whole)
{
	if (x >= (uint32_t)c->r.w || y >= (uint32_t)c->r.h)
		return;
	if (width > (uint32_t)c->r.w - x)
		width = (uint32_t)c->r.w - x;
	grid_bar(c->g, c->r.x + (int)x, c->r.y + (int)y, (int)width, style_of(colour),
		part > whole ? whole : part, whole ? whole : 1);
}

/* --- files ------------------------------------------------------------------------------ */

/* A path that the user gave as an argument, or one beside it: out=FILE names
 * FILE and FILE.EXTENSION. */
static bool is_named(const struct nestscope_plugin *p, const char *path)
{
	for (unsigned i = 0; i < p->args; i++) {
		size_t n = strlen(p->arg[i].value);
		if (n && !strncmp(p->arg[i].value, path, n) &&
			(!path[n] || (path[n] == '.' && !strchr(path + n, '/'))))
			return true;
	}
	return false;
}

/* A script may be anybody's: it writes where the user named a file, or in the
 * current folder. */
static bool may_create(const struct nestscope_plugin *p, const char *path)
{
	return p->ps->cfg.unsafe || p->object || is_named(p, path) ||
	       (*path && *path != '.' && !strchr(path, '/'));
}

struct nestscope_file *host_create(struct nestscope_plugin *p, const char *path)
{
	unsigned slot = 0;
	while (slot < PLUGIN_FILES && p->file[slot])
		slot++;
	if (slot == PLUGIN_FILES)
		return plugin_fail(p, "at most %d files at once", PLUGIN_FILES), NULL;
	if (!may_create(p, path))
		return plugin_fail(p, "%.200s: a plain name in the current folder, or a path given as an "
			"argument of the plugin, is wanted (or --plugin-unsafe)", path), NULL;
	/* what is there already is not overwritten, but for what the user named */
	bool over = p->ps->cfg.unsafe || p->object || is_named(p, path);
	FILE *f = fopen(path, over ? "we" : "wxe");
	if (!f)
		return plugin_fail(p, "%.200s: %s", path, strerror(errno)), NULL;
	struct nestscope_file *file = xalloc(sizeof *file);
	*file = (struct nestscope_file){p, f};
	p->file[slot] = file;
	return file;
}

int host_put(struct nestscope_file *file, const void *data, size_t len)
{
	return fwrite(data, 1, len, file->stream) == len ||
	       plugin_fail(file->p, "writing failed: %s", strerror(errno));
}

int host_close(struct nestscope_file *file)
{
	struct nestscope_plugin *p = file->p;
	bool ok = !fclose(file->stream);
	for (unsigned i = 0; i < PLUGIN_FILES; i++)
		if (p->file[i] == file)
			p->file[i] = NULL;
	free(file);
	return ok || plugin_fail(p, "writing failed: %s", strerror(errno));
}

void files_drop(struct nestscope_plugin *p)
{
	for (unsigned i = 0; i < PLUGIN_FILES; i++)
		if (p->file[i])
			host_close(p->file[i]);
}

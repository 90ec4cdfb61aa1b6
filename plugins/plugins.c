/* The life of plugins: load, entering and leaving, disabling, unload, and the
 * `plugin` command. */
#include "plugins/host.h"

#include "base/loop.h"
#include "introspect/run.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- the table ------------------------------------------------------------------ */

const struct nestscope_host plugin_host = {
	.version = NESTSCOPE_PLUGIN_VERSION,
	.size = sizeof(struct nestscope_host),
#define HOST(since, name, help) .name = host_##name,
#include "plugins/host.def"
#undef HOST
};

int plugin_fail(struct nestscope_plugin *p, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(p->error, sizeof p->error, fmt, ap);
	va_end(ap);
	return 0;
}

int plugin_err(struct nestscope_plugin *p, const struct err *e)
{
	return plugin_fail(p, "%s", e->msg);
}

struct place plugin_place(struct nestscope_plugin *p, uint32_t level, uint32_t vcpu)
{
	return level ? (struct place){level, vcpu} : intro_here(p->ps->s);
}

/* --- one plugin ------------------------------------------------------------------ */

static void say(struct plugins *ps, const char *text)
{
	if (ps->cfg.say)
		ps->cfg.say(ps->cfg.ctx, text);
}

static char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char *own = xstrdup(name), *dot = strrchr(own, '.');
	if (dot && dot != own)
		*dot = 0;
	return own;
}

static bool add_argument(struct nestscope_plugin *p, const char *text, struct err *e)
{
	const char *eq = strchr(text, '=');
	if (!eq || eq == text)
		return err_set(e, ERR_USAGE, "--plugin: '%.60s' should be KEY=VALUE", text);
	if (p->args == PLUGIN_ARGS)
		return err_set(e, ERR_USAGE, "--plugin: more than %d arguments", PLUGIN_ARGS);
	p->arg[p->args].key = xstrdup(text);
	p->arg[p->args].key[eq - text] = 0;
	p->arg[p->args++].value = xstrdup(eq + 1);
	return true;
}

/* "FILE,KEY=VALUE,..." */
static bool take_apart(struct nestscope_plugin *p, const char *spec, struct err *e)
{
	char *save = NULL;
	p->spec = xstrdup(spec);
	p->path = xstrdup(spec);
	char *more = strchr(p->path, ',');
	if (more)
		*more++ = 0;
	p->name = base_name(p->path);
	for (char *w = more ? strtok_r(more, ",", &save) : NULL; w; w = strtok_r(NULL, ",", &save))
		if (!add_argument(p, w, e))
			return false;
	return true;
}

static void destroy(struct nestscope_plugin *p)
{
	void (*bye)(struct nestscope_plugin *) = NULL;
	if (p->object && !p->disabled)
		*(void **)&bye = dlsym(p->object, "nestscope_plugin_unload");
	if (bye)
		bye(p);
	hooks_drop(p);
	hooks_sweep(p);
	commands_drop(p);
	panels_drop(p);
	files_drop(p);
	lua_plugin_free(p);
	if (p->object)
		dlclose(p->object);
	for (unsigned i = 0; i < p->args; i++) {
		free(p->arg[i].key);
		free(p->arg[i].value);
	}
	buf_done(&p->text);
	free(p->hook);
	free(p->spec);
	free(p->path);
	free(p->name);
	free(p);
}

static void remove_plugin(struct nestscope_plugin *p)
{
	struct plugins *ps = p->ps;
	char *again = p->reload ? xstrdup(p->spec) : NULL;
	struct err e = {0};
	for (unsigned i = 0; i < ps->count; i++) {
		if (ps->plugin[i] != p)
			continue;
		memmove(ps->plugin + i, ps->plugin + i + 1, (--ps->count - i) * sizeof(*ps->plugin));
		break;
	}
	destroy(p);
	if (again && !plugins_load(ps, again, &e))
		say(ps, e.msg);
	free(again);
}

bool plugin_enter(struct nestscope_plugin *p, const struct event *ev, const struct event **before)
{
	if (p->disabled || p->dying || p->depth >= PLUGIN_DEPTH)
		return false;
	*before = p->event;
	p->event = ev;
	p->depth++;
	p->calls++;
	return true;
}

void plugin_leave(struct nestscope_plugin *p, const struct event *before)
{
	p->event = before;
	if (--p->depth)
		return;
	hooks_sweep(p);
	if (p->dying)
		remove_plugin(p);
}

void plugin_leave_later(struct nestscope_plugin *p, const struct event *before)
{
	p->event = before;
	p->depth--;
}

/* Between slices: those that nobody could free where they ended. */
static void reap(void *ctx, int *timeout_ms)
{
	struct plugins *ps = ctx;
	(void)timeout_ms;
	for (unsigned i = 0; i < ps->count; i++)
		if (ps->plugin[i]->dying && !ps->plugin[i]->depth) {
			remove_plugin(ps->plugin[i]);
			return; /* the list has changed; the next turn goes on */
		}
}

void plugin_disable(struct nestscope_plugin *p, const char *why)
{
	struct buf line = {0};
	if (p->disabled)
		return;
	p->disabled = true;
	snprintf(p->why, sizeof p->why, "%s", why);
	hooks_drop(p);
	buf_fmt(&line, "plugin %s is disabled: %s", p->name, p->why);
	log_say(intro_log(p->ps->s), LOG_INFO, "plugin", "%s", line.data);
	say(p->ps, line.data);
	buf_done(&line);
}

void host_unload(struct nestscope_plugin *p)
{
	p->dying = true;
	hooks_drop(p);
}

/* --- loading --------------------------------------------------------------------- */

static bool load_object(struct nestscope_plugin *p, struct err *e)
{
	int (*load)(struct nestscope_plugin *, const struct nestscope_host *);
	struct buf path = {0};
	/* a name without a slash would be looked for among the libraries */
	buf_fmt(&path, "%s%s", strchr(p->path, '/') ? "" : "./", p->path);
	p->object = dlopen(path.data, RTLD_NOW | RTLD_LOCAL);
	buf_done(&path);
	if (!p->object)
		return err_set(e, ERR_FILE, "plugin %s is neither a script (.lua) nor a shared object: %s",
			p->path, dlerror());
	const uint32_t *version = dlsym(p->object, "nestscope_plugin_version");
	*(void **)&load = dlsym(p->object, "nestscope_plugin_load");
	if (!version || !load)
		return err_set(e, ERR_FILE, "plugin %s: nestscope_plugin_version and nestscope_plugin_load "
			"are not both defined", p->path);
	if (*version > NESTSCOPE_PLUGIN_VERSION || !*version)
		return err_set(e, ERR_FILE, "plugin %s is built for version %" PRIu32 " of the plugin "
			"interface, this nestscope has %d", p->path, *version, NESTSCOPE_PLUGIN_VERSION);
	if (load(p, &plugin_host))
		return err_set(e, ERR_FILE, "plugin %s: %s", p->path, p->error[0] ? p->error : "it refused to load");
	return true;
}

static bool is_script(const char *path)
{
	size_t n = strlen(path);
	return n > 4 && !strcmp(path + n - 4, ".lua");
}

static struct nestscope_plugin *find(struct plugins *ps, const char *name)
{
	for (unsigned i = 0; i < ps->count; i++)
		if (!strcmp(ps->plugin[i]->name, name) && !ps->plugin[i]->dying)
			return ps->plugin[i];
	return NULL;
}

/* A name without a folder that is no file here: one of the shipped ones, beside
 * the program, with or without ".lua". */
static void find_shipped(struct nestscope_plugin *p)
{
	static const char *const folders[] = {"/../share/nestscope/plugins/", "/../../plugins/"};
	char self[PATH_MAX], path[2 * PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (n <= 0 || strchr(p->path, '/') || !access(p->path, F_OK))
		return;
	self[n] = 0;
	*strrchr(self, '/') = 0;
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		for (int suffix = 0; suffix < 2; suffix++) {
			snprintf(path, sizeof path, "%s%s%s%s", self, folders[i], p->path, suffix ? ".lua" : "");
			char *whole = access(path, R_OK) ? NULL : realpath(path, NULL);
			if (!whole)
				continue;
			free(p->path);
			p->path = whole;
			return;
		}
	}
}

bool plugins_load(struct plugins *ps, const char *spec, struct err *e)
{
	struct nestscope_plugin *p = xalloc(sizeof *p);
	p->ps = ps;
	p->id = ps->next_id++;
	bool ok = take_apart(p, spec, e);
	if (ok)
		find_shipped(p);
	if (ok && access(p->path, R_OK))
		ok = err_errno(e, "plugin %s", p->path);
	if (ok && find(ps, p->name))
		ok = err_set(e, ERR_GENERAL, "there is a plugin '%s' already; plugin reload %s loads it anew",
			p->name, p->name);
	if (!ok) {
		destroy(p);
		return false;
	}
	ps->plugin = xresize(ps->plugin, (ps->count + 1) * sizeof(*ps->plugin));
	ps->plugin[ps->count++] = p;
	p->depth++; /* it may unload itself while it loads */
	ok = is_script(p->path) ? lua_plugin_load(p, p->path, e) : load_object(p, e);
	if (!ok) {
		p->disabled = true;
		p->dying = true;
		hooks_drop(p);
	}
	plugin_leave(p, NULL);
	return ok;
}

struct plugins *plugins_new(const struct plugins_config *cfg)
{
	struct plugins *ps = xalloc(sizeof *ps);
	ps->cfg = *cfg;
	ps->s = cfg->session;
	ps->next_id = 1;
	if (cfg->loop)
		ps->reaper = loop_add_source(cfg->loop, &(struct loop_source){reap, NULL, ps});
	return ps;
}

void plugins_free(struct plugins *ps)
{
	if (!ps)
		return;
	while (ps->count)
		destroy(ps->plugin[--ps->count]);
	if (ps->repl)
		destroy(ps->repl);
	intro_unsubscribe(ps->s, ps->stop_sub);
	if (ps->reaper)
		loop_del(ps->cfg.loop, ps->reaper);
	free(ps->plugin);
	free(ps);
}

void plugins_quit(struct plugins *ps)
{
	if (intro_listening(ps->s, EVENT_QUIT))
		intro_emit(ps->s, &(struct event){.kind = EVENT_QUIT, .at = intro_here(ps->s),
			.position = intro_position(ps->s)});
}

/* --- the commands ------------------------------------------------------------------ */

static void list(struct plugins *ps, struct output *o)
{
	out_table(o, "plugins", "plugin,kind,state,>hooks,>calls,>kib,commands,file");
	for (unsigned i = 0; i < ps->count; i++) {
		const struct nestscope_plugin *p = ps->plugin[i];
		struct buf names = {0};
		unsigned live = 0;
		for (unsigned k = 0; k < p->hooks; k++)
			live += !p->hook[k]->dead;
		for (unsigned k = 0; k < p->commands; k++)
			buf_fmt(&names, "%s%s", k ? " " : "", p->command[k]->name);
		out_str(o, p->name);
		out_str(o, p->object ? "C" : "Lua");
		out_str(o, p->disabled ? p->why : "active");
		out_u64(o, live);
		out_u64(o, p->calls);
		out_u64(o, lua_plugin_memory(p) / 1024);
		out_str(o, names.data ? names.data : "");
		out_str(o, p->path);
		buf_done(&names);
	}
}

static bool unload(struct plugins *ps, const char *name, bool reload, struct err *e)
{
	struct nestscope_plugin *p = name ? find(ps, name) : NULL;
	if (!name)
		return err_set(e, ERR_GENERAL, "a plugin's name is missing; plugin list shows them");
	if (!p)
		return err_set(e, ERR_GENERAL, "no plugin '%.60s'; plugin list shows them", name);
	p->reload = reload;
	host_unload(p);
	if (!p->depth) {
		p->depth++;
		plugin_leave(p, NULL);
		return !reload || find(ps, name) ||
		       err_set(e, ERR_GENERAL, "plugin %s could not be loaded again", name);
	}
	return true;
}

static bool lua_line(struct plugins *ps, const char *line, struct output *o, struct err *e)
{
	struct buf out = {0};
	if (!ps->repl) {
		ps->repl = xalloc(sizeof *ps->repl);
		ps->repl->ps = ps;
		ps->repl->name = xstrdup("lua");
		if (!lua_plugin_load(ps->repl, NULL, e))
			return false;
	}
	ps->repl->disabled = false; /* an error ends the line, not the prompt */
	bool ok = lua_plugin_line(ps->repl, line, &out, e);
	if (out.len)
		out_raw(o, "output", out.data, out.len);
	buf_done(&out);
	return ok;
}

bool plugins_command(
	struct plugins *ps, bool lua, const char *rest, struct output *o, struct err *e)
{
	struct args a = {.rest = rest};
	const char *verb;
	char word[512];
	if (lua)
		return lua_line(ps, rest, o, e);
	verb = args_next(&a);
	if (!verb || !strcmp(verb, "list")) {
		list(ps, o);
		return args_end(&a, e);
	}
	snprintf(word, sizeof word, "%s", verb);
	const char *arg = args_next(&a);
	if (!args_end(&a, e))
		return false;
	if (!strcmp(word, "load"))
		return arg ? plugins_load(ps, arg, e) : err_set(e, ERR_GENERAL, "a file is missing");
	if (!strcmp(word, "unload") || !strcmp(word, "reload"))
		return unload(ps, arg, word[0] == 'r', e);
	return err_set(e, ERR_GENERAL, "no 'plugin %.60s'; there is list, load, reload, unload", word);
}

/* The host side of a plugin; for plugins/ alone.
 *
 * A plugin is entered through plugin_enter() and left through plugin_leave(),
 * which frees what became dead meanwhile - the plugin itself, when it unloaded
 * itself. After plugin_leave() the plugin must not be touched.
 */
#ifndef PLUGINS_HOST_H
#define PLUGINS_HOST_H

#include "command/command.h"
#include "introspect/events.h"
#include "introspect/memory.h"
#include "plugins/nestscope-plugin.h"
#include "plugins/plugins.h"

#define PLUGIN_DEPTH    8   /* callbacks within callbacks of one plugin */
#define PLUGIN_ARGS     16
#define PLUGIN_FILES    32
#define PLUGIN_PANELS   8
#define PLUGIN_COMMANDS 64

struct lua_host;

struct hook {
	struct nestscope_plugin *p;
	unsigned id;    /* of the subscription, or of the stop */
	bool is_stop;   /* a breakpoint or a memory range */
	bool dead;
	enum event_kind kind; /* is_stop: what it is delivered for */
	nestscope_event_fn *fn;
	void *ctx;
};

struct plugin_command {
	struct nestscope_plugin *p;
	char *name, *usage, *summary, *details; /* owned */
	nestscope_command_fn *fn;
	void *ctx;
};

struct plugin_panel {
	struct nestscope_plugin *p;
	char *name, *title; /* owned */
	nestscope_draw_fn *draw;
	nestscope_key_fn *key;
	void *ctx;
	struct panel panel;
};

struct nestscope_file {
	struct nestscope_plugin *p;
	void *stream; /* FILE *; owned */
};

struct nestscope_canvas {
	struct grid *g;
	struct rect r;
};

struct nestscope_plugin {
	struct plugins *ps;
	unsigned id;
	char *spec, *path, *name; /* owned; name: "exit-histogram" */
	struct {
		char *key, *value; /* owned */
	} arg[PLUGIN_ARGS];
	unsigned args;
	bool disabled, dying, reload;
	char why[512];      /* disabled: the error */
	unsigned depth;     /* callbacks under way */
	uint64_t calls;
	const struct event *event; /* under way */
	char error[512];
	struct buf text;    /* of the last string handed out */
	struct hook **hook; /* owned array of owned */
	unsigned hooks;
	struct plugin_command *command[PLUGIN_COMMANDS]; /* owned */
	unsigned commands;
	struct plugin_panel *panel[PLUGIN_PANELS]; /* owned */
	unsigned panels;
	struct nestscope_file *file[PLUGIN_FILES]; /* owned */
	void *object;       /* dlopen's; NULL: a script */
	struct lua_host *lua; /* owned */
};

struct plugins {
	struct plugins_config cfg;
	struct intro *s;
	struct nestscope_plugin **plugin; /* owned array of owned */
	unsigned count, next_id;
	unsigned stop_sub;  /* the subscription that serves them; 0: none */
	int reaper;         /* of the event loop; 0: none */
	struct nestscope_plugin *repl; /* owned; the `lua` command's */
};

extern const struct nestscope_host plugin_host;

/* False: too deep, disabled or dying - do not call it. */
bool plugin_enter(struct nestscope_plugin *p, const struct event *ev, const struct event **before);
void plugin_leave(struct nestscope_plugin *p, const struct event *before);
/* The same, but nothing is freed until the event loop turns: its caller still
 * uses what is the plugin's. */
void plugin_leave_later(struct nestscope_plugin *p, const struct event *before);
/* Takes away everything that could call it, and tells the user. */
void plugin_disable(struct nestscope_plugin *p, const char *why);
/* Returns 0; the message is what error() gives. */
int plugin_fail(struct nestscope_plugin *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
int plugin_err(struct nestscope_plugin *p, const struct err *e);
struct place plugin_place(struct nestscope_plugin *p, uint32_t level, uint32_t vcpu);

/* --- events.c */
void hooks_drop(struct nestscope_plugin *p);  /* all of them become dead */
void hooks_sweep(struct nestscope_plugin *p); /* dead ones go; nothing is under way */
/* A session's filter from a plugin's; false and *e. */
bool filter_convert(struct intro *s, const struct nestscope_filter *f, struct event_filter *out,
	struct err *e);
void event_convert(const struct event *ev, struct nestscope_event *out);
void event_from_record(const struct exit_record *r, struct nestscope_event *out);

/* --- look.c, acts.c, show.c: the host's functions, by host.def */
#define HOST(since, name, help) extern __typeof__(*plugin_host.name) host_##name;
#include "plugins/host.def"
#undef HOST
/* "l2", "l1p", "h", "l2:2.1p"; false and the plugin's error. */
bool plugin_space(struct nestscope_plugin *p, const char *space, struct intro_address *out);
void commands_drop(struct nestscope_plugin *p);
void panels_drop(struct nestscope_plugin *p);
void files_drop(struct nestscope_plugin *p);

/* --- lua.c */
bool lua_plugin_load(struct nestscope_plugin *p, const char *path, struct err *e);
void lua_plugin_free(struct nestscope_plugin *p);
/* The `lua` command's line; what it prints and returns goes to *out. */
bool lua_plugin_line(struct nestscope_plugin *p, const char *line, struct buf *out, struct err *e);
/* Memory in use, for `plugin list`. */
size_t lua_plugin_memory(const struct nestscope_plugin *p);

#endif

/* The Lua side of a script: one Lua state per plugin, bounded in memory and in
 * instructions per callback; for plugins/lua*.c alone.
 *
 * Scripts reach the machine through the host's table as C plugins do. Every
 * function that Lua calls begins with lua_host_of(), which notes the running
 * thread: a callback that happens meanwhile runs on it.
 */
#ifndef PLUGINS_LUA_HOST_H
#define PLUGINS_LUA_HOST_H

#include "plugins/host.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#define LUA_MEMORY       (64u << 20)           /* bytes; argument memory=MIB */
#define LUA_INSTRUCTIONS UINT64_C(20000000)    /* of one callback; argument instructions=N */
#define LUA_SECONDS      10                    /* of one callback; argument seconds=N */
#define LUA_TICK         1000                  /* instructions between two looks */
#define LUA_STRING       (8u << 20)            /* bytes of the longest string */
#define LUA_SOURCE       (4u << 20)            /* bytes of a script */

/* What one callback has used. */
struct lua_budget {
	uint64_t clock;        /* virtual time when it began */
	uint64_t work;         /* instructions, and what C did, in instructions */
	uint64_t end, look_at; /* processor time, and when to read it again; ns */
	bool timed;            /* these two are set */
	bool over, slow;       /* used up: every instruction fails; by time */
};

struct lua_host {
	struct nestscope_plugin *p;
	const struct nestscope_host *h;
	lua_State *L;    /* owned */
	lua_State *now;  /* the thread that runs, or L */
	size_t memory, memory_max;
	uint64_t work_max, seconds_max;
	struct lua_budget budget;
	unsigned allocations;
	char where[128]; /* the line that went over the budget */
	unsigned depth;  /* calls into Lua under way */
	bool guarded;    /* in one: an allocation may fail */
	const struct nestscope_event *ev;  /* of the callback under way */
	struct nestscope_output *out;      /* of the command under way; NULL: none */
	struct nestscope_canvas *canvas;   /* of the panel being drawn */
	struct buf *capture;               /* print goes here; NULL: to the session */
	int event_ref, canvas_ref;         /* the one event and canvas object */
};

static inline struct lua_host *lua_host_of(lua_State *L)
{
	struct lua_host *lh = *(struct lua_host **)lua_getextraspace(L);
	lh->now = L;
	return lh;
}

/* --- lua_limits.c */
lua_State *lua_host_state(struct lua_host *lh); /* an empty state with its limits; NULL */
/* C did `n` instructions' worth of work: raises when that was too much. */
void lua_host_charge(lua_State *L, uint64_t n);
/* What the callback has left of its instructions. */
uint64_t lua_host_left(const struct lua_host *lh);
/* Calls the function below its `args` arguments on lh->now. False: it failed,
 * and the message is on top. */
bool lua_host_call(struct lua_host *lh, int args, int results);

/* --- lua.c */
/* The same for a callback: an error disables the plugin. */
bool lua_host_callback(struct lua_host *lh, int args, int results);
/* nil and the host's error message: two results. */
int lua_host_nil(struct lua_host *lh);
/* Raises the host's error message. */
int lua_host_raise(struct lua_host *lh);
/* Pushes text where no error may be raised. */
void lua_host_push(struct lua_host *lh, const char *text, size_t len);
void lua_push_u64(lua_State *L, uint64_t v); /* NESTSCOPE_NONE is nil */
uint32_t lua_opt_u32(lua_State *L, int arg);

/* lua_string.c, lua_table.c: bounded functions in place of the library's. */
void lua_open_string(lua_State *L);
void lua_open_table(lua_State *L);
/* lua_event.c, lua_show.c: the classes of events, panels and files. */
void lua_open_event(lua_State *L, struct lua_host *lh);
void lua_open_show(lua_State *L, struct lua_host *lh);
void lua_push_record(struct lua_host *lh, const struct nestscope_event *ev);

#define LUA(name, usage, help)                 lua_CFunction_decl(api_##name)
#define LUA_METHOD(object, name, usage, help)  lua_CFunction_decl(method_##object##_##name)
#define lua_CFunction_decl(f)                  int f(lua_State *L);
#include "plugins/lua.def"
#undef LUA
#undef LUA_METHOD

#endif

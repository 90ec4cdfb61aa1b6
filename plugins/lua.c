/* Lua states: the sandbox, loading, the prompt. */
#include "plugins/lua_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool lua_host_callback(struct lua_host *lh, int args, int results)
{
	bool ok = lua_host_call(lh, args, results);
	if (!ok) {
		plugin_disable(lh->p, lua_tostring(lh->now, -1));
		lua_pop(lh->now, 1);
	}
	return ok;
}

/* --- small helpers ---------------------------------------------------------------- */

int lua_host_nil(struct lua_host *lh)
{
	lua_pushnil(lh->now);
	lua_pushstring(lh->now, lh->h->error(lh->p));
	return 2;
}

int lua_host_raise(struct lua_host *lh)
{
	return luaL_error(lh->now, "%s", lh->h->error(lh->p));
}

void lua_host_push(struct lua_host *lh, const char *text, size_t len)
{
	bool guarded = lh->guarded;
	lh->guarded = false;
	lua_pushlstring(lh->now, text, len);
	lh->guarded = guarded;
}

void lua_push_u64(lua_State *L, uint64_t v)
{
	if (v == NESTSCOPE_NONE)
		lua_pushnil(L);
	else
		lua_pushinteger(L, (lua_Integer)v);
}

uint32_t lua_opt_u32(lua_State *L, int arg)
{
	return (uint32_t)luaL_optinteger(L, arg, 0);
}

/* --- the sandbox -------------------------------------------------------------------- */

/* No finalizers: they run where no limit holds. */
static int set_metatable(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	if (!lua_isnoneornil(L, 2)) {
		luaL_checktype(L, 2, LUA_TTABLE);
		lua_pushstring(L, "__gc");
		lua_rawget(L, 2);
		if (!lua_isnil(L, -1))
			return luaL_error(L, "a script may not have finalizers");
		lua_pop(L, 1);
	}
	if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
		return luaL_error(L, "cannot change a protected metatable");
	lua_settop(L, 2);
	lua_setmetatable(L, 1);
	return 1;
}

/* Text only: bytecode is not checked by Lua. */
static int load_text(lua_State *L)
{
	size_t len;
	const char *text = luaL_checklstring(L, 1, &len);
	if (luaL_loadbufferx(L, text, len, luaL_optstring(L, 2, text), "t") != LUA_OK) {
		lua_pushnil(L);
		lua_insert(L, -2);
		return 2;
	}
	if (!lua_isnoneornil(L, 4)) {
		lua_pushvalue(L, 4);
		lua_setupvalue(L, -2, 1);
	}
	return 1;
}

static int print(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	int n = lua_gettop(L);
	luaL_Buffer b;
	luaL_buffinit(L, &b);
	for (int i = 1; i <= n; i++) {
		if (i > 1)
			luaL_addchar(&b, '\t');
		luaL_tolstring(L, i, NULL);
		luaL_addvalue(&b);
	}
	luaL_pushresult(&b);
	size_t len;
	const char *text = lua_tolstring(L, -1, &len);
	lua_host_charge(L, 16 + len / 16);
	if (lh->capture)
		buf_fmt(lh->capture, "%s\n", text);
	else if (lh->out)
		lh->h->out_text(lh->out, text);
	else
		lh->h->print(lh->p, text);
	return 0;
}

static void close_doors(lua_State *L)
{
	static const char *const gone[] = {"dofile", "loadfile", "warn", "collectgarbage"};
	for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
		lua_pushnil(L);
		lua_setglobal(L, gone[i]);
	}
	lua_pushcfunction(L, load_text);
	lua_setglobal(L, "load");
	lua_pushcfunction(L, set_metatable);
	lua_setglobal(L, "setmetatable");
	lua_getglobal(L, "string");
	lua_pushnil(L);
	lua_setfield(L, -2, "dump");
	lua_pop(L, 1);
}

static void open_libraries(lua_State *L, bool unsafe)
{
	static const luaL_Reg safe[] = {{"_G", luaopen_base}, {"table", luaopen_table},
		{"string", luaopen_string}, {"math", luaopen_math}, {"utf8", luaopen_utf8},
		{"coroutine", luaopen_coroutine}};
	if (unsafe) {
		luaL_openlibs(L);
	} else {
		for (size_t i = 0; i < sizeof safe / sizeof *safe; i++) {
			luaL_requiref(L, safe[i].name, safe[i].func, 1);
			lua_pop(L, 1);
		}
		close_doors(L);
	}
	lua_open_string(L);
	lua_open_table(L);
	lua_pushcfunction(L, print);
	lua_setglobal(L, "print");
}

static const luaL_Reg api[] = {
#define LUA(name, usage, help) {#name, api_##name},
#define LUA_METHOD(object, name, usage, help)
#include "plugins/lua.def"
#undef LUA
#undef LUA_METHOD
	{NULL, NULL}};

static void open_api(lua_State *L, struct lua_host *lh)
{
	luaL_newlib(L, api);
	lua_newtable(L);
	for (unsigned i = 0; i < lh->p->args; i++) {
		lua_pushstring(L, lh->p->arg[i].value);
		lua_setfield(L, -2, lh->p->arg[i].key);
	}
	lua_setfield(L, -2, "arg");
	lua_pushinteger(L, NESTSCOPE_PLUGIN_VERSION);
	lua_setfield(L, -2, "version");
	lua_setglobal(L, "nestscope");
	lua_open_event(L, lh);
	lua_open_show(L, lh);
}

static int open_all(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	open_libraries(L, lh->p->ps->cfg.unsafe);
	open_api(L, lh);
	return 0;
}

/* --- loading ---------------------------------------------------------------------- */

static bool read_source(const char *path, struct buf *out, struct err *e)
{
	char block[65536];
	size_t n;
	FILE *f = fopen(path, "re");
	if (!f)
		return err_errno(e, "plugin %s", path);
	while ((n = fread(block, 1, sizeof block, f)) && out->len <= LUA_SOURCE)
		buf_add(out, block, n);
	bool ok = !ferror(f) || err_errno(e, "plugin %s", path);
	fclose(f);
	if (ok && out->len > LUA_SOURCE)
		return err_set(e, ERR_FILE, "plugin %s is larger than %u MiB", path, LUA_SOURCE >> 20);
	return ok;
}

static bool failed(struct lua_host *lh, struct err *e)
{
	err_set(e, ERR_FILE, "plugin %s: %s", lh->p->name, lua_tostring(lh->now, -1));
	lua_pop(lh->now, 1);
	return false;
}

/* Reading a program is work of the script's, too. */
struct chunk {
	const char *text, *name;
	size_t len;
};

static int read_chunk(lua_State *L)
{
	const struct chunk *c = lua_touserdata(L, 1);
	return luaL_loadbufferx(L, c->text, c->len, c->name, "t") == LUA_OK ? 1 : lua_error(L);
}

/* The function on top, or the message. */
static bool load_chunk(struct lua_host *lh, const char *text, size_t len, const char *name)
{
	struct chunk c = {text ? text : "", name, len};
	lua_pushcfunction(lh->now, read_chunk);
	lua_pushlightuserdata(lh->now, &c);
	return lua_host_call(lh, 1, 1);
}

static bool run_file(struct lua_host *lh, const char *path, struct err *e)
{
	struct buf text = {0}, chunk = {0};
	const char *slash = strrchr(path, '/');
	bool ok = read_source(path, &text, e);
	buf_fmt(&chunk, "@%s", slash ? slash + 1 : path);
	if (ok)
		ok = (load_chunk(lh, text.data, text.len, chunk.data) && lua_host_call(lh, 0, 0)) ||
		     failed(lh, e);
	buf_done(&text);
	buf_done(&chunk);
	return ok;
}

static uint64_t limit(struct nestscope_plugin *p, const char *key, uint64_t otherwise)
{
	const char *text = host_argument(p, key);
	uint64_t v = text ? strtoull(text, NULL, 10) : 0;
	return v && v < UINT64_C(1) << 40 ? v : otherwise;
}

bool lua_plugin_load(struct nestscope_plugin *p, const char *path, struct err *e)
{
	struct lua_host *lh = xalloc(sizeof *lh);
	p->lua = lh;
	lh->p = p;
	lh->h = &plugin_host;
	lh->memory_max = (size_t)limit(p, "memory", LUA_MEMORY >> 20) << 20;
	lh->work_max = limit(p, "instructions", LUA_INSTRUCTIONS);
	lh->seconds_max = limit(p, "seconds", LUA_SECONDS);
	lh->L = lh->now = lua_host_state(lh);
	if (!lh->L)
		return err_set(e, ERR_GENERAL, "no memory for a Lua state");
	lua_pushcfunction(lh->L, open_all);
	if (!lua_host_call(lh, 0, 0))
		return failed(lh, e);
	return !path || run_file(lh, path, e);
}

void lua_plugin_free(struct nestscope_plugin *p)
{
	if (!p->lua)
		return;
	if (p->lua->L)
		lua_close(p->lua->L);
	free(p->lua);
	p->lua = NULL;
}

size_t lua_plugin_memory(const struct nestscope_plugin *p)
{
	return p->lua ? p->lua->memory : 0;
}

/* --- the prompt --------------------------------------------------------------------- */

static bool compile_line(struct lua_host *lh, const char *line)
{
	struct buf b = {0};
	buf_fmt(&b, "return %s", line);
	bool ok = load_chunk(lh, b.data, b.len, "=line");
	buf_done(&b);
	if (ok)
		return true;
	lua_pop(lh->now, 1);
	return load_chunk(lh, line, strlen(line), "=line");
}

static int to_text(lua_State *L)
{
	luaL_tolstring(L, 1, NULL);
	return 1;
}

bool lua_plugin_line(struct nestscope_plugin *p, const char *line, struct buf *out, struct err *e)
{
	struct lua_host *lh = p->lua;
	const struct event *before;
	lua_State *L = lh->now;
	int top = lua_gettop(L);
	if (!plugin_enter(p, NULL, &before))
		return err_set(e, ERR_GENERAL, "lua is busy");
	lh->capture = out;
	bool ok = compile_line(lh, line) && lua_host_call(lh, 0, LUA_MULTRET);
	for (int i = top + 1, end = lua_gettop(L); ok && i <= end; i++) {
		lua_pushcfunction(L, to_text);
		lua_pushvalue(L, i);
		ok = lua_host_call(lh, 1, 1);
		if (ok)
			buf_fmt(out, "%s\n", lua_tostring(L, -1));
		if (ok)
			lua_pop(L, 1);
	}
	if (!ok)
		err_set(e, ERR_GENERAL, "%s", lua_tostring(L, -1));
	lua_settop(L, top);
	lh->capture = NULL;
	plugin_leave(p, before);
	return ok;
}

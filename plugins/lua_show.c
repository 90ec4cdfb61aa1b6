/* Commands, tables, panels and files from Lua. */
#include "plugins/lua_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- commands ------------------------------------------------------------------- */

static int run(struct nestscope_plugin *p, void *ctx, const char *rest, struct nestscope_output *out)
{
	struct lua_host *lh = p->lua;
	struct nestscope_output *before = lh->out;
	lua_State *L = lh->now;
	if (!lua_checkstack(L, 8))
		return 1;
	lh->out = out;
	lua_rawgeti(L, LUA_REGISTRYINDEX, (lua_Integer)(intptr_t)ctx);
	lua_host_push(lh, rest, strlen(rest));
	bool ok = lua_host_call(lh, 1, 1);
	if (!ok)
		lh->h->fail(p, lua_tostring(L, -1));
	else if (lua_type(L, -1) == LUA_TSTRING)
		lh->h->out_text(out, lua_tostring(L, -1));
	lua_pop(L, 1);
	lh->out = before;
	return !ok;
}

int api_command(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	const char *name = luaL_checkstring(L, 1), *usage = luaL_checkstring(L, 2);
	const char *help = luaL_checkstring(L, 3);
	luaL_checktype(L, 4, LUA_TFUNCTION);
	lua_settop(L, 4);
	int ref = luaL_ref(L, LUA_REGISTRYINDEX);
	/* the first line is the summary, the rest the details */
	size_t n = strcspn(help, "\n");
	lua_pushlstring(L, help, n);
	if (!lh->h->add_command(lh->p, name, usage, lua_tostring(L, -1), help[n] ? help + n + 1 : "", run,
		    (void *)(intptr_t)ref)) {
		luaL_unref(L, LUA_REGISTRYINDEX, ref);
		return lua_host_raise(lh);
	}
	return 0;
}

/* --- tables ------------------------------------------------------------------------ */

#define COLUMNS_MAX 32

struct table {
	struct lua_host *lh;
	const char *name;
	char columns[1024]; /* without the '#' of hexadecimal ones */
	unsigned n;
	bool hex[COLUMNS_MAX];
	int rows;           /* where they are on the stack */
	size_t room;        /* bytes of text that it may still show */
};

/* "name,>count,#rip": '#' first shows numbers in hexadecimal. */
static void read_columns(lua_State *L, struct table *t, const char *text)
{
	size_t to = 0;
	bool start = true;
	if (strlen(text) >= sizeof t->columns)
		luaL_error(L, "the columns are too long");
	for (; *text; text++) {
		if (start && t->n == COLUMNS_MAX)
			luaL_error(L, "at most %d columns", COLUMNS_MAX);
		if (start)
			t->hex[t->n++] = *text == '#';
		if (!(start && *text == '#'))
			t->columns[to++] = *text;
		start = *text == ',';
	}
}

static void cell(struct table *t, struct nestscope_output *out, unsigned column)
{
	lua_State *L = t->lh->now;
	const struct nestscope_host *h = t->lh->h;
	char number[64];
	if (lua_isinteger(L, -1) && t->hex[column])
		h->out_hex(out, (uint64_t)lua_tointeger(L, -1));
	else if (lua_isinteger(L, -1))
		h->out_u64(out, (uint64_t)lua_tointeger(L, -1));
	else if (lua_type(L, -1) == LUA_TNUMBER) {
		snprintf(number, sizeof number, "%.2f", lua_tonumber(L, -1));
		h->out_str(out, number);
	} else {
		size_t len = lua_isstring(L, -1) ? lua_rawlen(L, -1) : 0;
		h->out_str(out, lua_isstring(L, -1) && len <= t->room ? lua_tostring(L, -1) : NULL);
		t->room -= len <= t->room ? len : 0;
	}
}

static void fill(void *ctx, struct nestscope_output *out)
{
	struct table *t = ctx;
	lua_State *L = t->lh->now;
	size_t rows = lua_rawlen(L, t->rows);
	t->lh->h->out_table(out, t->name, t->columns);
	for (size_t i = 1; i <= rows; i++) {
		lua_rawgeti(L, t->rows, (lua_Integer)i);
		for (unsigned c = 0; c < t->n; c++) {
			if (lua_istable(L, -1))
				lua_rawgeti(L, -1, (lua_Integer)c + 1);
			else
				lua_pushnil(L);
			cell(t, out, c);
			lua_pop(L, 1);
		}
		lua_pop(L, 1);
	}
}

int api_table(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	struct table t = {.lh = lh, .name = luaL_checkstring(L, 1), .rows = 3, .room = LUA_STRING};
	read_columns(L, &t, luaL_checkstring(L, 2));
	luaL_checktype(L, 3, LUA_TTABLE);
	luaL_checkstack(L, 8, "table");
	if (lh->out)
		fill(&t, lh->out);
	else
		lh->h->print_output(lh->p, fill, &t);
	return 0;
}

/* --- panels ------------------------------------------------------------------------- */

struct panel_refs {
	int draw, key; /* key: LUA_NOREF */
};

static void draw(struct nestscope_plugin *p, void *ctx, struct nestscope_canvas *canvas,
	uint32_t width, uint32_t height)
{
	struct lua_host *lh = p->lua;
	const struct panel_refs *refs = ctx;
	struct nestscope_canvas *before = lh->canvas;
	lua_State *L = lh->now;
	if (!lua_checkstack(L, 8))
		return;
	lh->canvas = canvas;
	lua_rawgeti(L, LUA_REGISTRYINDEX, refs->draw);
	lua_rawgeti(L, LUA_REGISTRYINDEX, lh->canvas_ref);
	lua_pushinteger(L, width);
	lua_pushinteger(L, height);
	lua_host_callback(lh, 3, 0);
	lh->canvas = before;
}

static int key(struct nestscope_plugin *p, void *ctx, uint32_t code)
{
	struct lua_host *lh = p->lua;
	const struct panel_refs *refs = ctx;
	lua_State *L = lh->now;
	char text[8] = "";
	if (!lua_checkstack(L, 8))
		return 0;
	lua_rawgeti(L, LUA_REGISTRYINDEX, refs->key);
	if (code < 128)
		snprintf(text, sizeof text, "%c", (int)code);
	lua_host_push(lh, text, strlen(text));
	lua_pushinteger(L, code);
	if (!lua_host_callback(lh, 2, 1))
		return 1;
	int taken = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return taken;
}

int api_panel(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	const char *name = luaL_checkstring(L, 1), *title = luaL_checkstring(L, 2);
	luaL_checktype(L, 3, LUA_TFUNCTION);
	if (!lua_isnoneornil(L, 4))
		luaL_checktype(L, 4, LUA_TFUNCTION);
	lua_settop(L, 4);
	struct panel_refs *refs = lua_newuserdatauv(L, sizeof *refs, 0);
	luaL_ref(L, LUA_REGISTRYINDEX); /* lives as long as the state */
	refs->key = lua_isnil(L, 4) ? (lua_pop(L, 1), LUA_NOREF) : luaL_ref(L, LUA_REGISTRYINDEX);
	refs->draw = luaL_ref(L, LUA_REGISTRYINDEX);
	if (!lh->h->add_panel(lh->p, name, title, draw, refs->key == LUA_NOREF ? NULL : key, refs))
		return lua_host_raise(lh);
	return 0;
}

static struct nestscope_canvas *canvas_of(struct lua_host *lh)
{
	if (!lh->canvas)
		luaL_error(lh->now, "the panel is not being drawn");
	return lh->canvas;
}

/* Rows and columns count from 1. */
static uint32_t coordinate(lua_State *L, int arg)
{
	lua_Integer v = luaL_checkinteger(L, arg);
	return v < 1 || v > 4096 ? 4096 : (uint32_t)v - 1;
}

int method_canvas_text(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	lua_pushinteger(L, 1 + (lua_Integer)lh->h->panel_text(canvas_of(lh), coordinate(L, 2),
		coordinate(L, 3), luaL_optstring(L, 5, "default"), luaL_checkstring(L, 4)));
	return 1;
}

int method_canvas_bar(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	lh->h->panel_bar(canvas_of(lh), coordinate(L, 2), coordinate(L, 3), coordinate(L, 4) + 1,
		luaL_optstring(L, 7, "default"), (uint64_t)luaL_checkinteger(L, 5),
		(uint64_t)luaL_checkinteger(L, 6));
	return 0;
}

/* --- files ----------------------------------------------------------------------------- */

#define FILE_CLASS "nestscope file"

int api_create(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	const char *path = luaL_checkstring(L, 1);
	struct nestscope_file **f = lua_newuserdatauv(L, sizeof(*f), 0);
	*f = lh->h->create(lh->p, path);
	if (!*f)
		return lua_host_nil(lh);
	luaL_setmetatable(L, FILE_CLASS);
	return 1;
}

int method_file_write(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	struct nestscope_file **f = luaL_checkudata(L, 1, FILE_CLASS);
	size_t len;
	const char *text = luaL_checklstring(L, 2, &len);
	if (!*f)
		return luaL_error(L, "the file is closed");
	lua_host_charge(L, 16 + len / 64);
	if (!lh->h->put(*f, text, len))
		return lua_host_raise(lh);
	lua_settop(L, 1);
	return 1;
}

int method_file_close(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	struct nestscope_file **f = luaL_checkudata(L, 1, FILE_CLASS), *file = *f;
	*f = NULL;
	if (file && !lh->h->close(file))
		return lua_host_raise(lh);
	return 0;
}

#define LUA(name, usage, help)
#define LUA_METHOD(object, name, usage, help) {#object, #name, method_##object##_##name},
static const struct {
	const char *object, *name;
	lua_CFunction fn;
} methods[] = {
#include "plugins/lua.def"
};
#undef LUA
#undef LUA_METHOD

/* A table with the methods of an object as __index, protected. */
static void add_class(lua_State *L, const char *object)
{
	lua_newtable(L);
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
		if (strcmp(methods[i].object, object))
			continue;
		lua_pushcfunction(L, methods[i].fn);
		lua_setfield(L, -2, methods[i].name);
	}
	lua_setfield(L, -2, "__index");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
}

void lua_open_show(lua_State *L, struct lua_host *lh)
{
	luaL_newmetatable(L, FILE_CLASS);
	add_class(L, "file");
	lua_pop(L, 1);
	lua_newuserdatauv(L, 0, 0);
	lua_newtable(L);
	add_class(L, "canvas");
	lua_setmetatable(L, -2);
	lh->canvas_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

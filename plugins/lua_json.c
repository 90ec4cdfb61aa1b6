/* JSON in Lua, by jansson: arrays are tables with 1..n, objects the others. */
#include "plugins/lua_host.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_DEPTH 64
#define JSON_VALUES 1000000u /* of one text */

/* What a text may still have; without it, the rest is null. */
struct room {
	unsigned values;
	size_t bytes;
};

static json_t *from_lua(lua_State *L, int depth, struct room *left);

static json_t *array(lua_State *L, int depth, struct room *left)
{
	json_t *a = json_array();
	lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
	for (lua_Integer i = 1; i <= n && left->values; i++) {
		lua_rawgeti(L, -1, i);
		json_array_append_new(a, from_lua(L, depth, left));
		lua_pop(L, 1);
	}
	return a;
}

static json_t *object(lua_State *L, int depth, struct room *left)
{
	json_t *o = json_object();
	lua_pushnil(L);
	while (lua_next(L, -2)) {
		char number[32];
		const char *key = number;
		if (lua_type(L, -2) == LUA_TSTRING)
			key = lua_tostring(L, -2);
		else if (lua_isinteger(L, -2))
			snprintf(number, sizeof number, "%lld", (long long)lua_tointeger(L, -2));
		else
			key = "?";
		json_object_set_new(o, key, from_lua(L, depth, left));
		lua_pop(L, 1);
	}
	return o;
}

/* Never raises: what has no JSON is null. */
static json_t *from_lua(lua_State *L, int depth, struct room *left)
{
	json_t *v;
	if (depth >= JSON_DEPTH || !left->values || !lua_checkstack(L, 4))
		return json_null();
	left->values--;
	switch (lua_type(L, -1)) {
	case LUA_TBOOLEAN:
		return json_boolean(lua_toboolean(L, -1));
	case LUA_TNUMBER:
		v = lua_isinteger(L, -1) ? json_integer(lua_tointeger(L, -1)) : json_real(lua_tonumber(L, -1));
		return v ? v : json_null();
	case LUA_TSTRING:
		if (lua_rawlen(L, -1) > left->bytes) {
			left->values = 0;
			return json_null();
		}
		left->bytes -= lua_rawlen(L, -1);
		v = json_string(lua_tostring(L, -1));
		return v ? v : json_null(); /* not UTF-8 */
	case LUA_TTABLE:
		lua_pushnil(L);
		if (lua_rawlen(L, -2) || !lua_next(L, -2))
			return lua_rawlen(L, -2) ? (lua_pop(L, 1), array(L, depth + 1, left)) : json_array();
		lua_pop(L, 2);
		return object(L, depth + 1, left);
	default:
		return json_null();
	}
}

int api_json(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	luaL_checkany(L, 1);
	lua_settop(L, 1);
	struct room left = {JSON_VALUES, LUA_STRING};
	json_t *v = from_lua(L, 0, &left);
	lua_settop(L, 1);
	char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
	json_decref(v);
	if (!text)
		return luaL_error(L, "the value has no JSON form");
	size_t n = strlen(text);
	if (n > LUA_STRING) {
		free(text);
		return luaL_error(L, "the JSON text is too long");
	}
	lua_host_push(lh, text, n);
	free(text);
	return 1;
}

static void to_lua(lua_State *L, const json_t *v, int depth)
{
	const char *key;
	size_t i;
	json_t *item;
	luaL_checkstack(L, 4, "JSON");
	if (json_is_object(v) && depth < JSON_DEPTH) {
		lua_createtable(L, 0, (int)json_object_size(v));
		json_object_foreach((json_t *)v, key, item) {
			lua_pushstring(L, key);
			to_lua(L, item, depth + 1);
			lua_rawset(L, -3);
		}
	} else if (json_is_array(v) && depth < JSON_DEPTH) {
		lua_createtable(L, (int)json_array_size(v), 0);
		json_array_foreach(v, i, item) {
			to_lua(L, item, depth + 1);
			lua_rawseti(L, -2, (lua_Integer)i + 1);
		}
	} else if (json_is_string(v)) {
		lua_pushstring(L, json_string_value(v));
	} else if (json_is_integer(v)) {
		lua_pushinteger(L, json_integer_value(v));
	} else if (json_is_real(v)) {
		lua_pushnumber(L, json_real_value(v));
	} else if (json_is_boolean(v)) {
		lua_pushboolean(L, json_is_true(v));
	} else {
		lua_pushnil(L);
	}
}

/* A document is owned by a Lua object, so that an error on the way frees it. */
static int free_document(lua_State *L)
{
	json_t **v = lua_touserdata(L, 1);
	json_decref(*v);
	*v = NULL;
	return 0;
}

int api_parse_json(lua_State *L)
{
	json_error_t e;
	size_t len;
	lua_host_of(L);
	const char *text = luaL_checklstring(L, 1, &len);
	json_t **v = lua_newuserdatauv(L, sizeof(*v), 0);
	*v = NULL;
	lua_createtable(L, 0, 1);
	lua_pushcfunction(L, free_document);
	lua_setfield(L, -2, "__gc");
	lua_setmetatable(L, -2);
	*v = json_loadb(text, len, JSON_DECODE_ANY, &e);
	if (!*v) {
		lua_pushnil(L);
		lua_pushfstring(L, "line %d: %s", e.line, e.text);
		return 2;
	}
	to_lua(L, *v, 0);
	return 1;
}

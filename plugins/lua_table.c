/* The table library's functions that go over as many elements as a table
 * claims to have, each with a count: insert, remove, move, concat, sort. */
#include "plugins/lua_host.h"

#include <limits.h>

static lua_Integer length_of(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	return luaL_len(L, 1);
}

/* t[to] = t[from] */
static void copy(lua_State *L, lua_Integer to, lua_Integer from)
{
	lua_host_charge(L, 1);
	lua_geti(L, 1, from);
	lua_seti(L, 1, to);
}

static int insert(lua_State *L)
{
	lua_Integer end = (lua_Integer)((lua_Unsigned)length_of(L) + 1), at = end;
	int n = lua_gettop(L);
	if (n == 3) {
		at = luaL_checkinteger(L, 2);
		luaL_argcheck(L, (lua_Unsigned)at - 1 < (lua_Unsigned)end, 2, "position out of bounds");
		for (lua_Integer i = end; i > at; i--)
			copy(L, i, i - 1);
	} else if (n != 2) {
		return luaL_error(L, "wrong number of arguments to 'insert'");
	}
	lua_seti(L, 1, at);
	return 0;
}

static int take(lua_State *L)
{
	lua_Integer size = length_of(L), at = luaL_optinteger(L, 2, size);
	if (at != size)
		luaL_argcheck(L, (lua_Unsigned)at - 1 <= (lua_Unsigned)size, 2, "position out of bounds");
	lua_geti(L, 1, at);
	for (; at < size; at++)
		copy(L, at, at + 1);
	lua_pushnil(L);
	lua_seti(L, 1, at);
	return 1;
}

/* move(a1, f, e, t [, a2]) */
static int move(lua_State *L)
{
	lua_Integer f = luaL_checkinteger(L, 2), e = luaL_checkinteger(L, 3), t = luaL_checkinteger(L, 4);
	int to = lua_isnoneornil(L, 5) ? 1 : 5;
	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_checktype(L, to, LUA_TTABLE);
	if (e >= f) {
		luaL_argcheck(L, f > 0 || e < LUA_MAXINTEGER + f, 3, "too many elements to move");
		lua_Integer n = e - f + 1;
		luaL_argcheck(L, t <= LUA_MAXINTEGER - n + 1, 4, "destination wrap around");
		bool up = t > e || t <= f || (to != 1 && !lua_compare(L, 1, to, LUA_OPEQ));
		for (lua_Integer k = 0; k < n; k++) {
			lua_Integer i = up ? k : n - 1 - k;
			lua_host_charge(L, 1);
			lua_geti(L, 1, f + i);
			lua_seti(L, to, t + i);
		}
	}
	lua_pushvalue(L, to);
	return 1;
}

static int concat(lua_State *L)
{
	luaL_Buffer b;
	size_t len;
	lua_Integer last = length_of(L);
	const char *between = luaL_optlstring(L, 2, "", &len);
	lua_Integer i = luaL_optinteger(L, 3, 1);
	last = luaL_optinteger(L, 4, last);
	luaL_buffinit(L, &b);
	for (; i <= last; i++) {
		lua_host_charge(L, 1);
		lua_geti(L, 1, i);
		if (!lua_isstring(L, -1))
			return luaL_error(L, "invalid value (%s) at index %I in table for 'concat'",
				luaL_typename(L, -1), (LUAI_UACINT)i);
		luaL_addvalue(&b);
		if (i == last)
			break;
		luaL_addlstring(&b, between, len);
	}
	luaL_pushresult(&b);
	return 1;
}

/* --- sort: a heap, so that no order, however false, takes longer or leads out --------- */

/* t[i] < t[j]; the two are pushed. */
static bool less(lua_State *L, lua_Integer i, lua_Integer j)
{
	bool is;
	lua_host_charge(L, 4);
	lua_geti(L, 1, i);
	lua_geti(L, 1, j);
	if (lua_isnil(L, 2))
		return lua_compare(L, -2, -1, LUA_OPLT);
	lua_pushvalue(L, 2);
	lua_pushvalue(L, -3);
	lua_pushvalue(L, -3);
	lua_call(L, 2, 1);
	is = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return is;
}

static void sink(lua_State *L, lua_Integer at, lua_Integer n)
{
	for (lua_Integer below; (below = 2 * at) <= n; at = below) {
		if (below < n) {
			below += less(L, below, below + 1);
			lua_pop(L, 2);
		}
		if (!less(L, at, below)) {
			lua_pop(L, 2);
			return;
		}
		lua_seti(L, 1, at);
		lua_seti(L, 1, below);
	}
}

static int sort(lua_State *L)
{
	lua_Integer n = length_of(L);
	luaL_argcheck(L, n < INT_MAX, 1, "array too big");
	if (!lua_isnoneornil(L, 2))
		luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	for (lua_Integer i = n / 2; i >= 1; i--)
		sink(L, i, n);
	for (lua_Integer end = n; end > 1; end--) {
		lua_geti(L, 1, 1);
		lua_geti(L, 1, end);
		lua_seti(L, 1, 1);
		lua_seti(L, 1, end);
		sink(L, 1, end - 1);
	}
	return 0;
}

void lua_open_table(lua_State *L)
{
	static const luaL_Reg bounded[] = {{"insert", insert}, {"remove", take}, {"move", move},
		{"concat", concat}, {"sort", sort}, {NULL, NULL}};
	lua_getglobal(L, LUA_TABLIBNAME);
	luaL_setfuncs(L, bounded, 0);
	lua_pop(L, 1);
}

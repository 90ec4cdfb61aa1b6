/* The string library's functions that can run for ever, bounded: find, match,
 * gmatch and gsub on plugins/lua_match.h, and rep. */
#include "plugins/lua_host.h"
#include "plugins/lua_match.h"

#include <ctype.h>
#include <string.h>

static void begin(lua_State *L, struct lua_match *m, int subject, int pattern)
{
	struct lua_host *lh = *(struct lua_host **)lua_getextraspace(L);
	size_t src, pat;
	*m = (struct lua_match){.left = lua_host_left(lh)};
	m->src = luaL_checklstring(L, subject, &src);
	m->src_end = m->src + src;
	m->pat_end = luaL_checklstring(L, pattern, &pat) + pat;
}

/* One attempt. What it cost is the script's. */
static const char *attempt(lua_State *L, struct lua_match *m, const char *at, const char *pattern)
{
	uint64_t before = m->left;
	m->captures = m->depth = 0;
	const char *end = lua_match(m, at, pattern);
	lua_host_charge(L, m->error == lua_match_steps ? UINT64_MAX / 2 : 1 + before - m->left);
	if (m->error)
		luaL_error(L, m->error, m->error_number);
	return end;
}

static void push_capture(lua_State *L, const struct lua_match *m, unsigned i, const char *from,
	const char *end)
{
	if (!i && !m->captures)
		lua_pushlstring(L, from, (size_t)(end - from));
	else if (i >= m->captures)
		luaL_error(L, "invalid capture index %%%d", (int)i + 1);
	else if (m->capture[i].len == CAPTURE_POSITION)
		lua_pushinteger(L, m->capture[i].at - m->src + 1);
	else if (m->capture[i].len == CAPTURE_OPEN)
		luaL_error(L, "unfinished capture");
	else
		lua_pushlstring(L, m->capture[i].at, (size_t)m->capture[i].len);
}

/* The captures, or the whole match (`whole`) where the pattern has none. */
static int push_captures(lua_State *L, const struct lua_match *m, bool whole, const char *from,
	const char *end)
{
	unsigned n = m->captures || !whole ? m->captures : 1;
	luaL_checkstack(L, (int)n, "too many captures");
	for (unsigned i = 0; i < n; i++)
		push_capture(L, m, i, from, end);
	return (int)n;
}

/* Argument `arg`, from 1 and negative from the end, as an offset. */
static size_t start_of(lua_State *L, int arg, size_t len)
{
	lua_Integer at = luaL_optinteger(L, arg, 1);
	if (at > 0)
		return (size_t)at - 1;
	return at == 0 || at < -(lua_Integer)len ? 0 : len - (size_t)-at;
}

static bool is_plain(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] && strchr("^$*+?.([%-", p[i]))
			return false;
	return true;
}

static int find_plain(lua_State *L, const struct lua_match *m, size_t at, const char *p, size_t len)
{
	size_t room = (size_t)(m->src_end - m->src) - at;
	const char *found = len ? memmem(m->src + at, room, p, len) : m->src + at;
	lua_host_charge(L, (room + len) / 16);
	if (!found) {
		lua_pushnil(L);
		return 1;
	}
	lua_pushinteger(L, found - m->src + 1);
	lua_pushinteger(L, found - m->src + (ptrdiff_t)len);
	return 2;
}

static int look_for(lua_State *L, bool find)
{
	struct lua_match m;
	begin(L, &m, 1, 2);
	const char *p = lua_tostring(L, 2), *end;
	size_t at = start_of(L, 3, (size_t)(m.src_end - m.src));
	if (at > (size_t)(m.src_end - m.src)) {
		lua_pushnil(L);
		return 1;
	}
	size_t len = (size_t)(m.pat_end - p);
	if (find && (lua_toboolean(L, 4) || is_plain(p, len)))
		return find_plain(L, &m, at, p, len);
	bool anchor = *p == '^';
	p += anchor;
	for (const char *s = m.src + at; s <= m.src_end; s++) {
		if ((end = attempt(L, &m, s, p))) {
			if (!find)
				return push_captures(L, &m, true, s, end);
			lua_pushinteger(L, s - m.src + 1);
			lua_pushinteger(L, end - m.src);
			return push_captures(L, &m, false, s, end) + 2;
		}
		if (anchor)
			break;
	}
	lua_pushnil(L);
	return 1;
}

static int find(lua_State *L)
{
	return look_for(L, true);
}

static int match(lua_State *L)
{
	return look_for(L, false);
}

/* --- gmatch --------------------------------------------------------------------------- */

/* Upvalues: subject, pattern, where to go on, the end of the last match. */
static int next_match(lua_State *L)
{
	struct lua_match m;
	const char *end;
	begin(L, &m, lua_upvalueindex(1), lua_upvalueindex(2));
	const char *p = lua_tostring(L, lua_upvalueindex(2));
	const char *s = m.src + lua_tointeger(L, lua_upvalueindex(3));
	const char *last = m.src + lua_tointeger(L, lua_upvalueindex(4));
	for (; s <= m.src_end; s++) {
		if (!(end = attempt(L, &m, s, p)) || end == last)
			continue;
		lua_pushinteger(L, end - m.src);
		lua_copy(L, -1, lua_upvalueindex(3));
		lua_replace(L, lua_upvalueindex(4));
		return push_captures(L, &m, true, s, end);
	}
	return 0;
}

static int gmatch(lua_State *L)
{
	size_t len;
	luaL_checklstring(L, 1, &len);
	luaL_checkstring(L, 2);
	size_t at = start_of(L, 3, len);
	lua_settop(L, 2);
	lua_pushinteger(L, at > len ? (lua_Integer)len + 1 : (lua_Integer)at);
	lua_pushinteger(L, -1);
	lua_pushcclosure(L, next_match, 4);
	return 1;
}

/* --- gsub ----------------------------------------------------------------------------- */

/* The replacement text with its %0 to %9. */
static void add_text(lua_State *L, luaL_Buffer *b, const struct lua_match *m, const char *from,
	const char *end)
{
	size_t len;
	const char *r = lua_tolstring(L, 3, &len), *stop = r + len, *sign;
	while ((sign = memchr(r, '%', (size_t)(stop - r)))) {
		luaL_addlstring(b, r, (size_t)(sign - r));
		char c = sign + 1 < stop ? sign[1] : 0;
		if (c == '%') {
			luaL_addchar(b, '%');
		} else if (c == '0') {
			luaL_addlstring(b, from, (size_t)(end - from));
		} else if (isdigit((unsigned char)c)) {
			push_capture(L, m, (unsigned)(c - '1'), from, end);
			luaL_tolstring(L, -1, NULL);
			lua_remove(L, -2);
			luaL_addvalue(b);
		} else {
			luaL_error(L, "invalid use of '%%' in replacement string");
		}
		r = sign + 2;
	}
	luaL_addlstring(b, r, (size_t)(stop - r));
}

/* What takes the match's place. */
static void add_value(lua_State *L, luaL_Buffer *b, const struct lua_match *m, const char *from,
	const char *end)
{
	int type = lua_type(L, 3);
	if (type == LUA_TFUNCTION) {
		lua_pushvalue(L, 3);
		int n = push_captures(L, m, true, from, end);
		lua_call(L, n, 1);
	} else if (type == LUA_TTABLE) {
		push_capture(L, m, 0, from, end);
		lua_gettable(L, 3);
	} else {
		add_text(L, b, m, from, end);
		return;
	}
	if (!lua_toboolean(L, -1)) {
		lua_pop(L, 1);
		luaL_addlstring(b, from, (size_t)(end - from));
		return;
	}
	if (!lua_isstring(L, -1))
		luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
	luaL_addvalue(b);
}

static int gsub(lua_State *L)
{
	struct lua_match m;
	luaL_Buffer b;
	begin(L, &m, 1, 2);
	const char *p = lua_tostring(L, 2), *s = m.src, *end, *last = NULL;
	bool anchor = *p == '^';
	int type = lua_type(L, 3);
	luaL_argexpected(L, type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION ||
		type == LUA_TTABLE, 3, "string/function/table");
	lua_Integer most = luaL_optinteger(L, 4, m.src_end - m.src + 1), n = 0;
	p += anchor;
	luaL_buffinit(L, &b);
	while (n < most) {
		if ((end = attempt(L, &m, s, p)) && end != last) {
			n++;
			add_value(L, &b, &m, s, end);
			m.left = lua_host_left(*(struct lua_host **)lua_getextraspace(L));
			s = last = end;
		} else if (s < m.src_end) {
			luaL_addchar(&b, *s++);
		} else {
			break;
		}
		if (anchor)
			break;
	}
	luaL_addlstring(&b, s, (size_t)(m.src_end - s));
	luaL_pushresult(&b);
	lua_pushinteger(L, n);
	return 2;
}

/* --- rep ------------------------------------------------------------------------------ */

/* Nothing, however often, is nothing: the library counts it all the same.
 * Upvalue: its own. */
static int rep(lua_State *L)
{
	size_t len, between = 0;
	luaL_checklstring(L, 1, &len);
	luaL_checkinteger(L, 2);
	luaL_optlstring(L, 3, "", &between);
	if (!len && !between) {
		lua_pushliteral(L, "");
		return 1;
	}
	lua_settop(L, 3);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, 3, 1);
	return 1;
}

void lua_open_string(lua_State *L)
{
	static const luaL_Reg bounded[] = {{"find", find}, {"match", match}, {"gmatch", gmatch},
		{"gsub", gsub}, {NULL, NULL}};
	lua_getglobal(L, LUA_STRLIBNAME);
	luaL_setfuncs(L, bounded, 0);
	lua_getfield(L, -1, "rep");
	lua_pushcclosure(L, rep, 1);
	lua_setfield(L, -2, "rep");
	lua_pop(L, 1);
}

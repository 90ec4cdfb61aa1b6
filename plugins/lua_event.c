/* Events in Lua: filters from tables, the event object, breakpoints. */
#include "plugins/lua_host.h"

#include "introspect/exits.h"

#include <string.h>

/* --- the event object: valid while its callback runs -------------------------------- */

enum field_id {
#define FIELD(type, name, help) FIELD_##name,
#include "plugins/event_fields.def"
#undef FIELD
	FIELD_COUNT
};

#define PUSH_U64(L, v)  lua_push_u64(L, v)
#define PUSH_U32(L, v)  lua_pushinteger(L, v)
#define PUSH_FLAG(L, v) lua_pushboolean(L, (int)(v))
#define PUSH_STR(L, v)  lua_pushstring(L, v)

static void push_made(struct lua_host *lh, const struct nestscope_event *ev, enum field_id f)
{
	lua_State *L = lh->now;
	const char *text = NULL;
	if (f == FIELD_field && ev->field) {
		text = lh->h->field_name(lh->p, ev->field);
	} else if (f == FIELD_symbol && ev->rip != NESTSCOPE_NONE) {
		text = lh->h->symbol(lh->p, ev->from ? ev->from : ev->level,
			ev->cr3 && ev->cr3 != NESTSCOPE_NONE ? ev->cr3 : NESTSCOPE_NONE, ev->rip);
	} else if (f == FIELD_reason && (ev->has_exit || !strcmp(ev->kind, "vmx-insn"))) {
		text = lh->h->reason_name(lh->p, ev->has_exit ? ev->reason : (uint32_t)ev->value);
	} else if (f == FIELD_detail_text && ev->has_exit) {
		text = lh->h->detail_text(lh->p, ev->reason, ev->detail, ev->qualification);
	} else if (f == FIELD_reason_number && ev->has_exit) {
		lua_pushinteger(L, ev->reason & 0xffff);
		return;
	}
	lua_pushstring(L, text); /* NULL is nil */
}

static void push_field(struct lua_host *lh, const struct nestscope_event *ev, enum field_id f)
{
	lua_State *L = lh->now;
	switch (f) {
#define MEMBER_U64(name)  PUSH_U64(L, ev->name)
#define MEMBER_U32(name)  PUSH_U32(L, ev->name)
#define MEMBER_FLAG(name) PUSH_FLAG(L, ev->name)
#define MEMBER_STR(name)  PUSH_STR(L, ev->name)
#define MEMBER_MADE(name) push_made(lh, ev, FIELD_##name)
#define FIELD(type, name, help)    \
	case FIELD_##name:         \
		MEMBER_##type(name); \
		return;
#include "plugins/event_fields.def"
#undef FIELD
	case FIELD_COUNT:
		break;
	}
	lua_pushnil(L);
}

static const char *const field_names[FIELD_COUNT] = {
#define FIELD(type, name, help) #name,
#include "plugins/event_fields.def"
#undef FIELD
};

static const struct nestscope_event *event_of(struct lua_host *lh)
{
	if (!lh->ev)
		luaL_error(lh->now, "the event is over: copy what you need while its callback runs");
	return lh->ev;
}

/* Upvalue 1: name -> number of a field, or a method. */
static int event_index(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	const struct nestscope_event *ev = event_of(lh);
	lua_pushvalue(L, 2);
	if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TNUMBER)
		push_field(lh, ev, (enum field_id)lua_tointeger(L, -1));
	else if (lua_isnil(L, -1))
		return luaL_error(L, "events have no '%s'", luaL_tolstring(L, 2, NULL));
	return 1;
}

/* As a table: what the ring keeps, and what outlives its callback. */
void lua_push_record(struct lua_host *lh, const struct nestscope_event *ev)
{
	lua_State *L = lh->now;
	lua_createtable(L, 0, FIELD_COUNT);
	for (int f = 0; f < FIELD_COUNT; f++) {
		push_field(lh, ev, (enum field_id)f);
		lua_setfield(L, -2, field_names[f]);
	}
}

int method_e_swallow(lua_State *L)
{
	static const char *const names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
		"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"};
	struct lua_host *lh = lua_host_of(L);
	uint64_t gpr[16] = {0};
	uint32_t mask = 0;
	if (!lua_isnoneornil(L, 2))
		luaL_checktype(L, 2, LUA_TTABLE);
	for (unsigned i = 0; i < 16 && lua_istable(L, 2); i++) {
		if (lua_getfield(L, 2, names[i]) != LUA_TNIL) {
			gpr[i] = (uint64_t)luaL_checkinteger(L, -1);
			mask |= 1u << i;
		}
		lua_pop(L, 1);
	}
	if (!lh->h->swallow(lh->p, event_of(lh), mask, gpr))
		return lua_host_raise(lh);
	return 0;
}

int method_e_rewrite(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	uint32_t reason;
	if (lua_type(L, 2) == LUA_TSTRING) {
		if (!lh->h->reason_find(lh->p, lua_tostring(L, 2), &reason))
			return lua_host_raise(lh);
	} else {
		reason = (uint32_t)luaL_checkinteger(L, 2);
	}
	if (!lh->h->rewrite(lh->p, event_of(lh), reason, (uint64_t)luaL_optinteger(L, 3, 0)))
		return lua_host_raise(lh);
	return 0;
}

static const luaL_Reg methods[] = {{"swallow", method_e_swallow}, {"rewrite", method_e_rewrite},
	{NULL, NULL}};

void lua_open_event(lua_State *L, struct lua_host *lh)
{
	lua_newuserdatauv(L, 0, 0);
	lua_createtable(L, 0, 3);
	lua_createtable(L, 0, FIELD_COUNT);
	for (int f = 0; f < FIELD_COUNT; f++) {
		lua_pushinteger(L, f);
		lua_setfield(L, -2, field_names[f]);
	}
	luaL_setfuncs(L, methods, 0);
	lua_pushcclosure(L, event_index, 1);
	lua_setfield(L, -2, "__index");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_setmetatable(L, -2);
	lh->event_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

static void called(struct nestscope_plugin *p, void *ctx, const struct nestscope_event *ev)
{
	struct lua_host *lh = p->lua;
	const struct nestscope_event *before = lh->ev;
	lua_State *L = lh->now;
	if (!lua_checkstack(L, 8))
		return;
	lh->ev = ev;
	lua_rawgeti(L, LUA_REGISTRYINDEX, (lua_Integer)(intptr_t)ctx);
	lua_rawgeti(L, LUA_REGISTRYINDEX, lh->event_ref);
	lua_host_callback(lh, 1, 0);
	lh->ev = before;
}

/* --- filters --------------------------------------------------------------------------- */

static uint32_t level_bits(struct lua_host *lh, int at)
{
	lua_State *L = lh->now;
	struct nestscope_level l;
	if (lua_type(L, at) == LUA_TNUMBER) {
		lua_Integer n = lua_tointeger(L, at);
		if (n < 1 || n > 31)
			luaL_error(L, "level is 1, 2 (any L2), or a later L2's number or name (\"l2:2\")");
		return n == 2 ? ~3u : 1u << n;
	}
	const char *name = luaL_checkstring(L, at);
	for (uint32_t i = 0; lh->h->level(lh->p, i, &l); i++)
		if (!strcmp(l.name, name))
			return 1u << (l.id & 31);
	if (!strcmp(name, "l2"))
		return ~3u; /* the first that comes is one of them */
	return (uint32_t)luaL_error(L, "no level '%s' here yet", name);
}

/* A number, or a table of two. */
static void span(lua_State *L, struct nestscope_filter *f)
{
	f->has_range = 1;
	if (!lua_istable(L, -1)) {
		f->low = f->high = (uint64_t)luaL_checkinteger(L, -1);
		return;
	}
	lua_geti(L, -1, 1);
	f->low = (uint64_t)luaL_checkinteger(L, -1);
	lua_geti(L, -2, 2);
	f->high = (uint64_t)luaL_checkinteger(L, -1);
	lua_pop(L, 2);
}

/* A string, or a table of strings, as one with commas; it stays on the stack
 * below the key's value. */
static const char *words(lua_State *L)
{
	luaL_Buffer b;
	if (!lua_istable(L, -1))
		return luaL_checkstring(L, -1);
	int at = lua_gettop(L);
	luaL_buffinit(L, &b);
	for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, at); i++) {
		if (i > 1)
			luaL_addchar(&b, ',');
		lua_geti(L, at, i);
		luaL_checkstring(L, -1);
		luaL_addvalue(&b);
	}
	luaL_pushresult(&b);
	lua_replace(L, at);
	return lua_tostring(L, at);
}

static void filter_key(struct lua_host *lh, const char *key, struct nestscope_filter *f)
{
	lua_State *L = lh->now;
	if (!strcmp(key, "level"))
		f->levels = level_bits(lh, -1);
	else if (!strcmp(key, "vcpu"))
		f->vcpu = (int32_t)luaL_checkinteger(L, -1);
	else if (!strcmp(key, "reason"))
		f->reasons = words(L);
	else if (!strcmp(key, "field"))
		f->field = luaL_checkstring(L, -1);
	else if (!strcmp(key, "range") || !strcmp(key, "detail"))
		span(L, f);
	else if (!strcmp(key, "every"))
		f->every = (uint64_t)luaL_checkinteger(L, -1);
	else if (!strcmp(key, "period"))
		f->period = (uint64_t)luaL_checkinteger(L, -1);
	else if (!strcmp(key, "condition"))
		f->condition = luaL_checkstring(L, -1);
	else if (!strcmp(key, "access"))
		f->access = luaL_checkstring(L, -1);
	else
		luaL_error(L, "a filter has no '%s'; it has level, vcpu, reason, field, range, detail, "
			"every, period, condition, access", key);
}

/* The strings stay in the table at `at`, and words() in a copy of it. */
static void read_filter(struct lua_host *lh, int at, struct nestscope_filter *f)
{
	lua_State *L = lh->now;
	luaL_checktype(L, at, LUA_TTABLE);
	luaL_checkstack(L, 32, "filter");
	lua_pushnil(L);
	while (lua_next(L, at)) {
		if (lua_type(L, -2) != LUA_TSTRING)
			luaL_error(L, "a filter is a table of names: {level = 2, reason = \"CPUID\"}");
		lua_pushvalue(L, -2); /* key value key */
		lua_insert(L, -2);    /* key key value */
		filter_key(lh, lua_tostring(L, -3), f);
		lua_insert(L, at + 1); /* keep the value alive below */
		lua_pop(L, 1);
	}
}

int api_on(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	struct nestscope_filter f = {.size = sizeof f, .vcpu = -1};
	if (lua_isfunction(L, 2)) { /* no filter */
		lua_newtable(L);
		lua_insert(L, 2);
	}
	luaL_checktype(L, 3, LUA_TFUNCTION);
	lua_settop(L, 3);
	lua_pushvalue(L, 1);
	f.events = words(L);
	lua_replace(L, 1);
	lua_settop(L, 3);
	lua_pushvalue(L, 3);
	int ref = luaL_ref(L, LUA_REGISTRYINDEX);
	read_filter(lh, 2, &f);
	uint64_t id = lh->h->on(lh->p, &f, called, (void *)(intptr_t)ref);
	if (!id) {
		luaL_unref(L, LUA_REGISTRYINDEX, ref);
		return lua_host_raise(lh);
	}
	lua_pushinteger(L, (lua_Integer)id);
	return 1;
}

int api_off(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	lua_pushboolean(L, lh->h->off(lh->p, (uint64_t)luaL_checkinteger(L, 1)));
	return 1;
}

int api_counts(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	uint64_t matches, faults;
	if (!lh->h->counts(lh->p, (uint64_t)luaL_checkinteger(L, 1), &matches, &faults))
		return lua_host_nil(lh);
	lua_pushinteger(L, (lua_Integer)matches);
	lua_pushinteger(L, (lua_Integer)faults);
	return 2;
}

/* "l2:0x1000" or a number with the level in the options. */
static const char *address_text(struct lua_host *lh, int at, char text[64])
{
	lua_State *L = lh->now;
	if (lua_type(L, at) == LUA_TSTRING)
		return lua_tostring(L, at);
	unsigned level = 0;
	if (lua_istable(L, 2) && lua_getfield(L, 2, "level") != LUA_TNIL)
		level = (unsigned)luaL_checkinteger(L, -1);
	lua_pushfstring(L, level > 2 ? "l2:%d:0x%s" : "l%d:0x%s", level > 2 ? (int)level - 1 :
		level ? (int)level : 1, (snprintf(text, 64, "%llx",
			(unsigned long long)luaL_checkinteger(L, at)), text));
	return lua_tostring(L, -1);
}

int api_breakpoint(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	int fn = lua_isfunction(L, 2) ? 2 : 3;
	const char *condition = NULL;
	int once = 0;
	char text[64];
	luaL_checktype(L, fn, LUA_TFUNCTION);
	if (fn == 3) {
		luaL_checktype(L, 2, LUA_TTABLE);
		lua_getfield(L, 2, "condition");
		condition = luaL_optstring(L, -1, NULL);
		lua_getfield(L, 2, "once");
		once = lua_toboolean(L, -1);
	}
	const char *address = address_text(lh, 1, text);
	lua_pushvalue(L, fn);
	int ref = luaL_ref(L, LUA_REGISTRYINDEX);
	uint64_t id = lh->h->breakpoint(lh->p, address, condition, once, called, (void *)(intptr_t)ref);
	if (!id) {
		luaL_unref(L, LUA_REGISTRYINDEX, ref);
		return lua_host_raise(lh);
	}
	lua_pushinteger(L, (lua_Integer)id);
	return 1;
}

/* Looking and acting from Lua: one short function per row of lua.def. */
#include "plugins/lua_host.h"

#include <string.h>

#define READ_MAX (1u << 20) /* bytes of memory at once */

/* A level by number or name; 0: the one that runs. */
static uint32_t level_of(lua_State *L, int arg)
{
	struct lua_host *lh = lua_host_of(L);
	struct nestscope_level l;
	if (lua_type(L, arg) != LUA_TSTRING)
		return lua_opt_u32(L, arg);
	for (uint32_t i = 0; lh->h->level(lh->p, i, &l); i++)
		if (!strcmp(l.name, lua_tostring(L, arg)))
			return l.id;
	return (uint32_t)luaL_error(L, "no level '%s' here yet", lua_tostring(L, arg));
}

#define LEVEL(arg) level_of(L, arg), lua_opt_u32(L, (arg) + 1)

int api_log(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	lh->h->log(lh->p, luaL_optstring(L, 2, "info"), luaL_checkstring(L, 1));
	return 0;
}

int api_here(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	uint32_t level, vcpu;
	lh->h->here(lh->p, &level, &vcpu);
	lua_pushinteger(L, level);
	lua_pushinteger(L, vcpu);
	return 2;
}

int api_clock(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	lua_pushinteger(L, (lua_Integer)lh->h->clock(lh->p));
	return 1;
}

static void set_u64(lua_State *L, const char *key, uint64_t v)
{
	lua_push_u64(L, v);
	lua_setfield(L, -2, key);
}

int api_levels(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	struct nestscope_level l;
	lua_newtable(L);
	for (uint32_t i = 0; lh->h->level(lh->p, i, &l); i++) {
		lua_newtable(L);
		set_u64(L, "id", l.id);
		lua_pushstring(L, l.name);
		lua_setfield(L, -2, "name");
		lua_pushboolean(L, (int)l.alive);
		lua_setfield(L, -2, "alive");
		set_u64(L, "vmcs12", l.vmcs12);
		set_u64(L, "eptp", l.eptp);
		set_u64(L, "entries", l.entries);
		set_u64(L, "exits", l.exits);
		lua_seti(L, -2, (lua_Integer)i + 1);
	}
	return 1;
}

int api_vcpus(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	lua_pushinteger(L, lh->h->vcpus(lh->p));
	return 1;
}

/* A number, or nil and why. */
static int answer(struct lua_host *lh, int ok, uint64_t v)
{
	if (!ok)
		return lua_host_nil(lh);
	lua_pushinteger(lh->now, (lua_Integer)v);
	return 1;
}

int api_reg(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	uint64_t v = 0;
	int ok = lh->h->reg(lh->p, LEVEL(2), luaL_checkstring(L, 1), &v);
	return answer(lh, ok, v);
}

int api_set_reg(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	if (!lh->h->set_reg(lh->p, LEVEL(3), luaL_checkstring(L, 1), (uint64_t)luaL_checkinteger(L, 2)))
		return lua_host_raise(lh);
	return 0;
}

int api_read(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	const char *space = luaL_checkstring(L, 1);
	uint64_t at = (uint64_t)luaL_checkinteger(L, 2);
	lua_Integer n = luaL_checkinteger(L, 3);
	luaL_Buffer b;
	if (n < 1 || n > READ_MAX)
		return luaL_error(L, "1 to %d bytes can be read at once", READ_MAX);
	char *to = luaL_buffinitsize(L, &b, (size_t)n);
	if (lh->h->read(lh->p, space, at, to, (size_t)n) != (size_t)n)
		return lua_host_nil(lh);
	luaL_pushresultsize(&b, (size_t)n);
	return 1;
}

int api_write(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	size_t len;
	const char *bytes = luaL_checklstring(L, 3, &len);
	if (!lh->h->write(lh->p, luaL_checkstring(L, 1), (uint64_t)luaL_checkinteger(L, 2), bytes, len))
		return lua_host_raise(lh);
	return 0;
}

int api_translate(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	uint64_t v = 0;
	int ok = lh->h->translate(lh->p, luaL_checkstring(L, 1), (uint64_t)luaL_checkinteger(L, 2), &v);
	return answer(lh, ok, v);
}

int api_vmcs(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	uint64_t v = 0;
	int ok = lh->h->vmcs(lh->p, luaL_checkstring(L, 1), LEVEL(3), luaL_checkstring(L, 2), &v);
	return answer(lh, ok, v);
}

int api_set_vmcs(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	if (!lh->h->set_vmcs(lh->p, LEVEL(3), luaL_checkstring(L, 1), (uint64_t)luaL_checkinteger(L, 2)))
		return lua_host_raise(lh);
	return 0;
}

int api_vmcs_writer(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	struct nestscope_write w;
	if (!lh->h->vmcs_writer(lh->p, LEVEL(2), luaL_checkstring(L, 1), &w))
		return lua_host_nil(lh);
	lua_newtable(L);
	set_u64(L, "clock", w.clock);
	set_u64(L, "rip", w.rip);
	set_u64(L, "cr3", w.cr3);
	set_u64(L, "old_value", w.old_value);
	set_u64(L, "value", w.value);
	set_u64(L, "vcpu", w.vcpu);
	lua_pushstring(L, w.writer);
	lua_setfield(L, -2, "writer");
	return 1;
}

int api_symbol(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	uint64_t cr3 = lua_isnoneornil(L, 3) ? NESTSCOPE_NONE : (uint64_t)luaL_checkinteger(L, 3);
	lua_pushstring(L, lh->h->symbol(lh->p, (uint32_t)luaL_checkinteger(L, 1), cr3,
		(uint64_t)luaL_checkinteger(L, 2)));
	return 1;
}

int api_address(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	uint64_t v = 0;
	int ok = lh->h->symbol_find(lh->p, LEVEL(2), luaL_checkstring(L, 1), &v);
	return answer(lh, ok, v);
}

int api_member(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	uint64_t v = 0;
	int ok = lh->h->member(lh->p, LEVEL(3), luaL_checkstring(L, 1), luaL_checkstring(L, 2), &v);
	return answer(lh, ok, v);
}

int api_type_size(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	uint64_t v = 0;
	int ok = lh->h->type_size(lh->p, LEVEL(2), luaL_checkstring(L, 1), &v);
	return answer(lh, ok, v);
}

int api_eval(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	uint64_t v = 0;
	int ok = lh->h->eval(lh->p, LEVEL(2), luaL_checkstring(L, 1), &v);
	return answer(lh, ok, v);
}

int api_disassemble(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	struct nestscope_insn insn;
	if (!lh->h->disassemble(lh->p, LEVEL(2), (uint64_t)luaL_checkinteger(L, 1), &insn))
		return lua_host_nil(lh);
	lua_pushstring(L, insn.text);
	lua_pushinteger(L, insn.length);
	lua_push_u64(L, insn.target);
	return 3;
}

int api_transition(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	struct nestscope_event ev;
	if (!lh->h->transition(lh->p, (uint64_t)luaL_checkinteger(L, 1), &ev))
		return lua_host_nil(lh);
	lua_push_record(lh, &ev);
	return 1;
}

/* --- statistics: rows are taken over first, Lua may raise afterwards ---------------- */

struct rows {
	struct nestscope_stat row[4096];
	size_t n;
};

static void take_row(void *ctx, const struct nestscope_stat *row)
{
	struct rows *r = ctx;
	if (r->n < sizeof r->row / sizeof *r->row)
		r->row[r->n++] = *row;
}

static void push_row(struct lua_host *lh, const struct nestscope_stat *s)
{
	lua_State *L = lh->now;
	lua_createtable(L, 0, 10);
	set_u64(L, "level", s->level);
	set_u64(L, "count", s->count);
	set_u64(L, "cost", s->cost);
	set_u64(L, "caused", s->caused);
	set_u64(L, "detail", s->detail);
	set_u64(L, "rip", s->rip);
	lua_pushboolean(L, (int)s->entry);
	lua_setfield(L, -2, "entry");
	lua_pushboolean(L, (int)s->reflected);
	lua_setfield(L, -2, "reflected");
	lua_pushstring(L, lh->h->reason_name(lh->p, s->reason));
	lua_setfield(L, -2, "reason");
	lua_pushstring(L, s->entry ? "" : lh->h->detail_text(lh->p, s->reason, s->detail, 0));
	lua_setfield(L, -2, "detail_text");
}

int api_exits(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	const char *filter = luaL_optstring(L, 1, ""), *by = luaL_optstring(L, 2, "");
	struct rows *r = lua_newuserdatauv(L, sizeof *r, 0);
	r->n = 0;
	if (!lh->h->exit_stats(lh->p, filter, by, take_row, r))
		return lua_host_raise(lh);
	lua_createtable(L, (int)r->n, 0);
	for (size_t i = 0; i < r->n; i++) {
		push_row(lh, &r->row[i]);
		lua_seti(L, -2, (lua_Integer)i + 1);
	}
	return 1;
}

/* --- names ---------------------------------------------------------------------------- */

static int name_of(lua_State *L, const char *(*name)(struct nestscope_plugin *, uint32_t))
{
	struct lua_host *lh = lua_host_of(L);
	lua_pushstring(L, name(lh->p, (uint32_t)luaL_checkinteger(L, 1)));
	return 1;
}

static int number_of(lua_State *L, int (*find)(struct nestscope_plugin *, const char *, uint32_t *))
{
	struct lua_host *lh = lua_host_of(L);
	uint32_t v = 0;
	int ok = find(lh->p, luaL_checkstring(L, 1), &v);
	return answer(lh, ok, v);
}

int api_reason_name(lua_State *L)
{
	return name_of(L, lua_host_of(L)->h->reason_name);
}

int api_reason(lua_State *L)
{
	return number_of(L, lua_host_of(L)->h->reason_find);
}

int api_field_name(lua_State *L)
{
	return name_of(L, lua_host_of(L)->h->field_name);
}

int api_field(lua_State *L)
{
	return number_of(L, lua_host_of(L)->h->field_find);
}

int api_detail_text(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	uint32_t reason = 0;
	if (lua_type(L, 1) == LUA_TSTRING) {
		if (!lh->h->reason_find(lh->p, lua_tostring(L, 1), &reason))
			return lua_host_raise(lh);
	} else {
		reason = (uint32_t)luaL_checkinteger(L, 1);
	}
	lua_pushstring(L, lh->h->detail_text(lh->p, reason, (uint64_t)luaL_checkinteger(L, 2),
		(uint64_t)luaL_optinteger(L, 3, 0)));
	return 1;
}

/* --- running ---------------------------------------------------------------------------- */

static void take_text(void *ctx, const char *text, size_t len)
{
	buf_add(ctx, text, len);
}

int api_command_line(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	struct buf out = {0};
	const char *line = luaL_checkstring(L, 1);
	int json = lua_toboolean(L, 2);
	if (!lua_checkstack(L, 4))
		return luaL_error(L, "the stack is full");
	uint64_t clock = lh->h->clock(lh->p);
	int ok = lh->h->command(lh->p, line, json, take_text, &out);
	lh->now = L;
	if (lh->h->clock(lh->p) != clock)
		lh->budget.timed = false; /* the machine's time is not the script's */
	if (!ok) {
		buf_done(&out);
		return lua_host_nil(lh);
	}
	size_t len = out.len;
	if (len > LUA_STRING) {
		buf_done(&out);
		lua_pushnil(L);
		lua_pushfstring(L, "the answer has %I bytes, a string at most %d", (LUAI_UACINT)len, LUA_STRING);
		return 2;
	}
	lua_host_push(lh, len ? out.data : "", len);
	buf_done(&out);
	return 1;
}

int api_stop(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	lh->h->stop(lh->p, luaL_optstring(L, 1, NULL));
	return 0;
}

int api_resume(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	if (!lh->h->resume(lh->p))
		return lua_host_nil(lh);
	lua_pushboolean(L, 1);
	return 1;
}

int api_inject(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	static const char *const names[] = {"interrupt", "nmi", "exception", NULL};
	static const uint32_t types[] = {0, 2, 3};
	uint32_t type = types[luaL_checkoption(L, 2, "exception", names)];
	bool has_error = !lua_isnoneornil(L, 3);
	if (!lh->h->inject(lh->p, LEVEL(4), (uint32_t)luaL_checkinteger(L, 1), type, has_error,
		    has_error ? (uint32_t)luaL_checkinteger(L, 3) : 0))
		return lua_host_raise(lh);
	return 0;
}

int api_unload(lua_State *L)
{
	struct lua_host *lh = lua_host_of(L);
	lh->h->unload(lh->p);
	return 0;
}

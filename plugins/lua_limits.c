/* What a script may use in one callback: instructions, memory, time.
 *
 * The count of instructions is what ends most that goes on for ever. C
 * functions of the library count as the steps that they take, memory that is
 * allocated as the work to fill it, a coroutine as the instructions that it can
 * run before it is looked at. Processor time is the last line: it ends what
 * takes long with few instructions (comparing long strings, reading a program
 * of a million labels).
 *
 * Memory is bounded inside protected calls alone: elsewhere a failed allocation
 * would end the session.
 */
#include "plugins/lua_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SECOND UINT64_C(1000000000)

static uint64_t ns(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/* Processor time is dear to read, and runs no faster than the clock on the wall. */
static bool late(struct lua_host *lh)
{
	uint64_t wall = ns(CLOCK_MONOTONIC_COARSE);
	if (lh->budget.timed && wall < lh->budget.look_at)
		return false;
	uint64_t used = ns(CLOCK_THREAD_CPUTIME_ID);
	if (!lh->budget.timed)
		lh->budget.end = used + lh->seconds_max * SECOND;
	lh->budget.timed = true;
	if (used >= lh->budget.end)
		return true;
	lh->budget.look_at = wall + (lh->budget.end - used);
	return false;
}

/* The line that runs, for the message; not where C called. */
static void go_over(struct lua_host *lh, lua_State *L)
{
	lua_Debug ar;
	lh->budget.over = true;
	lh->where[0] = 0;
	for (int level = 0; L && lua_getstack(L, level, &ar); level++) {
		lua_getinfo(L, "Sl", &ar);
		if (ar.currentline <= 0)
			continue;
		snprintf(lh->where, sizeof lh->where, "%s:%d: ", ar.short_src, ar.currentline);
		break;
	}
}

static bool used_up(struct lua_host *lh, uint64_t work)
{
	lh->budget.work += work;
	if (lh->budget.work < lh->work_max && !late(lh))
		return false;
	lh->budget.slow = lh->budget.work < lh->work_max;
	return true;
}

/* Once the budget is used up every instruction fails, so that a pcall around
 * the loop ends too. The message is made where memory has no limit. */
static void give_up(lua_State *L)
{
	lua_pushnil(L);
	lua_error(L);
}

static void tick(lua_State *L, lua_Debug *ar)
{
	struct lua_host *lh = *(struct lua_host **)lua_getextraspace(L);
	(void)ar;
	if (!lh->budget.over && !used_up(lh, LUA_TICK))
		return;
	if (!lh->budget.over)
		go_over(lh, L);
	lua_sethook(L, tick, LUA_MASKCOUNT, 1);
	give_up(L);
}

void lua_host_charge(lua_State *L, uint64_t n)
{
	struct lua_host *lh = *(struct lua_host **)lua_getextraspace(L);
	lh->budget.work += n;
	if (lh->budget.work < lh->work_max && !lh->budget.over)
		return;
	lh->budget.slow = false;
	if (!lh->budget.over)
		go_over(lh, L);
	give_up(L);
}

uint64_t lua_host_left(const struct lua_host *lh)
{
	return lh->budget.work < lh->work_max ? lh->work_max - lh->budget.work : 0;
}

/* --- memory ----------------------------------------------------------------------- */

static bool refused(struct lua_host *lh, int type, size_t more)
{
	if (type == LUA_TSTRING && more > LUA_STRING)
		return true;
	if (lh->memory + more > lh->memory_max || lh->budget.over)
		return true;
	lh->budget.work += more / 64 + (type == LUA_TTHREAD ? LUA_TICK : 0);
	if (lh->budget.work < lh->work_max && (++lh->allocations % 256 || !late(lh)))
		return false;
	lh->budget.slow = lh->budget.work < lh->work_max;
	go_over(lh, NULL);
	return true;
}

static void *allocate(void *ud, void *old, size_t old_size, size_t size)
{
	struct lua_host *lh = ud;
	int type = old ? LUA_TNONE : (int)old_size;
	if (!old)
		old_size = 0;
	if (!size) {
		lh->memory -= old_size;
		free(old);
		return NULL;
	}
	if (size > old_size && lh->guarded && refused(lh, type, size - old_size))
		return NULL;
	void *p = realloc(old, size);
	if (p)
		lh->memory = lh->memory - old_size + size;
	return p;
}

lua_State *lua_host_state(struct lua_host *lh)
{
	lua_State *L = lua_newstate(allocate, lh);
	if (!L)
		return NULL;
	*(struct lua_host **)lua_getextraspace(L) = lh;
	lua_sethook(L, tick, LUA_MASKCOUNT, LUA_TICK);
	return L;
}

/* --- calls ------------------------------------------------------------------------ */

/* The message of what failed, above `base`. */
static void explain(struct lua_host *lh, lua_State *L, int base)
{
	if (!lh->budget.over && lua_isstring(L, -1))
		return;
	lua_settop(L, base);
	if (!lh->budget.over)
		lua_pushstring(L, "the error is no text");
	else if (lh->budget.slow)
		lua_pushfstring(L, "%smore than %I s in one callback", lh->where,
			(LUAI_UACINT)lh->seconds_max);
	else
		lua_pushfstring(L, "%smore than %I instructions in one callback", lh->where,
			(LUAI_UACINT)lh->work_max);
}

/* A call within a call has what is left, unless the machine has run since. */
bool lua_host_call(struct lua_host *lh, int args, int results)
{
	lua_State *L = lh->now;
	int base = lua_gettop(L) - args - 1;
	struct lua_budget before = lh->budget;
	bool guarded = lh->guarded;
	uint64_t clock = lh->h->clock(lh->p);
	bool own = !lh->depth || clock != before.clock;
	if (own)
		lh->budget = (struct lua_budget){.clock = clock};
	lh->depth++;
	lh->guarded = true;
	bool ok = lua_pcall(L, args, results, 0) == LUA_OK && !lh->budget.over;
	lh->guarded = false;
	lh->depth--;
	lh->now = L;
	if (!ok)
		explain(lh, L, base);
	if (own && lh->budget.over)
		lua_sethook(L, tick, LUA_MASKCOUNT, LUA_TICK);
	if (own && lh->depth) {
		lh->budget = before;
		lh->budget.timed = false;
	}
	lh->guarded = guarded;
	return ok;
}

/* The bounded string and table functions give what Lua's own give, on patterns
 * and arguments by chance, errors included; and they end. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "plugins/lua_host.h"

#include <string.h>

static uint64_t clock_stands(struct nestscope_plugin *p)
{
	(void)p;
	return 0;
}

static const struct nestscope_host host = {.clock = clock_stands};

struct test {
	struct lua_host lh;
};

/* A state with the library's functions in `theirs`, and ours in their places. */
static int start(void **state)
{
	struct test *t = test_calloc(1, sizeof *t);
	t->lh.h = &host;
	t->lh.memory_max = LUA_MEMORY;
	t->lh.work_max = UINT64_C(1) << 40;
	t->lh.seconds_max = 60;
	lua_State *L = t->lh.L = t->lh.now = lua_host_state(&t->lh);
	luaL_openlibs(L);
	assert_int_equal(luaL_dostring(L, "theirs = {} for _, l in ipairs{'string', 'table'} do "
		"for k, v in pairs(_G[l]) do theirs[l .. '.' .. k] = v end end"), 0);
	lua_open_string(L);
	lua_open_table(L);
	*state = t;
	return 0;
}

static int stop(void **state)
{
	struct test *t = *state;
	lua_close(t->lh.L);
	test_free(t);
	return 0;
}

/* The message of a chunk; NULL: it ran. */
static const char *run(struct test *t, const char *text)
{
	lua_settop(t->lh.L, 0);
	assert_int_equal(luaL_loadstring(t->lh.L, text), LUA_OK);
	return lua_host_call(&t->lh, 0, 0) ? NULL : lua_tostring(t->lh.L, -1);
}

static void passes(struct test *t, const char *text)
{
	const char *why = run(t, text);
	if (why)
		fail_msg("%s", why);
}

static const char same[] =
	"function show(...) local t = table.pack(...) for i = 1, t.n do\n"
	" t[i] = math.type(t[i]) and tostring(t[i]) or type(t[i]) == 'string' and ('%q'):format(t[i]) "
	"or tostring(t[i]) end return table.concat(t, ',') end\n"
	"local function bare(ok, m, ...) if ok then return ok, m, ... end\n"
	" return ok, (tostring(m):gsub('^[^:]*:%d+: ', ''):gsub(\"to '[%w.?]+'\", '')) end\n"
	"function same(name, ...)\n"
	" local lib, f = name:match('^(%a+)%.(%a+)$')\n"
	" local a, b = show(bare(pcall(theirs[name], ...))), show(bare(pcall(_G[lib][f], ...)))\n"
	" if a ~= b then error(name .. '(' .. show(...) .. '): ' .. b .. ', and Lua says ' .. a, 0) end\n"
	"end\n";

static void patterns_by_chance(void **state)
{
	struct test *t = *state;
	passes(t, same);
	passes(t,
		"local parts = {'a', 'b', '.', '%a', '%d', '%S', '%W', '[ab]', '[^a-c]', '[%d_]', '[]]', '[a-]',\n"
		" '(', ')', '()', '%1', '%2', '%0', '%bxy', '%b()', '%f[a]', '%f[^%w]', '^', '$', '%', '[', '%.', '%%',\n"
		" 'x', 'y', '\\0', '[\\0-a]', '%f', '%b', '[%a-z]', '[^]]', 'é', '%A', '%x', '%u', '%p', '%g', '%c'}\n"
		"local signs = {'', '', '', '*', '+', '-', '?'}\n"
		"local chars = {'a', 'b', 'c', 'x', 'y', '1', '_', ' ', '(', ')', ']', '-', '\\0', 'A', 'é', '%', '.'}\n"
		"local random, rnd = math.random, math.randomseed(7)\n"
		"local function text(from, n, more) local s = {}\n"
		" for i = 1, random(0, n) do s[i] = from[random(#from)] .. (more and more[random(#more)] or '') end\n"
		" return table.concat(s) end\n"
		"for i = 1, 25000 do\n"
		" local s, p = text(chars, 10), text(parts, 5, signs)\n"
		" local at = random(3) == 1 and random(-12, 12) or nil\n"
		" same('string.find', s, p, at)\n"
		" same('string.match', s, p, at)\n"
		" same('string.find', s, text(chars, 2), at, true)\n"
		" same('string.gsub', s, p, text({'<', '%0', '%1', '%%', '%2', '>', '%'}, 3), random(4) == 1 and random(0, 3) or nil)\n"
		" same('string.gsub', s, p, {a = 'T', b = 1, c = false})\n"
		" same('string.gsub', s, p, function(x) return x == 'a' and 'F' or nil end)\n"
		" local function all(gmatch) local t = {} for x, y in gmatch(s, p, at) do\n"
		"  t[#t + 1] = tostring(x) .. '/' .. tostring(y) end return table.concat(t, ';') end\n"
		" local a, b = {pcall(all, theirs['string.gmatch'])}, {pcall(all, string.gmatch)}\n"
		" if a[1] ~= b[1] or (a[1] and a[2] ~= b[2]) then\n"
		"  error(('gmatch %q %q: %s, and Lua says %s'):format(s, p, tostring(b[2]), tostring(a[2])), 0) end\n"
		"end\n");
}

static void arguments(void **state)
{
	struct test *t = *state;
	passes(t, same);
	passes(t,
		"same('string.find', 'abc', 'b', 10) same('string.find', '', '') same('string.find', 'a', '', 2)\n"
		"same('string.find', 'a', '', 3) same('string.find', 12345, 34) same('string.find')\n"
		"same('string.gsub', 'abc', 'b', true) same('string.gsub', 'abc', '%w', '%9')\n"
		"same('string.gsub', 'abc', '%w', function() return {} end) same('string.gsub', 1, 1, 2)\n"
		"same('string.match', ('a'):rep(300), ('a?'):rep(300)) same('string.match', 'x', ('()'):rep(33))\n"
		"same('string.rep', 'ab', 3, ',') same('string.rep', '', 5) same('string.rep', '', 3, '-')\n"
		"same('string.rep', 'x', -1) same('string.rep', 'x') same('string.rep', '', 'y')\n"
		"same('table.concat', {1, 2, 'c'}, '-') same('table.concat', {1, {}, 3}) same('table.concat', {}, 'x', 1, 0)\n"
		"same('table.concat', {1, 2, 3}, ', ', 2, 3) same('table.concat', {1}, '', 1, 2) same('table.concat', 1)\n");
}

static void tables_by_chance(void **state)
{
	struct test *t = *state;
	passes(t, same);
	passes(t,
		"local random = math.random math.randomseed(3)\n"
		"local function list() local t = {} for i = 1, random(0, 40) do t[i] = random(50) end return t end\n"
		"local function compare(f, ...) local a = list() local b = {table.unpack(a)}\n"
		" local x, y = {pcall(theirs['table.' .. f], a, ...)}, {pcall(table[f], b, ...)}\n"
		" local p, q = show(table.unpack(a, -5, 99)), show(table.unpack(b, -5, 99))\n"
		" if p ~= q or x[1] ~= y[1] or (x[1] and type(x[2]) ~= 'table' and x[2] ~= y[2]) then\n"
		"  error(f .. ': ' .. q .. ', and Lua says ' .. p, 0) end end\n"
		"for i = 1, 5000 do\n"
		" compare('sort') compare('sort', function(a, b) return a > b end)\n"
		" compare('insert', random(100)) compare('insert', random(-1, 45), 'x') compare('insert')\n"
		" compare('remove') compare('remove', random(-1, 45))\n"
		" compare('move', random(-3, 20), random(-3, 40), random(-3, 50))\n"
		"end\n"
		"local s, d = {1, 2, 3}, {}\n"
		"assert(table.move(s, 1, 3, 2, d) == d and d[2] == 1 and d[4] == 3 and table.move(s, 1, 0, 5) == s)\n"
		"assert(not pcall(table.move, s, math.mininteger, 1, 1) and not pcall(table.move, s, 1, 3, math.maxinteger))\n");
}

/* Each would go on for hours. */
static void they_end(void **state)
{
	static const char *const texts[] = {
		"local s = ('a'):rep(40) return s:find(('a?'):rep(40) .. s)",
		"return ('a'):rep(3000):match(('a*'):rep(20) .. 'b')",
		"return ('a'):rep(100000):match('.-.-.-.-b')",
		"return ('a'):rep(100000):gsub(('a-'):rep(10) .. 'b', '')",
		"for x in ('x'):rep(100000):gmatch('(.*)(.*)(.*)y') do end",
		"return ('('):rep(4000000):find('%b()')",
		"local t = setmetatable({}, {__index = table.concat}) return table.concat(t, '', 1, math.maxinteger)",
		"return table.move({}, 1, 1 << 60, 2)",
		"table.insert(setmetatable({}, {__len = function() return 1 << 60 end}), 1, 1)",
		"table.remove(setmetatable({}, {__len = function() return 1 << 60 end}), 1)",
		"table.sort(setmetatable({}, {__len = function() return 1 << 30 end}), rawequal)",
		"local s = ('x'):rep(4000000) while true do local _ = s .. s end",
		"local s, n = ('x'):rep(8000000), 0 while true do n = n + utf8.len(s) end",
		"local function f(n) if n > 0 then for i = 1, 90 do coroutine.wrap(f)(n - 1) end end end f(8)",
		"while true do pcall(string.find, ('a'):rep(40), ('a?'):rep(40) .. ('a'):rep(40)) end"};
	struct test *t = *state;
	t->lh.work_max = LUA_INSTRUCTIONS;
	t->lh.seconds_max = 1;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		const char *why = run(t, texts[i]);
		if (!why || !strstr(why, " in one callback"))
			fail_msg("%s: %s", texts[i], why ? why : "it ran");
	}
	/* and these are harmless */
	passes(t, "assert(('').rep('', 1 << 60) == '')");
	passes(t, "local s = ('a'):rep(1000000) assert(not s:find(s .. 'b', 1, true))");
	passes(t, "assert(not pcall(string.rep, 'x', 1 << 40) and not pcall(string.rep, 'x', 9000000))");
	passes(t, "assert(not pcall(string.format, '%99999d', 1))");
	passes(t, "local t = {3, 1, 2} table.sort(t, function() return true end)");
}

/* Memory is used up, and what fails has no text: the message needs memory too. */
static void full(void **state)
{
	struct test *t = *state;
	t->lh.work_max = LUA_INSTRUCTIONS;
	const char *why = run(t, "kept = {} local s = ('x'):rep(1 << 20) "
		"while pcall(function() kept[#kept + 1] = s .. #kept end) do end "
		"while pcall(function() kept[#kept + 1] = {} end) do end error({})");
	assert_string_equal(why, "the error is no text");
	why = run(t, "while true do kept[#kept + 1] = {} end");
	assert_string_equal(why, "not enough memory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(patterns_by_chance, start, stop),
		cmocka_unit_test_setup_teardown(arguments, start, stop),
		cmocka_unit_test_setup_teardown(tables_by_chance, start, stop),
		cmocka_unit_test_setup_teardown(they_end, start, stop),
		cmocka_unit_test_setup_teardown(full, start, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

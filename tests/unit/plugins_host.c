/* Plugins on the recorded machine: scripts, their commands, panels, reloads and
 * limits, without a guest. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/grid.h"
#include "command/command.h"
#include "introspect/fake.h"
#include "plugins/plugins.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct world {
	struct intro *s;
	struct shell sh;
	struct plugins *ps;
	struct buf said;
	const struct panel *panel;
	char path[64];
};

static void say(void *ctx, const char *text)
{
	buf_fmt(&((struct world *)ctx)->said, "%s\n", text);
}

static bool add_panel(void *ctx, const struct panel *p)
{
	((struct world *)ctx)->panel = p;
	return true;
}

static void remove_panel(void *ctx, const struct panel *p)
{
	struct world *w = ctx;
	assert_ptr_equal(w->panel, p);
	w->panel = NULL;
}

static bool command(void *ctx, bool lua, const char *rest, struct output *o, struct err *e)
{
	return plugins_command(((struct world *)ctx)->ps, lua, rest, o, e);
}

static int open_world(void **ctx)
{
	struct world *w = xalloc(sizeof *w);
	w->s = fake_session();
	shell_init(&w->sh, w->s);
	const struct plugins_config cfg = {.session = w->s, .shell = &w->sh, .say = say,
		.add_panel = add_panel, .remove_panel = remove_panel, .ctx = w};
	w->ps = plugins_new(&cfg);
	w->sh.plugins = command;
	w->sh.plugins_ctx = w;
	snprintf(w->path, sizeof w->path, "/tmp/nestscope-plugin-%d.lua", (int)getpid());
	*ctx = w;
	return 0;
}

static int close_world(void **ctx)
{
	struct world *w = *ctx;
	plugins_free(w->ps);
	assert_null(w->panel);
	shell_done(&w->sh);
	intro_free(w->s);
	buf_done(&w->said);
	unlink(w->path);
	free(w);
	return 0;
}

static void load(struct world *w, const char *script)
{
	struct err e = {0};
	FILE *f = fopen(w->path, "we");
	assert_non_null(f);
	fputs(script, f);
	fclose(f);
	if (!plugins_load(w->ps, w->path, &e))
		fail_msg("%s", e.msg);
}

static void answers(struct world *w, const char *line, bool ok, const char *want)
{
	struct buf out = {0};
	assert_int_equal(command_run(&w->sh, line, &out), ok);
	if (!strstr(out.data ? out.data : "", want))
		fail_msg("%s: '%s' has no '%s'", line, out.data ? out.data : "", want);
	buf_done(&out);
}

static void test_commands(void **ctx)
{
	struct world *w = *ctx;
	char word[128];
	size_t from;
	load(w, "nestscope.command('hello', '[loud|soft]', 'greets\\nat length', function(rest)\n"
		"if rest == 'fail' then error('not today') end\n"
		"nestscope.table('t', 'name,>n,#at', {{'a', 1, 255}, {rest, 2}}) return 'done' end)");
	answers(w, "hello loud", true, "done");
	answers(w, "hello loud", true, "0xff");
	answers(w, "--json hello loud", true, "\"at\":\"0xff\"");
	answers(w, "hello fail", false, "not today");
	answers(w, "hello soft", true, "soft");
	answers(w, "help hello", true, "at length");
	assert_true(command_complete(&w->sh, "hello l", 0, word, NULL, &from));
	assert_string_equal(word, "loud");
	assert_true(command_complete(&w->sh, "hel", 1, word, NULL, &from));
	assert_string_equal(word, "hello");
	struct err e = {0};
	assert_false(plugins_load(w->ps, w->path, &e));
	assert_non_null(strstr(e.msg, "already"));
}

static void test_panel(void **ctx)
{
	struct world *w = *ctx;
	struct grid g;
	struct buf out = {0};
	load(w, "local n = 0\n"
		"nestscope.panel('mine', 'My panel', function(c, width, height)\n"
		"c:text(1, 1, width .. 'x' .. height, 'good') c:text(3, 2, 'keys ' .. n) c:text(900, 1, 'no')\n"
		"c:bar(1, 3, 4, 1, 2) end, function(key, code) n = n + 1 return key == 'k' end)");
	assert_non_null(w->panel);
	assert_string_equal(w->panel->title, "My panel");
	grid_init(&g, 12, 4);
	g.ascii = true;
	assert_int_equal(w->panel->key(w->panel->ctx, 'k'), PANEL_REDRAW);
	assert_int_equal(w->panel->key(w->panel->ctx, 'x'), PANEL_IGNORED);
	w->panel->draw(&g, (struct rect){1, 0, 10, 4}, w->panel->ctx);
	grid_dump(&g, &out);
	assert_non_null(strstr(out.data, " 10x4\n   keys 2\n"));
	grid_done(&g);
	buf_done(&out);
	answers(w, "plugin list", true, "active");
	/* one that fails says so in its place, and the panel stays harmless */
	FILE *f = fopen(w->path, "we");
	fputs("nestscope.panel('mine', 'My panel', function() error('ink is out') end)", f);
	fclose(f);
	char line[128];
	snprintf(line, sizeof line, "plugin reload nestscope-plugin-%d", (int)getpid());
	answers(w, line, true, "");
	grid_init(&g, 80, 4);
	w->panel->draw(&g, (struct rect){0, 0, 80, 4}, w->panel->ctx);
	w->panel->draw(&g, (struct rect){0, 0, 80, 4}, w->panel->ctx);
	grid_dump(&g, &out);
	assert_non_null(strstr(out.data, "ink is out"));
	assert_non_null(strstr(w->said.data, "is disabled"));
	grid_done(&g);
	buf_done(&out);
}

static void test_looking(void **ctx)
{
	struct world *w = *ctx;
	answers(w, "lua nestscope.reg('rip', 2)", true, "");
	answers(w, "lua nestscope.vmcs('12', 'GUEST_RIP') ~= nil", true, "true");
	answers(w, "lua #nestscope.read('l2', 0x403000, 16)", true, "16");
	answers(w, "lua nestscope.read('l2', 0x600000, 16)", true, "nil");
	answers(w, "lua nestscope.read('nowhere', 0, 1)", true, "nil");
	answers(w, "lua nestscope.symbol(2, 0x401000)", true, "guest_main+0x0");
	answers(w, "lua nestscope.eval('1 + 2')", true, "3");
	answers(w, "lua nestscope.eval('1 +')", true, "nil");
	answers(w, "lua nestscope.reason('cpuid')", true, "10");
	answers(w, "lua nestscope.field_name(nestscope.field('GUEST_RIP'))", true, "GUEST_RIP");
	answers(w, "lua nestscope.levels()[2].name", true, "l2");
	answers(w, "lua #nestscope.exits('level=1', 'detail') > 0", true, "true");
	answers(w, "lua nestscope.parse_json(nestscope.json{a = {1, 2, {b = true}}}).a[3].b", true, "true");
	answers(w, "lua nestscope.parse_json('{')", true, "nil");
	answers(w, "lua x = 5", true, "");
	answers(w, "lua x", true, "5");
	answers(w, "lua x.y.z", false, "line:1:");
	answers(w, "lua nestscope.set_reg('r15', 77, 1)", true, "");
	answers(w, "lua nestscope.reg('r15', 1)", true, "77");
	answers(w, "lua (nestscope.command_line('regs l1 r15'))", true, "4d");
	answers(w, "lua local t = {} t[1] = t t[2] = t return #nestscope.json(t) < 1 << 26", true, "true");
	answers(w, "lua string.rep('x', 1 << 40)", false, "");
	answers(w, "lua while true do end", false, "more than");
	answers(w, "lua 1", true, "1"); /* and the prompt goes on */
}

static void test_events(void **ctx)
{
	struct world *w = *ctx;
	load(w, "local n = 0\n"
		"local h = nestscope.on('exit', {level = 2}, function(e) n = n + 1 last = e.reason end)\n"
		"nestscope.on('stop', {}, function(e) print('stop ' .. e.text) end)\n"
		"nestscope.on('quit', {}, function() print('quit ' .. (n > 0 and 'some' or 'none') .. ' ' .. last) end)\n"
		"nestscope.command('off', '', '', function() nestscope.off(h) return tostring(nestscope.counts(h)) end)");
	answers(w, "catch exit CPUID", true, "");
	answers(w, "continue", true, "CPUID");
	assert_non_null(strstr(w->said.data, "stop exit"));
	answers(w, "off", true, "nil");
	plugins_quit(w->ps);
	assert_non_null(strstr(w->said.data, "quit some CPUID"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_commands, open_world, close_world),
		cmocka_unit_test_setup_teardown(test_panel, open_world, close_world),
		cmocka_unit_test_setup_teardown(test_looking, open_world, close_world),
		cmocka_unit_test_setup_teardown(test_events, open_world, close_world),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

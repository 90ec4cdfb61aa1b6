/* The TUI on a live machine: watched, walked through and resized at every
 * slice, the guest ends where one ends that nobody looked at. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cpu/fp.h"
#include "introspect/live.h"
#include "introspect/machine.h"
#include "introspect/run.h"
#include "tests/lib/l1_machine.h"
#include "tui/tui.h"

#include <string.h>

struct seen {
	struct state_hash hash;
	uint64_t clock;
	unsigned draws;
};

static void look(struct tui *t, unsigned k, struct seen *out)
{
	static const int size[][2] = {{120, 40}, {80, 24}, {200, 60}, {33, 9}};
	struct grid g;
	/* every panel in turn, alone and in layouts, scrolled and opened */
	tui_key(t, k % 7 == 0 ? PANEL_KEY_F1 + 1 + k / 7 % 5 : ']');
	tui_key(t, k & 1 ? PANEL_KEY_DOWN : PANEL_KEY_PAGE_UP);
	if (k % 5 == 0)
		tui_key(t, 'z');
	if (k % 11 == 0)
		tui_mouse(t, (int)(k % 120), (int)(k % 40), 1);
	grid_init(&g, size[k % 4][0], size[k % 4][1]);
	tui_draw(t, &g);
	grid_done(&g);
	out->draws++;
}

static struct seen play(bool watched)
{
	struct err e = {0};
	struct seen out = {0};
	struct l0 *l = l1_machine("storm", 1, NULL);
	struct intro *s = live_session(l);
	struct tui *t = watched ? tui_new(&(struct tui_config){.session = s}, &e) : NULL;
	assert_true(!watched || t);
	assert_true(intro_continue(s, &e));
	for (unsigned k = 0; intro_running(s); k++) {
		intro_run_slice(s, 2000, NULL);
		if (t)
			look(t, k, &out);
		if (t && k % 10 == 9 && intro_running(s)) { /* pause, step, go on */
			tui_key(t, ' ');
			intro_run(s);
			tui_key(t, 's');
			intro_run(s);
			tui_key(t, 'S');
			intro_run(s);
			look(t, k, &out);
			tui_key(t, PANEL_KEY_F1 + 1); /* the console would take the key */
			tui_key(t, ' ');
			assert_true(intro_running(s));
		}
	}
	assert_true(intro_last_stop(s)->over);
	assert_true(intro_hash(s, &out.hash, &e));
	out.clock = intro_position(s).clock;
	tui_free(t);
	intro_free(s);
	l0_free(l);
	return out;
}

static void test_watched_is_alone(void **ctx)
{
	struct seen alone = play(false), watched = play(true);
	(void)ctx;
	assert_true(watched.draws > 100);
	assert_int_equal(watched.clock, alone.clock);
	assert_true(watched.hash.lo == alone.hash.lo && watched.hash.hi == alone.hash.hi);
}

int main(void)
{
	struct err e = {0};
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_watched_is_alone)};
	if (!fp_host_init(&e)) {
		fprintf(stderr, "%s\n", e.msg);
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

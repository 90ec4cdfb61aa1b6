/* Every panel on the recorded machine, at three sizes, as literal screens,
 * without styles and with: tests/golden/tui/NAME-WxH[-colour].txt. BLESS=1 rewrites them; the diff is read. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "introspect/fake.h"
#include "introspect/run.h"
#include "tui/tui.h"

static const int size[][2] = {{80, 24}, {120, 40}, {200, 60}};

static void compare(const char *name, const struct buf *got)
{
	char path[160];
	struct buf want = {0};
	snprintf(path, sizeof(path), "tests/golden/tui/%s.txt", name);
	if (getenv("BLESS")) {
		FILE *f = fopen(path, "w");
		assert_non_null(f);
		fwrite(got->data, 1, got->len, f);
		fclose(f);
		return;
	}
	FILE *f = fopen(path, "r");
	if (!f)
		fail_msg("%s is missing; BLESS=1 writes it", path);
	char part[4096];
	for (size_t n; (n = fread(part, 1, sizeof(part), f)) > 0;)
		buf_add(&want, part, n);
	fclose(f);
	if (want.len != got->len || memcmp(want.data, got->data, got->len))
		fail_msg("%s differs; the screen is now\n%s", path, got->data);
	buf_done(&want);
}

static struct tui *open_tui(struct intro **s, bool ascii)
{
	struct err e = {0};
	*s = fake_session();
	struct tui_config cfg = {.session = *s, .ascii = ascii};
	struct tui *t = tui_new(&cfg, &e);
	assert_non_null(t);
	return t;
}

static void close_tui(struct tui *t, struct intro *s)
{
	tui_free(t);
	intro_free(s);
}

/* Brings view i into the first pane, alone. */
static void show(struct tui *t, unsigned i)
{
	const char *name, *help;
	unsigned first = 1; /* the storm layout starts with exits */
	unsigned n = 0;
	while (tui_view_at(n, &name, &help))
		n++;
	tui_key(t, 'z');
	for (unsigned k = 0; k < (i + n - first) % n; k++)
		tui_key(t, ']');
}

static void dump(struct tui *t, int w, int h, bool styled, struct buf *out)
{
	struct grid g;
	grid_init(&g, w, h);
	tui_draw(t, &g);
	if (styled)
		grid_dump_styled(&g, out);
	else
		grid_dump(&g, out);
	grid_done(&g);
}

static void test_every_panel(void **ctx)
{
	const char *view, *help;
	(void)ctx;
	for (unsigned i = 0; tui_view_at(i, &view, &help); i++)
		for (unsigned k = 0; k < 3; k++) {
			for (int styled = 0; styled < 2; styled++) {
				struct intro *s;
				struct tui *t = open_tui(&s, false);
				struct buf out = {0};
				char name[80];
				show(t, i);
				dump(t, size[k][0], size[k][1], styled, &out);
				snprintf(name, sizeof(name), "%s-%dx%d%s", view, size[k][0], size[k][1],
					styled ? "-colour" : "");
				compare(name, &out);
				buf_done(&out);
				close_tui(t, s);
			}
		}
}

static void test_layouts_in_colour_and_ascii(void **ctx)
{
	static const char *const layout[] = {"storm", "entry", "ept", "code", "console"};
	(void)ctx;
	for (unsigned i = 0; i < 5; i++) {
		struct intro *s;
		struct tui *t = open_tui(&s, i % 2);
		struct buf out = {0};
		char name[80];
		tui_key(t, PANEL_KEY_F1 + 1 + i);
		dump(t, 120, 40, i < 2, &out);
		snprintf(name, sizeof(name), "layout-%s", layout[i]);
		compare(name, &out);
		buf_done(&out);
		close_tui(t, s);
	}
}

static void test_small_screens_do_not_break(void **ctx)
{
	struct intro *s;
	(void)ctx;
	struct tui *t = open_tui(&s, false);
	for (int w = 1; w < 90; w += 3)
		for (int h = 1; h < 30; h += 2) {
			struct buf out = {0};
			dump(t, w, h, false, &out);
			buf_done(&out);
		}
	close_tui(t, s);
}

static void keys(struct tui *t, const char *text)
{
	for (; *text; text++)
		tui_key(t, (unsigned char)*text);
}

static void test_search_and_filter(void **ctx)
{
	struct intro *s;
	struct buf out = {0};
	(void)ctx;
	struct tui *t = open_tui(&s, true);
	show(t, 3); /* vmcs */
	dump(t, 120, 30, false, &out);
	keys(t, "/GUEST_RIP\n");
	buf_clear(&out);
	dump(t, 120, 30, true, &out);
	assert_non_null(strstr(out.data, "GUEST_RIP"));
	keys(t, "/no such field\n");
	buf_clear(&out);
	dump(t, 120, 30, false, &out);
	assert_non_null(strstr(out.data, "'no such field' is not in this panel"));
	show(t, 0);
	buf_done(&out);
	close_tui(t, s);
}

static bool said(void *ctx, unsigned level, unsigned vcpu, const char *line, struct buf *out)
{
	(void)vcpu;
	snprintf(ctx, 64, "%u %s", level, line);
	buf_str(out, "one\ntwo\n");
	return true;
}

static bool completes(void *ctx, const char *line, size_t i, struct buf *out)
{
	(void)ctx, (void)line;
	if (i > 1)
		return false;
	buf_str(out, i ? "vmcs" : "vmx");
	return true;
}

static void test_command_line(void **ctx)
{
	char got[64] = "";
	struct buf out = {0};
	(void)ctx;
	struct intro *s = fake_session();
	struct tui_config cfg = {.session = s, .command = said, .complete = completes, .ctx = got};
	struct tui *t = tui_new(&cfg, NULL);
	keys(t, ":v\t\t 12\n");
	assert_non_null(strstr(got, " vmcs 12"));
	dump(t, 100, 30, false, &out);
	assert_non_null(strstr(out.data, "two"));
	keys(t, ":\x10"); /* C-p: history */
	tui_key(t, PANEL_KEY_UP);
	keys(t, "\n");
	assert_non_null(strstr(got, "vmcs 12"));
	assert_true(tui_key(t, ':'));
	keys(t, "q");
	assert_false(tui_key(t, '\n'));
	buf_done(&out);
	close_tui(t, s);
}

static struct tui *configured(struct intro *s, const char *text, struct err *e)
{
	char path[] = "/tmp/nestscope-conf-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	struct tui *t = tui_new(&(struct tui_config){.session = s, .config = path}, e);
	unlink(path);
	return t;
}

/* Keys and colours from a file; a wrong line is named with what would be right. */
static void test_configuration(void **ctx)
{
	static const struct {
		const char *text, *why;
	} wrong[] = {{"bind x nothing\n", ":1: "}, {"# fine\nbind Wrong quit\n", ":2: "},
		{"colour nobody 5\n", "'nobody' is no colour role"}, {"colour l1 256\n", "0 to 255"},
		{"paint it black\n", "wants 'bind KEY ACTION' or 'colour ROLE FG [BG]'"}};
	struct intro *s = fake_session();
	struct err e = {0};
	struct buf out = {0};
	(void)ctx;
	struct tui *t = configured(s, "# mine\n\nbind y help\nbind F12 quit\ncolour l2 208 17\n", &e);
	assert_non_null(t);
	tui_key(t, 'y');
	dump(t, 100, 30, false, &out);
	assert_non_null(strstr(out.data, "Help"));
	assert_false(tui_key(t, PANEL_KEY_F1 + 11));
	tui_free(t);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		memset(&e, 0, sizeof(e));
		assert_null(configured(s, wrong[i].text, &e));
		assert_non_null(strstr(e.msg, wrong[i].why));
		assert_null(strchr(e.msg, '\n'));
	}
	buf_done(&out);
	intro_free(s);
}

static void test_step_follows_the_machine(void **ctx)
{
	struct intro *s;
	(void)ctx;
	struct tui *t = open_tui(&s, false);
	uint64_t before = intro_generation(s);
	tui_key(t, 's');
	intro_run(s);
	assert_true(intro_generation(s) != before);
	assert_int_equal(intro_last_stop(s)->why, WHY_STEP);
	close_tui(t, s);
}

static void test_random_keys(void **ctx)
{
	struct intro *s;
	uint32_t x = 1;
	(void)ctx;
	struct tui *t = open_tui(&s, false);
	for (unsigned i = 0; i < 4000; i++) {
		x = x * 1664525 + 1013904223;
		uint32_t k = x >> 8 & 0x7f;
		if (k == 'w') /* would ask for a file to write */
			continue;
		if (k >= 0x70)
			k = PANEL_KEY_UP + (k & 15);
		tui_key(t, k);
		if (x >> 28 == 0)
			tui_mouse(t, (int)(x >> 16 & 127), (int)(x >> 8 & 63), 1 + (x >> 4) % 5);
		if (i % 16 == 0) {
			struct buf out = {0};
			dump(t, 20 + (int)(x >> 20 & 127), 5 + (int)(x >> 12 & 63), false, &out);
			buf_done(&out);
		}
		if (intro_running(s))
			intro_run_slice(s, 1000, NULL);
	}
	close_tui(t, s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_panel),
		cmocka_unit_test(test_layouts_in_colour_and_ascii),
		cmocka_unit_test(test_small_screens_do_not_break),
		cmocka_unit_test(test_search_and_filter), cmocka_unit_test(test_command_line),
		cmocka_unit_test(test_configuration), cmocka_unit_test(test_step_follows_the_machine),
		cmocka_unit_test(test_random_keys)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Commands over the recorded machine, against golden outputs.
 *
 * tests/golden/<name>.cmd holds command lines, <name>.out what they answer.
 * With BLESS=1 in the environment the outputs are rewritten; read the diff.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "command/command.h"
#include "introspect/fake.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *slurp(const char *path)
{
	struct buf b = {0};
	char part[4096];
	size_t n;
	FILE *f = fopen(path, "re");
	buf_str(&b, "");
	while (f && (n = fread(part, 1, sizeof part, f)))
		buf_add(&b, part, n);
	if (f)
		fclose(f);
	return b.data;
}

static void run_file(const char *path, struct buf *out)
{
	struct intro *s = fake_session();
	struct shell sh;
	char *text = slurp(path), *save = NULL;
	shell_init(&sh, s);
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		buf_fmt(out, "> %s\n", l);
		command_run(&sh, l, out);
	}
	free(text);
	shell_done(&sh);
	intro_free(s);
}

static void test_golden(void **ctx)
{
	glob_t g;
	unsigned bad = 0;
	(void)ctx;
	assert_int_equal(glob("tests/golden/*.cmd", 0, NULL, &g), 0);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		char path[512];
		struct buf out = {0};
		run_file(g.gl_pathv[i], &out);
		snprintf(path, sizeof path, "%.*s.out", (int)strlen(g.gl_pathv[i]) - 4, g.gl_pathv[i]);
		if (getenv("BLESS")) {
			FILE *f = fopen(path, "we");
			assert_non_null(f);
			fwrite(out.data, 1, out.len, f);
			fclose(f);
		}
		char *want = slurp(path);
		if (strcmp(want, out.data)) {
			size_t at = 0, line = 1;
			for (; want[at] && want[at] == out.data[at]; at++)
				line += want[at] == '\n';
			printf("%s:%zu differs; BLESS=1 rewrites it\n", path, line);
			bad++;
		}
		free(want);
		buf_done(&out);
	}
	globfree(&g);
	assert_int_equal(bad, 0);
}

/* No line can end the session, and every failure is one line. */
static void test_wrong_use(void **ctx)
{
	static const char *const lines[] = {"nope", "vmcs NOPE", "mem 0x600000", "mem", "walk",
		"walk h:0", "set rax", "set level = 1", "set u8[0x600000] = 1", "print 1 +",
		"break l1p:0", "watch", "catch", "catch exit NOPE", "delete 99", "level l7", "regs nope",
		"exits list level=9", "exits top by nope", "trace off", "sym 1", "lines", "modules",
		"symbols /nonexistent", "symbols find", "source /nonexistent", "load", "save",
		"info nope", "key a", "screen", "nmi 5", "caps diff nope", "inputs nope", "find 0 0 zz",
		"disas h:0", "step nope", "until", "expect", "vmcs origin", "ept 12 nope", "--json vmcs NOPE",
		"print ((((((((((((((((((((((((((((((((((((((((((((((((((((((((1", "finish finish",
		"inject 300", "ignore 1", "type", "help nope", "s", "vmcs history 0x9999"};
	struct intro *s = fake_session();
	struct shell sh;
	(void)ctx;
	shell_init(&sh, s);
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		struct buf out = {0};
		bool ok = command_run(&sh, lines[i], &out);
		if (ok || !out.len || strchr(out.data, '\n') != out.data + out.len - 1)
			fail_msg("%s: %s", lines[i], out.data ? out.data : "(nothing)");
		buf_done(&out);
	}
	assert_false(sh.quit);
	shell_done(&sh);
	intro_free(s);
}

/* What no command takes: each says in one line what is wrong. `type` takes any
 * text, quit and help are told apart from the rest. */
static void test_every_command_refuses_nonsense(void **ctx)
{
	static const char *const nonsense[] = {" )(", " ))) ((( ;;", " l9", " l2:77 rip", " '", " 0x",
		" --nope", " \xff\xfe", " l2: l1p: h:", " 99999999999999999999999"};
	struct intro *s = fake_session();
	struct shell sh;
	(void)ctx;
	shell_init(&sh, s);
	intro_set_limit(s, 20000);
	for (unsigned i = 0; i < command_count(&sh); i++) {
		const struct command *c = command_at(&sh, i);
		unsigned refused = 0;
		for (size_t k = 0; k < sizeof nonsense / sizeof *nonsense; k++) {
			struct buf out = {0};
			char line[256];
			snprintf(line, sizeof line, "%s%s", c->name, nonsense[k]);
			if (!strcmp(c->name, "save") || !strcmp(c->name, "trace") || !strcmp(c->name, "symbols"))
				snprintf(line, sizeof line, "%s /nonexistent/%s x%s", c->name, c->name, nonsense[k]);
			bool ok = command_run(&sh, line, &out);
			refused += !ok;
			if (!ok && (!out.len || strchr(out.data, '\n') != out.data + out.len - 1))
				fail_msg("%s: %s", line, out.data ? out.data : "(nothing)");
			buf_done(&out);
		}
		if (!refused && strcmp(c->name, "type"))
			fail_msg("%s refuses nothing", c->name);
	}
	assert_false(sh.quit);
	shell_done(&sh);
	intro_free(s);
}

/* Every command that only looks leaves the state as it was. */
static void test_looking_changes_nothing(void **ctx)
{
	static const char *const lines[] = {"levels", "level", "regs all", "print rip", "mem rsp",
		"find 0x401000 0x3000 'hello'", "disas", "bt", "vmcs", "vmcs all", "vmcs diff 12 02",
		"vmcs origin *", "vmcs history", "walk rip x", "ept 01", "autopsy", "caps", "exits",
		"exits list", "exits top by symbol", "exits hist", "exits causes", "exits storm", "stops",
		"symbols", "sym rip", "events", "info devices", "info cpu", "console", "inputs", "log"};
	struct intro *s = fake_session();
	struct shell sh;
	struct buf before = {0}, after = {0}, out = {0};
	(void)ctx;
	shell_init(&sh, s);
	command_run(&sh, "hash", &before);
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		buf_clear(&out);
		if (!command_run(&sh, lines[i], &out))
			fail_msg("%s: %s", lines[i], out.data);
	}
	command_run(&sh, "hash", &after);
	assert_string_equal(before.data, after.data);
	buf_done(&before);
	buf_done(&after);
	buf_done(&out);
	shell_done(&sh);
	intro_free(s);
}

static void test_completion(void **ctx)
{
	struct intro *s = fake_session();
	struct shell sh;
	char word[128];
	size_t from;
	(void)ctx;
	shell_init(&sh, s);
	assert_true(command_complete(&sh, "aut", 0, word, NULL, &from));
	assert_string_equal(word, "autopsy");
	assert_true(command_complete(&sh, "vmcs 12 HOST_R", 0, word, NULL, &from));
	assert_string_equal(word, "HOST_RSP");
	assert_int_equal(from, 8);
	assert_true(command_complete(&sh, "print guest_w", 0, word, NULL, &from));
	assert_true(command_complete(&sh, "mem rsp+guest_w", 0, word, NULL, &from));
	assert_int_equal(from, 8);
	assert_false(command_complete(&sh, "zzz", 0, word, NULL, &from));
	assert_true(command_complete(&sh, "catch entry-f", 0, word, NULL, &from));
	assert_true(!strcmp(word, "entry-fail") && from == 6);
	assert_true(command_complete(&sh, "catch vmwrite guest_rfl", 0, word, NULL, &from));
	assert_string_equal(word, "GUEST_RFLAGS");
	assert_true(command_complete(&sh, "catch exit if rip>5&&reas", 0, word, NULL, &from));
	assert_true(!strcmp(word, "reason") && from == 21);
	assert_true(command_complete(&sh, "catch exit if level == 2 && reas", 0, word, NULL, &from));
	assert_string_equal(word, "reason");
	assert_true(command_complete(&sh, "catch exit if reason == CPUI", 0, word, NULL, &from));
	assert_string_equal(word, "CPUID");
	assert_true(command_complete(&sh, "load /usr/shar", 0, word, NULL, &from));
	assert_string_equal(word, "/usr/share/");
	assert_false(command_complete(&sh, "load /usr/shar", 1, word, NULL, &from));
	shell_done(&sh);
	intro_free(s);
}

/* Traces hold what the list shows, in every format. */
static void test_traces(void **ctx)
{
	static const char *const names[] = {"t.txt", "t.jsonl", "t.db", "t.json", "t.folded"};
	char dir[] = "/tmp/nestscope-trace-XXXXXX";
	(void)ctx;
	assert_non_null(mkdtemp(dir));
	for (int i = 0; i < 5; i++) {
		struct intro *s = fake_session();
		struct shell sh;
		char line[256], path[128];
		struct buf out = {0};
		shell_init(&sh, s);
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		snprintf(line, sizeof line, "trace %s level=l2 kind=reflect", path);
		assert_true(command_run(&sh, line, &out));
		assert_true(command_run(&sh, "stepi 200", &out));
		buf_clear(&out);
		if (!command_run(&sh, "trace off", &out))
			fail_msg("%s", out.data);
		assert_non_null(strstr(out.data, " records"));
		assert_null(strstr(out.data, ": 0 records"));
		char *text = slurp(path);
		assert_non_null(strstr(text, i == 2 ? "SQLite" : "CPUID"));
		free(text);
		remove(path);
		buf_done(&out);
		shell_done(&sh);
		intro_free(s);
	}
	remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden),
		cmocka_unit_test(test_wrong_use),
		cmocka_unit_test(test_every_command_refuses_nonsense), cmocka_unit_test(test_looking_changes_nothing),
		cmocka_unit_test(test_completion), cmocka_unit_test(test_traces)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

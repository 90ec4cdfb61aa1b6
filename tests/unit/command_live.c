/* Every command that only looks, on our own L1 with L2 running: it answers,
 * and the machine ends as one left alone. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "command/command.h"
#include "cpu/fp.h"
#include "introspect/live.h"
#include "l0/l0.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const looks[] = {"levels", "level", "regs all", "regs l1 all", "print rip + 1",
	"mem rip 64", "mem l1p:0x100000 64 x8", "mem h:0 16", "find 0x8000 0x1000 0fa2", "disas",
	"disas l1:0x100000 5", "bt", "bt l1", "vmcs", "vmcs 01", "vmcs 02 guest", "vmcs all",
	"vmcs 12 EPT_POINTER", "vmcs diff 12 02", "vmcs diff 01 02", "vmcs origin *", "vmcs history",
	"vmcs writers", "walk rip x", "walk rsp w user", "walk l1:0x100000", "walk l2p:0x8000 w", "ept",
	"ept 01", "ept 02", "autopsy live", "caps", "caps ept", "exits", "exits list 50",
	"exits list 5 if reason == IO_INSTRUCTION && level == 2", "exits top 20 by detail",
	"exits top by symbol", "exits hist", "exits causes", "exits storm", "stops", "symbols", "events",
	"info devices", "info cpu", "info memory", "info inputs", "info registers", "info stop", "console",
	"screen", "inputs", "log", "help", "--json levels", "--json walk rip", "trace", "hash"};

static struct l0 *machine(void)
{
	static const char *const args = "storm count=300";
	struct err e = {0};
	char self[4096] = "", image[4200];
	assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
	snprintf(image, sizeof image, "%s/../../guests/l1.elf", dirname(self));
	struct l0_config cfg = {.mem = 64u << 20, .vcpus = 1,
		.load = {.kind = LOAD_MULTIBOOT, .kernel = image, .append = args}};
	struct l0 *l = l0_new(&cfg, &e);
	if (!l)
		fail_msg("%s", e.msg);
	return l;
}

static void must(struct shell *sh, const char *line, struct buf *out)
{
	buf_clear(out);
	if (!command_run(sh, line, out))
		fail_msg("%s: %s", line, out->data);
}

static void test_looking_changes_nothing(void **ctx)
{
	struct buf out = {0}, alone = {0};
	struct shell sh;
	(void)ctx;
	struct l0 *l = machine();
	struct intro *s = live_session(l);
	shell_init(&sh, s);
	must(&sh, "continue", &out);
	must(&sh, "hash", &alone);
	shell_done(&sh);
	intro_free(s);
	l0_free(l);

	l = machine();
	s = live_session(l);
	shell_init(&sh, s);
	must(&sh, "catch entry", &out);
	for (int i = 0; i < 10; i++) {
		must(&sh, "continue", &out);
		for (size_t k = 0; k < sizeof looks / sizeof *looks; k++) {
			must(&sh, looks[k], &out);
			assert_true(out.len > 0);
		}
		must(&sh, i & 1 ? "step through 3" : "step within 2", &out);
	}
	must(&sh, "delete all", &out);
	must(&sh, "continue", &out);
	must(&sh, "hash", &out);
	assert_string_equal(out.data, alone.data);
	buf_done(&out);
	buf_done(&alone);
	shell_done(&sh);
	intro_free(s);
	l0_free(l);
}

/* A tool's write does change the hash: the test above could fail. */
static void test_writing_changes_the_hash(void **ctx)
{
	struct buf before = {0}, after = {0}, out = {0};
	struct shell sh;
	struct l0 *l = machine();
	struct intro *s = live_session(l);
	(void)ctx;
	shell_init(&sh, s);
	must(&sh, "catch entry", &out);
	must(&sh, "continue", &out);
	must(&sh, "hash", &before);
	must(&sh, "set r15 = 77", &out);
	must(&sh, "hash", &after);
	assert_string_not_equal(before.data, after.data);
	buf_done(&before);
	buf_done(&after);
	buf_done(&out);
	shell_done(&sh);
	intro_free(s);
	l0_free(l);
}

int main(void)
{
	struct err e = {0};
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_looking_changes_nothing),
		cmocka_unit_test(test_writing_changes_the_hash)};
	if (!fp_host_init(&e)) {
		fprintf(stderr, "%s\n", e.msg);
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

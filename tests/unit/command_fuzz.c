/* Random command lines over the recorded machine: none may crash, hang or end
 * the session unasked. The seed is fixed; FUZZ_SEED and FUZZ_LINES choose
 * others. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "command/command.h"
#include "introspect/fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const words[] = {"l1", "l2", "l2:2", "l9", "rip", "rsp", "0x403000", "0x500000",
	"0x600000", "-1", "0", "99999999999", "18446744073709551615", "if", "reason", "==", "CPUID", "&&",
	"||", "(", ")", "[", "]", "u8[", "u32[rsp]", "guest_main", "vmcs12.GUEST_RIP", "GUEST_*", "12",
	"02", "01", "shadow", "all", "diff", "origin", "history", "by", "detail", "symbol", "top", "hist",
	"list", "causes", "storm", "reset", "exit", "entry", "vmwrite", "once", "x8", "str", "insn", "user",
	"w", "x", "'", "\"", "\\", "--json", "level=2", "reason=CPUID", "detail=0-0xffffffffffffffff",
	"h:", "h:0x200000001000", "l1p:0x5000", "l2p:0x7000", "*", "?", ":", "%", "/", "~", "!", "$rip",
	"$", "0x", "1k", "16", "64", "through", "within", "=", "kind=reflect", "by=l0", "vcpu=0", "\xff\xfe"};

/* These reach files, or run for long. */
static bool left_out(const char *name)
{
	static const char *const names[] = {
		"source", "save", "load", "trace", "symbols", "expect", "inputs", "quit", "until"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(names[i], name))
			return true;
	return false;
}

static void make_line(struct shell *sh, char line[1024])
{
	const struct command *c;
	do {
		c = command_at(sh, (unsigned)random() % command_count(sh));
	} while (left_out(c->name));
	snprintf(line, 1024, "%s", c->name);
	for (long n = random() % 6; n--;) {
		size_t len = strlen(line);
		snprintf(line + len, 1024 - len, "%s%s", random() % 5 ? " " : "",
			words[(size_t)random() % (sizeof words / sizeof *words)]);
	}
	if (random() % 8 == 0)
		line[(size_t)random() % strlen(line)] = (char)(random() | 1);
}

static void test_random_lines(void **ctx)
{
	const char *seed = getenv("FUZZ_SEED"), *count = getenv("FUZZ_LINES");
	unsigned left = count ? (unsigned)atoi(count) : 3000;
	(void)ctx;
	srandom(seed ? (unsigned)atoi(seed) : 1);
	while (left) {
		struct intro *s = fake_session();
		struct shell sh;
		shell_init(&sh, s);
		intro_set_limit(s, 40000);
		for (int k = 0; k < 100 && left; k++, left--) {
			struct buf b = {0};
			char line[1024], word[128];
			const char *help;
			size_t from;
			make_line(&sh, line);
			command_run(&sh, line, &b);
			for (size_t i = 0; i < 3; i++)
				command_complete(&sh, line, i, word, &help, &from);
			assert_false(sh.quit && strncmp(line, "q", 1));
			buf_done(&b);
		}
		shell_done(&sh);
		intro_free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_lines)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

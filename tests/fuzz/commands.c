/* The command layer on the recorded machine: each line of the input is a
 * command, run as text and as JSON by turns, and completed. No crash, no leak,
 * no hang; an answer that fails is one line. */
#include "tests/fuzz/driver.h"

#include "command/command.h"
#include "introspect/fake.h"
#include "tests/fuzz/safe.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void run_line(struct shell *sh, const char *line)
{
	struct buf out = {0};
	char word[128];
	const char *help;
	size_t from;
	bool ok;
	for (size_t i = 0; i < 3; i++)
		command_complete(sh, line, i, word, &help, &from);
	if (fuzz_reaches_files(sh, line))
		return;
	sh->json = !sh->json;
	ok = command_run(sh, line, &out);
	if (!ok && !sh->json && (!out.len || memchr(out.data, '\n', out.len) != out.data + out.len - 1)) {
		fprintf(stderr, "'%s' answers: %s\n", line, out.data ? out.data : "(nothing)");
		abort();
	}
	if (sh->json && out.len) {
		json_error_t je;
		json_t *j = json_loadb(out.data, out.len, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, &je);
		if (!j) {
			fprintf(stderr, "'%s' is no JSON: %s: %s\n", line, je.text, out.data);
			abort();
		}
		json_decref(j);
	}
	buf_done(&out);
}

void fuzz_one(const uint8_t *data, size_t n)
{
	struct intro *s = fake_session();
	struct shell sh;
	const char *p = (const char *)data, *end = p + n;
	shell_init(&sh, s);
	intro_set_limit(s, 20000);
	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t len = (size_t)((nl ? nl : end) - p);
		char *line = malloc(len + 1);
		memcpy(line, p, len);
		line[len] = 0;
		run_line(&sh, line);
		free(line);
		p = nl ? nl + 1 : end;
	}
	shell_done(&sh);
	intro_free(s);
}

/* --- making inputs ------------------------------------------------------------- */

static const char *const commands[] = {
#define COMMAND(id, name, usage, completion, summary, details) name,
#include "command/commands.def"
#undef COMMAND
};

static const char *const words[] = {"l1", "l2", "l2:2", "l2.0", "l9", "rip", "rsp", "0x403000",
	"0x500000", "0x600000", "-1", "0", "99999999999", "18446744073709551615", "if", "reason", "==",
	"CPUID", "&&", "||", "(", ")", "[", "]", "u8[", "u32[rsp]", "u64[l2p:0x1000]", "guest_main",
	"vmcs12.GUEST_RIP", "GUEST_*", "12", "02", "01", "shadow", "all", "diff", "origin", "history",
	"writers", "by", "detail", "symbol", "top", "hist", "list", "causes", "storm", "reset", "exit",
	"entry", "entry-fail", "vmwrite", "ept-change", "table-change", "vmx-insn", "mode", "triple-fault", "once", "x1",
	"x8", "str", "insn", "user", "kernel", "w", "r", "x", "'", "\"", "\\", "--json", "level=2",
	"reason=CPUID", "detail=0-0xffffffffffffffff", "h:", "h:0x200000001000", "l1p:0x5000",
	"l2p:0x7000", "*", "?", ":", "%", "/", "~", "!", "$rip", "$", "0x", "1k", "16", "32", "64",
	"through", "within", "=", "kind=reflect", "by=l0", "vcpu=0", "\xff\xfe", "read", "access",
	"live", "<<", ">>", "? 1 : 2", "level", "gpa", "EPT_VIOLATION", "ctrl-alt-del", "nmi", "interrupt"};

size_t fuzz_make(struct fuzz_random *r, uint8_t *out, size_t max)
{
	char *p = (char *)out;
	size_t n = 0;
	for (unsigned lines = 1 + fuzz_below(r, 40); lines-- && n + 512 < max;) {
		n += (size_t)snprintf(p + n, max - n, "%s",
			commands[fuzz_below(r, sizeof commands / sizeof *commands)]);
		for (unsigned k = fuzz_below(r, 7); k--;)
			n += (size_t)snprintf(p + n, max - n, "%s%s", fuzz_below(r, 5) ? " " : "",
				words[fuzz_below(r, sizeof words / sizeof *words)]);
		if (fuzz_below(r, 8) == 0)
			p[n - 1 - fuzz_below(r, 2)] = (char)fuzz_below(r, 256);
		p[n++] = '\n';
	}
	return n;
}

#include "app/offline.h"

#include "command/command.h"
#include "introspect/offline.h"

#include <stdio.h>
#include <string.h>

static const char *const views[] = {
#define VIEW_OF_SNAPSHOT(name) name,
#include "app/subcommands.def"
};
#define VIEWS (sizeof(views) / sizeof(views[0]))

bool app_is_view(const char *name)
{
	for (size_t i = 0; i < VIEWS; i++)
		if (!strcmp(views[i], name))
			return true;
	return false;
}

void app_list_views(void)
{
	for (size_t i = 0; i < VIEWS; i++)
		printf("%s%s", i ? " " : "  ", views[i]);
	putchar('\n');
}

/* A reader who has gone (a pager that was left) ends the answer. */
static bool print_some(void *ctx, struct buf *out)
{
	(void)ctx;
	fwrite(out->data, 1, out->len, stdout);
	buf_clear(out);
	return !ferror(stdout);
}

int app_view(int argc, char **argv)
{
	struct err e = {0};
	struct buf line = {0}, out = {0};
	struct shell sh;
	if (argc < 2) {
		fprintf(stderr, "nestscope: usage: nestscope %s SNAPSHOT [ARGUMENT]...\n", argv[0]);
		return ERR_USAGE;
	}
	struct intro *s = intro_open_snapshot(argv[1], &e);
	if (!s) {
		fprintf(stderr, "nestscope: %s\n", e.msg);
		return e.status;
	}
	buf_str(&line, argv[0]);
	for (int i = 2; i < argc; i++)
		buf_fmt(&line, " %s", argv[i]);
	shell_init(&sh, s);
	const struct output_flow flow = {print_some, NULL};
	bool ok = command_flow(&sh, line.data, &out, &flow);
	if (out.len)
		fwrite(out.data, 1, out.len, stdout);
	shell_done(&sh);
	intro_free(s);
	buf_done(&line);
	buf_done(&out);
	return ok ? 0 : 1;
}

#include "app/linux.h"
#include "app/offline.h"
#include "app/run.h"
#include "base/err.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

static const struct command {
	const char *name;
	int (*main)(int argc, char **argv);
	const char *help;
} commands[] = {
#define SUBCOMMAND(name, main, help) {name, main, help},
#include "app/subcommands.def"
};

static void usage(FILE *f)
{
	fputs("usage: nestscope COMMAND [ARGUMENT]...\n\n", f);
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		fprintf(f, "  %-10s %s\n", commands[i].name, commands[i].help);
	if (f == stdout) {
		puts("\nor a view of a snapshot: nestscope VIEW SNAPSHOT [ARGUMENT]...");
		app_list_views();
	}
}

int main(int argc, char **argv)
{
	setlocale(LC_CTYPE, "");
	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help"))) {
		usage(stdout);
		return 0;
	}
	if (argc > 1 && !strcmp(argv[1], "--version")) {
		puts("nestscope " VERSION);
		return 0;
	}
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(commands[i].name, argv[1]))
			return commands[i].main(argc - 2, argv + 2);
	if (argc > 1 && app_is_view(argv[1]))
		return app_view(argc - 1, argv + 1);
	if (argc > 1)
		fprintf(stderr, "nestscope: there is no command \"%s\"\n", argv[1]);
	usage(stderr);
	return ERR_USAGE;
}

/* Which command lines a fuzzer must not run: those that reach files of its
 * choosing, and those whose answer takes as long as the machine runs. */
#ifndef TESTS_FUZZ_SAFE_H
#define TESTS_FUZZ_SAFE_H

#include "command/command.h"

#include <stdio.h>
#include <string.h>

static inline bool fuzz_reaches_files(struct shell *sh, const char *line)
{
	static const char *const names[] = {
		"source", "save", "load", "trace", "symbols", "inputs", "expect"};
	char word[64];
	struct err e = {0};
	int used = 0;
	while (sscanf(line, " %63s%n", word, &used) == 1 && !strcmp(word, "--json"))
		line += used;
	if (used == 0)
		return false;
	for (char *p = word; *p; p++)
		if (*p == '"' || *p == '\'' || *p == '\\')
			return true; /* however the parser takes quotes */
	const struct command *c = command_find(sh, word, &e);
	for (size_t i = 0; c && i < sizeof names / sizeof *names; i++)
		if (!strcmp(c->name, names[i]))
			return true;
	return false;
}

#endif

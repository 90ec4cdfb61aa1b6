/* The command line of `nestscope run` as a value. */
#ifndef APP_OPTIONS_H
#define APP_OPTIONS_H

#include "base/buf.h"
#include "base/err.h"
#include "l0/l0.h"

#define OPTIONS_MANY 64

/* A repeatable option's values; strings belong to argv. */
struct option_list {
	const char *at[OPTIONS_MANY];
	unsigned count;
};

struct options {
	struct l0_config machine;
	bool pace_given, batch, tui, json, gdb_owns, plugin_unsafe;
	void (*help)(struct buf *out); /* what was asked for in place of a run, or NULL */
	struct option_list gdb, plugins;
	/* -c and -x in the order given. */
	struct {
		const char *text;
		bool is_file;
	} script[OPTIONS_MANY];
	unsigned scripts;
	const char *control, *trace, *until, *crash_file;
	uint64_t max_insns;
	char *flat_path; /* owned */
};

/* Words after `run`. False and *e (status ERR_USAGE) on bad usage. */
bool options_parse(struct options *o, int argc, char **argv, struct err *e);
void options_done(struct options *o);

void options_help(struct buf *out);

/* One option name per line with its argument, for completion. */
void options_list(struct buf *out);

#endif

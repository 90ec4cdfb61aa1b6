/* Commands: one table (commands.def) feeds parser, completion, help and the
 * manual; every front end runs lines through command_run().
 *
 * A shell is one front end's use of a session: its focus (the level and vCPU
 * that commands mean when they name none) and its way to wait for a run.
 */
#ifndef COMMAND_COMMAND_H
#define COMMAND_COMMAND_H

#include "command/output.h"
#include "introspect/run.h"
#include "introspect/session.h"

/* What an argument is, for completion. */
enum complete_kind {
	COMPLETE_NONE, COMPLETE_PLACE, COMPLETE_EXPR, COMPLETE_REGISTER, COMPLETE_FIELD,
	COMPLETE_REASON, COMPLETE_STOP, COMPLETE_FILE, COMPLETE_COMMAND, COMPLETE_SYMBOL,
	COMPLETE_EVENT, COMPLETE_WORDS /* the fixed words of the command's usage */
};

struct shell;
struct args;

/* Fills *o; false and *e (or an error in *o): it failed. */
typedef bool command_fn(struct shell *sh, struct args *a, struct output *o, struct err *e);

struct command {
	const char *name;    /* one word */
	const char *usage;   /* arguments: "[PLACE] [NAME|GROUP|GLOB]..." */
	enum complete_kind complete;
	const char *summary; /* one sentence */
	const char *details; /* paragraphs */
	command_fn *fn;      /* built in */
	/* added by a plugin: rest is the text after the name */
	bool (*plugin_fn)(void *ctx, const char *rest, struct output *o, struct err *e);
	void *ctx;
};

struct shell {
	struct intro *s;     /* not owned */
	struct place focus;
	enum stop_owner owner; /* of the stops that it sets */
	uint32_t client;
	/* Runs until a stop and returns it; NULL returned: the front end does not
	 * wait (it shows the stop when it comes). Default: intro_run. */
	const struct stop_event *(*wait)(void *ctx, struct intro *s);
	void *wait_ctx;
	bool json;           /* default rendering for this shell */
	bool quit;           /* `quit` was given */
	int status;          /* its exit status */
	unsigned depth;      /* of source */
	/* The plugin host, where there is one: the `plugin` and `lua` commands. */
	bool (*plugins)(void *ctx, bool lua, const char *rest, struct output *o, struct err *e);
	void *plugins_ctx;
	struct command *added; /* owned array; strings are the plugin's */
	unsigned addeds;
	uint64_t mem_next;   /* where `mem` goes on */
	uint64_t expect_from; /* console position after the last `expect` */
};

void shell_init(struct shell *sh, struct intro *s);
void shell_done(struct shell *sh);

/* Runs one line; "" and "# comment" do nothing. `--json` first or last on the
 * line renders as JSON. False: it failed (*out has the message). */
bool command_run(struct shell *sh, const char *line, struct buf *out);
/* The same; long answers flow (see output.h). */
bool command_flow(
	struct shell *sh, const char *line, struct buf *out, const struct output_flow *flow);
/* The same, into a model; returns false with the error set in *o. */
bool command_exec(struct shell *sh, const char *line, struct output *o);
/* Runs each line of a file (`source`); stops at the first error. `flow` may be
 * NULL. */
bool command_source(struct shell *sh, const char *path, struct buf *out,
	const struct output_flow *flow, struct err *e);

/* Commands by name or unambiguous beginning; NULL and *e. */
const struct command *command_find(const struct shell *sh, const char *name, struct err *e);
unsigned command_count(const struct shell *sh);
const struct command *command_at(const struct shell *sh, unsigned i);
/* For plugins; the strings must outlive it. False: the name is taken. */
bool command_add(struct shell *sh, const struct command *c, struct err *e);
bool command_remove(struct shell *sh, const char *name);

/* The i-th completion of the word under the end of `line`; false past the
 * end. *word is the whole replacement, *help may be NULL. Valid until the next
 * call. `from` is where the word begins in the line. */
bool command_complete(
	struct shell *sh, const char *line, size_t i, char word[128], const char **help, size_t *from);

/* The stop in a few lines, as every front end shows it. */
void command_show_stop(struct shell *sh, const struct stop_event *ev, struct output *o);

/* --- for the commands themselves ------------------------------------------ */

struct args {
	const char *rest; /* what is not taken yet, blanks skipped */
	char word[512];   /* the last word taken */
};

/* The next word, without quotes; NULL when none is left. */
const char *args_next(struct args *a);
/* The next word if it equals `word`. */
bool args_take(struct args *a, const char *word);
/* The rest of the line, NULL when empty. */
const char *args_rest(struct args *a);
bool args_end(struct args *a, struct err *e); /* false and *e: something is left */
/* An optional place: takes the next word when it names one; else *at stays. */
bool args_place(struct shell *sh, struct args *a, struct place *at, struct err *e);
/* An address expression as one word. */
struct intro_address;
bool args_address(struct shell *sh, struct args *a, struct intro_address *at, struct err *e);
bool args_number(struct shell *sh, struct args *a, uint64_t *v, struct err *e);

#endif

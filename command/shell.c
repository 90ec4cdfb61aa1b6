/* The command line: look-up, running, completion. */
#include "command/cmds.h"
#include "introspect/events.h"
#include "introspect/exits.h"
#include "introspect/expr.h"
#include "introspect/regs.h"
#include "introspect/symbols.h"
#include "introspect/trace.h"
#include "introspect/vmcs.h"

#include <ctype.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct command builtin[] = {
#define COMMAND(id, name, usage, complete, summary, details)                                       \
	{name, usage, COMPLETE_##complete, summary, details, cmd_##id, NULL, NULL},
#include "command/commands.def"
#undef COMMAND
};

#define BUILTINS (sizeof builtin / sizeof *builtin)

static const struct stop_event *wait_here(void *ctx, struct intro *s)
{
	(void)ctx;
	return intro_run(s);
}

void shell_init(struct shell *sh, struct intro *s)
{
	*sh = (struct shell){.s = s, .focus = intro_here(s), .wait = wait_here};
}

void shell_done(struct shell *sh)
{
	free(sh->added);
	sh->added = NULL;
	sh->addeds = 0;
}

unsigned command_count(const struct shell *sh)
{
	return (unsigned)BUILTINS + sh->addeds;
}

const struct command *command_at(const struct shell *sh, unsigned i)
{
	if (i < BUILTINS)
		return &builtin[i];
	return i - BUILTINS < sh->addeds ? &sh->added[i - BUILTINS] : NULL;
}

const struct command *command_find(const struct shell *sh, const char *name, struct err *e)
{
	const struct command *c, *found = NULL;
	size_t n = strlen(name);
	struct buf more = {0};
	unsigned matches = 0;
	for (unsigned i = 0; (c = command_at(sh, i)); i++) {
		if (!strcmp(c->name, name)) {
			buf_done(&more);
			return c;
		}
		if (n && !strncmp(c->name, name, n)) {
			buf_fmt(&more, "%s%s", matches++ ? ", " : "", c->name);
			found = c;
		}
	}
	if (matches > 1)
		err_set(e, ERR_GENERAL, "'%s' may be %s", name, more.data);
	else if (!matches)
		err_set(e, ERR_GENERAL, "no command '%.60s'; help lists them", name);
	buf_done(&more);
	return matches == 1 ? found : NULL;
}

bool command_add(struct shell *sh, const struct command *c, struct err *e)
{
	const struct command *old;
	for (unsigned i = 0; (old = command_at(sh, i)); i++)
		if (!strcmp(old->name, c->name))
			return err_set(e, ERR_GENERAL, "there is a command '%s' already", c->name);
	sh->added = xresize(sh->added, (sh->addeds + 1) * sizeof *sh->added);
	sh->added[sh->addeds++] = *c;
	return true;
}

bool command_remove(struct shell *sh, const char *name)
{
	for (unsigned i = 0; i < sh->addeds; i++) {
		if (strcmp(sh->added[i].name, name))
			continue;
		memmove(sh->added + i, sh->added + i + 1, (--sh->addeds - i) * sizeof *sh->added);
		return true;
	}
	return false;
}

/* --- running ----------------------------------------------------------------- */

/* Removes a leading or trailing --json. */
static bool wants_json(char *line)
{
	size_t n = strlen(line);
	while (n && isspace((unsigned char)line[n - 1]))
		line[--n] = 0;
	if (!strncmp(line, "--json", 6) && (!line[6] || isspace((unsigned char)line[6]))) {
		memmove(line, line + 6, n - 6 + 1);
		return true;
	}
	if (n > 7 && !strcmp(line + n - 7, " --json")) {
		line[n - 7] = 0;
		return true;
	}
	return false;
}

static bool exec(struct shell *sh, const char *line, struct output *o, struct err *e)
{
	struct args a = {.rest = line};
	const struct command *c;
	if (!args_next(&a) || a.word[0] == '#')
		return true;
	if (!(c = command_find(sh, a.word, e)))
		return false;
	if (c->plugin_fn)
		return c->plugin_fn(c->ctx, a.rest, o, e);
	return c->fn(sh, &a, o, e);
}

bool command_exec(struct shell *sh, const char *line, struct output *o)
{
	struct err e = {0};
	bool ok = exec(sh, line, o, &e);
	if (!ok && !output_error_text(o))
		out_error(o, e.msg[0] ? e.msg : "it failed");
	return ok;
}

bool command_flow(
	struct shell *sh, const char *line, struct buf *out, const struct output_flow *flow)
{
	struct output *o = output_new();
	char *copy = xstrdup(line);
	char *start = copy;
	while (isspace((unsigned char)*start))
		start++;
	output_flow(o, wants_json(start) || sh->json, out, flow);
	bool ok = command_exec(sh, start, o);
	output_end(o);
	ok = ok && !output_error_text(o);
	free(copy);
	output_free(o);
	return ok;
}

bool command_run(struct shell *sh, const char *line, struct buf *out)
{
	return command_flow(sh, line, out, NULL);
}

#define SOURCE_DEPTH 16

bool command_source(struct shell *sh, const char *path, struct buf *out,
	const struct output_flow *flow, struct err *e)
{
	char *line = NULL;
	size_t cap = 0;
	unsigned number = 0;
	bool ok = true;
	FILE *f = fopen(path, "re");
	if (!f)
		return err_errno(e, "cannot read commands from '%s'", path);
	if (sh->depth >= SOURCE_DEPTH) {
		fclose(f);
		return err_set(e, ERR_GENERAL, "source is nested more than %d deep", SOURCE_DEPTH);
	}
	sh->depth++;
	while (ok && !sh->quit && getline(&line, &cap, f) >= 0) {
		line[strcspn(line, "\n")] = 0;
		number++;
		ok = command_flow(sh, line, out, flow);
	}
	sh->depth--;
	free(line);
	fclose(f);
	return ok || err_set(e, ERR_GENERAL, "%s:%u: that command failed", path, number);
}

/* --- completion ---------------------------------------------------------------- */

static bool starts(const char *word, const char *prefix)
{
	return !strncasecmp(word, prefix, strlen(prefix));
}

/* The i-th word of the usage (lower-case words, '|' between choices). */
static bool usage_word(const char *usage, const char *prefix, size_t i, char word[128])
{
	for (const char *p = usage; *p;) {
		size_t n = 0;
		while (islower((unsigned char)p[n]) || (n && (p[n] == '-' || isdigit((unsigned char)p[n]))) ||
			(n == 0 && isdigit((unsigned char)p[n])))
			n++;
		if (n > 1 && (p == usage || !isalpha((unsigned char)p[-1])) && p[n] != '=' && n < 128) {
			snprintf(word, 128, "%.*s", (int)n, p);
			if (starts(word, prefix) && !i--)
				return true;
		}
		p += n ? n : 1;
	}
	return false;
}

static bool complete_file(const char *prefix, size_t i, char word[128])
{
	char pattern[256];
	glob_t found = {0};
	bool ok = snprintf(pattern, sizeof(pattern), "%s*", prefix) < (int)sizeof(pattern) &&
		!glob(pattern, GLOB_MARK | GLOB_TILDE, NULL, &found) && i < found.gl_pathc &&
		strlen(found.gl_pathv[i]) < 128;
	if (ok)
		strcpy(word, found.gl_pathv[i]);
	globfree(&found);
	return ok;
}

static bool complete_kind(struct shell *sh, enum complete_kind kind, const char *prefix, size_t i,
	char word[128], const char **help)
{
	const char *name;
	struct intro_level l[INTRO_MAX_LEVELS];
	uint32_t reason;
	switch (kind) {
	case COMPLETE_PLACE:
		for (unsigned k = 0, n = intro_levels(sh->s, l, INTRO_MAX_LEVELS); k < n; k++) {
			if (starts(l[k].name, prefix) && !i--) {
				snprintf(word, 128, "%s", l[k].name);
				return true;
			}
		}
		return false;
	case COMPLETE_REGISTER:
		for (enum reg_id r = 0; r < R_COUNT; r++) {
			if (starts(reg_info(r)->name, prefix) && !i--) {
				snprintf(word, 128, "%s", reg_info(r)->name);
				return true;
			}
		}
		return false;
	case COMPLETE_FIELD:
		for (unsigned f = 0; f < intro_field_count(); f++) {
			if (starts(intro_field_at(f)->name, prefix) && !i--) {
				snprintf(word, 128, "%s", intro_field_at(f)->name);
				return true;
			}
		}
		return false;
	case COMPLETE_REASON:
		for (unsigned r = 0; exit_reason_at(r, &reason, &name); r++) {
			if (starts(name, prefix) && !i--) {
				snprintf(word, 128, "%s", name);
				return true;
			}
		}
		return false;
	case COMPLETE_EVENT:
		for (int k = 0; k < EVENT_KINDS; k++) {
			if (starts(event_kind_name(k), prefix) && !i--) {
				snprintf(word, 128, "%s", event_kind_name(k));
				*help = event_kind_help(k);
				return true;
			}
		}
		return false;
	case COMPLETE_COMMAND:
		for (unsigned k = 0; k < command_count(sh); k++) {
			if (starts(command_at(sh, k)->name, prefix) && !i--) {
				snprintf(word, 128, "%s", command_at(sh, k)->name);
				*help = command_at(sh, k)->summary;
				return true;
			}
		}
		return false;
	case COMPLETE_FILE:
		return complete_file(prefix, i, word);
	case COMPLETE_EXPR:
	case COMPLETE_SYMBOL:
		if (!expr_complete(sh->s, sh->focus, prefix, i, &name, help))
			return false;
		snprintf(word, 128, "%s", name);
		return true;
	default:
		return false;
	}
}

/* What the usage wants behind the word `before`: "vmwrite [FIELD]". */
static enum complete_kind wanted_behind(const struct command *c, const char *before)
{
	static const struct {
		const char *name;
		enum complete_kind kind;
	} names[] = {{"FIELD", COMPLETE_FIELD}, {"EXPRESSION", COMPLETE_EXPR}, {"ADDRESS", COMPLETE_EXPR},
		{"FILE", COMPLETE_FILE}, {"REASON", COMPLETE_REASON}, {"PLACE", COMPLETE_PLACE}};
	size_t n = strlen(before);
	for (const char *p = c->usage; n && (p = strstr(p, before)); p += n) {
		const char *next = p + n;
		if ((p > c->usage && !strchr(" |[", p[-1])) || *next++ != ' ')
			continue;
		next += *next == '[';
		for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
			if (!strncmp(next, names[k].name, strlen(names[k].name)))
				return names[k].kind;
	}
	return c->complete;
}

static bool complete_arg(struct shell *sh, const struct command *c, enum complete_kind kind,
	const char *prefix, size_t i, char word[128], const char **help)
{
	size_t used = 0;
	if (kind != c->complete)
		return complete_kind(sh, kind, prefix, i, word, help);
	for (char usage[128]; usage_word(c->usage, prefix, used, usage); used++) {
		if (used == i) {
			strcpy(word, usage);
			return true;
		}
	}
	return complete_kind(sh, kind, prefix, i - used, word, help);
}

bool command_complete(
	struct shell *sh, const char *line, size_t i, char word[128], const char **help, size_t *from)
{
	const char *none;
	struct args a = {.rest = line};
	size_t n = strlen(line), at = n;
	help = help ? help : &none;
	*help = NULL;
	while (at && !isspace((unsigned char)line[at - 1]))
		at--;
	*from = at;
	const char *first = args_next(&a), *w;
	if (!first || (size_t)(strstr(line, first) - line) >= at)
		return complete_kind(sh, COMPLETE_COMMAND, line + at, i, word, help);
	const struct command *c = command_find(sh, first, NULL);
	if (!c)
		return false;
	enum complete_kind kind = c->complete;
	while ((w = args_next(&a)) && (size_t)(a.rest - line) <= at && kind != COMPLETE_EXPR)
		kind = wanted_behind(c, w);
	if (complete_arg(sh, c, kind, line + at, 0, word, help))
		return complete_arg(sh, c, kind, line + at, i, word, help);
	/* else what stands behind the last operator of an expression */
	for (size_t k = at; k < n; k++)
		if (strchr("+-*/%&|^=<>!~([,:", line[k]))
			*from = k + 1;
	return complete_arg(sh, c, kind, line + *from, i, word, help);
}

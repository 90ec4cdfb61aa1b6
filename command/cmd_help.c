/* help, source, quit. */
#include "command/cmds.h"
#include "introspect/expr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool cmd_help(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	const struct command *c;
	if (!args_next(a)) {
		out_table(o, "commands", "command,summary");
		for (unsigned i = 0; (c = command_at(sh, i)); i++) {
			out_str(o, c->name);
			out_str(o, c->summary);
		}
		return true;
	}
	if (!(c = command_find(sh, a->word, e)))
		return false;
	out_values(o, NULL);
	out_key(o, "command");
	out_fmt(o, "%s%s%s", c->name, *c->usage ? " " : "", c->usage);
	out_key(o, "does");
	out_str(o, c->summary);
	if (*c->details) {
		out_key(o, "details");
		out_str(o, c->details);
	}
	return true;
}

bool cmd_source(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	struct buf b = {0};
	char path[512];
	if (!args_next(a))
		return err_set(e, ERR_GENERAL, "a file name is missing");
	snprintf(path, sizeof path, "%s", a->word);
	bool ok = args_end(a, e) && command_source(sh, path, &b, NULL, e);
	if (b.len)
		out_raw(o, "output", b.data, b.len);
	/* what the lines printed must not be lost with the error */
	if (!ok && b.len) {
		struct buf all = {0};
		buf_fmt(&all, "%s\n%s", e->msg, b.data);
		out_error(o, all.data);
		buf_done(&all);
	}
	buf_done(&b);
	return ok;
}

bool cmd_quit(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	uint64_t status = 0;
	(void)o;
	if ((args_rest(a) && !args_number(sh, a, &status, e)) || !args_end(a, e))
		return false;
	sh->quit = true;
	sh->status = (int)(status & 0xff);
	return true;
}

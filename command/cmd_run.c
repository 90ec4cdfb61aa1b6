/* continue, pause, step, stepi, next, until, finish; how a stop is shown. */
#include "command/cmds.h"
#include "introspect/exits.h"
#include "introspect/expr.h"
#include "introspect/memory.h"
#include "introspect/symbols.h"

#include <string.h>

void command_show_stop(struct shell *sh, const struct stop_event *ev, struct output *o)
{
	struct insn_text t;
	struct exit_record r;
	struct buf b = {0};
	out_values(o, NULL);
	out_key(o, "stopped");
	out_str(o, stop_why_name(ev->why));
	out_key(o, "what");
	out_str(o, ev->text);
	out_key(o, "level");
	cmd_level_name(ev->at.level, o);
	out_key(o, "vcpu");
	out_u64(o, ev->at.vcpu);
	out_key(o, "clock");
	out_grouped(o, ev->position.clock);
	out_key(o, "pc");
	intro_symbol_print(sh->s, ev->at, ev->rip, &b);
	out_fmt(o, "0x%llx %s", (unsigned long long)ev->rip, !strncmp(b.data, "0x", 2) ? "" : b.data);
	if (intro_disas(sh->s, ev->at, ev->rip, 0, &t, 1, NULL)) {
		out_key(o, "next");
		out_str(o, t.text);
	}
	if (ev->why == WHY_STOP && ev->kind == STOP_WATCH) {
		out_key(o, "touched");
		buf_clear(&b);
		if (ev->watch_space == SPACE_VIRTUAL)
			buf_fmt(&b, "0x%llx", (unsigned long long)ev->watch_address);
		else
			intro_address_print(sh->s, &(struct intro_address){{ev->watch_level, ev->at.vcpu},
				ev->watch_space, ev->watch_address}, &b);
		out_fmt(o, "%s %s%s", b.data, ev->watch_access == WATCH_WRITE ? "written" : "read",
			ev->watch_device ? " by a device" : "");
	}
	if (ev->exit != UINT64_MAX && intro_exit(sh->s, ev->exit, &r)) {
		buf_clear(&b);
		exit_detail_print(&r, &b);
		out_key(o, "transition");
		out_fmt(o, "%llu: %s %s %s", (unsigned long long)r.seq, exit_kind_name(r.kind),
			r.kind == EXIT_ENTRY ? "" : exit_reason_name(r.reason), b.data ? b.data : "");
	}
	if (ev->why == WHY_EXIT) {
		out_key(o, "status");
		out_u64(o, (uint64_t)ev->status);
	}
	buf_done(&b);
}

bool cmd_ran(struct shell *sh, struct output *o)
{
	const struct stop_event *ev = sh->wait(sh->wait_ctx, sh->s);
	if (!ev)
		return true;
	sh->focus = ev->at;
	command_show_stop(sh, ev, o);
	return true;
}

bool cmd_continue(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	return args_end(a, e) && intro_continue(sh->s, e) && cmd_ran(sh, o);
}

bool cmd_pause(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	(void)o;
	if (!args_end(a, e))
		return false;
	if (!intro_running(sh->s))
		return err_set(e, ERR_GENERAL, "it stands still already");
	intro_pause(sh->s);
	return true;
}

static bool stepping(struct shell *sh, struct args *a, enum step_kind kind, struct output *o,
	struct err *e)
{
	uint64_t n = 1;
	struct place at = sh->focus;
	if ((args_rest(a) && !args_number(sh, a, &n, e)) || !args_end(a, e))
		return false;
	return intro_step(sh->s, at, kind, n, e) && cmd_ran(sh, o);
}

bool cmd_step(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	enum step_kind kind = args_take(a, "through") ? STEP_THROUGH :
		args_take(a, "within") ? STEP_WITHIN : STEP_LINE;
	return stepping(sh, a, kind, o, e);
}

bool cmd_stepi(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	return stepping(sh, a, STEP_THROUGH, o, e);
}

bool cmd_next(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	return stepping(sh, a, STEP_NEXT, o, e);
}

bool cmd_finish(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	return args_end(a, e) && stepping(sh, a, STEP_FINISH, o, e);
}

bool cmd_until(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	struct intro_address at;
	if (args_take(a, "if")) {
		if (!args_rest(a))
			return err_set(e, ERR_GENERAL, "after if comes an expression");
		struct expr *x = expr_compile(sh->s, sh->focus, a->rest, e);
		return x && intro_until_expr(sh->s, sh->focus, x, e) && cmd_ran(sh, o);
	}
	if (!args_address(sh, a, &at, e) || !args_end(a, e))
		return false;
	if (at.space != SPACE_VIRTUAL)
		return err_set(e, ERR_GENERAL, "until takes a virtual address: l1: or l2:");
	return intro_until_address(sh->s, at.at, at.value, e) && cmd_ran(sh, o);
}

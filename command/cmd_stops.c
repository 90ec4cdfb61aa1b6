/* break, watch, catch, stops, delete, enable, disable, ignore. */
#include "command/cmds.h"
#include "introspect/exits.h"
#include "introspect/expr.h"
#include "introspect/memory.h"
#include "introspect/regs.h"
#include "introspect/vmcs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

bool cmd_choices(const char *what, const char *word, const char *choices, struct err *e)
{
	return err_set(e, ERR_GENERAL, "'%s' is no %s; there is %s", word, what, choices);
}

/* Takes "if EXPRESSION" off the end and compiles it. */
static bool condition(
	struct shell *sh, struct args *a, unsigned level, struct stop *st, struct err *e)
{
	struct place at = {level ? level : sh->focus.level, sh->focus.vcpu};
	if (!args_take(a, "if"))
		return args_end(a, e);
	if (!args_rest(a))
		return err_set(e, ERR_GENERAL, "after if comes an expression, e.g. if rax == 5");
	st->condition = expr_compile(sh->s, at, a->rest, e);
	return st->condition != NULL;
}

static bool add(struct shell *sh, struct stop *st, const char *text, struct output *o, struct err *e)
{
	st->owner = sh->owner;
	st->client = sh->client;
	snprintf(st->text, sizeof st->text, "%s", text);
	unsigned id = intro_stop_add(sh->s, st, e);
	if (!id) {
		expr_free(st->condition);
		return false;
	}
	out_values(o, NULL);
	out_key(o, "stop");
	out_u64(o, id);
	out_key(o, "kind");
	out_str(o, stop_kind_name(st->kind));
	out_key(o, "what");
	out_str(o, st->text);
	return true;
}

bool cmd_break(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	struct intro_address at = {sh->focus, SPACE_VIRTUAL, 0};
	struct stop st;
	char text[512];
	bool here = !args_rest(a) || !strncmp(args_rest(a), "if ", 3);
	snprintf(text, sizeof text, "%s", here ? "" : a->rest);
	if (here ? !intro_pc(sh->s, at.at, &at.value) : !args_address(sh, a, &at, e))
		return err_set(e, ERR_GENERAL, "the next instruction of this level is not known");
	stop_init(&st, STOP_BREAK, at.at.level);
	st.space = at.space;
	st.address = at.value;
	st.once = args_take(a, "once");
	if (here) {
		struct buf b = {0};
		intro_address_print(sh->s, &at, &b);
		snprintf(text, sizeof text, "%s %s", b.data, args_rest(a) ? a->rest : "");
		buf_done(&b);
	}
	return condition(sh, a, at.at.level, &st, e) && add(sh, &st, text, o, e);
}

bool cmd_watch(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	struct intro_address at;
	struct stop st;
	uint64_t len = 8;
	char text[512];
	snprintf(text, sizeof text, "%s", args_rest(a) ? a->rest : "");
	unsigned access = args_take(a, "read") ? WATCH_READ :
		args_take(a, "access") ? WATCH_READ | WATCH_WRITE : WATCH_WRITE;
	args_take(a, "write");
	if (!args_address(sh, a, &at, e))
		return false;
	if (args_rest(a) && strncmp(a->rest, "if ", 3) && !args_number(sh, a, &len, e))
		return false;
	stop_init(&st, STOP_WATCH, at.at.level);
	st.space = at.space;
	st.address = at.value;
	st.len = len;
	st.access = access;
	return condition(sh, a, at.at.level, &st, e) && add(sh, &st, text, o, e);
}

/* --- catch --------------------------------------------------------------------- */

static bool more(struct args *a)
{
	return args_rest(a) && strncmp(a->rest, "if ", 3);
}

static bool catch_reason(struct shell *sh, struct args *a, struct stop *st, struct err *e)
{
	if (more(a)) {
		args_next(a);
		if (!exit_reason_find(a->word, &st->reason))
			return err_set(e, ERR_GENERAL, "no exit reason '%s'; names are the SDM's, e.g. CPUID, "
				"EPT_VIOLATION, or a number below 128", a->word);
	}
	return !more(a) || args_number(sh, a, &st->detail, e);
}

static bool catch_field(struct shell *sh, struct args *a, struct stop *st, struct err *e)
{
	(void)sh;
	if (!more(a))
		return true;
	args_next(a);
	const struct intro_field *f = intro_field_find(a->word);
	if (!f)
		return err_set(e, ERR_GENERAL, "no VMCS field '%s'; names are the SDM's, e.g. GUEST_RIP",
			a->word);
	st->field = f->encoding;
	return true;
}

static bool catch_address(struct shell *sh, struct args *a, struct stop *st, struct err *e)
{
	struct intro_address at;
	if (!more(a))
		return true;
	if (!args_address(sh, a, &at, e))
		return false;
	st->address = at.value;
	return true;
}

static const struct {
	const char *name;
	enum stop_kind kind;
	bool (*rest)(struct shell *sh, struct args *a, struct stop *st, struct err *e);
} catches[] = {{"exit", STOP_EXIT, catch_reason}, {"entry", STOP_ENTRY, NULL},
	{"entry-fail", STOP_ENTRY_FAIL, catch_reason}, {"vmx-insn", STOP_VMX_INSN, catch_reason},
	{"vmwrite", STOP_VMWRITE, catch_field}, {"ept-change", STOP_EPT_CHANGE, catch_address},
	{"table-change", STOP_TABLE_CHANGE, catch_address},
	{"mode", STOP_MODE, NULL}, {"triple-fault", STOP_TRIPLE_FAULT, NULL}};

bool cmd_catch(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	struct stop st;
	char text[512];
	struct place at = {0, 0};
	snprintf(text, sizeof text, "%s", args_rest(a) ? a->rest : "");
	if (!args_place(sh, a, &at, e))
		return false;
	const char *w = args_next(a);
	for (size_t i = 0; w && i < sizeof catches / sizeof *catches; i++) {
		if (strcmp(catches[i].name, w))
			continue;
		stop_init(&st, catches[i].kind, at.level);
		if (catches[i].rest && !catches[i].rest(sh, a, &st, e))
			return false;
		return condition(sh, a, at.level, &st, e) && add(sh, &st, text, o, e);
	}
	return cmd_choices("catch", w ? w : "", "exit, entry, entry-fail, vmx-insn, vmwrite, ept-change, table-change, "
		"mode, triple-fault", e);
}

/* --- the list ------------------------------------------------------------------- */

bool cmd_stops(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	static const char *const owners[] = {"user", "gdb", "plugin", "run"};
	if (!args_end(a, e))
		return false;
	out_table(o, "stops", ">id,kind,level,enabled,>hits,>faults,owner,what");
	for (unsigned i = 0; i < intro_stop_count(sh->s); i++) {
		const struct stop *st = intro_stop_at(sh->s, i);
		out_u64(o, st->id);
		out_str(o, stop_kind_name(st->kind));
		if (st->level)
			cmd_level_name(st->level, o);
		else
			out_str(o, "any");
		out_bool(o, st->enabled);
		out_u64(o, st->hits);
		out_u64(o, st->faults);
		out_str(o, owners[st->owner]);
		if (st->text[0])
			out_str(o, st->text);
		else
			out_hex(o, st->address);
	}
	return true;
}

static bool stop_arg(struct shell *sh, struct args *a, uint64_t *id, struct err *e)
{
	if (!args_number(sh, a, id, e))
		return false;
	return intro_stop(sh->s, (unsigned)*id) ||
		err_set(e, ERR_GENERAL, "no stop %" PRIu64 "; stops lists them", *id);
}

bool cmd_delete(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	uint64_t id;
	(void)o;
	if (args_take(a, "all")) {
		intro_stop_del_owner(sh->s, sh->owner, UINT32_MAX);
		return args_end(a, e);
	}
	return stop_arg(sh, a, &id, e) && args_end(a, e) && intro_stop_del(sh->s, (unsigned)id);
}

bool cmd_disable(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	uint64_t id;
	(void)o;
	return stop_arg(sh, a, &id, e) && args_end(a, e) &&
		intro_stop_enable(sh->s, (unsigned)id, false);
}

bool cmd_enable(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	uint64_t id;
	(void)o;
	return stop_arg(sh, a, &id, e) && args_end(a, e) &&
		intro_stop_enable(sh->s, (unsigned)id, true);
}

bool cmd_ignore(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	uint64_t id, n;
	(void)o;
	if (!stop_arg(sh, a, &id, e) || !args_number(sh, a, &n, e) || !args_end(a, e))
		return false;
	intro_stop(sh->s, (unsigned)id)->ignore = n;
	return true;
}

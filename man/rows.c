#include "man/rows.h"

#include "app/demo.h"
#include "base/buf.h"
#include "base/grid.h"
#include "cpu/model.h"
#include "l0/options.h"
#include "tui/tui.h"
#include "vmx/checks.h"
#include "vmx/controls.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define OPTION(e, name, arg, help) {NULL, name, arg, help, NULL, false},
static const struct row options[] = {
#include "app/options.def"
};
#undef OPTION

static bool row_options(unsigned i, struct row *r)
{
	if (i >= COUNT(options))
		return false;
	*r = options[i];
	r->many = *r->text == '*';
	r->text += r->many;
	return true;
}

static const struct row commands[] = {
#define COMMAND(id, name, usage, complete, summary, details) \
	{NULL, name, usage, summary, details, false},
#include "command/commands.def"
#undef COMMAND
};

static const struct row views[] = {
#define VIEW_OF_SNAPSHOT(name) {NULL, name, NULL, NULL, NULL, false},
#include "app/subcommands.def"
};

static const struct row subcommands[] = {
#define SUBCOMMAND(name, main, help) {NULL, name, NULL, help, NULL, false},
#include "app/subcommands.def"
};

static const struct row props[] = {
#define EXPR_PROP(id, name, help) {NULL, name, NULL, help, NULL, false},
#include "introspect/expr_props.def"
#undef EXPR_PROP
};

static const struct row events[] = {
#define EVENT(id, name, help) {NULL, name, NULL, help, NULL, false},
#include "introspect/events.def"
#undef EVENT
};

static const struct row packets[] = {
#define PACKET(name, fn, rights, help) {NULL, name, NULL, help, NULL, false},
#include "gdbstub/packets.def"
#undef PACKET
};

static const struct row host[] = {
#define HOST(since, name, help) {NULL, #name, NULL, help, NULL, false},
#include "plugins/host.def"
#undef HOST
};

static const struct row lua[] = {
#define LUA(name, usage, help) {NULL, usage, NULL, help, NULL, false},
#define LUA_METHOD(object, name, usage, help) {NULL, usage, NULL, help, NULL, false},
#include "plugins/lua.def"
#undef LUA
#undef LUA_METHOD
};

static const struct row event_fields[] = {
#define FIELD(type, name, help) {NULL, #name, NULL, help, NULL, false},
#include "plugins/event_fields.def"
#undef FIELD
};

static const struct row registers[] = {
#define REG(id, name, bits, group, type) {#group, name, #bits " bits", NULL, NULL, false},
#include "introspect/regs.def"
#undef REG
};

static const struct row keys[] = {
#define KEY(name, code) {NULL, name, NULL, NULL, NULL, false},
#include "introspect/keys.def"
#undef KEY
};

static const struct row reasons[] = {
#define EXIT_REASON(number, name, text) {NULL, #name, #number, text, NULL, false},
#define EXIT_REASON_NEVER(number, name, text, why) \
	EXIT_REASON(number, name, text " (never here: " why ")")
#include "vmx/exit_reasons.def"
#undef EXIT_REASON
};

static const struct row insn_errors[] = {
#define INSN_ERROR(number, name, text) {NULL, #name, #number, text, NULL, false},
#define INSN_ERROR_NEVER(number, name, text, why) \
	INSN_ERROR(number, name, text " (never here: " why ")")
#include "vmx/insn_errors.def"
#undef INSN_ERROR
};

static const struct row remedies[] = {
#define REMEDY(reason, text) {NULL, #reason, NULL, text, NULL, false},
#include "introspect/remedies.def"
#undef REMEDY
};

static const struct row costs[] = {
#define COST_MODEL(id, name, text) {NULL, name, NULL, text, NULL, false},
#include "l0/cost.def"
#undef COST_MODEL
};

/* Sections whose rows are such an array. */
#define FROM_ARRAY(name) \
	static bool row_##name(unsigned i, struct row *r) \
	{ \
		if (i < COUNT(name)) \
			*r = name[i]; \
		return i < COUNT(name); \
	}
FROM_ARRAY(commands)
FROM_ARRAY(views)
FROM_ARRAY(subcommands)
FROM_ARRAY(props)
FROM_ARRAY(events)
FROM_ARRAY(packets)
FROM_ARRAY(host)
FROM_ARRAY(lua)
FROM_ARRAY(event_fields)
FROM_ARRAY(registers)
FROM_ARRAY(keys)
FROM_ARRAY(reasons)
FROM_ARRAY(insn_errors)
FROM_ARRAY(remedies)
FROM_ARRAY(costs)

static bool row_demos(unsigned i, struct row *r)
{
	const struct demo *d = demo_at(i);
	if (d)
		*r = (struct row){.name = d->name, .text = d->help};
	return d;
}

static bool row_actions(unsigned i, struct row *r)
{
	*r = (struct row){0};
	return tui_action_at(i, &r->name, &r->args, &r->text);
}

static bool row_panels(unsigned i, struct row *r)
{
	*r = (struct row){0};
	return tui_view_at(i, &r->name, &r->text);
}

static bool row_colours(unsigned i, struct row *r)
{
	char scratch[8];
	if (i >= COLOUR_ROLES)
		return false;
	*r = (struct row){.name = xstrdup(colour_name(i, scratch))};
	return true;
}

/* The i-th line of what a help function prints: first word, then the rest. */
static bool line_of(void (*print)(struct buf *), unsigned i, struct row *r)
{
	struct buf b = {0};
	print(&b);
	char *p = b.data, *end;
	for (; p && *p; p = end + 1) {
		end = strchrnul(p, '\n');
		if (!i--)
			break;
		if (!*end)
			p = NULL;
	}
	*r = (struct row){0};
	if (p && *p) {
		char *line = strndup(p, strcspn(p, "\n"));
		size_t n = strcspn(line, " ");
		r->text = line[n] ? line + n + strspn(line + n, " ") : NULL;
		line[n] = 0;
		r->name = line;
	}
	buf_done(&b);
	return r->name;
}

static bool row_l0(unsigned i, struct row *r)
{
	if (!line_of(l0_options_help, i, r))
		return false;
	size_t n = r->text ? strcspn(r->text, " ") : 0;
	if (n && r->text[n] == ' ' && strncmp(r->text, "a ", 2)) { /* the default, then the sentence */
		r->args = strndup(r->text, n);
		r->text += n + strspn(r->text + n, " ");
	}
	return true;
}

static bool row_cpu(unsigned i, struct row *r)
{
	return line_of(cpu_model_list, i, r);
}

/* The comment lines that open a script: "-- name: sentence", then a paragraph. */
static bool row_of_script(FILE *f, struct row *r)
{
	char *line = NULL;
	size_t size = 0;
	struct buf more = {0};
	*r = (struct row){0};
	while (getline(&line, &size, f) > 1 && !strncmp(line, "--", 2)) {
		char *text = line + 2 + strspn(line + 2, " ");
		text[strcspn(text, "\n")] = 0;
		char *colon = strstr(text, ": ");
		if (!r->name && colon) {
			r->text = xstrdup(colon + 2);
			*colon = 0;
			r->name = xstrdup(text);
		} else if (*text) {
			buf_fmt(&more, "%s%s", more.len ? " " : "", text);
		}
	}
	r->more = more.data;
	free(line);
	return r->name;
}

/* From the top of the source. */
static bool row_shipped(unsigned i, struct row *r)
{
	glob_t g;
	bool found = false;
	if (glob("plugins/*.lua", 0, NULL, &g))
		return false;
	if (i < g.gl_pathc) {
		FILE *f = fopen(g.gl_pathv[i], "re");
		found = f && row_of_script(f, r);
		if (f)
			fclose(f);
	}
	globfree(&g);
	return found;
}

static bool row_controls(unsigned i, struct row *r)
{
	if (i >= vmx_controls_count)
		return false;
	const struct vmx_control *c = &vmx_controls[i];
	char *at = NULL;
	if (asprintf(&at, "bit %u", c->bit) < 0)
		abort();
	*r = (struct row){.group = vmx_control_groups[c->group].section, .name = c->name,
		.args = at, .text = c->text};
	if (c->group == GROUP_PROC2)
		r->group = "Secondary processor-based VM-execution controls";
	return true;
}

static bool row_fields(unsigned i, struct row *r)
{
	static const struct {
		const char *name;
		unsigned encoding;
	} fields[] = {
#define FIELD(encoding, name, cap) {#name, encoding},
#include "vmx/fields.def"
#undef FIELD
	};
	static const char *const width[] = {"16 bits", "64 bits", "32 bits", "natural width"};
	static const char *const type[] = {"Control", "Read-only data", "Guest state", "Host state"};
	char *args = NULL;
	if (i >= COUNT(fields))
		return false;
	unsigned e = fields[i].encoding;
	if (asprintf(&args, "%04x, %s", e, width[e >> 13 & 3]) < 0)
		abort();
	*r = (struct row){.group = type[e >> 10 & 3], .name = fields[i].name, .args = args};
	return true;
}

static bool row_checks(unsigned i, struct row *r)
{
	if (i >= CHECK_COUNT)
		return false;
	*r = (struct row){.group = vmx_checks[i].section, .name = vmx_checks[i].name,
		.text = vmx_checks[i].legal};
	return true;
}

static const struct section sections[] = {
	{"options", "Fl", row_options},
	{"l0", "Cm", row_l0},
	{"costs", "Cm", row_costs},
	{"cpu", "Cm", row_cpu},
	{"demos", "Cm", row_demos},
	{"commands", "Ic", row_commands},
	{"views", "Ic", row_views},
	{"subcommands", "Cm", row_subcommands},
	{"props", "Va", row_props},
	{"events", "Cm", row_events},
	{"shipped", "Pa", row_shipped},
	{"host", "Fn", row_host},
	{"lua", "Ic", row_lua},
	{"event-fields", "Va", row_event_fields},
	{"registers", "Va", row_registers},
	{"keys", "Cm", row_keys},
	{"remedies", "Dv", row_remedies},
	{"packets", "Ql", row_packets},
	{"actions", "Ic", row_actions},
	{"panels", "Ic", row_panels},
	{"colours", "Cm", row_colours},
	{"controls", "Dv", row_controls},
	{"fields", "Dv", row_fields},
	{"checks", "Dv", row_checks},
	{"reasons", "Dv", row_reasons},
	{"insn-errors", "Dv", row_insn_errors},
};

const struct section *section_find(const char *name, size_t len)
{
	for (size_t i = 0; i < COUNT(sections); i++)
		if (strlen(sections[i].name) == len && !strncmp(sections[i].name, name, len))
			return &sections[i];
	return NULL;
}

const struct section *section_at(unsigned i)
{
	return i < COUNT(sections) ? &sections[i] : NULL;
}

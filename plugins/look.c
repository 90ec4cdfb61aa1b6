/* What plugins can look at: registers, memory, VMCSs, symbols, transitions. */
#include "plugins/host.h"

#include "introspect/exits.h"
#include "introspect/expr.h"
#include "introspect/regs.h"
#include "introspect/run.h"
#include "introspect/symbols.h"
#include "introspect/vmcs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *host_error(struct nestscope_plugin *p)
{
	return p->error;
}

const char *host_argument(struct nestscope_plugin *p, const char *key)
{
	for (unsigned i = 0; i < p->args; i++)
		if (!strcmp(p->arg[i].key, key))
			return p->arg[i].value;
	return NULL;
}

void host_here(struct nestscope_plugin *p, uint32_t *level, uint32_t *vcpu)
{
	struct place at = intro_here(p->ps->s);
	*level = at.level;
	*vcpu = at.vcpu;
}

uint64_t host_clock(struct nestscope_plugin *p)
{
	return intro_position(p->ps->s).clock;
}

int host_level(struct nestscope_plugin *p, uint32_t i, struct nestscope_level *out)
{
	struct intro_level l[INTRO_MAX_LEVELS];
	if (i >= intro_levels(p->ps->s, l, INTRO_MAX_LEVELS))
		return 0;
	*out = (struct nestscope_level){.id = l[i].id, .alive = l[i].alive, .vmcs12 = l[i].vmcs12,
		.eptp = l[i].eptp, .entries = l[i].entries, .exits = l[i].exits};
	memcpy(out->name, l[i].name, sizeof out->name);
	return 1;
}

uint32_t host_vcpus(struct nestscope_plugin *p)
{
	return intro_vcpus(p->ps->s);
}

/* --- registers, memory ---------------------------------------------------------- */

int host_reg(struct nestscope_plugin *p, uint32_t level, uint32_t vcpu, const char *name,
	uint64_t *value)
{
	enum reg_id id = reg_find(name);
	if (id == R_COUNT)
		return plugin_fail(p, "no register '%.40s'", name);
	return intro_reg_u64(p->ps->s, plugin_place(p, level, vcpu), id, value) ||
	       plugin_fail(p, "'%.40s' is not available there", name);
}

bool plugin_space(struct nestscope_plugin *p, const char *space, struct intro_address *out)
{
	char name[32];
	struct err e = {0};
	size_t n = strlen(space);
	out->at = intro_here(p->ps->s);
	out->space = SPACE_HOST;
	if (!strcmp(space, "h"))
		return true;
	out->space = n && space[n - 1] == 'p' ? SPACE_PHYSICAL : SPACE_VIRTUAL;
	n -= out->space == SPACE_PHYSICAL;
	if (!n || n >= sizeof name)
		return plugin_fail(p, "'%.40s' is no space; l1, l2 are virtual, l1p, l2p physical, h is host",
			space);
	memcpy(name, space, n);
	name[n] = 0;
	return intro_parse_place(p->ps->s, name, &out->at, &e) || plugin_err(p, &e);
}

size_t host_read(struct nestscope_plugin *p, const char *space, uint64_t address, void *out,
	size_t len)
{
	struct intro_address at;
	struct intro_mem_fail fail = {0};
	if (!plugin_space(p, space, &at))
		return 0;
	size_t n = intro_read(p->ps->s, at.at, at.space, address, out, len, &fail);
	if (n < len)
		plugin_fail(p, "%s", fail.why);
	return n;
}

int host_translate(
	struct nestscope_plugin *p, const char *space, uint64_t address, uint64_t *host)
{
	struct intro_address at;
	struct intro_mem_fail fail = {0};
	struct hpa h;
	if (!plugin_space(p, space, &at))
		return 0;
	if (!intro_translate(p->ps->s, at.at, at.space, address, &h, &fail))
		return plugin_fail(p, "%s", fail.why);
	*host = h.v;
	return 1;
}

/* --- VMCSs ------------------------------------------------------------------------ */

static const struct intro_field *field_of(struct nestscope_plugin *p, const char *name)
{
	const struct intro_field *f = intro_field_find(name);
	if (!f)
		plugin_fail(p, "no VMCS field '%.60s'", name);
	return f;
}

int host_vmcs(struct nestscope_plugin *p, const char *which, uint32_t level, uint32_t vcpu,
	const char *field, uint64_t *value)
{
	const struct intro_field *f = field_of(p, field);
	struct intro_vmcs_value v;
	enum intro_vmcs w;
	struct err e = {0};
	if (!f)
		return 0;
	if (!intro_vmcs_parse(which, &w))
		return plugin_fail(p, "no VMCS '%.20s'; there is 01, 12, 02, shadow", which);
	if (!intro_vmcs_get(p->ps->s, plugin_place(p, level, vcpu), w, f->encoding, &v, &e))
		return plugin_err(p, &e);
	*value = v.value;
	return 1;
}

int host_vmcs_writer(struct nestscope_plugin *p, uint32_t level, uint32_t vcpu, const char *field,
	struct nestscope_write *out)
{
	const struct intro_field *f = field_of(p, field);
	struct intro_vmcs_write w;
	if (!f)
		return 0;
	if (!intro_vmcs_writer(p->ps->s, plugin_place(p, level, vcpu), f->encoding, &w))
		return plugin_fail(p, "nobody wrote %s since VMCLEAR", f->name);
	*out = (struct nestscope_write){.clock = w.at.clock, .rip = w.rip, .cr3 = w.cr3,
		.old_value = w.old_value, .value = w.value, .field = w.encoding, .vcpu = w.vcpu,
		.writer = intro_writer_name(w.writer)};
	return 1;
}

const char *host_field_name(struct nestscope_plugin *p, uint32_t encoding)
{
	const struct intro_field *f = intro_field_by_encoding(encoding);
	(void)p;
	return f ? f->name : NULL;
}

int host_field_find(struct nestscope_plugin *p, const char *name, uint32_t *encoding)
{
	const struct intro_field *f = field_of(p, name);
	if (f)
		*encoding = f->encoding;
	return f != NULL;
}

/* --- symbols, types, code ----------------------------------------------------------- */

static bool covers(
	struct intro *s, struct place at, uint64_t cr3, uint64_t address, struct symbol *out)
{
	return cr3 == NESTSCOPE_NONE ? intro_symbol_at(s, at, address, out) :
		intro_symbol_at_cr3(s, at.level, cr3, address, out);
}

const char *host_symbol(struct nestscope_plugin *p, uint32_t level, uint64_t cr3, uint64_t address)
{
	struct symbol y;
	struct intro *s = p->ps->s;
	struct place at = plugin_place(p, level, 0);
	buf_clear(&p->text);
	/* asking for a name makes the session look for a kernel's table */
	if (covers(s, at, cr3, address, &y) || (!intro_inside(s) &&
		intro_symbol_find(s, at, "_stext", &y) && covers(s, at, cr3, address, &y)))
		buf_fmt(&p->text, "%s+0x%" PRIx64, y.name, address - y.address);
	else
		buf_fmt(&p->text, "0x%" PRIx64, address);
	return p->text.data;
}

int host_symbol_find(struct nestscope_plugin *p, uint32_t level, uint32_t vcpu, const char *name,
	uint64_t *address)
{
	struct symbol y;
	if (!intro_symbol_find(p->ps->s, plugin_place(p, level, vcpu), name, &y))
		return plugin_fail(p, "no symbol '%.60s' there", name);
	*address = y.address;
	return 1;
}

int host_member(struct nestscope_plugin *p, uint32_t level, uint32_t vcpu, const char *type,
	const char *member, uint64_t *offset)
{
	struct err e = {0};
	return intro_type_member(p->ps->s, plugin_place(p, level, vcpu), type, member, offset, &e) ||
	       plugin_err(p, &e);
}

int host_type_size(
	struct nestscope_plugin *p, uint32_t level, uint32_t vcpu, const char *type, uint64_t *size)
{
	struct err e = {0};
	return intro_type_size(p->ps->s, plugin_place(p, level, vcpu), type, size, &e) ||
	       plugin_err(p, &e);
}

int host_eval(struct nestscope_plugin *p, uint32_t level, uint32_t vcpu, const char *text,
	uint64_t *value)
{
	struct err e = {0};
	return intro_eval(p->ps->s, plugin_place(p, level, vcpu), text, value, &e) || plugin_err(p, &e);
}

int host_disassemble(struct nestscope_plugin *p, uint32_t level, uint32_t vcpu, uint64_t address,
	struct nestscope_insn *out)
{
	struct insn_text insn;
	struct err e = {0};
	if (!intro_disas(p->ps->s, plugin_place(p, level, vcpu), address, 0, &insn, 1, &e))
		return plugin_err(p, &e);
	*out = (struct nestscope_insn){insn.address, insn.target, insn.length, ""};
	memcpy(out->text, insn.text, sizeof out->text);
	return 1;
}

/* --- transitions -------------------------------------------------------------------- */

int host_transition(struct nestscope_plugin *p, uint64_t seq, struct nestscope_event *out)
{
	struct exit_record r;
	if (!intro_exit(p->ps->s, seq, &r))
		return plugin_fail(p, "the ring does not keep transition %" PRIu64, seq);
	*out = (struct nestscope_event){.size = sizeof *out, .kind = exit_kind_name(r.kind),
		.level = r.kind == EXIT_ENTRY || r.kind == EXIT_ENTRY_FAIL ? r.to : r.from, .vcpu = r.vcpu,
		.clock = r.at.clock};
	event_from_record(&r, out);
	return 1;
}

#define STATS_MAX 65536

int host_exit_stats(struct nestscope_plugin *p, const char *filter, const char *by,
	nestscope_stat_fn *fn, void *ctx)
{
	struct exit_filter f;
	struct err e = {0};
	unsigned split = (strstr(by, "detail") ? STAT_BY_DETAIL : 0) | (strstr(by, "rip") ? STAT_BY_RIP : 0);
	if (!exit_filter_parse(p->ps->s, filter, &f, &e))
		return plugin_err(p, &e);
	struct exit_stat *row = xalloc(STATS_MAX * sizeof *row);
	size_t n = intro_exit_stats(p->ps->s, &f, split, row, STATS_MAX);
	for (size_t i = 0; i < n; i++) {
		struct nestscope_stat out = {.level = row[i].level,
			.reflected = row[i].handler && row[i].kind != EXIT_ENTRY, .reason = row[i].reason,
			.entry = row[i].kind == EXIT_ENTRY, .detail = row[i].detail, .rip = row[i].rip,
			.count = row[i].count, .cost = row[i].cost, .caused = row[i].caused};
		fn(ctx, &out);
	}
	free(row);
	expr_free((struct expr *)f.expr);
	return 1;
}

const char *host_reason_name(struct nestscope_plugin *p, uint32_t reason)
{
	(void)p;
	return exit_reason_name(reason);
}

int host_reason_find(struct nestscope_plugin *p, const char *name, uint32_t *reason)
{
	return exit_reason_find(name, reason) || plugin_fail(p, "no exit reason '%.60s'", name);
}

const char *host_detail_text(
	struct nestscope_plugin *p, uint32_t reason, uint64_t detail, uint64_t qualification)
{
	struct exit_record r = {.kind = EXIT_EXIT, .reason = reason, .detail = detail,
		.qualification = qualification};
	buf_clear(&p->text);
	buf_str(&p->text, "");
	exit_detail_print(&r, &p->text);
	return p->text.data;
}

/* vmcs and its views. */
#include "command/cmds.h"
#include "introspect/symbols.h"
#include "introspect/vmcs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct vmcs_args {
	struct place at;
	enum intro_vmcs which[INTRO_VMCS_COUNT];
	unsigned whichs;
	bool all_four;
	char pattern[8][64];
	unsigned patterns;
	const struct intro_field *field; /* when a pattern is one field's name */
};

static bool parse(struct shell *sh, struct args *a, struct vmcs_args *v, struct err *e)
{
	*v = (struct vmcs_args){.at = sh->focus};
	while (args_next(a)) {
		enum intro_vmcs w;
		if (!strcmp(a->word, "all") && !v->patterns) {
			v->all_four = true;
		} else if (v->whichs < INTRO_VMCS_COUNT && intro_vmcs_parse(a->word, &w)) {
			v->which[v->whichs++] = w;
		} else {
			unsigned n = 0;
			for (unsigned i = 0; i < intro_field_count(); i++)
				n += intro_field_match(intro_field_at(i), a->word);
			const struct intro_field *f = intro_field_find(a->word);
			if (!n && !f)
				return err_set(e, ERR_GENERAL, "no VMCS field, group or pattern '%s'; names are the "
					"SDM's (GUEST_RIP), groups control exit guest host, patterns GUEST_*",
					a->word);
			if (v->patterns == 8)
				return err_set(e, ERR_GENERAL, "at most 8 fields or patterns at once");
			v->field = f;
			snprintf(v->pattern[v->patterns++], 64, "%.63s", f ? f->name : a->word);
		}
	}
	if (v->patterns != 1)
		v->field = NULL;
	return true;
}

static bool selected(const struct vmcs_args *v, const struct intro_field *f)
{
	for (unsigned i = 0; i < v->patterns; i++)
		if (intro_field_match(f, v->pattern[i]))
			return true;
	return !v->patterns;
}

static void cell_value(struct shell *sh, struct place at, enum intro_vmcs which,
	const struct intro_field *f, struct output *o)
{
	struct intro_vmcs_value val;
	if (intro_vmcs_get(sh->s, at, which, f->encoding, &val, NULL))
		out_hexw(o, val.value, f->size);
	else
		out_none(o);
}

/* The names of the bits that are set. */
static void cell_bits(const struct intro_field *f, uint64_t bits, struct output *o)
{
	struct buf b = {0};
	intro_field_decode(f, bits, &b);
	out_str(o, b.data ? b.data : "");
	buf_done(&b);
}

static void cell_decoded(struct shell *sh, struct place at, enum intro_vmcs which,
	const struct intro_field *f, uint64_t value, struct output *o)
{
	struct buf b = {0};
	intro_vmcs_decode(sh->s, at, which, f, value, &b);
	out_str(o, b.data ? b.data : "");
	buf_done(&b);
}

static void as_of(struct shell *sh, const struct intro_vmcs_value *v, enum intro_vmcs which,
	struct output *o)
{
	(void)sh;
	if (v->live)
		out_text(o, "VMCS%s: live, the processor runs on it", intro_vmcs_name(which));
	else
		out_text(o, "VMCS%s: as of clock %llu", intro_vmcs_name(which),
			(unsigned long long)v->as_of);
}

static bool list(struct shell *sh, const struct vmcs_args *v, enum intro_vmcs which,
	struct output *o, struct err *e)
{
	struct intro_vmcs_value val;
	if (!intro_vmcs_get(sh->s, v->at, which, intro_field_at(0)->encoding, &val, e))
		return false;
	as_of(sh, &val, which, o);
	out_table(o, "fields", "field,.encoding,value,meaning");
	for (unsigned i = 0; i < intro_field_count(); i++) {
		const struct intro_field *f = intro_field_at(i);
		if (!selected(v, f) || !intro_vmcs_get(sh->s, v->at, which, f->encoding, &val, NULL) ||
			(!v->patterns && !val.value))
			continue;
		out_str(o, f->name);
		out_hex(o, f->encoding);
		out_hexw(o, val.value, f->size);
		cell_decoded(sh, v->at, which, f, val.value, o);
	}
	return true;
}

/* One field bit by bit. */
static bool one_field(struct shell *sh, const struct vmcs_args *v, enum intro_vmcs which,
	struct output *o, struct err *e)
{
	const struct intro_field *f = v->field;
	struct intro_field_part part[64];
	struct intro_vmcs_value val;
	struct intro_vmcs_write w;
	unsigned n = intro_field_parts(f, part, 64);
	if (!intro_vmcs_get(sh->s, v->at, which, f->encoding, &val, e))
		return false;
	as_of(sh, &val, which, o);
	out_values(o, NULL);
	out_key(o, "field");
	out_str(o, f->name);
	out_key(o, "encoding");
	out_hexw(o, f->encoding, 2);
	out_key(o, "value");
	out_hexw(o, val.value, f->size);
	out_key(o, "meaning");
	cell_decoded(sh, v->at, which, f, val.value, o);
	if (which == INTRO_VMCS12 && intro_vmcs_writer(sh->s, v->at, f->encoding, &w)) {
		struct buf b = {0};
		intro_symbol_print(sh->s, (struct place){LEVEL_L1, w.vcpu}, w.rip, &b);
		out_key(o, "written by");
		out_fmt(o, "%s at %s, clock %llu", intro_writer_name(w.writer), b.data,
			(unsigned long long)w.at.clock);
		buf_done(&b);
	}
	if (!n)
		return true;
	out_table(o, "bits", ">bit,>value,name,section");
	for (unsigned i = 0; i < n; i++) {
		out_u64(o, part[i].low);
		out_u64(o, val.value >> part[i].low & ((part[i].bits < 64 ? 1ull << part[i].bits : 0) - 1));
		out_str(o, part[i].name);
		out_str(o, part[i].section);
	}
	return true;
}

static bool side_by_side(struct shell *sh, const struct vmcs_args *v, struct output *o)
{
	out_table(o, "fields", "field,01,12,02,shadow");
	for (unsigned i = 0; i < intro_field_count(); i++) {
		const struct intro_field *f = intro_field_at(i);
		struct intro_vmcs_value val;
		bool any = false;
		for (int w = 0; w < INTRO_VMCS_COUNT; w++)
			any |= intro_vmcs_get(sh->s, v->at, w, f->encoding, &val, NULL) && val.value;
		if (!selected(v, f) || (!v->patterns && !any))
			continue;
		out_str(o, f->name);
		for (int w = 0; w < INTRO_VMCS_COUNT; w++)
			cell_value(sh, v->at, w, f, o);
	}
	return true;
}

static bool diff(struct shell *sh, const struct vmcs_args *v, struct output *o, struct err *e)
{
	enum intro_vmcs a = v->whichs ? v->which[0] : INTRO_VMCS12;
	enum intro_vmcs b = v->whichs > 1 ? v->which[1] : INTRO_VMCS02;
	struct intro_vmcs_value x, y;
	char columns[64];
	unsigned n = 0;
	uint32_t any = intro_field_at(0)->encoding;
	if (!intro_vmcs_get(sh->s, v->at, a, any, &x, e) || !intro_vmcs_get(sh->s, v->at, b, any, &y, e))
		return false;
	snprintf(columns, sizeof columns, "field,%s,%s,differs", intro_vmcs_name(a), intro_vmcs_name(b));
	out_table(o, "differences", columns);
	for (unsigned i = 0; i < intro_field_count(); i++) {
		const struct intro_field *f = intro_field_at(i);
		if (!selected(v, f) || !intro_vmcs_get(sh->s, v->at, a, f->encoding, &x, NULL) ||
			!intro_vmcs_get(sh->s, v->at, b, f->encoding, &y, NULL) || x.value == y.value)
			continue;
		struct intro_field_part part[64];
		unsigned parts = intro_field_parts(f, part, 64);
		out_str(o, f->name);
		out_hexw(o, x.value, f->size);
		out_hexw(o, y.value, f->size);
		if (parts)
			cell_bits(f, x.value ^ y.value, o);
		else
			out_str(o, "");
		n++;
	}
	out_text(o, "%u fields differ", n);
	return true;
}

static bool origin(struct shell *sh, const struct vmcs_args *v, struct output *o, struct err *e)
{
	struct intro_vmcs_origin g;
	struct err own = {0};
	if (!v->patterns)
		return err_set(e, ERR_GENERAL, "a field is missing, e.g. vmcs origin CPU_BASED_VM_EXEC_CONTROL");
	if (v->field && !intro_vmcs_origin(sh->s, v->at, v->field->encoding, &g, e))
		return false;
	out_table(o, "origin", "field,12,02,from_l1,from_l0,merged,computed,shadowed,rule");
	for (unsigned i = 0; i < intro_field_count(); i++) {
		const struct intro_field *f = intro_field_at(i);
		if (!selected(v, f) || !intro_vmcs_origin(sh->s, v->at, f->encoding, &g, &own))
			continue;
		out_str(o, f->name);
		cell_value(sh, v->at, INTRO_VMCS12, f, o);
		cell_value(sh, v->at, INTRO_VMCS02, f, o);
		out_hex(o, g.from_l1);
		out_hex(o, g.from_l0);
		out_hex(o, g.merged);
		out_hex(o, g.computed);
		out_str(o, g.shadowed_read ? g.shadowed_write ? "read, write" : "read" :
			g.shadowed_write ? "write" : "no");
		out_str(o, g.rule);
	}
	return true;
}

static void write_row(struct shell *sh, const struct intro_vmcs_write *w, struct output *o)
{
	const struct intro_field *f = intro_field_by_encoding(w->encoding);
	unsigned size = f ? f->size : 8;
	out_grouped(o, w->at.clock);
	out_str(o, f ? f->name : "?");
	out_hexw(o, w->old_value, size);
	out_hexw(o, w->value, size);
	out_str(o, intro_writer_name(w->writer));
	out_u64(o, w->vcpu);
	out_hex(o, w->rip);
	cmd_symbol(sh, (struct place){LEVEL_L1, w->vcpu}, w->rip, o);
}

#define WRITE_COLUMNS ">clock,field,old,new,writer,>vcpu,rip,symbol"
#define HISTORY_MAX   256

static bool history(struct shell *sh, const struct vmcs_args *v, struct output *o, struct err *e)
{
	struct intro_vmcs_write *w = xalloc(HISTORY_MAX * sizeof *w);
	size_t n = intro_vmcs_history(
		sh->s, v->at, v->field ? v->field->encoding : 0, w, HISTORY_MAX);
	if (n) {
		out_table(o, "writes", WRITE_COLUMNS);
		for (size_t i = 0; i < n; i++)
			write_row(sh, &w[i], o);
	}
	free(w);
	return n || err_set(e, ERR_GENERAL, v->field ? "nobody wrote that field of this VMCS12 since "
		"VMPTRLD, or the ring has turned over" : "no write of VMCS12 is recorded on this vCPU");
}

static bool writers(struct shell *sh, const struct vmcs_args *v, struct output *o, struct err *e)
{
	struct intro_vmcs_write w;
	unsigned n = 0;
	out_table(o, "writers", WRITE_COLUMNS);
	for (unsigned i = 0; i < intro_field_count(); i++) {
		const struct intro_field *f = intro_field_at(i);
		if (!selected(v, f) || !intro_vmcs_writer(sh->s, v->at, f->encoding, &w))
			continue;
		write_row(sh, &w, o);
		n++;
	}
	return n || err_set(e, ERR_GENERAL, "nobody wrote such a field of this VMCS12");
}

bool cmd_vmcs(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	static const struct {
		const char *word;
		bool (*fn)(struct shell *, const struct vmcs_args *, struct output *, struct err *);
	} views[] = {{"diff", diff}, {"origin", origin}, {"history", history}, {"writers", writers}};
	struct vmcs_args v;
	struct place at = sh->focus;
	if (!args_place(sh, a, &at, e))
		return false;
	for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
		if (!args_take(a, views[i].word))
			continue;
		if (!parse(sh, a, &v, e))
			return false;
		v.at = at;
		return views[i].fn(sh, &v, o, e);
	}
	if (!parse(sh, a, &v, e))
		return false;
	v.at = at;
	if (v.all_four || v.whichs > 1)
		return side_by_side(sh, &v, o);
	enum intro_vmcs which = v.whichs ? v.which[0] : INTRO_VMCS12;
	return v.field ? one_field(sh, &v, which, o, e) : list(sh, &v, which, o, e);
}

/* autopsy, caps. */
#include "command/cmds.h"
#include "introspect/autopsy.h"
#include "introspect/exits.h"
#include "introspect/symbols.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static void headline(struct shell *sh, const struct autopsy *x, struct output *o)
{
	struct buf at = {0};
	intro_symbol_print(sh->s, x->at, x->rip, &at);
	switch (x->kind) {
	case AUTOPSY_CLEAN:
		out_text(o, "VMCS12 at l1p:0x%llx passes every check now", (unsigned long long)x->vmcs12);
		break;
	case AUTOPSY_VMFAIL_INVALID:
		out_text(o, "%s at %s: VMfailInvalid: there is no current VMCS", x->instruction, at.data);
		break;
	case AUTOPSY_VMFAIL:
		out_text(o, "%s at %s: VMfailValid %u, %s", x->instruction, at.data, x->error,
			x->error_text);
		break;
	case AUTOPSY_ENTRY_FAIL:
		out_text(o, "%s at %s: VM-entry failure, reason %u (%s), qualification 0x%llx",
			x->instruction, at.data, x->reason & 0xffff, exit_reason_name(x->reason),
			(unsigned long long)x->qualification);
		break;
	case AUTOPSY_EPT_MISCONFIG:
		out_text(o, "EPT misconfiguration at guest-physical 0x%llx",
			(unsigned long long)x->qualification);
		break;
	case AUTOPSY_ABORT:
		out_text(o, "VMX abort, indicator %u", x->error);
	}
	if (x->kind != AUTOPSY_CLEAN)
		out_text(o, "clock %llu, vCPU %u, VMCS12 l1p:0x%llx", (unsigned long long)x->position.clock,
			x->at.vcpu, (unsigned long long)x->vmcs12);
	buf_done(&at);
}

static void field_node(struct shell *sh, const struct autopsy_field *f, struct output *o)
{
	const struct intro_field *i = intro_field_by_encoding(f->encoding);
	struct buf b = {0};
	unsigned digits = i ? i->size * 2u : 16;
	out_node(o, 1, "%s = 0x%0*llx", i ? i->name : "?", (int)digits, (unsigned long long)f->value);
	out_key(o, "value");
	out_hex(o, f->value);
	if (f->written) {
		intro_symbol_print(sh->s, (struct place){LEVEL_L1, f->writer.vcpu}, f->writer.rip, &b);
		out_node(o, 2, "last written by %s at %s, clock %llu", intro_writer_name(f->writer.writer),
			b.data, (unsigned long long)f->writer.at.clock);
		out_key(o, "rip");
		out_hex(o, f->writer.rip);
		out_key(o, "symbol");
		cmd_symbol(sh, (struct place){LEVEL_L1, f->writer.vcpu}, f->writer.rip, o);
	} else {
		out_node(o, 2, "never written since VMCLEAR");
	}
	buf_done(&b);
}

static void finding(struct shell *sh, const struct autopsy_finding *x, struct output *o)
{
	out_node(o, 0, "%s: %s", x->check, x->rule);
	out_key(o, "check");
	out_str(o, x->check);
	out_key(o, "section");
	out_str(o, x->section);
	out_node(o, 1, "SDM %s", x->section ? x->section : "-");
	for (unsigned i = 0; i < x->fields; i++)
		field_node(sh, &x->field[i], o);
	if (x->bad_bits) {
		struct buf b = {0};
		const struct intro_field *f = intro_field_by_encoding(x->field[0].encoding);
		struct intro_field_part part;
		if (f && intro_field_parts(f, &part, 1)) /* single bits have names */
			intro_field_decode(f, x->bad_bits, &b);
		out_node(o, 1, "offending bits 0x%llx%s%s", (unsigned long long)x->bad_bits,
			b.len ? ": " : "", b.len ? b.data : "");
		buf_done(&b);
	}
	if (x->legal[0])
		out_node(o, 1, "legal: %s", x->legal);
	if (x->has_legal)
		out_node(o, 1, "MSR 0x%x: must be 1 0x%llx, may be 1 0x%llx", x->msr,
			(unsigned long long)x->must_be_1, (unsigned long long)x->may_be_1);
}

bool cmd_autopsy(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	struct autopsy *x = xalloc(sizeof *x);
	bool live = args_take(a, "live");
	bool ok = args_end(a, e) &&
		intro_autopsy(sh->s, (struct place){LEVEL_L1, sh->focus.vcpu}, live, x, e);
	if (ok) {
		headline(sh, x, o);
		if (x->findings) {
			out_text(o, "%u check%s fail%s:", x->findings, x->findings == 1 ? "" : "s",
				x->findings == 1 ? "s" : "");
			out_tree(o, "findings");
			for (unsigned i = 0; i < x->findings; i++)
				finding(sh, &x->finding[i], o);
		}
		if (x->advice[0])
			out_text(o, "%s", x->advice);
	}
	free(x);
	return ok;
}

/* --- caps ---------------------------------------------------------------------- */

#define CAPS_MAX 512

struct cap_list {
	struct cap_row row[CAPS_MAX];
	unsigned rows;
	char filter[4][64];
	unsigned filters;
};

static bool collect(void *ctx, const struct cap_row *row)
{
	struct cap_list *l = ctx;
	bool wanted = !l->filters;
	for (unsigned i = 0; i < l->filters; i++)
		wanted |= (row->name && strcasestr(row->name, l->filter[i])) ||
			strcasestr(row->group, l->filter[i]);
	if (wanted && l->rows < CAPS_MAX)
		l->row[l->rows++] = *row;
	return true;
}

static void show_caps(const struct cap_list *l, struct output *o)
{
	out_table(o, "capabilities", "msr,value_or_bit,name,may_be_1,must_be_1,key");
	for (unsigned i = 0; i < l->rows; i++) {
		const struct cap_row *r = &l->row[i];
		out_fmt(o, "0x%x", r->msr);
		if (!r->name)
			out_fmt(o, "0x%016llx", (unsigned long long)r->value);
		else
			out_fmt(o, "%d", r->bit);
		out_str(o, r->name ? r->name : r->group);
		if (r->name) {
			out_bool(o, r->may_be_1);
			out_bool(o, r->must_be_1);
		} else {
			out_none(o);
			out_none(o);
		}
		out_str(o, r->key);
	}
}

static void show_cap_diff(const struct cap_list *a, const struct cap_list *b, struct output *o)
{
	out_table(o, "differences", "group,name,here,there");
	for (unsigned i = 0; i < a->rows; i++) {
		const struct cap_row *x = &a->row[i], *y = NULL;
		for (unsigned k = 0; k < b->rows && !y; k++)
			if (b->row[k].msr == x->msr && b->row[k].bit == x->bit &&
				!b->row[k].name == !x->name)
				y = &b->row[k];
		if (!y || (x->value == y->value && x->may_be_1 == y->may_be_1 &&
				  x->must_be_1 == y->must_be_1))
			continue;
		out_str(o, x->group);
		out_str(o, x->name);
		if (x->name) {
			out_str(o, x->must_be_1 ? "must be 1" : x->may_be_1 ? "may be 1" : "0");
			out_str(o, y->must_be_1 ? "must be 1" : y->may_be_1 ? "may be 1" : "0");
		} else {
			out_hexw(o, x->value, 8);
			out_hexw(o, y->value, 8);
		}
	}
}

bool cmd_caps(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	struct cap_list *here = xalloc(sizeof *here), *there = xalloc(sizeof *there);
	bool diff = args_take(a, "diff"), ok = false;
	char model[64] = "";
	if (diff && !args_next(a)) {
		err_set(e, ERR_GENERAL, "a model is missing: caps diff MODEL");
		goto out;
	}
	if (diff)
		snprintf(model, sizeof model, "%.63s", a->word);
	while (args_next(a) && here->filters < 4)
		snprintf(here->filter[here->filters++], 64, "%.63s", a->word);
	if (!intro_caps(sh->s, NULL, collect, here, e) ||
		(diff && !intro_caps(sh->s, model, collect, there, e)))
		goto out;
	ok = true;
	if (diff)
		show_cap_diff(here, there, o);
	else if (here->rows)
		show_caps(here, o);
	else
		ok = err_set(e, ERR_GENERAL, "no capability or control matches '%s'; a part of a name "
			"does, e.g. CTLS2 or posted", here->filter[0]);
out:
	free(here);
	free(there);
	return ok;
}

/* walk, ept. */
#include "command/cmds.h"
#include "introspect/expr.h"
#include "introspect/walk.h"

#include <string.h>

static const char *space_of(const struct intro_walk *w, enum walk_table t)
{
	if (t == TABLE_GUEST)
		return w->at.level == LEVEL_L1 ? "l1p" : "l2p";
	return t == TABLE_EPT12 ? "l1p" : "h";
}

static void entry(struct output *o, unsigned depth, const struct intro_walk *w,
	const struct walk_stage *st, unsigned i)
{
	const struct walk_step *step = &st->result.step[i];
	struct buf b = {0};
	intro_entry_decode(st->root.format, step, &b);
	out_node(o, depth, "%-6s %s %s:0x%llx = 0x%016llx  %s%s%s", walk_table_name(st->table),
		walk_level_name(st->root.format, step->level), space_of(w, st->table),
		(unsigned long long)step->at, (unsigned long long)step->value, b.data,
		step->blame ? "  <== " : "", step->blame ? walk_blame_name(step->blame) : "");
	out_key(o, "table");
	out_str(o, walk_table_name(st->table));
	out_key(o, "level");
	out_u64(o, step->level);
	out_key(o, "at");
	out_hex(o, step->at);
	out_key(o, "value");
	out_hex(o, step->value);
	if (step->blame) {
		out_key(o, "blame");
		out_str(o, walk_blame_name(step->blame));
	}
	buf_done(&b);
}

static void stage(struct output *o, unsigned depth, const struct intro_walk *w,
	const struct walk_stage *st)
{
	for (unsigned i = 0; st->done && i < st->result.steps; i++)
		entry(o, depth, w, st, i);
}

static void nested(struct output *o, unsigned depth, const struct intro_walk *w,
	const struct walk_nested *n)
{
	stage(o, depth, w, &n->ept12);
	stage(o, depth, w, &n->ept01);
}

static void tree(struct output *o, const struct intro_walk *w, const char *title)
{
	out_tree(o, "walk");
	out_node(o, 0, "%s", title);
	if (w->guest.done) {
		out_node(o, 1, "guest tables, root 0x%llx", (unsigned long long)w->guest.root.root);
		unsigned first = w->guest.root.format == WALK_PAE;
		for (unsigned i = 0; i < w->guest.result.steps; i++) {
			entry(o, 2, w, &w->guest, i);
			if (i >= first)
				nested(o, 3, w, &w->table[i]);
		}
	}
	if (w->final.done) {
		out_node(o, 1, "%s 0x%llx to host memory", w->at.level == LEVEL_L1 ? "l1p" : "l2p",
			(unsigned long long)w->guest_physical);
		nested(o, 2, w, &w->final);
	}
	if (w->ept02.done) {
		out_node(o, 1, "EPT02, L0's merge%s", w->ept02.status != WALK_OK ?
			": not filled for this access yet" : w->ept02_differs ? ": DIFFERS" : ": agrees");
		stage(o, 2, w, &w->ept02);
	}
	if (w->shadow.done) {
		out_node(o, 1, "shadow tables, what the processor walks, root 0x%llx%s",
			(unsigned long long)w->shadow.root.root, w->shadow.status != WALK_OK ?
			": not filled for this access yet" : w->shadow_differs ? ": DIFFER" : ": agree");
		stage(o, 2, w, &w->shadow);
	}
}

static void outcome(struct output *o, const struct intro_walk *w)
{
	static const char *const names[] = {"the access succeeds", "page fault (#PF)",
		"general protection (#GP)", "EPT violation, exit to L1", "EPT misconfiguration, exit to L1",
		"EPT01 refuses: L0 handles it", "not known: tables cannot be read"};
	struct buf b = {0};
	out_values(o, "result");
	out_key(o, "outcome");
	out_str(o, names[w->outcome]);
	if (w->outcome == WALK_ACCESS_OK) {
		out_key(o, "host");
		out_hex(o, w->host.v);
		out_key(o, "rights");
		intro_rights_print(w->rights, &b);
		out_str(o, b.data);
		out_key(o, "memory type");
		out_str(o, intro_memtype_name(w->memtype));
		out_key(o, "page");
		out_u64(o, 1ull << w->page_shift);
	} else {
		out_key(o, "refused by");
		out_fmt(o, "%s, step %u", walk_table_name(w->blamed), w->blamed_step + 1);
	}
	if (w->outcome == WALK_PAGE_FAULT) {
		out_key(o, "error code");
		out_hex(o, w->error);
		intro_pf_error_decode(w->error, &b);
	} else if (w->outcome == WALK_EPT_VIOLATION_L1 || w->outcome == WALK_EPT_VIOLATION_L0) {
		out_key(o, "exit qualification");
		out_hex(o, w->error);
		intro_ept_qualification_decode(w->error, &b);
	}
	if (w->outcome != WALK_ACCESS_OK && b.len) {
		out_key(o, "meaning");
		out_str(o, b.data);
	}
	if (w->outcome >= WALK_EPT_VIOLATION_L1 && w->outcome <= WALK_EPT_VIOLATION_L0) {
		out_key(o, "guest physical");
		out_hex(o, w->guest_physical);
	}
	if (w->tlb_stale) {
		out_key(o, "stale TLB");
		out_fmt(o, "the TLB still leads to h:0x%llx; missing: %s",
			(unsigned long long)w->tlb_page.v, w->tlb_missing);
	}
	buf_done(&b);
}

bool cmd_walk(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	struct intro_address at;
	struct intro_walk w;
	struct walk_access access = {0};
	struct buf title = {0};
	if (!args_address(sh, a, &at, e))
		return false;
	while (args_next(a)) {
		if (!strcmp(a->word, "w"))
			access.write = true;
		else if (!strcmp(a->word, "x"))
			access.fetch = true;
		else if (!strcmp(a->word, "user"))
			access.user = true;
		else if (strcmp(a->word, "r") && strcmp(a->word, "kernel"))
			return err_set(e, ERR_GENERAL, "'%s' is no access; use r, w or x, and user or kernel",
				a->word);
	}
	if (!intro_walk(sh->s, at.at, at.space, at.value, &access, &w, e))
		return false;
	intro_address_print(sh->s, &at, &title);
	buf_fmt(&title, " %s by %s", access.write ? "write" : access.fetch ? "fetch" : "read",
		access.user ? "user" : "kernel");
	tree(o, &w, title.data);
	outcome(o, &w);
	buf_done(&title);
	return true;
}

/* --- ept ---------------------------------------------------------------------- */

struct map_ctx {
	struct output *o;
	uint64_t from, mapped, ranges;
};

#define RANGES_MAX 2000

static bool one_range(void *ctx, const struct ept_range *r)
{
	struct map_ctx *m = ctx;
	struct buf b = {0};
	if (r->from + r->size <= m->from)
		return true;
	m->mapped += r->size;
	if (m->ranges++ >= RANGES_MAX)
		return true;
	intro_rights_print(r->rights, &b);
	out_hex(m->o, r->from);
	out_hex(m->o, r->from + r->size - 1);
	out_hex(m->o, r->to);
	out_str(m->o, b.data);
	out_str(m->o, intro_memtype_name(r->memtype));
	out_str(m->o, r->page_shift == 30 ? "1G" : r->page_shift == 21 ? "2M" : "4K");
	out_grouped(m->o, r->pages);
	buf_done(&b);
	return true;
}

bool cmd_ept(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	static const char *const names[] = {"12", "01", "02"};
	struct place at = sh->focus;
	enum walk_table table = at.level >= LEVEL_L2 ? TABLE_EPT12 : TABLE_EPT01;
	struct map_ctx m = {.o = o};
	struct err own = {0};
	if (!args_place(sh, a, &at, e))
		return false;
	for (int i = 0; i < 3; i++)
		if (args_take(a, names[i]))
			table = TABLE_EPT12 + i;
	if (table != TABLE_EPT01 && at.level < LEVEL_L2)
		at.level = LEVEL_L2;
	if ((args_rest(a) && !args_number(sh, a, &m.from, e)) || !args_end(a, e))
		return false;
	out_table(o, "ranges", "from,to,output,rights,type,page,>pages");
	if (!intro_ept_map(sh->s, at, table, one_range, &m, &own)) {
		if (!m.ranges)
			return err_set(e, ERR_GENERAL, "%s", own.msg);
		out_text(o, "%s", own.msg);
	}
	out_text(o, "%s: %llu ranges, %llu KiB mapped%s", walk_table_name(table),
		(unsigned long long)m.ranges, (unsigned long long)m.mapped >> 10,
		m.ranges > RANGES_MAX ? "; the first 2000 are shown" : "");
	return true;
}

/* The map of an EPT: ranges, rights, memory types. */
#include "tui/view.h"

#include "introspect/walk.h"

#define RANGES 4096

static const enum walk_table shown[] = {TABLE_EPT12, TABLE_EPT02, TABLE_EPT01};

struct filling {
	struct lines *l;
	unsigned n;
	uint64_t end;
};

static bool range(void *ctx, const struct ept_range *r)
{
	struct filling *f = ctx;
	struct lines *l = f->l;
	struct buf b = {0};
	if (f->n && r->from > f->end) {
		lines_row(l, f->end);
		lines_add(l, COLOUR_DIM, " %012llx  %10llu KiB  hole", (unsigned long long)f->end,
			(unsigned long long)(r->from - f->end) >> 10);
	}
	intro_rights_print(r->rights, &b);
	lines_row(l, r->from);
	lines_add(l, COLOUR_ADDRESS, " %012llx", (unsigned long long)r->from);
	lines_add(l, COLOUR_NUMBER, "  %10llu KiB", (unsigned long long)r->size >> 10);
	lines_add(l, COLOUR_ADDRESS, "  to %012llx", (unsigned long long)r->to);
	lines_add(l, COLOUR_GOOD, "  %-4s", b.data ? b.data : "");
	lines_add(l, COLOUR_DEFAULT, "  %-2s  %llu pages of %llu KiB or more",
		intro_memtype_name(r->memtype), (unsigned long long)r->pages,
		1ull << r->page_shift >> 10);
	f->end = r->from + r->size;
	buf_done(&b);
	return ++f->n < RANGES;
}

static void fill(struct view *v, struct lines *l, int width)
{
	enum walk_table table = shown[v->mode % 3];
	struct place at = tui_place(v->t);
	struct filling f = {.l = l};
	struct err e = {0};
	struct buf b = {0};
	(void)width;
	buf_fmt(&b, "%s of l%u vCPU %u", walk_table_name(table), at.level, at.vcpu);
	lines_head(l, b.data);
	buf_done(&b);
	if (!intro_ept_map(v->s, at, table, range, &f, &e)) {
		lines_row(l, 0);
		lines_add(l, COLOUR_WARN, "%s", e.msg);
	} else if (!f.n) {
		lines_head(l, "nothing is mapped");
	}
}

static bool act(struct view *v, enum action a)
{
	if (a != ACT_MODE)
		return false;
	v->mode = (v->mode + 1) % 3;
	return true;
}

const struct view_ops view_ept = {.name = "ept", .title = "EPT map",
	.help = "ranges of EPT12, EPT02, EPT01 with rights and memory types; m changes the table",
	.fill = fill, .act = act};

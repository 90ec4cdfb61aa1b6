/* The last transitions as lanes: who left, who handled, who runs on. */
#include "tui/view.h"

#include "introspect/exits.h"
#include "introspect/symbols.h"

#define KEPT 1500   /* rows of the ring to scroll through */
#define RECENT 200  /* rows made while the panel follows the newest */

static void lanes(struct lines *l, const struct exit_record *r)
{
	static const char *const name[] = {"L0", "L1", "L2"};
	unsigned from = r->from > 2 ? 2 : r->from, to = r->to > 2 ? 2 : r->to;
	unsigned low = from < to ? from : to, high = from < to ? to : from;
	const char *line = l->ascii ? "----" : "────", *right = l->ascii ? "--->" : "───▶",
		   *left = l->ascii ? "<---" : "◀───";
	for (unsigned lane = 0; lane < 3; lane++) {
		if (lane == from || lane == to)
			lines_attr(l, (uint32_t[]){COLOUR_L0, COLOUR_L1, COLOUR_L2}[lane],
				lane == to ? ATTR_BOLD : 0, "%s", name[lane]);
		else
			lines_add(l, COLOUR_DIM, "%s", lane > low && lane < high ? (l->ascii ? "--" : "──") : "  ");
		if (lane < 2) {
			bool on = lane >= low && lane < high;
			const char *edge = !on ? "    "
				: to > from && lane + 1 == to ? right
				: to < from && lane == to     ? left
							      : line;
			lines_add(l, COLOUR_BORDER, "%s", edge);
		}
	}
}

static void opened(struct view *v, struct lines *l, const struct exit_record *r)
{
	static const char *const name[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
		"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"};
	uint64_t gpr[16];
	struct buf b = {0};
	exit_qualification_decode(r, &b);
	lines_row(l, r->seq);
	lines_add(l, COLOUR_DIM, "      qualification 0x%llx %s", (unsigned long long)r->qualification,
		b.data ? b.data : "");
	if (r->gpa != UINT64_MAX)
		lines_add(l, COLOUR_DIM, "  gpa 0x%llx", (unsigned long long)r->gpa);
	if (r->cost)
		lines_add(l, COLOUR_DIM, "  cost %llu l1 instructions", (unsigned long long)r->cost);
	if (r->cause != UINT64_MAX)
		lines_add(l, COLOUR_DIM, "  caused by #%llu", (unsigned long long)r->cause);
	buf_done(&b);
	if (!intro_exit_gprs(v->s, r->seq, gpr))
		return;
	for (unsigned i = 0; i < 16; i++) {
		if (i % 4 == 0) {
			lines_row(l, r->seq);
			lines_add(l, COLOUR_DIM, "     ");
		}
		lines_add(l, COLOUR_DIM, " %3s ", name[i]);
		lines_add(l, COLOUR_NUMBER, "%016llx", (unsigned long long)gpr[i]);
	}
}

static void row(struct view *v, struct lines *l, const struct exit_record *r)
{
	struct buf b = {0};
	lines_row(l, r->seq);
	lines_add(l, COLOUR_DIM, "%8llu ", (unsigned long long)r->seq);
	lanes(l, r);
	lines_add(l, r->kind == EXIT_ENTRY_FAIL ? COLOUR_BAD : COLOUR_DEFAULT, "  %-8s",
		exit_kind_name(r->kind));
	if (r->kind != EXIT_ENTRY) {
		lines_add(l, COLOUR_DEFAULT, " %s", exit_reason_name(r->reason));
		exit_detail_print(r, &b);
		if (b.len)
			lines_add(l, COLOUR_ADDRESS, " %s", b.data);
	}
	buf_clear(&b);
	bool named = intro_symbol_print_cr3(v->s, r->from, r->cr3, r->rip, &b);
	lines_add(l, named ? COLOUR_SYMBOL : COLOUR_ADDRESS, "  %s", b.data);
	if (r->by_tool)
		lines_add(l, COLOUR_WARN, "  by a tool");
	buf_done(&b);
}

static void fill(struct view *v, struct lines *l, int width)
{
	uint64_t first, end;
	(void)width;
	intro_exits_range(v->s, &first, &end);
	bool recent = v->list.follow && !v->filter[0] && !v->search[0];
	uint64_t kept = recent ? RECENT : KEPT;
	if (end - first > kept)
		first = end - kept;
	if (first == end)
		lines_head(l, "no transitions yet");
	for (uint64_t seq = first; seq < end; seq++) {
		struct exit_record r;
		if (!intro_exit(v->s, seq, &r))
			continue;
		row(v, l, &r);
		if (v->open_ref == seq)
			opened(v, l, &r);
	}
}

static void open_view(struct view *v)
{
	v->list.follow = true;
}

static bool act(struct view *v, enum action a)
{
	uint64_t first, end;
	intro_exits_range(v->s, &first, &end);
	if (a == ACT_HOME) /* the first of all rows, not of those made while following */
		v->list.ref = end - first > KEPT ? end - KEPT : first;
	else if (a == ACT_OPEN)
		v->open_ref = v->open_ref == v->list.ref ? UINT64_MAX : v->list.ref;
	else if (a == ACT_BACK && v->open_ref != UINT64_MAX)
		v->open_ref = UINT64_MAX;
	else
		return false;
	v->list.follow = false;
	return true;
}

const struct view_ops view_timeline = {.name = "timeline", .title = "Timeline",
	.help = "the last transitions as lanes per level; Enter shows one with its registers",
	.open = open_view, .fill = fill, .act = act};

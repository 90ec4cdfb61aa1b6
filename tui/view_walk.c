/* The page walk of an address through every level, with the blame. */
#include "tui/view.h"

#include "introspect/regs.h"
#include "introspect/walk.h"

#include <stdio.h>
#include <string.h>

enum { READ, WRITE, FETCH, ACCESSES };
static const char *const access_name[ACCESSES] = {"read", "write", "execute"};

static void stage(struct lines *l, int indent, const char *name, const struct walk_stage *st)
{
	struct buf b = {0};
	for (unsigned i = 0; st->done && i < st->result.steps; i++) {
		const struct walk_step *step = &st->result.step[i];
		bool bad = step->blame != BLAME_NONE;
		buf_clear(&b);
		intro_entry_decode(st->root.format, step, &b);
		lines_row(l, step->at);
		lines_add(l, COLOUR_BORDER, "%*s%s ", indent, "", l->ascii ? "`-" : "└─");
		lines_add(l, bad ? COLOUR_BAD : COLOUR_DEFAULT, "%-5s %-5s", name,
			walk_level_name(st->root.format, step->level));
		lines_add(l, COLOUR_ADDRESS, " at %010llx ", (unsigned long long)step->at);
		lines_add(l, COLOUR_NUMBER, "%016llx ", (unsigned long long)step->value);
		lines_add(l, COLOUR_DEFAULT, "%s", b.data ? b.data : "");
		if (bad)
			lines_attr(l, COLOUR_BAD, ATTR_BOLD, "  %s %s", l->ascii ? "<--" : "◀──",
				walk_blame_name(step->blame));
	}
	buf_done(&b);
}

static void nested(struct lines *l, int indent, const struct walk_nested *n)
{
	stage(l, indent, "ept12", &n->ept12);
	stage(l, indent, "ept01", &n->ept01);
}

static void guest(struct view *v, struct lines *l, const struct intro_walk *w)
{
	struct walk_stage one = w->guest;
	if (!w->guest.done)
		return;
	for (unsigned i = 0; i < w->guest.result.steps; i++) {
		if (v->mode / ACCESSES % 2)
			nested(l, 4, &w->table[i]);
		one.result.steps = 1;
		one.result.step[0] = w->guest.result.step[i];
		stage(l, 0, "guest", &one);
	}
}

static void answer(struct lines *l, const struct intro_walk *w)
{
	struct buf b = {0};
	bool ok = w->outcome == WALK_ACCESS_OK;
	lines_row(l, 1);
	if (ok) {
		intro_rights_print(w->rights, &b);
		lines_attr(l, COLOUR_GOOD, ATTR_BOLD, "host-physical %llx",
			(unsigned long long)w->host.v);
		lines_add(l, COLOUR_DEFAULT, ", %s, %s, %llu KiB page", b.data ? b.data : "",
			intro_memtype_name(w->memtype), 1ull << w->page_shift >> 10);
	} else if (w->outcome == WALK_PAGE_FAULT) {
		intro_pf_error_decode(w->error, &b);
		lines_attr(l, COLOUR_BAD, ATTR_BOLD, "page fault, error code 0x%llx %s",
			(unsigned long long)w->error, b.data ? b.data : "");
	} else if (w->outcome == WALK_EPT_VIOLATION_L1 || w->outcome == WALK_EPT_VIOLATION_L0) {
		intro_ept_qualification_decode(w->error, &b);
		lines_attr(l, COLOUR_BAD, ATTR_BOLD,
			"EPT violation, exit to %s, qualification 0x%llx %s, gpa %llx",
			w->outcome == WALK_EPT_VIOLATION_L1 ? "l1" : "l0",
			(unsigned long long)w->error, b.data ? b.data : "",
			(unsigned long long)w->guest_physical);
	} else {
		lines_attr(l, COLOUR_BAD, ATTR_BOLD, "%s",
			w->outcome == WALK_GP ? "#GP: the address is not canonical"
			: w->outcome == WALK_EPT_MISCONFIG_L1 ? "EPT misconfiguration, exit to l1"
							      : "tables not readable");
	}
	if (w->tlb_stale) {
		lines_row(l, 2);
		lines_attr(l, COLOUR_WARN, ATTR_BOLD, "the TLB holds %llx: %s is missing",
			(unsigned long long)w->tlb_page.v, w->tlb_missing ? w->tlb_missing : "a flush");
	}
	buf_done(&b);
}

static void fill(struct view *v, struct lines *l, int width)
{
	struct intro_address a = v->address;
	struct intro_walk w;
	struct err e = {0};
	struct buf b = {0};
	(void)width;
	if (!v->has_address) {
		a = (struct intro_address){.at = tui_place(v->t), .space = SPACE_VIRTUAL};
		if (!intro_pc(v->s, a.at, &a.value)) {
			lines_head(l, "no instruction pointer here; a asks for an address");
			return;
		}
	}
	unsigned kind = v->mode % ACCESSES;
	struct walk_access access = {.write = kind == WRITE, .fetch = kind == FETCH, .linear = true};
	uint64_t cpl;
	access.user = intro_reg_u64(v->s, a.at, R_CPL, &cpl) && cpl == 3;
	intro_address_print(v->s, &a, &b);
	char head[120];
	snprintf(head, sizeof(head), "%s of %s, %s mode", access_name[kind], b.data ? b.data : "",
		access.user ? "user" : "supervisor");
	buf_done(&b);
	lines_head(l, head);
	if (!intro_walk(v->s, a.at, a.space, a.value, &access, &w, &e)) {
		lines_row(l, 0);
		lines_add(l, COLOUR_WARN, "%s", e.msg);
		return;
	}
	guest(v, l, &w);
	nested(l, w.guest.done ? 4 : 0, &w.final);
	stage(l, 4, "ept02", &w.ept02);
	if (w.ept02_differs) {
		lines_row(l, 3);
		lines_add(l, COLOUR_WARN, "EPT02 differs from EPT12 over EPT01");
	}
	answer(l, &w);
}

static bool act(struct view *v, enum action a)
{
	switch (a) {
	case ACT_MODE: /* read, write, execute; then with the tables' own walks */
		v->mode = (v->mode + 1) % (2 * ACCESSES);
		return true;
	case ACT_OPEN: /* the memory of the entry */
		if (v->list.ref > 4095) {
			struct view *m = tui_show(v->t, "memory");
			if (m) {
				m->has_address = true;
				m->address = (struct intro_address){.at = tui_place(v->t),
					.space = SPACE_PHYSICAL, .value = v->list.ref};
			}
		}
		return true;
	default:
		return view_act_address(v, a, "walk address (l1: l2: l1p: l2p:)");
	}
}

const struct view_ops view_walk = {.name = "walk", .title = "Walk",
	.help = "the page walk of an address through all levels; a asks, m changes the access",
	.fill = fill, .act = act, .enter = view_enter_address};

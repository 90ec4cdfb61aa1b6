/* The stack: L0, L1 and each L2, what every vCPU does, exits as sparklines. */
#include "tui/view.h"

#include "introspect/exits.h"
#include "introspect/symbols.h"
#include "introspect/regs.h"

#define REF(at) ((uint64_t)(at).level << 16 | (at).vcpu)

static uint32_t colour(unsigned level)
{
	return level == LEVEL_L1 ? COLOUR_L1 : COLOUR_L2;
}

static void vcpu_row(struct view *v, struct lines *l, const struct intro_level *level, unsigned n)
{
	struct place at = {level->id, n}, focus = tui_place(v->t);
	struct intro_vcpu cpu;
	struct buf sym = {0};
	uint64_t pc;
	enum intro_state state = intro_place_state(v->s, at);
	if (!intro_vcpu(v->s, n, &cpu) || (state == PLACE_NONE && level->id != LEVEL_L1))
		return;
	lines_row(l, REF(at));
	bool here = focus.level == at.level && focus.vcpu == at.vcpu;
	lines_add(l, COLOUR_FOCUS, "%s ", here ? ">" : " ");
	lines_add(l, colour(level->id), " vCPU %u", n);
	lines_pad(l, 11);
	if (state == PLACE_RUNNING)
		lines_add(l, COLOUR_GOOD, "%-8s", cpu.activity);
	else
		lines_add(l, COLOUR_DIM, "%-8s", state == PLACE_SAVED ? "saved" : "-");
	lines_add(l, COLOUR_DEFAULT, " %-7s", state == PLACE_RUNNING ? cpu.mode : "");
	if (intro_pc(v->s, at, &pc)) {
		intro_symbol_print(v->s, at, pc, &sym);
		lines_add(l, COLOUR_ADDRESS, " %016llx ", (unsigned long long)pc);
		lines_add(l, COLOUR_SYMBOL, "%s", sym.data ? sym.data : "");
	} else {
		lines_add(l, COLOUR_DIM, " registers unavailable");
	}
	buf_done(&sym);
}

static void level_row(struct view *v, struct lines *l, const struct intro_level *level, int width)
{
	uint64_t rate[EXIT_RATE_BUCKETS], bucket;
	struct intro_vcpu cpu;
	lines_row(l, (uint64_t)level->id << 16 | 0xffff);
	lines_attr(l, colour(level->id), ATTR_BOLD, "%-6s", level->name);
	if (level->id == LEVEL_L1) {
		bool root = intro_vcpu(v->s, 0, &cpu) && cpu.vmx != INTRO_VMX_OFF;
		lines_add(l, COLOUR_DEFAULT, " %s", root ? "VMX on" : "VMX off");
	} else {
		lines_add(l, COLOUR_DEFAULT, " VMCS12 %llx", (unsigned long long)level->vmcs12);
		if (level->eptp)
			lines_add(l, COLOUR_DEFAULT, " EPTP %llx", (unsigned long long)level->eptp);
		if (!level->alive)
			lines_add(l, COLOUR_WARN, " ended");
	}
	lines_add(l, COLOUR_DEFAULT, "  %llu exits ", (unsigned long long)level->exits);
	intro_exit_rates(v->s, level->id, rate, &bucket);
	lines_spark(l, colour(level->id), rate, EXIT_RATE_BUCKETS, width > 80 ? 32 : 16);
}

static void fill(struct view *v, struct lines *l, int width)
{
	struct intro_level level[INTRO_MAX_LEVELS];
	unsigned n = intro_levels(v->s, level, INTRO_MAX_LEVELS);
	struct exit_totals all;
	intro_exit_totals(v->s, &all);
	lines_row(l, 0);
	lines_attr(l, COLOUR_L0, ATTR_BOLD, "l0    ");
	lines_add(l, COLOUR_DEFAULT, " %s, %llu exits handled, %llu reflected to l1",
		intro_backend_name(v->s), (unsigned long long)all.to_l0,
		(unsigned long long)all.to_l1);
	for (unsigned i = 0; i < n; i++) {
		level_row(v, l, &level[i], width);
		for (unsigned c = 0; c < intro_vcpus(v->s); c++)
			vcpu_row(v, l, &level[i], c);
	}
}

static bool act(struct view *v, enum action a)
{
	uint64_t ref = v->list.ref;
	if (a != ACT_OPEN || ref == UINT64_MAX || !(ref >> 16))
		return false;
	struct place at = {(unsigned)(ref >> 16), (unsigned)(ref & 0xffff)};
	if (at.vcpu == 0xffff)
		at.vcpu = 0;
	tui_set_place(v->t, at);
	return true;
}

const struct view_ops view_stack = {.name = "stack", .title = "Stack",
	.help = "L0, L1 and every L2 with their vCPUs; Enter looks at that level", .fill = fill,
	.act = act};

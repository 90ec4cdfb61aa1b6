/* Steps and untils: what a run request still has to reach.
 *
 * A step executes one instruction of its vCPU and looks where it led. When an
 * interrupt or fault was delivered in between, a mark is set on the way back
 * and the machine runs freely until it is reached (a detour), so that a step
 * does not land in a handler. Stepping within a level runs another level
 * freely until the level is back.
 */
#include "introspect/private.h"
#include "introspect/expr.h"

#include <stdio.h>
#include <string.h>

static struct place now(struct intro *s, unsigned vcpu)
{
	struct intro_vcpu v;
	struct place at = {LEVEL_L1, vcpu};
	if (intro_vcpu(s, vcpu, &v))
		at.level = v.level;
	return at;
}

static void run_to(struct intro *s, uint64_t address, uint64_t sp, bool detour)
{
	struct run_plan *p = &s->plan;
	p->address = address;
	p->sp = sp;
	p->going = true;
	p->detour = detour;
	if (!intro_stop_find_break(s, 0, address))
		s->ops->mark(s->ctx, address, true);
}

/* The mark goes unless a breakpoint shares it. */
static void arrive(struct intro *s)
{
	struct run_plan *p = &s->plan;
	if (!p->going)
		return;
	p->going = false;
	if (!intro_stop_find_break(s, 0, p->address))
		s->ops->mark(s->ctx, p->address, false);
}

void plan_clear(struct intro *s)
{
	arrive(s);
	expr_free(s->plan.expr);
	memset(&s->plan, 0, sizeof s->plan);
	intro_update_wants(s);
}

/* Remembers where a step starts; the instruction tells a detour from a jump. */
static void start_step(struct intro *s)
{
	struct run_plan *p = &s->plan;
	uint64_t pc = 0;
	p->start_sp = 0;
	memset(&p->insn, 0, sizeof p->insn);
	if (!intro_pc(s, p->at, &pc))
		return;
	intro_reg_u64(s, p->at, R_RSP, &p->start_sp);
	if (!intro_disas(s, p->at, pc, 0, &p->insn, 1, NULL))
		p->insn.address = pc;
}

int plan_step_vcpu(const struct intro *s)
{
	const struct run_plan *p = &s->plan;
	if (p->kind == PLAN_STEP && !p->going && !p->away)
		return (int)p->at.vcpu;
	if (p->kind == PLAN_EXPR && expr_needs_machine(p->expr))
		return (int)p->at.vcpu;
	return -1;
}

bool plan_transition(struct intro *s, const struct exit_record *r)
{
	struct run_plan *p = &s->plan;
	if (p->kind == PLAN_EXPR && !s->have_stop) {
		struct expr_env env = {s, p->at, r, NULL, 0};
		uint64_t faults = 0;
		if (expr_true(p->expr, &env, &faults))
			intro_request_stop(s, WHY_UNTIL, expr_text(p->expr));
		return false;
	}
	if (p->kind != PLAN_STEP || r->vcpu != p->at.vcpu)
		return false;
	/* the step looks again wherever a level changes */
	return !p->going && (r->kind == EXIT_REFLECT || r->kind == EXIT_ENTRY);
}

bool plan_mark(struct intro *s, struct place at, uint64_t pc)
{
	struct run_plan *p = &s->plan;
	uint64_t sp = 0;
	if (!p->going || pc != p->address || at.level != p->at.level || at.vcpu != p->at.vcpu)
		return false;
	intro_reg_u64(s, at, R_RSP, &sp);
	return sp >= p->sp;
}

/* Where an undisturbed execution of the instruction may lead; true when pc is
 * not among these: something was delivered in between. */
static bool led_astray(const struct run_plan *p, uint64_t pc)
{
	const struct insn_text *i = &p->insn;
	if (!i->length || i->is_return || !strncmp(i->text, "int", 3) ||
		!strncmp(i->text, "sys", 3) || !strncmp(i->text, "vm", 2) ||
		!strncmp(i->text, "iret", 4))
		return false;
	if ((i->is_call || i->is_branch) && i->target == UINT64_MAX)
		return false;
	if (i->is_call || i->is_branch)
		return pc != i->target && pc != i->address + i->length;
	return pc != i->address && pc != i->address + i->length;
}

static bool same_line(struct intro *s)
{
	struct run_plan *p = &s->plan;
	struct source_line l;
	uint64_t pc;
	return p->line && intro_pc(s, p->at, &pc) && intro_line_at(s, p->at, pc, &l) &&
		l.line == p->line && !strcmp(l.file, p->file);
}

static bool next_step(struct intro *s)
{
	struct run_plan *p = &s->plan;
	if (p->step == STEP_LINE && same_line(s)) {
		start_step(s);
		return false;
	}
	if (--p->left) {
		start_step(s);
		return false;
	}
	return true;
}

static bool step_advance(struct intro *s)
{
	struct run_plan *p = &s->plan;
	struct place at = now(s, p->at.vcpu);
	uint64_t pc = 0;
	if (p->step == STEP_THROUGH && at.level != p->at.level) {
		p->at = at; /* the boundary itself is a step */
		return next_step(s);
	}
	p->away = at.level != p->at.level;
	if (p->away || !intro_pc(s, at, &pc))
		return false;
	if (p->step == STEP_FINISH)
		return false;
	if (pc == p->insn.address && p->insn.length && p->step != STEP_THROUGH &&
		!strncmp(p->insn.text, "rep", 3))
		return false; /* one iteration of rep */
	if (!s->into_handlers && led_astray(p, pc)) {
		run_to(s, p->insn.address, p->start_sp, true);
		return false;
	}
	if ((p->step == STEP_NEXT || p->step == STEP_LINE) && p->insn.is_call &&
		pc != p->insn.address + p->insn.length) {
		run_to(s, p->insn.address + p->insn.length, p->start_sp, false);
		return false;
	}
	return next_step(s);
}

bool plan_advance(struct intro *s, const struct backend_ran *ran)
{
	struct run_plan *p = &s->plan;
	if (p->kind == PLAN_EXPR && expr_needs_machine(p->expr)) {
		struct place at = now(s, p->at.vcpu);
		struct expr_env env = {s, at, NULL, NULL, 0};
		uint64_t faults = 0;
		if (at.level == p->at.level && expr_true(p->expr, &env, &faults))
			intro_request_stop(s, WHY_UNTIL, expr_text(p->expr));
		return false;
	}
	if (ran->leave == BACKEND_MARK && p->going) {
		bool detour = p->detour;
		arrive(s);
		if (p->kind == PLAN_ADDRESS || p->step == STEP_FINISH)
			return true;
		if (detour) {
			start_step(s);
			return false;
		}
		return next_step(s);
	}
	if (p->kind != PLAN_STEP || p->going)
		return false;
	return step_advance(s);
}

/* --- requests ----------------------------------------------------------------------- */

static bool can_run(struct intro *s, struct err *e)
{
	if (!s->ops->run)
		return intro_cannot(s, "run", e);
	if (s->running)
		return err_set(e, ERR_GENERAL, "it runs already; pause stops it");
	if (s->last.over)
		return err_set(e, ERR_GENERAL, "the guest has ended (%s); load a snapshot or reset",
			s->last.text);
	return true;
}

bool intro_continue(struct intro *s, struct err *e)
{
	if (!can_run(s, e))
		return false;
	plan_clear(s);
	run_begin(s);
	return true;
}

static bool plan_finish(struct intro *s, struct place at, struct err *e)
{
	struct frame f[2];
	uint64_t sp = 0;
	if (intro_backtrace(s, at, f, 2) < 2 || !intro_reg_u64(s, at, R_RSP, &sp))
		return err_set(e, ERR_GENERAL, "no caller was found on this stack; use until ADDRESS");
	run_to(s, f[1].pc, sp + 1, false);
	return true;
}

bool intro_step(struct intro *s, struct place at, enum step_kind kind, uint64_t count, struct err *e)
{
	struct source_line l;
	uint64_t pc;
	if (!can_run(s, e) || !intro_check(s, at, e))
		return false;
	if (intro_place_state(s, at) != PLACE_RUNNING && kind == STEP_FINISH)
		return err_set(e, ERR_GENERAL, "this level does not run on vCPU %u now; finish works where it "
			"has stopped itself (break, step within)", at.vcpu);
	plan_clear(s);
	s->plan = (struct run_plan){.kind = PLAN_STEP, .step = kind, .at = at,
		.left = count ? count : 1};
	if (kind == STEP_FINISH && !plan_finish(s, at, e)) {
		plan_clear(s);
		return false;
	}
	if (kind == STEP_LINE && intro_pc(s, at, &pc) && intro_line_at(s, at, pc, &l)) {
		snprintf(s->plan.file, sizeof s->plan.file, "%s", l.file);
		s->plan.line = l.line;
	}
	if (intro_place_state(s, at) != PLACE_RUNNING) {
		/* a level that is not running: its step starts where the vCPU is */
		if (kind == STEP_THROUGH)
			s->plan.at = now(s, at.vcpu);
		else
			s->plan.away = true;
	}
	start_step(s);
	run_begin(s);
	return true;
}

bool intro_until_address(struct intro *s, struct place at, uint64_t address, struct err *e)
{
	if (!can_run(s, e) || !intro_check(s, at, e))
		return false;
	if (!s->ops->mark)
		return intro_cannot(s, "stop at addresses", e);
	plan_clear(s);
	s->plan = (struct run_plan){.kind = PLAN_ADDRESS, .at = at};
	run_to(s, address, 0, false);
	run_begin(s);
	return true;
}

bool intro_until_expr(struct intro *s, struct place at, struct expr *expr, struct err *e)
{
	if (!can_run(s, e)) {
		expr_free(expr);
		return false;
	}
	plan_clear(s);
	s->plan = (struct run_plan){.kind = PLAN_EXPR, .at = at, .expr = expr};
	run_begin(s);
	return true;
}

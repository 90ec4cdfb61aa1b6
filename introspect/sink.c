/* What the backend reports while it runs: transitions and writes become
 * events for subscribers and are held against the catches. */
#include "introspect/private.h"
#include "introspect/expr.h"
#include "vmx/codes.h"

#include <stdio.h>
#include <string.h>

/* Which events and stops need which part of the sink. */
static const struct {
	unsigned want;
	uint64_t events;
	unsigned stops;
} needs[] = {
	{WANT_TRANSITIONS,
		BIT(EVENT_ENTRY) | BIT(EVENT_ENTRY_FAIL) | BIT(EVENT_EXIT) | BIT(EVENT_REFLECT) |
			BIT(EVENT_EPT_FAULT) | BIT(EVENT_PORT) | BIT(EVENT_CR_WRITE) |
			BIT(EVENT_MSR_WRITE) | BIT(EVENT_SPACE) | BIT(EVENT_INJECT),
		1u << STOP_EXIT | 1u << STOP_ENTRY | 1u << STOP_ENTRY_FAIL | 1u << STOP_TRIPLE_FAULT},
	{WANT_BEFORE, BIT(EVENT_EXIT_BEFORE), 0},
	{WANT_VMWRITE, BIT(EVENT_VMWRITE), 1u << STOP_VMWRITE},
	{WANT_VMX_INSN, BIT(EVENT_VMX_INSN), 1u << STOP_VMX_INSN},
	{WANT_EPT_CHANGE, BIT(EVENT_EPT_CHANGE), 1u << STOP_EPT_CHANGE},
	{WANT_TABLE_CHANGE, BIT(EVENT_TABLE_CHANGE), 1u << STOP_TABLE_CHANGE},
	{WANT_MODE, BIT(EVENT_MODE), 1u << STOP_MODE},
	{WANT_ACCESS, BIT(EVENT_CR_WRITE) | BIT(EVENT_MSR_WRITE) | BIT(EVENT_SPACE) | BIT(EVENT_PORT), 0},
	{WANT_CONSOLE, BIT(EVENT_CONSOLE), 0},
};

/* Reasons of the records that make an event or a stop; those that are not here
 * take every reason. */
static void add_reason(struct record_wants *w, unsigned reason)
{
	w->reasons[reason / 64] |= BIT(reason % 64);
}

static void add_failures(struct record_wants *w)
{
	add_reason(w, EXIT_REASON_VMLAUNCH);
	add_reason(w, EXIT_REASON_VMRESUME);
	add_reason(w, EXIT_REASON_INVALID_STATE);
	add_reason(w, EXIT_REASON_MSR_LOAD_FAIL);
}

static void add_event(struct record_wants *w, enum event_kind kind, const uint64_t filter[2])
{
	switch (kind) {
	case EVENT_ENTRY: case EVENT_INJECT:
		w->entries = true;
		break;
	case EVENT_ENTRY_FAIL:
		add_failures(w);
		break;
	case EVENT_EPT_FAULT:
		add_reason(w, EXIT_REASON_EPT_VIOLATION);
		add_reason(w, EXIT_REASON_EPT_MISCONFIG);
		break;
	case EVENT_PORT:
		add_reason(w, EXIT_REASON_IO_INSTRUCTION);
		break;
	case EVENT_CR_WRITE: case EVENT_SPACE:
		add_reason(w, EXIT_REASON_CR_ACCESS);
		break;
	case EVENT_MSR_WRITE:
		add_reason(w, EXIT_REASON_MSR_WRITE);
		break;
	default: /* exits of all kinds, by the filter */
		w->reasons[0] |= filter[0] | filter[1] ? filter[0] : UINT64_MAX;
		w->reasons[1] |= filter[0] | filter[1] ? filter[1] : UINT64_MAX;
	}
}

static void add_stop(struct record_wants *w, const struct stop *st)
{
	static const uint64_t every[2];
	if (st->kind == STOP_EXIT && st->reason < 128)
		add_reason(w, st->reason);
	else if (st->kind == STOP_EXIT)
		add_event(w, EVENT_EXIT, every);
	else if (st->kind == STOP_ENTRY)
		w->entries = true;
	else if (st->kind == STOP_ENTRY_FAIL)
		add_failures(w);
	else if (st->kind == STOP_TRIPLE_FAULT)
		add_reason(w, EXIT_REASON_TRIPLE_FAULT);
}

/* One event in a million costs nothing for the rest: the backend does not even
 * make a record of what nobody asked for. */
static void update_records(struct intro *s)
{
	struct record_wants w = {0};
	bool all = s->plan.kind == PLAN_STEP || s->plan.kind == PLAN_EXPR || s->until;
	for (unsigned i = 0; i < s->subs; i++)
		for (int k = 0; k < EVENT_KINDS && s->sub[i].id; k++)
			if ((s->sub[i].filter.kinds & needs[0].events) >> k & 1)
				add_event(&w, k, s->sub[i].filter.reasons);
	for (unsigned i = 0; i < s->stops && s->stop_kinds & needs[0].stops; i++)
		if (s->stop[i]->enabled)
			add_stop(&w, s->stop[i]);
	if (all)
		w = (struct record_wants){{UINT64_MAX, UINT64_MAX}, true};
	s->ops->want_records(s->ctx, &w);
}

void intro_update_wants(struct intro *s)
{
	if (s->ops->want_records)
		update_records(s);
	unsigned wants = 0;
	for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
		if ((s->listened & needs[i].events) || (s->stop_kinds & needs[i].stops))
			wants |= needs[i].want;
	if (s->plan.kind == PLAN_STEP || s->plan.kind == PLAN_EXPR || s->until)
		wants |= WANT_TRANSITIONS;
	if (s->followed)
		wants |= WANT_EPT_CHANGE & s->ops->supports;
	if (s->ops->want)
		s->ops->want(s->ctx, wants);
}

const char *stop_unsupported(const struct intro *s, enum stop_kind kind)
{
	for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
		if ((needs[i].stops >> kind & 1) && !(s->ops->supports & needs[i].want))
			return stop_kind_name(kind);
	return NULL;
}

bool intro_event_available(const struct intro *s, enum event_kind kind)
{
	if (kind == EVENT_MEMORY)
		return s->ops->watch_add;
	for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
		if ((needs[i].events >> kind & 1) && !(s->ops->supports & needs[i].want))
			return false;
	return true;
}

static bool is_entry(const struct exit_record *r)
{
	return r->kind == EXIT_ENTRY || r->kind == EXIT_ENTRY_FAIL;
}

/* The level that a record is about, with its vCPU: an entry's is the level that
 * runs next, which after a failed entry is the one that tried. */
static struct place place_of(const struct exit_record *r)
{
	unsigned level = r->kind == EXIT_ENTRY ? r->to : r->from;
	return (struct place){level ? level : LEVEL_L1, r->vcpu};
}

static bool wants_exit(const struct stop *st, const struct exit_record *r)
{
	uint32_t reason = r->reason & 0xffff;
	if (st->detail != UINT64_MAX && st->detail != r->detail)
		return false;
	return st->reason == UINT32_MAX || st->reason == reason;
}

static bool stop_wants(const struct stop *st, const struct exit_record *r)
{
	switch (st->kind) {
	case STOP_EXIT:
		return !is_entry(r) && wants_exit(st, r);
	case STOP_ENTRY:
		return r->kind == EXIT_ENTRY;
	case STOP_ENTRY_FAIL:
		return r->kind == EXIT_ENTRY_FAIL && wants_exit(st, r);
	case STOP_TRIPLE_FAULT:
		return !is_entry(r) && (r->reason & 0xffff) == 2;
	default:
		return false;
	}
}

static void emit(struct intro *s, enum event_kind kind, const struct exit_record *r)
{
	if (intro_listening(s, kind))
		intro_emit(s, &(struct event){.kind = kind, .at = place_of(r), .position = r->at,
			.exit = r, .address = r->detail, .value = r->qualification});
}

/* A register write that exited: the value is in the registers of the moment. */
static void emit_write(struct intro *s, const struct exit_record *r, bool msr)
{
	struct event ev = {.kind = msr ? EVENT_MSR_WRITE : EVENT_CR_WRITE, .at = place_of(r),
		.position = r->at, .exit = r, .address = r->detail, .write = true};
	uint64_t gpr[16];
	if (!intro_exit_gprs(s, r->seq, gpr))
		return;
	ev.value = msr ? gpr[2] << 32 | (uint32_t)gpr[0] : gpr[r->qualification >> 8 & 15];
	intro_emit(s, &ev);
	if (!msr && (r->qualification & 15) == 3) {
		ev.kind = EVENT_SPACE;
		intro_emit(s, &ev);
	}
}

/* An entry that injects: VMCS12 still holds the event. */
static void emit_injection(struct intro *s, const struct exit_record *r)
{
	const struct intro_field *f = intro_field_find("VM_ENTRY_INTR_INFO_FIELD");
	struct intro_vmcs_value v;
	if (!intro_listening(s, EVENT_INJECT) ||
		!intro_vmcs_get(s, place_of(r), INTRO_VMCS12, f->encoding, &v, NULL) || !(v.value & BIT(31)))
		return;
	intro_emit(s, &(struct event){.kind = EVENT_INJECT, .at = place_of(r), .position = r->at,
		.exit = r, .address = v.value & 0xff, .value = v.value});
}

static void emit_transition(struct intro *s, const struct exit_record *r)
{
	static const enum event_kind kinds[] = {
		EVENT_EXIT, EVENT_EXIT, EVENT_ENTRY, EVENT_ENTRY_FAIL};
	const char *name = exit_reason_name(r->reason);
	emit(s, kinds[r->kind], r);
	if (is_entry(r)) {
		emit_injection(s, r);
		return;
	}
	if (r->kind == EXIT_REFLECT)
		emit(s, EVENT_REFLECT, r);
	if (!strncmp(name, "EPT_", 4))
		emit(s, EVENT_EPT_FAULT, r);
	else if (!strcmp(name, "IO_INSTRUCTION"))
		emit(s, EVENT_PORT, r);
	else if (!strcmp(name, "MSR_WRITE"))
		emit_write(s, r, true);
	else if (!strcmp(name, "CR_ACCESS") && !(r->qualification >> 4 & 3))
		emit_write(s, r, false);
}

static bool on_transition(void *ctx, const struct exit_record *r)
{
	struct intro *s = ctx;
	if (s->listened)
		emit_transition(s, r);
	for (unsigned i = 0; i < s->stop_index.other.n; i++) {
		struct stop *st = s->stop_index.other.stop[i];
		if (stop_wants(st, r) && stop_hits(s, st, place_of(r), r, NULL))
			stop_fired(s, st, place_of(r), r->seq);
	}
	if (s->until && !s->have_stop) {
		struct expr_env env = {s, place_of(r), r, NULL, 0};
		uint64_t faults = 0;
		if (expr_true(s->until, &env, &faults))
			intro_request_stop(s, WHY_UNTIL, expr_text(s->until));
	}
	return plan_transition(s, r) || intro_ends(s);
}

static bool on_before(void *ctx, const struct exit_record *r, struct exit_verdict *v)
{
	struct intro *s = ctx;
	if (intro_listening(s, EVENT_EXIT_BEFORE))
		intro_emit(s, &(struct event){.kind = EVENT_EXIT_BEFORE, .at = place_of(r),
			.position = r->at, .exit = r, .address = r->detail, .verdict = v});
	return intro_ends(s);
}

static bool on_vmwrite(void *ctx, const struct intro_vmcs_write *w)
{
	struct intro *s = ctx;
	struct event ev = {.kind = EVENT_VMWRITE, .at = {LEVEL_L1, w->vcpu}, .position = w->at,
		.vmwrite = w, .address = w->encoding, .value = w->value, .old_value = w->old_value};
	intro_emit(s, &ev);
	for (unsigned i = 0; i < s->stop_index.other.n; i++) {
		struct stop *st = s->stop_index.other.stop[i];
		if (st->kind == STOP_VMWRITE && (!st->field || st->field == w->encoding) &&
			stop_hits(s, st, ev.at, NULL, &ev))
			stop_fired(s, st, ev.at, UINT64_MAX);
	}
	return intro_ends(s);
}

static bool event_matches(const struct stop *st, const struct event *ev)
{
	switch (st->kind) {
	case STOP_VMX_INSN:
		return ev->kind == EVENT_VMX_INSN &&
			(st->reason == UINT32_MAX || st->reason == ev->value);
	case STOP_EPT_CHANGE: case STOP_TABLE_CHANGE:
		return ev->kind == (st->kind == STOP_EPT_CHANGE ? EVENT_EPT_CHANGE : EVENT_TABLE_CHANGE) &&
			(st->address == UINT64_MAX || !((st->address ^ ev->address) >> ev->size));
	case STOP_MODE:
		return ev->kind == EVENT_MODE;
	default:
		return false;
	}
}

static bool on_event(void *ctx, const struct event *ev)
{
	struct intro *s = ctx;
	intro_emit(s, ev);
	watches_hear(s, ev);
	for (unsigned i = 0; i < s->stop_index.other.n; i++) {
		struct stop *st = s->stop_index.other.stop[i];
		if (event_matches(st, ev) && stop_hits(s, st, ev->at, ev->exit, ev))
			stop_fired(s, st, ev->at, UINT64_MAX);
	}
	return intro_ends(s);
}

void sink_attach(struct intro *s)
{
	const struct backend_sink sink = {s, on_transition, on_before, on_vmwrite, on_event};
	if (s->ops->attach)
		s->ops->attach(s->ctx, &sink);
}

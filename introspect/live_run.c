/* Running the live machine: slices of L0, and what its observer hears. */
#include "introspect/live_machine.h"

#include <string.h>

static bool heard_record(struct live *v, const struct l0_event *ev)
{
	struct exit_record r;
	uint16_t reason = ev->record->reason;
	bool wanted = reason == RING_ENTRY_OK ? v->records.entries :
		reason >= 128 || v->records.reasons[reason / 64] >> reason % 64 & 1;
	if (!(v->wants & WANT_TRANSITIONS) || !wanted)
		return false;
	live_record(v, ev->number, ev->record, &r);
	return v->sink.transition(v->sink.ctx, &r);
}

static bool heard_vmcs_write(struct live *v, const struct l0_event *ev)
{
	int f = vmcs_find((uint32_t)ev->number);
	const struct nested_vmcs12 *m = v->n ? vmcs12_find(v->n, ev->at) : NULL;
	if (f < 0 || !m)
		return false;
	const struct nested_writer *w = &m->writer[f];
	struct intro_vmcs_write *out = &v->write[v->writes++ % LIVE_WRITES];
	*out = (struct intro_vmcs_write){.at = w->at, .encoding = (uint32_t)ev->number,
		.writer = live_writer_kind(w->kind),
		.vcpu = ev->vcpu, .vmcs12 = ev->at, .rip = w->rip, .cr3 = w->cr3, .old_value = ev->old,
		.value = ev->new_};
	return (v->wants & WANT_VMWRITE) && v->sink.vmwrite(v->sink.ctx, out);
}

/* An exit that L0 has not decided about. */
static bool heard_before(struct live *v, const struct l0_event *ev)
{
	struct exit_verdict said = {0};
	struct exit_record r;
	live_record(v, ev->number, ev->record, &r);
	r.kind = EXIT_EXIT; /* nobody knows yet what becomes of it */
	r.to = LEVEL_L0;
	r.cr3 = live_cpu(v, ev->vcpu)->cr3;
	bool stop = v->sink.before(v->sink.ctx, &r, &said);
	if (ev->verdict->action != L0_VERDICT_NONE || !(said.swallow || said.rewrite))
		return stop;
	ev->verdict->action = said.swallow ? L0_VERDICT_SWALLOW : L0_VERDICT_REWRITE;
	ev->verdict->mask = said.mask;
	memcpy(ev->verdict->gpr, said.gpr, sizeof(said.gpr));
	ev->verdict->reason = said.reason;
	ev->verdict->qualification = said.qualification;
	return stop;
}

static bool pass_on(struct live *v, const struct l0_event *ev, enum event_kind kind)
{
	unsigned level = ev->level >= 2 ? live_level(v, ev->vcpu) : LEVEL_L1;
	struct event out = {.kind = kind, .at = {level, ev->vcpu}, .position = l0_position(v->l),
		.address = ev->at, .value = kind == EVENT_VMX_INSN ? ev->number : ev->new_,
		.old_value = ev->old};
	return v->sink.event(v->sink.ctx, &out);
}

/* The address is the first that the entry translates. */
static bool heard_entry_write(struct live *v, const struct l0_event *ev)
{
	bool ept = ev->kind == L0_EV_EPT_WRITE;
	const struct vcpu *c = live_cpu(v, ev->vcpu);
	const struct nested_vcpu *nv = live_nested(v, ev->vcpu);
	unsigned l2 = nv && nv->cur ? live_level_of(v, nv->cur) : LEVEL_L2;
	struct event out = {.kind = ept ? EVENT_EPT_CHANGE : EVENT_TABLE_CHANGE,
		.at = {ept || ev->level < 2 ? LEVEL_L1 : l2, ev->vcpu},
		.position = l0_position(v->l), .address = ev->number, .size = ev->shift,
		.value = ev->new_, .old_value = ev->old, .write = true, .entry = ev->at,
		.writer = {v->l->vcpu[ev->vcpu].level < 2 ? LEVEL_L1 : l2, ev->vcpu},
		.rip = c->rip, .cr3 = c->cr3};
	return v->sink.event(v->sink.ctx, &out);
}

/* Registers and ports that did not exit; those that did come as records. */
static bool heard_access(struct live *v, const struct l0_event *ev)
{
	static const enum event_kind kinds[] = {
		EVENT_CR_WRITE, EVENT_MSR_WRITE, EVENT_PORT, EVENT_PORT};
	struct event out = {.kind = kinds[ev->shift],
		.at = {ev->level >= 2 ? live_level(v, ev->vcpu) : LEVEL_L1, ev->vcpu},
		.position = l0_position(v->l), .address = ev->number, .value = ev->new_,
		.size = (unsigned)ev->old, .write = ev->shift != L0_READS_PORT, .rip = ev->at,
		.cr3 = live_cpu(v, ev->vcpu)->cr3};
	bool stop = v->sink.event(v->sink.ctx, &out);
	if (ev->shift == L0_WRITES_CR && ev->number == 3) {
		out.kind = EVENT_SPACE;
		stop |= v->sink.event(v->sink.ctx, &out);
	}
	return stop;
}

static bool heard(void *ctx, const struct l0_event *ev)
{
	struct live *v = ctx;
	switch (ev->kind) {
	case L0_EV_RECORD:
		return heard_record(v, ev);
	case L0_EV_BREAK:
		v->hit_mark = true;
		v->hit_vcpu = ev->vcpu;
		v->hit_at = ev->at;
		return true;
	case L0_EV_WATCH:
		if (!ev->watch)
			return false;
		v->hit_watch = true;
		v->hit_vcpu = ev->vcpu;
		v->watch = *ev->watch;
		return true;
	case L0_EV_VMCS_WRITE:
		return heard_vmcs_write(v, ev);
	case L0_EV_VMX_INSN:
		return pass_on(v, ev, EVENT_VMX_INSN);
	case L0_EV_EXIT_BEFORE:
		return heard_before(v, ev);
	case L0_EV_EPT_WRITE: case L0_EV_TABLE_WRITE:
		return heard_entry_write(v, ev);
	case L0_EV_ACCESS:
		return heard_access(v, ev);
	case L0_EV_MODE:
		return pass_on(v, ev, EVENT_MODE);
	default:
		return false;
	}
}

void live_attach(void *ctx, const struct backend_sink *sink)
{
	struct live *v = ctx;
	v->sink = *sink;
	v->observer = l0_observe(v->l, &(struct l0_observer){
		.kinds = 1u << L0_EV_BREAK | 1u << L0_EV_WATCH | 1u << L0_EV_VMCS_WRITE,
		.event = heard, .ctx = v});
}

void live_want(void *ctx, unsigned wants)
{
	static const struct {
		unsigned want;
		enum l0_event_kind kind;
	} map[] = {{WANT_TRANSITIONS, L0_EV_RECORD}, {WANT_VMX_INSN, L0_EV_VMX_INSN},
		{WANT_EPT_CHANGE, L0_EV_EPT_WRITE}, {WANT_TABLE_CHANGE, L0_EV_TABLE_WRITE}, {WANT_BEFORE, L0_EV_EXIT_BEFORE}, {WANT_MODE, L0_EV_MODE},
		{WANT_ACCESS, L0_EV_ACCESS}};
	struct live *v = ctx;
	/* the write ring is always kept: history is asked for afterwards */
	uint32_t kinds = 1u << L0_EV_BREAK | 1u << L0_EV_WATCH | 1u << L0_EV_VMCS_WRITE;
	v->wants = wants;
	for (size_t i = 0; i < sizeof map / sizeof *map; i++)
		if (wants & map[i].want)
			kinds |= 1u << map[i].kind;
	l0_observe_kinds(v->l, v->observer, kinds);
}

void live_want_records(void *ctx, const struct record_wants *w)
{
	((struct live *)ctx)->records = *w;
}

static void say_stop(struct live *v, const struct l0_stop *stop, struct backend_ran *out)
{
	switch (stop->why) {
	case L0_POWER_OFF:
		out->leave = BACKEND_POWEROFF;
		break;
	case L0_DEBUG_EXIT:
		out->leave = BACKEND_EXIT;
		out->status = (int)((stop->value << 1 | 1) & 0xff);
		break;
	case L0_TRIPLE:
		out->leave = BACKEND_SHUTDOWN;
		break;
	case L0_DEAD:
		out->leave = BACKEND_IDLE;
		break;
	case L0_OBSERVER:
		out->leave = v->hit_mark ? BACKEND_MARK : v->hit_watch ? BACKEND_WATCH : BACKEND_ASKED;
		break;
	default:
		out->leave = BACKEND_SLICE;
	}
	out->vcpu = stop->vcpu;
	if (v->hit_mark || v->hit_watch)
		out->vcpu = v->hit_vcpu;
	out->address = v->hit_at;
	if (v->hit_watch) {
		out->watch[0] = v->watch.id;
		memcpy(out->watch + 1, v->watch.more, v->watch.mores * sizeof *v->watch.more);
		out->watches = 1 + v->watch.mores;
		out->address = v->watch.at.v;
		out->size = v->watch.size;
		out->write = v->watch.write;
		out->device = v->watch.device;
	}
}

void live_run(void *ctx, uint64_t budget, int step_vcpu, struct backend_ran *out)
{
	struct live *v = ctx;
	struct l0_limits lim = {.retired = l0_retired(v->l) + budget};
	struct l0_stop stop;
	uint64_t before = l0_retired(v->l), wake = 0;
	if (step_vcpu >= 0) {
		lim.step_vcpu = (unsigned)step_vcpu;
		lim.step_count = 1;
	}
	l0_limits_start(v->l, &lim);
	v->hit_mark = v->hit_watch = false;
	*out = (struct backend_ran){.leave = BACKEND_SLICE};
	switch (l0_run_slice(v->l, &lim, budget, &wake, &stop)) {
	case L0_SLICE_STOP:
		say_stop(v, &stop, out);
		break;
	case L0_SLICE_WAIT:
		out->leave = BACKEND_WAIT;
		out->wake = wake;
		break;
	default:
		break;
	}
	out->executed = l0_retired(v->l) - before;
}

void live_actor(void *ctx, bool plugin)
{
	((struct live *)ctx)->by_plugin = plugin;
}

void live_interrupt(void *ctx)
{
	l0_interrupt(((struct live *)ctx)->l);
}

void live_step_over_mark(void *ctx, unsigned vcpu)
{
	struct live *v = ctx;
	v->l->over[vcpu] = true;
	v->l->over_rip[vcpu] = live_cpu(v, vcpu)->rip;
}

void live_mark(void *ctx, uint64_t linear, bool on)
{
	struct live *v = ctx;
	if (on)
		engine_mark(v->l->engine, gva(linear));
	else
		engine_unmark(v->l->engine, gva(linear));
}

/* A device's own access to memory that is watched. */
static void on_device(void *ctx, struct hpa at, size_t len, bool write)
{
	struct live *v = ctx;
	struct engine_watch_hit hit;
	struct l0_event ev = {.kind = L0_EV_WATCH, .vcpu = (uint8_t)v->l->turn,
		.level = v->l->vcpu[v->l->turn].level, .at = at.v, .watch = &hit};
	if (engine_watch_device(v->l->engine, at, len, write, &hit))
		l0_tell(v->l, &ev);
}

unsigned live_watch_add(void *ctx, const struct backend_watch *w)
{
	struct live *v = ctx;
	if (w->physical) {
		v->l->machine->phys.device = on_device;
		v->l->machine->phys.device_ctx = v;
	}
	return engine_watch_add(v->l->engine, &(struct engine_watch){gva(w->address), w->len, w->read,
		w->write, w->physical});
}

void live_watch_del(void *ctx, unsigned id)
{
	engine_watch_del(((struct live *)ctx)->l->engine, id);
}

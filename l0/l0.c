/* Construction, reset, state and observers of the session's machine. */
#include "l0/l0.h"

#include "base/buf.h"
#include "base/loop.h"
#include "base/state.h"
#include "cpu/fp.h"
#include "l0/listen.h"
#include "l0/nested.h"
#include "l0/outside.h"
#include "l0/start.h"
#include "machine/machine.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void add_vcpu(struct l0 *l, unsigned id)
{
	struct machine *m = l->machine;
	struct vcpu_config cfg = {.id = id, .clock = &m->clock, .bus = &m->bus, .phys = &m->phys,
		.log = m->log, .model = &l->model, .engine = l->engine};
	struct vcpu *c = vcpu_new(&cfg);
	struct cpu_pins pins = vcpu_pins(c);
	machine_attach_cpu(m, id, &pins);
	c->apic_ops = machine_apic_ops();
	c->apic = machine_apic(m, id);
	c->ferr = machine_ferr(m, id);
	c->owner = &l->vcpu[id];
	l->vcpu[id] = (struct l0_vcpu){.l0 = l, .cpu = c, .level = 1};
}

static bool build(struct l0 *l, struct err *e)
{
	struct machine_config mc = {.mem = l->cfg.mem, .cpus = l->cfg.vcpus, .rtc = l->cfg.rtc,
		.testdev = l->cfg.testdev};
	if (!l->cfg.vcpus || l->cfg.vcpus > L0_VCPUS)
		return err_set(e, ERR_USAGE, "--cpus is 1 to %u, not %u", L0_VCPUS, l->cfg.vcpus);
	if (!cpu_model_parse(&l->model, l->cfg.cpu, e) || !l0_options_parse(&l->options, l->cfg.l0, e))
		return false;
	if (!ring_init(&l->ring, l->options.none ? 0 : l->options.ring, e) || !fp_host_init(e))
		return false;
	fp_host_limit(&l->model);
	l->model.cpus = l->cfg.vcpus;
	l->machine = machine_new(&mc, e);
	if (!l->machine)
		return false;
	l->clock = &l->machine->clock;
	l->log = l->machine->log;
	l->inputs = l->machine->inputs;
	l->engine = engine_shared_new(&l->machine->phys, &l->machine->bus);
	for (; l->vcpus < l->cfg.vcpus; l->vcpus++)
		add_vcpu(l, l->vcpus);
	l->outside = outside_new(l, e);
	if (!l->outside)
		return false;
	if (!l->options.none && !nested_new(l, &l->options, e))
		return false;
	machine_firmware(l->machine);
	return l0_boot(l, e);
}

struct l0 *l0_new(const struct l0_config *cfg, struct err *e)
{
	struct l0 *l = xalloc(sizeof(*l));
	l->cfg = *cfg;
	l->quantum = cfg->quantum ? cfg->quantum : L0_QUANTUM;
	l->pace = cfg->pace;
	l->loop = loop_new();
	if (build(l, e))
		return l;
	l0_free(l);
	return NULL;
}

void l0_lend_stdin(struct l0 *l, bool lent)
{
	outside_lend_stdin(l->outside, lent);
}

void l0_free(struct l0 *l)
{
	if (!l)
		return;
	outside_free(l->outside);
	listen_free(l);
	nested_free(l->nested);
	for (unsigned i = 0; i < l->vcpus; i++)
		vcpu_free(l->vcpu[i].cpu);
	engine_shared_free(l->engine);
	machine_free(l->machine);
	loop_free(l->loop);
	ring_done(&l->ring);
	free(l);
}

bool l0_boot(struct l0 *l, struct err *e)
{
	struct load_entry entry;
	l->turn = 0;
	l->turn_left = l->quantum;
	l->asleep = false;
	for (unsigned i = 0; i < l->vcpus; i++) {
		vcpu_reset(l->vcpu[i].cpu, false);
		start_firmware(l->vcpu[i].cpu, l->machine);
		if (i)
			l->vcpu[i].cpu->activity = ACTIVITY_WAIT_SIPI;
	}
	if (!load_guest(l->machine, &l->cfg.load, &entry, e))
		return false;
	start_entry(l->vcpu[0].cpu, &entry);
	if (l->nested)
		nested_start(l->nested);
	return true;
}

uint64_t l0_retired(const struct l0 *l)
{
	return l->clock->now - l->clock->skipped;
}

/* --- Observers ----------------------------------------------------------- */

static void sum_kinds(struct l0 *l)
{
	l->observed = 0;
	for (unsigned i = 0; i < L0_OBSERVERS; i++)
		l->observed |= l->observer[i].kinds;
}

int l0_observe(struct l0 *l, const struct l0_observer *o)
{
	for (int i = 0; i < L0_OBSERVERS; i++)
		if (!l->observer[i].event) {
			l->observer[i] = *o;
			sum_kinds(l);
			return i;
		}
	return -1;
}

void l0_unobserve(struct l0 *l, int index)
{
	if (index < 0 || index >= L0_OBSERVERS)
		return;
	memset(&l->observer[index], 0, sizeof(l->observer[index]));
	sum_kinds(l);
}

void l0_observe_kinds(struct l0 *l, int index, uint32_t kinds)
{
	if (index < 0 || index >= L0_OBSERVERS || !l->observer[index].event)
		return;
	l->observer[index].kinds = kinds;
	sum_kinds(l);
}

void l0_tell(struct l0 *l, const struct l0_event *ev)
{
	for (unsigned i = 0; i < L0_OBSERVERS; i++) {
		const struct l0_observer *o = &l->observer[i];
		if (!(o->kinds & (1u << ev->kind)) || !o->event(o->ctx, ev) || l->have_stop)
			continue;
		l->have_stop = true;
		l->stop = (struct l0_stop){
			.why = L0_OBSERVER, .vcpu = ev->vcpu, .observer = i, .event = *ev};
		vcpu_pend(l->vcpu[ev->vcpu].cpu, PEND_STOP);
	}
}

uint64_t l0_record(struct l0 *l, const struct ring_record *rec, const struct ring_regs *regs)
{
	uint64_t number = ring_put(&l->ring, rec, regs);
	if (l0_observed(l, L0_EV_RECORD)) {
		struct l0_event ev = {.kind = L0_EV_RECORD, .vcpu = rec->vcpu, .level = rec->from,
			.number = number, .record = ring_at(&l->ring, number)};
		l0_tell(l, &ev);
	}
	return number;
}

/* --- State --------------------------------------------------------------- */

static void schedule_state(struct l0 *l, struct state *s)
{
	uint32_t vcpus = l->vcpus, turn = l->turn;
	state_section(s, "l0", 1);
	state_u32(s, &vcpus);
	state_u64(s, &l->quantum);
	state_u32(s, &turn);
	state_u64(s, &l->turn_left);
	state_bool(s, &l->asleep);
	if (vcpus != l->vcpus || turn >= l->vcpus || !l->quantum || l->turn_left > l->quantum) {
		state_fail(s, "the snapshot has %u vCPUs, this machine %u", vcpus, l->vcpus);
		return;
	}
	l->turn = turn;
}

void l0_state(struct l0 *l, struct state *s)
{
	schedule_state(l, s);
	machine_state(l->machine, s);
	for (unsigned i = 0; i < l->vcpus; i++) {
		vcpu_state(l->vcpu[i].cpu, s);
		state_u8(s, &l->vcpu[i].level);
		if (l->vcpu[i].level != 1 && !(l->vcpu[i].level == 2 && l->nested))
			state_fail(s, "vCPU %u runs level %u", i, l->vcpu[i].level);
	}
	if (l->nested && state_ok(s))
		nested_state(l->nested, s);
	outside_state(l->outside, s);
	ring_state(&l->ring, s);
	if (state_mode(s) == STATE_LOAD) {
		engine_flush(l->engine);
		for (unsigned i = 0; i < l->vcpus; i++)
			vcpu_state_changed(l->vcpu[i].cpu);
		memset(l->over, 0, sizeof(l->over));
		listen_restart(l);
	}
}

struct state_hash l0_hash(struct l0 *l)
{
	struct state *s = state_hasher();
	l0_state(l, s);
	struct state_hash h = state_digest(s);
	state_free(s);
	return h;
}

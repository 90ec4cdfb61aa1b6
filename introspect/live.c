/* The live backend: levels, vCPUs, and the table of its functions. */
#include "introspect/live.h"
#include "introspect/live_machine.h"
#include "introspect/offline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- levels -------------------------------------------------------------------------- */

/* A VMCS12 that is new belongs to the L2 that uses the same EPT, or is one of
 * its own; once bound it stays. */
unsigned live_level_of(struct live *v, const struct nested_vmcs12 *m)
{
	for (unsigned i = 0; i < v->bounds; i++) {
		if (v->bound[i].at == m->at) {
			unsigned level = v->bound[i].level;
			v->guest[level].eptp = m->eptp;
			v->guest[level].vmcs12 = m->at;
			return level;
		}
	}
	unsigned level = 0;
	for (unsigned i = LEVEL_L2; i <= v->levels && m->eptp; i++)
		if (v->guest[i].eptp == m->eptp)
			level = i;
	if (!level) {
		level = v->levels + 1 < INTRO_MAX_LEVELS ? ++v->levels : v->levels;
		v->guest[level].first_seen = v->l->clock->now;
	}
	v->guest[level].eptp = m->eptp;
	v->guest[level].vmcs12 = m->at;
	unsigned slot = v->bounds < LIVE_VMCS12S ? v->bounds++ : LIVE_VMCS12S - 1;
	v->bound[slot].at = m->at;
	v->bound[slot].level = level;
	return level;
}

unsigned live_level_at(struct live *v, uint64_t vmcs12)
{
	for (unsigned i = 0; i < v->bounds; i++)
		if (v->bound[i].at == vmcs12)
			return v->bound[i].level;
	const struct nested_vmcs12 *m = v->n ? vmcs12_find(v->n, vmcs12) : NULL;
	return m ? live_level_of(v, m) : LEVEL_L2;
}

/* Names what L0 has run and nobody has asked about yet. */
static void look_for_guests(struct live *v)
{
	for (unsigned i = 0; v->n && i < NESTED_VMCS12S; i++) {
		const struct nested_vmcs12 *m = &v->n->vmcs12[i];
		if (m->at != NESTED_NONE && m->seen)
			live_level_of(v, m);
	}
}

unsigned live_level(struct live *v, unsigned vcpu)
{
	const struct nested_vcpu *nv = live_nested(v, vcpu);
	if (v->l->vcpu[vcpu].level < 2 || !nv || !nv->cur)
		return LEVEL_L1;
	return live_level_of(v, nv->cur);
}

static unsigned last_vcpu(const struct nested_vmcs12 *m)
{
	return m->vcpu >= 0 ? (unsigned)m->vcpu : m->reflected.vcpu;
}

struct nested_vmcs12 *live_vmcs12(struct live *v, struct place at)
{
	struct nested_vmcs12 *best = NULL;
	struct nested_vcpu *nv = live_nested(v, at.vcpu);
	if (!nv)
		return NULL;
	if (at.level <= LEVEL_L1)
		return nv->cur;
	for (unsigned i = 0; i < NESTED_VMCS12S; i++) {
		struct nested_vmcs12 *m = &v->n->vmcs12[i];
		if (m->at == NESTED_NONE || !m->seen || last_vcpu(m) != at.vcpu ||
			live_level_of(v, m) != at.level)
			continue;
		if (m == nv->cur)
			return m;
		if (!best || m->used > best->used)
			best = m;
	}
	return best;
}

enum intro_state live_place_state(void *ctx, struct place at)
{
	struct live *v = ctx;
	unsigned now = live_level(v, at.vcpu);
	if (at.level == now)
		return PLACE_RUNNING;
	if (at.level == LEVEL_L1)
		return PLACE_SAVED;
	return live_vmcs12(v, at) ? PLACE_SAVED : PLACE_NONE;
}

static void l2_level(struct live *v, unsigned id, struct intro_level *out)
{
	*out = (struct intro_level){.id = id, .vmcs12 = v->guest[id].vmcs12, .eptp = v->guest[id].eptp,
		.first_seen = v->guest[id].first_seen};
	snprintf(out->name, sizeof out->name, id == LEVEL_L2 ? "l2" : "l2:%u", id - 1);
	for (unsigned i = 0; i < NESTED_VMCS12S; i++) {
		const struct nested_vmcs12 *m = &v->n->vmcs12[i];
		if (m->at == NESTED_NONE || !m->seen || live_level_of(v, m) != id)
			continue;
		bool runs = m->vcpu >= 0 && v->l->vcpu[m->vcpu].level >= 2;
		uint64_t seen = runs ? v->l->clock->now : m->reflected.at.clock;
		out->alive |= m->vcpu >= 0 || m->v.launched;
		out->entries += m->entries;
		out->exits += m->exits;
		out->vpid = (uint16_t)vmcs_get(&m->v, VMCS_VIRTUAL_PROCESSOR_ID);
		if (seen >= out->last_seen) {
			out->last_seen = seen;
			out->vmcs12 = m->at;
		}
	}
}

static unsigned levels(void *ctx, struct intro_level *out, unsigned max)
{
	struct live *v = ctx;
	look_for_guests(v);
	struct intro_level l1 = {.id = LEVEL_L1, .name = "l1", .vmcs12 = UINT64_MAX, .alive = true};
	for (unsigned i = LEVEL_L2; i <= v->levels && i <= max; i++) {
		l2_level(v, i, &out[i - 1]);
		l1.entries += out[i - 1].exits;
		l1.exits += out[i - 1].entries;
	}
	l1.last_seen = v->l->clock->now;
	if (max)
		out[0] = l1;
	return v->levels < max ? v->levels : max;
}

/* --- vCPUs --------------------------------------------------------------------------- */

static unsigned vcpus(void *ctx)
{
	return ((struct live *)ctx)->l->vcpus;
}

static unsigned current_vcpu(void *ctx)
{
	struct live *v = ctx;
	return v->l->machine->current < v->l->vcpus ? v->l->machine->current : 0;
}

static const char *mode_name(const struct vcpu *c)
{
	if (!(c->cr0 & CR0_PE))
		return "real";
	if (c->rflags & FLAG_VM)
		return "v8086";
	if (cpu_64bit(c))
		return "64-bit";
	if (cpu_long_mode(c))
		return "compat";
	return c->seg[SEG_CS].ar & AR_DB ? "32-bit" : "16-bit";
}

static bool vcpu_info(void *ctx, unsigned id, struct intro_vcpu *out)
{
	static const char *const activity[] = {"active", "hlt", "shutdown", "wait-for-sipi", "mwait"};
	struct live *v = ctx;
	const struct vcpu *c = live_cpu(v, id);
	const struct nested_vcpu *nv = live_nested(v, id);
	*out = (struct intro_vcpu){.id = id, .level = live_level(v, id), .vmcs12 = UINT64_MAX,
		.activity = activity[c->activity], .mode = mode_name(c), .cpl = c->cpl,
		.retired = c->retired};
	if (nv && nv->vmxon != NESTED_NONE)
		out->vmx = out->level >= LEVEL_L2 ? INTRO_VMX_NONROOT : INTRO_VMX_ROOT;
	if (nv && nv->cur)
		out->vmcs12 = nv->cur->at;
	return true;
}

/* --- the rest ------------------------------------------------------------------------- */

static struct position position(void *ctx)
{
	return l0_position(((struct live *)ctx)->l);
}

static struct log *log_of(void *ctx)
{
	return ((struct live *)ctx)->l->log;
}

static bool save(void *ctx, const char *path, struct err *e)
{
	struct l0 *l = ((struct live *)ctx)->l;
	return l0_save(l, path, e) && offline_add_config(l, path, e);
}

static void forget(struct live *v)
{
	v->bounds = 0;
	v->levels = LEVEL_L1;
	v->writes = 0;
}

static bool load(void *ctx, const char *path, struct err *e)
{
	struct live *v = ctx;
	if (!offline_check(v->l, path, e))
		return false;
	forget(v);
	return l0_load(v->l, path, e);
}

static bool hash(void *ctx, struct state_hash *out, struct err *e)
{
	(void)e;
	*out = l0_hash(((struct live *)ctx)->l);
	return true;
}

static void live_free(void *ctx)
{
	struct live *v = ctx;
	l0_unobserve(v->l, v->observer);
	live_untap_serial(v);
	if (v->owned) {
		l0_free(v->l);
		json_decref(v->config);
	}
	free(v->write);
	free(v);
}

static const struct intro_backend_ops ops = {.name = "live",
	.supports = WANT_TRANSITIONS | WANT_BEFORE | WANT_VMWRITE | WANT_VMX_INSN |
		WANT_EPT_CHANGE | WANT_TABLE_CHANGE | WANT_MODE | WANT_ACCESS | WANT_CONSOLE, .free = live_free,
	.attach = live_attach, .want = live_want, .want_records = live_want_records, .position = position, .log = log_of,
	.levels = levels, .vcpus = vcpus, .vcpu = vcpu_info, .current_vcpu = current_vcpu,
	.place_state = live_place_state, .reg_get = live_reg_get, .reg_set = live_reg_set,
	.host_read = live_host_read, .host_write = live_host_write, .root = live_root,
	.tlb_peek = live_tlb_peek, .vmcs_region = live_vmcs_region, .vmcs_get = live_vmcs_get,
	.vmcs_set = live_vmcs_set, .vmcs_writer = live_vmcs_writer,
	.vmcs_write_at = live_vmcs_write_at, .vmcs_origin = live_vmcs_origin,
	.exits_range = live_exits_range, .exit_at = live_exit_at, .exit_gprs = live_exit_gprs,
	.autopsy = live_autopsy, .caps = live_caps, .run = live_run, .actor = live_actor, .interrupt = live_interrupt,
	.step_over_mark = live_step_over_mark, .mark = live_mark, .watch_add = live_watch_add,
	.watch_del = live_watch_del, .type = live_type, .key = live_key, .nmi = live_nmi,
	.reset = live_reset, .powerdown = live_powerdown, .inject = live_inject,
	.console_read = live_console_read, .screen = live_screen, .devices = live_devices,
	.memory_ranges = live_memory_ranges, .cpu_info = live_cpu_info, .inputs = live_inputs,
	.input_at = live_input_at, .inputs_save = live_inputs_save,
	.inputs_play = live_inputs_play, .save = save, .load = load, .hash = hash};

struct intro_backend *live_backend(struct l0 *l)
{
	struct intro_backend *b = xalloc(sizeof *b);
	struct live *v = xalloc(sizeof *v);
	v->l = l;
	v->n = l->nested;
	v->observer = -1;
	v->levels = LEVEL_L1;
	v->write = xalloc(LIVE_WRITES * sizeof *v->write);
	live_tap_serial(v);
	live_register_inputs(v);
	*b = (struct intro_backend){&ops, v};
	return b;
}

struct intro_backend *live_backend_owning(struct l0 *l, json_t *config)
{
	struct intro_backend *b = live_backend(l);
	struct live *v = b->ctx;
	v->owned = true;
	v->config = config;
	return b;
}

struct intro *live_session(struct l0 *l)
{
	return intro_new(live_backend(l));
}

/* What plugins can do to the machine: every act is an entry of the input log
 * that names a plugin. From inside an event it happens before the next
 * instruction, so that a recorded run repeats it at the same place. */
#include "plugins/host.h"

#include "introspect/machine.h"
#include "introspect/regs.h"
#include "introspect/run.h"
#include "introspect/vmcs.h"

#include <stdlib.h>
#include <string.h>

#define WRITE_MAX 65536

struct act {
	enum { ACT_REG, ACT_MEMORY, ACT_VMCS, ACT_INJECT } kind;
	struct plugins *ps;
	unsigned plugin; /* its id: it may be gone when the act happens */
	struct place at;
	enum intro_space space;
	uint64_t id, value; /* register, address, field, vector; value, type */
	bool has_error;
	uint32_t error;
	size_t len;
	uint8_t bytes[];
};

static bool perform(const struct act *a, struct err *e)
{
	struct intro *s = a->ps->s;
	enum stop_owner before = intro_actor(s, OWNER_PLUGIN);
	bool ok = false;
	switch (a->kind) {
	case ACT_REG:
		ok = intro_set_reg_u64(s, a->at, (enum reg_id)a->id, a->value, e);
		break;
	case ACT_MEMORY:
		ok = intro_write(s, a->at, a->space, a->id, a->bytes, a->len, e);
		break;
	case ACT_VMCS:
		ok = intro_vmcs_set(s, a->at, INTRO_VMCS12, (uint32_t)a->id, a->value, e);
		break;
	case ACT_INJECT:
		ok = intro_inject(s, a->at, (unsigned)a->id, (unsigned)a->value, a->has_error, a->error, e);
		break;
	}
	intro_actor(s, before);
	return ok;
}

/* An act that was put off and then failed is an error of the plugin. */
static void later(void *ctx)
{
	struct act *a = ctx;
	struct err e = {0};
	if (!perform(a, &e))
		for (unsigned i = 0; i < a->ps->count; i++)
			if (a->ps->plugin[i]->id == a->plugin)
				plugin_disable(a->ps->plugin[i], e.msg);
	free(a);
}

static int act(struct nestscope_plugin *p, const struct act *what, const void *bytes)
{
	struct err e = {0};
	size_t size = sizeof *what + what->len;
	struct act *a = xalloc(size);
	*a = *what;
	a->ps = p->ps;
	a->plugin = p->id;
	if (what->len)
		memcpy(a->bytes, bytes, what->len);
	/* before L0 has decided, VMCS12 and memory are whole and may change at once:
	 * the entry or the reflection that follows uses them */
	bool whole = p->event && p->event->verdict && (a->kind == ACT_VMCS || a->kind == ACT_MEMORY);
	if (intro_inside(p->ps->s) && !whole) {
		intro_defer(p->ps->s, later, a);
		return 1;
	}
	bool ok = perform(a, &e);
	free(a);
	return ok || plugin_err(p, &e);
}

int host_set_reg(struct nestscope_plugin *p, uint32_t level, uint32_t vcpu, const char *name,
	uint64_t value)
{
	enum reg_id id = reg_find(name);
	if (id == R_COUNT)
		return plugin_fail(p, "no register '%.40s'", name);
	return act(p, &(struct act){.kind = ACT_REG, .at = plugin_place(p, level, vcpu), .id = id,
		.value = value}, NULL);
}

int host_write(struct nestscope_plugin *p, const char *space, uint64_t address, const void *in,
	size_t len)
{
	struct intro_address at;
	if (!plugin_space(p, space, &at))
		return 0;
	if (!len || len > WRITE_MAX)
		return plugin_fail(p, "1 to %d bytes can be written at once", WRITE_MAX);
	return act(p, &(struct act){.kind = ACT_MEMORY, .at = at.at, .space = at.space, .id = address,
		.len = len}, in);
}

int host_set_vmcs(struct nestscope_plugin *p, uint32_t level, uint32_t vcpu, const char *field,
	uint64_t value)
{
	const struct intro_field *f = intro_field_find(field);
	if (!f)
		return plugin_fail(p, "no VMCS field '%.60s'", field);
	return act(p, &(struct act){.kind = ACT_VMCS, .at = plugin_place(p, level, vcpu),
		.id = f->encoding, .value = value}, NULL);
}

int host_inject(struct nestscope_plugin *p, uint32_t level, uint32_t vcpu, uint32_t vector,
	uint32_t type, int has_error, uint32_t error)
{
	if (vector > 255 || type > 7)
		return plugin_fail(p, "a vector is at most 255, a type at most 7");
	return act(p, &(struct act){.kind = ACT_INJECT, .at = plugin_place(p, level, vcpu), .id = vector,
		.value = type, .has_error = has_error, .error = error}, NULL);
}

/* --- exits that nobody has handled yet -------------------------------------------- */

static struct exit_verdict *verdict(struct nestscope_plugin *p, const struct nestscope_event *ev)
{
	if (!p->event || !p->event->verdict || !ev || !ev->can_decide) {
		plugin_fail(p, "only an exit-before event can be swallowed or rewritten, while it lasts");
		return NULL;
	}
	return p->event->verdict;
}

int host_swallow(struct nestscope_plugin *p, const struct nestscope_event *ev, uint32_t mask,
	const uint64_t *gpr)
{
	struct exit_verdict *v = verdict(p, ev);
	if (!v)
		return 0;
	if (mask >> 16)
		return plugin_fail(p, "there are 16 general registers");
	v->swallow = true;
	for (unsigned i = 0; i < 16; i++) {
		if (!(mask >> i & 1))
			continue;
		v->mask |= (uint16_t)(1u << i);
		v->gpr[i] = gpr[i];
	}
	return 1;
}

int host_rewrite(struct nestscope_plugin *p, const struct nestscope_event *ev, uint32_t reason,
	uint64_t qualification)
{
	struct exit_verdict *v = verdict(p, ev);
	if (!v)
		return 0;
	if (p->event->at.level < LEVEL_L2)
		return plugin_fail(p, "an exit of L1 goes to L0 and cannot be rewritten");
	if (!exit_reason_known(reason))
		return plugin_fail(p, "there is no exit reason %u", (unsigned)reason);
	v->rewrite = true;
	v->reason = reason;
	v->qualification = qualification;
	return 1;
}

/* --- running -------------------------------------------------------------------------- */

void host_stop(struct nestscope_plugin *p, const char *why)
{
	char text[160];
	strcpy(text, "plugin ");
	strncat(text, p->name, 40);
	if (why && *why) {
		strcat(text, ": ");
		strncat(text, why, 100);
	}
	intro_request_stop(p->ps->s, WHY_PLUGIN, text);
}

int host_resume(struct nestscope_plugin *p)
{
	struct err e = {0};
	return intro_continue(p->ps->s, &e) || plugin_err(p, &e);
}

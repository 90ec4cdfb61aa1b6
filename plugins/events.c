/* What plugins hear: subscriptions, breakpoints, and the event as the header
 * shows it. */
#include "plugins/host.h"

#include "introspect/exits.h"
#include "introspect/expr.h"
#include "introspect/run.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HANDLE_STOP (UINT64_C(1) << 32) /* set in handles of breakpoints and ranges */

/* --- the event ------------------------------------------------------------------ */

void event_from_record(const struct exit_record *r, struct nestscope_event *out)
{
	out->has_exit = 1;
	out->seq = r->seq;
	out->from = r->from;
	out->to = r->to;
	out->reflected = r->handler && r->kind != EXIT_ENTRY;
	out->reason = r->reason;
	out->qualification = r->qualification;
	out->detail = r->detail;
	out->rip = r->rip;
	out->cr3 = r->cr3;
	out->gpa = r->gpa;
	out->gla = r->gla;
	out->vmcs12 = r->vmcs12;
	out->cause = r->cause;
	out->cost = r->cost;
	out->intr_info = r->intr_info;
	out->insn_length = r->insn_length;
}

void event_convert(const struct event *ev, struct nestscope_event *out)
{
	*out = (struct nestscope_event){.size = sizeof *out, .level = ev->at.level, .vcpu = ev->at.vcpu,
		.kind = event_kind_name(ev->kind), .clock = ev->position.clock, .address = ev->address,
		.value = ev->value, .old_value = ev->old_value, .access_size = ev->size,
		.write = ev->write, .text = ev->text, .can_decide = ev->verdict != NULL,
		.seq = NESTSCOPE_NONE, .qualification = NESTSCOPE_NONE, .detail = NESTSCOPE_NONE,
		.rip = NESTSCOPE_NONE, .cr3 = NESTSCOPE_NONE, .gpa = NESTSCOPE_NONE, .gla = NESTSCOPE_NONE,
		.vmcs12 = NESTSCOPE_NONE, .cause = NESTSCOPE_NONE, .cost = NESTSCOPE_NONE};
	if (ev->exit)
		event_from_record(ev->exit, out);
	if (ev->vmwrite) {
		out->field = ev->vmwrite->encoding;
		out->writer = intro_writer_name(ev->vmwrite->writer);
		out->rip = ev->vmwrite->rip;
		out->cr3 = ev->vmwrite->cr3;
		out->vmcs12 = ev->vmwrite->vmcs12;
	}
	if (ev->kind == EVENT_EPT_CHANGE || ev->kind == EVENT_TABLE_CHANGE) {
		out->gpa = ev->entry;
		out->from = ev->writer.level;
	}
	if (ev->rip) {
		out->rip = ev->rip;
		out->cr3 = ev->cr3;
	}
	if (ev->stop)
		out->text = ev->stop->text;
}

static void kill_hook(struct plugins *ps, struct hook *h)
{
	if (h->dead)
		return;
	h->dead = true;
	if (!h->is_stop) {
		intro_unsubscribe(ps->s, h->id);
		return;
	}
	intro_stop_del(ps->s, h->id);
}

static void deliver(struct hook *h, const struct event *ev)
{
	struct nestscope_plugin *p = h->p;
	const struct event *before;
	struct nestscope_event out;
	if (h->dead || !plugin_enter(p, ev, &before))
		return;
	event_convert(ev, &out);
	out.handle = h->is_stop ? h->id | HANDLE_STOP : h->id;
	const struct stop *st = h->is_stop ? intro_stop(p->ps->s, h->id) : NULL;
	if (st && st->once)
		kill_hook(p->ps, h); /* freed when the plugin is left */
	h->fn(p, h->ctx, &out);
	plugin_leave(p, before);
}

static void heard(void *ctx, const struct event *ev)
{
	deliver(ctx, ev);
}

/* --- stops that only tell ------------------------------------------------------- */

static void heard_stop(void *ctx, const struct event *ev)
{
	struct plugins *ps = ctx;
	const struct stop *st = intro_stop(ps->s, (unsigned)ev->value);
	if (!st || st->owner != OWNER_PLUGIN || !st->ctx)
		return;
	struct hook *h = st->ctx;
	if (h->kind == ev->kind)
		deliver(h, ev);
}

static bool serve_stops(struct plugins *ps, struct err *e)
{
	struct event_filter f;
	if (ps->stop_sub)
		return true;
	event_filter_init(&f, EVENT_BREAK);
	f.kinds |= BIT(EVENT_MEMORY);
	ps->stop_sub = intro_subscribe(ps->s, &f, heard_stop, ps, e);
	return ps->stop_sub;
}

static struct hook *add_hook(struct nestscope_plugin *p, nestscope_event_fn *fn, void *ctx)
{
	struct hook *h = xalloc(sizeof *h);
	*h = (struct hook){.p = p, .fn = fn, .ctx = ctx};
	if ((p->hooks & (p->hooks - 1)) == 0)
		p->hook = xresize(p->hook, (p->hooks ? p->hooks * 2 : 1) * sizeof(*p->hook));
	p->hook[p->hooks++] = h;
	return h;
}

static uint64_t add_stop(struct nestscope_plugin *p, struct stop *st, enum event_kind kind,
	nestscope_event_fn *fn, void *ctx)
{
	struct plugins *ps = p->ps;
	struct err e = {0};
	st->owner = OWNER_PLUGIN;
	st->client = p->id;
	st->silent = true;
	unsigned id = serve_stops(ps, &e) ? intro_stop_add(ps->s, st, &e) : 0;
	if (!id) {
		expr_free(st->condition);
		return (uint64_t)plugin_err(p, &e);
	}
	struct hook *h = add_hook(p, fn, ctx);
	h->id = id;
	h->is_stop = true;
	h->kind = kind;
	intro_stop(ps->s, id)->ctx = h;
	return id | HANDLE_STOP;
}

uint64_t host_breakpoint(struct nestscope_plugin *p, const char *address, const char *condition,
	int once, nestscope_event_fn *fn, void *ctx)
{
	struct intro_address at;
	struct stop st;
	struct err e = {0};
	if (!intro_parse_address(p->ps->s, intro_here(p->ps->s), address, &at, &e))
		return (uint64_t)plugin_err(p, &e);
	stop_init(&st, STOP_BREAK, at.at.level);
	st.space = at.space;
	st.address = at.value;
	st.once = once;
	if (condition && !(st.condition = expr_compile(p->ps->s, at.at, condition, &e)))
		return (uint64_t)plugin_err(p, &e);
	return add_stop(p, &st, EVENT_BREAK, fn, ctx);
}

static uint64_t on_memory(struct nestscope_plugin *p, const struct nestscope_filter *f,
	nestscope_event_fn *fn, void *ctx)
{
	struct stop st;
	struct err e = {0};
	const char *access = f->access ? f->access : "rw";
	unsigned level = f->levels ? (unsigned)__builtin_ctz(f->levels) : 0;
	if (!f->has_range || !f->levels || f->high < f->low)
		return (uint64_t)plugin_fail(p, "\"memory\" wants a level and a range of its linear addresses");
	stop_init(&st, STOP_WATCH, level);
	st.address = f->low;
	st.len = f->high - f->low + 1;
	st.vcpu = f->vcpu;
	st.access = (strchr(access, 'r') ? WATCH_READ : 0) | (strchr(access, 'w') ? WATCH_WRITE : 0);
	if (!st.access)
		return (uint64_t)plugin_fail(p, "access is \"r\", \"w\" or \"rw\"");
	if (f->condition && !(st.condition = expr_compile(p->ps->s,
		(struct place){level, 0}, f->condition, &e)))
		return (uint64_t)plugin_err(p, &e);
	return add_stop(p, &st, EVENT_MEMORY, fn, ctx);
}

/* --- filters -------------------------------------------------------------------- */

/* Every event there is, but those that need more than a name. */
static uint64_t all_kinds(struct intro *s)
{
	uint64_t kinds = 0;
	for (int k = 0; k < EVENT_KINDS; k++)
		if (k != EVENT_TIMER && k != EVENT_MEMORY && intro_event_available(s, k))
			kinds |= BIT(k);
	return kinds;
}

/* The next word of a list with commas; false at the end. */
static bool next_word(const char **list, char word[64])
{
	size_t n;
	*list += strspn(*list, ", ");
	if (!(n = strcspn(*list, ", ")))
		return false;
	memcpy(word, *list, n < 63 ? n : 63);
	word[n < 63 ? n : 63] = 0;
	*list += n;
	return true;
}

static bool parse_kinds(struct intro *s, const char *list, uint64_t *kinds, struct err *e)
{
	enum event_kind k;
	char word[64];
	*kinds = 0;
	while (list && next_word(&list, word)) {
		if (!strcmp(word, "*")) {
			*kinds |= all_kinds(s);
			continue;
		}
		if (!event_kind_find(word, &k))
			return err_set(e, ERR_GENERAL, "no event '%s'; `events` lists them", word);
		if (!intro_event_available(s, k))
			return err_set(e, ERR_GENERAL, "this machine (%s) does not tell of '%s'",
				intro_backend_name(s), word);
		*kinds |= BIT(k);
	}
	return *kinds || err_set(e, ERR_GENERAL, "an event's name is wanted, e.g. \"exit\"");
}

bool filter_convert(
	struct intro *s, const struct nestscope_filter *f, struct event_filter *out, struct err *e)
{
	const char *list = f->reasons;
	char word[64];
	uint32_t reason;
	*out = (struct event_filter){.levels = f->levels, .vcpu = f->vcpu, .has_range = f->has_range,
		.low = f->low, .high = f->high, .every = f->every, .period = f->period};
	if (!parse_kinds(s, f->events, &out->kinds, e))
		return false;
	while (list && next_word(&list, word)) {
		if (!exit_reason_find(word, &reason))
			return err_set(e, ERR_GENERAL, "no exit reason '%s'; names are the SDM's, e.g. CPUID", word);
		out->reasons[reason / 64] |= BIT(reason % 64);
	}
	if (f->field) {
		const struct intro_field *field = intro_field_find(f->field);
		if (!field)
			return err_set(e, ERR_GENERAL, "no VMCS field '%.60s'", f->field);
		out->field = field->encoding;
	}
	if (f->condition)
		out->expr = expr_compile(s, intro_here(s), f->condition, e);
	return !f->condition || out->expr;
}

uint64_t host_on(struct nestscope_plugin *p, const struct nestscope_filter *f,
	nestscope_event_fn *fn, void *ctx)
{
	struct nestscope_filter own = {.vcpu = -1};
	struct event_filter filter;
	struct err e = {0};
	memcpy(&own, f, f->size < sizeof own ? f->size : sizeof own);
	if (p->dying || p->disabled)
		return (uint64_t)plugin_fail(p, "the plugin is not active any more");
	if (own.events && !strcmp(own.events, "memory"))
		return on_memory(p, &own, fn, ctx);
	if (!filter_convert(p->ps->s, &own, &filter, &e))
		return (uint64_t)plugin_err(p, &e);
	struct hook *h = add_hook(p, fn, ctx);
	h->id = intro_subscribe(p->ps->s, &filter, heard, h, &e);
	if (!h->id) {
		expr_free(filter.expr);
		h->dead = true;
		return (uint64_t)plugin_err(p, &e);
	}
	return h->id;
}

static struct hook *find_hook(struct nestscope_plugin *p, uint64_t handle)
{
	for (unsigned i = 0; i < p->hooks; i++)
		if (!p->hook[i]->dead && p->hook[i]->id == (uint32_t)handle &&
			p->hook[i]->is_stop == (handle >> 32 & 1))
			return p->hook[i];
	return NULL;
}

int host_off(struct nestscope_plugin *p, uint64_t handle)
{
	struct hook *h = find_hook(p, handle);
	if (!h)
		return plugin_fail(p, "no such handle");
	kill_hook(p->ps, h);
	return 1;
}

int host_counts(struct nestscope_plugin *p, uint64_t handle, uint64_t *matches, uint64_t *faults)
{
	struct hook *h = find_hook(p, handle);
	const struct stop *st = h && h->is_stop ? intro_stop(p->ps->s, h->id) : NULL;
	if (st) {
		*matches = st->hits;
		*faults = st->faults;
		return 1;
	}
	return (h && intro_subscription_counts(p->ps->s, h->id, matches, faults)) ||
	       plugin_fail(p, "no such handle");
}

void hooks_drop(struct nestscope_plugin *p)
{
	for (unsigned i = p->hooks; i--;)
		kill_hook(p->ps, p->hook[i]);
}

void hooks_sweep(struct nestscope_plugin *p)
{
	unsigned n = 0;
	for (unsigned i = 0; i < p->hooks; i++) {
		if (p->hook[i]->dead)
			free(p->hook[i]);
		else
			p->hook[n++] = p->hook[i];
	}
	/* the array grows by doubling: its room must stay what the count says */
	if (n != p->hooks) {
		unsigned room = 1;
		while (room < n)
			room *= 2;
		p->hooks = n;
		p->hook = xresize(p->hook, room * sizeof(*p->hook));
	}
}

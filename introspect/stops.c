/* Stops: who set which, and whether a hit counts. */
#include "introspect/private.h"
#include "introspect/expr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[STOP_KINDS] = {"break", "watch", "exit", "entry", "entry-fail",
	"vmx-insn", "vmwrite", "ept-change", "table-change", "mode", "triple-fault"};

const char *stop_kind_name(enum stop_kind k)
{
	return kind_names[k];
}

const char *stop_why_name(enum stop_why w)
{
	static const char *const names[] = {"running", "start", "stop", "step", "pause", "until",
		"limit", "plugin", "shutdown", "idle", "poweroff", "exit"};
	return names[w];
}

void stop_init(struct stop *st, enum stop_kind kind, unsigned level)
{
	*st = (struct stop){.kind = kind, .level = level, .vcpu = -1, .len = 1,
		.access = WATCH_WRITE, .reason = UINT32_MAX, .detail = UINT64_MAX, .enabled = true};
	if (kind == STOP_EPT_CHANGE || kind == STOP_TABLE_CHANGE)
		st->address = UINT64_MAX;
}

void stops_init(struct intro *s)
{
	s->next_stop = 1;
}

static void stop_free(struct stop *st)
{
	expr_free(st->condition);
	free(st);
}

void stops_done(struct intro *s)
{
	for (unsigned i = 0; i < s->stops; i++)
		stop_free(s->stop[i]);
	stop_index_done(&s->stop_index);
	free(s->stop);
	free(s->watch);
	s->stop = NULL;
	s->stops = 0;
}

/* --- marks and watches of the backend ------------------------------------------- */

/* Other enabled breakpoints at the same linear address share one mark, and so
 * does a run to that address. */
static bool others_at(struct intro *s, const struct stop *st)
{
	const struct stop *o = NULL;
	if (s->plan.going && s->plan.address == st->address)
		return true;
	while ((o = intro_stop_next_break(s, st->address, o ? o->id : 0)) != NULL)
		if (o != st && o->enabled)
			return true;
	return false;
}

static void plant(struct intro *s, struct stop *st)
{
	if (st->kind == STOP_BREAK && !others_at(s, st)) {
		s->ops->mark(s->ctx, st->address, true);
	} else if (st->kind == STOP_WATCH) {
		watch_plant(s, st);
	}
}

static void uproot(struct intro *s, struct stop *st)
{
	if (st->kind == STOP_BREAK && !others_at(s, st)) {
		s->ops->mark(s->ctx, st->address, false);
	} else if (st->kind == STOP_WATCH) {
		watch_uproot(s, st);
	}
}

/* An enabled stop came (+1) or went (-1). */
static void count(struct intro *s, enum stop_kind kind, int step)
{
	s->kind_count[kind] += (unsigned)step;
	if (s->kind_count[kind])
		s->stop_kinds |= 1u << kind;
	else
		s->stop_kinds &= ~(1u << kind);
}

/* --- the list ---------------------------------------------------------------------- */

#define STOPS_MAX 200000

static bool acceptable(struct intro *s, const struct stop *st, struct err *e)
{
	if (s->stops >= STOPS_MAX)
		return err_set(e, ERR_GENERAL, "there are %u stops already, which is the most", s->stops);
	if ((st->kind == STOP_BREAK && !s->ops->mark) || (st->kind == STOP_WATCH && !s->ops->watch_add))
		return intro_cannot(s, "stop at addresses", e);
	if (st->kind == STOP_BREAK && st->space != SPACE_VIRTUAL)
		return err_set(e, ERR_GENERAL, "breakpoints take virtual addresses: l1:ADDRESS or "
			"l2:ADDRESS; watch takes l1p: and l2p: too");
	if (stop_unsupported(s, st->kind))
		return err_set(e, ERR_GENERAL, "this machine (%s) does not report '%s'; events says what it "
			"does", s->ops->name, stop_unsupported(s, st->kind));
	return st->kind != STOP_WATCH || watch_acceptable(st, e);
}

unsigned intro_stop_add(struct intro *s, const struct stop *st, struct err *e)
{
	if (!acceptable(s, st, e))
		return 0;
	struct stop *own = xalloc(sizeof *own);
	*own = *st;
	own->id = s->next_stop++;
	if ((s->stops & (s->stops - 1)) == 0) /* grows by doubling */
		s->stop = xresize(s->stop, (s->stops ? s->stops * 2 : 1) * sizeof(*s->stop));
	s->stop[s->stops++] = own;
	stop_index_add(&s->stop_index, own);
	if (own->enabled) {
		plant(s, own);
		count(s, own->kind, 1);
		intro_update_wants(s);
	}
	return own->id;
}

static unsigned index_of(const struct intro *s, unsigned id)
{
	unsigned lo = 0, hi = s->stops;
	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;
		if (s->stop[mid]->id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < s->stops && s->stop[lo]->id == id ? lo : UINT32_MAX;
}

struct stop *intro_stop(struct intro *s, unsigned id)
{
	unsigned i = index_of(s, id);
	return i == UINT32_MAX ? NULL : s->stop[i];
}

static void remove_at(struct intro *s, unsigned i)
{
	struct stop *st = s->stop[i];
	if (st->enabled) {
		uproot(s, st);
		count(s, st->kind, -1);
	}
	stop_index_del(&s->stop_index, st);
	memmove(s->stop + i, s->stop + i + 1, (s->stops - i - 1) * sizeof *s->stop);
	s->stops--;
	stop_free(st);
}

bool intro_stop_del(struct intro *s, unsigned id)
{
	unsigned i = index_of(s, id);
	if (i == UINT32_MAX)
		return false;
	remove_at(s, i);
	intro_update_wants(s);
	return true;
}

void intro_stop_del_owner(struct intro *s, enum stop_owner owner, uint32_t client)
{
	for (unsigned i = s->stops; i--;)
		if (s->stop[i]->owner == owner &&
			(client == UINT32_MAX || s->stop[i]->client == client))
			remove_at(s, i);
	intro_update_wants(s);
}

bool intro_stop_enable(struct intro *s, unsigned id, bool on)
{
	struct stop *st = intro_stop(s, id);
	if (!st)
		return false;
	if (st->enabled == on)
		return true;
	if (on)
		plant(s, st);
	else
		uproot(s, st);
	st->enabled = on;
	count(s, st->kind, on ? 1 : -1);
	intro_update_wants(s);
	return true;
}

unsigned intro_stop_count(const struct intro *s)
{
	return s->stops;
}

struct stop *intro_stop_at(struct intro *s, unsigned i)
{
	return i < s->stops ? s->stop[i] : NULL;
}

/* --- hits --------------------------------------------------------------------------- */

bool stop_hits(struct intro *s, struct stop *st, struct place at, const struct exit_record *r,
	const struct event *ev)
{
	bool everywhere = !st->level || (st->kind == STOP_WATCH && st->space == SPACE_PHYSICAL);
	if (!st->enabled || (!everywhere && st->level != at.level) ||
		(st->vcpu >= 0 && (unsigned)st->vcpu != at.vcpu))
		return false;
	if (st->condition) {
		struct expr_env env = {s, at, r, ev, st->hits};
		if (!expr_true(st->condition, &env, &st->faults))
			return false;
	}
	st->hits++;
	if (st->ignore) {
		st->ignore--;
		return false;
	}
	return true;
}

void stop_fired(struct intro *s, struct stop *st, struct place at, uint64_t exit)
{
	struct stop_event *ev = &s->pending;
	if (s->have_stop)
		return; /* the first one names the stop; the others have counted */
	*ev = (struct stop_event){.why = WHY_STOP, .at = at, .stop = st->id, .kind = st->kind,
		.owner = st->owner, .client = st->client, .exit = exit};
	snprintf(ev->text, sizeof ev->text, "%s %u%s%s", stop_kind_name(st->kind), st->id,
		st->text[0] ? ": " : "", st->text);
	s->have_stop = true;
}

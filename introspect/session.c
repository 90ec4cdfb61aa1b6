/* The session: levels, vCPUs, places. */
#include "introspect/private.h"
#include "introspect/trace.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct intro *intro_new(struct intro_backend *backend)
{
	struct intro *s = xalloc(sizeof *s);
	s->backend = backend;
	s->ops = backend->ops;
	s->ctx = backend->ctx;
	s->generation = 1;
	if (!s->ops->log || !s->ops->log(s->ctx))
		s->own_log = log_new(256);
	s->stats = stats_new();
	s->symbols = symbols_new();
	events_init(s);
	stops_init(s);
	run_init(s);
	return s;
}

void intro_free(struct intro *s)
{
	if (!s)
		return;
	intro_trace_stop(s, NULL);
	events_done(s);
	run_done(s);
	stops_done(s);
	symbols_free(s->symbols);
	stats_free(s->stats);
	if (s->ops->free)
		s->ops->free(s->ctx);
	free(s->backend);
	log_free(s->own_log);
	free(s);
}

const char *intro_backend_name(const struct intro *s)
{
	return s->ops->name;
}

struct position intro_position(struct intro *s)
{
	return s->ops->position(s->ctx);
}

struct log *intro_log(struct intro *s)
{
	struct log *l = s->ops->log ? s->ops->log(s->ctx) : NULL;
	return l ? l : s->own_log;
}

uint64_t intro_generation(const struct intro *s)
{
	return s->generation;
}

unsigned intro_levels(struct intro *s, struct intro_level *out, unsigned max)
{
	return s->ops->levels(s->ctx, out, max);
}

bool intro_level(struct intro *s, unsigned id, struct intro_level *out)
{
	struct intro_level all[INTRO_MAX_LEVELS];
	unsigned n = intro_levels(s, all, INTRO_MAX_LEVELS);
	for (unsigned i = 0; i < n; i++) {
		if (all[i].id == id) {
			*out = all[i];
			return true;
		}
	}
	return false;
}

unsigned intro_vcpus(struct intro *s)
{
	return s->ops->vcpus(s->ctx);
}

bool intro_vcpu(struct intro *s, unsigned vcpu, struct intro_vcpu *out)
{
	return vcpu < intro_vcpus(s) && s->ops->vcpu(s->ctx, vcpu, out);
}

enum intro_state intro_place_state(struct intro *s, struct place at)
{
	if (at.level == LEVEL_L0 || at.vcpu >= intro_vcpus(s))
		return PLACE_NONE;
	return s->ops->place_state(s->ctx, at);
}

struct place intro_here(struct intro *s)
{
	struct place at = {LEVEL_L1, s->ops->current_vcpu ? s->ops->current_vcpu(s->ctx) : 0};
	struct intro_vcpu v;
	if (intro_vcpu(s, at.vcpu, &v))
		at.level = v.level;
	return at;
}

uint64_t intro_level_vcpus(struct intro *s, unsigned level)
{
	uint64_t mask = 0;
	for (unsigned i = 0; i < intro_vcpus(s) && i < 64; i++)
		if (intro_place_state(s, (struct place){level, i}) != PLACE_NONE)
			mask |= BIT(i);
	return mask;
}

static void level_names(struct intro *s, struct buf *out)
{
	struct intro_level all[INTRO_MAX_LEVELS];
	unsigned n = intro_levels(s, all, INTRO_MAX_LEVELS);
	for (unsigned i = 0; i < n; i++)
		buf_fmt(out, "%s%s", i ? ", " : "", all[i].name);
	if (n == 1)
		buf_str(out, " (no L2 yet: L1 has not entered a guest)");
}

static bool no_such_level(struct intro *s, const char *text, struct err *e)
{
	struct buf b = {0};
	level_names(s, &b);
	err_set(e, ERR_GENERAL, "no level '%s'; there is %s", text, b.data ? b.data : "none");
	buf_done(&b);
	return false;
}

/* "l1", "l2", "l2:3", "1", "3" up to the '.' or the end; 0 when none. */
static unsigned parse_level(const char *t, size_t len)
{
	char *end;
	unsigned long n = 0;
	if (len == 2 && tolower(t[0]) == 'l' && t[1] == '1')
		return LEVEL_L1;
	if (len == 2 && tolower(t[0]) == 'l' && t[1] == '2')
		return LEVEL_L2;
	if (len > 3 && tolower(t[0]) == 'l' && t[1] == '2' && t[2] == ':' && isdigit(t[3])) {
		n = strtoul(t + 3, &end, 10);
		return end == t + len && n >= 1 && n < 10000 ? (unsigned)n + 1 : 0;
	}
	if (len && isdigit(t[0])) {
		n = strtoul(t, &end, 10);
		return end == t + len && n >= 1 && n < 10000 ? (unsigned)n : 0;
	}
	return 0;
}

bool intro_parse_place(struct intro *s, const char *text, struct place *at, struct err *e)
{
	const char *dot = strchr(text, '.');
	struct place p = *at;
	struct intro_level l;
	p.level = parse_level(text, dot ? (size_t)(dot - text) : strlen(text));
	if (!p.level || !intro_level(s, p.level, &l))
		return no_such_level(s, text, e);
	if (dot) {
		char *end;
		unsigned long v = strtoul(dot + 1, &end, 10);
		if (!isdigit((unsigned char)dot[1]) || *end || v >= intro_vcpus(s))
			return err_set(e, ERR_GENERAL, "no vCPU '%s'; there are 0 to %u", dot + 1,
				intro_vcpus(s) - 1);
		p.vcpu = (unsigned)v;
	} else if (intro_place_state(s, p) == PLACE_NONE) {
		/* the level ran elsewhere only: take the first vCPU that knows it */
		uint64_t mask = intro_level_vcpus(s, p.level);
		if (mask)
			p.vcpu = (unsigned)__builtin_ctzll(mask);
	}
	*at = p;
	return true;
}

bool intro_cannot(const struct intro *s, const char *what, struct err *e)
{
	return err_set(e, ERR_GENERAL, "this machine (%s) cannot %s", s->ops->name, what);
}

bool intro_check(struct intro *s, struct place at, struct err *e)
{
	struct intro_level l;
	char name[16];
	if (at.vcpu >= intro_vcpus(s))
		return err_set(e, ERR_GENERAL, "no vCPU %u; there are 0 to %u", at.vcpu,
			intro_vcpus(s) - 1);
	if (!intro_level(s, at.level, &l)) {
		snprintf(name, sizeof name, at.level > 2 ? "l2:%u" : "l%u",
			at.level > 2 ? at.level - 1 : at.level);
		return no_such_level(s, name, e);
	}
	if (intro_place_state(s, at) == PLACE_NONE)
		return err_set(e, ERR_GENERAL, "%s has never run on vCPU %u", l.name, at.vcpu);
	return true;
}

void intro_changed(struct intro *s, struct place at, const char *what)
{
	s->generation++;
	if (intro_listening(s, EVENT_CHANGE))
		intro_emit(s, &(struct event){.kind = EVENT_CHANGE, .at = at,
			.position = intro_position(s), .text = what});
}

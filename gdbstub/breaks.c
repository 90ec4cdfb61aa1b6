/* Z and z: breakpoints and watchpoints of this client, in the inferior of the
 * thread that H chose. Guest memory is never changed; Z0 and Z1 are the same. */
#include "gdbstub/handlers.h"

#include "base/hex.h"
#include "introspect/expr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct request {
	unsigned type; /* 0..4 */
	uint64_t at, kind;
	const char *conditions; /* "X10,hex X4,hex" or "" */
};

static bool parse(struct conn *c, char *args, struct request *r)
{
	char *end;
	*r = (struct request){.type = (unsigned)(args[0] - '0')};
	if (r->type > 4 || args[1] != ',') {
		reply_error(c, "Z wants TYPE,ADDRESS,KIND with a type from 0 to 4");
		return false;
	}
	r->at = strtoull(args + 2, &end, 16);
	if (*end != ',') {
		reply_error(c, "Z wants TYPE,ADDRESS,KIND");
		return false;
	}
	r->kind = strtoull(end + 1, &end, 16);
	r->conditions = end;
	return true;
}

static void fill(struct conn *c, const struct request *r, struct stop *st)
{
	static const unsigned access[] = {0, 0, WATCH_WRITE, WATCH_READ, WATCH_READ | WATCH_WRITE};
	bool watch = r->type >= 2;
	stop_init(st, watch ? STOP_WATCH : STOP_BREAK, c->general.level);
	st->owner = OWNER_GDB;
	st->client = c->id;
	st->space = SPACE_VIRTUAL;
	st->address = r->at;
	st->len = watch ? (r->kind ? r->kind : 1) : 1;
	st->access = access[r->type];
	snprintf(st->text, sizeof(st->text), "gdb Z%u", r->type);
}

/* The wire's type is kept in the text, so that a z finds its Z again. */
static bool is(const struct stop *st, const struct conn *c, const struct request *r)
{
	char text[16];
	snprintf(text, sizeof(text), "gdb Z%u", r->type);
	return st->owner == OWNER_GDB && st->client == c->id && st->level == c->general.level &&
		st->address == r->at && !strcmp(st->text, text);
}

static void remove_all(struct conn *c, const struct request *r)
{
	const struct stop *st;
	unsigned id = 0;
	if (r->type < 2) {
		while ((st = intro_stop_next_break(c->s, r->at, id)) != NULL) {
			id = st->id;
			if (is(st, c, r))
				intro_stop_del(c->s, id);
		}
		return;
	}
	for (unsigned i = intro_stop_count(c->s); i-- > 0;) {
		st = intro_stop_at(c->s, i);
		if (is(st, c, r))
			intro_stop_del(c->s, st->id);
	}
}

/* One stop per condition: gdb's list of conditions is an OR. */
static bool add_conditions(struct conn *c, const struct request *r, unsigned *added)
{
	struct err e = {0};
	const char *p = r->conditions;
	while ((p = strchr(p, 'X')) != NULL) {
		char *end;
		unsigned long n = strtoul(p + 1, &end, 16);
		uint8_t code[4096];
		if (*end != ',' || n > sizeof(code) || strlen(end + 1) < 2 * n ||
			!hex_decode(code, end + 1, n)) {
			reply_error(c, "a condition is XLENGTH,HEX of at most 4096 bytes");
			return false;
		}
		struct expr *x = expr_from_agent(code, n, &e);
		struct stop st;
		fill(c, r, &st);
		st.condition = x;
		if (!x || !intro_stop_add(c->s, &st, &e)) {
			expr_free(x);
			reply_err(c, &e);
			return false;
		}
		++*added;
		p = end + 1 + 2 * n;
	}
	return true;
}

void packet_Z(struct conn *c, char *args, size_t len)
{
	struct request r;
	struct stop st;
	struct err e = {0};
	unsigned added = 0;
	(void)len;
	if (!parse(c, args, &r))
		return;
	remove_all(c, &r); /* Z is idempotent */
	if (!add_conditions(c, &r, &added)) {
		remove_all(c, &r);
		return;
	}
	fill(c, &r, &st);
	if (!added && !intro_stop_add(c->s, &st, &e))
		reply_err(c, &e);
	else
		reply_ok(c);
}

void packet_z(struct conn *c, char *args, size_t len)
{
	struct request r;
	(void)len;
	if (!parse(c, args, &r))
		return;
	remove_all(c, &r);
	reply_ok(c);
}

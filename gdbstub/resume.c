/* Resuming and stopping. Resuming any level of a vCPU resumes the machine;
 * the stop is reported on the thread of the level where it happened. */
#include "gdbstub/handlers.h"

#include <stdlib.h>
#include <string.h>

/* Only a stop at this client's own Z packet may be marked as one: gdb drops a
 * marked stop where it has no breakpoint, and resumes. */
static void mark(struct conn *c, const struct stop_event *ev, struct buf *out)
{
	if (ev->why != WHY_STOP || ev->owner != OWNER_GDB || ev->client != c->id)
		return;
	const struct stop *st = intro_stop(c->s, ev->stop);
	if (!st)
		return;
	if (st->kind == STOP_WATCH) {
		const char *word = st->access == WATCH_WRITE ? "watch"
			: st->access == WATCH_READ           ? "rwatch"
							     : "awatch";
		buf_fmt(out, "%s:%llx;", word, (unsigned long long)ev->watch_address);
	} else if (st->kind == STOP_BREAK) {
		bool hardware = !strcmp(st->text, "gdb Z1");
		if (hardware && c->hwbreak)
			buf_str(out, "hwbreak:;");
		else if (!hardware && c->swbreak)
			buf_str(out, "swbreak:;");
	}
}

/* The signal number of gdb's own list: 2 SIGINT, 5 SIGTRAP, 11 SIGSEGV. */
static unsigned signal_of(const struct conn *c, const struct stop_event *ev)
{
	if (ev->why == WHY_PAUSE)
		return c->interrupt ? 2 : 0;
	return ev->why == WHY_SHUTDOWN ? 11 : 5;
}

static void expedite(struct conn *c, struct place at, enum reg_id id, struct buf *out)
{
	struct reg_value v;
	if (!intro_reg(c->s, at, id, &v))
		return;
	buf_fmt(out, "%02x:", id);
	buf_hex(out, v.bytes, target_regs(c, id));
	buf_char(out, ';');
}

void stop_reply(struct conn *c, const struct stop_event *ev, struct buf *out)
{
	if (ev->over && (ev->why == WHY_POWEROFF || ev->why == WHY_EXIT)) {
		buf_fmt(out, "W%02x", ev->status & 0xff);
		if (c->multiprocess)
			buf_fmt(out, ";process:%x", LEVEL_L1);
		return;
	}
	struct place at = ev->why == WHY_START ? intro_here(c->s) : ev->at;
	if (!c->multiprocess)
		at.level = c->level;
	c->general = c->resume = at;
	buf_fmt(out, "T%02x", signal_of(c, ev));
	mark(c, ev, out);
	buf_str(out, "thread:");
	thread_print(c, at, out);
	buf_char(out, ';');
	expedite(c, at, R_RSP, out);
	expedite(c, at, R_RIP, out);
}

static void send_stop(struct conn *c, const struct stop_event *ev)
{
	buf_clear(&c->reply);
	stop_reply(c, ev, &c->reply);
	c->running = c->range = c->interrupt = false;
	conn_send_packet(c, &c->reply);
}

/* A range step goes on while it stays inside. */
static bool range_goes_on(struct conn *c, const struct stop_event *ev)
{
	uint64_t rip;
	struct err e = {0};
	return c->range && ev->why == WHY_STEP && ev->at.level == c->range_at.level &&
		ev->at.vcpu == c->range_at.vcpu &&
		intro_reg_u64(c->s, ev->at, R_RIP, &rip) && rip >= c->range_low &&
		rip < c->range_high && !c->interrupt &&
		intro_step(c->s, c->range_at, c->range_step, 1, &e);
}

void conn_stopped(struct conn *c, const struct stop_event *ev)
{
	if (c->running && !range_goes_on(c, ev))
		send_stop(c, ev);
}

void packet_why(struct conn *c, char *args, size_t len)
{
	(void)args, (void)len;
	if (intro_running(c->s)) { /* answered at the next stop */
		c->running = true;
		c->no_reply = true;
		if (conn_controls(c))
			intro_pause(c->s);
		return;
	}
	stop_reply(c, intro_last_stop(c->s), &c->reply);
}

/* After a request: the reply comes with the stop. */
static void resumed(struct conn *c, bool ok, const struct err *e)
{
	if (!ok && intro_running(c->s))
		ok = true; /* somebody else resumed: this client waits for the same stop */
	if (!ok) {
		const struct stop_event *last = intro_last_stop(c->s);
		if (last->over)
			stop_reply(c, last, &c->reply);
		else
			reply_err(c, e);
		return;
	}
	c->running = true;
	c->interrupt = false;
	c->no_reply = true;
}

void packet_c(struct conn *c, char *args, size_t len)
{
	struct err e = {0};
	(void)args, (void)len;
	resumed(c, intro_continue(c->s, &e), &e);
}

/* A vCPU steps as a whole, at the level that it runs. A client that knows one
 * level alone steps within that level: it could not see a stop elsewhere. */
static void step(struct conn *c, struct place at)
{
	struct err e = {0};
	struct intro_vcpu v;
	bool within = c->one_level && intro_place_state(c->s, at) != PLACE_NONE;
	if (!within && intro_vcpu(c->s, at.vcpu, &v))
		at.level = v.level;
	c->range_at = at;
	c->range_step = within ? STEP_WITHIN : STEP_THROUGH;
	resumed(c, intro_step(c->s, at, c->range_step, 1, &e), &e);
}

void packet_s(struct conn *c, char *args, size_t len)
{
	(void)args, (void)len;
	step(c, c->resume);
}

void packet_vCont_query(struct conn *c, char *args, size_t len)
{
	(void)args, (void)len;
	buf_str(&c->reply, "vCont;c;C;s;S;t;r");
}

/* One action "s:p1.1"; true when it is a step and *at its thread. */
static bool action(struct conn *c, char *text, struct place *at)
{
	char *colon = strchr(text, ':');
	bool all = true;
	*at = c->resume;
	if (colon) {
		const char *p = colon + 1;
		if (!thread_parse(c, &p, at, &all))
			return false;
	}
	if (text[0] == 'r') {
		char *end;
		c->range_low = strtoull(text + 1, &end, 16);
		c->range_high = *end == ',' ? strtoull(end + 1, NULL, 16) : 0;
		c->range = true;
		return true;
	}
	return text[0] == 's' || text[0] == 'S';
}

void packet_vCont(struct conn *c, char *args, size_t len)
{
	char *save = NULL;
	(void)len;
	c->range = false;
	for (char *a = strtok_r(args, ";", &save); a; a = strtok_r(NULL, ";", &save)) {
		struct place at;
		if (a[0] == 't') {
			intro_pause(c->s);
			reply_ok(c);
			return;
		}
		if (action(c, a, &at)) {
			step(c, at);
			return;
		}
	}
	packet_c(c, args, 0);
}

void packet_vCtrlC(struct conn *c, char *args, size_t len)
{
	(void)args, (void)len;
	c->interrupt = true;
	intro_pause(c->s);
	reply_ok(c);
}

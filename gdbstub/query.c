/* Who we are: features, attach, detach, kill, monitor. */
#include "gdbstub/handlers.h"

#include "base/hex.h"

#include <stdlib.h>
#include <string.h>

void packet_ok(struct conn *c, char *args, size_t len)
{
	(void)args, (void)len;
	reply_ok(c);
}

void packet_empty(struct conn *c, char *args, size_t len)
{
	(void)c, (void)args, (void)len;
}

static bool has(const char *list, const char *word)
{
	size_t n = strlen(word);
	for (const char *p = list; (p = strstr(p, word)) != NULL; p += n)
		if ((p == list || p[-1] == ';' || p[-1] == ':') && (p[n] == ';' || !p[n]))
			return true;
	return false;
}

void packet_qSupported(struct conn *c, char *args, size_t len)
{
	(void)len;
	c->multiprocess = !c->one_level && has(args, "multiprocess+");
	c->swbreak = has(args, "swbreak+");
	c->hwbreak = has(args, "hwbreak+");
	c->error_text = (c->multiprocess && has(args, "swbreak+")) || has(args, "error-message+");
	/* The two bytes of a frame and its checksum fit beside the payload. */
	buf_fmt(&c->reply,
		"PacketSize=%x;qXfer:features:read+;qXfer:threads:read+;qXfer:memory-map:read+;"
		"QStartNoAckMode+;swbreak+;hwbreak+;vContSupported+;ConditionalBreakpoints+%s",
		FRAME_MAX - 64, c->one_level ? "" : ";multiprocess+");
	c->general = c->resume = intro_here(c->s);
	if (!c->multiprocess)
		c->general.level = c->resume.level = c->level;
}

void packet_QStartNoAckMode(struct conn *c, char *args, size_t len)
{
	(void)args, (void)len;
	c->no_ack = true;
	reply_ok(c);
}

void packet_qAttached(struct conn *c, char *args, size_t len)
{
	(void)args, (void)len;
	buf_str(&c->reply, "1");
}

void packet_vAttach(struct conn *c, char *args, size_t len)
{
	struct intro_level level;
	unsigned id = len > 1 ? (unsigned)strtoul(args + 1, NULL, 16) : 0;
	if (!intro_level(c->s, id, &level)) {
		reply_error(c, "no such level; see `info inferiors` and `monitor levels`");
		return;
	}
	c->general = c->resume = (struct place){id, intro_here(c->s).vcpu};
	if (!c->multiprocess)
		c->level = id;
	buf_str(&c->reply, "T05thread:");
	thread_print(c, c->general, &c->reply);
	buf_char(&c->reply, ';');
}

/* Are there processes that the client has not detached from? */
static bool attached(struct conn *c)
{
	struct place at[INTRO_MAX_VCPUS * 4];
	unsigned n = thread_list(c, at, sizeof(at) / sizeof(at[0]));
	for (unsigned i = 0; i < n; i++)
		if (!(c->detached >> at[i].level & 1))
			return true;
	return false;
}

/* Detaching from one process of several leaves the others; with the last one
 * the guest goes on. */
void packet_D(struct conn *c, char *args, size_t len)
{
	struct err e = {0};
	bool controls = conn_controls(c);
	reply_ok(c);
	if (len && c->multiprocess) {
		unsigned gone = (unsigned)strtoul(args + 1, NULL, 16);
		for (unsigned i = intro_stop_count(c->s); i-- > 0;) {
			const struct stop *st = intro_stop_at(c->s, i);
			if (st->owner == OWNER_GDB && st->client == c->id && st->level == gone)
				intro_stop_del(c->s, st->id);
		}
		c->detached |= gone < INTRO_MAX_LEVELS ? BIT(gone) : 0;
		if (attached(c))
			return;
	}
	intro_stop_del_owner(c->s, OWNER_GDB, c->id);
	if (controls && !intro_running(c->s))
		intro_continue(c->s, &e); /* a machine that is over stays where it is */
}

static void end(struct conn *c)
{
	struct gdbstub *g = c->g;
	if (g->cfg.owns && conn_controls(c) && g->cfg.kill)
		g->cfg.kill(g->cfg.ctx);
	else
		packet_D(c, NULL, 0);
}

void packet_k(struct conn *c, char *args, size_t len)
{
	(void)args, (void)len;
	end(c);
	c->no_reply = true;
	conn_close(c);
}

void packet_vKill(struct conn *c, char *args, size_t len)
{
	(void)args, (void)len;
	end(c);
	reply_ok(c);
}

/* What only the stub knows: the address space of m, M and X. */
static bool own_command(struct conn *c, const char *line, struct buf *out)
{
	if (strncmp(line, "physical", 8) || (line[8] && line[8] != ' '))
		return false;
	const char *arg = line[8] ? line + 9 : "";
	if (!strcmp(arg, "on") || !strcmp(arg, "off"))
		c->physical = !strcmp(arg, "on");
	else if (*arg)
		buf_str(out, "physical on|off: whether gdb's memory is guest-physical\n");
	buf_fmt(out, "memory is read and written %s\n",
		c->physical ? "guest-physical" : "through the level's page tables");
	return true;
}

void packet_qRcmd(struct conn *c, char *args, size_t len)
{
	char line[1024];
	struct buf out = {0};
	const struct gdbstub_config *cfg = &c->g->cfg;
	if (len / 2 >= sizeof(line) || !hex_decode(line, args, len / 2)) {
		reply_error(c, "a monitor command has at most 1023 characters");
		return;
	}
	line[len / 2] = 0;
	if (!own_command(c, line, &out)) {
		if (!cfg->monitor)
			buf_str(&out, "no commands in this session\n");
		else
			cfg->monitor(cfg->ctx, c->general.level, c->general.vcpu, line, &out);
	}
	if (out.len > FRAME_MAX / 2 - 64)
		out.len = FRAME_MAX / 2 - 64;
	if (out.len)
		buf_hex(&c->reply, out.data, out.len);
	else
		reply_ok(c);
	buf_done(&out);
}

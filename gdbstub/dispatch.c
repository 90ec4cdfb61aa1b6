/* From bytes to packets to handlers; the table is packets.def. */
#include "gdbstub/conn.h"

#include "gdbstub/handlers.h"

#include <stdlib.h>
#include <string.h>

enum rights { LOOK, CHANGE };

static const struct packet {
	const char *name;
	packet_fn *run;
	enum rights rights;
	const char *help;
} packets[] = {
#define PACKET(name, fn, rights, help) {name, fn, rights, help},
#include "gdbstub/packets.def"
#undef PACKET
};

bool conn_controls(const struct conn *c)
{
	for (unsigned i = 0; i < GDBSTUB_CLIENTS; i++) {
		const struct conn *o = &c->g->conn[i];
		if (o != c && o->open && o->listener == c->listener && o->id < c->id)
			return false;
	}
	return true;
}

void reply_ok(struct conn *c)
{
	buf_clear(&c->reply);
	buf_str(&c->reply, "OK");
}

void reply_error(struct conn *c, const char *why)
{
	buf_clear(&c->reply);
	if (c->error_text)
		buf_fmt(&c->reply, "E.%s", why);
	else
		buf_str(&c->reply, "E01");
}

void reply_err(struct conn *c, const struct err *e)
{
	reply_error(c, e->msg);
}

static const struct packet *find(const char *payload)
{
	const struct packet *best = NULL;
	size_t longest = 0;
	for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
		size_t n = strlen(packets[i].name);
		if (n > longest && !strncmp(payload, packets[i].name, n)) {
			best = &packets[i];
			longest = n;
		}
	}
	/* One-letter packets take anything behind the letter; words of q, Q, v
	 * and j end at their name or at a separator. */
	if (best && longest > 1 && payload[longest] && !strchr(":;,?", payload[longest]) &&
		!strchr(":,?", payload[longest - 1]))
		return NULL;
	return best;
}

void conn_handle(struct conn *c, const char *payload, size_t len)
{
	const struct packet *p = find(payload);
	buf_clear(&c->reply);
	buf_add(&c->reply, "", 0);
	c->no_reply = false;
	if (p && p->rights == CHANGE && !conn_controls(c)) {
		reply_error(c, "another client controls the machine; this one may look");
	} else if (p) {
		size_t skip = strlen(p->name);
		/* Handlers may cut their arguments up. */
		char *args = xalloc(len - skip + 1);
		memcpy(args, payload + skip, len - skip);
		thread_suffix(c, args);
		p->run(c, args, len - skip);
		free(args);
	}
	if (c->open && !c->no_reply)
		conn_send_packet(c, &c->reply);
}

static void ack(struct conn *c, char sign)
{
	if (!c->no_ack)
		buf_char(&c->send, sign);
}

void conn_bytes(struct conn *c, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n && c->open; i++) {
		switch (frame_feed(&c->frame, (unsigned char)bytes[i])) {
		case FRAME_PACKET:
			ack(c, '+');
			conn_handle(c, c->frame.payload.data, c->frame.payload.len);
			break;
		case FRAME_BAD:
		case FRAME_TOO_LONG:
			ack(c, '-');
			break;
		case FRAME_NAK:
			/* bounded: a flood of '-' must not become a flood of answers */
			if (!c->no_ack && c->send.len < FRAME_MAX)
				buf_add(&c->send, c->last.data, c->last.len);
			break;
		case FRAME_INTERRUPT:
			if (conn_controls(c)) {
				c->interrupt = true;
				intro_pause(c->s);
			}
			break;
		case FRAME_NONE:
		case FRAME_ACK:
			break;
		}
	}
}

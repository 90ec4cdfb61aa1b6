/* One client of the stub, as the files of gdbstub/ share it.
 *
 * Handlers get the payload behind the packet's name and fill conn->reply; the
 * dispatcher sends it. A handler that answers later (resuming) sets no_reply.
 */
#ifndef GDBSTUB_CONN_H
#define GDBSTUB_CONN_H

#include "gdbstub/frame.h"
#include "gdbstub/gdbstub.h"
#include "introspect/memory.h"
#include "introspect/regs.h"
#include "introspect/run.h"
#include "introspect/session.h"

#define GDBSTUB_CLIENTS   8
#define GDBSTUB_LISTENERS 8
#define GDBSTUB_SEND_MAX  (16u * 1024 * 1024) /* a client that does not read is dropped */

struct conn {
	struct gdbstub *g;
	struct intro *s;
	bool open;
	unsigned listener;
	uint32_t id;           /* owner of its stops; never given twice */
	int in, out;           /* descriptors; equal for sockets */
	int in_watch, out_watch;
	struct frame frame;
	struct buf send;       /* bytes that wait for the socket */
	struct buf last;       /* last packet as sent, for '-' */

	bool no_ack;           /* QStartNoAckMode */
	bool multiprocess, swbreak, hwbreak, error_text;
	bool thread_suffix;    /* lldb's ";thread:N;" */
	bool i386;             /* 32-bit description */
	bool physical;         /* m, M, X are guest-physical */
	unsigned level;        /* the level of a client without multiprocess */
	bool one_level;        /* the listener is of one level: no multiprocess */
	struct place general;  /* Hg */
	struct place resume;   /* Hc */

	bool running;          /* resumed: a stop reply is owed */
	bool interrupt;        /* it sent 03h since */
	bool range;            /* vCont;r: step on while rip is in [low, high) */
	struct place range_at;
	enum step_kind range_step;
	uint64_t range_low, range_high;
	unsigned thread_next;  /* qsThreadInfo */
	uint64_t detached;     /* levels it has detached from: bit per id */

	struct buf reply;
	bool no_reply;
};

struct gdbstub {
	struct gdbstub_config cfg;
	struct conn conn[GDBSTUB_CLIENTS];
	struct listener {
		int fd, watch;
		unsigned level;
		bool one_level, i386;
		char address[128];
		char path[108]; /* unix: removed at the end */
	} listener[GDBSTUB_LISTENERS];
	unsigned listeners;
	uint32_t next_id;
	unsigned subscription; /* EVENT_STOP */
};

/* --- dispatch.c */
void conn_bytes(struct conn *c, const char *bytes, size_t n);
void conn_handle(struct conn *c, const char *payload, size_t len);
bool conn_controls(const struct conn *c); /* the first client of its listener */

/* --- server.c */
void conn_send_packet(struct conn *c, const struct buf *payload);
void conn_close(struct conn *c);

/* --- replies */
void reply_ok(struct conn *c);
void reply_error(struct conn *c, const char *why);
void reply_err(struct conn *c, const struct err *e);

/* --- threads.c: ids as text */
void thread_print(struct conn *c, struct place at, struct buf *out);
/* Reads "p2.1", "p2.-1", "3", "-1", "0"; *all when a part is -1. Moves *p. */
bool thread_parse(struct conn *c, const char **p, struct place *at, bool *all);
/* Every place this client may see; returns how many. */
unsigned thread_list(struct conn *c, struct place *out, unsigned max);
/* Takes lldb's ";thread:N;" off the end of args into c->general. */
void thread_suffix(struct conn *c, char *args);

/* --- resume.c */
void conn_stopped(struct conn *c, const struct stop_event *ev);
void stop_reply(struct conn *c, const struct stop_event *ev, struct buf *out);

/* --- target_xml.c */
void target_xml(const struct conn *c, struct buf *out);
unsigned target_regs(const struct conn *c, enum reg_id id); /* bytes of a register on the wire */
/* The last register of `g`; the others come by `p`. What comes before is what gdb
 * expects of an x86-64 process without a description. */
#define TARGET_G_END R_GS_BASE

/* --- threads.c: part of a document as qXfer asks for it */
void xfer(struct conn *c, const char *range, const struct buf *doc);

/* --- crc.c */
uint32_t gdb_crc32(uint32_t crc, const uint8_t *p, size_t n);

typedef void packet_fn(struct conn *c, char *args, size_t len);

#endif

/* The GDB remote protocol on a session: L1 and each L2 as an inferior.
 *
 * Process ids are level ids (1 is L1, 2 and up the L2 guests), thread n of a
 * process is vCPU n - 1. The first client of a listener controls the machine,
 * later ones may read. Listens on loopback unless an address is named.
 * Everything happens inside the event loop; nothing here blocks.
 */
#ifndef GDBSTUB_GDBSTUB_H
#define GDBSTUB_GDBSTUB_H

#include "base/err.h"

#include <stdbool.h>

struct intro;
struct loop;
struct gdbstub;
struct buf;

struct gdbstub_config {
	struct intro *session; /* not owned */
	struct loop *loop;     /* not owned */
	bool owns;             /* k and vKill end the machine (--gdb-owns); else they detach */
	void (*kill)(void *ctx);
	/* gdb's `monitor LINE`: output for gdb goes to out; false: the command
	 * failed (out says why). NULL: no monitor. */
	bool (*monitor)(void *ctx, unsigned level, unsigned vcpu, const char *line, struct buf *out);
	void *ctx;
};

struct gdbstub *gdbstub_new(const struct gdbstub_config *cfg);
void gdbstub_free(struct gdbstub *g);

/* "tcp:HOST:PORT", "tcp:PORT", "unix:PATH" or "stdio", then optionally
 * ",level=l1|l2[:N]" for clients without multiprocess and ",arch=i386" for a
 * 32-bit target description. Port 0 takes a free one. */
bool gdbstub_listen(struct gdbstub *g, const char *spec, struct err *e);

/* What the i-th listener listens on ("127.0.0.1:1234"), NULL past the end. */
const char *gdbstub_address(const struct gdbstub *g, unsigned i);

/* Connected clients. */
unsigned gdbstub_clients(const struct gdbstub *g);

/* A connection over descriptors that are already open (tests, stdio);
 * takes them over. */
bool gdbstub_attach(struct gdbstub *g, int in, int out, unsigned level, struct err *e);

#endif

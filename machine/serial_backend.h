/* Where a serial port or console leads on the host: stdio, none, file:PATH,
 * unix:PATH (listens; one client at a time), pty.
 *
 * Output goes straight out. Input is read by the event loop, only as much as
 * the device has room for, and enters through the input log.
 */
#ifndef MACHINE_SERIAL_BACKEND_H
#define MACHINE_SERIAL_BACKEND_H

#include "base/err.h"
#include "base/input.h"
#include "machine/serial.h"

struct loop;
struct serial_host;

struct serial_host_config {
	const char *spec;
	struct loop *loop;
	struct inputs *inputs;
	enum input_kind kind; /* INPUT_SERIAL or INPUT_CONSOLE */
	uint32_t target;
	bool no_stdin; /* a front end reads what is typed, and lends it by serial_host_stdin */
	size_t (*room)(void *ctx); /* bytes the device can take */
	void *room_ctx;
	/* Ctrl-A x was typed at a stdio terminal, which is in raw mode. */
	void (*quit)(void *ctx);
	void *quit_ctx;
	/* Says where a pty is; may be NULL. */
	void (*announce)(void *ctx, const char *line);
	void *announce_ctx;
};

struct serial_host *serial_host_open(const struct serial_host_config *cfg, struct err *e);
void serial_host_close(struct serial_host *h); /* terminal modes back */
/* With no_stdin: from now on, or no longer, a port on stdio reads what is typed.
 * Signals from the terminal stay the front end's. Nothing for other ports. */
void serial_host_stdin(struct serial_host *h, bool lent);
struct serial_backend serial_host_backend(struct serial_host *h);

/* True for a specification that wants standard input. */
bool serial_host_is_stdio(const char *spec);

#endif

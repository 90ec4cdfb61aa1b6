#include "machine/serial_backend.h"

#include "base/buf.h"
#include "base/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

enum { ESCAPE = 1 /* Ctrl-A */, CHUNK = 256 };

struct serial_host {
	struct serial_host_config cfg;
	int in, out, listener; /* -1: none */
	int in_id, listener_id, source;
	bool is_stdio, raw, owns_out, escape;
	struct termios before;
	char *unlink_path; /* owned; a socket to remove */
};

bool serial_host_is_stdio(const char *spec)
{
	return !strcmp(spec, "stdio");
}

static void write_out(void *ctx, const uint8_t *data, size_t n)
{
	struct serial_host *h = ctx;
	while (n && h->out >= 0) {
		ssize_t put = write(h->out, data, n);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0 && errno == EAGAIN && h->is_stdio) {
			struct pollfd p = {.fd = h->out, .events = POLLOUT};
			poll(&p, 1, 100);
			continue;
		}
		if (put <= 0)
			return; /* nobody listens, or the client is slow: bytes are lost as on a wire */
		data += put;
		n -= (size_t)put;
	}
}

struct serial_backend serial_host_backend(struct serial_host *h)
{
	return (struct serial_backend){write_out, h};
}

static void stop_input(struct serial_host *h)
{
	loop_del(h->cfg.loop, h->in_id);
	h->in_id = 0;
	if (h->in >= 0 && !h->is_stdio) {
		close(h->in);
		if (h->out == h->in)
			h->out = -1;
	}
	h->in = -1;
}

/* Takes Ctrl-A x out of what was typed; Ctrl-A Ctrl-A is one Ctrl-A. */
static size_t typed(struct serial_host *h, uint8_t *p, size_t n)
{
	size_t keep = 0;
	for (size_t i = 0; i < n; i++) {
		if (h->escape) {
			h->escape = false;
			if (p[i] == 'x') {
				h->cfg.quit(h->cfg.quit_ctx);
				continue;
			}
		} else if (p[i] == ESCAPE) {
			h->escape = true;
			continue;
		}
		p[keep++] = p[i];
	}
	return keep;
}

static void readable(void *ctx, short revents)
{
	struct serial_host *h = ctx;
	uint8_t piece[CHUNK];
	size_t room = h->cfg.room(h->cfg.room_ctx);
	if (!room)
		return;
	(void)revents;
	ssize_t got = read(h->in, piece, room < CHUNK ? room : CHUNK);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		stop_input(h);
		return;
	}
	size_t n = h->raw && h->cfg.quit ? typed(h, piece, (size_t)got) : (size_t)got;
	if (n)
		input_put(h->cfg.inputs, h->cfg.kind, h->cfg.target, piece, (uint32_t)n);
}

static void before_poll(void *ctx, int *timeout_ms)
{
	struct serial_host *h = ctx;
	(void)timeout_ms;
	if (h->in_id)
		loop_events(h->cfg.loop, h->in_id, h->cfg.room(h->cfg.room_ctx) ? POLLIN : 0);
}

static void start_input(struct serial_host *h, int fd)
{
	h->in = fd;
	h->in_id = loop_add(h->cfg.loop, fd, POLLIN, readable, h);
}

/* `kept`: local modes that the terminal does not lose. */
static void take_stdin(struct serial_host *h, tcflag_t kept)
{
	if (isatty(STDIN_FILENO) && !tcgetattr(STDIN_FILENO, &h->before)) {
		struct termios raw = h->before;
		raw.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
		raw.c_lflag &= kept | ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
		h->raw = !tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	start_input(h, STDIN_FILENO);
}

static void give_stdin_back(struct serial_host *h)
{
	if (h->raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &h->before);
	h->raw = false;
	stop_input(h);
}

void serial_host_stdin(struct serial_host *h, bool lent)
{
	if (!h->is_stdio || !h->cfg.no_stdin)
		return;
	give_stdin_back(h);
	if (lent)
		take_stdin(h, ISIG);
}

static bool open_stdio(struct serial_host *h)
{
	h->is_stdio = true;
	h->out = STDOUT_FILENO;
	if (!h->cfg.no_stdin)
		take_stdin(h, 0);
	return true;
}

static void accepted(void *ctx, short revents)
{
	struct serial_host *h = ctx;
	(void)revents;
	int fd = accept4(h->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	stop_input(h);
	h->out = fd;
	start_input(h, fd);
}

static bool open_unix(struct serial_host *h, const char *path, struct err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct stat st;
	if (!*path || strlen(path) >= sizeof(a.sun_path))
		return err_set(e, ERR_USAGE, "a socket's path has 1 to %zu characters: \"%s\"",
			sizeof(a.sun_path) - 1, path);
	strcpy(a.sun_path, path);
	if (!stat(path, &st) && S_ISSOCK(st.st_mode))
		unlink(path);
	h->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (h->listener < 0 || bind(h->listener, (struct sockaddr *)&a, sizeof(a)) ||
		listen(h->listener, 1))
		return err_errno(e, "serial unix:%s", path);
	h->unlink_path = xstrdup(path);
	h->listener_id = loop_add(h->cfg.loop, h->listener, POLLIN, accepted, h);
	return true;
}

static bool open_pty(struct serial_host *h, struct err *e)
{
	int master, slave;
	char name[128], line[160];
	if (openpty(&master, &slave, name, NULL, NULL))
		return err_errno(e, "serial pty");
	struct termios raw;
	if (!tcgetattr(slave, &raw)) {
		cfmakeraw(&raw);
		tcsetattr(slave, TCSANOW, &raw);
	}
	/* The slave stays open here, so that the master never reads an error
	 * while nobody is attached. */
	h->listener = slave;
	fcntl(master, F_SETFL, O_NONBLOCK);
	h->out = master;
	start_input(h, master);
	strcpy(line, "serial port on ");
	strncat(line, name, sizeof(line) - strlen(line) - 1);
	if (h->cfg.announce)
		h->cfg.announce(h->cfg.announce_ctx, line);
	return true;
}

static bool open_spec(struct serial_host *h, struct err *e)
{
	const char *spec = h->cfg.spec;
	if (!strcmp(spec, "none"))
		return true;
	if (serial_host_is_stdio(spec))
		return open_stdio(h);
	if (!strncmp(spec, "file:", 5)) {
		h->owns_out = true;
		h->out = open(spec + 5, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		return h->out >= 0 || err_errno(e, "serial %s", spec);
	}
	if (!strncmp(spec, "unix:", 5))
		return open_unix(h, spec + 5, e);
	if (!strcmp(spec, "pty"))
		return open_pty(h, e);
	return err_set(e, ERR_USAGE,
		"a serial port leads to stdio, none, file:PATH, unix:PATH or pty, not to \"%s\"", spec);
}

struct serial_host *serial_host_open(const struct serial_host_config *cfg, struct err *e)
{
	struct serial_host *h = xalloc(sizeof(*h));
	h->cfg = *cfg;
	h->in = h->out = h->listener = -1;
	h->source = loop_add_source(cfg->loop, &(struct loop_source){before_poll, NULL, h});
	if (!open_spec(h, e)) {
		serial_host_close(h);
		return NULL;
	}
	return h;
}

void serial_host_close(struct serial_host *h)
{
	if (!h)
		return;
	give_stdin_back(h);
	loop_del(h->cfg.loop, h->source);
	loop_del(h->cfg.loop, h->listener_id);
	if (h->owns_out && h->out >= 0)
		close(h->out);
	if (h->listener >= 0)
		close(h->listener);
	if (h->unlink_path)
		unlink(h->unlink_path);
	free(h->unlink_path);
	free(h);
}

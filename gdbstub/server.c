/* Sockets of the stub: listeners, connections, bytes in and out. The only file
 * of the folder that touches descriptors. */
#include "gdbstub/conn.h"

#include "base/hex.h"
#include "base/loop.h"
#include "introspect/events.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void on_stop(void *ctx, const struct event *ev)
{
	struct gdbstub *g = ctx;
	for (unsigned i = 0; i < GDBSTUB_CLIENTS; i++)
		if (g->conn[i].open)
			conn_stopped(&g->conn[i], ev->stop);
}

struct gdbstub *gdbstub_new(const struct gdbstub_config *cfg)
{
	struct gdbstub *g = xalloc(sizeof(*g));
	struct event_filter f;
	g->cfg = *cfg;
	g->next_id = 1;
	event_filter_init(&f, EVENT_STOP);
	g->subscription = intro_subscribe(cfg->session, &f, on_stop, g, NULL);
	return g;
}

void gdbstub_free(struct gdbstub *g)
{
	if (!g)
		return;
	for (unsigned i = 0; i < GDBSTUB_CLIENTS; i++)
		if (g->conn[i].open)
			conn_close(&g->conn[i]);
	for (unsigned i = 0; i < g->listeners; i++) {
		struct listener *l = &g->listener[i];
		if (l->watch)
			loop_del(g->cfg.loop, l->watch);
		if (l->fd >= 0)
			close(l->fd);
		if (l->path[0])
			unlink(l->path);
	}
	intro_unsubscribe(g->cfg.session, g->subscription);
	free(g);
}

const char *gdbstub_address(const struct gdbstub *g, unsigned i)
{
	return i < g->listeners ? g->listener[i].address : NULL;
}

unsigned gdbstub_clients(const struct gdbstub *g)
{
	unsigned n = 0;
	for (unsigned i = 0; i < GDBSTUB_CLIENTS; i++)
		n += g->conn[i].open;
	return n;
}

/* --- connections --------------------------------------------------------- */

void conn_close(struct conn *c)
{
	struct loop *loop = c->g->cfg.loop;
	c->open = false;
	loop_del(loop, c->in_watch);
	if (c->out_watch)
		loop_del(loop, c->out_watch);
	close(c->in);
	if (c->out != c->in)
		close(c->out);
	intro_stop_del_owner(c->s, OWNER_GDB, c->id);
	frame_done(&c->frame);
	buf_done(&c->send);
	buf_done(&c->last);
	buf_done(&c->reply);
}

static void writable(void *ctx, short revents);

/* Sends what the socket takes; the rest waits for POLLOUT. */
static void flush(struct conn *c)
{
	while (c->send.len) {
		ssize_t n = write(c->out, c->send.data, c->send.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (n <= 0) {
			conn_close(c);
			return;
		}
		buf_eat(&c->send, (size_t)n);
	}
	struct loop *loop = c->g->cfg.loop;
	if (c->send.len > GDBSTUB_SEND_MAX) {
		conn_close(c);
	} else if (c->send.len && !c->out_watch) {
		c->out_watch = loop_add(loop, c->out, POLLOUT, writable, c);
	} else if (!c->send.len && c->out_watch) {
		loop_del(loop, c->out_watch);
		c->out_watch = 0;
	}
}

static void writable(void *ctx, short revents)
{
	(void)revents;
	flush(ctx);
}

void conn_send_packet(struct conn *c, const struct buf *payload)
{
	buf_clear(&c->last);
	frame_encode(&c->last, payload->data ? payload->data : "", payload->len);
	buf_add(&c->send, c->last.data, c->last.len);
	flush(c);
}

static void readable(void *ctx, short revents)
{
	struct conn *c = ctx;
	char bytes[65536];
	(void)revents;
	ssize_t n = read(c->in, bytes, sizeof(bytes));
	if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
		return;
	if (n <= 0) {
		conn_close(c);
		return;
	}
	conn_bytes(c, bytes, (size_t)n);
	if (c->open)
		flush(c);
}

static struct conn *new_conn(struct gdbstub *g, int in, int out, unsigned listener, unsigned level)
{
	struct conn *c = NULL;
	for (unsigned i = 0; i < GDBSTUB_CLIENTS && !c; i++)
		if (!g->conn[i].open)
			c = &g->conn[i];
	if (!c)
		return NULL;
	memset(c, 0, sizeof(*c));
	c->g = g;
	c->s = g->cfg.session;
	c->open = true;
	c->id = g->next_id++;
	c->in = in;
	c->out = out;
	c->listener = listener;
	c->level = level;
	c->general = c->resume = (struct place){level, 0};
	fcntl(in, F_SETFL, fcntl(in, F_GETFL) | O_NONBLOCK);
	fcntl(out, F_SETFL, fcntl(out, F_GETFL) | O_NONBLOCK);
	c->in_watch = loop_add(g->cfg.loop, in, POLLIN, readable, c);
	/* Somebody who attaches finds the machine standing, as with any stub. */
	if (conn_controls(c))
		intro_pause(c->s);
	return c;
}

bool gdbstub_attach(struct gdbstub *g, int in, int out, unsigned level, struct err *e)
{
	if (new_conn(g, in, out, GDBSTUB_LISTENERS, level))
		return true;
	return err_set(e, ERR_GENERAL, "gdb stub: %d clients are connected, no more are taken",
		GDBSTUB_CLIENTS);
}

static void acceptable(void *ctx, short revents)
{
	struct gdbstub *g = ctx;
	(void)revents;
	for (unsigned i = 0; i < g->listeners; i++) {
		struct listener *l = &g->listener[i];
		int fd = l->fd < 0 ? -1 : accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		int one = 1;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		struct conn *c = new_conn(g, fd, fd, i, l->level);
		if (!c) {
			close(fd);
			continue;
		}
		c->i386 = l->i386;
		c->one_level = l->one_level;
	}
}

/* --- listeners ------------------------------------------------------------ */

static bool listen_on(struct listener *l, int fd, const struct sockaddr *sa, socklen_t len,
	const char *what, struct err *e)
{
	if (fd < 0)
		return err_errno(e, "--gdb %s: no socket", what);
	int one = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, sa, len) || listen(fd, GDBSTUB_CLIENTS)) {
		err_errno(e, "--gdb %s: cannot listen there", what);
		close(fd);
		return false;
	}
	l->fd = fd;
	return true;
}

/* "HOST:PORT" or "PORT"; without a host, loopback. */
static bool listen_tcp(struct listener *l, const char *text, struct err *e)
{
	char host[64] = "127.0.0.1";
	const char *colon = strrchr(text, ':');
	uint64_t port;
	if (colon && colon != text)
		snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
	if (!strcmp(host, "localhost"))
		strcpy(host, "127.0.0.1");
	struct sockaddr_in sa = {.sin_family = AF_INET};
	if (!parse_u64(colon ? colon + 1 : text, &port) || port > 65535 ||
		inet_pton(AF_INET, host, &sa.sin_addr) != 1)
		return err_set(e, ERR_USAGE,
			"--gdb tcp:%s: wants HOST:PORT with an IPv4 address and a port up to 65535",
			text);
	sa.sin_port = htons((uint16_t)port);
	if (!listen_on(l, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
		    (struct sockaddr *)&sa, sizeof(sa), text, e))
		return false;
	socklen_t len = sizeof(sa);
	getsockname(l->fd, (struct sockaddr *)&sa, &len);
	snprintf(l->address, sizeof(l->address), "%s:%u", host, ntohs(sa.sin_port));
	return true;
}

static bool listen_unix(struct listener *l, const char *path, struct err *e)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	if (!*path || strlen(path) >= sizeof(sa.sun_path))
		return err_set(e, ERR_USAGE, "--gdb unix:%s: the path has 1 to %zu characters",
			path, sizeof(sa.sun_path) - 1);
	strcpy(sa.sun_path, path);
	if (!listen_on(l, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
		    (struct sockaddr *)&sa, sizeof(sa), path, e))
		return false;
	snprintf(l->path, sizeof(l->path), "%s", path);
	snprintf(l->address, sizeof(l->address), "%s", path);
	return true;
}

static bool option(struct listener *l, const char *word, struct err *e)
{
	uint64_t n;
	if (!strcmp(word, "level=l1")) {
		l->level = LEVEL_L1;
		l->one_level = true;
	} else if (!strcmp(word, "level=l2")) {
		l->level = LEVEL_L2;
		l->one_level = true;
	} else if (!strncmp(word, "level=l2:", 9) && parse_u64(word + 9, &n) && n >= 1 &&
		n < INTRO_MAX_LEVELS) {
		l->level = LEVEL_L2 + (unsigned)n - 1;
		l->one_level = true;
	} else if (!strcmp(word, "arch=i386")) {
		l->i386 = true;
	} else {
		return err_set(e, ERR_USAGE,
			"--gdb: unknown part '%s'; level=l1, level=l2, level=l2:N or arch=i386", word);
	}
	return true;
}

bool gdbstub_listen(struct gdbstub *g, const char *spec, struct err *e)
{
	if (g->listeners == GDBSTUB_LISTENERS)
		return err_set(e, ERR_USAGE, "--gdb: at most %d listeners", GDBSTUB_LISTENERS);
	struct listener *l = &g->listener[g->listeners];
	*l = (struct listener){.fd = -1, .level = LEVEL_L1};
	char *text = xstrdup(spec), *save = NULL;
	char *where = strtok_r(text, ",", &save);
	bool ok = where != NULL;
	for (char *w; ok && (w = strtok_r(NULL, ",", &save));)
		ok = option(l, w, e);
	if (!ok)
		err_set(e, ERR_USAGE, "--gdb wants tcp:HOST:PORT, unix:PATH or stdio");
	else if (!strncmp(where, "tcp:", 4))
		ok = listen_tcp(l, where + 4, e);
	else if (!strncmp(where, "unix:", 5))
		ok = listen_unix(l, where + 5, e);
	else if (!strcmp(where, "stdio"))
		ok = gdbstub_attach(g, dup(0), dup(1), l->level, e);
	else
		ok = err_set(e, ERR_USAGE,
			"--gdb '%s': wants tcp:HOST:PORT, unix:PATH or stdio", where);
	free(text);
	if (!ok)
		return false;
	if (l->fd >= 0)
		l->watch = loop_add(g->cfg.loop, l->fd, POLLIN, acceptable, g);
	g->listeners++;
	return true;
}

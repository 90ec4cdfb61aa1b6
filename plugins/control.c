/* The control socket: JSON lines in, JSON lines out.
 *
 * {"id": 1, "command": "regs l2"}            -> {"id": 1, "ok": true, "result": {...}}
 * {"id": 2, "command": "continue", "wait": true}   answered when the machine stands
 * {"id": 3, "subscribe": "exit", "filter": {"level": 2, "reason": "CPUID"}}
 *                                            -> {"id": 3, "ok": true, "subscription": 7}
 * {"id": 4, "unsubscribe": 7}, {"id": 5, "complete": "re"}
 * An event is {"event": "exit", "subscription": 7, ...}. A line that is no
 * request gets {"ok": false, "error": "..."}, and the connection stays.
 */
#include "plugins/control_json.h"
#include "plugins/host.h"

#include "base/loop.h"
#include "introspect/expr.h"
#include "introspect/run.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENTS       16
#define LINE_MAX_LEN  (1u << 20)  /* of a request */
#define SEND_MAX      (16u << 20) /* waiting for a client that does not read */
#define SUBSCRIPTIONS 256         /* of one client */

struct subscribed {
	struct client *c;
	unsigned id;
};

struct client {
	struct control *owner;
	int fd, in_watch;
	struct buf in, out;
	struct subscribed *sub[SUBSCRIPTIONS]; /* owned */
	unsigned subs;
	uint64_t lost;      /* events that found no room */
	json_t *waiting;    /* owned; id of the request that waits for a stop */
	bool wait, closing;
	struct place focus;
	bool has_focus;
};

struct control {
	struct plugins_config cfg;
	struct intro *s;
	int fd, watch;
	char path[108];
	struct client *client[CLIENTS]; /* owned */
	unsigned stop_sub;
	bool served;
};

static void client_close(struct client *c)
{
	struct control *ctl = c->owner;
	struct loop *loop = ctl->cfg.loop;
	for (unsigned i = 0; i < CLIENTS; i++)
		if (ctl->client[i] == c)
			ctl->client[i] = NULL;
	loop_del(loop, c->in_watch);
	close(c->fd);
	for (unsigned i = 0; i < c->subs; i++) {
		intro_unsubscribe(ctl->s, c->sub[i]->id);
		free(c->sub[i]);
	}
	json_decref(c->waiting);
	buf_done(&c->in);
	buf_done(&c->out);
	free(c);
}

/* --- sending: bytes wait here, the loop takes them away ------------------------------- */

static void flush(struct client *c)
{
	while (c->out.len) {
		ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (n <= 0) {
			c->closing = true;
			buf_clear(&c->out);
			break;
		}
		buf_eat(&c->out, (size_t)n);
	}
	loop_events(c->owner->cfg.loop, c->in_watch, (short)(POLLIN | (c->out.len ? POLLOUT : 0)));
}

/* Takes over `v`. */
static void send_json(struct client *c, json_t *v)
{
	char *text = json_dumps(v, JSON_COMPACT);
	json_decref(v);
	if (!text)
		return;
	buf_str(&c->out, text);
	buf_char(&c->out, '\n');
	free(text);
}

static json_t *answer(json_t *id, bool ok)
{
	json_t *v = json_object();
	if (id)
		json_object_set(v, "id", id);
	json_object_set_new(v, "ok", json_boolean(ok));
	return v;
}

static void refuse(struct client *c, json_t *id, const char *why)
{
	json_t *v = answer(id, false), *text = json_string(why);
	json_object_set_new(v, "error", text ? text : json_string("the request is not UTF-8"));
	send_json(c, v);
}

/* --- events ---------------------------------------------------------------------------- */

static void heard(void *ctx, const struct event *ev)
{
	struct subscribed *sub = ctx;
	struct client *c = sub->c;
	struct nestscope_event out;
	if (c->out.len > SEND_MAX) {
		c->lost++;
		return;
	}
	event_convert(ev, &out);
	json_t *v = control_event(&out);
	json_object_set_new(v, "subscription", json_integer(sub->id));
	if (c->lost)
		json_object_set_new(v, "lost", json_integer((json_int_t)c->lost));
	c->lost = 0;
	send_json(c, v);
	if (c->out.len > 65536 || ev->kind == EVENT_QUIT || ev->kind == EVENT_STOP)
		flush(c);
	else
		loop_events(c->owner->cfg.loop, c->in_watch, POLLIN | POLLOUT);
}

static void on_stop(void *ctx, const struct event *ev)
{
	struct control *ctl = ctx;
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct client *c = ctl->client[i];
		if (!c || !c->wait)
			continue;
		json_t *v = answer(c->waiting, true);
		json_object_set_new(v, "stop", control_stop(ev->stop));
		json_decref(c->waiting);
		c->waiting = NULL;
		c->wait = false;
		c->has_focus = false;
		send_json(c, v);
		flush(c);
	}
}

/* --- requests ---------------------------------------------------------------------------- */

static const struct stop_event *no_wait(void *ctx, struct intro *s)
{
	(void)ctx, (void)s;
	return NULL;
}

/* A line at this client's own focus; the machine is not waited for. */
static bool run_line(struct client *c, const char *line, struct output *o)
{
	struct shell *sh = c->owner->cfg.shell, mine = *sh;
	if (c->has_focus)
		sh->focus = c->focus;
	else
		sh->focus = intro_here(c->owner->s);
	sh->wait = no_wait;
	bool ok = command_exec(sh, line, o);
	c->focus = sh->focus;
	c->has_focus = true;
	sh->focus = mine.focus;
	sh->wait = mine.wait;
	sh->wait_ctx = mine.wait_ctx;
	return ok;
}

static void command(struct client *c, json_t *id, const char *line, bool wait)
{
	struct output *o = output_new();
	struct buf text = {0};
	bool was = intro_running(c->owner->s);
	bool ok = run_line(c, line, o);
	output_json(o, &text);
	output_free(o);
	json_t *result = json_loads(text.data ? text.data : "{}", JSON_DECODE_ANY, NULL);
	buf_done(&text);
	if (ok && wait && !was && intro_running(c->owner->s) && !c->wait) {
		c->wait = true;
		c->waiting = json_incref(id);
		json_decref(result);
		return;
	}
	json_t *v = answer(id, ok);
	json_t *error = ok ? NULL : json_object_get(result, "error");
	if (error)
		json_object_set(v, "error", error);
	else
		json_object_set(v, "result", result ? result : json_null());
	json_decref(result);
	send_json(c, v);
}

static void subscribe(struct client *c, json_t *id, const char *events, json_t *given)
{
	struct nestscope_filter f = {.size = sizeof f, .vcpu = -1, .events = events};
	struct event_filter filter;
	struct err e = {0};
	const char *wrong = given ? control_filter(given, &f) : NULL;
	if (wrong || c->subs == SUBSCRIPTIONS) {
		refuse(c, id, wrong ? wrong : "too many subscriptions");
		return;
	}
	if (!filter_convert(c->owner->s, &f, &filter, &e)) {
		refuse(c, id, e.msg);
		return;
	}
	struct subscribed *sub = xalloc(sizeof *sub);
	sub->c = c;
	sub->id = intro_subscribe(c->owner->s, &filter, heard, sub, &e);
	if (!sub->id) {
		expr_free(filter.expr);
		free(sub);
		refuse(c, id, e.msg);
		return;
	}
	c->sub[c->subs++] = sub;
	json_t *v = answer(id, true);
	json_object_set_new(v, "subscription", json_integer(sub->id));
	send_json(c, v);
}

static void unsubscribe(struct client *c, json_t *id, uint64_t which)
{
	for (unsigned i = 0; i < c->subs; i++) {
		if (c->sub[i]->id != which)
			continue;
		intro_unsubscribe(c->owner->s, c->sub[i]->id);
		free(c->sub[i]);
		c->sub[i] = c->sub[--c->subs];
		send_json(c, answer(id, true));
		return;
	}
	refuse(c, id, "this connection has no such subscription");
}

static void complete(struct client *c, json_t *id, const char *line)
{
	json_t *v = answer(id, true), *words = json_array();
	char word[128];
	const char *help;
	size_t from;
	for (size_t i = 0; i < 200 && command_complete(c->owner->cfg.shell, line, i, word, &help, &from); i++)
		json_array_append_new(words, json_string(word));
	json_object_set_new(v, "words", words);
	send_json(c, v);
}

static void request(struct client *c, const char *line, size_t len)
{
	json_error_t e;
	json_t *v = json_loadb(line, len, JSON_REJECT_DUPLICATES, &e), *id = json_object_get(v, "id");
	const char *text;
	char why[256];
	if (!json_is_object(v)) {
		snprintf(why, sizeof why, "a request is one JSON object on one line: %s", v ? "this is none" : e.text);
		refuse(c, NULL, why);
	} else if ((text = json_string_value(json_object_get(v, "command")))) {
		command(c, id, text, json_is_true(json_object_get(v, "wait")));
	} else if ((text = json_string_value(json_object_get(v, "subscribe")))) {
		subscribe(c, id, text, json_object_get(v, "filter"));
	} else if (json_is_integer(json_object_get(v, "unsubscribe"))) {
		unsubscribe(c, id, (uint64_t)json_integer_value(json_object_get(v, "unsubscribe")));
	} else if ((text = json_string_value(json_object_get(v, "complete")))) {
		complete(c, id, text);
	} else {
		refuse(c, id, "a request has command, subscribe, unsubscribe or complete");
	}
	json_decref(v);
}

/* --- the socket ---------------------------------------------------------------------------- */

static void take_lines(struct client *c)
{
	char *end;
	while (c->in.len && (end = memchr(c->in.data, '\n', c->in.len))) {
		size_t len = (size_t)(end - c->in.data);
		if (len && !(len == 1 && c->in.data[0] == '\r'))
			request(c, c->in.data, len);
		buf_eat(&c->in, len + 1);
	}
	if (c->in.len > LINE_MAX_LEN) {
		refuse(c, NULL, "a request is at most 1 MiB long");
		c->closing = true;
	}
}

static void ready(void *ctx, short revents)
{
	struct client *c = ctx;
	char bytes[65536];
	if (revents & (POLLIN | POLLHUP | POLLERR)) {
		ssize_t n = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
		if (n > 0)
			buf_add(&c->in, bytes, (size_t)n);
		else if (!n || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
			c->closing = true;
		/* one that never reads its answers is not asked further */
		if (n > 0 && c->out.len < SEND_MAX)
			take_lines(c);
		else if (c->in.len > LINE_MAX_LEN)
			c->closing = true;
	}
	flush(c);
	if (c->closing)
		client_close(c);
}

static void arrived(void *ctx, short revents)
{
	struct control *ctl = ctx;
	unsigned slot = 0;
	(void)revents;
	int fd = accept4(ctl->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	while (slot < CLIENTS && ctl->client[slot])
		slot++;
	if (slot == CLIENTS) {
		close(fd);
		return;
	}
	struct client *c = xalloc(sizeof *c);
	c->owner = ctl;
	c->fd = fd;
	c->in_watch = loop_add(ctl->cfg.loop, fd, POLLIN, ready, c);
	ctl->client[slot] = c;
	ctl->served = true;
}

/* A socket that nobody listens on is a left-over; anything else stays. */
static bool bind_path(struct control *ctl, const char *path, struct err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct stat st;
	if (!*path || strlen(path) >= sizeof a.sun_path)
		return err_set(e, ERR_USAGE, "--control unix:PATH wants a path of at most %zu bytes",
			sizeof a.sun_path - 1);
	strcpy(a.sun_path, path);
	ctl->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (ctl->fd < 0)
		return err_errno(e, "control socket");
	if (!lstat(path, &st) && S_ISSOCK(st.st_mode) &&
		connect(ctl->fd, (struct sockaddr *)&a, sizeof a) && errno == ECONNREFUSED)
		unlink(path);
	mode_t before = umask(0177); /* for its owner alone */
	int failed = bind(ctl->fd, (struct sockaddr *)&a, sizeof a);
	umask(before);
	if (failed || listen(ctl->fd, 8))
		return err_errno(e, "control socket %s", path);
	strcpy(ctl->path, path);
	return true;
}

struct control *control_new(const struct plugins_config *cfg, const char *spec, struct err *e)
{
	struct control *ctl = xalloc(sizeof *ctl);
	struct event_filter f;
	ctl->cfg = *cfg;
	ctl->s = cfg->session;
	ctl->fd = -1;
	if (strncmp(spec, "unix:", 5)) {
		err_set(e, ERR_USAGE, "--control %.60s: unix:PATH is wanted", spec);
		control_free(ctl);
		return NULL;
	}
	if (!bind_path(ctl, spec + 5, e)) {
		control_free(ctl);
		return NULL;
	}
	ctl->watch = loop_add(cfg->loop, ctl->fd, POLLIN, arrived, ctl);
	event_filter_init(&f, EVENT_STOP);
	ctl->stop_sub = intro_subscribe(ctl->s, &f, on_stop, ctl, e);
	return ctl;
}

void control_free(struct control *ctl)
{
	if (!ctl)
		return;
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (!ctl->client[i])
			continue;
		flush(ctl->client[i]);
		client_close(ctl->client[i]);
	}
	if (ctl->watch)
		loop_del(ctl->cfg.loop, ctl->watch);
	if (ctl->fd >= 0)
		close(ctl->fd);
	if (ctl->path[0])
		unlink(ctl->path);
	if (ctl->stop_sub)
		intro_unsubscribe(ctl->s, ctl->stop_sub);
	free(ctl);
}

unsigned control_clients(const struct control *ctl)
{
	unsigned n = 0;
	for (unsigned i = 0; i < CLIENTS; i++)
		n += ctl->client[i] != NULL;
	return n;
}

bool control_served(const struct control *ctl)
{
	return ctl->served;
}

/* virtio 1.0, 5.1 "Network Device", with libslirp as the network.
 *
 * libslirp is the outside. Frames of the guest are kept until the event loop
 * runs, and what libslirp answers becomes an entry of the input log, so that
 * a recorded run needs no network. It keeps time by the virtual clock.
 */
#include "machine/virtio_devices.h"

#include "base/buf.h"
#include "base/input.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/state.h"
#include "machine/machine.h"
#include "machine/virtio.h"

#include <arpa/inet.h>
#include <slirp/libslirp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define F_MAC    BIT(5)
#define F_STATUS BIT(16)

enum { RX, TX, HEADER = 12, FRAME = 65536 - HEADER, BACKLOG = 64, OUTBOX = 1 << 20, TIMERS = 8 };

struct frame {
	uint64_t len;
	uint8_t *data; /* owned */
};

struct net_timer {
	bool used;
	uint64_t due; /* ms of the virtual clock; UINT64_MAX: not set */
	SlirpTimerCb cb;
	void *opaque;
};

struct virtio_net {
	struct virtio v;
	struct frame waiting[BACKLOG]; /* for the guest, oldest first */
	uint64_t count;

	/* outside the machine's state */
	Slirp *slirp;
	struct loop *loop;
	int source;
	struct buf outbox; /* frames of the guest: length, bytes */
	struct net_timer timer[TIMERS];
	uint8_t piece[HEADER + FRAME];
};

/* --- the device ----------------------------------------------------------- */

static void transmit(struct virtio_net *n)
{
	while (virtio_pop(&n->v, TX)) {
		uint64_t len = n->v.chain.readable;
		if (len <= HEADER || len > sizeof(n->piece) || !virtio_get(&n->v, 0, n->piece, len)) {
			virtio_broken(&n->v, "a frame that is no frame");
			return;
		}
		uint32_t frame = (uint32_t)len - HEADER;
		if (n->outbox.len + frame + sizeof(frame) <= OUTBOX) {
			buf_add(&n->outbox, &frame, sizeof(frame));
			buf_add(&n->outbox, n->piece + HEADER, frame);
		}
		virtio_push(&n->v, TX, n->v.chain.head, 0);
	}
}

static void receive(struct virtio_net *n)
{
	while (n->count && virtio_pop(&n->v, RX)) {
		struct frame f = n->waiting[0];
		uint8_t head[HEADER] = {[10] = 1}; /* num_buffers */
		bool fits = f.len + HEADER <= n->v.chain.writable;
		memmove(n->waiting, n->waiting + 1, --n->count * sizeof(f));
		if (fits && (!virtio_put(&n->v, 0, head, HEADER) ||
				!virtio_put(&n->v, HEADER, f.data, f.len)))
			virtio_broken(&n->v, "a receive buffer that cannot be written");
		else if (fits)
			virtio_push(&n->v, RX, n->v.chain.head, (uint32_t)f.len + HEADER);
		else
			virtio_unpop(&n->v, RX); /* the frame is lost, the buffer is not */
		free(f.data);
	}
}

static void notify(void *dev, unsigned queue)
{
	if (queue == TX)
		transmit(dev);
	else
		receive(dev);
}

static void config_read(void *dev, unsigned offset, uint8_t *out, unsigned size)
{
	static const uint8_t config[8] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 1, 0};
	(void)dev;
	memcpy(out, config + offset, size);
}

static void drop_frames(struct virtio_net *n)
{
	for (uint64_t i = 0; i < n->count; i++)
		free(n->waiting[i].data);
	n->count = 0;
}

static void reset(void *dev)
{
	drop_frames(dev);
}

static void input(void *ctx, uint32_t target, const uint8_t *data, uint32_t len)
{
	struct virtio_net *n = ctx;
	if (target || !len || len > FRAME || n->count == BACKLOG || !virtio_running(&n->v))
		return;
	struct frame *f = &n->waiting[n->count++];
	f->len = len;
	f->data = xalloc(len);
	memcpy(f->data, data, len);
	receive(n);
}

static const struct virtio_ops ops = {
	.notify = notify, .config_read = config_read, .reset = reset};

/* --- libslirp ------------------------------------------------------------- */

static ssize_t to_guest(const void *data, size_t len, void *opaque)
{
	struct virtio_net *n = opaque;
	if (len <= FRAME)
		input_put(n->v.m->inputs, INPUT_NET, 0, data, (uint32_t)len);
	return (ssize_t)len;
}

static void guest_error(const char *msg, void *opaque)
{
	struct virtio_net *n = opaque;
	log_once(n->v.m->log, LOG_WARN, "net", (uintptr_t)msg, "%s", msg);
}

static int64_t now_ns(void *opaque)
{
	struct virtio_net *n = opaque;
	return (int64_t)n->v.m->clock.now;
}

static void *timer_new(SlirpTimerCb cb, void *cb_opaque, void *opaque)
{
	struct virtio_net *n = opaque;
	for (unsigned i = 0; i < TIMERS; i++)
		if (!n->timer[i].used) {
			n->timer[i] = (struct net_timer){true, UINT64_MAX, cb, cb_opaque};
			return &n->timer[i];
		}
	return NULL;
}

static void timer_free(void *timer, void *opaque)
{
	struct net_timer *t = timer;
	(void)opaque;
	if (t)
		t->used = false;
}

static void timer_mod(void *timer, int64_t expire_ms, void *opaque)
{
	struct net_timer *t = timer;
	(void)opaque;
	if (t)
		t->due = (uint64_t)expire_ms;
}

static void nothing_fd(int fd, void *opaque)
{
	(void)fd;
	(void)opaque;
}

static void nothing(void *opaque)
{
	(void)opaque;
}

static const SlirpCb callbacks = {.send_packet = to_guest, .guest_error = guest_error,
	.clock_get_ns = now_ns, .timer_new = timer_new, .timer_free = timer_free,
	.timer_mod = timer_mod, .register_poll_fd = nothing_fd, .unregister_poll_fd = nothing_fd,
	.notify = nothing};

static int add_poll(int fd, int events, void *opaque)
{
	struct virtio_net *n = opaque;
	short ev = 0;
	if (events & SLIRP_POLL_IN)
		ev |= POLLIN;
	if (events & SLIRP_POLL_OUT)
		ev |= POLLOUT;
	if (events & SLIRP_POLL_PRI)
		ev |= POLLPRI;
	return loop_extra(n->loop, fd, ev);
}

static int get_revents(int index, void *opaque)
{
	struct virtio_net *n = opaque;
	short ev = loop_extra_revents(n->loop, index);
	int out = 0;
	if (ev & POLLIN)
		out |= SLIRP_POLL_IN;
	if (ev & POLLOUT)
		out |= SLIRP_POLL_OUT;
	if (ev & POLLPRI)
		out |= SLIRP_POLL_PRI;
	if (ev & POLLERR)
		out |= SLIRP_POLL_ERR;
	if (ev & POLLHUP)
		out |= SLIRP_POLL_HUP;
	return out;
}

static void deliver_outbox(struct virtio_net *n)
{
	struct buf out = n->outbox;
	n->outbox = (struct buf){0};
	for (size_t at = 0; at + sizeof(uint32_t) <= out.len;) {
		uint32_t len;
		memcpy(&len, out.data + at, sizeof(len));
		slirp_input(n->slirp, (uint8_t *)out.data + at + sizeof(len), (int)len);
		at += sizeof(len) + len;
	}
	buf_done(&out);
}

static void before(void *ctx, int *timeout_ms)
{
	struct virtio_net *n = ctx;
	deliver_outbox(n);
	uint32_t wait = *timeout_ms < 0 ? UINT32_MAX : (uint32_t)*timeout_ms;
	slirp_pollfds_fill(n->slirp, &wait, add_poll, n);
	if (wait < (uint32_t)*timeout_ms)
		*timeout_ms = (int)wait;
}

static void after(void *ctx)
{
	struct virtio_net *n = ctx;
	slirp_pollfds_poll(n->slirp, 0, get_revents, n);
	uint64_t ms = n->v.m->clock.now / 1000000;
	for (unsigned i = 0; i < TIMERS; i++)
		if (n->timer[i].used && n->timer[i].due <= ms) {
			n->timer[i].due = UINT64_MAX;
			n->timer[i].cb(n->timer[i].opaque);
		}
}

/* hostfwd=tcp:[HOST]:PORT-[GUEST]:PORT */
static bool forward(struct virtio_net *n, char *rule, struct err *e)
{
	char proto[4], host[40] = "127.0.0.1", guest[40] = "10.0.2.15", rest[80];
	unsigned hport, gport;
	int used = 0;
	const char *wrong = "--net user,hostfwd=tcp:[HOST]:PORT-[GUEST]:PORT is wanted, not \"%s\"";
	if (sscanf(rule, "%3[a-z]:%79s", proto, rest) != 2 || (strcmp(proto, "tcp") && strcmp(proto, "udp")))
		return err_set(e, ERR_USAGE, wrong, rule);
	char *p = rest, *dash = strchr(rest, '-');
	if (!dash)
		return err_set(e, ERR_USAGE, wrong, rule);
	*dash++ = 0;
	if (*p != ':' && sscanf(p, "%39[0-9.]%n", host, &used) == 1)
		p += used;
	used = 0;
	if (sscanf(p, ":%5u%n", &hport, &used) != 1 || p[used] || hport > 65535)
		return err_set(e, ERR_USAGE, wrong, rule);
	used = 0;
	if (*dash != ':' && sscanf(dash, "%39[0-9.]%n", guest, &used) == 1)
		dash += used;
	used = 0;
	if (sscanf(dash, ":%5u%n", &gport, &used) != 1 || dash[used] || gport > 65535 || !gport)
		return err_set(e, ERR_USAGE, wrong, rule);
	struct in_addr ha, ga;
	if (!inet_aton(host, &ha) || !inet_aton(guest, &ga))
		return err_set(e, ERR_USAGE, wrong, rule);
	if (slirp_add_hostfwd(n->slirp, !strcmp(proto, "udp"), ha, (int)hport, ga, (int)gport) < 0)
		return err_set(e, ERR_FILE, "--net user: port %u of %s cannot be listened on", hport, host);
	return true;
}

static bool start_slirp(struct virtio_net *n, const char *spec, struct err *e)
{
	SlirpConfig cfg = {.version = 1, .in_enabled = true};
	inet_aton("10.0.2.0", &cfg.vnetwork);
	inet_aton("255.255.255.0", &cfg.vnetmask);
	inet_aton("10.0.2.2", &cfg.vhost);
	inet_aton("10.0.2.15", &cfg.vdhcp_start);
	inet_aton("10.0.2.3", &cfg.vnameserver);
	cfg.vhostname = "nestscope";
	char *copy = xstrdup(spec), *save = NULL;
	bool ok = true;
	for (char *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save))
		if (!strcmp(w, "restrict"))
			cfg.restricted = 1;
	free(copy);
	n->slirp = slirp_new(&cfg, &callbacks, n);
	if (!n->slirp)
		return err_set(e, ERR_GENERAL, "--net user: libslirp did not start");
	copy = xstrdup(spec);
	for (char *w = strtok_r(copy, ",", &save); ok && w; w = strtok_r(NULL, ",", &save)) {
		if (!strncmp(w, "hostfwd=", 8))
			ok = forward(n, w + 8, e);
		else if (strcmp(w, "restrict"))
			ok = err_set(e, ERR_USAGE,
				"--net user has no option \"%s\" (hostfwd=..., restrict)", w);
	}
	free(copy);
	return ok;
}

struct virtio_net *virtio_net_new(
	struct machine *m, struct loop *loop, const char *spec, struct err *e)
{
	struct virtio_net *n = xalloc(sizeof(*n));
	n->loop = loop;
	n->v.m = m; /* libslirp asks for the time while it starts */
	if (!start_slirp(n, spec ? spec : "", e)) {
		virtio_net_free(n);
		return NULL;
	}
	virtio_init(&n->v, m, VIRTIO_ID_NET, 2, 8, F_MAC | F_STATUS, &ops, n, "virtio-net");
	inputs_register(m->inputs, INPUT_NET, input, n);
	n->source = loop_add_source(loop, &(struct loop_source){before, after, n});
	return n;
}

void virtio_net_free(struct virtio_net *n)
{
	if (!n)
		return;
	loop_del(n->loop, n->source);
	if (n->slirp)
		slirp_cleanup(n->slirp);
	drop_frames(n);
	buf_done(&n->outbox);
	free(n);
}

void virtio_net_state(struct virtio_net *n, struct state *s)
{
	state_section(s, "virtio-net", 1);
	virtio_state(&n->v, s);
	if (state_mode(s) == STATE_LOAD) {
		drop_frames(n);
		buf_clear(&n->outbox);
		log_say(n->v.m->log, LOG_INFO, "net", "user-mode network connections are dropped by the load");
	}
	uint64_t count = n->count;
	state_count(s, &count, BACKLOG);
	for (uint64_t i = 0; i < count && state_ok(s); i++) {
		struct frame f = i < n->count ? n->waiting[i] : (struct frame){0};
		state_count(s, &f.len, FRAME);
		if (state_mode(s) == STATE_LOAD) {
			f.data = xalloc(f.len ? f.len : 1);
			n->waiting[n->count++] = f;
		}
		state_bytes(s, f.data, f.len);
	}
}

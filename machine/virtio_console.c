/* virtio 1.0, 5.3 "Console Device", one port. */
#include "machine/virtio_devices.h"

#include "base/buf.h"
#include "base/input.h"
#include "base/state.h"
#include "machine/machine.h"
#include "machine/serial.h"
#include "machine/virtio.h"

#include <stdlib.h>
#include <string.h>

enum { RX, TX, BACKLOG = 4096 };

struct virtio_console {
	struct virtio v;
	struct serial_backend backend;
	uint8_t waiting[BACKLOG]; /* bytes for which the driver has given no buffer */
	uint64_t count;
};

static void send(struct virtio_console *c)
{
	while (virtio_pop(&c->v, TX)) {
		uint8_t piece[512];
		uint64_t len = c->v.chain.readable;
		for (uint64_t at = 0; at < len;) {
			size_t n = len - at < sizeof(piece) ? (size_t)(len - at) : sizeof(piece);
			if (!virtio_get(&c->v, at, piece, n)) {
				virtio_broken(&c->v, "a buffer outside memory");
				return;
			}
			if (c->backend.write)
				c->backend.write(c->backend.ctx, piece, n);
			at += n;
		}
		virtio_push(&c->v, TX, c->v.chain.head, 0);
	}
}

static void receive(struct virtio_console *c)
{
	while (c->count && virtio_pop(&c->v, RX)) {
		size_t n = c->v.chain.writable < c->count ? (size_t)c->v.chain.writable : c->count;
		if (!n || !virtio_put(&c->v, 0, c->waiting, n)) {
			virtio_broken(&c->v, "a receive buffer that cannot be written");
			return;
		}
		memmove(c->waiting, c->waiting + n, c->count -= n);
		virtio_push(&c->v, RX, c->v.chain.head, (uint32_t)n);
	}
}

static void notify(void *dev, unsigned queue)
{
	if (queue == TX)
		send(dev);
	else
		receive(dev);
}

static void config_read(void *dev, unsigned offset, uint8_t *out, unsigned size)
{
	static const uint8_t config[4] = {80, 0, 25, 0};
	(void)dev;
	memcpy(out, config + offset, size);
}

static void reset(void *dev)
{
	((struct virtio_console *)dev)->count = 0;
}

static void input(void *ctx, uint32_t target, const uint8_t *data, uint32_t len)
{
	struct virtio_console *c = ctx;
	if (target)
		return;
	size_t n = len < virtio_console_room(c) ? len : virtio_console_room(c);
	memcpy(c->waiting + c->count, data, n);
	c->count += n;
	receive(c);
}

unsigned virtio_console_room(const struct virtio_console *c)
{
	return (unsigned)(BACKLOG - c->count);
}

static const struct virtio_ops ops = {
	.notify = notify, .config_read = config_read, .reset = reset};

struct virtio_console *virtio_console_new(struct machine *m)
{
	struct virtio_console *c = xalloc(sizeof(*c));
	virtio_init(&c->v, m, VIRTIO_ID_CONSOLE, 2, 4, BIT(0), &ops, c, "virtio-console");
	inputs_register(m->inputs, INPUT_CONSOLE, input, c);
	return c;
}

void virtio_console_attach(struct virtio_console *c, const struct serial_backend *b)
{
	c->backend = *b;
}

void virtio_console_free(struct virtio_console *c)
{
	free(c);
}

void virtio_console_state(struct virtio_console *c, struct state *s)
{
	state_section(s, "virtio-console", 1);
	virtio_state(&c->v, s);
	state_count(s, &c->count, BACKLOG);
	if (state_ok(s))
		state_bytes(s, c->waiting, c->count);
}

#include "l0/outside.h"

#include "base/buf.h"
#include "base/state.h"
#include "l0/l0.h"
#include "machine/disk.h"
#include "machine/machine.h"
#include "machine/serial_backend.h"
#include "machine/virtio_devices.h"

#include <stdlib.h>
#include <string.h>

struct outside {
	struct virtio_block *block[L0_DISKS]; /* owned, as all of these */
	struct virtio_net *net;
	struct virtio_rng *rng;
	struct virtio_console *console;
	struct serial_host *serial[L0_SERIALS], *console_host;
};

static void quit(void *ctx)
{
	l0_interrupt(ctx);
}

static size_t serial_room(void *ctx)
{
	return uart_room(ctx);
}

static size_t console_room(void *ctx)
{
	return virtio_console_room(ctx);
}

static struct serial_host *host(struct l0 *l, const char *spec, enum input_kind kind, unsigned n,
	size_t (*room)(void *ctx), void *ctx, struct err *e)
{
	struct serial_host_config cfg = {.spec = spec, .loop = l->loop, .inputs = l->inputs, .kind = kind,
		.target = n, .room = room, .room_ctx = ctx, .quit = quit, .quit_ctx = l,
		.no_stdin = l->cfg.no_stdin, .announce = l->cfg.announce,
		.announce_ctx = l->cfg.announce_ctx};
	return serial_host_open(&cfg, e);
}

static bool open_serials(struct outside *o, struct l0 *l, struct err *e)
{
	for (unsigned i = 0; i < L0_SERIALS; i++) {
		struct uart *u = l->machine->serial[i];
		const char *spec = l->cfg.serial[i] ? l->cfg.serial[i] : "none";
		o->serial[i] = host(l, spec, INPUT_SERIAL, i, serial_room, u, e);
		if (!o->serial[i])
			return false;
		struct serial_backend b = serial_host_backend(o->serial[i]);
		uart_attach(u, &b);
	}
	return true;
}

static bool open_console(struct outside *o, struct l0 *l, struct err *e)
{
	if (!l->cfg.console)
		return true;
	o->console = virtio_console_new(l->machine);
	o->console_host = host(l, l->cfg.console, INPUT_CONSOLE, 0, console_room, o->console, e);
	if (!o->console_host)
		return false;
	struct serial_backend b = serial_host_backend(o->console_host);
	virtio_console_attach(o->console, &b);
	return true;
}

static bool open_net(struct outside *o, struct l0 *l, struct err *e)
{
	const char *net = l->cfg.net;
	if (!net || !strcmp(net, "none"))
		return true;
	if (strncmp(net, "user", 4) || (net[4] && net[4] != ','))
		return err_set(e, ERR_USAGE, "--net is none or user[,hostfwd=...][,restrict], not \"%s\"", net);
	o->net = virtio_net_new(l->machine, l->loop, net[4] ? net + 5 : "", e);
	return o->net != NULL;
}

static bool open_all(struct outside *o, struct l0 *l, struct err *e)
{
	for (unsigned i = 0; i < l->cfg.disks; i++) {
		struct disk *d = disk_open(l->cfg.disk[i], e);
		if (!d)
			return false;
		o->block[i] = virtio_block_new(l->machine, d);
	}
	if (!open_net(o, l, e))
		return false;
	o->rng = virtio_rng_new(l->machine);
	return open_console(o, l, e) && open_serials(o, l, e);
}

struct outside *outside_new(struct l0 *l, struct err *e)
{
	struct outside *o = xalloc(sizeof(*o));
	if (open_all(o, l, e))
		return o;
	outside_free(o);
	return NULL;
}

void outside_free(struct outside *o)
{
	if (!o)
		return;
	for (unsigned i = 0; i < L0_SERIALS; i++)
		serial_host_close(o->serial[i]);
	serial_host_close(o->console_host);
	for (unsigned i = 0; i < L0_DISKS; i++)
		virtio_block_free(o->block[i]);
	virtio_net_free(o->net);
	virtio_rng_free(o->rng);
	virtio_console_free(o->console);
	free(o);
}

void outside_lend_stdin(struct outside *o, bool lent)
{
	for (unsigned i = 0; i < L0_SERIALS; i++)
		serial_host_stdin(o->serial[i], lent);
	if (o->console_host)
		serial_host_stdin(o->console_host, lent);
}

void outside_state(struct outside *o, struct state *s)
{
	for (unsigned i = 0; i < L0_DISKS; i++)
		if (o->block[i])
			virtio_block_state(o->block[i], s);
	if (o->net)
		virtio_net_state(o->net, s);
	virtio_rng_state(o->rng, s);
	if (o->console)
		virtio_console_state(o->console, s);
}

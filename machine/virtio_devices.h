/* The virtio devices: each is added to the machine before machine_firmware,
 * and freed by its owner before the machine is.
 */
#ifndef MACHINE_VIRTIO_DEVICES_H
#define MACHINE_VIRTIO_DEVICES_H

#include "base/err.h"

#include <stdint.h>

struct disk;
struct loop;
struct machine;
struct serial_backend;
struct state;
struct virtio_block;
struct virtio_console;
struct virtio_net;
struct virtio_rng;

/* Requests complete VIRTIO_BLOCK_LATENCY ticks after they were submitted. */
#define VIRTIO_BLOCK_LATENCY 50000

struct virtio_block *virtio_block_new(struct machine *m, struct disk *disk); /* takes the disk */
void virtio_block_free(struct virtio_block *b);
void virtio_block_state(struct virtio_block *b, struct state *s);

/* Entropy from a fixed seed: every run draws the same. */
struct virtio_rng *virtio_rng_new(struct machine *m);
void virtio_rng_free(struct virtio_rng *r);
void virtio_rng_state(struct virtio_rng *r, struct state *s);

/* One port. Bytes for the guest come as INPUT_CONSOLE, target 0. */
struct virtio_console *virtio_console_new(struct machine *m);
void virtio_console_attach(struct virtio_console *c, const struct serial_backend *b);
unsigned virtio_console_room(const struct virtio_console *c);
void virtio_console_free(struct virtio_console *c);
void virtio_console_state(struct virtio_console *c, struct state *s);

/* User-mode networking, 10.0.2.0/24; `spec` is what follows `--net user,`:
 * hostfwd=tcp|udp:[HOST]:PORT-[GUEST]:PORT, restrict. Frames for the guest
 * come as INPUT_NET, target 0. */
struct virtio_net *virtio_net_new(
	struct machine *m, struct loop *loop, const char *spec, struct err *e);
void virtio_net_free(struct virtio_net *n);
void virtio_net_state(struct virtio_net *n, struct state *s);

#endif

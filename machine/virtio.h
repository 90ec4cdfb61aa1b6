/* virtio 1.0 on PCI: what every virtio device shares.
 *
 * The transport (virtio.c) owns the common, ISR, notify and device windows,
 * feature negotiation, MSI-X vectors and INTx; the queues (virtio_queue.c)
 * are split rings in guest memory, hostile to the last bit. A device gives a
 * table of functions. A chain that makes no sense sets DEVICE_NEEDS_RESET and
 * the device stands still until the driver resets it.
 */
#ifndef MACHINE_VIRTIO_H
#define MACHINE_VIRTIO_H

#include "base/addr.h"
#include "machine/pci.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct machine;
struct state;
struct virtio;

#define VIRTIO_QUEUES     4
#define VIRTIO_QUEUE_SIZE 256  /* the largest that a driver may choose */
#define VIRTIO_SEGMENTS   1024 /* buffers of one chain, indirect ones included */
#define VIRTIO_NO_VECTOR  0xffff

#define VIRTIO_F_INDIRECT  BIT(28)
#define VIRTIO_F_VERSION_1 BIT(32)

enum virtio_id { VIRTIO_ID_NET = 1, VIRTIO_ID_BLOCK = 2, VIRTIO_ID_CONSOLE = 3, VIRTIO_ID_RNG = 4 };

struct virtio_ops {
	void (*notify)(void *dev, unsigned queue); /* the driver added buffers */
	/* Device-specific configuration, `config_size` bytes; write may be NULL. */
	void (*config_read)(void *dev, unsigned offset, uint8_t *out, unsigned size);
	void (*config_write)(void *dev, unsigned offset, const uint8_t *in, unsigned size);
	void (*reset)(void *dev); /* forget what is in flight */
};

struct virtio_queue {
	uint16_t size, vector;
	bool enabled;
	uint64_t desc, driver, device; /* guest-physical: table, available, used ring */
	uint16_t avail_seen, used_next;
};

struct virtio_segment {
	uint64_t at;
	uint32_t len;
	bool write; /* the device may write it, else read it */
};

/* One request: its buffers in order, readable ones first. */
struct virtio_chain {
	uint16_t head;
	unsigned segments;
	uint64_t readable, writable; /* bytes */
	struct virtio_segment segment[VIRTIO_SEGMENTS];
};

struct virtio {
	struct machine *m;
	struct pci_device *pci;
	const struct virtio_ops *ops;
	void *dev;
	unsigned queues, config_size;
	uint64_t offered; /* feature bits */

	uint64_t accepted;
	uint32_t feature_select[2]; /* device, driver */
	uint16_t config_vector, queue_select;
	uint8_t status, isr, generation;
	struct virtio_queue queue[VIRTIO_QUEUES];
	struct virtio_chain chain; /* the request being looked at; not state */
};

/* Adds the PCI function. `features` without the transport's own bits. */
void virtio_init(struct virtio *v, struct machine *m, enum virtio_id id, unsigned queues,
	unsigned config_size, uint64_t features, const struct virtio_ops *ops, void *dev,
	const char *name);
void virtio_state(struct virtio *v, struct state *s);

static inline bool virtio_running(const struct virtio *v)
{
	return (v->status & 4) && !(v->status & 0x40); /* DRIVER_OK, not NEEDS_RESET */
}

/* A request from the queue into v->chain; false when there is none. */
bool virtio_pop(struct virtio *v, unsigned queue);
/* Puts the last popped request back. */
void virtio_unpop(struct virtio *v, unsigned queue);
/* Gives a request back with `written` bytes, and interrupts the driver. */
void virtio_push(struct virtio *v, unsigned queue, uint16_t head, uint32_t written);

/* Bytes of v->chain from `offset` into its readable, or writable, part; false
 * when they are not all there or are no RAM. */
bool virtio_get(struct virtio *v, uint64_t offset, void *out, size_t len);
bool virtio_put(struct virtio *v, uint64_t offset, const void *in, size_t len);

/* The driver broke the rules: DEVICE_NEEDS_RESET. */
void virtio_broken(struct virtio *v, const char *why);

/* The device-specific configuration changed. */
void virtio_config_changed(struct virtio *v);

/* Sets ISR bits and raises INTx, or sends the vector. */
void virtio_interrupt(struct virtio *v, uint8_t isr, uint16_t vector);

#endif

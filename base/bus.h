/* The bus: device windows in physical memory and in port space.
 *
 * Accesses are 1, 2, 4 or 8 bytes (ports: 1, 2, 4). A device takes an access
 * as it comes; one it does not understand reads as all ones. An address that
 * nobody claims reads as all ones and swallows writes, as on a PC.
 */
#ifndef BASE_BUS_H
#define BASE_BUS_H

#include "base/addr.h"

#include <stdbool.h>
#include <stdint.h>

struct bus_ops {
	uint64_t (*read)(void *dev, uint64_t offset, unsigned size);
	void (*write)(void *dev, uint64_t offset, unsigned size, uint64_t value);
};

struct bus_window {
	uint64_t base, size;
	const struct bus_ops *ops;
	void *dev;
	const char *name; /* static string; shown by `info devices` */
};

#define BUS_WINDOWS 96

struct bus {
	struct bus_window mmio[BUS_WINDOWS], port[BUS_WINDOWS];
	unsigned mmios, ports;
	void (*remapped)(void *ctx); /* an MMIO window came, moved or went; may be NULL */
	void *remapped_ctx;
};

/* A later window wins where two overlap. */
void bus_map_mmio(struct bus *b, struct hpa base, uint64_t size, const struct bus_ops *ops,
	void *dev, const char *name);
void bus_map_port(struct bus *b, uint16_t base, unsigned count, const struct bus_ops *ops,
	void *dev, const char *name);
/* Removes every window of `dev` that uses `ops`; PCI calls it when a BAR moves. */
void bus_unmap(struct bus *b, const struct bus_ops *ops, void *dev);

/* The MMIO window over an address; NULL when there is none. */
const struct bus_window *bus_mmio_at(const struct bus *b, struct hpa at);

uint64_t bus_mmio_read(const struct bus *b, struct hpa at, unsigned size);
void bus_mmio_write(const struct bus *b, struct hpa at, unsigned size, uint64_t value);
uint32_t bus_port_read(const struct bus *b, uint16_t port, unsigned size);
void bus_port_write(const struct bus *b, uint16_t port, unsigned size, uint32_t value);

#endif

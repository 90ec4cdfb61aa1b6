#include "base/bus.h"

#include <assert.h>

void bus_map_mmio(struct bus *b, struct hpa base, uint64_t size, const struct bus_ops *ops,
	void *dev, const char *name)
{
	assert(b->mmios < BUS_WINDOWS);
	b->mmio[b->mmios++] = (struct bus_window){base.v, size, ops, dev, name};
	if (b->remapped)
		b->remapped(b->remapped_ctx);
}

void bus_map_port(struct bus *b, uint16_t base, unsigned count, const struct bus_ops *ops,
	void *dev, const char *name)
{
	assert(b->ports < BUS_WINDOWS);
	b->port[b->ports++] = (struct bus_window){base, count, ops, dev, name};
}

static unsigned drop(struct bus_window *w, unsigned n, const struct bus_ops *ops, void *dev)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < n; i++)
		if (w[i].ops != ops || w[i].dev != dev)
			w[kept++] = w[i];
	return kept;
}

void bus_unmap(struct bus *b, const struct bus_ops *ops, void *dev)
{
	unsigned mmios = drop(b->mmio, b->mmios, ops, dev);
	bool moved = mmios != b->mmios;
	b->mmios = mmios;
	b->ports = drop(b->port, b->ports, ops, dev);
	if (moved && b->remapped)
		b->remapped(b->remapped_ctx);
}

static const struct bus_window *find(const struct bus_window *w, unsigned n, uint64_t at)
{
	while (n--)
		if (at - w[n].base < w[n].size)
			return &w[n];
	return NULL;
}

const struct bus_window *bus_mmio_at(const struct bus *b, struct hpa at)
{
	return find(b->mmio, b->mmios, at.v);
}

static uint64_t ones(unsigned size)
{
	return size >= 8 ? UINT64_MAX : BIT(8 * size) - 1;
}

uint64_t bus_mmio_read(const struct bus *b, struct hpa at, unsigned size)
{
	const struct bus_window *w = bus_mmio_at(b, at);
	return w ? w->ops->read(w->dev, at.v - w->base, size) & ones(size) : ones(size);
}

void bus_mmio_write(const struct bus *b, struct hpa at, unsigned size, uint64_t value)
{
	const struct bus_window *w = bus_mmio_at(b, at);
	if (w)
		w->ops->write(w->dev, at.v - w->base, size, value & ones(size));
}

uint32_t bus_port_read(const struct bus *b, uint16_t port, unsigned size)
{
	const struct bus_window *w = find(b->port, b->ports, port);
	uint64_t v = w ? w->ops->read(w->dev, port - w->base, size) : UINT64_MAX;
	return (uint32_t)(v & ones(size));
}

void bus_port_write(const struct bus *b, uint16_t port, unsigned size, uint32_t value)
{
	const struct bus_window *w = find(b->port, b->ports, port);
	if (w)
		w->ops->write(w->dev, port - w->base, size, value & ones(size));
}

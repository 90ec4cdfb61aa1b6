/* Configuration space: header, BARs, capabilities, the two ways in. MSI-X is
 * in pci_msix.c. PCI Local Bus Specification 3.0, chapter 6. */
#include "machine/pci_device.h"

#include "base/buf.h"
#include "base/state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESS_ENABLE 0x80000000u

static uint32_t get(const uint8_t *p, unsigned size)
{
	uint32_t v = 0;
	for (unsigned i = 0; i < size; i++)
		v |= (uint32_t)p[i] << 8 * i;
	return v;
}

static void put(uint8_t *p, unsigned size, uint64_t v)
{
	for (unsigned i = 0; i < size; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

/* --- windows ------------------------------------------------------------------ */

static uint64_t bar_read(void *dev, uint64_t offset, unsigned size)
{
	struct pci_bar *b = dev;
	struct pci_device *d = b->device;
	if (b->msix)
		return pci_msix_read(d, offset, size);
	return d->ops->read ? d->ops->read(d->dev, b->index, offset, size) : UINT64_MAX;
}

static void bar_write(void *dev, uint64_t offset, unsigned size, uint64_t v)
{
	struct pci_bar *b = dev;
	struct pci_device *d = b->device;
	if (b->msix)
		pci_msix_write(d, offset, size, v);
	else if (d->ops->write)
		d->ops->write(d->dev, b->index, offset, size, v);
}

static const struct bus_ops bar_ops = {bar_read, bar_write};

/* Where the BAR's registers and the command register put it; false while it
 * is off, unset, or holds the pattern that sizes it. */
static bool decoded(const struct pci_bar *b, uint64_t *base)
{
	const struct pci_device *d = b->device;
	const uint8_t *r = d->config + PCI_BAR0 + 4 * b->index;
	uint16_t command = (uint16_t)get(d->config + PCI_COMMAND, 2);
	if (!b->size || !(command & (b->flags & PCI_BAR_IO ? COMMAND_IO : COMMAND_MEM)))
		return false;
	uint64_t at = get(r, 4);
	if (b->flags & PCI_BAR_64)
		at |= (uint64_t)get(r + 4, 4) << 32;
	at &= ~(b->size - 1);
	uint64_t limit = b->flags & PCI_BAR_IO ? 0xffff
		: b->flags & PCI_BAR_64	       ? BIT(45) - 1
					       : 0xfebfffff;
	*base = at;
	return at && at <= limit && b->size - 1 <= limit - at;
}

static void map(struct pci_bar *b)
{
	struct pci_device *d = b->device;
	struct bus *bus = d->pci->host.bus;
	uint64_t base = 0;
	bool on = decoded(b, &base);
	if (on == b->mapped && (!on || base == b->base))
		return;
	if (b->mapped)
		bus_unmap(bus, &bar_ops, b);
	b->mapped = on;
	b->base = base;
	if (!on)
		return;
	if (b->flags & PCI_BAR_IO)
		bus_map_port(bus, (uint16_t)base, (unsigned)b->size, &bar_ops, b, d->name);
	else
		bus_map_mmio(bus, hpa(base), b->size, &bar_ops, b, d->name);
}

static void map_all(struct pci_device *d)
{
	for (unsigned i = 0; i < PCI_BARS; i++)
		map(&d->bar[i]);
}

bool pci_bar_at(const struct pci_device *d, unsigned bar, uint64_t *base)
{
	*base = d->bar[bar].base;
	return d->bar[bar].mapped;
}

/* --- INTx ----------------------------------------------------------------------- */

static void route(struct pci_device *d)
{
	struct pci *p = d->pci;
	bool open = !pci_msix_enabled(d) && !(get(d->config + PCI_COMMAND, 2) & COMMAND_INTX_OFF);
	unsigned wire = (d->slot + 0u) & 3;
	uint32_t was = p->wire[wire];
	if (d->irq && open)
		p->wire[wire] |= 1u << d->slot;
	else
		p->wire[wire] &= ~(1u << d->slot);
	if (!was != !p->wire[wire])
		p->host.intx(p->host.ctx, wire, p->wire[wire]);
}

void pci_irq(struct pci_device *d, bool level)
{
	d->irq = level;
	d->config[PCI_STATUS] = (d->config[PCI_STATUS] & ~STATUS_INTX) | (level ? STATUS_INTX : 0);
	route(d);
}

/* --- configuration space ---------------------------------------------------------- */

static uint32_t config_read(struct pci *p, unsigned slot, unsigned offset, unsigned size)
{
	struct pci_device *d = slot < PCI_SLOTS ? p->device[slot] : NULL;
	if (!d)
		return UINT32_MAX;
	if (offset + size > PCI_CONFIG)
		return 0;
	if (d->ops->config_reading)
		d->ops->config_reading(d->dev, offset, size);
	return get(d->config + offset, size);
}

static void config_write(struct pci *p, unsigned slot, unsigned offset, unsigned size, uint32_t v)
{
	struct pci_device *d = slot < PCI_SLOTS ? p->device[slot] : NULL;
	if (!d || offset + size > PCI_CONFIG)
		return;
	for (unsigned i = 0; i < size; i++) {
		uint8_t *c = &d->config[offset + i], m = d->writable[offset + i];
		*c = (uint8_t)((*c & ~m) | (v >> 8 * i & m));
	}
	map_all(d);
	route(d);
	pci_msix_control(d);
	if (d->ops->config_written)
		d->ops->config_written(d->dev, offset, size);
}

/* CF8h: the address; CFCh: four bytes of the register it names. */
static uint64_t port_read(void *dev, uint64_t offset, unsigned size)
{
	struct pci *p = dev;
	if (offset < 4)
		return offset ? UINT64_MAX : p->address;
	if (!(p->address & ADDRESS_ENABLE) || offset + size > 8)
		return UINT64_MAX;
	if (p->address & 0xff0700)
		return UINT64_MAX; /* other buses and functions */
	return config_read(p, p->address >> 11 & 31, (p->address & 0xfc) + (offset & 3), size);
}

static void port_write(void *dev, uint64_t offset, unsigned size, uint64_t v)
{
	struct pci *p = dev;
	if (offset < 4) {
		if (offset == 0 && size == 4)
			p->address = (uint32_t)v & 0x80fffffc;
		return;
	}
	if (p->address & ADDRESS_ENABLE && offset + size <= 8 && !(p->address & 0xff0700))
		config_write(p, p->address >> 11 & 31, (p->address & 0xfc) + (offset & 3), size,
			(uint32_t)v);
}

static uint64_t ecam_read(void *dev, uint64_t offset, unsigned size)
{
	if (offset >> 12 & 7)
		return UINT64_MAX;
	if (size == 8)
		return ecam_read(dev, offset, 4) | ecam_read(dev, offset + 4, 4) << 32;
	return config_read(dev, offset >> 15 & 31, offset & 0xfff, size);
}

static void ecam_write(void *dev, uint64_t offset, unsigned size, uint64_t v)
{
	if (offset >> 12 & 7)
		return;
	if (size == 8) {
		ecam_write(dev, offset, 4, (uint32_t)v);
		ecam_write(dev, offset + 4, 4, v >> 32);
		return;
	}
	config_write(dev, offset >> 15 & 31, offset & 0xfff, size, (uint32_t)v);
}

static const struct bus_ops port_ops = {port_read, port_write};
static const struct bus_ops ecam_ops = {ecam_read, ecam_write};

/* --- construction --------------------------------------------------------------------- */

static const struct pci_ops bridge_ops;

struct pci *pci_new(const struct pci_host *host)
{
	static const struct pci_ident bridge = {.vendor = 0x1b36, .device = 0x0008,
		.sub_vendor = 0x1af4, .sub_device = 0x1100, .class_code = 0x060000};
	struct pci *p = xalloc(sizeof(*p));
	p->host = *host;
	bus_map_port(host->bus, 0xcf8, 8, &port_ops, p, "pci config");
	bus_map_mmio(host->bus, hpa(PCI_ECAM_BASE), PCI_BUSES << 20, &ecam_ops, p, "pci ecam");
	pci_add(p, 0, &bridge, &bridge_ops, NULL, "host bridge");
	return p;
}

void pci_free(struct pci *p)
{
	for (unsigned i = 0; p && i < PCI_SLOTS; i++)
		free(p->device[i]);
	free(p);
}

static void header(struct pci_device *d, const struct pci_ident *id)
{
	put(d->config + PCI_VENDOR, 2, id->vendor);
	put(d->config + PCI_DEVICE, 2, id->device);
	d->config[PCI_REVISION] = id->revision;
	put(d->config + PCI_CLASS, 3, id->class_code);
	put(d->config + PCI_SUB_VENDOR, 2, id->sub_vendor);
	put(d->config + PCI_SUB_DEVICE, 2, id->sub_device);
	put(d->writable + PCI_COMMAND, 2, COMMAND_IO | COMMAND_MEM | COMMAND_MASTER | COMMAND_INTX_OFF |
		0x140);
	d->writable[PCI_CACHE_LINE] = d->writable[PCI_LATENCY] = 0xff;
	d->writable[PCI_LINE] = 0xff;
	if (id->class_code >> 16 != 6)
		d->config[PCI_PIN] = 1;
}

struct pci_device *pci_add(struct pci *p, unsigned slot, const struct pci_ident *ident,
	const struct pci_ops *ops, void *dev, const char *name)
{
	for (unsigned i = 0; slot == PCI_SLOT_ANY && i < PCI_SLOTS; i++)
		if (!p->device[i])
			slot = i;
	assert(slot < PCI_SLOTS && !p->device[slot]);
	struct pci_device *d = xalloc(sizeof(*d));
	*d = (struct pci_device){.pci = p, .slot = slot, .ops = ops, .dev = dev, .name = name,
		.free = 0x40};
	for (unsigned i = 0; i < PCI_BARS; i++)
		d->bar[i] = (struct pci_bar){.device = d, .index = i};
	header(d, ident);
	p->device[slot] = d;
	return d;
}

void pci_bar(struct pci_device *d, unsigned bar, uint64_t size, unsigned flags)
{
	assert(bar + !!(flags & PCI_BAR_64) < PCI_BARS && size >= 4 && !(size & (size - 1)));
	struct pci_bar *b = &d->bar[bar];
	uint8_t *config = d->config + PCI_BAR0 + 4 * bar;
	b->size = size;
	b->flags = flags;
	config[0] = (uint8_t)((flags & PCI_BAR_IO ? 1 : 0) | (flags & PCI_BAR_64 ? 4 : 0) |
		(flags & PCI_BAR_PREFETCH ? 8 : 0));
	put(d->writable + PCI_BAR0 + 4 * bar, flags & PCI_BAR_64 ? 8 : 4, ~(size - 1));
}

unsigned pci_capability(struct pci_device *d, uint8_t id, const void *body, size_t len)
{
	unsigned at = d->free;
	assert(at + 2 + len <= PCI_CONFIG);
	d->free = (unsigned)(at + 2 + len + 3) & ~3u;
	d->config[at] = id;
	memcpy(d->config + at + 2, body, len);
	/* Appended, so that the list keeps the order of the calls. */
	uint8_t *link = &d->config[PCI_CAPABILITIES];
	while (*link)
		link = &d->config[*link + 1];
	*link = (uint8_t)at;
	d->config[PCI_STATUS] |= STATUS_CAPABILITIES;
	return at;
}

void pci_writable(struct pci_device *d, unsigned offset, unsigned size, uint32_t mask)
{
	put(d->writable + offset, size, mask);
}

uint8_t *pci_config(struct pci_device *d)
{
	return d->config;
}

bool pci_bus_master(const struct pci_device *d)
{
	return d->config[PCI_COMMAND] & COMMAND_MASTER;
}

unsigned pci_slot(const struct pci_device *d)
{
	return d->slot;
}

const char *pci_name(const struct pci_device *d)
{
	return d->name;
}

struct pci_device *pci_at(const struct pci *p, unsigned slot)
{
	return slot < PCI_SLOTS ? p->device[slot] : NULL;
}

/* --- firmware's part -------------------------------------------------------------------- */

static void place(struct pci_device *d, struct pci_bar *b, uint64_t *mem, uint64_t *io)
{
	uint64_t *next = b->flags & PCI_BAR_IO ? io : mem;
	uint64_t end = b->flags & PCI_BAR_IO ? d->pci->host.io_end : d->pci->host.mem_end;
	uint64_t align = b->flags & PCI_BAR_IO || b->size > PAGE_SIZE ? b->size : PAGE_SIZE;
	uint64_t at = (*next + align - 1) & ~(align - 1);
	if (at + b->size > end)
		return; /* stays unset: the guest may place it */
	*next = at + b->size;
	uint8_t *config = d->config + PCI_BAR0 + 4 * b->index;
	uint8_t low = config[0] & 15;
	put(config, b->flags & PCI_BAR_64 ? 8 : 4, at | low);
}

void pci_assign(struct pci *p)
{
	uint64_t mem = p->host.mem_base, io = p->host.io_base;
	for (unsigned i = 0; i < PCI_SLOTS; i++) {
		struct pci_device *d = p->device[i];
		if (!d)
			continue;
		for (unsigned k = 0; k < PCI_BARS; k++)
			if (d->bar[k].size)
				place(d, &d->bar[k], &mem, &io);
		if (d->config[PCI_PIN])
			d->config[PCI_LINE] = p->host.irq[d->slot & 3];
		put(d->config + PCI_COMMAND, 2, COMMAND_IO | COMMAND_MEM | COMMAND_MASTER);
		map_all(d);
	}
}

void pci_reset(struct pci *p)
{
	p->address = 0;
	for (unsigned i = 0; i < PCI_SLOTS; i++) {
		struct pci_device *d = p->device[i];
		if (!d)
			continue;
		pci_irq(d, false);
		put(d->config + PCI_COMMAND, 2, 0);
		for (unsigned k = 0; k < 4 * PCI_BARS; k++)
			d->config[PCI_BAR0 + k] &= ~d->writable[PCI_BAR0 + k];
		map_all(d);
		pci_msix_reset(d);
		if (d->ops->reset)
			d->ops->reset(d->dev);
	}
}

void pci_info(const struct pci *p, struct buf *out)
{
	for (unsigned i = 0; i < PCI_SLOTS; i++) {
		const struct pci_device *d = p->device[i];
		if (!d)
			continue;
		buf_fmt(out, "pci      00:%02x.0 %04x:%04x %s", i, get(d->config, 2),
			get(d->config + PCI_DEVICE, 2), d->name);
		for (unsigned k = 0; k < PCI_BARS; k++)
			if (d->bar[k].mapped)
				buf_fmt(out, " bar%u %s %llx", k,
					d->bar[k].flags & PCI_BAR_IO ? "io" : "mem",
					(unsigned long long)d->bar[k].base);
		buf_fmt(out, "%s\n", pci_msix_enabled(d) ? " msi-x" : d->irq ? " intx" : "");
	}
}

void pci_state(struct pci *p, struct state *s)
{
	state_section(s, "pci", 1);
	state_u32(s, &p->address);
	for (unsigned i = 0; i < PCI_SLOTS; i++) {
		struct pci_device *d = p->device[i];
		bool there = d;
		state_bool(s, &there);
		if (there != !!d) {
			state_fail(s, "the snapshot's PCI slot %u differs from this machine's", i);
			return;
		}
		if (!d)
			continue;
		state_bytes(s, d->config, sizeof(d->config));
		state_bool(s, &d->irq);
		pci_msix_state(d, s);
		if (state_mode(s) == STATE_LOAD && state_ok(s))
			map_all(d);
	}
	for (unsigned i = 0; i < 4; i++)
		state_u32(s, &p->wire[i]);
}

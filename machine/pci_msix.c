/* MSI-X: PCI Local Bus Specification 3.0, 6.8.2 "MSI-X Capability and Table
 * Structure". */
#include "machine/pci_device.h"

#include "base/state.h"

#include <assert.h>
#include <string.h>

#define PBA        0x800
#define CONTROL    2 /* offset in the capability */
#define ENABLE     0x80 /* in the control word's high byte */
#define MASK_ALL   0x40
#define MASK_ONE   1u

void pci_msix(struct pci_device *d, unsigned bar, unsigned vectors)
{
	assert(vectors && vectors <= PCI_MSIX_MAX && !d->vectors);
	const uint8_t body[10] = {
		(uint8_t)(vectors - 1), 0, (uint8_t)bar, 0, 0, 0, (uint8_t)bar, PBA >> 8, 0, 0};
	d->vectors = vectors;
	pci_bar(d, bar, PAGE_SIZE, 0);
	d->bar[bar].msix = true;
	d->msix_cap = pci_capability(d, 0x11, body, sizeof(body));
	pci_writable(d, d->msix_cap + CONTROL + 1, 1, ENABLE | MASK_ALL);
	pci_msix_reset(d);
}

static uint8_t control(const struct pci_device *d)
{
	return d->vectors ? d->config[d->msix_cap + CONTROL + 1] : 0;
}

bool pci_msix_enabled(const struct pci_device *d)
{
	return control(d) & ENABLE;
}

static void send(struct pci_device *d, unsigned n)
{
	d->pending &= ~(1u << n);
	d->pci->host.msi(d->pci->host.ctx, d->vector[n].address, d->vector[n].data);
}

static bool masked(const struct pci_device *d, unsigned n)
{
	return control(d) & MASK_ALL || d->vector[n].control & MASK_ONE;
}

void pci_msix_notify(struct pci_device *d, unsigned n)
{
	if (n >= d->vectors || !pci_msix_enabled(d))
		return;
	d->pending |= 1u << n;
	if (!masked(d, n))
		send(d, n);
}

void pci_msix_control(struct pci_device *d)
{
	for (unsigned n = 0; n < d->vectors && pci_msix_enabled(d); n++)
		if (d->pending >> n & 1 && !masked(d, n))
			send(d, n);
}

/* The table as 32-bit words. */
static uint32_t read_word(const struct pci_device *d, uint64_t offset)
{
	if (offset == PBA)
		return d->pending;
	if (offset / 16 >= d->vectors)
		return 0;
	const struct pci_vector *v = &d->vector[offset / 16];
	switch (offset & 12) {
	case 0:
		return (uint32_t)v->address;
	case 4:
		return (uint32_t)(v->address >> 32);
	case 8:
		return v->data;
	default:
		return v->control;
	}
}

static void write_word(struct pci_device *d, uint64_t offset, uint32_t w)
{
	if (offset / 16 >= d->vectors)
		return;
	struct pci_vector *v = &d->vector[offset / 16];
	switch (offset & 12) {
	case 0:
		v->address = (v->address & ~(uint64_t)UINT32_MAX) | (w & ~3u);
		break;
	case 4:
		v->address = (v->address & UINT32_MAX) | (uint64_t)w << 32;
		break;
	case 8:
		v->data = w;
		break;
	default:
		v->control = w & MASK_ONE;
		pci_msix_control(d);
		break;
	}
}

uint64_t pci_msix_read(struct pci_device *d, uint64_t offset, unsigned size)
{
	uint64_t v = read_word(d, offset & ~3u);
	if (size == 8)
		v |= (uint64_t)read_word(d, (offset & ~3u) + 4) << 32;
	return v >> 8 * (offset & 3);
}

void pci_msix_write(struct pci_device *d, uint64_t offset, unsigned size, uint64_t v)
{
	if (size < 4 || offset & 3)
		return;
	write_word(d, offset, (uint32_t)v);
	if (size == 8)
		write_word(d, offset + 4, (uint32_t)(v >> 32));
}

void pci_msix_reset(struct pci_device *d)
{
	d->pending = 0;
	for (unsigned n = 0; n < d->vectors; n++)
		d->vector[n] = (struct pci_vector){.control = MASK_ONE};
	if (d->vectors)
		d->config[d->msix_cap + CONTROL + 1] &= ~(ENABLE | MASK_ALL);
}

void pci_msix_state(struct pci_device *d, struct state *s)
{
	for (unsigned n = 0; n < d->vectors; n++) {
		state_u64(s, &d->vector[n].address);
		state_u32(s, &d->vector[n].data);
		state_u32(s, &d->vector[n].control);
	}
	state_u32(s, &d->pending);
}

/* PCI: bus 0 with type-0 functions, one function per slot.
 *
 * Configuration space is reached by CF8h/CFCh and by ECAM (PCI_ECAM_BASE).
 * pci.c owns the header, the BARs (sizing, moving, the enable bits: windows
 * come and go on the bus by themselves), the capability list and MSI-X; a
 * device gives the bodies of its BARs and says when it interrupts.
 *
 * Order at construction: pci_add, then pci_bar / pci_capability / pci_msix,
 * in a fixed order. Firmware's part (BARs and interrupt lines assigned) is
 * done by pci_assign when the machine is complete.
 */
#ifndef MACHINE_PCI_H
#define MACHINE_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bus;
struct buf;
struct pci;
struct pci_device;
struct state;

#define PCI_SLOTS     32
#define PCI_ECAM_BASE UINT64_C(0xe0000000) /* 1 MiB per bus, PCI_BUSES of them */
#define PCI_BUSES     1
#define PCI_MSIX_MAX  32

struct pci_ident {
	uint16_t vendor, device, sub_vendor, sub_device;
	uint32_t class_code; /* 24 bits: class, subclass, programming interface */
	uint8_t revision;
};

struct pci_ops {
	/* One access to a BAR's window; not called for the MSI-X table. May be
	 * NULL when the device has no BAR of its own. */
	uint64_t (*read)(void *dev, unsigned bar, uint64_t offset, unsigned size);
	void (*write)(void *dev, unsigned bar, uint64_t offset, unsigned size, uint64_t value);
	/* Configuration space around a capability of the device: before a read
	 * (so that it can refresh the bytes) and after a write. May be NULL. */
	void (*config_reading)(void *dev, unsigned offset, unsigned size);
	void (*config_written)(void *dev, unsigned offset, unsigned size);
	/* Back to power-on state; pci.c has reset its own part. May be NULL. */
	void (*reset)(void *dev);
};

/* Adds a function; slot < PCI_SLOTS, or PCI_SLOT_ANY for the first free one.
 * Interrupt pin INTA unless `ident->class_code` is a bridge. Never fails:
 * a full bus is our own bug. pci owns the result. */
#define PCI_SLOT_ANY 0xff
struct pci_device *pci_add(struct pci *p, unsigned slot, const struct pci_ident *ident,
	const struct pci_ops *ops, void *dev, const char *name);

enum { PCI_BAR_IO = 1, PCI_BAR_64 = 2, PCI_BAR_PREFETCH = 4 };

/* Declares a BAR of `size` bytes (a power of two, at least 16); PCI_BAR_64
 * also takes bar+1. */
void pci_bar(struct pci_device *d, unsigned bar, uint64_t size, unsigned flags);

/* Where the BAR's window is now; false while it is not decoded. */
bool pci_bar_at(const struct pci_device *d, unsigned bar, uint64_t *base);

/* Links a capability (id and next pointer are put in front of `body`) and
 * returns its offset in configuration space. Read-only unless pci_writable
 * says otherwise. */
unsigned pci_capability(struct pci_device *d, uint8_t id, const void *body, size_t len);

/* Makes bits of configuration space writable by the guest. */
void pci_writable(struct pci_device *d, unsigned offset, unsigned size, uint32_t mask);

/* The device's 256 bytes of configuration space. */
uint8_t *pci_config(struct pci_device *d);

/* MSI-X with `vectors` <= PCI_MSIX_MAX entries: table at offset 0 and PBA at
 * offset 800h of BAR `bar`, which this call declares (4 KiB, memory). */
void pci_msix(struct pci_device *d, unsigned bar, unsigned vectors);
bool pci_msix_enabled(const struct pci_device *d);
/* Sends the vector's message, or sets its pending bit while it is masked. */
void pci_msix_notify(struct pci_device *d, unsigned vector);

/* The INTx wire; kept low while MSI-X is enabled or INTx is disabled. */
void pci_irq(struct pci_device *d, bool level);

bool pci_bus_master(const struct pci_device *d);
unsigned pci_slot(const struct pci_device *d);
const char *pci_name(const struct pci_device *d);

/* --- the host bridge's side, for machine.c ------------------------------- */

struct pci_host {
	struct bus *bus;
	/* INTA..INTD after swizzling: wire n of four, to IOAPIC and PIC. */
	void (*intx)(void *ctx, unsigned wire, bool level);
	void (*msi)(void *ctx, uint64_t address, uint32_t data);
	void *ctx;
	/* Windows for BARs, as the DSDT's _CRS says; ends are exclusive. */
	uint64_t mem_base, mem_end;
	uint16_t io_base;
	uint32_t io_end;
	uint8_t irq[4]; /* interrupt lines of INTA..INTD, as firmware reports them */
};

struct pci *pci_new(const struct pci_host *host);
void pci_free(struct pci *p);

/* What firmware does: BARs placed (moved ones back), decoding on, interrupt
 * lines written. Also after a reset. */
void pci_assign(struct pci *p);
void pci_reset(struct pci *p);

struct pci_device *pci_at(const struct pci *p, unsigned slot); /* NULL: empty */
void pci_info(const struct pci *p, struct buf *out);
void pci_state(struct pci *p, struct state *s);

#endif

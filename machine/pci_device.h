/* The inside of pci.h, shared by pci.c and pci_msix.c alone. */
#ifndef MACHINE_PCI_DEVICE_H
#define MACHINE_PCI_DEVICE_H

#include "machine/pci.h"
#include "base/bus.h"

#define PCI_CONFIG 256
#define PCI_BARS   6

/* Offsets of the type-0 header. */
enum {
	PCI_VENDOR = 0x00, PCI_DEVICE = 0x02, PCI_COMMAND = 0x04, PCI_STATUS = 0x06,
	PCI_REVISION = 0x08, PCI_CLASS = 0x09, PCI_CACHE_LINE = 0x0c, PCI_LATENCY = 0x0d,
	PCI_BAR0 = 0x10, PCI_SUB_VENDOR = 0x2c, PCI_SUB_DEVICE = 0x2e, PCI_CAPABILITIES = 0x34,
	PCI_LINE = 0x3c, PCI_PIN = 0x3d
};
enum { COMMAND_IO = 1, COMMAND_MEM = 2, COMMAND_MASTER = 4, COMMAND_INTX_OFF = 0x400 };
enum { STATUS_INTX = 0x08, STATUS_CAPABILITIES = 0x10 };

struct pci_bar {
	struct pci_device *device;
	unsigned index;
	uint64_t size; /* 0: not there */
	unsigned flags;
	bool msix;     /* the MSI-X table's */
	bool mapped;
	uint64_t base; /* while mapped */
};

struct pci_vector {
	uint64_t address;
	uint32_t data, control;
};

struct pci_device {
	struct pci *pci;
	unsigned slot;
	const struct pci_ops *ops;
	void *dev;
	const char *name;
	uint8_t config[PCI_CONFIG], writable[PCI_CONFIG];
	unsigned free; /* where the next capability goes */
	struct pci_bar bar[PCI_BARS];
	bool irq;      /* INTx as the device drives it */
	unsigned msix_cap, vectors;
	struct pci_vector vector[PCI_MSIX_MAX];
	uint32_t pending;
};

struct pci {
	struct pci_host host;
	uint32_t address; /* CF8h */
	struct pci_device *device[PCI_SLOTS];
	uint32_t wire[4]; /* slots that hold INTA..INTD up */
};

uint64_t pci_msix_read(struct pci_device *d, uint64_t offset, unsigned size);
void pci_msix_write(struct pci_device *d, uint64_t offset, unsigned size, uint64_t v);
void pci_msix_control(struct pci_device *d); /* the control word may have changed */
void pci_msix_reset(struct pci_device *d);
void pci_msix_state(struct pci_device *d, struct state *s);

#endif

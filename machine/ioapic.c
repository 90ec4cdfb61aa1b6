#include "machine/ioapic.h"

#include "machine/lapic.h"
#include "base/buf.h"
#include "base/state.h"

#include <string.h>

#define RTE_LOGICAL    BIT(11)
#define RTE_REMOTE_IRR BIT(14)
#define RTE_LEVEL      BIT(15)
#define RTE_MASKED     BIT(16)
#define RTE_READ_ONLY  (BIT(12) | RTE_REMOTE_IRR)
#define RTE_WRITABLE   UINT64_C(0xff0000000001afff)

enum { SELECT = 0x00, WINDOW = 0x10, EOI = 0x40 };

static void send(struct ioapic *a, unsigned pin)
{
	uint64_t e = a->entry[pin];
	struct apic_message m = {
		.dest = e >> 56,
		.logical = e & RTE_LOGICAL,
		.vector = (uint8_t)e,
		.delivery = e >> 8 & 7,
		.level = e & RTE_LEVEL,
	};
	bool taken = lapics_send(a->lapics, &m);
	if (e & RTE_LEVEL && taken)
		a->entry[pin] |= RTE_REMOTE_IRR;
}

/* A level input that is asserted, unmasked and not in service sends. */
static void service_level(struct ioapic *a, unsigned pin)
{
	uint64_t e = a->entry[pin];
	if (a->level & 1u << pin && e & RTE_LEVEL && !(e & (RTE_MASKED | RTE_REMOTE_IRR)))
		send(a, pin);
}

void ioapic_set(struct ioapic *a, unsigned pin, bool level)
{
	if (pin >= IOAPIC_PINS)
		return;
	bool was = a->level & 1u << pin;
	a->level = level ? a->level | 1u << pin : a->level & ~(1u << pin);
	if (a->entry[pin] & RTE_LEVEL)
		service_level(a, pin);
	else if (level && !was && !(a->entry[pin] & RTE_MASKED))
		send(a, pin);
}

void ioapic_eoi(struct ioapic *a, uint8_t vector)
{
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		uint64_t e = a->entry[pin];
		if ((uint8_t)e != vector || !(e & RTE_LEVEL) || !(e & RTE_REMOTE_IRR))
			continue;
		a->entry[pin] &= ~RTE_REMOTE_IRR;
		service_level(a, pin);
	}
}

static void write_entry(struct ioapic *a, unsigned pin, bool high, uint32_t v)
{
	uint64_t old = a->entry[pin];
	uint64_t e = high ? (old & UINT32_MAX) | (uint64_t)v << 32
			  : (old & ~(uint64_t)UINT32_MAX) | v;
	e = (e & RTE_WRITABLE) | (old & RTE_READ_ONLY);
	if (!(e & RTE_LEVEL))
		e &= ~RTE_REMOTE_IRR;
	a->entry[pin] = e;
	service_level(a, pin);
}

static uint32_t read_register(const struct ioapic *a)
{
	switch (a->select) {
	case 0:
	case 2:
		return (uint32_t)a->id << 24;
	case 1:
		return 0x20 | (IOAPIC_PINS - 1) << 16;
	default:
		break;
	}
	unsigned n = a->select - 0x10u;
	if (n >= 2 * IOAPIC_PINS)
		return UINT32_MAX;
	return (uint32_t)(a->entry[n / 2] >> 32 * (n & 1));
}

static uint64_t io_read(void *dev, uint64_t offset, unsigned size)
{
	struct ioapic *a = dev;
	(void)size;
	switch (offset & ~3u) {
	case SELECT:
		return a->select >> 8 * (offset & 3);
	case WINDOW:
		return (uint64_t)read_register(a) >> 8 * (offset & 3);
	default:
		return 0;
	}
}

static void io_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct ioapic *a = dev;
	(void)size;
	if (offset == SELECT) {
		a->select = (uint8_t)value;
	} else if (offset == WINDOW && a->select == 0) {
		a->id = value >> 24 & 0xf;
	} else if (offset == WINDOW && a->select >= 0x10 && a->select < 0x10 + 2 * IOAPIC_PINS) {
		write_entry(a, (a->select - 0x10u) / 2, a->select & 1, (uint32_t)value);
	} else if (offset == EOI) {
		ioapic_eoi(a, (uint8_t)value);
	}
}

static const struct bus_ops ops = {io_read, io_write};

void ioapic_init(struct ioapic *a, struct bus *bus, struct lapics *lapics)
{
	memset(a, 0, sizeof(*a));
	a->lapics = lapics;
	ioapic_reset(a);
	bus_map_mmio(bus, hpa(IOAPIC_BASE), PAGE_SIZE, &ops, a, "ioapic");
}

void ioapic_reset(struct ioapic *a)
{
	a->id = a->select = 0;
	for (unsigned i = 0; i < IOAPIC_PINS; i++)
		a->entry[i] = RTE_MASKED;
}

void ioapic_state(struct ioapic *a, struct state *s)
{
	state_section(s, "ioapic", 1);
	state_u8(s, &a->id);
	state_u8(s, &a->select);
	state_u32(s, &a->level);
	for (unsigned i = 0; i < IOAPIC_PINS; i++)
		state_u64(s, &a->entry[i]);
}

void ioapic_info(const struct ioapic *a, struct buf *out)
{
	for (unsigned i = 0; i < IOAPIC_PINS; i++) {
		uint64_t e = a->entry[i];
		if (e & RTE_MASKED)
			continue;
		buf_fmt(out, "ioapic   pin %u vector %02x %s %s dest %02x%s%s\n", i,
			(unsigned)(e & 0xff), e & RTE_LEVEL ? "level" : "edge",
			e & RTE_LOGICAL ? "logical" : "physical", (unsigned)(e >> 56),
			e & RTE_REMOTE_IRR ? " in service" : "",
			a->level & 1u << i ? " asserted" : "");
	}
}

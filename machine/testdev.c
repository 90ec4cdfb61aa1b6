#include "machine/testdev.h"

#include "machine/pci.h"
#include "base/buf.h"
#include "base/state.h"

#include <stdlib.h>
#include <string.h>

#define LINES 24
#define TESTS 3

/* One BAR of pci-testdev: a header that describes the selected test. */
struct counter {
	uint8_t test; /* TESTS: none is selected */
	uint32_t count;
};

struct testdev {
	struct testdev_wires wires;
	uint32_t word;
	uint8_t byte[4];
	uint8_t memory[TESTDEV_BYTES];
	struct counter counter[2];
};

/* --- pc-testdev --------------------------------------------------------------- */

static uint64_t word_read(void *dev, uint64_t offset, unsigned size)
{
	struct testdev *t = dev;
	(void)size;
	return t->word >> 8 * offset;
}

static void word_write(void *dev, uint64_t offset, unsigned size, uint64_t v)
{
	struct testdev *t = dev;
	uint32_t mask = (uint32_t)((size == 4 ? 0 : BIT(8 * size)) - 1) << 8 * offset;
	t->word = (t->word & ~mask) | ((uint32_t)v << 8 * offset & mask);
}

static uint64_t flush_read(void *dev, uint64_t offset, unsigned size)
{
	(void)dev;
	(void)offset;
	(void)size;
	return 0;
}

/* Hosts that map guest memory lose the page's mapping here; nothing that a
 * guest can see. */
static void flush_write(void *dev, uint64_t offset, unsigned size, uint64_t v)
{
	(void)dev;
	(void)offset;
	(void)size;
	(void)v;
}

static uint64_t byte_read(void *dev, uint64_t offset, unsigned size)
{
	struct testdev *t = dev;
	uint64_t v = 0;
	for (unsigned i = 0; i < size && offset + i < 4; i++)
		v |= (uint64_t)t->byte[offset + i] << 8 * i;
	return v;
}

static void byte_write(void *dev, uint64_t offset, unsigned size, uint64_t v)
{
	struct testdev *t = dev;
	for (unsigned i = 0; i < size && offset + i < 4; i++)
		t->byte[offset + i] = (uint8_t)(v >> 8 * i);
}

static void line_write(void *dev, uint64_t offset, unsigned size, uint64_t v)
{
	struct testdev *t = dev;
	(void)size;
	t->wires.line(t->wires.ctx, (unsigned)offset, v != 0);
}

static uint64_t memory_read(void *dev, uint64_t offset, unsigned size)
{
	struct testdev *t = dev;
	uint64_t v = 0;
	if (offset + size <= TESTDEV_BYTES)
		memcpy(&v, t->memory + offset, size);
	return v;
}

static void memory_write(void *dev, uint64_t offset, unsigned size, uint64_t v)
{
	struct testdev *t = dev;
	if (offset + size <= TESTDEV_BYTES)
		memcpy(t->memory + offset, &v, size);
}

/* --- pci-testdev ----------------------------------------------------------------
 *
 * 00 test (write: select), 01 width, 04 offset, 08 data, 0c count, 10 name.
 * Each write of `data` with `width` at `offset` counts. */

static const char *const test_name[TESTS] = {"plain", "any-data", "data-match"};

static uint32_t target(unsigned bar)
{
	return bar ? 0x80 : 0x800;
}

static uint8_t header_byte(const struct counter *c, unsigned bar, uint64_t at)
{
	if (c->test >= TESTS)
		return 0;
	if (at >= 0x10)
		return at - 0x10 < strlen(test_name[c->test]) ? (uint8_t)test_name[c->test][at - 0x10]
							      : 0;
	const uint32_t word[4] = {c->test | 1u << 8, target(bar), 0xfau, c->count};
	return (uint8_t)(word[at / 4] >> 8 * (at & 3));
}

static uint64_t pci_read(void *dev, unsigned bar, uint64_t offset, unsigned size)
{
	struct testdev *t = dev;
	uint64_t v = 0;
	for (unsigned i = 0; i < size && bar < 2; i++)
		v |= (uint64_t)header_byte(&t->counter[bar], bar, offset + i) << 8 * i;
	return v;
}

static void pci_write(void *dev, unsigned bar, uint64_t offset, unsigned size, uint64_t v)
{
	struct testdev *t = dev;
	if (bar > 1)
		return;
	struct counter *c = &t->counter[bar];
	if (offset == 0) {
		c->test = v < TESTS ? (uint8_t)v : TESTS;
		c->count = 0;
	} else if (offset == target(bar) && c->test < TESTS) {
		bool match = c->test != 2 || (size == 1 && v == 0xfa);
		c->count += match;
	}
}

static void pci_reset_(void *dev)
{
	struct testdev *t = dev;
	t->counter[0] = t->counter[1] = (struct counter){TESTS, 0};
}

static const struct pci_ops pci_ops = {.read = pci_read, .write = pci_write, .reset = pci_reset_};

/* --- both --------------------------------------------------------------------------- */

struct testdev *testdev_new(const struct testdev_wires *w)
{
	static const struct bus_ops word = {word_read, word_write}, flush = {flush_read, flush_write},
				    byte = {byte_read, byte_write}, line = {flush_read, line_write},
				    memory = {memory_read, memory_write};
	static const struct pci_ident ident = {.vendor = 0x1b36, .device = 0x0005,
		.sub_vendor = 0x1af4, .sub_device = 0x1100, .class_code = 0x00ff00};
	struct testdev *t = xalloc(sizeof(*t));
	t->wires = *w;
	pci_reset_(t);
	bus_map_port(w->bus, 0xe0, 4, &word, t, "testdev word");
	bus_map_port(w->bus, 0xe4, 4, &flush, t, "testdev flush");
	bus_map_port(w->bus, 0xe8, 1, &byte, t, "testdev byte");
	bus_map_port(w->bus, 0x2000, LINES, &line, t, "testdev lines");
	bus_map_mmio(w->bus, hpa(TESTDEV_MEMORY), TESTDEV_BYTES, &memory, t, "testdev memory");
	struct pci_device *d = pci_add(w->pci, PCI_SLOT_ANY, &ident, &pci_ops, t, "pci-testdev");
	pci_bar(d, 0, PAGE_SIZE, 0);
	pci_bar(d, 1, 256, PCI_BAR_IO);
	return t;
}

void testdev_free(struct testdev *t)
{
	free(t);
}

void testdev_reset(struct testdev *t)
{
	t->word = 0;
	memset(t->byte, 0, sizeof(t->byte));
	for (unsigned n = 0; n < LINES; n++)
		t->wires.line(t->wires.ctx, n, false);
}

void testdev_state(struct testdev *t, struct state *s)
{
	state_section(s, "testdev", 1);
	state_u32(s, &t->word);
	state_bytes(s, t->byte, sizeof(t->byte));
	state_bytes(s, t->memory, sizeof(t->memory));
	for (unsigned i = 0; i < 2; i++) {
		state_u8(s, &t->counter[i].test);
		state_u32(s, &t->counter[i].count);
	}
}

#include "machine/pic.h"

#include "base/buf.h"
#include "base/bus.h"
#include "base/state.h"

#include <string.h>

enum { ICW1_INIT = 0x10, ICW1_LEVEL = 0x08, ICW1_SINGLE = 0x02, ICW1_ICW4 = 0x01 };
enum { ICW4_AEOI = 0x02, ICW4_NESTED = 0x10, OCW3 = 0x08 };

/* Requests: latched edges, and level inputs as they are. */
static uint8_t requests(const struct pic_chip *c)
{
	uint8_t levels = c->icw1 & ICW1_LEVEL ? 0xff : c->elcr;
	return (c->irr & ~levels) | (c->level & levels);
}

/* The input with the highest priority in `set`, -1 when empty. */
static int first(const struct pic_chip *c, uint8_t set)
{
	for (unsigned i = 1; i <= 8; i++) {
		unsigned n = (c->lowest + i) & 7;
		if (set >> n & 1)
			return (int)n;
	}
	return -1;
}

static unsigned rank(const struct pic_chip *c, int n)
{
	return ((unsigned)n - c->lowest - 1) & 7;
}

/* The input that asks for service now: -1 when none outranks what is in
 * service. */
static int pending(const struct pic_chip *c)
{
	int n = first(c, requests(c) & ~c->imr);
	if (n < 0)
		return -1;
	uint8_t busy = c->special_mask ? c->isr & ~c->imr : c->isr;
	if (!c->slave && c->icw4 & ICW4_NESTED && n == 2)
		busy &= ~(1 << 2); /* special fully nested: the slave may interrupt itself */
	int served = first(c, busy);
	return served < 0 || rank(c, n) < rank(c, served) ? n : -1;
}

static void update(struct pic *p)
{
	struct pic_chip *master = &p->chip[0];
	bool cascade = pending(&p->chip[1]) >= 0;
	bool was = master->level & 1 << 2;
	master->level = cascade ? master->level | 1 << 2 : master->level & ~(1 << 2);
	if (cascade && !was)
		master->irr |= 1 << 2;
	else if (!cascade)
		master->irr &= ~(1 << 2);
	bool out = pending(master) >= 0;
	if (out != p->out) {
		p->out = out;
		irq_set(&p->intr, out);
	}
}

void pic_set(struct pic *p, unsigned irq, bool level)
{
	struct pic_chip *c = &p->chip[irq >> 3 & 1];
	uint8_t bit = (uint8_t)(1 << (irq & 7));
	if (irq >= 16 || irq == 2)
		return;
	if (level && !(c->level & bit))
		c->irr |= bit;
	if (!level)
		c->irr &= ~bit; /* the request must last until it is acknowledged */
	c->level = level ? c->level | bit : c->level & ~bit;
	update(p);
}

static int acknowledge(struct pic_chip *c)
{
	int n = pending(c);
	if (n < 0)
		return -1;
	c->irr &= ~(1 << n);
	if (!(c->icw4 & ICW4_AEOI))
		c->isr |= 1 << n;
	else if (c->rotate_aeoi)
		c->lowest = (uint8_t)n;
	return n;
}

int pic_ack(struct pic *p)
{
	struct pic_chip *master = &p->chip[0], *slave = &p->chip[1];
	int n = acknowledge(master), vector;
	if (n == 2) {
		int s = acknowledge(slave);
		vector = slave->base + (s < 0 ? 7 : s);
	} else {
		vector = master->base + (n < 0 ? 7 : n); /* 7: spurious */
	}
	update(p);
	return vector;
}

static void initialise(struct pic_chip *c, uint8_t v)
{
	c->icw1 = v;
	c->icw = 2;
	c->irr = c->imr = c->isr = 0;
	c->lowest = 7;
	c->read_isr = c->poll = c->special_mask = c->rotate_aeoi = false;
	if (!(v & ICW1_ICW4))
		c->icw4 = 0;
}

static void ocw2(struct pic_chip *c, uint8_t v)
{
	bool rotate = v & 0x80, specific = v & 0x40, eoi = v & 0x20;
	if (!eoi && !specific) {
		c->rotate_aeoi = rotate;
		return;
	}
	int n = specific ? v & 7 : first(c, c->special_mask ? c->isr & ~c->imr : c->isr);
	if (n < 0)
		return;
	if (eoi)
		c->isr &= ~(1 << n);
	if (rotate)
		c->lowest = (uint8_t)n;
}

static void ocw3(struct pic_chip *c, uint8_t v)
{
	if (v & 0x40)
		c->special_mask = v & 0x20;
	if (v & 0x04)
		c->poll = true;
	else if (v & 0x02)
		c->read_isr = v & 0x01;
}

static void write_data(struct pic_chip *c, uint8_t v)
{
	switch (c->icw) {
	case 2:
		c->base = v & 0xf8;
		c->icw = c->icw1 & ICW1_SINGLE ? (c->icw1 & ICW1_ICW4 ? 4 : 0) : 3;
		break;
	case 3:
		c->icw = c->icw1 & ICW1_ICW4 ? 4 : 0;
		break;
	case 4:
		c->icw4 = v;
		c->icw = 0;
		break;
	default:
		c->imr = v;
		break;
	}
}

static void chip_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct pic_chip *c = dev;
	uint8_t v = (uint8_t)value;
	(void)size;
	if (offset)
		write_data(c, v);
	else if (v & ICW1_INIT)
		initialise(c, v);
	else if (v & OCW3)
		ocw3(c, v);
	else
		ocw2(c, v);
	update(c->pair);
}

static uint64_t chip_read(void *dev, uint64_t offset, unsigned size)
{
	struct pic_chip *c = dev;
	(void)size;
	if (c->poll) {
		c->poll = false;
		int n = acknowledge(c);
		update(c->pair);
		return n < 0 ? 0 : 0x80u | (unsigned)n;
	}
	if (offset)
		return c->imr;
	return c->read_isr ? c->isr : requests(c);
}

static uint64_t elcr_read(void *dev, uint64_t offset, unsigned size)
{
	struct pic *p = dev;
	return p->chip[offset].elcr | (size > 1 && !offset ? p->chip[1].elcr << 8 : 0);
}

static void elcr_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct pic *p = dev;
	for (unsigned i = 0; i < size && offset + i < 2; i++) {
		struct pic_chip *c = &p->chip[offset + i];
		c->elcr = (uint8_t)(value >> 8 * i) & c->elcr_writable;
	}
	update(p);
}

static const struct bus_ops chip_ops = {chip_read, chip_write};
static const struct bus_ops elcr_ops = {elcr_read, elcr_write};

void pic_init(struct pic *p, struct bus *bus, struct irq_line intr)
{
	memset(p, 0, sizeof(*p));
	p->intr = intr;
	for (unsigned i = 0; i < 2; i++) {
		p->chip[i].pair = p;
		p->chip[i].slave = i;
		p->chip[i].elcr_writable = i ? 0xde : 0xf8;
	}
	pic_reset(p);
	bus_map_port(bus, 0x20, 2, &chip_ops, &p->chip[0], "pic master");
	bus_map_port(bus, 0xa0, 2, &chip_ops, &p->chip[1], "pic slave");
	bus_map_port(bus, 0x4d0, 2, &elcr_ops, p, "elcr");
}

void pic_reset(struct pic *p)
{
	for (unsigned i = 0; i < 2; i++) {
		struct pic_chip *c = &p->chip[i];
		initialise(c, 0);
		c->icw = c->icw4 = c->base = c->elcr = 0;
	}
	update(p);
}

void pic_firmware(struct pic *p)
{
	for (unsigned i = 0; i < 2; i++) {
		struct pic_chip *c = &p->chip[i];
		c->icw1 = 0x11;
		c->icw4 = 0x01;
		c->base = i ? 0x70 : 0x08;
		c->imr = i ? 0xff : 0xfe; /* the BIOS tick alone */
	}
	update(p);
}

void pic_elcr(struct pic *p, unsigned irq, bool level_triggered)
{
	struct pic_chip *c = &p->chip[irq >> 3 & 1];
	uint8_t bit = (uint8_t)(1 << (irq & 7));
	c->elcr = level_triggered ? c->elcr | bit : c->elcr & ~bit;
	update(p);
}

void pic_state(struct pic *p, struct state *s)
{
	state_section(s, "pic", 1);
	for (unsigned i = 0; i < 2; i++) {
		struct pic_chip *c = &p->chip[i];
		uint8_t *const reg[] = {&c->irr, &c->imr, &c->isr, &c->level, &c->elcr, &c->base,
			&c->lowest, &c->icw, &c->icw1, &c->icw4};
		for (unsigned k = 0; k < sizeof(reg) / sizeof(*reg); k++)
			state_u8(s, reg[k]);
		state_bool(s, &c->read_isr);
		state_bool(s, &c->poll);
		state_bool(s, &c->special_mask);
		state_bool(s, &c->rotate_aeoi);
		c->lowest &= 7;
	}
	state_bool(s, &p->out);
}

void pic_info(const struct pic *p, struct buf *out)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct pic_chip *c = &p->chip[i];
		buf_fmt(out, "pic%u     base %02x imr %02x irr %02x isr %02x elcr %02x\n", i, c->base,
			c->imr, requests(c), c->isr, c->elcr);
	}
}

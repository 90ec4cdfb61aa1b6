#include "machine/pit.h"

#include "base/buf.h"
#include "base/bus.h"
#include "base/state.h"

#include <string.h>

/* Input clocks since the count began, while the gate lets them through. */
static uint64_t elapsed(const struct pit *p, const struct pit_channel *c)
{
	bool stops = c->mode != 1 && c->mode != 5;
	if (!c->gate && stops)
		return c->held;
	return clock_to_hz(p->clock->now - c->start, PIT_HZ);
}

static uint32_t limit(const struct pit_channel *c)
{
	return c->bcd ? 10000 : 0x10000;
}

static uint16_t to_bcd(uint32_t v)
{
	return (uint16_t)(v % 10 | v / 10 % 10 << 4 | v / 100 % 10 << 8 | v / 1000 % 10 << 12);
}

static uint32_t from_bcd(uint32_t v)
{
	return (v & 15) + 10 * (v >> 4 & 15) + 100 * (v >> 8 & 15) + 1000 * (v >> 12 & 15);
}

static uint16_t count(const struct pit *p, const struct pit_channel *c)
{
	uint32_t v;
	uint64_t d = elapsed(p, c);
	if (!c->loaded)
		v = c->reload % limit(c);
	else if (c->mode == 2)
		v = c->reload - (uint32_t)(d % c->reload);
	else if (c->mode == 3)
		v = (c->reload - (uint32_t)(2 * d % c->reload)) & ~1u;
	else
		v = (uint32_t)((c->reload + limit(c) - d % limit(c)) % limit(c));
	v %= limit(c);
	return c->bcd ? to_bcd(v) : (uint16_t)v;
}

static bool output(const struct pit *p, const struct pit_channel *c)
{
	uint64_t d = elapsed(p, c);
	switch (c->mode) {
	case 0:
		return c->loaded && d >= c->reload;
	case 1:
		return !c->loaded || d >= c->reload;
	case 2:
		return !c->loaded || d % c->reload != c->reload - 1;
	case 3:
		return !c->loaded || d % c->reload < (c->reload + 1) / 2;
	default:
		return !c->loaded || d != c->reload;
	}
}

/* The deadline of channel 0's next rising edge. */
static void arm(struct pit *p)
{
	struct pit_channel *c = &p->ch[0];
	bool periodic = c->mode == 2 || c->mode == 3;
	if (!c->loaded || !c->gate || c->mode == 1 || c->mode == 5 || (!periodic && p->pulses) ||
		p->irq_off) {
		clock_disarm(p->clock, &p->timer);
		return;
	}
	uint64_t clocks = (p->pulses + 1) * c->reload;
	clock_arm(p->clock, &p->timer, c->start + clock_from_hz(clocks, PIT_HZ));
}

static void fire(void *owner)
{
	struct pit *p = owner;
	struct pit_channel *c = &p->ch[0];
	p->pulses++;
	if (c->mode == 2 || c->mode == 3) {
		uint64_t done = elapsed(p, c) / c->reload;
		if (done > p->pulses)
			p->pulses = done;
	}
	irq_set(&p->irq, false);
	irq_set(&p->irq, true);
	arm(p);
}

static void start(struct pit *p, unsigned n)
{
	struct pit_channel *c = &p->ch[n];
	c->start = p->clock->now;
	c->held = 0;
	c->loaded = true;
	if (n == 0) {
		p->pulses = 0;
		if (c->mode == 0)
			irq_set(&p->irq, false);
		arm(p);
	}
}

static void load(struct pit *p, unsigned n, uint16_t v)
{
	struct pit_channel *c = &p->ch[n];
	uint32_t count_ = c->bcd ? from_bcd(v) : v;
	c->reload = count_ ? count_ : limit(c);
	if (c->mode == 1 || c->mode == 5)
		c->loaded = false; /* waits for the gate's edge */
	else
		start(p, n);
}

static void write_count(struct pit *p, unsigned n, uint8_t v)
{
	struct pit_channel *c = &p->ch[n];
	switch (c->access) {
	case 1:
		load(p, n, v);
		break;
	case 2:
		load(p, n, (uint16_t)(v << 8));
		break;
	default:
		if (c->high_next_write)
			load(p, n, (uint16_t)(v << 8 | c->low_byte));
		c->low_byte = v;
		c->high_next_write = !c->high_next_write;
		break;
	}
}

static void latch_count(struct pit *p, struct pit_channel *c)
{
	if (c->latches)
		return;
	c->latched = count(p, c);
	c->latches = c->access == 3 ? 2 : 1;
}

static void latch_status(struct pit *p, struct pit_channel *c)
{
	if (c->status_latched)
		return;
	c->status = (uint8_t)(output(p, c) << 7 | !c->loaded << 6 | c->access << 4 | c->mode << 1 |
		c->bcd);
	c->status_latched = true;
}

static uint8_t read_count(struct pit *p, struct pit_channel *c)
{
	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	uint16_t v = c->latches ? c->latched : count(p, c);
	bool high = c->access == 2 || (c->access == 3 && c->high_next_read);
	if (c->access == 3)
		c->high_next_read = !c->high_next_read;
	if (c->latches)
		c->latches--;
	return (uint8_t)(high ? v >> 8 : v);
}

static void set_mode(struct pit *p, unsigned n, uint8_t v)
{
	struct pit_channel *c = &p->ch[n];
	c->access = v >> 4 & 3;
	c->mode = v >> 1 & 7;
	if (c->mode > 5)
		c->mode -= 4;
	c->bcd = v & 1;
	c->loaded = false;
	c->high_next_write = c->high_next_read = false;
	c->latches = 0;
	c->status_latched = false;
	if (!c->reload)
		c->reload = limit(c);
	if (n == 0) {
		irq_set(&p->irq, c->mode != 0);
		arm(p);
	}
}

static void control(struct pit *p, uint8_t v)
{
	unsigned n = v >> 6;
	if (n < 3 && !(v & 0x30)) {
		latch_count(p, &p->ch[n]);
	} else if (n < 3) {
		set_mode(p, n, v);
	} else {
		for (unsigned i = 0; i < 3; i++) {
			if (!(v >> (i + 1) & 1))
				continue;
			if (!(v & 0x20))
				latch_count(p, &p->ch[i]);
			if (!(v & 0x10))
				latch_status(p, &p->ch[i]);
		}
	}
}

static void set_gate(struct pit *p, unsigned n, bool gate)
{
	struct pit_channel *c = &p->ch[n];
	if (gate == c->gate)
		return;
	if (!gate)
		c->held = elapsed(p, c);
	c->gate = gate;
	if (!gate)
		return;
	if (c->mode == 0 || c->mode == 4)
		c->start = p->clock->now - clock_from_hz(c->held, PIT_HZ);
	else if (c->loaded || c->mode == 1 || c->mode == 5)
		start(p, n);
}

static uint64_t port_read(void *dev, uint64_t offset, unsigned size)
{
	struct pit *p = dev;
	(void)size;
	return offset < 3 ? read_count(p, &p->ch[offset]) : 0xff;
}

static void port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	(void)size;
	if (offset == 3)
		control(dev, (uint8_t)value);
	else
		write_count(dev, (unsigned)offset, (uint8_t)value);
}

/* Port 61h: gate and speaker can be written; bit 4 toggles with the refresh
 * (15.085 us), bit 5 is channel 2's output. */
static uint64_t control_b_read(void *dev, uint64_t offset, unsigned size)
{
	struct pit *p = dev;
	(void)offset;
	(void)size;
	unsigned refresh = p->clock->now / 15085 & 1;
	return (unsigned)p->ch[2].gate | p->speaker << 1 | refresh << 4 |
		(unsigned)output(p, &p->ch[2]) << 5;
}

static void control_b_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct pit *p = dev;
	(void)offset;
	(void)size;
	set_gate(p, 2, value & 1);
	p->speaker = value & 2;
}

static const struct bus_ops ops = {port_read, port_write};
static const struct bus_ops control_b_ops = {control_b_read, control_b_write};

void pit_init(struct pit *p, struct bus *bus, struct clock *clock, struct irq_line irq)
{
	memset(p, 0, sizeof(*p));
	p->clock = clock;
	p->irq = irq;
	clock_register(clock, &p->timer, fire, p);
	pit_reset(p);
	bus_map_port(bus, 0x40, 4, &ops, p, "pit");
	bus_map_port(bus, 0x61, 1, &control_b_ops, p, "port 61h");
}

void pit_reset(struct pit *p)
{
	for (unsigned i = 0; i < 3; i++) {
		p->ch[i] = (struct pit_channel){
			.mode = 3, .access = 3, .gate = i != 2, .reload = 0x10000};
	}
	p->speaker = p->irq_off = false;
	p->pulses = 0;
	clock_disarm(p->clock, &p->timer);
}

void pit_legacy_off(struct pit *p, bool off)
{
	p->irq_off = off;
	if (!off)
		p->pulses = elapsed(p, &p->ch[0]) / p->ch[0].reload;
	arm(p);
}

void pit_state(struct pit *p, struct state *s)
{
	state_section(s, "pit", 1);
	for (unsigned i = 0; i < 3; i++) {
		struct pit_channel *c = &p->ch[i];
		uint8_t *const byte[] = {&c->mode, &c->access, &c->low_byte, &c->latches, &c->status};
		bool *const flag[] = {&c->bcd, &c->gate, &c->loaded, &c->high_next_write,
			&c->high_next_read, &c->status_latched};
		for (unsigned k = 0; k < sizeof(byte) / sizeof(*byte); k++)
			state_u8(s, byte[k]);
		for (unsigned k = 0; k < sizeof(flag) / sizeof(*flag); k++)
			state_bool(s, flag[k]);
		state_u32(s, &c->reload);
		state_u64(s, &c->start);
		state_u64(s, &c->held);
		state_u16(s, &c->latched);
		if (c->reload < 1 || c->reload > 0x10000 || c->mode > 5)
			state_fail(s, "PIT channel %u of the snapshot has an impossible count", i);
	}
	state_u64(s, &p->pulses);
	state_bool(s, &p->speaker);
	state_bool(s, &p->irq_off);
}

void pit_info(const struct pit *p, struct buf *out)
{
	for (unsigned i = 0; i < 3; i++)
		buf_fmt(out, "pit%u     mode %u reload %u%s\n", i, p->ch[i].mode, p->ch[i].reload,
			p->ch[i].loaded ? "" : " (not started)");
}

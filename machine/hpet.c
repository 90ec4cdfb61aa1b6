#include "machine/hpet.h"

#include "base/addr.h"
#include "base/buf.h"
#include "base/bus.h"
#include "base/state.h"

#include <string.h>

enum { CAPABILITIES = 0x00, CONFIG = 0x10, STATUS = 0x20, COUNTER = 0xf0, TIMER0 = 0x100 };
enum { ENABLE = 1, LEGACY = 2 };
enum { T_LEVEL = 2, T_INT = 4, T_PERIODIC = 8, T_CAN_PERIODIC = 0x10, T_CAN_64 = 0x20, T_SET = 0x40,
	T_32BIT = 0x100 };
#define T_WRITABLE   UINT64_C(0x3f4e)
#define T_ROUTES     UINT64_C(0x00f00000) /* IOAPIC inputs 20..23 */
#define PERIOD_FS    UINT64_C(10000000)

static uint64_t counter(const struct hpet *h)
{
	if (!(h->config & ENABLE))
		return h->counter;
	return h->counter + (h->wires.clock->now - h->from) / HPET_TICK;
}

static uint64_t mask(const struct hpet_timer *t)
{
	return t->config & T_32BIT ? UINT32_MAX : UINT64_MAX;
}

static unsigned route(const struct hpet_timer *t)
{
	return t->config >> 9 & 31;
}

static bool legacy(const struct hpet_timer *t)
{
	return t->hpet->config & LEGACY && t->index < 2;
}

static void drive(struct hpet_timer *t, bool level)
{
	const struct hpet_wires *w = &t->hpet->wires;
	if (legacy(t))
		w->isa(w->ctx, t->index ? 8 : 0, level);
	else
		w->gsi(w->ctx, route(t), level);
}

/* The deadline at which the counter meets the comparator. */
static void arm(struct hpet_timer *t)
{
	struct hpet *h = t->hpet;
	if (!(h->config & ENABLE)) {
		clock_disarm(h->wires.clock, &t->timer);
		return;
	}
	uint64_t distance = (t->comparator - counter(h)) & mask(t);
	if (!distance)
		distance = t->config & T_32BIT ? UINT64_C(1) << 32 : UINT64_MAX;
	uint64_t phase = (h->wires.clock->now - h->from) % HPET_TICK;
	if (distance > (CLOCK_NEVER >> 1) / HPET_TICK || !(t->config & T_INT))
		clock_disarm(h->wires.clock, &t->timer);
	else
		clock_arm(h->wires.clock, &t->timer,
			h->wires.clock->now - phase + distance * HPET_TICK);
}

static void fire(void *owner)
{
	struct hpet_timer *t = owner;
	struct hpet *h = t->hpet;
	if (t->config & T_PERIODIC && t->period) {
		uint64_t late = (counter(h) - t->comparator) & mask(t);
		t->comparator = (t->comparator + (late / t->period + 1) * t->period) & mask(t);
	}
	if (t->config & T_LEVEL) {
		h->status |= 1u << t->index;
		drive(t, true);
	} else {
		drive(t, false);
		drive(t, true);
	}
	arm(t);
}

static void set_config(struct hpet *h, uint64_t v)
{
	uint64_t old = h->config;
	uint64_t now = counter(h);
	h->config = v & (ENABLE | LEGACY);
	if ((old ^ h->config) & ENABLE) {
		h->counter = now;
		h->from = h->wires.clock->now;
	}
	if ((old ^ h->config) & LEGACY)
		h->wires.legacy(h->wires.ctx, h->config & LEGACY);
	for (unsigned i = 0; i < HPET_TIMERS; i++)
		arm(&h->t[i]);
}

static void clear_status(struct hpet *h, uint64_t v)
{
	for (unsigned i = 0; i < HPET_TIMERS; i++)
		if (v & h->status & 1u << i)
			drive(&h->t[i], false);
	h->status &= ~v;
}

static void write_comparator(struct hpet_timer *t, uint64_t v)
{
	v &= mask(t);
	if (t->config & T_PERIODIC) {
		if (t->config & T_SET)
			t->comparator = v;
		t->period = v;
		/* The first write after SET gives the comparator, the next the period. */
		t->config &= ~(uint64_t)T_SET;
	} else {
		t->comparator = v;
	}
	arm(t);
}

static uint64_t read_register(const struct hpet *h, uint64_t reg)
{
	if (reg >= TIMER0 && reg < TIMER0 + 0x20 * HPET_TIMERS) {
		const struct hpet_timer *t = &h->t[(reg - TIMER0) / 0x20];
		switch (reg & 0x18) {
		case 0x00:
			return t->config | T_CAN_PERIODIC | T_CAN_64 | T_ROUTES << 32;
		case 0x08:
			return t->comparator;
		default:
			return t->fsb;
		}
	}
	switch (reg) {
	case CAPABILITIES:
		return PERIOD_FS << 32 | UINT64_C(0x8086) << 16 | 1u << 15 | 1u << 13 |
			(HPET_TIMERS - 1) << 8 | 1;
	case CONFIG:
		return h->config;
	case STATUS:
		return h->status;
	case COUNTER:
		return counter(h);
	default:
		return 0;
	}
}

static void write_timer(struct hpet *h, struct hpet_timer *t, uint64_t reg, uint64_t v)
{
	switch (reg) {
	case 0x00:
		if (h->status >> t->index & 1)
			clear_status(h, 1u << t->index);
		t->config = v & T_WRITABLE;
		t->comparator &= mask(t);
		arm(t);
		break;
	case 0x08:
		write_comparator(t, v);
		break;
	default:
		t->fsb = v;
		break;
	}
}

static void write_register(struct hpet *h, uint64_t reg, uint64_t v)
{
	if (reg >= TIMER0 && reg < TIMER0 + 0x20 * HPET_TIMERS) {
		write_timer(h, &h->t[(reg - TIMER0) / 0x20], reg & 0x18, v);
		return;
	}
	switch (reg) {
	case CONFIG:
		set_config(h, v);
		break;
	case STATUS:
		clear_status(h, v);
		break;
	case COUNTER:
		h->counter = v;
		h->from = h->wires.clock->now;
		for (unsigned i = 0; i < HPET_TIMERS; i++)
			arm(&h->t[i]);
		break;
	default:
		break;
	}
}

static uint64_t mmio_read(void *dev, uint64_t offset, unsigned size)
{
	(void)size;
	return read_register(dev, offset & ~7u) >> 8 * (offset & 7);
}

static void mmio_write(void *dev, uint64_t offset, unsigned size, uint64_t v)
{
	struct hpet *h = dev;
	uint64_t reg = offset & ~7u;
	if (size == 4) {
		uint64_t old = reg == STATUS ? 0 : read_register(h, reg);
		v = offset & 4 ? (old & UINT32_MAX) | v << 32 : (old & ~(uint64_t)UINT32_MAX) | v;
	} else if (size != 8) {
		return;
	}
	write_register(h, reg, v);
}

static const struct bus_ops ops = {mmio_read, mmio_write};

void hpet_init(struct hpet *h, const struct hpet_wires *w)
{
	memset(h, 0, sizeof(*h));
	h->wires = *w;
	for (unsigned i = 0; i < HPET_TIMERS; i++) {
		h->t[i].hpet = h;
		h->t[i].index = i;
		clock_register(w->clock, &h->t[i].timer, fire, &h->t[i]);
	}
	hpet_reset(h);
	bus_map_mmio(w->bus, hpa(HPET_BASE), 0x400, &ops, h, "hpet");
}

void hpet_reset(struct hpet *h)
{
	if (h->config & LEGACY)
		h->wires.legacy(h->wires.ctx, false);
	h->config = h->status = h->counter = h->from = 0;
	for (unsigned i = 0; i < HPET_TIMERS; i++) {
		struct hpet_timer *t = &h->t[i];
		t->config = t->period = t->fsb = 0;
		t->comparator = UINT64_MAX;
		clock_disarm(h->wires.clock, &t->timer);
	}
}

void hpet_state(struct hpet *h, struct state *s)
{
	state_section(s, "hpet", 1);
	state_u64(s, &h->config);
	state_u64(s, &h->status);
	state_u64(s, &h->counter);
	state_u64(s, &h->from);
	for (unsigned i = 0; i < HPET_TIMERS; i++) {
		state_u64(s, &h->t[i].config);
		state_u64(s, &h->t[i].comparator);
		state_u64(s, &h->t[i].period);
		state_u64(s, &h->t[i].fsb);
	}
}

void hpet_info(const struct hpet *h, struct buf *out)
{
	buf_fmt(out, "hpet     config %llx counter %llu\n", (unsigned long long)h->config,
		(unsigned long long)counter(h));
}

/* Messages between local APICs: destinations, IPIs, lowest priority, MSI.
 * SDM Vol. 3A 10.6 "Issuing Interprocessor Interrupts", 10.12.10 "Determining
 * IPI Destination in x2APIC Mode". */
#include "machine/lapic.h"

static bool broadcast(const struct apic_message *m)
{
	return m->dest == (m->wide ? UINT32_MAX : 0xff);
}

static bool physical_match(const struct lapic *l, const struct apic_message *m)
{
	return l->id == m->dest;
}

static bool logical_match(const struct lapic *l, const struct apic_message *m)
{
	if (lapic_x2(l))
		return l->ldr >> 16 == m->dest >> 16 && (l->ldr & m->dest & 0xffff);
	uint8_t dest = (uint8_t)m->dest, id = (uint8_t)(l->ldr >> 24);
	if (m->dest > 0xff)
		return false;
	if (l->dfr >> 28 == 0xf)
		return id & dest;
	return (dest >> 4 == 0xf || dest >> 4 == id >> 4) && (id & dest & 0xf);
}

static bool matches(const struct lapic *l, const struct apic_message *m)
{
	if (!lapic_hw_on(l))
		return false;
	if (broadcast(m))
		return true;
	return m->logical ? logical_match(l, m) : physical_match(l, m);
}

/* One message at one APIC. INIT, NMI and SIPI also reach one that software
 * has disabled. */
static bool take(struct lapic *l, const struct apic_message *m)
{
	switch (m->delivery) {
	case APIC_FIXED:
	case APIC_LOWEST:
		if (!lapic_sw_on(l))
			return false;
		lapic_accept(l, m->vector, m->level);
		break;
	case APIC_NMI:
		l->pins.nmi(l->pins.cpu);
		break;
	case APIC_INIT:
		l->pins.init(l->pins.cpu);
		break;
	case APIC_SIPI:
		l->pins.sipi(l->pins.cpu, m->vector);
		break;
	default:
		return false;
	}
	if (l->index != *l->all->cfg.current && l->all->cfg.yield)
		l->all->cfg.yield(l->all->cfg.ctx);
	return true;
}

/* Of those addressed, the one with the lowest processor priority; the next in
 * turn among equals. */
static struct lapic *lowest(struct lapics *all, const struct apic_message *m)
{
	struct lapic *best = NULL;
	for (unsigned i = 1; i <= all->cfg.count; i++) {
		struct lapic *l = &all->cpu[(all->lowest + i) % all->cfg.count];
		if (!lapic_sw_on(l) || !matches(l, m))
			continue;
		if (!best || lapic_ppr(l) >> 4 < lapic_ppr(best) >> 4)
			best = l;
	}
	return best;
}

bool lapics_send(struct lapics *all, const struct apic_message *m)
{
	if (m->delivery == APIC_LOWEST) {
		struct lapic *l = lowest(all, m);
		if (!l)
			return false;
		all->lowest = l->index;
		return take(l, m);
	}
	bool taken = false;
	for (unsigned i = 0; i < all->cfg.count; i++)
		if (matches(&all->cpu[i], m))
			taken |= take(&all->cpu[i], m);
	return taken;
}

void lapics_msi(struct lapics *all, uint64_t address, uint32_t data)
{
	struct apic_message m = {
		.dest = address >> 12 & 0xff,
		.logical = address >> 2 & 1,
		.vector = (uint8_t)data,
		.delivery = data >> 8 & 7,
		.level = data >> 15 & 1,
	};
	lapics_send(all, &m);
}

void lapic_self_ipi(struct lapic *l, uint8_t vector)
{
	if (vector < 16) {
		lapic_error(l, 1u << 5);
		return;
	}
	if (lapic_sw_on(l))
		lapic_accept(l, vector, false);
}

void lapic_icr(struct lapic *l)
{
	struct lapics *all = l->all;
	uint32_t low = l->icr_low;
	struct apic_message m = {
		.dest = lapic_x2(l) ? l->icr_high : l->icr_high >> 24,
		.wide = lapic_x2(l),
		.logical = low >> 11 & 1,
		.vector = (uint8_t)low,
		.delivery = low >> 8 & 7,
	};
	bool deassert = (low & 1 << 15) && !(low & 1 << 14);
	if (m.delivery == APIC_INIT && deassert)
		return; /* "INIT level de-assert" does nothing since the Pentium 4 */
	if ((m.delivery == APIC_FIXED || m.delivery == APIC_LOWEST) && m.vector < 16) {
		lapic_error(l, 1u << 5);
		return;
	}
	unsigned shorthand = low >> 18 & 3;
	if (shorthand == 0) {
		lapics_send(all, &m);
	} else if (shorthand == 1) {
		take(l, &m);
	} else {
		for (unsigned i = 0; i < all->cfg.count; i++)
			if ((shorthand == 2 || i != l->index) && lapic_hw_on(&all->cpu[i]))
				take(&all->cpu[i], &m);
	}
}

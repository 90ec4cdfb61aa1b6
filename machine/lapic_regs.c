/* The local APIC's registers: the memory window (SDM Vol. 3A table 10-1) and
 * the x2APIC MSRs (table 10-6). */
#include "machine/lapic.h"

enum {
	REG_ID = 0x20, REG_VERSION = 0x30, REG_TPR = 0x80, REG_PPR = 0xa0, REG_EOI = 0xb0,
	REG_LDR = 0xd0, REG_DFR = 0xe0, REG_SVR = 0xf0, REG_ISR = 0x100, REG_TMR = 0x180,
	REG_IRR = 0x200, REG_ESR = 0x280, REG_ICR = 0x300, REG_ICR_HIGH = 0x310, REG_LVT = 0x320,
	REG_LVT_END = REG_LVT + 16 * LVT_COUNT, REG_INITIAL = 0x380, REG_CURRENT = 0x390,
	REG_DIVIDE = 0x3e0, REG_SELF_IPI = 0x3f0
};

/* Version 14h, six LVT entries, EOI-broadcast suppression. */
#define VERSION (0x14u | (LVT_COUNT - 1) << 16 | 1u << 24)

/* Distinct places of the window that are kept on the bus at a time. */
#define LAPIC_WINDOWS 8

#define MSR_TSC_DEADLINE 0x6e0

static const uint32_t lvt_writable[LVT_COUNT] = {
	[LVT_TIMER] = 0x700ff, [LVT_THERMAL] = 0x107ff, [LVT_PERF] = 0x107ff,
	[LVT_LINT0] = 0x1a7ff, [LVT_LINT1] = 0x1a7ff, [LVT_ERROR] = 0x100ff
};

uint64_t lapic_read(struct lapic *l, unsigned reg)
{
	if (reg >= REG_ISR && reg < REG_ISR + 0x80)
		return l->isr[(reg - REG_ISR) / 16];
	if (reg >= REG_TMR && reg < REG_TMR + 0x80)
		return l->tmr[(reg - REG_TMR) / 16];
	if (reg >= REG_IRR && reg < REG_IRR + 0x80)
		return l->irr[(reg - REG_IRR) / 16];
	if (reg >= REG_LVT && reg < REG_LVT_END)
		return l->lvt[(reg - REG_LVT) / 16];
	switch (reg) {
	case REG_ID:
		return lapic_x2(l) ? l->id : l->id << 24;
	case REG_VERSION:
		return VERSION;
	case REG_TPR:
		return l->tpr;
	case REG_PPR:
		return lapic_ppr(l);
	case REG_EOI:
		return 0;
	case REG_LDR:
		return l->ldr;
	case REG_DFR:
		return l->dfr;
	case REG_SVR:
		return l->svr;
	case REG_ESR:
		return l->esr_seen;
	case REG_ICR:
		return l->icr_low;
	case REG_ICR_HIGH:
		return l->icr_high;
	case REG_INITIAL:
		return l->initial;
	case REG_CURRENT:
		return lapic_timer_count(l);
	case REG_DIVIDE:
		return l->divide;
	default:
		lapic_error(l, 1u << 7);
		return 0;
	}
}

static void write_lvt(struct lapic *l, unsigned n, uint32_t v)
{
	uint32_t old = l->lvt[n];
	v &= lvt_writable[n];
	if (!(l->svr & 0x100))
		v |= 1 << 16;
	l->lvt[n] = v;
	if (n == LVT_TIMER)
		lapic_timer_lvt(l, old);
	lapic_update(l);
}

static void write_svr(struct lapic *l, uint32_t v)
{
	l->svr = v & 0x11ff;
	if (!(v & 0x100))
		for (unsigned i = 0; i < LVT_COUNT; i++)
			l->lvt[i] |= 1 << 16;
	lapic_update(l);
}

void lapic_write(struct lapic *l, unsigned reg, uint32_t v)
{
	if (reg >= REG_LVT && reg < REG_LVT_END) {
		write_lvt(l, (reg - REG_LVT) / 16, v);
		return;
	}
	switch (reg) {
	case REG_ID:
		l->id = v >> 24;
		break;
	case REG_TPR:
		l->tpr = v & 0xff;
		lapic_update(l);
		break;
	case REG_EOI:
		lapic_eoi(l);
		break;
	case REG_LDR:
		l->ldr = v & 0xff000000;
		break;
	case REG_DFR:
		l->dfr = v | 0x0fffffff;
		break;
	case REG_SVR:
		write_svr(l, v);
		break;
	case REG_ESR:
		l->esr_seen = l->esr;
		l->esr = 0;
		break;
	case REG_ICR:
		l->icr_low = v & 0xccfff; /* delivery status reads 0: sent at once */
		lapic_icr(l);
		break;
	case REG_ICR_HIGH:
		l->icr_high = v & 0xff000000;
		break;
	case REG_INITIAL:
		lapic_timer_initial(l, v);
		break;
	case REG_DIVIDE:
		lapic_timer_divide(l, v);
		break;
	case REG_VERSION:
	case REG_PPR:
	case REG_CURRENT:
		break;
	default:
		lapic_error(l, 1u << 7);
		break;
	}
}

/* --- the memory window --------------------------------------------------- */

/* A window answers for the vCPU that runs, when its APIC sits there; NULL
 * otherwise. */
static struct lapic *here(void *dev)
{
	struct lapic_window *w = dev;
	struct lapic *l = &w->all->cpu[*w->all->cfg.current];
	bool on = lapic_hw_on(l) && !lapic_x2(l) && (l->base & PAGE_MASK) == w->base;
	return on ? l : NULL;
}

static uint64_t window_read(void *dev, uint64_t offset, unsigned size)
{
	struct lapic *l = here(dev);
	if (!l || (offset & 15) + size > 16)
		return UINT64_MAX;
	if ((offset & 15) >= 4)
		return 0;
	return lapic_read(l, offset & ~15u) >> 8 * (offset & 3);
}

static void window_write(void *dev, uint64_t offset, unsigned size, uint64_t v)
{
	struct lapic *l = here(dev);
	if (l && size >= 4 && !(offset & 15))
		lapic_write(l, (unsigned)offset, (uint32_t)v);
}

static const struct bus_ops window_ops = {window_read, window_write};

static unsigned collect(const struct lapics *all, uint64_t out[LAPIC_MAX])
{
	unsigned n = 0;
	for (unsigned i = 0; i < all->cfg.count; i++) {
		const struct lapic *l = &all->cpu[i];
		if (!lapic_hw_on(l) || lapic_x2(l))
			continue;
		unsigned k = 0;
		while (k < n && out[k] != (l->base & PAGE_MASK))
			k++;
		if (k == n)
			out[n++] = l->base & PAGE_MASK;
	}
	return n;
}

void lapic_map(struct lapics *all)
{
	uint64_t base[LAPIC_MAX];
	unsigned n = collect(all, base);
	bool same = n == all->windows;
	for (unsigned i = 0; same && i < n; i++)
		same = all->window[i].base == base[i];
	if (same)
		return;
	for (unsigned i = 0; i < all->windows; i++)
		bus_unmap(all->cfg.bus, &window_ops, &all->window[i]);
	all->windows = n > LAPIC_WINDOWS ? LAPIC_WINDOWS : n;
	for (unsigned i = 0; i < all->windows; i++) {
		all->window[i] = (struct lapic_window){all, base[i]};
		bus_map_mmio(all->cfg.bus, hpa(base[i]), PAGE_SIZE, &window_ops, &all->window[i],
			"lapic");
	}
}

/* --- x2APIC -------------------------------------------------------------- */

static bool x2_readable(unsigned reg)
{
	switch (reg) {
	case REG_ID:
	case REG_VERSION:
	case REG_TPR:
	case REG_PPR:
	case REG_LDR:
	case REG_SVR:
	case REG_ESR:
	case REG_ICR:
	case REG_INITIAL:
	case REG_CURRENT:
	case REG_DIVIDE:
		return true;
	default:
		return (reg >= REG_ISR && reg < REG_IRR + 0x80) || (reg >= REG_LVT && reg < REG_LVT_END);
	}
}

bool lapic_rdmsr(void *apic, uint32_t msr, uint64_t *value)
{
	struct lapic *l = apic;
	if (msr == MSR_TSC_DEADLINE) {
		*value = l->tsc_deadline;
		return true;
	}
	unsigned reg = (msr - 0x800) * 16;
	if (msr < 0x800 || msr > 0x8ff || !lapic_x2(l) || !x2_readable(reg))
		return false;
	*value = lapic_read(l, reg);
	if (reg == REG_ICR)
		*value |= (uint64_t)l->icr_high << 32;
	return true;
}

/* Reserved bits of a register that software may write; writes of others are
 * #GP, SDM Vol. 3A 10.12.1.3 "Reserved Bit Checking". */
static bool x2_writable(unsigned reg, uint64_t v)
{
	if (reg >= REG_LVT && reg < REG_LVT_END)
		return !(v & ~(uint64_t)(lvt_writable[(reg - REG_LVT) / 16] | 0x5000));
	switch (reg) {
	case REG_TPR:
	case REG_SELF_IPI:
		return v <= 0xff;
	case REG_EOI:
	case REG_ESR:
		return v == 0;
	case REG_SVR:
		return !(v & ~UINT64_C(0x13ff));
	case REG_ICR:
		return !(v & UINT64_C(0xfff32000));
	case REG_INITIAL:
		return v <= UINT32_MAX;
	case REG_DIVIDE:
		return !(v & ~UINT64_C(0xb));
	default:
		return false;
	}
}

bool lapic_wrmsr(void *apic, uint32_t msr, uint64_t value)
{
	struct lapic *l = apic;
	if (msr == MSR_TSC_DEADLINE) {
		lapic_timer_deadline(l, value);
		return true;
	}
	unsigned reg = (msr - 0x800) * 16;
	if (msr < 0x800 || msr > 0x8ff || !lapic_x2(l) || !x2_writable(reg, value))
		return false;
	if (reg == REG_ICR)
		l->icr_high = (uint32_t)(value >> 32);
	if (reg == REG_SELF_IPI)
		lapic_self_ipi(l, (uint8_t)value);
	else
		lapic_write(l, reg, (uint32_t)value);
	return true;
}

/* One local APIC: interrupt acceptance, priorities, EOI, LVT, reset, and the
 * processor's side (apic_ops). */
#include "machine/lapic.h"

#include "base/buf.h"
#include "base/state.h"

#include <assert.h>
#include <string.h>

static int highest(const uint32_t r[8])
{
	for (int i = 7; i >= 0; i--)
		if (r[i])
			return 32 * i + 31 - __builtin_clz(r[i]);
	return -1;
}

static void set_bit(uint32_t r[8], uint8_t n)
{
	r[n / 32] |= 1u << n % 32;
}

static void clear_bit(uint32_t r[8], uint8_t n)
{
	r[n / 32] &= ~(1u << n % 32);
}

/* SDM Vol. 3A 10.8.3.1 "Task and Processor Priorities". */
uint8_t lapic_ppr(const struct lapic *l)
{
	int isr = highest(l->isr);
	uint8_t in_service = isr < 0 ? 0 : (uint8_t)isr;
	return l->tpr >> 4 >= in_service >> 4 ? (uint8_t)l->tpr : in_service & 0xf0;
}

/* The vector that could be delivered; -1 when none passes the priority. */
static int deliverable(const struct lapic *l)
{
	if (!lapic_sw_on(l))
		return -1;
	int v = highest(l->irr);
	return v >= 0 && v >> 4 > lapic_ppr(l) >> 4 ? v : -1;
}

/* Does the 8259's INTR reach this processor? Without a local APIC it is wired
 * to INTR itself (of the first vCPU), else LINT0 must be ExtINT. */
static bool extint_open(const struct lapic *l)
{
	if (!lapic_hw_on(l))
		return l->index == 0;
	uint32_t lint0 = l->lvt[LVT_LINT0];
	return !(lint0 & 1 << 16) && (lint0 >> 8 & 7) == APIC_EXTINT;
}

void lapic_update(struct lapic *l)
{
	bool level = deliverable(l) >= 0 || (l->all->extint && extint_open(l));
	if (level == l->intr)
		return;
	l->intr = level;
	if (l->pins.intr)
		l->pins.intr(l->pins.cpu, level);
}

void lapic_error(struct lapic *l, uint32_t bit)
{
	if (l->esr & bit)
		return;
	l->esr |= bit;
	lapic_lvt_fire(l, LVT_ERROR);
}

void lapic_accept(struct lapic *l, uint8_t vector, bool level)
{
	if (vector < 16) {
		lapic_error(l, 1u << 6);
		return;
	}
	set_bit(l->irr, vector);
	if (level)
		set_bit(l->tmr, vector);
	else
		clear_bit(l->tmr, vector);
	lapic_update(l);
}

void lapic_lvt_fire(struct lapic *l, enum lapic_lvt n)
{
	uint32_t lvt = l->lvt[n];
	if (lvt & 1 << 16 || !lapic_hw_on(l))
		return;
	switch (n == LVT_TIMER || n == LVT_ERROR ? (unsigned)APIC_FIXED : lvt >> 8 & 7) {
	case APIC_FIXED:
		if (lapic_sw_on(l))
			lapic_accept(l, (uint8_t)lvt, false);
		break;
	case APIC_NMI:
		l->pins.nmi(l->pins.cpu);
		break;
	case APIC_INIT:
		l->pins.init(l->pins.cpu);
		break;
	default:
		break;
	}
	if (n == LVT_PERF)
		l->lvt[n] |= 1 << 16; /* masked by delivery, SDM Vol. 3A 10.5.1 */
}

void lapic_eoi(struct lapic *l)
{
	int v = highest(l->isr);
	if (v < 0)
		return;
	clear_bit(l->isr, (uint8_t)v);
	bool level = l->tmr[v / 32] >> v % 32 & 1;
	if (level && !(l->svr & 1 << 12) && l->all->cfg.eoi)
		l->all->cfg.eoi(l->all->cfg.ctx, (uint8_t)v);
	lapic_update(l);
}

/* Registers after power-up, reset or INIT, SDM Vol. 3A 10.4.7.1 "Local APIC
 * State After Power-Up or Reset". */
static void reset_registers(struct lapic *l)
{
	l->tpr = l->ldr = l->esr = l->esr_seen = l->icr_low = l->icr_high = 0;
	l->dfr = UINT32_MAX;
	l->svr = 0xff;
	for (unsigned i = 0; i < LVT_COUNT; i++)
		l->lvt[i] = 1 << 16;
	l->divide = l->initial = l->left = 0;
	l->from = l->tsc_deadline = 0;
	memset(l->isr, 0, sizeof(l->isr));
	memset(l->tmr, 0, sizeof(l->tmr));
	memset(l->irr, 0, sizeof(l->irr));
	clock_disarm(l->all->cfg.clock, &l->timer);
	if (lapic_x2(l))
		l->ldr = (l->index >> 4) << 16 | 1u << (l->index & 15);
}

void lapic_reset(struct lapic *l, bool init)
{
	if (!init) {
		l->base = LAPIC_BASE | APIC_BASE_ENABLE | (l->index ? 0 : APIC_BASE_BSP);
		l->id = l->index;
		lapic_map(l->all);
	}
	reset_registers(l);
	lapic_update(l);
}

/* --- apic_ops ------------------------------------------------------------ */

static int op_ack(void *apic)
{
	struct lapic *l = apic;
	if (l->all->extint && extint_open(l))
		return l->all->cfg.pic_ack(l->all->cfg.ctx);
	int v = deliverable(l);
	if (v < 0)
		return -1;
	clear_bit(l->irr, (uint8_t)v);
	set_bit(l->isr, (uint8_t)v);
	lapic_update(l);
	return v;
}

static uint8_t op_get_tpr(void *apic)
{
	return (uint8_t)((struct lapic *)apic)->tpr;
}

static void op_set_tpr(void *apic, uint8_t tpr)
{
	struct lapic *l = apic;
	l->tpr = tpr;
	lapic_update(l);
}

static uint64_t op_get_base(void *apic)
{
	return ((struct lapic *)apic)->base;
}

/* Legal mode changes, SDM Vol. 3A 10.12.5 "x2APIC State Transitions". */
static bool base_allowed(uint64_t old, uint64_t v)
{
	const uint64_t mode = APIC_BASE_ENABLE | APIC_BASE_X2APIC;
	if (v & ~(mode | APIC_BASE_BSP | (BIT(52) - 1 - 0xfff)))
		return false;
	if ((v & mode) == APIC_BASE_X2APIC)
		return false;
	if ((old & mode) == mode && (v & mode) == APIC_BASE_ENABLE)
		return false;
	return (old & mode) || (v & mode) != mode;
}

static bool op_set_base(void *apic, uint64_t v)
{
	struct lapic *l = apic;
	uint64_t old = l->base;
	if (!base_allowed(old, v))
		return false;
	l->base = v;
	if (!lapic_hw_on(l) && old & APIC_BASE_ENABLE) {
		l->id = l->index;
		reset_registers(l);
	} else if (lapic_x2(l) && !(old & APIC_BASE_X2APIC)) {
		l->id = l->index;
		l->ldr = (l->index >> 4) << 16 | 1u << (l->index & 15);
		l->icr_high = 0;
	}
	lapic_map(l->all);
	lapic_update(l);
	return true;
}

static void op_lvt(void *apic, unsigned offset)
{
	if (offset >= 0x320 && offset < 0x320 + 16 * LVT_COUNT)
		lapic_lvt_fire(apic, (offset - 0x320) / 16);
}

static void op_reset(void *apic, bool init)
{
	lapic_reset(apic, init);
}

static void op_eoi(void *apic)
{
	lapic_eoi(apic);
}

const struct apic_ops lapic_ops = {op_ack, op_get_tpr, op_set_tpr, op_get_base, op_set_base,
	lapic_rdmsr, lapic_wrmsr, op_lvt, op_reset, op_eoi};

/* --- all of them --------------------------------------------------------- */

static void no_pin(void *cpu)
{
	(void)cpu;
}
static void no_intr(void *cpu, bool level)
{
	(void)cpu;
	(void)level;
}
static void no_sipi(void *cpu, uint8_t vector)
{
	(void)cpu;
	(void)vector;
}

void lapics_init(struct lapics *all, const struct lapics_config *cfg)
{
	assert(cfg->count && cfg->count <= LAPIC_MAX);
	memset(all, 0, sizeof(*all));
	all->cfg = *cfg;
	for (unsigned i = 0; i < cfg->count; i++) {
		struct lapic *l = &all->cpu[i];
		l->all = all;
		l->index = i;
		l->pins = (struct cpu_pins){NULL, no_intr, no_pin, no_pin, no_sipi, NULL};
		lapic_timer_init(l);
	}
	lapics_reset(all);
}

void lapics_reset(struct lapics *all)
{
	all->lowest = 0;
	all->extint = false;
	for (unsigned i = 0; i < all->cfg.count; i++)
		lapic_reset(&all->cpu[i], false);
}

void lapics_virtual_wire(struct lapics *all)
{
	struct lapic *l = &all->cpu[0];
	l->svr = 0x10f;
	l->lvt[LVT_LINT0] = APIC_EXTINT << 8;
	l->lvt[LVT_LINT1] = APIC_NMI << 8;
	lapic_update(l);
}

void lapics_extint(struct lapics *all, bool level)
{
	if (all->extint == level)
		return;
	all->extint = level;
	for (unsigned i = 0; i < all->cfg.count; i++) {
		struct lapic *l = &all->cpu[i];
		if (level && (l->lvt[LVT_LINT0] >> 8 & 7) == APIC_FIXED)
			lapic_lvt_fire(l, LVT_LINT0);
		lapic_update(l);
	}
}

void lapics_nmi(struct lapics *all)
{
	for (unsigned i = 0; i < all->cfg.count; i++)
		lapic_lvt_fire(&all->cpu[i], LVT_LINT1);
}

static void lapic_state(struct lapic *l, struct state *s)
{
	state_u64(s, &l->base);
	uint32_t *const reg[] = {&l->id, &l->tpr, &l->ldr, &l->dfr, &l->svr, &l->esr, &l->esr_seen,
		&l->icr_low, &l->icr_high, &l->divide, &l->initial, &l->left};
	for (unsigned i = 0; i < sizeof(reg) / sizeof(*reg); i++)
		state_u32(s, reg[i]);
	for (unsigned i = 0; i < LVT_COUNT; i++)
		state_u32(s, &l->lvt[i]);
	state_u64(s, &l->from);
	state_u64(s, &l->tsc_deadline);
	state_bytes(s, l->isr, sizeof(l->isr));
	state_bytes(s, l->tmr, sizeof(l->tmr));
	state_bytes(s, l->irr, sizeof(l->irr));
	state_bool(s, &l->intr);
	if (state_mode(s) == STATE_LOAD && l->from > l->all->cfg.clock->now)
		state_fail(s, "local APIC %u started its timer in the future", l->index);
}

void lapics_state(struct lapics *all, struct state *s)
{
	state_section(s, "lapic", 1);
	uint64_t n = all->lowest;
	state_count(s, &n, all->cfg.count - 1);
	all->lowest = (unsigned)n;
	state_bool(s, &all->extint);
	for (unsigned i = 0; i < all->cfg.count; i++)
		lapic_state(&all->cpu[i], s);
	if (state_mode(s) == STATE_LOAD)
		lapic_map(all);
}

void lapics_info(const struct lapics *all, struct buf *out)
{
	for (unsigned i = 0; i < all->cfg.count; i++) {
		const struct lapic *l = &all->cpu[i];
		buf_fmt(out, "lapic%-3u id %x base %llx %s svr %x tpr %x ppr %x irr %d isr %d\n", i,
			l->id, (unsigned long long)(l->base & ~0xfffull),
			lapic_x2(l)		? "x2apic"
				: lapic_hw_on(l) ? "xapic"
						 : "off",
			l->svr, l->tpr, lapic_ppr(l), highest(l->irr), highest(l->isr));
	}
}

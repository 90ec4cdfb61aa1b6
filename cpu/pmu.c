#include "cpu/pmu.h"

#include "cpu/fp.h"
#include "cpu/model.h"
#include "cpu/msr_special.h"
#include "cpu/run.h"

#define COUNTER_MASK (BIT(48) - 1)
#define GLOBAL_MASK  (UINT64_C(0xf) | UINT64_C(7) << 32)

enum { EVT_USR = 1 << 16, EVT_OS = 1 << 17, EVT_INT = 1 << 20, EVT_EN = 1 << 22,
	EVT_INV = 1 << 23 };

/* What a counter counts. */
enum pmu_event { COUNT_NOTHING, COUNT_INSNS, COUNT_CLOCK };

static enum pmu_event event_of(uint64_t select)
{
	/* One instruction a clock: a counter mask of two or more is never met, and
	 * always when inverted. */
	if (select >> 24 & 0xfe)
		return select & EVT_INV ? COUNT_CLOCK : COUNT_NOTHING;
	switch (select & 0xffff) {
	case 0x003c: /* unhalted core cycles */
	case 0x013c: /* unhalted reference cycles */
		return COUNT_CLOCK;
	case 0x00c0: /* instructions retired */
		return COUNT_INSNS;
	default:
		return COUNT_NOTHING;
	}
}

/* The privilege levels that a counter counts at: bit 0 level 0, bit 1 the
 * others; 0 when it is off. */
static unsigned general_levels(const struct cpu_pmu *p, unsigned n)
{
	if (!(p->global_ctrl >> n & 1) || !(p->event[n] & EVT_EN))
		return 0;
	return (p->event[n] & EVT_OS ? 1u : 0) | (p->event[n] & EVT_USR ? 2u : 0);
}

static unsigned fixed_levels(const struct cpu_pmu *p, unsigned n)
{
	return p->global_ctrl >> (32 + n) & 1 ? p->fixed_ctrl >> 4 * n & 3 : 0;
}

static bool general_on(const struct vcpu *c, unsigned n)
{
	return general_levels(&c->pmu, n) & (c->cpl ? 2 : 1);
}

static bool fixed_on(const struct vcpu *c, unsigned n)
{
	return fixed_levels(&c->pmu, n) & (c->cpl ? 2 : 1);
}

static enum pmu_event fixed_event(unsigned n)
{
	return n == 0 ? COUNT_INSNS : COUNT_CLOCK;
}

static bool pmi_of(const struct cpu_pmu *p, unsigned bit)
{
	return bit < 32 ? (p->event[bit] & EVT_INT) != 0 : p->fixed_ctrl >> (4 * (bit - 32) + 3) & 1;
}

static void advance(struct vcpu *c, uint64_t *counter, uint64_t by, unsigned bit, bool *pmi)
{
	uint64_t sum = *counter + by;

	if (sum >> 48) {
		c->pmu.global_status |= BIT(bit);
		*pmi |= pmi_of(&c->pmu, bit);
	}
	*counter = sum & COUNTER_MASK;
}

/* The clock at this instruction; inside a slice clock->now lags behind. */
static uint64_t clock_of(const struct vcpu *c)
{
	bool inside = c->engine && c->engine->shared->running == c;

	return inside ? c->clock_base + c->retired : c->clock->now;
}

void pmu_changed(struct vcpu *c)
{
	const struct cpu_pmu *p = &c->pmu;
	unsigned one_level = 0;

	c->pmu_wakes = false;
	for (unsigned n = 0; n < 7; n++) {
		unsigned at = n < 4 ? general_levels(p, n) : fixed_levels(p, n - 4);

		one_level |= at == 1 || at == 2;
		c->pmu_wakes |= at && pmi_of(p, n < 4 ? n : 28 + n);
	}
	c->pmu_levels = one_level;
}

void pmu_level(struct vcpu *c)
{
	pmu_sync(c);
	if (c->pmu_wakes && c->engine)
		c->engine->brk = true; /* another counter may be the next to overflow */
}

void pmu_sync(struct vcpu *c)
{
	struct cpu_pmu *p = &c->pmu;
	uint64_t now = clock_of(c);
	uint64_t by[3] = {0, c->retired - p->base_retired, now - p->base_clock};
	bool pmi = false;

	p->base_retired = c->retired;
	p->base_clock = now;
	if (!p->global_ctrl)
		return;
	for (unsigned n = 0; n < 4; n++)
		if (general_on(c, n))
			advance(c, &p->counter[n], by[event_of(p->event[n])], n, &pmi);
	for (unsigned n = 0; n < 3; n++)
		if (fixed_on(c, n))
			advance(c, &p->fixed[n], by[fixed_event(n)], 32 + n, &pmi);
	if (pmi && c->apic_ops) {
		fp_leave(c);
		c->apic_ops->lvt(c->apic, 0x340);
	}
}

static void sooner(uint64_t *next, uint64_t counter, uint64_t since)
{
	uint64_t left = (COUNTER_MASK - counter) + 1;

	left = left > since ? left - since : 0;
	if (left < *next)
		*next = left;
}

uint64_t pmu_next(const struct vcpu *c)
{
	const struct cpu_pmu *p = &c->pmu;
	uint64_t since[3] = {0, c->retired - p->base_retired, clock_of(c) - p->base_clock};
	uint64_t next = UINT64_MAX;

	for (unsigned n = 0; n < 4; n++) {
		enum pmu_event e = event_of(p->event[n]);
		if (general_on(c, n) && pmi_of(p, n) && e != COUNT_NOTHING)
			sooner(&next, p->counter[n], since[e]);
	}
	for (unsigned n = 0; n < 3; n++)
		if (fixed_on(c, n) && pmi_of(p, 32 + n))
			sooner(&next, p->fixed[n], since[fixed_event(n)]);
	return next;
}

static bool there(const struct vcpu *c)
{
	return cpu_has(c->model, FEAT_PMU);
}

bool pmu_rdpmc(struct vcpu *c, uint32_t index, uint64_t *v)
{
	unsigned n = index & 0x3fffffff;

	if (!there(c) || n >= (index >> 30 & 1 ? 3 : 4) || index >> 31)
		return false;
	pmu_sync(c);
	*v = index >> 30 & 1 ? c->pmu.fixed[n] : c->pmu.counter[n];
	return true;
}

bool rd_pmc(struct vcpu *c, uint32_t n, uint64_t *v)
{
	pmu_sync(c);
	*v = c->pmu.counter[n - 0xc1];
	return there(c);
}

/* Writes of 32 bits, sign-extended: full-width writes are not offered. */
bool wr_pmc(struct vcpu *c, uint32_t n, uint64_t v)
{
	pmu_sync(c);
	c->pmu.counter[n - 0xc1] = (uint64_t)(int64_t)(int32_t)v & COUNTER_MASK;
	return there(c);
}

bool rd_event(struct vcpu *c, uint32_t n, uint64_t *v)
{
	*v = c->pmu.event[n - 0x186];
	return there(c);
}

bool wr_event(struct vcpu *c, uint32_t n, uint64_t v)
{
	pmu_sync(c);
	if (!there(c) || v >> 32 || (v & BIT(21)))
		return false;
	c->pmu.event[n - 0x186] = v;
	pmu_changed(c);
	return true;
}

bool rd_fixed(struct vcpu *c, uint32_t n, uint64_t *v)
{
	pmu_sync(c);
	*v = c->pmu.fixed[n - 0x309];
	return there(c);
}

bool wr_fixed(struct vcpu *c, uint32_t n, uint64_t v)
{
	pmu_sync(c);
	c->pmu.fixed[n - 0x309] = v & COUNTER_MASK;
	return there(c);
}

bool rd_fixed_ctrl(struct vcpu *c, uint32_t n, uint64_t *v)
{
	(void)n;
	*v = c->pmu.fixed_ctrl;
	return there(c);
}

bool wr_fixed_ctrl(struct vcpu *c, uint32_t n, uint64_t v)
{
	(void)n;
	pmu_sync(c);
	if (!there(c) || (v & ~UINT64_C(0xbbb)))
		return false;
	c->pmu.fixed_ctrl = v;
	pmu_changed(c);
	return true;
}

bool rd_global_status(struct vcpu *c, uint32_t n, uint64_t *v)
{
	(void)n;
	pmu_sync(c);
	*v = c->pmu.global_status;
	return there(c);
}

bool rd_global_ctrl(struct vcpu *c, uint32_t n, uint64_t *v)
{
	(void)n;
	*v = c->pmu.global_ctrl;
	return there(c);
}

bool wr_global_ctrl(struct vcpu *c, uint32_t n, uint64_t v)
{
	(void)n;
	pmu_sync(c);
	if (!there(c) || (v & ~GLOBAL_MASK))
		return false;
	c->pmu.global_ctrl = v;
	pmu_changed(c);
	return true;
}

bool wr_global_ovf(struct vcpu *c, uint32_t n, uint64_t v)
{
	(void)n;
	pmu_sync(c);
	if (!there(c) || (v & ~(GLOBAL_MASK | BIT(61) | BIT(62) | BIT(63))))
		return false;
	c->pmu.global_status &= ~v;
	return true;
}

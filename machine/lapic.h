/* The local APICs of a machine and the bus between them.
 *
 * One `struct lapic` per vCPU: xAPIC and x2APIC register sets, LVT, timer
 * (one-shot, periodic, TSC deadline), IPIs. Fills base/irq.h's apic_ops and
 * drives the vCPU's pins; lapic_update is called after every change that may
 * raise or drop the INTR pin.
 *
 * The timer counts CLOCK_HZ before its divider (the bus clock and the core
 * crystal clock of CPUID leaf 15h are the same 1 GHz).
 * SDM Vol. 3A 10 "Advanced Programmable Interrupt Controller (APIC)".
 */
#ifndef MACHINE_LAPIC_H
#define MACHINE_LAPIC_H

#include "base/bus.h"
#include "base/clock.h"
#include "base/irq.h"

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct state;
struct lapics;

#define LAPIC_BASE   UINT64_C(0xfee00000)
#define LAPIC_MAX    64

#define APIC_BASE_BSP    BIT(8)
#define APIC_BASE_X2APIC BIT(10)
#define APIC_BASE_ENABLE BIT(11)

enum lapic_lvt { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_COUNT };

enum apic_delivery {
	APIC_FIXED = 0, APIC_LOWEST = 1, APIC_SMI = 2, APIC_NMI = 4, APIC_INIT = 5, APIC_SIPI = 6,
	APIC_EXTINT = 7
};

/* A message on the bus between the APICs, from an IPI, the IOAPIC or an MSI. */
struct apic_message {
	uint32_t dest;
	bool wide;    /* dest has 32 bits (x2APIC); else 8 */
	bool logical;
	bool level;   /* level-triggered */
	uint8_t vector;
	enum apic_delivery delivery;
};

struct lapic {
	struct lapics *all;
	unsigned index;       /* of the vCPU; also the initial APIC ID */
	struct cpu_pins pins;
	uint64_t base;        /* IA32_APIC_BASE */
	uint32_t id;          /* 8 bits, writable, in xAPIC mode; `index` in x2APIC mode */
	uint32_t tpr, ldr, dfr, svr;
	uint32_t esr, esr_seen; /* collected, and as the last write latched it */
	uint32_t icr_low, icr_high;
	uint32_t lvt[LVT_COUNT];
	uint32_t divide;      /* the register */
	uint32_t initial;     /* initial count */
	uint32_t left;        /* count at tick `from`; 0: not running */
	uint64_t from;
	uint64_t tsc_deadline; /* ticks; 0: not armed */
	uint32_t isr[8], tmr[8], irr[8];
	bool intr;            /* level of the INTR pin */
	struct clock_timer timer;
};

struct lapics_config {
	unsigned count;
	struct clock *clock;
	struct bus *bus;
	const unsigned *current; /* vCPU that runs: its window answers */
	/* An EOI of a level-triggered vector, for the IOAPIC. */
	void (*eoi)(void *ctx, uint8_t vector);
	/* Acknowledges the 8259 pair; its vector. */
	int (*pic_ack)(void *ctx);
	/* An interrupt went to another vCPU than the current one. */
	void (*yield)(void *ctx);
	void *ctx;
};

struct lapic_window {
	struct lapics *all;
	uint64_t base;
};

struct lapics {
	struct lapics_config cfg;
	struct lapic cpu[LAPIC_MAX];
	struct lapic_window window[LAPIC_MAX]; /* distinct bases that are mapped now */
	unsigned windows;
	unsigned lowest;            /* who took the last lowest-priority message */
	bool extint;                /* the 8259's INTR */
};

void lapics_init(struct lapics *all, const struct lapics_config *cfg);
void lapics_reset(struct lapics *all);
/* The 8259's output: LINT0 of every local APIC, and INTR where none is on. */
void lapics_extint(struct lapics *all, bool level);
/* The NMI wire: LINT1 of every local APIC. */
void lapics_nmi(struct lapics *all);
/* True when some local APIC took the message. */
bool lapics_send(struct lapics *all, const struct apic_message *m);
/* An MSI as written to FEExxxxxh, SDM Vol. 3A 10.11 "Message Signalled Interrupts". */
void lapics_msi(struct lapics *all, uint64_t address, uint32_t data);
/* "Virtual wire": LINT0 of vCPU 0 takes the 8259, LINT1 the NMI. */
void lapics_virtual_wire(struct lapics *all);
void lapics_state(struct lapics *all, struct state *s);
void lapics_info(const struct lapics *all, struct buf *out);

extern const struct apic_ops lapic_ops;

/* --- between lapic*.c ---------------------------------------------------- */

static inline bool lapic_x2(const struct lapic *l)
{
	return (l->base & (APIC_BASE_ENABLE | APIC_BASE_X2APIC)) ==
		(APIC_BASE_ENABLE | APIC_BASE_X2APIC);
}
static inline bool lapic_hw_on(const struct lapic *l)
{
	return l->base & APIC_BASE_ENABLE;
}
static inline bool lapic_sw_on(const struct lapic *l)
{
	return lapic_hw_on(l) && (l->svr & 0x100);
}

void lapic_reset(struct lapic *l, bool init);
void lapic_update(struct lapic *l);
uint8_t lapic_ppr(const struct lapic *l);
void lapic_accept(struct lapic *l, uint8_t vector, bool level);
void lapic_error(struct lapic *l, uint32_t bit);
void lapic_lvt_fire(struct lapic *l, enum lapic_lvt n);
void lapic_eoi(struct lapic *l);
void lapic_icr(struct lapic *l); /* sends what icr_low/high say */
void lapic_self_ipi(struct lapic *l, uint8_t vector);

uint64_t lapic_read(struct lapic *l, unsigned reg);
void lapic_write(struct lapic *l, unsigned reg, uint32_t v);
bool lapic_rdmsr(void *apic, uint32_t msr, uint64_t *value);
bool lapic_wrmsr(void *apic, uint32_t msr, uint64_t value);
void lapic_map(struct lapics *all); /* windows after a change of a base */

uint32_t lapic_timer_count(const struct lapic *l);
void lapic_timer_init(struct lapic *l);
void lapic_timer_initial(struct lapic *l, uint32_t v);
void lapic_timer_divide(struct lapic *l, uint32_t v);
void lapic_timer_lvt(struct lapic *l, uint32_t old); /* after lvt[LVT_TIMER] changed */
void lapic_timer_deadline(struct lapic *l, uint64_t tick);

#endif

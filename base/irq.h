/* Interrupt wires, and the contract between a vCPU and its local APIC.
 *
 * A wire is a level; the receiver decides what edges mean. `cpu_pins` is what
 * an APIC may do to its processor, `apic_ops` what the processor asks of its
 * APIC; machine/ fills the second and calls the first, cpu/ the other way
 * round, and neither sees the other's structs.
 */
#ifndef BASE_IRQ_H
#define BASE_IRQ_H

#include <stdbool.h>
#include <stdint.h>

struct irq_line {
	void (*set)(void *dev, unsigned n, bool level);
	void *dev;
	unsigned n; /* the input's number at the receiver */
};

static inline void irq_set(const struct irq_line *l, bool level)
{
	if (l->set)
		l->set(l->dev, l->n, level);
}

static inline void irq_pulse(const struct irq_line *l)
{
	irq_set(l, true);
	irq_set(l, false);
}

/* Processor inputs; `cpu` is opaque to the caller. */
struct cpu_pins {
	void *cpu;
	void (*intr)(void *cpu, bool level); /* an interrupt above the TPR waits, or no longer */
	void (*nmi)(void *cpu);
	void (*init)(void *cpu);
	void (*sipi)(void *cpu, uint8_t vector);
	void (*ignne)(void *cpu, bool level); /* a told x87 exception is to be ignored */
};

/* The processor's view of its local APIC; `apic` is opaque to the caller. */
struct apic_ops {
	/* Acknowledges and returns the highest deliverable vector, also one from
	 * the 8259 as ExtINT; -1 when none is left. */
	int (*ack)(void *apic);
	uint8_t (*get_tpr)(void *apic); /* 8 bits; CR8 is the upper four */
	void (*set_tpr)(void *apic, uint8_t tpr);
	/* IA32_APIC_BASE. The write returns false where the SDM wants #GP. */
	uint64_t (*get_base)(void *apic);
	bool (*set_base)(void *apic, uint64_t value);
	/* MSRs 800h-8FFh in x2APIC mode, and IA32_TSC_DEADLINE (6E0h) in units of
	 * clock ticks, already without the vCPU's TSC adjustment; false = #GP. */
	bool (*rdmsr)(void *apic, uint32_t msr, uint64_t *value);
	bool (*wrmsr)(void *apic, uint32_t msr, uint64_t value);
	/* Sends the LVT entry `offset` (330h..., e.g. 340h performance counters). */
	void (*lvt)(void *apic, unsigned offset);
	void (*reset)(void *apic, bool init); /* init: INIT keeps the APIC ID */
	void (*eoi)(void *apic); /* as a write to the EOI register */
};

#endif

/* APIC virtualisation: the virtual-APIC page, TPR shadow, APIC-register
 * virtualisation, virtual-interrupt delivery, x2APIC mode, posted interrupts.
 * SDM Vol. 3C chapter 29 "APIC Virtualization and Virtual Interrupts".
 */
#include "base/phys.h"
#include "vmx/record.h"

#include <string.h>

enum { VAPIC_ID = 0x20, VAPIC_TPR = 0x80, VAPIC_PPR = 0xa0, VAPIC_EOI = 0xb0, VAPIC_LDR = 0xd0,
	VAPIC_DFR = 0xe0, VAPIC_SVR = 0xf0, VAPIC_ISR = 0x100, VAPIC_TMR = 0x180,
	VAPIC_IRR = 0x200, VAPIC_ESR = 0x280, VAPIC_ICR = 0x300,
	VAPIC_ICR2 = 0x310, VAPIC_LVT = 0x320, VAPIC_TIMER = 0x380, VAPIC_DIVIDE = 0x3e0 };

static uint32_t reg_get(const struct vmx_cpu *x, unsigned at)
{
	uint32_t v;

	memcpy(&v, x->virtual_apic + at, sizeof v);
	return v;
}

static void reg_set(struct vmx_cpu *x, unsigned at, uint32_t v)
{
	memcpy(x->virtual_apic + at, &v, sizeof v);
}

/* The 256-bit registers: 32 bits in every 16 bytes. */
static void vector_set(struct vmx_cpu *x, unsigned reg, uint8_t n, bool on)
{
	unsigned at = reg + n / 32 * 16;
	uint32_t bit = 1u << (n & 31), v = reg_get(x, at);

	reg_set(x, at, on ? v | bit : v & ~bit);
}

/* The highest vector set, 0 when none is. */
static uint8_t vector_highest(const struct vmx_cpu *x, unsigned reg)
{
	for (int n = 7; n >= 0; n--) {
		uint32_t v = reg_get(x, reg + n * 16);
		if (v)
			return n * 32 + 31 - __builtin_clz(v);
	}
	return 0;
}

/* 29.1.3 "PPR Virtualization". */
static void ppr_virtualize(struct vmx_cpu *x)
{
	uint32_t tpr = reg_get(x, VAPIC_TPR) & 0xff;
	uint32_t svi = x->svi & 0xf0;

	reg_set(x, VAPIC_PPR, (tpr & 0xf0) >= svi ? tpr : svi);
}

/* 29.2.1 "Evaluation of Pending Virtual Interrupts". */
static void evaluate(struct vcpu *c)
{
	struct vmx_cpu *x = vmx_of(c);
	bool recognized = !(x->proc1 & PROC1_INTR_WINDOW_EXITING) &&
		(x->rvi & 0xf0) > (reg_get(x, VAPIC_PPR) & 0xf0);

	if (recognized)
		vcpu_pend(c, PEND_VIRT);
	else
		vcpu_unpend(c, PEND_VIRT);
}

/* 29.1.2 "TPR Virtualization". */
static void tpr_virtualize(struct vcpu *c)
{
	struct vmx_cpu *x = vmx_of(c);

	if (x->proc2 & PROC2_VIRTUAL_INTR_DELIVERY) {
		ppr_virtualize(x);
		evaluate(c);
	} else if ((reg_get(x, VAPIC_TPR) >> 4 & 15) < (vmcs_get(x->vmcs, VMCS_TPR_THRESHOLD) & 15)) {
		vmx_record_trap(c, EXIT_REASON_TPR_BELOW_THRESHOLD, 0);
	}
}

/* 29.1.4 "EOI Virtualization". */
static void eoi_virtualize(struct vcpu *c)
{
	struct vmx_cpu *x = vmx_of(c);
	uint8_t vector = x->svi;

	vector_set(x, VAPIC_ISR, vector, false);
	x->svi = vector_highest(x, VAPIC_ISR);
	ppr_virtualize(x);
	if (vmcs_get(x->vmcs, VMCS_EOI_EXIT_BITMAP0 + vector / 64) >> (vector & 63) & 1)
		vmx_record_trap(c, EXIT_REASON_EOI_INDUCED, vector);
	else
		evaluate(c);
}

/* 29.1.5 "Self-IPI Virtualization". */
static void self_ipi_virtualize(struct vcpu *c, uint8_t vector)
{
	struct vmx_cpu *x = vmx_of(c);

	vector_set(x, VAPIC_IRR, vector, true);
	if (vector > x->rvi)
		x->rvi = vector;
	evaluate(c);
}

/* 26.3.2.5 "Updating Non-Register State": PPR and pending virtual interrupts
 * are looked at after VM entry. */
void vmx_apic_enter(struct vcpu *c)
{
	struct vmx_cpu *x = vmx_of(c);

	vcpu_unpend(c, PEND_VIRT);
	if (!(x->proc2 & PROC2_VIRTUAL_INTR_DELIVERY) || !x->virtual_apic)
		return;
	x->rvi = vmcs_get(x->vmcs, VMCS_GUEST_INTR_STATUS);
	x->svi = vmcs_get(x->vmcs, VMCS_GUEST_INTR_STATUS) >> 8;
	ppr_virtualize(x);
	evaluate(c);
}

/* 29.2.2 "Virtual-Interrupt Delivery". */
int vmx_virtual_interrupt(struct vcpu *c)
{
	struct vmx_cpu *x = vmx_of(c);
	uint8_t vector = x->rvi;

	vcpu_unpend(c, PEND_VIRT);
	if (!x->virtual_apic || !(x->proc2 & PROC2_VIRTUAL_INTR_DELIVERY))
		return -1;
	vector_set(x, VAPIC_ISR, vector, true);
	x->svi = vector;
	reg_set(x, VAPIC_PPR, vector & 0xf0);
	vector_set(x, VAPIC_IRR, vector, false);
	x->rvi = vector_highest(x, VAPIC_IRR);
	return vector;
}

/* 29.6 "Posted-Interrupt Processing". */
void vmx_process_posted(struct vcpu *c, struct hpa desc)
{
	struct vmx_cpu *x = vmx_of(c);
	uint64_t pir[8];

	if (!x->virtual_apic || !phys_read(c->phys, desc, pir, sizeof pir))
		return;
	pir[4] &= ~(uint64_t)1; /* ON */
	for (int n = 0; n < 8; n++) {
		uint32_t bits = pir[n / 2] >> (n & 1) * 32;
		unsigned at = VAPIC_IRR + n * 16;
		reg_set(x, at, reg_get(x, at) | bits);
		if (bits && n * 32 + 31 - __builtin_clz(bits) > x->rvi)
			x->rvi = n * 32 + 31 - __builtin_clz(bits);
	}
	pir[0] = pir[1] = pir[2] = pir[3] = 0;
	phys_write(c->phys, desc, pir, 40);
	evaluate(c);
}

bool vmx_get_cr8(struct vcpu *c, uint64_t *value)
{
	const struct vmx_cpu *x = vmx_of(c);

	if (!(x->proc1 & PROC1_TPR_SHADOW) || !x->virtual_apic)
		return false;
	*value = reg_get(x, VAPIC_TPR) >> 4 & 15;
	return true;
}

bool vmx_set_cr8(struct vcpu *c, uint64_t value, enum cpu_step *step)
{
	struct vmx_cpu *x = vmx_of(c);

	if (!(x->proc1 & PROC1_TPR_SHADOW) || !x->virtual_apic)
		return false;
	*step = CPU_DONE;
	reg_set(x, VAPIC_TPR, (value & 15) << 4);
	tpr_virtualize(c);
	return true;
}

/* 29.4.2 "Virtualizing Reads from the APIC-Access Page": the registers that a
 * read is served from. */
static bool readable(const struct vmx_cpu *x, unsigned reg)
{
	if (reg == VAPIC_TPR)
		return true;
	if (!(x->proc2 & PROC2_APIC_REGISTER_VIRT))
		return false;
	switch (reg) {
	case VAPIC_ID: case 0x30: case VAPIC_EOI: case VAPIC_LDR: case VAPIC_DFR:
	case VAPIC_SVR: case VAPIC_ESR: case VAPIC_ICR: case VAPIC_ICR2:
	case VAPIC_TIMER: case VAPIC_DIVIDE:
		return true;
	default:
		return (reg >= VAPIC_ISR && reg < VAPIC_ESR) || (reg >= VAPIC_LVT && reg <= 0x370);
	}
}

/* 29.4.3.1 "Determining Whether a Write Access is Virtualized". */
static bool writable(const struct vmx_cpu *x, unsigned reg)
{
	if (reg == VAPIC_TPR)
		return true;
	if (reg == VAPIC_EOI || reg == VAPIC_ICR)
		if (x->proc2 & (PROC2_VIRTUAL_INTR_DELIVERY | PROC2_APIC_REGISTER_VIRT))
			return true;
	if (!(x->proc2 & PROC2_APIC_REGISTER_VIRT))
		return false;
	switch (reg) {
	case VAPIC_ID: case VAPIC_LDR: case VAPIC_DFR: case VAPIC_SVR: case VAPIC_ESR:
	case VAPIC_ICR2: case VAPIC_TIMER: case VAPIC_DIVIDE:
		return true;
	default:
		return reg >= VAPIC_LVT && reg <= 0x370;
	}
}

/* Fixed, edge, to self, no reserved bit, a legal vector; destination mode and
 * level do not count. 29.4.3.3 "APIC-Write Emulation". */
static bool is_self_ipi(uint32_t icr)
{
	const uint32_t looked_at = 0xffffb700;

	return (icr & looked_at) == 0x40000 && (icr & 0xf0);
}

/* 29.4.3.3 "APIC-Write Emulation": what follows a virtualised write. */
static void written(struct vcpu *c, unsigned offset)
{
	struct vmx_cpu *x = vmx_of(c);
	bool vid = x->proc2 & PROC2_VIRTUAL_INTR_DELIVERY;
	unsigned reg = offset & ~15u;

	if (reg == VAPIC_TPR) {
		reg_set(x, VAPIC_TPR, reg_get(x, VAPIC_TPR) & 0xff);
		tpr_virtualize(c);
	} else if (reg == VAPIC_EOI && vid) {
		reg_set(x, VAPIC_EOI, 0);
		eoi_virtualize(c);
	} else if (reg == VAPIC_ICR && vid && is_self_ipi(reg_get(x, VAPIC_ICR))) {
		self_ipi_virtualize(c, reg_get(x, VAPIC_ICR));
	} else if (reg == VAPIC_ICR2) {
		reg_set(x, VAPIC_ICR2, reg_get(x, VAPIC_ICR2) & 0xff000000);
	} else {
		vmx_record_trap(c, EXIT_REASON_APIC_WRITE, offset);
	}
}

/* Qualification: SDM table 27-6 "Exit Qualification for APIC-Access VM Exits
 * from Linear Accesses and Guest-Physical Accesses". */
static enum cpu_step access_exit(struct vcpu *c, const struct cpu_apic_access *a)
{
	uint64_t type = a->fetch ? 2 : a->write ? 1 : 0;

	if (c->delivering)
		type = a->linear ? 3 : 10;
	else if (!a->linear)
		type = 15;
	return vmx_record(c, EXIT_REASON_APIC_ACCESS, NULL, (a->offset & 0xfff) | type << 12);
}

enum cpu_step vmx_apic_access(struct vcpu *c, const struct cpu_apic_access *a)
{
	struct vmx_cpu *x = vmx_of(c);
	unsigned reg = a->offset & 0xff0;
	bool whole = (a->offset & 15) + a->size <= 4;

	if (!(x->proc1 & PROC1_TPR_SHADOW) || !x->virtual_apic || a->fetch || !whole || !a->linear ||
		c->delivering)
		return access_exit(c, a);
	if (!a->write) {
		if (!readable(x, reg))
			return access_exit(c, a);
		*a->value = 0;
		memcpy(a->value, x->virtual_apic + (a->offset & 0xfff), a->size);
		return CPU_DONE;
	}
	if (!writable(x, reg))
		return access_exit(c, a);
	memcpy(x->virtual_apic + (a->offset & 0xfff), a->value, a->size);
	written(c, a->offset & 0xfff);
	return CPU_DONE;
}

/* 29.5 "Virtualizing MSR-Based APIC Accesses". */
bool vmx_apic_rdmsr(struct vcpu *c, uint32_t msr, uint64_t *value, enum cpu_step *step)
{
	const struct vmx_cpu *x = vmx_of(c);
	unsigned at = (msr & 0xff) << 4;

	if (msr < 0x800 || msr > 0x8ff || !(x->proc2 & PROC2_VIRTUALIZE_X2APIC_MODE) ||
		!x->virtual_apic)
		return false;
	if (!(x->proc2 & PROC2_APIC_REGISTER_VIRT) && msr != 0x808)
		return false;
	*step = CPU_DONE;
	memcpy(value, x->virtual_apic + at, sizeof *value);
	return true;
}

bool vmx_apic_wrmsr(struct vcpu *c, uint32_t msr, uint64_t value, enum cpu_step *step)
{
	struct vmx_cpu *x = vmx_of(c);
	bool vid = x->proc2 & PROC2_VIRTUAL_INTR_DELIVERY;

	if (!(x->proc2 & PROC2_VIRTUALIZE_X2APIC_MODE) || !x->virtual_apic)
		return false;
	if (msr != 0x808 && !(vid && (msr == 0x80b || msr == 0x83f)))
		return false;
	if ((msr == 0x80b && value) || value & ~(uint64_t)0xff) {
		*step = cpu_raise_error(c, VEC_GP, 0);
		return true;
	}
	*step = CPU_DONE;
	memcpy(x->virtual_apic + ((msr & 0xff) << 4), &value, sizeof value);
	if (msr == 0x808)
		tpr_virtualize(c);
	else if (msr == 0x80b)
		eoi_virtualize(c);
	else if (value & 0xf0)
		self_ipi_virtualize(c, value);
	else
		vmx_record_trap(c, EXIT_REASON_APIC_WRITE, 0x3f0);
	return true;
}

/* L1's own IDT: exceptions end the run, the APIC timer counts ticks. */
#include "l1.h"

#define TIMER_VECTOR 32
#define APIC	     0xfee00000ul

struct gate {
	uint16_t low, selector;
	uint8_t ist, type;
	uint16_t middle;
	uint32_t high, zero;
};

static struct gate idt[48];
volatile uint32_t timer_ticks;

void trap_init(void)
{
	struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} pointer = {sizeof(idt) - 1, (uint64_t)idt};

	for (unsigned n = 0; n < 48; n++) {
		uint64_t at = (uint64_t)trap_stubs + n * 16;
		idt[n] = (struct gate){(uint16_t)at, 8, 0, 0x8e, (uint16_t)(at >> 16),
			(uint32_t)(at >> 32), 0};
	}
	asm volatile("lidt %0" : : "m"(pointer));
	outb(0x21, 0xff); /* the 8259s stay silent */
	outb(0xa1, 0xff);
}

static void apic_write(unsigned reg, uint32_t v)
{
	*(volatile uint32_t *)(APIC + reg) = v;
}

/* Periodic; `ticks` of the APIC's timer clock divided by one. */
void timer_start(uint32_t ticks)
{
	apic_write(0xf0, 0x1ff);		       /* software enable */
	apic_write(0x3e0, 0xb);			       /* divide by 1 */
	apic_write(0x320, TIMER_VECTOR | 1 << 17);     /* periodic */
	apic_write(0x380, ticks);
}

/* The tick itself, taken by the IDT or acknowledged by a VM exit. */
void timer_tick(void)
{
	timer_ticks++;
	apic_write(0xb0, 0);
}

void trap(uint64_t vector, uint64_t error, uint64_t rip)
{
	if (vector == TIMER_VECTOR) {
		timer_tick();
		return;
	}
	print("L1: exception %lu, error %lx, at %lx\n", vector, error, rip);
	finish(NULL, 0x30);
}

/* nestscope's own L1: a small hypervisor that one can read in a sitting.
 *
 * It boots by multiboot, takes `NAME [count=N] [noept] [end=off]` from the
 * command line, starts the L2 payload of that scenario (scenarios.def), handles
 * its exits until the payload says it is done, prints what it counted on COM1
 * and ends the run through port F4h (or a power-off with `end=off`).
 *
 *   main.c    command line, scenarios, the end
 *   vmx.c     VMX operation, capabilities, the VMCS
 *   enter.S   VMLAUNCH, VMRESUME, the way back
 *   exits.c   what L1 does about each exit
 *   mmu.c     EPT, or the shadow of L2's page tables
 *   trap.c    L1's own IDT and its APIC timer
 *   l2.S      the payloads
 */
#ifndef GUESTS_L1_H
#define GUESTS_L1_H

#include "vmcs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* L2's memory: L2-physical 0..4 MiB lie at this L1-physical address. */
#define L2_BASE  0x2000000ul
#define L2_SIZE  0x400000ul
#define L2_ENTRY 0x8000ul /* payloads are copied here */
#define L2_STACK 0x7000ul
#define L2_PARAM 0x500ul /* u32: the count */
#define L2_CR3   0x10000ul /* page tables that L1 lays down as a loader would */
#define L2_GDT   0x20000ul

/* Scratch pages behind the violation loop: L2-physical 2 MiB and up. */
#define L2_WINDOW 0x200000ul

enum payload_mode { MODE_REAL, MODE_PM32, MODE_LONG };

enum {
	NEEDS_EPT = 1,
	READS_MANY = 2,  /* reads some fifty fields at each exit */
	BROKEN = 4,      /* three wrong fields planted before the launch */
	INTERRUPTS = 8,  /* L1's APIC timer ticks while L2 runs */
	TWO_GUESTS = 16, /* two VMCSs, entered in turn */
	TIMED = 32,      /* the preemption timer ends L2's turn */
	INTERCEPT_ALL = 32 /* MSRs without a bitmap, all ports */
};

struct scenario {
	const char *name;
	const uint8_t *start, *end; /* payload code */
	enum payload_mode mode;
	uint32_t count;
	unsigned flags;
	const char *help;
};

/* Offsets are known to enter.S; host_rsp is what HOST_RSP of its VMCS holds. */
struct guest_regs {
	uint64_t rax, rcx, rdx, rbx, host_rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15;
};

struct guest {
	struct guest_regs regs;
	uint8_t *vmcs; /* a page */
	uint64_t mem;  /* L1-physical base of its memory */
	uint64_t *root; /* EPT PML4 or shadow PML4 */
	uint64_t cr3;   /* L2's own, when its tables are shadowed */
	bool launched;
	bool done;
	uint32_t status, sum; /* as the payload reported them */
	uint64_t exits[72];
	uint64_t mapped; /* violation loop: the page that is mapped */
};

struct l1 {
	const struct scenario *scenario;
	uint32_t count;
	bool ept; /* L2 runs with EPT */
	bool quiet;
	bool power_off;
	uint64_t field_sum; /* of the fields that READS_MANY read */
	unsigned guests;
	struct guest guest[2];
};

extern volatile uint32_t timer_ticks;
extern uint8_t gdt[], tss[], gdt_pointer[], trap_stubs[], stack_top[], image_end[], vmx_exit[];

/* print.c */
void print_init(void);
void put_char(char c);
void print(const char *fmt, ...); /* %s %u %x %lu %lx %c */
_Noreturn void finish(const struct l1 *l1, uint32_t value);

/* trap.c */
void trap_init(void);
void timer_start(uint32_t ticks);
void trap(uint64_t vector, uint64_t error, uint64_t rip);
void timer_tick(void);

/* vmx.c */
bool vmx_start(struct l1 *l1);
bool vmx_setup(struct l1 *l1, struct guest *g);
int vmx_enter(struct guest_regs *regs, bool launched);
void vmx_select(struct guest *g); /* VMPTRLD */

/* exits.c */
bool exit_handle(struct l1 *l1, struct guest *g); /* false: an exit that L1 does not know */
const char *exit_name(uint32_t reason);

/* mmu.c */
uint64_t *page_new(void);
void ept_build(struct guest *g);
void ept_violation(struct guest *g, uint64_t gpa);
void shadow_build(struct guest *g);
bool shadow_fault(struct guest *g, uint64_t linear, uint32_t error);
void shadow_flush(struct guest *g);
uint64_t ept_pointer(const struct guest *g);

/* The machine. */
static inline void outb(uint16_t port, uint8_t v)
{
	asm volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}
static inline void outl(uint16_t port, uint32_t v)
{
	asm volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}
static inline uint8_t inb(uint16_t port)
{
	uint8_t v;
	asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}
static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;
	asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return lo | (uint64_t)hi << 32;
}
static inline void wrmsr(uint32_t msr, uint64_t v)
{
	asm volatile("wrmsr" : : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)));
}
static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;
	asm volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return lo | (uint64_t)hi << 32;
}
static inline void cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
	asm volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(sub));
}

/* VMCS fields of the current VMCS. */
static inline uint64_t vmread(uint64_t field)
{
	uint64_t v;
	asm volatile("vmread %1, %0" : "=rm"(v) : "r"(field) : "cc");
	return v;
}
static inline bool vmwrite(uint64_t field, uint64_t v)
{
	bool bad;
	asm volatile("vmwrite %1, %2; setna %0" : "=qm"(bad) : "rm"(v), "r"(field) : "cc");
	return !bad;
}
static inline void invept(uint64_t type, uint64_t eptp)
{
	struct { uint64_t eptp, zero; } d = {eptp, 0};
	asm volatile("invept %0, %1" : : "m"(d), "r"(type) : "cc", "memory");
}
static inline void invvpid(uint64_t type, uint64_t vpid)
{
	struct { uint64_t vpid, linear; } d = {vpid, 0};
	asm volatile("invvpid %0, %1" : : "m"(d), "r"(type) : "cc", "memory");
}

#endif

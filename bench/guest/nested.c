/* The same kernel in L2: VMX operation, an L2 that goes on in this program's
 * address space behind EPT tables that map all of it one to one, and back by
 * VMCALL. Nothing else exits. */
#include "guests/vmcs.h"

#include <stdint.h>

uint64_t nested_run(uint64_t (*run)(uint64_t), uint64_t n);

/* start.S: VMLAUNCH with these in L2's registers; what L2 returned, ~0 when the
 * entry fails. */
uint64_t nested_enter(uint64_t (*run)(uint64_t), uint64_t n);
extern const char nested_start[], page_top[], gdt[];

enum { EPT_PML4 = 0x1000000, EPT_PDPT = 0x1001000, EPT_PD = 0x1002000, REGION = 0x1003000,
	VMCS = 0x1004000, MSRS = 0x1005000, STACK = 0x1020000 };

static uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;
	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return lo | (uint64_t)hi << 32;
}

static void vmwrite(uint64_t field, uint64_t value)
{
	__asm__ volatile("vmwrite %1, %0" : : "r"(field), "rm"(value) : "cc");
}

static uint64_t vmread(uint64_t field)
{
	uint64_t value;
	__asm__ volatile("vmread %1, %0" : "=rm"(value) : "r"(field) : "cc");
	return value;
}

/* What must be 1, and of `want` what may be. */
static uint64_t control(uint32_t msr, uint32_t want)
{
	uint64_t cap = rdmsr(msr);
	return (want | (uint32_t)cap) & (uint32_t)(cap >> 32);
}

static uint64_t cr(unsigned n)
{
	uint64_t v;
	if (n == 0)
		__asm__ volatile("mov %%cr0, %0" : "=r"(v));
	else
		__asm__ volatile("mov %%cr4, %0" : "=r"(v));
	return v;
}

static void map(void)
{
	*(uint64_t *)EPT_PML4 = EPT_PDPT | 7;
	*(uint64_t *)EPT_PDPT = EPT_PD | 7;
	for (uint64_t i = 0; i < 512; i++)
		((uint64_t *)EPT_PD)[i] = i << 21 | 0xb7; /* 2 MiB, write-back */
}

static void segment(unsigned n, uint16_t selector, uint32_t limit, uint32_t rights)
{
	vmwrite(GUEST_ES_SELECTOR + 2 * n, selector);
	vmwrite(GUEST_ES_LIMIT + 2 * n, limit);
	vmwrite(GUEST_ES_ACCESS_RIGHTS + 2 * n, rights);
}

static void set_guest(void)
{
	for (unsigned n = 0; n < 6; n++)
		segment(n, n == 1 ? 8 : 16, ~0u, n == 1 ? 0xa09b : 0xc093);
	segment(6, 0, 0, 0x10000);
	segment(7, 0x30, 0x67, 0x8b);
	vmwrite(GUEST_CR0, cr(0));
	vmwrite(GUEST_CR3, (uint64_t)page_top);
	vmwrite(GUEST_CR4, cr(4));
	vmwrite(GUEST_IA32_EFER, rdmsr(0xc0000080));
	vmwrite(GUEST_GDTR_BASE, (uint64_t)gdt);
	vmwrite(GUEST_GDTR_LIMIT, 47);
	vmwrite(GUEST_DR7, 0x400);
	vmwrite(GUEST_RFLAGS, 2);
	vmwrite(GUEST_RSP, STACK);
	vmwrite(GUEST_RIP, (uint64_t)nested_start);
	vmwrite(VMCS_LINK_POINTER, ~0ull);
}

static void set_host(void)
{
	vmwrite(HOST_CS_SELECTOR, 8);
	for (unsigned n = 0; n < 6; n++)
		if (n != 1)
			vmwrite(HOST_ES_SELECTOR + 2 * n, 16);
	vmwrite(HOST_TR_SELECTOR, 0x30);
	vmwrite(HOST_CR0, cr(0));
	vmwrite(HOST_CR3, (uint64_t)page_top);
	vmwrite(HOST_CR4, cr(4));
	vmwrite(HOST_IA32_EFER, rdmsr(0xc0000080));
	vmwrite(HOST_GDTR_BASE, (uint64_t)gdt);
}

static void set_controls(void)
{
	vmwrite(PIN_BASED_CONTROLS, control(0x48d, 0));
	vmwrite(PROC_BASED_CONTROLS, control(0x48e, PROC_SECONDARY | PROC_MSR_BITMAP) &
		~(uint64_t)(PROC_INVLPG | PROC_CR3_LOAD | PROC_CR3_STORE));
	vmwrite(PROC_BASED_CONTROLS2, control(0x48b, PROC2_EPT | PROC2_VPID));
	vmwrite(VM_EXIT_CONTROLS, control(0x48f, EXIT_HOST_64 | EXIT_SAVE_EFER | EXIT_LOAD_EFER));
	vmwrite(VM_ENTRY_CONTROLS, control(0x490, ENTRY_IA32E | ENTRY_LOAD_EFER));
	vmwrite(MSR_BITMAP, MSRS);
	vmwrite(EPT_POINTER, EPT_PML4 | 0x1e);
	vmwrite(VIRTUAL_PROCESSOR_ID, 1);
}

uint64_t nested_run(uint64_t (*run)(uint64_t), uint64_t n)
{
	uint64_t region = REGION, vmcs = VMCS, result;

	if (!(rdmsr(0x3a) & 1))
		__asm__ volatile("wrmsr" : : "c"(0x3a), "a"(5), "d"(0));
	__asm__ volatile("mov %0, %%cr0" : : "r"(cr(0) | 0x20));
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr(4) | 0x2000));
	*(uint32_t *)REGION = *(uint32_t *)VMCS = (uint32_t)rdmsr(0x480);
	__asm__ volatile("vmxon %0" : : "m"(region) : "cc", "memory");
	__asm__ volatile("vmclear %0" : : "m"(vmcs) : "cc", "memory");
	__asm__ volatile("vmptrld %0" : : "m"(vmcs) : "cc", "memory");
	map();
	set_controls();
	set_host();
	set_guest();
	result = nested_enter(run, n);
	return vmread(EXIT_REASON) == 18 ? result : ~0ull; /* VMCALL */
}

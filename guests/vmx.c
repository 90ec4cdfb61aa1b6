/* VMX operation and the VMCS of an L2. */
#include "l1.h"

#define MSR_FEATURE_CONTROL 0x3a
#define MSR_VMX_BASIC	    0x480
#define MSR_VMX_CR0_FIXED0  0x486
#define MSR_VMX_CR4_FIXED0  0x488
#define MSR_EFER	    0xc0000080

static inline uint64_t read_cr(unsigned n)
{
	uint64_t v;
	if (n == 0)
		asm volatile("mov %%cr0, %0" : "=r"(v));
	else if (n == 3)
		asm volatile("mov %%cr3, %0" : "=r"(v));
	else
		asm volatile("mov %%cr4, %0" : "=r"(v));
	return v;
}

/* Controls as wanted, within what the capability MSR allows. */
static uint32_t allowed(uint32_t msr, uint32_t want)
{
	uint64_t cap = rdmsr(msr);

	return (want | (uint32_t)cap) & (uint32_t)(cap >> 32);
}

/* The TRUE_ MSRs (48Dh..490h) tell more, where bit 55 of IA32_VMX_BASIC is set. */
static uint32_t control(unsigned index, uint32_t want)
{
	bool true_ctls = rdmsr(MSR_VMX_BASIC) >> 55 & 1;

	return allowed((true_ctls ? 0x48d : 0x481) + index, want);
}

static bool has_control2(uint32_t bit)
{
	return rdmsr(0x482) >> 63 && (uint32_t)(rdmsr(0x48b) >> 32) & bit;
}

bool vmx_start(struct l1 *l1)
{
	uint32_t r[4];
	uint64_t feature, *region = page_new(), at = (uint64_t)region;
	bool bad;

	cpuid(1, 0, r);
	if (!(r[2] & 1 << 5)) {
		print("L1: this processor has no VMX\n");
		return false;
	}
	feature = rdmsr(MSR_FEATURE_CONTROL);
	if (!(feature & 1))
		wrmsr(MSR_FEATURE_CONTROL, feature | 5);
	asm volatile("mov %0, %%cr0" : : "r"(read_cr(0) | rdmsr(MSR_VMX_CR0_FIXED0)));
	asm volatile("mov %0, %%cr4" : : "r"(read_cr(4) | rdmsr(MSR_VMX_CR4_FIXED0)));
	*(uint32_t *)region = (uint32_t)rdmsr(MSR_VMX_BASIC) & 0x7fffffff;
	asm volatile("vmxon %1; setna %0" : "=qm"(bad) : "m"(at) : "cc", "memory");
	if (bad) {
		print("L1: VMXON failed\n");
		return false;
	}
	if (l1->ept && !has_control2(PROC2_EPT)) {
		print("L1: no EPT here, shadowing L2's page tables\n");
		l1->ept = false;
	}
	return true;
}

void vmx_select(struct guest *g)
{
	uint64_t at = (uint64_t)g->vmcs;

	asm volatile("vmptrld %0" : : "m"(at) : "cc", "memory");
}

static void set_controls(struct l1 *l1, struct guest *g)
{
	const struct scenario *s = l1->scenario;
	uint32_t pin = 0, proc = PROC_HLT | PROC_SECONDARY, proc2 = PROC2_VPID, entry = ENTRY_LOAD_EFER;
	uint32_t exits = EXIT_HOST_64 | EXIT_ACK_INTR | EXIT_SAVE_EFER | EXIT_LOAD_EFER;

	if (s->flags & INTERCEPT_ALL)
		proc |= PROC_IO_EXITING;
	else
		proc |= PROC_MSR_BITMAP | PROC_IO_EXITING;
	if (l1->ept)
		proc2 |= PROC2_EPT | PROC2_UNRESTRICTED;
	else
		proc |= PROC_INVLPG | PROC_CR3_LOAD | PROC_CR3_STORE;
	if (s->mode == MODE_LONG)
		entry |= ENTRY_IA32E;
	if (s->flags & INTERRUPTS)
		pin |= PIN_EXTINT;
	if (s->flags & TIMED)
		pin |= PIN_TIMER;
	vmwrite(PIN_BASED_CONTROLS, control(0, pin));
	vmwrite(PREEMPTION_TIMER_VALUE, 1000);
	proc = control(1, proc);
	if (l1->ept)
		proc &= ~(PROC_INVLPG | PROC_CR3_LOAD | PROC_CR3_STORE);
	vmwrite(PROC_BASED_CONTROLS, proc);
	vmwrite(PROC_BASED_CONTROLS2, allowed(0x48b, proc2));
	vmwrite(VM_EXIT_CONTROLS, control(2, exits));
	vmwrite(VM_ENTRY_CONTROLS, control(3, entry));
	vmwrite(MSR_BITMAP, (uint64_t)page_new());
	vmwrite(EXCEPTION_BITMAP, l1->ept ? 0 : 1 << 14);
	vmwrite(CR3_TARGET_COUNT, 0);
	vmwrite(VMCS_LINK_POINTER, ~0ul);
	vmwrite(VIRTUAL_PROCESSOR_ID, 1 + (uint64_t)(g - l1->guest));
	vmwrite(CR0_GUEST_HOST_MASK, 0x20);
	vmwrite(CR4_GUEST_HOST_MASK, 0x2000);
	if (l1->ept)
		vmwrite(EPT_POINTER, ept_pointer(g));
}

static void set_host(void)
{
	vmwrite(HOST_CS_SELECTOR, 8);
	vmwrite(HOST_ES_SELECTOR, 16);
	vmwrite(HOST_SS_SELECTOR, 16);
	vmwrite(HOST_DS_SELECTOR, 16);
	vmwrite(HOST_FS_SELECTOR, 16);
	vmwrite(HOST_GS_SELECTOR, 16);
	vmwrite(HOST_TR_SELECTOR, 24);
	vmwrite(HOST_TR_BASE, (uint64_t)tss);
	vmwrite(HOST_GDTR_BASE, *(uint64_t *)(gdt_pointer + 2));
	struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} idtr;
	asm volatile("sidt %0" : "=m"(idtr));
	vmwrite(HOST_IDTR_BASE, idtr.base);
	vmwrite(HOST_CR0, read_cr(0));
	vmwrite(HOST_CR3, read_cr(3));
	vmwrite(HOST_CR4, read_cr(4));
	vmwrite(HOST_IA32_EFER, rdmsr(MSR_EFER));
	vmwrite(HOST_RIP, (uint64_t)vmx_exit);
}

static void set_segment(unsigned n, uint16_t selector, uint64_t base, uint32_t limit, uint32_t ar)
{
	vmwrite(GUEST_ES_SELECTOR + 2 * n, selector);
	vmwrite(GUEST_ES_BASE + 2 * n, base);
	vmwrite(GUEST_ES_LIMIT + 2 * n, limit);
	vmwrite(GUEST_ES_ACCESS_RIGHTS + 2 * n, ar);
}

/* L2 starts as its mode wants: real mode flat at 0, 32-bit flat, or 64-bit on
 * the tables that mmu.c laid down at L2_CR3. */
static void set_guest(struct l1 *l1, struct guest *g)
{
	enum payload_mode mode = l1->scenario->mode;
	bool real = mode == MODE_REAL, wide = mode == MODE_LONG;
	uint32_t code = wide ? 0xa09b : real ? 0x9b : 0xc09b;
	uint32_t data = real ? 0x93 : 0xc093;
	uint32_t limit = real ? 0xffff : 0xffffffff;
	uint64_t cr0 = rdmsr(MSR_VMX_CR0_FIXED0), cr4 = rdmsr(MSR_VMX_CR4_FIXED0), cr3 = L2_CR3;

	if (l1->ept)
		cr0 &= ~0x80000001ul; /* unrestricted guest */
	if (wide) {
		cr0 |= 0x80000001;
		cr4 |= 0x20;
		cr3 = l1->ept ? L2_CR3 : (uint64_t)g->root;
	} else if (!real) {
		cr0 |= 1;
		if (!l1->ept) { /* one 4 MiB page of L1's own making */
			uint32_t *directory = (uint32_t *)page_new();
			directory[0] = (uint32_t)g->mem | 0x83;
			cr3 = (uint64_t)directory;
			cr4 |= 0x10;
			cr0 |= 0x80000000;
		}
	}
	for (unsigned n = 0; n < 6; n++)
		set_segment(n, real ? 0 : n == 1 ? 8 : 16, 0, limit, n == 1 ? code : data);
	set_segment(6, 0, 0, 0, 0x10000);
	set_segment(7, real ? 0 : 24, 0, 0x67, 0x8b);
	vmwrite(GUEST_GDTR_BASE, L2_GDT);
	vmwrite(GUEST_GDTR_LIMIT, 31);
	vmwrite(GUEST_IDTR_BASE, 0);
	vmwrite(GUEST_IDTR_LIMIT, real ? 0x3ff : 0);
	vmwrite(GUEST_CR0, cr0);
	vmwrite(CR0_READ_SHADOW, cr0 & ~0x20ul);
	vmwrite(GUEST_CR3, cr3);
	vmwrite(GUEST_CR4, cr4);
	vmwrite(CR4_READ_SHADOW, cr4 & ~0x2000ul);
	vmwrite(GUEST_IA32_EFER, wide ? 0x500 : 0);
	vmwrite(GUEST_DR7, 0x400);
	vmwrite(GUEST_RSP, L2_STACK);
	vmwrite(GUEST_RIP, L2_ENTRY);
	vmwrite(GUEST_RFLAGS, 2);
	vmwrite(GUEST_INTERRUPTIBILITY, 0);
	vmwrite(GUEST_ACTIVITY_STATE, 0);
	vmwrite(GUEST_PENDING_DEBUG, 0);
	vmwrite(GUEST_SYSENTER_CS, 0);
	vmwrite(VM_ENTRY_INTR_INFO, 0);
	g->cr3 = L2_CR3;
}

/* The three mistakes that the entry autopsy has to name. */
static void plant_mistakes(void)
{
	vmwrite(GUEST_RFLAGS, 0);				 /* bit 1 must be 1 */
	vmwrite(GUEST_ES_ACCESS_RIGHTS + 2 * 7, 0x82);		 /* TR must be a busy TSS */
	vmwrite(GUEST_CR4, vmread(GUEST_CR4) & ~0x2000ul);	 /* VMXE must be 1 */
}

bool vmx_setup(struct l1 *l1, struct guest *g)
{
	uint64_t at = (uint64_t)(g->vmcs = (uint8_t *)page_new());
	bool bad;

	*(uint32_t *)g->vmcs = (uint32_t)rdmsr(MSR_VMX_BASIC) & 0x7fffffff;
	asm volatile("vmclear %1; setna %0" : "=qm"(bad) : "m"(at) : "cc", "memory");
	if (!bad)
		asm volatile("vmptrld %1; setna %0" : "=qm"(bad) : "m"(at) : "cc", "memory");
	if (bad) {
		print("L1: VMCLEAR or VMPTRLD failed\n");
		return false;
	}
	set_controls(l1, g);
	set_host();
	set_guest(l1, g);
	if (l1->scenario->flags & BROKEN)
		plant_mistakes();
	return true;
}

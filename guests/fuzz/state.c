/* A VMCS that passes the entry checks more often than not, and its decay. */
#include "fuzz.h"

static const uint16_t fields[] = {
#define FIELD(encoding, name, cap) encoding,
#include "vmx/fields.def"
#undef FIELD
};
enum {
#define FIELD(encoding, name, cap) name = encoding,
#include "vmx/fields.def"
#undef FIELD
};

uint32_t state_field(struct fuzz *f)
{
	if (one_in(f, 16))
		return (uint32_t)value(f);
	return fields[below(f, sizeof(fields) / sizeof(*fields))] ^ one_in(f, 32);
}

bool vmread(uint64_t field, uint64_t *v)
{
	bool bad;

	asm volatile("vmread %2, %1; setna %0" : "=r"(bad), "=r"(*v) : "r"(field) : "cc");
	return !bad;
}

void vmwrite(uint64_t field, uint64_t v)
{
	asm volatile("vmwrite %1, %0" : : "r"(field), "r"(v) : "cc");
}

static uint32_t control(struct fuzz *f, uint32_t msr, uint32_t want, uint32_t never)
{
	uint64_t cap = rdmsr(msr);
	uint32_t v = (uint32_t)rnd(f) & (uint32_t)rnd(f);

	return ((v & ~never) | want | (uint32_t)cap) & (uint32_t)(cap >> 32);
}

static void host(struct fuzz *f)
{
	uint64_t cr0, cr4;
	struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} idtr;

	asm volatile("mov %%cr0, %0; mov %%cr4, %1; sidt %2" : "=r"(cr0), "=r"(cr4), "=m"(idtr));
	for (unsigned e = HOST_ES_SELECTOR; e <= HOST_GS_SELECTOR; e += 2)
		vmwrite(e, e == HOST_CS_SELECTOR ? 8 : 16);
	vmwrite(HOST_TR_SELECTOR, 24);
	vmwrite(HOST_TR_BASE, (uint64_t)tss);
	vmwrite(HOST_FS_BASE, 0);
	vmwrite(HOST_GS_BASE, 0);
	vmwrite(HOST_GDTR_BASE, (uint64_t)gdt);
	vmwrite(HOST_IDTR_BASE, idtr.base);
	vmwrite(HOST_CR0, cr0);
	vmwrite(HOST_CR3, (uint64_t)pml4);
	vmwrite(HOST_CR4, cr4);
	vmwrite(HOST_IA32_EFER, rdmsr(0xc0000080));
	vmwrite(HOST_IA32_PAT, 0x0007040600070406);
	vmwrite(HOST_IA32_PERF_GLOBAL_CTRL, 0);
	vmwrite(HOST_IA32_SYSENTER_ESP, 0);
	vmwrite(HOST_IA32_SYSENTER_EIP, 0);
	vmwrite(HOST_RSP, 0);
	vmwrite(HOST_RIP, (uint64_t)fuzz_exit);
	(void)f;
}

enum { LONG, PM32, PAE, REAL, V86, MODES };

/* Which controls go together; the rest of the rules is for the checks. */
static void controls(struct fuzz *f, unsigned mode, bool *ept, bool *unrestricted)
{
	bool tru = rdmsr(0x480) >> 55 & 1;
	uint32_t base = tru ? 0x48d : 0x481;
	uint32_t pin = control(f, base, (one_in(f, 100) ? 0 : 1) | (one_in(f, 16) ? 0 : 0x40), 0x80);
	uint32_t proc = control(f, base + 1, one_in(f, 16) ? 0 : 0x80000000, 0x08000000);
	uint32_t proc2 = control(f, 0x48b, one_in(f, 4) ? 0 : 0x2, 0);
	uint32_t exits = control(f, base + 2, 0x200 | (one_in(f, 2) ? 0x300000 : 0), 0x1000);
	uint32_t entry = control(f, base + 3, 0, 0x2e00 | 0x400 | 0x800) | (mode == LONG ? 0x200 : 0);

	if (!(proc & 0x200000)) /* TPR shadow */
		proc2 &= ~0x310u;
	if (!(pin & 8))
		pin &= ~0x20u;
	if (!(pin & 0x20))
		proc &= ~0x400000u;
	if (proc2 & 0x10)
		proc2 &= ~1u;
	if (proc2 & 0x200)
		pin |= 1;
	*ept = proc2 & 2 && proc >> 31;
	if (!*ept)
		proc2 &= ~0x464080u & ~0x20000u;
	if (mode >= REAL - 1 + (mode == PAE) && *ept && mode != V86)
		proc2 |= 0x80;
	if (one_in(f, 8) && (rdmsr(base) >> 39 & 1) && proc2 & 0x200) { /* posted interrupts */
		pin |= 0x80;
		exits |= 0x8000;
	}
	*unrestricted = proc2 & 0x80 && *ept;
	if (!(entry & 0x4000) && one_in(f, 2))
		entry |= 0; /* PAT as it is */
	vmwrite(PIN_BASED_VM_EXEC_CONTROL, pin);
	vmwrite(CPU_BASED_VM_EXEC_CONTROL, proc);
	vmwrite(SECONDARY_VM_EXEC_CONTROL, proc2);
	vmwrite(VM_EXIT_CONTROLS, exits);
	vmwrite(VM_ENTRY_CONTROLS, entry);
}

static void pointers(struct fuzz *f)
{
	static const uint16_t pages[] = {IO_BITMAP_A, IO_BITMAP_B, MSR_BITMAP, VIRTUAL_APIC_PAGE_ADDR,
		APIC_ACCESS_ADDR, VMREAD_BITMAP, VMWRITE_BITMAP, PML_ADDRESS, VE_INFORMATION_ADDRESS,
		EPTP_LIST_ADDRESS, XSS_EXIT_BITMAP, POSTED_INTR_DESC_ADDR};
	static const uint16_t lists[] = {VM_EXIT_MSR_STORE_ADDR, VM_EXIT_MSR_LOAD_ADDR,
		VM_ENTRY_MSR_LOAD_ADDR};

	for (unsigned n = 0; n < sizeof(pages) / sizeof(*pages); n++)
		vmwrite(pages[n], pool_page(f));
	vmwrite(EPT_POINTER, memory_eptp(f));
	for (unsigned n = 0; n < 3; n++) { /* of VM exits a bad list ends L1 */
		bool bad = one_in(f, n == 2 ? 4 : 200);
		vmwrite(lists[n], bad ? pool_page(f) : memory_list());
		vmwrite(n == 0 ? VM_EXIT_MSR_STORE_COUNT : n == 1 ? VM_EXIT_MSR_LOAD_COUNT :
			VM_ENTRY_MSR_LOAD_COUNT, bad && one_in(f, 4) ? value(f) : one_in(f, 4) ? below(f, 5) : 0);
	}
	vmwrite(VIRTUAL_PROCESSOR_ID, 1 + below(f, 4));
	vmwrite(POSTED_INTR_NV, 0x20 + below(f, 200));
	vmwrite(VMCS_LINK_POINTER, one_in(f, 24) ? VMCSS + below(f, SLOTS) * 4096ul : ~0ul);
	vmwrite(EXCEPTION_BITMAP, one_in(f, 3) ? rnd(f) : ~0ul);
	vmwrite(PAGE_FAULT_ERROR_CODE_MASK, 0);
	vmwrite(PAGE_FAULT_ERROR_CODE_MATCH, 0);
	vmwrite(CR3_TARGET_COUNT, below(f, 5));
	vmwrite(TPR_THRESHOLD, one_in(f, 4) ? below(f, 16) : 0);
	vmwrite(TSC_OFFSET, value(f));
	vmwrite(TSC_MULTIPLIER, one_in(f, 2) ? value(f) | 1 : 1ul << 48);
	vmwrite(VM_FUNCTION_CONTROL, below(f, 2));
	vmwrite(GUEST_PML_INDEX, one_in(f, 4) ? value(f) : 511);
	vmwrite(GUEST_INTR_STATUS, one_in(f, 2) ? rnd(f) : 0);
	vmwrite(CR0_GUEST_HOST_MASK, one_in(f, 2) ? rnd(f) : 0);
	vmwrite(CR4_GUEST_HOST_MASK, one_in(f, 2) ? rnd(f) : 0);
	vmwrite(CR0_READ_SHADOW, rnd(f));
	vmwrite(CR4_READ_SHADOW, rnd(f));
	vmwrite(PLE_GAP, below(f, 100));
	vmwrite(PLE_WINDOW, below(f, 5000));
	vmwrite(VMX_PREEMPTION_TIMER_VALUE, below(f, one_in(f, 4) ? 3 : 200));
}

static void segment(unsigned n, uint64_t sel, uint64_t base, uint64_t limit, uint64_t ar)
{
	vmwrite(GUEST_ES_SELECTOR + 2 * n, sel);
	vmwrite(GUEST_ES_BASE + 2 * n, base);
	vmwrite(GUEST_ES_LIMIT + 2 * n, limit);
	vmwrite(GUEST_ES_AR_BYTES + 2 * n, ar);
}

static void guest(struct fuzz *f, unsigned mode, bool unrestricted)
{
	uint64_t cr0 = rdmsr(0x486), cr4 = rdmsr(0x488) | 0x600;
	bool flat = mode != REAL && mode != V86;
	uint64_t code = mode == LONG ? 0xa09b : mode == PM32 || mode == PAE ? 0xc09b : 0x9b;
	uint64_t rip = L2_CODE + f->id * 4096ul, rflags = 2;

	if (unrestricted)
		cr0 &= ~0x80000001ul;
	if (mode != REAL)
		cr0 |= 1;
	if (mode == LONG || mode == PAE || (mode == V86 && !unrestricted))
		cr0 |= 0x80000000;
	if (mode == LONG || mode == PAE)
		cr4 |= 0x20;
	if (one_in(f, 3))
		rflags |= (rnd(f) & 0x40dd5) & ~(mode == LONG ? 0x20000ul : 0);
	rflags = mode == V86 ? rflags | 0x20000 : rflags;
	for (unsigned n = 0; n < 6; n++)
		if (flat)
			segment(n, n == 1 ? 8 : 16, 0, 0xffffffff, n == 1 ? code : 0xc093);
		else /* no further than 1 MiB: the code of the others is not there */
			segment(n, 0x1000, 0x10000, 0xffff, mode == V86 ? 0xf3 : n == 1 ? 0x9b : 0x93);
	segment(6, 0, 0, 0, 0x10000);
	segment(7, 24, (uint64_t)tss, 0x67, mode == LONG ? 0x8b : 0x8b);
	vmwrite(GUEST_CR0, cr0);
	vmwrite(GUEST_CR4, cr4);
	vmwrite(GUEST_CR3, memory_cr3());
	vmwrite(GUEST_IA32_EFER, mode == LONG ? 0xd01 : 0);
	vmwrite(GUEST_IA32_PAT, 0x0007040600070406);
	vmwrite(GUEST_IA32_PERF_GLOBAL_CTRL, 0);
	vmwrite(GUEST_IA32_DEBUGCTL, 0);
	vmwrite(GUEST_DR7, one_in(f, 4) ? (rnd(f) & 0xffff0fff) | 0x400 : 0x400);
	vmwrite(GUEST_RFLAGS, rflags);
	vmwrite(GUEST_RIP, flat ? rip : below(f, 0x8000));
	vmwrite(GUEST_RSP, flat ? pool_page(f) + 2048 : 0xff00);
	vmwrite(GUEST_GDTR_BASE, one_in(f, 2) ? (uint64_t)gdt : pool_page(f));
	vmwrite(GUEST_GDTR_LIMIT, one_in(f, 2) ? 0x2f : 0xffff);
	vmwrite(GUEST_IDTR_BASE, pool_page(f));
	vmwrite(GUEST_IDTR_LIMIT, one_in(f, 2) ? 0 : 0xfff);
	vmwrite(GUEST_INTERRUPTIBILITY_INFO, one_in(f, 8) ? below(f, 32) : 0);
	vmwrite(GUEST_ACTIVITY_STATE, one_in(f, 200) ? below(f, 4) : one_in(f, 16));
	vmwrite(GUEST_PENDING_DBG_EXCEPTIONS, one_in(f, 16) ? 0x4000 : 0);
	vmwrite(GUEST_SYSENTER_CS, 8);
	vmwrite(GUEST_SYSENTER_ESP, 0);
	vmwrite(GUEST_SYSENTER_EIP, 0);
	for (unsigned n = 0; n < 4; n++)
		vmwrite(GUEST_PDPTR0 + 2 * n, n ? 0 : (pool_page(f) | 1));
}

/* An event for the entry, legal more often than not. */
void injection(struct fuzz *f)
{
	static const uint32_t legal[] = {0x80000020, 0x800000ff, 0x80000202, 0x80000300, 0x80000b08,
		0x80000b0d, 0x80000b0e, 0x80000306, 0x80000480, 0x80000501, 0x80000603, 0x80000700};

	if (!one_in(f, 3)) {
		vmwrite(VM_ENTRY_INTR_INFO_FIELD, 0);
		return;
	}
	vmwrite(VM_ENTRY_INTR_INFO_FIELD, one_in(f, 8) ? rnd(f) :
		legal[below(f, sizeof(legal) / sizeof(*legal))]);
	vmwrite(VM_ENTRY_EXCEPTION_ERROR_CODE, one_in(f, 8) ? value(f) : 0);
	vmwrite(VM_ENTRY_INSTRUCTION_LEN, one_in(f, 8) ? value(f) : 1 + below(f, 15));
}

void state_fill(struct fuzz *f)
{
	unsigned mode = one_in(f, 2) ? LONG : below(f, MODES);
	bool ept, unrestricted;

	controls(f, mode, &ept, &unrestricted);
	pointers(f);
	host(f);
	guest(f, mode, unrestricted);
	vmwrite(VM_ENTRY_INTR_INFO_FIELD, 0);
}

void state_spoil(struct fuzz *f)
{
	uint32_t field = state_field(f);
	uint64_t v;

	if (field >= VM_EXIT_MSR_STORE_COUNT && field <= VM_EXIT_MSR_LOAD_COUNT && !one_in(f, 50))
		return;
	/* what L1 comes back to is spoiled seldom, else each run is short */
	if ((field >> 10 & 3) == 3 && !one_in(f, 400))
		return;
	if (one_in(f, 2) && vmread(field, &v))
		v ^= 1ul << below(f, 64);
	else
		v = value(f);
	vmwrite(field, v);
}

/* What L1 does about each exit of L2. */
#include "l1.h"

#define VECTOR_PF 14

static const char *const names[] = {
	[REASON_EXCEPTION] = "exception", [REASON_EXTINT] = "interrupt",
	[REASON_TRIPLE_FAULT] = "triple fault", [REASON_CPUID] = "cpuid", [REASON_HLT] = "hlt",
	[REASON_INVLPG] = "invlpg", [REASON_VMCALL] = "vmcall", [REASON_CR] = "mov cr",
	[REASON_IO] = "io", [REASON_RDMSR] = "rdmsr", [REASON_WRMSR] = "wrmsr",
	[REASON_BAD_GUEST] = "invalid guest state", [REASON_EPT_VIOLATION] = "ept violation",
	[REASON_TIMER] = "timer",
};

const char *exit_name(uint32_t reason)
{
	reason &= 0xffff;
	return reason < sizeof(names) / sizeof(names[0]) && names[reason] ? names[reason] : "?";
}

static void skip(void)
{
	vmwrite(GUEST_RIP, vmread(GUEST_RIP) + vmread(EXIT_INSTRUCTION_LENGTH));
}

static void do_cpuid(struct guest *g)
{
	uint32_t r[4];

	cpuid((uint32_t)g->regs.rax, (uint32_t)g->regs.rcx, r);
	g->regs.rax = r[0];
	g->regs.rbx = r[1];
	g->regs.rcx = r[2];
	g->regs.rdx = r[3];
	skip();
}

/* L2's ports: E9h is its console, 2Eh a device that is never ready. */
static void do_io(struct l1 *l1, struct guest *g)
{
	uint64_t q = vmread(EXIT_QUALIFICATION);
	uint16_t port = (uint16_t)(q >> 16);

	if (q & 8)
		g->regs.rax = (g->regs.rax & ~0xfful) | (port == 0x2e ? 0x80 : 0xff);
	else if (port == 0xe9 && !l1->quiet)
		put_char((char)g->regs.rax);
	skip();
}

static void do_msr(struct guest *g, bool write)
{
	if (!write) {
		g->regs.rax = (uint32_t)g->regs.rcx;
		g->regs.rdx = 0;
	}
	skip();
}

/* The end of a payload: RAX is its status, RBX a checksum. */
static void do_vmcall(struct guest *g)
{
	g->status = (uint32_t)g->regs.rax;
	g->sum = (uint32_t)g->regs.rbx;
	g->done = true;
	skip();
}

static uint64_t *gpr(struct guest *g, unsigned n)
{
	return (uint64_t *)&g->regs + n;
}

/* Without EPT: L2's CR3 is ours to keep, and to forget the shadow for. */
static bool do_cr(struct guest *g)
{
	uint64_t q = vmread(EXIT_QUALIFICATION);
	unsigned reg = q >> 8 & 15;

	if ((q & 15) != 3 || reg == 4)
		return false;
	if ((q >> 4 & 3) == 0) {
		g->cr3 = *gpr(g, reg);
		shadow_flush(g);
	} else {
		*gpr(g, reg) = g->cr3;
	}
	skip();
	return true;
}

static bool do_exception(struct l1 *l1, struct guest *g)
{
	uint32_t info = (uint32_t)vmread(EXIT_INTR_INFO);
	uint32_t error = (uint32_t)vmread(EXIT_INTR_ERROR_CODE);
	uint64_t linear = vmread(EXIT_QUALIFICATION);

	if (l1->ept || (info & 0xff) != VECTOR_PF)
		return false;
	if (shadow_fault(g, linear, error))
		return true;
	asm volatile("mov %0, %%cr2" : : "r"(linear));
	vmwrite(VM_ENTRY_INTR_INFO, info & 0x80000fff);
	vmwrite(VM_ENTRY_ERROR_CODE, error);
	return true;
}

bool exit_handle(struct l1 *l1, struct guest *g)
{
	uint32_t reason = (uint32_t)vmread(EXIT_REASON);

	if (reason < 72)
		g->exits[reason]++;
	switch (reason) {
	case REASON_CPUID:
		do_cpuid(g);
		return true;
	case REASON_IO:
		do_io(l1, g);
		return true;
	case REASON_RDMSR:
	case REASON_WRMSR:
		do_msr(g, reason == REASON_WRMSR);
		return true;
	case REASON_VMCALL:
		do_vmcall(g);
		return true;
	case REASON_HLT:
		skip();
		return true;
	case REASON_EXTINT: /* acknowledged by the exit: the vector is ours to serve */
		timer_tick();
		return true;
	case REASON_TIMER: /* the next entry starts it anew */
		return true;
	case REASON_EPT_VIOLATION:
		if (vmread(GUEST_PHYSICAL_ADDRESS) >= L2_SIZE)
			return false;
		ept_violation(g, vmread(GUEST_PHYSICAL_ADDRESS));
		return true;
	case REASON_CR:
		return !l1->ept && do_cr(g);
	case REASON_INVLPG:
		shadow_flush(g);
		skip();
		return true;
	case REASON_EXCEPTION:
		return do_exception(l1, g);
	default:
		return false;
	}
}

/* The loop, the processors, the end. */
#include "fuzz.h"

struct info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline;
};

struct gate {
	uint16_t low, selector;
	uint8_t ist, type;
	uint16_t middle;
	uint32_t high, zero;
};

static struct gate idt[256];
static struct fuzz state[CPUS];
static uint32_t rounds = 2000, wanted = 1;
static uint64_t seed = 1;
static volatile uint32_t started;

void fuzz(uint32_t why, uint32_t cpu);

static uint64_t number(const char *s)
{
	uint64_t v = 0;

	for (; *s >= '0' && *s <= '9'; s++)
		v = v * 10 + (uint64_t)(*s - '0');
	return v;
}

static void parse(const char *s)
{
	for (; *s; s++) {
		if (s[0] == 's' && s[1] == '=')
			seed = number(s + 2);
		if (s[0] == 'n' && s[1] == '=')
			rounds = (uint32_t)number(s + 2);
		if (s[0] == 'c' && s[1] == '=')
			wanted = (uint32_t)number(s + 2);
	}
}

static void apic(unsigned reg, uint32_t v)
{
	*(volatile uint32_t *)(0xfee00000ul + reg) = v;
}

static void first_time(void)
{
	for (unsigned n = 0; n < 256; n++) {
		uint64_t at = (uint64_t)fuzz_stubs + n * 16;
		idt[n] = (struct gate){(uint16_t)at, 8, 0, 0x8e, (uint16_t)(at >> 16),
			(uint32_t)(at >> 32), 0};
	}
	print_init();
	parse((const char *)(uint64_t)((struct info *)(uint64_t)boot_info)->cmdline);
	for (unsigned n = 0; n < CPUS; n++)
		state[n] = (struct fuzz){.seed = (seed + 1) * 0x9e3779b97f4a7c15ul + n, .id = n};
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	memory_build(&state[0]);
	for (unsigned n = 0; n < SLOTS + CPUS; n++)
		*(uint32_t *)(VMCSS + n * 4096ul) = (uint32_t)rdmsr(0x480) & 0x7fffffff;
	if (wanted > 1) {
		apic(0xf0, 0x1ff);
		apic(0x310, 0);
		apic(0x300, 0xc4500); /* INIT to all others */
		apic(0x300, 0xc4608); /* SIPI, page 8 */
	}
}

static void each_processor(struct fuzz *f)
{
	uint64_t cr0, cr4;

	/* A watchdog that takes L2 out of loops: one tick in a while. */
	apic(0xf0, 0x1ff);
	apic(0x3e0, 0xb);
	apic(0x320, 0x40 | 1 << 17);
	apic(0x380, 60000);
	wrmsr(0x3a, rdmsr(0x3a) | 5);
	asm volatile("mov %%cr0, %0; mov %%cr4, %1" : "=r"(cr0), "=r"(cr4));
	asm volatile("mov %0, %%cr0; mov %1, %%cr4"
		: : "r"(cr0 | rdmsr(0x486)), "r"(cr4 | rdmsr(0x488) | 0x40000));
	started |= 1u << f->id;
}

static void vmxon(struct fuzz *f)
{
	uint64_t at = VMCSS + (SLOTS + f->id) * 4096ul;

	*(uint32_t *)at = (uint32_t)rdmsr(0x480) & 0x7fffffff;
	f->on = true;
	asm volatile("vmxon %0" : : "m"(at) : "cc", "memory");
}

static bool select_vmcs(struct fuzz *f)
{
	uint64_t at = VMCSS + below(f, SLOTS) * 4096ul;
	bool bad;

	if (one_in(f, 32))
		at = value(f);
	else if (!one_in(f, 32))
		*(uint32_t *)at = ((uint32_t)rdmsr(0x480) & 0x7fffffff) | (uint32_t)one_in(f, 16) << 31;
	if (one_in(f, 2))
		asm volatile("vmclear %0" : : "m"(at) : "cc", "memory");
	asm volatile("vmptrld %1; setna %0" : "=qm"(bad) : "m"(at) : "cc", "memory");
	return !bad;
}

/* Comes back only when the entry fails before it leaves L1. */
static void enter(struct fuzz *f)
{
	uint64_t error = 0;
	bool invalid, failed;

	f->rounds++;
	insn_fill_l2(f);
	injection(f);
	for (unsigned n = one_in(f, 3) ? below(f, 4) : 0; n--;)
		state_spoil(f);
	f->exited = false;
	if (one_in(f, 2))
		asm volatile("mov %2, %%rbx; mov %3, %%rcx; mov %4, %%rdx; vmlaunch; setc %0; setz %1"
			: "=qm"(invalid), "=qm"(failed)
			: "r"(pool_page(f)), "r"(value(f)), "r"(value(f)) : "rbx", "rcx", "rdx", "cc", "memory");
	else
		asm volatile("mov %2, %%rbx; mov %3, %%rcx; mov %4, %%rdx; vmresume; setc %0; setz %1"
			: "=qm"(invalid), "=qm"(failed)
			: "r"(pool_page(f)), "r"(value(f)), "r"(value(f)) : "rbx", "rcx", "rdx", "cc", "memory");
	f->invalid += invalid;
	f->failed += failed;
	if (failed)
		vmread(0x4400, &error);
	if ((error == 4 || error == 5) && one_in(f, 2)) /* the other of the two */
		asm volatile("vmclear (%0); vmptrld (%0); vmlaunch" : : "r"(&(uint64_t){VMCSS}) : "cc", "memory");
}

static void invalidate(struct fuzz *f)
{
	uint64_t d[2] = {one_in(f, 2) ? memory_eptp(f) : value(f), value(f)};
	uint64_t type = one_in(f, 8) ? value(f) : below(f, 4);

	if (one_in(f, 2))
		asm volatile("invept %0, %1" : : "m"(d), "r"(type) : "cc", "memory");
	d[0] = one_in(f, 4) ? value(f) : below(f, 6);
	asm volatile("invvpid %0, %1" : : "m"(d), "r"(type) : "cc", "memory");
}

static void registers(struct fuzz *f)
{
	uint64_t v;

	switch (below(f, 6)) {
	case 0:
		asm volatile("vmxoff" : : : "cc");
		f->on = false;
		break;
	case 1:
		asm volatile("mov %%cr0, %0" : "=r"(v));
		asm volatile("mov %0, %%cr0" : : "r"(v ^ 1ul << below(f, 64)));
		break;
	case 2:
		asm volatile("mov %%cr4, %0" : "=r"(v));
		asm volatile("mov %0, %%cr4" : : "r"(v ^ 1ul << below(f, 64)));
		break;
	case 3:
		rdmsr(0x480 + below(f, 0x20));
		break;
	case 4:
		wrmsr(0x480 + below(f, 0x20), value(f));
		break;
	default:
		asm volatile("sti; nop; nop; cli");
	}
}

static void count_exit(struct fuzz *f)
{
	uint64_t reason = 0;

	if (!vmread(0x4402, &reason))
		return;
	f->exits[(reason & 0xffff) < 79 ? reason & 0xffff : 79]++;
	f->entered += !(reason >> 31);
	if ((reason & 0xffff) == 1)
		asm volatile("sti; nop; nop; cli");
}

static void report(void)
{
	for (unsigned n = 0; n < wanted && n < CPUS; n++) {
		struct fuzz *f = &state[n];
		print("fuzz %u: %u rounds, %u entered, %u VMfailValid, %u VMfailInvalid, %u exceptions; exits:",
			n, f->rounds, f->entered, f->failed, f->invalid, f->traps);
		for (unsigned r = 0; r < 80; r++)
			if (f->exits[r])
				print(" %u:%u", r, f->exits[r]);
		print("\n");
	}
	finish(NULL, 0);
}

static void step(struct fuzz *f)
{
	switch (below(f, 16)) {
	case 0:
		invalidate(f);
		break;
	case 1:
		if (one_in(f, 4))
			registers(f);
		break;
	case 2:
	case 3:
		insn_run_l1(f);
		break;
	case 4:
	case 5:
		for (unsigned n = below(f, 16); n--;)
			memory_spoil(f);
		break;
	case 6:
		if (select_vmcs(f) && !one_in(f, 64))
			state_fill(f);
		break;
	case 7:
		for (unsigned n = below(f, 8); n--;)
			state_spoil(f);
		break;
	case 8: {
		uint64_t v;
		vmread(state_field(f), &v);
		break;
	}
	case 9:
	case 10:
		state_fill(f);
		break;
	default:
		enter(f);
	}
}

/* `why`: -1 the beginning, a vector, 256 a VM exit, 257 an instruction of L1. */
void fuzz(uint32_t why, uint32_t cpu)
{
	struct fuzz *f = &state[cpu];
	struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} pointer = {sizeof(idt) - 1, (uint64_t)idt};

	if (why == ~0u && !cpu)
		first_time();
	asm volatile("lidt %0" : : "m"(pointer));
	if (why == ~0u)
		each_processor(f);
	apic(0xb0, 0);
	f->traps += why < 256;
	if (why == 6) /* #UD: VMX operation has ended */
		f->on = false;
	if (why == 256)
		count_exit(f);
	if (f->rounds >= rounds && !cpu)
		report();
	if (!f->on)
		vmxon(f);
	for (;;) {
		step(f);
		if (f->rounds >= rounds && !cpu)
			report();
	}
}

/* Runs code natively: registers in, registers out, faults caught. */
#include "tests/insn/oracle.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

/* The context's address is fixed, so that no register is needed to reach it.
 * Offsets are those of struct native_ctx. */
__asm__(".text\n"
	".set CTX, 0x30000000\n"
	"native_load:\n"
	"	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"	mov %rsp, CTX+152\n"
	"	pushq CTX+128; popfq\n"
	"	mov CTX+0, %rax; mov CTX+8, %rcx; mov CTX+16, %rdx; mov CTX+24, %rbx\n"
	"	mov CTX+32, %rsp; mov CTX+40, %rbp; mov CTX+48, %rsi; mov CTX+56, %rdi\n"
	"	mov CTX+64, %r8; mov CTX+72, %r9; mov CTX+80, %r10; mov CTX+88, %r11\n"
	"	mov CTX+96, %r12; mov CTX+104, %r13; mov CTX+112, %r14; mov CTX+120, %r15\n"
	"	ljmp *CTX+160\n"
	".globl native_exit\n"
	"native_exit:\n"
	"	mov %rax, CTX+0; mov %rcx, CTX+8; mov %rdx, CTX+16; mov %rbx, CTX+24\n"
	"	mov %rsp, CTX+32; mov %rbp, CTX+40; mov %rsi, CTX+48; mov %rdi, CTX+56\n"
	"	mov %r8, CTX+64; mov %r9, CTX+72; mov %r10, CTX+80; mov %r11, CTX+88\n"
	"	mov %r12, CTX+96; mov %r13, CTX+104; mov %r14, CTX+112; mov %r15, CTX+120\n"
	"	mov CTX+152, %rsp\n"
	"	pushfq; popq CTX+128; cld\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"	ret\n");

void native_load(void);
extern const char native_exit[];

_Static_assert(offsetof(struct native_ctx, flags) == 128 &&
		offsetof(struct native_ctx, exit) == 144 &&
		offsetof(struct native_ctx, host_rsp) == 152 &&
		offsetof(struct native_ctx, far_entry) == 160 &&
		offsetof(struct native_ctx, far_exit) == 168,
	"the assembly knows the layout");

/* One thread, one run at a time: a signal handler has no other way. */
static struct native_fault *caught;

static void on_signal(int sig, siginfo_t *info, void *uc)
{
	greg_t *r = ((ucontext_t *)uc)->uc_mcontext.gregs;
	(void)info;
	if (!caught || caught->hit) {
		signal(sig, SIG_DFL);
		return;
	}
	caught->hit = true;
	caught->vector = (unsigned)r[REG_TRAPNO];
	caught->rip = (uint64_t)r[REG_RIP];
	caught->cr2 = (uint64_t)r[REG_CR2];
	r[REG_RIP] = (greg_t)(uintptr_t)native_exit;
	r[REG_CSGSFS] = (r[REG_CSGSFS] & ~(greg_t)0xffff) | 0x33;
	r[REG_EFL] &= ~(greg_t)0x10000;
}

static void *map_at(uint64_t at, size_t size)
{
	void *p = mmap((void *)(uintptr_t)at, size, PROT_READ | PROT_WRITE | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	assert(p == (void *)(uintptr_t)at);
	return p;
}

struct native_ctx *native_init(void)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
	struct native_ctx *c = map_at(ORACLE_CTX, 0x2000);
	uint8_t *stub = map_at(ORACLE_CTX + 0x10000, 0x1000);
	uint32_t exit_at = (uint32_t)ORACLE_CTX + 144;
	static uint8_t stack[65536];
	stack_t ss = {.ss_sp = stack, .ss_size = sizeof stack};
	struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
	map_at(ORACLE_AT, ORACLE_SIZE);
	memcpy(stub, "\xff\x24\x25", 3); /* jmp [exit] */
	memcpy(stub + 3, &exit_at, 4);
	c->exit = (uintptr_t)native_exit;
	c->far_exit[0] = (uint32_t)ORACLE_CTX + 0x10000;
	c->far_exit[1] = 0x33;
	sigaltstack(&ss, NULL);
	for (unsigned k = 0; k < sizeof(signals) / sizeof(signals[0]); k++)
		sigaction(signals[k], &sa, NULL);
	__asm__ volatile("mov %0, %%ds; mov %0, %%es" : : "r"(0x2b));
	return c;
}

struct native_fault native_run(struct native_ctx *c, uint64_t at, unsigned mode)
{
	struct native_fault f = {0};
	caught = &f;
	c->far_entry[0] = (uint32_t)at;
	c->far_entry[1] = mode == 8 ? 0x33 : 0x23;
	native_load();
	caught = NULL;
	return f;
}

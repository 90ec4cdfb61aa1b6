/* A guest that gives VMX the worst, by seed: random fields, VMCS pages that
 * change under the processor, EPT tables that loop, descriptors, lists and
 * instructions of random bytes. It never judges: what is tested is the machine
 * under it, built with sanitizers.
 *
 *   main.c     the loop, the processors, the end
 *   random.c   numbers and values that are likely to matter
 *   state.c    a VMCS that passes, more or less
 *   memory.c   the pool of pages that everything points into, and its decay
 *   insn.c     random instructions, of L2 and of L1
 *
 * fuzz() begins anew after every exception and VM exit: all state is in struct
 * fuzz, nothing on the stack counts.
 */
#ifndef GUESTS_FUZZ_H
#define GUESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POOL       0x1000000ul /* pages that anything may point to */
#define POOL_PAGES 256u
#define L2_CODE    0x1200000ul /* one page per processor */
#define L1_CODE    0x1210000ul
#define VMCSS      0x1220000ul /* SLOTS pages, then a VMXON region per processor */
#define SLOTS      6u
#define CPUS       4u

struct fuzz {
	uint64_t seed;     /* state of the generator */
	uint32_t id;
	bool on;           /* VMX operation, as far as known */
	bool exited;       /* an exit has just happened */
	uint32_t rounds, entered, failed, invalid, traps;
	uint32_t exits[80];
};

/* random.c */
uint64_t rnd(struct fuzz *f);
uint32_t below(struct fuzz *f, uint32_t n);
bool one_in(struct fuzz *f, uint32_t n);
uint64_t value(struct fuzz *f);     /* likely to matter */
uint64_t pool_page(struct fuzz *f);

/* state.c */
void state_fill(struct fuzz *f);    /* all of the current VMCS */
void state_spoil(struct fuzz *f);   /* some of it */
uint32_t state_field(struct fuzz *f);
bool vmread(uint64_t field, uint64_t *v);
void vmwrite(uint64_t field, uint64_t v);
void injection(struct fuzz *f);

/* memory.c */
void memory_build(struct fuzz *f);
void memory_spoil(struct fuzz *f);
uint64_t memory_eptp(struct fuzz *f);
uint64_t memory_cr3(void);
uint64_t memory_list(void);         /* of MSRs that load and store */

/* insn.c */
uint8_t *insn_random(struct fuzz *f, uint8_t *p);     /* for L2 */
uint8_t *insn_vmx(struct fuzz *f, uint8_t *p);
void insn_fill_l2(struct fuzz *f);
void insn_run_l1(struct fuzz *f);

/* start.S */
extern uint8_t fuzz_stubs[], fuzz_exit[], fuzz_back[], gdt[], tss[], pml4[];
void fuzz_call(void *code, const uint64_t gpr[16]);
extern uint32_t boot_info;

/* guests/print.c */
struct l1;
void print_init(void);
void print(const char *fmt, ...);
void finish(const struct l1 *l1, uint32_t value);

static inline void outb(uint16_t port, uint8_t v)
{
	asm volatile("outb %0, %1" : : "a"(v), "d"(port));
}

static inline uint64_t rdmsr(uint32_t n)
{
	uint32_t a, d;
	asm volatile("rdmsr" : "=a"(a), "=d"(d) : "c"(n));
	return a | (uint64_t)d << 32;
}

static inline void wrmsr(uint32_t n, uint64_t v)
{
	asm volatile("wrmsr" : : "c"(n), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)));
}

#endif

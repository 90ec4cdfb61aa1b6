/* Native stubs: one instruction of the guest as code for the host.
 *
 * A plan says what an instruction needs; emitting turns a plan into code that
 * is a handler in the sense of cpu/op.h: it ends in a jump to the next op.
 * Vector and x87 registers stand for themselves. A memory operand becomes
 * [rdx], the handler's third argument; general registers are loaded from and
 * stored to struct vcpu around the operation. RDI (vcpu) and RSI (op) are
 * never changed before the last jump, so that a SIGFPE finds them.
 *
 * Plans are made by Zydis and code is emitted while blocks are built, never
 * with FP state live.
 */
#ifndef CPU_STUB_H
#define CPU_STUB_H

#include "cpu/model.h"
#include "cpu/op.h"

/* What has to be on before the instruction may run. */
enum stub_gate { GATE_NONE, GATE_X87, GATE_FWAIT, GATE_MMX, GATE_SSE, GATE_AVX };

struct stub_reg {
	uint8_t guest;	 /* number of the guest's register */
	uint8_t scratch; /* number of the host register that stands for it */
	uint8_t high8;	 /* the source is AH CH DH BH */
	uint8_t word;	 /* only the low 16 bits are stored */
};

/* What an x87 instruction does to FIP, FDP and FOP. SDM Vol. 1 8.1.8 "x87 FPU
 * Instruction and Data (Operand) Pointers". */
enum stub_pointers {
	POINTERS_STAY,
	POINTERS_SET,
	POINTERS_STAY_CW, /* FLDCW: an exception that it lets pend is not the last op's */
	POINTERS_STAY_SW, /* FNCLEX: the exception that it takes away may be */
	POINTERS_CLEAR	  /* FNINIT */
};

/* All bytes count: plans are compared as bytes. */
struct stub_plan {
	uint8_t code[16]; /* the operation */
	uint8_t code_len;
	uint8_t loads, stores;
	struct stub_reg load[3], store[1];
	bool flags_in, flags_out; /* arithmetic flags */
	bool waits;		  /* #MF first when an x87 exception pends */
	bool pointer_r8;	  /* the operation itself uses RDX */
	uint8_t mem;		  /* bytes of the memory operand; 0: none */
	bool mem_read, mem_write;
	bool aligned;	    /* #GP(0) unless aligned to its size */
	uint8_t pointers;   /* enum stub_pointers */
	uint8_t gate;	    /* enum stub_gate */
	uint8_t feature[2]; /* enum cpu_feature: what this form belongs to */
};

/* False when the instruction is none that can run natively. */
bool stub_plan(const struct insn *i, struct stub_plan *out);

/* A stub as a handler: memory forms get the host pointer and the linear address,
 * forms that read flags get those, the others nothing. */
typedef void stub_fn(struct vcpu *c, const struct op *o, uint64_t arg, uint64_t at);

struct stub {
	struct stub_plan plan;
	stub_fn *code;
};

/* The machine code of a plan at `out` (at most STUB_MAX bytes), which will run
 * at `at`; `base` is where the region's entry jumps (stub_region) are. */
#define STUB_MAX 96
unsigned stub_emit(const struct stub_plan *p, uint8_t *out, uint64_t at, uint64_t base);

/* The jumps at the start of a region, from stubs to the program. */
enum { STUB_TO_START = 0, STUB_TO_FLAGS = 16, STUB_ENTRIES = 32 };
void stub_emit_entries(uint8_t *out);

/* The cache of one vCPU: code memory, mapped once writable and once
 * executable, and the stubs in it by plan. A stub lives as long as the cache.
 * stub_get returns NULL when the memory that a guest may claim is used up;
 * stub_once then emits into a single place that the next call overwrites. */
struct stubs;
struct stubs *stubs_new(void); /* NULL: the host refuses executable memory */
void stubs_free(struct stubs *s);
const struct stub *stub_get(struct stubs *s, const struct stub_plan *p);
stub_fn *stub_once(struct stubs *s, const struct stub_plan *p);

/* Has the host what this form needs? */
bool stub_host_has(const struct stubs *s, enum cpu_feature f);

#endif

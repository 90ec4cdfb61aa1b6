/* The differential test of instructions: emulated and native, in one process.
 *
 * Random instructions of every form that the instruction table claims are
 * encoded, run natively by a trampoline and by the engine on equal registers
 * and memory, and compared: registers, memory, defined flags, faults.
 *
 * The guest runs at CPL 3; the region [ORACLE_AT, + ORACLE_SIZE) has the same
 * linear address natively and in the guest, in separate copies. The rows are
 * those of cpu/insn_int.def; the ones of insn_fp.def have their own oracle
 * (tests/unit/cpu_fp_oracle.c). A row that cannot run natively in user mode is
 * listed in skip.def with its reason.
 */
#ifndef TESTS_ORACLE_H
#define TESTS_ORACLE_H

#include "tests/lib/bare_cpu.h"

#include <Zydis/Zydis.h>

#define ORACLE_AT   UINT64_C(0x20000000)
#define ORACLE_SIZE UINT64_C(0x200000)
#define ORACLE_GPA  UINT64_C(0x400000)
#define ORACLE_DATA (ORACLE_AT + 0x1000) /* two pages that operands lie in */
#define ORACLE_DATA_SIZE 0x2000u
#define ORACLE_CODE (ORACLE_AT + 0x10000) /* code starts here, always, */
#define ORACLE_END  (ORACLE_AT + 0x10800) /* and jumps here when it is done */
#define ORACLE_CTX  UINT64_C(0x30000000) /* native only */

/* What the trampoline loads and stores; the layout is known to its assembly. */
struct native_ctx {
	uint64_t gpr[16];
	uint64_t flags;
	uint64_t unused;
	uint64_t exit;     /* where the code jumps when done */
	uint64_t host_rsp;
	uint32_t far_entry[2]; /* offset, selector: into 32-bit code */
	uint32_t far_exit[2];
};

struct native_fault {
	bool hit;
	unsigned vector;
	uint64_t rip, cr2;
};

/* Operand kinds of a form. */
enum form_kind {
	K_NONE, K_R8, K_R16, K_R32, K_R64, K_CL, K_M8, K_M16, K_M32, K_M64, K_M128, K_M256, K_M512, K_IMM,
	K_KINDS
};

struct form {
	uint16_t mnemonic; /* cpu/mnemonic.h */
	uint8_t n;
	uint8_t kind[4];
};

#define MAX_FORMS 16384

struct oracle {
	struct bare b;
	struct native_ctx *ctx;
	unsigned mode; /* 8 or 4 */
	uint64_t rng;
	struct form form[MAX_FORMS];
	unsigned forms;
	uint16_t missing[1024]; /* rows without a form */
	unsigned missings;
	uint64_t states, faults, insns_run;
	unsigned failures;
	/* the sequence under test */
	uint8_t code[160];
	unsigned len;
	unsigned start[8], insns;
	uint32_t written;    /* registers that earlier instructions change */
	uint32_t fixed;      /* registers that carry addresses or counts */
	uint32_t undefined;  /* flags without a defined value */
	uint32_t unsure;     /* flags that had none somewhere on the way */
	uint64_t gpr[16];
	uint32_t flags;
	uint64_t seed; /* of this state */
};

uint64_t oracle_random(struct oracle *o);
uint64_t oracle_value(struct oracle *o); /* with a liking for edges */

/* native.c */
struct native_ctx *native_init(void);
struct native_fault native_run(struct native_ctx *c, uint64_t at, unsigned mode);

/* forms.c */
void forms_enumerate(struct oracle *o);
const char *forms_skipped(unsigned row); /* why, or NULL */
/* Appends a random instruction of form f; false when it does not come out. */
bool forms_emit(struct oracle *o, const struct form *f);

#endif

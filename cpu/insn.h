/* One decoded instruction in full, for slow handlers, VM-exit instruction
 * information, the tracer and the disassembler's helpers.
 *
 * Made from Zydis by cpu/decode.c and from nothing else. Lives as long as the
 * block that holds it. Fast ops are bound from it (cpu/op.h) and do not keep it.
 */
#ifndef CPU_INSN_H
#define CPU_INSN_H

#include "cpu/seg.h"
#include "cpu/step.h"

struct vcpu;
struct op;

enum insn_operand_kind {
	OPND_NONE, OPND_GPR, OPND_SEG, OPND_CR, OPND_DR, OPND_ST, OPND_MM, OPND_XMM, OPND_YMM,
	OPND_MEM, OPND_IMM, OPND_REL, OPND_FAR /* imm = offset, imm2 = selector */
};

#define INSN_NO_REG 16 /* base or index: none */
#define INSN_RIP    17 /* base: next RIP */

struct insn_operand {
	uint8_t kind;  /* enum insn_operand_kind */
	uint8_t reg;   /* number within its kind */
	uint8_t high8; /* AH CH DH BH: reg is 0..3 */
	uint8_t size;  /* bytes; 0 where it has none (LEA's memory, INVLPG) */
	uint8_t written, read;
};

struct insn {
	uint16_t row;       /* index into insn_table[] */
	uint16_t mnemonic;  /* cpu/mnemonic.h */
	uint16_t flags_read, flags_written; /* FLAG_* it tests; it sets or leaves undefined */
	uint16_t flags_undefined;           /* the undefined part of flags_written */
	uint8_t len;
	uint8_t mode;       /* 2, 4, 8: CS code size in bytes */
	uint8_t opsize;     /* effective operand size, bytes: 1 (byte forms), 2, 4, 8 */
	uint8_t addrsize;   /* 2, 4, 8 */
	uint8_t stacksize;  /* 2, 4, 8 */
	bool rep, repne, lock, rex_w;
	bool vex;
	uint8_t vector_len; /* bytes: 16 or 32 */
	uint8_t opcode, modrm;
	bool has_modrm;
	uint8_t bytes[15];
	uint8_t operands;   /* explicit ones, in Intel order */
	struct insn_operand op[4];
	/* the memory operand, if one is explicit; string and stack ops imply theirs */
	uint8_t seg;        /* enum seg_reg, default or override; ES..GS */
	uint8_t base, index, scale; /* scale 1, 2, 4, 8 */
	int64_t disp;
	uint64_t imm, imm2; /* sign- or zero-extended as the operand wants */
};

/* Offset of the memory operand within its segment, cut to the address size.
 * For a base of INSN_RIP, c->rip + len is used. */
uint64_t insn_offset(const struct vcpu *c, const struct insn *i);

/* Reads or writes operand n as an integer of its size (GPR, SEG, IMM, MEM).
 * Memory goes through cpu_mem_* and can fault. A 32-bit GPR write clears the
 * upper half. */
enum cpu_step insn_read(struct vcpu *c, const struct insn *i, unsigned n, uint64_t *value);
enum cpu_step insn_write(struct vcpu *c, const struct insn *i, unsigned n, uint64_t value);

uint64_t gpr_read(const struct vcpu *c, const struct insn_operand *o);
void gpr_write(struct vcpu *c, const struct insn_operand *o, uint64_t value);

/* A slow handler: called with rip, rflags complete and next_rip = rip + len. */
typedef enum cpu_step insn_slow_fn(struct vcpu *c, const struct insn *i);

/* Attributes of a table row. */
enum {
	I_ENDS = 1 << 0,    /* ends its block (branches, mode changes, HLT) */
	I_LOCK = 1 << 1,    /* LOCK is legal with a memory destination */
	I_CPL0 = 1 << 2,    /* #GP(0) unless CPL 0 (and in v8086 mode) */
	I_NO64 = 1 << 3,    /* #UD in 64-bit mode */
	I_ONLY64 = 1 << 4,  /* #UD outside 64-bit mode */
	I_NOREAL = 1 << 5,  /* #UD in real-address and v8086 mode */
	I_OUTCALL = 1 << 6, /* may reach devices or move the clock: time is brought up to date */
	I_FPU = 1 << 7,     /* x87/MMX gates: CR0.EM, CR0.TS (, MP), pending #MF */
	I_SSE = 1 << 8,     /* gates: CR0.EM, CR4.OSFXSR, CR0.TS */
	I_AVX = 1 << 9,     /* gates: CR4.OSXSAVE, XCR0, CR0.TS, no real or v8086 mode */
	I_REP = 1 << 10,    /* rep is meaningful */
	I_NATIVE = 1 << 11, /* runs as a native stub: needs the host to have its feature */
	I_PURE = 1 << 12,   /* with register operands: a fast op that cannot fault */
	I_NOMEM = 1 << 13   /* its memory operand is not accessed (LEA, NOP) */
};

struct insn_row {
	uint16_t mnemonic;      /* cpu/mnemonic.h; the key */
	const char *name;
	uint16_t feature;       /* enum cpu_feature (cpu/model.h): #UD when the model lacks it */
	uint32_t attrs;         /* I_* */
	insn_slow_fn *slow;     /* NULL: every form is bound */
	bool (*bind)(struct vcpu *c, const struct insn *i, struct op *o); /* or NULL */
};

/* The instruction table: rows of cpu/insn_int.def, insn_sys.def, insn_fp.def. */
extern const struct insn_row insn_table[];
extern const unsigned insn_rows;
const struct insn_row *insn_row_of(unsigned mnemonic); /* NULL: unknown, #UD */

#endif

/* The ORC unwinder of a Linux kernel's stack, its modules included; for introspect/ alone. */
#ifndef INTROSPECT_ORC_H
#define INTROSPECT_ORC_H

#include "introspect/kernel.h"

/* Registers of struct orc_row. */
enum { ORC_UNDEFINED, ORC_PREV_SP, ORC_DX, ORC_DI, ORC_BP, ORC_SP, ORC_R10, ORC_R13,
	ORC_BP_INDIRECT, ORC_SP_INDIRECT };

enum orc_form {
	ORC_CALL,    /* the return address lies below the caller's stack pointer */
	ORC_REGS,    /* a struct pt_regs: RBP at 32, RIP at 128, RSP at 152 */
	ORC_PARTIAL, /* the frame that IRET takes */
	ORC_STOP     /* nothing lies above */
};

/* What holds from one instruction on. */
struct orc_row {
	uint64_t from;
	int16_t sp_offset, bp_offset;
	uint8_t sp_reg, bp_reg; /* ORC_UNDEFINED ... */
	enum orc_form form;
};

struct orc {
	struct intro *s;
	struct place at;
	struct orc_table kernel, module; /* module: of the last that was asked for */
	bool late;                       /* the numbering of types from Linux 6.4 on */
};

struct orc_frame {
	uint64_t pc, sp, bp;
	bool exact; /* pc is an interrupted instruction, not a return address */
};

/* False: this level's kernel has no tables that are known. */
bool orc_open(struct orc *o, struct intro *s, struct place at);
/* One frame up. ORC_LOST: no table covers this code, or what it says cannot be
 * read; *f is as it was. */
enum orc_result { ORC_FRAME, ORC_END, ORC_LOST };
enum orc_result orc_step(struct orc *o, struct orc_frame *f, bool first);
/* The same, where the return address is known to lie right below `top`. */
enum orc_result orc_step_to(struct orc *o, struct orc_frame *f, bool first, uint64_t top);

/* Every row of the kernel and its modules, by rising address within each table;
 * `end` is where the row ends. False: the tables cannot be read. */
typedef void orc_fn(void *ctx, const struct orc_row *row, uint64_t end);
bool orc_each(struct orc *o, orc_fn *fn, void *ctx);

#endif

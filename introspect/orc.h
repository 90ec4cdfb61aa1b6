/* The ORC unwinder of a Linux kernel's stack, its modules included; for introspect/ alone. */
#ifndef INTROSPECT_ORC_H
#define INTROSPECT_ORC_H

#include "introspect/kernel.h"

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

#endif

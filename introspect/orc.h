/* The ORC unwinder of a Linux kernel's stack; for introspect/ alone. */
#ifndef INTROSPECT_ORC_H
#define INTROSPECT_ORC_H

#include "introspect/symbols.h"

struct orc {
	struct intro *s;
	struct place at;
	uint64_t ip, table, count; /* of the tables in guest memory */
	bool late;                 /* the numbering of types from Linux 6.4 on */
};

struct orc_frame {
	uint64_t pc, sp, bp;
	bool exact; /* pc is an interrupted instruction, not a return address */
};

/* False: this level's kernel has no tables that are known. */
bool orc_open(struct orc *o, struct intro *s, struct place at);
/* One frame up; false: the end, or not known. */
bool orc_step(const struct orc *o, struct orc_frame *f, bool first);

#endif

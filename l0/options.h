/* What --l0 says: which features L0 uses, which it offers to L1, how it
 * translates L2's memory. A value of its own, fixed for the life of a machine.
 */
#ifndef L0_OPTIONS_H
#define L0_OPTIONS_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

enum l0_use {
#define SWITCH(g, e, key, def, req, help) L0_SWITCH_##g(L0_USE_##e,)
#define L0_SWITCH_use(...)		  __VA_ARGS__
#define L0_SWITCH_cap(...)
#include "l0/options.def"
#undef L0_SWITCH_use
#undef L0_SWITCH_cap
	L0_USE_COUNT
};

enum l0_cap {
	L0_CAP_NONE,
#define L0_SWITCH_use(...)
#define L0_SWITCH_cap(...) __VA_ARGS__
#undef SWITCH
#define SWITCH(g, e, key, def, req, help) L0_SWITCH_##g(L0_CAP_##e,)
#include "l0/options.def"
#undef L0_SWITCH_use
#undef L0_SWITCH_cap
#undef SWITCH
	L0_CAP_COUNT
};

/* How L2's addresses become host-physical ones. */
enum l0_mmu {
	L0_MMU_NEPT,            /* L1 has EPT; L0 merges EPT12 into EPT02 */
	L0_MMU_SHADOW_ON_EPT,   /* L1 has none and shadows; L0 uses EPT01 */
	L0_MMU_SHADOW_ON_SHADOW /* neither has; L0 shadows L1's tables */
};

struct l0_options {
	bool none;     /* bare processor, no L0 */
	bool ring_off; /* no exit ring, for the bench */
	bool use[L0_USE_COUNT];
	bool cap[L0_CAP_COUNT];
	enum l0_mmu mmu;
	unsigned cost; /* row of l0/cost.def; 0 none */
};

/* Parses "KEY=VALUE,..."; NULL or "" is the default. Caps that need a
 * withdrawn one are withdrawn. */
bool l0_options_parse(struct l0_options *o, const char *spec, struct err *e);

/* One line per key with its default and help. */
void l0_options_help(struct buf *out);

const char *l0_mmu_name(enum l0_mmu m);

#endif

/* What --l0 says: which features L0 uses, which it offers to L1, how it
 * translates L2's memory. A value of its own, fixed for the life of a machine.
 */
#ifndef L0_OPTIONS_H
#define L0_OPTIONS_H

#include "base/buf.h"
#include "base/err.h"
#include "vmx/caps.h"

#include <stdbool.h>
#include <stdint.h>

enum l0_use {
#define USE(e, key, value, help) L0_USE_##e,
#define FIXED(e, key, value, help, why) L0_USE_##e,
#include "l0/options.def"
#undef USE
#undef FIXED
	L0_USE_COUNT
};

/* How L2's addresses become host-physical ones. */
enum l0_mmu {
	L0_MMU_NEPT,            /* L1 has EPT; L0 merges EPT12 into EPT02 */
	L0_MMU_SHADOW_ON_EPT,   /* L1 has none and shadows; L0 uses EPT01 */
	L0_MMU_SHADOW_ON_SHADOW /* neither has; L0 shadows L1's tables */
};

struct l0_options {
	bool none;     /* bare processor, no L0 */
	uint64_t ring; /* records of the exit ring; 0 off */
	bool use[L0_USE_COUNT];
	bool cap[CAP_COUNT]; /* offered to L1; vmx_caps_make withdraws what lacks a need */
	enum l0_mmu mmu;
	unsigned cost; /* row of l0/cost.def; 0 none */
};

/* Parses "KEY=VALUE,..."; NULL or "" is the default. */
bool l0_options_parse(struct l0_options *o, const char *spec, struct err *e);

/* One line per key with its default and help. */
void l0_options_help(struct buf *out);

/* Cycles of a transition through L0, a VM exit and a VM entry, by the cost
 * model; they never move the clock. */
uint64_t l0_options_cost(const struct l0_options *o);

const char *l0_mmu_name(enum l0_mmu m);

#endif

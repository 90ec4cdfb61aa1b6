/* The rows of ept/formats.h. */
#include "ept/formats.h"

#define BITS(hi, lo) ((UINT64_MAX >> (63 - (hi))) & (UINT64_MAX << (lo)))

const struct format ept_formats[] = {
	[WALK_NONE] = {.name = "none"},
	[WALK_32BIT] = {
		.name = "32-bit", .top = 2, .size = 4, .index_mask = 1023,
		.input = UINT32_MAX, .root = BITS(31, 12), .table = BITS(31, 12),
		.rights = ENTRY_P | ENTRY_W | ENTRY_U, .accessed = ENTRY_A, .dirty = ENTRY_D,
		.level = {
			[2] = {22, LEAF_PSE, 0, BIT(21)},
			[1] = {12, LEAF_ALWAYS, 0, 0},
		},
	},
	[WALK_PAE] = {
		.name = "PAE", .top = 2, .size = 8, .index_mask = 511,
		.input = UINT32_MAX, .root = BITS(31, 5), .table = ENTRY_ADDR,
		.high = BITS(62, 52),
		.rights = ENTRY_P | ENTRY_W | ENTRY_U | ENTRY_XD, .invert = ENTRY_XD,
		.accessed = ENTRY_A, .dirty = ENTRY_D,
		.level = {
			[2] = {21, LEAF_PS, 0, BITS(20, 13)},
			[1] = {12, LEAF_ALWAYS, 0, 0},
		},
	},
	[WALK_4LEVEL] = {
		.name = "4-level", .top = 4, .size = 8, .index_mask = 511,
		.input = BITS(47, 0), .root = ENTRY_ADDR, .table = ENTRY_ADDR,
		.rights = ENTRY_P | ENTRY_W | ENTRY_U | ENTRY_XD, .invert = ENTRY_XD,
		.accessed = ENTRY_A, .dirty = ENTRY_D,
		.level = {
			[4] = {39, LEAF_NEVER, ENTRY_PS, 0},
			[3] = {30, LEAF_PAGE1G, 0, BITS(29, 13)},
			[2] = {21, LEAF_PS, 0, BITS(20, 13)},
			[1] = {12, LEAF_ALWAYS, 0, 0},
		},
	},
	[WALK_EPT] = {
		.name = "EPT", .top = 4, .size = 8, .index_mask = 511, .ept = true,
		.input = BITS(47, 0), .root = ENTRY_ADDR, .table = ENTRY_ADDR,
		.rights = EPT_RWX | EPT_XU, .accessed = EPT_A, .dirty = EPT_D,
		.level = {
			[4] = {39, LEAF_NEVER, BITS(7, 3), 0},
			[3] = {30, LEAF_PAGE1G, BITS(6, 3), BITS(29, 12)},
			[2] = {21, LEAF_PS, BITS(6, 3), BITS(20, 12)},
			[1] = {12, LEAF_ALWAYS, 0, 0},
		},
	},
};

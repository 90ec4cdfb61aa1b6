/* Paging formats as data: what the walker's one loop has to know of each.
 *
 * Bits of an entry, as the four formats lay them out:
 *
 *   guest  63 XD | 62:59 key | 51:12 address | 12 PAT (large) | 8 G | 7 PS or
 *          PAT | 6 D | 5 A | 4 PCD | 3 PWT | 2 U/S | 1 R/W | 0 P
 *   EPT    63 suppress #VE | 51:12 address | 10 XU | 9 D | 8 A | 7 PS |
 *          6 ignore PAT | 5:3 memory type | 2 X | 1 W | 0 R
 *
 * SDM Vol. 3A 4.3 to 4.5 (tables 4-4 to 4-20); Vol. 3C 28.3.2 "EPT
 * Translation Mechanism" (tables 28-1 to 28-7).
 */
#ifndef EPT_FORMATS_H
#define EPT_FORMATS_H

#include "ept/walk.h"

#define ENTRY_P    BIT(0)
#define ENTRY_W    BIT(1)
#define ENTRY_U    BIT(2)
#define ENTRY_A    BIT(5)
#define ENTRY_D    BIT(6)
#define ENTRY_PS   BIT(7)
#define ENTRY_G    BIT(8)
#define ENTRY_XD   BIT(63)
#define ENTRY_ADDR UINT64_C(0x000ffffffffff000)

#define EPT_R      BIT(0)
#define EPT_W      BIT(1)
#define EPT_X      BIT(2)
#define EPT_RWX    (EPT_R | EPT_W | EPT_X)
#define EPT_TYPE_SHIFT 3
#define EPT_TYPE   (7 * BIT(3))
#define EPT_IPAT   BIT(6)
#define EPT_PS     BIT(7)
#define EPT_A      BIT(8)
#define EPT_D      BIT(9)
#define EPT_XU     BIT(10)
#define EPT_SVE    BIT(63)

/* When bit 7 of an entry makes it a leaf. */
enum format_leaf { LEAF_NEVER, LEAF_PS, LEAF_PSE, LEAF_PAGE1G, LEAF_ALWAYS };

struct format_level {
	uint8_t shift;            /* of the index; also log2 of a leaf's size */
	uint8_t leaf;             /* enum format_leaf */
	uint64_t reserved_table;  /* besides address bits above MAXPHYADDR */
	uint64_t reserved_leaf;
};

struct format {
	const char *name;
	uint8_t top;              /* level at which the walk starts */
	uint8_t size;             /* of an entry, bytes */
	uint16_t index_mask;
	bool ept;
	uint64_t input;           /* the bits of the address that count */
	uint64_t root;            /* address bits of CR3 or EPTP */
	uint64_t table;           /* address bits of an entry that points to a table */
	uint64_t high;            /* reserved besides 51:MAXPHYADDR */
	uint64_t rights;          /* bits that all levels are ANDed on, after `invert` */
	uint64_t invert;          /* bits that forbid when set */
	uint64_t accessed, dirty;
	struct format_level level[5]; /* by level number */
};

extern const struct format ept_formats[];

#endif

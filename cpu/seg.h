/* Segment registers in the form VMX keeps them.
 *
 * Access rights are the VMCS format, SDM Vol. 3C 24.4.1 "Guest Register
 * State" table 24-2: type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15,
 * unusable 16. Limits are in bytes, G already applied.
 */
#ifndef CPU_SEG_H
#define CPU_SEG_H

#include <stdint.h>

enum seg_reg { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, SEG_COUNT };

enum {
	AR_TYPE = 0xf, AR_S = 1 << 4, AR_DPL_SHIFT = 5, AR_P = 1 << 7, AR_AVL = 1 << 12,
	AR_L = 1 << 13, AR_DB = 1 << 14, AR_G = 1 << 15, AR_UNUSABLE = 1 << 16,
	AR_ACCESSED = 1, AR_WRITE = 2, AR_EXPAND_DOWN = 4, AR_CODE = 8,
	AR_READ = 2, AR_CONFORMING = 4
};

struct seg {
	uint64_t base;
	uint32_t limit;
	uint32_t ar;
	uint16_t sel;
};

struct desc_table {
	uint64_t base;
	uint16_t limit;
};

static inline unsigned seg_dpl(const struct seg *s)
{
	return s->ar >> AR_DPL_SHIFT & 3;
}

#endif

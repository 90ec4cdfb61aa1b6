/* The XSAVE area: layouts, and the FXSAVE and XSAVE families as functions from
 * bytes to bytes. SDM Vol. 1 13.4 "XSAVE Area" and 13.7 to 13.12.
 *
 * c->fp.area is always the non-compacted form with every component valid.
 * XINUSE is derived from the contents (a component is in use when it differs
 * from its initial configuration), so that it is the same on every host.
 */
#ifndef CPU_XSAVE_H
#define CPU_XSAVE_H

#include "cpu/vcpu.h"

enum { XCOMP_X87 = 1 << 0, XCOMP_SSE = 1 << 1, XCOMP_AVX = 1 << 2, XCOMP_PKRU = 1 << 9 };

/* Offsets into the area, bytes. */
enum {
	FX_FCW = 0,
	FX_FSW = 2,
	FX_FTW = 4,
	FX_FOP = 6,
	FX_FIP = 8,
	FX_FDP = 16,
	FX_MXCSR = 24,
	FX_MXCSR_MASK = 28,
	FX_ST = 32,
	FX_XMM = 160,
	XSAVE_HEADER = 512,
	XSAVE_AVX = 576,
	XSAVE_AVX_SIZE = 256,
	XSAVE_PKRU = 2688,
	XSAVE_PKRU_SIZE = 8,
	XSAVE_MAX = 2696
};

/* FSW: an unmasked x87 exception pends. */
enum { FSW_ES = 1 << 7, FSW_B = 1 << 15 };

#define MXCSR_INIT  0x1f80u
#define MXCSR_VALID 0xffffu /* other bits are reserved: #GP when loaded */

#define XSAVE_COMPACTED BIT(63) /* in XCOMP_BV */

/* Bytes that an area with these components takes, in either form. */
unsigned xsave_size(uint64_t components, bool compacted);

/* Which components of the state differ from their initial configuration. */
uint64_t xsave_inuse(const struct fp_state *fp, uint32_t pkru);

/* One instruction of the family, as bytes: the image in the guest's layout and
 * the ranges of it that are written or read. */
enum xsave_kind { DO_FXSAVE, DO_XSAVE, DO_XSAVEOPT, DO_XSAVEC, DO_XSAVES };

struct xsave_part {
	uint16_t at, size;
};

struct xsave_image {
	uint8_t bytes[2752];
	struct xsave_part part[8];
	unsigned parts;
};

struct xsave_how {
	enum xsave_kind kind;
	uint64_t rfbm; /* requested-feature bitmap: EDX:EAX & XCR0 (| XSS) */
	bool mode64;   /* 16 vector registers, else 8 */
	bool rex_w;    /* 64-bit FIP and FDP */
	bool no_sse;   /* FXSAVE with CR4.OSFXSR clear */
	bool no_fcs;   /* FCS and FDS are stored as 0: CPUID.(EAX=07H,ECX=0H):EBX[13] */
};

/* Fills *out with what the instruction stores. `old_bv` is XSTATE_BV as memory
 * holds it (XSAVE and XSAVEOPT keep the bits outside RFBM). */
void xsave_store(struct xsave_image *out, const struct xsave_how *how, const struct fp_state *fp,
	uint32_t pkru, uint64_t old_bv);

/* XRSTOR (DO_XSAVE), XRSTORS (DO_XSAVES), FXRSTOR (DO_FXSAVE), in two steps:
 * after the header (bytes 512 to 575 of *in) is read, xsave_plan lists the
 * parts to read; false: #GP(0). After they are read, xsave_load applies them;
 * false: #GP(0) (reserved MXCSR bits), nothing changed. `allowed` is XCR0, or
 * XCR0 | XSS for XRSTORS. */
bool xsave_plan(struct xsave_image *in, const struct xsave_how *how, uint64_t allowed);
bool xsave_load(const struct xsave_image *in, const struct xsave_how *how, struct fp_state *fp,
	uint32_t *pkru);

#endif

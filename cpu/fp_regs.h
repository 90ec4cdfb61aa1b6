/* The parts of c->fp.area, for handlers in C. Only after fp_leave. */
#ifndef CPU_FP_REGS_H
#define CPU_FP_REGS_H

#include "cpu/insn.h"
#include "cpu/xsave.h"

static inline uint16_t *fp_word(struct vcpu *c, unsigned offset)
{
	return (uint16_t *)(c->fp.area + offset);
}

static inline uint32_t *fp_mxcsr(struct vcpu *c)
{
	return (uint32_t *)(c->fp.area + FX_MXCSR);
}

/* ST(n) by stack position, or MMn with TOP = 0: 10 bytes. */
static inline uint8_t *fp_st(struct vcpu *c, unsigned n)
{
	return c->fp.area + FX_ST + 16 * n;
}

static inline uint8_t *fp_xmm(struct vcpu *c, unsigned n)
{
	return c->fp.area + FX_XMM + 16 * n;
}

/* Upper half of YMMn; whoever writes it calls fp_avx_written. */
static inline uint8_t *fp_ymm_hi(struct vcpu *c, unsigned n)
{
	return c->fp.area + XSAVE_AVX + 16 * n;
}

static inline void fp_avx_written(struct vcpu *c)
{
	*(uint64_t *)(c->fp.area + XSAVE_HEADER) = XCOMP_X87 | XCOMP_SSE | XCOMP_AVX;
}

/* The whole vector register as 4 quadwords, and back; `bytes` 16 clears the
 * upper half as VEX-encoded instructions do. */
static inline void fp_vector_get(struct vcpu *c, unsigned n, uint64_t v[4])
{
	const uint64_t *lo = (const uint64_t *)fp_xmm(c, n),
		       *hi = (const uint64_t *)fp_ymm_hi(c, n);
	v[0] = lo[0], v[1] = lo[1], v[2] = hi[0], v[3] = hi[1];
}

static inline void fp_vector_put(struct vcpu *c, unsigned n, const uint64_t v[4], unsigned bytes)
{
	uint64_t *lo = (uint64_t *)fp_xmm(c, n), *hi = (uint64_t *)fp_ymm_hi(c, n);
	lo[0] = v[0], lo[1] = v[1];
	hi[0] = bytes > 16 ? v[2] : 0, hi[1] = bytes > 16 ? v[3] : 0;
	fp_avx_written(c);
}

/* An offset cut to the instruction's address size. */
static inline uint64_t fp_offset_cut(const struct insn *i, uint64_t offset)
{
	return i->addrsize == 8 ? offset : i->addrsize == 4 ? (uint32_t)offset : (uint16_t)offset;
}

#endif

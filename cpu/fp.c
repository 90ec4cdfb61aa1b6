/* Entering and leaving: guest FP state in host registers, or in c->fp.area. */
#include "cpu/fp.h"
#include "cpu/model.h"
#include "cpu/run.h"
#include "cpu/xsave.h"
#include "base/state.h"

/* What is swapped. Bits that the host's XCR0 lacks are ignored by XSAVE; they
 * are never set in XSTATE_BV, so XRSTOR takes them too. */
#define SWAPPED (XCOMP_X87 | XCOMP_SSE | XCOMP_AVX)

struct fp_pointers {
	uint64_t ip, dp;
	uint16_t op;
};

static void get_pointers(const uint8_t *area, struct fp_pointers *p)
{
	p->ip = *(const uint64_t *)(area + FX_FIP);
	p->dp = *(const uint64_t *)(area + FX_FDP);
	p->op = *(const uint16_t *)(area + FX_FOP);
}

static void set_pointers(uint8_t *area, const struct fp_pointers *p)
{
	*(uint64_t *)(area + FX_FIP) = p->ip;
	*(uint64_t *)(area + FX_FDP) = p->dp;
	*(uint16_t *)(area + FX_FOP) = p->op;
}

void fp_point(struct vcpu *c, const struct insn *i, uint64_t ip, uint64_t dp, bool unmasked)
{
	struct fp_pointers p;
	bool mem = i->has_modrm && i->modrm < 0xc0;

	get_pointers(c->fp.area, &p);
	p.ip = ip;
	c->fp.fcs = c->seg[SEG_CS].sel;
	if (mem && (unmasked || !cpu_has(c->model, FEAT_FDP_EXCPTN_ONLY))) {
		p.dp = dp;
		c->fp.fds = c->seg[i->seg].sel;
	}
	if (unmasked)
		p.op = (uint16_t)((i->opcode & 7) << 8 | i->modrm);
	set_pointers(c->fp.area, &p);
}

/* The pointers that the last x87 op left, once the area is complete. */
static void point_at_op(struct vcpu *c)
{
	uintptr_t noted = c->fp.x87_op;
	const struct op *o = (const struct op *)(noted & ~(uintptr_t)(FP_CW_LOADED | FP_CLEARED));
	bool pends = c->fp.area[FX_FSW] & FSW_ES;

	c->fp.x87_op = 0;
	if (noted & FP_CLEARED) {
		set_pointers(c->fp.area, &(struct fp_pointers){0});
		c->fp.fcs = c->fp.fds = 0;
	} else if (o) {
		const struct insn *i = op_insn(c, o);
		uint64_t dp = c->fp.x87_at - c->seg_base[i->seg];
		fp_point(c, i, op_rip(c, o), i->mode == 8 ? dp : (uint32_t)dp,
			pends && !(noted & FP_CW_LOADED));
	}
}

void fp_enter(struct vcpu *c)
{
	if (c->fp.live)
		return;
	__asm__ volatile("xrstor64 %0" : : "m"(c->fp.area), "a"(SWAPPED), "d"(0) : "memory");
	c->fp.live = true;
}

void fp_leave(struct vcpu *c)
{
	static const uint32_t host_mxcsr = MXCSR_INIT;
	uint8_t *area = c->fp.area;
	struct fp_pointers guest;

	if (!c->fp.live)
		return;
	get_pointers(area, &guest);
	__asm__ volatile("xsave64 %0" : "+m"(c->fp.area) : "a"(SWAPPED), "d"(0) : "memory");
	set_pointers(area, &guest);
	*(uint32_t *)(area + FX_MXCSR_MASK) = MXCSR_VALID;
	uint64_t *bv = (uint64_t *)(area + XSAVE_HEADER);
	if (*bv & XCOMP_AVX)
		__asm__ volatile("vzeroupper");
	*bv |= XCOMP_X87 | XCOMP_SSE;
	__asm__ volatile("fninit; ldmxcsr %0" : : "m"(host_mxcsr));
	c->fp.live = false;
	if (c->fp.x87_op)
		point_at_op(c);
}

void fp_reset(struct vcpu *c, bool init)
{
	if (init)
		return;
	c->fp.live = false;
	c->fp.ferr = false;
	c->fp.x87_op = 0;
	c->fp.fcs = c->fp.fds = 0;
	for (unsigned n = 0; n < sizeof c->fp.area; n++)
		c->fp.area[n] = 0;
	/* FTW 5555H (all +0.0) in the abridged form */
	c->fp.area[FX_FCW] = 0x40;
	c->fp.area[FX_FTW] = 0xff;
	*(uint32_t *)(c->fp.area + FX_MXCSR) = MXCSR_INIT;
	*(uint32_t *)(c->fp.area + FX_MXCSR_MASK) = MXCSR_VALID;
	*(uint64_t *)(c->fp.area + XSAVE_HEADER) = XCOMP_X87 | XCOMP_SSE;
}

/* Is any byte of the upper halves of the YMM registers set? */
static bool avx_used(const uint8_t *area)
{
	uint64_t any = 0;
	const uint64_t *p = (const uint64_t *)(area + XSAVE_AVX);
	for (unsigned n = 0; n < XSAVE_AVX_SIZE / 8; n++)
		any |= p[n];
	return any;
}

void fp_state(struct vcpu *c, struct state *s)
{
	uint8_t *area = c->fp.area;
	uint32_t mxcsr = *(uint32_t *)(area + FX_MXCSR);

	state_section(s, "fp", 2);
	state_bytes(s, area, FX_MXCSR);
	state_u16(s, &c->fp.fcs);
	state_u16(s, &c->fp.fds);
	state_bool(s, &c->fp.ferr);
	state_u32(s, &mxcsr);
	/* the ten bytes of each x87 register, the XMM registers, the upper halves */
	for (unsigned n = 0; n < 8; n++)
		state_bytes(s, area + FX_ST + 16 * n, 10);
	state_bytes(s, area + FX_XMM, 16 * 16);
	state_bytes(s, area + XSAVE_AVX, XSAVE_AVX_SIZE);
	if (state_mode(s) != STATE_LOAD)
		return;
	if (mxcsr & ~MXCSR_VALID) {
		state_fail(s, "MXCSR %#x has reserved bits", mxcsr);
		return;
	}
	*(uint32_t *)(area + FX_MXCSR) = mxcsr;
	area[FX_FTW + 1] = 0;
	*(uint64_t *)(area + XSAVE_HEADER) =
		XCOMP_X87 | XCOMP_SSE | (avx_used(area) ? XCOMP_AVX : 0);
}

/* Loading segment registers. SDM Vol. 3A 5.6 "Privilege Level Checking When
 * Accessing Data Segments", 5.7 "Privilege Level Checking When Loading the SS
 * Register", 20.1.1 "Address Translation in Real-Address Mode". */
#include "cpu/desc.h"
#include "cpu/fp.h"
#include "cpu/mem.h"
#include "cpu/pmu.h"

static void put_base(struct vcpu *c, enum seg_reg r)
{
	bool flat = cpu_64bit(c) && r != SEG_FS && r != SEG_GS;

	c->seg_base[r] = flat ? 0 : c->seg[r].base;
}

void seg_set(struct vcpu *c, enum seg_reg r, const struct seg *s)
{
	struct seg *old = &c->seg[r];
	bool was64 = cpu_64bit(c);

	fp_settle(c);
	bool same = old->ar == s->ar && old->base == s->base && old->limit == s->limit;

	*old = *s;
	if (r >= SEG_LDTR)
		return;
	put_base(c, r);
	if (!same && !(was64 && r != SEG_CS && r != SEG_SS))
		c->mode_changed = true;
	if (r == SEG_CS && was64 != cpu_64bit(c))
		for (unsigned n = 0; n < SEG_LDTR; n++)
			put_base(c, n);
}

void seg_set_null(struct vcpu *c, enum seg_reg r, uint16_t sel)
{
	struct seg s = {.sel = sel, .ar = AR_UNUSABLE};

	seg_set(c, r, &s);
}

void cpl_set(struct vcpu *c, unsigned cpl)
{
	if (c->cpl != cpl) {
		c->mode_changed = true;
		if (c->pmu_levels)
			pmu_level(c);
	}
	c->cpl = cpl;
}

void seg_set_real(struct vcpu *c, enum seg_reg r, uint16_t sel)
{
	struct seg s = c->seg[r];

	/* The limit and the upper attributes stay: "unreal" mode is relied upon. */
	s.sel = sel;
	s.base = (uint32_t)sel << 4;
	s.ar = (s.ar & 0xf000) | AR_P | AR_S | AR_WRITE | AR_ACCESSED;
	seg_set(c, r, &s);
}

void seg_set_v86(struct vcpu *c, enum seg_reg r, uint16_t sel)
{
	struct seg s = {.sel = sel, .base = (uint32_t)sel << 4, .limit = 0xffff, .ar = 0xf3};

	seg_set(c, r, &s);
}

enum cpu_step seg_fetch_ss(struct vcpu *c, uint16_t sel, unsigned cpl, enum cpu_vector vec,
	unsigned ext, struct seg *out)
{
	struct desc d;

	if (sel_null(sel))
		return cpu_raise_error(c, vec, ext);
	CPU_TRY(desc_get(c, sel, 8, vec, ext, &d));
	if ((sel & 3) != cpl || !desc_plain(&d) || desc_code(&d) || !(desc_ar(&d) & AR_WRITE) ||
		desc_dpl(&d) != cpl)
		return raise_sel(c, vec, sel, ext);
	if (!desc_present(&d))
		return raise_sel(c, VEC_SS, sel, ext);
	CPU_TRY(desc_mark_accessed(c, sel, &d));
	*out = desc_seg(sel, &d);
	return CPU_DONE;
}

static enum cpu_step load_ss(struct vcpu *c, uint16_t sel)
{
	struct seg s;

	if (sel_null(sel)) {
		if (!cpu_64bit(c) || c->cpl == 3 || (sel & 3) != c->cpl)
			return cpu_raise_error(c, VEC_GP, 0);
		s = (struct seg){.sel = sel, .ar = AR_UNUSABLE | (uint32_t)c->cpl << AR_DPL_SHIFT};
		seg_set(c, SEG_SS, &s);
		return CPU_DONE;
	}
	CPU_TRY(seg_fetch_ss(c, sel, c->cpl, VEC_GP, 0, &s));
	seg_set(c, SEG_SS, &s);
	return CPU_DONE;
}

enum cpu_step seg_load(struct vcpu *c, enum seg_reg r, uint16_t sel)
{
	struct desc d;
	struct seg s;

	if (cpu_real(c)) {
		seg_set_real(c, r, sel);
		return CPU_DONE;
	}
	if (cpu_v86(c)) {
		seg_set_v86(c, r, sel);
		return CPU_DONE;
	}
	if (r == SEG_SS)
		return load_ss(c, sel);
	if (sel_null(sel)) {
		seg_set_null(c, r, sel);
		return CPU_DONE;
	}
	CPU_TRY(desc_get(c, sel, 8, VEC_GP, 0, &d));
	if (!desc_plain(&d) || (desc_code(&d) && !(desc_ar(&d) & AR_READ)))
		return raise_sel(c, VEC_GP, sel, 0);
	if (!(desc_code(&d) && desc_conforming(&d)) &&
		((sel & 3u) > desc_dpl(&d) || c->cpl > desc_dpl(&d)))
		return raise_sel(c, VEC_GP, sel, 0);
	if (!desc_present(&d))
		return raise_sel(c, VEC_NP, sel, 0);
	CPU_TRY(desc_mark_accessed(c, sel, &d));
	s = desc_seg(sel, &d);
	seg_set(c, r, &s);
	return CPU_DONE;
}

void seg_drop_inner(struct vcpu *c)
{
	static const uint8_t data[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};

	for (unsigned n = 0; n < sizeof(data); n++) {
		const struct seg *s = &c->seg[data[n]];
		bool conforming = (s->ar & AR_CODE) && (s->ar & AR_CONFORMING);

		/* a segment that is or becomes null keeps its base here, which FS and
		 * GS go on using in 64-bit mode */
		if (!sel_null(s->sel) && !conforming && seg_dpl(s) < c->cpl) {
			struct seg null = {.base = s->base, .ar = AR_UNUSABLE};

			seg_set(c, data[n], &null);
		}
	}
}

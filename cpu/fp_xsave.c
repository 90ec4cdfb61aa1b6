/* FXSAVE, FXRSTOR and the XSAVE family: gates and memory around cpu/xsave.c.
 * All run with the state parked in c->fp.area. */
#include "cpu/fp.h"
#include "cpu/insn_table.h"
#include "cpu/mem.h"
#include "cpu/model.h"
#include "cpu/xsave.h"

static bool rex_w(const struct insn *i)
{
	return i->mode == 8 && i->rex_w;
}

static uint64_t mask(const struct vcpu *c)
{
	return (uint32_t)c->gpr[RAX] | c->gpr[RDX] << 32;
}

/* The linear address, with the checks of the whole area and its alignment. */
static enum cpu_step area_at(struct vcpu *c, const struct insn *i, unsigned size, unsigned align,
	bool write, struct gva *at)
{
	enum cpu_step s = cpu_linear(c, i->seg, insn_offset(c, i), size, write, at);
	if (s == CPU_DONE && at->v & (align - 1))
		return cpu_raise_error(c, VEC_GP, 0);
	return s;
}

static enum cpu_step write_parts(struct vcpu *c, const struct xsave_image *im, struct gva at)
{
	enum cpu_step s;
	for (unsigned n = 0; n < im->parts; n++) {
		s = cpu_lin_probe_write(
			c, gva(at.v + im->part[n].at), im->part[n].size, ACCESS_DATA);
		if (s)
			return s;
	}
	for (unsigned n = 0; n < im->parts; n++) {
		s = cpu_lin_write(c, gva(at.v + im->part[n].at), im->bytes + im->part[n].at,
			im->part[n].size, ACCESS_DATA);
		if (s)
			return s;
	}
	return CPU_DONE;
}

static enum cpu_step read_parts(struct vcpu *c, struct xsave_image *im, struct gva at)
{
	for (unsigned n = 0; n < im->parts; n++) {
		enum cpu_step s = cpu_lin_read(c, gva(at.v + im->part[n].at),
			im->bytes + im->part[n].at, im->part[n].size, ACCESS_DATA);
		if (s)
			return s;
	}
	return CPU_DONE;
}

static void set_pkru(struct vcpu *c, uint32_t pkru)
{
	if (c->pkru == pkru)
		return;
	c->pkru = pkru;
	c->mode_changed = true;
	vcpu_state_changed(c);
}

static struct xsave_how fx_how(const struct vcpu *c, const struct insn *i)
{
	return (struct xsave_how){.kind = DO_FXSAVE,
		.mode64 = i->mode == 8,
		.rex_w = rex_w(i),
		.no_sse = !(c->cr4 & CR4_OSFXSR),
		.no_fcs = cpu_has(c->model, FEAT_ZERO_FCS_FDS)};
}

enum cpu_step fp_fxsave(struct vcpu *c, const struct insn *i)
{
	struct xsave_how how = fx_how(c, i);
	struct xsave_image im;
	struct gva at;
	enum cpu_step s = area_at(c, i, 512, 16, true, &at);

	fp_leave(c);
	if (s)
		return s;
	xsave_store(&im, &how, &c->fp, 0, 0);
	return write_parts(c, &im, at);
}

enum cpu_step fp_fxrstor(struct vcpu *c, const struct insn *i)
{
	struct xsave_how how = fx_how(c, i);
	struct xsave_image im;
	struct gva at;
	uint32_t pkru = 0;
	enum cpu_step s = area_at(c, i, 512, 16, false, &at);

	fp_leave(c);
	if (s)
		return s;
	xsave_plan(&im, &how, 0);
	s = read_parts(c, &im, at);
	if (s)
		return s;
	return xsave_load(&im, &how, &c->fp, &pkru) ? CPU_DONE : cpu_raise_error(c, VEC_GP, 0);
}

/* #UD without CR4.OSXSAVE; the supervisor forms want CPL 0 and can exit; #NM. */
static enum cpu_step gate(struct vcpu *c, const struct insn *i, int supervisor)
{
	if (!(c->cr4 & CR4_OSXSAVE))
		return cpu_raise(c, VEC_UD);
	if (supervisor >= 0) {
		if (c->cpl)
			return cpu_raise_error(c, VEC_GP, 0);
		enum cpu_step s = cpu_intercepted(c, (enum cpu_event)supervisor, i, mask(c));
		if (s)
			return s;
	}
	return c->cr0 & CR0_TS ? cpu_raise(c, VEC_NM) : CPU_DONE;
}

static struct xsave_how how_of(const struct vcpu *c, const struct insn *i, enum xsave_kind kind)
{
	uint64_t all = c->xcr0 | (kind == DO_XSAVES ? c->msr.xss : 0);
	return (struct xsave_how){.kind = kind,
		.rfbm = mask(c) & all,
		.mode64 = i->mode == 8,
		.rex_w = rex_w(i),
		.no_fcs = cpu_has(c->model, FEAT_ZERO_FCS_FDS)};
}

static enum cpu_step store(struct vcpu *c, const struct insn *i, enum xsave_kind kind)
{
	struct xsave_how how = how_of(c, i, kind);
	struct xsave_image im;
	struct gva at;
	uint64_t bv = 0;
	enum cpu_step s = gate(c, i, kind == DO_XSAVES ? (int)EV_XSAVES : -1);

	fp_leave(c);
	if (s)
		return s;
	s = area_at(c, i, xsave_size(how.rfbm, kind >= DO_XSAVEC), 64, true, &at);
	if (!s && kind < DO_XSAVEC)
		s = cpu_lin_read(c, gva(at.v + XSAVE_HEADER), &bv, sizeof bv, ACCESS_DATA);
	if (s)
		return s;
	xsave_store(&im, &how, &c->fp, c->pkru, bv);
	return write_parts(c, &im, at);
}

static enum cpu_step restore(struct vcpu *c, const struct insn *i, enum xsave_kind kind)
{
	struct xsave_how how = how_of(c, i, kind);
	uint64_t allowed = c->xcr0 | (kind == DO_XSAVES ? c->msr.xss : 0);
	struct xsave_image im;
	struct gva at;
	uint32_t pkru = c->pkru;
	enum cpu_step s = gate(c, i, kind == DO_XSAVES ? (int)EV_XRSTORS : -1);

	fp_leave(c);
	if (s)
		return s;
	s = area_at(c, i, XSAVE_AVX, 64, false, &at);
	if (!s)
		s = cpu_lin_read(
			c, gva(at.v + XSAVE_HEADER), im.bytes + XSAVE_HEADER, 64, ACCESS_DATA);
	if (s)
		return s;
	if (!xsave_plan(&im, &how, allowed))
		return cpu_raise_error(c, VEC_GP, 0);
	s = read_parts(c, &im, at);
	if (s)
		return s;
	if (!xsave_load(&im, &how, &c->fp, &pkru))
		return cpu_raise_error(c, VEC_GP, 0);
	set_pkru(c, pkru);
	return CPU_DONE;
}

enum cpu_step fp_xsave(struct vcpu *c, const struct insn *i)
{
	return store(c, i, DO_XSAVE);
}

enum cpu_step fp_xsaveopt(struct vcpu *c, const struct insn *i)
{
	return store(c, i, DO_XSAVEOPT);
}

enum cpu_step fp_xsavec(struct vcpu *c, const struct insn *i)
{
	return store(c, i, DO_XSAVEC);
}

enum cpu_step fp_xsaves(struct vcpu *c, const struct insn *i)
{
	return store(c, i, DO_XSAVES);
}

enum cpu_step fp_xrstor(struct vcpu *c, const struct insn *i)
{
	return restore(c, i, DO_XSAVE);
}

enum cpu_step fp_xrstors(struct vcpu *c, const struct insn *i)
{
	return restore(c, i, DO_XSAVES);
}

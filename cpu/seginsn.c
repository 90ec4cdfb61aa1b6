/* Instructions on segment registers and selectors. */
#include "cpu/desc.h"
#include "cpu/insn_table.h"
#include "cpu/mem.h"
#include "cpu/stack.h"

static void shadow(struct vcpu *c, enum seg_reg r)
{
	if (r == SEG_SS)
		c->movss_shadow = true;
}

enum cpu_step sys_mov_sreg(struct vcpu *c, const struct insn *i)
{
	uint64_t v;

	if (i->op[1].kind == OPND_SEG)
		return insn_write(c, i, 0, c->seg[i->op[1].reg].sel);
	if (i->op[0].reg == SEG_CS)
		return cpu_raise(c, VEC_UD);
	CPU_TRY(insn_read(c, i, 1, &v));
	CPU_TRY(seg_load(c, i->op[0].reg, (uint16_t)v));
	shadow(c, i->op[0].reg);
	return CPU_DONE;
}

enum cpu_step sys_push_sreg(struct vcpu *c, const struct insn *i)
{
	struct stack st = stack_here(c);
	struct frame f;

	f.n = 0;
	f.size = i->opsize;
	frame_add(&f, c->seg[i->op[0].reg].sel);
	CPU_TRY(frame_push(c, &st, &f));
	stack_set_sp(c, st.width, st.sp);
	return CPU_DONE;
}

enum cpu_step sys_pop_sreg(struct vcpu *c, const struct insn *i)
{
	/* the old stack's width moves the pointer, whatever SS becomes */
	struct stack st = stack_here(c);
	uint64_t v;

	CPU_TRY(stack_peek(c, 0, i->opsize, 1, &v));
	CPU_TRY(seg_load(c, i->op[0].reg, (uint16_t)v));
	stack_set_sp(c, st.width, st.sp + i->opsize);
	shadow(c, i->op[0].reg);
	return CPU_DONE;
}

static enum cpu_step load_pointer(struct vcpu *c, const struct insn *i, enum seg_reg r)
{
	uint8_t image[10];
	uint64_t off = 0;

	CPU_TRY(cpu_mem_read(c, i->seg, insn_offset(c, i), image, i->opsize + 2u));
	for (unsigned n = 0; n < i->opsize; n++)
		off |= (uint64_t)image[n] << 8 * n;
	CPU_TRY(seg_load(c, r, (uint16_t)(image[i->opsize] | image[i->opsize + 1] << 8)));
	gpr_write(c, &i->op[0], off);
	shadow(c, r);
	return CPU_DONE;
}

enum cpu_step sys_lds(struct vcpu *c, const struct insn *i)
{
	return load_pointer(c, i, SEG_DS);
}

enum cpu_step sys_les(struct vcpu *c, const struct insn *i)
{
	return load_pointer(c, i, SEG_ES);
}

enum cpu_step sys_lfs(struct vcpu *c, const struct insn *i)
{
	return load_pointer(c, i, SEG_FS);
}

enum cpu_step sys_lgs(struct vcpu *c, const struct insn *i)
{
	return load_pointer(c, i, SEG_GS);
}

enum cpu_step sys_lss(struct vcpu *c, const struct insn *i)
{
	return load_pointer(c, i, SEG_SS);
}

static void set_zf(struct vcpu *c, bool on)
{
	c->rflags = (c->rflags & ~(uint64_t)FLAG_ZF) | (on ? FLAG_ZF : 0);
}

/* The descriptor that LAR, LSL, VERR and VERW look at, when the selector is
 * usable at this CPL; *ok says so. */
static enum cpu_step look_up(struct vcpu *c, const struct insn *i, unsigned n, uint16_t *sel,
	struct desc *d, bool *ok)
{
	uint64_t v;

	CPU_TRY(insn_read(c, i, n, &v));
	*sel = (uint16_t)v;
	*ok = false;
	if (sel_null(*sel))
		return CPU_DONE;
	CPU_TRY(desc_read(c, *sel, 8, d, ok));
	if (*ok && !(desc_code(d) && desc_conforming(d)) &&
		(c->cpl > desc_dpl(d) || (*sel & 3u) > desc_dpl(d)))
		*ok = false;
	return CPU_DONE;
}

/* Types that LAR (bit 0) and LSL (bit 1) accept outside and inside IA-32e mode. */
static bool system_type_ok(const struct vcpu *c, const struct desc *d, bool limit)
{
	static const uint16_t lar[2] = {0x1a3e, 0x1a04}, lsl[2] = {0x0a0e, 0x0a04};
	unsigned lm = cpu_long_mode(c);

	return (limit ? lsl[lm] : lar[lm]) >> desc_type(d) & 1;
}

enum cpu_step sys_lar(struct vcpu *c, const struct insn *i)
{
	struct desc d;
	uint16_t sel;
	bool ok;

	CPU_TRY(look_up(c, i, 1, &sel, &d, &ok));
	ok = ok && (desc_plain(&d) || system_type_ok(c, &d, false));
	set_zf(c, ok);
	if (ok)
		gpr_write(c, &i->op[0], i->opsize == 2 ? d.hi & 0xff00 : d.hi & 0xffff00);
	return CPU_DONE;
}

enum cpu_step sys_lsl(struct vcpu *c, const struct insn *i)
{
	struct desc d;
	uint16_t sel;
	bool ok;

	CPU_TRY(look_up(c, i, 1, &sel, &d, &ok));
	ok = ok && (desc_plain(&d) || system_type_ok(c, &d, true));
	set_zf(c, ok);
	if (ok)
		gpr_write(c, &i->op[0], desc_seg(sel, &d).limit);
	return CPU_DONE;
}

enum cpu_step sys_verr(struct vcpu *c, const struct insn *i)
{
	struct desc d;
	uint16_t sel;
	bool ok;

	CPU_TRY(look_up(c, i, 0, &sel, &d, &ok));
	set_zf(c, ok && desc_plain(&d) && (!desc_code(&d) || (desc_ar(&d) & AR_READ)));
	return CPU_DONE;
}

enum cpu_step sys_verw(struct vcpu *c, const struct insn *i)
{
	struct desc d;
	uint16_t sel;
	bool ok;

	CPU_TRY(look_up(c, i, 0, &sel, &d, &ok));
	set_zf(c, ok && desc_plain(&d) && !desc_code(&d) && (desc_ar(&d) & AR_WRITE));
	return CPU_DONE;
}

enum cpu_step sys_arpl(struct vcpu *c, const struct insn *i)
{
	uint64_t dst, src;

	CPU_TRY(insn_read(c, i, 0, &dst));
	CPU_TRY(insn_read(c, i, 1, &src));
	if ((dst & 3) < (src & 3)) {
		CPU_TRY(insn_write(c, i, 0, (dst & ~UINT64_C(3)) | (src & 3)));
		set_zf(c, true);
	} else {
		set_zf(c, false);
	}
	return CPU_DONE;
}

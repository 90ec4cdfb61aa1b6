#include "cpu/task.h"

#include "cpu/cr.h"
#include "cpu/mem.h"

enum cpu_step task_inner_stack(
	struct vcpu *c, unsigned cpl, unsigned ext, struct seg *ss, struct stack *st)
{
	const struct seg *tr = &c->seg[SEG_TR];
	bool wide = (tr->ar & AR_TYPE) == DESC_TSS32_BUSY || (tr->ar & AR_TYPE) == DESC_TSS32;
	unsigned off = wide ? 4 + 8 * cpl : 2 + 4 * cpl, len = wide ? 6 : 4;
	uint32_t sp = 0;
	uint16_t sel = 0;

	if (off + len - 1 > tr->limit)
		return raise_sel(c, VEC_TS, tr->sel, ext);
	CPU_TRY(cpu_lin_read(
		c, gva((tr->base + off) & 0xffffffff), &sp, wide ? 4 : 2, ACCESS_SYSTEM));
	CPU_TRY(cpu_lin_read(c, gva((tr->base + off + (wide ? 4 : 2)) & 0xffffffff), &sel, 2,
		ACCESS_SYSTEM));
	CPU_TRY(seg_fetch_ss(c, sel, cpl, VEC_TS, ext, ss));
	*st = (struct stack){.ss = ss, .width = stack_width(ss), .who = ACCESS_SYSTEM,
		.error = (sel & 0xfffcu) | ext};
	st->sp = st->width == 2 ? sp & 0xffff : sp;
	return CPU_DONE;
}

/* The dynamic part of a TSS in either format; unused values are zero.
 * SDM Vol. 3A 7.2.1 "Task-State Segment (TSS)", 7.6 "16-Bit TSS". */
struct tss {
	uint32_t cr3, eip, eflags, gpr[8];
	uint16_t sel[6]; /* ES CS SS DS FS GS */
	uint16_t ldt;
	bool trap;
};

enum { TSS16_BYTES = 44, TSS32_BYTES = 104 };

static struct gva tss_at(uint64_t base, unsigned off)
{
	return gva((base + off) & 0xffffffff);
}

static uint32_t get(const uint8_t *image, unsigned off, unsigned size)
{
	uint32_t v = image[off] | (uint32_t)image[off + 1] << 8;

	if (size == 4)
		v |= (uint32_t)image[off + 2] << 16 | (uint32_t)image[off + 3] << 24;
	return v;
}

static void put(uint8_t *image, unsigned off, unsigned size, uint32_t v)
{
	for (unsigned n = 0; n < size; n++)
		image[off + n] = (uint8_t)(v >> 8 * n);
}

static void parse(const uint8_t *image, bool wide, struct tss *t)
{
	unsigned size = wide ? 4 : 2, gprs = wide ? 0x28 : 0x12, sels = wide ? 0x48 : 0x22;

	t->cr3 = wide ? get(image, 0x1c, 4) : 0;
	t->eip = get(image, wide ? 0x20 : 0x0e, size);
	t->eflags = get(image, wide ? 0x24 : 0x10, size);
	for (unsigned n = 0; n < 8; n++)
		t->gpr[n] = get(image, gprs + n * size, size);
	for (unsigned n = 0; n < 6; n++)
		t->sel[n] = n < (wide ? 6 : 4) ? (uint16_t)get(image, sels + n * size, 2) : 0;
	t->ldt = (uint16_t)get(image, wide ? 0x60 : 0x2a, 2);
	t->trap = wide && (image[0x64] & 1);
}

/* Writes EIP .. last selector of the outgoing task: one contiguous piece. */
static enum cpu_step save_old(struct vcpu *c, bool wide, uint32_t eip, uint32_t eflags)
{
	unsigned size = wide ? 4 : 2, start = wide ? 0x20 : 0x0e, end = wide ? 0x60 : 0x2a;
	unsigned gprs = wide ? 0x28 : 0x12, sels = wide ? 0x48 : 0x22;
	uint8_t image[TSS32_BYTES];

	for (unsigned n = start; n < end; n++)
		image[n] = 0;
	put(image, start, size, eip);
	put(image, start + size, size, eflags);
	for (unsigned n = 0; n < 8; n++)
		put(image, gprs + n * size, size, (uint32_t)c->gpr[n]);
	for (unsigned n = 0; n < (wide ? 6u : 4u); n++)
		put(image, sels + n * size, size, c->seg[n].sel);
	return cpu_lin_write(c, tss_at(c->seg[SEG_TR].base, start), image + start, end - start,
		ACCESS_SYSTEM);
}

static bool wide_tss(uint32_t ar)
{
	return ar & 8;
}

/* Everything that can fault before the switch commits: SDM Vol. 3A 7.3 "Task
 * Switching", steps 1 to 9. Faults are in the context of the old task. */
static enum cpu_step prepare(struct vcpu *c, uint16_t sel, const struct desc *d,
	enum task_source source, uint8_t *image)
{
	struct seg s = desc_seg(sel, d);
	bool wide = wide_tss(s.ar);
	unsigned bytes = wide ? TSS32_BYTES : TSS16_BYTES, old_bytes;

	if (s.limit < bytes - 1)
		return raise_sel(c, VEC_TS, sel, source == TASK_IDT);
	CPU_TRY(cpu_intercepted(c, EV_TASK_SWITCH, NULL, sel | (uint64_t)source << 30));
	CPU_TRY(cpu_lin_read(c, tss_at(s.base, 0), image, bytes, ACCESS_SYSTEM));
	CPU_TRY(cpu_lin_probe_write(c, tss_at(s.base, 0), bytes, ACCESS_SYSTEM));
	old_bytes = wide_tss(c->seg[SEG_TR].ar) ? TSS32_BYTES : TSS16_BYTES;
	return cpu_lin_probe_write(c, tss_at(c->seg[SEG_TR].base, 0), old_bytes, ACCESS_SYSTEM);
}

static void load_plain(struct vcpu *c, const struct tss *t, bool wide)
{
	for (unsigned n = 0; n < 8; n++)
		c->gpr[n] = wide ? t->gpr[n] : (c->gpr[n] & 0xffff0000) | t->gpr[n];
	c->rflags = (t->eflags & 0x3f7fd5) | FLAG_1;
	c->rip = c->next_rip = t->eip;
	/* Selectors first, without descriptors: a fault below finds them so. */
	for (unsigned n = 0; n < 6; n++) {
		struct seg s = {.sel = t->sel[n], .ar = AR_UNUSABLE};

		seg_set(c, n, &s);
	}
	cpl_set(c, c->rflags & FLAG_VM ? 3 : t->sel[SEG_CS] & 3);
	seg_set_null(c, SEG_LDTR, t->ldt);
}

static enum cpu_step load_ldt(struct vcpu *c, uint16_t sel)
{
	struct desc d;
	struct seg s;

	if (sel_null(sel))
		return CPU_DONE;
	if (sel & 4)
		return raise_sel(c, VEC_TS, sel, 0);
	CPU_TRY(desc_get(c, sel, 8, VEC_TS, 0, &d));
	if (desc_plain(&d) || desc_type(&d) != DESC_LDT || !desc_present(&d))
		return raise_sel(c, VEC_TS, sel, 0);
	s = desc_seg(sel, &d);
	seg_set(c, SEG_LDTR, &s);
	return CPU_DONE;
}

static enum cpu_step load_cs(struct vcpu *c, uint16_t sel)
{
	unsigned rpl = sel & 3;
	struct desc d;
	struct seg s;

	if (sel_null(sel))
		return raise_sel(c, VEC_TS, sel, 0);
	CPU_TRY(desc_get(c, sel, 8, VEC_TS, 0, &d));
	if (!desc_code(&d) || (desc_conforming(&d) ? desc_dpl(&d) > rpl : desc_dpl(&d) != rpl))
		return raise_sel(c, VEC_TS, sel, 0);
	if (!desc_present(&d))
		return raise_sel(c, VEC_NP, sel, 0);
	CPU_TRY(desc_mark_accessed(c, sel, &d));
	s = desc_seg(sel, &d);
	seg_set(c, SEG_CS, &s);
	return CPU_DONE;
}

static enum cpu_step load_data(struct vcpu *c, enum seg_reg r, uint16_t sel)
{
	enum cpu_step s = seg_load(c, r, sel);

	/* The same checks as a MOV, under #TS. */
	if (s == CPU_FAULT && c->fault.vector == VEC_GP)
		c->fault.vector = VEC_TS;
	return s;
}

/* Segments of the new task; faults are already the new task's. */
static enum cpu_step load_segments(struct vcpu *c, const struct tss *t)
{
	static const uint8_t data[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};
	struct seg ss;

	if (c->rflags & FLAG_VM) {
		for (unsigned n = 0; n < 6; n++)
			seg_set_v86(c, n, t->sel[n]);
		return load_ldt(c, t->ldt);
	}
	CPU_TRY(load_ldt(c, t->ldt));
	CPU_TRY(seg_fetch_ss(c, t->sel[SEG_SS], c->cpl, VEC_TS, 0, &ss));
	seg_set(c, SEG_SS, &ss);
	for (unsigned n = 0; n < sizeof(data); n++)
		CPU_TRY(load_data(c, data[n], t->sel[data[n]]));
	return load_cs(c, t->sel[SEG_CS]);
}

/* Busy flags, back link, TR; step 6 to 12. None of this faults any more. */
static enum cpu_step commit(struct vcpu *c, uint16_t sel, const struct desc *d,
	enum task_source source, uint32_t *eflags)
{
	uint16_t old = c->seg[SEG_TR].sel;
	struct seg tr = desc_seg(sel, d);

	if (source == TASK_JMP || source == TASK_IRET)
		CPU_TRY(desc_mark_busy(c, old, false));
	if (source != TASK_IRET)
		CPU_TRY(desc_mark_busy(c, sel, true));
	if (source == TASK_CALL || source == TASK_IDT) {
		CPU_TRY(cpu_lin_write(c, tss_at(tr.base, 0), &old, 2, ACCESS_SYSTEM));
		*eflags |= FLAG_NT;
	}
	tr.ar |= 2;
	seg_set(c, SEG_TR, &tr);
	return CPU_DONE;
}

enum cpu_step task_switch(
	struct vcpu *c, uint16_t sel, const struct desc *d, enum task_source source)
{
	bool wide = wide_tss(desc_ar(d)), old_wide = wide_tss(c->seg[SEG_TR].ar);
	uint8_t image[TSS32_BYTES];
	uint32_t old_flags = (uint32_t)c->rflags;
	struct tss t;
	enum cpu_step s;

	CPU_TRY(prepare(c, sel, d, source, image));
	parse(image, wide, &t);
	if (source == TASK_IRET)
		old_flags &= ~(uint32_t)FLAG_NT;
	CPU_TRY(save_old(c, old_wide, (uint32_t)c->next_rip, old_flags));
	CPU_TRY(commit(c, sel, d, source, &t.eflags));
	c->cr0 |= CR0_TS;
	if (wide && (c->cr0 & CR0_PG))
		CPU_TRY(cr3_write(c, t.cr3));
	load_plain(c, &t, wide);
	c->dr7 &= ~UINT64_C(0x155); /* local breakpoints */
	vcpu_state_changed(c);
	s = load_segments(c, &t);
	vcpu_state_changed(c);
	c->mode_changed = true;
	if (s == CPU_DONE && (uint32_t)t.eip > c->seg[SEG_CS].limit)
		s = cpu_raise_error(c, VEC_GP, 0);
	if (s == CPU_DONE && t.trap) {
		c->pending_db |= 0x8000; /* BT */
		vcpu_pend(c, PEND_DB);
	}
	return s;
}

enum cpu_step task_switch_event(struct vcpu *c, uint16_t sel, const struct cpu_fault *ev)
{
	unsigned ext = ev->type != TYPE_SWINT && ev->type != TYPE_SWEXC;
	struct stack st;
	struct frame f;
	struct desc d;

	if (sel_null(sel) || (sel & 4))
		return raise_sel(c, VEC_GP, sel, ext);
	CPU_TRY(desc_get(c, sel, 8, VEC_GP, ext, &d));
	if (desc_plain(&d) || (desc_type(&d) != DESC_TSS16 && desc_type(&d) != DESC_TSS32))
		return raise_sel(c, VEC_GP, sel, ext);
	if (!desc_present(&d))
		return raise_sel(c, VEC_NP, sel, ext);
	/* what the old TSS keeps as EIP: behind a software event, at a fault */
	if (!(ev->type == TYPE_SWINT || ev->type == TYPE_SWEXC || ev->type == TYPE_PRIV_SWEXC))
		c->next_rip = c->rip;
	CPU_TRY(task_switch(c, sel, &d, TASK_IDT));
	c->rip = c->next_rip;
	if (!ev->has_error)
		return CPU_DONE;
	st = stack_here(c);
	f.n = 0;
	f.size = wide_tss(desc_ar(&d)) ? 4 : 2;
	frame_add(&f, ev->error);
	CPU_TRY(frame_push(c, &st, &f));
	stack_set_sp(c, st.width, st.sp);
	return CPU_DONE;
}

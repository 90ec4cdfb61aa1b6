/* Descriptor-table and task registers, with UMIP. */
#include "cpu/desc.h"
#include "cpu/insn_table.h"
#include "cpu/mem.h"

static bool umip_forbids(const struct vcpu *c)
{
	return c->cpl > 0 && (c->cr4 & CR4_UMIP);
}

static enum cpu_step load_table(struct vcpu *c, const struct insn *i, struct desc_table *t)
{
	unsigned size = cpu_64bit(c) ? 10 : 6;
	uint8_t image[10];
	uint64_t base = 0;

	CPU_TRY(cpu_intercepted(c, EV_GDTR_IDTR, i, 0));
	CPU_TRY(cpu_mem_read(c, i->seg, insn_offset(c, i), image, size));
	for (unsigned n = 2; n < size; n++)
		base |= (uint64_t)image[n] << 8 * (n - 2);
	if (size == 6 && i->opsize == 2)
		base &= 0xffffff;
	if (!canonical(base))
		return cpu_raise_error(c, VEC_GP, 0);
	t->limit = (uint16_t)(image[0] | image[1] << 8);
	t->base = base;
	return CPU_DONE;
}

static enum cpu_step store_table(struct vcpu *c, const struct insn *i, const struct desc_table *t)
{
	unsigned size = cpu_64bit(c) ? 10 : 6;
	uint8_t image[10];

	if (umip_forbids(c))
		return cpu_raise_error(c, VEC_GP, 0);
	CPU_TRY(cpu_intercepted(c, EV_GDTR_IDTR, i, 0));
	image[0] = (uint8_t)t->limit;
	image[1] = (uint8_t)(t->limit >> 8);
	for (unsigned n = 0; n < 8; n++)
		image[n + 2] = (uint8_t)(t->base >> 8 * n);
	return cpu_mem_write(c, i->seg, insn_offset(c, i), image, size);
}

enum cpu_step sys_lgdt(struct vcpu *c, const struct insn *i)
{
	return load_table(c, i, &c->gdtr);
}

enum cpu_step sys_lidt(struct vcpu *c, const struct insn *i)
{
	return load_table(c, i, &c->idtr);
}

enum cpu_step sys_sgdt(struct vcpu *c, const struct insn *i)
{
	return store_table(c, i, &c->gdtr);
}

enum cpu_step sys_sidt(struct vcpu *c, const struct insn *i)
{
	return store_table(c, i, &c->idtr);
}

/* LLDT and LTR: the descriptor, of 16 bytes in IA-32e mode. */
static enum cpu_step get_system(struct vcpu *c, uint16_t sel, struct desc *d)
{
	if (sel & 4)
		return raise_sel(c, VEC_GP, sel, 0);
	return desc_get(c, sel, cpu_long_mode(c) ? 16 : 8, VEC_GP, 0, d);
}

enum cpu_step sys_lldt(struct vcpu *c, const struct insn *i)
{
	struct desc d;
	struct seg s;
	uint64_t v;

	CPU_TRY(cpu_intercepted(c, EV_LDTR_TR, i, 0));
	CPU_TRY(insn_read(c, i, 0, &v));
	if (sel_null((uint16_t)v)) {
		seg_set_null(c, SEG_LDTR, (uint16_t)v);
		return CPU_DONE;
	}
	CPU_TRY(get_system(c, (uint16_t)v, &d));
	if (desc_plain(&d) || desc_type(&d) != DESC_LDT)
		return raise_sel(c, VEC_GP, (uint16_t)v, 0);
	if (!desc_present(&d))
		return raise_sel(c, VEC_NP, (uint16_t)v, 0);
	s = desc_seg((uint16_t)v, &d);
	if (!canonical(s.base))
		return cpu_raise_error(c, VEC_GP, 0);
	seg_set(c, SEG_LDTR, &s);
	return CPU_DONE;
}

enum cpu_step sys_ltr(struct vcpu *c, const struct insn *i)
{
	struct desc d;
	struct seg s;
	uint64_t v;

	CPU_TRY(cpu_intercepted(c, EV_LDTR_TR, i, 0));
	CPU_TRY(insn_read(c, i, 0, &v));
	if (sel_null((uint16_t)v))
		return cpu_raise_error(c, VEC_GP, 0);
	CPU_TRY(get_system(c, (uint16_t)v, &d));
	if (desc_plain(&d) || (desc_type(&d) != DESC_TSS32 &&
				      (cpu_long_mode(c) || desc_type(&d) != DESC_TSS16)))
		return raise_sel(c, VEC_GP, (uint16_t)v, 0);
	if (!desc_present(&d))
		return raise_sel(c, VEC_NP, (uint16_t)v, 0);
	s = desc_seg((uint16_t)v, &d);
	if (!canonical(s.base))
		return cpu_raise_error(c, VEC_GP, 0);
	CPU_TRY(desc_mark_busy(c, (uint16_t)v, true));
	s.ar |= 2;
	seg_set(c, SEG_TR, &s);
	return CPU_DONE;
}

static enum cpu_step store_selector(struct vcpu *c, const struct insn *i, enum seg_reg r)
{
	if (umip_forbids(c))
		return cpu_raise_error(c, VEC_GP, 0);
	CPU_TRY(cpu_intercepted(c, EV_LDTR_TR, i, 0));
	return insn_write(c, i, 0, c->seg[r].sel);
}

enum cpu_step sys_sldt(struct vcpu *c, const struct insn *i)
{
	return store_selector(c, i, SEG_LDTR);
}

enum cpu_step sys_str(struct vcpu *c, const struct insn *i)
{
	return store_selector(c, i, SEG_TR);
}

enum cpu_step sys_smsw(struct vcpu *c, const struct insn *i)
{
	if (umip_forbids(c))
		return cpu_raise_error(c, VEC_GP, 0);
	return insn_write(c, i, 0, cpu_visible_cr0(c));
}

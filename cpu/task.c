#include "cpu/task.h"

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

/* Memory operands: the address, and the look-up in the TLB view. */
#include "cpu/jit_code.h"

_Static_assert(offsetof(struct tlb, e) == 0 && sizeof(struct tlb_entry) == 32 && PAGE_SHIFT == 12,
	"the look-up below knows the view's layout");

bool mem_plain(const struct segment *s, const struct insn *i)
{
	if (s->b->mode & MODE_ALIGN || i->addrsize != 8)
		return false;
	return i->base == INSN_RIP || i->disp == (int32_t)i->disp ||
		(i->base == INSN_NO_REG && i->index == INSN_NO_REG);
}

void mem_address(struct segment *s, const struct insn *i)
{
	if (i->base == INSN_RIP) {
		const struct op *o = &s->b->op[s->k];
		put_const(s, H_T0, op_lin(o) + o->len + (uint64_t)i->disp);
	} else if (i->index != INSN_NO_REG) {
		unsigned x = reg_in(s, i->index);
		int b = i->base == INSN_NO_REG ? -1 : (int)reg_in(s, i->base);
		put_lea_index(s, 8, H_T0, b, x, (unsigned)__builtin_ctz(i->scale),
			(int32_t)i->disp);
	} else if (i->base != INSN_NO_REG) {
		put_mem(s, 8, 0x8d, H_T0, reg_in(s, i->base), (int32_t)i->disp, false);
	} else {
		put_const(s, H_T0, (uint64_t)i->disp);
	}
	if (i->seg == SEG_FS || i->seg == SEG_GS) {
		s->hf = false;
		put_mem(s, 8, 0x03, H_T0, H_C, VCPU(seg_base) + 8 * i->seg, false);
	}
}

void mem_lookup(struct segment *s, unsigned size, bool write)
{
	s->hf = false;
	put_rr(s, 4, 0x89, H_T0, H_T1, 0);
	put_rr(s, 4, 0xc1, 5, H_T1, 0); /* shr ecx, 7 */
	put8(s, PAGE_SHIFT - 5);
	put_rr(s, 4, 0x81, 4, H_T1, 0); /* and ecx, slots * 32 */
	put32(s, (TLB_SIZE - 1) << 5);
	put_mem(s, 8, 0x03, H_T1, H_C, VCPU(tlb), false);
	put_mem(s, 8, 0x8d, H_T2, H_T0, (int32_t)size - 1, false);
	put_rr(s, 8, 0x81, 4, H_T2, 0); /* and rdx, page mask */
	put32(s, (uint32_t)PAGE_MASK);
	put_mem(s, 8, 0x3b, H_T2, H_T1,
		write ? offsetof(struct tlb_entry, write) : offsetof(struct tlb_entry, read), false);
	cold_jump(s, 0x0f85, write ? EXIT_MISS_WRITE : EXIT_MISS_READ);
	put_mem(s, 8, 0x03, H_T0, H_T1, offsetof(struct tlb_entry, addend), false);
}

/* MXCSR, and VZEROALL and VZEROUPPER where the mode has eight registers. */
#include "cpu/fp.h"
#include "cpu/fp_regs.h"
#include "cpu/insn_table.h"
#include "cpu/mem.h"
#include "cpu/mnemonic.h"

enum cpu_step fp_ldmxcsr(struct vcpu *c, const struct insn *i)
{
	uint32_t v;
	enum cpu_step s = cpu_mem_read(c, i->seg, insn_offset(c, i), &v, sizeof v);

	if (s)
		return s;
	if (v & ~MXCSR_VALID)
		return cpu_raise_error(c, VEC_GP, 0);
	if (c->fp.live)
		__asm__ volatile("ldmxcsr %0" : : "m"(v));
	else
		*fp_mxcsr(c) = v;
	return CPU_DONE;
}

enum cpu_step fp_stmxcsr(struct vcpu *c, const struct insn *i)
{
	uint32_t v = *fp_mxcsr(c);

	if (c->fp.live)
		__asm__ volatile("stmxcsr %0" : "=m"(v));
	return cpu_mem_write(c, i->seg, insn_offset(c, i), &v, sizeof v);
}

enum cpu_step fp_vzero(struct vcpu *c, const struct insn *i)
{
	bool all = i->mnemonic == ZYDIS_MNEMONIC_VZEROALL;

	fp_leave(c);
	for (unsigned n = 0; n < (i->mode == 8 ? 16 : 8); n++) {
		uint64_t v[4];
		fp_vector_get(c, n, v);
		if (all)
			v[0] = v[1] = 0;
		fp_vector_put(c, n, v, 16);
	}
	return CPU_DONE;
}

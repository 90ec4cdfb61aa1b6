/* SYSCALL, SYSRET, SYSENTER, SYSEXIT. SDM Vol. 2B, Operation of each. */
#include "cpu/desc.h"
#include "cpu/far.h"
#include "cpu/insn_table.h"
#include "cpu/model.h"

enum { FLAT_CODE = 0xa09b, FLAT_CODE32 = 0xc09b, FLAT_DATA = 0xc093 };

static void load_flat(struct vcpu *c, uint16_t cs_sel, uint32_t cs_ar, uint16_t ss_sel, unsigned cpl)
{
	uint32_t dpl = cpl << AR_DPL_SHIFT;
	struct seg cs = {.sel = cs_sel, .limit = 0xffffffff, .ar = cs_ar | dpl};
	struct seg ss = {.sel = ss_sel, .limit = 0xffffffff, .ar = FLAT_DATA | dpl};

	cpl_set(c, cpl);
	seg_set(c, SEG_CS, &cs);
	seg_set(c, SEG_SS, &ss);
}

/* Intel's parts know SYSCALL in 64-bit mode alone; AMD's in compatibility mode
 * too, through CSTAR. */
static bool amd(const struct vcpu *c)
{
	return c->model->vendor[0] == 'A';
}

/* SYSCALL and SYSRET trap by the TF that they load. */
static void trap_by_new_tf(struct vcpu *c)
{
	if (c->rflags & FLAG_TF) {
		c->pending_db |= 0x4000;
		vcpu_pend(c, PEND_DB);
	}
}

enum cpu_step sys_syscall(struct vcpu *c, const struct insn *i)
{
	uint16_t sel = (uint16_t)(c->msr.star >> 32) & 0xfffc;
	bool wide = cpu_64bit(c);

	(void)i;
	if (!(c->msr.efer & EFER_SCE) || (!wide && !(amd(c) && cpu_long_mode(c))))
		return cpu_raise(c, VEC_UD);
	c->gpr[RCX] = c->next_rip;
	c->gpr[R11] = c->rflags & ~(uint64_t)FLAG_RF;
	load_flat(c, sel, FLAT_CODE, sel + 8, 0);
	flags_write(c, c->rflags & ~c->msr.fmask, c->msr.fmask | FLAG_RF | FLAG_VM);
	c->rflags &= ~(uint64_t)FLAG_RF;
	trap_by_new_tf(c);
	c->next_rip = wide ? c->msr.lstar : c->msr.cstar;
	return CPU_DONE;
}

enum cpu_step sys_sysret(struct vcpu *c, const struct insn *i)
{
	uint16_t sel = (uint16_t)(c->msr.star >> 48);
	bool wide = i->rex_w;

	if (!(c->msr.efer & EFER_SCE) || (!cpu_64bit(c) && !(amd(c) && cpu_long_mode(c))))
		return cpu_raise(c, VEC_UD);
	if (c->cpl != 0 || (wide && !canonical(c->gpr[RCX])))
		return cpu_raise_error(c, VEC_GP, 0);
	if (wide)
		load_flat(c, (uint16_t)((sel + 16) | 3), FLAT_CODE, (uint16_t)((sel + 8) | 3), 3);
	else
		load_flat(c, sel | 3, FLAT_CODE32, (uint16_t)((sel + 8) | 3), 3);
	flags_write(c, c->gpr[R11], 0x3c7fd7);
	trap_by_new_tf(c);
	c->next_rip = wide ? c->gpr[RCX] : (uint32_t)c->gpr[RCX];
	return CPU_DONE;
}

enum cpu_step sys_sysenter(struct vcpu *c, const struct insn *i)
{
	uint16_t sel = (uint16_t)c->msr.sysenter_cs & 0xfffc;
	bool lm = cpu_long_mode(c);

	(void)i;
	if (cpu_real(c) || !sel)
		return cpu_raise_error(c, VEC_GP, 0);
	flags_write(c, 0, FLAG_VM | FLAG_IF | FLAG_RF);
	load_flat(c, sel, lm ? FLAT_CODE : FLAT_CODE32, sel + 8, 0);
	c->gpr[RSP] = lm ? c->msr.sysenter_esp : (uint32_t)c->msr.sysenter_esp;
	c->next_rip = lm ? c->msr.sysenter_eip : (uint32_t)c->msr.sysenter_eip;
	return CPU_DONE;
}

enum cpu_step sys_sysexit(struct vcpu *c, const struct insn *i)
{
	uint16_t sel = (uint16_t)c->msr.sysenter_cs & 0xfffc;
	bool wide = i->rex_w;

	if (cpu_real(c) || !sel || c->cpl != 0)
		return cpu_raise_error(c, VEC_GP, 0);
	if (wide && (!canonical(c->gpr[RCX]) || !canonical(c->gpr[RDX])))
		return cpu_raise_error(c, VEC_GP, 0);
	sel += wide ? 32 : 16;
	load_flat(c, sel | 3, wide ? FLAT_CODE : FLAT_CODE32, (uint16_t)((sel + 8) | 3), 3);
	c->next_rip = wide ? c->gpr[RDX] : (uint32_t)c->gpr[RDX];
	c->gpr[RSP] = wide ? c->gpr[RCX] : (uint32_t)c->gpr[RCX];
	return CPU_DONE;
}

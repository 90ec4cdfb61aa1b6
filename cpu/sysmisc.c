/* HLT, PAUSE, MONITOR and MWAIT, time, random numbers, RDPMC, invalidation,
 * FS/GS bases, protection keys, CLAC and STAC, and what VMX answers. */
#include "base/phys.h"
#include "cpu/desc.h"
#include "cpu/engine.h"
#include "cpu/fp.h"
#include "cpu/insn_table.h"
#include "cpu/mem.h"
#include "cpu/model.h"
#include "cpu/pmu.h"
#include "cpu/tsc.h"

enum cpu_step sys_hlt(struct vcpu *c, const struct insn *i)
{
	CPU_TRY(cpu_intercepted(c, EV_HLT, i, 0));
	c->activity = ACTIVITY_HLT;
	c->leave = LEAVE_HALT;
	return CPU_LEAVE;
}

enum cpu_step sys_pause(struct vcpu *c, const struct insn *i)
{
	CPU_TRY(cpu_intercepted(c, EV_PAUSE, i, 0));
	if (engine_alone(c))
		return CPU_DONE;
	c->leave = LEAVE_YIELD;
	return CPU_LEAVE;
}

#define MONITOR_LINE 64u

static uint64_t line_sum(const struct vcpu *c)
{
	uint64_t words[MONITOR_LINE / 8], sum = 0;

	if (!phys_read(c->phys, hpa(c->monitor.v), words, sizeof(words)))
		return 0;
	for (unsigned n = 0; n < MONITOR_LINE / 8; n++)
		sum = (sum ^ words[n]) * UINT64_C(0x9e3779b97f4a7c15) + n;
	return sum;
}

bool vcpu_monitor_hit(const struct vcpu *c)
{
	return c->monitor.v == UINT64_MAX || line_sum(c) != c->monitor_sum;
}

enum cpu_step sys_monitor(struct vcpu *c, const struct insn *i)
{
	uint64_t off = c->gpr[RAX];
	struct gva at;
	struct hpa page;
	uint8_t byte;
	bool writable;

	if (c->cpl != 0 || cpu_v86(c))
		return cpu_raise(c, VEC_UD);
	if ((uint32_t)c->gpr[RCX])
		return cpu_raise_error(c, VEC_GP, 0);
	if (i->addrsize != 8)
		off &= i->addrsize == 4 ? 0xffffffff : 0xffff;
	CPU_TRY(cpu_intercepted(c, EV_MONITOR, i, 0));
	CPU_TRY(cpu_mem_read(c, i->seg, off, &byte, 1));
	CPU_TRY(cpu_linear(c, i->seg, off, 1, false, &at));
	fp_leave(c); /* line_sum reads through base/ */
	c->monitor = gpa(UINT64_MAX);
	if (engine_tlb_peek(c, at, &page, &writable)) {
		c->monitor = gpa(page.v | (at.v & (PAGE_SIZE - MONITOR_LINE)));
		c->monitor_sum = line_sum(c);
	}
	return CPU_DONE;
}

enum cpu_step sys_mwait(struct vcpu *c, const struct insn *i)
{
	if (c->cpl != 0 || cpu_v86(c))
		return cpu_raise(c, VEC_UD);
	if ((uint32_t)c->gpr[RCX] > 1)
		return cpu_raise_error(c, VEC_GP, 0);
	CPU_TRY(cpu_intercepted(c, EV_MWAIT, i, c->monitor.v != UINT64_MAX));
	fp_leave(c);
	/* Not armed, or written since: a NOP. */
	if (vcpu_monitor_hit(c)) {
		c->monitor = gpa(UINT64_MAX);
		return CPU_DONE;
	}
	c->mwait_intr = c->gpr[RCX] & 1;
	c->activity = ACTIVITY_MWAIT;
	c->leave = LEAVE_HALT;
	return CPU_LEAVE;
}

static enum cpu_step time_allowed(struct vcpu *c)
{
	if ((c->cr4 & CR4_TSD) && c->cpl > 0)
		return cpu_raise_error(c, VEC_GP, 0);
	return CPU_DONE;
}

static void put_tsc(struct vcpu *c)
{
	uint64_t t = tsc_read(c);

	c->gpr[RAX] = (uint32_t)t;
	c->gpr[RDX] = t >> 32;
}

enum cpu_step sys_rdtsc(struct vcpu *c, const struct insn *i)
{
	CPU_TRY(time_allowed(c));
	CPU_TRY(cpu_intercepted(c, EV_RDTSC, i, 0));
	put_tsc(c);
	return CPU_DONE;
}

enum cpu_step sys_rdtscp(struct vcpu *c, const struct insn *i)
{
	CPU_TRY(time_allowed(c));
	CPU_TRY(cpu_intercepted(c, EV_RDTSCP, i, 0));
	put_tsc(c);
	c->gpr[RCX] = (uint32_t)c->msr.tsc_aux;
	return CPU_DONE;
}

enum cpu_step sys_rdpid(struct vcpu *c, const struct insn *i)
{
	CPU_TRY(cpu_intercepted(c, EV_RDPID, i, 0));
	gpr_write(c, &i->op[0], (uint32_t)c->msr.tsc_aux);
	return CPU_DONE;
}

enum cpu_step sys_rdpmc(struct vcpu *c, const struct insn *i)
{
	uint64_t v;

	if (!(c->cr4 & CR4_PCE) && c->cpl > 0)
		return cpu_raise_error(c, VEC_GP, 0);
	CPU_TRY(cpu_intercepted(c, EV_RDPMC, i, 0));
	if (!pmu_rdpmc(c, (uint32_t)c->gpr[RCX], &v))
		return cpu_raise_error(c, VEC_GP, 0);
	c->gpr[RAX] = (uint32_t)v;
	c->gpr[RDX] = v >> 32;
	return CPU_DONE;
}

/* splitmix64: the sequence is part of the machine's state. */
static uint64_t next_random(struct vcpu *c)
{
	uint64_t z = c->rng += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static enum cpu_step random(struct vcpu *c, const struct insn *i, enum cpu_event ev)
{
	CPU_TRY(cpu_intercepted(c, ev, i, 0));
	gpr_write(c, &i->op[0], next_random(c));
	c->rflags = (c->rflags & ~(uint64_t)FLAGS_ARITH) | FLAG_CF;
	return CPU_DONE;
}

enum cpu_step sys_rdrand(struct vcpu *c, const struct insn *i)
{
	return random(c, i, EV_RDRAND);
}

enum cpu_step sys_rdseed(struct vcpu *c, const struct insn *i)
{
	return random(c, i, EV_RDSEED);
}

enum cpu_step sys_invd(struct vcpu *c, const struct insn *i)
{
	return cpu_intercepted(c, EV_INVD, i, 0);
}

enum cpu_step sys_wbinvd(struct vcpu *c, const struct insn *i)
{
	return cpu_intercepted(c, EV_WBINVD, i, 0);
}

enum cpu_step sys_invlpg(struct vcpu *c, const struct insn *i)
{
	uint64_t at = insn_offset(c, i) + c->seg_base[i->seg];

	if (!cpu_64bit(c))
		at &= 0xffffffff;
	CPU_TRY(cpu_intercepted(c, EV_INVLPG, i, at));
	if (canonical(at))
		tlb_flush_page(c, gva(at));
	return CPU_DONE;
}

enum cpu_step sys_invpcid(struct vcpu *c, const struct insn *i)
{
	uint64_t type = gpr_read(c, &i->op[0]), d[2], off = insn_offset(c, i);

	if (cpu_v86(c))
		return cpu_raise_error(c, VEC_GP, 0);
	CPU_TRY(cpu_intercepted(c, EV_INVPCID, i, off));
	CPU_TRY(cpu_mem_read(c, i->seg, off, d, 16));
	if (type > 3 || (type < 2 && d[0] >> 12) ||
		(type < 2 && !(c->cr4 & CR4_PCIDE) && d[0]) || (type == 0 && !canonical(d[1])))
		return cpu_raise_error(c, VEC_GP, 0);
	switch (type) {
	case 0:
		tlb_flush_pcid_page(c, (unsigned)d[0], gva(d[1]));
		break;
	case 1:
		tlb_flush_pcid(c, (unsigned)d[0]);
		break;
	case 2:
		tlb_flush_all(c);
		break;
	default:
		tlb_flush_non_global(c);
		break;
	}
	return CPU_DONE;
}

enum cpu_step sys_swapgs(struct vcpu *c, const struct insn *i)
{
	uint64_t base = c->seg[SEG_GS].base;

	(void)i;
	fp_settle(c);
	c->seg[SEG_GS].base = c->seg_base[SEG_GS] = c->msr.kernel_gs_base;
	c->msr.kernel_gs_base = base;
	return CPU_DONE;
}

static bool fsgsbase_off(const struct vcpu *c)
{
	return !(c->cr4 & CR4_FSGSBASE);
}

static enum cpu_step read_base(struct vcpu *c, const struct insn *i, enum seg_reg r)
{
	if (fsgsbase_off(c))
		return cpu_raise(c, VEC_UD);
	gpr_write(c, &i->op[0], c->seg[r].base);
	return CPU_DONE;
}

static enum cpu_step write_base(struct vcpu *c, const struct insn *i, enum seg_reg r)
{
	uint64_t v = gpr_read(c, &i->op[0]);

	if (fsgsbase_off(c))
		return cpu_raise(c, VEC_UD);
	if (!canonical(v))
		return cpu_raise_error(c, VEC_GP, 0);
	fp_settle(c);
	c->seg[r].base = c->seg_base[r] = v;
	return CPU_DONE;
}

enum cpu_step sys_rdfsbase(struct vcpu *c, const struct insn *i)
{
	return read_base(c, i, SEG_FS);
}

enum cpu_step sys_rdgsbase(struct vcpu *c, const struct insn *i)
{
	return read_base(c, i, SEG_GS);
}

enum cpu_step sys_wrfsbase(struct vcpu *c, const struct insn *i)
{
	return write_base(c, i, SEG_FS);
}

enum cpu_step sys_wrgsbase(struct vcpu *c, const struct insn *i)
{
	return write_base(c, i, SEG_GS);
}

enum cpu_step sys_rdpkru(struct vcpu *c, const struct insn *i)
{
	(void)i;
	if (!(c->cr4 & CR4_PKE))
		return cpu_raise(c, VEC_UD);
	if ((uint32_t)c->gpr[RCX])
		return cpu_raise_error(c, VEC_GP, 0);
	c->gpr[RAX] = c->pkru;
	c->gpr[RDX] = 0;
	return CPU_DONE;
}

enum cpu_step sys_wrpkru(struct vcpu *c, const struct insn *i)
{
	(void)i;
	if (!(c->cr4 & CR4_PKE))
		return cpu_raise(c, VEC_UD);
	if ((uint32_t)c->gpr[RCX] || (uint32_t)c->gpr[RDX])
		return cpu_raise_error(c, VEC_GP, 0);
	c->pkru = (uint32_t)c->gpr[RAX];
	c->mode_changed = true;
	return CPU_DONE;
}

static enum cpu_step set_ac(struct vcpu *c, bool on)
{
	if (c->cpl != 0 || cpu_v86(c))
		return cpu_raise(c, VEC_UD);
	c->rflags = (c->rflags & ~(uint64_t)FLAG_AC) | (on ? FLAG_AC : 0);
	c->mode_changed = true;
	return CPU_DONE;
}

enum cpu_step sys_clac(struct vcpu *c, const struct insn *i)
{
	(void)i;
	return set_ac(c, false);
}

enum cpu_step sys_stac(struct vcpu *c, const struct insn *i)
{
	(void)i;
	return set_ac(c, true);
}

/* VMX instructions exist once somebody virtualises the processor; VMXON in its
 * turn looks at CR4.VMXE first of all. */
enum cpu_step sys_vmx(struct vcpu *c, const struct insn *i)
{
	if (!c->hooks || !c->hooks->vmx_insn || !(c->cr4 & CR4_VMXE))
		return cpu_raise(c, VEC_UD);
	return c->hooks->vmx_insn(c, i);
}

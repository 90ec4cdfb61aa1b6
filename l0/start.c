#include "l0/start.h"

#include "cpu/model.h"
#include "cpu/vcpu.h"
#include "machine/load.h"
#include "machine/machine.h"

#include <string.h>

void start_firmware(struct vcpu *c, const struct machine *m)
{
	struct machine_mtrr mtrr;
	machine_mtrrs(m, c->model->phys_bits, &mtrr);
	c->mtrr.def_type = mtrr.def_type;
	memcpy(c->mtrr.fixed, mtrr.fixed, sizeof(mtrr.fixed));
	c->mtrr.base[0] = mtrr.base;
	c->mtrr.mask[0] = mtrr.mask;
}

static void flat(struct seg *s, uint16_t sel, uint32_t ar)
{
	*s = (struct seg){.base = 0, .limit = 0xffffffff, .ar = ar, .sel = sel};
}

static void flat_segments(struct vcpu *c, const struct load_entry *en)
{
	const uint32_t data = AR_P | AR_S | AR_G | AR_DB | AR_WRITE | AR_ACCESSED;
	uint32_t code = AR_P | AR_S | AR_G | AR_CODE | AR_READ | AR_ACCESSED;
	code |= en->mode == LOAD_LONG ? AR_L : AR_DB;
	for (unsigned i = SEG_ES; i <= SEG_GS; i++)
		flat(&c->seg[i], en->ds, data);
	flat(&c->seg[SEG_CS], en->cs, code);
	c->gdtr.base = en->gdt_base;
	c->gdtr.limit = en->gdt_limit;
	c->idtr.base = 0;
	c->idtr.limit = 0;
}

static void real_segments(struct vcpu *c, uint16_t cs)
{
	for (unsigned i = SEG_ES; i <= SEG_GS; i++) {
		c->seg[i].sel = i == SEG_CS ? cs : 0;
		c->seg[i].base = (uint64_t)c->seg[i].sel << 4;
		c->seg[i].limit = 0xffff;
	}
	c->idtr.base = 0;
	c->idtr.limit = 0x3ff;
}

void start_entry(struct vcpu *c, const struct load_entry *en)
{
	if (en->mode == LOAD_RESET)
		return;
	c->gpr[RAX] = en->rax;
	c->gpr[RBX] = en->rbx;
	c->gpr[RSI] = en->rsi;
	c->gpr[RSP] = en->rsp;
	c->gpr[RDX] = 0;
	c->rip = en->rip;
	c->rflags = FLAG_1;
	c->cpl = 0;
	c->cr0 = CR0_ET;
	if (en->mode == LOAD_REAL) {
		real_segments(c, en->cs);
	} else {
		flat_segments(c, en);
		c->cr0 |= CR0_PE;
	}
	if (en->mode == LOAD_LONG) {
		c->cr3 = en->cr3;
		c->cr4 |= CR4_PAE;
		c->msr.efer |= EFER_LME | EFER_LMA;
		c->cr0 |= CR0_PG | CR0_NE;
	}
	vcpu_state_changed(c);
}

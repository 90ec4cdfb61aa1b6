/* An unmasked x87 exception that pends, met by a waiting instruction: #MF, or
 * FERR# and IGNNE# while CR0.NE is clear. SDM Vol. 1 8.7.2 "MS-DOS Compatibility
 * Sub-mode". All with the state parked in c->fp.area. */
#include "cpu/engine.h"
#include "cpu/fp.h"
#include "cpu/fp_regs.h"
#include "cpu/run.h"

enum { EXCEPTIONS = 0x3f };

void fp_summarise(struct vcpu *c)
{
	uint16_t *sw = fp_word(c, FX_FSW);

	*sw &= (uint16_t) ~(FSW_ES | FSW_B);
	if (*sw & ~*fp_word(c, FX_FCW) & EXCEPTIONS)
		*sw |= FSW_ES | FSW_B;
	else
		c->fp.ferr = false;
}

bool fp_report(struct vcpu *c)
{
	if (c->fp.ferr && c->ignne)
		return true;
	if (!c->fp.ferr) {
		c->fp.ferr = true;
		clock_set(c->clock, c->clock_base + c->retired);
		irq_set(&c->ferr, false); /* nobody was told when it fell */
		irq_set(&c->ferr, true);
		engine_rearm(c);
	}
	c->activity = ACTIVITY_HLT;
	return false;
}

enum cpu_step fp_wait(struct vcpu *c)
{
	if (!(*fp_word(c, FX_FSW) & FSW_ES))
		return CPU_DONE;
	if (c->cr0 & CR0_NE)
		return cpu_raise(c, VEC_MF);
	return fp_report(c) ? CPU_DONE : CPU_AGAIN;
}

unsigned fp_hide(struct vcpu *c)
{
	uint16_t *sw = fp_word(c, FX_FSW);
	unsigned hidden = *sw & FSW_ES ? *sw & EXCEPTIONS : 0;

	if (hidden)
		*sw &= (uint16_t) ~(FSW_ES | FSW_B | EXCEPTIONS);
	return hidden;
}

void fp_show(struct vcpu *c, unsigned hidden)
{
	if (!hidden)
		return;
	fp_leave(c);
	*fp_word(c, FX_FSW) |= (uint16_t)hidden;
	fp_summarise(c);
}

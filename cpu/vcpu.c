#include "cpu/vcpu.h"

#include "base/buf.h"
#include "base/state.h"
#include "cpu/fp.h"
#include "cpu/model.h"
#include "cpu/msr.h"
#include "cpu/run.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum cpu_step cpu_raise(struct vcpu *c, enum cpu_vector vec)
{
	c->fault = (struct cpu_fault){.vector = (uint8_t)vec, .type = TYPE_HWEXC};
	return CPU_FAULT;
}

enum cpu_step cpu_raise_error(struct vcpu *c, enum cpu_vector vec, uint32_t error)
{
	c->fault = (struct cpu_fault){
		.vector = (uint8_t)vec, .type = TYPE_HWEXC, .has_error = true, .error = error};
	return CPU_FAULT;
}

enum cpu_step cpu_raise_pf(struct vcpu *c, struct gva at, uint32_t error)
{
	cpu_raise_error(c, VEC_PF, error);
	c->fault.payload = at.v;
	return CPU_FAULT;
}

void vcpu_pend(struct vcpu *c, uint32_t bits)
{
	c->pending |= bits;
	if (c->engine->shared->running != c)
		return;
	/* The next block entry goes back to the loop. */
	c->horizon -= (uint64_t)c->ic;
	c->ic = 0;
	c->engine->brk = true;
}

void vcpu_unpend(struct vcpu *c, uint32_t bits)
{
	c->pending &= ~bits;
}

void vcpu_state_changed(struct vcpu *c)
{
	c->mode_changed = true;
	for (unsigned n = 0; n < 6; n++)
		c->seg_base[n] = c->seg[n].base;
	if (cpu_64bit(c))
		c->seg_base[SEG_ES] = c->seg_base[SEG_CS] = c->seg_base[SEG_SS] =
			c->seg_base[SEG_DS] = 0;
	c->engine->mode = mode_of(c);
	tlb_select(c);
}

struct vcpu *vcpu_new(const struct vcpu_config *cfg)
{
	struct engine_shared *s = cfg->engine;
	struct vcpu *c = aligned_alloc(64, (sizeof(*c) + 63) & ~(size_t)63);
	assert(c && s->vcpus < sizeof(s->vcpu) / sizeof(s->vcpu[0]));
	memset(c, 0, sizeof(*c));
	c->id = cfg->id;
	c->clock = cfg->clock;
	c->bus = cfg->bus;
	c->phys = cfg->phys;
	c->log = cfg->log;
	c->model = cfg->model;
	c->engine = xalloc(sizeof(*c->engine));
	c->engine->shared = s;
	c->engine->pool = tlb_pool_new();
	s->vcpu[s->vcpus++] = c;
	c->rng = 0x9e3779b97f4a7c15 * (cfg->id + 1);
	c->monitor = gpa(UINT64_MAX);
	vcpu_reset(c, false);
	return c;
}

void vcpu_free(struct vcpu *c)
{
	if (!c)
		return;
	struct engine_shared *s = c->engine->shared;
	for (unsigned v = 0; v < s->vcpus; v++)
		if (s->vcpu[v] == c) {
			s->vcpu[v] = s->vcpu[--s->vcpus];
			break;
		}
	tlb_pool_free(c->engine->pool);
	free(c->engine);
	free(c);
}

static void reset_segments(struct vcpu *c)
{
	for (unsigned n = 0; n < 6; n++)
		c->seg[n] = (struct seg){
			.limit = 0xffff, .ar = AR_P | AR_S | AR_WRITE | AR_ACCESSED};
	c->seg[SEG_CS].sel = 0xf000;
	c->seg[SEG_CS].base = 0xffff0000;
	c->seg[SEG_CS].ar |= AR_CODE;
	c->seg[SEG_LDTR] = (struct seg){.limit = 0xffff, .ar = AR_P | 2};
	c->seg[SEG_TR] = (struct seg){.limit = 0xffff, .ar = AR_P | 11};
	c->gdtr = c->idtr = (struct desc_table){0, 0xffff};
}

static void reset_msrs(struct vcpu *c)
{
	memset(&c->msr, 0, sizeof(c->msr));
	memset(&c->mtrr, 0, sizeof(c->mtrr));
	memset(&c->pmu, 0, sizeof(c->pmu));
	msr_reset(c);
	c->pmu.global_ctrl = c->model && cpu_has(c->model, FEAT_PMU) ? 0xf : 0;
	c->pmu.base_retired = c->retired;
}

void vcpu_reset(struct vcpu *c, bool init)
{
	uint64_t cr0 = c->cr0;
	for (unsigned r = 0; r < GPR_COUNT; r++)
		c->gpr[r] = 0;
	if (c->model)
		c->gpr[RDX] = (uint64_t)(c->model->family & 0xf) << 8 |
			(c->model->model & 0xfu) << 4 | (c->model->model >> 4 & 0xfu) << 16 |
			(c->model->stepping & 0xfu);
	c->rip = 0xfff0;
	c->rflags = FLAG_1;
	c->lazy[3] = 0;
	reset_segments(c);
	c->cr0 = CR0_ET | CR0_CD | CR0_NW;
	if (init)
		c->cr0 = CR0_ET | (cr0 & (CR0_CD | CR0_NW));
	c->cr2 = c->cr3 = c->cr4 = 0;
	c->dr[0] = c->dr[1] = c->dr[2] = c->dr[3] = 0;
	c->dr6 = 0xffff0ff0;
	c->dr7 = 0x400;
	c->msr.efer = 0;
	if (!init) {
		reset_msrs(c);
		c->xcr0 = 1;
		c->pkru = 0;
	}
	c->cpl = 0;
	c->activity = ACTIVITY_ACTIVE;
	c->sti_shadow = c->movss_shadow = c->nmi_blocked = c->smm_blocked = false;
	c->pending_db = 0;
	c->pending &= PEND_INTR; /* the pin's level, not state of the processor */
	c->delivering = false;
	c->monitor = gpa(UINT64_MAX);
	fp_reset(c, init);
	engine_debug_changed(c);
	vcpu_state_changed(c);
	tlb_flush_everything(c);
}

/* What ends the shutdown state besides INIT, SDM Vol. 3C 26.7.2 "Activity State",
 * 25.5.1 "VMX-Preemption Timer"; the window is that of NMIs, 26.7.6 "NMI-Window
 * Exiting". */
#define ENDS_SHUTDOWN ((uint32_t)(PEND_NMI | PEND_TIMER | PEND_WINDOWS))

bool vcpu_may_run(const struct vcpu *c)
{
	const uint32_t always = PEND_INIT | PEND_SIPI | PEND_RESET | PEND_STOP;

	if (c->pending & always || c->activity == ACTIVITY_ACTIVE)
		return true;
	if (c->activity == ACTIVITY_WAIT_SIPI)
		return false;
	if (c->activity == ACTIVITY_SHUTDOWN)
		return c->pending & ENDS_SHUTDOWN;
	return c->pending & ~(uint32_t)PEND_INTR ||
		(c->pending && (c->rflags & FLAG_IF || c->nonroot.on));
}

/* --- pins */

static void pin_intr(void *cpu, bool level)
{
	if (level)
		vcpu_pend(cpu, PEND_INTR);
	else
		vcpu_unpend(cpu, PEND_INTR);
}

static void pin_nmi(void *cpu)
{
	vcpu_pend(cpu, PEND_NMI);
}

static void pin_init(void *cpu)
{
	vcpu_pend(cpu, PEND_INIT);
}

static void pin_ignne(void *cpu, bool level)
{
	((struct vcpu *)cpu)->ignne = level;
}

static void pin_sipi(void *cpu, uint8_t vector)
{
	struct vcpu *c = cpu;
	c->sipi_vector = vector;
	vcpu_pend(c, PEND_SIPI);
}

struct cpu_pins vcpu_pins(struct vcpu *c)
{
	return (struct cpu_pins){c, pin_intr, pin_nmi, pin_init, pin_sipi, pin_ignne};
}

/* --- state */

static void seg_state(struct seg *s, struct state *st)
{
	state_u64(st, &s->base);
	state_u32(st, &s->limit);
	state_u32(st, &s->ar);
	state_u16(st, &s->sel);
}

static void words_state(uint64_t *w, size_t n, struct state *st)
{
	for (size_t k = 0; k < n; k++)
		state_u64(st, &w[k]);
}

static void fault_state(struct cpu_fault *f, struct state *s)
{
	state_u8(s, &f->vector);
	state_u8(s, &f->type);
	state_bool(s, &f->has_error);
	state_u32(s, &f->error);
	state_u64(s, &f->payload);
	state_u8(s, &f->insn_len);
}

static void nonroot_state(struct cpu_nonroot *n, struct state *s)
{
	state_bool(s, &n->on);
	state_u64(s, &n->cr0_mask);
	state_u64(s, &n->cr0_shadow);
	state_u64(s, &n->cr4_mask);
	state_u64(s, &n->cr4_shadow);
	state_u64(s, &n->tsc_offset);
	state_u64(s, &n->tsc_multiplier);
	/* how the hypervisor maps memory is nothing that the guest can tell */
	if (state_bookkeeping(s)) {
		state_bool(s, &n->ept);
		state_u64(s, &n->eptp);
		state_bool(s, &n->mbec);
		state_bool(s, &n->pml);
		state_bool(s, &n->unrestricted);
		state_u16(s, &n->vpid);
	}
	state_u64(s, &n->apic_access.v);
	state_u8(s, &n->nmi_mask_by_virtual);
}

static void flags_state(struct vcpu *c, struct state *s)
{
	uint8_t activity = (uint8_t)c->activity;
	state_u8(s, &c->cpl);
	state_u8(s, &activity);
	if (activity > ACTIVITY_MWAIT)
		state_fail(s, "vCPU %u: activity state %u does not exist", c->id, activity);
	else
		c->activity = activity;
	state_bool(s, &c->sti_shadow);
	state_bool(s, &c->movss_shadow);
	state_bool(s, &c->nmi_blocked);
	state_bool(s, &c->smm_blocked);
	state_u32(s, &c->pending);
	state_u64(s, &c->pending_db);
	state_u8(s, &c->sipi_vector);
	state_bool(s, &c->ignne);
	state_u64(s, &c->monitor.v);
	state_u64(s, &c->monitor_sum);
	state_bool(s, &c->mwait_intr);
	state_u64(s, &c->rng);
}

void vcpu_state(struct vcpu *c, struct state *s)
{
	state_section(s, "vcpu", 2);
	flags_sync(c);
	words_state(c->gpr, GPR_COUNT, s);
	state_u64(s, &c->rip);
	state_u64(s, &c->rflags);
	for (unsigned n = 0; n < SEG_COUNT; n++)
		seg_state(&c->seg[n], s);
	state_u64(s, &c->gdtr.base);
	state_u16(s, &c->gdtr.limit);
	state_u64(s, &c->idtr.base);
	state_u16(s, &c->idtr.limit);
	state_u64(s, &c->cr0);
	state_u64(s, &c->cr2);
	state_u64(s, &c->cr3);
	state_u64(s, &c->cr4);
	state_u64(s, &c->xcr0);
	words_state(c->dr, 4, s);
	state_u64(s, &c->dr6);
	state_u64(s, &c->dr7);
	state_u32(s, &c->pkru);
	words_state(c->pdpte, 4, s);
	words_state((uint64_t *)(void *)&c->msr, sizeof(c->msr) / 8, s);
	words_state((uint64_t *)(void *)&c->mtrr, sizeof(c->mtrr) / 8, s);
	words_state((uint64_t *)(void *)&c->pmu, sizeof(c->pmu) / 8, s);
	fp_state(c, s);
	flags_state(c, s);
	nonroot_state(&c->nonroot, s);
	if (state_bookkeeping(s)) { /* what the last event left; the next one sets them anew */
		fault_state(&c->fault, s);
		fault_state(&c->vectoring, s);
	}
	state_bool(s, &c->delivering);
	state_u64(s, &c->retired);
	if (state_mode(s) == STATE_LOAD && state_ok(s)) {
		engine_debug_changed(c);
		vcpu_state_changed(c);
		tlb_flush_everything(c);
	}
}

_Static_assert(sizeof(struct cpu_msrs) % 8 == 0 && sizeof(struct cpu_mtrr) % 8 == 0 &&
		sizeof(struct cpu_pmu) % 8 == 0,
	"saved as 64-bit words");

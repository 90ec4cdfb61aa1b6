/* A processor with 16 MiB of RAM and no devices, for tests: 64-bit mode with
 * identity paging by 2 MiB pages (supervisor and user), flat segments, and an
 * IDT whose 32 gates lead to HLTs at BARE_TRAPS + 16 * vector. */
#ifndef TESTS_BARE_CPU_H
#define TESTS_BARE_CPU_H

#include "base/bus.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/phys.h"
#include "cpu/engine.h"
#include "cpu/fp.h"
#include "cpu/model.h"

#include <assert.h>
#include <string.h>

#define BARE_RAM    (UINT64_C(16) << 20)
#define BARE_TABLES UINT64_C(0x1000) /* PML4, PDPT, PD */
#define BARE_GDT    UINT64_C(0x5000)
#define BARE_IDT    UINT64_C(0x6000)
#define BARE_TRAPS  UINT64_C(0x8000)
#define BARE_STACK  UINT64_C(0x200000)
#define BARE_CODE   UINT64_C(0x100000)

struct bare {
	struct clock clock;
	struct phys phys;
	struct bus bus;
	struct log *log;
	struct cpu_model model;
	struct engine_shared *engine;
	struct vcpu *c;
};

static inline void bare_put64(struct bare *b, uint64_t at, uint64_t v)
{
	phys_write(&b->phys, hpa(at), &v, 8);
}

static inline void bare_long_mode(struct bare *b)
{
	struct vcpu *c = b->c;
	bare_put64(b, BARE_TABLES, (BARE_TABLES + 0x1000) | 7);
	bare_put64(b, BARE_TABLES + 0x1000, (BARE_TABLES + 0x2000) | 7);
	for (uint64_t n = 0; n < BARE_RAM >> 21; n++)
		bare_put64(b, BARE_TABLES + 0x2000 + 8 * n, n << 21 | 0x87);
	bare_put64(b, BARE_GDT + 8, UINT64_C(0x00af9b000000ffff));
	bare_put64(b, BARE_GDT + 16, UINT64_C(0x00cf93000000ffff));
	for (uint64_t v = 0; v < 32; v++) {
		uint64_t h = BARE_TRAPS + 16 * v;
		bare_put64(b, BARE_IDT + 16 * v,
			(h & 0xffff) | 8 << 16 | UINT64_C(0x8e00) << 32 | (h >> 16 & 0xffff) << 48);
		bare_put64(b, h, UINT64_C(0x90909090909090f4));
	}
	for (unsigned n = 0; n < 6; n++)
		c->seg[n] = (struct seg){.limit = UINT32_MAX, .ar = 0xc093, .sel = 16};
	c->seg[SEG_CS] = (struct seg){.limit = UINT32_MAX, .ar = 0xa09b, .sel = 8};
	c->gdtr = (struct desc_table){BARE_GDT, 23};
	c->idtr = (struct desc_table){BARE_IDT, 511};
	c->cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_NE | CR0_WP | CR0_MP;
	c->cr3 = BARE_TABLES;
	c->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
	c->xcr0 = 7;
	c->msr.efer = EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
	c->gpr[RSP] = BARE_STACK;
	c->rip = BARE_CODE;
	vcpu_state_changed(c);
}

static inline void bare_init(struct bare *b)
{
	struct err e = {0};
	memset(b, 0, sizeof(*b));
	clock_init(&b->clock);
	phys_init(&b->phys);
	b->log = log_new(64);
	assert(cpu_model_parse(&b->model, NULL, &e));
	assert(phys_add(&b->phys, PHYS_RAM, hpa(0), BARE_RAM, "ram", &e));
	b->engine = engine_shared_new(&b->phys, &b->bus);
	b->c = vcpu_new(&(struct vcpu_config){.clock = &b->clock,
		.bus = &b->bus,
		.phys = &b->phys,
		.log = b->log,
		.model = &b->model,
		.engine = b->engine});
	bare_long_mode(b);
}

static inline void bare_done(struct bare *b)
{
	vcpu_free(b->c);
	engine_shared_free(b->engine);
	phys_done(&b->phys);
	log_free(b->log);
}

static inline void bare_code(struct bare *b, const void *code, size_t n)
{
	phys_write(&b->phys, hpa(BARE_CODE), code, n);
	b->c->rip = BARE_CODE;
	b->c->activity = ACTIVITY_ACTIVE;
}

#endif

/* A guest for tests of x87 and SIMD: one vCPU with paging on, two data pages
 * that do not lie side by side in physical memory, a page of code, and an IDT
 * whose vector n leads to an endless loop at PADS + 16 n.
 */
#ifndef TESTS_UNIT_FP_GUEST_H
#define TESTS_UNIT_FP_GUEST_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bus.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/phys.h"
#include "cpu/engine.h"
#include "cpu/fp.h"
#include "cpu/model.h"

#define DATA 0x10000000u /* two pages; none before, none after */
#define CODE 0x20000000u
#define PADS (CODE + 0x1000)

static struct phys phys;
static struct bus bus;
static struct clock guest_clock;
static struct vcpu *cpu;
static uint8_t *guest_data[2];

static inline uint8_t *ram(uint64_t at)
{
	uint8_t *host;
	struct phys_page *page;
	enum phys_kind kind;
	if (!phys_page_at(&phys, hpa(at), &host, &page, &kind))
		abort();
	return (uint8_t *)((uintptr_t)host & PAGE_MASK) + at % PAGE_SIZE;
}

static inline void poke(uint64_t at, uint64_t v)
{
	*(uint64_t *)ram(at) = v;
}

static inline void page_tables(void)
{
	poke(0x1000, 0x2007);
	poke(0x2000, 0x3007);
	poke(0x3000 + 8 * (DATA >> 21), 0x4007);
	poke(0x3000 + 8 * (CODE >> 21), 0x5007);
	poke(0x4000, 0x20007);
	poke(0x4008, 0x30007); /* not beside the first */
	for (unsigned n = 0; n < 5; n++)
		poke(0x5000 + 8 * n, 0x40007 + 0x1000 * n);
}

/* Vectors lead to endless loops at PADS; interrupt gates, code segment 8. */
static inline void tables(void)
{
	for (unsigned v = 0; v < 32; v++) {
		uint64_t to = PADS + 16 * v;
		poke(0x42000 + 16 * v,
			(to & 0xffff) | 8 << 16 | 0x8e00ull << 32 | (to >> 16) << 48);
		poke(0x42008 + 16 * v, to >> 32);
		ram(0x41000 + 16 * v)[0] = 0xeb;
		ram(0x41000 + 16 * v)[1] = 0xfe;
	}
	poke(0x43008, 0x00209b0000000000);
	poke(0x43010, 0x00cf93000000ffff);
	poke(0x43018, 0x00cf9b000000ffff);
}

static inline void guest_init(void)
{
	struct err e = {0};
	static struct cpu_model model;
	phys_init(&phys);
	clock_init(&guest_clock);
	if (!phys_add(&phys, PHYS_RAM, hpa(0), 1 << 20, "ram", &e) ||
		!cpu_model_parse(&model, "icelake-server", &e) || !fp_host_init(&e)) {
		fprintf(stderr, "%s\n", e.msg);
		exit(1);
	}
	model.feature[FEAT_VAES] = model.feature[FEAT_VPCLMUL] = true;
	struct vcpu_config cfg = {.clock = &guest_clock,
		.bus = &bus,
		.phys = &phys,
		.log = log_new(64),
		.model = &model,
		.engine = engine_shared_new(&phys, &bus)};
	cpu = vcpu_new(&cfg);
	page_tables();
	tables();
	guest_data[0] = ram(0x20000);
	guest_data[1] = ram(0x30000);
}

static inline void guest_mode(struct vcpu *c, bool compat)
{
	c->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	c->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
	c->cr3 = 0x1000;
	c->msr.efer = EFER_LME | EFER_LMA | EFER_NXE;
	c->xcr0 = 7;
	c->gdtr = (struct desc_table){CODE + 0x3000, 0x1f};
	c->idtr = (struct desc_table){CODE + 0x2000, 0x1ff};
	for (unsigned n = 0; n < 6; n++)
		c->seg[n] = (struct seg){.limit = UINT32_MAX, .ar = 0xc093, .sel = 0x10};
	c->seg[SEG_CS].ar = compat ? 0xc09b : 0xa09b;
	c->seg[SEG_CS].sel = compat ? 0x18 : 8;
	c->cpl = 0;
	c->activity = ACTIVITY_ACTIVE;
	c->pending = 0;
	vcpu_state_changed(c);
}

/* Runs one instruction at CODE; the vector that it raised, or -1. */
static inline int guest_run(struct vcpu *c, const void *code, unsigned len)
{
	vcpu_state_changed(c);
	phys_write(&phys, hpa(0x40000), code, len);
	c->gpr[RSP] = CODE + 0x5000 - 64;
	c->rip = CODE;
	engine_run(c, 1);
	if (c->rip >= PADS && c->rip < PADS + 512)
		return (int)(c->rip - PADS) / 16;
	return -1;
}

#endif

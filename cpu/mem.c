#include "cpu/mem.h"

#include "base/bus.h"
#include "cpu/fp.h"
#include "cpu/run.h"

/* --- segmentation */

static enum cpu_step seg_fault(struct vcpu *c, enum seg_reg seg)
{
	return cpu_raise_error(c, seg == SEG_SS ? VEC_SS : VEC_GP, 0);
}

static bool seg_allows(const struct vcpu *c, enum seg_reg seg, uint64_t off, unsigned size,
	bool write)
{
	const struct seg *s = &c->seg[seg];
	uint64_t last = off + size - 1;
	if (s->ar & AR_UNUSABLE)
		return false;
	if (c->cr0 & CR0_PE && !(c->rflags & FLAG_VM)) {
		if (s->ar & AR_CODE ? write || !(s->ar & AR_READ) : write && !(s->ar & AR_WRITE))
			return false;
	}
	if ((s->ar & (AR_CODE | AR_EXPAND_DOWN)) == AR_EXPAND_DOWN)
		return off > s->limit && last <= (s->ar & AR_DB ? UINT32_MAX : 0xffffu);
	/* a segment of 4 GiB has no end: accesses wrap */
	return last <= s->limit || s->limit == UINT32_MAX;
}

enum cpu_step cpu_linear(struct vcpu *c, enum seg_reg seg, uint64_t offset, unsigned size,
	bool write, struct gva *out)
{
	uint64_t at;
	if (cpu_64bit(c)) {
		at = offset + (seg == SEG_FS || seg == SEG_GS ? c->seg[seg].base : 0);
		uint64_t last = at + size - 1;
		if ((uint64_t)((int64_t)(at << 16) >> 16) != at ||
			(uint64_t)((int64_t)(last << 16) >> 16) != last)
			return seg_fault(c, seg);
	} else {
		if (!seg_allows(c, seg, offset, size, write))
			return seg_fault(c, seg);
		at = (uint32_t)(offset + c->seg[seg].base);
	}
	if (c->cpl == 3 && (c->rflags & FLAG_AC) && (c->cr0 & CR0_AM) && (size & (size - 1)) == 0 &&
		size <= 8 && (at & (size - 1)))
		return cpu_raise_error(c, VEC_AC, 0);
	*out = gva(at);
	return CPU_DONE;
}

/* --- linear memory */

/* An access of at most two pages, translated and ready. */
struct pieces {
	struct tlb_place place[2];
	unsigned size[2], n;
};

static enum cpu_step prepare(struct vcpu *c, uint64_t at, unsigned size, enum tlb_want want,
	enum cpu_access who, struct pieces *p)
{
	unsigned room = PAGE_SIZE - at % PAGE_SIZE;
	p->n = 1;
	p->size[0] = size < room ? size : room;
	enum cpu_step step = tlb_resolve(c, at, want, who, &p->place[0]);
	if (step != CPU_DONE || size <= room)
		return step;
	p->n = 2;
	p->size[1] = size - room;
	at += room;
	if (!cpu_64bit(c))
		at = (uint32_t)at;
	return tlb_resolve(c, at, want, who, &p->place[1]);
}

static void copy(uint8_t *to, const uint8_t *from, unsigned n)
{
	switch (n) {
	case 8:
		*(m64 *)to =
			*(const m64 *)from;
		return;
	case 4:
		*(m32 *)to =
			*(const m32 *)from;
		return;
	default:
		for (unsigned i = 0; i < n; i++)
			to[i] = from[i];
	}
}

/* Devices see the time of the instruction that reaches them. */
static void before_device(struct vcpu *c)
{
	fp_leave(c);
	if (c->engine->shared->running == c)
		clock_set(c->clock, c->clock_base + c->retired);
}

static unsigned device_width(unsigned size)
{
	return size >= 8 ? 8 : size >= 4 ? 4 : size >= 2 ? 2 : 1;
}

static void device_read(struct vcpu *c, struct hpa at, uint8_t *out, unsigned size)
{
	before_device(c);
	while (size) {
		unsigned w = device_width(size);
		uint64_t v = bus_mmio_read(c->bus, at, w);
		copy(out, (const uint8_t *)&v, w);
		out += w;
		at.v += w;
		size -= w;
	}
	engine_rearm(c);
}

static void device_write(struct vcpu *c, struct hpa at, const uint8_t *in, unsigned size)
{
	before_device(c);
	while (size) {
		unsigned w = device_width(size);
		uint64_t v = 0;
		copy((uint8_t *)&v, in, w);
		bus_mmio_write(c->bus, at, w, v);
		in += w;
		at.v += w;
		size -= w;
	}
	engine_rearm(c);
}

static enum cpu_step apic_page(
	struct vcpu *c, const struct tlb_place *p, uint8_t *buf, unsigned size, bool write,
	enum cpu_access who)
{
	uint64_t v = 0;
	struct cpu_apic_access a = {.gpa = p->gpa,
		.hpa = p->hpa,
		.offset = (unsigned)(p->hpa.v % PAGE_SIZE),
		.size = size,
		.write = write,
		.linear = who == ACCESS_DATA,
		.value = &v};
	if (size > 8)
		a.size = 8;
	if (write)
		copy((uint8_t *)&v, buf, a.size);
	before_device(c);
	enum cpu_step step = c->hooks->apic_access(c, &a);
	if (step == CPU_DONE && !write)
		copy(buf, (const uint8_t *)&v, a.size);
	engine_rearm(c);
	return step;
}

static bool data_view(const struct vcpu *c, enum cpu_access who)
{
	return who == ACCESS_DATA || c->tlb->flavour == TLB_SUPER;
}

static void watched(
	struct vcpu *c, uint64_t at, unsigned size, const struct pieces *p, bool write)
{
	watch_check(c, at, size, write);
	for (unsigned n = 0; n < p->n; n++)
		watch_check_physical(c, p->place[n].hpa, p->size[n], write);
}

enum cpu_step cpu_lin_read(
	struct vcpu *c, struct gva at, void *out, unsigned size, enum cpu_access who)
{
	struct pieces p;
	uint8_t *o = out;
	const uint8_t *h = data_view(c, who) ? tlb_host_read(c->tlb, at.v, size) : NULL;
	if (h) {
		copy(o, h, size);
		return CPU_DONE;
	}
	enum cpu_step step = prepare(c, at.v, size, TLB_READ, who, &p);
	if (step != CPU_DONE)
		return step;
	if (c->engine->shared->watches + c->engine->shared->debug_watches && who == ACCESS_DATA)
		watched(c, at.v, size, &p, false);
	for (unsigned n = 0; n < p.n && step == CPU_DONE; n++) {
		if (p.place[n].apic)
			step = apic_page(c, &p.place[n], o, p.size[n], false, who);
		else if (p.place[n].host)
			copy(o, p.place[n].host, p.size[n]);
		else
			device_read(c, p.place[n].hpa, o, p.size[n]);
		o += p.size[n];
	}
	return step;
}

static void store(struct vcpu *c, const struct tlb_place *p, const uint8_t *in, unsigned size)
{
	if (p->kind != PHYS_RAM)
		return; /* ROM */
	code_written(c->engine->shared, p->page, p->hpa.v, size);
	if (p->page->hooks && c->phys->hooked) {
		before_device(c);
		c->phys->hooked(c->phys->hooked_ctx, p->hpa, in, size);
		engine_rearm(c);
	}
	p->page->dirty = c->phys->generation;
	copy(p->host, in, size);
}

enum cpu_step cpu_lin_write(
	struct vcpu *c, struct gva at, const void *in, unsigned size, enum cpu_access who)
{
	struct pieces p;
	const uint8_t *i = in;
	uint8_t *h = data_view(c, who) ? tlb_host_write(c->tlb, at.v, size) : NULL;
	if (h) {
		copy(h, i, size);
		return CPU_DONE;
	}
	enum cpu_step step = prepare(c, at.v, size, TLB_WRITE, who, &p);
	if (step != CPU_DONE)
		return step;
	if (c->engine->shared->watches + c->engine->shared->debug_watches && who == ACCESS_DATA)
		watched(c, at.v, size, &p, true);
	for (unsigned n = 0; n < p.n && step == CPU_DONE; n++) {
		if (p.place[n].apic)
			step = apic_page(c, &p.place[n], (uint8_t *)(uintptr_t)i, p.size[n], true, who);
		else if (p.place[n].host)
			store(c, &p.place[n], i, p.size[n]);
		else
			device_write(c, p.place[n].hpa, i, p.size[n]);
		i += p.size[n];
	}
	return step;
}

enum cpu_step cpu_lin_probe_write(
	struct vcpu *c, struct gva at, unsigned size, enum cpu_access who)
{
	struct pieces p;
	if (data_view(c, who) && tlb_host_write(c->tlb, at.v, size))
		return CPU_DONE;
	return prepare(c, at.v, size, TLB_WRITE, who, &p);
}

/* --- operands */

enum cpu_step cpu_mem_read(
	struct vcpu *c, enum seg_reg seg, uint64_t offset, void *out, unsigned size)
{
	struct gva at;
	enum cpu_step step = cpu_linear(c, seg, offset, size, false, &at);
	return step != CPU_DONE ? step : cpu_lin_read(c, at, out, size, ACCESS_DATA);
}

enum cpu_step cpu_mem_write(
	struct vcpu *c, enum seg_reg seg, uint64_t offset, const void *in, unsigned size)
{
	struct gva at;
	enum cpu_step step = cpu_linear(c, seg, offset, size, true, &at);
	return step != CPU_DONE ? step : cpu_lin_write(c, at, in, size, ACCESS_DATA);
}

enum cpu_step cpu_mem_probe_write(struct vcpu *c, enum seg_reg seg, uint64_t offset, unsigned size)
{
	struct gva at;
	enum cpu_step step = cpu_linear(c, seg, offset, size, true, &at);
	return step != CPU_DONE ? step : cpu_lin_probe_write(c, at, size, ACCESS_DATA);
}

/* --- guest-physical */

enum cpu_step cpu_gpa_read(struct vcpu *c, struct gpa at, unsigned size, uint64_t *out)
{
	uint64_t to;
	uint8_t *host;
	struct phys_page *page;
	enum phys_kind kind;
	enum cpu_step step = tlb_gpa(c, at, false, &to);
	if (step != CPU_DONE)
		return step;
	*out = 0;
	if (phys_page_at(c->phys, hpa(to), &host, &page, &kind))
		copy((uint8_t *)out, host + to % PAGE_SIZE, size);
	else
		device_read(c, hpa(to), (uint8_t *)out, size);
	return CPU_DONE;
}

enum cpu_step cpu_gpa_write(struct vcpu *c, struct gpa at, unsigned size, uint64_t value)
{
	struct tlb_place p = {.gpa = at};
	enum cpu_step step = tlb_gpa(c, at, true, &p.hpa.v);
	if (step != CPU_DONE)
		return step;
	if (phys_page_at(c->phys, p.hpa, &p.host, &p.page, &p.kind)) {
		p.host += p.hpa.v % PAGE_SIZE;
		store(c, &p, (const uint8_t *)&value, size);
	} else {
		device_write(c, p.hpa, (const uint8_t *)&value, size);
	}
	return CPU_DONE;
}

/* machine/lapic.h, ioapic.h: registers, priorities, timer, messages between
 * two processors that only note what their pins do. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "machine/ioapic.h"
#include "machine/lapic.h"

#include <string.h>

enum { ID = 0x20, TPR = 0x80, PPR = 0xa0, EOI = 0xb0, LDR = 0xd0, DFR = 0xe0, SVR = 0xf0,
	TMR = 0x180, ESR = 0x280, ICR = 0x300, ICR2 = 0x310, LVTT = 0x320, LINT0 = 0x350,
	TMICT = 0x380, TMCCT = 0x390, TDCR = 0x3e0 };

struct fake_cpu {
	bool intr;
	unsigned nmi, init, sipi;
	uint8_t vector;
};

struct fixture {
	struct clock clock;
	struct bus bus;
	struct lapics all;
	struct ioapic io;
	struct fake_cpu cpu[3];
	unsigned current, yields;
	int pic_vector;
};

static void pin_intr(void *cpu, bool level)
{
	((struct fake_cpu *)cpu)->intr = level;
}
static void pin_nmi(void *cpu)
{
	((struct fake_cpu *)cpu)->nmi++;
}
static void pin_init(void *cpu)
{
	((struct fake_cpu *)cpu)->init++;
}
static void pin_sipi(void *cpu, uint8_t vector)
{
	((struct fake_cpu *)cpu)->sipi++;
	((struct fake_cpu *)cpu)->vector = vector;
}
static void ended(void *ctx, uint8_t vector)
{
	ioapic_eoi(&((struct fixture *)ctx)->io, vector);
}
static int pic(void *ctx)
{
	struct fixture *f = ctx;
	lapics_extint(&f->all, false);
	return f->pic_vector;
}
static void yields(void *ctx)
{
	((struct fixture *)ctx)->yields++;
}

static void mmio(struct fixture *f, unsigned reg, uint32_t v)
{
	bus_mmio_write(&f->bus, hpa(LAPIC_BASE + reg), 4, v);
}
static uint32_t mmio_get(struct fixture *f, unsigned reg)
{
	return (uint32_t)bus_mmio_read(&f->bus, hpa(LAPIC_BASE + reg), 4);
}

static struct fixture *start(void)
{
	static const struct cpu_pins pins = {NULL, pin_intr, pin_nmi, pin_init, pin_sipi, NULL};
	struct fixture *f = test_calloc(1, sizeof(*f));
	clock_init(&f->clock);
	lapics_init(&f->all,
		&(struct lapics_config){3, &f->clock, &f->bus, &f->current, ended, pic, yields, f});
	ioapic_init(&f->io, &f->bus, &f->all);
	for (unsigned i = 0; i < 3; i++) {
		f->all.cpu[i].pins = pins;
		f->all.cpu[i].pins.cpu = &f->cpu[i];
		f->current = i;
		mmio(f, SVR, 0x1ff);
	}
	f->current = 0;
	return f;
}

static int ack(struct fixture *f, unsigned i)
{
	return lapic_ops.ack(&f->all.cpu[i]);
}

static void pass(struct fixture *f, uint64_t ticks)
{
	clock_set(&f->clock, f->clock.now + ticks);
	clock_run(&f->clock);
}

static void ipi(struct fixture *f, uint32_t dest, uint32_t low)
{
	mmio(f, ICR2, dest << 24);
	mmio(f, ICR, low);
}

static void test_priorities(void **ctx)
{
	(void)ctx;
	struct fixture *f = start();
	ipi(f, 0, 0x31);
	ipi(f, 0, 0x52);
	assert_true(f->cpu[0].intr);
	assert_int_equal(ack(f, 0), 0x52);
	assert_false(f->cpu[0].intr); /* 31h is below what is in service */
	assert_int_equal(mmio_get(f, PPR), 0x50);
	ipi(f, 0, 0x61);
	assert_int_equal(ack(f, 0), 0x61);
	mmio(f, EOI, 0);
	mmio(f, EOI, 0);
	assert_true(f->cpu[0].intr);
	mmio(f, TPR, 0x30); /* class 3 masks class 3 */
	assert_false(f->cpu[0].intr);
	assert_int_equal(ack(f, 0), -1);
	lapic_ops.set_tpr(&f->all.cpu[0], 0x20);
	assert_int_equal(ack(f, 0), 0x31);
	test_free(f);
}

static void test_timer(void **ctx)
{
	(void)ctx;
	struct fixture *f = start();
	mmio(f, TDCR, 0x3); /* by 16 */
	mmio(f, LVTT, 0x40);
	mmio(f, TMICT, 100);
	pass(f, 160);
	assert_int_equal(mmio_get(f, TMCCT), 90);
	assert_int_equal(clock_next(&f->clock), 1600);
	pass(f, 1440);
	assert_int_equal(ack(f, 0), 0x40);
	assert_int_equal(mmio_get(f, TMCCT), 0);
	pass(f, 10000);
	assert_int_equal(ack(f, 0), -1);
	mmio(f, EOI, 0);

	mmio(f, TDCR, 0xb);
	mmio(f, LVTT, 0x20041); /* periodic */
	mmio(f, TMICT, 1000);
	for (int i = 0; i < 3; i++) {
		pass(f, 1000);
		assert_int_equal(ack(f, 0), 0x41);
		mmio(f, EOI, 0);
	}
	pass(f, 300);
	assert_int_equal(mmio_get(f, TMCCT), 700);
	mmio(f, LVTT, 0x41); /* one-shot: goes on from the current count */
	assert_int_equal(mmio_get(f, TMCCT), 700);
	mmio(f, LVTT, 0x10041); /* masked: counts, tells nobody */
	pass(f, 700);
	assert_int_equal(ack(f, 0), -1);
	test_free(f);
}

static void test_deadline(void **ctx)
{
	(void)ctx;
	struct fixture *f = start();
	struct lapic *l = &f->all.cpu[0];
	uint64_t v;
	assert_true(lapic_ops.wrmsr(l, 0x6e0, 500)); /* ignored: other mode */
	assert_int_equal(clock_next(&f->clock), CLOCK_NEVER);
	mmio(f, LVTT, 0x40042);
	mmio(f, TMICT, 5);
	assert_int_equal(mmio_get(f, TMCCT), 0);
	lapic_ops.wrmsr(l, 0x6e0, 500);
	assert_true(lapic_ops.rdmsr(l, 0x6e0, &v) && v == 500);
	pass(f, 499);
	assert_int_equal(ack(f, 0), -1);
	pass(f, 1);
	assert_int_equal(ack(f, 0), 0x42);
	assert_true(lapic_ops.rdmsr(l, 0x6e0, &v) && v == 0);
	mmio(f, EOI, 0);
	lapic_ops.wrmsr(l, 0x6e0, 3); /* in the past: at once */
	assert_int_equal(ack(f, 0), 0x42);
	test_free(f);
}

static void test_ipis(void **ctx)
{
	(void)ctx;
	struct fixture *f = start();
	ipi(f, 1, 0x0c500); /* INIT, assert */
	ipi(f, 1, 0x08500); /* de-assert: nothing */
	ipi(f, 1, 0x00699);
	ipi(f, 1, 0x00400);
	assert_int_equal(f->cpu[1].init, 1);
	assert_int_equal(f->cpu[1].sipi, 1);
	assert_int_equal(f->cpu[1].vector, 0x99);
	assert_int_equal(f->cpu[1].nmi, 1);
	assert_int_equal(f->yields, 3);
	ipi(f, 0xff, 0x44); /* broadcast address */
	ipi(f, 0, 0xc0045); /* all but self */
	ipi(f, 0, 0x80046); /* all */
	ipi(f, 0, 0x40047); /* self */
	assert_int_equal(ack(f, 0), 0x47);
	assert_int_equal(ack(f, 1), 0x46);
	f->current = 1;
	mmio(f, EOI, 0);
	assert_int_equal(ack(f, 1), 0x45);
	mmio(f, EOI, 0);
	assert_int_equal(ack(f, 1), 0x44);
	f->current = 0;
	ipi(f, 1, 0x05); /* illegal vector */
	mmio(f, ESR, 0);
	assert_int_equal(mmio_get(f, ESR), 0x20);
	mmio(f, ESR, 0);
	assert_int_equal(mmio_get(f, ESR), 0);
	test_free(f);
}

static void set_ldr(struct fixture *f, uint32_t dfr, const uint8_t ldr[3])
{
	for (f->current = 0; f->current < 3; f->current++) {
		mmio(f, DFR, dfr);
		mmio(f, LDR, (uint32_t)ldr[f->current] << 24);
	}
	f->current = 0;
}

static unsigned who(struct fixture *f)
{
	unsigned mask = 0;
	for (unsigned i = 0; i < 3; i++) {
		f->current = i;
		if (ack(f, i) >= 0) {
			mask |= 1u << i;
			mmio(f, EOI, 0);
		}
	}
	f->current = 0;
	return mask;
}

static void test_logical(void **ctx)
{
	(void)ctx;
	struct fixture *f = start();
	set_ldr(f, 0xffffffff, (const uint8_t[]){1, 2, 4});
	ipi(f, 0x06, 0x850);
	assert_int_equal(who(f), 6);
	ipi(f, 0xf8, 0x850);
	assert_int_equal(who(f), 0);
	set_ldr(f, 0x0fffffff, (const uint8_t[]){0x11, 0x12, 0x21});
	ipi(f, 0x13, 0x850);
	assert_int_equal(who(f), 3);
	ipi(f, 0xf1, 0x850); /* every cluster */
	assert_int_equal(who(f), 5);
	ipi(f, 0x21, 0x850);
	assert_int_equal(who(f), 4);
	/* lowest priority: one of them, in turn; never one with a higher TPR */
	ipi(f, 0x13, 0x950);
	unsigned first = who(f);
	ipi(f, 0x13, 0x950);
	unsigned second = who(f);
	assert_int_equal(first | second, 3);
	mmio(f, TPR, 0xf0);
	ipi(f, 0x13, 0x950);
	assert_int_equal(who(f), 2);
	test_free(f);
}

static void test_x2apic(void **ctx)
{
	(void)ctx;
	struct fixture *f = start();
	struct lapic *l = &f->all.cpu[1];
	uint64_t v, base = lapic_ops.get_base(l);
	assert_int_equal(base, LAPIC_BASE | APIC_BASE_ENABLE);
	assert_false(lapic_ops.rdmsr(l, 0x802, &v));
	assert_false(lapic_ops.set_base(l, (base & ~APIC_BASE_ENABLE) | APIC_BASE_X2APIC));
	assert_false(lapic_ops.set_base(l, base | 1));
	assert_true(lapic_ops.set_base(l, base | APIC_BASE_X2APIC));
	assert_false(lapic_ops.set_base(l, base));
	assert_true(lapic_ops.rdmsr(l, 0x802, &v) && v == 1);
	assert_true(lapic_ops.rdmsr(l, 0x80d, &v) && v == 2);
	assert_false(lapic_ops.wrmsr(l, 0x802, 5));
	assert_false(lapic_ops.wrmsr(l, 0x80b, 5)); /* EOI takes 0 alone */
	assert_false(lapic_ops.rdmsr(l, 0x80b, &v));
	assert_false(lapic_ops.rdmsr(l, 0x831, &v));
	assert_true(lapic_ops.wrmsr(l, 0x83f, 0x77));
	assert_int_equal(ack(f, 1), 0x77);
	assert_true(lapic_ops.wrmsr(l, 0x80b, 0));
	assert_true(lapic_ops.wrmsr(l, 0x830, UINT64_C(0xffffffff) << 32 | 0x60));
	assert_int_equal(ack(f, 1), 0x60);
	assert_int_equal(ack(f, 0), 0x60);
	assert_true(lapic_ops.wrmsr(l, 0x830, UINT64_C(2) << 32 | 0x61));
	assert_int_equal(ack(f, 2), 0x61);
	f->current = 1;
	assert_int_equal(mmio_get(f, ID), UINT32_MAX); /* the window is gone for this one */
	test_free(f);
}

static void test_window_moves(void **ctx)
{
	(void)ctx;
	struct fixture *f = start();
	struct lapic *l = &f->all.cpu[0];
	uint64_t base = lapic_ops.get_base(l);
	mmio(f, TPR, 0x20);
	assert_true(lapic_ops.set_base(l, 0xfed40000 | (base & 0xfff)));
	assert_int_equal(bus_mmio_read(&f->bus, hpa(0xfed40000 + TPR), 4), 0x20);
	assert_int_equal(mmio_get(f, TPR), UINT32_MAX);
	f->current = 1;
	assert_int_equal(mmio_get(f, ID), 1u << 24);
	f->current = 0;
	assert_true(lapic_ops.set_base(l, base & ~APIC_BASE_ENABLE));
	assert_true(lapic_ops.set_base(l, base));
	assert_int_equal(mmio_get(f, TPR), 0); /* as after power-up */
	test_free(f);
}

static void test_extint(void **ctx)
{
	(void)ctx;
	struct fixture *f = start();
	f->pic_vector = 0x08;
	lapics_extint(&f->all, true);
	assert_false(f->cpu[0].intr);
	mmio(f, LINT0, 0x700);
	assert_true(f->cpu[0].intr);
	assert_int_equal(ack(f, 0), 0x08);
	assert_false(f->cpu[0].intr);
	lapic_ops.reset(&f->all.cpu[0], false);
	lapics_virtual_wire(&f->all);
	lapics_nmi(&f->all);
	assert_int_equal(f->cpu[0].nmi, 1);
	assert_int_equal(f->cpu[1].nmi, 0);
	test_free(f);
}

/* --- IOAPIC ------------------------------------------------------------------- */

static uint32_t io_get(struct fixture *f, unsigned reg)
{
	bus_mmio_write(&f->bus, hpa(IOAPIC_BASE), 4, reg);
	return (uint32_t)bus_mmio_read(&f->bus, hpa(IOAPIC_BASE + 0x10), 4);
}
static void io_set(struct fixture *f, unsigned reg, uint32_t v)
{
	bus_mmio_write(&f->bus, hpa(IOAPIC_BASE), 4, reg);
	bus_mmio_write(&f->bus, hpa(IOAPIC_BASE + 0x10), 4, v);
}

static void test_ioapic_edge(void **ctx)
{
	(void)ctx;
	struct fixture *f = start();
	assert_int_equal(io_get(f, 1), 0x170020);
	assert_int_equal(io_get(f, 0x10 + 2 * 14), 0x10000);
	ioapic_set(&f->io, 14, true); /* masked: lost */
	ioapic_set(&f->io, 14, false);
	io_set(f, 0x10 + 2 * 14 + 1, 1 << 24);
	io_set(f, 0x10 + 2 * 14, 0x61);
	assert_int_equal(ack(f, 1), -1);
	ioapic_set(&f->io, 14, true);
	ioapic_set(&f->io, 14, true); /* no edge */
	assert_int_equal(ack(f, 1), 0x61);
	assert_int_equal(ack(f, 1), -1);
	f->current = 1;
	mmio(f, EOI, 0);
	assert_int_equal(ack(f, 1), -1);
	test_free(f);
}

static void test_ioapic_level(void **ctx)
{
	(void)ctx;
	struct fixture *f = start();
	io_set(f, 0x10 + 2 * 9, 0x8062);
	ioapic_set(&f->io, 9, true);
	assert_int_equal(ack(f, 0), 0x62);
	assert_int_equal(mmio_get(f, TMR + 0x30), 1 << 2);
	assert_true(io_get(f, 0x10 + 2 * 9) & 1 << 14);
	mmio(f, EOI, 0); /* still asserted: comes again */
	assert_int_equal(ack(f, 0), 0x62);
	ioapic_set(&f->io, 9, false);
	mmio(f, EOI, 0);
	assert_int_equal(ack(f, 0), -1);
	assert_false(io_get(f, 0x10 + 2 * 9) & 1 << 14);
	/* masked while asserted, then unmasked: still there */
	io_set(f, 0x10 + 2 * 9, 0x18062);
	ioapic_set(&f->io, 9, true);
	assert_int_equal(ack(f, 0), -1);
	io_set(f, 0x10 + 2 * 9, 0x8062);
	assert_int_equal(ack(f, 0), 0x62);
	/* suppressed broadcast: the IOAPIC's own EOI register ends it */
	mmio(f, SVR, 0x11ff);
	mmio(f, EOI, 0);
	assert_int_equal(ack(f, 0), -1);
	ioapic_set(&f->io, 9, false);
	bus_mmio_write(&f->bus, hpa(IOAPIC_BASE + 0x40), 4, 0x62);
	assert_false(io_get(f, 0x10 + 2 * 9) & 1 << 14);
	test_free(f);
}

static void test_msi(void **ctx)
{
	(void)ctx;
	struct fixture *f = start();
	lapics_msi(&f->all, 0xfee02000, 0x0071);
	assert_int_equal(ack(f, 2), 0x71);
	test_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_priorities),
		cmocka_unit_test(test_timer), cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_ipis), cmocka_unit_test(test_logical),
		cmocka_unit_test(test_x2apic), cmocka_unit_test(test_window_moves),
		cmocka_unit_test(test_extint), cmocka_unit_test(test_ioapic_edge),
		cmocka_unit_test(test_ioapic_level), cmocka_unit_test(test_msi)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

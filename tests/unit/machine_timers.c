/* machine/pit.h, pic.h, rtc.h, hpet.h: register-level programs against the
 * virtual clock. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "machine/hpet.h"
#include "machine/pic.h"
#include "machine/pit.h"
#include "machine/rtc.h"
#include "base/bus.h"

#include <string.h>

struct fixture {
	struct clock clock;
	struct bus bus;
	struct pit pit;
	struct pic pic;
	struct rtc rtc;
	struct hpet hpet;
	bool intr, line[24], legacy;
	unsigned edges[24], wakes;
};

static void line(void *dev, unsigned n, bool level)
{
	struct fixture *f = dev;
	f->edges[n] += level && !f->line[n];
	f->line[n] = level;
}
static void intr(void *dev, unsigned n, bool level)
{
	(void)n;
	((struct fixture *)dev)->intr = level;
}
static void gsi(void *ctx, unsigned n, bool level)
{
	line(ctx, n, level);
}
static void legacy(void *ctx, bool on)
{
	((struct fixture *)ctx)->legacy = on;
}
static void wake(void *ctx)
{
	((struct fixture *)ctx)->wakes++;
}

#define DATE INT64_C(951782399) /* 2000-02-28 23:59:59 UTC */

static struct fixture *start(void)
{
	struct fixture *f = test_calloc(1, sizeof(*f));
	clock_init(&f->clock);
	pit_init(&f->pit, &f->bus, &f->clock, (struct irq_line){line, f, 0});
	pic_init(&f->pic, &f->bus, (struct irq_line){intr, f, 0});
	rtc_init(&f->rtc, &f->bus, &f->clock, (struct irq_line){line, f, 8}, DATE);
	f->rtc.wake = wake;
	f->rtc.wake_ctx = f;
	hpet_init(&f->hpet, &(struct hpet_wires){&f->clock, &f->bus, gsi, legacy, gsi, f});
	memset(f->edges, 0, sizeof(f->edges));
	return f;
}

static void out(struct fixture *f, uint16_t port, uint8_t v)
{
	bus_port_write(&f->bus, port, 1, v);
}
static uint8_t in(struct fixture *f, uint16_t port)
{
	return (uint8_t)bus_port_read(&f->bus, port, 1);
}

/* Moves time through every deadline on the way. */
static void pass(struct fixture *f, uint64_t ticks)
{
	uint64_t end = f->clock.now + ticks;
	while (clock_next(&f->clock) <= end) {
		clock_set(&f->clock, clock_next(&f->clock));
		clock_run(&f->clock);
	}
	clock_set(&f->clock, end);
}

/* --- PIT ----------------------------------------------------------------------- */

static unsigned pit_count(struct fixture *f, unsigned ch)
{
	out(f, 0x43, (uint8_t)(ch << 6));
	unsigned low = in(f, (uint16_t)(0x40 + ch));
	return low | (unsigned)in(f, (uint16_t)(0x40 + ch)) << 8;
}

static void test_pit_periodic(void **ctx)
{
	(void)ctx;
	struct fixture *f = start();
	out(f, 0x43, 0x34); /* channel 0, mode 2 */
	out(f, 0x40, 0xa9); /* 1193: 999.847 us */
	out(f, 0x40, 0x04);
	f->edges[0] = 0; /* the output rose when the mode was set */
	pass(f, 10000000);
	assert_int_equal(f->edges[0], 10);
	pass(f, 990000000);
	assert_int_equal(f->edges[0], 1000);
	test_free(f);
}

static void test_pit_one_shot_and_counts(void **ctx)
{
	(void)ctx;
	struct fixture *f = start();
	out(f, 0x43, 0x30); /* channel 0, mode 0 */
	out(f, 0x40, 0x00);
	out(f, 0x40, 0x10);
	assert_false(f->line[0]);
	pass(f, 1000000); /* 1193 input clocks */
	assert_int_equal(pit_count(f, 0), 0x1000 - 1193);
	pass(f, 3000000);
	assert_int_equal(f->edges[0], 1);
	out(f, 0x43, 0xe2); /* read back: status of channel 0 */
	assert_int_equal(in(f, 0x40), 0xb0);
	pass(f, 100000000);
	assert_int_equal(f->edges[0], 1);
	test_free(f);
}

static void test_pit_channel2_by_gate(void **ctx)
{
	(void)ctx;
	struct fixture *f = start();
	out(f, 0x61, 0x00);
	out(f, 0x43, 0xb0); /* channel 2, mode 0 */
	out(f, 0x42, 0xff);
	out(f, 0x42, 0xff);
	pass(f, 5000000);
	assert_int_equal(pit_count(f, 2), 0xffff); /* the gate is low */
	out(f, 0x61, 0x01);
	assert_false(in(f, 0x61) & 0x20);
	pass(f, 50000000);
	assert_int_equal(pit_count(f, 2), 0xffff - 59659);
	pass(f, 10000000);
	assert_true(in(f, 0x61) & 0x20);
	uint8_t refresh = in(f, 0x61) & 0x10;
	pass(f, 15085);
	assert_int_not_equal(in(f, 0x61) & 0x10, refresh);
	test_free(f);
}

/* --- PIC ------------------------------------------------------------------------- */

static void pic_program(struct fixture *f)
{
	static const uint8_t master[] = {0x20, 0x04, 0x01}, slave[] = {0x28, 0x02, 0x01};
	out(f, 0x20, 0x11);
	out(f, 0xa0, 0x11);
	for (unsigned i = 0; i < 3; i++) {
		out(f, 0x21, master[i]);
		out(f, 0xa1, slave[i]);
	}
}

static void test_pic_priorities(void **ctx)
{
	(void)ctx;
	struct fixture *f = start();
	pic_program(f);
	pic_set(&f->pic, 4, true);
	pic_set(&f->pic, 12, true);
	pic_set(&f->pic, 1, true);
	assert_true(f->intr);
	assert_int_equal(pic_ack(&f->pic), 0x21);
	assert_false(f->intr); /* the others wait for its end */
	out(f, 0x20, 0x20);
	assert_int_equal(pic_ack(&f->pic), 0x2c);
	pic_set(&f->pic, 9, true); /* higher on the slave, but it is in service */
	assert_false(f->intr);
	out(f, 0xa0, 0x20);
	out(f, 0x20, 0x20);
	assert_int_equal(pic_ack(&f->pic), 0x29);
	out(f, 0xa0, 0x20);
	out(f, 0x20, 0x20);
	assert_int_equal(pic_ack(&f->pic), 0x24);
	out(f, 0x20, 0x0b);
	assert_int_equal(in(f, 0x20), 0x10); /* in service */
	out(f, 0x20, 0x20);
	assert_int_equal(pic_ack(&f->pic), 0x27); /* spurious */
	test_free(f);
}

static void test_pic_masks_and_levels(void **ctx)
{
	(void)ctx;
	struct fixture *f = start();
	pic_program(f);
	out(f, 0x21, 0x10);
	pic_set(&f->pic, 4, true);
	assert_false(f->intr);
	out(f, 0x21, 0x00);
	assert_int_equal(pic_ack(&f->pic), 0x24);
	out(f, 0x20, 0x64); /* specific end */
	assert_false(f->intr);
	out(f, 0x4d1, 0x04); /* IRQ 10 by level */
	assert_int_equal(in(f, 0x4d1), 0x04);
	pic_set(&f->pic, 10, true);
	assert_int_equal(pic_ack(&f->pic), 0x2a);
	out(f, 0xa0, 0x20);
	out(f, 0x20, 0x20);
	assert_true(f->intr); /* still asserted */
	pic_set(&f->pic, 10, false);
	assert_false(f->intr);
	out(f, 0x21, 0x03); /* auto-EOI: ICW1 without cascade change */
	out(f, 0x20, 0x11);
	out(f, 0x21, 0x20);
	out(f, 0x21, 0x04);
	out(f, 0x21, 0x03);
	pic_set(&f->pic, 3, true);
	assert_int_equal(pic_ack(&f->pic), 0x23);
	pic_set(&f->pic, 5, true);
	assert_int_equal(pic_ack(&f->pic), 0x25);
	test_free(f);
}

/* --- RTC --------------------------------------------------------------------------- */

static uint8_t cmos(struct fixture *f, uint8_t reg)
{
	out(f, 0x70, reg);
	return in(f, 0x71);
}
static void cmos_set(struct fixture *f, uint8_t reg, uint8_t v)
{
	out(f, 0x70, reg);
	out(f, 0x71, v);
}

#define SECOND UINT64_C(1000000000)

static void test_rtc_date(void **ctx)
{
	(void)ctx;
	struct fixture *f = start();
	assert_int_equal(cmos(f, 0), 0x59);
	assert_int_equal(cmos(f, 4), 0x23);
	pass(f, SECOND - 100);
	assert_true(cmos(f, 0x0a) & 0x80); /* about to change */
	pass(f, 100);
	assert_false(cmos(f, 0x0a) & 0x80);
	assert_int_equal(cmos(f, 7), 0x29); /* a leap year */
	assert_int_equal(cmos(f, 8), 0x02);
	assert_int_equal(cmos(f, 9), 0x00);
	assert_int_equal(cmos(f, 0x32), 0x20);
	cmos_set(f, 0x0b, 0x82); /* SET */
	cmos_set(f, 9, 0x38);
	cmos_set(f, 0, 0x30);
	pass(f, 5 * SECOND);
	assert_int_equal(cmos(f, 0), 0x30);
	cmos_set(f, 0x0b, 0x02);
	cmos_set(f, 0x0b, 0x06); /* binary */
	assert_int_equal(cmos(f, 0), 30);
	cmos_set(f, 0x0b, 0x02);
	pass(f, 2 * SECOND);
	assert_int_equal(cmos(f, 0), 0x32);
	assert_int_equal(cmos(f, 9), 0x38);
	cmos_set(f, 0x0b, 0x00); /* 12 hours */
	cmos_set(f, 4, 0x91);    /* 11 pm */
	cmos_set(f, 0x0b, 0x02);
	assert_int_equal(cmos(f, 4), 0x23);
	test_free(f);
}

static void test_rtc_interrupts(void **ctx)
{
	(void)ctx;
	struct fixture *f = start();
	assert_int_equal(clock_next(&f->clock), CLOCK_NEVER); /* nobody asked */
	cmos_set(f, 1, 0x05);
	cmos_set(f, 3, 0xc0);
	cmos_set(f, 5, 0xc0);
	cmos_set(f, 0x0b, 0x22); /* alarm */
	pass(f, 6 * SECOND + 5);
	assert_int_equal(f->edges[8], 1);
	assert_int_equal(f->wakes, 1);
	assert_int_equal(cmos(f, 0x0c) & 0xa0, 0xa0);
	assert_false(f->line[8]);
	assert_int_equal(cmos(f, 0x0c), 0);
	cmos_set(f, 0x0b, 0x12); /* updates */
	pass(f, SECOND);
	assert_int_equal(f->edges[8], 2);
	assert_int_equal(cmos(f, 0x0c), 0xd0); /* the periodic flag comes too */
	cmos_set(f, 0x0b, 0x42);
	cmos_set(f, 0x0a, 0x26); /* 1024 Hz */
	cmos(f, 0x0c);
	unsigned before = f->edges[8];
	for (int i = 0; i < 1024; i++) {
		pass(f, 976562);
		cmos(f, 0x0c);
	}
	assert_in_range(f->edges[8] - before, 1023, 1024);
	test_free(f);
}

/* --- HPET --------------------------------------------------------------------------- */

static void hpet_set(struct fixture *f, unsigned reg, uint64_t v)
{
	bus_mmio_write(&f->bus, hpa(HPET_BASE + reg), 8, v);
}
static uint64_t hpet_get(struct fixture *f, unsigned reg)
{
	return bus_mmio_read(&f->bus, hpa(HPET_BASE + reg), 8);
}

static void test_hpet(void **ctx)
{
	(void)ctx;
	struct fixture *f = start();
	assert_int_equal(hpet_get(f, 0) >> 32, 10000000);
	pass(f, 1000);
	assert_int_equal(hpet_get(f, 0xf0), 0);
	hpet_set(f, 0x10, 1);
	pass(f, 1000);
	assert_int_equal(hpet_get(f, 0xf0), 100);
	hpet_set(f, 0x120, 20 << 9 | 4); /* timer 1: one-shot, input 20 */
	hpet_set(f, 0x128, 150);
	pass(f, 499);
	assert_int_equal(f->edges[20], 0);
	pass(f, 1);
	assert_int_equal(f->edges[20], 1);
	hpet_set(f, 0x140, 21 << 9 | 4 | 8 | 0x40 | 2); /* timer 2: periodic, level */
	hpet_set(f, 0x148, 250);
	hpet_set(f, 0x148, 100);
	pass(f, 1000);
	assert_true(f->line[21]);
	assert_int_equal(hpet_get(f, 0x20), 4);
	hpet_set(f, 0x20, 4);
	assert_false(f->line[21]);
	pass(f, 1000);
	assert_true(f->line[21]);
	hpet_set(f, 0x10, 3);
	assert_true(f->legacy);
	hpet_set(f, 0x100, 4 | 0x100);
	hpet_set(f, 0x108, hpet_get(f, 0xf0) + 10);
	pass(f, 100);
	assert_int_equal(f->edges[0], 1);
	test_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_pit_periodic),
		cmocka_unit_test(test_pit_one_shot_and_counts),
		cmocka_unit_test(test_pit_channel2_by_gate), cmocka_unit_test(test_pic_priorities),
		cmocka_unit_test(test_pic_masks_and_levels), cmocka_unit_test(test_rtc_date),
		cmocka_unit_test(test_rtc_interrupts), cmocka_unit_test(test_hpet)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

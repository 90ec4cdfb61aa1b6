/* base/phys.h, base/bus.h: what backs an address, and who hears of a write. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/bus.h"
#include "base/phys.h"
#include "base/state.h"

static unsigned heard;

static void written(void *ctx, struct hpa at, size_t len)
{
	(void)ctx, (void)at;
	heard += (unsigned)len;
}

static void test_reads_do_not_lie(void **ctx)
{
	(void)ctx;
	struct phys p;
	uint8_t b[8] = {0};
	phys_init(&p);
	assert_true(phys_add(&p, PHYS_RAM, hpa(0), 0x2000, "ram", NULL));
	assert_true(phys_add(&p, PHYS_ROM, hpa(0x2000), 0x1000, "rom", NULL));
	assert_true(phys_write(&p, hpa(0xffc), "12345678", 8));
	assert_true(phys_read(&p, hpa(0xffc), b, 8));
	assert_memory_equal(b, "12345678", 8);
	assert_false(phys_read(&p, hpa(0x2ffc), b, 8));
	assert_false(phys_read(&p, hpa(UINT64_MAX - 3), b, 8));
	assert_false(phys_write(&p, hpa(0x1ffc), "12345678", 8)); /* its end is ROM */
	assert_true(phys_read(&p, hpa(0x1ffc), b, 8));
	assert_memory_equal(b, "\0\0\0\0\0\0\0\0", 8);
	assert_true(phys_load(&p, hpa(0x1ffc), "12345678", 8));
	phys_done(&p);
}

static void test_writes_to_code_are_told(void **ctx)
{
	(void)ctx;
	struct phys p;
	phys_init(&p);
	phys_add(&p, PHYS_RAM, hpa(0), 0x2000, "ram", NULL);
	p.written = written;
	heard = 0;
	phys_write(&p, hpa(0x10), "x", 1);
	assert_int_equal(heard, 0);
	p.range[0].page[1].code = 1;
	phys_write(&p, hpa(0xffe), "wxyz", 4);
	assert_int_equal(heard, 2);
	phys_done(&p);
}

static void test_state(void **ctx)
{
	(void)ctx;
	struct phys p, q;
	struct buf b = {0};
	phys_init(&p);
	phys_init(&q);
	phys_add(&p, PHYS_RAM, hpa(0), 0x400000, "ram", NULL);
	phys_add(&q, PHYS_RAM, hpa(0), 0x400000, "ram", NULL);
	phys_write(&p, hpa(0x3ff000), "end", 3);
	phys_write(&q, hpa(0x1000), "old", 3);
	struct state *s = state_saver(&b);
	phys_state(&p, s);
	state_free(s);
	assert_true(b.len < 8192);
	s = state_loader(b.data, b.len, NULL);
	phys_state(&q, s);
	assert_true(state_ok(s));
	state_free(s);
	assert_int_equal(memcmp(p.range[0].host, q.range[0].host, 0x400000), 0);
	buf_done(&b);
	phys_done(&p);
	phys_done(&q);
}

static uint64_t dev_read(void *dev, uint64_t offset, unsigned size)
{
	return *(uint64_t *)dev + offset + ((uint64_t)size << 32);
}
static void dev_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	(void)size;
	*(uint64_t *)dev = offset << 8 | value;
}

static void test_bus(void **ctx)
{
	(void)ctx;
	static const struct bus_ops ops = {dev_read, dev_write};
	struct bus b = {0};
	uint64_t dev = 0x100, top = 0x900;
	bus_map_port(&b, 0x3f8, 8, &ops, &dev, "dev");
	bus_map_mmio(&b, hpa(0xfe000000), 0x1000, &ops, &dev, "dev");
	bus_map_mmio(&b, hpa(0xfe000800), 0x100, &ops, &top, "top");
	assert_int_equal(bus_port_read(&b, 0x3fa, 2), 0x102);
	assert_int_equal(bus_port_read(&b, 0x400, 2), 0xffff);
	assert_int_equal(bus_mmio_read(&b, hpa(0xfe000004), 4), 0x104);
	assert_int_equal(bus_mmio_read(&b, hpa(0xfe000804), 4), 0x904);
	bus_unmap(&b, &ops, &top);
	assert_int_equal(bus_mmio_read(&b, hpa(0xfe000804), 2), 0x904);
	bus_mmio_write(&b, hpa(0xfe000010), 1, 0x1ff);
	assert_int_equal(dev, 0x10ff);
	assert_true(bus_mmio_read(&b, hpa(0x10), 8) == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_reads_do_not_lie),
		cmocka_unit_test(test_writes_to_code_are_told), cmocka_unit_test(test_state),
		cmocka_unit_test(test_bus)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

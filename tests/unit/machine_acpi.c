/* machine/acpi.h, rom.h, smbios.h: what firmware leaves can be found, adds up,
 * and is read by ACPI's own disassembler. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "machine/acpi.h"
#include "machine/machine.h"
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct machine *pc(uint64_t mem, unsigned cpus)
{
	struct err e = {0};
	struct machine *m = machine_new(
		&(struct machine_config){.mem = mem, .cpus = cpus, .rtc = MACHINE_RTC}, &e);
	assert_non_null(m);
	return m;
}

static uint64_t get(const struct machine *m, uint64_t at, unsigned size)
{
	uint64_t v = 0;
	assert_true(phys_read(&m->phys, hpa(at), &v, size));
	return v;
}

static unsigned sum(const struct machine *m, uint64_t at, unsigned n)
{
	unsigned s = 0;
	for (unsigned i = 0; i < n; i++)
		s += get(m, at + i, 1);
	return s & 0xff;
}

static void test_pointers_and_checksums(void **ctx)
{
	(void)ctx;
	struct machine *m = pc(64 << 20, 4);
	uint64_t rsdp = machine_rsdp(m);
	assert_int_equal(rsdp % 16, 0);
	assert_true(get(m, rsdp, 8) == 0x2052545020445352); /* "RSD PTR " */
	assert_int_equal(sum(m, rsdp, 20), 0);
	assert_int_equal(sum(m, rsdp, 36), 0);
	uint64_t xsdt = get(m, rsdp + 24, 8), rsdt = get(m, rsdp + 16, 4);
	unsigned entries = (unsigned)(get(m, xsdt + 4, 4) - 36) / 8;
	assert_int_equal(entries, 4);
	assert_int_equal(sum(m, xsdt, (unsigned)get(m, xsdt + 4, 4)), 0);
	assert_int_equal(sum(m, rsdt, (unsigned)get(m, rsdt + 4, 4)), 0);
	static const char *const name[4] = {"FACP", "APIC", "HPET", "MCFG"};
	for (unsigned i = 0; i < entries; i++) {
		uint64_t t = get(m, xsdt + 36 + 8 * i, 8);
		uint32_t signature = (uint32_t)get(m, t, 4);
		assert_memory_equal(&signature, name[i], 4);
		assert_int_equal(sum(m, t, (unsigned)get(m, t + 4, 4)), 0);
		assert_true(get(m, rsdt + 36 + 4 * i, 4) == t);
	}
	uint64_t fadt = get(m, xsdt + 36, 8), dsdt = get(m, fadt + 140, 8);
	assert_true(get(m, fadt + 40, 4) == dsdt);
	assert_int_equal(get(m, dsdt, 4), 0x54445344); /* "DSDT" */
	assert_int_equal(sum(m, dsdt, (unsigned)get(m, dsdt + 4, 4)), 0);
	assert_int_equal(get(m, get(m, fadt + 132, 8), 4), 0x53434146); /* "FACS" */
	machine_free(m);
}

/* iasl reads every table back; a wrong length or field order makes it say so. */
static void test_disassembles(void **ctx)
{
	(void)ctx;
	struct machine *m = pc(64 << 20, 3);
	uint64_t xsdt = get(m, machine_rsdp(m) + 24, 8);
	char dir[] = "/tmp/nestscope-acpi-XXXXXX", command[512];
	assert_non_null(mkdtemp(dir));
	for (unsigned i = 0; i < 4; i++) {
		uint64_t t = get(m, xsdt + 36 + 8 * i, 8);
		unsigned len = (unsigned)get(m, t + 4, 4);
		char path[128];
		snprintf(path, sizeof(path), "%s/t%u.dat", dir, i);
		FILE *f = fopen(path, "wb");
		assert_non_null(f);
		for (unsigned k = 0; k < len; k++)
			fputc((int)get(m, t + k, 1), f);
		fclose(f);
	}
	snprintf(command, sizeof(command),
		"cd %s && iasl -d t0.dat t1.dat t2.dat t3.dat >log 2>&1 && "
		"grep -q 'Local Apic ID : 02' t1.dsl && grep -q 'PM1A Event Block Address : 00000600' t0.dsl && "
		"! grep -qiE 'invalid|unknown|error|exceeds|incorrect' t*.dsl log",
		dir);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
	machine_free(m);
}

static void test_memory_map(void **ctx)
{
	(void)ctx;
	static const uint64_t sizes[] = {2 << 20, 64 << 20, UINT64_C(3) << 30, UINT64_C(8) << 30};
	for (unsigned i = 0; i < 4; i++) {
		struct machine *m = pc(sizes[i], 1);
		struct machine_range r[MACHINE_RANGES];
		unsigned n = machine_memory_map(m, r);
		uint64_t usable = 0, end = 0;
		for (unsigned k = 0; k < n; k++) {
			assert_true(r[k].base >= end);
			end = r[k].base + r[k].size;
			usable += r[k].type == 1 ? r[k].size : 0;
			uint8_t byte;
			if (r[k].type == 1)
				assert_true(phys_read(&m->phys, hpa(end - 1), &byte, 1));
		}
		assert_true(usable <= sizes[i] && usable > sizes[i] - (1 << 20));
		machine_free(m);
	}
}

static void test_bad_sizes_are_refused(void **ctx)
{
	(void)ctx;
	static const struct machine_config bad[] = {{.mem = 64 << 20, .cpus = 0},
		{.mem = 64 << 20, .cpus = 65}, {.mem = 0, .cpus = 1}, {.mem = UINT64_MAX, .cpus = 1}};
	for (unsigned i = 0; i < 4; i++) {
		struct err e = {0};
		assert_null(machine_new(&bad[i], &e));
		assert_int_equal(e.status, ERR_USAGE);
	}
}

static void test_rom_and_smbios(void **ctx)
{
	(void)ctx;
	struct machine *m = pc(64 << 20, 2);
	assert_int_equal(get(m, 0xffff0, 1), 0xea); /* JMP ptr16:16 at the reset vector */
	assert_int_equal(get(m, 0xfffffff0, 1), 0xea);
	assert_int_equal(get(m, 0xffff3, 2), 0xf000);
	for (unsigned v = 0; v < 256; v++)
		assert_int_equal(get(m, 4 * v + 2, 2), 0xf000);
	uint64_t sm = 0xf0200;
	assert_int_equal(get(m, sm, 4), 0x5f4d535f); /* "_SM_" */
	assert_int_equal(sum(m, sm, 31), 0);
	assert_int_equal(sum(m, sm + 16, 15), 0);
	uint64_t at = get(m, sm + 24, 4), end = at + get(m, sm + 22, 2);
	unsigned count = 0;
	while (at < end) {
		at += get(m, at + 1, 1);
		while (get(m, at, 2))
			at++;
		at += 2;
		count++;
	}
	assert_true(at == end);
	assert_int_equal(count, get(m, sm + 28, 2));
	machine_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_pointers_and_checksums),
		cmocka_unit_test(test_disassembles), cmocka_unit_test(test_memory_map),
		cmocka_unit_test(test_bad_sizes_are_refused), cmocka_unit_test(test_rom_and_smbios)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

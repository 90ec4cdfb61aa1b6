/* ACPI 6.3, chapter 5.2 "ACPI System Description Tables". Offsets in comments
 * are those of the specification's tables. */
#include "machine/acpi.h"

#include "machine/acpi_pm.h"
#include "machine/hpet.h"
#include "machine/ioapic.h"
#include "machine/lapic.h"
#include "machine/pci.h"

#include <assert.h>
#include <string.h>

static const uint8_t dsdt[] = {
#include "machine/dsdt_bytes.h"
};

#define HEADER 36

static void le(struct buf *b, unsigned size, uint64_t v)
{
	for (unsigned i = 0; i < size; i++)
		buf_char(b, (char)(v >> 8 * i));
}

static void put(struct buf *b, size_t at, unsigned size, uint64_t v)
{
	for (unsigned i = 0; i < size; i++)
		b->data[at + i] = (char)(v >> 8 * i);
}

static uint8_t checksum(const void *p, size_t n)
{
	uint8_t sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += ((const uint8_t *)p)[i];
	return (uint8_t)-sum;
}

/* Starts a table; returns where it begins. */
static size_t begin(struct buf *b, const char *signature, uint8_t revision)
{
	while (b->len % 16)
		buf_char(b, 0);
	size_t at = b->len;
	buf_add(b, signature, 4);
	le(b, 4, 0); /* length and checksum: end() */
	le(b, 1, revision);
	le(b, 1, 0);
	buf_add(b, "NESTSCNSPC    ", 14);
	le(b, 4, 1);
	buf_add(b, "NSPC", 4);
	le(b, 4, 1);
	return at;
}

static void end(struct buf *b, size_t at)
{
	put(b, at + 4, 4, b->len - at);
	put(b, at + 9, 1, checksum(b->data + at, b->len - at));
}

/* Generic Address Structure: 0 memory, 1 I/O. */
static void address(struct buf *b, uint8_t space, uint8_t bits, uint64_t at)
{
	le(b, 1, space);
	le(b, 1, bits);
	le(b, 1, 0);
	le(b, 1, at ? (bits == 8 ? 1 : bits == 16 ? 2 : 3) : 0);
	le(b, 8, at);
}

enum { FADT_WBINVD = 1 << 0, FADT_PROC_C1 = 1 << 2, FADT_SLP_BUTTON = 1 << 5,
	FADT_RESET_REG = 1 << 10 };
enum { BOOT_LEGACY = 1 << 0, BOOT_8042 = 1 << 1 };

static void fadt(struct buf *b, uint64_t facs, uint64_t dsdt_at)
{
	size_t at = begin(b, "FACP", 5);
	le(b, 4, facs);
	le(b, 4, dsdt_at);
	le(b, 1, 0);
	le(b, 1, 0); /* 45: profile unspecified */
	le(b, 2, ACPI_SCI);
	le(b, 4, 0); /* 48: no SMI command port */
	le(b, 4, 0); /* 52: ACPI_ENABLE, ACPI_DISABLE, S4BIOS_REQ, PSTATE_CNT */
	le(b, 4, ACPI_PM_EVENT);
	le(b, 4, 0);
	le(b, 4, ACPI_PM_CONTROL);
	le(b, 4, 0);
	le(b, 4, 0);
	le(b, 4, ACPI_PM_TIMER);
	le(b, 4, 0);
	le(b, 4, 0); /* 84: GPE blocks */
	le(b, 1, 4); /* 88: lengths */
	le(b, 1, 2);
	le(b, 1, 0);
	le(b, 1, 4);
	le(b, 4, 0);
	le(b, 2, 0xfff); /* 96: no C2, no C3 */
	le(b, 2, 0xfff);
	le(b, 8, 0); /* 100: flush, duty, alarms */
	le(b, 1, 0x32); /* 108: century in CMOS */
	le(b, 2, BOOT_LEGACY | BOOT_8042);
	le(b, 1, 0);
	le(b, 4, FADT_WBINVD | FADT_PROC_C1 | FADT_SLP_BUTTON | FADT_RESET_REG);
	address(b, 1, 8, 0xcf9);
	le(b, 1, 0x06); /* 128: reset value */
	le(b, 3, 0);
	le(b, 8, facs);
	le(b, 8, dsdt_at);
	address(b, 1, 32, ACPI_PM_EVENT);
	address(b, 0, 0, 0);
	address(b, 1, 16, ACPI_PM_CONTROL);
	address(b, 0, 0, 0);
	address(b, 0, 0, 0);
	address(b, 1, 32, ACPI_PM_TIMER);
	address(b, 0, 0, 0);
	address(b, 0, 0, 0);
	address(b, 0, 0, 0);
	address(b, 0, 0, 0);
	assert(b->len - at == 268);
	end(b, at);
}

static void override(struct buf *b, uint8_t irq, uint32_t gsi, uint16_t flags)
{
	le(b, 1, 2);
	le(b, 1, 10);
	le(b, 1, 0);
	le(b, 1, irq);
	le(b, 4, gsi);
	le(b, 2, flags);
}

static void madt(struct buf *b, unsigned cpus)
{
	size_t at = begin(b, "APIC", 4);
	le(b, 4, LAPIC_BASE);
	le(b, 4, 1); /* PCAT_COMPAT: a pair of 8259s is there */
	for (unsigned i = 0; i < cpus; i++) {
		le(b, 1, 0);
		le(b, 1, 8);
		le(b, 1, i);
		le(b, 1, i);
		le(b, 4, 1);
	}
	le(b, 1, 1);
	le(b, 1, 12);
	le(b, 1, 0);
	le(b, 1, 0);
	le(b, 4, IOAPIC_BASE);
	le(b, 4, 0);
	override(b, 0, 2, 0);
	override(b, ACPI_SCI, ACPI_SCI, 0x000d); /* active high, level */
	le(b, 1, 4);				 /* NMI at LINT1 of every processor */
	le(b, 1, 6);
	le(b, 1, 0xff);
	le(b, 2, 0);
	le(b, 1, 1);
	end(b, at);
}

static void hpet(struct buf *b)
{
	size_t at = begin(b, "HPET", 1);
	le(b, 4, 0x8086a201);
	le(b, 1, 0);
	le(b, 1, 64);
	le(b, 2, 0);
	le(b, 8, HPET_BASE);
	le(b, 1, 0);
	le(b, 2, 128);
	le(b, 1, 0);
	end(b, at);
}

static void mcfg(struct buf *b)
{
	size_t at = begin(b, "MCFG", 1);
	le(b, 8, 0);
	le(b, 8, PCI_ECAM_BASE);
	le(b, 2, 0);
	le(b, 1, 0);
	le(b, 1, PCI_BUSES - 1);
	le(b, 4, 0);
	end(b, at);
}

static void rsdp_build(uint8_t r[ACPI_RSDP_SIZE], uint64_t rsdt, uint64_t xsdt)
{
	struct buf b = {0};
	buf_add(&b, "RSD PTR ", 8);
	le(&b, 1, 0);
	buf_add(&b, "NESTSC", 6);
	le(&b, 1, 2);
	le(&b, 4, rsdt);
	le(&b, 4, ACPI_RSDP_SIZE);
	le(&b, 8, xsdt);
	le(&b, 4, 0);
	put(&b, 8, 1, checksum(b.data, 20));
	put(&b, 32, 1, checksum(b.data, ACPI_RSDP_SIZE));
	memcpy(r, b.data, ACPI_RSDP_SIZE);
	buf_done(&b);
}

static void facs_build(uint8_t facs[ACPI_FACS_SIZE])
{
	memset(facs, 0, ACPI_FACS_SIZE);
	memcpy(facs, "FACS", 4);
	facs[4] = ACPI_FACS_SIZE;
	facs[32] = 2; /* version */
}

void acpi_build(const struct acpi_config *cfg, struct buf *b, uint8_t rsdp[ACPI_RSDP_SIZE],
	uint8_t facs[ACPI_FACS_SIZE])
{
	uint64_t table[4];
	uint64_t base = cfg->tables - b->len;
	buf_add(b, dsdt, sizeof(dsdt));
	uint64_t dsdt_at = base;
	while (b->len % 16)
		buf_char(b, 0);
	table[0] = base + b->len;
	fadt(b, cfg->facs, dsdt_at);
	table[1] = base + ((b->len + 15) & ~15ul);
	madt(b, cfg->cpus);
	table[2] = base + ((b->len + 15) & ~15ul);
	hpet(b);
	table[3] = base + ((b->len + 15) & ~15ul);
	mcfg(b);
	size_t rsdt = begin(b, "RSDT", 1);
	for (unsigned i = 0; i < 4; i++)
		le(b, 4, table[i]);
	end(b, rsdt);
	size_t xsdt = begin(b, "XSDT", 1);
	for (unsigned i = 0; i < 4; i++)
		le(b, 8, table[i]);
	end(b, xsdt);
	assert(b->len <= ACPI_TABLES_MAX);
	rsdp_build(rsdp, base + rsdt, base + xsdt);
	facs_build(facs);
}

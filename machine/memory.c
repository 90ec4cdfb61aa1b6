/* The memory map and what firmware leaves in memory and devices.
 *
 *   0        RAM to 640 KiB; the last KiB is the extended BIOS data area
 *   a0000    VGA; text memory at b8000 is plain RAM
 *   c0000    RAM (empty option-ROM space); the FACS at e0000, in ACPI NVS
 *   f0000    ROM, the same bytes as at ffff0000
 *   100000   RAM to low_end (3 GiB at most); its last 64 KiB hold the ACPI tables
 *   4 GiB    the rest of RAM
 */
#include "machine/devices.h"

#include "machine/acpi.h"
#include "machine/pci.h"
#include "machine/rom.h"
#include "base/buf.h"

#include <string.h>

#define KIB        UINT64_C(1024)
#define MIB        (KIB * KIB)
#define FOUR_GIB   (4 * KIB * MIB)
#define EBDA       UINT64_C(0x9fc00)
#define ACPI_SPACE (64 * KIB)

static uint64_t low_end(const struct machine *m)
{
	return m->cfg.mem < MACHINE_LOW_TOP ? m->cfg.mem : MACHINE_LOW_TOP;
}

static uint64_t high_bytes(const struct machine *m)
{
	return m->cfg.mem - low_end(m);
}

uint64_t machine_low_top(const struct machine *m)
{
	return low_end(m) - ACPI_SPACE;
}

uint64_t machine_high_top(const struct machine *m)
{
	return FOUR_GIB + high_bytes(m);
}

uint64_t machine_rsdp(const struct machine *m)
{
	(void)m;
	return ROM_BASE + ROM_RSDP;
}

bool machine_build_memory(struct machine *m, struct err *e)
{
	struct phys *p = &m->phys;
	bool ok = phys_add(p, PHYS_RAM, hpa(0), 640 * KIB, "ram", e) &&
		phys_add(p, PHYS_RAM, hpa(MIB), low_end(m) - MIB, "ram", e) &&
		(!high_bytes(m) ||
			phys_add(p, PHYS_RAM, hpa(FOUR_GIB), high_bytes(m), "ram above 4G", e)) &&
		phys_add(p, PHYS_RAM, hpa(0xb8000), 32 * KIB, "vga text", e) &&
		phys_add(p, PHYS_RAM, hpa(0xc0000), 192 * KIB, "ram", e) &&
		phys_add(p, PHYS_ROM, hpa(ROM_BASE), ROM_SIZE, "rom", e) &&
		phys_add(p, PHYS_ROM, hpa(FOUR_GIB - ROM_SIZE), ROM_SIZE, "rom", e);
	return ok;
}

unsigned machine_memory_map(const struct machine *m, struct machine_range out[MACHINE_RANGES])
{
	uint64_t top = machine_low_top(m);
	const struct machine_range map[] = {
		{0, EBDA, 1},
		{EBDA, 640 * KIB - EBDA, 2},
		{ROM_FACS, PAGE_SIZE, 4},
		{ROM_BASE, ROM_SIZE, 2},
		{MIB, top - MIB, 1},
		{top, ACPI_SPACE, 3},
		{PCI_ECAM_BASE, PCI_BUSES * MIB, 2},
		{IOAPIC_BASE, PAGE_SIZE, 2},
		{LAPIC_BASE, PAGE_SIZE, 2},
		{FOUR_GIB - ROM_SIZE, ROM_SIZE, 2},
		{FOUR_GIB, high_bytes(m), 1},
	};
	unsigned n = sizeof(map) / sizeof(*map) - !high_bytes(m);
	memcpy(out, map, n * sizeof(*map));
	return n;
}

void machine_mtrrs(const struct machine *m, unsigned phys_bits, struct machine_mtrr *out)
{
	(void)m;
	uint64_t width = phys_bits >= 64 ? UINT64_MAX : BIT(phys_bits) - 1;
	*out = (struct machine_mtrr){
		.def_type = 0xc06, /* enabled, fixed ranges enabled, write-back */
		.base = MACHINE_LOW_TOP,
		.mask = (~(FOUR_GIB - MACHINE_LOW_TOP - 1) & width) | BIT(11),
	};
	/* 0-7ffff and 80000-9ffff write-back, a0000-bffff uncached, then
	 * write-protected ROM space. */
	for (unsigned i = 0; i < 11; i++)
		out->fixed[i] = i < 2 ? UINT64_C(0x0606060606060606)
			: i == 2      ? 0
				      : UINT64_C(0x0505050505050505);
}

static void install_tables(struct machine *m)
{
	struct buf tables = {0};
	uint8_t rsdp[ACPI_RSDP_SIZE], facs[ACPI_FACS_SIZE];
	uint64_t at = machine_low_top(m);
	acpi_build(&(struct acpi_config){m->cfg.cpus, at, ROM_FACS}, &tables, rsdp, facs);
	phys_load(&m->phys, hpa(at), tables.data, tables.len);
	phys_load(&m->phys, hpa(ROM_FACS), facs, sizeof(facs));
	buf_done(&tables);
	uint8_t image[ROM_SIZE];
	struct rom_config cfg = {.rsdp = rsdp, .cpus = m->cfg.cpus, .mem = m->cfg.mem};
	cfg.ranges = machine_memory_map(m, cfg.range);
	rom_build(&cfg, image);
	phys_load(&m->phys, hpa(ROM_BASE), image, ROM_SIZE);
	phys_load(&m->phys, hpa(FOUR_GIB - ROM_SIZE), image, ROM_SIZE);
}

void machine_firmware_devices(struct machine *m)
{
	struct devices *d = m->dev;
	pic_firmware(&d->pic);
	/* the BIOS tick: counter 0 as a rate generator over 65536 */
	bus_port_write(&m->bus, 0x43, 1, 0x34);
	bus_port_write(&m->bus, 0x40, 1, 0);
	bus_port_write(&m->bus, 0x40, 1, 0);
	pic_elcr(&d->pic, ACPI_SCI, true);
	pic_elcr(&d->pic, 10, true);
	pic_elcr(&d->pic, 11, true);
	lapics_virtual_wire(&d->lapics);
	rtc_memory(&d->rtc, low_end(m), high_bytes(m));
	pci_assign(m->pci);
}

void machine_firmware(struct machine *m)
{
	machine_firmware_devices(m);
	install_tables(m);
	rom_low_memory(&m->phys);
}

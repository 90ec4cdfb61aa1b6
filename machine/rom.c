#include "machine/rom.h"

#include "machine/acpi.h"
#include "machine/smbios.h"

#include <assert.h>
#include <string.h>

static const uint8_t code[] = {
#include "machine/rom_bytes.h"
};

_Static_assert(sizeof(code) == ROM_SIZE, "the ROM fills its 64 KiB exactly");

static void put(uint8_t *p, unsigned size, uint64_t v)
{
	for (unsigned i = 0; i < size; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

void rom_build(const struct rom_config *cfg, uint8_t image[ROM_SIZE])
{
	assert(cfg->ranges <= MACHINE_RANGES);
	memcpy(image, code, ROM_SIZE);
	memcpy(image + ROM_RSDP, cfg->rsdp, ACPI_RSDP_SIZE);
	put(image + ROM_COUNT, 2, cfg->ranges);
	for (unsigned i = 0; i < cfg->ranges; i++) {
		uint8_t *r = image + ROM_RANGES + 20 * i;
		put(r, 8, cfg->range[i].base);
		put(r + 8, 8, cfg->range[i].size);
		put(r + 16, 4, cfg->range[i].type);
	}
	smbios_build(cfg->cpus, cfg->mem, ROM_BASE + ROM_SMBIOS, image + ROM_SMBIOS, ROM_SMBIOS_MAX);
}

/* The BIOS data area at 400h: what hardware is there, the screen, the keyboard
 * buffer. */
static void data_area(uint8_t bda[256])
{
	memset(bda, 0, 256);
	put(bda + 0x00, 2, 0x3f8);
	put(bda + 0x02, 2, 0x2f8);
	put(bda + 0x0e, 2, 0x9fc0); /* segment of the EBDA */
	put(bda + 0x10, 2, 0x0426); /* two serial ports, 80x25 colour, mouse, FPU */
	put(bda + 0x13, 2, 639);
	put(bda + 0x1a, 2, 0x1e);
	put(bda + 0x1c, 2, 0x1e);
	bda[0x49] = 3;
	put(bda + 0x4a, 2, 80);
	put(bda + 0x4c, 2, 4000);
	put(bda + 0x60, 2, 0x0d0e);
	put(bda + 0x63, 2, 0x3d4);
	put(bda + 0x80, 2, 0x1e);
	put(bda + 0x82, 2, 0x3e);
	bda[0x84] = 24;
	put(bda + 0x85, 2, 16);
}

void rom_low_memory(struct phys *p)
{
	uint8_t ivt[1024], bda[256], ebda[1024] = {1};
	for (unsigned i = 0; i < 256; i++) {
		memcpy(ivt + 4 * i, code + ROM_VECTORS + 2 * i, 2);
		put(ivt + 4 * i + 2, 2, ROM_BASE >> 4);
	}
	data_area(bda);
	phys_load(p, hpa(0), ivt, sizeof(ivt));
	phys_load(p, hpa(0x400), bda, sizeof(bda));
	phys_load(p, hpa(0x9fc00), ebda, sizeof(ebda));
}

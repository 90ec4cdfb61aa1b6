/* Our own ROM at F0000h and below 4 GiB: the image that is assembled from
 * rom/, and what C puts into it and into low memory.
 *
 * Layout of the 64 KiB (rom/rom.S uses the same numbers):
 *   0040 RSDP   0080 number of ranges   0090 ranges, 20 bytes each (E820)
 *   0200 SMBIOS entry points and tables   1000 vectors for the IVT
 *   2000 code   fff0 reset vector
 */
#ifndef MACHINE_ROM_H
#define MACHINE_ROM_H

#include "machine/machine.h"

#define ROM_BASE    UINT64_C(0xf0000)
#define ROM_SIZE    0x10000u
#define ROM_RSDP    0x0040u
#define ROM_COUNT   0x0080u
#define ROM_RANGES  0x0090u
#define ROM_SMBIOS  0x0200u
#define ROM_SMBIOS_MAX 0x0e00u
#define ROM_VECTORS 0x1000u
#define ROM_FACS    UINT64_C(0xe0000) /* RAM; the ROM reads the waking vector there */

struct rom_config {
	const uint8_t *rsdp;
	struct machine_range range[MACHINE_RANGES];
	unsigned ranges;
	unsigned cpus;
	uint64_t mem;
};

/* The image for this configuration. */
void rom_build(const struct rom_config *cfg, uint8_t image[ROM_SIZE]);

/* Interrupt vectors and the BIOS data area. */
void rom_low_memory(struct phys *p);

#endif

/* SMBIOS 2.8 tables: who made the machine, its processors and memory. */
#ifndef MACHINE_SMBIOS_H
#define MACHINE_SMBIOS_H

#include <stddef.h>
#include <stdint.h>

/* Writes the 2.1 entry point, followed by the structures, to `out` (at most
 * `max` bytes), as they will stand at physical address `at` (16-byte aligned,
 * in the F segment). */
void smbios_build(unsigned cpus, uint64_t mem, uint64_t at, uint8_t *out, size_t max);

#endif

/* The ACPI tables. The DSDT is compiled from acpi/dsdt.asl; the others say
 * what depends on the configuration and are written here.
 */
#ifndef MACHINE_ACPI_H
#define MACHINE_ACPI_H

#include "base/buf.h"

#include <stdint.h>

struct acpi_config {
	unsigned cpus;
	uint64_t tables; /* physical address of the block that acpi_build fills */
	uint64_t facs;   /* of the FACS, which the guest writes; 64-byte aligned */
};

#define ACPI_TABLES_MAX 65536
#define ACPI_FACS_SIZE  64
#define ACPI_RSDP_SIZE  36

/* Appends the tables (RSDT, XSDT, FADT, MADT, HPET, MCFG, DSDT) to `tables`;
 * fills the RSDP and the FACS. */
void acpi_build(const struct acpi_config *cfg, struct buf *tables, uint8_t rsdp[ACPI_RSDP_SIZE],
	uint8_t facs[ACPI_FACS_SIZE]);

#endif

/* The PC around the processors: clock, bus, physical memory and every device.
 *
 * The vCPUs are not here: their owner attaches each one's pins and takes the
 * local APIC that belongs to it. Devices take time from `clock` alone and
 * hear of the outside through `inputs` alone.
 *
 * Run loop: set `current` before running a vCPU (its local APIC answers at
 * the APIC base); after each slice call clock_run, then machine_poll until it
 * returns MACHINE_RUNNING. A device that raises an event ends the slice by a
 * deadline at `now`.
 */
#ifndef MACHINE_MACHINE_H
#define MACHINE_MACHINE_H

#include "base/bus.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/irq.h"
#include "base/phys.h"

#include <stdbool.h>
#include <stdint.h>

#define MACHINE_CPUS     64
#define MACHINE_MEM_MIN  (UINT64_C(2) << 20)
#define MACHINE_MEM_MAX  (UINT64_C(1) << 40)
#define MACHINE_LOW_TOP  UINT64_C(0xc0000000) /* RAM below 4 GiB ends here at the latest */
#define MACHINE_SERIALS  2
#define MACHINE_RTC      INT64_C(1735689600)  /* 2025-01-01 00:00:00 UTC */

struct buf;
struct fw_cfg;
struct inputs;
struct log;
struct pci;
struct state;
struct uart;
struct devices; /* the rest; devices.h */

struct machine_config {
	uint64_t mem;    /* bytes of RAM; rounded down to whole MiB */
	unsigned cpus;   /* 1..MACHINE_CPUS */
	int64_t rtc;     /* seconds since 1970-01-01 UTC at tick 0 */
	bool testdev;
};

struct machine {
	struct machine_config cfg;
	struct clock clock;
	struct bus bus;
	struct phys phys;
	struct log *log;       /* owned */
	struct inputs *inputs; /* owned */
	unsigned current;      /* index of the vCPU that runs */
	bool yield;            /* an interrupt went to another vCPU: the quantum ends; the run
	                        * loop clears it */
	struct uart *serial[MACHINE_SERIALS]; /* COM1, COM2; owned */
	struct pci *pci;       /* owned */
	struct fw_cfg *fw_cfg; /* owned */
	struct devices *dev;   /* owned */
};

struct machine *machine_new(const struct machine_config *cfg, struct err *e);
void machine_free(struct machine *m);

/* Connects vCPU `cpu` (< cfg.cpus): its pins, copied, and its local APIC. The
 * level of INTR is driven at once. */
void machine_attach_cpu(struct machine *m, unsigned cpu, const struct cpu_pins *pins);
const struct apic_ops *machine_apic_ops(void);
void *machine_apic(struct machine *m, unsigned cpu);
struct irq_line machine_ferr(struct machine *m, unsigned cpu); /* wired at the boot processor alone */

/* Once all PCI devices are added: BARs placed, tables and ROM in memory, as
 * firmware leaves them. */
void machine_firmware(struct machine *m);

/* Devices to power-on state and firmware's work done again; RAM is kept. */
void machine_reset(struct machine *m);

enum machine_power {
	MACHINE_RUNNING,
	MACHINE_POWEROFF, /* S5, or "Shutdown" at port 8900h */
	MACHINE_RESET,    /* machine_reset, reset every vCPU, and run on: the ROM follows */
	MACHINE_BOOT,     /* the ROM has nothing to resume: machine_firmware, load the guest again
	                   * and start vCPU 0 in it */
	MACHINE_EXIT,     /* port F4h: `value` was written */
	MACHINE_SLEEP,    /* S3: no vCPU runs until MACHINE_WAKE; the clock goes on */
	MACHINE_WAKE      /* devices are reset: reset the vCPUs, the ROM resumes */
};

struct machine_event {
	enum machine_power power;
	uint32_t value;
};

/* Takes the oldest event; power == MACHINE_RUNNING when there is none. */
struct machine_event machine_poll(struct machine *m);

/* For devices: queues the event and ends the slice. */
void machine_raise(struct machine *m, enum machine_power power, uint32_t value);

/* For devices: INIT# of every vCPU. */
void machine_init_pin(struct machine *m);

/* The memory map as INT 15h E820 gives it: types 1 usable, 2 reserved, 3 ACPI
 * tables, 4 ACPI NVS; ascending, without overlap. Returns the count. */
#define MACHINE_RANGES 16
struct machine_range {
	uint64_t base, size;
	uint32_t type;
};
unsigned machine_memory_map(const struct machine *m, struct machine_range out[MACHINE_RANGES]);

uint64_t machine_low_top(const struct machine *m);  /* end of usable RAM below 4 GiB */
uint64_t machine_high_top(const struct machine *m); /* end of RAM above 4 GiB; 4 GiB when none */
uint64_t machine_rsdp(const struct machine *m);     /* physical address of the RSDP */

/* MTRRs as firmware leaves them: default write-back, the hole uncached. */
struct machine_mtrr {
	uint64_t def_type, base, mask; /* one variable range */
	uint64_t fixed[11];            /* IA32_MTRR_FIX64K_00000, FIX16K_80000, ... in MSR order */
};
void machine_mtrrs(const struct machine *m, unsigned phys_bits, struct machine_mtrr *out);

/* `info devices`: one line per device. `screen`: the text screen. */
void machine_info(const struct machine *m, struct buf *out);
void machine_screen(const struct machine *m, struct buf *out);

/* Everything but the vCPUs. */
void machine_state(struct machine *m, struct state *s);

#endif

/* All devices of a machine that have no header of their own in machine.h;
 * machine.c builds and wires them.
 */
#ifndef MACHINE_DEVICES_H
#define MACHINE_DEVICES_H

#include "machine/acpi_pm.h"
#include "machine/hpet.h"
#include "machine/i8042.h"
#include "machine/ioapic.h"
#include "machine/lapic.h"
#include "machine/machine.h"
#include "machine/pic.h"
#include "machine/pit.h"
#include "machine/ports.h"
#include "machine/rtc.h"
#include "machine/testdev.h"
#include "machine/uart.h"
#include "machine/vga.h"

#define MACHINE_EVENTS 8

struct devices {
	struct lapics lapics;
	struct ioapic ioapic;
	struct pic pic;
	struct pit pit;
	struct rtc rtc;
	struct hpet hpet;
	struct acpi_pm pm;
	struct ports ports;
	struct i8042 keyboard;
	struct vga vga;
	struct testdev *testdev; /* owned; NULL without --testdev */
	uint8_t pci_wires; /* INTA..INTD that are up */
	struct clock_timer event_timer; /* ends the slice */
	struct machine_event event[MACHINE_EVENTS];
	unsigned events;
};

/* Written to CMOS_SHUTDOWN when the machine wakes from S3: the ROM resumes. */
#define CMOS_RESUME 0xfe

/* memory.c: the ranges of physical memory; firmware's part in the devices. */
bool machine_build_memory(struct machine *m, struct err *e);
void machine_firmware_devices(struct machine *m);

#endif

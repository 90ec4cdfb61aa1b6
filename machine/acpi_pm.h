/* ACPI's fixed hardware: PM1 event and control registers, the PM timer
 * (3.579545 MHz, 24 bits), sleep states, the power button, the SCI on IRQ 9.
 * There is no SMI command port: the machine is always in ACPI mode.
 * ACPI 6.3, chapter 4.8 "ACPI Register Model".
 */
#ifndef MACHINE_ACPI_PM_H
#define MACHINE_ACPI_PM_H

#include "base/clock.h"
#include "base/irq.h"

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct bus;
struct machine;
struct state;

#define ACPI_PM_EVENT   0x600
#define ACPI_PM_CONTROL 0x604
#define ACPI_PM_TIMER   0x608
#define ACPI_PM_HZ      3579545
#define ACPI_SCI        9
#define ACPI_S3_TYPE    1
#define ACPI_S5_TYPE    0

struct acpi_pm {
	struct machine *machine;
	struct clock *clock;
	struct irq_line sci;
	uint16_t status, enable, control;
	uint64_t seen; /* tick up to which TMR_STS is complete */
	bool asleep;   /* S3 */
	struct clock_timer timer;
};

void acpi_pm_init(struct acpi_pm *p, struct machine *m, struct irq_line sci);
void acpi_pm_reset(struct acpi_pm *p);
void acpi_pm_power_button(struct acpi_pm *p);
void acpi_pm_rtc_alarm(struct acpi_pm *p);
void acpi_pm_woken(struct acpi_pm *p); /* the machine resumes from S3 */
void acpi_pm_state(struct acpi_pm *p, struct state *s);
void acpi_pm_info(const struct acpi_pm *p, struct buf *out);

#endif

/* The MC146818 clock with 128 bytes of CMOS: ports 70h/71h (and 72h/73h),
 * IRQ 8. The date is computed from the virtual clock when it is read; a
 * deadline is armed only while an enabled interrupt can come.
 *
 * The update cycle happens at whole seconds of the date; UIP is set for the
 * 244 us before it.
 */
#ifndef MACHINE_RTC_H
#define MACHINE_RTC_H

#include "base/clock.h"
#include "base/irq.h"

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct bus;
struct state;

#define CMOS_SHUTDOWN 0x0f
#define CMOS_CENTURY  0x32
#define CMOS_BYTES    128

struct rtc {
	struct clock *clock;
	struct irq_line irq;
	/* An alarm or periodic interrupt while the machine sleeps; may be NULL. */
	void (*wake)(void *ctx);
	void *wake_ctx;
	uint8_t index;
	uint8_t cmos[CMOS_BYTES]; /* alarm, A, B, C, and plain bytes; the time only while SET */
	int64_t offset;           /* date in ns since 1970 = offset + clock */
	uint64_t seen;            /* tick up to which flags in C are complete */
	bool irq_off;             /* HPET's legacy replacement owns IRQ 8 */
	bool level;
	struct clock_timer timer;
};

void rtc_init(struct rtc *r, struct bus *bus, struct clock *clock, struct irq_line irq, int64_t date);
void rtc_reset(struct rtc *r); /* RESET#: interrupt enables go, time and bytes stay */
void rtc_legacy_off(struct rtc *r, bool off);
/* Sizes of memory as firmware notes them in CMOS. */
void rtc_memory(struct rtc *r, uint64_t low_top, uint64_t high_bytes);
void rtc_state(struct rtc *r, struct state *s);
void rtc_info(const struct rtc *r, struct buf *out);

#endif

#include "machine/acpi_pm.h"

#include "machine/machine.h"
#include "base/buf.h"
#include "base/state.h"

#include <string.h>

enum { STS_TIMER = 1, STS_GLOBAL = 0x20, STS_POWER = 0x100, STS_SLEEP = 0x200, STS_RTC = 0x400,
	STS_WAKE = 0x8000 };
enum { EN_ALL = STS_TIMER | STS_GLOBAL | STS_POWER | STS_SLEEP | STS_RTC };
enum { CNT_SCI_EN = 1, CNT_SLEEP_ENABLE = 0x2000 };

/* TMR_STS is set whenever bit 23 of the timer changes. */
#define HALF_WRAP (1u << 23)

static uint64_t halves(uint64_t tick)
{
	return clock_to_hz(tick, ACPI_PM_HZ) / HALF_WRAP;
}

static void update(struct acpi_pm *p)
{
	uint64_t now = p->clock->now;
	if (halves(now) != halves(p->seen))
		p->status |= STS_TIMER;
	p->seen = now;
	irq_set(&p->sci, p->status & p->enable & EN_ALL);
	if (p->enable & STS_TIMER && !(p->status & STS_TIMER))
		clock_arm(p->clock, &p->timer,
			clock_from_hz((halves(now) + 1) * HALF_WRAP, ACPI_PM_HZ));
	else
		clock_disarm(p->clock, &p->timer);
}

static void fire(void *owner)
{
	update(owner);
}

/* An event that also ends S3 when it is enabled. */
static void event(struct acpi_pm *p, uint16_t sts)
{
	p->status |= sts;
	if (p->asleep && (p->enable & sts || sts == STS_POWER))
		machine_raise(p->machine, MACHINE_WAKE, 0);
	update(p);
}

void acpi_pm_power_button(struct acpi_pm *p)
{
	event(p, STS_POWER);
}

void acpi_pm_rtc_alarm(struct acpi_pm *p)
{
	event(p, STS_RTC);
}

void acpi_pm_woken(struct acpi_pm *p)
{
	p->asleep = false;
	p->status |= STS_WAKE;
	update(p);
}

static void sleep_state(struct acpi_pm *p, unsigned type)
{
	if (type == ACPI_S5_TYPE) {
		machine_raise(p->machine, MACHINE_POWEROFF, 0);
	} else if (type == ACPI_S3_TYPE) {
		p->asleep = true;
		machine_raise(p->machine, MACHINE_SLEEP, 0);
		if (p->status & p->enable & EN_ALL)
			machine_raise(p->machine, MACHINE_WAKE, 0);
	}
}

static uint64_t read_register(struct acpi_pm *p, uint64_t reg)
{
	switch (reg) {
	case 0:
		update(p);
		return p->status;
	case 2:
		return p->enable;
	case 4:
		return p->control;
	default:
		return 0;
	}
}

static uint64_t port_read(void *dev, uint64_t offset, unsigned size)
{
	struct acpi_pm *p = dev;
	if (offset >= 8)
		return (clock_to_hz(p->clock->now, ACPI_PM_HZ) & 0xffffff) >> 8 * (offset - 8);
	uint64_t v = read_register(p, offset & ~1u);
	if (size == 4)
		v |= read_register(p, (offset & ~1u) + 2) << 16;
	return v >> 8 * (offset & 1);
}

static void write_register(struct acpi_pm *p, uint64_t reg, uint16_t v)
{
	switch (reg) {
	case 0:
		update(p);
		p->status &= ~v;
		break;
	case 2:
		p->enable = v & EN_ALL;
		break;
	case 4:
		p->control = (v & ~CNT_SLEEP_ENABLE & 0x1c06) | CNT_SCI_EN;
		if (v & CNT_SLEEP_ENABLE)
			sleep_state(p, v >> 10 & 7);
		break;
	default:
		return;
	}
	update(p);
}

static void port_write(void *dev, uint64_t offset, unsigned size, uint64_t v)
{
	struct acpi_pm *p = dev;
	uint64_t reg = offset & ~1u;
	if (size == 1) {
		/* One byte: the other keeps its value (status: writes no ones). */
		uint16_t other = reg == 0 ? 0
			: (uint16_t)(read_register(p, reg) & (offset & 1 ? 0x00ff : 0xff00));
		write_register(p, reg, (uint16_t)(other | v << 8 * (offset & 1)));
		return;
	}
	write_register(p, reg, (uint16_t)v);
	if (size == 4)
		write_register(p, reg + 2, (uint16_t)(v >> 16));
}

static const struct bus_ops ops = {port_read, port_write};

void acpi_pm_init(struct acpi_pm *p, struct machine *m, struct irq_line sci)
{
	memset(p, 0, sizeof(*p));
	p->machine = m;
	p->clock = &m->clock;
	p->sci = sci;
	p->control = CNT_SCI_EN;
	clock_register(p->clock, &p->timer, fire, p);
	bus_map_port(&m->bus, ACPI_PM_EVENT, 12, &ops, p, "acpi pm");
}

void acpi_pm_reset(struct acpi_pm *p)
{
	p->status = p->enable = 0;
	p->control = CNT_SCI_EN;
	p->asleep = false;
	p->seen = p->clock->now;
	update(p);
}

void acpi_pm_state(struct acpi_pm *p, struct state *s)
{
	state_section(s, "acpi_pm", 1);
	state_u16(s, &p->status);
	state_u16(s, &p->enable);
	state_u16(s, &p->control);
	state_u64(s, &p->seen);
	state_bool(s, &p->asleep);
}

void acpi_pm_info(const struct acpi_pm *p, struct buf *out)
{
	buf_fmt(out, "acpi pm  status %04x enable %04x control %04x%s\n", p->status, p->enable,
		p->control, p->asleep ? " asleep" : "");
}

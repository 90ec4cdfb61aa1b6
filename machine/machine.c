/* Builds the PC and connects its parts. */
#include "machine/devices.h"

#include "machine/fw_cfg.h"
#include "machine/pci.h"
#include "base/buf.h"
#include "base/input.h"
#include "base/log.h"
#include "base/state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define LOG_LINES 4096
#define PCI_MEM_END PCI_ECAM_BASE

/* --- wires ------------------------------------------------------------------- */

/* ISA interrupts reach both controllers; IRQ 0 is the IOAPIC's input 2. */
static void isa_irq(void *dev, unsigned n, bool level)
{
	struct devices *d = dev;
	pic_set(&d->pic, n, level);
	ioapic_set(&d->ioapic, n ? n : 2, level);
}

static struct irq_line isa_line(struct devices *d, unsigned n)
{
	return (struct irq_line){isa_irq, d, n};
}

static void pic_intr(void *dev, unsigned n, bool level)
{
	(void)n;
	lapics_extint(&((struct devices *)dev)->lapics, level);
}

static const uint8_t pci_irqs[4] = {10, 11, 10, 11};

static void pci_intx(void *ctx, unsigned wire, bool level)
{
	struct devices *d = ((struct machine *)ctx)->dev;
	d->pci_wires = level ? d->pci_wires | 1u << wire : d->pci_wires & ~(1u << wire);
	ioapic_set(&d->ioapic, 16 + wire, level);
	pic_set(&d->pic, 10, d->pci_wires & 0x5);
	pic_set(&d->pic, 11, d->pci_wires & 0xa);
}

static void pci_msi_send(void *ctx, uint64_t address, uint32_t data)
{
	struct machine *m = ctx;
	if (address >> 20 == LAPIC_BASE >> 20)
		lapics_msi(&m->dev->lapics, address, data);
	else
		phys_write(&m->phys, hpa(address), &data, sizeof(data));
}

static void lapic_ended(void *ctx, uint8_t vector)
{
	ioapic_eoi(&((struct machine *)ctx)->dev->ioapic, vector);
}

static int lapic_pic_ack(void *ctx)
{
	return pic_ack(&((struct machine *)ctx)->dev->pic);
}

/* Ends the slice: the engine never runs past a deadline. */
static void end_slice(struct machine *m)
{
	clock_arm(&m->clock, &m->dev->event_timer, m->clock.now);
}

static void lapic_yield(void *ctx)
{
	struct machine *m = ctx;
	m->yield = true;
	end_slice(m);
}

static void hpet_gsi(void *ctx, unsigned gsi, bool level)
{
	ioapic_set(&((struct machine *)ctx)->dev->ioapic, gsi, level);
}

static void hpet_isa(void *ctx, unsigned irq, bool level)
{
	isa_irq(((struct machine *)ctx)->dev, irq, level);
}

static void hpet_legacy(void *ctx, bool on)
{
	struct devices *d = ((struct machine *)ctx)->dev;
	pit_legacy_off(&d->pit, on);
	rtc_legacy_off(&d->rtc, on);
}

static void rtc_wakes(void *ctx)
{
	acpi_pm_rtc_alarm(&((struct machine *)ctx)->dev->pm);
}

/* --- inputs -------------------------------------------------------------------- */

static void input_serial(void *ctx, uint32_t target, const uint8_t *data, uint32_t len)
{
	struct machine *m = ctx;
	if (target < MACHINE_SERIALS)
		uart_receive(m->serial[target], data, len);
}

static void input_nmi(void *ctx, uint32_t target, const uint8_t *data, uint32_t len)
{
	struct machine *m = ctx;
	(void)data;
	(void)len;
	if (target < m->cfg.cpus) {
		const struct cpu_pins *pins = &m->dev->lapics.cpu[target].pins;
		pins->nmi(pins->cpu);
	} else {
		lapics_nmi(&m->dev->lapics);
	}
}

static void input_reset(void *ctx, uint32_t target, const uint8_t *data, uint32_t len)
{
	(void)target;
	(void)data;
	(void)len;
	machine_raise(ctx, MACHINE_RESET, 0);
}

static void input_power(void *ctx, uint32_t target, const uint8_t *data, uint32_t len)
{
	(void)target;
	(void)data;
	(void)len;
	acpi_pm_power_button(&((struct machine *)ctx)->dev->pm);
}

static void input_key(void *ctx, uint32_t target, const uint8_t *data, uint32_t len)
{
	(void)target;
	i8042_keys(&((struct machine *)ctx)->dev->keyboard, data, len);
}

/* --- construction ---------------------------------------------------------------- */

static void build_interrupts(struct machine *m)
{
	struct devices *d = m->dev;
	lapics_init(&d->lapics,
		&(struct lapics_config){.count = m->cfg.cpus,
			.clock = &m->clock,
			.bus = &m->bus,
			.current = &m->current,
			.eoi = lapic_ended,
			.pic_ack = lapic_pic_ack,
			.yield = lapic_yield,
			.ctx = m});
	ioapic_init(&d->ioapic, &m->bus, &d->lapics);
	pic_init(&d->pic, &m->bus, (struct irq_line){pic_intr, d, 0});
}

static void build_timers(struct machine *m)
{
	struct devices *d = m->dev;
	pit_init(&d->pit, &m->bus, &m->clock, isa_line(d, 0));
	rtc_init(&d->rtc, &m->bus, &m->clock, isa_line(d, 8), m->cfg.rtc);
	d->rtc.wake = rtc_wakes;
	d->rtc.wake_ctx = m;
	hpet_init(&d->hpet, &(struct hpet_wires){&m->clock, &m->bus, hpet_gsi, hpet_legacy, hpet_isa, m});
	acpi_pm_init(&d->pm, m, isa_line(d, ACPI_SCI));
}

static void testdev_line(void *ctx, unsigned n, bool level)
{
	struct devices *d = ctx;
	if (n < 16)
		pic_set(&d->pic, n, level);
	ioapic_set(&d->ioapic, n, level);
}

/* What a guest or its firmware asks fw_cfg for. */
static void build_fw_cfg(struct machine *m)
{
	uint64_t mem = m->cfg.mem;
	uint16_t cpus = (uint16_t)m->cfg.cpus;
	struct machine_range r[MACHINE_RANGES];
	struct buf e820 = {0};
	unsigned n = machine_memory_map(m, r);
	for (unsigned i = 0; i < n; i++) {
		buf_add(&e820, &r[i].base, 8);
		buf_add(&e820, &r[i].size, 8);
		buf_add(&e820, &r[i].type, 4);
	}
	m->fw_cfg = fw_cfg_new(&m->bus);
	fw_cfg_item(m->fw_cfg, FW_CFG_RAM_SIZE, &mem, sizeof(mem));
	fw_cfg_item(m->fw_cfg, FW_CFG_NB_CPUS, &cpus, sizeof(cpus));
	fw_cfg_item(m->fw_cfg, FW_CFG_MAX_CPUS, &cpus, sizeof(cpus));
	fw_cfg_file(m->fw_cfg, "etc/e820", e820.data, e820.len);
	buf_done(&e820);
}

static void no_event(void *owner)
{
	(void)owner;
}

static bool build(struct machine *m, struct err *e)
{
	struct devices *d = m->dev;
	clock_register(&m->clock, &d->event_timer, no_event, m);
	build_interrupts(m);
	build_timers(m);
	m->serial[0] = uart_new(&m->bus, 0x3f8, isa_line(d, 4), "com1");
	m->serial[1] = uart_new(&m->bus, 0x2f8, isa_line(d, 3), "com2");
	m->pci = pci_new(&(struct pci_host){.bus = &m->bus,
		.intx = pci_intx,
		.msi = pci_msi_send,
		.ctx = m,
		.mem_base = MACHINE_LOW_TOP,
		.mem_end = PCI_MEM_END,
		.io_base = 0xc000,
		.io_end = 0x10000,
		.irq = {pci_irqs[0], pci_irqs[1], pci_irqs[2], pci_irqs[3]}});
	ports_init(&d->ports, m, isa_line(d, 13)); /* CF9h lies inside the window of CF8h: later wins */
	i8042_init(&d->keyboard, m, &d->ports, isa_line(d, 1));
	vga_init(&d->vga, &m->bus, &m->phys, &m->clock);
	build_fw_cfg(m);
	if (m->cfg.testdev)
		d->testdev = testdev_new(&(struct testdev_wires){&m->bus, m->pci, testdev_line, d});
	inputs_register(m->inputs, INPUT_KEY, input_key, m);
	inputs_register(m->inputs, INPUT_SERIAL, input_serial, m);
	inputs_register(m->inputs, INPUT_NMI, input_nmi, m);
	inputs_register(m->inputs, INPUT_RESET, input_reset, m);
	inputs_register(m->inputs, INPUT_POWER, input_power, m);
	return machine_build_memory(m, e);
}

struct machine *machine_new(const struct machine_config *cfg, struct err *e)
{
	if (!cfg->cpus || cfg->cpus > MACHINE_CPUS) {
		err_set(e, ERR_USAGE, "%u processors: the machine takes 1 to %u", cfg->cpus,
			MACHINE_CPUS);
		return NULL;
	}
	if (cfg->mem < MACHINE_MEM_MIN || cfg->mem > MACHINE_MEM_MAX) {
		err_set(e, ERR_USAGE, "%llu bytes of memory: the machine takes 2M to 1T",
			(unsigned long long)cfg->mem);
		return NULL;
	}
	struct machine *m = xalloc(sizeof(*m));
	m->cfg = *cfg;
	m->cfg.mem &= ~UINT64_C(0xfffff);
	m->dev = xalloc(sizeof(*m->dev));
	clock_init(&m->clock);
	phys_init(&m->phys);
	m->log = log_new(LOG_LINES);
	log_clock(m->log, &m->clock.now);
	m->inputs = inputs_new(&m->clock);
	if (!build(m, e)) {
		machine_free(m);
		return NULL;
	}
	machine_firmware(m);
	return m;
}

void machine_free(struct machine *m)
{
	if (!m)
		return;
	for (unsigned i = 0; i < MACHINE_SERIALS; i++)
		uart_free(m->serial[i]);
	fw_cfg_free(m->fw_cfg);
	testdev_free(m->dev->testdev);
	pci_free(m->pci);
	inputs_free(m->inputs);
	log_free(m->log);
	phys_done(&m->phys);
	free(m->dev);
	free(m);
}

/* --- the vCPUs' side ---------------------------------------------------------------- */

void machine_attach_cpu(struct machine *m, unsigned cpu, const struct cpu_pins *pins)
{
	assert(cpu < m->cfg.cpus);
	struct lapic *l = &m->dev->lapics.cpu[cpu];
	l->pins = *pins;
	pins->intr(pins->cpu, l->intr); /* a level: it may be up already */
}

const struct apic_ops *machine_apic_ops(void)
{
	return &lapic_ops;
}

void *machine_apic(struct machine *m, unsigned cpu)
{
	assert(cpu < m->cfg.cpus);
	return &m->dev->lapics.cpu[cpu];
}

struct irq_line machine_ferr(struct machine *m, unsigned cpu)
{
	return cpu ? (struct irq_line){0} : ports_ferr(&m->dev->ports);
}

void machine_init_pin(struct machine *m)
{
	for (unsigned i = 0; i < m->cfg.cpus; i++) {
		const struct cpu_pins *pins = &m->dev->lapics.cpu[i].pins;
		pins->init(pins->cpu);
	}
	end_slice(m);
}

/* --- power ------------------------------------------------------------------------------ */

void machine_raise(struct machine *m, enum machine_power power, uint32_t value)
{
	struct devices *d = m->dev;
	if (d->events < MACHINE_EVENTS)
		d->event[d->events++] = (struct machine_event){power, value};
	end_slice(m);
}

static void reset_devices(struct machine *m)
{
	struct devices *d = m->dev;
	lapics_reset(&d->lapics);
	ioapic_reset(&d->ioapic);
	pic_reset(&d->pic);
	pit_reset(&d->pit);
	rtc_reset(&d->rtc);
	hpet_reset(&d->hpet);
	ports_reset(&d->ports);
	i8042_reset(&d->keyboard);
	vga_reset(&d->vga);
	fw_cfg_reset(m->fw_cfg);
	if (d->testdev)
		testdev_reset(d->testdev);
	for (unsigned i = 0; i < MACHINE_SERIALS; i++)
		uart_reset(m->serial[i]);
	pci_reset(m->pci);
	m->yield = false;
	m->current = 0;
}

void machine_reset(struct machine *m)
{
	reset_devices(m);
	acpi_pm_reset(&m->dev->pm);
	m->dev->rtc.cmos[CMOS_SHUTDOWN] = 0;
	m->dev->events = 0;
	machine_firmware(m);
}

/* Power comes back after S3: RAM and what is left in the RTC stay; the
 * firmware finds the mark of a resume in CMOS. */
static void wake(struct machine *m)
{
	reset_devices(m);
	m->dev->rtc.cmos[CMOS_SHUTDOWN] = CMOS_RESUME;
	acpi_pm_woken(&m->dev->pm);
	machine_firmware_devices(m);
}

struct machine_event machine_poll(struct machine *m)
{
	struct devices *d = m->dev;
	if (!d->events)
		return (struct machine_event){MACHINE_RUNNING, 0};
	struct machine_event ev = d->event[0];
	d->events--;
	memmove(d->event, d->event + 1, d->events * sizeof(*d->event));
	if (ev.power == MACHINE_WAKE)
		wake(m);
	return ev;
}

/* --- state ------------------------------------------------------------------------------ */

static void events_state(struct devices *d, struct state *s)
{
	uint64_t n = d->events;
	state_count(s, &n, MACHINE_EVENTS);
	d->events = (unsigned)n;
	for (unsigned i = 0; i < d->events; i++) {
		uint32_t power = d->event[i].power;
		state_u32(s, &power);
		d->event[i].power = power;
		state_u32(s, &d->event[i].value);
	}
}

void machine_state(struct machine *m, struct state *s)
{
	struct devices *d = m->dev;
	state_section(s, "machine", 1);
	uint32_t cpus = m->cfg.cpus, current = m->current;
	uint64_t mem = m->cfg.mem;
	state_u32(s, &cpus);
	state_u64(s, &mem);
	if (cpus != m->cfg.cpus || mem != m->cfg.mem) {
		state_fail(s, "the snapshot is of a machine with %u processors and %llu bytes of RAM",
			cpus, (unsigned long long)mem);
		return;
	}
	state_u32(s, &current);
	if (current < m->cfg.cpus)
		m->current = current;
	state_bool(s, &m->yield);
	state_u8(s, &d->pci_wires);
	events_state(d, s);
	clock_state(&m->clock, s);
	phys_state(&m->phys, s);
	lapics_state(&d->lapics, s);
	ioapic_state(&d->ioapic, s);
	pic_state(&d->pic, s);
	pit_state(&d->pit, s);
	rtc_state(&d->rtc, s);
	hpet_state(&d->hpet, s);
	acpi_pm_state(&d->pm, s);
	ports_state(&d->ports, s);
	i8042_state(&d->keyboard, s);
	vga_state(&d->vga, s);
	fw_cfg_state(m->fw_cfg, s);
	if (d->testdev)
		testdev_state(d->testdev, s);
	for (unsigned i = 0; i < MACHINE_SERIALS; i++)
		uart_state(m->serial[i], s);
	pci_state(m->pci, s);
}

void machine_info(const struct machine *m, struct buf *out)
{
	const struct devices *d = m->dev;
	lapics_info(&d->lapics, out);
	ioapic_info(&d->ioapic, out);
	pic_info(&d->pic, out);
	pit_info(&d->pit, out);
	rtc_info(&d->rtc, out);
	hpet_info(&d->hpet, out);
	acpi_pm_info(&d->pm, out);
	i8042_info(&d->keyboard, out);
	for (unsigned i = 0; i < MACHINE_SERIALS; i++)
		uart_info(m->serial[i], out);
	pci_info(m->pci, out);
}

void machine_screen(const struct machine *m, struct buf *out)
{
	vga_screen(&m->dev->vga, out);
}

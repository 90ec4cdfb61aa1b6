/* machine/uart.h, pci.h, fw_cfg.h, i8042.h, ports.h, vga.h, testdev.h,
 * acpi_pm.h in a whole machine; its state saved, loaded and hashed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "machine/devices.h"

#include "machine/fw_cfg.h"
#include "machine/pci.h"
#include "base/buf.h"
#include "base/input.h"
#include "base/state.h"

#include <string.h>

struct cpu {
	bool intr, ignne;
	unsigned init, nmi;
};

static void pin_intr(void *cpu, bool level)
{
	((struct cpu *)cpu)->intr = level;
}
static void pin_nmi(void *cpu)
{
	((struct cpu *)cpu)->nmi++;
}
static void pin_init(void *cpu)
{
	((struct cpu *)cpu)->init++;
}
static void pin_sipi(void *cpu, uint8_t vector)
{
	(void)cpu;
	(void)vector;
}

static void pin_ignne(void *cpu, bool level)
{
	((struct cpu *)cpu)->ignne = level;
}

static struct machine *pc(struct cpu cpu[2])
{
	struct machine *m = machine_new(
		&(struct machine_config){
			.mem = 16 << 20, .cpus = 2, .rtc = MACHINE_RTC, .testdev = true},
		NULL);
	assert_non_null(m);
	for (unsigned i = 0; i < 2; i++) {
		cpu[i] = (struct cpu){0};
		machine_attach_cpu(m, i,
			&(struct cpu_pins){&cpu[i], pin_intr, pin_nmi, pin_init, pin_sipi, pin_ignne});
	}
	return m;
}

static void out(struct machine *m, uint16_t port, uint8_t v)
{
	bus_port_write(&m->bus, port, 1, v);
}
static uint8_t in(struct machine *m, uint16_t port)
{
	return (uint8_t)bus_port_read(&m->bus, port, 1);
}
static void out4(struct machine *m, uint16_t port, uint32_t v)
{
	bus_port_write(&m->bus, port, 4, v);
}
static uint32_t in4(struct machine *m, uint16_t port)
{
	return bus_port_read(&m->bus, port, 4);
}

static void pass(struct machine *m, uint64_t ticks)
{
	uint64_t end = m->clock.now + ticks;
	while (clock_next(&m->clock) <= end) {
		clock_set(&m->clock,
			clock_next(&m->clock) > m->clock.now ? clock_next(&m->clock) : m->clock.now);
		clock_run(&m->clock);
	}
	clock_set(&m->clock, end);
}

/* Unmasks an ISA interrupt at the 8259s; the virtual wire is there. */
static void unmask(struct machine *m, unsigned irq)
{
	out(m, 0x21, irq < 8 ? (uint8_t)~(1 << irq) : (uint8_t)~4);
	out(m, 0xa1, irq < 8 ? 0xff : (uint8_t)~(1 << (irq - 8)));
}

static int ack(struct machine *m)
{
	int v = machine_apic_ops()->ack(machine_apic(m, 0));
	out(m, 0xa0, 0x20);
	out(m, 0x20, 0x20);
	return v;
}

/* A pin that rose before anybody was attached is seen by who comes. */
static void test_attach_sees_the_level(void **ctx)
{
	(void)ctx;
	struct cpu cpu[2], late = {0};
	struct machine *m = pc(cpu);
	unmask(m, 4);
	out(m, 0x3fc, 0x08);
	out(m, 0x3f9, 0x02); /* the transmitter is empty */
	machine_attach_cpu(m, 0,
		&(struct cpu_pins){&late, pin_intr, pin_nmi, pin_init, pin_sipi, pin_ignne});
	assert_true(late.intr);
	machine_free(m);
}

/* FERR# is IRQ 13 until port F0h is written, and IGNNE# is up from then on. */
static void test_x87_errors(void **ctx)
{
	(void)ctx;
	struct cpu cpu[2];
	struct machine *m = pc(cpu);
	struct irq_line ferr = machine_ferr(m, 0), other = machine_ferr(m, 1);
	unmask(m, 13);
	out(m, 0xf0, 0);
	assert_false(cpu[0].intr || cpu[0].ignne);
	irq_set(&other, true); /* goes nowhere */
	assert_false(cpu[0].intr || cpu[1].intr);
	irq_set(&ferr, true);
	assert_true(cpu[0].intr);
	assert_false(cpu[0].ignne);
	out(m, 0xf0, 0);
	assert_false(cpu[0].intr);
	assert_true(cpu[0].ignne);
	assert_false(cpu[1].ignne);
	irq_set(&ferr, false);
	assert_false(cpu[0].ignne);
	irq_set(&ferr, true);
	assert_true(cpu[0].intr);
	machine_free(m);
}

/* --- UART --------------------------------------------------------------------- */

static void collect(void *ctx, const uint8_t *data, size_t n)
{
	buf_add(ctx, data, n);
}

static void test_uart(void **ctx)
{
	(void)ctx;
	struct cpu cpu[2];
	struct machine *m = pc(cpu);
	struct buf sent = {0};
	uart_attach(m->serial[0], &(struct serial_backend){collect, &sent});
	out(m, 0x3f8, 'h');
	out(m, 0x3f8, 'i');
	assert_string_equal(sent.data, "hi");
	assert_int_equal(in(m, 0x3fd), 0x60);
	unmask(m, 4);
	out(m, 0x3fc, 0x08); /* OUT2 */
	out(m, 0x3fa, 0xc7); /* FIFO, trigger 14 */
	assert_int_equal(in(m, 0x3fa), 0xc1);
	out(m, 0x3f9, 0x03);
	assert_true(cpu[0].intr); /* the transmitter is empty */
	assert_int_equal(in(m, 0x3fa), 0xc2);
	assert_false(cpu[0].intr);
	input_put(m->inputs, INPUT_SERIAL, 0, "abc", 3);
	assert_true(cpu[0].intr);
	assert_int_equal(ack(m), 0x0c);
	assert_int_equal(in(m, 0x3fa), 0xcc); /* below the trigger: timeout */
	input_put(m->inputs, INPUT_SERIAL, 0, "0123456789abcdef", 16);
	assert_int_equal(in(m, 0x3fa), 0xc4);
	assert_int_equal(in(m, 0x3fd), 0x61);
	static const char want[] = "abc0123456789abcdef";
	for (unsigned i = 0; i < 19; i++)
		assert_int_equal(in(m, 0x3f8), want[i]);
	assert_int_equal(in(m, 0x3fd), 0x60);
	assert_false(cpu[0].intr);
	uint8_t *much = test_calloc(1, UART_QUEUE + 1);
	uart_receive(m->serial[0], much, UART_QUEUE + 1);
	assert_int_equal(uart_room(m->serial[0]), 0);
	assert_int_equal(in(m, 0x3fd) & 3, 3); /* overrun */
	test_free(much);
	out(m, 0x3fb, 0x80); /* the divisor behind DLAB */
	out(m, 0x3f8, 0x34);
	out(m, 0x3f9, 0x12);
	assert_int_equal(in(m, 0x3f8), 0x34);
	out(m, 0x3fb, 0x03);
	assert_int_equal(in(m, 0x3f9), 0x03);
	buf_done(&sent);
	machine_free(m);
}

/* --- PCI ------------------------------------------------------------------------- */

static uint32_t config(struct machine *m, unsigned slot, unsigned reg)
{
	out4(m, 0xcf8, 0x80000000 | slot << 11 | reg);
	return in4(m, 0xcfc);
}
static void config_set(struct machine *m, unsigned slot, unsigned reg, uint32_t v)
{
	out4(m, 0xcf8, 0x80000000 | slot << 11 | reg);
	out4(m, 0xcfc, v);
}

struct toy {
	uint64_t last;
	unsigned bar, resets;
};
static uint64_t toy_read(void *dev, unsigned bar, uint64_t offset, unsigned size)
{
	(void)dev;
	(void)size;
	return bar << 16 | offset;
}
static void toy_write(void *dev, unsigned bar, uint64_t offset, unsigned size, uint64_t value)
{
	(void)offset;
	(void)size;
	((struct toy *)dev)->last = value;
	((struct toy *)dev)->bar = bar;
}
static void toy_reset(void *dev)
{
	((struct toy *)dev)->resets++;
}
static const struct pci_ops toy_ops = {.read = toy_read, .write = toy_write, .reset = toy_reset};

static struct pci_device *toy(struct machine *m, struct toy *t)
{
	static const struct pci_ident id = {.vendor = 0x1234, .device = 0x5678, .class_code = 0x020000};
	struct pci_device *d = pci_add(m->pci, 5, &id, &toy_ops, t, "toy");
	pci_bar(d, 0, 0x4000, PCI_BAR_64 | PCI_BAR_PREFETCH);
	pci_bar(d, 2, 64, PCI_BAR_IO);
	pci_msix(d, 4, 3);
	machine_firmware(m);
	return d;
}

static void test_pci_header_and_bars(void **ctx)
{
	(void)ctx;
	struct cpu cpu[2];
	struct machine *m = pc(cpu);
	struct toy t = {0};
	struct pci_device *d = toy(m, &t);
	uint64_t at;
	assert_int_equal(config(m, 0, 0), 0x00081b36);
	assert_int_equal(config(m, 5, 0), 0x56781234);
	assert_int_equal(config(m, 7, 0), UINT32_MAX);
	assert_int_equal(config(m, 5, 0x3c) & 0xffff, 0x10b); /* INTA, IRQ 11: slot 5 is wire 1 */
	assert_int_equal(bus_mmio_read(&m->bus, hpa(PCI_ECAM_BASE + (5 << 15)), 4), 0x56781234);
	assert_true(pci_bar_at(d, 0, &at));
	assert_true(at >= 0xc0000000 && at < 0xe0000000 && !(at & 0x3fff));
	assert_int_equal(bus_mmio_read(&m->bus, hpa(at + 0x123), 1), 0x23);
	assert_true(pci_bar_at(d, 2, &at));
	assert_int_equal(bus_port_read(&m->bus, (uint16_t)(at + 4), 4), 0x20004);
	config_set(m, 5, 0x10, UINT32_MAX); /* sizing */
	config_set(m, 5, 0x14, UINT32_MAX);
	assert_int_equal(config(m, 5, 0x10), 0xffffc00c);
	assert_int_equal(config(m, 5, 0x14), UINT32_MAX);
	assert_false(pci_bar_at(d, 0, &at));
	config_set(m, 5, 0x18, UINT32_MAX);
	assert_int_equal(config(m, 5, 0x18), 0xffffffc1);
	config_set(m, 5, 0x24, UINT32_MAX);
	assert_int_equal(config(m, 5, 0x24), 0); /* no such BAR */
	config_set(m, 5, 0x10, 0x50000000); /* moved above 4 GiB */
	config_set(m, 5, 0x14, 0x1);
	assert_true(pci_bar_at(d, 0, &at) && at == 0x150000000);
	bus_mmio_write(&m->bus, hpa(0x150000008), 4, 77);
	assert_int_equal(t.last, 77);
	config_set(m, 5, 4, 0); /* decoding off */
	assert_false(pci_bar_at(d, 0, &at));
	assert_null(bus_mmio_at(&m->bus, hpa(0x150000000)));
	machine_reset(m);
	assert_int_equal(t.resets, 1);
	assert_true(pci_bar_at(d, 0, &at) && at < 0xe0000000);
	machine_free(m);
}

static void test_pci_interrupts(void **ctx)
{
	(void)ctx;
	struct cpu cpu[2];
	struct machine *m = pc(cpu);
	struct toy t = {0};
	struct pci_device *d = toy(m, &t);
	unmask(m, 11);
	pci_irq(d, true);
	assert_true(cpu[0].intr);
	assert_true(config(m, 5, 4) & 0x80000);
	config_set(m, 5, 4, 0x407); /* INTx disabled */
	assert_false(cpu[0].intr);
	config_set(m, 5, 4, 0x7);
	assert_int_equal(ack(m), 0x73);
	pci_irq(d, false);
	assert_false(cpu[0].intr);

	uint32_t cap = config(m, 5, 0x34) & 0xff, first = config(m, 5, cap);
	uint64_t table;
	assert_int_equal(first & 0xff, 0x11);
	assert_int_equal(first >> 16, 2);
	assert_int_equal(config(m, 5, cap + 4), 4);
	assert_true(pci_bar_at(d, 4, &table));
	bus_mmio_write(&m->bus, hpa(table + 16), 4, 0xfee01000);
	bus_mmio_write(&m->bus, hpa(table + 16 + 8), 8, 0x55); /* data, unmasked */
	pci_msix_notify(d, 1); /* not enabled: nothing */
	assert_false(cpu[1].intr);
	bus_port_write(&m->bus, 0xcf8, 4, 0x80000000 | 5 << 11 | cap);
	bus_port_write(&m->bus, 0xcfe, 2, 0xc000); /* enabled, all masked */
	m->current = 1;
	bus_mmio_write(&m->bus, hpa(0xfee000f0), 4, 0x1ff);
	pci_msix_notify(d, 1);
	assert_false(cpu[1].intr);
	assert_int_equal(bus_mmio_read(&m->bus, hpa(table + 0x800), 8), 2);
	bus_port_write(&m->bus, 0xcf8, 4, 0x80000000 | 5 << 11 | cap);
	bus_port_write(&m->bus, 0xcfe, 2, 0x8000);
	assert_true(cpu[1].intr);
	assert_int_equal(bus_mmio_read(&m->bus, hpa(table + 0x800), 8), 0);
	assert_int_equal(machine_apic_ops()->ack(machine_apic(m, 1)), 0x55);
	machine_free(m);
}

/* --- Small ones ------------------------------------------------------------------ */

static uint64_t fw(struct machine *m, uint16_t key, unsigned skip, unsigned n)
{
	uint64_t v = 0;
	bus_port_write(&m->bus, 0x510, 2, key);
	while (skip--)
		in(m, 0x511);
	for (unsigned i = 0; i < n; i++)
		v |= (uint64_t)in(m, 0x511) << 8 * i;
	return v;
}

static void test_fw_cfg(void **ctx)
{
	(void)ctx;
	struct cpu cpu[2];
	struct machine *m = pc(cpu);
	assert_int_equal(fw(m, 0, 0, 4), 0x554d4551);
	assert_int_equal(fw(m, FW_CFG_RAM_SIZE, 0, 8), 16 << 20);
	assert_int_equal(fw(m, FW_CFG_NB_CPUS, 0, 2), 2);
	fw_cfg_file(m->fw_cfg, "opt/answer", "42", 2);
	assert_int_equal(fw(m, FW_CFG_FILE_DIR, 3, 1), 2);
	assert_int_equal(fw(m, FW_CFG_FILE_DIR, 4 + 64 + 3, 1), 2);
	uint16_t key = (uint16_t)fw(m, FW_CFG_FILE_DIR, 4 + 64 + 5, 1);
	assert_int_equal(fw(m, key, 0, 4), 0x3234);
	assert_int_equal(fw(m, 0x3abc, 0, 4), 0);
	machine_free(m);
}

static void test_keyboard(void **ctx)
{
	(void)ctx;
	struct cpu cpu[2];
	struct machine *m = pc(cpu);
	out(m, 0x64, 0xaa);
	assert_int_equal(in(m, 0x64) & 1, 1);
	assert_int_equal(in(m, 0x60), 0x55);
	out(m, 0x60, 0xff);
	assert_int_equal(in(m, 0x60), 0xfa);
	assert_int_equal(in(m, 0x60), 0xaa);
	unmask(m, 1);
	input_put(m->inputs, INPUT_KEY, 0, "\x1e\x9e", 2);
	assert_int_equal(ack(m), 0x09);
	assert_int_equal(in(m, 0x60), 0x1e);
	assert_int_equal(ack(m), 0x09);
	assert_int_equal(in(m, 0x60), 0x9e);
	assert_false(cpu[0].intr);
	assert_int_equal(in(m, 0x64) & 1, 0);
	out(m, 0x64, 0xd1); /* A20 off: port 92h sees it */
	out(m, 0x60, 0xdd);
	assert_int_equal(in(m, 0x92) & 2, 0);
	out(m, 0x64, 0xfe);
	assert_int_equal(cpu[0].init + cpu[1].init, 2);
	machine_free(m);
}

static void test_ports_and_power(void **ctx)
{
	(void)ctx;
	struct cpu cpu[2];
	struct machine *m = pc(cpu);
	assert_int_equal(machine_poll(m).power, MACHINE_RUNNING);
	out(m, 0xf4, 0x21);
	assert_int_equal(clock_next(&m->clock), m->clock.now); /* the slice ends */
	clock_run(&m->clock);
	struct machine_event ev = machine_poll(m);
	assert_int_equal(ev.power, MACHINE_EXIT);
	assert_int_equal(ev.value, 0x21);
	for (const char *c = "ShutShutdown"; *c; c++)
		out(m, 0x8900, (uint8_t)*c);
	assert_int_equal(machine_poll(m).power, MACHINE_POWEROFF);
	bus_port_write(&m->bus, ACPI_PM_CONTROL, 2, 0x2000);
	assert_int_equal(machine_poll(m).power, MACHINE_POWEROFF);
	out(m, 0xcf9, 0x02);
	out(m, 0xcf9, 0x06);
	assert_int_equal(machine_poll(m).power, MACHINE_RESET);
	out(m, 0x92, 0x03);
	assert_int_equal(cpu[1].init, 1);
	assert_int_equal(in(m, 0x92), 0x03);
	out(m, 0xcf9, 0x00);
	out(m, 0xcf9, 0x04);
	assert_int_equal(cpu[1].init, 2);
	assert_int_equal(machine_poll(m).power, MACHINE_RUNNING);
	struct buf said = {0};
	m->dev->ports.debugcon = (struct serial_backend){collect, &said};
	assert_int_equal(in(m, 0xe9), 0xe9);
	out(m, 0xe9, '!');
	assert_string_equal(said.data, "!");
	buf_done(&said);
	machine_free(m);
}

static void test_sleep_and_wake(void **ctx)
{
	(void)ctx;
	struct cpu cpu[2];
	struct machine *m = pc(cpu);
	bus_port_write(&m->bus, ACPI_PM_EVENT + 2, 2, 0x400); /* RTC may wake */
	static const uint8_t rtc[][2] = {{1, 0xc0}, {3, 0xc0}, {5, 0xc0}, {0x0b, 0x22}};
	for (unsigned i = 0; i < 4; i++) {
		out(m, 0x70, rtc[i][0]);
		out(m, 0x71, rtc[i][1]);
	}
	bus_port_write(&m->bus, ACPI_PM_CONTROL, 2, 0x2400);
	assert_int_equal(machine_poll(m).power, MACHINE_SLEEP);
	assert_int_equal(machine_poll(m).power, MACHINE_RUNNING);
	pass(m, 1000000000);
	assert_int_equal(machine_poll(m).power, MACHINE_WAKE);
	out(m, 0x70, 0x0f);
	assert_int_equal(in(m, 0x71), 0xfe);
	assert_int_equal(bus_port_read(&m->bus, ACPI_PM_EVENT, 2) & 0x8400, 0x8400);
	bus_port_write(&m->bus, ACPI_PM_EVENT, 2, 0xffff);
	unmask(m, 9);
	bus_port_write(&m->bus, ACPI_PM_EVENT + 2, 2, 0x100);
	input_put(m->inputs, INPUT_POWER, 0, NULL, 0);
	assert_int_equal(ack(m), 0x71);
	machine_free(m);
}

static void test_pm_timer(void **ctx)
{
	(void)ctx;
	struct cpu cpu[2];
	struct machine *m = pc(cpu);
	assert_int_equal(in4(m, ACPI_PM_TIMER), 0);
	pass(m, 1000000000);
	assert_int_equal(in4(m, ACPI_PM_TIMER), 3579545);
	pass(m, UINT64_C(9000000000));
	assert_int_equal(in4(m, ACPI_PM_TIMER), 35795450 & 0xffffff);
	assert_int_equal(bus_port_read(&m->bus, ACPI_PM_EVENT, 2), 1);
	machine_free(m);
}

static void test_screen(void **ctx)
{
	(void)ctx;
	struct cpu cpu[2];
	struct machine *m = pc(cpu);
	struct buf b = {0};
	phys_write(&m->phys, hpa(0xb8000 + 160 + 4), "h\007i\007", 4);
	bus_port_write(&m->bus, 0x3d4, 2, 0x000e);
	bus_port_write(&m->bus, 0x3d4, 2, 0x540f); /* 84 = row 1, column 4 */
	machine_screen(m, &b);
	assert_memory_equal(b.data, "\n  hi\n\n", 7);
	assert_non_null(strstr(b.data, "cursor 1 4\n"));
	buf_done(&b);
	machine_free(m);
}

static void test_testdev(void **ctx)
{
	(void)ctx;
	struct cpu cpu[2];
	struct machine *m = pc(cpu);
	bus_port_write(&m->bus, 0xe0, 4, 0x12345678);
	bus_port_write(&m->bus, 0xe0, 1, 0xff);
	assert_int_equal(in4(m, 0xe0), 0x123456ff);
	unmask(m, 14);
	out(m, 0x200e, 1);
	assert_true(cpu[0].intr);
	bus_mmio_write(&m->bus, hpa(0xff00fff8), 8, UINT64_C(0x1122334455667788));
	assert_true(bus_mmio_read(&m->bus, hpa(0xff00fffc), 4) == 0x11223344);
	assert_int_equal(config(m, 1, 0), 0x00051b36);
	uint64_t bar;
	assert_true(pci_bar_at(pci_at(m->pci, 1), 0, &bar));
	bus_mmio_write(&m->bus, hpa(bar), 1, 2);
	uint64_t at = bar + bus_mmio_read(&m->bus, hpa(bar + 4), 4);
	uint64_t data = bus_mmio_read(&m->bus, hpa(bar + 8), 4);
	for (unsigned i = 0; i < 16; i++)
		bus_mmio_write(&m->bus, hpa(at), 1, data);
	bus_mmio_write(&m->bus, hpa(at), 1, data + 1);
	assert_int_equal(bus_mmio_read(&m->bus, hpa(bar + 12), 4), 16);
	machine_free(m);
}

/* --- State -------------------------------------------------------------------------- */

static struct state_hash digest(struct machine *m)
{
	struct state *s = state_hasher();
	machine_state(m, s);
	struct state_hash h = state_digest(s);
	state_free(s);
	return h;
}

static void busy(struct machine *m)
{
	out(m, 0x43, 0x34);
	out(m, 0x40, 0x00);
	out(m, 0x40, 0x10);
	out(m, 0x21, 0xfe);
	bus_mmio_write(&m->bus, hpa(0xfee003e0), 4, 0xb);
	bus_mmio_write(&m->bus, hpa(0xfee00320), 4, 0x20040);
	bus_mmio_write(&m->bus, hpa(0xfee00380), 4, 12345);
	bus_mmio_write(&m->bus, hpa(HPET_BASE + 0x10), 8, 1);
	input_put(m->inputs, INPUT_SERIAL, 1, "xyz", 3);
	input_put(m->inputs, INPUT_KEY, 0, "\x1e", 1);
	phys_write(&m->phys, hpa(0x123456), "memory", 6);
	pass(m, 123456789);
}

static void test_state_round_trip(void **ctx)
{
	(void)ctx;
	struct cpu cpu[2], cpu2[2];
	struct machine *m = pc(cpu), *n = pc(cpu2);
	struct state_hash before = digest(m);
	busy(m);
	assert_true(digest(m).lo != before.lo);
	struct buf b = {0};
	struct state *s = state_saver(&b);
	machine_state(m, s);
	state_free(s);
	struct err e = {0};
	s = state_loader(b.data, b.len, &e);
	machine_state(n, s);
	assert_true(state_ok(s));
	state_free(s);
	assert_true(digest(m).lo == digest(n).lo && digest(m).hi == digest(n).hi);
	pass(m, 5000000); /* and both go on alike */
	pass(n, 5000000);
	assert_true(digest(m).lo == digest(n).lo);
	for (size_t cut = 0; cut < b.len; cut += b.len / 97 + 1) {
		s = state_loader(b.data, cut, NULL);
		machine_state(n, s);
		assert_false(state_ok(s));
		state_free(s);
	}
	buf_done(&b);
	machine_free(m);
	machine_free(n);
}

static void test_reset_is_power_on(void **ctx)
{
	(void)ctx;
	struct cpu cpu[2];
	struct machine *m = pc(cpu);
	busy(m);
	machine_reset(m);
	struct buf info = {0};
	machine_info(m, &info);
	assert_non_null(strstr(info.data, "pic0     base 08 imr fe irr 01 isr 00"));
	assert_non_null(strstr(info.data, "queued 0"));
	/* the BIOS tick goes on, and nothing else */
	assert_in_range(clock_next(&m->clock) - m->clock.now, 54900000, 54950000);
	buf_done(&info);
	machine_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_attach_sees_the_level), cmocka_unit_test(test_x87_errors), cmocka_unit_test(test_uart),
		cmocka_unit_test(test_pci_header_and_bars), cmocka_unit_test(test_pci_interrupts),
		cmocka_unit_test(test_fw_cfg), cmocka_unit_test(test_keyboard),
		cmocka_unit_test(test_ports_and_power), cmocka_unit_test(test_sleep_and_wake),
		cmocka_unit_test(test_pm_timer), cmocka_unit_test(test_screen),
		cmocka_unit_test(test_testdev), cmocka_unit_test(test_state_round_trip),
		cmocka_unit_test(test_reset_is_power_on)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

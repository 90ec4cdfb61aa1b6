#include "machine/ports.h"

#include "machine/devices.h"
#include "machine/machine.h"
#include "base/state.h"

#include <string.h>

enum { A_INIT = 1, A_A20 = 2 };
enum { CF9_HARD = 2, CF9_GO = 4 };

static uint64_t control_a_read(void *dev, uint64_t offset, unsigned size)
{
	struct ports *p = dev;
	(void)offset;
	(void)size;
	return p->control_a;
}

static void control_a_write(void *dev, uint64_t offset, unsigned size, uint64_t v)
{
	struct ports *p = dev;
	(void)offset;
	(void)size;
	bool init = v & ~p->control_a & A_INIT;
	p->control_a = v & (A_INIT | A_A20);
	if (init)
		machine_init_pin(p->machine);
}

void ports_a20(struct ports *p, bool on)
{
	p->control_a = on ? p->control_a | A_A20 : p->control_a & ~A_A20;
}

bool ports_a20_on(const struct ports *p)
{
	return p->control_a & A_A20;
}

static uint64_t reset_read(void *dev, uint64_t offset, unsigned size)
{
	struct ports *p = dev;
	(void)offset;
	(void)size;
	return p->reset_control;
}

static void reset_write(void *dev, uint64_t offset, unsigned size, uint64_t v)
{
	struct ports *p = dev;
	(void)offset;
	(void)size;
	bool go = v & ~p->reset_control & CF9_GO;
	p->reset_control = v & 0x0e & ~CF9_GO;
	if (!go)
		return;
	if (v & CF9_HARD)
		machine_raise(p->machine, MACHINE_RESET, 0);
	else
		machine_init_pin(p->machine);
}

static uint64_t post_read(void *dev, uint64_t offset, unsigned size)
{
	struct ports *p = dev;
	(void)offset;
	(void)size;
	return p->post;
}

static void post_write(void *dev, uint64_t offset, unsigned size, uint64_t v)
{
	struct ports *p = dev;
	(void)offset;
	(void)size;
	p->post = (uint8_t)v;
}

/* A read of E9h gives E9h: somebody listens. */
static void set_ignne(struct ports *p, bool level)
{
	const struct cpu_pins *pins = &p->machine->dev->lapics.cpu[0].pins;
	if (pins->ignne)
		pins->ignne(pins->cpu, level);
}

static void set_ferr(void *dev, unsigned n, bool level)
{
	struct ports *p = dev;
	(void)n;
	p->ferr = level;
	if (level)
		irq_set(&p->irq13, true);
	else
		set_ignne(p, false);
}

struct irq_line ports_ferr(struct ports *p)
{
	return (struct irq_line){set_ferr, p, 0};
}

static void coprocessor_write(void *dev, uint64_t offset, unsigned size, uint64_t v)
{
	struct ports *p = dev;
	(void)offset;
	(void)size;
	(void)v;
	irq_set(&p->irq13, false);
	if (p->ferr)
		set_ignne(p, true);
}

static uint64_t debugcon_read(void *dev, uint64_t offset, unsigned size)
{
	(void)dev;
	(void)offset;
	(void)size;
	return 0xe9;
}

static void debugcon_write(void *dev, uint64_t offset, unsigned size, uint64_t v)
{
	struct ports *p = dev;
	(void)offset;
	uint8_t bytes[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};
	if (p->debugcon.write)
		p->debugcon.write(p->debugcon.ctx, bytes, size);
}

static uint64_t nothing_read(void *dev, uint64_t offset, unsigned size)
{
	(void)dev;
	(void)offset;
	(void)size;
	return 0;
}

static void exit_write(void *dev, uint64_t offset, unsigned size, uint64_t v)
{
	struct ports *p = dev;
	(void)size;
	if (!offset)
		machine_raise(p->machine, MACHINE_EXIT, (uint32_t)v);
}

static void shutdown_write(void *dev, uint64_t offset, unsigned size, uint64_t v)
{
	static const char word[] = "Shutdown";
	struct ports *p = dev;
	(void)offset;
	(void)size;
	p->shutdown = (char)v == word[p->shutdown] ? p->shutdown + 1 : (char)v == word[0];
	if (!word[p->shutdown]) {
		p->shutdown = 0;
		machine_raise(p->machine, MACHINE_POWEROFF, 0);
	}
}

static void boot_write(void *dev, uint64_t offset, unsigned size, uint64_t v)
{
	struct ports *p = dev;
	(void)offset;
	(void)size;
	if (v == 'B')
		machine_raise(p->machine, MACHINE_BOOT, 0);
}

void ports_init(struct ports *p, struct machine *m, struct irq_line irq13)
{
	static const struct bus_ops control_a = {control_a_read, control_a_write},
				    reset = {reset_read, reset_write},
				    post = {post_read, post_write},
				    debugcon = {debugcon_read, debugcon_write},
				    coprocessor = {nothing_read, coprocessor_write},
				    debug_exit = {nothing_read, exit_write},
				    shutdown = {nothing_read, shutdown_write},
				    boot = {nothing_read, boot_write};
	memset(p, 0, sizeof(*p));
	p->machine = m;
	p->irq13 = irq13;
	p->control_a = A_A20;
	bus_map_port(&m->bus, 0x92, 1, &control_a, p, "port 92h");
	bus_map_port(&m->bus, 0xcf9, 1, &reset, p, "port CF9h");
	bus_map_port(&m->bus, 0x80, 1, &post, p, "port 80h");
	bus_map_port(&m->bus, 0xe9, 1, &debugcon, p, "debugcon");
	bus_map_port(&m->bus, 0xf0, 1, &coprocessor, p, "port F0h");
	bus_map_port(&m->bus, 0xf4, 4, &debug_exit, p, "debug-exit");
	bus_map_port(&m->bus, 0x8900, 1, &shutdown, p, "port 8900h");
	bus_map_port(&m->bus, 0x8901, 1, &boot, p, "port 8901h");
}

void ports_reset(struct ports *p)
{
	p->control_a = A_A20;
	p->reset_control = p->post = p->shutdown = 0;
	p->ferr = false;
	set_ignne(p, false);
}

void ports_state(struct ports *p, struct state *s)
{
	state_section(s, "ports", 2);
	state_bool(s, &p->ferr);
	state_u8(s, &p->control_a);
	state_u8(s, &p->reset_control);
	state_u8(s, &p->post);
	state_u8(s, &p->shutdown);
	p->shutdown &= 7;
}

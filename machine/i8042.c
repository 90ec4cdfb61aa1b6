#include "machine/i8042.h"

#include "machine/machine.h"
#include "machine/ports.h"
#include "base/buf.h"
#include "base/state.h"

#include <string.h>

enum { STATUS_FULL = 1, STATUS_SYSTEM = 4, STATUS_COMMAND = 8, STATUS_UNLOCKED = 0x10 };
enum { CMD_IRQ = 1, CMD_SYSTEM = 4, CMD_KBD_OFF = 0x10, CMD_AUX_OFF = 0x20, CMD_TRANSLATE = 0x40 };
enum { OUT_RUN = 1, OUT_A20 = 2, OUT_IRQ1 = 0x10 };
enum { ACK = 0xfa, RESEND = 0xfe };

static bool keys_flow(const struct i8042 *k)
{
	return k->keys && !(k->command & CMD_KBD_OFF);
}

static bool full(const struct i8042 *k)
{
	return k->replies || keys_flow(k);
}

static void update(struct i8042 *k)
{
	irq_set(&k->irq, full(k) && k->command & CMD_IRQ);
}

static void reply(struct i8042 *k, uint8_t v)
{
	if (k->replies < I8042_REPLIES)
		k->reply[k->replies++] = v;
}

void i8042_keys(struct i8042 *k, const uint8_t *codes, size_t n)
{
	if (!k->scanning)
		return;
	for (size_t i = 0; i < n && k->keys < I8042_KEYS; i++)
		k->key[k->keys++] = codes[i];
	update(k);
}

/* Output port: bit 0 low asserts INIT#, bit 1 is A20. */
static void write_outport(struct i8042 *k, uint8_t v)
{
	k->outport = v;
	ports_a20(k->ports, v & OUT_A20);
	if (!(v & OUT_RUN)) {
		k->outport |= OUT_RUN;
		machine_init_pin(k->machine);
	}
}

static uint8_t read_outport(const struct i8042 *k)
{
	return (k->outport & ~(OUT_A20 | OUT_IRQ1)) | (ports_a20_on(k->ports) ? OUT_A20 : 0) |
		(full(k) ? OUT_IRQ1 : 0);
}

static void controller_command(struct i8042 *k, uint8_t v)
{
	k->pending = 0;
	switch (v) {
	case 0x20:
		reply(k, k->command);
		break;
	case 0x60:
	case 0xd1:
	case 0xd2:
	case 0xd3:
	case 0xd4:
		k->pending = v;
		break;
	case 0xa7:
		k->command |= CMD_AUX_OFF;
		break;
	case 0xa8:
		k->command &= ~CMD_AUX_OFF;
		break;
	case 0xa9:
		reply(k, 0xff); /* the mouse's interface: nothing there */
		break;
	case 0xaa:
		k->command |= CMD_SYSTEM;
		reply(k, 0x55);
		break;
	case 0xab:
		reply(k, 0x00);
		break;
	case 0xad:
		k->command |= CMD_KBD_OFF;
		break;
	case 0xae:
		k->command &= ~CMD_KBD_OFF;
		break;
	case 0xc0:
		reply(k, 0x80);
		break;
	case 0xd0:
		reply(k, read_outport(k));
		break;
	default:
		/* F0h-FFh pulse output bits low; bit 0 is INIT#. */
		if (v >= 0xf0 && !(v & 1))
			machine_init_pin(k->machine);
		break;
	}
}

static void keyboard_defaults(struct i8042 *k)
{
	k->scanning = true;
	k->keys = 0;
}

static void keyboard_argument(struct i8042 *k, uint8_t v)
{
	uint8_t command = k->kbd_pending;
	k->kbd_pending = 0;
	reply(k, ACK);
	if (command == 0xf0 && v == 0)
		reply(k, 2); /* scan code set; translated on its way */
}

static void keyboard_command(struct i8042 *k, uint8_t v)
{
	if (k->kbd_pending) {
		keyboard_argument(k, v);
		return;
	}
	switch (v) {
	case 0xed:
	case 0xf0:
	case 0xf3:
		k->kbd_pending = v;
		reply(k, ACK);
		break;
	case 0xee:
		reply(k, 0xee);
		break;
	case 0xf2:
		reply(k, ACK);
		reply(k, 0xab);
		reply(k, k->command & CMD_TRANSLATE ? 0x41 : 0x83);
		break;
	case 0xf4:
		k->scanning = true;
		reply(k, ACK);
		break;
	case 0xf5:
		keyboard_defaults(k);
		k->scanning = false;
		reply(k, ACK);
		break;
	case 0xf6:
		keyboard_defaults(k);
		reply(k, ACK);
		break;
	case 0xff:
		keyboard_defaults(k);
		reply(k, ACK);
		reply(k, 0xaa);
		break;
	default:
		reply(k, RESEND);
		break;
	}
}

static void data_byte(struct i8042 *k, uint8_t v)
{
	uint8_t command = k->pending;
	k->pending = 0;
	switch (command) {
	case 0x60:
		k->command = v;
		break;
	case 0xd1:
		write_outport(k, v);
		break;
	case 0xd2:
		reply(k, v);
		break;
	case 0xd3:
	case 0xd4:
		break; /* to the mouse that is not there */
	default:
		keyboard_command(k, v);
		break;
	}
}

static uint8_t take(struct i8042 *k)
{
	if (k->replies) {
		k->last = k->reply[0];
		memmove(k->reply, k->reply + 1, --k->replies);
	} else if (keys_flow(k)) {
		k->last = k->key[0];
		memmove(k->key, k->key + 1, --k->keys);
	}
	irq_set(&k->irq, false);
	update(k);
	return k->last;
}

static uint64_t data_read(void *dev, uint64_t offset, unsigned size)
{
	(void)offset;
	(void)size;
	return take(dev);
}

static void data_write(void *dev, uint64_t offset, unsigned size, uint64_t v)
{
	struct i8042 *k = dev;
	(void)offset;
	(void)size;
	k->last_was_command = false;
	data_byte(k, (uint8_t)v);
	update(k);
}

static uint64_t status_read(void *dev, uint64_t offset, unsigned size)
{
	struct i8042 *k = dev;
	(void)offset;
	(void)size;
	return (full(k) ? STATUS_FULL : 0) | (k->command & CMD_SYSTEM ? STATUS_SYSTEM : 0) |
		(k->last_was_command ? STATUS_COMMAND : 0) | STATUS_UNLOCKED;
}

static void command_write(void *dev, uint64_t offset, unsigned size, uint64_t v)
{
	struct i8042 *k = dev;
	(void)offset;
	(void)size;
	k->last_was_command = true;
	controller_command(k, (uint8_t)v);
	update(k);
}

static const struct bus_ops data_ops = {data_read, data_write};
static const struct bus_ops status_ops = {status_read, command_write};

void i8042_init(struct i8042 *k, struct machine *m, struct ports *ports, struct irq_line irq)
{
	memset(k, 0, sizeof(*k));
	k->machine = m;
	k->ports = ports;
	k->irq = irq;
	i8042_reset(k);
	bus_map_port(&m->bus, 0x60, 1, &data_ops, k, "i8042 data");
	bus_map_port(&m->bus, 0x64, 1, &status_ops, k, "i8042 status");
}

void i8042_reset(struct i8042 *k)
{
	k->command = CMD_TRANSLATE | CMD_SYSTEM | CMD_IRQ | CMD_AUX_OFF;
	k->outport = 0xcf;
	k->pending = k->kbd_pending = k->replies = k->last = 0;
	k->keys = 0;
	k->scanning = true;
	k->last_was_command = false;
	update(k);
}

void i8042_state(struct i8042 *k, struct state *s)
{
	state_section(s, "i8042", 1);
	uint8_t *const reg[] = {&k->command, &k->outport, &k->pending, &k->kbd_pending, &k->last};
	for (unsigned i = 0; i < sizeof(reg) / sizeof(*reg); i++)
		state_u8(s, reg[i]);
	state_bool(s, &k->scanning);
	state_bool(s, &k->last_was_command);
	uint64_t replies = k->replies, keys = k->keys;
	state_count(s, &replies, I8042_REPLIES);
	state_count(s, &keys, I8042_KEYS);
	k->replies = (uint8_t)replies;
	k->keys = (uint16_t)keys;
	state_bytes(s, k->reply, k->replies);
	state_bytes(s, k->key, k->keys);
}

void i8042_info(const struct i8042 *k, struct buf *out)
{
	buf_fmt(out, "i8042    command %02x outport %02x replies %u keys %u\n", k->command,
		read_outport(k), k->replies, k->keys);
}

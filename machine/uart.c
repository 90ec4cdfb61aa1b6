#include "machine/uart.h"

#include "base/buf.h"
#include "base/bus.h"
#include "base/state.h"

#include <stdlib.h>
#include <string.h>

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCRATCH };
enum { IER_RX = 1, IER_TX = 2, IER_LINE = 4, IER_MODEM = 8 };
enum { LSR_READY = 1, LSR_OVERRUN = 2, LSR_THR_EMPTY = 0x20, LSR_IDLE = 0x40 };
enum { LCR_DLAB = 0x80, MCR_OUT2 = 8, MCR_LOOP = 0x10, FCR_ENABLE = 1, FCR_CLEAR_RX = 2 };
enum { ID_NONE = 1, ID_TX = 2, ID_RX = 4, ID_LINE = 6, ID_TIMEOUT = 12 };

static unsigned trigger(const struct uart *u)
{
	static const uint8_t level[4] = {1, 4, 8, 14};
	return u->fcr & FCR_ENABLE ? level[u->fcr >> 6] : 1;
}

/* The interrupt with the highest priority. A queue below the trigger level
 * shows as a character timeout: no more bytes are on their way. */
static uint8_t identify(const struct uart *u)
{
	if (u->ier & IER_LINE && u->lsr & LSR_OVERRUN)
		return ID_LINE;
	if (u->ier & IER_RX && u->len)
		return u->len >= trigger(u) ? ID_RX : ID_TIMEOUT;
	if (u->ier & IER_TX && u->thr_empty)
		return ID_TX;
	return ID_NONE;
}

static void update(struct uart *u)
{
	bool wired = u->mcr & MCR_OUT2 && !(u->mcr & MCR_LOOP);
	irq_set(&u->irq, wired && identify(u) != ID_NONE);
}

size_t uart_room(const struct uart *u)
{
	return UART_QUEUE - u->len;
}

void uart_receive(struct uart *u, const uint8_t *data, size_t n)
{
	if (n > uart_room(u)) {
		n = uart_room(u);
		u->lsr |= LSR_OVERRUN;
	}
	for (size_t i = 0; i < n; i++)
		u->queue[(u->head + u->len++) % UART_QUEUE] = data[i];
	u->received += n;
	update(u);
}

void uart_attach(struct uart *u, const struct serial_backend *b)
{
	u->out = *b;
}

static void transmit(struct uart *u, uint8_t v)
{
	u->thr_empty = true;
	if (u->mcr & MCR_LOOP) {
		uart_receive(u, &v, 1);
		return;
	}
	u->sent++;
	if (u->out.write)
		u->out.write(u->out.ctx, &v, 1);
	update(u);
}

static uint8_t take(struct uart *u)
{
	if (!u->len)
		return 0;
	uint8_t v = u->queue[u->head];
	u->head = (u->head + 1) % UART_QUEUE;
	u->len--;
	update(u);
	return v;
}

/* Outputs DTR RTS OUT1 OUT2 come back as DSR CTS RI DCD in loop mode; else
 * somebody is always there and ready. */
static uint8_t modem_status(const struct uart *u)
{
	if (!(u->mcr & MCR_LOOP))
		return 0xb0;
	return (uint8_t)((u->mcr & 1) << 5 | (u->mcr & 2) << 3 | (u->mcr & 4) << 4 |
		(u->mcr & 8) << 4);
}

static uint8_t read_register(struct uart *u, unsigned reg)
{
	uint8_t v;
	switch (reg) {
	case DATA:
		return u->lcr & LCR_DLAB ? (uint8_t)u->divisor : take(u);
	case IER:
		return u->lcr & LCR_DLAB ? (uint8_t)(u->divisor >> 8) : u->ier;
	case IIR:
		v = identify(u);
		if (v == ID_TX) {
			u->thr_empty = false;
			update(u);
		}
		return v | (u->fcr & FCR_ENABLE ? 0xc0 : 0);
	case LCR:
		return u->lcr;
	case MCR:
		return u->mcr;
	case LSR:
		v = u->lsr | LSR_THR_EMPTY | LSR_IDLE | (u->len ? LSR_READY : 0);
		u->lsr = 0;
		update(u);
		return v;
	case MSR:
		return modem_status(u);
	default:
		return u->scratch;
	}
}

static void write_fcr(struct uart *u, uint8_t v)
{
	if ((v ^ u->fcr) & FCR_ENABLE || v & FCR_CLEAR_RX)
		u->len = 0;
	u->fcr = v & FCR_ENABLE ? v & 0xc9 : 0;
}

static void write_ier(struct uart *u, uint8_t v)
{
	/* Enabling the THRE interrupt while the register is empty raises it. */
	if (v & ~u->ier & IER_TX)
		u->thr_empty = true;
	u->ier = v & 15;
}

static void write_register(struct uart *u, unsigned reg, uint8_t v)
{
	bool dlab = u->lcr & LCR_DLAB;
	switch (reg) {
	case DATA:
		if (dlab)
			u->divisor = (u->divisor & 0xff00) | v;
		else
			transmit(u, v);
		break;
	case IER:
		if (dlab)
			u->divisor = (uint16_t)((u->divisor & 0xff) | v << 8);
		else
			write_ier(u, v);
		break;
	case IIR:
		write_fcr(u, v);
		break;
	case LCR:
		u->lcr = v;
		break;
	case MCR:
		u->mcr = v & 0x1f;
		break;
	case SCRATCH:
		u->scratch = v;
		break;
	default:
		break;
	}
	update(u);
}

/* A wider access touches one register after the other. */
static uint64_t port_read(void *dev, uint64_t offset, unsigned size)
{
	uint64_t v = 0;
	for (unsigned i = 0; i < size; i++)
		v |= (uint64_t)(offset + i < 8 ? read_register(dev, (unsigned)offset + i) : 0xff)
			<< 8 * i;
	return v;
}

static void port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	for (unsigned i = 0; i < size && offset + i < 8; i++)
		write_register(dev, (unsigned)offset + i, (uint8_t)(value >> 8 * i));
}

static const struct bus_ops ops = {port_read, port_write};

struct uart *uart_new(struct bus *bus, uint16_t port, struct irq_line irq, const char *name)
{
	struct uart *u = xalloc(sizeof(*u));
	u->irq = irq;
	uart_reset(u);
	bus_map_port(bus, port, 8, &ops, u, name);
	return u;
}

void uart_free(struct uart *u)
{
	free(u);
}

void uart_reset(struct uart *u)
{
	u->ier = u->lcr = u->lsr = u->fcr = u->scratch = 0;
	u->mcr = MCR_OUT2;
	u->divisor = 12;
	u->thr_empty = false;
	u->head = u->len = 0;
	update(u);
}

void uart_state(struct uart *u, struct state *s)
{
	state_section(s, "uart", 1);
	uint8_t *const reg[] = {&u->ier, &u->lcr, &u->mcr, &u->lsr, &u->fcr, &u->scratch};
	for (unsigned i = 0; i < sizeof(reg) / sizeof(*reg); i++)
		state_u8(s, reg[i]);
	state_u16(s, &u->divisor);
	state_bool(s, &u->thr_empty);
	uint64_t len = u->len;
	state_count(s, &len, UART_QUEUE);
	state_u64(s, &u->sent);
	state_u64(s, &u->received);
	for (uint32_t i = 0; i < len && state_ok(s); i++) {
		uint8_t v = u->queue[(u->head + i) % UART_QUEUE];
		state_u8(s, &v);
		if (state_mode(s) == STATE_LOAD)
			u->queue[i] = v;
	}
	if (state_mode(s) == STATE_LOAD) {
		u->head = 0;
		u->len = (uint32_t)len;
	}
}

void uart_info(const struct uart *u, struct buf *out)
{
	buf_fmt(out, "uart     ier %02x lcr %02x mcr %02x sent %llu received %llu queued %u\n", u->ier,
		u->lcr, u->mcr, (unsigned long long)u->sent, (unsigned long long)u->received, u->len);
}

/* A 16550A serial port. Bytes leave at once (transmission takes no virtual
 * time); received ones wait in a queue of UART_QUEUE bytes behind the 16-byte
 * FIFO. machine/serial.h is the outside's view.
 */
#ifndef MACHINE_UART_H
#define MACHINE_UART_H

#include "machine/serial.h"
#include "base/irq.h"

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct bus;
struct state;

#define UART_QUEUE 65536

struct uart {
	struct serial_backend out;
	struct irq_line irq;
	uint8_t ier, lcr, mcr, lsr, fcr, scratch;
	uint16_t divisor;
	bool thr_empty;    /* the THRE interrupt has not been taken yet */
	uint32_t head, len; /* of the queue */
	uint8_t queue[UART_QUEUE];
	uint64_t sent, received;
};

struct uart *uart_new(struct bus *bus, uint16_t port, struct irq_line irq, const char *name);
void uart_free(struct uart *u);
void uart_reset(struct uart *u);
void uart_state(struct uart *u, struct state *s);
void uart_info(const struct uart *u, struct buf *out);

#endif

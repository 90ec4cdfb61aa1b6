/* The serial ports' outside: what a 16550A hands to the host and takes from it.
 *
 * A backend only writes. Bytes for the guest come through the input log
 * (INPUT_SERIAL, target = port number), whose handler calls uart_receive:
 * nothing else may push, or runs would not repeat. Transmission takes no
 * virtual time.
 */
#ifndef MACHINE_SERIAL_H
#define MACHINE_SERIAL_H

#include <stddef.h>
#include <stdint.h>

struct serial_backend {
	void (*write)(void *ctx, const uint8_t *data, size_t n); /* NULL: bytes are dropped */
	void *ctx;
};

struct uart;

/* Where transmitted bytes go from here on; copied. */
void uart_attach(struct uart *u, const struct serial_backend *b);

/* Bytes that the port can still take in before it would drop some. */
size_t uart_room(const struct uart *u);

/* Queues received bytes for the guest; what exceeds uart_room is dropped, as
 * by an overrun, and reported in LSR. */
void uart_receive(struct uart *u, const uint8_t *data, size_t n);

#endif

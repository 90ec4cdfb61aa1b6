/* A 16450 UART at COM1 for a VM: its output goes to standard output, standard
 * input to its receiver, by a thread that reads it. Interrupts go to line 4 of
 * the kernel's interrupt controllers.
 */
#ifndef GUESTS_LINUX_SERIAL_H
#define GUESTS_LINUX_SERIAL_H

#include "vm.h"

#include <pthread.h>

#define SERIAL_BASE 0x3f8
#define SERIAL_ROOM 4096 /* a power of two */

struct serial {
	struct vm *vm;
	pthread_mutex_t lock; /* of everything below */
	pthread_cond_t taken; /* a byte was read */
	uint8_t ier, lcr, mcr, scratch;
	bool thre; /* the transmitter-empty interrupt is pending */
	uint8_t in[SERIAL_ROOM];
	unsigned head, tail; /* in[head % ROOM] is the next; tail - head are waiting */
};

/* With `input`, standard input is read. */
void serial_start(struct serial *s, struct vm *v, bool input);
uint8_t serial_read(struct serial *s, unsigned reg);
void serial_write(struct serial *s, unsigned reg, uint8_t value);

#endif

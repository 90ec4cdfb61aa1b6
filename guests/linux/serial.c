#include "serial.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define IRQ 4

enum { IER_RECEIVED = 1, IER_EMPTY = 2 };
enum { IIR_NONE = 1, IIR_EMPTY = 2, IIR_RECEIVED = 4 };
enum { LSR_READY = 1, LSR_EMPTY = 0x60 };
#define LCR_DLAB 0x80

static bool ready(const struct serial *s)
{
	return s->head != s->tail;
}

/* With the lock held. */
static void update(struct serial *s)
{
	bool level = (ready(s) && s->ier & IER_RECEIVED) || (s->thre && s->ier & IER_EMPTY);
	struct kvm_irq_level l = {.irq = IRQ, .level = level};

	vm_call(s->vm, s->vm->vm, KVM_IRQ_LINE, &l, "KVM_IRQ_LINE");
}

static void *reader(void *arg)
{
	struct serial *s = arg;
	uint8_t buf[256];
	ssize_t n;

	while ((n = read(0, buf, sizeof(buf))) > 0) {
		pthread_mutex_lock(&s->lock);
		for (ssize_t i = 0; i < n; i++) {
			while (s->tail - s->head == SERIAL_ROOM)
				pthread_cond_wait(&s->taken, &s->lock);
			s->in[s->tail++ % SERIAL_ROOM] = buf[i];
		}
		update(s);
		pthread_mutex_unlock(&s->lock);
	}
	return NULL;
}

void serial_start(struct serial *s, struct vm *v, bool input)
{
	pthread_t thread;

	memset(s, 0, sizeof(*s));
	s->vm = v;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->taken, NULL);
	if (!input)
		return;
	setvbuf(stdout, NULL, _IONBF, 0);
	if (pthread_create(&thread, NULL, reader, s))
		vm_die(v, "the thread of standard input");
}

static uint8_t receive(struct serial *s)
{
	uint8_t r = ready(s) ? s->in[s->head++ % SERIAL_ROOM] : 0;

	pthread_cond_signal(&s->taken);
	return r;
}

/* Reading it ends the transmitter-empty interrupt. */
static uint8_t identify(struct serial *s)
{
	if (ready(s) && s->ier & IER_RECEIVED)
		return IIR_RECEIVED;
	if (!s->thre || !(s->ier & IER_EMPTY))
		return IIR_NONE;
	s->thre = false;
	return IIR_EMPTY;
}

static uint8_t value_of(struct serial *s, unsigned reg)
{
	switch (reg) {
	case 0:
		return s->lcr & LCR_DLAB ? 1 : receive(s);
	case 1:
		return s->lcr & LCR_DLAB ? 0 : s->ier;
	case 2:
		return identify(s);
	case 3:
		return s->lcr;
	case 4:
		return s->mcr;
	case 5:
		return LSR_EMPTY | (ready(s) ? LSR_READY : 0);
	case 6:
		return 0xb0;
	default:
		return s->scratch;
	}
}

uint8_t serial_read(struct serial *s, unsigned reg)
{
	uint8_t r;

	pthread_mutex_lock(&s->lock);
	r = value_of(s, reg);
	if (reg == 0 || reg == 2)
		update(s);
	pthread_mutex_unlock(&s->lock);
	return r;
}

void serial_write(struct serial *s, unsigned reg, uint8_t value)
{
	pthread_mutex_lock(&s->lock);
	if (reg == 0 && !(s->lcr & LCR_DLAB)) {
		putchar(value);
		s->thre = true;
		update(s);
	} else if (reg == 1 && !(s->lcr & LCR_DLAB)) {
		s->thre |= (value & IER_EMPTY) && !(s->ier & IER_EMPTY);
		s->ier = value & 15;
		update(s);
	} else if (reg == 3) {
		s->lcr = value;
	} else if (reg == 4) {
		s->mcr = value;
	} else if (reg == 7) {
		s->scratch = value;
	}
	pthread_mutex_unlock(&s->lock);
}

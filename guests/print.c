/* Text on COM1, and the end of the run. */
#include "l1.h"

#include <stdarg.h>

#define COM1 0x3f8

void print_init(void)
{
	outb(COM1 + 1, 0); /* no interrupts */
	outb(COM1 + 3, 0x80);
	outb(COM1, 1); /* 115200 baud */
	outb(COM1 + 1, 0);
	outb(COM1 + 3, 3); /* 8N1 */
	outb(COM1 + 2, 7); /* FIFOs on and empty */
}

void put_char(char c)
{
	if (c == '\n')
		put_char('\r');
	while (!(inb(COM1 + 5) & 0x20))
		;
	outb(COM1, (uint8_t)c);
}

static void put_number(uint64_t v, unsigned base)
{
	char digits[20];
	unsigned n = 0;

	do {
		digits[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	while (n)
		put_char(digits[--n]);
}

void print(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	for (; *fmt; fmt++) {
		bool is_long;

		if (*fmt != '%') {
			put_char(*fmt);
			continue;
		}
		is_long = *++fmt == 'l';
		if (is_long)
			fmt++;
		if (*fmt == 's') {
			for (const char *s = va_arg(ap, const char *); *s; s++)
				put_char(*s);
		} else if (*fmt == 'c') {
			put_char((char)va_arg(ap, int));
		} else {
			uint64_t v = is_long ? va_arg(ap, uint64_t) : va_arg(ap, uint32_t);
			put_number(v, *fmt == 'x' ? 16 : 10);
		}
	}
	va_end(ap);
}

/* Status V becomes exit status (V << 1) | 1 by the debug-exit port; with
 * end=off a good end (0) is a power-off instead. */
void finish(const struct l1 *l1, uint32_t value)
{
	while (!(inb(COM1 + 5) & 0x40))
		; /* the last byte is out */
	if (!l1 || !l1->power_off || value)
		outl(0xf4, value);
	for (const char *s = "Shutdown"; *s; s++)
		outb(0x8900, (uint8_t)*s);
	for (;;)
		asm volatile("cli; hlt");
}

/* Devices that test suites drive, present with --testdev: pc-testdev (a
 * register at E0h, a page flush at E4h, a byte register at E8h, interrupt
 * lines at 2000h+n, 64 KiB of memory behind the bus at FF000000h) and
 * pci-testdev (1b36:0005, which counts writes).
 */
#ifndef MACHINE_TESTDEV_H
#define MACHINE_TESTDEV_H

#include "base/bus.h"

#include <stdbool.h>
#include <stdint.h>

struct pci;
struct state;
struct testdev;

#define TESTDEV_MEMORY UINT64_C(0xff000000)
#define TESTDEV_BYTES  0x10000u

struct testdev_wires {
	struct bus *bus;
	struct pci *pci;
	void (*line)(void *ctx, unsigned n, bool level); /* global interrupt n */
	void *ctx;
};

struct testdev *testdev_new(const struct testdev_wires *w);
void testdev_free(struct testdev *t);
void testdev_reset(struct testdev *t);
void testdev_state(struct testdev *t, struct state *s);

#endif

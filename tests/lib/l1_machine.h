/* A machine with our own L1, for tests of l0/ and above: the image is beside
 * the test's own binary. */
#ifndef TESTS_L1_MACHINE_H
#define TESTS_L1_MACHINE_H

#include "l0/l0.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline struct l0 *l1_machine(const char *args, unsigned vcpus, const char *l0)
{
	char self[4096] = "", image[4200];
	struct err e = {0};
	if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
		abort();
	snprintf(image, sizeof image, "%s/../../guests/l1.elf", dirname(self));
	struct l0_config cfg = {.mem = 128u << 20, .vcpus = vcpus, .l0 = l0, .quantum = 3001,
		.load = {.kind = LOAD_MULTIBOOT, .kernel = image, .append = args}};
	struct l0 *l = l0_new(&cfg, &e);
	if (!l) {
		fprintf(stderr, "%s: %s\n", image, e.msg);
		abort();
	}
	return l;
}

#endif

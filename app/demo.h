/* The built-in demo: our own L1 as an image inside the program, and the
 * scenarios that it can run.
 */
#ifndef APP_DEMO_H
#define APP_DEMO_H

#include <stddef.h>
#include <stdint.h>

struct demo {
	const char *name, *help;
	const char *cmdline;  /* what L1 gets, after the image's name */
	const uint8_t *image, *end; /* a multiboot 1 ELF */
};

/* NULL or "" is the first scenario; NULL when there is no such name. */
const struct demo *demo_find(const char *name);

/* Scenarios in the order of help; NULL past the end. */
const struct demo *demo_at(unsigned n);

#endif

/* A bare processor for each test of a cmocka group, and its code as bytes. */
#ifndef TESTS_BARE_FIXTURE_H
#define TESTS_BARE_FIXTURE_H

#include "tests/lib/bare_cpu.h"

#include <stdlib.h>

#define CODE(b, ...)                                                  \
	do {                                                          \
		static const uint8_t code_[] = {__VA_ARGS__};         \
		bare_code(b, code_, sizeof(code_));                   \
	} while (0)

static inline int setup(void **state)
{
	struct bare *b = malloc(sizeof(*b));
	bare_init(b);
	*state = b;
	return 0;
}

static inline int teardown(void **state)
{
	bare_done(*state);
	free(*state);
	return 0;
}

#endif

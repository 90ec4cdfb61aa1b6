/* What a fuzzer here is: fuzz_one() takes any bytes, fuzz_make() makes some.
 *
 * With the plain driver (driver.c) a program replays its corpus, then mutates
 * and generates inputs from a seed until its time is up; with libFuzzer
 * (clang) the same fuzz_one() is LLVMFuzzerTestOneInput. An input that crashes
 * is left in <program>.crash.
 */
#ifndef TESTS_FUZZ_DRIVER_H
#define TESTS_FUZZ_DRIVER_H

#include <stddef.h>
#include <stdint.h>

struct fuzz_random {
	uint64_t x;
};

/* Uniform in 0 .. n-1. */
static inline unsigned fuzz_below(struct fuzz_random *r, unsigned n)
{
	r->x = r->x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)((r->x >> 33) * n >> 31);
}

/* One run on a fresh machine; aborts where something is wrong. */
void fuzz_one(const uint8_t *data, size_t n);
/* Writes a new input of at most max bytes; returns its length. */
size_t fuzz_make(struct fuzz_random *r, uint8_t *out, size_t max);

#endif

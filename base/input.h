/* The input log: the one door through which anything from outside enters.
 *
 * Keyboard, serial and network bytes, resets, debugger and plugin writes are
 * handed to input_put; it stamps them with the position, appends them to the
 * log and calls the target. With a log being played, host inputs are refused
 * and the recorded ones are delivered at their positions instead.
 *
 * Callers put inputs only between slices of the engine (or from inside a
 * stop), so that a position names exactly one place of the run.
 */
#ifndef BASE_INPUT_H
#define BASE_INPUT_H

#include "base/clock.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* INPUT(enumerator, "name"): who takes it is registered at construction. */
#define INPUT_KINDS(INPUT)      \
	INPUT(SERIAL, "serial")     \
	INPUT(KEY, "key")           \
	INPUT(CONSOLE, "console")   \
	INPUT(NET, "net")           \
	INPUT(NMI, "nmi")           \
	INPUT(RESET, "reset")       \
	INPUT(POWER, "powerdown")   \
	INPUT(WAKE, "wake")         \
	INPUT(HOST_ERROR, "error")  \
	INPUT(REGISTER, "register") \
	INPUT(MEMORY, "memory")     \
	INPUT(VMCS, "vmcs")         \
	INPUT(INJECT, "inject")     \
	INPUT(EXIT, "exit")

enum input_kind {
#define INPUT(e, n) INPUT_##e,
	INPUT_KINDS(INPUT)
#undef INPUT
	INPUT_KIND_COUNT
};

#define INPUT_MAX_BYTES 65536

struct input {
	struct position at;
	enum input_kind kind;
	uint32_t target; /* which device, vCPU or port of that kind */
	uint32_t len;
	const uint8_t *data; /* owned by the log */
};

struct inputs;

struct inputs *inputs_new(struct clock *clock);
void inputs_free(struct inputs *in);

typedef void input_fn(void *ctx, uint32_t target, const uint8_t *data, uint32_t len);
void inputs_register(struct inputs *in, enum input_kind kind, input_fn *fn, void *ctx);

/* Delivers and logs; false while a log is being played (nothing happens). */
bool input_put(
	struct inputs *in, enum input_kind kind, uint32_t target, const void *data, uint32_t len);

/* The log so far: entries 0..count-1. */
size_t inputs_count(const struct inputs *in);
const struct input *inputs_at(const struct inputs *in, size_t i);
const char *input_kind_name(enum input_kind kind);

/* To and from a file; play refuses a file whose first position is past. */
bool inputs_save(const struct inputs *in, const char *path, struct err *e);
bool inputs_play(struct inputs *in, const char *path, struct err *e);

/* While playing: the clock of the next entry (CLOCK_NEVER when none is
 * left); whether it is due: its clock is past, or is the present one after as
 * many events as when it was recorded; and the delivery of all that are due.
 * late: also those that still wait for an event of this clock. */
uint64_t inputs_next(const struct inputs *in);
bool inputs_due(const struct inputs *in);
void inputs_run(struct inputs *in, bool late);

#endif

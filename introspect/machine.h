/* The machine as a whole: inputs, devices, snapshots, the hash.
 *
 * Everything that reaches the guest here is an entry of the input log.
 */
#ifndef INTROSPECT_MACHINE_H
#define INTROSPECT_MACHINE_H

#include "base/state.h"
#include "introspect/session.h"

/* Bytes to a serial port (0: COM1), as typed. False and *e: no such port. */
bool intro_type(struct intro *s, unsigned port, const void *bytes, size_t len, struct err *e);
/* A key of the keyboard by name ("a", "ctrl-alt-del", "f1"). */
bool intro_key(struct intro *s, const char *key, struct err *e);
bool intro_nmi(struct intro *s, unsigned vcpu, struct err *e);
bool intro_reset(struct intro *s, struct err *e);
bool intro_powerdown(struct intro *s, struct err *e);
/* Injects an exception or interrupt into a level at its next instruction:
 * type as VMX encodes it (SDM Vol. 3C 24.8.3). */
bool intro_inject(struct intro *s, struct place at, unsigned vector, unsigned type, bool has_error,
	uint32_t error, struct err *e);

/* What the guest printed on a serial port since the start, bounded: bytes
 * [from, end) that are still kept; returns how many were appended and sets
 * *from to the next position. */
size_t intro_console_read(struct intro *s, unsigned port, uint64_t *from, struct buf *out);

/* The VGA text screen: rows x columns of (character, attribute). False and
 * *e: no such screen. */
struct intro_screen {
	unsigned rows, columns;
	unsigned cursor_row, cursor_column;
	struct {
		uint8_t character, attribute; /* code page 437; VGA attribute */
	} cell[60][132];
};
bool intro_screen(struct intro *s, struct intro_screen *out, struct err *e);

/* Name, windows and a few words per device, as a table of lines. */
struct intro_device {
	const char *name;
	const char *space; /* "mmio" or "port" */
	uint64_t base, size;
};
size_t intro_devices(struct intro *s, struct intro_device *out, size_t max);

struct intro_memory_range {
	const char *name, *kind;
	uint64_t base, size;
};
size_t intro_memory_ranges(struct intro *s, struct intro_memory_range *out, size_t max);

/* "key: value" lines about the processor model and the engine. */
void intro_cpu_info(struct intro *s, struct buf *out);

struct intro_input {
	struct position at;
	const char *kind;
	uint32_t target, len;
	const uint8_t *data;
	bool by_plugin; /* a plugin did it */
};
size_t intro_inputs(struct intro *s);
bool intro_input_at(struct intro *s, size_t i, struct intro_input *out);
bool intro_inputs_save(struct intro *s, const char *path, struct err *e);
bool intro_inputs_play(struct intro *s, const char *path, struct err *e);

bool intro_save(struct intro *s, const char *path, struct err *e);
bool intro_load(struct intro *s, const char *path, struct err *e);
bool intro_hash(struct intro *s, struct state_hash *out, struct err *e);

#endif

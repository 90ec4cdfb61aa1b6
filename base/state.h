/* Saved state: one visitor per struct serves save, load and hash.
 *
 * Each part of the machine has one function `void thing_state(struct thing *,
 * struct state *)` that names its fields in a fixed order. In STATE_SAVE the
 * fields are written (little-endian), in STATE_LOAD they are read back, in
 * STATE_HASH they are digested. Caches, TLBs and host statistics are never
 * visited. The canonical state of a machine is what its guests can tell: what
 * is saved besides stands behind state_bookkeeping() and is not digested.
 *
 * A load never trusts its input: after state_fail() every later call leaves
 * its field as it was, and the caller checks state_ok() at the end.
 */
#ifndef BASE_STATE_H
#define BASE_STATE_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum state_mode { STATE_SAVE, STATE_LOAD, STATE_HASH };

struct state_hash {
	uint64_t lo, hi;
};

struct state;

struct state *state_saver(struct buf *out);
struct state *state_loader(const void *in, size_t len, struct err *e); /* `in` must outlive it */
struct state *state_hasher(void);
void state_free(struct state *s);

enum state_mode state_mode(const struct state *s);
bool state_ok(const struct state *s);
struct state_hash state_digest(struct state *s); /* of a hasher */

/* True when fields are to be visited that no guest can tell: rings, writers,
 * L0's own structures. They are saved and loaded, and no part of the hash. */
static inline bool state_bookkeeping(const struct state *s)
{
	return state_mode(s) != STATE_HASH;
}

/* Marks the load as failed, with the reason (the first one is kept). */
void state_fail(struct state *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Starts a named part; a load fails here when name or version differ. */
void state_section(struct state *s, const char *name, uint32_t version);

void state_u8(struct state *s, uint8_t *v);
void state_u16(struct state *s, uint16_t *v);
void state_u32(struct state *s, uint32_t *v);
void state_u64(struct state *s, uint64_t *v);
void state_bool(struct state *s, bool *v);
void state_bytes(struct state *s, void *p, size_t n);

/* A size or count that a load bounds: fails when above `max`. */
void state_count(struct state *s, uint64_t *v, uint64_t max);

#endif

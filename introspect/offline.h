/* Snapshots as sessions of their own: the same views, without the options
 * that the machine was started with.
 *
 * `save` through the live backend writes the machine's configuration behind
 * the snapshot, where l0_load does not look: JSON, its length (4 bytes, little-
 * endian), "nestconf". A machine that is only looked at has its network device,
 * and nothing behind it: a file opens no ports.
 */
#ifndef INTROSPECT_OFFLINE_H
#define INTROSPECT_OFFLINE_H

#include "introspect/session.h"

struct l0;

/* Builds the machine that a snapshot names and loads it; the session owns it.
 * NULL and *e: no snapshot, damaged, or without a configuration. */
struct intro *intro_open_snapshot(const char *path, struct err *e);

/* Is the file of a machine with the same devices as this one? False and *e, in
 * the words of the options: no. A network that leads elsewhere is told in the
 * log: it stays this machine's. A file that does not say passes. */
bool offline_check(const struct l0 *l, const char *path, struct err *e);

/* Adds the configuration to a snapshot that was just written. */
bool offline_add_config(const struct l0 *l, const char *path, struct err *e);

#endif

/* Snapshots as sessions of their own: the same views, without the options
 * that the machine was started with.
 *
 * `save` through the live backend writes the machine's configuration behind
 * the snapshot, where l0_load does not look: JSON, its length (4 bytes, little-
 * endian), "nestconf".
 */
#ifndef INTROSPECT_OFFLINE_H
#define INTROSPECT_OFFLINE_H

#include "introspect/session.h"

struct l0;

/* Builds the machine that a snapshot names and loads it; the session owns it.
 * NULL and *e: no snapshot, damaged, or without a configuration. */
struct intro *intro_open_snapshot(const char *path, struct err *e);

/* Adds the configuration to a snapshot that was just written. */
bool offline_add_config(const struct l0 *l, const char *path, struct err *e);

#endif

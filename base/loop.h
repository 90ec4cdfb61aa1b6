/* The event loop: host file descriptors served between slices of the engine.
 *
 * Everything runs on one thread. A watcher's function is called from
 * loop_poll() alone, so that what it hands to base/input.h has a position.
 * Watchers may add and remove watchers, themselves included, while called.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

struct loop;

struct loop *loop_new(void);
void loop_free(struct loop *l);

/* Calls fn(ctx, revents) when one of `events` (POLLIN, POLLOUT) or an error
 * shows on fd. Returns an id > 0. The fd stays the caller's. */
typedef void loop_fd_fn(void *ctx, short revents);
int loop_add(struct loop *l, int fd, short events, loop_fd_fn *fn, void *ctx);
void loop_events(struct loop *l, int id, short events); /* 0 = only errors */
void loop_del(struct loop *l, int id);

/* For libraries that bring their own set of descriptors at each poll
 * (libslirp), or change what they wait for: `before` adds descriptors with
 * loop_extra and may shorten *timeout_ms, `after` (may be NULL) asks
 * loop_extra_revents for what came. */
struct loop_source {
	void (*before)(void *ctx, int *timeout_ms);
	void (*after)(void *ctx);
	void *ctx;
};
int loop_add_source(struct loop *l, const struct loop_source *s); /* id > 0 */
int loop_extra(struct loop *l, int fd, short events);             /* index, in `before` only */
short loop_extra_revents(const struct loop *l, int index);        /* in `after` only */

/* Waits up to timeout_ms (0: not at all, -1: for ever) and serves what is
 * ready; true when something was served. */
bool loop_poll(struct loop *l, int timeout_ms);

#endif

/* The live machine as a backend: introspect/ over struct l0. */
#ifndef INTROSPECT_LIVE_H
#define INTROSPECT_LIVE_H

#include "introspect/session.h"

struct l0;

/* The machine stays the caller's and outlives the backend. Serial output is
 * passed on to where it went before. */
struct intro_backend *live_backend(struct l0 *l);

/* The same as a session. */
struct intro *live_session(struct l0 *l);

#endif

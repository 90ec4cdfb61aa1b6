/* What the control socket says of events and stops, and how it is asked for them:
 * JSON values from structs and back; no sockets. */
#ifndef PLUGINS_CONTROL_JSON_H
#define PLUGINS_CONTROL_JSON_H

#include "introspect/run.h"
#include "plugins/nestscope-plugin.h"

#include <jansson.h>

/* The caller owns what these two return. */
json_t *control_event(const struct nestscope_event *ev);
json_t *control_stop(const struct stop_event *ev);

/* A request's "filter": the same keys as in Lua. NULL, or what is wrong; strings
 * of *f live as long as `given`. */
const char *control_filter(json_t *given, struct nestscope_filter *f);

#endif

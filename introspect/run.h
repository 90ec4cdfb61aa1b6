/* Running the machine: requests that never block, and slices.
 *
 * A front end asks (intro_continue, intro_step ...) and returns to the event
 * loop; the loop calls intro_run_slice() again and again while it returns
 * RUN_RUNNING, serving sockets and keys between slices. When it returns
 * RUN_STOPPED, intro_last_stop() says why, and every subscriber has been told
 * (EVENT_STOP). A request while the machine runs replaces nothing: it fails.
 */
#ifndef INTROSPECT_RUN_H
#define INTROSPECT_RUN_H

#include "introspect/stops.h"

enum run_result {
	RUN_STOPPED, /* nothing to do until a request */
	RUN_RUNNING, /* call again */
	RUN_WAITING  /* idle in real-time pace: call again at *wake, or on input */
};

enum step_kind {
	STEP_THROUGH, /* one instruction of the vCPU, whatever level it leads to */
	STEP_WITHIN,  /* until the level itself has moved by one instruction: an exit is
	               * run over to the re-entry */
	STEP_NEXT,    /* STEP_WITHIN, calls and rep run over */
	STEP_FINISH,  /* until the current function of the level returns */
	STEP_LINE     /* STEP_WITHIN until the source line changes; without lines: one
	               * instruction */
};

/* All of these: false and *e when it runs already or cannot run on. */
bool intro_continue(struct intro *s, struct err *e);
bool intro_step(struct intro *s, struct place at, enum step_kind kind, uint64_t count,
	struct err *e);
/* A step stays out of interrupt and fault handlers unless this is on. */
void intro_step_into_handlers(struct intro *s, bool on);
/* Until the place reaches a linear address (its level), or an expression is
 * true (asked at every transition and, when it names registers or memory, at
 * every instruction); takes the expression over. */
bool intro_until_address(struct intro *s, struct place at, uint64_t address, struct err *e);
bool intro_until_expr(struct intro *s, struct place at, struct expr *e_owned, struct err *e);

/* The session's --until: asked at every transition of every run; NULL: none. */
bool intro_set_until(struct intro *s, const char *text, struct err *e);

/* Stops at the next slice end (or, while stopped, does nothing). */
void intro_pause(struct intro *s);
/* A stop asked for by a plugin or a callback, from inside an event. */
void intro_request_stop(struct intro *s, enum stop_why why, const char *text);

/* Calls fn(ctx) where the machine stands between two instructions: at once when
 * it does, else as soon as the event under way is over; then the run goes on.
 * What changes the machine from inside an event goes this way. */
void intro_defer(struct intro *s, void (*fn)(void *ctx), void *ctx);
/* Whether an event is under way in the middle of an instruction. */
bool intro_inside(const struct intro *s);

/* Who acts from here on: entries of the input log and last writers of fields
 * say so when it is OWNER_PLUGIN. Returns who did before. */
enum stop_owner intro_actor(struct intro *s, enum stop_owner who);

bool intro_running(const struct intro *s);
const struct stop_event *intro_last_stop(const struct intro *s);

/* Runs at most `budget` instructions (0: the default slice). *wake (may be
 * NULL) is host CLOCK_MONOTONIC ns for RUN_WAITING. */
enum run_result intro_run_slice(struct intro *s, uint64_t budget, uint64_t *wake);

/* Loops over slices until a stop; for batch, tests and small tools. */
const struct stop_event *intro_run(struct intro *s);

/* Ends with WHY_LIMIT at this many instructions from the start; 0: no limit. */
void intro_set_limit(struct intro *s, uint64_t instructions);

#endif

/* The session's insides, for introspect/ alone. */
#ifndef INTROSPECT_PRIVATE_H
#define INTROSPECT_PRIVATE_H

#include "introspect/backend.h"
#include "introspect/run.h"
#include "introspect/symbols.h"

struct stats;
struct symbols;
struct trace;

struct subscription {
	unsigned id; /* 0: removed, swept when nobody iterates */
	struct event_filter filter;
	event_fn *fn;
	void *ctx;
	uint64_t matches, faults, next; /* next: clock of the next EVENT_TIMER */
};

/* Stops by what they wait for (stop_index.c); the stops are the session's. */
struct stop_list {
	struct stop **stop; /* owned array, by rising id */
	unsigned n;
};
struct stop_index {
	struct stop_list *bucket; /* owned; breakpoints by address; NULL: there were none */
	struct stop_list other;   /* all that are no breakpoints */
};
void stop_index_add(struct stop_index *x, struct stop *st);
void stop_index_del(struct stop_index *x, struct stop *st);
void stop_index_done(struct stop_index *x);

/* A step or until under way. */
struct run_plan {
	enum { PLAN_FREE, PLAN_STEP, PLAN_ADDRESS, PLAN_EXPR } kind;
	enum step_kind step;
	struct place at;
	uint64_t left;       /* steps still to do */
	uint64_t address;    /* run freely to this linear address of at.level ... */
	uint64_t sp;         /* ... with the stack pointer at or above this */
	bool going;          /* that run is under way: a mark is set */
	bool detour;         /* it leads out of a handler: the step goes on after it */
	bool away;           /* STEP_WITHIN: another level runs */
	struct insn_text insn; /* at the start of the step under way */
	uint64_t start_sp;
	char file[256];      /* STEP_LINE */
	unsigned line;
	struct expr *expr;   /* owned; PLAN_EXPR */
};

struct intro {
	struct intro_backend *backend; /* owned */
	const struct intro_backend_ops *ops;
	void *ctx;
	uint64_t generation;
	struct log *own_log; /* owned; when the backend has none */

	struct stop **stop; /* owned array of owned stops, by rising id */
	unsigned stops, next_stop;
	struct stop_index stop_index;
	unsigned kind_count[STOP_KINDS]; /* enabled stops of each kind */
	unsigned stop_kinds; /* bit per stop_kind of enabled stops */
	struct watch_bind {
		unsigned stop, id;
		uint64_t from, at; /* L2-physical: this address of its leads to that host-physical one */
	} *watch; /* owned: which backend watch serves which stop */
	unsigned watches;
	unsigned followed; /* enabled watchpoints on L2-physical memory */

	struct subscription *sub; /* owned */
	unsigned subs, next_sub, iterating;
	uint64_t listened; /* bit per event_kind of the subscriptions */
	unsigned levels_told; /* EVENT_LEVEL: how many levels have been told of */

	bool running;
	bool inside;         /* the backend runs: only events are under way */
	struct deferred {
		void (*fn)(void *ctx);
		void *ctx;
	} *defer;            /* owned */
	unsigned defers;
	enum stop_owner actor;
	bool pause;
	bool have_stop;      /* the event below ends the slice under way */
	struct stop_event last;
	struct stop_event pending;
	struct run_plan plan;
	struct expr *until;  /* owned; --until */
	bool into_handlers;
	uint64_t limit, executed;
	uint64_t host_ns; /* real time spent running since the statistics were reset */

	struct stats *stats;     /* owned */
	struct symbols *symbols; /* owned */
	struct trace *trace;     /* owned; NULL: none */
};

/* Fills *e: this machine cannot do `what`. */
bool intro_cannot(const struct intro *s, const char *what, struct err *e);

/* A tool changed something: redraw, and tell EVENT_CHANGE. */
void intro_changed(struct intro *s, struct place at, const char *what);

/* stops.c: which sink parts the stops and subscriptions need, told on. */
void stops_init(struct intro *s);
void stops_done(struct intro *s);
void intro_update_wants(struct intro *s);
/* Asks the condition, counts the hit; true when it stops the machine. */
bool stop_hits(struct intro *s, struct stop *st, struct place at, const struct exit_record *r,
	const struct event *ev);
void stop_fired(struct intro *s, struct stop *st, struct place at, uint64_t exit);

/* watches.c: watchpoints as the backend's watches. */
bool watch_acceptable(const struct stop *st, struct err *e);
void watch_plant(struct intro *s, struct stop *st);
void watch_uproot(struct intro *s, const struct stop *st);
/* L2-physical watchpoints go where EPT12 leads. */
void watches_follow(struct intro *s);
/* An entry of EPT12 is about to change. */
void watches_hear(struct intro *s, const struct event *ev);
/* What a hit touched, in the stop's own space. */
uint64_t watch_touched(const struct intro *s, const struct stop *st, const struct backend_ran *ran);

/* events.c */
void events_init(struct intro *s);
void events_done(struct intro *s);
uint64_t events_next_timer(const struct intro *s); /* clock; UINT64_MAX: none */
void events_run_timers(struct intro *s);

/* sink.c: what the backend calls while it runs. */
void sink_attach(struct intro *s);
/* The name of a kind of stop that this machine cannot serve; NULL: it can. */
const char *stop_unsupported(const struct intro *s, enum stop_kind kind);

/* Does the run have to end here? */
static inline bool intro_ends(const struct intro *s)
{
	return s->have_stop || s->defers;
}

/* plan.c: steps and untils. */
void plan_clear(struct intro *s);
/* The vCPU to run by single instructions, or -1 to run freely. */
int plan_step_vcpu(const struct intro *s);
/* After a run that nothing stopped; true when the plan is fulfilled. */
bool plan_advance(struct intro *s, const struct backend_ran *ran);
/* At a transition; true when the run must end here so that the plan can look. */
bool plan_transition(struct intro *s, const struct exit_record *r);
/* Is this mark the one that the plan waits for? */
bool plan_mark(struct intro *s, struct place at, uint64_t pc);

/* run.c */
void run_begin(struct intro *s);
void run_init(struct intro *s);
void run_done(struct intro *s);

/* stats.c: counts what the ring got since the last call. */
struct stats *stats_new(void);
void stats_free(struct stats *st);
void stats_update(struct intro *s);
uint64_t stats_threshold(const struct intro *s);

/* trace.c: writes what the ring got since the last call. */
void trace_update(struct intro *s);

/* symbols.c */
struct symbols *symbols_new(void);
void symbols_free(struct symbols *y);
/* kallsyms.c: no symbol covers the address (UINT64_MAX: a name was asked for).
 * Looks for a kernel's table in the level, or for modules that came since;
 * true: there are more symbols than before. At most once per position. */
bool symbols_missed(struct intro *s, struct place at, uint64_t address);
/* The machine stopped here: looks when the level seems to run a kernel. */
void symbols_auto(struct intro *s, struct place at);
/* At slice ends: an L2 without names is asked for them while it runs, because
 * its memory is gone when L1 has ended it. */
void symbols_meet(struct intro *s);

#endif

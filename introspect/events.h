/* Events for subscribers (TUI, gdb stub, plugins, control socket).
 *
 * A subscription names kinds and a filter; the filter runs before the
 * callback, so that one event in a million costs nothing for the rest. A
 * callback may look at everything, add and remove stops and subscriptions
 * (its own too), and ask for a stop; it must not run the machine.
 */
#ifndef INTROSPECT_EVENTS_H
#define INTROSPECT_EVENTS_H

#include "introspect/exits.h"
#include "introspect/stops.h"
#include "introspect/vmcs.h"

enum event_kind {
#define EVENT(id, name, help) EVENT_##id,
#include "introspect/events.def"
#undef EVENT
	EVENT_KINDS
};

/* What a callback decides about an exit that nobody has handled yet. It is an
 * entry of the input log. */
struct exit_verdict {
	bool swallow;       /* the level goes on behind the instruction, as if it had
	                     * done nothing but set the registers of `mask` */
	bool rewrite;       /* of an L2: L1 gets this reason and qualification */
	uint16_t mask;      /* bit per register, in the processor's order */
	uint64_t gpr[16];
	uint32_t reason;
	uint64_t qualification;
};

struct event {
	enum event_kind kind;
	struct place at;
	struct position position;
	const struct exit_record *exit;      /* entry, exit, reflect, ept-fault, port-io ... */
	const struct intro_vmcs_write *vmwrite; /* vmwrite */
	const struct stop_event *stop;       /* stop, break, watch */
	uint64_t address, value, old_value;  /* memory, cr-write, msr-write (address: which) */
	unsigned size; /* bytes; ept-change, table-change: address bits that the entry leaves open */
	uint64_t entry;      /* these two: where it is, physical to the level whose tables they are */
	struct place writer; /* and who writes it */
	uint64_t rip, cr3;   /* these two, and registers and ports without an exit; else 0 */
	bool write;
	const char *text; /* console line, snapshot file, log */
	struct exit_verdict *verdict; /* EVENT_EXIT_BEFORE; NULL elsewhere */
};

struct event_filter {
	uint64_t kinds;     /* bit per event_kind */
	unsigned levels;    /* bit per level; 0: all */
	int vcpu;           /* -1: all */
	uint64_t reasons[2]; /* exit events: bit per basic reason; both 0: all */
	uint32_t field;     /* vmwrite: encoding; 0: all */
	bool has_range;     /* memory: space and range; others: detail or address */
	enum intro_space space;
	uint64_t low, high; /* inclusive */
	uint64_t every;     /* each n-th match; 0 and 1: each */
	uint64_t period;    /* EVENT_TIMER: virtual ns */
	struct expr *expr;  /* taken over by the subscription; NULL: none */
};

void event_filter_init(struct event_filter *f, enum event_kind kind);

typedef void event_fn(void *ctx, const struct event *ev);

/* Returns an id > 0, or 0 and *e (then f->expr stays the caller's). */
unsigned intro_subscribe(struct intro *s, const struct event_filter *f, event_fn *fn, void *ctx,
	struct err *e);
/* Safe from inside the callback. False: no such id. */
bool intro_unsubscribe(struct intro *s, unsigned id);
/* How often it matched and how often the expression faulted. */
bool intro_subscription_counts(
	struct intro *s, unsigned id, uint64_t *matches, uint64_t *faults);

/* Tells all subscribers; for the session itself and for front ends that make
 * events of their own (EVENT_QUIT). */
void intro_emit(struct intro *s, const struct event *ev);
/* True when somebody listens: producers ask before they build an event. */
bool intro_listening(const struct intro *s, enum event_kind kind);

/* Can this machine tell of it at all? */
bool intro_event_available(const struct intro *s, enum event_kind kind);

const char *event_kind_name(enum event_kind k);
const char *event_kind_help(enum event_kind k);
bool event_kind_find(const char *name, enum event_kind *k);

#endif

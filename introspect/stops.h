/* Stops: breakpoints, watchpoints and catches, with one owner each.
 *
 * A stop belongs to a level (and, for addresses, to that level's linear
 * addresses): L1 and L2 can have one at the same address. A watchpoint on
 * physical memory stops at every level: its level says whose addresses it is
 * written in, and what an L2's lead to is followed as EPT12 changes. Guest memory is
 * never changed. A condition is an expression (introspect/expr.h) asked at
 * the place of the hit; one that faults counts as false. Hit counts are exact.
 */
#ifndef INTROSPECT_STOPS_H
#define INTROSPECT_STOPS_H

#include "introspect/memory.h"

struct expr;

enum stop_kind {
	STOP_BREAK,       /* before the instruction at address */
	STOP_WATCH,       /* after an instruction that touched [address, address + len); physical
	                   * memory: of any level, by any mapping, or a device */
	STOP_EXIT,        /* VM exit with `reason` (UINT32_MAX: any) */
	STOP_ENTRY,       /* VM entry into the level (VMLAUNCH, VMRESUME) */
	STOP_ENTRY_FAIL,  /* a VM entry that fails */
	STOP_VMX_INSN,    /* a VMX instruction of L1 */
	STOP_VMWRITE,     /* VMCS12's `field` is written (also when shadowed) */
	STOP_EPT_CHANGE,  /* an entry of EPT12 changes; `address`: L2-physical or any */
	STOP_TABLE_CHANGE, /* an entry of a guest's own tables; `address`: linear or any */
	STOP_MODE,        /* paging, long mode or CPU mode switches */
	STOP_TRIPLE_FAULT,
	STOP_KINDS
};
const char *stop_kind_name(enum stop_kind k);

enum { WATCH_READ = 1, WATCH_WRITE = 2 };

/* Who set it: stops that a client set are that client's to show and to lose. */
enum stop_owner { OWNER_USER, OWNER_GDB, OWNER_PLUGIN, OWNER_RUN /* step, until, finish */ };

struct stop {
	unsigned id;           /* > 0, never given twice */
	enum stop_kind kind;
	enum stop_owner owner;
	uint32_t client;       /* which gdb connection or plugin */
	unsigned level;        /* 0: any */
	int vcpu;              /* -1: any */
	enum intro_space space; /* STOP_BREAK, STOP_WATCH: virtual or physical */
	uint64_t address, len;
	unsigned access;       /* STOP_WATCH: WATCH_* */
	uint32_t reason;       /* STOP_EXIT: basic reason, UINT32_MAX any */
	uint64_t detail;       /* STOP_EXIT: UINT64_MAX any */
	uint32_t field;        /* STOP_VMWRITE: encoding, 0 any */
	bool enabled;
	bool once;             /* gone after its first stop */
	bool silent;           /* break, watch: subscribers are told, the machine goes on */
	uint64_t ignore;       /* hits still to pass over */
	uint64_t hits;         /* condition true, ignored ones included */
	uint64_t faults;       /* conditions that could not be evaluated */
	struct expr *condition; /* owned by the stop; NULL: none */
	char text[96];         /* how it was written, for lists */
	void *ctx;             /* the owner's own, not looked at */
};

/* A stop of a kind with every "any" set; fill in and add. */
void stop_init(struct stop *st, enum stop_kind kind, unsigned level);

/* Adds a copy; the condition passes to it. Returns the id, or 0 and *e (then
 * the condition is still the caller's). */
unsigned intro_stop_add(struct intro *s, const struct stop *st, struct err *e);
bool intro_stop_del(struct intro *s, unsigned id);
/* Removes all of one owner (and client, UINT32_MAX: all of them). */
void intro_stop_del_owner(struct intro *s, enum stop_owner owner, uint32_t client);
bool intro_stop_enable(struct intro *s, unsigned id, bool on);
struct stop *intro_stop(struct intro *s, unsigned id); /* NULL: none; owned by the session */
unsigned intro_stop_count(const struct intro *s);
struct stop *intro_stop_at(struct intro *s, unsigned i); /* i-th by rising id */
/* An enabled breakpoint at a linear address of a level (0: of any); NULL: none. */
struct stop *intro_stop_find_break(struct intro *s, unsigned level, uint64_t address);
/* The breakpoint at a linear address with the lowest id above `after`, of any
 * level, enabled or not; NULL: no more. */
struct stop *intro_stop_next_break(struct intro *s, uint64_t address, unsigned after);

/* Why the machine stands still. One struct for all front ends. */
enum stop_why {
	WHY_NOTHING,  /* it runs */
	WHY_START,    /* has not run yet */
	WHY_STOP,     /* `stop` was hit (break, watch, catch) */
	WHY_STEP,     /* a step, next, until or finish is done */
	WHY_PAUSE,    /* somebody asked */
	WHY_UNTIL,    /* --until or `until EXPR` came true */
	WHY_LIMIT,    /* --max-insns reached */
	WHY_PLUGIN,   /* a plugin asked */
	WHY_SHUTDOWN, /* triple fault of L1: nothing more to run */
	WHY_IDLE,     /* all vCPUs halted and nothing will ever wake them */
	WHY_POWEROFF, /* the guest switched off */
	WHY_EXIT      /* debug-exit port: `status` */
};

struct stop_event {
	enum stop_why why;
	struct place at;        /* where it happened */
	uint64_t rip;           /* linear address of the next instruction there */
	struct position position;
	unsigned stop;          /* WHY_STOP: id (also when the stop was `once`) */
	enum stop_kind kind;    /* WHY_STOP: its kind */
	enum stop_owner owner;
	uint32_t client;
	uint64_t watch_address; /* STOP_WATCH: what was touched, in the watch's space and level */
	enum intro_space watch_space;
	unsigned watch_level;
	bool watch_device;      /* by a device, while `at` ran */
	unsigned watch_access;  /* WATCH_READ or WATCH_WRITE */
	uint64_t exit;          /* seq of the transition concerned; UINT64_MAX: none */
	int status;             /* WHY_EXIT, WHY_POWEROFF: the exit status asked for */
	bool over;              /* the machine cannot run on */
	char text[160];         /* one line for humans */
};
const char *stop_why_name(enum stop_why w);

#endif

/* The machine of a session: the PC, its processors, and the loop that runs
 * them in turns.
 *
 * l0_run() gives the vCPUs turns of `quantum` instructions, fires timers,
 * skips or sleeps through idle time, and serves the event loop between
 * slices. Whose turn it is and what is left of it are machine state, so that
 * stopping, however often, changes nothing: the same guest takes the same
 * course in one run or in a thousand.
 *
 * Between calls the machine stands at one position and every struct vcpu
 * shows the architectural truth.
 */
#ifndef L0_L0_H
#define L0_L0_H

#include "base/clock.h"
#include "base/err.h"
#include "cpu/engine.h"
#include "cpu/model.h"
#include "cpu/vcpu.h"
#include "l0/options.h"
#include "l0/ring.h"
#include "machine/load.h"

#include <stdbool.h>
#include <stdint.h>

#define L0_VCPUS     16
#define L0_OBSERVERS 16
#define L0_DISKS     8
#define L0_SERIALS   2
#define L0_QUANTUM   20000   /* instructions a vCPU runs before the next one's turn */
#define L0_SLICE     1000000 /* instructions between two looks at the event loop */

struct machine;
struct outside; /* l0/outside.h: disks, network and where the serial ports lead */
struct log;
struct inputs;
struct loop;
struct nested;
struct listen; /* l0/listen.h: what is looked for only while somebody listens */
struct state_hash;

/* --- What observers are told ------------------------------------------- */

enum l0_event_kind {
	L0_EV_RECORD,       /* a transition was recorded: `number` in the ring */
	L0_EV_BREAK,        /* before an instruction with a mark: `at` is its linear address */
	L0_EV_WATCH,        /* after an instruction that touched a watched range */
	L0_EV_VMX_INSN,     /* L1 executed a VMX instruction: `number` = its exit reason */
	L0_EV_VMCS_WRITE,   /* a VMCS12 field was written: `number` = encoding, old, new */
	L0_EV_EPT_WRITE,    /* an entry of EPT12 is about to change: `at` = where it is,
	                     * L1-physical; `number` = the first L2-physical address that it
	                     * translates, 2^shift bytes; old, new */
	L0_EV_TABLE_WRITE,  /* the same of a guest's own tables, of `level`: `at` is physical to
	                     * that level, `number` the first linear address */
	L0_EV_MODE,         /* L1 or L2 switched mode: old, new = enum l0_mode */
	L0_EV_ACCESS,       /* an instruction wrote a control register or an MSR or moved a port,
	                     * and did not exit: `shift` = enum l0_access, `number` = which,
	                     * new = the value; ports: old = bytes */
	L0_EV_TRIPLE_FAULT, /* of level `level` */
	L0_EV_INPUT,        /* an entry went into the input log: `number` */
	L0_EV_STOPPED,      /* l0_run is about to return; `number` = enum l0_why */
	L0_EV_EXIT_BEFORE   /* an exit that L0 has not decided about: `record` as it would be */
};

enum l0_access { L0_WRITES_CR, L0_WRITES_MSR, L0_WRITES_PORT, L0_READS_PORT };

/* What an observer of L0_EV_EXIT_BEFORE decides; an entry of the input log. */
enum l0_verdict_action {
	L0_VERDICT_NONE,
	L0_VERDICT_SWALLOW, /* the level goes on behind the instruction, with the registers of
	                     * `mask` set; refused for exits without an instruction */
	L0_VERDICT_REWRITE  /* of L2: L1 gets this reason and qualification */
};
struct l0_verdict {
	uint64_t number;    /* which the transition has in the ring; filled */
	uint32_t action;    /* enum l0_verdict_action */
	uint32_t mask;      /* bit per register, order of enum gpr */
	uint64_t gpr[16];
	uint64_t reason, qualification;
};
/* In an input's target: a plugin put it. */
#define L0_BY_PLUGIN 0x80000000u

/* What code runs as; the row after a mode's is the same with paging. */
enum l0_mode {
	L0_MODE_REAL,
	L0_MODE_PROT16, L0_MODE_PROT16_PAGED,
	L0_MODE_PROT32, L0_MODE_PROT32_PAGED,
	L0_MODE_V86, L0_MODE_V86_PAGED,
	L0_MODE_COMPAT16, L0_MODE_COMPAT32, L0_MODE_LONG, /* IA-32e, CS.L */
	L0_MODES
};
const char *l0_mode_name(enum l0_mode m);

struct l0_event {
	enum l0_event_kind kind;
	uint8_t vcpu, level, shift;
	uint64_t number, at, old, new_;
	const struct ring_record *record;        /* L0_EV_RECORD, L0_EV_EXIT_BEFORE */
	struct l0_verdict *verdict;              /* L0_EV_EXIT_BEFORE; the first to decide fills it */
	const struct engine_watch_hit *watch;    /* L0_EV_WATCH */
};

/* `kinds` is a mask of BIT(kind). True asks for a stop at this position, with
 * this observer named in the stop; all observers are told in any case. */
struct l0_observer {
	uint32_t kinds;
	bool (*event)(void *ctx, const struct l0_event *ev);
	void *ctx;
};

/* --- Running ------------------------------------------------------------ */

enum l0_why {
	L0_LIMIT,      /* the position or count of l0_limits is reached */
	L0_OBSERVER,   /* an observer asked; see l0_stop.event */
	L0_INTERRUPT,  /* l0_interrupt() */
	L0_POWER_OFF,  /* the guest powered off */
	L0_DEBUG_EXIT, /* the guest wrote l0_stop.value to port 0xf4 */
	L0_RESET,      /* only with l0_limits.stop_on_reset; the reset has happened */
	L0_TRIPLE,     /* triple fault of the lowest level; the vCPU is in shutdown */
	L0_DEAD        /* every vCPU waits and nothing can ever wake one */
};

struct l0_stop {
	enum l0_why why;
	unsigned vcpu;
	uint64_t value;        /* L0_DEBUG_EXIT */
	unsigned observer;     /* L0_OBSERVER: the index it was given */
	struct l0_event event; /* L0_OBSERVER: a copy */
};

/* Zero means "no limit" for each. */
struct l0_limits {
	uint64_t clock;   /* stop when the virtual clock reaches this tick */
	uint64_t retired; /* stop when all vCPUs together retired this many, ever */
	/* Stop when vCPU step_vcpu has retired step_count more instructions; the
	 * others take their turns meanwhile. */
	unsigned step_vcpu;
	uint64_t step_count;
	uint64_t step_end; /* filled by l0_limits_start */
	bool stop_on_reset;
};

enum l0_pace { L0_PACE_FAST, L0_PACE_REAL };

struct l0_vcpu {
	struct l0 *l0;
	struct vcpu *cpu;  /* owned */
	uint8_t level;     /* whose state is in cpu now: 1, or 2 in nested operation */
	void *nested;      /* l0/nested's per-vCPU struct; owned by it */
};

/* What this machine is made of; kept for snapshots and resets. All strings
 * belong to the caller and outlive the machine. */
struct l0_config {
	uint64_t mem;         /* bytes of RAM */
	unsigned vcpus;
	const char *cpu;      /* --cpu specification; NULL: default */
	const char *l0;       /* --l0 specification; NULL: default */
	uint64_t quantum;     /* 0: L0_QUANTUM */
	enum l0_pace pace;
	int64_t rtc;          /* seconds since 1970 at position 0 */
	bool testdev;
	struct load_config load;
	const char *disk[L0_DISKS];
	unsigned disks;
	const char *net;      /* NULL or "none"; "user", "user,..." */
	const char *serial[L0_SERIALS]; /* NULL: none */
	const char *console;  /* virtio console; NULL: no such device */
	bool no_stdin;        /* a front end reads standard input, and lends it by l0_lend_stdin */
	void (*announce)(void *ctx, const char *line); /* e.g. the name of a pty; may be NULL */
	void *announce_ctx;
};

struct l0 {
	struct l0_config cfg;
	struct l0_options options;
	struct machine *machine; /* owned */
	struct outside *outside; /* owned */
	struct engine_shared *engine; /* owned */
	struct l0_vcpu vcpu[L0_VCPUS];
	unsigned vcpus;
	struct cpu_model model;
	struct clock *clock;   /* these three are the machine's */
	struct log *log;
	struct inputs *inputs;
	struct loop *loop;     /* owned */
	struct ring ring;
	struct nested *nested; /* NULL: bare (--l0 none) */
	struct listen *listen; /* owned */

	/* scheduling; machine state */
	uint64_t quantum;      /* instructions per turn */
	unsigned turn;         /* whose turn it is */
	uint64_t turn_left;    /* instructions left of it */
	bool asleep;           /* S3: no vCPU runs */

	/* not machine state */
	enum l0_pace pace;
	struct l0_observer observer[L0_OBSERVERS];
	uint32_t observed;     /* the kinds of all observers together */
	volatile bool interrupted;
	bool have_stop;        /* an observer or device asked; `stop` is filled */
	struct l0_stop stop;
	bool over[L0_VCPUS];   /* stopped before a mark at over_rip: goes on behind it */
	uint64_t over_rip[L0_VCPUS];
	uint64_t told_rip[L0_VCPUS]; /* of the last mark that observers were told */
	uint64_t pace_clock, pace_host; /* real pace: this tick is this host time, ns */
	void (*progress)(void *ctx, struct l0 *l); /* between slices of l0_run; may be NULL */
	void *progress_ctx;
	/* After LEAVE_VMEXIT: l0/nested brings the vCPU to where it goes on. */
	void (*vmexit)(struct l0_vcpu *v);
};

/* Builds the machine, loads the guest, stands at position 0. */
struct l0 *l0_new(const struct l0_config *cfg, struct err *e);
void l0_free(struct l0 *l);

/* Runs until something of enum l0_why, serving the event loop meanwhile;
 * limits may be NULL. */
struct l0_stop l0_run(struct l0 *l, const struct l0_limits *limits);

/* One slice for a caller with an event loop of its own: runs about `budget`
 * instructions (0: L0_SLICE) and never waits. */
enum l0_slice {
	L0_SLICE_MORE, /* serve the event loop without waiting and call again */
	L0_SLICE_WAIT, /* idle: wait for input, at most until *wake */
	L0_SLICE_STOP  /* *stop says why */
};
enum l0_slice l0_run_slice(struct l0 *l, const struct l0_limits *limits, uint64_t budget,
	uint64_t *wake, struct l0_stop *stop); /* wake: CLOCK_MONOTONIC ns, UINT64_MAX never */

/* step_count of a struct l0_limits as the vCPU's absolute count: callers that
 * run in slices turn a step into this once. */
void l0_limits_start(const struct l0 *l, struct l0_limits *limits);

/* With no_stdin: lends standard input to the port on stdio, or takes it back. */
void l0_lend_stdin(struct l0 *l, bool lent);

/* Ends a running l0_run at the next slice; safe in a signal handler. */
void l0_interrupt(struct l0 *l);

/* The instructions of all vCPUs, ever. */
uint64_t l0_retired(const struct l0 *l);
static inline struct position l0_position(const struct l0 *l)
{
	return (struct position){l->clock->now, l->clock->ordinal};
}

/* --- Observers ----------------------------------------------------------- */

int l0_observe(struct l0 *l, const struct l0_observer *o); /* index, -1 when full */
void l0_unobserve(struct l0 *l, int index);
/* Changes what an observer is told; an index that names none does nothing. */
void l0_observe_kinds(struct l0 *l, int index, uint32_t kinds);
/* Tells observers; when one asks, the run ends at this position. */
void l0_tell(struct l0 *l, const struct l0_event *ev);
static inline bool l0_observed(const struct l0 *l, enum l0_event_kind kind)
{
	return l->observed >> kind & 1;
}
/* Appends to the ring and tells observers; returns the number. */
uint64_t l0_record(struct l0 *l, const struct ring_record *rec, const struct ring_regs *regs);

/* --- State --------------------------------------------------------------- */

/* The canonical hash of all machine state. */
struct state_hash l0_hash(struct l0 *l);
void l0_state(struct l0 *l, struct state *s);

/* l0/snapshot.c: a file that holds l0_state, versioned, compressed, checked;
 * written to a temporary file and renamed. A load that fails leaves the
 * machine in no usable state and says why. */
bool l0_save(struct l0 *l, const char *path, struct err *e);
bool l0_load(struct l0 *l, const char *path, struct err *e);

/* Power-on: vCPUs and devices reset, the guest loaded again. */
bool l0_boot(struct l0 *l, struct err *e);

#endif

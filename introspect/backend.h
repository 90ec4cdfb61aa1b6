/* What a machine must offer so that introspect/ can show it.
 *
 * Implemented by live.c (over l0/) and fake.c (a recorded machine). Front
 * ends never include this header. A function that a backend leaves NULL means
 * "this machine cannot": the session turns it into an error that says so.
 * Everything that can be derived (translation, walks, statistics, conditions,
 * stepping over calls) is done above the backend, once.
 */
#ifndef INTROSPECT_BACKEND_H
#define INTROSPECT_BACKEND_H

#include "introspect/autopsy.h"
#include "introspect/events.h"
#include "introspect/exits.h"
#include "introspect/machine.h"
#include "introspect/memory.h"
#include "introspect/regs.h"
#include "introspect/stops.h"
#include "introspect/vmcs.h"
#include "introspect/walk.h"

/* Why a backend's run came back. */
enum backend_leave {
	BACKEND_SLICE,      /* the budget is used up */
	BACKEND_MARK,       /* before an instruction with a mark, on `vcpu` */
	BACKEND_WATCH,      /* after an instruction that touched a watch */
	BACKEND_ASKED,      /* the sink wanted a stop at a transition or a write */
	BACKEND_WAIT,       /* idle in real-time pace until `wake` */
	BACKEND_IDLE,       /* idle for ever */
	BACKEND_SHUTDOWN,   /* triple fault of L1 */
	BACKEND_POWEROFF,
	BACKEND_EXIT        /* debug-exit port, with status */
};

struct backend_ran {
	enum backend_leave leave;
	unsigned vcpu;     /* the vCPU that ran last */
	uint64_t executed; /* instructions */
	uint64_t wake;     /* BACKEND_WAIT: CLOCK_MONOTONIC ns */
	int status;
	unsigned watch[8]; /* BACKEND_WATCH: ids of watch_add; address and so on are the first's */
	unsigned watches;
	uint64_t address;  /* BACKEND_WATCH: in its space; BACKEND_MARK: of the instruction */
	unsigned size;
	bool write;
	bool device;       /* BACKEND_WATCH: by a device's DMA */
};

/* Memory to watch, by linear or host-physical address. */
struct backend_watch {
	uint64_t address, len;
	bool read, write, physical;
};

/* Parts of the sink that are wanted now; the rest may cost nothing. */
enum {
	WANT_TRANSITIONS = 1, /* every transition, as it happens */
	WANT_BEFORE = 2,      /* exits before L0 decides */
	WANT_VMWRITE = 4,
	WANT_VMX_INSN = 8,
	WANT_EPT_CHANGE = 16,
	WANT_MODE = 32,
	WANT_ACCESS = 64,     /* writes of control registers and MSRs, ports, that do not exit */
	WANT_CONSOLE = 512,
	WANT_INJECT = 1024,
	WANT_TABLE_CHANGE = 2048
};

/* Which transitions WANT_TRANSITIONS means: exits by basic reason, failed
 * entries by theirs, and entries. */
struct record_wants {
	uint64_t reasons[2];
	bool entries;
};

/* Filled by the session; each returns true to ask for a stop. */
struct backend_sink {
	void *ctx;
	bool (*transition)(void *ctx, const struct exit_record *r);
	bool (*before)(void *ctx, const struct exit_record *r, struct exit_verdict *v);
	bool (*vmwrite)(void *ctx, const struct intro_vmcs_write *w);
	/* VMX_INSN, EPT_CHANGE, TABLE_CHANGE, MODE, CR_WRITE, MSR_WRITE, SPACE, PORT, CONSOLE, INJECT: an event
	 * of events.h, by its kind. */
	bool (*event)(void *ctx, const struct event *ev);
};

struct intro_backend_ops {
	const char *name;
	unsigned supports; /* WANT_*: the parts of the sink that this machine can fill */
	void (*free)(void *ctx);
	void (*attach)(void *ctx, const struct backend_sink *sink);
	void (*want)(void *ctx, unsigned wants);
	/* May be NULL: then every transition is told. */
	void (*want_records)(void *ctx, const struct record_wants *w);

	struct position (*position)(void *ctx);
	struct log *(*log)(void *ctx); /* may be NULL */

	unsigned (*levels)(void *ctx, struct intro_level *out, unsigned max);
	unsigned (*vcpus)(void *ctx);
	bool (*vcpu)(void *ctx, unsigned vcpu, struct intro_vcpu *out);
	unsigned (*current_vcpu)(void *ctx); /* ran last */
	enum intro_state (*place_state)(void *ctx, struct place at);

	bool (*reg_get)(void *ctx, struct place at, enum reg_id id, struct reg_value *out);
	bool (*reg_set)(void *ctx, struct place at, enum reg_id id, const void *bytes, size_t len,
		struct err *e);

	/* Host-physical memory: one page at most. read: MEM_OK, MEM_DEVICE or
	 * MEM_NOTHING. write: MEM_READ_ONLY too; goes through the input log. */
	enum intro_mem_status (*host_read)(void *ctx, struct hpa at, void *out, size_t len);
	enum intro_mem_status (*host_write)(void *ctx, struct hpa at, const void *in, size_t len);
	/* False: this place has no such tables. */
	bool (*root)(void *ctx, struct place at, enum walk_table table, struct walk_root *out);
	/* What the TLB holds for a linear address of a running place. */
	bool (*tlb_peek)(
		void *ctx, struct place at, uint64_t linear, struct hpa *page, bool *writable);

	bool (*vmcs_region)(void *ctx, struct place at, enum intro_vmcs which, uint64_t *out);
	bool (*vmcs_get)(void *ctx, struct place at, enum intro_vmcs which, uint32_t encoding,
		struct intro_vmcs_value *out);
	bool (*vmcs_set)(
		void *ctx, struct place at, uint32_t encoding, uint64_t value, struct err *e);
	bool (*vmcs_writer)(
		void *ctx, struct place at, uint32_t encoding, struct intro_vmcs_write *out);
	/* The write ring, newest first: the i-th; false past the end. */
	bool (*vmcs_write_at)(void *ctx, size_t i, struct intro_vmcs_write *out);
	bool (*vmcs_origin)(
		void *ctx, struct place at, uint32_t encoding, struct intro_vmcs_origin *out);

	void (*exits_range)(void *ctx, uint64_t *first, uint64_t *end);
	bool (*exit_at)(void *ctx, uint64_t seq, struct exit_record *out);
	bool (*exit_gprs)(void *ctx, uint64_t seq, uint64_t gpr[16]);

	bool (*autopsy)(
		void *ctx, struct place at, bool live, struct autopsy *out, struct err *e);
	bool (*caps)(void *ctx, const char *model, cap_fn *fn, void *fn_ctx, struct err *e);

	/* Runs up to `budget` instructions of all vCPUs together. With step_vcpu
	 * >= 0 it also ends (BACKEND_SLICE) when that vCPU has retired one; the
	 * others take their turns meanwhile. */
	void (*run)(void *ctx, uint64_t budget, int step_vcpu, struct backend_ran *out);
	/* What is changed from here on, a plugin changes; may be NULL. */
	void (*actor)(void *ctx, bool plugin);
	/* Ends a run under way at its next slice; safe in a signal handler. */
	void (*interrupt)(void *ctx);
	/* The next run executes the marked instruction at the vCPU's rip. */
	void (*step_over_mark)(void *ctx, unsigned vcpu);
	void (*mark)(void *ctx, uint64_t linear, bool on);
	unsigned (*watch_add)(void *ctx, const struct backend_watch *w); /* 0: it cannot */
	void (*watch_del)(void *ctx, unsigned id);

	bool (*type)(void *ctx, unsigned port, const void *bytes, size_t len, struct err *e);
	bool (*key)(void *ctx, const char *key, struct err *e);
	bool (*nmi)(void *ctx, unsigned vcpu, struct err *e);
	bool (*reset)(void *ctx, struct err *e);
	bool (*powerdown)(void *ctx, struct err *e);
	bool (*inject)(void *ctx, struct place at, unsigned vector, unsigned type, bool has_error,
		uint32_t error, struct err *e);
	size_t (*console_read)(void *ctx, unsigned port, uint64_t *from, struct buf *out);
	bool (*screen)(void *ctx, struct intro_screen *out, struct err *e);
	size_t (*devices)(void *ctx, struct intro_device *out, size_t max);
	size_t (*memory_ranges)(void *ctx, struct intro_memory_range *out, size_t max);
	void (*cpu_info)(void *ctx, struct buf *out);
	size_t (*inputs)(void *ctx);
	bool (*input_at)(void *ctx, size_t i, struct intro_input *out);
	bool (*inputs_save)(void *ctx, const char *path, struct err *e);
	bool (*inputs_play)(void *ctx, const char *path, struct err *e);
	bool (*save)(void *ctx, const char *path, struct err *e);
	bool (*load)(void *ctx, const char *path, struct err *e);
	bool (*hash)(void *ctx, struct state_hash *out, struct err *e);
};

struct intro_backend {
	const struct intro_backend_ops *ops;
	void *ctx; /* owned: ops->free */
};

#endif

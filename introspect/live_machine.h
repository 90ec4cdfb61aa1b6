/* The live backend's own state; for live*.c alone. None of it is machine
 * state: levels are named in the order of first sight, the write ring and the
 * console's text are kept for inspectors. */
#ifndef INTROSPECT_LIVE_MACHINE_H
#define INTROSPECT_LIVE_MACHINE_H

#include "introspect/backend.h"
#include "l0/l0.h"
#include "l0/nested.h"
#include "machine/serial.h"

#include <jansson.h>

#define LIVE_WRITES  16384u
#define LIVE_CONSOLE (1u << 20)
#define LIVE_VMCS12S 256u

struct live_tap {
	struct live *v;
	unsigned port;
	struct serial_backend next; /* where bytes went before */
	struct buf text;            /* the last LIVE_CONSOLE bytes */
	uint64_t total;             /* bytes ever */
	struct buf line;            /* for EVENT_CONSOLE */
};

struct live {
	struct l0 *l;
	struct nested *n; /* NULL: bare */
	struct backend_sink sink;
	unsigned wants;
	struct record_wants records;
	int observer;
	bool by_plugin; /* what is changed, a plugin changes */
	bool owned;   /* the machine goes with the session */
	json_t *config; /* owned; the strings of an owned machine's configuration */

	/* L2 guests: which VMCS12 belongs to which level */
	struct {
		uint64_t at;
		unsigned level;
	} bound[LIVE_VMCS12S];
	unsigned bounds;
	struct {
		uint64_t eptp, vmcs12, first_seen;
	} guest[INTRO_MAX_LEVELS]; /* by level id */
	unsigned levels;           /* ids 1..levels are in use */

	struct intro_vmcs_write *write; /* owned; LIVE_WRITES */
	uint64_t writes;
	struct live_tap tap[MACHINE_SERIALS];

	/* the run under way */
	bool hit_mark, hit_watch;
	unsigned hit_vcpu;
	uint64_t hit_at;
	struct engine_watch_hit watch;
};

/* live.c: the machine and its configuration's strings become the session's. */
struct intro_backend *live_backend_owning(struct l0 *l, json_t *config);
/* The VMCS12 of a place; NULL: this level never ran there. */
struct nested_vmcs12 *live_vmcs12(struct live *v, struct place at);
/* The level that a VMCS12 belongs to; given on first sight. */
unsigned live_level_of(struct live *v, const struct nested_vmcs12 *m);
unsigned live_level_at(struct live *v, uint64_t vmcs12);
/* The level that a vCPU runs now. */
unsigned live_level(struct live *v, unsigned vcpu);
enum intro_state live_place_state(void *ctx, struct place at);
static inline struct vcpu *live_cpu(struct live *v, unsigned vcpu)
{
	return v->l->vcpu[vcpu].cpu;
}
static inline struct nested_vcpu *live_nested(struct live *v, unsigned vcpu)
{
	return v->n ? v->l->vcpu[vcpu].nested : NULL;
}

/* live_regs.c */
bool live_reg_get(void *ctx, struct place at, enum reg_id id, struct reg_value *out);
bool live_reg_set(void *ctx, struct place at, enum reg_id id, const void *bytes, size_t len,
	struct err *e);
/* The bit of an input's target that says that a plugin put it. */
#define LIVE_BY_PLUGIN L0_BY_PLUGIN
/* The input log's targets for registers, memory, VMCS fields and events. */
void live_register_inputs(struct live *v);

/* live_memory.c */
enum intro_mem_status live_host_read(void *ctx, struct hpa at, void *out, size_t len);
enum intro_mem_status live_host_write(void *ctx, struct hpa at, const void *in, size_t len);
bool live_root(void *ctx, struct place at, enum walk_table table, struct walk_root *out);
bool live_tlb_peek(
	void *ctx, struct place at, uint64_t linear, struct hpa *page, bool *writable);

/* live_vmcs.c */
enum intro_writer live_writer_kind(uint8_t kind); /* of enum nested_writer_kind */
bool live_vmcs_region(void *ctx, struct place at, enum intro_vmcs which, uint64_t *out);
bool live_vmcs_get(void *ctx, struct place at, enum intro_vmcs which, uint32_t encoding,
	struct intro_vmcs_value *out);
bool live_vmcs_set(void *ctx, struct place at, uint32_t encoding, uint64_t value, struct err *e);
bool live_vmcs_writer(
	void *ctx, struct place at, uint32_t encoding, struct intro_vmcs_write *out);
bool live_vmcs_write_at(void *ctx, size_t i, struct intro_vmcs_write *out);
bool live_vmcs_origin(
	void *ctx, struct place at, uint32_t encoding, struct intro_vmcs_origin *out);

/* live_exits.c */
void live_record(struct live *v, uint64_t seq, const struct ring_record *r,
	struct exit_record *out);
void live_exits_range(void *ctx, uint64_t *first, uint64_t *end);
bool live_exit_at(void *ctx, uint64_t seq, struct exit_record *out);
bool live_exit_gprs(void *ctx, uint64_t seq, uint64_t gpr[16]);

/* live_autopsy.c */
bool live_autopsy(void *ctx, struct place at, bool live, struct autopsy *out, struct err *e);
bool live_caps(void *ctx, const char *model, cap_fn *fn, void *fn_ctx, struct err *e);

/* live_run.c */
void live_attach(void *ctx, const struct backend_sink *sink);
void live_want(void *ctx, unsigned wants);
void live_want_records(void *ctx, const struct record_wants *w);
void live_run(void *ctx, uint64_t budget, int step_vcpu, struct backend_ran *out);
void live_actor(void *ctx, bool plugin);
void live_interrupt(void *ctx);
void live_step_over_mark(void *ctx, unsigned vcpu);
void live_mark(void *ctx, uint64_t linear, bool on);
unsigned live_watch_add(void *ctx, const struct backend_watch *w);
void live_watch_del(void *ctx, unsigned id);

/* live_outside.c */
void live_tap_serial(struct live *v);
void live_untap_serial(struct live *v);
bool live_type(void *ctx, unsigned port, const void *bytes, size_t len, struct err *e);
bool live_key(void *ctx, const char *key, struct err *e);
bool live_nmi(void *ctx, unsigned vcpu, struct err *e);
bool live_reset(void *ctx, struct err *e);
bool live_powerdown(void *ctx, struct err *e);
bool live_inject(void *ctx, struct place at, unsigned vector, unsigned type, bool has_error,
	uint32_t error, struct err *e);
size_t live_console_read(void *ctx, unsigned port, uint64_t *from, struct buf *out);
bool live_screen(void *ctx, struct intro_screen *out, struct err *e);
size_t live_devices(void *ctx, struct intro_device *out, size_t max);
size_t live_memory_ranges(void *ctx, struct intro_memory_range *out, size_t max);
void live_cpu_info(void *ctx, struct buf *out);
size_t live_inputs(void *ctx);
bool live_input_at(void *ctx, size_t i, struct intro_input *out);
bool live_inputs_save(void *ctx, const char *path, struct err *e);
bool live_inputs_play(void *ctx, const char *path, struct err *e);

#endif

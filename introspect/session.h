/* A session: the one window through which every front end sees the machine.
 *
 * gdb stub, TUI, command line and plugins hold a `struct intro` and nothing
 * of the machine itself. Looking never changes the guest. What does change it
 * (registers, memory, VMCS fields, injected events, typed keys) goes through
 * the input log. Several front ends share one session; each keeps its own
 * focus (a struct place).
 *
 * Every pointer that a look-up returns is valid until the next call that runs
 * or changes the machine, unless the function says otherwise.
 */
#ifndef INTROSPECT_SESSION_H
#define INTROSPECT_SESSION_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct intro;
struct intro_backend; /* introspect/backend.h */

/* Level ids: 0 is L0 (only as a handler of exits), 1 is L1, 2 and up are the
 * L2 guests in the order in which L0 first entered them. An id is never given
 * twice in one session. They are also gdb's process ids. */
enum { LEVEL_L0 = 0, LEVEL_L1 = 1, LEVEL_L2 = 2 };
#define INTRO_MAX_LEVELS 64
#define INTRO_MAX_VCPUS  64

/* Where a question is asked: one level on one of L1's vCPUs. */
struct place {
	unsigned level;
	unsigned vcpu;
};

struct intro_level {
	unsigned id;
	char name[16];      /* "l1", "l2", "l2:2": what commands accept */
	uint64_t vmcs12;    /* L2: the VMCS12 last used, L1-physical; else UINT64_MAX */
	uint64_t eptp;      /* L2: EPTP of VMCS12, 0 when L1 does without EPT */
	uint16_t vpid;      /* L2 */
	bool alive;         /* false: its VMCS12 was cleared and not entered again */
	uint64_t first_seen, last_seen; /* clock; last_seen = now while it runs */
	uint64_t entries, exits;        /* transitions into and out of it, ever */
};

/* What a vCPU of L1 is doing. */
enum intro_vmx_mode { INTRO_VMX_OFF, INTRO_VMX_ROOT, INTRO_VMX_NONROOT };

struct intro_vcpu {
	unsigned id;
	unsigned level;          /* the level whose code it runs: 1, 2... */
	enum intro_vmx_mode vmx; /* of L1's VMX: off, L1 in root, L2 running */
	uint64_t vmcs12;         /* current VMCS12 pointer of this vCPU; UINT64_MAX: none */
	const char *activity;    /* "active", "hlt", "shutdown", "wait-for-sipi", "mwait" */
	const char *mode;        /* "real", "16-bit", "32-bit", "compat", "64-bit", "v8086" */
	unsigned cpl;
	uint64_t retired;        /* instructions of this vCPU, ever */
};

/* How the registers of a place are known. */
enum intro_state {
	PLACE_RUNNING, /* live on the processor */
	PLACE_SAVED,   /* not running: from the VMCS and the copies kept at its last exit */
	PLACE_NONE     /* this level never ran on this vCPU */
};

/* Takes over `backend` (freed with the session). */
struct intro *intro_new(struct intro_backend *backend);
void intro_free(struct intro *s);

/* "live", or what a recorded machine calls itself. */
const char *intro_backend_name(const struct intro *s);

struct position intro_position(struct intro *s);
struct log *intro_log(struct intro *s); /* never NULL */

/* Levels by rising id, L1 first; returns how many, at most max. */
unsigned intro_levels(struct intro *s, struct intro_level *out, unsigned max);
bool intro_level(struct intro *s, unsigned id, struct intro_level *out); /* false: no such level */
unsigned intro_vcpus(struct intro *s);
bool intro_vcpu(struct intro *s, unsigned vcpu, struct intro_vcpu *out);

enum intro_state intro_place_state(struct intro *s, struct place at);

/* The place that runs now: after a stop, where it happened. */
struct place intro_here(struct intro *s);

/* False and *e, with what there is: no such level or vCPU, or it never ran there. */
bool intro_check(struct intro *s, struct place at, struct err *e);

/* Which vCPUs know the level (ran it at least once): a bit per vCPU. */
uint64_t intro_level_vcpus(struct intro *s, unsigned level);

/* "l1", "l2", "l2:2", "l2:2.1" (second L2, vCPU 1), "1", "2"; *at gives what
 * the text leaves out. False and *e: no such place, and which there are. */
bool intro_parse_place(struct intro *s, const char *text, struct place *at, struct err *e);

/* Moves whenever the machine ran or was changed: a front end redraws when it
 * differs from what it drew. */
uint64_t intro_generation(const struct intro *s);

#endif

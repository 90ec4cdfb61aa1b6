/* The exit ring: one fixed-size record per transition between levels.
 *
 * Records are numbered from 0 for the life of the machine; the ring keeps as
 * many of the last ones as it was made for (--l0 ring=), and the general
 * registers at the last RING_REGS of them. It is part of the saved state and
 * not of the hash: a file loads into a ring of any size, which keeps the last
 * records of it that fit. Host time is kept elsewhere.
 */
#ifndef L0_RING_H
#define L0_RING_H

#include "base/clock.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_DEFAULT (256u * 1024) /* records */
#define RING_MIN     1024u
#define RING_MAX     (64u << 20)   /* 5 GiB */
#define RING_REGS    4096u
#define RING_NONE    UINT64_MAX

enum ring_handler { RING_BY_NOBODY, RING_BY_L0, RING_BY_L1 };

/* Which record this is; `reason` is the basic exit reason of a VM exit and of
 * an entry that failed, 0xffff of an entry that succeeded. */
enum { RING_ENTRY_OK = 0xffff };

/* In `mode`: a tool swallowed or rewrote the exit. */
#define RING_TOOL 0x8000u

struct ring_record {
	struct position at;
	uint8_t from, to;  /* levels: 0, 1, 2 */
	uint8_t handler;   /* enum ring_handler */
	uint8_t vcpu;
	uint16_t reason;
	uint16_t mode;     /* nested MMU mode in force (l0/), 0 on a bare machine; RING_TOOL */
	uint32_t intr_info; /* exit interruption information or injected event; 0 none */
	uint32_t insn_len;
	uint64_t qualification;
	uint64_t rip;      /* of `from` at the transition */
	uint64_t detail;   /* by reason: guest-physical address, port, MSR, vector, CR, leaf */
	uint64_t cost;     /* L1 instructions from reflection to re-entry; 0 until known */
	uint64_t cause;    /* number of the L2 exit whose handling caused this; RING_NONE */
	uint64_t vmcs12;   /* L1-physical address of the current VMCS12; UINT64_MAX none */
};

struct ring_regs {
	uint64_t gpr[16]; /* order of enum gpr */
	uint64_t rflags, cr3;
};

struct ring {
	struct ring_record *record; /* owned; NULL: the ring is off */
	struct ring_regs *regs;     /* owned; RING_REGS */
	uint64_t records;           /* how many it keeps */
	uint64_t count;             /* records ever written */
	uint64_t first;             /* no record before this one is kept */
};

/* Room for so many records; 0: the ring is off and ring_put must not be
 * called. The host gives pages as they are written. False and *e: no memory. */
bool ring_init(struct ring *r, uint64_t records, struct err *e);
void ring_done(struct ring *r);

/* Appends; returns the record's number. `regs` may be NULL. */
uint64_t ring_put(struct ring *r, const struct ring_record *rec, const struct ring_regs *regs);

/* The oldest number still kept (== count when empty). */
uint64_t ring_oldest(const struct ring *r);

/* NULL when the record is gone or never was. The pointer holds until the
 * next ring_put. */
const struct ring_record *ring_at(const struct ring *r, uint64_t number);
const struct ring_regs *ring_regs_at(const struct ring *r, uint64_t number);

/* Fills in what is known only later; does nothing when the record is gone. */
void ring_cost(struct ring *r, uint64_t number, uint64_t cost);

struct state;
void ring_state(struct ring *r, struct state *s);

#endif

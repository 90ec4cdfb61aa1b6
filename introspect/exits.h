/* Transitions between levels: the exit ring, filters and statistics.
 *
 * L0 writes one record per transition. Records are numbered from the start of
 * the run (seq); the ring keeps the last ones. Statistics count every
 * transition since they were reset, whether the ring still holds it or not.
 */
#ifndef INTROSPECT_EXITS_H
#define INTROSPECT_EXITS_H

#include "introspect/session.h"

enum exit_kind {
	EXIT_EXIT,       /* from a level to L0, handled by L0 */
	EXIT_REFLECT,    /* an exit of L2 that L0 handed on to L1 */
	EXIT_ENTRY,      /* L1 entered L2 (VMLAUNCH, VMRESUME) */
	EXIT_ENTRY_FAIL  /* VM entry failed: reason has bit 31, or VMfail */
};
const char *exit_kind_name(enum exit_kind k);

struct exit_record {
	uint64_t seq;
	struct position at;
	enum exit_kind kind;
	uint8_t vcpu;
	uint8_t from, to;      /* level ids; 0 is L0 */
	uint8_t handler;       /* 0: L0, 1: L1 */
	uint32_t reason;       /* basic exit reason; bit 31 entry failure */
	uint64_t qualification;
	uint64_t rip, cr3;     /* of the level that exited, before the transition */
	uint64_t detail;       /* what the reason is about: port, MSR, GPA, vector, CPUID leaf,
	                        * VMCS field, control register; UINT64_MAX: nothing */
	uint64_t gpa, gla;     /* guest-physical and guest-linear address; UINT64_MAX: none */
	uint32_t intr_info, intr_error, insn_length;
	uint64_t vmcs12;       /* of the L2 concerned; UINT64_MAX: none */
	uint64_t cause;        /* exits of L1: seq of the reflected L2 exit that L1 was
	                        * handling; UINT64_MAX: none */
	uint64_t cost;         /* reflected exits: L1 instructions until re-entry, 0 while open */
	uint64_t model_cost;   /* cycles from L0's cost table; 0: no table */
	bool by_tool;          /* a debugger or plugin injected or rewrote it */
};

/* Names: "EPT_VIOLATION", "CPUID"; "reason 77" when unknown. */
const char *exit_reason_name(uint32_t reason);
/* Is there a reason of this number? */
bool exit_reason_known(uint32_t reason);
/* By name (also "ept-violation") or number; false: unknown. */
bool exit_reason_find(const char *text, uint32_t *reason);
/* The i-th reason with a row, for completion; false past the end. */
bool exit_reason_at(unsigned i, uint32_t *reason, const char **name);

/* What `detail` is for a reason: "port", "msr", "gpa", "vector", "leaf",
 * "field", "cr" or "" . */
const char *exit_detail_kind(uint32_t reason);
/* The same with its value: "msr IA32_EFER", "port 0x3f8 out", ... */
void exit_detail_print(const struct exit_record *r, struct buf *out);
/* The qualification in words. */
void exit_qualification_decode(const struct exit_record *r, struct buf *out);

/* The ring: records with first <= seq < end. */
void intro_exits_range(struct intro *s, uint64_t *first, uint64_t *end);
bool intro_exit(struct intro *s, uint64_t seq, struct exit_record *out); /* false: not kept */

/* General registers of the level that exited, when the flight recorder has
 * them (the last transitions only): RAX..R15 in the processor's order. */
bool intro_exit_gprs(struct intro *s, uint64_t seq, uint64_t gpr[16]);

/* A filter: every set part must match. */
struct expr;
struct exit_filter {
	unsigned levels;   /* bit per `from` level, entries: `to` level; 0: all */
	unsigned kinds;    /* bit per exit_kind; 0: all */
	unsigned handlers; /* bit 0 L0, bit 1 L1; 0: both */
	int vcpu;          /* -1: all */
	uint64_t reasons[2];  /* bit per basic reason below 128; both 0: all */
	bool has_detail;
	uint64_t detail_low, detail_high;
	bool has_rip;
	uint64_t rip_low, rip_high;
	const struct expr *expr; /* borrowed; NULL: none */
};
void exit_filter_init(struct exit_filter *f); /* matches everything */
bool exit_filter_all(const struct exit_filter *f); /* does it still? */
bool exit_filter_match(struct intro *s, const struct exit_filter *f, const struct exit_record *r);

/* "level=2 reason=CPUID,HLT detail=0x10-0x20 rip=... by=l1 kind=reflect
 * vcpu=0 if EXPR"; the expression is compiled and owned by the caller
 * (expr_free(f->expr)). */
bool exit_filter_parse(struct intro *s, const char *text, struct exit_filter *f, struct err *e);

/* --- statistics -------------------------------------------------------- */

/* A row of `exits top`: one (level, handler, kind, reason[, detail][, rip]). */
struct exit_stat {
	uint8_t level, handler;
	enum exit_kind kind;
	uint32_t reason;
	uint64_t detail;      /* UINT64_MAX where not split by it */
	uint64_t rip, cr3;    /* UINT64_MAX where not split by it */
	uint64_t count;
	uint64_t cost;        /* sum, L1 instructions */
	uint64_t model_cost;
	uint64_t caused;      /* L1 exits that these caused, sum */
	uint64_t last;        /* seq of the latest */
};

enum { STAT_BY_DETAIL = 1, STAT_BY_RIP = 2 };

/* Rows by falling count, at most max, of everything since the reset that the
 * filter (NULL: all) lets through; `split` says how fine. */
size_t intro_exit_stats(struct intro *s, const struct exit_filter *f, unsigned split,
	struct exit_stat *out, size_t max);

struct exit_totals {
	uint64_t since, now;  /* clock: reset and now */
	uint64_t transitions; /* all records */
	uint64_t exits[3];    /* by level that exited: [1] L1, [2] any L2 */
	uint64_t to_l1;       /* reflected */
	uint64_t to_l0;       /* handled by L0 */
	uint64_t entries, entry_failures;
	uint64_t caused;      /* L1 exits while it handled an L2 exit */
	uint64_t lost;        /* details of so many were folded: the table is full */
	uint64_t host_ns;     /* real time since the reset, while running */
};
void intro_exit_totals(struct intro *s, struct exit_totals *out);
void intro_exit_stats_reset(struct intro *s);

/* Rates over the recent past, for sparklines: exits of a level (0: all) per
 * bucket of virtual time, oldest first; *bucket_ns is the bucket's width. */
#define EXIT_RATE_BUCKETS 64
void intro_exit_rates(
	struct intro *s, unsigned level, uint64_t out[EXIT_RATE_BUCKETS], uint64_t *bucket_ns);

/* The storm alarm. */
struct exit_storm {
	bool storming;
	uint64_t per_second;     /* exits per virtual second now */
	uint64_t threshold;      /* as set; 0: off */
	struct exit_stat top;    /* the row with most of them */
	uint64_t window, of_top; /* exits looked at, and the row's share */
	char cause[160];         /* "3,912 of 4,100 exits are VMREAD/VMWRITE by L1" */
	char remedy[160];        /* "VMCS shadowing would serve 3,880"; "" when none is known */
};
void intro_exit_storm(struct intro *s, struct exit_storm *out);
void intro_exit_storm_threshold(struct intro *s, uint64_t per_second);

#endif

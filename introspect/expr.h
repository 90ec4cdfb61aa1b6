/* The one expression language and its bounded bytecode.
 *
 * C's operators over 64-bit integers: || && | ^ & == != < <= > >= << >> + - *
 * / % ! ~ ?:, parentheses. Operands: numbers (0x10, 10, 'c'), registers
 * ($rax or rax), VMCS fields (GUEST_RIP, or vmcs12.GUEST_RIP, vmcs02.X,
 * vmcs01.X), exit properties (level, from, to, kind, handler, reason, qual,
 * detail, gpa, gla, rip, vector, port, msr, field, cost, vcpu, seq, clock),
 * constants (exit reason names, EXIT kinds l0 l1 l2), memory ([addr] 8 bytes,
 * u8[addr] u16[] u32[] u64[], l2p:u32[addr] or u32[l2p:addr] in a space), symbols by name
 * (their address; l2:name in another level), convenience ($pc $sp $hits). Comparisons are unsigned.
 *
 * Compiled code is a straight line with forward jumps: it ends after at most
 * its own length, allocates nothing, and a fault (unreadable memory, division
 * by zero, unavailable register) makes the result false, counted.
 */
#ifndef INTROSPECT_EXPR_H
#define INTROSPECT_EXPR_H

#include "introspect/session.h"

struct expr;
struct event;
struct exit_record;

/* What an evaluation can see. */
struct expr_env {
	struct intro *s;
	struct place at;
	const struct exit_record *exit; /* NULL: exit properties fault */
	const struct event *event;      /* NULL: event properties fault */
	uint64_t hits;                  /* $hits */
};

/* NULL and *e (with the column of what was wrong and what would be right).
 * `at` resolves symbols. */
struct expr *expr_compile(struct intro *s, struct place at, const char *text, struct err *e);
/* gdb's agent expression bytecode (gdb manual, "Bytecode Descriptions"). */
struct expr *expr_from_agent(const uint8_t *code, size_t len, struct err *e);
void expr_free(struct expr *x);
const char *expr_text(const struct expr *x);

/* Does it need more than the exit record: registers, memory, VMCS? */
bool expr_needs_machine(const struct expr *x);

/* False: it faulted; *why (may be NULL) is a static sentence. */
bool expr_eval(const struct expr *x, const struct expr_env *env, uint64_t *out, const char **why);
/* As a condition: a fault is false and moves *faults. */
bool expr_true(const struct expr *x, const struct expr_env *env, uint64_t *faults);

/* Compiles and evaluates at once, for command arguments. */
bool intro_eval(struct intro *s, struct place at, const char *text, uint64_t *out, struct err *e);
/* An address with its space: "l2:0x1000", "l1p:0xfee00000", "h:0", "rsp+8",
 * "do_idle"; without a prefix it is virtual at the place. */
struct intro_address;
bool intro_parse_address(struct intro *s, struct place at, const char *text,
	struct intro_address *out, struct err *e);

/* The i-th word the language knows that starts with prefix, for completion. */
bool expr_complete(struct intro *s, struct place at, const char *prefix, size_t i,
	const char **word, const char **help);

#endif

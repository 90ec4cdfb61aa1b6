/* The bytecode of expressions: a stack machine without loops.
 *
 * Every jump goes forward, so that code ends after at most its own length;
 * the stack depth is checked when code is made. Fault = the result is false.
 */
#ifndef INTROSPECT_EXPR_CODE_H
#define INTROSPECT_EXPR_CODE_H

#include "introspect/expr.h"
#include "introspect/memory.h"

enum expr_opcode {
	XOP_CONST,  /* push imm */
	XOP_REG,    /* push register imm of the place (or level `arg` when not 0) */
	XOP_PROP,   /* push exit or event property imm */
	XOP_FIELD,  /* push VMCS field imm of VMCS `arg` */
	XOP_LOAD,   /* pop address, push `size` bytes at it; space `space`, level `arg` or 0 */
	XOP_ADD, XOP_SUB, XOP_MUL, XOP_DIV, XOP_REM, XOP_DIVS, XOP_REMS,
	XOP_AND, XOP_OR, XOP_XOR, XOP_SHL, XOP_SHR, XOP_SAR,
	XOP_EQ, XOP_NE, XOP_LT, XOP_LE, XOP_GT, XOP_GE, XOP_LTS,
	XOP_NOT,    /* logical */
	XOP_INV,    /* bitwise */
	XOP_NEG,
	XOP_BOOL,   /* nonzero becomes 1 */
	XOP_SEXT, XOP_ZEXT, /* from imm bits */
	XOP_DUP, XOP_POP, XOP_SWAP, XOP_ROT,
	XOP_PICK,   /* push the imm-th from the top */
	XOP_JUMP,   /* to op imm */
	XOP_JZ, XOP_JNZ, /* pop, jump to op imm */
	XOP_END
};

struct expr_op {
	uint8_t code, size, space, arg;
	uint32_t pad;
	uint64_t imm;
};

#define EXPR_OPS   1024
#define EXPR_STACK 64

struct expr {
	struct expr_op *op; /* owned */
	unsigned ops;
	bool machine;       /* registers, memory or VMCS are read */
	char *text;         /* owned */
};

/* Properties of exits and events. */
enum expr_prop {
#define EXPR_PROP(id, name, help) PROP_##id,
#include "introspect/expr_props.def"
#undef EXPR_PROP
	PROP_COUNT
};

/* Appends; false when the code is too long. */
bool expr_emit(struct expr *x, struct expr_op op);
/* Checks stack depth, jumps and the end; false: not valid, *why says. */
bool expr_check(const struct expr *x, const char **why);
/* False: it faults, *why says. */
bool expr_prop_value(
	const struct expr_env *env, enum expr_prop p, uint64_t *out, const char **why);
const char *expr_prop_name(enum expr_prop p);
const char *expr_prop_help(enum expr_prop p);

#endif

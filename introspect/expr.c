/* Evaluation of expressions: the bounded stack machine. */
#include "introspect/expr_code.h"
#include "introspect/private.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name, *help;
} props[PROP_COUNT] = {
#define EXPR_PROP(id, name, help) {name, help},
#include "introspect/expr_props.def"
#undef EXPR_PROP
};

const char *expr_prop_name(enum expr_prop p)
{
	return props[p].name;
}

const char *expr_prop_help(enum expr_prop p)
{
	return props[p].help;
}

void expr_free(struct expr *x)
{
	if (!x)
		return;
	free(x->op);
	free(x->text);
	free(x);
}

const char *expr_text(const struct expr *x)
{
	return x->text ? x->text : "";
}

bool expr_needs_machine(const struct expr *x)
{
	return x->machine;
}

bool expr_emit(struct expr *x, struct expr_op op)
{
	if (x->ops >= EXPR_OPS)
		return false;
	x->op = xresize(x->op, (x->ops + 1) * sizeof *x->op);
	x->op[x->ops++] = op;
	if (op.code == XOP_REG || op.code == XOP_FIELD || op.code == XOP_LOAD)
		x->machine = true;
	return true;
}

/* What an op takes from the stack and leaves on it. */
static void effect(const struct expr_op *op, int *takes, int *leaves)
{
	*takes = 2;
	*leaves = 1;
	switch (op->code) {
	case XOP_CONST: case XOP_REG: case XOP_PROP: case XOP_FIELD:
		*takes = 0;
		break;
	case XOP_LOAD: case XOP_NOT: case XOP_INV: case XOP_NEG: case XOP_BOOL: case XOP_SEXT:
	case XOP_ZEXT:
		*takes = 1;
		break;
	case XOP_DUP:
		*takes = 1;
		*leaves = 2;
		break;
	case XOP_POP: case XOP_JZ: case XOP_JNZ:
		*takes = 1;
		*leaves = 0;
		break;
	case XOP_SWAP:
		*leaves = 2;
		break;
	case XOP_ROT:
		*takes = *leaves = 3;
		break;
	case XOP_PICK:
		*takes = (int)op->imm + 1;
		*leaves = (int)op->imm + 2;
		break;
	case XOP_JUMP: case XOP_END:
		*takes = *leaves = 0;
		break;
	}
}

bool expr_check(const struct expr *x, const char **why)
{
	int depth_at[EXPR_OPS + 1], depth = 0, takes, leaves;
	*why = "the code does not end";
	if (!x->ops || x->op[x->ops - 1].code != XOP_END)
		return false;
	for (unsigned i = 0; i <= x->ops; i++)
		depth_at[i] = -1;
	for (unsigned i = 0; i < x->ops; i++) {
		const struct expr_op *op = &x->op[i];
		if (depth < 0 && depth_at[i] < 0)
			continue; /* dead code */
		if (depth >= 0 && depth_at[i] >= 0 && depth != depth_at[i]) {
			*why = "two ways lead to one place with different stacks";
			return false;
		}
		depth = depth < 0 ? depth_at[i] : depth;
		if (op->code > XOP_END || (op->code == XOP_PICK && op->imm >= EXPR_STACK)) {
			*why = "an operation that does not exist";
			return false;
		}
		effect(op, &takes, &leaves);
		*why = op->code == XOP_END ? "the end finds nothing on the stack" :
			"it takes more from the stack than is there";
		if (depth < takes || (op->code == XOP_END && depth < 1))
			return false;
		depth += leaves - takes;
		*why = "the expression is too deep";
		if (depth > EXPR_STACK)
			return false;
		if (op->code == XOP_JUMP || op->code == XOP_JZ || op->code == XOP_JNZ) {
			*why = "a jump backwards or outside";
			if (op->imm <= i || op->imm >= x->ops)
				return false;
			*why = "two ways lead to one place with different stacks";
			if (depth_at[op->imm] >= 0 && depth_at[op->imm] != depth)
				return false;
			depth_at[op->imm] = depth;
		}
		if (op->code == XOP_JUMP || op->code == XOP_END)
			depth = -1;
	}
	return true;
}

/* --- operands ----------------------------------------------------------------------- */

static bool detail_of(const struct exit_record *r, const char *kind, uint64_t *out, const char **why)
{
	*out = r->detail;
	*why = "the exit has no such property";
	return r->detail != UINT64_MAX && !strcmp(exit_detail_kind(r->reason), kind);
}

static bool always(const struct expr_env *env, enum expr_prop p, uint64_t *out)
{
	switch (p) {
	case PROP_LEVEL:
		*out = env->at.level;
		return true;
	case PROP_VCPU:
		*out = env->at.vcpu;
		return true;
	case PROP_CLOCK:
		*out = env->exit ? env->exit->at.clock : intro_position(env->s).clock;
		return true;
	case PROP_HITS:
		*out = env->hits;
		return true;
	case PROP_RIP:
		return !env->exit && intro_reg_u64(env->s, env->at, R_RIP, out);
	default:
		return false;
	}
}

static bool exit_prop(const struct exit_record *r, enum expr_prop p, uint64_t *out, const char **why)
{
	switch (p) {
	case PROP_SEQ: *out = r->seq; return true;
	case PROP_FROM: *out = r->from; return true;
	case PROP_TO: *out = r->to; return true;
	case PROP_KIND: *out = r->kind; return true;
	case PROP_HANDLER: *out = r->handler; return true;
	case PROP_REASON: *out = r->reason & 0xffff; return true;
	case PROP_QUAL: *out = r->qualification; return true;
	case PROP_DETAIL: *out = r->detail; return true;
	case PROP_RIP: *out = r->rip; return true;
	case PROP_COST: *out = r->cost; return true;
	case PROP_CYCLES: *out = r->model_cost; return true;
	case PROP_CAUSE: *out = r->cause; return true;
	case PROP_GPA:
		*out = r->gpa;
		return r->gpa != UINT64_MAX || detail_of(r, "gpa", out, why);
	case PROP_GLA:
		*out = r->gla;
		*why = "the exit has no linear address";
		return r->gla != UINT64_MAX;
	case PROP_VECTOR: return detail_of(r, "vector", out, why);
	case PROP_PORT: return detail_of(r, "port", out, why);
	case PROP_MSR: return detail_of(r, "msr", out, why);
	case PROP_LEAF: return detail_of(r, "leaf", out, why);
	case PROP_FIELD: return detail_of(r, "field", out, why);
	default:
		*why = "exits have no such property";
		return false;
	}
}

bool expr_prop_value(const struct expr_env *env, enum expr_prop p, uint64_t *out, const char **why)
{
	const struct event *ev = env->event;
	if (always(env, p, out))
		return true;
	if (ev && (p == PROP_VALUE || p == PROP_OLD || p == PROP_ADDRESS)) {
		*out = p == PROP_VALUE ? ev->value : p == PROP_OLD ? ev->old_value : ev->address;
		return true;
	}
	if (ev && ev->vmwrite && p == PROP_FIELD) {
		*out = ev->vmwrite->encoding;
		return true;
	}
	*why = "there is no exit or event to ask about";
	return env->exit && exit_prop(env->exit, p, out, why);
}

static struct place place_for(const struct expr_env *env, unsigned level)
{
	return level ? (struct place){level, env->at.vcpu} : env->at;
}

static bool operand(const struct expr_op *op, const struct expr_env *env, uint64_t *out,
	const char **why)
{
	struct intro_vmcs_value v;
	switch (op->code) {
	case XOP_CONST:
		*out = op->imm;
		return true;
	case XOP_REG:
		*why = "the register is not available here";
		return intro_reg_u64(env->s, place_for(env, op->arg), (enum reg_id)op->imm, out);
	case XOP_PROP:
		return expr_prop_value(env, (enum expr_prop)op->imm, out, why);
	default:
		*why = "there is no such VMCS here";
		if (!intro_vmcs_get(env->s, env->at, op->arg, (uint32_t)op->imm, &v, NULL))
			return false;
		*out = v.value;
		return true;
	}
}

/* --- arithmetic ---------------------------------------------------------------------- */

static bool binary(uint8_t code, uint64_t a, uint64_t b, uint64_t *out, const char **why)
{
	int64_t sa = (int64_t)a, sb = (int64_t)b;
	switch (code) {
	case XOP_ADD: *out = a + b; return true;
	case XOP_SUB: *out = a - b; return true;
	case XOP_MUL: *out = a * b; return true;
	case XOP_AND: *out = a & b; return true;
	case XOP_OR: *out = a | b; return true;
	case XOP_XOR: *out = a ^ b; return true;
	case XOP_SHL: *out = b < 64 ? a << b : 0; return true;
	case XOP_SHR: *out = b < 64 ? a >> b : 0; return true;
	case XOP_SAR: *out = (uint64_t)(sa >> (b < 64 ? b : 63)); return true;
	case XOP_EQ: *out = a == b; return true;
	case XOP_NE: *out = a != b; return true;
	case XOP_LT: *out = a < b; return true;
	case XOP_LE: *out = a <= b; return true;
	case XOP_GT: *out = a > b; return true;
	case XOP_GE: *out = a >= b; return true;
	case XOP_LTS: *out = sa < sb; return true;
	}
	*why = "division by zero";
	if (!b)
		return false;
	if (code == XOP_DIV || code == XOP_REM)
		*out = code == XOP_DIV ? a / b : a % b;
	else if (sb == -1) /* the one quotient that does not fit */
		*out = code == XOP_DIVS ? 0 - a : 0;
	else
		*out = (uint64_t)(code == XOP_DIVS ? sa / sb : sa % sb);
	return true;
}

static uint64_t unary(const struct expr_op *op, uint64_t a)
{
	switch (op->code) {
	case XOP_NOT: return !a;
	case XOP_INV: return ~a;
	case XOP_NEG: return 0 - a;
	case XOP_BOOL: return a != 0;
	case XOP_ZEXT: return op->imm < 64 ? a & (BIT(op->imm) - 1) : a;
	default: /* XOP_SEXT */
		if (op->imm == 0 || op->imm >= 64)
			return a;
		return (uint64_t)((int64_t)(a << (64 - op->imm)) >> (64 - op->imm));
	}
}

static void shuffle(const struct expr_op *op, uint64_t *stack, int *top)
{
	uint64_t t;
	switch (op->code) {
	case XOP_DUP:
		stack[*top] = stack[*top - 1];
		++*top;
		break;
	case XOP_POP:
		--*top;
		break;
	case XOP_SWAP:
		t = stack[*top - 1];
		stack[*top - 1] = stack[*top - 2];
		stack[*top - 2] = t;
		break;
	case XOP_ROT: /* a b c -> c a b, c the top */
		t = stack[*top - 1];
		stack[*top - 1] = stack[*top - 2];
		stack[*top - 2] = stack[*top - 3];
		stack[*top - 3] = t;
		break;
	default: /* XOP_PICK */
		stack[*top] = stack[*top - 1 - (int)op->imm];
		++*top;
	}
}

bool expr_eval(const struct expr *x, const struct expr_env *env, uint64_t *out, const char **why)
{
	uint64_t stack[EXPR_STACK + 1];
	const char *own;
	int top = 0;
	why = why ? why : &own;
	*why = "it faulted";
	for (unsigned i = 0; i < x->ops; i++) {
		const struct expr_op *op = &x->op[i];
		switch (op->code) {
		case XOP_END:
			*out = stack[top - 1];
			return true;
		case XOP_CONST: case XOP_REG: case XOP_PROP: case XOP_FIELD:
			if (!operand(op, env, &stack[top++], why))
				return false;
			break;
		case XOP_LOAD:
			*why = "memory there cannot be read";
			if (!intro_read_uint(env->s, place_for(env, op->arg), op->space,
				    stack[top - 1], op->size, &stack[top - 1]))
				return false;
			break;
		case XOP_NOT: case XOP_INV: case XOP_NEG: case XOP_BOOL: case XOP_SEXT: case XOP_ZEXT:
			stack[top - 1] = unary(op, stack[top - 1]);
			break;
		case XOP_DUP: case XOP_POP: case XOP_SWAP: case XOP_ROT: case XOP_PICK:
			shuffle(op, stack, &top);
			break;
		case XOP_JUMP:
			i = (unsigned)op->imm - 1;
			break;
		case XOP_JZ: case XOP_JNZ:
			if (!stack[--top] == (op->code == XOP_JZ))
				i = (unsigned)op->imm - 1;
			break;
		default:
			top--;
			if (!binary(op->code, stack[top - 1], stack[top], &stack[top - 1], why))
				return false;
		}
	}
	return false;
}

bool expr_true(const struct expr *x, const struct expr_env *env, uint64_t *faults)
{
	uint64_t v;
	if (expr_eval(x, env, &v, NULL))
		return v != 0;
	++*faults;
	return false;
}

bool intro_eval(struct intro *s, struct place at, const char *text, uint64_t *out, struct err *e)
{
	struct expr_env env = {s, at, NULL, NULL, 0};
	const char *why;
	struct expr *x = expr_compile(s, at, text, e);
	if (!x)
		return false;
	bool ok = expr_eval(x, &env, out, &why);
	if (!ok)
		err_set(e, ERR_GENERAL, "'%s' has no value here: %s", text, why);
	expr_free(x);
	return ok;
}

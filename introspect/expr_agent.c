/* gdb's agent expressions, translated to our bytecode: the opcodes of the gdb
 * manual, appendix "The GDB Agent Expression Mechanism", "Bytecode
 * Descriptions". Those that trace, print or set variables are refused.
 */
#include "introspect/expr_code.h"
#include "introspect/regs.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	uint8_t gdb, code, size;
} simple[] = {
	{0x02, XOP_ADD, 0}, {0x03, XOP_SUB, 0}, {0x04, XOP_MUL, 0}, {0x05, XOP_DIVS, 0},
	{0x06, XOP_DIV, 0}, {0x07, XOP_REMS, 0}, {0x08, XOP_REM, 0}, {0x09, XOP_SHL, 0},
	{0x0a, XOP_SAR, 0}, {0x0b, XOP_SHR, 0}, {0x0e, XOP_NOT, 0}, {0x0f, XOP_AND, 0},
	{0x10, XOP_OR, 0}, {0x11, XOP_XOR, 0}, {0x12, XOP_INV, 0}, {0x13, XOP_EQ, 0},
	{0x14, XOP_LTS, 0}, {0x15, XOP_LT, 0}, {0x17, XOP_LOAD, 1}, {0x18, XOP_LOAD, 2},
	{0x19, XOP_LOAD, 4}, {0x1a, XOP_LOAD, 8}, {0x27, XOP_END, 0}, {0x28, XOP_DUP, 0},
	{0x29, XOP_POP, 0}, {0x2b, XOP_SWAP, 0}, {0x33, XOP_ROT, 0},
};

/* Opcodes with an operand, its width in bytes. */
static const struct {
	uint8_t gdb, code, width;
} operand[] = {
	{0x16, XOP_SEXT, 1}, {0x2a, XOP_ZEXT, 1}, {0x20, XOP_JNZ, 2}, {0x21, XOP_JUMP, 2},
	{0x22, XOP_CONST, 1}, {0x23, XOP_CONST, 2}, {0x24, XOP_CONST, 4}, {0x25, XOP_CONST, 8},
	{0x26, XOP_REG, 2}, {0x32, XOP_PICK, 1},
};

static bool one(const uint8_t *code, size_t len, size_t *i, struct expr_op *op)
{
	uint8_t c = code[(*i)++];
	for (size_t k = 0; k < sizeof simple / sizeof *simple; k++) {
		if (simple[k].gdb == c) {
			*op = (struct expr_op){.code = simple[k].code, .size = simple[k].size};
			return true;
		}
	}
	for (size_t k = 0; k < sizeof operand / sizeof *operand; k++) {
		if (operand[k].gdb != c)
			continue;
		*op = (struct expr_op){.code = operand[k].code};
		if (len - *i < operand[k].width)
			return false;
		for (unsigned b = 0; b < operand[k].width; b++)
			op->imm = op->imm << 8 | code[(*i)++];
		return op->code != XOP_REG || (op->imm < R_COUNT && reg_info((enum reg_id)op->imm)->bits <= 64);
	}
	return false;
}

struct expr *expr_from_agent(const uint8_t *code, size_t len, struct err *e)
{
	unsigned at[EXPR_OPS + 1]; /* our op at gdb's byte offset, +1; 0: none starts there */
	struct expr *x = xalloc(sizeof *x);
	const char *why = "it is longer than the limit";
	struct expr_op op;
	memset(at, 0, sizeof at);
	x->text = xstrdup("gdb condition");
	if (len > EXPR_OPS)
		goto bad;
	for (size_t i = 0; i < len;) {
		at[i] = x->ops + 1;
		why = "an opcode that is not known, or cut short";
		if (!one(code, len, &i, &op) || !expr_emit(x, op))
			goto bad;
	}
	for (unsigned i = 0; i < x->ops; i++) {
		if (x->op[i].code != XOP_JNZ && x->op[i].code != XOP_JUMP)
			continue;
		why = "a jump into the middle of an opcode";
		if (x->op[i].imm >= len || !at[x->op[i].imm])
			goto bad;
		x->op[i].imm = at[x->op[i].imm] - 1;
	}
	if (expr_check(x, &why))
		return x;
bad:
	err_set(e, ERR_GENERAL, "the agent expression is not usable: %s", why);
	expr_free(x);
	return NULL;
}

/* The expression language: text to bytecode, by precedence climbing. */
#include "introspect/expr_code.h"
#include "introspect/private.h"

#include "base/hex.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEPTH_MAX 48

struct parser {
	struct intro *s;
	struct place at;
	const char *text, *p;
	struct expr *x;
	struct err *e;
	unsigned depth;
	bool failed;
	unsigned names; /* level that names are looked up in; 0: at */
};

static bool fail(struct parser *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static bool fail(struct parser *k, const char *fmt, ...)
{
	char msg[300];
	va_list ap;
	if (k->failed)
		return false;
	k->failed = true;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof msg, fmt, ap);
	va_end(ap);
	return err_set(k->e, ERR_GENERAL, "column %zu of '%.80s': %s", (size_t)(k->p - k->text) + 1,
		k->text, msg);
}

static bool emit(struct parser *k, enum expr_opcode code, uint64_t imm)
{
	return expr_emit(k->x, (struct expr_op){.code = (uint8_t)code, .imm = imm}) ||
		fail(k, "the expression is longer than %d operations", EXPR_OPS);
}

static void blanks(struct parser *k)
{
	while (isspace((unsigned char)*k->p))
		k->p++;
}

static bool expression(struct parser *k, int level);

static bool close_with(struct parser *k, char c)
{
	blanks(k);
	if (*k->p != c)
		return fail(k, "'%c' is missing here", c);
	k->p++;
	return true;
}

/* --- operands ----------------------------------------------------------------------- */

static bool number(struct parser *k)
{
	char word[40];
	uint64_t v;
	size_t n = 0;
	while (isalnum((unsigned char)k->p[n]))
		n++;
	if (n >= sizeof word)
		return fail(k, "the number is too long");
	memcpy(word, k->p, n);
	word[n] = 0;
	if (!parse_u64(word, &v))
		return fail(k, "'%s' is no number; 16, 0x10 and 4k are", word);
	k->p += n;
	return emit(k, XOP_CONST, v);
}

static bool character(struct parser *k)
{
	if (!k->p[1] || k->p[2] != '\'')
		return fail(k, "a character is written 'c'");
	uint64_t v = (unsigned char)k->p[1];
	k->p += 3;
	return emit(k, XOP_CONST, v);
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '.' || c == '@';
}

static unsigned load_size(const char *w)
{
	return !strcmp(w, "u8") ? 1 : !strcmp(w, "u16") ? 2 : !strcmp(w, "u32") ? 4 :
		!strcmp(w, "u64") ? 8 : 0;
}

/* "l2p:" before a load: the level and space; false when it is none. */
static bool space_prefix(const char *w, enum intro_space *space, unsigned *level)
{
	if (!strcasecmp(w, "h")) {
		*space = SPACE_HOST;
		*level = 0;
		return true;
	}
	size_t n = strlen(w);
	if ((n != 2 && n != 3) || (w[0] | 32) != 'l' || w[1] < '1' || w[1] > '2' ||
		(n == 3 && (w[2] | 32) != 'p'))
		return false;
	*space = n == 3 ? SPACE_PHYSICAL : SPACE_VIRTUAL;
	*level = (unsigned)(w[1] - '0');
	return true;
}

/* "l2:" at the start of an address, where no memory follows it. */
static bool inner_prefix(struct parser *k, enum intro_space *space, unsigned *level)
{
	char w[8];
	size_t n = 0, m;
	blanks(k);
	while (is_word(k->p[n]))
		n++;
	if (!n || n >= sizeof w || k->p[n] != ':')
		return false;
	snprintf(w, sizeof w, "%.*s", (int)n, k->p);
	for (m = n + 1; is_word(k->p[m]); m++)
		;
	if (k->p[m] == '[' || !space_prefix(w, space, level))
		return false;
	k->p += n + 1;
	return true;
}

/* [address], after an optional size and space: l2:u32[address] is the same as
 * u32[l2:address]. Names in it are that level's. */
static bool load(struct parser *k, unsigned size, enum intro_space space, unsigned level)
{
	unsigned before = k->names;
	if (!close_with(k, '['))
		return false;
	if (!level && space == SPACE_VIRTUAL)
		inner_prefix(k, &space, &level);
	k->names = level ? level : before;
	bool ok = expression(k, 0) && close_with(k, ']');
	k->names = before;
	return ok && (expr_emit(k->x, (struct expr_op){.code = XOP_LOAD, .size = (uint8_t)size,
				      .space = (uint8_t)space, .arg = (uint8_t)level}) ||
			     fail(k, "the expression is longer than %d operations", EXPR_OPS));
}

static struct place names_at(const struct parser *k)
{
	return (struct place){k->names ? k->names : k->at.level, k->at.vcpu};
}

static bool constant(const char *w, uint64_t *v)
{
	uint32_t reason;
	static const char *const kinds[] = {"exit", "reflect", "entry", "entry_fail"};
	if ((w[0] | 32) == 'l' && w[1] >= '0' && w[1] <= '2' && !w[2]) {
		*v = (uint64_t)(w[1] - '0');
		return true;
	}
	for (int i = 0; i < 4; i++) {
		if (!strcmp(w, kinds[i])) {
			*v = (uint64_t)i;
			return true;
		}
	}
	if (isalpha((unsigned char)*w) && exit_reason_find(w, &reason)) {
		*v = reason;
		return true;
	}
	return false;
}

static bool vmcs_operand(struct parser *k, const char *w)
{
	enum intro_vmcs which = INTRO_VMCS12;
	char head[16];
	const char *dot = strchr(w, '.'), *name = w;
	if (dot && (size_t)(dot - w) < sizeof head) {
		snprintf(head, sizeof head, "%.*s", (int)(dot - w), w);
		if (!intro_vmcs_parse(head, &which))
			return false;
		name = dot + 1;
	}
	const struct intro_field *f = intro_field_find(name);
	if (!f && dot)
		return fail(k, "no VMCS field '%s'; names are the SDM's, e.g. GUEST_RIP", name);
	return f && (expr_emit(k->x, (struct expr_op){.code = XOP_FIELD, .arg = (uint8_t)which,
					    .imm = f->encoding}) ||
			    fail(k, "the expression is too long"));
}

/* A symbol of another level is named with that level. */
static bool unknown(struct parser *k, const char *w)
{
	struct intro_level l[INTRO_MAX_LEVELS];
	struct symbol sym;
	unsigned n = intro_levels(k->s, l, INTRO_MAX_LEVELS);
	for (unsigned i = 0; i < n; i++)
		if (l[i].id != names_at(k).level &&
			intro_symbol_find(k->s, (struct place){l[i].id, k->at.vcpu}, w, &sym))
			return fail(k, "'%.60s' is a symbol of %s: write %s:%.60s", w, l[i].name, l[i].name, w);
	return fail(k, "'%.60s' is no register, exit property, exit reason, VMCS field or symbol", w);
}

static bool named(struct parser *k, const char *w)
{
	uint64_t v;
	struct symbol sym;
	enum reg_id reg = reg_find(w);
	if (*w != '$')
		for (int i = 0; i < PROP_COUNT; i++)
			if (!strcmp(expr_prop_name(i), w))
				return emit(k, XOP_PROP, (uint64_t)i);
	if (*w == '$' && !strcmp(w, "$hits"))
		return emit(k, XOP_PROP, PROP_HITS);
	if (reg != R_COUNT && reg_info(reg)->bits <= 64)
		return emit(k, XOP_REG, reg == R_RIP && !strcasecmp(w + (*w == '$'), "pc") ?
			R_PC_LINEAR : reg);
	if (*w == '$')
		return fail(k, "no register '%s'; info registers lists them", w);
	if (constant(w, &v))
		return emit(k, XOP_CONST, v);
	if (vmcs_operand(k, w) || k->failed)
		return !k->failed;
	if (intro_symbol_find(k->s, names_at(k), w, &sym))
		return emit(k, XOP_CONST, sym.address);
	return unknown(k, w);
}

static bool word(struct parser *k)
{
	char w[128];
	size_t n = 0;
	enum intro_space space = SPACE_VIRTUAL;
	unsigned level = 0, size;
	while (is_word(k->p[n]))
		n++;
	/* module:symbol */
	if (k->p[n] == ':' && n && (isalpha((unsigned char)k->p[n + 1]) || k->p[n + 1] == '_')) {
		size_t m = n + 1;
		while (is_word(k->p[m]))
			m++;
		if (m < sizeof w) {
			struct symbol sym;
			snprintf(w, sizeof w, "%.*s", (int)m, k->p);
			if (intro_symbol_find(k->s, names_at(k), w, &sym)) {
				k->p += m;
				return emit(k, XOP_CONST, sym.address);
			}
		}
	}
	if (n >= sizeof w)
		return fail(k, "the name is too long");
	snprintf(w, sizeof w, "%.*s", (int)n, k->p);
	if (k->p[n] == ':' && space_prefix(w, &space, &level)) {
		k->p += n + 1;
		for (n = 0; is_word(k->p[n]); n++)
			;
		if (n >= sizeof w)
			return fail(k, "the name is too long");
		snprintf(w, sizeof w, "%.*s", (int)n, k->p);
		struct symbol sym;
		if (n && k->p[n] != '[' && space == SPACE_VIRTUAL &&
			intro_symbol_find(k->s, (struct place){level, k->at.vcpu}, w, &sym)) {
			k->p += n;
			return emit(k, XOP_CONST, sym.address);
		}
		if (n && !load_size(w))
			return fail(k, "after a space comes memory, [ADDRESS] or u8[] u16[] u32[] u64[], or a "
				"symbol");
		k->p += n;
		return load(k, n ? load_size(w) : 8, space, level);
	}
	size = load_size(w);
	if (size && k->p[n] == '[') {
		k->p += n;
		return load(k, size, space, 0);
	}
	if (!named(k, w))
		return false;
	k->p += n;
	return true;
}

static bool primary(struct parser *k)
{
	blanks(k);
	char c = *k->p;
	if (c == '(') {
		k->p++;
		return expression(k, 0) && close_with(k, ')');
	}
	if (c == '[')
		return load(k, 8, SPACE_VIRTUAL, 0);
	if (c == '\'')
		return character(k);
	if (isdigit((unsigned char)c))
		return number(k);
	if (isalpha((unsigned char)c) || c == '_' || c == '$')
		return word(k);
	if (!c)
		return fail(k, "an operand is missing at the end");
	return fail(k, "'%c' starts no operand", c);
}

static bool unary_expr(struct parser *k)
{
	blanks(k);
	char c = *k->p;
	if (++k->depth > DEPTH_MAX)
		return fail(k, "the expression is nested too deeply");
	bool ok;
	if (c == '!' || c == '~' || c == '-') {
		k->p++;
		ok = unary_expr(k) && emit(k, c == '!' ? XOP_NOT : c == '~' ? XOP_INV : XOP_NEG, 0);
	} else {
		ok = primary(k);
	}
	k->depth--;
	return ok;
}

/* --- operators ---------------------------------------------------------------------- */

static const struct {
	const char *text;
	int level; /* higher binds tighter */
	enum expr_opcode code;
} operators[] = {
	/* longer spellings first */
	{"||", 1, XOP_BOOL}, {"&&", 2, XOP_BOOL}, {"==", 6, XOP_EQ}, {"!=", 6, XOP_NE},
	{"<<", 8, XOP_SHL}, {">>", 8, XOP_SHR}, {"<=", 7, XOP_LE}, {">=", 7, XOP_GE},
	{"<", 7, XOP_LT}, {">", 7, XOP_GT}, {"|", 3, XOP_OR}, {"^", 4, XOP_XOR}, {"&", 5, XOP_AND},
	{"+", 9, XOP_ADD}, {"-", 9, XOP_SUB}, {"*", 10, XOP_MUL}, {"/", 10, XOP_DIV},
	{"%", 10, XOP_REM},
};

static int operator_at(const struct parser *k)
{
	for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
		if (!strncmp(k->p, operators[i].text, strlen(operators[i].text)))
			return (int)i;
	return -1;
}

/* a && b: a, jz false, b, bool, jump end, false: 0, end:  (|| likewise) */
static bool logical(struct parser *k, bool and, int level)
{
	unsigned test = k->x->ops, jump;
	if (!emit(k, and ? XOP_JZ : XOP_JNZ, 0) || !expression(k, level + 1) || !emit(k, XOP_BOOL, 0))
		return false;
	jump = k->x->ops;
	if (!emit(k, XOP_JUMP, 0))
		return false;
	k->x->op[test].imm = k->x->ops;
	if (!emit(k, XOP_CONST, !and))
		return false;
	k->x->op[jump].imm = k->x->ops;
	return true;
}

static bool conditional(struct parser *k)
{
	unsigned test = k->x->ops, jump;
	k->p++;
	if (!emit(k, XOP_JZ, 0) || !expression(k, 0) || !close_with(k, ':'))
		return false;
	jump = k->x->ops;
	if (!emit(k, XOP_JUMP, 0))
		return false;
	k->x->op[test].imm = k->x->ops;
	if (!expression(k, 0))
		return false;
	k->x->op[jump].imm = k->x->ops;
	return true;
}

static bool expression(struct parser *k, int level)
{
	if (++k->depth > DEPTH_MAX)
		return fail(k, "the expression is nested too deeply");
	if (!unary_expr(k))
		return false;
	for (;;) {
		blanks(k);
		int i = operator_at(k);
		if (i < 0 || operators[i].level < level || operators[i].level == 0)
			break;
		k->p += strlen(operators[i].text);
		bool ok = operators[i].level <= 2 ?
			logical(k, operators[i].level == 2, operators[i].level) :
			expression(k, operators[i].level + 1) && emit(k, operators[i].code, 0);
		if (!ok)
			return false;
	}
	if (level == 0 && *k->p == '?' && !conditional(k))
		return false;
	k->depth--;
	return true;
}

struct expr *expr_compile(struct intro *s, struct place at, const char *text, struct err *e)
{
	struct parser k = {.s = s, .at = at, .text = text, .p = text, .e = e};
	const char *why;
	k.x = xalloc(sizeof *k.x);
	k.x->text = xstrdup(text);
	if (expression(&k, 0)) {
		blanks(&k);
		if (*k.p)
			fail(&k, "'%.20s' was not expected here; an operator or the end is", k.p);
		else if (emit(&k, XOP_END, 0) && !expr_check(k.x, &why))
			fail(&k, "%s", why);
	}
	if (!k.failed)
		return k.x;
	expr_free(k.x);
	return NULL;
}

/* --- addresses ------------------------------------------------------------------------ */

/* The end of "l1:", "l2:3p:", "h:" and the like; NULL when there is none. */
static const char *address_prefix(const char *t, char level[16], enum intro_space *space)
{
	size_t n = 0;
	*space = SPACE_VIRTUAL;
	if ((t[0] | 32) == 'h' && t[1] == ':') {
		*space = SPACE_HOST;
		return t + 2;
	}
	if ((t[0] | 32) != 'l' || (t[1] != '1' && t[1] != '2'))
		return NULL;
	n = 2;
	if (t[n] == ':' && isdigit((unsigned char)t[n + 1])) {
		size_t m = n + 1;
		while (isdigit((unsigned char)t[m]))
			m++;
		if ((t[m] == ':' || ((t[m] | 32) == 'p' && t[m + 1] == ':')) && t[1] == '2')
			n = m;
	}
	if (n >= 16)
		return NULL;
	snprintf(level, 16, "%.*s", (int)n, t);
	if ((t[n] | 32) == 'p') {
		*space = SPACE_PHYSICAL;
		n++;
	}
	return t[n] == ':' ? t + n + 1 : NULL;
}

bool intro_parse_address(
	struct intro *s, struct place at, const char *text, struct intro_address *out, struct err *e)
{
	char level[16] = "";
	const char *rest = address_prefix(text, level, &out->space);
	/* "l2:u32[...]" is an expression that reads memory, no address prefix */
	if (rest && (*rest == '[' || (*rest == 'u' && strchr("1368", rest[1]) && strchr(rest, '[')))) {
		rest = NULL;
		out->space = SPACE_VIRTUAL;
		level[0] = 0;
	}
	out->at = at;
	if (level[0] && !intro_parse_place(s, level, &out->at, e))
		return false;
	return intro_eval(s, out->at, rest ? rest : text, &out->value, e);
}

bool expr_complete(struct intro *s, struct place at, const char *prefix, size_t i,
	const char **word_out, const char **help)
{
	size_t n = strlen(prefix);
	struct symbol sym;
	for (int p = 0; p < PROP_COUNT; p++) {
		if (!strncmp(expr_prop_name(p), prefix, n) && !i--) {
			*word_out = expr_prop_name(p);
			*help = expr_prop_help(p);
			return true;
		}
	}
	for (enum reg_id r = 0; r < R_COUNT; r++) {
		if (!strncmp(reg_info(r)->name, prefix, n) && !i--) {
			*word_out = reg_info(r)->name;
			*help = "register";
			return true;
		}
	}
	for (unsigned f = 0; f < intro_field_count(); f++) {
		if (n && !strncasecmp(intro_field_at(f)->name, prefix, n) && !i--) {
			*word_out = intro_field_at(f)->name;
			*help = "VMCS field";
			return true;
		}
	}
	for (uint32_t r = 0, number; n && exit_reason_at(r, &number, word_out); r++) {
		if (!strncasecmp(*word_out, prefix, n) && !i--) {
			*help = "exit reason";
			return true;
		}
	}
	if (n && intro_symbol_complete(s, at, prefix, i, &sym)) {
		*word_out = sym.name;
		*help = "symbol";
		return true;
	}
	return false;
}

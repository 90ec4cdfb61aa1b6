/* Exit records in words. */
#include "introspect/private.h"
#include "introspect/expr.h"

#include "vmx/codes.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
	uint32_t number;
	const char *name, *text;
} reasons[] = {
#define EXIT_REASON(n, name, text) {n, #name, text},
#include "vmx/exit_reasons.def"
#undef EXIT_REASON
};

#define REASONS (sizeof reasons / sizeof *reasons)

const char *exit_kind_name(enum exit_kind k)
{
	static const char *const names[] = {"exit", "reflect", "entry", "entry-fail"};
	return names[k];
}

const char *exit_reason_name(uint32_t reason)
{
	switch (reason & 0xffff) {
#define EXIT_REASON(n, name, text) \
	case n:                    \
		return #name;
#include "vmx/exit_reasons.def"
#undef EXIT_REASON
	case 0xffff:
		return "-";
	default:
		return "unknown reason";
	}
}

bool exit_reason_known(uint32_t reason)
{
	for (size_t i = 0; i < REASONS; i++)
		if (reasons[i].number == reason)
			return true;
	return false;
}

bool exit_reason_find(const char *text, uint32_t *reason)
{
	char *end;
	if (isdigit((unsigned char)*text)) {
		unsigned long v = strtoul(text, &end, 0);
		*reason = (uint32_t)v;
		return !*end && v < 128;
	}
	for (size_t i = 0; i < REASONS; i++) {
		const char *a = reasons[i].name, *b = text;
		while (*a && (toupper((unsigned char)*b) == *a || (*a == '_' && *b == '-')))
			a++, b++;
		if (!*a && !*b) {
			*reason = reasons[i].number;
			return true;
		}
	}
	return false;
}

bool exit_reason_at(unsigned i, uint32_t *reason, const char **name)
{
	if (i >= REASONS)
		return false;
	*reason = reasons[i].number;
	*name = reasons[i].name;
	return true;
}

const char *exit_detail_kind(uint32_t reason)
{
	switch (reason & 0xffff) {
#define EXIT_DETAIL(name, kind)  \
	case EXIT_REASON_##name: \
		return kind;
#include "introspect/exit_details.def"
#undef EXIT_DETAIL
	default:
		return "";
	}
}

static const char *msr_name(uint64_t msr)
{
	switch (msr) {
#define MSR_NAME(n, name) \
	case n:           \
		return name;
#include "introspect/msr_names.def"
#undef MSR_NAME
	default:
		return NULL;
	}
}

static const char *vector_name(uint64_t v)
{
	static const char *const names[] = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM",
		"#DF", NULL, "#TS", "#NP", "#SS", "#GP", "#PF", NULL, "#MF", "#AC", "#MC", "#XM",
		"#VE", "#CP"};
	return v < sizeof names / sizeof *names ? names[v] : NULL;
}

void exit_detail_print(const struct exit_record *r, struct buf *out)
{
	const char *kind = exit_detail_kind(r->reason), *name = NULL;
	unsigned long long v = r->detail;
	if (r->detail == UINT64_MAX || r->kind == EXIT_ENTRY || !*kind)
		return;
	if (!strcmp(kind, "msr") && (name = msr_name(v)))
		buf_fmt(out, "%s", name);
	else if (!strcmp(kind, "vector") && (name = vector_name(v)))
		buf_fmt(out, "%s", name);
	else if (!strcmp(kind, "field") && intro_field_by_encoding((uint32_t)v))
		buf_str(out, intro_field_by_encoding((uint32_t)v)->name);
	else if (!strcmp(kind, "cr"))
		buf_fmt(out, "CR%llu", v & 15);
	else if (!strcmp(kind, "port"))
		buf_fmt(out, "port 0x%llx%s", v, (r->qualification >> 16 & 0xffff) != v ? "" :
			r->qualification & 8 ? " in" : " out");
	else
		buf_fmt(out, "%s 0x%llx", kind, v);
}

void exit_qualification_decode(const struct exit_record *r, struct buf *out)
{
	static const char *const cr[] = {"MOV to", "MOV from", "CLTS", "LMSW"};
	uint64_t q = r->qualification;
	const char *name = exit_reason_name(r->reason);
	if (r->kind == EXIT_ENTRY)
		return;
	if (!strcmp(name, "EPT_VIOLATION"))
		intro_ept_qualification_decode(q, out);
	else if (!strcmp(name, "IO_INSTRUCTION"))
		buf_fmt(out, "%s %s%u byte%s, port 0x%x%s", q & 8 ? "in" : "out",
			q & 16 ? "string " : "", (unsigned)(q & 7) + 1, q & 7 ? "s" : "",
			(unsigned)(q >> 16 & 0xffff), q & 32 ? ", rep" : "");
	else if (!strcmp(name, "CR_ACCESS"))
		buf_fmt(out, "%s CR%u, register %u", cr[q >> 4 & 3], (unsigned)(q & 15),
			(unsigned)(q >> 8 & 15));
	else if (!strcmp(name, "EXCEPTION_NMI") && vector_name(r->intr_info & 0xff)) {
		buf_str(out, vector_name(r->intr_info & 0xff));
		if ((r->intr_info & 0xff) == 14)
			buf_fmt(out, " at 0x%llx", (unsigned long long)q);
	} else if (!strcmp(name, "INVLPG"))
		buf_fmt(out, "address 0x%llx", (unsigned long long)q);
}

/* --- the ring ------------------------------------------------------------------- */

void intro_exits_range(struct intro *s, uint64_t *first, uint64_t *end)
{
	s->ops->exits_range(s->ctx, first, end);
}

bool intro_exit(struct intro *s, uint64_t seq, struct exit_record *out)
{
	return s->ops->exit_at(s->ctx, seq, out);
}

bool intro_exit_gprs(struct intro *s, uint64_t seq, uint64_t gpr[16])
{
	return s->ops->exit_gprs && s->ops->exit_gprs(s->ctx, seq, gpr);
}

/* --- filters -------------------------------------------------------------------- */

void exit_filter_init(struct exit_filter *f)
{
	memset(f, 0, sizeof *f);
	f->vcpu = -1;
}

bool exit_filter_all(const struct exit_filter *f)
{
	return !f->levels && !f->kinds && !f->handlers && f->vcpu < 0 && !f->reasons[0] &&
		!f->reasons[1] && !f->has_detail && !f->has_rip && !f->expr;
}

bool exit_filter_match(struct intro *s, const struct exit_filter *f, const struct exit_record *r)
{
	unsigned level = r->kind == EXIT_ENTRY || r->kind == EXIT_ENTRY_FAIL ? r->to : r->from;
	uint32_t reason = r->reason & 0xffff;
	if (f->levels && !(f->levels >> (level & 31) & 1))
		return false;
	if (f->kinds && !(f->kinds >> r->kind & 1))
		return false;
	if (f->handlers && !(f->handlers >> r->handler & 1))
		return false;
	if (f->vcpu >= 0 && r->vcpu != f->vcpu)
		return false;
	if ((f->reasons[0] | f->reasons[1]) &&
		(reason >= 128 || !(f->reasons[reason / 64] >> reason % 64 & 1)))
		return false;
	if (f->has_detail && (r->detail < f->detail_low || r->detail > f->detail_high))
		return false;
	if (f->has_rip && (r->rip < f->rip_low || r->rip > f->rip_high))
		return false;
	if (f->expr) {
		struct expr_env env = {s, {r->from ? r->from : 1, r->vcpu}, r, NULL, 0};
		uint64_t faults = 0;
		return expr_true(f->expr, &env, &faults);
	}
	return true;
}

/* --- "level=2 reason=CPUID,HLT ..." ---------------------------------------------- */

struct filter_key {
	const char *key;
	bool (*set)(struct intro *s, struct exit_filter *f, const char *value, struct err *e);
};

static bool set_level(struct intro *s, struct exit_filter *f, const char *v, struct err *e)
{
	struct place at = intro_here(s);
	if (!strcmp(v, "2") || !strcasecmp(v, "l2")) {
		f->levels |= ~3u; /* any L2 */
		return true;
	}
	if (!strcmp(v, "0") || !strcasecmp(v, "l0"))
		return err_set(e, ERR_GENERAL, "exits come from level 1 or 2; by=l0 asks who handled");
	if (!intro_parse_place(s, v, &at, e))
		return false;
	f->levels |= 1u << (at.level & 31);
	return true;
}

static bool set_reason(struct intro *s, struct exit_filter *f, const char *v, struct err *e)
{
	uint32_t reason;
	(void)s;
	if (!exit_reason_find(v, &reason))
		return err_set(e, ERR_GENERAL, "no exit reason '%s'; names are the SDM's, e.g. CPUID, "
			"EPT_VIOLATION, VMREAD, or a number below 128", v);
	f->reasons[reason / 64] |= BIT(reason % 64);
	return true;
}

static bool set_kind(struct intro *s, struct exit_filter *f, const char *v, struct err *e)
{
	(void)s;
	for (int k = 0; k <= EXIT_ENTRY_FAIL; k++) {
		if (!strcasecmp(exit_kind_name(k), v)) {
			f->kinds |= 1u << k;
			return true;
		}
	}
	return err_set(e, ERR_GENERAL, "no kind '%s'; there is exit, reflect, entry, entry-fail", v);
}

static bool set_by(struct intro *s, struct exit_filter *f, const char *v, struct err *e)
{
	(void)s;
	if (strcasecmp(v, "l0") && strcasecmp(v, "l1"))
		return err_set(e, ERR_GENERAL, "'%s' handles no exits; by=l0 or by=l1", v);
	f->handlers |= v[1] == '0' ? 1 : 2;
	return true;
}

/* "X" or "X-Y", each an expression. */
static bool parse_span(struct intro *s, const char *v, uint64_t *low, uint64_t *high, struct err *e)
{
	char text[128];
	const char *dash = strchr(v, '-');
	struct place at = intro_here(s);
	snprintf(text, sizeof text, "%.*s", dash ? (int)(dash - v) : (int)strlen(v), v);
	if (!intro_eval(s, at, text, low, e))
		return false;
	*high = *low;
	return !dash || intro_eval(s, at, dash + 1, high, e);
}

static bool set_detail(struct intro *s, struct exit_filter *f, const char *v, struct err *e)
{
	f->has_detail = true;
	return parse_span(s, v, &f->detail_low, &f->detail_high, e);
}

static bool set_rip(struct intro *s, struct exit_filter *f, const char *v, struct err *e)
{
	struct symbol sym;
	f->has_rip = true;
	if (!strchr(v, '-') && intro_symbol_find(s, intro_here(s), v, &sym)) {
		f->rip_low = sym.address;
		f->rip_high = sym.address + (sym.size ? sym.size - 1 : 0);
		return true;
	}
	return parse_span(s, v, &f->rip_low, &f->rip_high, e);
}

static bool set_vcpu(struct intro *s, struct exit_filter *f, const char *v, struct err *e)
{
	char *end;
	long n = strtol(v, &end, 10);
	if (*end || n < 0 || (unsigned long)n >= intro_vcpus(s))
		return err_set(e, ERR_GENERAL, "no vCPU '%s'; there are 0 to %u", v, intro_vcpus(s) - 1);
	f->vcpu = (int)n;
	return true;
}

static const struct filter_key keys[] = {{"level", set_level}, {"reason", set_reason},
	{"kind", set_kind}, {"by", set_by}, {"detail", set_detail}, {"rip", set_rip},
	{"vcpu", set_vcpu}};

static bool parse_word(struct intro *s, char *word, struct exit_filter *f, struct err *e)
{
	char *value = strchr(word, '='), *save = NULL;
	if (value) {
		*value++ = 0;
		for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
			if (strcmp(keys[i].key, word))
				continue;
			for (char *v = strtok_r(value, ",", &save); v; v = strtok_r(NULL, ",", &save))
				if (!keys[i].set(s, f, v, e))
					return false;
			return true;
		}
	}
	return err_set(e, ERR_GENERAL, "'%s' is no filter; use level= reason= kind= by= detail= rip= "
		"vcpu= (lists with commas), or: if EXPRESSION", word);
}

bool exit_filter_parse(struct intro *s, const char *text, struct exit_filter *f, struct err *e)
{
	char copy[512], *save = NULL;
	const char *cond = NULL;
	exit_filter_init(f);
	if (!strncmp(text, "if ", 3))
		cond = text;
	else if ((cond = strstr(text, " if ")))
		cond++;
	size_t len = cond ? (size_t)(cond - text) : strlen(text);
	if (len >= sizeof copy)
		return err_set(e, ERR_GENERAL, "the filter is longer than %zu characters", sizeof copy - 1);
	memcpy(copy, text, len);
	copy[len] = 0;
	for (char *w = strtok_r(copy, " \t", &save); w; w = strtok_r(NULL, " \t", &save))
		if (!parse_word(s, w, f, e))
			return false;
	if (cond && !(f->expr = expr_compile(s, intro_here(s), cond + 3, e)))
		return false;
	return true;
}

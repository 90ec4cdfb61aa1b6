/* mem, find, disas, bt. */
#include "command/cmds.h"
#include "base/hex.h"
#include "introspect/expr.h"
#include "introspect/memory.h"
#include "introspect/regs.h"
#include "introspect/symbols.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEM_LENGTH_MAX 65536

enum mem_style { STYLE_BYTES = 1, STYLE_2 = 2, STYLE_4 = 4, STYLE_8 = 8, STYLE_STR, STYLE_INSN };

static bool mem_style(const char *w, enum mem_style *style)
{
	static const struct {
		const char *name;
		enum mem_style style;
	} styles[] = {{"x1", STYLE_BYTES}, {"x2", STYLE_2}, {"x4", STYLE_4}, {"x8", STYLE_8},
		{"str", STYLE_STR}, {"insn", STYLE_INSN}};
	for (size_t i = 0; i < sizeof styles / sizeof *styles; i++) {
		if (!strcmp(styles[i].name, w)) {
			*style = styles[i].style;
			return true;
		}
	}
	return false;
}

static void dump_line(struct shell *sh, const struct intro_address *at, const uint8_t *p, size_t n,
	unsigned unit, struct output *o)
{
	struct buf hex = {0}, text = {0}, where = {0};
	for (size_t i = 0; i < n; i += unit) {
		if (i)
			buf_char(&hex, ' ');
		for (unsigned k = unit; k--;) {
			if (i + k < n)
				buf_fmt(&hex, "%02x", p[i + k]);
			else
				buf_str(&hex, "  ");
		}
	}
	for (size_t i = 0; i < n; i++)
		buf_char(&text, p[i] >= 0x20 && p[i] < 0x7f ? (char)p[i] : '.');
	intro_address_print(sh->s, at, &where);
	out_str(o, where.data);
	out_str(o, hex.data);
	out_str(o, text.data);
	buf_done(&hex);
	buf_done(&text);
	buf_done(&where);
}

static void dump(struct shell *sh, struct intro_address at, const uint8_t *p, size_t n,
	unsigned unit, struct output *o)
{
	out_table(o, "memory", "address,hex,text");
	for (size_t i = 0; i < n; i += 16) {
		struct intro_address here = at;
		here.value += i;
		dump_line(sh, &here, p + i, n - i < 16 ? n - i : 16, unit, o);
	}
}

static void strings(struct shell *sh, struct intro_address at, const uint8_t *p, size_t n,
	struct output *o)
{
	struct buf where = {0};
	out_table(o, "strings", "address,text");
	for (size_t i = 0; i < n;) {
		size_t len = 0;
		while (i + len < n && isprint(p[i + len]))
			len++;
		if (len >= 4 || (i == 0 && len)) {
			struct intro_address here = at;
			here.value += i;
			buf_clear(&where);
			intro_address_print(sh->s, &here, &where);
			out_str(o, where.data);
			out_fmt(o, "%.*s", (int)len, (const char *)p + i);
		}
		i += len + 1;
	}
	buf_done(&where);
}

static bool show_code(struct shell *sh, struct place at, uint64_t address, size_t count,
	unsigned bits, struct output *o, struct err *e);

bool cmd_mem(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	struct intro_address at = {sh->focus, SPACE_VIRTUAL, sh->mem_next};
	struct intro_mem_fail why;
	enum mem_style style = STYLE_BYTES;
	uint64_t len = 128;
	if (args_rest(a) && !args_address(sh, a, &at, e))
		return false;
	while (args_next(a)) {
		if (!mem_style(a->word, &style) && !intro_eval(sh->s, sh->focus, a->word, &len, e))
			return false;
	}
	if (!len || len > MEM_LENGTH_MAX)
		return err_set(e, ERR_GENERAL, "a length of 1 to %d is shown at once", MEM_LENGTH_MAX);
	if (style == STYLE_INSN)
		return show_code(sh, at.at, at.value, len == 128 ? 16 : len, 0, o, e);
	uint8_t *p = xalloc(len);
	size_t n = intro_read(sh->s, at.at, at.space, at.value, p, len, &why);
	sh->mem_next = at.value + n;
	if (n && style == STYLE_STR)
		strings(sh, at, p, n, o);
	else if (n)
		dump(sh, at, p, n, style, o);
	free(p);
	if (n == len)
		return true;
	if (!n)
		return err_set(e, ERR_GENERAL, "%s", why.why);
	out_text(o, "%s", why.why);
	return true;
}

/* --- find -------------------------------------------------------------------- */

#define PATTERN_MAX 256
#define MATCHES_MAX 64

static bool parse_pattern(const char *text, uint8_t *pattern, uint8_t *mask, size_t *n, struct err *e)
{
	size_t len = strlen(text);
	*n = 0;
	if (len % 2 == 0 && len / 2 <= PATTERN_MAX) {
		for (size_t i = 0; i < len; i += 2) {
			bool any = text[i] == '?' && text[i + 1] == '?';
			if (!any && !hex_decode(&pattern[*n], text + i, 1))
				goto text;
			mask[(*n)++] = any ? 0 : 0xff;
		}
		if (*n)
			return true;
	}
text:
	if (!len || len > PATTERN_MAX)
		return err_set(e, ERR_GENERAL, "a pattern has 1 to %d bytes", PATTERN_MAX);
	memcpy(pattern, text, len);
	memset(mask, 0xff, len);
	*n = len;
	return true;
}

bool cmd_find(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	uint8_t pattern[PATTERN_MAX], mask[PATTERN_MAX];
	struct intro_address at;
	uint64_t len, hit;
	size_t n, matches = 0;
	struct buf where = {0};
	if (!args_address(sh, a, &at, e) || !args_number(sh, a, &len, e))
		return false;
	if (!args_next(a))
		return err_set(e, ERR_GENERAL, "what to find is missing: hex digits or 'text'");
	if (!parse_pattern(a->word, pattern, mask, &n, e) || !args_end(a, e))
		return false;
	if (len > UINT64_C(1) << 36)
		return err_set(e, ERR_GENERAL, "at most 64G are searched at once");
	out_table(o, "matches", "address,symbol");
	while (matches < MATCHES_MAX && len && intro_find(sh->s, at.at, at.space, at.value, len, pattern,
						       mask, n, &hit)) {
		uint64_t skip = hit + 1 - at.value;
		at.value = hit;
		buf_clear(&where);
		intro_address_print(sh->s, &at, &where);
		out_str(o, where.data);
		cmd_symbol(sh, at.at, at.space == SPACE_VIRTUAL ? hit : UINT64_MAX, o);
		at.value = hit + 1;
		len -= skip < len ? skip : len;
		matches++;
	}
	buf_done(&where);
	if (!matches)
		return err_set(e, ERR_GENERAL, "not found in what is mapped there");
	if (matches == MATCHES_MAX)
		out_text(o, "the first %d matches; go on from the last", MATCHES_MAX);
	return true;
}

/* --- code -------------------------------------------------------------------- */

static bool show_code(struct shell *sh, struct place at, uint64_t address, size_t count,
	unsigned bits, struct output *o, struct err *e)
{
	uint64_t pc = 0, next = UINT64_MAX;
	if (count > 4096)
		count = 4096;
	struct insn_text *t = xalloc(count * sizeof *t);
	size_t n = intro_disas(sh->s, at, address, bits, t, count, e);
	bool known = intro_pc(sh->s, at, &pc);
	out_table(o, "code", "at,address,bytes,instruction,symbol");
	for (size_t i = 0; i < n; i++) {
		struct buf h = {0}, y = {0};
		struct symbol sym;
		struct stop *st = intro_stop_find_break(sh->s, at.level, t[i].address);
		buf_hex(&h, t[i].bytes, t[i].length);
		out_str(o, known && t[i].address == pc ? st ? "=>*" : "=>" : st ? "*" : "");
		out_hex(o, t[i].address);
		out_str(o, h.data);
		out_str(o, t[i].text);
		if (intro_symbol_at(sh->s, at, t[i].address, &sym) && (sym.address == t[i].address || !i))
			intro_symbol_print(sh->s, at, t[i].address, &y);
		out_str(o, y.data ? y.data : "");
		buf_done(&h);
		buf_done(&y);
		next = t[i].address + t[i].length;
	}
	free(t);
	if (n)
		sh->mem_next = next;
	return n > 0;
}

bool cmd_disas(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	struct intro_address at = {sh->focus, SPACE_VIRTUAL, 0};
	uint64_t count = 12, bits = 0, v;
	if (!args_rest(a)) {
		if (!intro_pc(sh->s, at.at, &at.value))
			return intro_check(sh->s, at.at, e) &&
				err_set(e, ERR_GENERAL, "the next instruction of this level is not known");
		at.value = intro_disas_back(sh->s, at.at, at.value, 4);
	} else if (!args_address(sh, a, &at, e)) {
		return false;
	}
	if (at.space != SPACE_VIRTUAL)
		return err_set(e, ERR_GENERAL, "code is disassembled at virtual addresses: l1: or l2:");
	if (args_rest(a) && !args_number(sh, a, &count, e))
		return false;
	if (args_rest(a)) {
		if (!args_number(sh, a, &v, e))
			return false;
		if (v != 16 && v != 32 && v != 64)
			return err_set(e, ERR_GENERAL, "code is 16, 32 or 64 bits wide");
		bits = v;
	}
	return args_end(a, e) && show_code(sh, at.at, at.value, count, (unsigned)bits, o, e);
}

bool cmd_bt(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	struct place at = sh->focus;
	struct frame f[64];
	uint64_t max = 64;
	bool scanned = false;
	if (!args_place(sh, a, &at, e) || (args_rest(a) && !args_number(sh, a, &max, e)) ||
		!args_end(a, e) || !intro_check(sh->s, at, e))
		return false;
	size_t n = intro_backtrace(sh->s, at, f, max < 64 ? max : 64);
	if (!n)
		return err_set(e, ERR_GENERAL, "rip and rsp of this level are not known");
	out_table(o, "frames", ">frame,pc,symbol,sp,how");
	for (size_t i = 0; i < n; i++) {
		struct source_line line;
		out_u64(o, i);
		out_hex(o, f[i].pc);
		/* a return address names the call before it */
		if (intro_line_at(sh->s, at, f[i].pc - (i ? 1 : 0), &line)) {
			struct buf b = {0};
			intro_symbol_print(sh->s, at, f[i].pc, &b);
			out_fmt(o, "%s %s:%u", b.data, line.file, line.line);
			buf_done(&b);
		} else {
			cmd_symbol(sh, at, f[i].pc, o);
		}
		out_hex(o, f[i].sp);
		out_str(o, f[i].how);
		scanned |= !strcmp(f[i].how, "scan");
	}
	if (scanned)
		out_text(o, "frames marked scan are return addresses found on the stack; some may be stale");
	return true;
}

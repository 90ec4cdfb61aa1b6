/* Look-ups over all symbol sources of a level. */
#include "introspect/private.h"
#include "introspect/kernel.h"
#include "introspect/symtab.h"

#include "introspect/dwarf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SYMBOLS_MAX (4u << 20)
#define NAMES_MAX   (256u << 20)
#define REACH_MAX   0x100000 /* a symbol of unknown size covers no more than this */

struct symbols *symbols_new(void)
{
	struct symbols *y = xalloc(sizeof *y);
	y->next = 1;
	return y;
}

void symtab_free(struct sym_source *src)
{
	if (!src)
		return;
	dwarf_free(src->lines);
	free(src->sym);
	free(src->by_name);
	buf_done(&src->names);
	free(src);
}

void symbols_free(struct symbols *y)
{
	if (!y)
		return;
	for (unsigned i = 0; i < y->sources; i++)
		symtab_free(y->source[i]);
	for (unsigned i = 0; i < INTRO_MAX_LEVELS; i++)
		btf_free(y->types[i]);
	free(y->source);
	free(y);
}

struct sym_source *symtab_new(struct intro *s, unsigned level, const char *name, const char *kind)
{
	struct sym_source *src = xalloc(sizeof *src);
	(void)s;
	src->level = level;
	src->kind = kind;
	snprintf(src->name, sizeof src->name, "%s", name);
	return src;
}

void symtab_add(
	struct sym_source *src, uint64_t address, uint64_t size, const char *name, bool function)
{
	if (src->syms >= SYMBOLS_MAX || src->names.len >= NAMES_MAX || !*name)
		return;
	if (src->syms == src->cap) {
		src->cap = src->cap ? src->cap * 2 : 256;
		src->sym = xresize(src->sym, src->cap * sizeof *src->sym);
	}
	src->sym[src->syms++] = (struct sym_entry){address,
		size > UINT32_MAX ? UINT32_MAX : (uint32_t)size, (uint32_t)src->names.len, function};
	buf_add(&src->names, name, strlen(name) + 1);
}

static int by_address(const void *a, const void *b)
{
	const struct sym_entry *x = a, *y = b;
	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	return x->function != y->function ? y->function - x->function :
		x->name < y->name ? -1 : x->name > y->name;
}

static int by_name(const void *a, const void *b, void *ctx)
{
	const struct sym_source *src = ctx;
	return strcmp(src->names.data + src->sym[*(const uint32_t *)a].name,
		src->names.data + src->sym[*(const uint32_t *)b].name);
}

unsigned symtab_finish(struct intro *s, struct sym_source *src)
{
	struct symbols *y = s->symbols;
	qsort(src->sym, src->syms, sizeof *src->sym, by_address);
	src->by_name = xalloc(src->syms * sizeof *src->by_name);
	for (size_t i = 0; i < src->syms; i++)
		src->by_name[i] = (uint32_t)i;
	qsort_r(src->by_name, src->syms, sizeof *src->by_name, by_name, src);
	if (src->syms) {
		const struct sym_entry *last = &src->sym[src->syms - 1];
		src->low = src->sym[0].address;
		src->high = last->address + (last->size ? last->size - 1 : 0xfff);
	}
	src->id = y->next++;
	y->source = xresize(y->source, (y->sources + 1) * sizeof *y->source);
	y->source[y->sources++] = src;
	s->generation++;
	return src->id;
}

static void fill(const struct sym_source *src, size_t i, struct symbol *out)
{
	const struct sym_entry *e = &src->sym[i];
	*out = (struct symbol){e->address, e->size, src->names.data + e->name, src->name, e->function};
}

/* The last entry at or below address that covers it. */
static bool covers(const struct sym_source *src, uint64_t address, size_t *found)
{
	size_t lo = 0, hi = src->syms;
	if (!src->syms || address < src->low || address > src->high)
		return false;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (src->sym[mid].address <= address)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo)
		return false;
	/* the first of several at one address: functions sort before data */
	size_t i = lo - 1;
	while (i && src->sym[i - 1].address == src->sym[i].address)
		i--;
	uint64_t off = address - src->sym[i].address;
	*found = i;
	return src->sym[i].size ? off < src->sym[i].size || off == 0 : off < REACH_MAX;
}

static bool find_address(struct intro *s, struct place at, uint64_t address, struct symbol *out)
{
	size_t i;
	for (unsigned k = s->symbols->sources; k--;) {
		const struct sym_source *src = s->symbols->source[k];
		if (src->level == at.level && covers(src, address, &i)) {
			fill(src, i, out);
			return true;
		}
	}
	return false;
}

bool intro_symbol_at(struct intro *s, struct place at, uint64_t address, struct symbol *out)
{
	return find_address(s, at, address, out) ||
		(symbols_missed(s, at, address) && find_address(s, at, address, out));
}

bool intro_symbol_at_cr3(
	struct intro *s, unsigned level, uint64_t cr3, uint64_t address, struct symbol *out)
{
	(void)cr3; /* kernel halves are shared by every address space */
	return intro_symbol_at(s, (struct place){level, 0}, address, out);
}

bool intro_symbol_print_cr3(
	struct intro *s, unsigned level, uint64_t cr3, uint64_t address, struct buf *out)
{
	struct symbol y;
	bool found = intro_symbol_at_cr3(s, level ? level : LEVEL_L1, cr3, address, &y);
	if (found)
		buf_str(out, y.name);
	if (found && address != y.address)
		buf_fmt(out, "+0x%llx", (unsigned long long)(address - y.address));
	else if (!found)
		buf_fmt(out, "0x%llx", (unsigned long long)address);
	return found;
}

void intro_symbol_print(struct intro *s, struct place at, uint64_t address, struct buf *out)
{
	struct symbol y;
	if (!intro_symbol_at(s, at, address, &y)) {
		buf_fmt(out, "0x%llx", (unsigned long long)address);
		return;
	}
	buf_str(out, y.name);
	if (address != y.address)
		buf_fmt(out, "+0x%llx", (unsigned long long)(address - y.address));
	if (strcmp(y.module, "vmlinux") && strcmp(y.module, "kallsyms"))
		buf_fmt(out, " [%s]", y.module);
}

/* The first index in by_name whose name is not below `name`. */
static size_t lower(const struct sym_source *src, const char *name)
{
	size_t lo = 0, hi = src->syms;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (strcmp(src->names.data + src->sym[src->by_name[mid]].name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool find_name(struct intro *s, struct place at, const char *name, struct symbol *out)
{
	const char *colon = strchr(name, ':');
	const char *plain = colon ? colon + 1 : name;
	for (unsigned k = s->symbols->sources; k--;) {
		const struct sym_source *src = s->symbols->source[k];
		if (src->level != at.level || (colon && (strlen(src->name) != (size_t)(colon - name) ||
			    strncmp(src->name, name, (size_t)(colon - name)))))
			continue;
		size_t i = lower(src, plain);
		if (i < src->syms && !strcmp(src->names.data + src->sym[src->by_name[i]].name, plain)) {
			fill(src, src->by_name[i], out);
			return true;
		}
	}
	return false;
}

bool intro_symbol_find(struct intro *s, struct place at, const char *name, struct symbol *out)
{
	return find_name(s, at, name, out) ||
		(symbols_missed(s, at, UINT64_MAX) && find_name(s, at, name, out));
}

bool intro_symbol_complete(
	struct intro *s, struct place at, const char *prefix, size_t i, struct symbol *out)
{
	size_t n = strlen(prefix);
	for (unsigned k = 0; k < s->symbols->sources; k++) {
		const struct sym_source *src = s->symbols->source[k];
		if (src->level != at.level)
			continue;
		for (size_t j = lower(src, prefix); j < src->syms; j++) {
			if (strncmp(src->names.data + src->sym[src->by_name[j]].name, prefix, n))
				break;
			if (i--)
				continue;
			fill(src, src->by_name[j], out);
			return true;
		}
	}
	return false;
}

bool intro_symbol_nth(struct intro *s, unsigned level, size_t i, struct symbol *out)
{
	for (unsigned k = 0; k < s->symbols->sources; k++) {
		const struct sym_source *src = s->symbols->source[k];
		if (src->level != level)
			continue;
		if (i < src->syms) {
			fill(src, i, out);
			return true;
		}
		i -= src->syms;
	}
	return false;
}

unsigned intro_symbol_sources(struct intro *s, struct symbol_source *out, unsigned max)
{
	unsigned n = 0;
	for (; n < s->symbols->sources && n < max; n++) {
		const struct sym_source *src = s->symbols->source[n];
		out[n] = (struct symbol_source){src->id, src->level, src->name, src->kind, src->bias,
			src->low, src->high, src->syms, src->lines != NULL};
	}
	return n;
}

bool intro_symbols_drop(struct intro *s, unsigned source)
{
	struct symbols *y = s->symbols;
	for (unsigned i = 0; i < y->sources; i++) {
		if (y->source[i]->id != source)
			continue;
		symtab_free(y->source[i]);
		memmove(y->source + i, y->source + i + 1, (--y->sources - i) * sizeof *y->source);
		s->generation++;
		return true;
	}
	return false;
}

void intro_symbols_auto(struct intro *s, bool on)
{
	s->symbols->manual = !on;
}

bool intro_line_at(struct intro *s, struct place at, uint64_t address, struct source_line *out)
{
	for (unsigned k = s->symbols->sources; k--;) {
		const struct sym_source *src = s->symbols->source[k];
		if (src->level == at.level && src->lines &&
			dwarf_line_at(src->lines, address - (uint64_t)src->bias, out)) {
			out->address += (uint64_t)src->bias;
			return true;
		}
	}
	return false;
}

bool intro_line_find(
	struct intro *s, struct place at, const char *text, uint64_t *address, struct err *e)
{
	const char *colon = strrchr(text, ':');
	char *end;
	unsigned long line = colon ? strtoul(colon + 1, &end, 10) : 0;
	if (!colon || *end || !line)
		return err_set(e, ERR_GENERAL, "'%s' is no source line; write FILE:LINE", text);
	for (unsigned k = s->symbols->sources; k--;) {
		const struct sym_source *src = s->symbols->source[k];
		if (src->level != at.level || !src->lines ||
			!dwarf_line_find(src->lines, text, (size_t)(colon - text), (unsigned)line, address))
			continue;
		*address += (uint64_t)src->bias;
		return true;
	}
	return err_set(e, ERR_GENERAL, "no code for '%s'; symbols FILE loads line tables", text);
}

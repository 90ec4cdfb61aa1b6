/* The kernel's modules: its own list, by BTF's offsets, and each module's own
 * symbol table. */
#include "introspect/kernel.h"
#include "introspect/memory.h"
#include "introspect/symtab.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#define MODULES_MAX  1024
#define MODSYMS_MAX  100000u

/* Where things are in struct module of this kernel. */
struct layout {
	uint32_t list, name, base, size, kallsyms, symtab, count, strtab, types;
	uint32_t orc, orc_ip, orcs;
	bool has_kallsyms, has_types, has_orc;
};

static bool layout_of(struct intro *s, struct place at, struct layout *l)
{
	const struct btf *b = btf_of(s, at, NULL);
	if (!b)
		return false;
	bool ok = btf_offset(b, "module", "list", &l->list) && btf_offset(b, "module", "name", &l->name) &&
		((btf_offset(b, "module", "core_layout.base", &l->base) &&
			 btf_offset(b, "module", "core_layout.size", &l->size)) ||
			(btf_offset(b, "module", "mem", &l->base) &&
				btf_offset(b, "module_memory", "size", &l->size) && (l->size += l->base)));
	l->has_kallsyms = btf_offset(b, "module", "kallsyms", &l->kallsyms) &&
		btf_offset(b, "mod_kallsyms", "symtab", &l->symtab) &&
		btf_offset(b, "mod_kallsyms", "num_symtab", &l->count) &&
		btf_offset(b, "mod_kallsyms", "strtab", &l->strtab);
	l->has_types = btf_offset(b, "mod_kallsyms", "typetab", &l->types);
	l->has_orc = btf_offset(b, "module", "arch.orc_unwind", &l->orc) &&
		btf_offset(b, "module", "arch.orc_unwind_ip", &l->orc_ip) &&
		btf_offset(b, "module", "arch.num_orcs", &l->orcs);
	return ok;
}

static bool word(struct intro *s, struct place at, uint64_t address, unsigned size, uint64_t *v)
{
	return intro_read_uint(s, at, SPACE_VIRTUAL, address, size, v);
}

static bool one_module(struct intro *s, struct place at, const struct layout *l, uint64_t mod,
	struct intro_module *out)
{
	memset(out, 0, sizeof *out);
	return intro_read(s, at, SPACE_VIRTUAL, mod + l->name, out->name, sizeof out->name - 1, NULL) >= 56 &&
		word(s, at, mod + l->base, 8, &out->base) && word(s, at, mod + l->size, 4, &out->size) &&
		out->name[0];
}

/* Calls for each struct module until fn says no; false: no list. */
typedef bool module_fn(void *ctx, uint64_t mod, const struct intro_module *m);

static bool each_module(struct intro *s, struct place at, const struct layout *l, module_fn *fn,
	void *ctx)
{
	struct symbol head;
	struct intro_module m;
	uint64_t node;
	if (!intro_symbol_find(s, at, "modules", &head) || !word(s, at, head.address, 8, &node))
		return false;
	for (unsigned i = 0; i < MODULES_MAX && node && node != head.address; i++) {
		uint64_t mod = node - l->list;
		if (!one_module(s, at, l, mod, &m) || !fn(ctx, mod, &m))
			break;
		if (!word(s, at, node, 8, &node))
			break;
	}
	return true;
}

struct list {
	struct intro_module *out;
	size_t n, max;
};

static bool add_to_list(void *ctx, uint64_t mod, const struct intro_module *m)
{
	struct list *l = ctx;
	(void)mod;
	if (l->n < l->max)
		l->out[l->n++] = *m;
	return true;
}

size_t intro_modules(
	struct intro *s, struct place at, struct intro_module *out, size_t max, struct err *e)
{
	struct layout l;
	struct symbol y;
	struct list list = {out, 0, max};
	if (!intro_check(s, at, e))
		return 0;
	if (!intro_symbol_find(s, at, "modules", &y)) {
		err_set(e, ERR_GENERAL, "no Linux kernel is known in this level; symbols find looks for one");
		return 0;
	}
	if (!layout_of(s, at, &l) || !each_module(s, at, &l, add_to_list, &list))
		err_set(e, ERR_GENERAL, "this kernel has no BTF that says where its module list is");
	return list.n;
}

/* --- unwinding -------------------------------------------------------------------- */

struct orc_search {
	struct intro *s;
	struct place at;
	const struct layout *l;
	bool (*fn)(void *ctx, const struct orc_table *t);
	void *ctx;
};

static bool orc_of(void *ctx, uint64_t mod, const struct intro_module *m)
{
	struct orc_search *c = ctx;
	struct orc_table t = {.low = m->base, .high = m->base + m->size - 1};
	return !word(c->s, c->at, mod + c->l->orc, 8, &t.entry) ||
		!word(c->s, c->at, mod + c->l->orc_ip, 8, &t.ip) ||
		!word(c->s, c->at, mod + c->l->orcs, 4, &t.count) || !t.count || !m->size ||
		c->fn(c->ctx, &t);
}

void kernel_each_orc(struct intro *s, struct place at,
	bool (*fn)(void *ctx, const struct orc_table *t), void *ctx)
{
	struct layout l;
	struct orc_search c = {s, at, &l, fn, ctx};
	if (layout_of(s, at, &l) && l.has_orc)
		each_module(s, at, &l, orc_of, &c);
}

struct orc_wanted {
	uint64_t pc;
	struct orc_table *out;
	bool found;
};

static bool is_wanted(void *ctx, const struct orc_table *t)
{
	struct orc_wanted *w = ctx;
	if (w->pc < t->low || w->pc > t->high)
		return true;
	*w->out = *t;
	w->found = true;
	return false;
}

bool kernel_module_orc(struct intro *s, struct place at, uint64_t pc, struct orc_table *out)
{
	struct orc_wanted w = {pc, out, false};
	kernel_each_orc(s, at, is_wanted, &w);
	return w.found;
}

/* --- symbols ---------------------------------------------------------------------- */

struct collector {
	struct intro *s;
	struct place at;
	const struct layout *l;
	size_t symbols;
};

static void add_symbols(struct collector *c, struct sym_source *src, uint64_t symtab, uint64_t count,
	uint64_t strtab, uint64_t types)
{
	for (uint64_t i = 1; i < count; i++) {
		Elf64_Sym sym;
		char name[256], type = 't';
		if (intro_read(c->s, c->at, SPACE_VIRTUAL, symtab + i * sizeof sym, &sym, sizeof sym, NULL) !=
			sizeof sym)
			return;
		size_t n = intro_read(c->s, c->at, SPACE_VIRTUAL, strtab + sym.st_name, name,
			sizeof name - 1, NULL);
		name[n] = 0;
		/* per-CPU symbols are offsets, not addresses */
		if (!n || !name[0] || sym.st_shndx == SHN_UNDEF || name[0] == '.' ||
			sym.st_value < UINT64_C(0xffffffff80000000))
			continue;
		if (types)
			intro_read(c->s, c->at, SPACE_VIRTUAL, types + i, &type, 1, NULL);
		symtab_add(src, sym.st_value, sym.st_size, name, (type | 32) == 't');
	}
}

static bool collect(void *ctx, uint64_t mod, const struct intro_module *m)
{
	struct collector *c = ctx;
	uint64_t k, symtab, count, strtab, types = 0;
	if (!word(c->s, c->at, mod + c->l->kallsyms, 8, &k) || !k ||
		!word(c->s, c->at, k + c->l->symtab, 8, &symtab) ||
		!word(c->s, c->at, k + c->l->count, 4, &count) ||
		!word(c->s, c->at, k + c->l->strtab, 8, &strtab) || count > MODSYMS_MAX)
		return true;
	if (c->l->has_types)
		word(c->s, c->at, k + c->l->types, 8, &types);
	struct sym_source *src = symtab_new(c->s, c->at.level, m->name, "module");
	add_symbols(c, src, symtab, count, strtab, types);
	c->symbols += src->syms;
	if (src->syms)
		symtab_finish(c->s, src);
	else
		symtab_free(src);
	return true;
}

size_t kernel_module_symbols(struct intro *s, struct place at)
{
	struct layout l;
	struct collector c = {s, at, &l, 0};
	if (layout_of(s, at, &l) && l.has_kallsyms)
		each_module(s, at, &l, collect, &c);
	return c.symbols;
}

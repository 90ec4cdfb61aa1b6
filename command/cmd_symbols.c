/* symbols, sym, lines, modules, events. */
#include "command/cmds.h"
#include "introspect/events.h"
#include "introspect/expr.h"
#include "introspect/memory.h"
#include "introspect/regs.h"
#include "introspect/symbols.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOURCES_MAX 4096 /* a kernel has hundreds of modules */

static void list_sources(struct shell *sh, struct output *o)
{
	struct symbol_source *src = xalloc(SOURCES_MAX * sizeof *src);
	unsigned n = intro_symbol_sources(sh->s, src, SOURCES_MAX);
	out_table(o, "sources", ">id,level,kind,name,>symbols,low,high,lines");
	for (unsigned i = 0; i < n; i++) {
		out_u64(o, src[i].id);
		cmd_level_name(src[i].level, o);
		out_str(o, src[i].kind);
		out_str(o, src[i].name);
		out_grouped(o, src[i].symbols);
		out_hex(o, src[i].low);
		out_hex(o, src[i].high);
		out_bool(o, src[i].lines);
	}
	free(src);
}

bool cmd_symbols(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	struct place at = sh->focus;
	uint64_t v = 0;
	char path[512];
	if (!args_place(sh, a, &at, e))
		return false;
	if (!args_rest(a)) {
		list_sources(sh, o);
		return true;
	}
	if (args_take(a, "find")) {
		size_t n = intro_symbols_discover(sh->s, at, e);
		if (n)
			out_text(o, "%zu symbols found in l%u's memory", n, at.level);
		return n > 0;
	}
	if (args_take(a, "drop")) {
		if (!args_number(sh, a, &v, e))
			return false;
		return intro_symbols_drop(sh->s, (unsigned)v) ||
			err_set(e, ERR_GENERAL, "no symbol source %llu; symbols lists them",
				(unsigned long long)v);
	}
	bool elf = args_take(a, "elf");
	if (!args_next(a))
		return err_set(e, ERR_GENERAL, "a file name is missing");
	snprintf(path, sizeof path, "%s", a->word);
	if (elf) {
		if (!args_end(a, e) || !intro_symbols_write_elf(sh->s, at.level, path, e))
			return false;
		out_text(o, "written: %s", path);
		return true;
	}
	if ((args_rest(a) && !args_number(sh, a, &v, e)) || !args_end(a, e) ||
		!intro_symbols_load(sh->s, at.level, path, (int64_t)v, e))
		return false;
	list_sources(sh, o);
	return true;
}

bool cmd_sym(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	struct intro_address at;
	struct symbol y;
	if (!args_address(sh, a, &at, e) || !args_end(a, e))
		return false;
	if (!intro_symbol_at(sh->s, at.at, at.value, &y))
		return err_set(e, ERR_GENERAL, "no symbol covers 0x%llx in l%u; symbols lists what is "
			"loaded", (unsigned long long)at.value, at.at.level);
	out_values(o, NULL);
	out_key(o, "address");
	out_hex(o, at.value);
	out_key(o, "symbol");
	out_str(o, y.name);
	out_key(o, "offset");
	out_hex(o, at.value - y.address);
	out_key(o, "module");
	out_str(o, y.module);
	return true;
}

bool cmd_lines(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	struct intro_address at = {sh->focus, SPACE_VIRTUAL, 0};
	struct source_line line;
	const char *text = args_rest(a), *colon = text ? strrchr(text, ':') : NULL;
	if (!text && !intro_pc(sh->s, at.at, &at.value))
		return err_set(e, ERR_GENERAL, "the next instruction of this level is not known");
	if (colon && strchr(text, '.') && strspn(colon + 1, "0123456789") == strlen(colon + 1)) {
		if (!intro_line_find(sh->s, at.at, text, &at.value, e))
			return false;
	} else if (text && !args_address(sh, a, &at, e)) {
		return false;
	}
	if (!intro_line_at(sh->s, at.at, at.value, &line))
		return err_set(e, ERR_GENERAL, "no source line is known for 0x%llx; symbols FILE loads "
			"line tables", (unsigned long long)at.value);
	out_values(o, NULL);
	out_key(o, "file");
	out_str(o, line.file);
	out_key(o, "line");
	out_u64(o, line.line);
	out_key(o, "address");
	out_hex(o, line.address);
	out_key(o, "symbol");
	cmd_symbol(sh, at.at, at.value, o);
	return true;
}

bool cmd_modules(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	struct place at = sh->focus;
	struct intro_module m[256];
	struct err own = {0};
	if (!args_place(sh, a, &at, e) || !args_end(a, e))
		return false;
	size_t n = intro_modules(sh->s, at, m, 256, &own);
	if (!n && own.msg[0])
		return err_set(e, ERR_GENERAL, "%s", own.msg);
	out_table(o, "modules", "module,base,>size");
	for (size_t i = 0; i < n; i++) {
		out_str(o, m[i].name);
		out_hex(o, m[i].base);
		out_grouped(o, m[i].size);
	}
	return true;
}

bool cmd_events(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	if (!args_end(a, e))
		return false;
	out_table(o, "events", "event,available,heard,meaning");
	for (int k = 0; k < EVENT_KINDS; k++) {
		out_str(o, event_kind_name(k));
		out_bool(o, intro_event_available(sh->s, k));
		out_bool(o, intro_listening(sh->s, k));
		out_str(o, event_kind_help(k));
	}
	return true;
}

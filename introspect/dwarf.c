/* Line tables through libdwarf, flattened into one sorted array. */
#include "introspect/dwarf.h"

#include <dwarf.h>
#include <libdwarf.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX (8u << 20)

struct row {
	uint64_t address;
	uint32_t file, line; /* line 0: end of a sequence */
};

struct sym_lines {
	struct row *row; /* owned; by rising address */
	size_t rows, cap;
	char **file;     /* owned strings */
	size_t files;
};

static uint32_t file_index(struct sym_lines *l, const char *name)
{
	for (size_t i = l->files; i-- && i + 64 > l->files;)
		if (!strcmp(l->file[i], name))
			return (uint32_t)i;
	for (size_t i = 0; i < l->files; i++)
		if (!strcmp(l->file[i], name))
			return (uint32_t)i;
	l->file = xresize(l->file, (l->files + 1) * sizeof *l->file);
	l->file[l->files] = xstrdup(name);
	return (uint32_t)l->files++;
}

static void add_row(struct sym_lines *l, uint64_t address, uint32_t file, uint32_t line)
{
	if (l->rows >= ROWS_MAX)
		return;
	if (l->rows == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 4096;
		l->row = xresize(l->row, l->cap * sizeof *l->row);
	}
	l->row[l->rows++] = (struct row){address, file, line};
}

static void add_line(struct sym_lines *l, Dwarf_Debug d, Dwarf_Line line)
{
	Dwarf_Addr address = 0;
	Dwarf_Unsigned number = 0;
	Dwarf_Bool end = 0;
	char *name = NULL;
	Dwarf_Error err = NULL;
	if (dwarf_lineaddr(line, &address, &err) != DW_DLV_OK ||
		dwarf_lineno(line, &number, &err) != DW_DLV_OK)
		return;
	dwarf_lineendsequence(line, &end, &err);
	if (end || dwarf_linesrc(line, &name, &err) != DW_DLV_OK) {
		add_row(l, address, 0, 0);
		return;
	}
	add_row(l, address, file_index(l, name), (uint32_t)number);
	dwarf_dealloc(d, name, DW_DLA_STRING);
}

static void add_unit(struct sym_lines *l, Dwarf_Debug d, Dwarf_Die die)
{
	Dwarf_Unsigned version = 0;
	Dwarf_Small tables = 0;
	Dwarf_Line_Context context = NULL;
	Dwarf_Line *line = NULL;
	Dwarf_Signed n = 0;
	Dwarf_Error err = NULL;
	if (dwarf_srclines_b(die, &version, &tables, &context, &err) != DW_DLV_OK)
		return;
	if (dwarf_srclines_from_linecontext(context, &line, &n, &err) == DW_DLV_OK)
		for (Dwarf_Signed i = 0; i < n; i++)
			add_line(l, d, line[i]);
	dwarf_srclines_dealloc_b(context);
}

static int by_address(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	return (x->line != 0) - (y->line != 0); /* ends of sequences first */
}

struct sym_lines *dwarf_load(int fd)
{
	Dwarf_Debug d = NULL;
	Dwarf_Error err = NULL;
	if (dwarf_init_b(fd, DW_DLC_READ, DW_GROUPNUMBER_ANY, NULL, NULL, &d, &err) != DW_DLV_OK)
		return NULL;
	struct sym_lines *l = xalloc(sizeof *l);
	Dwarf_Unsigned length, abbrev, type_offset, next;
	Dwarf_Half version, address_size, offset_size, extension, header_type;
	Dwarf_Sig8 signature;
	while (dwarf_next_cu_header_d(d, 1, &length, &version, &abbrev, &address_size, &offset_size,
		       &extension, &signature, &type_offset, &next, &header_type, &err) == DW_DLV_OK) {
		Dwarf_Die die = NULL;
		if (dwarf_siblingof_b(d, NULL, 1, &die, &err) != DW_DLV_OK)
			continue;
		add_unit(l, d, die);
		dwarf_dealloc(d, die, DW_DLA_DIE);
	}
	dwarf_finish(d, &err);
	if (!l->rows) {
		dwarf_free(l);
		return NULL;
	}
	qsort(l->row, l->rows, sizeof *l->row, by_address);
	return l;
}

void dwarf_free(struct sym_lines *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->files; i++)
		free(l->file[i]);
	free(l->file);
	free(l->row);
	free(l);
}

bool dwarf_line_at(const struct sym_lines *l, uint64_t address, struct source_line *out)
{
	size_t lo = 0, hi = l->rows;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (l->row[mid].address <= address)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo || !l->row[lo - 1].line)
		return false;
	const struct row *r = &l->row[lo - 1];
	*out = (struct source_line){l->file[r->file], r->line, r->address};
	return true;
}

static bool ends_with(const char *path, const char *file, size_t len)
{
	size_t n = strlen(path);
	return n >= len && !strncmp(path + n - len, file, len) &&
		(n == len || path[n - len - 1] == '/');
}

bool dwarf_line_find(const struct sym_lines *l, const char *file, size_t len, unsigned line,
	uint64_t *address)
{
	unsigned best = 0;
	for (size_t i = 0; i < l->rows; i++) {
		const struct row *r = &l->row[i];
		if (r->line < line || (best && r->line >= best) || !ends_with(l->file[r->file], file, len))
			continue;
		best = r->line;
		*address = r->address;
	}
	return best != 0;
}

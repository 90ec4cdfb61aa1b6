/* DWARF line tables of one file; addresses as in the file. */
#ifndef INTROSPECT_DWARF_H
#define INTROSPECT_DWARF_H

#include "introspect/symbols.h"

struct sym_lines;

/* NULL when the file has none. Bounded in rows. */
struct sym_lines *dwarf_load(int fd);
void dwarf_free(struct sym_lines *l);
bool dwarf_line_at(const struct sym_lines *l, uint64_t address, struct source_line *out);
/* `file` (len characters) is the end of a path; the lowest address of the
 * line, or of the next one that has code. */
bool dwarf_line_find(const struct sym_lines *l, const char *file, size_t len, unsigned line,
	uint64_t *address);

#endif

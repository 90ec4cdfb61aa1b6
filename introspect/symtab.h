/* Symbol sources: sorted tables of addresses and names, one per file, kallsyms
 * table or module; for introspect/ alone. */
#ifndef INTROSPECT_SYMTAB_H
#define INTROSPECT_SYMTAB_H

#include "introspect/symbols.h"

struct sym_entry {
	uint64_t address; /* linear, bias applied */
	uint32_t size;    /* 0: not known */
	uint32_t name;    /* offset in the source's names */
	uint8_t function;
};

struct sym_lines; /* introspect/dwarf.c */

struct sym_source {
	unsigned id, level;
	char name[128];
	const char *kind; /* static */
	int64_t bias;
	struct sym_entry *sym; /* owned; by rising address after symtab_finish */
	size_t syms, cap;
	uint32_t *by_name;     /* owned; indexes by rising name */
	struct buf names;      /* NUL-terminated strings */
	uint64_t low, high;
	struct sym_lines *lines; /* owned; NULL: none */
};

struct symbols {
	struct sym_source **source; /* owned array of owned */
	unsigned sources, next;
	bool manual;                /* intro_symbols_auto(off) */
	uint64_t tried[INTRO_MAX_LEVELS];   /* clock before which no kernel is searched again */
	uint64_t modules[INTRO_MAX_LEVELS]; /* clock before which modules are not read again */
	uint64_t latest;                    /* clock of the last look-up that failed */
	bool busy;                          /* reading either now */
	struct btf *types[INTRO_MAX_LEVELS]; /* owned; of the kernel whose table is at ... */
	uint64_t types_at[INTRO_MAX_LEVELS];
};

struct sym_source *symtab_new(struct intro *s, unsigned level, const char *name, const char *kind);
/* Bounded: more than 4 M symbols or 256 MiB of names are dropped. */
void symtab_add(struct sym_source *src, uint64_t address, uint64_t size, const char *name,
	bool function);
/* Sorts, and hands the source to the session; returns its id. */
unsigned symtab_finish(struct intro *s, struct sym_source *src);
void symtab_free(struct sym_source *src);

#endif

/* What a Linux kernel in guest memory says about itself: types (BTF) and
 * modules; for introspect/ alone. */
#ifndef INTROSPECT_KERNEL_H
#define INTROSPECT_KERNEL_H

#include "introspect/symbols.h"

/* Types of the level's kernel, read from its .BTF section in memory and kept
 * by the session. NULL and *e: there are none. */
struct btf;
const struct btf *btf_of(struct intro *s, struct place at, struct err *e);
void btf_free(struct btf *b);
/* The byte offset of a member ("list", or "core_layout.base" through nested
 * structs and unions); false: no such struct or member. */
bool btf_offset(const struct btf *b, const char *type, const char *member, uint32_t *offset);
/* Size of a struct; 0: unknown. */
uint32_t btf_size(const struct btf *b, const char *type);

/* Adds a source per module, from the modules' own symbol tables; returns how
 * many symbols. */
size_t kernel_module_symbols(struct intro *s, struct place at);

/* ORC tables (introspect/orc.h). */
struct orc_table {
	uint64_t low, high; /* of the code, inclusive */
	uint64_t ip, entry; /* addresses of the two tables */
	uint64_t count;     /* of their entries */
};
/* Calls for the tables of every module, until fn says no. */
void kernel_each_orc(struct intro *s, struct place at,
	bool (*fn)(void *ctx, const struct orc_table *t), void *ctx);
/* Those of the module whose code pc lies in; false: no module's, or it has none. */
bool kernel_module_orc(struct intro *s, struct place at, uint64_t pc, struct orc_table *out);

#endif

/* What a Linux kernel in guest memory says about itself: types (BTF) and
 * modules; for introspect/ alone. */
#ifndef INTROSPECT_KERNEL_H
#define INTROSPECT_KERNEL_H

#include "introspect/symbols.h"

/* Types of the kernel, read from its .BTF section in memory. */
struct btf;
struct btf *btf_read(struct intro *s, struct place at);
void btf_free(struct btf *b);
/* The byte offset of a member ("list", or "core_layout.base" through nested
 * structs and unions); false: no such struct or member. */
bool btf_offset(const struct btf *b, const char *type, const char *member, uint32_t *offset);
/* Size of a struct; 0: unknown. */
uint32_t btf_size(const struct btf *b, const char *type);

/* Adds a source per module, from the modules' own symbol tables; returns how
 * many symbols. */
size_t kernel_module_symbols(struct intro *s, struct place at);

#endif

/* DWARF call frame information from a Linux kernel's ORC tables, so that a
 * debugger that knows DWARF alone unwinds the kernel and its modules; for
 * introspect/ alone.
 */
#ifndef INTROSPECT_CFI_H
#define INTROSPECT_CFI_H

#include "introspect/session.h"

/* Appends a .debug_frame section; nothing where the level has no tables. */
void cfi_from_orc(struct intro *s, struct place at, struct buf *out);

#endif

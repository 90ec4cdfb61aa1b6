/* The kernel's own symbol table in guest memory. */
#include "introspect/private.h"
#include "introspect/symtab.h"

size_t intro_symbols_discover(struct intro *s, struct place at, struct err *e)
{
	if (!intro_check(s, at, e))
		return 0;
	err_set(e, ERR_GENERAL, "no Linux kernel's symbol table was found in this level's memory");
	return 0;
}

size_t intro_modules(
	struct intro *s, struct place at, struct intro_module *out, size_t max, struct err *e)
{
	(void)out;
	(void)max;
	if (intro_check(s, at, e))
		err_set(e, ERR_GENERAL, "this level's kernel has no module list that is known");
	return 0;
}

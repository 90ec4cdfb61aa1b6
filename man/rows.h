/* Manual sections as rows: what an options, commands, keys, ... section lists.
 *
 * A section is a name and a function that gives its i-th row from the tables
 * that the program itself is made of. man/expand.c writes them as mdoc,
 * man/complete.c as shell completion, `tables --names` as plain names that
 * tests/docs/manuals looks for in the rendered pages.
 *
 * To add a section: a function in man/rows.c, a row in `sections` there, and
 * a line `.\" % NAME` in a page.
 */
#ifndef MAN_ROWS_H
#define MAN_ROWS_H

#include <stdbool.h>
#include <stddef.h>

/* Strings live as long as the program. NULL: there is none. */
struct row {
	const char *group; /* rows of one group stand together, under this title */
	const char *name;  /* as the user types it, without dashes */
	const char *args;
	const char *text;  /* a sentence */
	const char *more;  /* a paragraph */
	bool many;         /* may be given again */
};

struct section {
	const char *name;
	const char *macro; /* mdoc's macro for the name: Fl, Ic, Cm, Dv */
	bool (*row)(unsigned i, struct row *r); /* false past the end */
};

/* NULL when there is no such section; the i-th one, NULL past the end. */
const struct section *section_find(const char *name, size_t len);
const struct section *section_at(unsigned i);

/* Bash, zsh or fish completion on stdout; false: no such shell. */
bool complete_print(const char *shell);

#endif

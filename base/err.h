/* Host errors: filled where they happen, printed by app/ alone.
 *
 * A function that can fail for a host reason takes a `struct err *` and
 * returns false (or NULL); the message says what was wrong and what would be
 * right, in one line without a newline. Guest faults and VM exits are not
 * errors: they are results.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>

/* The exit status that the error asks for (see nestscope(1)). */
enum err_status { ERR_NONE = 0, ERR_USAGE = 2, ERR_FILE = 4, ERR_GENERAL = 1 };

struct err {
	enum err_status status;
	char msg[512];
};

/* Fills *e (when not NULL) and returns false, so that callers can
 * `return err_set(...)`. The first error wins: a filled *e is kept. */
bool err_set(struct err *e, enum err_status status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Like err_set, with strerror(errno) appended. */
bool err_errno(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif

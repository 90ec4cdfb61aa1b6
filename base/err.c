#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool err_set(struct err *e, enum err_status status, const char *fmt, ...)
{
	if (!e || e->status != ERR_NONE)
		return false;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	e->status = status;
	return false;
}

bool err_errno(struct err *e, const char *fmt, ...)
{
	int saved = errno;
	if (!e || e->status != ERR_NONE)
		return false;
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(e->msg))
		snprintf(e->msg + n, sizeof(e->msg) - (size_t)n, ": %s", strerror(saved));
	e->status = ERR_FILE;
	return false;
}

/* A growing byte buffer, NUL-terminated after every call, so that buf->data
 * is a C string while it holds text. Allocation failure aborts: sizes that a
 * guest or a packet controls are bounded by the caller first.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data; /* owned; NULL while empty and untouched */
	size_t len; /* bytes in use, without the final NUL */
	size_t cap;
};

void buf_done(struct buf *b);
void buf_clear(struct buf *b); /* len = 0, memory kept */
void buf_add(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, const char *s);
void buf_char(struct buf *b, char c);
void buf_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vfmt(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
void buf_hex(struct buf *b, const void *p, size_t n); /* lower-case hex digits */
void buf_eat(struct buf *b, size_t n);                /* drops the first n bytes */

/* malloc, calloc and realloc that abort on failure. */
void *xalloc(size_t n);  /* zeroed */
void *xresize(void *p, size_t n);
char *xstrdup(const char *s);

#endif

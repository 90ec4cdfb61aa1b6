#include "base/log.h"

#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct log {
	struct log_line *ring;
	size_t cap, total; /* total ever written */
	void (*sink)(void *, const struct log_line *);
	void *sink_ctx;
	const uint64_t *now;
};

struct log *log_new(size_t lines)
{
	struct log *l = xalloc(sizeof(*l));
	l->cap = lines ? lines : 1;
	l->ring = xalloc(l->cap * sizeof(*l->ring));
	return l;
}

void log_free(struct log *l)
{
	if (!l)
		return;
	free(l->ring);
	free(l);
}

void log_sink(struct log *l, void (*fn)(void *, const struct log_line *), void *ctx)
{
	l->sink = fn;
	l->sink_ctx = ctx;
}

void log_clock(struct log *l, const uint64_t *now)
{
	l->now = now;
}

size_t log_count(const struct log *l)
{
	return l->total < l->cap ? l->total : l->cap;
}

const struct log_line *log_at(const struct log *l, size_t i)
{
	size_t n = log_count(l);
	if (i >= n)
		return NULL;
	return &l->ring[(l->total - n + i) % l->cap];
}

static void add(struct log *l, enum log_level level, const char *topic, uint64_t key,
	const char *fmt, va_list ap)
{
	struct log_line *line = &l->ring[l->total++ % l->cap];
	line->clock = l->now ? *l->now : 0;
	line->level = level;
	line->topic = topic;
	line->key = key;
	line->count = 1;
	vsnprintf(line->text, sizeof(line->text), fmt, ap);
	if (l->sink)
		l->sink(l->sink_ctx, line);
}

void log_say(struct log *l, enum log_level level, const char *topic, const char *fmt, ...)
{
	if (!l)
		return;
	va_list ap;
	va_start(ap, fmt);
	add(l, level, topic, UINT64_MAX, fmt, ap);
	va_end(ap);
}

void log_once(struct log *l, enum log_level level, const char *topic, uint64_t key, const char *fmt,
	...)
{
	if (!l)
		return;
	for (size_t i = log_count(l); i-- > 0;) {
		struct log_line *line = (struct log_line *)log_at(l, i);
		if (line->key == key && line->topic == topic) {
			line->count++;
			return;
		}
	}
	va_list ap;
	va_start(ap, fmt);
	add(l, level, topic, key, fmt, ap);
	va_end(ap);
}

/* The session's log: a bounded ring of lines with a level and a topic, plus
 * one optional sink (app/ prints, the TUI's log panel reads the ring).
 * Repeated complaints (an unknown MSR, an unknown opcode) are counted by key
 * and shown once with their count.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_line {
	uint64_t clock; /* virtual time in ns when it was said */
	enum log_level level;
	const char *topic; /* static string: "msr", "vmx", "loader" ... */
	uint64_t key;      /* with log_once: what is counted */
	uint64_t count;    /* how often, at least 1 */
	char text[192];
};

struct log;

struct log *log_new(size_t lines);
void log_free(struct log *l);

/* Called for every first occurrence; may be NULL. */
void log_sink(struct log *l, void (*fn)(void *ctx, const struct log_line *line), void *ctx);

/* The clock that stamps lines; may be NULL (stamps are 0). */
void log_clock(struct log *l, const uint64_t *now);

void log_say(struct log *l, enum log_level level, const char *topic, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* One line for (topic, key) however often it is said; the count moves. */
void log_once(struct log *l, enum log_level level, const char *topic, uint64_t key, const char *fmt,
	...) __attribute__((format(printf, 5, 6)));

/* Lines from the oldest kept (0) to the newest; NULL past the end. */
const struct log_line *log_at(const struct log *l, size_t i);
size_t log_count(const struct log *l);

#endif

/* The session's log. */
#include "tui/view.h"

static void fill(struct view *v, struct lines *l, int width)
{
	static const char *const level[] = {"debug", "info", "warn", "error"};
	static const uint32_t colour[] = {COLOUR_DIM, COLOUR_DEFAULT, COLOUR_WARN, COLOUR_BAD};
	struct log *log = intro_log(v->s);
	size_t n = log_count(log);
	(void)width;
	for (size_t i = 0; i < n; i++) {
		const struct log_line *line = log_at(log, i);
		lines_row(l, i);
		lines_add(l, COLOUR_DIM, "%14.6f ", (double)line->clock / 1e9);
		lines_add(l, colour[line->level], "%-5s %-8s ", level[line->level], line->topic);
		lines_add(l, COLOUR_DEFAULT, "%s", line->text);
		if (line->count > 1)
			lines_add(l, COLOUR_NUMBER, "  %llu times", (unsigned long long)line->count);
	}
	if (!n)
		lines_head(l, "nothing was logged");
}

static void open_view(struct view *v)
{
	v->list.follow = true;
}

const struct view_ops view_events = {.name = "events", .title = "Log",
	.help = "what the machine and its levels complained about", .open = open_view, .fill = fill};

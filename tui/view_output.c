/* What the last command said. */
#include "tui/view.h"

#include <string.h>

static void fill(struct view *v, struct lines *l, int width)
{
	const struct buf *out = tui_output(v->t);
	const char *p = out->data;
	(void)width;
	while (p && *p) {
		const char *end = strchr(p, '\n');
		int n = end ? (int)(end - p) : (int)strlen(p);
		lines_row(l, l->count);
		lines_add(l, COLOUR_DEFAULT, "%.*s", n, p);
		p += n + (end != NULL);
	}
	if (!l->count)
		lines_head(l, "no command yet; : asks for one");
}

const struct view_ops view_output = {.name = "output", .title = "Output",
	.help = "what the last command said", .fill = fill};

/* Keys and panels, from the tables. */
#include "tui/view.h"

static void fill(struct view *v, struct lines *l, int width)
{
	(void)width;
	tui_help_rows(v->t, l);
}

const struct view_ops view_help = {.name = "help", .title = "Help",
	.help = "every key and every panel", .fill = fill};

/* The call stack of the place, and how each frame was found. */
#include "tui/view.h"

#include "introspect/symbols.h"

#include <string.h>

#define FRAMES 64

static void fill(struct view *v, struct lines *l, int width)
{
	struct place at = tui_place(v->t);
	struct frame f[FRAMES];
	size_t n = intro_backtrace(v->s, at, f, FRAMES);
	(void)width;
	for (size_t i = 0; i < n; i++) {
		struct buf b = {0};
		struct source_line line;
		bool sure = strcmp(f[i].how, "scan");
		intro_symbol_print(v->s, at, f[i].pc, &b);
		lines_row(l, f[i].pc);
		lines_add(l, COLOUR_NUMBER, "%3zu  ", i);
		lines_add(l, COLOUR_ADDRESS, "%016llx  ", (unsigned long long)f[i].pc);
		lines_add(l, sure ? COLOUR_SYMBOL : COLOUR_DIM, "%s", b.data);
		/* a return address names the call before it */
		if (intro_line_at(v->s, at, f[i].pc - (i ? 1 : 0), &line))
			lines_add(l, COLOUR_DIM, "  %s:%u", line.file, line.line);
		lines_add(l, sure ? COLOUR_DIM : COLOUR_WARN, "  %s", f[i].how);
		buf_done(&b);
	}
	if (!n)
		lines_head(l, "registers of this place are unavailable");
}

static bool act(struct view *v, enum action a)
{
	struct view *code = a == ACT_OPEN && v->list.ref ? tui_show(v->t, "code") : NULL;
	if (!code)
		return false;
	code->has_address = true;
	code->address = (struct intro_address){tui_place(v->t), SPACE_VIRTUAL, v->list.ref};
	return true;
}

const struct view_ops view_frames = {.name = "frames", .title = "Frames",
	.help = "the call stack, by ORC tables, frame pointers or a scan; Enter shows a frame's code",
	.fill = fill, .act = act};

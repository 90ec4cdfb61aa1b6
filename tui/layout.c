/* Where the panes go. */
#include "tui/frame.h"

#include <string.h>

enum shape { SHAPE_TWO, SHAPE_WIDE_TOP, SHAPE_QUAD };

static const struct layout {
	enum action action;
	enum shape shape;
	const char *view[TUI_PANES];
} layouts[] = {
	{ACT_LAYOUT_STORM, SHAPE_WIDE_TOP, {"exits", "stack", "timeline"}},
	{ACT_LAYOUT_ENTRY, SHAPE_WIDE_TOP, {"vmcs", "code", "regs"}},
	{ACT_LAYOUT_EPT, SHAPE_WIDE_TOP, {"walk", "ept", "memory"}},
	{ACT_LAYOUT_CODE, SHAPE_QUAD, {"code", "regs", "memory", "stack"}},
	{ACT_LAYOUT_CONSOLE, SHAPE_TWO, {"console", "stack"}},
};

static unsigned index_of(const struct tui *t, const char *name)
{
	for (unsigned i = 0; i < t->views; i++)
		if (!strcmp(t->view[i].ops->name, name))
			return i;
	return 0;
}

void layout_set(struct tui *t, enum action which)
{
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		const struct layout *lay = &layouts[i];
		if (lay->action != which)
			continue;
		t->shape = lay->shape;
		t->panes = 0;
		while (t->panes < TUI_PANES && lay->view[t->panes]) {
			t->pane[t->panes] = index_of(t, lay->view[t->panes]);
			t->panes++;
		}
		t->focus = 0;
		t->zoom = false;
	}
}

/* One pane has at least 12 rows and 40 columns, or it is alone. */
void layout_place(struct tui *t, int w, int h)
{
	int half = h / 2, left = w / 2, top = h * 11 / 20;
	memset(t->rect, 0, sizeof(t->rect));
	if (t->zoom || t->panes == 1 || h < 16 || w < 40) {
		t->rect[t->focus] = (struct rect){0, 0, w, h};
		return;
	}
	if (w < 100 || t->shape == SHAPE_TWO) { /* one above the other: focus and one more */
		unsigned other = t->focus ? 0 : 1;
		unsigned first = t->focus < other ? t->focus : other;
		unsigned second = first == other ? t->focus : other;
		t->rect[first] = (struct rect){0, 0, w, top};
		t->rect[second] = (struct rect){0, top, w, h - top};
		return;
	}
	switch (t->shape) {
	case SHAPE_WIDE_TOP:
		t->rect[0] = (struct rect){0, 0, w, top};
		t->rect[1] = (struct rect){0, top, left, h - top};
		t->rect[2] = (struct rect){left, top, w - left, h - top};
		break;
	default:
		t->rect[0] = (struct rect){0, 0, left, half};
		t->rect[1] = (struct rect){left, 0, w - left, half};
		t->rect[2] = (struct rect){0, half, left, h - half};
		t->rect[3] = (struct rect){left, half, w - left, h - half};
		break;
	}
}

/* Registers of the place; what changed since the last stop stands out. */
#include "tui/view.h"

#include "introspect/regs.h"
#include "introspect/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct own {
	struct place at;
	uint64_t generation;
	struct reg_value now[R_COUNT], before[R_COUNT];
};

static void open_view(struct view *v)
{
	v->own = xalloc(sizeof(struct own));
}
static void close_view(struct view *v)
{
	free(v->own);
}

/* Reads again when the machine moved; `before` is what was shown then. */
static void refresh(struct view *v)
{
	struct own *o = v->own;
	struct place at = tui_place(v->t);
	uint64_t generation = intro_generation(v->s);
	bool moved = at.level != o->at.level || at.vcpu != o->at.vcpu;
	if (!moved && generation == o->generation)
		return;
	memcpy(o->before, o->now, sizeof(o->now));
	for (enum reg_id id = 0; id < R_COUNT; id++)
		if (!intro_reg(v->s, at, id, &o->now[id]))
			o->now[id].available = false;
	if (moved || !o->generation)
		memcpy(o->before, o->now, sizeof(o->now));
	o->at = at;
	o->generation = generation;
}

static void value(struct lines *l, const struct own *o, enum reg_id id)
{
	const struct reg_value *r = &o->now[id];
	char text[40] = "unavailable";
	if (r->available) {
		for (unsigned i = 0; i < r->size; i++)
			snprintf(text + 2 * i, 3, "%02x", r->bytes[r->size - 1 - i]);
	}
	bool changed = memcmp(r, &o->before[id], sizeof(*r)) != 0;
	lines_add(l, COLOUR_TITLE, "%-10s", reg_info(id)->name);
	lines_add(l, !r->available ? COLOUR_DIM : changed ? COLOUR_CHANGED : COLOUR_NUMBER, "%s",
		text);
}

static void fill(struct view *v, struct lines *l, int width)
{
	struct own *o = v->own;
	refresh(v);
	int column = 0, wide = 28;
	enum reg_group group = REG_GROUPS;
	for (enum reg_id id = 0; id < R_COUNT; id++) {
		const struct reg_info *r = reg_info(id);
		if (v->mode % 2 == 0 && (r->group == REG_GROUP_X87 || r->group == REG_GROUP_SSE ||
						r->group == REG_GROUP_AVX))
			continue;
		if (r->group != group) {
			lines_head(l, reg_group_name(r->group));
			group = r->group;
			wide = r->bits > 64 ? 44 : 28;
			column = 0;
		}
		if (column == 0 || column + wide > width) {
			lines_row(l, id);
			column = 0;
		} else {
			lines_pad(l, column);
		}
		value(l, o, id);
		column += wide;
		uint64_t n = 0;
		struct buf b = {0};
		if (o->now[id].available && o->now[id].size <= 8) {
			memcpy(&n, o->now[id].bytes, o->now[id].size);
			reg_decode(id, n, &b);
		}
		if (b.len) {
			lines_add(l, COLOUR_DIM, "  %s", b.data);
			column = width + 1;
		}
		buf_done(&b);
	}
}

static bool act(struct view *v, enum action a)
{
	if (a == ACT_MODE) {
		v->mode++;
		return true;
	}
	if (a == ACT_EDIT) {
		tui_ask(v->t, v, a, "register = value", "");
		return true;
	}
	return false;
}

static bool enter(struct view *v, enum action asked, const char *text, struct err *e)
{
	char name[32];
	char *end;
	const char *eq = strchr(text, '=');
	(void)asked;
	if (!eq || sscanf(text, " %31[a-z0-9_]", name) != 1)
		return err_set(e, ERR_USAGE, "wants REGISTER = VALUE, for example rax = 0x10");
	enum reg_id id = reg_find(name);
	if (id == R_COUNT)
		return err_set(e, ERR_USAGE, "there is no register '%s'", name);
	uint64_t n = strtoull(eq + 1, &end, 0);
	if (end == eq + 1)
		return err_set(e, ERR_USAGE, "'%s' is no number", eq + 1);
	return intro_set_reg_u64(v->s, tui_place(v->t), id, n, e);
}

const struct view_ops view_regs = {.name = "regs", .title = "Registers",
	.help = "registers of the place; m shows vector registers too, e sets one",
	.open = open_view, .close = close_view, .fill = fill, .act = act, .enter = enter};

/* Documents for humans. */
#include "command/output_model.h"

#include <string.h>

/* --- for humans -------------------------------------------------------------- */

static void pad(struct buf *out, size_t n)
{
	static const char blanks[] = "                                                                ";
	for (; n >= sizeof blanks; n -= sizeof blanks - 1)
		buf_add(out, blanks, sizeof blanks - 1);
	buf_add(out, blanks, n);
}

static void trim(struct buf *out)
{
	while (out->len && out->data[out->len - 1] == ' ')
		out->data[--out->len] = 0;
	buf_char(out, '\n');
}

static void human_cell(const struct column *c, const char *text, size_t len, struct buf *out, bool *first)
{
	if (c->hidden)
		return;
	size_t w = text_width(text, len), room = c->width > w ? c->width - w : 0;
	if (!*first)
		buf_add(out, "  ", 2);
	*first = false;
	if (c->right)
		pad(out, room);
	buf_add(out, text, len);
	if (!c->right)
		pad(out, room);
}

void human_heading(const struct part *p, struct buf *out)
{
	bool first = true;
	for (size_t c = 0; c < p->columns; c++)
		human_cell(&p->column[c], p->column[c].name, strlen(p->column[c].name), out, &first);
	trim(out);
}

void human_rows(const struct part *p, struct buf *out)
{
	for (size_t i = 0; i + p->columns <= p->cells && p->columns; i += p->columns) {
		bool first = true;
		for (size_t c = 0; c < p->columns; c++) {
			const struct cell *cell = &p->cell[i + c];
			human_cell(&p->column[c], p->cells_text.data + cell->at, cell->len, out, &first);
		}
		trim(out);
	}
}

static const char *key_of(const struct part *p, const struct cell *c)
{
	return c->key ? p->cells_text.data + c->key - 1 : "";
}

#define LINE_MAX 100

/* A value of many words goes on below itself. */
static void human_value(const char *text, size_t indent, struct buf *out)
{
	size_t room = indent < LINE_MAX / 2 ? LINE_MAX - indent : LINE_MAX / 2;
	for (;;) {
		size_t n = strlen(text), end = 0;
		if (text_width(text, n) <= room)
			break;
		for (size_t i = 0; i < n && (!end || text_width(text, i) <= room); i++)
			end = text[i] == ' ' ? i : end;
		if (!end)
			break;
		buf_add(out, text, end);
		trim(out);
		pad(out, indent);
		text += end + 1;
	}
	buf_str(out, text);
	trim(out);
}

static void human_values(const struct part *p, struct buf *out)
{
	size_t w = 0;
	for (size_t i = 0; i < p->cells; i++) {
		const char *key = key_of(p, &p->cell[i]);
		size_t n = text_width(key, strlen(key));
		w = n > w ? n : w;
	}
	for (size_t i = 0; i < p->cells; i++) {
		const char *key = key_of(p, &p->cell[i]);
		buf_str(out, key);
		pad(out, w - text_width(key, strlen(key)) + 2);
		human_value(p->cells_text.data + p->cell[i].at, w + 2, out);
	}
}

/* Is there a later node at this depth before one that is nearer the root? */
static bool has_sibling(const struct part *p, size_t i, unsigned depth)
{
	for (size_t k = i + 1; k < p->nodes; k++) {
		if (p->node[k].depth < depth)
			return false;
		if (p->node[k].depth == depth)
			return true;
	}
	return false;
}

static void human_tree(const struct part *p, struct buf *out)
{
	for (size_t i = 0; i < p->nodes; i++) {
		for (unsigned d = 1; d < p->node[i].depth; d++)
			buf_str(out, has_sibling(p, i, d) ? "│  " : "   ");
		if (p->node[i].depth)
			buf_str(out, has_sibling(p, i, p->node[i].depth) ? "├─ " : "└─ ");
		buf_str(out, p->node[i].text);
		buf_char(out, '\n');
	}
}

void human_part(const struct part *p, struct buf *out)
{
	switch (p->kind) {
	case PART_TEXT:
		buf_str(out, p->text);
		buf_char(out, '\n');
		break;
	case PART_GAP:
		buf_char(out, '\n');
		break;
	case PART_RAW:
		buf_add(out, p->text, p->len);
		if (p->len && p->text[p->len - 1] != '\n')
			buf_char(out, '\n');
		break;
	case PART_TABLE:
		human_heading(p, out);
		human_rows(p, out);
		break;
	case PART_VALUES:
		human_values(p, out);
		break;
	case PART_TREE:
		human_tree(p, out);
	}
}

void output_human(const struct output *o, struct buf *out)
{
	if (o->error)
		buf_fmt(out, "error: %s\n", o->error);
	for (size_t i = 0; i < o->parts && !o->error; i++)
		human_part(&o->part[i], out);
}

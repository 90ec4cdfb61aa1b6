#include "command/output.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum part_kind { PART_TEXT, PART_GAP, PART_TABLE, PART_VALUES, PART_TREE, PART_RAW };
enum cell_kind { CELL_STR, CELL_INT, CELL_BOOL, CELL_NONE };

struct cell {
	enum cell_kind kind;
	char *text; /* owned; for humans, and JSON strings */
	char *key;  /* owned; key-values and tree attributes */
	uint64_t value;
	int node;   /* trees: which node it belongs to */
};

struct column {
	char *name; /* owned */
	bool right, hidden;
};

struct node {
	unsigned depth;
	char *text; /* owned */
};

struct part {
	enum part_kind kind;
	char *name; /* owned; may be NULL */
	char *text; /* owned; PART_TEXT, PART_RAW */
	size_t len;
	struct column *column;
	size_t columns;
	struct cell *cell;
	size_t cells, cells_cap;
	struct node *node;
	size_t nodes, nodes_cap;
};

struct output {
	struct part *part; /* owned */
	size_t parts;
	char *key;         /* owned; waits for its cell */
	char *error;       /* owned */
};

struct output *output_new(void)
{
	return xalloc(sizeof(struct output));
}

static void part_done(struct part *p)
{
	for (size_t i = 0; i < p->columns; i++)
		free(p->column[i].name);
	for (size_t i = 0; i < p->cells; i++) {
		free(p->cell[i].text);
		free(p->cell[i].key);
	}
	for (size_t i = 0; i < p->nodes; i++)
		free(p->node[i].text);
	free(p->column);
	free(p->cell);
	free(p->node);
	free(p->name);
	free(p->text);
}

void output_clear(struct output *o)
{
	for (size_t i = 0; i < o->parts; i++)
		part_done(&o->part[i]);
	free(o->part);
	free(o->key);
	free(o->error);
	memset(o, 0, sizeof *o);
}

void output_free(struct output *o)
{
	if (!o)
		return;
	output_clear(o);
	free(o);
}

bool output_empty(const struct output *o)
{
	return !o->parts && !o->error;
}

static struct part *open_part(struct output *o, enum part_kind kind, const char *name)
{
	o->part = xresize(o->part, (o->parts + 1) * sizeof *o->part);
	struct part *p = &o->part[o->parts++];
	*p = (struct part){.kind = kind, .name = name ? xstrdup(name) : NULL};
	return p;
}

static char *vtext(const char *fmt, va_list ap)
{
	struct buf b = {0};
	buf_vfmt(&b, fmt, ap);
	return b.data ? b.data : xstrdup("");
}

void out_text(struct output *o, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	open_part(o, PART_TEXT, NULL)->text = vtext(fmt, ap);
	va_end(ap);
}

void out_gap(struct output *o)
{
	open_part(o, PART_GAP, NULL);
}

void out_raw(struct output *o, const char *name, const char *text, size_t len)
{
	struct part *p = open_part(o, PART_RAW, name);
	p->text = xalloc(len + 1);
	memcpy(p->text, text, len);
	p->len = len;
}

void out_table(struct output *o, const char *name, const char *columns)
{
	struct part *p = open_part(o, PART_TABLE, name);
	while (*columns) {
		struct column c = {0};
		for (; *columns == '>' || *columns == '.'; columns++)
			*(*columns == '>' ? &c.right : &c.hidden) = true;
		size_t n = strcspn(columns, ",");
		c.name = xalloc(n + 1);
		memcpy(c.name, columns, n);
		p->column = xresize(p->column, (p->columns + 1) * sizeof *p->column);
		p->column[p->columns++] = c;
		columns += n + (columns[n] == ',');
	}
}

void out_values(struct output *o, const char *name)
{
	open_part(o, PART_VALUES, name);
}

void out_key(struct output *o, const char *key)
{
	free(o->key);
	o->key = xstrdup(key);
}

void out_tree(struct output *o, const char *name)
{
	open_part(o, PART_TREE, name);
}

void out_node(struct output *o, unsigned depth, const char *fmt, ...)
{
	struct part *p = &o->part[o->parts - 1];
	va_list ap;
	if (p->nodes == p->nodes_cap) {
		p->nodes_cap = p->nodes_cap ? 2 * p->nodes_cap : 16;
		p->node = xresize(p->node, p->nodes_cap * sizeof *p->node);
	}
	va_start(ap, fmt);
	p->node[p->nodes++] = (struct node){depth, vtext(fmt, ap)};
	va_end(ap);
}

static void add_cell(struct output *o, enum cell_kind kind, uint64_t value, char *text)
{
	struct part *p = &o->part[o->parts - 1];
	if (p->cells == p->cells_cap) {
		p->cells_cap = p->cells_cap ? 2 * p->cells_cap : 16;
		p->cell = xresize(p->cell, p->cells_cap * sizeof *p->cell);
	}
	p->cell[p->cells++] = (struct cell){kind, text, o->key, value, (int)p->nodes - 1};
	o->key = NULL;
}

void out_str(struct output *o, const char *s)
{
	if (s)
		add_cell(o, CELL_STR, 0, xstrdup(s));
	else
		out_none(o);
}

void out_fmt(struct output *o, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	add_cell(o, CELL_STR, 0, vtext(fmt, ap));
	va_end(ap);
}

void out_u64(struct output *o, uint64_t v)
{
	char t[24];
	snprintf(t, sizeof t, "%llu", (unsigned long long)v);
	add_cell(o, CELL_INT, v, xstrdup(t));
}

void out_grouped(struct output *o, uint64_t v)
{
	char digits[24], t[32];
	int n = snprintf(digits, sizeof digits, "%llu", (unsigned long long)v), k = 0;
	for (int i = 0; i < n; i++) {
		t[k++] = digits[i];
		if ((n - 1 - i) % 3 == 0 && i != n - 1)
			t[k++] = ',';
	}
	t[k] = 0;
	add_cell(o, CELL_INT, v, xstrdup(t));
}

void out_hex(struct output *o, uint64_t v)
{
	out_fmt(o, "0x%llx", (unsigned long long)v);
}

void out_hexw(struct output *o, uint64_t v, unsigned bytes)
{
	out_fmt(o, "0x%0*llx", (int)bytes * 2, (unsigned long long)v);
}

void out_bool(struct output *o, bool v)
{
	add_cell(o, CELL_BOOL, v, xstrdup(v ? "yes" : "no"));
}

void out_none(struct output *o)
{
	add_cell(o, CELL_NONE, 0, xstrdup("-"));
}

void out_error(struct output *o, const char *message)
{
	free(o->error);
	o->error = xstrdup(message);
}

const char *output_error_text(const struct output *o)
{
	return o->error;
}

/* --- for humans -------------------------------------------------------------- */

/* Columns of the screen that UTF-8 text takes, near enough for alignment. */
static size_t width(const char *s)
{
	size_t n = 0;
	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static void pad(struct buf *out, size_t n)
{
	while (n--)
		buf_char(out, ' ');
}

static void trim(struct buf *out)
{
	while (out->len && out->data[out->len - 1] == ' ')
		out->data[--out->len] = 0;
	buf_char(out, '\n');
}

static void human_cell(const struct part *p, size_t c, const char *text, const size_t *w,
	struct buf *out, bool *first)
{
	size_t n = width(text);
	if (p->column[c].hidden)
		return;
	if (!*first)
		buf_str(out, "  ");
	*first = false;
	if (p->column[c].right)
		pad(out, w[c] - n);
	buf_str(out, text);
	if (!p->column[c].right)
		pad(out, w[c] - n);
}

static void human_table(const struct part *p, struct buf *out)
{
	size_t *w = xalloc(p->columns * sizeof *w), rows = p->cells / p->columns;
	bool first = true;
	for (size_t c = 0; c < p->columns; c++) {
		w[c] = width(p->column[c].name);
		for (size_t r = 0; r < rows; r++) {
			size_t n = width(p->cell[r * p->columns + c].text);
			w[c] = n > w[c] ? n : w[c];
		}
	}
	for (size_t c = 0; c < p->columns; c++)
		human_cell(p, c, p->column[c].name, w, out, &first);
	trim(out);
	for (size_t r = 0; r < rows; r++) {
		first = true;
		for (size_t c = 0; c < p->columns; c++)
			human_cell(p, c, p->cell[r * p->columns + c].text, w, out, &first);
		trim(out);
	}
	free(w);
}

static void human_values(const struct part *p, struct buf *out)
{
	size_t w = 0;
	for (size_t i = 0; i < p->cells; i++)
		w = p->cell[i].key && width(p->cell[i].key) > w ? width(p->cell[i].key) : w;
	for (size_t i = 0; i < p->cells; i++) {
		const char *key = p->cell[i].key ? p->cell[i].key : "";
		buf_str(out, key);
		pad(out, w - width(key) + 2);
		buf_str(out, p->cell[i].text);
		trim(out);
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

void output_human(const struct output *o, struct buf *out)
{
	if (o->error) {
		buf_fmt(out, "error: %s\n", o->error);
		return;
	}
	for (size_t i = 0; i < o->parts; i++) {
		const struct part *p = &o->part[i];
		switch (p->kind) {
		case PART_TEXT:
			buf_fmt(out, "%s\n", p->text);
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
			human_table(p, out);
			break;
		case PART_VALUES:
			human_values(p, out);
			break;
		case PART_TREE:
			human_tree(p, out);
		}
	}
}

/* --- JSON -------------------------------------------------------------------- */

/* Guest bytes may be no UTF-8: then each byte is taken as Latin-1. */
static json_t *json_text(const char *s, size_t len)
{
	json_t *j = json_stringn(s, len);
	struct buf b = {0};
	if (j)
		return j;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		if (c < 0x80)
			buf_char(&b, (char)c);
		else
			buf_fmt(&b, "%c%c", 0xc0 | c >> 6, 0x80 | (c & 0x3f));
	}
	j = json_stringn(b.data ? b.data : "", b.len);
	buf_done(&b);
	return j;
}

static json_t *json_cell(const struct cell *c)
{
	switch (c->kind) {
	case CELL_INT:
		return c->value <= INT64_MAX ? json_integer((json_int_t)c->value) :
			json_string(c->text);
	case CELL_BOOL:
		return json_boolean(c->value);
	case CELL_NONE:
		return json_null();
	default:
		return json_text(c->text, strlen(c->text));
	}
}

static json_t *json_table(const struct part *p)
{
	json_t *rows = json_array();
	for (size_t i = 0; i + p->columns <= p->cells && p->columns; i += p->columns) {
		json_t *row = json_object();
		for (size_t c = 0; c < p->columns; c++)
			json_object_set_new(row, p->column[c].name, json_cell(&p->cell[i + c]));
		json_array_append_new(rows, row);
	}
	return rows;
}

static void json_pairs(const struct part *p, json_t *into, int node)
{
	for (size_t i = 0; i < p->cells; i++)
		if (p->cell[i].key && (node < 0 || p->cell[i].node == node))
			json_object_set_new(into, p->cell[i].key, json_cell(&p->cell[i]));
}

static json_t *json_node(const struct part *p, size_t *i)
{
	unsigned depth = p->node[*i].depth;
	json_t *n = json_object(), *children = json_array();
	json_object_set_new(n, "text", json_text(p->node[*i].text, strlen(p->node[*i].text)));
	json_pairs(p, n, (int)*i);
	++*i;
	while (*i < p->nodes && p->node[*i].depth > depth)
		json_array_append_new(children, json_node(p, i));
	if (json_array_size(children))
		json_object_set_new(n, "children", children);
	else
		json_decref(children);
	return n;
}

static void json_part(const struct part *p, json_t *doc)
{
	json_t *j, *text;
	switch (p->kind) {
	case PART_GAP:
		return;
	case PART_TEXT:
		text = json_object_get(doc, "text");
		if (!text)
			json_object_set_new(doc, "text", text = json_array());
		json_array_append_new(text, json_text(p->text, strlen(p->text)));
		return;
	case PART_RAW:
		json_object_set_new(doc, p->name ? p->name : "raw", json_text(p->text, p->len));
		return;
	case PART_TABLE:
		json_object_set_new(doc, p->name ? p->name : "rows", json_table(p));
		return;
	case PART_VALUES:
		j = p->name ? json_object() : doc;
		json_pairs(p, j, -1);
		if (p->name)
			json_object_set_new(doc, p->name, j);
		return;
	case PART_TREE:
		j = json_array();
		for (size_t i = 0; i < p->nodes;)
			json_array_append_new(j, json_node(p, &i));
		json_object_set_new(doc, p->name ? p->name : "tree", j);
	}
}

void output_json(const struct output *o, struct buf *out)
{
	json_t *doc = json_object();
	if (o->error)
		json_object_set_new(doc, "error", json_text(o->error, strlen(o->error)));
	for (size_t i = 0; i < o->parts && !o->error; i++)
		json_part(&o->part[i], doc);
	char *text = json_dumps(doc, JSON_COMPACT);
	buf_str(out, text ? text : "{}");
	buf_char(out, '\n');
	free(text);
	json_decref(doc);
}

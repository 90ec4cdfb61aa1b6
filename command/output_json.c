/* Documents as one JSON object. */
#include "command/output_model.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

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

static json_t *json_cell(const struct part *p, const struct cell *c)
{
	const char *text = p->cells_text.data + c->at;
	switch (c->kind) {
	case CELL_INT:
		return c->value <= INT64_MAX ? json_integer((json_int_t)c->value) :
			json_string(text);
	case CELL_BOOL:
		return json_boolean(c->value);
	case CELL_NONE:
		return json_null();
	default:
		return json_text(text, c->len);
	}
}

static json_t *json_table(const struct part *p)
{
	json_t *rows = json_array();
	for (size_t i = 0; i + p->columns <= p->cells && p->columns; i += p->columns) {
		json_t *row = json_object();
		for (size_t c = 0; c < p->columns; c++)
			json_object_set_new(row, p->column[c].name, json_cell(p, &p->cell[i + c]));
		json_array_append_new(rows, row);
	}
	return rows;
}

static void json_pairs(const struct part *p, json_t *into, int node)
{
	for (size_t i = 0; i < p->cells; i++)
		if (p->cell[i].key && (node < 0 || p->cell[i].node == node))
			json_object_set_new(into, p->cells_text.data + p->cell[i].key - 1,
				json_cell(p, &p->cell[i]));
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

static char *dump(const struct output *o, size_t from, size_t end)
{
	json_t *doc = json_object();
	if (o->error)
		json_object_set_new(doc, "error", json_text(o->error, strlen(o->error)));
	for (size_t i = from; i < end && !o->error; i++)
		json_part(&o->part[i], doc);
	char *text = json_dumps(doc, JSON_COMPACT);
	json_decref(doc);
	return text;
}

void output_json(const struct output *o, struct buf *out)
{
	char *text = dump(o, 0, o->parts);
	buf_str(out, text ? text : "{}");
	buf_char(out, '\n');
	free(text);
}

void json_members(const struct output *o, size_t from, size_t end, struct buf *out)
{
	char *text = dump(o, from, end);
	if (text)
		buf_add(out, text + 1, strlen(text) - 2);
	free(text);
}

/* --- rows that flow ---------------------------------------------------------------- */

/* Text that needs no escapes goes as it is; jansson does the rest. */
static void put_string(const char *s, size_t len, struct buf *out)
{
	bool plain = true;
	for (size_t i = 0; i < len; i++)
		plain &= s[i] >= ' ' && s[i] != '"' && s[i] != '\\' && s[i] != 0x7f;
	if (plain) {
		buf_char(out, '"');
		buf_add(out, s, len);
		buf_char(out, '"');
		return;
	}
	json_t *j = json_text(s, len);
	char *text = json_dumps(j, JSON_ENCODE_ANY | JSON_COMPACT);
	buf_str(out, text ? text : "\"\"");
	free(text);
	json_decref(j);
}

static void put_number(uint64_t v, struct buf *out)
{
	char t[24], *d = t + sizeof t;
	do
		*--d = (char)('0' + v % 10);
	while (v /= 10);
	buf_add(out, d, (size_t)(t + sizeof t - d));
}

static void put_cell(const struct part *p, const struct cell *c, struct buf *out)
{
	const char *text = p->cells_text.data + c->at;
	if (c->kind == CELL_INT && c->value < 1000) /* longer texts may be grouped */
		buf_add(out, text, c->len);
	else if (c->kind == CELL_INT && c->value <= INT64_MAX)
		put_number(c->value, out);
	else if (c->kind == CELL_BOOL)
		buf_str(out, c->value ? "true" : "false");
	else if (c->kind == CELL_NONE)
		buf_add(out, "null", 4);
	else
		put_string(text, c->len, out);
}

void json_heading(struct part *p, struct buf *out)
{
	const char *name = p->name ? p->name : "rows";
	put_string(name, strlen(name), out);
	buf_add(out, ":[", 2);
	for (size_t c = 0; c < p->columns; c++) {
		struct buf key = {0};
		buf_char(&key, c ? ',' : '{');
		put_string(p->column[c].name, strlen(p->column[c].name), &key);
		buf_char(&key, ':');
		p->column[c].json = key.data;
	}
}

void json_rows(const struct part *p, bool *first, struct buf *out)
{
	for (size_t i = 0; i + p->columns <= p->cells && p->columns; i += p->columns) {
		if (!*first)
			buf_char(out, ',');
		*first = false;
		for (size_t c = 0; c < p->columns; c++) {
			buf_str(out, p->column[c].json);
			put_cell(p, &p->cell[i + c], out);
		}
		buf_char(out, '}');
	}
}

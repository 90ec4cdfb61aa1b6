/* The model, and tables that flow: rendered block by block as they grow. */
#include "command/output_model.h"

#include <stdlib.h>
#include <string.h>

struct output *output_new(void)
{
	return xalloc(sizeof(struct output));
}

static void part_done(struct part *p)
{
	for (size_t i = 0; i < p->columns; i++) {
		free(p->column[i].name);
		free(p->column[i].json);
	}
	for (size_t i = 0; i < p->nodes; i++)
		free(p->node[i].text);
	free(p->column);
	free(p->cell);
	free(p->node);
	free(p->name);
	free(p->text);
	buf_done(&p->cells_text);
}

void output_free(struct output *o)
{
	if (!o)
		return;
	for (size_t i = 0; i < o->parts; i++)
		part_done(&o->part[i]);
	free(o->part);
	free(o->key);
	free(o->error);
	free(o);
}

bool output_empty(const struct output *o)
{
	return !o->parts && !o->error;
}

/* --- flowing ------------------------------------------------------------------- */

#define FLOW_ROWS 1024
#define FLOW_MAX  (64u << 20) /* bytes that nobody takes away */

void output_flow(struct output *o, bool json, struct buf *to, const struct output_flow *flow)
{
	o->flow = flow;
	o->json = json;
	o->to = to;
}

bool output_stopped(const struct output *o)
{
	return o->stopped;
}

/* The parts in front of the last one, then its heading. */
static void flow_begin(struct output *o)
{
	struct part *p = &o->part[o->parts - 1];
	if (!o->json) {
		for (; o->flowed < o->parts - 1; o->flowed++)
			human_part(&o->part[o->flowed], o->to);
		human_heading(p, o->to);
	} else {
		size_t before = o->to->len;
		buf_char(o->to, o->begun ? ',' : '{');
		json_members(o, o->flowed, o->parts - 1, o->to);
		if (o->to->len > before + 1)
			buf_char(o->to, ',');
		json_heading(p, o->to);
		o->begun = true;
	}
	o->flowed = o->parts;
	o->open = true;
	o->first_row = true;
}

/* Hands on what was rendered. */
static void flow_on(struct output *o)
{
	if (o->stopped || (o->flow ? o->flow->fn(o->flow->ctx, o->to) : o->to->len <= FLOW_MAX))
		return;
	o->stopped = true;
	if (!o->flow)
		out_error(o, "the answer is longer than 64 MiB; ask for fewer rows");
}

static void flow_rows(struct output *o)
{
	struct part *p = &o->part[o->parts - 1];
	if (!o->open)
		flow_begin(o);
	if (o->stopped)
		;
	else if (o->json)
		json_rows(p, &o->first_row, o->to);
	else
		human_rows(p, o->to);
	p->cells = 0;
	buf_clear(&p->cells_text);
	flow_on(o);
}

/* Ends the table that flows: nothing is added to it any more. */
static void flow_close(struct output *o)
{
	if (!o->open)
		return;
	flow_rows(o);
	if (o->json)
		buf_char(o->to, ']');
	o->open = false;
}

void output_end(struct output *o)
{
	flow_close(o);
	if (o->stopped && o->flow) {
		; /* nobody reads it */
	} else if (o->json && o->begun) {
		size_t before = o->to->len;
		buf_char(o->to, ',');
		json_members(o, o->flowed, o->parts, o->to);
		if (o->to->len == before + 1)
			o->to->len--;
		buf_str(o->to, "}\n");
	} else if (o->json && !output_empty(o)) {
		output_json(o, o->to);
	} else if (o->error) {
		buf_fmt(o->to, "error: %s\n", o->error);
	} else {
		for (size_t i = o->flowed; i < o->parts; i++)
			human_part(&o->part[i], o->to);
	}
}

static struct part *open_part(struct output *o, enum part_kind kind, const char *name)
{
	flow_close(o);
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
		c.width = text_width(c.name, n);
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

/* --- cells ----------------------------------------------------------------------- */

size_t text_width(const char *s, size_t len)
{
	size_t n = 0;
	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)s[i] & 0xc0) != 0x80;
	return n;
}

static size_t key_of(struct part *p, char *key)
{
	size_t at = p->cells_text.len;
	if (!key)
		return 0;
	buf_add(&p->cells_text, key, strlen(key) + 1);
	free(key);
	return at + 1;
}

static void add_cell(struct output *o, enum cell_kind kind, uint64_t value, const char *text, size_t len)
{
	struct part *p = &o->part[o->parts - 1];
	if (p->cells == p->cells_cap) {
		p->cells_cap = p->cells_cap ? 2 * p->cells_cap : 16;
		p->cell = xresize(p->cell, p->cells_cap * sizeof *p->cell);
	}
	size_t key = key_of(p, o->key);
	o->key = NULL;
	p->cell[p->cells] = (struct cell){.value = value, .at = p->cells_text.len, .key = key,
		.len = (uint32_t)len, .node = (int)p->nodes - 1, .kind = kind};
	buf_add(&p->cells_text, text, len + 1);
	p->cells++;
	if (!p->columns)
		return;
	struct column *c = &p->column[(p->cells - 1) % p->columns];
	size_t w = text_width(text, len);
	c->width = w > c->width ? w : c->width;
	if (o->to && p->cells == p->columns * FLOW_ROWS)
		flow_rows(o);
}

void out_width(struct output *o, size_t column, size_t width)
{
	struct column *c = &o->part[o->parts - 1].column[column];
	c->width = width > c->width ? width : c->width;
}

void out_str(struct output *o, const char *s)
{
	if (s)
		add_cell(o, CELL_STR, 0, s, strlen(s));
	else
		out_none(o);
}

void out_fmt(struct output *o, const char *fmt, ...)
{
	struct buf b = {0};
	va_list ap;
	va_start(ap, fmt);
	buf_vfmt(&b, fmt, ap);
	va_end(ap);
	add_cell(o, CELL_STR, 0, b.data ? b.data : "", b.len);
	buf_done(&b);
}

/* Digits of v before `end`, which is a NUL; returns the first. */
static char *digits(uint64_t v, unsigned base, char *end)
{
	*end = 0;
	do
		*--end = "0123456789abcdef"[v % base];
	while (v /= base);
	return end;
}

void out_u64(struct output *o, uint64_t v)
{
	char t[24], *end = t + sizeof t - 1, *d = digits(v, 10, end);
	add_cell(o, CELL_INT, v, d, (size_t)(end - d));
}

void out_grouped(struct output *o, uint64_t v)
{
	char plain[24], t[32], *end = plain + sizeof plain - 1, *d = digits(v, 10, end);
	int n = (int)(end - d), k = 0;
	for (int i = 0; i < n; i++) {
		t[k++] = d[i];
		if ((n - 1 - i) % 3 == 0 && i != n - 1)
			t[k++] = ',';
	}
	t[k] = 0;
	add_cell(o, CELL_INT, v, t, (size_t)k);
}

void out_hex(struct output *o, uint64_t v)
{
	char t[24], *end = t + sizeof t - 1, *d = digits(v, 16, end);
	*--d = 'x';
	*--d = '0';
	add_cell(o, CELL_STR, 0, d, (size_t)(end - d));
}

void out_hexw(struct output *o, uint64_t v, unsigned bytes)
{
	out_fmt(o, "0x%0*llx", (int)bytes * 2, (unsigned long long)v);
}

void out_bool(struct output *o, bool v)
{
	const char *t = v ? "yes" : "no";
	add_cell(o, CELL_BOOL, v, t, strlen(t));
}

void out_none(struct output *o)
{
	add_cell(o, CELL_NONE, 0, "-", 1);
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


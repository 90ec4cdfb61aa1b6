/* A panel as a file: its rows as text, or as a JSON array for `*.json`. */
#include "tui/frame.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static bool save_json(struct view *v, FILE *f)
{
	json_t *doc = json_object(), *rows = json_array();
	json_object_set_new(doc, "panel", json_string(v->ops->name));
	for (size_t i = 0; i < v->lines.count; i++) {
		const struct line *row = &v->lines.line[i];
		json_array_append_new(rows, json_stringn(v->lines.text.data + row->start, row->len));
	}
	json_object_set_new(doc, "rows", rows);
	bool ok = json_dumpf(doc, f, JSON_INDENT(1)) == 0 && fputc('\n', f) != EOF;
	json_decref(doc);
	return ok;
}

static bool save_text(struct view *v, FILE *f)
{
	for (size_t i = 0; i < v->lines.count; i++) {
		const struct line *row = &v->lines.line[i];
		if (fwrite(v->lines.text.data + row->start, 1, row->len, f) != row->len ||
			fputc('\n', f) == EOF)
			return false;
	}
	return true;
}

bool save_view(struct view *v, const char *path, struct err *e)
{
	size_t n = strlen(path);
	bool json = n > 5 && !strcmp(path + n - 5, ".json");
	char part[TUI_LINE + 8];
	if (!n)
		return err_set(e, ERR_USAGE, "a file name is wanted; *.json is written as JSON");
	view_fill(v, 200);
	snprintf(part, sizeof(part), "%s.part", path);
	FILE *f = fopen(part, "we");
	if (!f)
		return err_errno(e, "%s", part);
	bool ok = json ? save_json(v, f) : save_text(v, f);
	if (fclose(f) || !ok || rename(part, path)) {
		err_errno(e, "%s", path);
		remove(part);
		return false;
	}
	return true;
}

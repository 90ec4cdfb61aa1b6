/* Keys by name, and which action each stands for. */
#include "tui/frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name, *keys, *help;
} actions[ACT_COUNT] = {
	[ACT_NONE] = {"none", "", "nothing"},
#define ACTION(id, name, keys, help) [ACT_##id] = {name, keys, help},
#include "tui/actions.def"
#undef ACTION
};

static const struct {
	const char *name;
	uint32_t key;
} named[] = {{"Enter", '\n'}, {"Tab", '\t'}, {"S-Tab", PANEL_KEY_BACKTAB}, {"Space", ' '},
	{"Esc", 27}, {"Up", PANEL_KEY_UP}, {"Down", PANEL_KEY_DOWN}, {"Left", PANEL_KEY_LEFT},
	{"Right", PANEL_KEY_RIGHT}, {"PageUp", PANEL_KEY_PAGE_UP}, {"PageDown", PANEL_KEY_PAGE_DOWN},
	{"Home", PANEL_KEY_HOME}, {"End", PANEL_KEY_END}, {"Delete", PANEL_KEY_DELETE},
	{"Insert", PANEL_KEY_INSERT}, {"Backspace", PANEL_KEY_BACKSPACE}};

bool tui_action_at(unsigned i, const char **name, const char **keys, const char **help)
{
	if (i + 1 >= ACT_COUNT)
		return false;
	*name = actions[i + 1].name;
	*keys = actions[i + 1].keys;
	*help = actions[i + 1].help;
	return true;
}

bool key_parse(const char *name, uint32_t *key)
{
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++)
		if (!strcmp(name, named[i].name)) {
			*key = named[i].key;
			return true;
		}
	if (name[0] == 'F' && name[1]) {
		char *end;
		unsigned long n = strtoul(name + 1, &end, 10);
		if (!*end && n >= 1 && n <= 12) {
			*key = PANEL_KEY_F1 + (uint32_t)n - 1;
			return true;
		}
	}
	if (!strncmp(name, "C-", 2) && name[2] && !name[3]) {
		*key = (uint32_t)name[2] & 0x1f;
		return true;
	}
	if (!name[0] || name[1])
		return false;
	*key = (unsigned char)name[0];
	return true;
}

void key_print(uint32_t key, struct buf *out)
{
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++)
		if (named[i].key == key) {
			buf_str(out, named[i].name);
			return;
		}
	if (key >= PANEL_KEY_F1)
		buf_fmt(out, "F%u", key - PANEL_KEY_F1 + 1);
	else if (key < 32)
		buf_fmt(out, "C-%c", key | 0x60);
	else
		buf_char(out, (char)key);
}

static void bind(struct tui *t, uint32_t key, enum action a)
{
	for (unsigned i = 0; i < t->bindings; i++)
		if (t->binding[i].key == key) {
			t->binding[i].action = a;
			return;
		}
	if (t->bindings < TUI_KEYS)
		t->binding[t->bindings++] = (struct binding){key, a};
}

void keys_default(struct tui *t)
{
	for (enum action a = 1; a < ACT_COUNT; a++) {
		char *text = xstrdup(actions[a].keys), *save = NULL;
		for (char *k = strtok_r(text, " ", &save); k; k = strtok_r(NULL, " ", &save)) {
			uint32_t key;
			if (key_parse(k, &key))
				bind(t, key, a);
		}
		free(text);
	}
}

enum action keys_action(const struct tui *t, uint32_t key)
{
	for (unsigned i = 0; i < t->bindings; i++)
		if (t->binding[i].key == key)
			return t->binding[i].action;
	return ACT_NONE;
}

bool keys_bind(struct tui *t, const char *key, const char *action, struct err *e)
{
	uint32_t k;
	if (!key_parse(key, &k))
		return err_set(e, ERR_USAGE,
			"'%s' is no key: a character, Enter, Tab, Esc, Up, F1, C-a ...", key);
	for (enum action a = 0; a < ACT_COUNT; a++)
		if (!strcmp(actions[a].name, action)) {
			bind(t, k, a);
			return true;
		}
	return err_set(e, ERR_USAGE, "'%s' is no action; F1 lists them", action);
}

void tui_help_rows(const struct tui *t, struct lines *l)
{
	lines_head(l, "Keys");
	for (enum action a = 1; a < ACT_COUNT; a++) {
		struct buf b = {0};
		for (unsigned i = 0; i < t->bindings; i++)
			if (t->binding[i].action == a) {
				if (b.len)
					buf_char(&b, ' ');
				key_print(t->binding[i].key, &b);
			}
		lines_row(l, a);
		lines_add(l, COLOUR_KEY, " %-18s", b.data ? b.data : "(no key)");
		lines_add(l, COLOUR_DEFAULT, " %s", actions[a].help);
		buf_done(&b);
	}
	lines_head(l, "Panels");
	const char *name, *help;
	for (unsigned i = 0; tui_view_at(i, &name, &help); i++) {
		lines_row(l, 1000 + i);
		lines_add(l, COLOUR_KEY, " %-18s", name);
		lines_add(l, COLOUR_DEFAULT, " %s", help);
	}
}

/* The configuration file, nestscope.conf(5), and the default colours. */
#include "tui/frame.h"

#include "base/hex.h"

#include <stdio.h>
#include <string.h>

/* ROLE: foreground of 256 colours (-1: the terminal's own), what a screen
 * without colours shows instead. */
static const struct {
	enum colour role;
	short fg;
	uint8_t attr;
} defaults[] = {{COLOUR_DIM, 245, 0}, {COLOUR_TITLE, 75, ATTR_BOLD}, {COLOUR_BORDER, 240, 0},
	{COLOUR_FOCUS, 214, ATTR_BOLD}, {COLOUR_SELECT, -1, ATTR_REVERSE}, {COLOUR_L0, 141, 0},
	{COLOUR_L1, 79, 0}, {COLOUR_L2, 215, 0}, {COLOUR_CHANGED, 203, ATTR_BOLD},
	{COLOUR_GOOD, 114, 0}, {COLOUR_WARN, 220, ATTR_BOLD}, {COLOUR_BAD, 203, ATTR_BOLD},
	{COLOUR_ADDRESS, 110, 0}, {COLOUR_SYMBOL, 180, 0}, {COLOUR_NUMBER, -1, 0},
	{COLOUR_KEY, 117, ATTR_BOLD}, {COLOUR_STATUS, 252, ATTR_REVERSE}, {COLOUR_BLACK, 0, 0},
	{COLOUR_RED, 1, 0}, {COLOUR_GREEN, 2, 0}, {COLOUR_YELLOW, 3, 0}, {COLOUR_BLUE, 4, 0},
	{COLOUR_MAGENTA, 5, 0}, {COLOUR_CYAN, 6, 0}, {COLOUR_WHITE, 7, 0}};

void theme_default(struct theme *th)
{
	memset(th, 0, sizeof(*th));
	for (unsigned i = 0; i < COLOUR_ROLES; i++)
		th->fg[i] = th->bg[i] = -1;
	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
		th->fg[defaults[i].role] = defaults[i].fg;
		th->attr[defaults[i].role] = defaults[i].attr;
	}
	th->bg[COLOUR_STATUS] = 236;
}

static bool palette(const char *text, short *out)
{
	uint64_t n;
	if (!strcmp(text, "default")) {
		*out = -1;
		return true;
	}
	if (!parse_u64(text, &n) || n > 255)
		return false;
	*out = (short)n;
	return true;
}

static bool colour_line(struct tui *t, const char *role, const char *fg, const char *bg,
	struct err *e)
{
	char scratch[8];
	for (unsigned i = 0; i < COLOUR_ROLES; i++)
		if (!strcmp(colour_name(i, scratch), role)) {
			if (palette(fg, &t->theme.fg[i]) && (!*bg || palette(bg, &t->theme.bg[i])))
				return true;
			return err_set(e, ERR_USAGE, "colours are 0 to 255 or 'default'");
		}
	return err_set(e, ERR_USAGE, "'%s' is no colour role", role);
}

static bool line_read(struct tui *t, const char *line, struct err *e)
{
	char w[4][64] = {"", "", "", ""};
	int n = sscanf(line, " %63s %63s %63s %63s", w[0], w[1], w[2], w[3]);
	if (n <= 0 || w[0][0] == '#')
		return true;
	if (!strcmp(w[0], "bind") && n == 3)
		return keys_bind(t, w[1], w[2], e);
	if (!strcmp(w[0], "colour") && n >= 3)
		return colour_line(t, w[1], w[2], w[3], e);
	return err_set(e, ERR_USAGE, "wants 'bind KEY ACTION' or 'colour ROLE FG [BG]'");
}

bool config_read(struct tui *t, const char *path, struct err *e)
{
	FILE *f = fopen(path, "re");
	char line[256];
	bool ok = true;
	if (!f)
		return err_errno(e, "%s", path);
	for (unsigned n = 1; ok && fgets(line, sizeof(line), f); n++) {
		struct err why = {0};
		ok = line_read(t, line, &why);
		if (!ok)
			err_set(e, ERR_FILE, "%s:%u: %s", path, n, why.msg);
	}
	fclose(f);
	return ok;
}

/* The guest's VGA text screen. */
#include "tui/view.h"

#include "introspect/machine.h"

static const char *glyph(uint8_t c, char out[2])
{
	out[0] = c >= 32 && c < 127 ? (char)c : c ? '.' : ' ';
	out[1] = 0;
	return out;
}

static void fill(struct view *v, struct lines *l, int width)
{
	/* VGA's colour numbers have red and blue the other way round. */
	static const uint32_t colours[8] = {COLOUR_BLACK, COLOUR_BLUE, COLOUR_GREEN, COLOUR_CYAN,
		COLOUR_RED, COLOUR_MAGENTA, COLOUR_YELLOW, COLOUR_DEFAULT};
	struct intro_screen screen;
	struct err e = {0};
	(void)width;
	if (!intro_screen(v->s, &screen, &e)) {
		lines_head(l, e.msg);
		return;
	}
	for (unsigned y = 0; y < screen.rows; y++) {
		lines_row(l, y);
		struct buf b = {0};
		for (unsigned x = 0; x < screen.columns; x++) {
			char one[2];
			uint8_t attr = screen.cell[y][x].attribute;
			buf_str(&b, glyph(screen.cell[y][x].character, one));
			if (x + 1 == screen.columns || screen.cell[y][x + 1].attribute != attr) {
				lines_attr(l, colours[attr & 7], attr & 8 ? ATTR_BOLD : 0, "%s", b.data);
				buf_clear(&b);
			}
		}
		buf_done(&b);
	}
}

const struct view_ops view_screen = {.name = "screen", .title = "Screen",
	.help = "the guest's VGA text screen", .fill = fill};

/* Memory of any level, as bytes and text; editable. */
#include "tui/view.h"

#include "base/hex.h"
#include "introspect/regs.h"

#include <stdlib.h>
#include <string.h>

#define ROWS 128
#define ROW  16

static struct intro_address start(struct view *v)
{
	struct intro_address a = v->address;
	if (v->has_address)
		return a;
	a = (struct intro_address){.at = tui_place(v->t), .space = SPACE_VIRTUAL};
	intro_reg_u64(v->s, a.at, R_RSP, &a.value);
	return a;
}

static void fill(struct view *v, struct lines *l, int width)
{
	struct intro_address a = start(v);
	struct buf b = {0};
	(void)width;
	intro_address_print(v->s, &a, &b);
	lines_head(l, b.data ? b.data : "");
	buf_done(&b);
	uint64_t base = a.value & ~(uint64_t)(ROW - 1);
	for (unsigned i = 0; i < ROWS; i++) {
		uint64_t at = base + i * ROW;
		uint8_t bytes[ROW];
		struct intro_mem_fail fail;
		size_t n = intro_read(v->s, a.at, a.space, at, bytes, ROW, &fail);
		lines_row(l, at);
		lines_add(l, COLOUR_ADDRESS, "%016llx ", (unsigned long long)at);
		if (!n) {
			lines_add(l, COLOUR_DIM, " %s", fail.why);
			/* One sentence for the rest of the page. */
			i += (unsigned)((PAGE_SIZE - at % PAGE_SIZE) / ROW) - 1;
			continue;
		}
		for (size_t k = 0; k < ROW; k += 4) {
			char hex[16] = "";
			for (size_t j = k; j < k + 4 && j < n; j++)
				hex_encode(hex + 3 * (j - k), &bytes[j], 1), hex[3 * (j - k) + 2] = ' ';
			lines_add(l, COLOUR_NUMBER, " %-12s", hex);
		}
		char text[ROW + 1] = "";
		for (size_t k = 0; k < n; k++)
			text[k] = bytes[k] >= 32 && bytes[k] < 127 ? (char)bytes[k] : '.';
		lines_add(l, COLOUR_DEFAULT, " %s", text);
	}
}

static bool act(struct view *v, enum action a)
{
	switch (a) {
	case ACT_EDIT:
		tui_ask(v->t, v, a, "bytes in hex, from the row's first", "");
		return true;
	default:
		return view_act_address(v, a, "memory at (l1: l2: l1p: l2p: h:)");
	}
}

static bool write_bytes(struct view *v, const char *text, struct err *e)
{
	uint8_t bytes[256];
	size_t n = 0;
	struct intro_address a = start(v);
	for (const char *p = text; *p; p += 2) {
		while (*p == ' ')
			p++;
		if (!*p)
			break;
		if (n == sizeof(bytes) || !p[1] || !hex_decode(&bytes[n++], p, 1))
			return err_set(e, ERR_USAGE, "wants up to 256 bytes of two hex digits each");
	}
	return intro_write(v->s, a.at, a.space, v->list.ref, bytes, n, e);
}

static bool enter(struct view *v, enum action asked, const char *text, struct err *e)
{
	if (asked == ACT_EDIT)
		return write_bytes(v, text, e);
	if (!view_enter_address(v, asked, text, e))
		return false;
	v->list.cursor = v->list.top = 0;
	return true;
}

const struct view_ops view_memory = {.name = "memory", .title = "Memory",
	.help = "memory of any level; a asks for an address, e changes bytes, Esc follows the stack",
	.fill = fill, .act = act, .enter = enter};

#include "machine/vga.h"

#include "base/buf.h"
#include "base/bus.h"
#include "base/clock.h"
#include "base/state.h"

#include <string.h>

enum { CURSOR_START = 0x0a, START_HIGH = 0x0c, START_LOW = 0x0d, CURSOR_HIGH = 0x0e,
	CURSOR_LOW = 0x0f };
enum { CURSOR_OFF = 0x20 };

/* Registers of mode 3 that software reads back. */
static const uint8_t crtc_mode3[25] = {0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f,
	0x0d, 0x0e, 0, 0, 0, 0, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff};

static uint64_t read_dac(struct vga *v)
{
	uint8_t c = v->dac[v->dac_read % sizeof(v->dac)];
	v->dac_read = (v->dac_read + 1) % sizeof(v->dac);
	return c;
}

static void write_dac(struct vga *v, uint8_t c)
{
	v->dac[v->dac_write % sizeof(v->dac)] = c & 0x3f;
	v->dac_write = (v->dac_write + 1) % sizeof(v->dac);
}

/* Input status 1: display enable and vertical retrace, 70 Hz; reading it makes
 * 3C0h take an index next. */
static uint64_t status1(struct vga *v)
{
	uint64_t in_frame = v->clock->now % 14285714;
	v->attr_data = false;
	return in_frame < 1000000 ? 9 : v->clock->now % 31778 < 6000 ? 1 : 0;
}

static uint64_t read_byte(struct vga *v, uint64_t port)
{
	switch (port) {
	case 0x3b4:
	case 0x3d4:
		return v->crtc_index;
	case 0x3b5:
	case 0x3d5:
		return v->crtc[v->crtc_index & 31];
	case 0x3ba:
	case 0x3da:
		return status1(v);
	case 0x3c0:
		return v->attr_index;
	case 0x3c1:
		return v->attr[v->attr_index & 31];
	case 0x3c4:
		return v->seq_index;
	case 0x3c5:
		return v->seq[v->seq_index & 7];
	case 0x3c6:
		return v->pel_mask;
	case 0x3c8:
		return v->dac_write / 3;
	case 0x3c9:
		return read_dac(v);
	case 0x3cc:
		return v->misc;
	case 0x3ce:
		return v->gfx_index;
	case 0x3cf:
		return v->gfx[v->gfx_index & 15];
	default:
		return 0;
	}
}

static void write_attr(struct vga *v, uint8_t b)
{
	if (v->attr_data)
		v->attr[v->attr_index & 31] = b;
	else
		v->attr_index = b;
	v->attr_data = !v->attr_data;
}

static void write_byte(struct vga *v, uint64_t port, uint8_t b)
{
	switch (port) {
	case 0x3b4:
	case 0x3d4:
		v->crtc_index = b;
		break;
	case 0x3b5:
	case 0x3d5:
		v->crtc[v->crtc_index & 31] = b;
		break;
	case 0x3c0:
		write_attr(v, b);
		break;
	case 0x3c2:
		v->misc = b;
		break;
	case 0x3c4:
		v->seq_index = b;
		break;
	case 0x3c5:
		v->seq[v->seq_index & 7] = b;
		break;
	case 0x3c6:
		v->pel_mask = b;
		break;
	case 0x3c7:
		v->dac_read = (uint16_t)(b * 3);
		break;
	case 0x3c8:
		v->dac_write = (uint16_t)(b * 3);
		break;
	case 0x3c9:
		write_dac(v, b);
		break;
	case 0x3ce:
		v->gfx_index = b;
		break;
	case 0x3cf:
		v->gfx[v->gfx_index & 15] = b;
		break;
	default:
		break;
	}
}

static uint64_t port_read(void *dev, uint64_t offset, unsigned size)
{
	uint64_t r = 0;
	for (unsigned i = 0; i < size; i++)
		r |= read_byte(dev, 0x3b0 + offset + i) << 8 * i;
	return r;
}

static void port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	for (unsigned i = 0; i < size; i++)
		write_byte(dev, 0x3b0 + offset + i, (uint8_t)(value >> 8 * i));
}

static const struct bus_ops ops = {port_read, port_write};

void vga_init(struct vga *v, struct bus *bus, const struct phys *phys, const struct clock *clock)
{
	memset(v, 0, sizeof(*v));
	v->phys = phys;
	v->clock = clock;
	vga_reset(v);
	bus_map_port(bus, 0x3b0, 0x30, &ops, v, "vga");
}

void vga_reset(struct vga *v)
{
	const struct phys *phys = v->phys;
	const struct clock *clock = v->clock;
	memset(v, 0, sizeof(*v));
	v->phys = phys;
	v->clock = clock;
	memcpy(v->crtc, crtc_mode3, sizeof(crtc_mode3));
	v->misc = 0x67;
	v->pel_mask = 0xff;
	v->seq[0] = 3;
	v->seq[2] = 3;
	v->seq[4] = 2;
	v->gfx[5] = 0x10;
	v->gfx[6] = 0x0e;
}

/* Code page 437 where it differs from ASCII in common text: frames and blocks. */
static const char *glyph(uint8_t c)
{
	static const char *const high[] = {[0xb3] = "│", [0xb4] = "┤", [0xba] = "║", [0xbb] = "╗",
		[0xbc] = "╝", [0xbf] = "┐", [0xc0] = "└", [0xc1] = "┴", [0xc2] = "┬", [0xc3] = "├",
		[0xc4] = "─", [0xc5] = "┼", [0xc8] = "╚", [0xc9] = "╔", [0xcd] = "═", [0xd9] = "┘",
		[0xda] = "┌", [0xdb] = "█", [0xb0] = "░", [0xb1] = "▒", [0xb2] = "▓", [0xfe] = "■",
		[0xff] = " "};
	return high[c] ? high[c] : "?";
}

static void add_cell(struct buf *out, uint8_t c)
{
	if (c == 0)
		buf_char(out, ' ');
	else if (c >= 0x20 && c < 0x7f)
		buf_char(out, (char)c);
	else if (c < 0x80)
		buf_char(out, '?');
	else
		buf_str(out, glyph(c));
}

void vga_screen(const struct vga *v, struct buf *out)
{
	unsigned start = (unsigned)(v->crtc[START_HIGH] << 8 | v->crtc[START_LOW]);
	for (unsigned row = 0; row < VGA_ROWS; row++) {
		uint8_t cell[2 * VGA_COLS];
		unsigned last = 0;
		for (unsigned col = 0; col < VGA_COLS; col++) {
			/* The display wraps at the end of the 32 KiB window. */
			unsigned at = (start + row * VGA_COLS + col) * 2 & 0x7fff;
			if (!phys_read(v->phys, hpa(VGA_TEXT + at), cell + 2 * col, 2))
				cell[2 * col] = 0;
			if (cell[2 * col] && cell[2 * col] != ' ')
				last = col + 1;
		}
		for (unsigned col = 0; col < last; col++)
			add_cell(out, cell[2 * col]);
		buf_char(out, '\n');
	}
	unsigned cursor = (unsigned)(v->crtc[CURSOR_HIGH] << 8 | v->crtc[CURSOR_LOW]) - start;
	if (v->crtc[CURSOR_START] & CURSOR_OFF || cursor >= VGA_ROWS * VGA_COLS)
		buf_str(out, "cursor off\n");
	else
		buf_fmt(out, "cursor %u %u\n", cursor / VGA_COLS, cursor % VGA_COLS);
}

void vga_state(struct vga *v, struct state *s)
{
	state_section(s, "vga", 1);
	uint8_t *const reg[] = {&v->crtc_index, &v->seq_index, &v->gfx_index, &v->attr_index, &v->misc,
		&v->pel_mask};
	for (unsigned i = 0; i < sizeof(reg) / sizeof(*reg); i++)
		state_u8(s, reg[i]);
	state_bool(s, &v->attr_data);
	state_bytes(s, v->crtc, sizeof(v->crtc));
	state_bytes(s, v->seq, sizeof(v->seq));
	state_bytes(s, v->gfx, sizeof(v->gfx));
	state_bytes(s, v->attr, sizeof(v->attr));
	state_bytes(s, v->dac, sizeof(v->dac));
	state_u16(s, &v->dac_read);
	state_u16(s, &v->dac_write);
}

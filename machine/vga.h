/* The text mode of a VGA: registers at 3B0h-3DFh, 80x25 cells of RAM at B8000h.
 * No graphics. `screen` shows what a monitor would.
 */
#ifndef MACHINE_VGA_H
#define MACHINE_VGA_H

#include "base/phys.h"

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct bus;
struct clock;
struct state;

#define VGA_COLS 80
#define VGA_ROWS 25
#define VGA_TEXT UINT64_C(0xb8000)

struct vga {
	const struct phys *phys;
	const struct clock *clock;
	uint8_t crtc_index, seq_index, gfx_index, attr_index, misc;
	bool attr_data; /* the next write to 3C0h is data */
	uint8_t crtc[32], seq[8], gfx[16], attr[32];
	uint8_t dac[768], pel_mask;
	uint16_t dac_read, dac_write; /* byte index into dac */
};

void vga_init(struct vga *v, struct bus *bus, const struct phys *phys, const struct clock *clock);
void vga_reset(struct vga *v);
/* Text lines as UTF-8 without trailing blanks, then a line with the cursor's
 * place: "cursor ROW COL" (from 0), or "cursor off". */
void vga_screen(const struct vga *v, struct buf *out);
void vga_state(struct vga *v, struct state *s);

#endif

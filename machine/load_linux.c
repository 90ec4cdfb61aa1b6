/* Linux by its boot protocols (Documentation/arch/x86/boot.rst): the
 * protected-mode part of a bzImage goes to its preferred address and starts
 * with boot_params in RSI, in long mode at +200h where it has a 64-bit entry
 * point, else in protected mode at its beginning.
 */
#include "machine/load_parts.h"

#include "machine/machine.h"

#include <inttypes.h>
#include <string.h>

/* Offsets in boot_params, the same in the file for the setup header. */
enum {
	BP_SCREEN_Y = 0x01, BP_VIDEO_MODE = 0x06, BP_VIDEO_COLS = 0x07, BP_VIDEO_LINES = 0x0e,
	BP_VIDEO_VGA = 0x0f, BP_VIDEO_POINTS = 0x10, BP_RSDP = 0x70, BP_EXT_INITRD = 0xc0,
	BP_E820_COUNT = 0x1e8, BP_SENTINEL = 0x1ef, BP_HEADER = 0x1f1, BP_BOOT_FLAG = 0x1fe,
	BP_MAGIC = 0x202, BP_VERSION = 0x206, BP_LOADER = 0x210, BP_LOADFLAGS = 0x211,
	BP_INITRD = 0x218, BP_INITRD_SIZE = 0x21c, BP_CMDLINE = 0x228, BP_INITRD_MAX = 0x22c,
	BP_XLOADFLAGS = 0x236, BP_CMDLINE_SIZE = 0x238, BP_PREF_ADDRESS = 0x258,
	BP_INIT_SIZE = 0x260, BP_E820 = 0x2d0, BP_SIZE = 4096
};
#define MAGIC          0x53726448u /* HdrS */
#define XLF_KERNEL_64  1
#define LOADER_UNKNOWN 0xff
#define E820_MAX       128

bool load_linux_is(const struct load_file *f)
{
	return f->size > BP_INIT_SIZE + 4 && load_le32(f->data + BP_MAGIC) == MAGIC;
}

static void screen_info(uint8_t *bp)
{
	bp[BP_SCREEN_Y] = 0;
	bp[BP_VIDEO_MODE] = 3;
	bp[BP_VIDEO_COLS] = 80;
	bp[BP_VIDEO_LINES] = 25;
	bp[BP_VIDEO_VGA] = 1;
	bp[BP_VIDEO_POINTS] = 16;
}

bool load_linux_params(
	struct load *l, const uint8_t *header, size_t header_len, uint64_t initrd_below)
{
	uint8_t bp[BP_SIZE] = {0};
	if (header)
		memcpy(bp + BP_HEADER, header, header_len);
	const char *append = l->cfg->append ? l->cfg->append : "";
	uint64_t max = header ? load_le32(bp + BP_CMDLINE_SIZE) : 2047;
	if (strlen(append) > max)
		return err_set(l->err, ERR_FILE,
			"the command line has %zu characters; this kernel takes %" PRIu64, strlen(append),
			max);
	uint64_t initrd, initrd_size, cmdline;
	if (!load_initrd(l, initrd_below, &initrd, &initrd_size))
		return false;
	cmdline = load_low(l, append, strlen(append) + 1, 16, "command line");
	if (!cmdline)
		return false;
	screen_info(bp);
	load_put64(bp + BP_RSDP, machine_rsdp(l->m));
	bp[BP_E820_COUNT] = (uint8_t)load_e820(l, bp + BP_E820, E820_MAX);
	bp[BP_LOADER] = LOADER_UNKNOWN;
	load_put32(bp + BP_MAGIC, MAGIC);
	load_put32(bp + BP_INITRD, (uint32_t)initrd);
	load_put32(bp + BP_INITRD_SIZE, (uint32_t)initrd_size);
	load_put32(bp + BP_EXT_INITRD, (uint32_t)(initrd >> 32));
	load_put32(bp + BP_EXT_INITRD + 4, (uint32_t)(initrd_size >> 32));
	load_put32(bp + BP_CMDLINE, (uint32_t)cmdline);
	l->entry->rsi = load_low(l, bp, sizeof(bp), 4096, "boot parameters");
	return l->entry->rsi != 0;
}

bool load_linux(struct load *l, const struct load_file *f)
{
	const uint8_t *d = f->data;
	unsigned version = load_le16(d + BP_VERSION);
	if (load_le16(d + BP_BOOT_FLAG) != 0xaa55 || version < 0x020a)
		return err_set(l->err, ERR_FILE,
			"kernel %s speaks boot protocol %u.%02u; 2.10 or later is wanted", f->path,
			version >> 8, version & 0xff);
	bool long_mode = version >= 0x020c && (load_le16(d + BP_XLOADFLAGS) & XLF_KERNEL_64);
	uint64_t setup = ((uint64_t)(d[BP_HEADER] ? d[BP_HEADER] : 4) + 1) * 512;
	size_t header_len = 0x202u + d[0x201] - BP_HEADER;
	uint64_t at = load_le64(d + BP_PREF_ADDRESS), room = load_le32(d + BP_INIT_SIZE);
	if (setup + 0x400 > f->size || BP_HEADER + header_len > f->size ||
		header_len > BP_E820 - BP_HEADER)
		return err_set(l->err, ERR_FILE, "kernel %s is cut off: %zu bytes, its setup part alone has %"
			PRIu64, f->path, f->size, setup);
	/* syssize counts 16-byte units of the protected-mode part. */
	uint64_t want = (uint64_t)load_le32(d + 0x1f4) * 16;
	if (setup + want > f->size + 15)
		return err_set(l->err, ERR_FILE, "kernel %s is cut off: %zu bytes of %" PRIu64, f->path,
			f->size, setup + want);
	if (!load_place(l, at, d + setup, f->size - setup, room, "kernel"))
		return false;
	l->entry->rip = long_mode ? at + 0x200 : at;
	return load_linux_params(
		       l, d + BP_HEADER, header_len, (uint64_t)load_le32(d + BP_INITRD_MAX) + 1) &&
		load_tables(l, long_mode ? LOAD_LONG : LOAD_PROTECTED, LOAD_LINUX_CS);
}

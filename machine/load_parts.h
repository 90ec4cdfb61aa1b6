/* What the loaders share: files, places in RAM, the start state. */
#ifndef MACHINE_LOAD_PARTS_H
#define MACHINE_LOAD_PARTS_H

#include "machine/load.h"

#include <stddef.h>

#define LOAD_PIECES  (LOAD_MODULES + 48)
#define LOAD_LOW     UINT64_C(0x10000) /* boot information goes from here up */
#define LOAD_FILE_MAX (UINT64_C(64) << 30)

struct load_file {
	const char *path;
	uint8_t *data; /* owned mapping unless `lent`; NULL when size is 0 */
	size_t size;
	bool lent;
};

/* One loading in progress: what is placed so far must not overlap. */
struct load {
	struct machine *m;
	const struct load_config *cfg;
	struct load_entry *entry;
	struct err *err;
	struct {
		uint64_t base, end;
		const char *what;
	} piece[LOAD_PIECES];
	unsigned pieces;
	uint64_t top; /* end of the highest kernel piece */
};

/* Maps a regular file; an empty one is an error. */
bool load_open(struct load_file *f, const char *path, const char *what, struct err *e);
void load_close(struct load_file *f);

/* Copies `len` bytes and then zeros up to `room` to `at`; fails when that is
 * not all RAM below the hole or above 4 GiB, or overlaps an earlier piece. */
bool load_place(struct load *l, uint64_t at, const void *data, uint64_t len, uint64_t room,
	const char *what);

/* A free, aligned place of `size` bytes at or above `from` and below `below`:
 * the lowest, or with `high` the highest; 0 when there is none. */
uint64_t load_room(const struct load *l, uint64_t from, uint64_t below, uint64_t size,
	uint64_t align, bool high);

/* load_room in low memory from LOAD_LOW, then load_place; 0 on failure. */
uint64_t load_low(struct load *l, const void *data, uint64_t len, uint64_t align, const char *what);

#define LOAD_CS       0x08 /* multiboot's and PVH's code selector */
#define LOAD_LINUX_CS 0x10 /* that of Linux' boot protocols */

/* GDT with a flat code segment at `cs` and data behind it, and for LOAD_LONG
 * an identity map of the first 4 GiB; fills the entry's mode and tables. */
bool load_tables(struct load *l, enum load_mode mode, uint16_t cs);

/* The e820 map in the 20-byte form {base, size, type}; returns the count. */
unsigned load_e820(const struct load *l, uint8_t *out, unsigned max);

/* mem_lower and mem_upper in KiB. */
void load_mem_sizes(const struct load *l, uint32_t *lower, uint32_t *upper);

static inline uint16_t load_le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t load_le32(const uint8_t *p)
{
	return load_le16(p) | (uint32_t)load_le16(p + 2) << 16;
}
static inline uint64_t load_le64(const uint8_t *p)
{
	return load_le32(p) | (uint64_t)load_le32(p + 4) << 32;
}
static inline void load_put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}
static inline void load_put64(uint8_t *p, uint64_t v)
{
	load_put32(p, (uint32_t)v);
	load_put32(p + 4, (uint32_t)(v >> 32));
}

/* --- formats -------------------------------------------------------------- */

bool load_linux(struct load *l, const struct load_file *f);       /* bzImage */
bool load_linux_is(const struct load_file *f);
bool load_elf(struct load *l, const struct load_file *f);         /* PVH or plain */
bool load_elf_is(const struct load_file *f);
bool load_multiboot(struct load *l, const struct load_file *f);
bool load_flat(struct load *l, const struct load_file *f);

/* boot_params for a 64-bit start; `header` is the setup header of a bzImage
 * (from file offset 1f1h, `header_len` bytes) or NULL. */
bool load_linux_params(
	struct load *l, const uint8_t *header, size_t header_len, uint64_t initrd_below);

/* The loadable segments of an ELF file by physical address. */
struct load_elf_info {
	bool is64;
	uint64_t entry;
	uint64_t pvh; /* PHYS32_ENTRY, 0 = none */
};
bool load_elf_segments(struct load *l, const struct load_file *f, struct load_elf_info *out);

/* Reads and places the initrd high; *size 0 when there is none. */
bool load_initrd(struct load *l, uint64_t below, uint64_t *at, uint64_t *size);

#endif

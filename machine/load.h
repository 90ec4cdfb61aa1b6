/* Loaders: from files on the host to a guest in memory, ready to start.
 *
 * load_guest() reads the files, places kernel, modules, initrd and boot
 * information in RAM, and says in which state the first processor begins;
 * whoever owns the vCPUs puts that into effect. Files are hostile input:
 * every size and address is checked against RAM before anything is copied.
 * Calling it again (after a reset) does the same again.
 */
#ifndef MACHINE_LOAD_H
#define MACHINE_LOAD_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct machine;

#define LOAD_MODULES 64

enum load_kind {
	LOAD_NOTHING,   /* the ROM's reset vector runs */
	LOAD_KERNEL,    /* bzImage, or ELF by PVH or plain */
	LOAD_MULTIBOOT, /* multiboot 1 or 2 */
	LOAD_FLAT       /* an image at an address */
};

/* All strings belong to the caller and outlive the config. */
struct load_config {
	enum load_kind kind;
	const char *kernel; /* the file, or the name of `image` */
	const uint8_t *image; /* in memory instead of a file; NULL: read the file */
	size_t image_size;
	const char *initrd; /* LOAD_KERNEL; NULL: none */
	const char *append; /* NULL: "" */
	const char *module[LOAD_MODULES]; /* "FILE ARGS" */
	unsigned modules;
	uint64_t flat_base; /* LOAD_FLAT */
};

enum load_mode {
	LOAD_RESET,     /* at the reset vector */
	LOAD_REAL,      /* real mode, CS:IP = cs:rip, other segments 0 */
	LOAD_PROTECTED, /* flat 32-bit, paging off, interrupts off */
	LOAD_LONG       /* 64-bit, identity-mapped by cr3, interrupts off */
};

struct load_entry {
	enum load_mode mode;
	uint64_t rip, rax, rbx, rsi, rsp;
	uint64_t cr3;          /* LOAD_LONG */
	uint64_t gdt_base;     /* LOAD_PROTECTED, LOAD_LONG */
	uint16_t gdt_limit, cs, ds; /* flat selectors in that GDT; LOAD_REAL: the segment */
};

bool load_guest(
	struct machine *m, const struct load_config *cfg, struct load_entry *out, struct err *e);

#endif

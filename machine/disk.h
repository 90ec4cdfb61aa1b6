/* A raw disk image: the file itself, or a copy-on-write overlay over it.
 *
 * The overlay lives in memory, in clusters of DISK_CLUSTER bytes, and is part
 * of the saved state; the file below it is named there by size and hash. With
 * `,write` the file is changed and nothing of its contents is state.
 */
#ifndef MACHINE_DISK_H
#define MACHINE_DISK_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct state;

#define DISK_SECTOR  512u
#define DISK_CLUSTER 4096u

struct disk;

/* `spec` is FILE or FILE,write. */
struct disk *disk_open(const char *spec, struct err *e);
void disk_close(struct disk *d);

uint64_t disk_sectors(const struct disk *d);

/* Whole sectors within the disk; false on a host error. */
bool disk_read(struct disk *d, uint64_t sector, void *out, size_t bytes);
bool disk_write(struct disk *d, uint64_t sector, const void *in, size_t bytes);
bool disk_flush(struct disk *d);

void disk_state(struct disk *d, struct state *s);

#endif

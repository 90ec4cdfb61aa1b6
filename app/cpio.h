/* An initramfs as bytes: a cpio archive in the "newc" format, which Linux
 * unpacks (its Documentation/driver-api/early-userspace/buffer-format.rst).
 * Members come in the order of the calls; folders before what lies in them.
 */
#ifndef APP_CPIO_H
#define APP_CPIO_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

struct cpio {
	struct buf out; /* the archive so far */
	unsigned members;
};

void cpio_dir(struct cpio *c, const char *name);
void cpio_data(struct cpio *c, const char *name, unsigned mode, const void *data, size_t size);
/* A character device, e.g. the console. */
void cpio_device(struct cpio *c, const char *name, unsigned major, unsigned minor);
/* The host's file `path`; false and *e (status ERR_FILE) when it cannot be read. */
bool cpio_file(struct cpio *c, const char *name, unsigned mode, const char *path, struct err *e);
/* Ends the archive; c->out is complete. */
void cpio_end(struct cpio *c);
void cpio_done(struct cpio *c);

#endif

#include "app/cpio.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void pad(struct cpio *c)
{
	static const char zeros[4];

	buf_add(&c->out, zeros, -c->out.len & 3);
}

static void member(struct cpio *c, const char *name, unsigned mode, unsigned major, unsigned minor,
	const void *data, size_t size)
{
	size_t len = strlen(name) + 1;

	c->members++;
	/* ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check */
	buf_fmt(&c->out, "070701%08X%08X%08X%08X%08X%08X%08zX%08X%08X%08X%08X%08zX%08X", c->members, mode, 0,
		0, 1, 0, size, 0, 0, major, minor, len, 0);
	buf_add(&c->out, name, len);
	pad(c);
	if (size)
		buf_add(&c->out, data, size);
	pad(c);
}

void cpio_dir(struct cpio *c, const char *name)
{
	member(c, name, S_IFDIR | 0755, 0, 0, NULL, 0);
}

void cpio_data(struct cpio *c, const char *name, unsigned mode, const void *data, size_t size)
{
	member(c, name, S_IFREG | mode, 0, 0, data, size);
}

void cpio_device(struct cpio *c, const char *name, unsigned major, unsigned minor)
{
	member(c, name, S_IFCHR | 0600, major, minor, NULL, 0);
}

bool cpio_file(struct cpio *c, const char *name, unsigned mode, const char *path, struct err *e)
{
	struct buf data = {0};
	char chunk[65536];
	size_t n;
	FILE *f = fopen(path, "re");

	if (!f)
		return err_errno(e, "%s", path), e->status = ERR_FILE, false;
	while ((n = fread(chunk, 1, sizeof(chunk), f)))
		buf_add(&data, chunk, n);
	bool ok = !ferror(f) || (err_set(e, ERR_FILE, "%s cannot be read", path), false);
	fclose(f);
	if (ok)
		cpio_data(c, name, mode, data.data, data.len);
	buf_done(&data);
	return ok;
}

void cpio_end(struct cpio *c)
{
	member(c, "TRAILER!!!", 0, 0, 0, NULL, 0);
}

void cpio_done(struct cpio *c)
{
	buf_done(&c->out);
}

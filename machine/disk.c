#include "machine/disk.h"

#include "base/buf.h"
#include "base/state.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define LEAF     1024u /* clusters per leaf of the overlay */
#define SIZE_MAX_ (UINT64_C(1) << 46)

struct disk {
	char *path; /* owned */
	int fd;
	bool write;
	uint64_t size;      /* bytes, whole sectors */
	uint64_t clusters;
	uint64_t in_overlay;
	uint8_t ***overlay; /* owned: leaves of LEAF clusters; NULL where untouched */
	bool hashed;
	uint64_t hash;      /* of the file below the overlay */
};

static bool open_file(struct disk *d, struct err *e)
{
	d->fd = open(d->path, (d->write ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (d->fd < 0)
		return err_errno(e, "disk %s", d->path);
	struct stat st;
	if (fstat(d->fd, &st))
		return err_errno(e, "disk %s", d->path);
	off_t end = S_ISBLK(st.st_mode) ? lseek(d->fd, 0, SEEK_END) : st.st_size;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(e, ERR_FILE, "disk %s is neither a file nor a block device", d->path);
	if (end < (off_t)DISK_SECTOR || end % DISK_SECTOR || (uint64_t)end > SIZE_MAX_)
		return err_set(e, ERR_FILE,
			"disk %s has %lld bytes; a raw image has a whole number of %u-byte sectors, one at least",
			d->path, (long long)end, DISK_SECTOR);
	if (d->write && flock(d->fd, LOCK_EX | LOCK_NB))
		return err_set(e, ERR_FILE, "disk %s is being written by another process", d->path);
	d->size = (uint64_t)end;
	return true;
}

struct disk *disk_open(const char *spec, struct err *e)
{
	struct disk *d = xalloc(sizeof(*d));
	d->fd = -1;
	d->path = xstrdup(spec);
	char *comma = strrchr(d->path, ',');
	if (comma && !strcmp(comma, ",write")) {
		d->write = true;
		*comma = 0;
	}
	if (!open_file(d, e)) {
		disk_close(d);
		return NULL;
	}
	d->clusters = (d->size + DISK_CLUSTER - 1) / DISK_CLUSTER;
	d->overlay = xalloc((d->clusters + LEAF - 1) / LEAF * sizeof(*d->overlay));
	return d;
}

static void drop_overlay(struct disk *d)
{
	for (uint64_t i = 0; d->overlay && i < (d->clusters + LEAF - 1) / LEAF; i++) {
		for (unsigned k = 0; d->overlay[i] && k < LEAF; k++)
			free(d->overlay[i][k]);
		free(d->overlay[i]);
		d->overlay[i] = NULL;
	}
	d->in_overlay = 0;
}

void disk_close(struct disk *d)
{
	if (!d)
		return;
	drop_overlay(d);
	free(d->overlay);
	if (d->fd >= 0)
		close(d->fd);
	free(d->path);
	free(d);
}

uint64_t disk_sectors(const struct disk *d)
{
	return d->size / DISK_SECTOR;
}

static bool file_read(const struct disk *d, uint64_t at, void *out, size_t n)
{
	for (uint8_t *p = out; n;) {
		ssize_t got = pread(d->fd, p, n, (off_t)at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		p += got;
		at += (uint64_t)got;
		n -= (size_t)got;
	}
	return true;
}

static bool file_write(const struct disk *d, uint64_t at, const void *in, size_t n)
{
	for (const uint8_t *p = in; n;) {
		ssize_t put = pwrite(d->fd, p, n, (off_t)at);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return false;
		p += put;
		at += (uint64_t)put;
		n -= (size_t)put;
	}
	return true;
}

static uint8_t *cluster(const struct disk *d, uint64_t n)
{
	return d->overlay[n / LEAF] ? d->overlay[n / LEAF][n % LEAF] : NULL;
}

static uint8_t *new_cluster(struct disk *d, uint64_t n)
{
	uint8_t ***leaf = &d->overlay[n / LEAF];
	if (!*leaf)
		*leaf = xalloc(LEAF * sizeof(**leaf));
	assert(!(*leaf)[n % LEAF]);
	d->in_overlay++;
	return (*leaf)[n % LEAF] = xalloc(DISK_CLUSTER);
}

static size_t cluster_bytes(const struct disk *d, uint64_t n)
{
	uint64_t left = d->size - n * DISK_CLUSTER;
	return left < DISK_CLUSTER ? (size_t)left : DISK_CLUSTER;
}

static bool in_disk(const struct disk *d, uint64_t sector, size_t bytes)
{
	return bytes % DISK_SECTOR == 0 && sector <= d->size / DISK_SECTOR &&
	       bytes <= d->size - sector * DISK_SECTOR;
}

bool disk_read(struct disk *d, uint64_t sector, void *out, size_t bytes)
{
	if (!in_disk(d, sector, bytes))
		return false;
	uint8_t *p = out;
	for (uint64_t at = sector * DISK_SECTOR; bytes;) {
		size_t off = at % DISK_CLUSTER, n = DISK_CLUSTER - off;
		n = n < bytes ? n : bytes;
		const uint8_t *c = cluster(d, at / DISK_CLUSTER);
		if (c)
			memcpy(p, c + off, n);
		else if (!file_read(d, at, p, n))
			return false;
		p += n;
		at += n;
		bytes -= n;
	}
	return true;
}

bool disk_write(struct disk *d, uint64_t sector, const void *in, size_t bytes)
{
	if (!in_disk(d, sector, bytes))
		return false;
	if (d->write)
		return file_write(d, sector * DISK_SECTOR, in, bytes);
	const uint8_t *p = in;
	for (uint64_t at = sector * DISK_SECTOR; bytes;) {
		uint64_t i = at / DISK_CLUSTER;
		size_t off = at % DISK_CLUSTER, n = DISK_CLUSTER - off;
		n = n < bytes ? n : bytes;
		uint8_t *c = cluster(d, i);
		if (!c) {
			uint8_t old[DISK_CLUSTER];
			if (n != cluster_bytes(d, i) && !file_read(d, i * DISK_CLUSTER, old, cluster_bytes(d, i)))
				return false;
			c = new_cluster(d, i);
			if (n != cluster_bytes(d, i))
				memcpy(c, old, cluster_bytes(d, i));
		}
		memcpy(c + off, p, n);
		p += n;
		at += n;
		bytes -= n;
	}
	return true;
}

bool disk_flush(struct disk *d)
{
	return !d->write || !fdatasync(d->fd);
}

static uint64_t file_hash(struct disk *d)
{
	if (d->hashed)
		return d->hash;
	XXH3_state_t *h = XXH3_createState();
	uint8_t *piece = xalloc(1 << 20);
	XXH3_64bits_reset(h);
	for (uint64_t at = 0; at < d->size;) {
		size_t n = d->size - at < 1 << 20 ? (size_t)(d->size - at) : 1 << 20;
		if (!file_read(d, at, piece, n))
			break;
		XXH3_64bits_update(h, piece, n);
		at += n;
	}
	d->hash = XXH3_64bits_digest(h);
	d->hashed = true;
	XXH3_freeState(h);
	free(piece);
	return d->hash;
}

static void overlay_state(struct disk *d, struct state *s)
{
	uint64_t count = d->in_overlay, n = 0;
	state_count(s, &count, d->clusters);
	if (state_mode(s) == STATE_LOAD) {
		drop_overlay(d);
		for (uint64_t i = 0; i < count && state_ok(s); i++) {
			state_u64(s, &n);
			if (n >= d->clusters || cluster(d, n)) {
				state_fail(s, "disk %s: a cluster of the snapshot is damaged", d->path);
				return;
			}
			state_bytes(s, new_cluster(d, n), DISK_CLUSTER);
		}
		return;
	}
	for (; n < d->clusters; n++) {
		if (!d->overlay[n / LEAF]) {
			n |= LEAF - 1;
			continue;
		}
		if (!cluster(d, n))
			continue;
		state_u64(s, &n);
		state_bytes(s, cluster(d, n), DISK_CLUSTER);
	}
}

void disk_state(struct disk *d, struct state *s)
{
	state_section(s, "disk", 1);
	uint64_t size = d->size, hash = 0;
	state_u64(s, &size);
	if (size != d->size)
		state_fail(s, "disk %s has %llu bytes, the snapshot's had %llu", d->path,
			(unsigned long long)d->size, (unsigned long long)size);
	if (state_mode(s) != STATE_HASH && !d->write) {
		hash = file_hash(d);
		state_u64(s, &hash);
		if (hash != file_hash(d))
			state_fail(s, "disk %s is not the one of the snapshot: its contents differ", d->path);
	}
	bool write = d->write;
	state_bool(s, &write);
	if (write != d->write)
		state_fail(s, "disk %s: %s", d->path,
			write ? "the snapshot had it with ,write" : "the snapshot had it without ,write");
	if (state_ok(s))
		overlay_state(d, s);
}

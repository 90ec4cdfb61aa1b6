/* Snapshot files: a header, then l0_state compressed by zstd.
 *
 *   0  "nestsnap"        8  version        12  0
 *  16  bytes of state   24  XXH3-128 of the state, low and high
 *  40  the zstd frame
 */
#include "l0/l0.h"

#include "base/buf.h"
#include "base/state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>
#include <zstd.h>

#define MAGIC   "nestsnap"
#define VERSION 1
#define LEVEL   1
#define PIECE   (1u << 20)

struct header {
	char magic[8];
	uint32_t version, zero;
	uint64_t size, hash[2];
};

static bool put_all(FILE *f, const struct header *h, const struct buf *state)
{
	size_t room = ZSTD_compressBound(state->len);
	char *out = xalloc(room);
	size_t n = ZSTD_compress(out, room, state->data, state->len, LEVEL);
	bool ok = !ZSTD_isError(n) && fwrite(h, sizeof(*h), 1, f) == 1 && fwrite(out, 1, n, f) == n;
	free(out);
	return ok;
}

bool l0_save(struct l0 *l, const char *path, struct err *e)
{
	struct buf state = {0}, temp = {0};
	struct state *s = state_saver(&state);
	l0_state(l, s);
	state_free(s);
	XXH128_hash_t x = XXH3_128bits(state.data, state.len);
	struct header h = {MAGIC, VERSION, 0, state.len, {x.low64, x.high64}};
	buf_fmt(&temp, "%s.%d.tmp", path, (int)getpid());
	FILE *f = fopen(temp.data, "wbx");
	bool ok = f && put_all(f, &h, &state);
	if (f && fclose(f))
		ok = false;
	if (ok && rename(temp.data, path))
		ok = false;
	if (!ok) {
		err_errno(e, "snapshot %s", path);
		if (f)
			unlink(temp.data);
	}
	buf_done(&state);
	buf_done(&temp);
	return ok;
}

/* Decompresses no more than the header announced. */
static bool unpack(FILE *f, const struct header *h, struct buf *out)
{
	ZSTD_DStream *z = ZSTD_createDStream();
	char *in = xalloc(PIECE), *piece = xalloc(PIECE);
	size_t n, more = 1;
	bool ok = true;
	while (ok && more && (n = fread(in, 1, PIECE, f)) > 0) {
		ZSTD_inBuffer ib = {in, n, 0};
		while (ok && more && ib.pos < ib.size) {
			ZSTD_outBuffer ob = {piece, PIECE, 0};
			more = ZSTD_decompressStream(z, &ob, &ib);
			ok = !ZSTD_isError(more) && ob.pos <= h->size - out->len;
			if (ok)
				buf_add(out, piece, ob.pos);
		}
	}
	free(in);
	free(piece);
	ZSTD_freeDStream(z);
	XXH128_hash_t x = XXH3_128bits(out->data, out->len);
	return ok && !more && out->len == h->size && x.low64 == h->hash[0] && x.high64 == h->hash[1];
}

bool l0_load(struct l0 *l, const char *path, struct err *e)
{
	FILE *f = fopen(path, "rb");
	if (!f)
		return err_errno(e, "snapshot %s", path);
	struct header h;
	struct buf state = {0};
	bool ok = fread(&h, sizeof(h), 1, f) == 1 && !memcmp(h.magic, MAGIC, 8);
	if (!ok)
		err_set(e, ERR_FILE, "%s is not a snapshot", path);
	else if (h.version != VERSION)
		ok = err_set(e, ERR_FILE, "snapshot %s is of version %" PRIu32 "; this program reads %u", path,
			h.version, VERSION);
	else if (!unpack(f, &h, &state))
		ok = err_set(e, ERR_FILE, "snapshot %s is damaged: its contents do not match its hash", path);
	fclose(f);
	if (ok) {
		struct state *s = state_loader(state.data, state.len, e);
		l0_state(l, s);
		ok = state_ok(s);
		state_free(s);
	}
	buf_done(&state);
	return ok;
}

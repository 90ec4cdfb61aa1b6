/* Snapshot files as hostile input. The input's first byte chooses: an even one
 * damages the file of a running machine at the places and with the bytes that
 * follow, or cuts it; an odd one damages the state inside and gives it a right
 * hash, as somebody would who means harm. Either the file is refused in one
 * line, or it opens and can be looked at.
 */
#include "tests/fuzz/driver.h"

#include "command/command.h"
#include "cpu/fp.h"
#include "introspect/live.h"
#include "introspect/machine.h"
#include "introspect/offline.h"
#include "introspect/run.h"
#include "tests/lib/l1_machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>
#include <zstd.h>

#define HEADER 40u /* "nestsnap", version, 0, size, hash; then the zstd frame */

struct base {
	uint8_t *file, *state; /* the whole file; what its frame holds */
	size_t size, state_size, frame; /* frame: bytes of it, the configuration follows */
	char path[64];
};

static void read_base(struct base *b)
{
	FILE *f = fopen(b->path, "rb");
	if (!f)
		abort();
	fseek(f, 0, SEEK_END);
	b->size = (size_t)ftell(f);
	rewind(f);
	b->file = malloc(b->size);
	if (fread(b->file, 1, b->size, f) != b->size)
		abort();
	fclose(f);
	uint64_t n;
	memcpy(&n, b->file + 16, 8);
	b->state = malloc(n);
	b->frame = ZSTD_findFrameCompressedSize(b->file + HEADER, b->size - HEADER);
	b->state_size = ZSTD_decompress(b->state, n, b->file + HEADER, b->frame);
	if (b->state_size != n)
		abort();
}

/* A machine whose L2 runs, saved. */
static const struct base *base(void)
{
	static struct base b;
	struct err e = {0};
	if (b.file)
		return &b;
	if (!fp_host_init(&e))
		abort();
	snprintf(b.path, sizeof b.path, "/tmp/nestscope-fuzz-%d.snap", (int)getpid());
	struct l0 *l = l1_machine("storm", 1, NULL);
	struct intro *s = live_session(l);
	struct stop st;
	stop_init(&st, STOP_ENTRY, 0);
	st.ignore = 20;
	if (!intro_stop_add(s, &st, &e) || !intro_continue(s, &e) || intro_run(s)->why != WHY_STOP ||
		!intro_save(s, b.path, &e))
		abort();
	intro_free(s);
	l0_free(l);
	read_base(&b);
	return &b;
}

/* Each four bytes: where (of the whole, in 65536ths and bytes) and what. */
static void damage(uint8_t *p, size_t size, const uint8_t *data, size_t n)
{
	for (; n >= 4; data += 4, n -= 4) {
		size_t at = (size_t)((data[0] << 8 | data[1]) * (uint64_t)size >> 16) + data[2];
		if (at < size)
			p[at] = data[3];
	}
}

static void write_file(const char *path, const void *p, size_t n, const void *q, size_t m)
{
	FILE *f = fopen(path, "wb");
	if (!f || fwrite(p, 1, n, f) != n || fwrite(q, 1, m, f) != m || fclose(f))
		abort();
}

/* The state with a right hash around it, and the configuration behind. */
static void wrap(const struct base *b, const uint8_t *state)
{
	size_t room = HEADER + ZSTD_compressBound(b->state_size);
	uint8_t *out = malloc(room);
	XXH128_hash_t x = XXH3_128bits(state, b->state_size);
	memcpy(out, b->file, HEADER);
	memcpy(out + 24, &x.low64, 8);
	memcpy(out + 32, &x.high64, 8);
	size_t n = ZSTD_compress(out + HEADER, room - HEADER, state, b->state_size, 1);
	write_file(b->path, out, HEADER + n, b->file + HEADER + b->frame, b->size - HEADER - b->frame);
	free(out);
}

static void look(struct intro *s)
{
	static const char *const lines[] = {"levels", "regs all", "vmcs 12", "vmcs 02", "walk rip x",
		"exits list 5", "bt", "info devices"};
	struct shell sh;
	shell_init(&sh, s);
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		struct buf out = {0};
		command_run(&sh, lines[i], &out);
		buf_done(&out);
	}
	shell_done(&sh);
}

void fuzz_one(const uint8_t *data, size_t n)
{
	const struct base *b = base();
	struct err e = {0};
	if (!n)
		return;
	bool inside = data[0] & 1;
	size_t size = inside ? b->state_size : b->size;
	uint8_t *copy = malloc(size);
	memcpy(copy, inside ? b->state : b->file, size);
	damage(copy, size, data + 1, n - 1);
	if (inside)
		wrap(b, copy);
	else
		write_file(b->path, copy, data[0] & 2 ? size * data[n - 1] / 256 : size, "", 0);
	struct intro *s = intro_open_snapshot(b->path, &e);
	if (!s && (!e.msg[0] || strchr(e.msg, '\n')))
		abort();
	if (s && !inside)
		look(s);
	if (s)
		intro_free(s);
	free(copy);
	unlink(b->path);
}

size_t fuzz_make(struct fuzz_random *r, uint8_t *out, size_t max)
{
	size_t n = 1 + 4 * (1 + fuzz_below(r, 12));
	(void)max;
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)fuzz_below(r, 256);
	if (fuzz_below(r, 2)) /* the beginning holds counts and sizes */
		for (size_t i = 1; i + 4 <= n; i += 4)
			out[i] = 0, out[i + 1] = (uint8_t)fuzz_below(r, 3);
	return n;
}

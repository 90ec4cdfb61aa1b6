#include "base/state.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct state {
	enum state_mode mode;
	struct buf *out;
	const uint8_t *in;
	size_t left;
	struct err *err;
	bool failed;
	XXH3_state_t *hash;
};

static struct state *make(enum state_mode mode)
{
	struct state *s = xalloc(sizeof(*s));
	s->mode = mode;
	return s;
}

struct state *state_saver(struct buf *out)
{
	struct state *s = make(STATE_SAVE);
	s->out = out;
	return s;
}

struct state *state_loader(const void *in, size_t len, struct err *e)
{
	struct state *s = make(STATE_LOAD);
	s->in = in;
	s->left = len;
	s->err = e;
	return s;
}

struct state *state_hasher(void)
{
	struct state *s = make(STATE_HASH);
	s->hash = XXH3_createState();
	if (!s->hash)
		abort();
	XXH3_128bits_reset(s->hash);
	return s;
}

void state_free(struct state *s)
{
	if (!s)
		return;
	XXH3_freeState(s->hash);
	free(s);
}

enum state_mode state_mode(const struct state *s)
{
	return s->mode;
}

bool state_ok(const struct state *s)
{
	return !s->failed;
}

struct state_hash state_digest(struct state *s)
{
	XXH128_hash_t h = XXH3_128bits_digest(s->hash);
	return (struct state_hash){h.low64, h.high64};
}

void state_fail(struct state *s, const char *fmt, ...)
{
	if (s->failed)
		return;
	s->failed = true;
	char text[400];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_set(s->err, ERR_FILE, "%s", text);
}

void state_bytes(struct state *s, void *p, size_t n)
{
	switch (s->mode) {
	case STATE_SAVE:
		buf_add(s->out, p, n);
		break;
	case STATE_HASH:
		XXH3_128bits_update(s->hash, p, n);
		break;
	case STATE_LOAD:
		if (s->failed)
			break;
		if (n > s->left) {
			state_fail(s, "the snapshot ends too early: %zu bytes wanted, %zu left", n,
				s->left);
			break;
		}
		memcpy(p, s->in, n);
		s->in += n;
		s->left -= n;
		break;
	}
}

void state_section(struct state *s, const char *name, uint32_t version)
{
	char tag[16] = {0};
	uint32_t got = version;
	snprintf(tag, sizeof(tag), "%s", name);
	char want[16];
	memcpy(want, tag, sizeof(want));
	state_bytes(s, tag, sizeof(tag));
	state_u32(s, &got);
	if (s->mode != STATE_LOAD || s->failed)
		return;
	if (memcmp(tag, want, sizeof(tag)))
		state_fail(s, "the snapshot has another part where '%s' belongs", name);
	else if (got != version)
		state_fail(s, "part '%s' of the snapshot has version %u, this program reads %u", name,
			got, version);
}

void state_u8(struct state *s, uint8_t *v)
{
	state_bytes(s, v, 1);
}

void state_u16(struct state *s, uint16_t *v)
{
	state_bytes(s, v, 2);
}

void state_u32(struct state *s, uint32_t *v)
{
	state_bytes(s, v, 4);
}

void state_u64(struct state *s, uint64_t *v)
{
	state_bytes(s, v, 8);
}

void state_bool(struct state *s, bool *v)
{
	uint8_t b = *v;
	state_bytes(s, &b, 1);
	*v = b != 0;
}

void state_count(struct state *s, uint64_t *v, uint64_t max)
{
	uint64_t n = *v;
	state_u64(s, &n);
	if (n > max) {
		state_fail(s, "a count of %llu in the snapshot is above its limit %llu",
			(unsigned long long)n, (unsigned long long)max);
		return;
	}
	*v = n;
}

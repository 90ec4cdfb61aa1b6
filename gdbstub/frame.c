#include "gdbstub/frame.h"

#include "base/hex.h"

#include <string.h>

void frame_done(struct frame *f)
{
	buf_done(&f->payload);
}

static void body(struct frame *f, char c)
{
	if (f->payload.len >= FRAME_MAX)
		f->too_long = true;
	else
		buf_char(&f->payload, c);
}

static enum frame_event idle(struct frame *f, unsigned char byte)
{
	switch (byte) {
	case '$':
		buf_clear(&f->payload);
		f->sum = 0;
		f->too_long = false;
		f->state = FRAME_BODY;
		return FRAME_NONE;
	case '+':
		return FRAME_ACK;
	case '-':
		return FRAME_NAK;
	case 0x03:
		return FRAME_INTERRUPT;
	default:
		return FRAME_NONE;
	}
}

static enum frame_event finish(struct frame *f, unsigned char byte)
{
	int low = hex_digit((char)byte);
	f->state = FRAME_IDLE;
	if (f->sum_high < 0 || low < 0 || (f->sum_high << 4 | low) != f->sum)
		return FRAME_BAD;
	if (f->too_long)
		return FRAME_TOO_LONG;
	buf_add(&f->payload, "", 0); /* an empty payload is a string too */
	return FRAME_PACKET;
}

enum frame_event frame_feed(struct frame *f, unsigned char byte)
{
	switch (f->state) {
	case FRAME_IDLE:
		return idle(f, byte);
	case FRAME_BODY:
		if (byte == '#') {
			f->state = FRAME_SUM1;
			return FRAME_NONE;
		}
		if (byte == '$') /* the sender gave up and starts again */
			return idle(f, byte);
		f->sum = (unsigned char)(f->sum + byte);
		if (byte == '}')
			f->state = FRAME_ESCAPE;
		else
			body(f, (char)byte);
		return FRAME_NONE;
	case FRAME_ESCAPE:
		f->sum = (unsigned char)(f->sum + byte);
		body(f, (char)(byte ^ 0x20));
		f->state = FRAME_BODY;
		return FRAME_NONE;
	case FRAME_SUM1:
		f->sum_high = hex_digit((char)byte);
		f->state = FRAME_SUM2;
		return FRAME_NONE;
	case FRAME_SUM2:
		return finish(f, byte);
	}
	return FRAME_NONE;
}

static bool special(unsigned char c)
{
	return c == '#' || c == '$' || c == '}' || c == '*';
}

void frame_encode(struct buf *out, const void *payload, size_t len)
{
	const unsigned char *p = payload;
	unsigned char sum = 0;
	size_t run = 0; /* first byte not yet copied */
	buf_char(out, '$');
	for (size_t i = 0; i < len; i++) {
		if (!special(p[i])) {
			sum = (unsigned char)(sum + p[i]);
			continue;
		}
		char escaped[2] = {'}', (char)(p[i] ^ 0x20)};
		buf_add(out, p + run, i - run);
		buf_add(out, escaped, 2);
		sum = (unsigned char)(sum + '}' + (unsigned char)escaped[1]);
		run = i + 1;
	}
	buf_add(out, p + run, len - run);
	buf_char(out, '#');
	buf_hex(out, &sum, 1);
}

/* gdbstub/frame.h: framing, escapes, checksums, rubbish. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "gdbstub/frame.h"

static enum frame_event feed(struct frame *f, const char *s, size_t n)
{
	enum frame_event last = FRAME_NONE;
	for (size_t i = 0; i < n; i++)
		last = frame_feed(f, (unsigned char)s[i]);
	return last;
}

static void test_packet(void **ctx)
{
	(void)ctx;
	struct frame f = {0};
	assert_int_equal(feed(&f, "$OK#9a", 6), FRAME_PACKET);
	assert_string_equal(f.payload.data, "OK");
	assert_int_equal(feed(&f, "$OK#9b", 6), FRAME_BAD);
	assert_int_equal(feed(&f, "$OK#zz", 6), FRAME_BAD);
	assert_int_equal(feed(&f, "$#00", 4), FRAME_PACKET);
	assert_int_equal(f.payload.len, 0);
	assert_int_equal(feed(&f, "$half$OK#9a", 11), FRAME_PACKET);
	assert_string_equal(f.payload.data, "OK");
	assert_int_equal(frame_feed(&f, 3), FRAME_INTERRUPT);
	assert_int_equal(frame_feed(&f, '+'), FRAME_ACK);
	assert_int_equal(frame_feed(&f, '-'), FRAME_NAK);
	frame_done(&f);
}

static void test_every_byte_survives(void **ctx)
{
	(void)ctx;
	struct frame f = {0};
	struct buf b = {0};
	unsigned char all[256];
	for (int i = 0; i < 256; i++)
		all[i] = (unsigned char)i;
	frame_encode(&b, all, sizeof(all));
	assert_int_equal(feed(&f, b.data, b.len), FRAME_PACKET);
	assert_int_equal(f.payload.len, 256);
	assert_memory_equal(f.payload.data, all, 256);
	buf_done(&b);
	frame_done(&f);
}

static void test_a_flood_is_bounded(void **ctx)
{
	(void)ctx;
	struct frame f = {0};
	unsigned char sum = 0;
	frame_feed(&f, '$');
	for (unsigned i = 0; i < 3 * FRAME_MAX; i++) {
		assert_int_equal(frame_feed(&f, 'x'), FRAME_NONE);
		sum = (unsigned char)(sum + 'x');
	}
	assert_int_equal(f.payload.len, FRAME_MAX);
	char tail[4];
	snprintf(tail, sizeof(tail), "#%02x", sum);
	assert_int_equal(feed(&f, tail, 3), FRAME_TOO_LONG);
	frame_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_packet),
		cmocka_unit_test(test_every_byte_survives),
		cmocka_unit_test(test_a_flood_is_bounded)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

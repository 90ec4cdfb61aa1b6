/* base/buf.h, hex.h, log.h, err.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hex.h"
#include "base/log.h"

static void test_numbers(void **ctx)
{
	(void)ctx;
	uint64_t v;
	static const struct {
		const char *s;
		bool ok;
		uint64_t v;
	} row[] = {{"0", true, 0}, {"1G", true, 1 << 30}, {"0x10", true, 16}, {"", false, 0},
		{"-1", false, 0}, {" 1", false, 0}, {"1GB", false, 0}, {"0x", false, 0},
		{"18446744073709551615", true, UINT64_MAX}, {"18446744073709551616", false, 0},
		{"16777216T", false, 0}, {"12q", false, 0}};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		v = 0;
		assert_int_equal(parse_u64(row[i].s, &v), row[i].ok);
		if (row[i].ok)
			assert_true(v == row[i].v);
	}
}

static void test_hex(void **ctx)
{
	(void)ctx;
	struct buf b = {0};
	uint8_t out[3];
	buf_str(&b, "<");
	buf_hex(&b, "\x00\xab\xff", 3);
	buf_fmt(&b, ">%d", 42);
	assert_string_equal(b.data, "<00abff>42");
	assert_true(hex_decode(out, b.data + 1, 3));
	assert_int_equal(out[1], 0xab);
	assert_false(hex_decode(out, "0g", 1));
	buf_eat(&b, 7);
	assert_string_equal(b.data, ">42");
	buf_eat(&b, 99);
	assert_string_equal(b.data, "");
	buf_done(&b);
}

static void test_log_counts(void **ctx)
{
	(void)ctx;
	struct log *l = log_new(4);
	for (int i = 0; i < 10; i++)
		log_once(l, LOG_WARN, "msr", 0x123, "unknown MSR 123h");
	assert_int_equal(log_count(l), 1);
	assert_int_equal(log_at(l, 0)->count, 10);
	for (int i = 0; i < 9; i++)
		log_say(l, LOG_INFO, "x", "line %d", i);
	assert_int_equal(log_count(l), 4);
	assert_string_equal(log_at(l, 3)->text, "line 8");
	assert_null(log_at(l, 4));
	log_free(l);
}

static void test_first_error_wins(void **ctx)
{
	(void)ctx;
	struct err e = {0};
	assert_false(err_set(&e, ERR_USAGE, "first"));
	assert_false(err_set(&e, ERR_FILE, "second"));
	assert_string_equal(e.msg, "first");
	assert_int_equal(e.status, ERR_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers), cmocka_unit_test(test_hex),
		cmocka_unit_test(test_log_counts), cmocka_unit_test(test_first_error_wins)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

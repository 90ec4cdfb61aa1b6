/* base/input.h: what is saved plays back at its positions; damage is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/input.h"
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct taker {
	struct clock *clock;
	struct buf seen;
};

static void take(void *ctx, uint32_t target, const uint8_t *data, uint32_t len)
{
	struct taker *t = ctx;
	buf_fmt(&t->seen, "[%llu %u ", (unsigned long long)t->clock->now, target);
	buf_add(&t->seen, data, len);
	buf_str(&t->seen, "]");
}

static void test_play_back(void **ctx)
{
	(void)ctx;
	char path[] = "/tmp/nestscope-inputs-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	struct err e = {0};
	struct clock c;
	clock_init(&c);
	struct taker t = {.clock = &c};
	struct inputs *in = inputs_new(&c);
	inputs_register(in, INPUT_SERIAL, take, &t);
	clock_set(&c, 10);
	assert_true(input_put(in, INPUT_SERIAL, 1, "ab", 2));
	clock_set(&c, 20);
	assert_true(input_put(in, INPUT_SERIAL, 0, "", 0));
	assert_true(input_put(in, INPUT_SERIAL, 0, "z", 1));
	assert_true(inputs_save(in, path, &e));
	assert_false(inputs_play(in, path, &e)); /* its beginning is past */
	inputs_free(in);

	struct clock d;
	clock_init(&d);
	struct taker u = {.clock = &d};
	in = inputs_new(&d);
	inputs_register(in, INPUT_SERIAL, take, &u);
	memset(&e, 0, sizeof(e));
	assert_true(inputs_play(in, path, &e));
	assert_false(input_put(in, INPUT_SERIAL, 0, "x", 1));
	while (inputs_next(in) != CLOCK_NEVER) {
		clock_skip(&d, inputs_next(in));
		inputs_run(in, false);
	}
	assert_string_equal(t.seen.data, u.seen.data);
	assert_int_equal(inputs_count(in), 3);
	assert_int_equal(inputs_at(in, 2)->at.ordinal, 1);
	inputs_free(in);
	buf_done(&t.seen);
	buf_done(&u.seen);
	unlink(path);
}

static void test_damage(void **ctx)
{
	(void)ctx;
	const char *const bad[] = {"", "nestscope-inputs 2\n", "nestscope-inputs 1\n1 0 serial 0 a\n",
		"nestscope-inputs 1\n1 0 nothing 0 aa\n", "nestscope-inputs 1\n5 0 serial 0 aa\n4 0 serial 0 aa\n",
		"nestscope-inputs 1\n5 0 serial 0 gg\n", "nestscope-inputs 1\n5 0 serial 0 aa"};
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char path[] = "/tmp/nestscope-inputs-XXXXXX";
		int fd = mkstemp(path);
		assert_true(fd >= 0 && write(fd, bad[i], strlen(bad[i])) == (ssize_t)strlen(bad[i]));
		close(fd);
		struct clock c;
		clock_init(&c);
		struct inputs *in = inputs_new(&c);
		struct err e = {0};
		assert_false(inputs_play(in, path, &e));
		assert_int_equal(e.status, ERR_FILE);
		inputs_free(in);
		unlink(path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_play_back), cmocka_unit_test(test_damage)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

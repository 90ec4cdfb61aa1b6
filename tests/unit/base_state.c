/* base/state.h: what is saved loads back, and damage is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/state.h"

struct thing {
	uint8_t a;
	uint64_t b;
	bool c;
};

static void thing_state(struct thing *t, struct state *s)
{
	state_section(s, "thing", 3);
	state_u8(s, &t->a);
	state_u64(s, &t->b);
	state_bool(s, &t->c);
}

static struct buf saved(struct thing t)
{
	struct buf b = {0};
	struct state *s = state_saver(&b);
	thing_state(&t, s);
	state_free(s);
	return b;
}

static void test_round_trip(void **ctx)
{
	(void)ctx;
	struct buf b = saved((struct thing){7, 1ull << 40, true});
	struct thing t = {0};
	struct err e = {0};
	struct state *s = state_loader(b.data, b.len, &e);
	thing_state(&t, s);
	assert_true(state_ok(s));
	assert_int_equal(t.a, 7);
	assert_true(t.b == 1ull << 40 && t.c);
	state_free(s);
	buf_done(&b);
}

static void test_truncated_is_refused(void **ctx)
{
	(void)ctx;
	struct buf b = saved((struct thing){7, 9, true});
	for (size_t n = 0; n < b.len; n++) {
		struct thing t = {1, 2, false};
		struct err e = {0};
		struct state *s = state_loader(b.data, n, &e);
		thing_state(&t, s);
		assert_false(state_ok(s));
		assert_int_equal(e.status, ERR_FILE);
		state_free(s);
	}
	buf_done(&b);
}

static void test_hash_sees_every_field(void **ctx)
{
	(void)ctx;
	const struct thing v[] = {{1, 2, false}, {2, 2, false}, {1, 3, false}, {1, 2, true}};
	uint64_t seen[4];
	for (int i = 0; i < 4; i++) {
		struct thing t = v[i];
		struct state *s = state_hasher();
		thing_state(&t, s);
		seen[i] = state_digest(s).lo;
		state_free(s);
		for (int j = 0; j < i; j++)
			assert_true(seen[i] != seen[j]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_truncated_is_refused),
		cmocka_unit_test(test_hash_sees_every_field)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

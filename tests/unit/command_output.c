/* Documents that flow say the same as those that do not, and can be ended. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "command/command.h"
#include "introspect/exits.h"
#include "introspect/fake.h"

#include <jansson.h>
#include <string.h>

struct taken {
	struct buf all;
	size_t longest; /* of one piece */
	unsigned pieces, most; /* most: how many are wanted */
};

static bool take(void *ctx, struct buf *text)
{
	struct taken *t = ctx;
	buf_add(&t->all, text->data, text->len);
	t->longest = text->len > t->longest ? text->len : t->longest;
	buf_clear(text);
	return ++t->pieces < t->most;
}

/* Text in front, a table of `rows` and text behind. */
static void document(struct output *o, unsigned rows)
{
	out_values(o, NULL);
	out_key(o, "title");
	out_str(o, "a \"quoted\" title");
	out_table(o, "rows", ">n,text,.hidden,flag,>grouped,none");
	for (unsigned i = 0; i < rows && !output_stopped(o); i++) {
		out_u64(o, i % 2 ? i : UINT64_MAX - i);
		out_str(o, i % 5 ? "plain" : "tab\t, \"quote\", back\\slash, \xc3\xa4 and \xff");
		out_hex(o, i);
		out_bool(o, i % 3 == 0);
		out_grouped(o, i * 1000);
		out_none(o);
	}
	out_values(o, "end");
	out_key(o, "rows");
	out_u64(o, rows);
}

static void render(unsigned rows, bool json, bool flows, struct taken *t)
{
	struct output *o = output_new();
	struct buf to = {0};
	const struct output_flow flow = {take, t};
	*t = (struct taken){.most = 1000000};
	if (flows)
		output_flow(o, json, &to, &flow);
	document(o, rows);
	if (flows)
		output_end(o);
	else if (json)
		output_json(o, &to);
	else
		output_human(o, &to);
	buf_add(&t->all, to.data, to.len);
	buf_done(&to);
	output_free(o);
}

static void squeeze(struct buf *b)
{
	size_t n = 0;
	for (size_t i = 0; i < b->len; i++)
		if (b->data[i] != ' ' || !n || b->data[n - 1] != ' ')
			b->data[n++] = b->data[i];
	b->data[b->len = n] = 0;
}

static void test_the_same(void **state)
{
	static const unsigned rows[] = {0, 1, 1023, 1024, 1025, 5000};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct taken a, b;
		render(rows[i], true, false, &a);
		render(rows[i], true, true, &b);
		assert_string_equal(a.all.data, b.all.data);
		assert_int_equal(b.pieces, rows[i] >= 1024 ? rows[i] / 1024 + 1 : 0);
		buf_done(&a.all);
		buf_done(&b.all);
		render(rows[i], false, false, &a);
		render(rows[i], false, true, &b);
		squeeze(&a.all);
		squeeze(&b.all);
		assert_string_equal(a.all.data, b.all.data);
		buf_done(&a.all);
		buf_done(&b.all);
	}
}

static void test_two_tables(void **state)
{
	struct output *o = output_new();
	struct taken t = {.most = 1000};
	struct buf to = {0};
	const struct output_flow flow = {take, &t};
	(void)state;
	output_flow(o, true, &to, &flow);
	out_table(o, "a", "n");
	for (unsigned i = 0; i < 3000; i++)
		out_u64(o, i);
	out_table(o, "b", "n");
	for (unsigned i = 0; i < 2000; i++)
		out_u64(o, i);
	output_end(o);
	buf_add(&t.all, to.data, to.len);
	json_t *j = json_loads(t.all.data, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(j, "a")), 3000);
	assert_int_equal(json_array_size(json_object_get(j, "b")), 2000);
	json_decref(j);
	buf_done(&t.all);
	buf_done(&to);
	output_free(o);
}

static void test_an_error_in_the_middle(void **state)
{
	(void)state;
	for (int json = 0; json < 2; json++) {
		struct output *o = output_new();
		struct buf to = {0};
		struct taken t = {.most = 1000};
		const struct output_flow flow = {take, &t};
		output_flow(o, json, &to, &flow);
		out_table(o, "a", "n");
		for (unsigned i = 0; i < 1500; i++)
			out_u64(o, i);
		out_error(o, "it broke");
		output_end(o);
		buf_add(&t.all, to.data, to.len);
		json_t *j = json ? json_loads(t.all.data, 0, NULL) : NULL;
		assert_non_null(strstr(t.all.data, "it broke"));
		if (json)
			assert_int_equal(json_array_size(json_object_get(j, "a")), 1500);
		json_decref(j);
		buf_done(&t.all);
		buf_done(&to);
		output_free(o);
	}
}

static void test_nobody_takes_it(void **state)
{
	struct output *o = output_new();
	struct buf to = {0};
	uint64_t i = 0;
	(void)state;
	output_flow(o, false, &to, NULL);
	out_table(o, "a", "n");
	while (!output_stopped(o) && i < 100u << 20)
		out_u64(o, UINT64_MAX - i++);
	assert_true(output_stopped(o));
	assert_in_range(to.len, 64u << 20, 65u << 20);
	assert_non_null(strstr(output_error_text(o), "fewer rows"));
	buf_done(&to);
	output_free(o);
}

/* The recorded machine keeps 4,100 transitions: all of them, by blocks. */
static void test_exits(void **state)
{
	struct intro *s = fake_session();
	struct shell sh;
	struct taken t = {.most = 1000};
	struct buf to = {0};
	const struct output_flow flow = {take, &t};
	uint64_t first, end;
	(void)state;
	shell_init(&sh, s);
	intro_exits_range(s, &first, &end);
	assert_true(command_flow(&sh, "exits list 1000000000 --json", &to, &flow));
	buf_add(&t.all, to.data, to.len);
	json_t *j = json_loads(t.all.data, 0, NULL), *rows = json_object_get(j, "exits");
	assert_int_equal(json_array_size(rows), end - first);
	for (uint64_t q = first; q < end; q++)
		assert_int_equal(json_integer_value(json_object_get(
			json_array_get(rows, q - first), "seq")), q);
	json_decref(j);
	assert_in_range(t.longest, 1, 1u << 20);
	buf_clear(&t.all);
	buf_clear(&to);
	t = (struct taken){.all = t.all, .most = 1}; /* left after the first block */
	assert_true(command_flow(&sh, "exits list 1000000000", &to, &flow));
	assert_int_equal(t.pieces, 1);
	buf_done(&t.all);
	buf_done(&to);
	shell_done(&sh);
	intro_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_same),
		cmocka_unit_test(test_two_tables), cmocka_unit_test(test_an_error_in_the_middle),
		cmocka_unit_test(test_nobody_takes_it), cmocka_unit_test(test_exits)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

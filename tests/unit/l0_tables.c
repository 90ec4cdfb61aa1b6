/* Every exit reason has a row in both dispatch tables, once. */
#include "l0/nested.h"
#include "vmx/controls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void every_reason_has_a_handler_for_l1(void **state)
{
	unsigned rows[EXIT_REASON_COUNT] = {0};

	(void)state;
#define EXIT_L1(reason, fn) rows[EXIT_REASON_##reason]++;
#include "l0/exits_l1.def"
#undef EXIT_L1
	for (unsigned r = 0; r < EXIT_REASON_COUNT; r++)
		assert_int_equal(rows[r], vmx_exit_reason_name(r) != NULL);
}

static void every_reason_has_a_rule_for_l2(void **state)
{
	unsigned rows[EXIT_REASON_COUNT] = {0};

	(void)state;
#define REFLECT(reason, rule, bits) rows[EXIT_REASON_##reason]++;
#include "l0/reflect.def"
#undef REFLECT
	for (unsigned r = 0; r < EXIT_REASON_COUNT; r++)
		assert_int_equal(rows[r], vmx_exit_reason_name(r) != NULL);
}

/* A rule over a control asks for bits that the control field has. */
static void rules_name_controls_that_exist(void **state)
{
	static const struct {
		enum reflect_rule rule;
		uint32_t bits;
	} rows[] = {
#define REFLECT(reason, rule, bits) {RULE_##rule, bits},
#include "l0/reflect.def"
#undef REFLECT
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int group = rows[i].rule == RULE_PIN ? GROUP_PIN :
			rows[i].rule == RULE_PROC1 ? GROUP_PROC1 :
			rows[i].rule == RULE_PROC2 ? GROUP_PROC2 : -1;
		assert_int_equal(group >= 0, rows[i].bits != 0);
		for (unsigned bit = 0; bit < 32; bit++)
			if (rows[i].bits >> bit & 1)
				assert_non_null(vmx_control_find(group, bit));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_reason_has_a_handler_for_l1),
		cmocka_unit_test(every_reason_has_a_rule_for_l2),
		cmocka_unit_test(rules_name_controls_that_exist),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "l0/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

static void defaults_offer_everything(void **state)
{
	struct l0_options o;

	(void)state;
	assert_true(l0_options_parse(&o, NULL, NULL));
	for (unsigned i = 0; i < L0_USE_COUNT; i++)
		assert_int_equal(o.use[i], i != L0_USE_PML);
	assert_true(o.cap[CAP_EPT] && o.cap[CAP_VMCS_SHADOWING] && o.cap[CAP_POSTED]);
	assert_false(o.cap[CAP_NEVER]);
	assert_int_equal(o.mmu, L0_MMU_NEPT);
	assert_false(o.none);
}

static void cap_ept_off_withdraws_what_needs_it(void **state)
{
	struct l0_options o;
	struct vmx_caps caps = {0};

	(void)state;
	assert_true(l0_options_parse(&o, "cap.ept=off", NULL));
	vmx_caps_make(&caps, o.cap, 39, ~UINT64_C(0));
	assert_false(caps.cap[CAP_EPT] || caps.cap[CAP_UNRESTRICTED] || caps.cap[CAP_PML] ||
		caps.cap[CAP_VMFUNC] || caps.cap[CAP_VE] || caps.cap[CAP_MBEC] ||
		caps.cap[CAP_EPT_AD]);
	assert_true(caps.cap[CAP_VPID]);
	assert_true(o.use[L0_USE_EPT]);
}

static void mmu_modes(void **state)
{
	struct l0_options o;

	(void)state;
	assert_true(l0_options_parse(&o, "mmu=shadow-on-ept,use.shadow-vmcs=off", NULL));
	assert_false(o.cap[CAP_EPT]);
	assert_false(o.use[L0_USE_SHADOW_VMCS]);
	assert_true(o.use[L0_USE_EPT]);
	assert_true(l0_options_parse(&o, "use.ept=off", NULL));
	assert_int_equal(o.mmu, L0_MMU_SHADOW_ON_SHADOW);
}

static void mistakes_are_named(void **state)
{
	struct l0_options o;
	struct err e = {0};

	(void)state;
	assert_false(l0_options_parse(&o, "cap.nonsense=on", &e));
	assert_int_equal(e.status, ERR_USAGE);
	assert_non_null(strstr(e.msg, "nonsense"));
	e = (struct err){0};
	assert_false(l0_options_parse(&o, "cap.ept=maybe", &e));
	assert_non_null(strstr(e.msg, "on or off"));
	assert_true(l0_options_parse(&o, "none", NULL));
	assert_true(o.none);
}

/* Where L0 knows one way only, another value is refused with the reason. */
static void fixed_keys_refuse_another_value(void **state)
{
	static const char *const good[] = {"use.apicv=on"};
	static const char *const bad[] = {"use.apicv=off"};
	struct l0_options o;

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = {0};
		assert_true(l0_options_parse(&o, good[i], NULL));
		assert_false(l0_options_parse(&o, bad[i], &e));
		assert_int_equal(e.status, ERR_USAGE);
		assert_memory_equal(e.msg + 5, bad[i], strcspn(bad[i], "="));
		assert_non_null(strstr(e.msg, "cap."));
	}
}

static void cost_models(void **state)
{
	struct l0_options o;

	(void)state;
	assert_true(l0_options_parse(&o, "cost=none", NULL));
	assert_int_equal(l0_options_cost(&o), 0);
	assert_true(l0_options_parse(&o, "cost=haswell", NULL));
	assert_int_equal(l0_options_cost(&o), 1000);
	assert_true(l0_options_parse(&o, "cost=skylake", NULL));
	assert_int_equal(l0_options_cost(&o), 1200);
	assert_false(l0_options_parse(&o, "cost=abacus", NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_offer_everything),
		cmocka_unit_test(cap_ept_off_withdraws_what_needs_it),
		cmocka_unit_test(mmu_modes),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(fixed_keys_refuse_another_value),
		cmocka_unit_test(cost_models),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

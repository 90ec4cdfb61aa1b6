/* CPU models: parsing of --cpu and the leaves that guests rely on. */
#include "cpu/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void parse(struct cpu_model *m, const char *spec)
{
	struct err e = {0};

	if (!cpu_model_parse(m, spec, &e))
		fail_msg("%s: %s", spec, e.msg);
}

static void default_model_is_v3_without_avx512(void **s)
{
	struct cpu_model m;
	uint32_t r[4];

	(void)s;
	parse(&m, NULL);
	assert_string_equal(m.name, "icelake-server");
	assert_true(cpu_has(&m, FEAT_AVX2) && cpu_has(&m, FEAT_BMI2) && cpu_has(&m, FEAT_MOVBE));
	assert_true(cpu_has(&m, FEAT_FMA) && cpu_has(&m, FEAT_LZCNT) && cpu_has(&m, FEAT_F16C));
	assert_false(cpu_has(&m, FEAT_AVX512F));
	cpu_model_cpuid(&m, 1, 77, r);
	assert_int_equal(r[0], 0x606a6);
	assert_true(r[2] >> 31);
	cpu_model_cpuid(&m, 7, 0, r);
	assert_true(r[1] & 1 << 5);
	cpu_model_cpuid(&m, 7, 1, r);
	assert_int_equal(r[0] | r[1] | r[2] | r[3], 0);
}

static void tsc_leaf_gives_one_gigahertz(void **s)
{
	struct cpu_model m;
	uint32_t r[4];

	(void)s;
	parse(&m, "haswell");
	cpu_model_cpuid(&m, 0x15, 0, r);
	assert_int_equal((uint64_t)r[2] * r[1] / r[0], 1000000000);
	cpu_model_cpuid(&m, 0x80000007, 0, r);
	assert_int_equal(r[3], 1 << 8);
}

static void options_switch_features_and_dependents(void **s)
{
	struct cpu_model m;
	uint32_t r[4];

	(void)s;
	parse(&m, "skylake-server,-avx,+umip,vendor=AuthenticAMD");
	assert_false(cpu_has(&m, FEAT_AVX) || cpu_has(&m, FEAT_AVX2) || cpu_has(&m, FEAT_FMA));
	assert_true(cpu_has(&m, FEAT_UMIP));
	cpu_model_cpuid(&m, 0, 0, r);
	assert_memory_equal(&r[1], "Auth", 4);
	parse(&m, "-hypervisor,-pmu");
	cpu_model_cpuid(&m, 0x40000000, 0, r);
	assert_int_equal(r[0], 0);
	cpu_model_cpuid(&m, 0xa, 0, r);
	assert_int_equal(r[0], 0);
	parse(&m, "+kvm-signature");
	cpu_model_cpuid(&m, 0x40000000, 0, r);
	assert_memory_equal(&r[1], "KVMK", 4);
}

static void bad_words_are_named(void **s)
{
	struct cpu_model m;
	struct err e = {0};

	(void)s;
	assert_false(cpu_model_parse(&m, "pentium", &e));
	assert_non_null(strstr(e.msg, "pentium"));
	assert_int_equal(e.status, ERR_USAGE);
	memset(&e, 0, sizeof(e));
	assert_false(cpu_model_parse(&m, "nehalem,+nonsense", &e));
	assert_non_null(strstr(e.msg, "nonsense"));
	assert_false(cpu_model_parse(&m, "+avx512f", NULL));
	assert_false(cpu_model_parse(&m, "vendor=x", NULL));
	assert_false(cpu_model_parse(&m, "-lm", NULL));
}

static void vulnerable_takes_the_no_bits_away(void **s)
{
	struct cpu_model m;

	(void)s;
	parse(&m, "");
	assert_true(cpu_model_arch_capabilities(&m) & 1);
	assert_true(cpu_model_arch_capabilities(&m) & 8);
	parse(&m, "+vulnerable");
	assert_int_equal(cpu_model_arch_capabilities(&m), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(default_model_is_v3_without_avx512),
		cmocka_unit_test(tsc_leaf_gives_one_gigahertz),
		cmocka_unit_test(options_switch_features_and_dependents),
		cmocka_unit_test(bad_words_are_named),
		cmocka_unit_test(vulnerable_takes_the_no_bits_away),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

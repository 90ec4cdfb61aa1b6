/* Performance counters: overflows interrupt at their instruction; a counter may
 * count at one privilege level only. */
#include "tests/lib/bare_cpu.h"

#include "cpu/msr.h"
#include "cpu/pmu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { PERFEVTSEL0 = 0x186, PMC0 = 0xc1, FIXED0 = 0x309, FIXED_CTRL = 0x38d, GLOBAL_CTRL = 0x38f,
	GLOBAL_STATUS = 0x38e, INSNS = 0x00c0, USR = 1 << 16, OS = 1 << 17, INT = 1 << 20,
	EN = 1 << 22 };

/* What the LVT saw. */
struct listener {
	struct vcpu *c;
	unsigned times;
	uint64_t retired;
};

static void on_lvt(void *to, unsigned offset)
{
	struct listener *l = to;
	assert_int_equal(offset, 0x340);
	l->times++;
	l->retired = l->c->retired;
}

static const struct apic_ops apic = {.lvt = on_lvt};

struct fixture {
	struct bare b;
	struct listener heard;
};

/* 1: inc eax; jmp 1b */
static const uint8_t program[] = {0xff, 0xc0, 0xeb, 0xfc};

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));
	bare_init(&f->b);
	bare_code(&f->b, program, sizeof(program));
	f->heard.c = f->b.c;
	f->b.c->apic_ops = &apic;
	f->b.c->apic = &f->heard;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	bare_done(&f->b);
	test_free(f);
	return 0;
}

static uint64_t get(struct fixture *f, uint32_t n)
{
	uint64_t v;
	assert_true(msr_read(f->b.c, n, &v));
	return v;
}

static void overflow_is_exact(void **state)
{
	struct fixture *f = *state;
	struct vcpu *c = f->b.c;
	assert_true(msr_write(c, GLOBAL_CTRL, 1));
	assert_true(msr_write(c, PMC0, (uint32_t)-1000));
	assert_true(msr_write(c, PERFEVTSEL0, INSNS | USR | OS | INT | EN));
	uint64_t start = c->retired;
	assert_int_equal(engine_run(c, 999), LEAVE_SLICE);
	assert_int_equal(f->heard.times, 0);
	assert_int_equal(engine_run(c, 5000), LEAVE_SLICE);
	assert_int_equal(f->heard.times, 1);
	assert_int_equal(f->heard.retired - start, 1000);
	assert_int_equal(get(f, GLOBAL_STATUS), 1);
	assert_int_equal(get(f, PMC0), 4999);
}

static void silent_overflow(void **state)
{
	struct fixture *f = *state;
	struct vcpu *c = f->b.c;
	assert_true(msr_write(c, GLOBAL_CTRL, UINT64_C(1) << 32));
	assert_true(msr_write(c, FIXED0, (UINT64_C(1) << 48) - 10));
	assert_true(msr_write(c, FIXED_CTRL, 3));
	assert_int_equal(engine_run(c, 100), LEAVE_SLICE);
	assert_int_equal(f->heard.times, 0);
	assert_int_equal(get(f, FIXED0), 90);
	assert_int_equal(get(f, GLOBAL_STATUS), UINT64_C(1) << 32);
}

static void levels_apart(void **state)
{
	struct fixture *f = *state;
	struct vcpu *c = f->b.c;
	assert_true(msr_write(c, GLOBAL_CTRL, 1 | UINT64_C(1) << 32));
	assert_true(msr_write(c, PERFEVTSEL0, INSNS | USR | INT | EN));
	assert_true(msr_write(c, PMC0, (uint32_t)-50));
	assert_true(msr_write(c, FIXED_CTRL, 1)); /* level 0 */
	uint64_t start = c->retired;
	assert_int_equal(engine_run(c, 200), LEAVE_SLICE);
	assert_int_equal(get(f, FIXED0), 200);
	assert_int_equal(f->heard.times, 0);
	pmu_level(c);
	c->cpl = 3;
	for (unsigned n = 0; n < 6; n++)
		c->seg[n].ar |= 0x60;
	vcpu_state_changed(c);
	assert_int_equal(engine_run(c, 70), LEAVE_SLICE);
	assert_int_equal(get(f, FIXED0), 200);
	assert_int_equal(get(f, PMC0), 20);
	assert_int_equal(f->heard.times, 1);
	assert_int_equal(f->heard.retired - start, 250);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(overflow_is_exact, setup, teardown),
		cmocka_unit_test_setup_teardown(silent_overflow, setup, teardown),
		cmocka_unit_test_setup_teardown(levels_apart, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

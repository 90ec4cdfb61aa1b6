/* Translated blocks against interpreted ones: the same state after every slice,
 * wherever it ends. (The oracle holds translated sequences against the host.) */
#include "tests/lib/bare_cpu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/*
 *   mov $0x300000, %esp
 *   mov $0x2ffff8, %edi
 *   mov $200, %ecx
 *   xor %ebx, %ebx
 *   mov $0x12345, %eax
 *   1:	imul $1664525, %eax, %eax
 *   add $1013904223, %eax
 *   mov %rax, -3(%rdi,%rbx,8)
 *   cmp $77, %al
 *   jb 2f
 *   ja 3f
 *   inc %r8
 *   2:	adc $5, %r9
 *   setl %dl
 *   cmovs %rax, %r10
 *   push %rax
 *   call 4f
 *   pop %r11
 *   3:	dec %rcx
 *   jnz 1b
 *   jmp 5f
 *   4:	shl $3, %r11
 *   shr $7, %rax
 *   setc %r12b
 *   sbb %r13, %r12
 *   incl 8(%rsp)
 *   xchg %r12, %r13
 *   mov 8(%rsp), %rsi
 *   sar %cl, %rsi
 *   add %rsi, %r14
 *   and $63, %ebx
 *   inc %ebx
 *   ret
 *   5:	mov $3000, %ecx
 *   6:	add %rcx, %r14
 *   rol $5, %r14
 *   dec %ecx
 *   jnz 6b
 *   hlt
 */
static const uint8_t program[] = {
	0xbc, 0x00, 0x00, 0x30, 0x00, 0xbf, 0xf8, 0xff, 0x2f, 0x00, 0xb9, 0xc8, 0x00, 0x00,
	0x00, 0x31, 0xdb, 0xb8, 0x45, 0x23, 0x01, 0x00, 0x69, 0xc0, 0x0d, 0x66, 0x19, 0x00,
	0x05, 0x5f, 0xf3, 0x6e, 0x3c, 0x48, 0x89, 0x44, 0xdf, 0xfd, 0x3c, 0x4d, 0x72, 0x05,
	0x77, 0x16, 0x49, 0xff, 0xc0, 0x49, 0x83, 0xd1, 0x05, 0x0f, 0x9c, 0xc2, 0x4c, 0x0f,
	0x48, 0xd0, 0x50, 0xe8, 0x09, 0x00, 0x00, 0x00, 0x41, 0x5b, 0x48, 0xff, 0xc9, 0x75,
	0xcf, 0xeb, 0x27, 0x49, 0xc1, 0xe3, 0x03, 0x48, 0xc1, 0xe8, 0x07, 0x41, 0x0f, 0x92,
	0xc4, 0x4d, 0x19, 0xec, 0xff, 0x44, 0x24, 0x08, 0x4d, 0x87, 0xe5, 0x48, 0x8b, 0x74,
	0x24, 0x08, 0x48, 0xd3, 0xfe, 0x49, 0x01, 0xf6, 0x83, 0xe3, 0x3f, 0xff, 0xc3, 0xc3,
	0xb9, 0xb8, 0x0b, 0x00, 0x00, 0x49, 0x01, 0xce, 0x49, 0xc1, 0xc6, 0x05, 0xff, 0xc9,
	0x75, 0xf5, 0xf4,
};

struct pair {
	struct bare plain, host;
};

static void start(struct bare *b, unsigned heat)
{
	bare_init(b);
	engine_translate(b->engine, heat);
	bare_code(b, program, sizeof(program));
}

static int setup(void **state)
{
	*state = test_calloc(1, sizeof(struct pair));
	return 0;
}

static int teardown(void **state)
{
	struct pair *p = *state;
	bare_done(&p->plain);
	bare_done(&p->host);
	test_free(p);
	return 0;
}

static void assert_same(const struct pair *p)
{
	const struct vcpu *a = p->plain.c, *b = p->host.c;
	assert_int_equal(a->retired, b->retired);
	assert_int_equal(a->rip, b->rip);
	assert_int_equal(a->rflags, b->rflags);
	assert_memory_equal(a->gpr, b->gpr, sizeof(a->gpr));
}

static void run_both(struct pair *p, unsigned step, unsigned heat)
{
	enum cpu_leave why = LEAVE_SLICE;
	start(&p->plain, 0);
	start(&p->host, heat);
	for (uint64_t n = 1; why == LEAVE_SLICE; n++) {
		uint64_t slice = step ? step : n * n % 97 + 1;
		why = engine_run(p->plain.c, slice);
		assert_int_equal(engine_run(p->host.c, slice), why);
		assert_same(p);
	}
	assert_int_equal(why, LEAVE_HALT);
	assert_memory_equal(p->plain.phys.range[0].host, p->host.phys.range[0].host, BARE_RAM);
}

static void translated_at_once(void **state)
{
	run_both(*state, 1000000, 1);
}

static void translated_when_hot(void **state)
{
	run_both(*state, 1000000, 20);
}

static void slices_end_anywhere(void **state)
{
	run_both(*state, 0, 1);
}

static void steps(void **state)
{
	run_both(*state, 1, 1);
}

/* mov eax, [rbx] at an address without memory: the fault is before the load,
 * and what came before it has happened.
 *   mov $5, %ecx; 1: add $3, %rdx; cmp $7, %rcx; mov (%rbx), %eax; dec %rcx; jnz 1b; hlt */
static void faults_are_exact(void **state)
{
	static const uint8_t code[] = {0xb9, 0x05, 0, 0, 0, 0x48, 0x83, 0xc2, 0x03, 0x48, 0x83, 0xf9,
		0x07, 0x8b, 0x03, 0x48, 0xff, 0xc9, 0x75, 0xf1, 0xf4};
	struct pair *p = *state;
	start(&p->plain, 0);
	start(&p->host, 1);
	struct bare *both[2] = {&p->plain, &p->host};
	for (unsigned n = 0; n < 2; n++) {
		bare_code(both[n], code, sizeof(code));
		both[n]->c->gpr[RBX] = BARE_RAM;
		both[n]->c->gpr[RDX] = 0;
		assert_int_equal(engine_run(both[n]->c, 100), LEAVE_HALT);
		assert_int_equal(both[n]->c->gpr[RDX], 3);
		assert_int_equal(both[n]->c->cr2, BARE_RAM);
	}
	assert_same(p);
	uint64_t sp = p->host.c->gpr[RSP];
	assert_memory_equal(p->plain.phys.range[0].host + sp, p->host.phys.range[0].host + sp, 48);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(translated_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(translated_when_hot, setup, teardown),
		cmocka_unit_test_setup_teardown(slices_end_anywhere, setup, teardown),
		cmocka_unit_test_setup_teardown(steps, setup, teardown),
		cmocka_unit_test_setup_teardown(faults_are_exact, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

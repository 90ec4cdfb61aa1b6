/* One row per intercept: an instruction, the controls that make it exit, and
 * the whole exit record; without the controls it does not exit. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/lib/vmx_insn_rows.h"

static int setup(void **state)
{
	struct vg *g = test_malloc(sizeof *g);

	vg_init(g);
	*state = g;
	return 0;
}

static int teardown(void **state)
{
	vg_done(*state);
	test_free(*state);
	return 0;
}

static void run_row(const struct exit_row *r)
{
	struct vg g;

	vg_init(&g);
	insn_row_prepare(&g, r);
	insn_row_intercept(&g, r);
	const struct vmx_exit *x = vg_run(&g, 100);
	if (!x)
		fail_msg("%s: no exit (rip %#lx)", r->what, (unsigned long)g.c->rip);
	if (x->reason != r->reason || x->qualification != r->qualification || x->insn_info != r->info ||
		x->insn_len != r->len || x->linear != r->linear)
		fail_msg("%s: reason %u qualification %#lx info %#x length %u linear %#lx", r->what,
			x->reason, (unsigned long)x->qualification, x->insn_info, x->insn_len,
			(unsigned long)x->linear);
	assert_int_equal(vg_get(&g, VMCS_GUEST_RIP), BARE_CODE);
	assert_int_equal(vg_get(&g, VMCS_VM_EXIT_REASON), r->reason);
	assert_int_equal(vg_get(&g, VMCS_EXIT_QUALIFICATION), r->qualification);
	assert_int_equal(vg_get(&g, VMCS_IDT_VECTORING_INFO_FIELD), 0);
	vg_done(&g);
}

/* Without its controls the instruction goes on (to the HLT behind it), or to
 * the #UD handler; HLT and TRAPS are told apart by RIP. */
static void run_without(const struct exit_row *r)
{
	struct vg g;

	vg_init(&g);
	insn_row_prepare(&g, r);
	vg_or(&g, VMCS_CPU_BASED_VM_EXEC_CONTROL, PROC1_USE_MSR_BITMAPS | PROC1_HLT_EXITING);
	if (r->reason == EXIT_REASON_HLT)
		vg_set(&g, VMCS_CPU_BASED_VM_EXEC_CONTROL, 0x04006172);
	const struct vmx_exit *x = vg_run(&g, 100);
	if (r->reason == EXIT_REASON_HLT) {
		assert_null(x);
		assert_int_equal(g.c->activity, ACTIVITY_HLT);
	} else if (!x || x->reason != EXIT_REASON_HLT) {
		fail_msg("%s: exits without its controls, reason %d", r->what, x ? (int)x->reason : -1);
	} else if (r->undefined) {
		assert_int_equal(g.c->rip, BARE_TRAPS + 16 * VEC_UD);
	}
	vg_done(&g);
}

static void test_rows_exit(void **state)
{
	(void)state;
	for (unsigned n = 0; n < INSN_ROWS; n++)
		run_row(&exit_rows[n]);
}

static void test_rows_do_not_exit(void **state)
{
	(void)state;
	for (unsigned n = 0; n < INSN_ROWS; n++)
		if (!exit_rows[n].always)
			run_without(&exit_rows[n]);
}

#define CODE(g, ...)                                          \
	do {                                                  \
		static const uint8_t code_[] = {__VA_ARGS__}; \
		vg_code(g, code_, sizeof code_);              \
	} while (0)

static void test_msr_bitmap(void **state)
{
	struct vg *g = *state;
	static const struct {
		uint32_t msr;
		unsigned byte; /* of the read map; writes are 2048 on */
		uint8_t mask;
	} row[] = {{0x10, 2, 1}, {0x174, 0x174 / 8, 0x10}, {0xc0000082, 1024 + 0x10, 4}};

	vg_or(g, VMCS_CPU_BASED_VM_EXEC_CONTROL, PROC1_USE_MSR_BITMAPS | PROC1_HLT_EXITING);
	for (unsigned n = 0; n < 3; n++) {
		for (int write = 0; write < 2; write++) {
			uint8_t map[4096] = {0};
			phys_write(&g->b.phys, hpa(VG_MSR_BITMAP), map, sizeof map);
			CODE(g, 0x0f, 0x32, 0x0f, 0x30, 0xf4); /* rdmsr; wrmsr; hlt */
			g->c->gpr[RCX] = row[n].msr;
			const struct vmx_exit *x = vg_run(g, 10);
			assert_int_equal(x->reason, EXIT_REASON_HLT);
			map[row[n].byte + 2048 * write] = row[n].mask;
			phys_write(&g->b.phys, hpa(VG_MSR_BITMAP), map, sizeof map);
			vg_set(g, VMCS_GUEST_RIP, BARE_CODE);
			x = vg_run(g, 10);
			assert_int_equal(x->reason, write ? EXIT_REASON_MSR_WRITE : EXIT_REASON_MSR_READ);
		}
	}
	/* outside both ranges */
	CODE(g, 0x0f, 0x32);
	g->c->gpr[RCX] = 0x4000;
	uint8_t map[4096] = {0};
	phys_write(&g->b.phys, hpa(VG_MSR_BITMAP), map, sizeof map);
	assert_int_equal(vg_run(g, 10)->reason, EXIT_REASON_MSR_READ);
}

static void test_io_bitmap(void **state)
{
	struct vg *g = *state;
	static const struct {
		uint16_t port;
		uint8_t op; /* in al / in eax */
		uint64_t map;
		unsigned byte;
		uint8_t mask;
	} row[] = {{0x80, 0xec, VG_IO_A, 0x10, 1}, {0x7ffe, 0xed, VG_IO_B, 0, 2},
		{0x9000, 0xec, VG_IO_B, 0x200, 1}};

	vg_or(g, VMCS_CPU_BASED_VM_EXEC_CONTROL,
		PROC1_USE_IO_BITMAPS | PROC1_UNCOND_IO_EXITING | PROC1_HLT_EXITING);
	for (unsigned n = 0; n < 3; n++) {
		uint8_t code[] = {row[n].op, 0xf4}, zero = 0;
		vg_code(g, code, sizeof code);
		g->c->gpr[RDX] = row[n].port;
		assert_int_equal(vg_run(g, 10)->reason, EXIT_REASON_HLT);
		phys_write(&g->b.phys, hpa(row[n].map + row[n].byte), &row[n].mask, 1);
		vg_set(g, VMCS_GUEST_RIP, BARE_CODE);
		assert_int_equal(vg_run(g, 10)->reason, EXIT_REASON_IO_INSTRUCTION);
		phys_write(&g->b.phys, hpa(row[n].map + row[n].byte), &zero, 1);
	}
	/* wrapping around the port space always exits */
	CODE(g, 0xed, 0xf4);
	g->c->gpr[RDX] = 0xfffe;
	assert_int_equal(vg_run(g, 10)->reason, EXIT_REASON_IO_INSTRUCTION);
}

static void test_cr_masks(void **state)
{
	struct vg *g = *state;

	vg_or(g, VMCS_CPU_BASED_VM_EXEC_CONTROL, PROC1_HLT_EXITING | PROC1_CR3_LOAD_EXITING);
	vg_set(g, VMCS_CR0_GUEST_HOST_MASK, CR0_TS | CR0_NE);
	vg_set(g, VMCS_CR0_READ_SHADOW, CR0_TS);
	/* mov rax, cr0; mov cr0, rax; mov rcx, cr3; mov cr3, rcx; hlt */
	CODE(g, 0x0f, 0x20, 0xc0, 0x0f, 0x22, 0xc0, 0x0f, 0x20, 0xd9, 0x0f, 0x22, 0xd9, 0xf4);
	vg_set(g, VMCS_CR3_TARGET_COUNT, 2);
	vg_set(g, VMCS_CR3_TARGET_VALUE1, BARE_TABLES);
	assert_int_equal(vg_run(g, 10)->reason, EXIT_REASON_HLT);
	assert_true((g->c->gpr[RAX] & CR0_TS) && !(g->c->gpr[RAX] & CR0_NE));
	assert_true(!(vg_get(g, VMCS_GUEST_CR0) & CR0_TS) && (vg_get(g, VMCS_GUEST_CR0) & CR0_NE));
	/* the second target is out of the count's reach */
	vg_set(g, VMCS_CR3_TARGET_COUNT, 1);
	vg_set(g, VMCS_GUEST_RIP, BARE_CODE);
	assert_int_equal(vg_run(g, 10)->reason, EXIT_REASON_CR_ACCESS);
}

static void test_exceptions(void **state)
{
	struct vg *g = *state;

	vg_or(g, VMCS_CPU_BASED_VM_EXEC_CONTROL, PROC1_HLT_EXITING);
	vg_set(g, VMCS_EXCEPTION_BITMAP, 1 << VEC_UD | 1 << VEC_BP | 1 << VEC_PF);
	CODE(g, 0x0f, 0x0b); /* ud2 */
	const struct vmx_exit *x = vg_run(g, 10);
	assert_int_equal(x->reason, EXIT_REASON_EXCEPTION_NMI);
	assert_int_equal(x->intr_info, 0x80000306);
	assert_true(vg_get(g, VMCS_GUEST_RFLAGS) & FLAG_RF);
	vg_set(g, VMCS_GUEST_RFLAGS, FLAG_1);
	CODE(g, 0xcc); /* int3 */
	x = vg_run(g, 10);
	assert_int_equal(x->intr_info, 0x80000603);
	assert_int_equal(x->insn_len, 1);
	assert_int_equal(vg_get(g, VMCS_GUEST_RIP), BARE_CODE);
	/* mov [0x40000000], eax: a write to what is not present */
	CODE(g, 0x89, 0x04, 0x25, 0, 0, 0, 0x40, 0xf4);
	g->c->cr2 = 0x123;
	x = vg_run(g, 10);
	assert_int_equal(x->intr_info, 0x80000b0e);
	assert_int_equal(x->intr_error, 2);
	assert_int_equal(x->qualification, 0x40000000);
	assert_int_equal(g->c->cr2, 0x123);
	/* mask and match: bit set and no match does not exit, and the other way round */
	vg_set(g, VMCS_PAGE_FAULT_ERROR_CODE_MASK, 2);
	vg_set(g, VMCS_PAGE_FAULT_ERROR_CODE_MATCH, 0);
	vg_set(g, VMCS_GUEST_RFLAGS, FLAG_1);
	x = vg_run(g, 10);
	assert_int_equal(x->reason, EXIT_REASON_HLT);
	assert_int_equal(g->c->rip, BARE_TRAPS + 16 * VEC_PF);
	assert_int_equal(g->c->cr2, 0x40000000);
	vg_set(g, VMCS_EXCEPTION_BITMAP, 0);
	vg_set(g, VMCS_GUEST_RIP, BARE_CODE);
	assert_int_equal(vg_run(g, 10)->reason, EXIT_REASON_EXCEPTION_NMI);
	/* int n is no exception */
	vg_set(g, VMCS_EXCEPTION_BITMAP, UINT32_MAX);
	vg_set(g, VMCS_GUEST_RFLAGS, FLAG_1);
	CODE(g, 0xcd, 0x06);
	assert_int_equal(vg_run(g, 10)->reason, EXIT_REASON_HLT);
	assert_int_equal(g->c->rip, BARE_TRAPS + 16 * VEC_UD);
}

/* A page fault while another exception is delivered: IDT-vectoring fields. */
static void test_vectoring_information(void **state)
{
	struct vg *g = *state;

	vg_set(g, VMCS_EXCEPTION_BITMAP, 1 << VEC_PF);
	vg_set(g, VMCS_GUEST_IDTR_BASE, 0x40000000);
	CODE(g, 0x0f, 0x0b);
	const struct vmx_exit *x = vg_run(g, 10);
	assert_int_equal(x->intr_info, 0x80000b0e);
	assert_int_equal(x->qualification, 0x40000000 + 16 * VEC_UD);
	assert_int_equal(x->idt_info, 0x80000306);
	vg_set(g, VMCS_GUEST_RFLAGS, FLAG_1);
	CODE(g, 0xcd, 0x10);
	x = vg_run(g, 10);
	assert_int_equal(x->idt_info, 0x80000410);
	assert_int_equal(x->insn_len, 2);
	/* no page fault exit: the chain ends in a triple fault */
	vg_set(g, VMCS_EXCEPTION_BITMAP, 0);
	vg_set(g, VMCS_GUEST_RFLAGS, FLAG_1);
	x = vg_run(g, 10);
	assert_int_equal(x->reason, EXIT_REASON_TRIPLE_FAULT);
	assert_int_equal(x->idt_info, 0);
}

static void test_pause_loop(void **state)
{
	struct vg *g = *state;

	vg_or(g, VMCS_CPU_BASED_VM_EXEC_CONTROL, PROC1_HLT_EXITING);
	vg_proc2(g, PROC2_PAUSE_LOOP_EXITING);
	vg_set(g, VMCS_PLE_GAP, 40);
	vg_set(g, VMCS_PLE_WINDOW, 400);
	/* mov ecx, 50 (or 1000); 1: pause; dec ecx; jnz 1b; hlt */
	CODE(g, 0xb9, 50, 0, 0, 0, 0xf3, 0x90, 0xff, 0xc9, 0x75, 0xfa, 0xf4);
	assert_int_equal(vg_run(g, 100000)->reason, EXIT_REASON_HLT);
	CODE(g, 0xb9, 0xe8, 3, 0, 0, 0xf3, 0x90, 0xff, 0xc9, 0x75, 0xfa, 0xf4);
	const struct vmx_exit *x = vg_run(g, 100000);
	assert_int_equal(x->reason, EXIT_REASON_PAUSE);
	assert_true(g->c->gpr[RCX] > 700 && g->c->gpr[RCX] < 900);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows_exit),
		cmocka_unit_test(test_rows_do_not_exit), T(test_msr_bitmap), T(test_io_bitmap),
		T(test_cr_masks), T(test_exceptions), T(test_vectoring_information), T(test_pause_loop)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

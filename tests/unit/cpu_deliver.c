/* Event delivery, priorities, MSRs and system instructions on a bare processor.
 * Code is given as bytes with its assembly beside it. */
#include "tests/lib/bare_fixture.h"

#include "cpu/deliver.h"
#include "cpu/desc.h"
#include "cpu/msr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static uint64_t get64(struct bare *b, uint64_t at)
{
	uint64_t v = 0;

	assert_true(phys_read(&b->phys, hpa(at), &v, 8));
	return v;
}

/* Where the HLT of a vector's handler leaves RIP. */
static uint64_t after_trap(unsigned vector)
{
	return BARE_TRAPS + 16 * vector + 1;
}

static void fault_pushes_rf_and_error(void **state)
{
	struct bare *b = *state;

	CODE(b, 0x31, 0xc0, 0x8e, 0xd8, 0xb8, 0xf8, 0xff, 0, 0, 0x8e, 0xd8); /* ds = 0, ds = fff8h */
	assert_int_equal(engine_run(b->c, 100), LEAVE_HALT);
	assert_int_equal(b->c->rip, after_trap(VEC_GP));
	assert_int_equal(b->c->gpr[RSP], BARE_STACK - 48);
	assert_int_equal(get64(b, BARE_STACK - 48), 0xfff8);
	assert_int_equal(get64(b, BARE_STACK - 40), BARE_CODE + 9);
	assert_true(get64(b, BARE_STACK - 24) & FLAG_RF);
	assert_int_equal(b->c->retired, 4); /* the HLT is the fourth */
}

static void int_n_returns_behind_itself(void **state)
{
	struct bare *b = *state;

	CODE(b, 0xcd, 0x05, 0xf4); /* int 5 */
	assert_int_equal(engine_run(b->c, 100), LEAVE_HALT);
	assert_int_equal(b->c->rip, after_trap(5));
	assert_int_equal(get64(b, BARE_STACK - 40), BARE_CODE + 2);
	assert_false(get64(b, BARE_STACK - 24) & FLAG_RF);
	assert_int_equal(b->c->retired, 2);
}

static void contributory_faults_double_and_triple(void **state)
{
	struct bare *b = *state;

	/* #GP whose gate is not there is a double fault; with that gate gone too,
	 * the processor shuts down. */
	bare_put64(b, BARE_IDT + 16 * VEC_GP, 0);
	CODE(b, 0xb8, 0xf8, 0xff, 0, 0, 0x8e, 0xd8);
	assert_int_equal(engine_run(b->c, 100), LEAVE_HALT);
	assert_int_equal(b->c->rip, after_trap(VEC_DF));
	assert_int_equal(get64(b, BARE_STACK - 48), 0);
	bare_put64(b, BARE_IDT + 16 * VEC_DF, 0);
	b->c->gpr[RSP] = BARE_STACK;
	CODE(b, 0xb8, 0xf8, 0xff, 0, 0, 0x8e, 0xd8);
	assert_int_equal(engine_run(b->c, 100), LEAVE_SHUTDOWN);
	assert_int_equal(b->c->activity, ACTIVITY_SHUTDOWN);
	assert_false(b->c->delivering);
}

static void benign_event_then_fault_is_serial(void **state)
{
	struct bare *b = *state;

	/* INT 6 through an absent gate: #NP with the gate as error code */
	bare_put64(b, BARE_IDT + 16 * 6, UINT64_C(0x0e00) << 32 | 8 << 16);
	CODE(b, 0xcd, 0x06);
	assert_int_equal(engine_run(b->c, 100), LEAVE_HALT);
	assert_int_equal(b->c->rip, after_trap(VEC_NP));
	assert_int_equal(get64(b, BARE_STACK - 48), 6 * 8 + 2);
	assert_int_equal(get64(b, BARE_STACK - 40), BARE_CODE);
	assert_int_equal(b->c->retired, 1); /* the INT has not */
}

static void nmi_goes_before_and_blocks_the_next(void **state)
{
	struct bare *b = *state;

	CODE(b, 0xf4);
	vcpu_pend(b->c, PEND_NMI);
	assert_int_equal(engine_run(b->c, 100), LEAVE_HALT);
	assert_int_equal(b->c->rip, after_trap(VEC_NMI));
	assert_true(b->c->nmi_blocked);
	vcpu_pend(b->c, PEND_NMI);
	assert_int_equal(engine_run(b->c, 100), LEAVE_HALT); /* still asleep */
	assert_true(b->c->pending & PEND_NMI);
	/* IRETQ lets it in */
	static const uint8_t iretq[] = {0x48, 0xcf};
	phys_write(&b->phys, hpa(after_trap(VEC_NMI)), iretq, 2);
	b->c->activity = ACTIVITY_ACTIVE;
	assert_int_equal(engine_run(b->c, 100), LEAVE_HALT);
	assert_int_equal(b->c->rip, after_trap(VEC_NMI));
	assert_false(b->c->pending & PEND_NMI);
}

static int ack_33(void *apic)
{
	struct bare *b = apic;

	vcpu_unpend(b->c, PEND_INTR);
	return 5;
}

static void sti_shadow_lasts_one_instruction(void **state)
{
	struct bare *b = *state;
	static const struct apic_ops ops = {.ack = ack_33};

	b->c->apic_ops = &ops;
	b->c->apic = b;
	vcpu_pend(b->c, PEND_INTR);
	CODE(b, 0x90, 0xfb, 0x90, 0x90, 0xf4); /* nop; sti; nop; nop; hlt */
	assert_int_equal(engine_run(b->c, 100), LEAVE_HALT);
	assert_int_equal(b->c->rip, after_trap(5));
	assert_int_equal(get64(b, BARE_STACK - 40), BARE_CODE + 3);
}

static void single_step_traps_after_each(void **state)
{
	struct bare *b = *state;

	b->c->rflags |= FLAG_TF;
	CODE(b, 0x90, 0x90);
	assert_int_equal(engine_run(b->c, 100), LEAVE_HALT);
	assert_int_equal(b->c->rip, after_trap(VEC_DB));
	assert_int_equal(get64(b, BARE_STACK - 40), BARE_CODE + 1);
	assert_int_equal(b->c->dr6 & 0x4000, 0x4000);
	assert_false(b->c->rflags & FLAG_TF);
}

static void syscall_and_sysret_go_there_and_back(void **state)
{
	struct bare *b = *state;
	struct vcpu *c = b->c;

	assert_true(msr_write(c, 0xc0000081, UINT64_C(0x0013000800000000)));
	assert_true(msr_write(c, 0xc0000082, BARE_CODE + 0x100));
	assert_true(msr_write(c, 0xc0000084, FLAG_IF));
	assert_false(msr_write(c, 0xc0000082, UINT64_C(0x8000000000000000)));
	/* mov rcx, target; mov r11d, 202h; sysretq */
	CODE(b, 0x48, 0xc7, 0xc1, 0x80, 0x00, 0x10, 0x00, 0x41, 0xbb, 0x02, 0x02, 0, 0, 0x48, 0x0f,
		0x07);
	static const uint8_t user[] = {0x0f, 0x05}, kernel[] = {0xf4};
	phys_write(&b->phys, hpa(BARE_CODE + 0x80), user, 2);
	phys_write(&b->phys, hpa(BARE_CODE + 0x100), kernel, 1);
	assert_int_equal(engine_run(c, 3), LEAVE_SLICE);
	assert_int_equal(c->cpl, 3);
	assert_int_equal(c->seg[SEG_CS].sel, 0x23);
	assert_int_equal(c->seg[SEG_SS].sel, 0x1b);
	assert_true(c->rflags & FLAG_IF);
	assert_int_equal(engine_run(c, 100), LEAVE_HALT);
	assert_int_equal(c->cpl, 0);
	assert_int_equal(c->rip, BARE_CODE + 0x101);
	assert_int_equal(c->gpr[RCX], BARE_CODE + 0x82);
	assert_false(c->rflags & FLAG_IF);
	assert_int_equal(c->seg[SEG_CS].sel, 8);
}

static void every_msr_row_reads_or_faults_cleanly(void **state)
{
	struct bare *b = *state;
	unsigned known = 0;

	for (uint32_t n = 0; n < 0x1000; n++) {
		uint64_t v;

		known += msr_name(n) && msr_read(b->c, n, &v);
		known += msr_name(0xc0000000 + n) && msr_read(b->c, 0xc0000000 + n, &v);
	}
	assert_true(known > 80);
	assert_null(msr_name(0x3000));
	assert_string_equal(msr_name(0xc0000080), "IA32_EFER");
	uint64_t v;
	assert_false(msr_read(b->c, 0x3000, &v));
	assert_int_equal(log_count(b->log), 1); /* counted and named once */
	assert_false(msr_read(b->c, 0x3000, &v));
	assert_int_equal(log_count(b->log), 1);
}

static void tsc_adjust_follows_a_tsc_write(void **state)
{
	struct bare *b = *state;
	uint64_t v;

	b->clock.now = 1000;
	assert_true(msr_write(b->c, 0x10, 5000));
	assert_true(msr_read(b->c, 0x3b, &v) && v == 4000);
	assert_true(msr_write(b->c, 0x3b, 0));
	assert_true(msr_read(b->c, 0x10, &v) && v == 1000);
	assert_false(msr_write(b->c, 0x277, 2)); /* no such memory type */
	assert_false(msr_write(b->c, 0xc0000080, BIT(3)));
}

static void init_restarts_the_bootstrap_processor(void **state)
{
	struct bare *b = *state;

	CODE(b, 0xf4);
	cpu_init_signal(b->c);
	assert_int_equal(b->c->rip, 0xfff0);
	assert_int_equal(b->c->seg[SEG_CS].base, 0xffff0000);
	assert_int_equal(b->c->activity, ACTIVITY_ACTIVE);
	assert_false(b->c->cr0 & CR0_PE);
}

/* The guest/host mask changes what MOV reads, not what a bit switches on. */
static void cr4_bits_work_behind_their_shadow(void **state)
{
	struct bare *b = *state;

	b->c->nonroot.cr4_mask = CR4_OSXSAVE;
	b->c->nonroot.cr4_shadow = 0;
	CODE(b, 0x0f, 0x20, 0xe3, 0x31, 0xc9, 0x0f, 0x01, 0xd0, 0xf4); /* rbx = cr4, xgetbv */
	assert_int_equal(engine_run(b->c, 100), LEAVE_HALT);
	assert_int_equal(b->c->rip, BARE_CODE + 9);
	assert_false(b->c->gpr[RBX] & CR4_OSXSAVE);
	assert_int_equal(b->c->gpr[RAX], b->c->xcr0);
}

/* A hypervisor that runs real mode as v8086 mode hides the CR4.VME it set. */
static void int_n_in_v8086_mode_goes_by_the_redirection_bitmap(void **state)
{
	static const uint16_t ivt[2] = {0x34, 0x1200}, io_map = 0x88;
	static const uint8_t code[] = {0xcd, 0x15}, handler[] = {0xf4};
	struct bare *b = *state;
	struct vcpu *c = b->c;

	c->msr.efer = 0;
	c->cr0 = CR0_PE | CR0_ET;
	c->cr4 = CR4_VME;
	c->nonroot.cr4_mask = CR4_VME;
	c->rflags = 2 | FLAG_VM | FLAG_IOPL;
	c->cpl = 3;
	for (unsigned n = 0; n < 6; n++)
		seg_set_v86(c, n, 0x1000);
	c->seg[SEG_TR].base = 0x20000;
	c->seg[SEG_TR].limit = 0x100;
	c->gpr[RSP] = 0x8000;
	c->rip = 0x10;
	c->mode_changed = true;
	phys_write(&b->phys, hpa(0x20000 + 102), &io_map, 2);
	phys_write(&b->phys, hpa(0x15 * 4), ivt, 4);
	phys_write(&b->phys, hpa(0x10010), code, sizeof(code));
	phys_write(&b->phys, hpa(0x12034), handler, sizeof(handler));
	engine_run(c, 1);
	assert_int_equal(c->seg[SEG_CS].base, 0x12000);
	assert_int_equal(c->rip, 0x34);
	assert_int_equal(get64(b, 0x17ffa) & 0xffffffff, 0x10000012);
}

int main(void)
{
	struct err e = {0};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(fault_pushes_rf_and_error, setup, teardown),
		cmocka_unit_test_setup_teardown(int_n_returns_behind_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(
			contributory_faults_double_and_triple, setup, teardown),
		cmocka_unit_test_setup_teardown(benign_event_then_fault_is_serial, setup, teardown),
		cmocka_unit_test_setup_teardown(
			nmi_goes_before_and_blocks_the_next, setup, teardown),
		cmocka_unit_test_setup_teardown(sti_shadow_lasts_one_instruction, setup, teardown),
		cmocka_unit_test_setup_teardown(single_step_traps_after_each, setup, teardown),
		cmocka_unit_test_setup_teardown(
			syscall_and_sysret_go_there_and_back, setup, teardown),
		cmocka_unit_test_setup_teardown(
			every_msr_row_reads_or_faults_cleanly, setup, teardown),
		cmocka_unit_test_setup_teardown(tsc_adjust_follows_a_tsc_write, setup, teardown),
		cmocka_unit_test_setup_teardown(
			init_restarts_the_bootstrap_processor, setup, teardown),
		cmocka_unit_test_setup_teardown(cr4_bits_work_behind_their_shadow, setup, teardown),
		cmocka_unit_test_setup_teardown(
			int_n_in_v8086_mode_goes_by_the_redirection_bitmap, setup, teardown),
	};

	if (!fp_host_init(&e))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

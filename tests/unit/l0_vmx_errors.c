/* VMX instructions of L1, one at a time: every VM-instruction error, VMfailInvalid
 * and the faults before them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/lib/l1_rig.h"

/* Errors that no program gets from this processor. */
static const struct {
	enum vmx_insn_error error;
	const char *why;
} no_program[] = {
	{INSN_ERROR_VMRESUME_AFTER_VMXOFF, "VMXOFF leaves no current VMCS behind"},
	{INSN_ERROR_ENTRY_INVALID_EXECUTIVE_POINTER, "SMM is not offered"},
	{INSN_ERROR_ENTRY_NONLAUNCHED_EXECUTIVE_VMCS, "SMM is not offered"},
	{INSN_ERROR_ENTRY_EXECUTIVE_NOT_VMXON, "SMM is not offered"},
	{INSN_ERROR_VMCALL_NONCLEAR_VMCS, "dual-monitor treatment is not offered"},
	{INSN_ERROR_VMCALL_INVALID_EXIT_CONTROLS, "dual-monitor treatment is not offered"},
	{INSN_ERROR_VMCALL_INCORRECT_MSEG_REVISION, "dual-monitor treatment is not offered"},
	{INSN_ERROR_VMXOFF_UNDER_DUAL_MONITOR, "dual-monitor treatment is not offered"},
	{INSN_ERROR_VMCALL_INVALID_SMM_FEATURES, "dual-monitor treatment is not offered"},
	{INSN_ERROR_ENTRY_INVALID_EXECUTIVE_CONTROL, "SMM is not offered"},
};
static bool reached[INSN_ERROR_COUNT];

enum { ERRORS = 25, ERRORS_REACHED = 15 };

static int setup(void **state)
{
	struct rig *r = test_calloc(1, sizeof *r);

	r->reached = reached;
	rig_start(r, NULL);
	*state = r;
	return 0;
}

static void test_outside_vmx_operation(void **state)
{
	struct rig *r = *state;

	assert_int_equal(vmptrld(r, VMCS_A), TRAPPED + VEC_UD);
	assert_int_equal(vmlaunch(r), TRAPPED + VEC_UD);
	assert_int_equal(vmread(r, 0), TRAPPED + VEC_UD);
	assert_int_equal(RUN(r, 0, 0x0f, 0x01, 0xc4), TRAPPED + VEC_UD);
	assert_int_equal(RUN(r, 0, 0x0f, 0x01, 0xc1), TRAPPED + VEC_UD);
	assert_int_equal(vmxon(r, VMXON + 8), -1);
	assert_int_equal(vmxon(r, BIT(45)), -1);
	rig_put64(r, VMXON, VMCS_REVISION + 1);
	assert_int_equal(vmxon(r, VMXON), -1);
	rig_put64(r, VMXON, VMCS_REVISION);
	assert_int_equal(vmxon(r, VMXON), OK);
}

static void test_without_current_vmcs(void **state)
{
	struct rig *r = *state;

	assert_int_equal(vmxon(r, VMXON), OK);
	assert_int_equal(vmxon(r, VMXON), -1);
	assert_int_equal(vmlaunch(r), -1);
	assert_int_equal(vmread(r, 0), -1);
	assert_int_equal(vmwrite(r, 0, 0), -1);
	assert_int_equal(vmptrld(r, 1), -1);
	assert_int_equal(vmclear(r, VMXON), -1);
	assert_int_equal(invept(r, 7, 0), -1);
	assert_int_equal(RUN(r, 0, 0x0f, 0x01, 0xc1), -1);
	assert_int_equal(RUN(r, 0, 0x0f, 0x01, 0xd4), TRAPPED + VEC_UD); /* VMFUNC */
}

static void test_pointers(void **state)
{
	struct rig *r = *state;

	rig_current(r);
	assert_int_equal(vmclear(r, VMCS_B + 1), INSN_ERROR_VMCLEAR_INVALID_ADDRESS);
	assert_int_equal(vmclear(r, BIT(45)), INSN_ERROR_VMCLEAR_INVALID_ADDRESS);
	assert_int_equal(vmclear(r, VMXON), INSN_ERROR_VMCLEAR_VMXON_POINTER);
	assert_int_equal(vmptrld(r, VMCS_B + 1), INSN_ERROR_VMPTRLD_INVALID_ADDRESS);
	assert_int_equal(vmptrld(r, VMXON), INSN_ERROR_VMPTRLD_VMXON_POINTER);
	rig_put64(r, VMCS_B, VMCS_REVISION ^ 1);
	assert_int_equal(vmptrld(r, VMCS_B), INSN_ERROR_VMPTRLD_INCORRECT_REVISION);
	assert_int_equal(vmxon(r, VMXON), INSN_ERROR_VMXON_IN_ROOT);
	assert_int_equal(RUN(r, 0, 0x0f, 0x01, 0xc1), INSN_ERROR_VMCALL_IN_ROOT);
	assert_int_equal(RUN(r, 0, 0x0f, 0xc7, 0x3b), OK); /* vmptrst [rbx] */
	uint64_t at = 0;
	phys_read(&r->l->machine->phys, hpa(OPERAND), &at, 8);
	assert_int_equal(at, VMCS_A);
}

static void test_fields(void **state)
{
	struct rig *r = *state;

	rig_current(r);
	assert_int_equal(vmread(r, 0x7ffe), INSN_ERROR_UNSUPPORTED_VMCS_COMPONENT);
	assert_int_equal(vmwrite(r, 0x7ffe, 0), INSN_ERROR_UNSUPPORTED_VMCS_COMPONENT);
	assert_int_equal(vmwrite(r, ENC_GUEST_RIP, 0x1234), OK);
	assert_int_equal(vmread(r, ENC_GUEST_RIP), OK);
	assert_int_equal(r->c->gpr[RAX], 0x1234);
}

/* Without VMCS shadowing the processor does not write read-only fields. */
static void test_read_only(void **state)
{
	struct rig *r = *state;
	struct rig *o = test_calloc(1, sizeof *o);

	o->reached = reached;
	rig_start(o, "cap.vmcs-shadowing=off");
	rig_current(o);
	assert_int_equal(vmwrite(o, ENC_VM_EXIT_REASON, 1), INSN_ERROR_VMWRITE_READ_ONLY_COMPONENT);
	l0_free(o->l);
	test_free(o);
	rig_current(r);
	assert_int_equal(vmwrite(r, ENC_VM_EXIT_REASON, 1), OK);
}

static void test_invalidations(void **state)
{
	struct rig *r = *state;

	rig_current(r);
	assert_int_equal(invept(r, 2, 0), OK);
	assert_int_equal(invept(r, 1, VMCS_B | 0x1e), OK);
	assert_int_equal(invept(r, 1, VMCS_B | 0x1f), INSN_ERROR_INVEPT_INVVPID_INVALID_OPERAND);
	assert_int_equal(invept(r, 0, 0), INSN_ERROR_INVEPT_INVVPID_INVALID_OPERAND);
	assert_int_equal(invvpid(r, 2, 0), OK);
	assert_int_equal(invvpid(r, 1, 5), OK);
	assert_int_equal(invvpid(r, 1, 0), INSN_ERROR_INVEPT_INVVPID_INVALID_OPERAND);
	assert_int_equal(invvpid(r, 1, 0x10000), INSN_ERROR_INVEPT_INVVPID_INVALID_OPERAND);
	assert_int_equal(invvpid(r, 4, 5), INSN_ERROR_INVEPT_INVVPID_INVALID_OPERAND);
}

static void test_entries(void **state)
{
	struct rig *r = *state;

	rig_current(r);
	assert_int_equal(vmresume(r), INSN_ERROR_VMRESUME_NONLAUNCHED_VMCS);
	assert_int_equal(vmlaunch(r), INSN_ERROR_ENTRY_INVALID_CONTROL_FIELD);
	rig_write_host(r);
	assert_int_equal(vmwrite(r, ENC_HOST_CR0, 0), OK);
	assert_int_equal(vmlaunch(r), INSN_ERROR_ENTRY_INVALID_HOST_STATE_FIELD);
	rig_write_host(r);
	r->nv->cur->v.launched = true;
	assert_int_equal(vmlaunch(r), INSN_ERROR_VMLAUNCH_NONCLEAR_VMCS);
	r->c->movss_shadow = true;
	assert_int_equal(vmresume(r), INSN_ERROR_ENTRY_MOV_SS_BLOCKING);
	/* guest state comes last: an entry that fails, not an instruction */
	r->nv->cur->v.launched = false;
	r->c->movss_shadow = false;
	rig_put64(r, CODE + 0x100, 0xf4);
	vmlaunch(r);
	assert_int_equal(r->c->rip, CODE + 0x101);
	assert_int_equal(vmread(r, ENC_VM_EXIT_REASON), OK);
	assert_int_equal(r->c->gpr[RAX], EXIT_REASON_INVALID_STATE | EXIT_REASON_ENTRY_FAILURE);
}

static void test_every_error(void **state)
{
	unsigned rows = 0, got = 0;

	(void)state;
	for (unsigned n = 0; n < sizeof no_program / sizeof *no_program; n++) {
		assert_false(reached[no_program[n].error]);
		reached[no_program[n].error] = true;
		got--;
	}
	for (unsigned n = 0; n < INSN_ERROR_COUNT; n++) {
		if (!vmx_insn_error_name(n))
			continue;
		rows++;
		got++;
		if (!reached[n])
			fail_msg("no instruction here fails with %s", vmx_insn_error_name(n));
	}
	assert_int_equal(rows, ERRORS);
	assert_int_equal(got, ERRORS_REACHED);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, rig_teardown)
	const struct CMUnitTest tests[] = {T(test_outside_vmx_operation), T(test_without_current_vmcs),
		T(test_pointers), T(test_fields), T(test_read_only), T(test_invalidations),
		T(test_entries), cmocka_unit_test(test_every_error)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

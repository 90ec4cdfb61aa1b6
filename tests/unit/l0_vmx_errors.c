/* VMX instructions of L1, one at a time: every VM-instruction error, VMfailInvalid
 * and the faults before them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/lib/l1_rig.h"

static bool reached[INSN_ERROR_COUNT];

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

/* --- What cannot happen here: the NEVER rows --- */

/* VMXOFF leaves no current VMCS behind, VMXON finds none, and a launched VMCS that
 * is made current again is one to resume. */
static void no_current_vmcs_after_vmxoff(struct rig *r)
{
	static const uint8_t vmcall[] = {0x0f, 0x01, 0xc1};

	rig_write_host(r);
	rig_write_guest(r, vmcall, sizeof vmcall);
	assert_int_equal(rig_l2(r, 100), EXIT_REASON_VMCALL);
	assert_int_equal(RUN(r, 0, 0x0f, 0x01, 0xc4), OK); /* vmxoff */
	assert_int_equal(vmresume(r), TRAPPED + VEC_UD);
	assert_int_equal(vmxon(r, VMXON), OK);
	assert_int_equal(vmresume(r), -1);
	assert_int_equal(vmptrld(r, VMCS_A), OK);
	assert_int_equal(rig_l2(r, 100), EXIT_REASON_VMCALL);
}

/* An executive VMCS is looked at by entries out of SMM alone; their controls are
 * checked before. */
static void no_entry_out_of_smm(struct rig *r)
{
	static const uint32_t control[] = {ENTRY_SMM, ENTRY_DEACT_DUAL_MONITOR};

	for (unsigned n = 0; n < 2; n++) {
		rig_write_host(r);
		assert_int_equal(vmwrite(r, ENC_EXECUTIVE_VMCS_POINTER, n ? 1 : VMXON), OK);
		assert_int_equal(vmwrite(r, ENC_VM_ENTRY_CONTROLS,
			0x11fb | ENTRY_IA32E_MODE | control[n]), OK);
		r->c->gpr[RCX] = MSR_VMX_ENTRY_CTLS;
		assert_int_equal(RUN(r, 0, 0x0f, 0x32), OK);
		assert_false(r->c->gpr[RDX] & control[n]);
		assert_int_equal(vmlaunch(r), INSN_ERROR_ENTRY_INVALID_CONTROL_FIELD);
		assert_true(r->nv->cur->failure.check >= 0);
	}
}

/* IA32_VMX_BASIC says that there is no dual-monitor treatment, and the MSR that
 * would open it is not there. */
static void no_dual_monitor(struct rig *r)
{
	r->c->gpr[RCX] = MSR_VMX_BASIC;
	assert_int_equal(RUN(r, 0, 0x0f, 0x32), OK);
	assert_false(r->c->gpr[RDX] >> 17 & 1);
	r->c->gpr[RCX] = 0x9b; /* IA32_SMM_MONITOR_CTL */
	assert_int_equal(RUN(r, 0, 0x0f, 0x32), TRAPPED + VEC_GP);
	r->c->gpr[RAX] = 1;
	assert_int_equal(RUN(r, 0, 0x0f, 0x30), TRAPPED + VEC_GP);
}

/* VMCALL in VMX root operation does not look at the VMCS: neither at its launch
 * state nor at its exit controls. */
static void vmcall_is_in_root(struct rig *r)
{
	no_dual_monitor(r);
	for (unsigned launched = 0; launched < 2; launched++) {
		r->nv->cur->v.launched = launched;
		assert_int_equal(vmwrite(r, ENC_VM_EXIT_CONTROLS, launched ? 0 : UINT32_MAX), OK);
		assert_int_equal(RUN(r, 0, 0x0f, 0x01, 0xc1), INSN_ERROR_VMCALL_IN_ROOT);
	}
}

static void vmxoff_succeeds(struct rig *r)
{
	no_dual_monitor(r);
	assert_int_equal(RUN(r, 0, 0x0f, 0x01, 0xc4), OK);
}

/* What proves each NEVER row of vmx/insn_errors.def, with a VMCS current. */
static void (*const proof[INSN_ERROR_COUNT])(struct rig *r) = {
	[INSN_ERROR_VMRESUME_AFTER_VMXOFF] = no_current_vmcs_after_vmxoff,
	[INSN_ERROR_ENTRY_INVALID_EXECUTIVE_POINTER] = no_entry_out_of_smm,
	[INSN_ERROR_ENTRY_NONLAUNCHED_EXECUTIVE_VMCS] = no_entry_out_of_smm,
	[INSN_ERROR_ENTRY_EXECUTIVE_NOT_VMXON] = no_entry_out_of_smm,
	[INSN_ERROR_ENTRY_INVALID_EXECUTIVE_CONTROL] = no_entry_out_of_smm,
	[INSN_ERROR_VMCALL_NONCLEAR_VMCS] = vmcall_is_in_root,
	[INSN_ERROR_VMCALL_INVALID_EXIT_CONTROLS] = vmcall_is_in_root,
	[INSN_ERROR_VMCALL_INCORRECT_MSEG_REVISION] = vmcall_is_in_root,
	[INSN_ERROR_VMCALL_INVALID_SMM_FEATURES] = vmcall_is_in_root,
	[INSN_ERROR_VMXOFF_UNDER_DUAL_MONITOR] = vmxoff_succeeds,
};

enum { HAPPENS = 1, NEVER };

/* Every row is reached, or marked and proved never to be; none is both. */
static void test_every_error(void **state)
{
	static const uint8_t row[INSN_ERROR_COUNT] = {
#define INSN_ERROR(n, name, text) [n] = HAPPENS,
#define INSN_ERROR_NEVER(n, name, text, why) [n] = NEVER,
#include "vmx/insn_errors.def"
#undef INSN_ERROR
	};
	unsigned rows = 0, got = 0, proved = 0;

	(void)state;
	for (unsigned n = 0; n < INSN_ERROR_COUNT; n++) {
		assert_int_equal(proof[n] != NULL, row[n] == NEVER);
		if (!proof[n])
			continue;
		struct rig *r = test_calloc(1, sizeof *r);
		r->reached = reached;
		rig_start(r, NULL);
		rig_current(r);
		proof[n](r);
		l0_free(r->l);
		test_free(r);
		proved++;
	}
	for (unsigned n = 0; n < INSN_ERROR_COUNT; n++) {
		rows += row[n] != 0;
		got += reached[n];
		if (reached[n] != (row[n] == HAPPENS))
			fail_msg("%s is %s", vmx_insn_error_name(n),
				row[n] == HAPPENS ? "not reached by a program here" : "reached");
	}
	assert_int_equal(rows, 25);
	assert_int_equal(proved, 10);
	assert_int_equal(got + proved, rows);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, rig_teardown)
	const struct CMUnitTest tests[] = {T(test_outside_vmx_operation), T(test_without_current_vmcs),
		T(test_pointers), T(test_fields), T(test_read_only), T(test_invalidations),
		T(test_entries), cmocka_unit_test(test_every_error)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

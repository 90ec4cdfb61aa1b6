/* Triple faults and inactive states of L2: what wakes which, and what ends the run.
 * SDM Vol. 3C 25.2 "Other Causes of VM Exits", 26.7.2 "Activity State". */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/lib/l1_rig.h"

static int setup(void **state)
{
	struct rig *r = test_calloc(1, sizeof *r);

	rig_start(r, NULL);
	rig_current(r);
	rig_write_host(r);
	*state = r;
	return 0;
}

enum { IN_L2 = -1, NMI_HANDLER = TRAPS + 16 * VEC_NMI + 1 };

static void enter(struct rig *r, enum cpu_activity activity, uint32_t pin, uint32_t proc1)
{
	static const uint8_t halt[] = {0xf4};

	assert_int_equal(vmclear(r, VMCS_A), OK);
	assert_int_equal(vmptrld(r, VMCS_A), OK);
	rig_write_guest(r, halt, sizeof halt);
	rig_put64(r, CODE + 0x100, 0xf4);
	assert_int_equal(vmwrite(r, ENC_PIN_BASED_VM_EXEC_CONTROL, 0x16 | pin), OK);
	assert_int_equal(vmwrite(r, ENC_CPU_BASED_VM_EXEC_CONTROL, 0x04006172 | proc1), OK);
	assert_int_equal(vmwrite(r, ENC_GUEST_ACTIVITY_STATE, activity), OK);
	assert_int_equal(vmwrite(r, ENC_GUEST_INTERRUPTIBILITY_INFO, 0), OK);
	vmlaunch(r);
}

/* Runs until nothing can happen any more: IN_L2, or the reason that L1 got. */
static int64_t settle(struct rig *r)
{
	struct l0_limits lim = {.retired = l0_retired(r->l) + 100000};

	assert_int_equal(l0_run(r->l, &lim).why, L0_DEAD);
	if (r->l->vcpu[0].level == 2)
		return IN_L2;
	assert_int_equal(r->c->rip, CODE + 0x101);
	return (int64_t)vmcs_get(&r->nv->cur->v, VMCS_VM_EXIT_REASON);
}

/* An event finds the vCPU waiting in L2; what does not wake it leaves no trace. */
static int64_t after(struct rig *r, uint32_t pend)
{
	int64_t reason;

	assert_int_equal(settle(r), IN_L2);
	vcpu_pend(r->c, pend);
	reason = settle(r);
	vcpu_unpend(r->c, pend);
	return reason;
}

static void test_triple_fault_is_l1s(void **state)
{
	static const uint8_t undefined[] = {0x0f, 0x0b};
	struct rig *r = *state;

	rig_write_guest(r, undefined, sizeof undefined);
	assert_int_equal(vmwrite(r, ENC_GUEST_IDTR_LIMIT, 0), OK);
	assert_int_equal(rig_l2(r, 100), EXIT_REASON_TRIPLE_FAULT);
	assert_int_equal(vmcs_get(&r->nv->cur->v, VMCS_GUEST_ACTIVITY_STATE), ACTIVITY_ACTIVE);
	assert_int_equal(vmcs_get(&r->nv->cur->v, VMCS_GUEST_RIP), L2_CODE);
}

static void test_shutdown(void **state)
{
	struct rig *r = *state;

	/* nothing wakes it: the machine is dead, but no level has triple-faulted */
	enter(r, ACTIVITY_SHUTDOWN, PIN_EXT_INTR_EXITING, 0);
	assert_int_equal(after(r, PEND_INTR), IN_L2);
	assert_int_equal(r->c->activity, ACTIVITY_SHUTDOWN);
	assert_int_equal(after(r, PEND_SIPI), IN_L2);
	assert_int_equal(after(r, PEND_INIT), EXIT_REASON_INIT_SIGNAL);
	assert_int_equal(vmcs_get(&r->nv->cur->v, VMCS_GUEST_ACTIVITY_STATE), ACTIVITY_SHUTDOWN);
}

static void test_shutdown_and_nmi(void **state)
{
	struct rig *r = *state;

	enter(r, ACTIVITY_SHUTDOWN, PIN_NMI_EXITING, 0);
	assert_int_equal(after(r, PEND_NMI), EXIT_REASON_EXCEPTION_NMI);
	assert_int_equal(vmcs_get(&r->nv->cur->v, VMCS_VM_EXIT_INTR_INFO), 0x80000202);
	enter(r, ACTIVITY_SHUTDOWN, 0, 0);
	assert_int_equal(after(r, PEND_NMI), IN_L2);
	assert_int_equal(r->c->rip, NMI_HANDLER);
	assert_int_equal(r->c->activity, ACTIVITY_HLT);
}

/* The window of NMIs wakes as an NMI would, that of interrupts does not; the
 * monitor trap flag has no instruction to follow. */
static void test_shutdown_and_windows(void **state)
{
	struct rig *r = *state;

	assert_int_equal(vmwrite(r, ENC_GUEST_RFLAGS, FLAG_1 | FLAG_IF), OK);
	enter(r, ACTIVITY_SHUTDOWN, 0, PROC1_INTR_WINDOW_EXITING | PROC1_MONITOR_TRAP_FLAG);
	assert_int_equal(settle(r), IN_L2);
	vcpu_pend(r->c, PEND_INIT);
	assert_int_equal(settle(r), EXIT_REASON_INIT_SIGNAL);
	enter(r, ACTIVITY_SHUTDOWN, PIN_NMI_EXITING | PIN_VIRTUAL_NMIS, PROC1_NMI_WINDOW_EXITING);
	assert_int_equal(settle(r), EXIT_REASON_NMI_WINDOW);
}

static void test_shutdown_and_timer(void **state)
{
	struct rig *r = *state;

	assert_int_equal(vmwrite(r, ENC_VMX_PREEMPTION_TIMER_VALUE, 1000), OK);
	enter(r, ACTIVITY_SHUTDOWN, PIN_PREEMPTION_TIMER, 0);
	assert_int_equal(settle(r), EXIT_REASON_PREEMPTION_TIMER);
	assert_int_equal(vmcs_get(&r->nv->cur->v, VMCS_GUEST_ACTIVITY_STATE), ACTIVITY_SHUTDOWN);
}

/* An NMI that the entry injects ends the state. */
static void test_shutdown_and_injection(void **state)
{
	struct rig *r = *state;

	assert_int_equal(vmwrite(r, ENC_VM_ENTRY_INTR_INFO_FIELD, 0x80000202), OK);
	enter(r, ACTIVITY_SHUTDOWN, 0, 0);
	assert_int_equal(settle(r), IN_L2);
	assert_int_equal(r->c->rip, NMI_HANDLER);
}

static void test_wait_for_sipi(void **state)
{
	struct rig *r = *state;

	assert_int_equal(vmwrite(r, ENC_VMX_PREEMPTION_TIMER_VALUE, 10), OK);
	enter(r, ACTIVITY_WAIT_SIPI, PIN_NMI_EXITING | PIN_EXT_INTR_EXITING | PIN_PREEMPTION_TIMER, 0);
	assert_int_equal(after(r, PEND_INTR), IN_L2);
	assert_int_equal(after(r, PEND_NMI), IN_L2);
	assert_int_equal(after(r, PEND_INIT), IN_L2);
	r->c->sipi_vector = 0x9a;
	assert_int_equal(after(r, PEND_SIPI), EXIT_REASON_SIPI_SIGNAL);
	assert_int_equal(vmcs_get(&r->nv->cur->v, VMCS_EXIT_QUALIFICATION), 0x9a);
}

/* Whatever IF says, an interrupt that exits ends HLT. */
static void test_halt(void **state)
{
	struct rig *r = *state;

	enter(r, ACTIVITY_HLT, PIN_NMI_EXITING, 0);
	assert_int_equal(after(r, PEND_INTR), IN_L2);
	assert_int_equal(after(r, PEND_NMI), EXIT_REASON_EXCEPTION_NMI);
	assert_int_equal(vmcs_get(&r->nv->cur->v, VMCS_GUEST_ACTIVITY_STATE), ACTIVITY_HLT);
	enter(r, ACTIVITY_HLT, PIN_EXT_INTR_EXITING, 0);
	vcpu_pend(r->c, PEND_INTR);
	assert_int_equal(settle(r), EXIT_REASON_EXTERNAL_INTERRUPT);
	vcpu_unpend(r->c, PEND_INTR);
}

/* L1's own triple fault ends the run, once; the vCPU stays in shutdown until an NMI. */
static void shut_down(struct rig *r)
{
	static const uint8_t undefined[] = {0x0f, 0x0b};
	struct l0_limits lim = {.retired = l0_retired(r->l) + 1000};

	assert_true(phys_write(&r->l->machine->phys, hpa(CODE), undefined, sizeof undefined));
	r->c->idtr.limit = 0;
	r->c->rip = CODE;
	r->c->activity = ACTIVITY_ACTIVE;
	assert_int_equal(l0_run(r->l, &lim).why, L0_TRIPLE);
	assert_int_equal(r->c->activity, ACTIVITY_SHUTDOWN);
	assert_int_equal(l0_run(r->l, &lim).why, L0_DEAD);
	vcpu_pend(r->c, PEND_INTR);
	assert_int_equal(l0_run(r->l, &lim).why, L0_DEAD);
	vcpu_pend(r->c, PEND_SIPI);
	assert_int_equal(l0_run(r->l, &lim).why, L0_DEAD);
	vcpu_unpend(r->c, PEND_INTR);
	assert_int_equal(r->c->activity, ACTIVITY_SHUTDOWN);
	r->c->idtr.limit = 511;
	vcpu_pend(r->c, PEND_NMI);
	assert_int_equal(l0_run(r->l, &lim).why, L0_DEAD);
	assert_int_equal(r->c->activity, ACTIVITY_HLT);
	assert_int_equal(r->c->rip, NMI_HANDLER);
}

static void test_triple_fault_of_l1(void **state)
{
	shut_down(*state);
}

static void test_triple_fault_when_bare(void **state)
{
	struct l0_config cfg = {.mem = 16 << 20, .vcpus = 1, .l0 = "none"};
	struct err e = {0};
	struct rig r = {.l = l0_new(&cfg, &e)};

	(void)state;
	if (!r.l)
		fail_msg("%s", e.msg);
	r.c = r.l->vcpu[0].cpu;
	rig_long_mode(&r);
	vcpu_state_changed(r.c);
	shut_down(&r);
	l0_free(r.l);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, rig_teardown)
	const struct CMUnitTest tests[] = {T(test_triple_fault_is_l1s), T(test_shutdown),
		T(test_shutdown_and_nmi), T(test_shutdown_and_windows), T(test_shutdown_and_timer),
		T(test_shutdown_and_injection), T(test_wait_for_sipi), T(test_halt),
		T(test_triple_fault_of_l1), cmocka_unit_test(test_triple_fault_when_bare)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

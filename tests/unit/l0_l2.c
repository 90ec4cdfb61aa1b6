/* What L0 handles of an L2's exits leaves no trace in the L2. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/lib/l1_rig.h"

enum { TABLES_A = PAGES + 0x1000, TABLES_B = PAGES + 0x4000, LIST = PAGES + 0x7000 };

static int setup_with(void **state, const char *l0)
{
	struct rig *r = test_calloc(1, sizeof *r);

	rig_start(r, l0);
	rig_current(r);
	rig_write_host(r);
	*state = r;
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, NULL);
}

static int setup_own_timer(void **state)
{
	return setup_with(state, "use.preemption-timer=off");
}

static uint64_t field(struct rig *r, enum vmcs_field f)
{
	return vmcs_get(&r->nv->cur->v, f);
}

#define GUEST(r, ...) \
	rig_write_guest(r, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* An MSR that L0 reads for L2, between a write of DR7 and its read. VMCS12 loads
 * DR7 at entry and does not save it at exit. */
static void test_loaded_once(void **state)
{
	struct rig *r = *state;

	rig_controls(r, 0, 0, 0, 0, ENTRY_LOAD_DEBUG_CONTROLS | ENTRY_LOAD_IA32_PAT);
	/* mov eax, 600h; mov dr7, rax; mov ecx, 480h; rdmsr; mov rbx, dr7; vmcall */
	GUEST(r, 0xb8, 0, 6, 0, 0, 0x0f, 0x23, 0xf8, 0xb9, 0x80, 4, 0, 0, 0x0f, 0x32, 0x0f, 0x21, 0xfb,
		0x0f, 0x01, 0xc1);
	assert_int_equal(rig_l2(r, 100), EXIT_REASON_VMCALL);
	assert_int_equal(r->nv->cur->gpr[RBX], 0x600);
	assert_int_equal(field(r, VMCS_GUEST_DR7), 0x400);
}

/* The preemption timer, the hardware's or L0's, runs on over such exits, and VMCS12
 * keeps its value unless it asked to have it saved. */
static void test_timer_runs_on(void **state)
{
	struct rig *r = *state;

	for (unsigned save = 0; save < 2; save++) {
		rig_controls(r, PIN_PREEMPTION_TIMER, 0, 0, save ? EXIT_SAVE_PREEMPTION_TIMER : 0, 0);
		assert_int_equal(vmwrite(r, ENC_VMX_PREEMPTION_TIMER_VALUE, 1000), OK);
		GUEST(r, 0xb9, 0x80, 4, 0, 0, 0x0f, 0x32, 0xeb, 0xfc); /* mov ecx, 480h; 1: rdmsr; jmp 1b */
		uint64_t before = r->c->retired;
		assert_int_equal(rig_l2(r, 20000), EXIT_REASON_PREEMPTION_TIMER);
		uint64_t took = r->c->retired - before;
		assert_true(took > 3900 && took < 4100);
		assert_int_equal(r->nv->vmcs02.v[VMCS_PIN_BASED_VM_EXEC_CONTROL] & PIN_PREEMPTION_TIMER,
			r->l->options.use[L0_USE_PREEMPTION_TIMER] ? PIN_PREEMPTION_TIMER : 0);
		assert_int_equal(field(r, VMCS_VMX_PREEMPTION_TIMER_VALUE), save ? 0 : 1000);
	}
}

/* At the same boundary a pending trap comes first and the timer before the trap's
 * handler, then what has a lower place: SDM Vol. 3C 25.5.1 "VMX-Preemption Timer". */
static void test_timer_and_others(void **state)
{
	struct rig *r = *state;

	rig_controls(r, PIN_PREEMPTION_TIMER | PIN_NMI_EXITING, 0, 0, 0, 0);
	GUEST(r, 0x90, 0xf4);
	assert_int_equal(vmwrite(r, ENC_VMX_PREEMPTION_TIMER_VALUE, 0), OK);
	assert_int_equal(vmwrite(r, ENC_GUEST_PENDING_DBG_EXCEPTIONS, BIT(14)), OK);
	assert_int_equal(rig_l2(r, 100), EXIT_REASON_PREEMPTION_TIMER);
	assert_int_equal(field(r, VMCS_GUEST_RIP), TRAPS + 16 * VEC_DB);
	assert_int_equal(vmwrite(r, ENC_GUEST_RIP, L2_CODE), OK);
	assert_int_equal(rig_l2(r, 100), EXIT_REASON_PREEMPTION_TIMER);
	assert_int_equal(field(r, VMCS_GUEST_RIP), L2_CODE);
	rig_controls(r, PIN_PREEMPTION_TIMER, PROC1_MONITOR_TRAP_FLAG, 0, 0, 0);
	assert_int_equal(vmwrite(r, ENC_VM_ENTRY_INTR_INFO_FIELD, 0x80000700), OK);
	assert_int_equal(rig_l2(r, 100), EXIT_REASON_MONITOR_TRAP_FLAG);
	/* it counts in every state but wait-for-SIPI */
	rig_controls(r, PIN_PREEMPTION_TIMER, 0, 0, EXIT_SAVE_PREEMPTION_TIMER, 0);
	for (enum cpu_activity a = ACTIVITY_ACTIVE; a < ACTIVITY_WAIT_SIPI; a++) {
		assert_int_equal(vmwrite(r, ENC_GUEST_ACTIVITY_STATE, a), OK);
		assert_int_equal(vmwrite(r, ENC_VMX_PREEMPTION_TIMER_VALUE, 100), OK);
		GUEST(r, 0xeb, 0xfe);
		assert_int_equal(rig_l2(r, 1000), EXIT_REASON_PREEMPTION_TIMER);
		assert_int_equal(field(r, VMCS_GUEST_ACTIVITY_STATE), a);
	}
}

/* The monitor trap flag sees the instruction that L0 did. */
static void test_monitor_trap(void **state)
{
	struct rig *r = *state;

	rig_controls(r, 0, PROC1_MONITOR_TRAP_FLAG, 0, 0, 0);
	GUEST(r, 0x0f, 0x32, 0x90, 0x90);
	vmread(r, 0);
	r->c->gpr[RCX] = 0x480;
	assert_int_equal(rig_l2(r, 100), EXIT_REASON_MONITOR_TRAP_FLAG);
	assert_int_equal(field(r, VMCS_GUEST_RIP), L2_CODE + 2);
	assert_int_equal(field(r, VMCS_VM_EXIT_INSTRUCTION_LEN), 0);
}

static void test_eptp_switching(void **state)
{
	struct rig *r = *state;
	uint64_t a = rig_ept(r, TABLES_A), b = rig_ept(r, TABLES_B);

	for (unsigned ve = 0; ve < 2; ve++) {
		rig_controls(r, 0, 0, PROC2_ENABLE_EPT | PROC2_ENABLE_VMFUNC | (ve ? PROC2_EPT_VIOLATION_VE : 0),
			0, 0);
		assert_int_equal(vmwrite(r, ENC_EPT_POINTER, a), OK);
		assert_int_equal(vmwrite(r, ENC_VM_FUNCTION_CONTROL, 1), OK);
		assert_int_equal(vmwrite(r, ENC_EPTP_LIST_ADDRESS, LIST), OK);
		assert_int_equal(vmwrite(r, ENC_VE_INFORMATION_ADDRESS, LIST + 0x1000), OK);
		assert_int_equal(vmwrite(r, ENC_EPTP_INDEX, 9), OK);
		rig_put64(r, LIST + 8, b);
		/* xor eax, eax; mov ecx, 1; vmfunc; vmcall */
		GUEST(r, 0x31, 0xc0, 0xb9, 1, 0, 0, 0, 0x0f, 0x01, 0xd4, 0x0f, 0x01, 0xc1);
		assert_int_equal(rig_l2(r, 100), EXIT_REASON_VMCALL);
		assert_int_equal(field(r, VMCS_EPT_POINTER), b);
		/* the index is kept for virtualization exceptions alone */
		assert_int_equal(field(r, VMCS_EPTP_INDEX), ve ? 1 : 9);
	}
	/* function 1 is L1's to refuse, function 64 does not exist */
	assert_int_equal(vmwrite(r, ENC_EXCEPTION_BITMAP, 1 << VEC_UD), OK);
	GUEST(r, 0xb8, 1, 0, 0, 0, 0x0f, 0x01, 0xd4);
	assert_int_equal(rig_l2(r, 100), EXIT_REASON_VMFUNC);
	GUEST(r, 0xb8, 64, 0, 0, 0, 0x0f, 0x01, 0xd4);
	assert_int_equal(rig_l2(r, 100), EXIT_REASON_EXCEPTION_NMI);
}

/* XSETBV of L1 always exits; L0 does it. */
static void test_xsetbv(void **state)
{
	struct rig *r = *state;

	r->c->gpr[RCX] = r->c->gpr[RDX] = 0;
	r->c->gpr[RAX] = 7;
	assert_int_equal(RUN(r, 0, 0x0f, 0x01, 0xd1), TRAPPED + VEC_UD);
	r->c->gpr[RAX] = CR4_PAE | CR4_VMXE | CR4_OSXSAVE;
	assert_int_equal(RUN(r, 0, 0x0f, 0x22, 0xe0), OK); /* mov cr4, rax */
	r->c->gpr[RAX] = 7;
	assert_int_equal(RUN(r, 0, 0x0f, 0x01, 0xd1), OK);
	assert_int_equal(r->c->rip, CODE + 3);
	assert_int_equal(r->c->xcr0, 7);
	r->c->gpr[RAX] = 4;
	assert_int_equal(RUN(r, 0, 0x0f, 0x01, 0xd1), TRAPPED + VEC_GP);
	r->c->gpr[RAX] = 3;
	r->c->gpr[RCX] = 1;
	assert_int_equal(RUN(r, 0, 0x0f, 0x01, 0xd1), TRAPPED + VEC_GP);
	assert_int_equal(r->c->xcr0, 7);
}

/* --- a write under CR0.WP = 0 without EPT: mmu=shadow-on-shadow --- */

enum { USER = 0x800000 };

/* stac; mov [USER], eax; clac; mov [USER], eax: the second is a page fault. */
static const uint8_t open_and_shut[] = {0x0f, 0x01, 0xcb, 0xa3, 0, 0, 0x80, 0, 0, 0, 0, 0, 0x0f,
	0x01, 0xca, 0xa3, 0, 0, 0x80, 0, 0, 0, 0, 0, 0xf4};
enum { SECOND = 15, PF_HANDLER = TRAPS + 16 * VEC_PF };

/* All of memory for supervisors, but a read-only page for users at USER. */
static void tables(struct rig *r)
{
	for (uint64_t n = 0; n < 8; n++)
		rig_put64(r, TABLES + 0x2000 + 8 * n, n << 21 | 0x83);
	rig_put64(r, TABLES + 0x2000 + 8 * (USER >> 21), USER | 0x85);
}

static void check_open_and_shut(struct rig *r, uint64_t value, uint64_t frame)
{
	uint64_t got = 0;

	assert_true(phys_read(&r->l->machine->phys, hpa(USER), &got, 4));
	assert_int_equal(got, value);
	assert_int_equal(r->c->cr2, USER);
	assert_true(phys_read(&r->l->machine->phys, hpa(frame - 48), &got, 8));
	assert_int_equal(got, 3); /* error code: present, write */
	assert_false(r->nv->paging.once);
	assert_int_equal(r->l->nested->shadow.grants, 0);
}

static void test_smap_without_wp_in_l1(void **state)
{
	const uint64_t cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_NE;
	struct rig *r = *state;
	struct l0_limits lim = {.retired = l0_retired(r->l) + 1000};

	tables(r);
	r->c->gpr[RAX] = TABLES;
	assert_int_equal(RUN(r, 0, 0x0f, 0x22, 0xd8), OK); /* mov cr3, rax */
	r->c->gpr[RAX] = CR4_PAE | CR4_VMXE | CR4_SMAP;
	assert_int_equal(RUN(r, 0, 0x0f, 0x22, 0xe0), OK); /* mov cr4, rax */
	r->c->gpr[RAX] = cr0;
	assert_int_equal(RUN(r, 0, 0x0f, 0x22, 0xc0), OK); /* mov cr0, rax */
	assert_true(phys_write(&r->l->machine->phys, hpa(CODE), open_and_shut, sizeof open_and_shut));
	r->c->rip = CODE;
	r->c->gpr[RAX] = 0x1234;
	assert_int_equal(l0_run(r->l, &lim).why, L0_DEAD);
	assert_int_equal(r->c->rip, PF_HANDLER + 1);
	check_open_and_shut(r, 0x1234, STACK);
}

static void test_smap_without_wp_in_l2(void **state)
{
	struct rig *r = *state;

	tables(r);
	r->c->gpr[RAX] = TABLES;
	assert_int_equal(RUN(r, 0, 0x0f, 0x22, 0xd8), OK);
	for (unsigned trap = 0; trap < 2; trap++) {
		rig_controls(r, 0, PROC1_HLT_EXITING, 0, 0, 0);
		rig_write_guest(r, open_and_shut, sizeof open_and_shut);
		assert_int_equal(vmwrite(r, ENC_GUEST_CR0, CR0_PE | CR0_PG | CR0_ET | CR0_NE), OK);
		assert_int_equal(vmwrite(r, ENC_GUEST_CR4, CR4_PAE | CR4_VMXE | CR4_SMAP), OK);
		if (trap) { /* L1's own trap comes after the same instruction */
			assert_int_equal(vmwrite(r, ENC_GUEST_RIP, L2_CODE + 3), OK);
			assert_int_equal(vmwrite(r, ENC_GUEST_RFLAGS, FLAG_1 | FLAG_AC), OK);
			rig_controls(r, 0, PROC1_MONITOR_TRAP_FLAG, 0, 0, 0);
			assert_int_equal(rig_l2(r, 1000), EXIT_REASON_MONITOR_TRAP_FLAG);
			assert_int_equal(field(r, VMCS_GUEST_RIP), L2_CODE + 12);
			assert_int_equal(r->l->nested->shadow.grants, 0);
			continue;
		}
		assert_int_equal(rig_l2(r, 1000), EXIT_REASON_HLT);
		assert_int_equal(field(r, VMCS_GUEST_RIP), PF_HANDLER);
		check_open_and_shut(r, (uint32_t)r->nv->cur->gpr[RAX], L2_STACK);
	}
}

static int setup_shadow(void **state)
{
	return setup_with(state, "mmu=shadow-on-shadow");
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, rig_teardown)
	const struct CMUnitTest tests[] = {T(test_loaded_once), T(test_timer_runs_on),
		cmocka_unit_test_setup_teardown(test_timer_runs_on, setup_own_timer, rig_teardown),
		T(test_timer_and_others),
		cmocka_unit_test_setup_teardown(test_timer_and_others, setup_own_timer, rig_teardown),
		T(test_monitor_trap), T(test_eptp_switching), T(test_xsetbv),
		cmocka_unit_test_setup_teardown(test_smap_without_wp_in_l1, setup_shadow, rig_teardown),
		cmocka_unit_test_setup_teardown(test_smap_without_wp_in_l2, setup_shadow, rig_teardown)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

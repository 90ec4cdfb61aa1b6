/* Every exit reason and every intercept is reached by a guest that causes it:
 * a row without such a guest, or without a reason why there can be none, fails. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/lib/vmx_insn_rows.h"
#include "vmx/record.h"

/* What this processor does not have. */
static const struct {
	uint16_t reason;
	const char *why;
} no_guest[] = {
	{EXIT_REASON_IO_SMI, "SMM is not offered"},
	{EXIT_REASON_OTHER_SMI, "SMM is not offered"},
	{EXIT_REASON_RSM, "SMM is not offered"},
	{EXIT_REASON_GETSEC, "SMX is not offered: #UD comes first"},
	{EXIT_REASON_MCE_DURING_VMENTRY, "there are no machine checks"},
	{EXIT_REASON_ENCLS, "SGX is not offered"},
};
static const struct {
	enum cpu_event event;
	const char *why;
} no_event[] = {
	{EV_RSM, "SMM is not offered"},
	{EV_GETSEC, "SMX is not offered"},
	{EV_CR8_WRITE, "the task priority is written through set_cr8"},
};
enum { REASONS = 62, REASONS_REACHED = 56, EVENTS = 42, EVENTS_REACHED = 39 };

static bool reason_reached[EXIT_REASON_COUNT], event_reached[EV_COUNT];

static enum cpu_step recording(
	struct vcpu *c, enum cpu_event ev, const struct insn *i, uint64_t detail)
{
	enum cpu_step step = vmx_intercept(c, ev, i, detail);

	if (step != CPU_DONE)
		event_reached[ev] = true;
	return step;
}

#define CODE(g, ...)                                          \
	do {                                                  \
		static const uint8_t code_[] = {__VA_ARGS__}; \
		vg_code(g, code_, sizeof code_);              \
	} while (0)
#define PIN(g, bits)   vg_or(g, VMCS_PIN_BASED_VM_EXEC_CONTROL, bits)
#define PROC1(g, bits) vg_or(g, VMCS_CPU_BASED_VM_EXEC_CONTROL, bits)

enum { TSS = 0x40000, VICTIM = 0x50000 };

static void undefined(struct vg *g)
{
	vg_set(g, VMCS_EXCEPTION_BITMAP, 1 << VEC_UD);
	CODE(g, 0x0f, 0x0b);
}

static void rdpid_without_rdtscp(struct vg *g)
{
	vg_set(g, VMCS_EXCEPTION_BITMAP, 1 << VEC_UD);
	CODE(g, 0xf3, 0x0f, 0xc7, 0xf8);
}

static void nmi(struct vg *g)
{
	PIN(g, PIN_NMI_EXITING);
	vcpu_pend(g->c, PEND_NMI);
}

static void interrupt(struct vg *g)
{
	PIN(g, PIN_EXT_INTR_EXITING);
	vcpu_pend(g->c, PEND_INTR);
}

static void triple_fault(struct vg *g)
{
	vg_set(g, VMCS_GUEST_IDTR_LIMIT, 0);
	CODE(g, 0x0f, 0x0b);
}

static void init_signal(struct vg *g)
{
	vcpu_pend(g->c, PEND_INIT);
}

static void sipi(struct vg *g)
{
	vg_set(g, VMCS_GUEST_ACTIVITY_STATE, ACTIVITY_WAIT_SIPI);
	g->c->sipi_vector = 0x12;
	vcpu_pend(g->c, PEND_SIPI);
}

static void interrupt_window(struct vg *g)
{
	PROC1(g, PROC1_INTR_WINDOW_EXITING);
	vg_set(g, VMCS_GUEST_RFLAGS, FLAG_1 | FLAG_IF);
}

static void nmi_window(struct vg *g)
{
	PIN(g, PIN_NMI_EXITING | PIN_VIRTUAL_NMIS);
	PROC1(g, PROC1_NMI_WINDOW_EXITING);
}

/* 32-bit protected mode without paging: a far jump to a TSS. */
static void task_switch(struct vg *g)
{
	CODE(g, 0xea, 0, 0, 0, 0, 0x18, 0);
	bare_put64(&g->b, BARE_GDT + 24, UINT64_C(0x0000890400000067));
	vg_ept(g, PROC2_UNRESTRICTED_GUEST);
	vg_set(g, VMCS_VM_ENTRY_CONTROLS, 0x11fb);
	vg_set(g, VMCS_GUEST_CR0, CR0_PE | CR0_ET | CR0_NE);
	vg_set(g, VMCS_GUEST_CS_AR_BYTES, 0xc09b);
	vg_set(g, VMCS_GUEST_GDTR_LIMIT, 31);
}

static void invalid_state(struct vg *g)
{
	vg_set(g, VMCS_GUEST_RFLAGS, 0);
}

static void msr_load(struct vg *g)
{
	bare_put64(&g->b, VG_MSR_LIST, 0xc0000100);
	vg_set(g, VMCS_VM_ENTRY_MSR_LOAD_ADDR, VG_MSR_LIST);
	vg_set(g, VMCS_VM_ENTRY_MSR_LOAD_COUNT, 1);
}

static void monitor_trap(struct vg *g)
{
	PROC1(g, PROC1_MONITOR_TRAP_FLAG);
}

static void tpr_threshold(struct vg *g)
{
	PROC1(g, PROC1_TPR_SHADOW);
	bare_put64(&g->b, VG_VAPIC + 0x80, 0x60);
	vg_set(g, VMCS_TPR_THRESHOLD, 5);
	CODE(g, 0x31, 0xc0, 0x44, 0x0f, 0x22, 0xc0, 0x90); /* xor eax, eax; mov cr8, rax */
}

static void apic_access(struct vg *g)
{
	vg_proc2(g, PROC2_VIRTUALIZE_APIC_ACCESSES);
	CODE(g, 0xa1, 0x20, 0x40, 0x02, 0, 0, 0, 0, 0); /* mov eax, [VG_APIC_ACCESS + 20h] */
}

static void apic_write(struct vg *g)
{
	PROC1(g, PROC1_TPR_SHADOW);
	vg_proc2(g, PROC2_VIRTUALIZE_APIC_ACCESSES | PROC2_APIC_REGISTER_VIRT);
	CODE(g, 0xa3, 0x00, 0x43, 0x02, 0, 0, 0, 0, 0, 0x90); /* mov [VG_APIC_ACCESS + 300h], eax */
}

static void eoi(struct vg *g)
{
	PIN(g, PIN_EXT_INTR_EXITING);
	PROC1(g, PROC1_TPR_SHADOW | PROC1_USE_MSR_BITMAPS);
	vg_proc2(g, PROC2_VIRTUALIZE_X2APIC_MODE | PROC2_VIRTUAL_INTR_DELIVERY);
	vg_set(g, VMCS_GUEST_INTR_STATUS, 0x5000);
	vg_set(g, VMCS_EOI_EXIT_BITMAP0 + 1, BIT(0x50 - 64));
	g->c->gpr[RCX] = 0x80b;
	CODE(g, 0x31, 0xc0, 0x31, 0xd2, 0x0f, 0x30, 0x90); /* EDX:EAX = 0; wrmsr */
}

static void touch_victim(struct vg *g, uint64_t entry)
{
	vg_ept(g, 0);
	bare_put64(&g->b, VG_EPT + 0x3000 + (VICTIM >> 12) * 8, entry);
	CODE(g, 0xa1, 0, 0, 0x05, 0, 0, 0, 0, 0); /* mov eax, [VICTIM] */
}

static void violation(struct vg *g)
{
	touch_victim(g, 0);
}

static void misconfiguration(struct vg *g)
{
	touch_victim(g, VICTIM | 2);
}

static void timer(struct vg *g)
{
	PIN(g, PIN_PREEMPTION_TIMER);
	vg_set(g, VMCS_VMX_PREEMPTION_TIMER_VALUE, 4);
	CODE(g, 0xeb, 0xfe);
}

/* The timer counts in every state but wait-for-SIPI. */
static void timer_in_shutdown(struct vg *g)
{
	PIN(g, PIN_PREEMPTION_TIMER);
	vg_set(g, VMCS_GUEST_ACTIVITY_STATE, ACTIVITY_SHUTDOWN);
}

static void log_full(struct vg *g)
{
	vg_ept(g, PROC2_ENABLE_PML);
	vg_or(g, VMCS_EPT_POINTER, BIT(6));
	vg_set(g, VMCS_GUEST_PML_INDEX, 0xffff);
	CODE(g, 0xa3, 0, 0, 0x05, 0, 0, 0, 0, 0); /* mov [VICTIM], eax */
}

static void supervisor_state(struct vg *g)
{
	vg_proc2(g, PROC2_ENABLE_XSAVES);
	vg_set(g, VMCS_XSS_EXIT_BITMAP, BIT(8));
	g->c->msr.xss = BIT(8);
	g->c->gpr[RAX] = 0x1ff;
	g->c->gpr[RBX] = 0x300000;
}

static void xsaves(struct vg *g)
{
	supervisor_state(g);
	CODE(g, 0x0f, 0xc7, 0x2b);
}

static void xrstors(struct vg *g)
{
	supervisor_state(g);
	CODE(g, 0x0f, 0xc7, 0x1b);
}

static const struct {
	uint16_t reason;
	void (*prepare)(struct vg *g);
} guests[] = {
	{EXIT_REASON_EXCEPTION_NMI, undefined}, {EXIT_REASON_EXCEPTION_NMI, rdpid_without_rdtscp},
	{EXIT_REASON_EXCEPTION_NMI, nmi}, {EXIT_REASON_EXTERNAL_INTERRUPT, interrupt},
	{EXIT_REASON_TRIPLE_FAULT, triple_fault}, {EXIT_REASON_INIT_SIGNAL, init_signal},
	{EXIT_REASON_SIPI_SIGNAL, sipi}, {EXIT_REASON_INTERRUPT_WINDOW, interrupt_window},
	{EXIT_REASON_NMI_WINDOW, nmi_window}, {EXIT_REASON_TASK_SWITCH, task_switch},
	{EXIT_REASON_INVALID_STATE, invalid_state}, {EXIT_REASON_MSR_LOAD_FAIL, msr_load},
	{EXIT_REASON_MONITOR_TRAP_FLAG, monitor_trap},
	{EXIT_REASON_TPR_BELOW_THRESHOLD, tpr_threshold}, {EXIT_REASON_APIC_ACCESS, apic_access},
	{EXIT_REASON_EOI_INDUCED, eoi}, {EXIT_REASON_EPT_VIOLATION, violation},
	{EXIT_REASON_EPT_MISCONFIG, misconfiguration}, {EXIT_REASON_PREEMPTION_TIMER, timer},
	{EXIT_REASON_PREEMPTION_TIMER, timer_in_shutdown},
	{EXIT_REASON_APIC_WRITE, apic_write}, {EXIT_REASON_PML_FULL, log_full},
	{EXIT_REASON_XSAVES, xsaves}, {EXIT_REASON_XRSTORS, xrstors},
};

static void run(struct vg *g, unsigned reason, const char *what)
{
	const struct vmx_exit *x = vg_run(g, 1000);
	uint32_t got = x ? x->reason : g->x->exit.reason & ~EXIT_REASON_ENTRY_FAILURE;

	if (got != reason)
		fail_msg("%s: exit reason %u, wanted %u", what, got, reason);
	reason_reached[reason] = true;
}

static void begin(struct vg *g, struct cpu_hooks *hooks)
{
	vg_init(g);
	*hooks = vmx_hooks;
	hooks->intercept = recording;
	g->c->hooks = hooks;
	CODE(g, 0x90, 0x90, 0x90, 0xf4);
}

static void run_all(void)
{
	struct cpu_hooks hooks;
	struct vg g;

	for (unsigned n = 0; n < INSN_ROWS; n++) {
		begin(&g, &hooks);
		insn_row_prepare(&g, &exit_rows[n]);
		insn_row_intercept(&g, &exit_rows[n]);
		run(&g, exit_rows[n].reason, exit_rows[n].what);
		vg_done(&g);
	}
	for (unsigned n = 0; n < sizeof guests / sizeof *guests; n++) {
		begin(&g, &hooks);
		guests[n].prepare(&g);
		run(&g, guests[n].reason, vmx_exit_reason_name(guests[n].reason));
		vg_done(&g);
	}
}

static void test_every_exit_reason(void **state)
{
	unsigned rows = 0, reached = 0;

	(void)state;
	run_all();
	for (unsigned n = 0; n < sizeof no_guest / sizeof *no_guest; n++) {
		if (reason_reached[no_guest[n].reason])
			fail_msg("%s is reached", vmx_exit_reason_name(no_guest[n].reason));
		reason_reached[no_guest[n].reason] = true;
		reached--;
	}
	for (unsigned n = 0; n < EXIT_REASON_COUNT; n++) {
		if (!vmx_exit_reason_name(n))
			continue;
		rows++;
		reached++;
		if (!reason_reached[n])
			fail_msg("no guest here exits by %s", vmx_exit_reason_name(n));
	}
	assert_int_equal(rows, REASONS);
	assert_int_equal(reached, REASONS_REACHED);
}

static void test_every_intercept(void **state)
{
	static const char *const name[EV_COUNT] = {
#define CPU_EVENT(n, what, detail) [EV_##n] = #n,
#include "cpu/events.def"
#undef CPU_EVENT
	};
	unsigned reached = EV_COUNT;

	(void)state;
	for (unsigned n = 0; n < sizeof no_event / sizeof *no_event; n++) {
		assert_false(event_reached[no_event[n].event]);
		event_reached[no_event[n].event] = true;
		reached--;
	}
	for (unsigned n = 0; n < EV_COUNT; n++)
		if (!event_reached[n])
			fail_msg("no guest here is stopped by the intercept of %s", name[n]);
	assert_int_equal(EV_COUNT, EVENTS);
	assert_int_equal(reached, EVENTS_REACHED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_exit_reason), cmocka_unit_test(test_every_intercept)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

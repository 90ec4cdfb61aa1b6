/* Every exit reason and every intercept is reached by a guest that causes it, or
 * its row says why it cannot happen here, and a test proves that. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/lib/vmx_insn_rows.h"
#include "vmx/record.h"

static bool reason_reached[EXIT_REASON_COUNT], event_reached[EV_COUNT], event_asked[EV_COUNT];

static enum cpu_step recording(
	struct vcpu *c, enum cpu_event ev, const struct insn *i, uint64_t detail)
{
	enum cpu_step step = vmx_intercept(c, ev, i, detail);

	event_asked[ev] = true;
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

/* --- What cannot happen here: the NEVER rows --- */

/* The guest gets this exception, and nothing else exits before it. */
static void faults(const uint8_t *code, size_t n, unsigned vector)
{
	struct cpu_hooks hooks;
	struct vg g;

	begin(&g, &hooks);
	vg_code(&g, code, n);
	vg_or(&g, VMCS_CPU_BASED_VM_EXEC_CONTROL, PROC1_USE_MSR_BITMAPS);
	vg_set(&g, VMCS_EXCEPTION_BITMAP, 1u << vector);
	const struct vmx_exit *x = vg_run(&g, 10);
	assert_non_null(x);
	assert_int_equal(x->reason, EXIT_REASON_EXCEPTION_NMI);
	assert_int_equal(x->intr_info & INTR_VECTOR, vector);
	vg_done(&g);
}

#define FAULTS(vector, ...) \
	faults((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), vector)

/* An entry with this control fails. */
static void refused(enum vmcs_field f, uint32_t bit)
{
	struct vg g;
	int failed = -1;

	vg_init(&g);
	vg_proc2(&g, 0);
	vg_or(&g, f, bit);
	assert_int_equal(vmx_enter(g.c, &g.v, NULL, false, &failed), VMX_FAIL_CONTROLS);
	assert_true(failed >= 0);
	vg_done(&g);
}

/* IA32_VMX_BASIC says so, IA32_SMM_MONITOR_CTL is not there, and the controls of
 * an SMM monitor's entries are refused. */
static void no_dual_monitor(void)
{
	struct vg g;

	vg_init(&g);
	assert_false(vmx_caps_msr(&g.caps, MSR_VMX_BASIC) >> 49 & 1);
	vg_done(&g);
	FAULTS(VEC_GP, 0xb9, 0x9b, 0, 0, 0, 0x0f, 0x32); /* mov ecx, 9bh; rdmsr */
	refused(VMCS_VM_ENTRY_CONTROLS, ENTRY_SMM);
	refused(VMCS_VM_ENTRY_CONTROLS, ENTRY_DEACT_DUAL_MONITOR);
}

static void rsm_is_undefined(void)
{
	FAULTS(VEC_UD, 0x0f, 0xaa);
}

static void getsec_is_undefined(void)
{
	struct vg g;

	vg_init(&g);
	assert_false(vmx_caps_msr(&g.caps, MSR_VMX_CR4_FIXED1) & CR4_SMXE);
	vg_done(&g);
	FAULTS(VEC_UD, 0x0f, 0x37);
}

static void encls_is_undefined(void)
{
	FAULTS(VEC_UD, 0x0f, 0x01, 0xcf);
	refused(VMCS_SECONDARY_VM_EXEC_CONTROL, PROC2_ENCLS_EXITING);
}

/* No bank can hold an error, and a machine check that a hypervisor makes up is an
 * event like others. */
static void no_machine_check(void)
{
	struct vg g;

	/* mov ecx, 401h; xor edx, edx; mov eax, 1; wrmsr */
	FAULTS(VEC_GP, 0xb9, 1, 4, 0, 0, 0x31, 0xd2, 0xb8, 1, 0, 0, 0, 0x0f, 0x30);
	vg_init(&g);
	vg_or(&g, VMCS_CPU_BASED_VM_EXEC_CONTROL, PROC1_HLT_EXITING);
	vg_set(&g, VMCS_VM_ENTRY_INTR_INFO_FIELD, VEC_MC | TYPE_HWEXC << INTR_TYPE_SHIFT | INTR_VALID);
	const struct vmx_exit *x = vg_run(&g, 10);
	assert_non_null(x);
	assert_int_equal(x->reason, EXIT_REASON_HLT);
	assert_int_equal(vg_get(&g, VMCS_GUEST_RIP), BARE_TRAPS + 16 * VEC_MC);
	vg_done(&g);
}

/* What proves each NEVER row of vmx/exit_reasons.def. */
static void (*const proof[EXIT_REASON_COUNT])(void) = {
	[EXIT_REASON_IO_SMI] = no_dual_monitor, [EXIT_REASON_OTHER_SMI] = no_dual_monitor,
	[EXIT_REASON_RSM] = rsm_is_undefined, [EXIT_REASON_GETSEC] = getsec_is_undefined,
	[EXIT_REASON_MCE_DURING_VMENTRY] = no_machine_check,
	[EXIT_REASON_ENCLS] = encls_is_undefined,
};

/* --- The counts --- */

enum { HAPPENS = 1, NEVER };

/* Every row is reached, or marked and proved never to be; none is both. */
static void test_every_exit_reason(void **state)
{
	static const uint8_t row[EXIT_REASON_COUNT] = {
#define EXIT_REASON(n, name, text) [n] = HAPPENS,
#define EXIT_REASON_NEVER(n, name, text, why) [n] = NEVER,
#include "vmx/exit_reasons.def"
#undef EXIT_REASON
	};
	unsigned rows = 0, reached = 0, proved = 0;

	(void)state;
	run_all();
	for (unsigned n = 0; n < EXIT_REASON_COUNT; n++) {
		rows += row[n] != 0;
		reached += reason_reached[n];
		if (reason_reached[n] != (row[n] == HAPPENS))
			fail_msg("%s is %s", vmx_exit_reason_name(n),
				row[n] == HAPPENS ? "not reached by a guest here" : "reached");
		assert_int_equal(proof[n] != NULL, row[n] == NEVER);
		if (proof[n]) {
			proof[n]();
			proved++;
		}
	}
	assert_int_equal(rows, 62);
	assert_int_equal(proved, 6);
	assert_int_equal(reached + proved, rows);
}

static void test_every_intercept(void **state)
{
	static const char *const name[EV_COUNT] = {
#define CPU_EVENT(n, what, detail) [EV_##n] = #n,
#include "cpu/events.def"
#undef CPU_EVENT
	};
	static const uint8_t row[EV_COUNT] = {
#define ALWAYS_EXITS(ev, reason) [EV_##ev] = HAPPENS,
#define INTERCEPT(ev, group, control, reason) ALWAYS_EXITS(ev, reason)
#define INTERCEPT_BY(ev, fn, reason) ALWAYS_EXITS(ev, reason)
#define INTERCEPT_NEVER(ev, reason, why) [EV_##ev] = NEVER,
#include "vmx/intercepts.def"
#undef ALWAYS_EXITS
#undef INTERCEPT
#undef INTERCEPT_BY
#undef INTERCEPT_NEVER
	};
	unsigned reached = 0, proved = 0;

	(void)state;
	/* executed, and not asked about */
	rsm_is_undefined();
	getsec_is_undefined();
	for (unsigned n = 0; n < EV_COUNT; n++) {
		if (event_reached[n] != (row[n] == HAPPENS) || event_asked[n] != event_reached[n])
			fail_msg("the intercept of %s is %s", name[n],
				row[n] == HAPPENS ? "not reached by a guest here" : "asked about");
		reached += event_reached[n];
		proved += row[n] == NEVER;
	}
	assert_int_equal(EV_COUNT, 41);
	assert_int_equal(proved, 2);
	assert_int_equal(reached + proved, EV_COUNT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_exit_reason), cmocka_unit_test(test_every_intercept)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Every row of reflect.def: an L2 that makes the exit reaches L1 with it when
 * VMCS12 asks, and goes on without L1 when VMCS12 does not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/lib/l1_rig.h"
#include "tests/lib/vmx_insn_rows.h"

enum { VIRTUAL_APIC = PAGES + 0x8000, APIC_ACCESS = PAGES + 0x9000, LOADS = PAGES + 0xa000,
	EPT = PAGES + 0x10000, EPT_LAST = EPT + 0x3000, VICTIM = 0x300000, END = EXIT_REASON_VMCALL };

static struct rig *start(void)
{
	struct rig *r = test_calloc(1, sizeof *r);

	rig_start(r, NULL);
	rig_current(r);
	rig_write_host(r);
	return r;
}

static void stop(struct rig *r)
{
	l0_free(r->l);
	test_free(r);
}

static uint64_t field(const struct rig *r, enum vmcs_field f)
{
	return vmcs_get(&r->nv->cur->v, f);
}

static void put(struct rig *r, enum vmcs_field f, uint64_t value)
{
	assert_int_equal(vmwrite(r, vmcs_encoding(f), value), OK);
}

/* As L1 reads it. */
static uint64_t get(struct rig *r, enum vmcs_field f)
{
	assert_int_equal(vmread(r, vmcs_encoding(f)), OK);
	return r->c->gpr[RAX];
}

static void with(struct rig *r, enum vmcs_field f, uint64_t bits)
{
	put(r, f, get(r, f) | bits);
}

/* --- The rules, on exits that are made up --- */

static const struct {
	const char *name;
	uint16_t reason;
	uint8_t rule;
	uint32_t bits;
} rows[] = {
#define REFLECT(reason, rule, bits) {#reason, EXIT_REASON_##reason, RULE_##rule, bits},
#include "l0/reflect.def"
#undef REFLECT
};
enum { ROWS = sizeof rows / sizeof *rows };

/* VMCS12's controls as if they had passed the checks. */
static void ask_for(struct rig *r, uint32_t pin, uint32_t proc1, uint32_t proc2)
{
	struct vmcs *v = &r->nv->cur->v;

	vmcs_set(v, VMCS_PIN_BASED_VM_EXEC_CONTROL, pin);
	vmcs_set(v, VMCS_CPU_BASED_VM_EXEC_CONTROL, proc1 | (proc2 ? PROC1_SECONDARY_CONTROLS : 0));
	vmcs_set(v, VMCS_SECONDARY_VM_EXEC_CONTROL, proc2);
}

static bool wanted(struct rig *r, struct vmx_exit x)
{
	return reflect_wanted(r->nv, &x);
}

/* Any one of the bits is enough, and all others together are not. */
static void by_control(struct rig *r, unsigned n)
{
	const struct vmx_exit x = {.reason = rows[n].reason};
	bool pin = rows[n].rule == RULE_PIN, proc1 = rows[n].rule == RULE_PROC1,
	     proc2 = rows[n].rule == RULE_PROC2;
	uint32_t not_these = ~rows[n].bits;

	for (unsigned b = 0; b < 32; b++) {
		uint32_t bit = rows[n].bits & 1u << b;
		ask_for(r, pin ? bit : 0, proc1 ? bit : 0, proc2 ? bit : 0);
		if (wanted(r, x) != (bit != 0))
			fail_msg("%s: bit %u of its control field", rows[n].name, b);
	}
	ask_for(r, pin ? not_these : UINT32_MAX, proc1 ? not_these : UINT32_MAX,
		proc2 ? not_these : UINT32_MAX);
	if (wanted(r, x))
		fail_msg("%s is reflected by another control", rows[n].name);
}

static void by_exception(struct rig *r)
{
	const uint32_t exception = TYPE_HWEXC << INTR_TYPE_SHIFT | INTR_VALID;
	struct vmx_exit x = {.reason = EXIT_REASON_EXCEPTION_NMI};
	struct vmcs *v = &r->nv->cur->v;

	for (unsigned vector = 0; vector < 32; vector++) {
		x.intr_info = exception | vector;
		vmcs_set(v, VMCS_EXCEPTION_BITMAP, 1u << vector);
		assert_true(wanted(r, x));
		vmcs_set(v, VMCS_EXCEPTION_BITMAP, ~(1u << vector));
		assert_false(wanted(r, x));
	}
	x.intr_info = exception | VEC_PF; /* bit clear: those that do not match */
	x.intr_error = 2;
	vmcs_set(v, VMCS_EXCEPTION_BITMAP, 0);
	vmcs_set(v, VMCS_PAGE_FAULT_ERROR_CODE_MASK, 2);
	assert_true(wanted(r, x));
	x.intr_error = 1;
	assert_false(wanted(r, x));
	x.intr_info = VEC_NMI | TYPE_NMI << INTR_TYPE_SHIFT | INTR_VALID;
	ask_for(r, PIN_NMI_EXITING, 0, 0);
	assert_true(wanted(r, x));
	ask_for(r, ~PIN_NMI_EXITING, UINT32_MAX, UINT32_MAX);
	assert_false(wanted(r, x));
}

static void by_port(struct rig *r)
{
	struct vmx_exit x = {.reason = EXIT_REASON_IO_INSTRUCTION, .qualification = 0x7ffe0003};
	struct vmcs *v = &r->nv->cur->v;

	ask_for(r, 0, 0, 0);
	assert_false(wanted(r, x));
	ask_for(r, 0, PROC1_UNCOND_IO_EXITING, 0);
	assert_true(wanted(r, x));
	ask_for(r, 0, PROC1_UNCOND_IO_EXITING | PROC1_USE_IO_BITMAPS, 0);
	vmcs_set(v, VMCS_IO_BITMAP_A, PAGES);
	vmcs_set(v, VMCS_IO_BITMAP_B, PAGES + 0x1000);
	assert_false(wanted(r, x));
	rig_put64(r, PAGES + 0x1000, 2); /* port 8001h, the last of the four */
	assert_true(wanted(r, x));
	rig_put64(r, PAGES + 0x1000, 4);
	assert_false(wanted(r, x));
	x.qualification = 0xffff0001; /* around the end */
	assert_true(wanted(r, x));
	rig_put64(r, PAGES + 0x1000, 0);
}

static void by_msr(struct rig *r, unsigned reason)
{
	static const struct {
		uint32_t msr, byte;
	} row[] = {{0x480, 0x90}, {0xc0000080, 1024 + 0x10}};
	struct vmx_exit x = {.reason = reason};

	for (unsigned n = 0; n < 2; n++) {
		uint64_t at = PAGES + row[n].byte + (reason == EXIT_REASON_MSR_WRITE ? 2048 : 0);
		r->c->gpr[RCX] = row[n].msr;
		ask_for(r, 0, 0, 0);
		assert_true(wanted(r, x));
		ask_for(r, 0, PROC1_USE_MSR_BITMAPS, 0);
		vmcs_set(&r->nv->cur->v, VMCS_MSR_BITMAP, PAGES);
		assert_false(wanted(r, x));
		rig_put64(r, at, 1);
		assert_true(wanted(r, x));
		rig_put64(r, at, 0);
	}
	r->c->gpr[RCX] = 0x4000; /* in no bitmap */
	assert_true(wanted(r, x));
}

/* L0 looks itself while VMCS12 uses the feature; without it the exit is L1's. */
static void unless_l0_knows(struct rig *r, unsigned reason, uint32_t feature)
{
	const struct vmx_exit x = {.reason = reason};

	ask_for(r, 0, 0, feature);
	assert_false(wanted(r, x));
	ask_for(r, 0, 0, ~feature);
	assert_true(wanted(r, x));
}

static void test_every_rule(void **state)
{
	struct rig *r = start();

	(void)state;
	for (unsigned n = 0; n < ROWS; n++) {
		const struct vmx_exit x = {.reason = rows[n].reason};
		const bool own = rows[n].rule == RULE_NEVER || rows[n].rule == RULE_LOG;
		switch ((enum reflect_rule)rows[n].rule) {
		case RULE_ALWAYS:
		case RULE_CR:
		case RULE_NEVER:
		case RULE_LOG:
			ask_for(r, 0, 0, 0);
			assert_int_equal(wanted(r, x), !own);
			ask_for(r, UINT32_MAX, UINT32_MAX, UINT32_MAX);
			assert_int_equal(wanted(r, x), !own);
			break;
		case RULE_PIN:
		case RULE_PROC1:
		case RULE_PROC2:
			by_control(r, n);
			break;
		case RULE_EXCEPTION:
			by_exception(r);
			break;
		case RULE_PORT:
			by_port(r);
			break;
		case RULE_MSR:
			by_msr(r, rows[n].reason);
			break;
		case RULE_MEMORY:
			unless_l0_knows(r, rows[n].reason, PROC2_ENABLE_EPT);
			break;
		case RULE_FUNCTION:
			unless_l0_knows(r, rows[n].reason, PROC2_ENABLE_VMFUNC);
			break;
		}
	}
	stop(r);
}

/* --- An L2 for each reason --- */

#define GUEST(r, ...) \
	rig_write_guest(r, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* Each gets an L2 that VMCALLs and the controls that must be; `ask` says whether
 * VMCS12 asks for the exit. Without it L2 comes to its VMCALL, unless `without`
 * says where it ends. */
struct guest {
	uint16_t reason;
	void (*prepare)(struct rig *r, bool ask);
	bool always;     /* VMCS12 cannot but ask */
	int64_t without; /* 0: END */
	uint32_t pend;   /* comes when L2 has been entered */
};
enum { HALTED = -1 };

static void pin(struct rig *r, bool ask, uint32_t bits)
{
	if (ask)
		with(r, VMCS_PIN_BASED_VM_EXEC_CONTROL, bits);
}

static void proc1(struct rig *r, bool ask, uint32_t bits)
{
	if (ask)
		with(r, VMCS_CPU_BASED_VM_EXEC_CONTROL, bits);
}

static void undefined(struct rig *r, bool ask)
{
	put(r, VMCS_EXCEPTION_BITMAP, ask ? 1 << VEC_UD : 0);
	GUEST(r, 0x0f, 0x0b);
}

static void nmi(struct rig *r, bool ask)
{
	pin(r, ask, PIN_NMI_EXITING);
	put(r, VMCS_GUEST_ACTIVITY_STATE, ACTIVITY_HLT);
}

static void interrupt(struct rig *r, bool ask)
{
	pin(r, ask, PIN_EXT_INTR_EXITING);
	put(r, VMCS_GUEST_ACTIVITY_STATE, ACTIVITY_HLT);
}

static void triple_fault(struct rig *r, bool ask)
{
	(void)ask;
	GUEST(r, 0x0f, 0x0b);
	put(r, VMCS_GUEST_IDTR_LIMIT, 0);
}

static void init_signal(struct rig *r, bool ask)
{
	(void)ask;
	put(r, VMCS_GUEST_ACTIVITY_STATE, ACTIVITY_HLT);
}

static void sipi(struct rig *r, bool ask)
{
	(void)ask;
	put(r, VMCS_GUEST_ACTIVITY_STATE, ACTIVITY_WAIT_SIPI);
}

static void interrupt_window(struct rig *r, bool ask)
{
	proc1(r, ask, PROC1_INTR_WINDOW_EXITING);
	put(r, VMCS_GUEST_RFLAGS, FLAG_1 | FLAG_IF);
}

static void nmi_window(struct rig *r, bool ask)
{
	pin(r, true, PIN_NMI_EXITING | PIN_VIRTUAL_NMIS);
	proc1(r, ask, PROC1_NMI_WINDOW_EXITING);
}

/* 32-bit protected mode without paging: a far jump to a TSS. */
static void task_switch(struct rig *r, bool ask)
{
	(void)ask;
	GUEST(r, 0xea, 0, 0, 0, 0, 0x18, 0);
	rig_put64(r, GDT + 24, UINT64_C(0x0000890400000067));
	rig_controls(r, 0, 0, PROC2_ENABLE_EPT | PROC2_UNRESTRICTED_GUEST, 0, 0);
	put(r, VMCS_EPT_POINTER, rig_ept(r, EPT));
	put(r, VMCS_VM_ENTRY_CONTROLS, 0x11fb);
	put(r, VMCS_GUEST_CR0, CR0_PE | CR0_ET | CR0_NE);
	put(r, VMCS_GUEST_CS_AR_BYTES, 0xc09b);
	put(r, VMCS_GUEST_GDTR_LIMIT, 31);
}

static void invalid_state(struct rig *r, bool ask)
{
	put(r, VMCS_GUEST_RFLAGS, ask ? 0 : FLAG_1);
}

static void msr_load(struct rig *r, bool ask)
{
	rig_put64(r, LOADS, 0xc0000100);
	put(r, VMCS_VM_ENTRY_MSR_LOAD_ADDR, LOADS);
	put(r, VMCS_VM_ENTRY_MSR_LOAD_COUNT, ask);
}

static void monitor_trap(struct rig *r, bool ask)
{
	proc1(r, ask, PROC1_MONITOR_TRAP_FLAG);
	GUEST(r, 0x90, 0x90, 0x0f, 0x01, 0xc1);
}

static void apic(struct rig *r, uint32_t proc2_bits)
{
	rig_controls(r, 0, PROC1_TPR_SHADOW, proc2_bits, 0, 0);
	put(r, VMCS_VIRTUAL_APIC_PAGE_ADDR, VIRTUAL_APIC);
	put(r, VMCS_APIC_ACCESS_ADDR, APIC_ACCESS);
}

static void tpr_threshold(struct rig *r, bool ask)
{
	apic(r, 0);
	rig_put64(r, VIRTUAL_APIC + 0x80, 0x60);
	put(r, VMCS_TPR_THRESHOLD, ask ? 5 : 0);
	/* xor eax, eax; mov cr8, rax; vmcall */
	GUEST(r, 0x31, 0xc0, 0x44, 0x0f, 0x22, 0xc0, 0x0f, 0x01, 0xc1);
}

static void apic_access(struct rig *r, bool ask)
{
	apic(r, ask ? PROC2_VIRTUALIZE_APIC_ACCESSES : 0);
	GUEST(r, 0xa1, 0x20, 0x90, 0x08, 0, 0, 0, 0, 0, 0x0f, 0x01, 0xc1); /* mov eax, [...020h] */
}

static void apic_write(struct rig *r, bool ask)
{
	apic(r, ask ? PROC2_VIRTUALIZE_APIC_ACCESSES | PROC2_APIC_REGISTER_VIRT : 0);
	GUEST(r, 0xa3, 0x00, 0x93, 0x08, 0, 0, 0, 0, 0, 0x0f, 0x01, 0xc1); /* mov [...300h], eax */
}

/* xor eax, eax; xor edx, edx; mov ecx, 80bh; wrmsr; vmcall */
static void eoi(struct rig *r, bool ask)
{
	apic(r, PROC2_VIRTUALIZE_X2APIC_MODE | PROC2_VIRTUAL_INTR_DELIVERY);
	with(r, VMCS_PIN_BASED_VM_EXEC_CONTROL, PIN_EXT_INTR_EXITING);
	put(r, VMCS_GUEST_INTR_STATUS, 0x5000);
	put(r, VMCS_EOI_EXIT_BITMAP0 + 1, ask ? BIT(0x50 - 64) : 0);
	GUEST(r, 0x31, 0xc0, 0x31, 0xd2, 0xb9, 0x0b, 8, 0, 0, 0x0f, 0x30, 0x0f, 0x01, 0xc1);
}

/* All memory but the VICTIM's 2-MByte page as it is; mov eax, [VICTIM]; vmcall */
static void touch(struct rig *r, uint64_t entry, uint32_t proc2, uint64_t eptp_bits)
{
	rig_controls(r, 0, 0, PROC2_ENABLE_EPT | proc2, 0, 0);
	put(r, VMCS_EPT_POINTER, rig_ept(r, EPT) | eptp_bits);
	rig_put64(r, EPT + 0x2000 + (VICTIM >> 21) * 8, EPT_LAST | 7);
	for (uint64_t n = 0; n < 512; n++)
		rig_put64(r, EPT_LAST + 8 * n, (VICTIM & ~UINT64_C(0x1fffff)) | n << 12 | 0x37);
	rig_put64(r, EPT_LAST + (VICTIM >> 12 & 511) * 8, entry);
	GUEST(r, 0xa1, 0, 0, 0x30, 0, 0, 0, 0, 0, 0x0f, 0x01, 0xc1);
}

static void violation(struct rig *r, bool ask)
{
	touch(r, ask ? 0 : VICTIM | 0x37, 0, 0);
}

static void misconfiguration(struct rig *r, bool ask)
{
	touch(r, VICTIM | (ask ? 2 : 0x37), 0, 0);
}

static void log_full(struct rig *r, bool ask)
{
	touch(r, VICTIM | 0x37, PROC2_ENABLE_PML, BIT(6));
	put(r, VMCS_PML_ADDRESS, LOADS);
	put(r, VMCS_GUEST_PML_INDEX, ask ? 0xffff : 511);
	GUEST(r, 0xa3, 0, 0, 0x30, 0, 0, 0, 0, 0, 0x0f, 0x01, 0xc1); /* mov [VICTIM], eax */
}

static void timer(struct rig *r, bool ask)
{
	pin(r, ask, PIN_PREEMPTION_TIMER);
	put(r, VMCS_VMX_PREEMPTION_TIMER_VALUE, 4);
	/* mov ecx, 100; 1: dec ecx; jnz 1b; vmcall */
	GUEST(r, 0xb9, 100, 0, 0, 0, 0xff, 0xc9, 0x75, 0xfc, 0x0f, 0x01, 0xc1);
}

static void supervisor_state(struct rig *r, bool ask)
{
	rig_controls(r, 0, 0, PROC2_ENABLE_XSAVES, 0, 0);
	put(r, VMCS_XSS_EXIT_BITMAP, ask ? BIT(8) : 0);
	put(r, VMCS_GUEST_CR4, CR4_PAE | CR4_VMXE | CR4_OSXSAVE);
	r->c->msr.xss = BIT(8);
}

/* mov ebx, VICTIM; mov eax, 1ffh; xor edx, edx; xsaves or xrstors [rbx]; vmcall */
static void xsaves(struct rig *r, bool ask)
{
	GUEST(r, 0xbb, 0, 0, 0x30, 0, 0xb8, 0xff, 1, 0, 0, 0x31, 0xd2, 0x0f, 0xc7, 0x2b, 0x0f, 0x01,
		0xc1);
	supervisor_state(r, ask);
}

static void xrstors(struct rig *r, bool ask)
{
	GUEST(r, 0xbb, 0, 0, 0x30, 0, 0xb8, 0xff, 1, 0, 0, 0x31, 0xd2, 0x0f, 0xc7, 0x1b, 0x0f, 0x01,
		0xc1);
	rig_put64(r, VICTIM + 520, BIT(63)); /* XCOMP_BV: the compacted form */
	supervisor_state(r, ask);
}

static const struct guest guests[] = {
	{EXIT_REASON_EXCEPTION_NMI, undefined, false, HALTED, 0},
	{EXIT_REASON_EXCEPTION_NMI, nmi, false, HALTED, PEND_NMI},
	{EXIT_REASON_EXTERNAL_INTERRUPT, interrupt, false, HALTED, PEND_INTR},
	{EXIT_REASON_TRIPLE_FAULT, triple_fault, true, 0, 0},
	{EXIT_REASON_INIT_SIGNAL, init_signal, true, 0, PEND_INIT},
	{EXIT_REASON_SIPI_SIGNAL, sipi, true, 0, PEND_SIPI},
	{EXIT_REASON_INTERRUPT_WINDOW, interrupt_window, false, 0, 0},
	{EXIT_REASON_NMI_WINDOW, nmi_window, false, 0, 0},
	{EXIT_REASON_TASK_SWITCH, task_switch, true, 0, 0},
	{EXIT_REASON_INVALID_STATE, invalid_state, false, 0, 0},
	{EXIT_REASON_MSR_LOAD_FAIL, msr_load, false, 0, 0},
	{EXIT_REASON_MONITOR_TRAP_FLAG, monitor_trap, false, 0, 0},
	{EXIT_REASON_TPR_BELOW_THRESHOLD, tpr_threshold, false, 0, 0},
	{EXIT_REASON_APIC_ACCESS, apic_access, false, 0, 0},
	{EXIT_REASON_EOI_INDUCED, eoi, false, 0, 0},
	{EXIT_REASON_EPT_VIOLATION, violation, false, 0, 0},
	{EXIT_REASON_EPT_MISCONFIG, misconfiguration, false, 0, 0},
	{EXIT_REASON_PREEMPTION_TIMER, timer, false, 0, 0},
	{EXIT_REASON_APIC_WRITE, apic_write, false, 0, 0},
	{EXIT_REASON_PML_FULL, log_full, false, 0, 0},
	{EXIT_REASON_XSAVES, xsaves, false, 0, 0},
	{EXIT_REASON_XRSTORS, xrstors, false, 0, 0},
};

static void check(int64_t got, int64_t reason, const char *what)
{
	if (got != reason)
		fail_msg("%s: L1 gets reason %lld, wanted %lld", what, (long long)got, (long long)reason);
}

static void run_guest(const struct guest *g, bool ask)
{
	uint32_t basic = g->reason;
	struct rig *r = start();

	rig_controls(r, 0, 0, 0, 0, 0);
	GUEST(r, 0x0f, 0x01, 0xc1);
	g->prepare(r, ask);
	vcpu_unpend(r->c, PEND_INTR); /* the PIC's, unmasked since power-on */
	if (g->pend) {
		rig_put64(r, CODE + 0x100, 0xf4);
		vmlaunch(r);
		vcpu_pend(r->c, g->pend);
	}
	int64_t got = g->pend ? rig_settle(r, 2000) : rig_l2(r, 2000);
	if (!ask) {
		check(got, g->without ? g->without : END, vmx_exit_reason_name(basic));
	} else {
		if (got > 0)
			got &= 0xffff;
		check(got, basic, vmx_exit_reason_name(basic));
	}
	stop(r);
}

/* mov rax, 0; mov rbx, VICTIM; ... as the rows count on; the instruction; vmcall */
static void row_code(struct rig *r, const struct exit_row *row)
{
	static const uint8_t set[] = {0x31, 0xc0, 0xbb, 0, 0, 0x30, 0, 0xb9, 0x10, 0, 0, 0, 0xbd,
		TABLES & 0xff, TABLES >> 8, 0, 0, 0xba, 0xf8, 3, 0, 0, 0xbe, 0, 0x10, 0x30, 0, 0xbf, 0,
		0x20, 0x30, 0};
	uint8_t code[64];
	size_t n = sizeof set;
	bool first = row->reason == EXIT_REASON_MONITOR || row->reason == EXIT_REASON_MWAIT ||
		row->reason == EXIT_REASON_RDPMC;

	memcpy(code, set, n);
	if (first)
		code[8] = 0; /* ECX: no extension, counter 0 */
	memcpy(code + n, row->code, row->len);
	memcpy(code + n + row->len, (const uint8_t[]){0x0f, 0x01, 0xc1}, 3);
	rig_write_guest(r, code, n + row->len + 3);
}

static void run_row(const struct exit_row *row, bool ask)
{
	struct rig *r = start();
	bool bitmaps = row->reason != EXIT_REASON_MSR_READ && row->reason != EXIT_REASON_MSR_WRITE;

	rig_controls(r, ask ? row->pin : 0, ask ? row->proc1 : 0, ask ? row->proc2 : 0, 0, 0);
	if (!bitmaps)
		put(r, VMCS_CPU_BASED_VM_EXEC_CONTROL,
			get(r, VMCS_CPU_BASED_VM_EXEC_CONTROL) & ~(uint64_t)PROC1_USE_MSR_BITMAPS);
	row_code(r, row);
	put(r, VMCS_GUEST_CR4, CR4_PAE | CR4_VMXE | CR4_OSXSAVE);
	for (unsigned n = 0; ask && n < 3 && row->set[n].field; n++)
		put(r, row->set[n].field, row->set[n].value);
	int64_t got = rig_l2(r, 2000);
	if (ask) {
		check(got, row->reason, row->what);
		assert_int_equal(field(r, VMCS_VM_EXIT_INSTRUCTION_LEN), row->len);
		assert_int_equal(field(r, VMCS_VMX_INSTRUCTION_INFO), row->info);
	} else {
		/* some fault then, for RAX is 0, and halt in L2's handler */
		bool halts = row->undefined || row->reason == EXIT_REASON_HLT ||
			row->reason == EXIT_REASON_CR_ACCESS;
		if (!halts || got != HALTED)
			check(got, row->undefined ? HALTED : END, row->what);
	}
	stop(r);
}

static void test_every_reason(void **state)
{
	static const char *const never[EXIT_REASON_COUNT] = {
#define EXIT_REASON(n, name, text)
#define EXIT_REASON_NEVER(n, name, text, why) [n] = why,
#include "vmx/exit_reasons.def"
#undef EXIT_REASON
	};
	bool reflected[EXIT_REASON_COUNT] = {0};
	unsigned reached = 0, nevers = 0;

	(void)state;
	for (unsigned n = 0; n < INSN_ROWS; n++) {
		run_row(&exit_rows[n], true);
		reflected[exit_rows[n].reason] = true;
		if (!exit_rows[n].always)
			run_row(&exit_rows[n], false);
	}
	for (unsigned n = 0; n < sizeof guests / sizeof *guests; n++) {
		run_guest(&guests[n], true);
		reflected[guests[n].reason] = true;
		if (!guests[n].always)
			run_guest(&guests[n], false);
	}
	for (unsigned n = 0; n < ROWS; n++) {
		bool no = never[rows[n].reason] != NULL;
		if (reflected[rows[n].reason] == no)
			fail_msg("%s: %s", rows[n].name, no ? "never here, but reflected" :
				"no L2 here leaves by it");
		reached += reflected[rows[n].reason];
		nevers += no;
	}
	assert_int_equal(ROWS, 62);
	assert_int_equal(nevers, 6); /* proved in vmx_reasons.c */
	assert_int_equal(reached + nevers, ROWS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_rule), cmocka_unit_test(test_every_reason)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

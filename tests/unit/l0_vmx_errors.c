/* VMX instructions of L1, one at a time: every VM-instruction error, VMfailInvalid
 * and the faults before them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "l0/l0.h"
#include "l0/nested.h"
#include "machine/machine.h"
#include "vmx/controls.h"

enum { TABLES = 0x1000, GDT = 0x5000, IDT = 0x6000, TRAPS = 0x8000, CODE = 0x20000, OPERAND = 0x30000,
	VMXON = 0x40000, VMCS_A = 0x41000, VMCS_B = 0x42000, STACK = 0x60000 };

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
enum { ERRORS = 25, ERRORS_REACHED = 15 };

static bool reached[INSN_ERROR_COUNT];

struct rig {
	struct l0 *l;
	struct vcpu *c;
	struct nested_vcpu *nv;
};

static void put64(struct rig *r, uint64_t at, uint64_t v)
{
	assert_true(phys_write(&r->l->machine->phys, hpa(at), &v, 8));
}

/* 64-bit mode at CPL 0, 2-MByte pages one to one, HLTs behind all gates. */
static void long_mode(struct rig *r)
{
	struct vcpu *c = r->c;

	put64(r, TABLES, (TABLES + 0x1000) | 7);
	put64(r, TABLES + 0x1000, (TABLES + 0x2000) | 7);
	for (uint64_t n = 0; n < 8; n++)
		put64(r, TABLES + 0x2000 + 8 * n, n << 21 | 0x87);
	put64(r, GDT + 8, UINT64_C(0x00af9b000000ffff));
	put64(r, GDT + 16, UINT64_C(0x00cf93000000ffff));
	for (uint64_t v = 0; v < 32; v++) {
		put64(r, IDT + 16 * v, ((TRAPS + 16 * v) & 0xffff) | 8 << 16 | UINT64_C(0x8e00) << 32);
		put64(r, TRAPS + 16 * v, 0xf4);
	}
	for (unsigned n = 0; n < 6; n++)
		c->seg[n] = (struct seg){.limit = UINT32_MAX, .ar = 0xc093, .sel = 16};
	c->seg[SEG_CS] = (struct seg){.limit = UINT32_MAX, .ar = 0xa09b, .sel = 8};
	c->gdtr = (struct desc_table){GDT, 23};
	c->idtr = (struct desc_table){IDT, 511};
	c->cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_NE | CR0_WP;
	c->cr3 = TABLES;
	c->cr4 = CR4_PAE;
	c->msr.efer = EFER_LME | EFER_LMA | EFER_NXE;
	c->msr.feature_control = 5;
	c->gpr[RSP] = STACK;
	c->rip = CODE;
	c->activity = ACTIVITY_ACTIVE;
}

enum { OK, TRAPPED = -100 };

/* Runs one instruction of L1 with the operand at [rbx]. Returns OK, the
 * VM-instruction error, -1 for VMfailInvalid, TRAPPED + vector for a fault. */
static int step(struct rig *r, const void *code, size_t n, uint64_t operand)
{
	struct l0_limits lim = {.retired = l0_retired(r->l) + 1};
	struct vcpu *c = r->c;

	assert_true(phys_write(&r->l->machine->phys, hpa(CODE), code, n));
	put64(r, OPERAND, operand);
	c->gpr[RBX] = OPERAND;
	c->gpr[RSP] = STACK;
	c->rip = CODE;
	c->activity = ACTIVITY_ACTIVE;
	l0_run(r->l, &lim);
	if (c->rip >= TRAPS && c->rip < TRAPS + 32 * 16)
		return TRAPPED + (int)(c->rip - TRAPS) / 16;
	if (c->rflags & FLAG_CF)
		return -1;
	if (!(c->rflags & FLAG_ZF))
		return OK;
	int error = (int)vmcs_get(&r->nv->cur->v, VMCS_VM_INSTRUCTION_ERROR);
	reached[error] = true;
	return error;
}

#define RUN(r, operand, ...) \
	step(r, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), operand)

static void start(struct rig *r, const char *l0)
{
	struct l0_config cfg = {.mem = 16 << 20, .vcpus = 1, .l0 = l0};
	struct err e = {0};

	r->l = l0_new(&cfg, &e);
	if (!r->l)
		fail_msg("%s", e.msg);
	r->c = r->l->vcpu[0].cpu;
	r->nv = nested_of(&r->l->vcpu[0]);
	vmx_leave(r->c);
	long_mode(r);
	nested_start(r->l->nested);
	for (uint64_t at = VMXON; at <= VMCS_B; at += 0x1000)
		put64(r, at, VMCS_REVISION);
	r->c->gpr[RAX] = CR4_PAE | CR4_VMXE;
	assert_int_equal(RUN(r, 0, 0x0f, 0x22, 0xe0), OK); /* mov cr4, rax */
}

static int setup(void **state)
{
	*state = test_calloc(1, sizeof(struct rig));
	start(*state, NULL);
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	l0_free(r->l);
	test_free(r);
	return 0;
}

static int vmxon(struct rig *r, uint64_t at)
{
	return RUN(r, at, 0xf3, 0x0f, 0xc7, 0x33);
}

static int vmptrld(struct rig *r, uint64_t at)
{
	return RUN(r, at, 0x0f, 0xc7, 0x33);
}

static int vmclear(struct rig *r, uint64_t at)
{
	return RUN(r, at, 0x66, 0x0f, 0xc7, 0x33);
}

static int vmlaunch(struct rig *r)
{
	return RUN(r, 0, 0x0f, 0x01, 0xc2);
}

static int vmresume(struct rig *r)
{
	return RUN(r, 0, 0x0f, 0x01, 0xc3);
}

static int vmwrite(struct rig *r, uint32_t encoding, uint64_t value)
{
	r->c->gpr[RAX] = value;
	r->c->gpr[RCX] = encoding;
	return RUN(r, 0, 0x0f, 0x79, 0xc8); /* vmwrite rcx, rax */
}

static int vmread(struct rig *r, uint32_t encoding)
{
	r->c->gpr[RCX] = encoding;
	return RUN(r, 0, 0x0f, 0x78, 0xc8); /* vmread rax, rcx */
}

static int invept(struct rig *r, uint64_t type, uint64_t eptp)
{
	r->c->gpr[RDX] = type;
	return RUN(r, eptp, 0x66, 0x0f, 0x38, 0x80, 0x13);
}

static int invvpid(struct rig *r, uint64_t type, uint64_t vpid)
{
	r->c->gpr[RDX] = type;
	return RUN(r, vpid, 0x66, 0x0f, 0x38, 0x81, 0x13);
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
	put64(r, VMXON, VMCS_REVISION + 1);
	assert_int_equal(vmxon(r, VMXON), -1);
	put64(r, VMXON, VMCS_REVISION);
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

static void current(struct rig *r)
{
	assert_int_equal(vmxon(r, VMXON), OK);
	assert_int_equal(vmclear(r, VMCS_A), OK);
	assert_int_equal(vmptrld(r, VMCS_A), OK);
}

static void test_pointers(void **state)
{
	struct rig *r = *state;

	current(r);
	assert_int_equal(vmclear(r, VMCS_B + 1), INSN_ERROR_VMCLEAR_INVALID_ADDRESS);
	assert_int_equal(vmclear(r, BIT(45)), INSN_ERROR_VMCLEAR_INVALID_ADDRESS);
	assert_int_equal(vmclear(r, VMXON), INSN_ERROR_VMCLEAR_VMXON_POINTER);
	assert_int_equal(vmptrld(r, VMCS_B + 1), INSN_ERROR_VMPTRLD_INVALID_ADDRESS);
	assert_int_equal(vmptrld(r, VMXON), INSN_ERROR_VMPTRLD_VMXON_POINTER);
	put64(r, VMCS_B, VMCS_REVISION ^ 1);
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

	current(r);
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

	start(o, "cap.vmcs-shadowing=off");
	current(o);
	assert_int_equal(vmwrite(o, ENC_VM_EXIT_REASON, 1), INSN_ERROR_VMWRITE_READ_ONLY_COMPONENT);
	l0_free(o->l);
	test_free(o);
	current(r);
	assert_int_equal(vmwrite(r, ENC_VM_EXIT_REASON, 1), OK);
}

static void test_invalidations(void **state)
{
	struct rig *r = *state;

	current(r);
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

/* Controls and host state that pass, and a guest state that does not matter. */
static void write_host(struct rig *r)
{
	static const struct {
		uint32_t field;
		uint64_t value;
	} row[] = {{ENC_PIN_BASED_VM_EXEC_CONTROL, 0x16}, {ENC_CPU_BASED_VM_EXEC_CONTROL, 0x04006172},
		{ENC_VM_EXIT_CONTROLS, 0x36dfb | EXIT_HOST_ADDR_SPACE_SIZE},
		{ENC_VM_ENTRY_CONTROLS, 0x11fb | ENTRY_IA32E_MODE},
		{ENC_HOST_CR0, CR0_PE | CR0_PG | CR0_ET | CR0_NE | CR0_WP}, {ENC_HOST_CR3, TABLES},
		{ENC_HOST_CR4, CR4_PAE | CR4_VMXE}, {ENC_HOST_CS_SELECTOR, 8}, {ENC_HOST_SS_SELECTOR, 16},
		{ENC_HOST_TR_SELECTOR, 24}, {ENC_HOST_RIP, CODE + 0x100}, {ENC_HOST_RSP, STACK},
		{ENC_HOST_GDTR_BASE, GDT}, {ENC_HOST_IDTR_BASE, IDT}, {ENC_VMCS_LINK_POINTER, UINT64_MAX}};

	for (unsigned n = 0; n < sizeof row / sizeof *row; n++)
		assert_int_equal(vmwrite(r, row[n].field, row[n].value), OK);
}

static void test_entries(void **state)
{
	struct rig *r = *state;

	current(r);
	assert_int_equal(vmresume(r), INSN_ERROR_VMRESUME_NONLAUNCHED_VMCS);
	assert_int_equal(vmlaunch(r), INSN_ERROR_ENTRY_INVALID_CONTROL_FIELD);
	write_host(r);
	assert_int_equal(vmwrite(r, ENC_HOST_CR0, 0), OK);
	assert_int_equal(vmlaunch(r), INSN_ERROR_ENTRY_INVALID_HOST_STATE_FIELD);
	write_host(r);
	r->nv->cur->v.launched = true;
	assert_int_equal(vmlaunch(r), INSN_ERROR_VMLAUNCH_NONCLEAR_VMCS);
	r->c->movss_shadow = true;
	assert_int_equal(vmresume(r), INSN_ERROR_ENTRY_MOV_SS_BLOCKING);
	/* guest state comes last: an entry that fails, not an instruction */
	r->nv->cur->v.launched = false;
	r->c->movss_shadow = false;
	put64(r, CODE + 0x100, 0xf4);
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
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {T(test_outside_vmx_operation), T(test_without_current_vmcs),
		T(test_pointers), T(test_fields), T(test_read_only), T(test_invalidations),
		T(test_entries), cmocka_unit_test(test_every_error)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

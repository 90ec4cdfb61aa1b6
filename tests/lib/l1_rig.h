/* An L1 in 64-bit mode on an empty machine, whose VMX instructions a test runs
 * one at a time: rig_step() puts the bytes in place, lets L1 execute one
 * instruction, and says how it ended. rig_l2() runs an L2 to its exit. */
#ifndef TESTS_L1_RIG_H
#define TESTS_L1_RIG_H

#include "l0/l0.h"
#include "l0/nested.h"
#include "machine/machine.h"
#include "vmx/controls.h"

#include <string.h>

enum { TABLES = 0x1000, GDT = 0x5000, IDT = 0x6000, TRAPS = 0x8000, CODE = 0x20000, OPERAND = 0x30000,
	VMXON = 0x40000, VMCS_A = 0x41000, VMCS_B = 0x42000, L2_CODE = 0x50000, STACK = 0x60000,
	L2_STACK = 0x70000, PAGES = 0x80000 };

struct rig {
	struct l0 *l;
	struct vcpu *c;
	struct nested_vcpu *nv;
	bool *reached; /* VM-instruction errors that were seen; may be NULL */
};

static inline void rig_put64(struct rig *r, uint64_t at, uint64_t v)
{
	assert_true(phys_write(&r->l->machine->phys, hpa(at), &v, 8));
}

/* 64-bit mode at CPL 0, 2-MByte pages one to one, HLTs behind all gates. */
static inline void rig_long_mode(struct rig *r)
{
	struct vcpu *c = r->c;

	rig_put64(r, TABLES, (TABLES + 0x1000) | 7);
	rig_put64(r, TABLES + 0x1000, (TABLES + 0x2000) | 7);
	for (uint64_t n = 0; n < 8; n++)
		rig_put64(r, TABLES + 0x2000 + 8 * n, n << 21 | 0x87);
	rig_put64(r, GDT + 8, UINT64_C(0x00af9b000000ffff));
	rig_put64(r, GDT + 16, UINT64_C(0x00cf93000000ffff));
	for (uint64_t v = 0; v < 32; v++) {
		rig_put64(r, IDT + 16 * v, ((TRAPS + 16 * v) & 0xffff) | 8 << 16 | UINT64_C(0x8e00) << 32);
		rig_put64(r, TRAPS + 16 * v, 0xf4);
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
static inline int rig_step(struct rig *r, const void *code, size_t n, uint64_t operand)
{
	struct l0_limits lim = {.retired = l0_retired(r->l) + 1};
	struct vcpu *c = r->c;

	assert_true(phys_write(&r->l->machine->phys, hpa(CODE), code, n));
	rig_put64(r, OPERAND, operand);
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
	if (r->reached)
		r->reached[error] = true;
	return error;
}

#define RUN(r, operand, ...) \
	rig_step(r, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), operand)

static inline void rig_start(struct rig *r, const char *l0)
{
	struct l0_config cfg = {.mem = 16 << 20, .vcpus = 1, .l0 = l0};
	struct err e = {0};

	r->l = l0_new(&cfg, &e);
	if (!r->l)
		fail_msg("%s", e.msg);
	r->c = r->l->vcpu[0].cpu;
	r->nv = nested_of(&r->l->vcpu[0]);
	vmx_leave(r->c);
	rig_long_mode(r);
	nested_start(r->l->nested);
	for (uint64_t at = VMXON; at <= VMCS_B; at += 0x1000)
		rig_put64(r, at, VMCS_REVISION);
	r->c->gpr[RAX] = CR4_PAE | CR4_VMXE;
	assert_int_equal(RUN(r, 0, 0x0f, 0x22, 0xe0), OK); /* mov cr4, rax */
}

static inline int rig_teardown(void **state)
{
	struct rig *r = *state;

	l0_free(r->l);
	test_free(r);
	return 0;
}

static inline int vmxon(struct rig *r, uint64_t at)
{
	return RUN(r, at, 0xf3, 0x0f, 0xc7, 0x33);
}

static inline int vmptrld(struct rig *r, uint64_t at)
{
	return RUN(r, at, 0x0f, 0xc7, 0x33);
}

static inline int vmclear(struct rig *r, uint64_t at)
{
	return RUN(r, at, 0x66, 0x0f, 0xc7, 0x33);
}

static inline int vmlaunch(struct rig *r)
{
	return RUN(r, 0, 0x0f, 0x01, 0xc2);
}

static inline int vmresume(struct rig *r)
{
	return RUN(r, 0, 0x0f, 0x01, 0xc3);
}

static inline int vmwrite(struct rig *r, uint32_t encoding, uint64_t value)
{
	r->c->gpr[RAX] = value;
	r->c->gpr[RCX] = encoding;
	return RUN(r, 0, 0x0f, 0x79, 0xc8); /* vmwrite rcx, rax */
}

static inline int vmread(struct rig *r, uint32_t encoding)
{
	r->c->gpr[RCX] = encoding;
	return RUN(r, 0, 0x0f, 0x78, 0xc8); /* vmread rax, rcx */
}

static inline int invept(struct rig *r, uint64_t type, uint64_t eptp)
{
	r->c->gpr[RDX] = type;
	return RUN(r, eptp, 0x66, 0x0f, 0x38, 0x80, 0x13);
}

static inline int invvpid(struct rig *r, uint64_t type, uint64_t vpid)
{
	r->c->gpr[RDX] = type;
	return RUN(r, vpid, 0x66, 0x0f, 0x38, 0x81, 0x13);
}

static inline void rig_current(struct rig *r)
{
	assert_int_equal(vmxon(r, VMXON), OK);
	assert_int_equal(vmclear(r, VMCS_A), OK);
	assert_int_equal(vmptrld(r, VMCS_A), OK);
}

/* Controls and host state that pass, and a guest state that does not matter. */
static inline void rig_write_host(struct rig *r)
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

/* The 64-bit L2 of VMCS12: L1's tables and IDT, code at L2_CODE. */
static inline void rig_write_guest(struct rig *r, const void *code, size_t n)
{
	static const struct {
		uint32_t field;
		uint64_t value;
	} row[] = {{ENC_GUEST_CR0, CR0_PE | CR0_PG | CR0_ET | CR0_NE | CR0_WP}, {ENC_GUEST_CR3, TABLES},
		{ENC_GUEST_CR4, CR4_PAE | CR4_VMXE}, {ENC_GUEST_DR7, 0x400}, {ENC_GUEST_RFLAGS, FLAG_1},
		{ENC_GUEST_RIP, L2_CODE}, {ENC_GUEST_RSP, L2_STACK}, {ENC_GUEST_GDTR_BASE, GDT},
		{ENC_GUEST_GDTR_LIMIT, 23}, {ENC_GUEST_IDTR_BASE, IDT}, {ENC_GUEST_IDTR_LIMIT, 511},
		{ENC_GUEST_TR_AR_BYTES, 0x8b}, {ENC_GUEST_TR_LIMIT, 0x67}, {ENC_GUEST_TR_SELECTOR, 24},
		{ENC_GUEST_LDTR_AR_BYTES, 0x10000}, {ENC_GUEST_CS_AR_BYTES, 0xa09b},
		{ENC_GUEST_CS_SELECTOR, 8}, {ENC_GUEST_CS_LIMIT, UINT32_MAX}};

	for (unsigned i = 0; i < sizeof row / sizeof *row; i++)
		assert_int_equal(vmwrite(r, row[i].field, row[i].value), OK);
	for (unsigned s = 0; s < 6; s++) {
		if (s == SEG_CS)
			continue;
		assert_int_equal(vmwrite(r, ENC_GUEST_ES_AR_BYTES + 2 * s, 0xc093), OK);
		assert_int_equal(vmwrite(r, ENC_GUEST_ES_LIMIT + 2 * s, UINT32_MAX), OK);
		assert_int_equal(vmwrite(r, ENC_GUEST_ES_SELECTOR + 2 * s, 16), OK);
	}
	assert_true(phys_write(&r->l->machine->phys, hpa(L2_CODE), code, n));
}

/* Controls of VMCS12 beside the ones that must be 1; a bitmap at PAGES that lets all MSRs through. */
static inline void rig_controls(struct rig *r, uint32_t pin, uint32_t proc1, uint32_t proc2, uint32_t exit,
	uint32_t entry)
{
	assert_int_equal(vmwrite(r, ENC_MSR_BITMAP, PAGES), OK);
	assert_int_equal(vmwrite(r, ENC_PIN_BASED_VM_EXEC_CONTROL, 0x16 | pin), OK);
	assert_int_equal(vmwrite(r, ENC_CPU_BASED_VM_EXEC_CONTROL, 0x04006172 | PROC1_USE_MSR_BITMAPS |
		PROC1_SECONDARY_CONTROLS | proc1), OK);
	assert_int_equal(vmwrite(r, ENC_SECONDARY_VM_EXEC_CONTROL, proc2), OK);
	assert_int_equal(
		vmwrite(r, ENC_VM_EXIT_CONTROLS, 0x36dfb | EXIT_HOST_ADDR_SPACE_SIZE | exit), OK);
	assert_int_equal(vmwrite(r, ENC_VM_ENTRY_CONTROLS, 0x11fb | ENTRY_IA32E_MODE | entry), OK);
}

/* Tables at `at` that map all of memory by 2-MByte pages; returns the EPTP. */
static inline uint64_t rig_ept(struct rig *r, uint64_t at)
{
	rig_put64(r, at, (at + 0x1000) | 7);
	rig_put64(r, at + 0x1000, (at + 0x2000) | 7);
	for (uint64_t n = 0; n < 8; n++)
		rig_put64(r, at + 0x2000 + 8 * n, n << 21 | 0xb7);
	return at | 0x1e;
}

/* Runs until L1 stands at its HLT again, at most `most` instructions. Returns the
 * exit reason; -1 when L2 did not leave. */
static inline int64_t rig_settle(struct rig *r, uint64_t most)
{
	struct l0_limits lim = {.retired = l0_retired(r->l) + most};

	/* L1 halts with interrupts off: nothing can wake it */
	if (l0_run(r->l, &lim).why != L0_DEAD || r->c->rip != CODE + 0x101)
		return -1;
	return (int64_t)vmcs_get(&r->nv->cur->v, VMCS_VM_EXIT_REASON);
}

/* VMLAUNCH or VMRESUME, and the same. */
static inline int64_t rig_l2(struct rig *r, uint64_t most)
{
	rig_put64(r, CODE + 0x100, 0xf4);
	if (r->nv->cur->v.launched)
		vmresume(r);
	else
		vmlaunch(r);
	return rig_settle(r, most);
}

#endif

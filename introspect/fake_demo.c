/* The recorded machine's story so far: registers, VMCSs, and 4,100
 * transitions in the ring. */
#include "introspect/fake_machine.h"
#include "introspect/symtab.h"

#include <string.h>

struct reg_row {
	enum reg_id id;
	uint64_t l1, l2;
};

static const struct reg_row start[] = {
	{R_RIP, FAKE_L1_CODE, FAKE_L2_CODE}, {R_RSP, FAKE_L1_STACK, 0x404f00},
	{R_RBP, FAKE_L1_STACK + 0x40, 0x404f40}, {R_EFLAGS, 0x2, 0x202}, {R_RAX, 0x681e, 0},
	{R_RBX, 10, 0x100}, {R_RCX, 0, 0}, {R_RDX, 0, 0x17}, {R_RSI, 0x1000, 0x403010},
	{R_RDI, 0x2000, 14}, {R_R8, 8, 0x28}, {R_R9, 9, 0x29}, {R_R10, 10, 0x2a}, {R_R11, 11, 0x2b},
	{R_R12, 12, 0x2c}, {R_R13, 13, 0x2d}, {R_R14, 14, 0x2e}, {R_R15, 15, 0x2f},
	{R_CS, 0x10, 0x33}, {R_SS, 0x18, 0x2b}, {R_DS, 0, 0x2b}, {R_ES, 0, 0x2b}, {R_FS, 0, 0},
	{R_GS, 0, 0}, {R_LDTR, 0, 0}, {R_TR, 0x40, 0x40}, {R_CS_BASE, 0, 0}, {R_SS_BASE, 0, 0},
	{R_DS_BASE, 0, 0}, {R_ES_BASE, 0, 0}, {R_FS_BASE, 0, 0x7000}, {R_GS_BASE, 0xffff888000001000, 0},
	{R_LDTR_BASE, 0, 0}, {R_TR_BASE, 0xffff888000003000, 0x2000}, {R_CS_LIMIT, 0xffffffff, 0xffffffff},
	{R_SS_LIMIT, 0xffffffff, 0xffffffff}, {R_DS_LIMIT, 0, 0xffffffff}, {R_ES_LIMIT, 0, 0xffffffff},
	{R_FS_LIMIT, 0, 0}, {R_GS_LIMIT, 0, 0}, {R_LDTR_LIMIT, 0, 0}, {R_TR_LIMIT, 0x67, 0x67},
	{R_CS_AR, 0xa09b, 0xa0fb}, {R_SS_AR, 0xc093, 0xc0f3}, {R_DS_AR, 0x10000, 0xc0f3},
	{R_ES_AR, 0x10000, 0xc0f3}, {R_FS_AR, 0x10000, 0x10000}, {R_GS_AR, 0x10000, 0x10000},
	{R_LDTR_AR, 0x10000, 0x10000}, {R_TR_AR, 0x8b, 0x8b}, {R_GDTR_BASE, 0xffff888000002000, 0x1000},
	{R_GDTR_LIMIT, 0x4f, 0x4f}, {R_IDTR_BASE, 0xffff888000004000, 0x3000},
	{R_IDTR_LIMIT, 0xfff, 0xfff}, {R_CR0, 0x80050033, 0x80050033}, {R_CR2, 0, 0x500000},
	{R_CR3, FAKE_L1_PML4, FAKE_L2_PML4}, {R_CR4, 0x2020, 0x20}, {R_CR8, 0, 0},
	{R_EFER, 0xd01, 0xd01}, {R_XCR0, 7, 7}, {R_PKRU, 0, 0}, {R_DR0, 0, 0}, {R_DR1, 0, 0},
	{R_DR2, 0, 0}, {R_DR3, 0, 0}, {R_DR6, 0xffff0ff0, 0xffff0ff0}, {R_DR7, 0x400, 0x400},
	{R_STAR, UINT64_C(0x230010) << 32, 0}, {R_LSTAR, FAKE_L1_CODE + 0x30, 0},
	{R_FMASK, 0x47700, 0}, {R_KERNEL_GS_BASE, 0, 0}, {R_PAT, 0x0007040600070406, 0x0007040600070406},
	{R_APIC_BASE, 0xfee00900, 0xfee00900}, {R_TSC, 5000000, 4000000}, {R_MXCSR, 0x1f80, 0x1f80},
	{R_FCTRL, 0x37f, 0x37f}, {R_FSTAT, 0, 0}, {R_FTAG, 0xffff, 0xffff},
};

struct field_row {
	const char *name;
	uint64_t v01, v12, v02;
};

static const struct field_row fields[] = {
	{"VIRTUAL_PROCESSOR_ID", 1, 1, 2}, {"PIN_BASED_VM_EXEC_CONTROL", 0x7f, 0x1f, 0x7f},
	{"CPU_BASED_VM_EXEC_CONTROL", 0x9401e172, 0x8401e1f2, 0x9401e1f2},
	{"SECONDARY_VM_EXEC_CONTROL", 0x40ea, 0xaa, 0x40aa}, {"VM_EXIT_CONTROLS", 0x336fff, 0x36fff, 0x336fff},
	{"VM_ENTRY_CONTROLS", 0xd3ff, 0x13ff, 0xd3ff}, {"EXCEPTION_BITMAP", 0, 0x60042, 0x60042},
	{"EPT_POINTER", (PHYS_PRIVATE + 0x1000) | 0x1e, FAKE_EPT12_PML4 | 0x1e, (PHYS_PRIVATE + 0x4000) | 0x1e},
	{"VMCS_LINK_POINTER", PHYS_PRIVATE + 0xc000, UINT64_MAX, UINT64_MAX},
	{"CR0_GUEST_HOST_MASK", 0, 0xfffffffffffffff7, 0xfffffffffffffff7},
	{"CR0_READ_SHADOW", 0, 0x80050033, 0x80050033}, {"CR4_GUEST_HOST_MASK", 0x2000, 0xfffffffffffff871, 0xfffffffffffff871},
	{"CR4_READ_SHADOW", 0, 0x20, 0x20}, {"GUEST_CR0", 0x80050033, 0x80050033, 0x80050033},
	{"GUEST_CR3", FAKE_L1_PML4, FAKE_L2_PML4, FAKE_L2_PML4}, {"GUEST_CR4", 0x2020, 0x2020, 0x2020},
	{"GUEST_RIP", FAKE_L1_CODE, FAKE_L2_CODE, FAKE_L2_CODE}, {"GUEST_RSP", FAKE_L1_STACK, 0x404f00, 0x404f00},
	{"GUEST_RFLAGS", 2, 0x202, 0x202}, {"GUEST_CS_SELECTOR", 0x10, 0x33, 0x33},
	{"GUEST_SS_SELECTOR", 0x18, 0x2b, 0x2b}, {"GUEST_CS_AR_BYTES", 0xa09b, 0xa0fb, 0xa0fb},
	{"GUEST_SS_AR_BYTES", 0xc093, 0xc0f3, 0xc0f3}, {"GUEST_TR_AR_BYTES", 0x8b, 0x8b, 0x8b},
	{"GUEST_IA32_EFER", 0xd01, 0xd01, 0xd01}, {"HOST_RIP", 0xfffff000, FAKE_L1_CODE + 0x10, 0xfffff000},
	{"HOST_RSP", 0xfffffff0, FAKE_L1_STACK, 0xfffffff0}, {"HOST_CR0", 0x80050033, 0x80050033, 0x80050033},
	{"HOST_CR3", 0x1000, FAKE_L1_PML4, 0x1000}, {"HOST_CR4", 0x2020, 0x2020, 0x2020},
	{"HOST_CS_SELECTOR", 8, 0x10, 8}, {"HOST_TR_SELECTOR", 0x40, 0x40, 0x40},
	{"VM_EXIT_REASON", 23, 10, 10}, {"VM_EXIT_INSTRUCTION_LEN", 3, 2, 2},
};

static void build_registers(struct fake *f)
{
	for (size_t i = 0; i < sizeof start / sizeof *start; i++) {
		fake_put(f, 1, start[i].id, start[i].l1);
		fake_put(f, 2, start[i].id, start[i].l2);
	}
	for (int r = R_ST0; r <= R_ST7; r++)
		fake_put(f, 1, r, 0), fake_put(f, 2, r, 0);
	for (int r = R_XMM0; r <= R_XMM15; r++) {
		fake_put(f, 1, r, UINT64_C(0x1111111111111111) * (uint64_t)(r - R_XMM0));
		fake_put(f, 2, r, 0);
	}
}

static void build_vmcs(struct fake *f)
{
	for (int v = 0; v < INTRO_VMCS_COUNT; v++)
		f->vmcs[v] = xalloc(intro_field_count() * sizeof(uint64_t));
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		*fake_field(f, INTRO_VMCS01, fields[i].name) = fields[i].v01;
		*fake_field(f, INTRO_VMCS12, fields[i].name) = fields[i].v12;
		*fake_field(f, INTRO_VMCS02, fields[i].name) = fields[i].v02;
		*fake_field(f, INTRO_VMCS_SHADOW, fields[i].name) = fields[i].v12;
	}
}

/* VMCS12 as L1 set it up: every field that has a value was written once. */
static void write_history(struct fake *f)
{
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		uint64_t v = *fake_field(f, INTRO_VMCS12, fields[i].name);
		if (intro_field_find(fields[i].name)->read_only)
			continue;
		f->clock += 10;
		*fake_field(f, INTRO_VMCS12, fields[i].name) = 0;
		fake_vmwrite(f, fields[i].name, v);
	}
}

struct intro_backend *fake_demo(void)
{
	struct fake *f = xalloc(sizeof *f);
	struct intro_backend *b = xalloc(sizeof *b);
	f->level = 2;
	f->clock = 1000;
	f->reflected = UINT64_MAX;
	fake_build_memory(f);
	build_registers(f);
	build_vmcs(f);
	write_history(f);
	buf_str(&f->console, "recorded l1: vmxon ok\r\nrecorded l1: entering l2\r\n");
	while (f->exits < 4100)
		fake_step(f);
	/* the session begins where L2 begins its loop anew */
	while (f->level != 2 || fake_get(f, 2, R_RIP) != FAKE_L2_CODE)
		fake_step(f);
	b->ops = &fake_ops;
	b->ctx = f;
	return b;
}

struct intro *fake_session(void)
{
	struct intro *s = intro_new(fake_demo());
	struct sym_source *l1 = symtab_new(s, 1, "recorded-l1", "elf");
	struct sym_source *l2 = symtab_new(s, 2, "recorded-l2", "elf");
	symtab_add(l1, FAKE_L1_CODE, 5, "l1_entry_loop", true);
	symtab_add(l1, FAKE_L1_CODE + 0x10, 15, "l1_exit", true);
	symtab_add(l1, FAKE_L1_CODE + 0x30, 14, "handle_exit", true);
	symtab_add(l1, FAKE_L1_CODE + 0x1000, 22, "banner", false);
	symtab_add(l2, FAKE_L2_CODE, 19, "guest_main", true);
	symtab_add(l2, FAKE_L2_CODE + 0x20, 8, "guest_work", true);
	symtab_add(l2, FAKE_L2_DATA, 8, "guest_counter", false);
	symtab_finish(s, l1);
	symtab_finish(s, l2);
	return s;
}

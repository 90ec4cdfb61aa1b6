/* One row per instruction that VMX can intercept: the controls that make it exit
 * and the whole exit record. */
#ifndef TESTS_VMX_INSN_ROWS_H
#define TESTS_VMX_INSN_ROWS_H

#include "tests/lib/vmx_guest.h"

struct exit_row {
	const char *what;
	uint8_t code[12];
	uint8_t len;       /* of the instruction that exits, the first in `code` */
	uint32_t pin, proc1, proc2;
	struct {
		uint16_t field; /* 0 ends the list */
		uint64_t value;
	} set[3];
	uint32_t reason;
	uint64_t qualification;
	uint32_t info;
	uint64_t linear;
	bool always;       /* exits without the controls as well */
	bool undefined;    /* without them it is #UD */
};

#define MEM_INFO(reg2) (0x2u << 7 | 3u << 15 | 1u << 22 | 3u << 23 | (unsigned)(reg2) << 28)

/* RAX = 0, RBX = 300000h, RCX = 10h (0 for MONITOR and MWAIT), RDX = 3f8h,
 * RBP = CR3 at entry */
static const struct exit_row exit_rows[] = {
	{"cpuid", {0x0f, 0xa2}, 2, .reason = EXIT_REASON_CPUID, .always = true},
	{"invd", {0x0f, 0x08}, 2, .reason = EXIT_REASON_INVD, .always = true},
	{"xsetbv", {0x0f, 0x01, 0xd1}, 3, .reason = EXIT_REASON_XSETBV, .always = true},
	{"vmcall", {0x0f, 0x01, 0xc1}, 3, .reason = EXIT_REASON_VMCALL, .always = true},
	{"vmlaunch", {0x0f, 0x01, 0xc2}, 3, .reason = EXIT_REASON_VMLAUNCH, .always = true},
	{"vmresume", {0x0f, 0x01, 0xc3}, 3, .reason = EXIT_REASON_VMRESUME, .always = true},
	{"vmxoff", {0x0f, 0x01, 0xc4}, 3, .reason = EXIT_REASON_VMXOFF, .always = true},
	{"vmptrld [rbx+8]", {0x0f, 0xc7, 0x73, 8}, 4, .reason = EXIT_REASON_VMPTRLD,
		.qualification = 8, .info = MEM_INFO(0), .always = true},
	{"vmptrst [rbx]", {0x0f, 0xc7, 0x3b}, 3, .reason = EXIT_REASON_VMPTRST,
		.info = MEM_INFO(0), .always = true},
	{"vmclear [rbx]", {0x66, 0x0f, 0xc7, 0x33}, 4, .reason = EXIT_REASON_VMCLEAR,
		.info = MEM_INFO(0), .always = true},
	{"vmxon [rbx]", {0xf3, 0x0f, 0xc7, 0x33}, 4, .reason = EXIT_REASON_VMXON,
		.info = MEM_INFO(0), .always = true},
	{"vmread rcx, rax", {0x0f, 0x78, 0xc1}, 3, .reason = EXIT_REASON_VMREAD,
		.info = 1 << 10 | 1 << 3 | 0u << 28, .always = true},
	{"vmwrite rax, [rbx+rcx*4]", {0x0f, 0x79, 0x04, 0x8b}, 4, .reason = EXIT_REASON_VMWRITE,
		.info = 2 | 2 << 7 | 3 << 15 | 1 << 18 | 3 << 23, .always = true},
	{"invept rdx, [rbx]", {0x66, 0x0f, 0x38, 0x80, 0x13}, 5, .reason = EXIT_REASON_INVEPT,
		.info = MEM_INFO(2), .always = true},
	{"invvpid rdx, [rbx]", {0x66, 0x0f, 0x38, 0x81, 0x13}, 5, .reason = EXIT_REASON_INVVPID,
		.info = MEM_INFO(2), .always = true},
	{"hlt", {0xf4}, 1, .proc1 = PROC1_HLT_EXITING, .reason = EXIT_REASON_HLT},
	{"pause", {0xf3, 0x90}, 2, .proc1 = PROC1_PAUSE_EXITING, .reason = EXIT_REASON_PAUSE},
	{"monitor", {0x0f, 0x01, 0xc8}, 3, .proc1 = PROC1_MONITOR_EXITING,
		.reason = EXIT_REASON_MONITOR},
	{"mwait", {0x0f, 0x01, 0xc9}, 3, .proc1 = PROC1_MWAIT_EXITING, .reason = EXIT_REASON_MWAIT},
	{"wbinvd", {0x0f, 0x09}, 2, .proc2 = PROC2_WBINVD_EXITING, .reason = EXIT_REASON_WBINVD},
	{"invlpg [rbx+8]", {0x0f, 0x01, 0x7b, 8}, 4, .proc1 = PROC1_INVLPG_EXITING,
		.reason = EXIT_REASON_INVLPG, .qualification = 0x300008},
	{"rdtsc", {0x0f, 0x31}, 2, .proc1 = PROC1_RDTSC_EXITING, .reason = EXIT_REASON_RDTSC},
	{"rdtscp", {0x0f, 0x01, 0xf9}, 3, .proc1 = PROC1_RDTSC_EXITING, .proc2 = PROC2_ENABLE_RDTSCP,
		.reason = EXIT_REASON_RDTSCP, .undefined = true},
	{"rdpmc", {0x0f, 0x33}, 2, .proc1 = PROC1_RDPMC_EXITING, .reason = EXIT_REASON_RDPMC},
	{"invpcid rdx, [rbx]", {0x66, 0x0f, 0x38, 0x82, 0x13}, 5, .proc1 = PROC1_INVLPG_EXITING,
		.proc2 = PROC2_ENABLE_INVPCID, .reason = EXIT_REASON_INVPCID, .info = MEM_INFO(2),
		.undefined = true},
	{"rdrand ecx", {0x0f, 0xc7, 0xf1}, 3, .proc2 = PROC2_RDRAND_EXITING,
		.reason = EXIT_REASON_RDRAND, .info = 1 << 3 | 1 << 11},
	{"rdseed r9", {0x49, 0x0f, 0xc7, 0xf9}, 4, .proc2 = PROC2_RDSEED_EXITING,
		.reason = EXIT_REASON_RDSEED, .info = 9 << 3 | 2 << 11},
	{"rdmsr without bitmap", {0x0f, 0x32}, 2, .reason = EXIT_REASON_MSR_READ, .always = true},
	{"wrmsr without bitmap", {0x0f, 0x30}, 2, .reason = EXIT_REASON_MSR_WRITE, .always = true},
	{"in al, dx", {0xec}, 1, .proc1 = PROC1_UNCOND_IO_EXITING,
		.reason = EXIT_REASON_IO_INSTRUCTION, .qualification = 0x03f80008},
	{"out 0x80, eax", {0xe7, 0x80}, 2, .proc1 = PROC1_UNCOND_IO_EXITING,
		.reason = EXIT_REASON_IO_INSTRUCTION, .qualification = 0x00800043},
	{"outsb", {0x6e}, 1, .proc1 = PROC1_UNCOND_IO_EXITING,
		.reason = EXIT_REASON_IO_INSTRUCTION, .qualification = 0x03f80010,
		.info = 2 << 7 | 3 << 15, .linear = 0x301000},
	{"rep insd", {0xf3, 0x6d}, 2, .proc1 = PROC1_UNCOND_IO_EXITING,
		.reason = EXIT_REASON_IO_INSTRUCTION, .qualification = 0x03f8003b, .info = 2 << 7,
		.linear = 0x302000},
	{"mov cr0, rax", {0x0f, 0x22, 0xc0}, 3, .set = {{VMCS_CR0_GUEST_HOST_MASK, CR0_TS},
		{VMCS_CR0_READ_SHADOW, CR0_TS}}, .reason = EXIT_REASON_CR_ACCESS},
	{"mov cr3, rbp", {0x0f, 0x22, 0xdd}, 3, .proc1 = PROC1_CR3_LOAD_EXITING,
		.reason = EXIT_REASON_CR_ACCESS, .qualification = 0x503},
	{"mov cr4, rax", {0x0f, 0x22, 0xe0}, 3, .set = {{VMCS_CR4_GUEST_HOST_MASK, CR4_PAE},
		{VMCS_CR4_READ_SHADOW, CR4_PAE}}, .reason = EXIT_REASON_CR_ACCESS, .qualification = 4},
	{"mov r9, cr3", {0x41, 0x0f, 0x20, 0xd9}, 4, .proc1 = PROC1_CR3_STORE_EXITING,
		.reason = EXIT_REASON_CR_ACCESS, .qualification = 0x913},
	{"mov cr8, rax", {0x44, 0x0f, 0x22, 0xc0}, 4, .proc1 = PROC1_CR8_LOAD_EXITING,
		.reason = EXIT_REASON_CR_ACCESS, .qualification = 0x8},
	{"mov rcx, cr8", {0x44, 0x0f, 0x20, 0xc1}, 4, .proc1 = PROC1_CR8_STORE_EXITING,
		.reason = EXIT_REASON_CR_ACCESS, .qualification = 0x118},
	{"clts", {0x0f, 0x06}, 2, .set = {{VMCS_CR0_GUEST_HOST_MASK, CR0_TS},
		{VMCS_CR0_READ_SHADOW, CR0_TS}}, .reason = EXIT_REASON_CR_ACCESS, .qualification = 0x20},
	{"lmsw cx", {0x0f, 0x01, 0xf1}, 3, .set = {{VMCS_CR0_GUEST_HOST_MASK, CR0_MP},
		{VMCS_CR0_READ_SHADOW, CR0_MP}}, .reason = EXIT_REASON_CR_ACCESS,
		.qualification = 0x100030},
	{"mov dr2, rcx", {0x0f, 0x23, 0xd1}, 3, .proc1 = PROC1_MOV_DR_EXITING,
		.reason = EXIT_REASON_DR_ACCESS, .qualification = 0x102},
	{"mov rcx, dr6", {0x0f, 0x21, 0xf1}, 3, .proc1 = PROC1_MOV_DR_EXITING,
		.reason = EXIT_REASON_DR_ACCESS, .qualification = 0x116},
	{"sgdt [rbx]", {0x0f, 0x01, 0x03}, 3, .proc2 = PROC2_DESC_EXITING,
		.reason = EXIT_REASON_GDTR_IDTR, .info = MEM_INFO(0) | 1 << 11},
	{"lidt [rbx]", {0x0f, 0x01, 0x1b}, 3, .proc2 = PROC2_DESC_EXITING,
		.reason = EXIT_REASON_GDTR_IDTR, .info = MEM_INFO(3) | 1 << 11},
	{"sldt ecx", {0x0f, 0x00, 0xc1}, 3, .proc2 = PROC2_DESC_EXITING,
		.reason = EXIT_REASON_LDTR_TR, .info = 1 << 10 | 1 << 3},
	{"str [rbx]", {0x0f, 0x00, 0x0b}, 3, .proc2 = PROC2_DESC_EXITING,
		.reason = EXIT_REASON_LDTR_TR, .info = MEM_INFO(1)},
	{"vmfunc 0", {0x0f, 0x01, 0xd4}, 3, .proc2 = PROC2_ENABLE_VMFUNC,
		.reason = EXIT_REASON_VMFUNC, .undefined = true},
};

#define INSN_ROWS (sizeof exit_rows / sizeof *exit_rows)

/* The instruction with a HLT behind it, and the registers that rows count on. */
static inline void insn_row_prepare(struct vg *g, const struct exit_row *r)
{
	uint8_t code[16] = {0};

	memcpy(code, r->code, sizeof r->code);
	code[r->len] = 0xf4;
	vg_code(g, code, sizeof code);
	g->c->gpr[RAX] = 0;
	g->c->gpr[RBX] = 0x300000;
	bool monitor = r->reason == EXIT_REASON_MONITOR || r->reason == EXIT_REASON_MWAIT;
	g->c->gpr[RCX] = monitor ? 0 : 0x10;
	g->c->gpr[RBP] = BARE_TABLES;
	g->c->gpr[RDX] = 0x3f8;
	g->c->gpr[RSI] = 0x301000;
	g->c->gpr[RDI] = 0x302000;
}

/* The controls and fields that make it exit. */
static inline void insn_row_intercept(struct vg *g, const struct exit_row *r)
{
	vg_or(g, VMCS_PIN_BASED_VM_EXEC_CONTROL, r->pin);
	vg_or(g, VMCS_CPU_BASED_VM_EXEC_CONTROL, r->proc1);
	if (r->proc2)
		vg_proc2(g, r->proc2);
	for (unsigned n = 0; n < 3 && r->set[n].field; n++)
		vg_set(g, r->set[n].field, r->set[n].value);
}

#endif

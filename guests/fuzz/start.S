/* The fuzz guest's way into 64-bit mode on every processor, its IDT stubs and
 * the place where VM exits arrive. Whatever happens, an exception or an exit,
 * leads to fuzz() again on a fresh stack.
 */
#define STACK 16384
#define TRAMPOLINE 0x8000

	.include "guests/long_mode.inc"

	multiboot_header

	.text
	.code32
	.globl start
start:
	cli
	mov %ebx, boot_info
	map_low_memory
	mov $trampoline, %esi		/* for the other processors */
	mov $TRAMPOLINE, %edi
	mov $trampoline_end - trampoline, %ecx
	rep movsb

long_way:
	enter_long_mode 0x901, wide	/* SCE, LME, NXE */

	.code64
wide:	xor %edi, %edi
	dec %edi
	jmp fuzz_again

/* The others: real mode at TRAMPOLINE:0 after the SIPI. */
	.code16
trampoline:
	cli
	xor %ax, %ax
	mov %ax, %ds
	lgdtl TRAMPOLINE + (early_pointer - trampoline)
	mov %cr0, %eax
	or $1, %eax
	mov %eax, %cr0
	ljmpl $0x28, $others
early_pointer:
	.word gdt_end - gdt - 1
	.long gdt
trampoline_end:
	.code32
others:	mov $16, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	jmp long_way

	.code64
/* HOST_RIP of every VMCS. */
	.globl fuzz_exit
fuzz_exit:
	mov $256, %edi
	jmp fuzz_again

	.macro stub v
	.align 16
	mov $\v, %edi
	jmp fuzz_again
	.endm
	.align 16
	.globl fuzz_stubs
fuzz_stubs:
	.set n, 0
	.rept 256
	stub n
	.set n, n + 1
	.endr

/* edi: what happened. */
	.globl fuzz_again
fuzz_again:
	cli
	cld
	mov $16, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $pml4, %eax
	mov %rax, %cr3
	mov $1, %eax			/* which processor: its APIC ID */
	cpuid
	shr $24, %ebx
	and $3, %ebx
	mov %ebx, %esi
	imul $STACK, %rbx, %rax
	lea stacks + STACK(%rax), %rsp
	lgdt gdt_pointer
	call fuzz
	ud2

/* void fuzz_call(void *code, const uint64_t gpr[16]): loads all registers but
 * RSP and jumps; the code ends in `jmp fuzz_back` or does not come back. */
	.globl fuzz_call, fuzz_back
fuzz_call:
	mov %rdi, call_target(%rip)
	mov %rsi, %rsp
	pop %rax
	pop %rcx
	pop %rdx
	pop %rbx
	pop %rbp			/* in RSP's place */
	pop %rbp
	pop %rsi
	pop %rdi
	pop %r8
	pop %r9
	pop %r10
	pop %r11
	pop %r12
	pop %r13
	pop %r14
	pop %r15
	jmp *call_target(%rip)
fuzz_back:
	mov $257, %edi
	jmp fuzz_again

	.data
	.align 16
	.globl gdt, gdt_pointer
gdt:	.quad 0
	.quad 0x00af9b000000ffff	/* 08: 64-bit code */
	.quad 0x00cf93000000ffff	/* 10: data */
	.quad 0x0000890000000067, 0	/* 18: TSS, for HOST_TR_SELECTOR */
	.quad 0x00cf9b000000ffff	/* 28: 32-bit code */
gdt_end:
gdt_pointer:
	.word gdt_end - gdt - 1
	.quad gdt
call_target: .quad 0

	.bss
	.align 4096
	.globl pml4, pdpt, pd, tss, boot_info
pml4:	.skip 4096
pdpt:	.skip 4096
pd:	.skip 4 * 4096
tss:	.skip 128
boot_info: .skip 4
	.align 16
stacks:	.skip 4 * STACK

/* Multiboot 1 header, the way from 32-bit protected mode to C in 64-bit mode,
 * and the IDT stubs. L1 runs on identity tables of 2 MiB pages for the low
 * 4 GiB, with one stack and one GDT.
 */
	.include "guests/long_mode.inc"

	multiboot_header

	.text
	.code32
	.globl start
start:
	cli
	mov $stack_top, %esp
	mov %eax, boot_magic
	mov %ebx, boot_info

	map_low_memory
	enter_long_mode 0x900, long_mode	/* LME, NXE */

	.code64
long_mode:
	mov $16, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov %eax, %fs
	mov %eax, %gs
	lea tss(%rip), %rax		/* TSS descriptor: base in four pieces */
	mov %ax, gdt + 24 + 2
	shr $16, %rax
	mov %al, gdt + 24 + 4
	mov %ah, gdt + 24 + 7
	mov $24, %eax
	ltr %ax
	mov boot_magic, %edi
	mov boot_info, %esi
	call l1_main
1:	cli
	hlt
	jmp 1b

/* One stub per vector: pushes an error code where the processor does not. */
	.macro stub v
	.align 16
	.if !(\v == 8 || (\v >= 10 && \v <= 14) || \v == 17 || \v == 21)
	push $0
	.endif
	push $\v
	jmp trap_common
	.endm

	.align 16
	.globl trap_stubs
trap_stubs:
	.set n, 0
	.rept 48
	stub n
	.set n, n + 1
	.endr

trap_common:
	push %rax
	push %rcx
	push %rdx
	push %rsi
	push %rdi
	push %r8
	push %r9
	push %r10
	push %r11
	mov 72(%rsp), %rdi		/* vector */
	mov 80(%rsp), %rsi		/* error code */
	mov 88(%rsp), %rdx		/* rip */
	cld
	call trap
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rdi
	pop %rsi
	pop %rdx
	pop %rcx
	pop %rax
	add $16, %rsp
	iretq

	.data
	.align 16
	.globl gdt
gdt:	.quad 0
	.quad 0x00af9b000000ffff	/* 08: 64-bit code */
	.quad 0x00cf93000000ffff	/* 10: data */
	.quad 0x0000890000000067, 0	/* 18: TSS, base filled in above */
gdt_end:
	.globl gdt_pointer
gdt_pointer:
	.word gdt_end - gdt - 1
	.quad gdt

	.bss
	.align 4096
pml4:	.skip 4096
pdpt:	.skip 4096
pd:	.skip 4 * 4096
	.globl tss
tss:	.skip 128
boot_magic: .skip 4
boot_info:  .skip 4
	.align 16
	.globl stack_top
	.skip 16384
stack_top:

/* Multiboot entry of the benchmark guest: 32-bit protected mode to 64-bit long
 * mode on identity-mapped 2M pages (1 GiB, user-accessible), then bench_main
 * with the command line. SYSCALL enters at syscall_entry and returns at once. */
	.set	FLAGS, 0x00000003
	.section .multiboot, "a"
	.align	4
	.long	0x1badb002, FLAGS, -(0x1badb002 + FLAGS)

	.section .text.start, "ax"
	.code32
	.globl	_start
_start:
	mov	$stack_top, %esp
	mov	16(%ebx), %esi		/* command line */
	mov	$page_dir, %edi		/* 512 large pages */
	mov	$0x87, %eax
1:	mov	%eax, (%edi)
	movl	$0, 4(%edi)
	add	$0x200000, %eax
	add	$8, %edi
	cmp	$page_dir + 4096, %edi
	jne	1b
	movl	$page_dir + 7, page_dirptr
	movl	$page_dirptr + 7, page_top
	mov	$page_top, %eax
	mov	%eax, %cr3
	mov	%cr4, %eax
	or	$0x620, %eax		/* PAE, OSFXSR, OSXMMEXCPT */
	mov	%eax, %cr4
	mov	$0xc0000080, %ecx
	rdmsr
	or	$0x101, %eax		/* LME, SCE */
	wrmsr
	mov	%cr0, %eax
	or	$0x80000001, %eax
	mov	%eax, %cr0
	lgdt	gdt_pointer
	ljmp	$0x08, $1f
	.code64
1:	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	$stack_top, %rsp
	mov	$0xc0000081, %ecx	/* STAR: kernel 08h, user 18h (+8 SS, +16 CS) */
	xor	%eax, %eax
	mov	$0x00180008, %edx
	wrmsr
	mov	$0xc0000082, %ecx	/* LSTAR */
	mov	$syscall_entry, %eax
	xor	%edx, %edx
	wrmsr
	mov	$0xc0000084, %ecx	/* FMASK */
	xor	%eax, %eax
	wrmsr
	mov	%esi, %edi
	call	bench_main
	mov	%eax, %ebx
	mov	$msg, %esi		/* the other emulators' ways to stop */
	mov	$0x8900, %edx
1:	mov	(%rsi), %al
	test	%al, %al
	je	2f
	out	%al, %dx
	inc	%rsi
	jmp	1b
2:	mov	%ebx, %eax
	out	%al, $0xf4
	cli
	hlt

/* void syscall_loop(uint64_t n): n system calls from ring 3, then back. */
	.globl	syscall_loop
syscall_loop:
	push	%rbx
	push	%rbp
	mov	%rsp, kernel_rsp
	mov	%rdi, %rbx
	mov	$user, %ecx
	mov	$0x2, %r11d
	sysretq
user:	xor	%eax, %eax
	syscall
	dec	%rbx
	jne	user
	mov	$1, %eax
	syscall
syscall_entry:
	test	%eax, %eax
	jne	1f
	sysretq
1:	mov	kernel_rsp, %rsp
	pop	%rbp
	pop	%rbx
	ret

/* uint64_t nested_enter(run, n): L2 starts at nested_start with the same registers. */
	.globl	nested_enter, nested_start
nested_enter:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	$0x6c14, %eax		/* HOST_RSP, HOST_RIP */
	vmwrite	%rsp, %rax
	mov	$0x6c16, %eax
	mov	$1f, %ecx
	vmwrite	%rcx, %rax
	vmlaunch
	mov	$-1, %rax
1:	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret
nested_start:
	mov	%rdi, %rax
	mov	%rsi, %rdi
	call	*%rax
	vmcall
	hlt

	.section .rodata
	.globl	gdt
msg:	.asciz	"Shutdown"
	.align	8
gdt:	.quad	0
	.quad	0x00af9b000000ffff	/* 08h kernel code */
	.quad	0x00cf93000000ffff	/* 10h data */
	.quad	0			/* 18h */
	.quad	0x00cff3000000ffff	/* 20h user data */
	.quad	0x00affb000000ffff	/* 28h user code */
gdt_pointer:
	.word	. - gdt - 1
	.long	gdt, 0

	.bss
	.globl	page_top
	.align	4096
page_top:	.skip	4096
page_dirptr:	.skip	4096
page_dir:	.skip	4096
		.skip	16384
stack_top:
kernel_rsp:	.skip	8
	.section .note.GNU-stack, "", @progbits

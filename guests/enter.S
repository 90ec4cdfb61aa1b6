/* int vmx_enter(struct guest_regs *regs, bool launched)
 *
 * Enters L2 with its general registers and comes back at the next exit: 0
 * after an exit, 1 on VMfailInvalid, 2 on VMfailValid. HOST_RSP is written
 * here when it changed, HOST_RIP (vmx_exit) once at set-up.
 */
	.text
	.code64
	.globl vmx_enter, vmx_exit
vmx_enter:
	push %rbp
	push %rbx
	push %r12
	push %r13
	push %r14
	push %r15
	push %rdi			/* regs: popped at the exit */
	mov $0x6c14, %eax		/* HOST_RSP */
	cmp %rsp, 32(%rdi)
	je 1f
	vmwrite %rsp, %rax
	mov %rsp, 32(%rdi)
1:	test %sil, %sil
	mov 8(%rdi), %rcx
	mov 16(%rdi), %rdx
	mov 24(%rdi), %rbx
	mov 40(%rdi), %rbp
	mov 48(%rdi), %rsi
	mov 64(%rdi), %r8
	mov 72(%rdi), %r9
	mov 80(%rdi), %r10
	mov 88(%rdi), %r11
	mov 96(%rdi), %r12
	mov 104(%rdi), %r13
	mov 112(%rdi), %r14
	mov 120(%rdi), %r15
	mov 0(%rdi), %rax
	mov 56(%rdi), %rdi
	jnz 2f
	vmlaunch
	jmp 3f
2:	vmresume
3:	pop %rdi
	mov $1, %eax
	jc 4f
	mov $2, %eax
	jmp 4f

	.align 16
vmx_exit:
	push %rdi			/* L2's */
	mov 8(%rsp), %rdi
	mov %rax, 0(%rdi)
	mov %rcx, 8(%rdi)
	mov %rdx, 16(%rdi)
	mov %rbx, 24(%rdi)
	mov %rbp, 40(%rdi)
	mov %rsi, 48(%rdi)
	mov %r8, 64(%rdi)
	mov %r9, 72(%rdi)
	mov %r10, 80(%rdi)
	mov %r11, 88(%rdi)
	mov %r12, 96(%rdi)
	mov %r13, 104(%rdi)
	mov %r14, 112(%rdi)
	mov %r15, 120(%rdi)
	pop %rax
	mov %rax, 56(%rdi)
	pop %rdi
	xor %eax, %eax
4:	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbx
	pop %rbp
	ret

/* Calls our ROM from real mode as a boot sector would: INT 10h, 12h, 13h, 15h
 * (E820, 88h, E801, A20, block move), 16h and 1Ah, the tick and the keyboard.
 * Results go to the screen and to COM1 as hexadecimal words. */
	.code16
start:	xorw %ax, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movw $0x7000, %sp
	sti
	/* teletype */
	movw $msg, %si
1:	lodsb
	testb %al, %al
	jz 2f
	movb $0x0e, %ah
	int $0x10
	jmp 1b
2:	/* e820 loop */
	xorl %ebx, %ebx
3:	movl $0xe820, %eax
	movl $20, %ecx
	movl $0x534d4150, %edx
	movw $0x600, %di
	int $0x15
	jc 4f
	movl 0x600, %eax
	call hex
	movl 0x608, %eax
	call hex
	movl 0x610, %eax
	call hex
	call nl
	testl %ebx, %ebx
	jnz 3b
4:	movb $0x88, %ah
	int $0x15
	movzwl %ax, %eax
	call hex
	movw $0xe801, %ax
	int $0x15
	shll $16, %eax
	movw %bx, %ax
	call hex
	movw $0x2403, %ax
	int $0x15
	movzwl %bx, %eax
	call hex
	movb $4, %ah
	int $0x1a
	movw %cx, %ax
	shll $16, %eax
	movw %dx, %ax
	call hex
	call nl
	/* block move: 8 words from 0x7c00 to 0x200000 */
	movw $16, %cx
	movw $0x800, %di
	xorw %ax, %ax
	movw $24, %cx
	rep stosw
	movl $0x7c00ffff, 0x810
	movl $0x00009300, 0x814
	movl $0x0000ffff, 0x818
	movl $0x00009320, 0x81c
	movw $8, %cx
	movw $0x800, %si
	movb $0x87, %ah
	int $0x15
	jnc 5f
	movl $0xbad, %eax
	call hex
5:	pushw %ds
	popw %ax
	call hex16
	/* read back */
	movl $0x0000ffff, 0x810
	movl $0x00009320, 0x814
	movl $0x0900ffff, 0x818
	movl $0x00009300, 0x81c
	movw $8, %cx
	movb $0x87, %ah
	int $0x15
	movl 0x900, %eax
	call hex
	movl 0x7c00, %eax
	call hex
	int $0x12
	call hex16
	int $0x13
	sbbw %ax, %ax
	call hex16
	/* ticks: start the PIT irq */
	movb $0xfc, %al
	outb %al, $0x21
	movb $0x36, %al
	outb %al, $0x43
	xorb %al, %al
	outb %al, $0x40
	movb $0x10, %al
	outb %al, $0x40
6:	xorb %ah, %ah
	int $0x1a
	cmpw $3, %dx
	jb 6b
	xorw %ax, %ax
	int $0x16
	call hex16
	movw $0xf4, %dx
	movb $0x10, %al
	outb %al, %dx
	hlt
hex16:	movzwl %ax, %eax
hex:	pushal
	movl %eax, %edx
	movw $8, %cx
7:	roll $4, %edx
	movb %dl, %al
	andb $15, %al
	addb $'0', %al
	cmpb $'9', %al
	jbe 8f
	addb $39, %al
8:	movb $0x0e, %ah
	int $0x10
	pushw %dx
	movw $0x3f8, %dx
	outb %al, %dx
	popw %dx
	loop 7b
	movb $' ', %al
	movb $0x0e, %ah
	int $0x10
	pushw %dx
	movw $0x3f8, %dx
	outb %al, %dx
	popw %dx
	popal
	ret
nl:	pushal
	movw $0x0e0a, %ax
	int $0x10
	movw $0x0e0d, %ax
	int $0x10
	movw $0x3f8, %dx
	movb $10, %al
	outb %al, %dx
	popal
	ret
msg:	.asciz "hello from real mode\r\n"

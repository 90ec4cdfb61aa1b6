/* INT 11h to 1Ah without the screen, and the keyboard's interrupt. */

int11:
	pushw %ds
	pushw $0x40
	popw %ds
	movw 0x10, %ax
	popw %ds
	iretw

int12:
	pushw %ds
	pushw $0x40
	popw %ds
	movw 0x13, %ax
	popw %ds
	iretw

/* No disks: every call fails. */
int13:
	movb $0x01, %ah
	jmp fail

int14:
int17:
	movb $0x80, %ah
	jmp fail

/* --- INT 15h ---------------------------------------------------------------- */

int15:
	cmpw $0xe820, %ax
	je e820
	cmpw $0xe801, %ax
	je e801
	cmpb $0x88, %ah
	je extended_size
	cmpb $0x87, %ah
	je block_move
	cmpb $0x86, %ah
	je wait_us
	cmpb $0x24, %ah
	je a20
	jmp unknown

/* EBX: index of the range; ES:DI: buffer of ECX bytes. */
e820:
	cmpl $0x534d4150, %edx
	jne unknown
	cmpl $20, %ecx
	jb unknown
	pushl %esi
	movzwl %cs:RANGES_COUNT, %esi
	cmpl %esi, %ebx
	jae 1f
	imulw $20, %bx, %si
	addw $RANGES, %si
	pushw %di
	movw $20, %cx
2:	movb %cs:(%si), %al
	movb %al, %es:(%di)
	incw %si
	incw %di
	decw %cx
	jnz 2b
	popw %di
	incl %ebx
	cmpw %cs:RANGES_COUNT, %bx
	jb 3f
	xorl %ebx, %ebx
3:	popl %esi
	movl $0x534d4150, %eax
	movl $20, %ecx
	jmp ok
1:	popl %esi
	jmp unknown

read_cmos: /* AL: index and result */
	outb %al, $0x70
	inb $0x71, %al
	ret

/* AX, CX: KiB from 1 to 16 MiB; BX, DX: 64-KiB blocks above. */
e801:
	movb $0x35, %al
	call read_cmos
	movb %al, %bh
	movb $0x34, %al
	call read_cmos
	movb %al, %bl
	movw %bx, %dx
	movb $0x31, %al
	call read_cmos
	movb %al, %ch
	movb $0x30, %al
	call read_cmos
	movb %al, %cl
	cmpw $0x3c00, %cx
	jbe 1f
	movw $0x3c00, %cx
1:	movw %cx, %ax
	jmp ok

extended_size:
	pushw %bx
	movb $0x31, %al
	call read_cmos
	movb %al, %bh
	movb $0x30, %al
	call read_cmos
	movb %al, %bl
	movw %bx, %ax
	popw %bx
	jmp ok

/* AL: 0 off, 1 on, 2 how is it, 3 how can it be switched. */
a20:
	cmpb $3, %al
	ja unknown
	je 3f
	cmpb $2, %al
	je 2f
	pushw %bx
	movb %al, %bl
	shlb $1, %bl
	inb $0x92, %al
	andb $0xfc, %al
	orb %bl, %al
	outb %al, $0x92
	popw %bx
	movb $0, %ah
	jmp ok
2:	inb $0x92, %al
	shrb $1, %al
	andb $1, %al
	movb $0, %ah
	jmp ok
3:	movw $3, %bx
	movb $0, %ah
	jmp ok

/* CX:DX microseconds, by the refresh bit of port 61h (15.085 us a turn). */
wait_us:
	pushl %eax
	pushl %ecx
	pushl %edx
	movw %cx, %ax
	shll $16, %eax
	movw %dx, %ax
	xorl %edx, %edx
	movl $15, %ecx
	divl %ecx
	movl %eax, %ecx
	incl %ecx
	inb $0x61, %al
	andb $0x10, %al
	movb %al, %ah
1:	inb $0x61, %al
	andb $0x10, %al
	cmpb %ah, %al
	je 1b
	movb %al, %ah
	decl %ecx
	jnz 1b
	popl %edx
	popl %ecx
	popl %eax
	jmp ok

/* CX words from descriptor 2 to descriptor 3 of the GDT at ES:SI. CS keeps its
 * real-mode descriptor throughout. Descriptor 4 is set to what real mode
 * expects in DS and ES. */
block_move:
	pushl %eax
	pushw %bp
	pushw %cx
	pushw %si
	pushw %di
	pushw %ds
	pushw %es
	cli
	cld
	movl $0x0000ffff, %es:0x20(%si)
	movl $0x00009300, %es:0x24(%si)
	movzwl %si, %eax
	pushl %ebx
	xorl %ebx, %ebx
	movw %es, %bx
	shll $4, %ebx
	addl %ebx, %eax
	popl %ebx
	subw $6, %sp
	movw %sp, %bp
	movw $0x2f, 0(%bp)
	movl %eax, 2(%bp)
	lgdtl 0(%bp)
	addw $6, %sp
	movl %cr0, %eax
	orb $1, %al
	movl %eax, %cr0
	movw $0x10, %ax
	movw %ax, %ds
	movw $0x18, %ax
	movw %ax, %es
	xorw %si, %si
	xorw %di, %di
	rep movsw
	movw $0x20, %ax
	movw %ax, %ds
	movw %ax, %es
	movl %cr0, %eax
	andb $0xfe, %al
	movl %eax, %cr0
	popw %es
	popw %ds
	popw %di
	popw %si
	popw %cx
	popw %bp
	popl %eax
	movb $0, %ah
	jmp ok

/* --- keyboard ----------------------------------------------------------------- */

/* Scan codes of set 1 to characters, plain and with shift, to 39h. */
keys:
	.ascii "\0\0331234567890-=\b\tqwertyuiop[]\r\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 "
keys_end:
keys_shift:
	.ascii "\0\033!@#$%^&*()_+\b\tQWERTYUIOP{}\r\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 "

irq1:
	pushaw
	pushw %ds
	pushw $0x40
	popw %ds
	inb $0x60, %al
	movb %al, %ah
	andb $0x7f, %al
	cmpb $0x2a, %al
	je 1f
	cmpb $0x36, %al
	je 1f
	testb $0x80, %ah
	jnz 9f
	xorw %bx, %bx
	cmpb $(keys_end - keys), %al
	jae 2f
	movb %al, %bl
	movw $keys, %si
	testb $3, 0x17
	jz 3f
	movw $keys_shift, %si
3:	movb %cs:(%bx,%si), %al
	jmp 4f
2:	movb $0, %al
4:	movw 0x1c, %bx /* tail */
	movw %bx, %si
	addw $2, %bx
	cmpw 0x82, %bx
	jb 5f
	movw 0x80, %bx
5:	cmpw 0x1a, %bx
	je 9f /* full */
	movw %ax, (%si)
	movw %bx, 0x1c
	jmp 9f
1:	andb $0xfc, 0x17
	testb $0x80, %ah
	jnz 9f
	orb $2, 0x17
9:	movb $0x20, %al
	outb %al, $0x20
	popw %ds
	popaw
	iretw

/* AH 00h/10h: wait for a key; 01h/11h: is there one (ZF); 02h/12h: shifts. */
int16:
	pushw %ds
	pushw %bx
	pushw $0x40
	popw %ds
	andb $0xef, %ah
	cmpb $1, %ah
	jb 1f
	je 2f
	cmpb $2, %ah
	jne 3f
	movb 0x17, %al
	popw %bx
	popw %ds
	jmp ok
3:	popw %bx
	popw %ds
	jmp unknown
1:	cli
	movw 0x1a, %bx
	cmpw 0x1c, %bx
	jne 7f
	sti
	hlt
	jmp 1b
7:	movw (%bx), %ax
	addw $2, %bx
	cmpw 0x82, %bx
	jb 4f
	movw 0x80, %bx
4:	movw %bx, 0x1a
	popw %bx
	popw %ds
	jmp ok
2:	movw 0x1a, %bx
	cmpw 0x1c, %bx
	pushw %bp
	movw %sp, %bp
	je 5f
	movw (%bx), %ax
	andb $0xbf, 10(%bp) /* ZF = 0 in the caller's FLAGS */
	jmp 6f
5:	orb $0x40, 10(%bp)
6:	popw %bp
	popw %bx
	popw %ds
	iretw

/* --- INT 1Ah: ticks since midnight, time and date of the RTC -------------------- */

int1a:
	cmpb $1, %ah
	jb ticks_get
	je ticks_set
	cmpb $2, %ah
	je rtc_time
	cmpb $4, %ah
	je rtc_date
	jmp unknown

ticks_get:
	pushw %ds
	pushw $0x40
	popw %ds
	movw 0x6c, %dx
	movw 0x6e, %cx
	movb 0x70, %al
	movb $0, 0x70
	popw %ds
	jmp ok

ticks_set:
	pushw %ds
	pushw $0x40
	popw %ds
	movw %dx, 0x6c
	movw %cx, 0x6e
	movb $0, 0x70
	popw %ds
	jmp ok

rtc_time:
	movb $4, %al
	call read_cmos
	movb %al, %ch
	movb $2, %al
	call read_cmos
	movb %al, %cl
	movb $0, %al
	call read_cmos
	movb %al, %dh
	movb $0, %dl
	jmp ok

rtc_date:
	movb $0x32, %al
	call read_cmos
	movb %al, %ch
	movb $9, %al
	call read_cmos
	movb %al, %cl
	movb $8, %al
	call read_cmos
	movb %al, %dh
	movb $7, %al
	call read_cmos
	movb %al, %dl
	jmp ok

/* The ROM: 16-bit code of our own, one 64 KiB segment at F000h. Conventions:
 * a handler that returns status in CF ends in ok or fail, which set the flag
 * in the caller's FLAGS on the stack. Numbers shared with rom.h stand here. */
	.code16
	.text

#define RANGES_COUNT 0x0080
#define RANGES       0x0090
#define CMOS_SHUTDOWN 0x0f
#define FACS_SEGMENT 0xe000
#define FACS_WAKING  12
#define BOOT_PORT    0x8901

	.org 0x0000
	.ascii "nestscope"
	.org 0x1000
vectors:
	.word exception, exception, nmi, exception, exception, print_screen, exception, exception
	.word irq0, irq1, irq_master, irq_master, irq_master, irq_master, irq_master, irq_master
	.word int10, int11, int12, int13, int14, int15, int16, int17
	.word boot, boot, int1a, ignore, ignore, ignore, ignore, ignore
	.rept 0x70 - 0x20
	.word ignore
	.endr
	.word irq_slave, irq_slave, irq_slave, irq_slave, irq_slave, irq_slave, irq_slave, irq_slave
	.rept 0x100 - 0x78
	.word ignore
	.endr

	.org 0x2000
/* --- reset ------------------------------------------------------------------ */

/* What the shutdown byte in CMOS says: resume where 40:67 points (05h after an
 * EOI, 0Ah as it is), return from a block move (09h), resume from S3 (FEh);
 * everything else boots. The byte is good for one reset. */
reset:
	cli
	cld
	movb $CMOS_SHUTDOWN, %al
	outb %al, $0x70
	inb $0x71, %al
	movb %al, %bl
	movb $CMOS_SHUTDOWN, %al
	outb %al, $0x70
	xorb %al, %al
	outb %al, $0x71
	cmpb $0xfe, %bl
	je resume_s3
	xorw %ax, %ax
	movw %ax, %ds
	cmpb $0x0a, %bl
	je 2f
	cmpb $0x05, %bl
	je 1f
	cmpb $0x09, %bl
	je resume_move
	jmp boot
1:	movb $0x20, %al
	outb %al, $0xa0
	outb %al, $0x20
2:	ljmpw *0x467

/* 40:67 holds SS:SP of a frame: DS, ES, the general registers, an interrupt
 * return. */
resume_move:
	lssw 0x467, %sp
	popw %ds
	popw %es
	popaw
	iretw

resume_s3:
	movw $FACS_SEGMENT, %ax
	movw %ax, %ds
	movl FACS_WAKING, %eax
	testl %eax, %eax
	jz boot
	xorw %bx, %bx
	movw %bx, %ds
	movw %bx, %ss
	movw $0x7000, %sp
	movw %ax, %bx
	andw $15, %bx
	shrl $4, %eax
	pushw %ax
	pushw %bx
	lretw

/* Asks the machine to load its guest; the processor starts anew there. */
boot:
	cli
	movw $BOOT_PORT, %dx
	movb $'B', %al
	outb %al, %dx
1:	hlt
	jmp 1b

/* --- interrupts -------------------------------------------------------------- */

exception:
nmi:
print_screen:
ignore:
	iretw

irq0:
	pushw %ds
	pushl %eax
	movw $0x40, %ax
	movw %ax, %ds
	movl 0x6c, %eax
	incl %eax
	cmpl $0x1800b0, %eax
	jb 1f
	xorl %eax, %eax
	movb $1, 0x70
1:	movl %eax, 0x6c
	int $0x1c
	movb $0x20, %al
	outb %al, $0x20
	popl %eax
	popw %ds
	iretw

irq_slave:
	pushw %ax
	movb $0x0c, %al
	outb %al, $0x70
	inb $0x71, %al /* the RTC holds its wire until C is read */
	movb $0x20, %al
	outb %al, $0xa0
	outb %al, $0x20
	popw %ax
	iretw

irq_master:
	pushw %ax
	movb $0x20, %al
	outb %al, $0x20
	popw %ax
	iretw

/* Entered by a jump with only FLAGS, CS, IP on the stack. */
ok:
	pushw %bp
	movw %sp, %bp
	andb $0xfe, 6(%bp)
	popw %bp
	iretw
unknown:
	movb $0x86, %ah
fail:
	pushw %bp
	movw %sp, %bp
	orb $1, 6(%bp)
	popw %bp
	iretw

#include "video.S"
#include "system.S"

	.org 0xe05b
	jmp reset

	.org 0xfff0
	ljmpw $0xf000, $reset
	.ascii "01/01/25"
	.org 0xfffe
	.byte 0xfc, 0

/* An x87 exception with CR0.NE clear, as DOS programs have it: the next waiting
 * instruction stands still until IRQ 13, whose handler writes port F0h; what it
 * runs then ignores the exception. Ends with 20h + the number of interrupts. */
	.code16
start:	cli
	xorw %ax, %ax
	movw %ax, %ds
	movw %ax, %ss
	movw $0x7000, %sp
	movw $handler, 4 * 0x75
	movw %ax, 4 * 0x75 + 2
	movw $bad, 4 * 0x10
	movw %ax, 4 * 0x10 + 2
	movl %cr0, %eax
	andl $~0x2c, %eax /* NE, TS, EM */
	orb $2, %al	  /* MP */
	movl %eax, %cr0
	movb $0xfb, %al
	outb %al, $0x21
	movb $0xdf, %al
	outb %al, $0xa1
	movw $2, %cx
again:	fninit
	fldcw unmasked
	fld1
	fdivs zero
	fnstsw %ax
	testb $0x80, %al
	jz bad
	sti
wait:	fwait
	cli
	loop again
	movw count, %ax
	addb $0x20, %al
	jmp end
bad:	movb $1, %al
end:	movw $0xf4, %dx
	outb %al, %dx
	hlt

handler:
	pushw %bp
	movw %sp, %bp
	cmpw $wait, 2(%bp)
	jne bad
	incw count
	outb %al, $0xf0
	fld1 /* runs: IGNNE# */
	fnstsw %ax
	testb $0x80, %al
	jz bad
	cmpw $1, %cx
	je 1f
	fnclex
	jmp 2f
1:	fnstenv 0x600
	cmpw $wait, 0x606 /* FLD1 above came last */
	jbe bad
2:	movb $0x20, %al
	outb %al, $0xa0
	outb %al, $0x20
	popw %bp
	iret

count:	.word 0
unmasked:
	.word 0x37b
zero:	.float 0

/* The payloads: code that runs as L2, copied to L2-physical 8000h. Each reads
 * its count at 500h, does its rounds, and reports by VMCALL: EAX = 0 when all
 * was as it should be, EBX = a checksum. Position-independent: addresses are
 * relative to the entry point.
 */
	.set COUNT, 0x500
	.set BASE, 0x8000

	.macro payload name
	.balign 16
	.globl l2_\name, l2_\name\()_end
l2_\name:
	.endm
	.macro payload_end name
l2_\name\()_end:
	.endm
	/* address of a label once the payload is in place */
#define AT(label, name) (label - l2_##name + BASE)

	.section .rodata
	.code64

payload cpuid
	mov COUNT, %esi
	xor %edi, %edi
1:	xor %eax, %eax
	cpuid
	add %ebx, %edi
	dec %esi
	jnz 1b
	xor %eax, %eax
	mov %edi, %ebx
	vmcall
	hlt
payload_end cpuid

payload io
	mov COUNT, %esi
1:	mov %esi, %eax
	mov $0x80, %edx
	out %al, %dx
	dec %esi
	jnz 1b
	xor %eax, %eax
	xor %ebx, %ebx
	vmcall
	hlt
payload_end io

payload msr
	mov COUNT, %esi
	xor %edi, %edi
1:	mov $0x1b, %ecx
	rdmsr
	add %eax, %edi			/* L1 answers with the MSR's number */
	wrmsr
	dec %esi
	jnz 1b
	xor %eax, %eax
	mov %edi, %ebx
	vmcall
	hlt
payload_end msr

/* A driver that polls a device which never gets ready, with the odd CPUID. */
payload storm
	mov COUNT, %esi
	xor %edi, %edi
poll:	mov $0x2e, %edx
	in %dx, %al
	test $1, %al
	jnz 2f
	inc %edi
	mov %edi, %eax
	and $63, %eax
	jnz 1f
	xor %eax, %eax
	cpuid
1:	dec %esi
	jnz poll
2:	xor %eax, %eax
	mov %edi, %ebx
	vmcall
	hlt
payload_end storm

/* Writes to 256 pages in turn, each a violation, and reads its own value back. */
payload touch
	mov COUNT, %esi
	xor %edi, %edi
1:	mov %edi, %eax
	and $255, %eax
	shl $12, %eax
	add $0x200000, %eax
	mov %edi, (%rax)
	mov (%rax), %ecx
	cmp %edi, %ecx
	jne 3f
	inc %edi
	dec %esi
	jnz 1b
	xor %eax, %eax
2:	mov %edi, %ebx
	vmcall
	hlt
3:	mov $1, %eax
	jmp 2b
payload_end touch

/* Flags and registers survive a violation between an operation and its use:
 * each round touches a page that is not mapped, with CF known. */
payload flags
	mov COUNT, %esi
	xor %edi, %edi
1:	mov %edi, %ebx
	and $255, %ebx
	shl $12, %ebx
	add $0x200000, %ebx
	mov %edi, %edx
	and $1, %edx
	mov %edx, %ebp			/* odd: 1 - 1, no borrow; even: 0 - 1, borrow */
	sub $1, %rdx
	mov 8(%rbx), %r10		/* violation */
	mov 16(%rbx), %r9
	lea 32(%rbx), %rbx
	mov %r10, (%rbx)
	jae 2f
	test %ebp, %ebp
	jnz 3f
	jmp 4f
2:	test %ebp, %ebp
	jz 3f
4:	inc %edi
	dec %esi
	jnz 1b
	xor %eax, %eax
5:	mov %edi, %ebx
	vmcall
	hlt
3:	mov $1, %eax
	jmp 5b
payload_end flags

payload spin
	mov COUNT, %esi
	xor %edi, %edi
1:	lea (%rdi,%rsi,4), %edi
	rol $3, %edi
	mov %edi, %eax
	imul $0x9e37, %eax, %eax
	xor %eax, %edi
	dec %esi
	jnz 1b
	xor %eax, %eax
	mov %edi, %ebx
	vmcall
	hlt
payload_end spin

payload ticks
	mov COUNT, %esi
	sti
1:	mov $10, %ecx
2:	dec %ecx
	jnz 2b
	dec %esi
	jnz 1b
	xor %eax, %eax
	xor %ebx, %ebx
	vmcall
	hlt
payload_end ticks

/* L2's own tables: a page table of its own behind the second gigabyte's first
 * 2 MiB, whose first entry goes from frame to frame; the address space is
 * switched every sixteenth round. */
	.set TABLE, 0x12000		/* the directory that L1 laid down */
	.set PT, 0x14000
	.set FRAMES, 0x30000
payload paging
	mov COUNT, %esi
	xor %edi, %edi
	movl $PT + 3, TABLE + 16	/* 4 MiB.. goes through PT */
	movl $0, TABLE + 20
1:	mov %edi, %eax			/* a number into each of eight frames */
	and $7, %eax
	shl $12, %eax
	add $FRAMES, %eax
	mov %edi, (%rax)
	or $3, %eax
	mov %eax, PT
	movl $0, PT + 4
	mov $0x400000, %ebx
	invlpg (%rbx)
	cmp %edi, (%rbx)
	jne 3f
	test $15, %edi
	jnz 2f
	mov %cr3, %rax
	mov %rax, %cr3
2:	inc %edi
	dec %esi
	jnz 1b
	xor %eax, %eax
	jmp 4f
3:	mov $1, %eax
4:	mov %edi, %ebx
	vmcall
	hlt
payload_end paging

	.code32
payload pm32
	mov COUNT, %esi
	xor %edi, %edi
1:	xor %eax, %eax
	cpuid
	add %ebx, %edi
	dec %esi
	jnz 1b
	xor %eax, %eax
	mov %edi, %ebx
	vmcall
	hlt
payload_end pm32

	.code16
payload real
	mov COUNT, %esi
	xor %edi, %edi
1:	xor %eax, %eax
	cpuid
	add %ebx, %edi
	dec %esi
	jnz 1b
	xor %eax, %eax
	mov %edi, %ebx
	vmcall
	hlt
payload_end real

/* Real mode, 32-bit, 64-bit: in each COUNT times CPUID, and a letter on L2's
 * console (port E9h). */
payload modes
	mov COUNT, %esi
1:	xor %eax, %eax
	cpuid
	dec %esi
	jnz 1b
	mov $'R', %al
	out %al, $0xe9
	mov %cr0, %eax
	or $1, %eax
	mov %eax, %cr0
	ljmpl $8, $AT(modes32, modes)
	.code32
modes32:
	mov $16, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov COUNT, %esi
1:	xor %eax, %eax
	cpuid
	dec %esi
	jnz 1b
	mov $'P', %al
	out %al, $0xe9
	mov $0x10000, %eax
	mov %eax, %cr3
	mov %cr4, %eax
	or $0x20, %eax
	mov %eax, %cr4
	mov $0xc0000080, %ecx
	rdmsr
	or $0x100, %eax
	wrmsr
	mov %cr0, %eax
	or $0x80000000, %eax
	mov %eax, %cr0
	ljmp $24, $AT(modes64, modes)
	.code64
modes64:
	mov COUNT, %esi
1:	xor %eax, %eax
	cpuid
	dec %esi
	jnz 1b
	mov $'L', %al
	out %al, $0xe9
	mov $'\n', %al
	out %al, $0xe9
	xor %eax, %eax
	mov %ebx, %ebx
	vmcall
	hlt
payload_end modes

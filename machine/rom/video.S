/* INT 10h: an 80x25 colour text screen at B8000h, page 0. */

#define COLS 80
#define ROWS 25

int10:
	cld
	cmpb $0x0e, %ah
	je video_teletype
	cmpb $0x00, %ah
	je video_mode
	cmpb $0x01, %ah
	je video_shape
	cmpb $0x02, %ah
	je video_set_cursor
	cmpb $0x03, %ah
	je video_get_cursor
	cmpb $0x06, %ah
	je video_scroll
	cmpb $0x08, %ah
	je video_read
	cmpb $0x09, %ah
	je video_write
	cmpb $0x0a, %ah
	je video_write
	cmpb $0x0f, %ah
	je video_get_mode
	cmpb $0x13, %ah
	je video_string
	jmp fail

video_mode:
	pushaw
	pushw %ds
	movw $0x40, %ax
	movw %ax, %ds
	movw $0, 0x50
	movb $3, 0x49
	call clear_all
	call show_cursor
	popw %ds
	popaw
	movb $0x30, %al
	jmp ok

video_shape:
	pushw %ds
	pushw $0x40
	popw %ds
	movw %cx, 0x60
	popw %ds
	jmp ok

video_set_cursor:
	pushaw
	pushw %ds
	pushw $0x40
	popw %ds
	movw %dx, 0x50
	call show_cursor
	popw %ds
	popaw
	jmp ok

video_get_cursor:
	pushw %ds
	pushw $0x40
	popw %ds
	movw 0x50, %dx
	movw 0x60, %cx
	popw %ds
	jmp ok

video_get_mode:
	movw $(COLS << 8 | 3), %ax
	movb $0, %bh
	jmp ok

/* Whole-screen scrolls only: AL lines, 0 clears. */
video_scroll:
	pushaw
	pushw %ds
	pushw $0x40
	popw %ds
	testb %al, %al
	jz 1f
	cmpb $ROWS, %al
	jb 2f
1:	call clear_all
	jmp 3f
2:	movb %al, %cl
	movb $0, %ch
4:	call scroll_up
	loop 4b
3:	popw %ds
	popaw
	jmp ok

video_read:
	pushw %di
	pushw %es
	call cell
	movw %es:(%di), %ax
	popw %es
	popw %di
	jmp ok

/* AH=09h: AL with attribute BL, CX times; AH=0Ah keeps the attributes. */
video_write:
	pushaw
	pushw %es
	call cell
	jcxz 3f
1:	cmpw $(2 * COLS * ROWS), %di
	jae 3f
	movb %al, %es:(%di)
	cmpb $0x0a, %ah
	je 2f
	movb %bl, %es:1(%di)
2:	addw $2, %di
	loop 1b
3:	popw %es
	popaw
	jmp ok

video_teletype:
	pushaw
	call teletype
	popaw
	jmp ok

/* AH=13h: CX characters at ES:BP to row DH, column DL. */
video_string:
	pushaw
	pushw %ds
	pushw $0x40
	popw %ds
	movw %dx, 0x50
	popw %ds
	jcxz 2f
1:	movb %es:(%bp), %al
	incw %bp
	pushw %cx
	pushw %bp
	call teletype
	popw %bp
	popw %cx
	loop 1b
2:	popaw
	jmp ok

/* ES:DI = the cell under the cursor. */
cell:
	pushw %ds
	pushw %ax
	pushw $0x40
	popw %ds
	movb 0x51, %al
	movb $COLS, %ah
	mulb %ah
	movw %ax, %di
	movb 0x50, %al
	movb $0, %ah
	addw %ax, %di
	shlw $1, %di
	movw $0xb800, %ax
	movw %ax, %es
	popw %ax
	popw %ds
	ret

/* AL to the screen at the cursor, which moves; keeps DS, ES, nothing else. */
teletype:
	pushw %ds
	pushw %es
	pushw $0x40
	popw %ds
	cmpb $13, %al
	je 1f
	cmpb $10, %al
	je 2f
	cmpb $8, %al
	je 3f
	cmpb $7, %al
	je 5f
	call cell
	movb %al, %es:(%di)
	movb $7, %es:1(%di)
	incb 0x50
	cmpb $COLS, 0x50
	jb 4f
	movb $0, 0x50
	jmp 2f
1:	movb $0, 0x50
	jmp 4f
3:	cmpb $0, 0x50
	je 4f
	decb 0x50
	jmp 4f
2:	incb 0x51
	cmpb $ROWS, 0x51
	jb 4f
	movb $(ROWS - 1), 0x51
	call scroll_up
4:	call show_cursor
5:	popw %es
	popw %ds
	ret

scroll_up:
	pushaw
	pushw %ds
	pushw %es
	movw $0xb800, %ax
	movw %ax, %ds
	movw %ax, %es
	movw $(2 * COLS), %si
	xorw %di, %di
	movw $(COLS * (ROWS - 1)), %cx
	rep movsw
	movw $0x0720, %ax
	movw $COLS, %cx
	rep stosw
	popw %es
	popw %ds
	popaw
	ret

clear_all:
	pushaw
	pushw %es
	movw $0xb800, %ax
	movw %ax, %es
	xorw %di, %di
	movw $0x0720, %ax
	movw $(COLS * ROWS), %cx
	rep stosw
	popw %es
	popaw
	ret

/* The CRTC's cursor follows 40:50. */
show_cursor:
	pushaw
	pushw %es
	call cell
	shrw $1, %di
	movw $0x3d4, %dx
	movw %di, %bx
	movb $0x0e, %al
	movb %bh, %ah
	outw %ax, %dx
	movb $0x0f, %al
	movb %bl, %ah
	outw %ax, %dx
	popw %es
	popaw
	ret

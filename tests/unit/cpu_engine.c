/* The engine on a bare processor: counts, faults, self-modifying code, marks,
 * watches, steps. Code is given as bytes with its assembly beside it. */
#include "cpu/mem.h"
#include "tests/lib/bare_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* mov ecx, 1000; xor eax, eax; 1: add rax, rcx; dec ecx; jnz 1b; hlt */
#define SUM_LOOP                                                                              \
	0xb9, 0xe8, 0x03, 0, 0, 0x31, 0xc0, 0x48, 0x01, 0xc8, 0xff, 0xc9, 0x75, 0xf9, 0xf4

static void runs_a_loop(void **state)
{
	struct bare *b = *state;
	CODE(b, SUM_LOOP);
	assert_int_equal(engine_run(b->c, 1000000), LEAVE_HALT);
	assert_int_equal(b->c->gpr[RAX], 500500);
	assert_int_equal(b->c->retired, 2 + 3000 + 1);
	assert_int_equal(b->clock.now, b->c->retired);
}

static void stops_at_any_count(void **state)
{
	struct bare *b = *state;
	CODE(b, SUM_LOOP);
	uint64_t want = 0;
	for (unsigned n = 1; want < 3002; n = n * 7 % 101 + 1) {
		unsigned k = want + n < 3002 ? n : (unsigned)(3002 - want);
		want += k;
		assert_int_equal(engine_run(b->c, k), LEAVE_SLICE);
		assert_int_equal(b->c->retired, want);
		if (want >= 2)
			assert_int_equal(b->c->gpr[RCX], 1000 - (want - 1) / 3);
	}
	assert_int_equal(engine_run(b->c, 10), LEAVE_HALT);
	assert_int_equal(b->c->gpr[RAX], 500500);
}

/* nop; jmp 1f; 1: inc eax; hlt; inc ecx; hlt: a slice ends with the jump, and
 * what runs next is not what follows it. */
static void links_follow_the_code(void **state)
{
	struct bare *b = *state;
	CODE(b, 0x90, 0xeb, 0x00, 0xff, 0xc0, 0xf4, 0xff, 0xc1, 0xf4);
	uint64_t start = b->c->rip;
	b->c->gpr[RAX] = b->c->gpr[RCX] = 0;
	assert_int_equal(engine_run(b->c, 2), LEAVE_SLICE);
	b->c->rip = start + 6;
	assert_int_equal(engine_run(b->c, 100), LEAVE_HALT);
	assert_int_equal(b->c->gpr[RCX], 1);
	b->c->rip = start;
	b->c->activity = ACTIVITY_ACTIVE;
	assert_int_equal(engine_run(b->c, 100), LEAVE_HALT);
	assert_int_equal(b->c->gpr[RAX], 1);
	assert_int_equal(b->c->gpr[RCX], 1);
}

/* pause; hlt: the turn is given away only to a processor that can use it. */
static void pause_yields(void **state)
{
	struct bare *b = *state;
	struct vcpu *other = vcpu_new(&(struct vcpu_config){.id = 1,
		.clock = &b->clock,
		.bus = &b->bus,
		.phys = &b->phys,
		.log = b->log,
		.model = &b->model,
		.engine = b->engine});
	static const struct {
		enum cpu_activity activity;
		uint32_t pending;
		uint64_t rflags;
		bool yields;
	} t[] = {{ACTIVITY_ACTIVE, 0, 0, true}, {ACTIVITY_HLT, 0, FLAG_IF, false},
		{ACTIVITY_HLT, PEND_INTR, FLAG_IF, true}, {ACTIVITY_HLT, PEND_INTR, 0, false},
		{ACTIVITY_HLT, PEND_NMI, 0, true}, {ACTIVITY_WAIT_SIPI, PEND_NMI, 0, false},
		{ACTIVITY_WAIT_SIPI, PEND_SIPI, 0, true}, {ACTIVITY_MWAIT, 0, 0, true}};
	CODE(b, 0xf3, 0x90, 0xf4);
	uint64_t start = b->c->rip;
	for (unsigned n = 0; n < sizeof t / sizeof t[0]; n++) {
		other->activity = t[n].activity;
		other->pending = t[n].pending;
		other->rflags = t[n].rflags | FLAG_1;
		b->c->rip = start;
		b->c->activity = ACTIVITY_ACTIVE;
		assert_int_equal(engine_run(b->c, 10), t[n].yields ? LEAVE_YIELD : LEAVE_HALT);
	}
	vcpu_free(other);
}

static void memory_and_stack(void **state)
{
	struct bare *b = *state;
	/* mov rbx, 0x300ffd; mov rax, 0x1122334455667788; mov [rbx], rax;
	 * add dword [rbx+1], 1; push qword [rbx]; pop rdx; mov cl, [rbx]; hlt */
	CODE(b, 0xbb, 0xfd, 0x0f, 0x30, 0, 0x48, 0xb8, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22,
		0x11, 0x48, 0x89, 0x03, 0x83, 0x43, 0x01, 0x01, 0xff, 0x33, 0x5a, 0x8a, 0x0b, 0xf4);
	assert_int_equal(engine_run(b->c, 100), LEAVE_HALT);
	assert_int_equal(b->c->gpr[RDX], 0x1122334455667888);
	assert_int_equal(b->c->gpr[RCX], 0x88);
	assert_int_equal(b->c->gpr[RSP], BARE_STACK);
	assert_int_equal(b->c->retired, 8);
}

static void page_fault_is_precise(void **state)
{
	struct bare *b = *state;
	/* mov eax, 5; add eax, 7; mov rbx, 0x40000000; mov [rbx+rax], eax; inc eax */
	CODE(b, 0xb8, 5, 0, 0, 0, 0x83, 0xc0, 7, 0xbb, 0, 0, 0, 0x40, 0x89, 0x04, 0x03, 0xff, 0xc0);
	assert_int_equal(engine_run(b->c, 100), LEAVE_HALT);
	assert_int_equal(b->c->rip, BARE_TRAPS + 16 * 14 + 1);
	assert_int_equal(b->c->cr2, 0x4000000c);
	assert_int_equal(b->c->gpr[RAX], 12);
	uint64_t frame[6];
	assert_true(phys_read(&b->phys, hpa(b->c->gpr[RSP]), frame, sizeof(frame)));
	assert_int_equal(frame[0], 2); /* a write to what is not present */
	assert_int_equal(frame[1], BARE_CODE + 13);
	assert_int_equal(frame[3] & FLAGS_ARITH, FLAG_PF);
	assert_int_equal(b->c->retired, 4);
}

static void code_that_patches_its_block(void **state)
{
	struct bare *b = *state;
	/* mov byte [rip+2], 5 (the immediate of the next); mov al, 1; nop; hlt */
	CODE(b, 0xc6, 0x05, 0x01, 0, 0, 0, 5, 0xb0, 1, 0x90, 0xf4);
	assert_int_equal(engine_run(b->c, 100), LEAVE_HALT);
	assert_int_equal(b->c->gpr[RAX], 5);
	assert_int_equal(b->c->retired, 4);
	/* the same from outside */
	b->c->rip = BARE_CODE + 7;
	b->c->activity = ACTIVITY_ACTIVE;
	phys_write(&b->phys, hpa(BARE_CODE + 8), "\x09", 1);
	assert_int_equal(engine_run(b->c, 100), LEAVE_HALT);
	assert_int_equal(b->c->gpr[RAX], 9);
}

static void marks_stop_before(void **state)
{
	struct bare *b = *state;
	CODE(b, SUM_LOOP);
	engine_mark(b->engine, gva(BARE_CODE + 10)); /* dec ecx */
	assert_int_equal(engine_run(b->c, 1000), LEAVE_BREAK);
	assert_int_equal(b->c->rip, BARE_CODE + 10);
	assert_int_equal(b->c->gpr[RAX], 1000);
	assert_int_equal(b->c->retired, 3);
	engine_step_over(b->c);
	assert_int_equal(engine_run(b->c, 1000), LEAVE_BREAK);
	assert_int_equal(b->c->retired, 6);
	engine_unmark(b->engine, gva(BARE_CODE + 10));
	assert_int_equal(engine_run(b->c, 10000), LEAVE_HALT);
	assert_int_equal(b->c->gpr[RAX], 500500);
	assert_int_equal(b->c->retired, 3003);
}

/* Many marks, most of them in pages without code; removed in another order. */
static void ten_thousand_marks(void **state)
{
	struct bare *b = *state;
	CODE(b, SUM_LOOP);
	for (uint64_t i = 0; i < 10000; i++)
		engine_mark(b->engine, gva(0x40000000 + i * 0x331));
	engine_mark(b->engine, gva(BARE_CODE + 10));
	engine_mark(b->engine, gva(BARE_CODE + 10)); /* a set: once is enough */
	for (uint64_t i = 0; i < 10000; i += 2)
		engine_unmark(b->engine, gva(0x40000000 + i * 0x331));
	assert_int_equal(engine_run(b->c, 1000), LEAVE_BREAK);
	assert_int_equal(b->c->retired, 3);
	for (uint64_t i = 9999; i < 10000; i -= 2)
		engine_unmark(b->engine, gva(0x40000000 + i * 0x331));
	engine_step_over(b->c);
	assert_int_equal(engine_run(b->c, 1000), LEAVE_BREAK);
	assert_int_equal(b->c->retired, 6);
	engine_unmark(b->engine, gva(BARE_CODE + 10));
	assert_int_equal(engine_run(b->c, 10000), LEAVE_HALT);
	assert_int_equal(b->c->gpr[RAX], 500500);
}

static void watches_stop_after(void **state)
{
	struct bare *b = *state;
	/* mov rbx, 0x300000; mov [rbx+8], al; mov [rbx+16], al; mov cl, [rbx+16]; hlt */
	CODE(b, 0xbb, 0, 0, 0x30, 0, 0x88, 0x43, 8, 0x88, 0x43, 16, 0x8a, 0x4b, 16, 0xf4);
	const struct engine_watch w = {gva(0x300010), 4, false, true, false};
	unsigned id = engine_watch_add(b->engine, &w);
	assert_int_equal(engine_run(b->c, 100), LEAVE_WATCH);
	assert_int_equal(b->c->retired, 3);
	assert_int_equal(engine_watch_hit(b->c)->id, id);
	assert_int_equal(engine_watch_hit(b->c)->at.v, 0x300010);
	assert_int_equal(engine_run(b->c, 100), LEAVE_HALT);
	engine_watch_del(b->engine, id);
}

/* By physical address, through any mapping; two watches on one byte. */
static void watches_on_physical_memory(void **state)
{
	struct bare *b = *state;
	/* mov rbx, 0x300000; mov [rbx+8], al; mov [rbx+16], al; mov cl, [rbx+16]; hlt */
	CODE(b, 0xbb, 0, 0, 0x30, 0, 0x88, 0x43, 8, 0x88, 0x43, 16, 0x8a, 0x4b, 16, 0xf4);
	const struct engine_watch w = {gva(0x300010), 4, true, true, true};
	const struct engine_watch x = {gva(0x300000), 0x100, true, false, true};
	struct engine_watch_hit hit;
	unsigned id = engine_watch_add(b->engine, &w), other = engine_watch_add(b->engine, &x);
	assert_int_equal(engine_run(b->c, 100), LEAVE_WATCH);
	assert_int_equal(b->c->retired, 3);
	assert_int_equal(engine_watch_hit(b->c)->id, id);
	assert_int_equal(engine_watch_hit(b->c)->mores, 0);
	assert_true(engine_watch_hit(b->c)->write);
	assert_int_equal(engine_run(b->c, 100), LEAVE_WATCH);
	assert_int_equal(engine_watch_hit(b->c)->id, id);
	assert_int_equal(engine_watch_hit(b->c)->mores, 1);
	assert_int_equal(engine_watch_hit(b->c)->more[0], other);
	assert_true(engine_watch_device(b->engine, hpa(0x3000f0), 64, false, &hit));
	assert_true(hit.id == other && hit.device && !hit.mores);
	assert_false(engine_watch_device(b->engine, hpa(0x300100), 64, false, &hit));
	assert_false(engine_watch_device(b->engine, hpa(0x300000), 16, true, &hit));
	assert_int_equal(engine_run(b->c, 100), LEAVE_HALT);
	engine_watch_del(b->engine, id);
	engine_watch_del(b->engine, other);
}

static void trap_flag_steps(void **state)
{
	struct bare *b = *state;
	CODE(b, SUM_LOOP);
	b->c->rflags |= FLAG_TF;
	assert_int_equal(engine_run(b->c, 100), LEAVE_HALT);
	assert_int_equal(b->c->rip, BARE_TRAPS + 16 * VEC_DB + 1);
	assert_int_equal(b->c->dr6 >> 14 & 1, 1);
	assert_int_equal(b->c->gpr[RCX], 1000);
	assert_int_equal(b->c->retired, 2);
}

static void counts_each_repetition(void **state)
{
	struct bare *b = *state;
	/* mov edi, 0x300000; mov ecx, 5000; mov al, 7; rep stosb; hlt */
	CODE(b, 0xbf, 0, 0, 0x30, 0, 0xb9, 0x88, 0x13, 0, 0, 0xb0, 7, 0xf3, 0xaa, 0xf4);
	assert_int_equal(engine_run(b->c, 103), LEAVE_SLICE);
	assert_int_equal(b->c->gpr[RCX], 4900);
	assert_int_equal(b->c->rip, BARE_CODE + 12);
	assert_int_equal(engine_run(b->c, 10000), LEAVE_HALT);
	assert_int_equal(b->c->retired, 3 + 5000 + 1);
	assert_int_equal(b->c->gpr[RDI], 0x300000 + 5000);
	uint8_t last[2];
	assert_true(phys_read(&b->phys, hpa(0x300000 + 4999), last, 2));
	assert_int_equal(last[0], 7);
	assert_int_equal(last[1], 0);
}

static void unknown_opcode(void **state)
{
	struct bare *b = *state;
	CODE(b, 0x90, 0x0f, 0x0b);
	assert_int_equal(engine_run(b->c, 100), LEAVE_HALT);
	assert_int_equal(b->c->rip, BARE_TRAPS + 16 * VEC_UD + 1);
}

static void calls_and_frames(void **state)
{
	struct bare *b = *state;
	/* mov rbp, 0x1f0000; push 5; call 1f; hlt; 1: mov rax, [rsp+8]; enter 16, 2;
	 * mov rbx, rsp; leave; ret 8 */
	CODE(b, 0xbd, 0, 0, 0x1f, 0, 0x6a, 5, 0xe8, 1, 0, 0, 0, 0xf4, 0x48, 0x8b, 0x44, 0x24, 8, 0xc8,
		16, 0, 2, 0x48, 0x89, 0xe3, 0xc9, 0xc2, 8, 0);
	bare_put64(b, 0x1f0000 - 8, 0xabcd);
	assert_int_equal(engine_run(b->c, 100), LEAVE_HALT);
	assert_int_equal(b->c->gpr[RAX], 5);
	assert_int_equal(b->c->rip, BARE_CODE + 13);
	assert_int_equal(b->c->gpr[RSP], BARE_STACK);
	assert_int_equal(b->c->gpr[RBP], 0x1f0000);
	/* below: 5, return, RBP, the display entry, the frame itself, 16 bytes */
	assert_int_equal(b->c->gpr[RBX], BARE_STACK - 5 * 8 - 16);
	uint64_t frame[3];
	assert_true(phys_read(&b->phys, hpa(BARE_STACK - 40), frame, sizeof(frame)));
	assert_int_equal(frame[0], BARE_STACK - 24);
	assert_int_equal(frame[1], 0xabcd);
	assert_int_equal(frame[2], 0x1f0000);
	assert_int_equal(b->c->retired, 9);
}

static void on_trace(void *ctx, struct vcpu *c, const struct insn *i)
{
	uint64_t *sum = ctx;
	*sum += c->rip * i->len;
}

/* A trace sees every instruction and changes nothing. */
static void tracing_changes_nothing(void **state)
{
	struct bare *b = *state;
	uint64_t sum = 0;
	CODE(b, SUM_LOOP);
	engine_set_trace(b->engine, on_trace, &sum);
	assert_int_equal(engine_run(b->c, 1000000), LEAVE_HALT);
	engine_set_trace(b->engine, NULL, NULL);
	assert_int_equal(b->c->gpr[RAX], 500500);
	assert_int_equal(b->c->retired, 2 + 3000 + 1);
	uint64_t at = BARE_CODE;
	assert_int_equal(sum, at * 5 + (at + 5) * 2 +
			1000 * ((at + 7) * 3 + (at + 10) * 2 + (at + 12) * 2) + at + 14);
}

static void on_count(void *ctx, struct vcpu *c, const struct insn *i)
{
	uint64_t *n = ctx;
	assert_true(i->len && c->rip >= BARE_CODE);
	(*n)++;
}

/* Calls and returns are known to the jump cache by the second round; steps
 * must not follow it. */
static void steps_do_not_follow_branches(void **state)
{
	struct bare *b = *state;
	/* mov ecx, 50; 1: call 2f; dec ecx; jnz 1b; hlt; 2: mov rax, [rsp]; ret */
	for (int traced = 0; traced < 2; traced++) {
		uint64_t n = 0, before = b->c->retired;
		CODE(b, 0xb9, 50, 0, 0, 0, 0xe8, 5, 0, 0, 0, 0xff, 0xc9, 0x75, 0xf7, 0xf4, 0x48, 0x8b,
			0x04, 0x24, 0xc3);
		engine_set_trace(b->engine, traced ? on_count : NULL, &n);
		assert_int_equal(engine_run(b->c, 100000), LEAVE_HALT);
		assert_int_equal(b->c->retired - before, 1 + 50 * 5 + 1);
		assert_int_equal(n, traced ? 252 : 0);
	}
	engine_set_trace(b->engine, NULL, NULL);
}

static void real_mode_wraps_and_limits(void **state)
{
	struct bare *b = *state;
	vcpu_reset(b->c, false);
	b->c->seg[SEG_CS].base = 0x10000;
	b->c->seg[SEG_CS].sel = 0x1000;
	b->c->seg[SEG_DS].base = 0x20000;
	b->c->seg[SEG_SS].base = 0x30000;
	b->c->gpr[RSP] = 0;
	b->c->rip = 0;
	vcpu_state_changed(b->c);
	/* mov ax, 0x1234; push ax; pop bx; mov [0x10], bx; mov cx, 3; 1: loop 1b; hlt */
	static const uint8_t code[] = {0xb8, 0x34, 0x12, 0x50, 0x5b, 0x89, 0x1e, 0x10, 0, 0xb9, 3, 0,
		0xe2, 0xfe, 0xf4};
	phys_write(&b->phys, hpa(0x10000), code, sizeof(code));
	assert_int_equal(engine_run(b->c, 100), LEAVE_HALT);
	uint16_t v;
	phys_read(&b->phys, hpa(0x20010), &v, 2);
	assert_int_equal(v, 0x1234);
	phys_read(&b->phys, hpa(0x3fffe), &v, 2);
	assert_int_equal(v, 0x1234);
	assert_int_equal(b->c->gpr[RSP], 0);
	assert_int_equal(b->c->retired, 5 + 3 + 1);
}

/* INVLPG of one part of a large page drops the others too. */
static void large_pages_go_as_a_whole(void **state)
{
	struct bare *b = *state;
	static const struct {
		uint64_t entry, value;
		uint8_t other; /* bits 23:16 of the other part's address */
	} size[] = {{BARE_TABLES + 0x1000 + 8, 0x83, 0x72}, /* 1G at 40000000h */
		{BARE_TABLES + 0x3000, 0x83, 0x12}};        /* 2M there */

	for (unsigned n = 0; n < 2; n++) {
		bare_put64(b, BARE_TABLES + 0x1000 + 8, (BARE_TABLES + 0x3000) | 3);
		bare_put64(b, size[n].entry, size[n].value);
		tlb_flush_all(b->c);
		/* mov eax, [40001000h]; mov qword [entry], 0; invlpg [other part];
		 * mov eax, [40001000h] */
		uint8_t code[] = {0x8b, 0x04, 0x25, 0, 0x10, 0, 0x40, 0x48, 0xc7, 0x04, 0x25,
			(uint8_t)size[n].entry, (uint8_t)(size[n].entry >> 8), 0, 0, 0, 0, 0, 0, 0x0f, 0x01,
			0x3c, 0x25, 0, 0x30, size[n].other, 0x40, 0x8b, 0x04, 0x25, 0, 0x10, 0, 0x40, 0xf4};
		bare_code(b, code, sizeof code);
		b->c->gpr[RSP] = BARE_STACK;
		assert_int_equal(engine_run(b->c, 100), LEAVE_HALT);
		assert_int_equal(b->c->rip, BARE_TRAPS + 16 * VEC_PF + 1);
		assert_int_equal(b->c->cr2, 0x40001000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(runs_a_loop), T(stops_at_any_count), T(links_follow_the_code),
		T(memory_and_stack), T(pause_yields), T(page_fault_is_precise),
		T(code_that_patches_its_block), T(marks_stop_before), T(ten_thousand_marks),
		T(watches_stop_after), T(watches_on_physical_memory),
		T(trap_flag_steps), T(counts_each_repetition), T(unknown_opcode),
		T(real_mode_wraps_and_limits), T(calls_and_frames), T(tracing_changes_nothing),
		T(steps_do_not_follow_branches), T(large_pages_go_as_a_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

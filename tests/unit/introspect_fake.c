/* The session over the recorded machine: places, registers, memory, walks,
 * VMCSs, exits, stops, steps. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "introspect/autopsy.h"
#include "introspect/events.h"
#include "introspect/expr.h"
#include "introspect/fake.h"
#include "introspect/regs.h"
#include "introspect/run.h"
#include "introspect/symbols.h"
#include "introspect/walk.h"

#include <string.h>

static const struct place l1 = {1, 0}, l2 = {2, 0};

static int setup(void **ctx)
{
	*ctx = fake_session();
	return 0;
}

static int teardown(void **ctx)
{
	intro_free(*ctx);
	return 0;
}

static uint64_t reg(struct intro *s, struct place at, enum reg_id id)
{
	uint64_t v = 0;
	assert_true(intro_reg_u64(s, at, id, &v));
	return v;
}

static void test_places(void **ctx)
{
	struct intro *s = *ctx;
	struct intro_level l[8];
	struct place at = l1;
	struct err e = {0};
	assert_int_equal(intro_levels(s, l, 8), 2);
	assert_string_equal(l[1].name, "l2");
	assert_int_equal(intro_here(s).level, 2);
	assert_int_equal(intro_place_state(s, l2), PLACE_RUNNING);
	assert_int_equal(intro_place_state(s, l1), PLACE_SAVED);
	assert_true(intro_parse_place(s, "l2", &at, &e) && at.level == 2);
	assert_false(intro_parse_place(s, "l2:4", &at, &e));
	assert_non_null(strstr(e.msg, "l1, l2"));
}

static void test_registers(void **ctx)
{
	struct intro *s = *ctx;
	struct reg_value v;
	struct err e = {0};
	assert_int_equal(reg(s, l2, R_RIP), FAKE_L2_CODE);
	assert_int_equal(reg(s, l2, R_PC_LINEAR), FAKE_L2_CODE);
	assert_int_equal(reg(s, l2, R_CODE_BITS), 64);
	assert_false(intro_reg(s, l1, R_XMM0, &v)); /* not running: unavailable */
	assert_true(intro_reg(s, l2, R_XMM0, &v));
	assert_true(intro_set_reg_u64(s, l2, R_RBX, 5, &e));
	assert_int_equal(reg(s, l2, R_RBX), 5);
	assert_false(intro_set_reg_u64(s, l2, R_LEVEL, 5, &e));
}

static void test_memory(void **ctx)
{
	struct intro *s = *ctx;
	struct intro_mem_fail why;
	struct err e = {0};
	char text[16];
	assert_int_equal(intro_read(s, l2, SPACE_VIRTUAL, FAKE_L2_DATA + 0x10, text, 14, &why), 14);
	assert_string_equal(text, "hello from l2");
	assert_int_equal(intro_read(s, l2, SPACE_VIRTUAL, FAKE_L2_NOTHING, text, 1, &why), 0);
	assert_int_equal(why.status, MEM_NOT_MAPPED);
	assert_int_equal(intro_read(s, l2, SPACE_VIRTUAL, FAKE_L2_HOLE, text, 1, &why), 0);
	assert_int_equal(why.status, MEM_EPT_REFUSES);
	assert_int_equal(intro_read(s, l2, SPACE_VIRTUAL, FAKE_L2_DATA + 0xff8, text, 16, &why), 16);
	assert_int_equal(intro_read(s, l2, SPACE_VIRTUAL, FAKE_L2_DATA + 0x1ff8, text, 16, &why), 8);
	assert_int_equal(why.at, FAKE_L2_DATA + 0x2000);
	assert_true(intro_write(s, l2, SPACE_VIRTUAL, FAKE_L2_DATA + 0x10, "HELLO", 5, &e));
	assert_int_equal(intro_read(s, l1, SPACE_PHYSICAL, 0x107010, text, 5, &why), 5);
	assert_memory_equal(text, "HELLO", 5);
	uint64_t at;
	assert_true(intro_find(s, l2, SPACE_VIRTUAL, FAKE_L2_CODE, 0x3000,
		(const uint8_t *)"from l2", NULL, 7, &at));
	assert_int_equal(at, FAKE_L2_DATA + 0x16);
}

static void test_walk(void **ctx)
{
	struct intro *s = *ctx;
	struct intro_walk w;
	struct err e = {0};
	struct walk_access read = {.user = true}, write = {.user = true, .write = true};
	assert_true(intro_walk(s, l2, SPACE_VIRTUAL, FAKE_L2_DATA, &write, &w, &e));
	assert_int_equal(w.outcome, WALK_ACCESS_OK);
	assert_int_equal(w.host.v, 0x107000);
	assert_int_equal(w.guest_physical, 0x7000);
	assert_int_equal(w.guest.result.steps, 4);
	assert_true(w.table[3].ept12.done && w.table[3].ept01.done && w.ept02.done);
	assert_int_equal(w.memtype, 6);
	assert_true(intro_walk(s, l2, SPACE_VIRTUAL, FAKE_L2_CODE, &write, &w, &e));
	assert_int_equal(w.outcome, WALK_PAGE_FAULT);
	assert_int_equal(w.error, 7);
	assert_int_equal(w.guest.result.step[w.blamed_step].level, 1);
	assert_true(intro_walk(s, l2, SPACE_VIRTUAL, FAKE_L2_HOLE, &read, &w, &e));
	assert_int_equal(w.outcome, WALK_EPT_VIOLATION_L1);
	assert_int_equal(w.blamed, TABLE_EPT12);
	assert_int_equal(w.error, 0x181);
	assert_int_equal(w.guest_physical, 0x9000);
}

static void test_vmcs(void **ctx)
{
	struct intro *s = *ctx;
	struct intro_vmcs_value v;
	struct intro_vmcs_write w[4];
	struct err e = {0};
	struct buf b = {0};
	const struct intro_field *f = intro_field_find("host_cr4");
	assert_non_null(f);
	assert_true(intro_vmcs_get(s, l2, INTRO_VMCS12, f->encoding, &v, &e));
	assert_int_equal(v.value, 0x2020);
	assert_int_equal(intro_vmcs_history(s, l2, f->encoding, w, 4), 1);
	assert_int_equal(w[0].writer, WRITER_VMWRITE);
	assert_false(intro_vmcs_set(s, l2, INTRO_VMCS02, f->encoding, 1, &e));
	assert_true(intro_vmcs_set(s, l2, INTRO_VMCS12, f->encoding, 0x20, &e));
	assert_int_equal(intro_vmcs_history(s, l2, f->encoding, w, 4), 2);
	assert_int_equal(w[0].writer, WRITER_DEBUGGER);
	f = intro_field_find("PIN_BASED_VM_EXEC_CONTROL");
	intro_field_decode(f, 9, &b);
	assert_string_equal(b.data, "external-interrupt exiting, NMI exiting");
	buf_done(&b);
}

static void test_statistics(void **ctx)
{
	struct intro *s = *ctx;
	struct exit_stat top[8];
	struct exit_totals t;
	struct exit_storm storm;
	struct exit_filter f;
	struct err e = {0};
	uint64_t first, end;
	intro_exits_range(s, &first, &end);
	intro_exit_totals(s, &t);
	assert_int_equal(t.transitions, end);
	assert_int_equal(t.exits[1] + t.exits[2] + t.entries, end);
	assert_int_equal(t.exits[1], t.caused);
	assert_true(intro_exit_stats(s, NULL, STAT_BY_DETAIL, top, 8) >= 4);
	assert_true(top[0].count >= top[1].count);
	assert_true(exit_filter_parse(s, "level=l2 reason=CPUID", &f, &e));
	assert_int_equal(intro_exit_stats(s, &f, 0, top, 8), 1);
	assert_true(top[0].cost > 0 && top[0].caused == 2 * top[0].count);
	assert_false(exit_filter_parse(s, "reason=NOPE", &f, &e));
	intro_exit_storm(s, &storm);
	assert_true(storm.storming);
	assert_non_null(strstr(storm.cause, "VMREAD/VMWRITE by L1"));
}

static uint64_t eval(struct intro *s, struct place at, const char *text)
{
	struct err e = {0};
	uint64_t v = 0;
	if (!intro_eval(s, at, text, &v, &e))
		fail_msg("%s: %s", text, e.msg);
	return v;
}

static void test_expressions(void **ctx)
{
	struct intro *s = *ctx;
	struct err e = {0};
	uint64_t v;
	assert_int_equal(eval(s, l2, "1 + 2 * 3 == 7 && !(4 < 3)"), 1);
	assert_int_equal(eval(s, l2, "0 && 1 / 0"), 0);
	assert_int_equal(eval(s, l2, "2 > 1 ? 10 : 20"), 10);
	assert_int_equal(eval(s, l2, "rip"), FAKE_L2_CODE);
	assert_int_equal(eval(s, l2, "guest_work - guest_main"), 0x20);
	assert_int_equal(eval(s, l2, "u8[guest_counter + 0x10]"), 'h');
	assert_int_equal(eval(s, l2, "l1p:u8[0x107010]"), 'h');
	assert_int_equal(eval(s, l2, "vmcs12.HOST_CR4"), 0x2020);
	assert_int_equal(eval(s, l2, "HOST_CR4 & ~0x20"), 0x2000);
	assert_int_equal(eval(s, l2, "EPT_VIOLATION"), 48);
	assert_false(intro_eval(s, l2, "u64[0x600000]", &v, &e));
	memset(&e, 0, sizeof e);
	assert_false(intro_eval(s, l2, "1 +", &v, &e));
	assert_non_null(strstr(e.msg, "operand"));
	memset(&e, 0, sizeof e);
	assert_false(intro_eval(s, l2, "no_such_thing", &v, &e));
}

static void test_agent_bytecode(void **ctx)
{
	struct intro *s = *ctx;
	struct err e = {0};
	uint64_t v;
	/* reg 16 (rip), const32 0x401000, equal, if_goto 12, const8 0, end, const8 1, end */
	const uint8_t code[] = {0x26, 0, 16, 0x24, 0, 0x40, 0x10, 0, 0x13, 0x20, 0, 15, 0x22, 0, 0x27,
		0x22, 1, 0x27};
	struct expr *x = expr_from_agent(code, sizeof code, &e);
	struct expr_env env = {s, l2, NULL, NULL, 0};
	assert_non_null(x);
	assert_true(expr_eval(x, &env, &v, NULL) && v == 1);
	expr_free(x);
	const uint8_t back[] = {0x21, 0, 0, 0x27};
	assert_null(expr_from_agent(back, sizeof back, &e));
}

static void test_breakpoints(void **ctx)
{
	struct intro *s = *ctx;
	struct stop st;
	struct err e = {0};
	stop_init(&st, STOP_BREAK, 2);
	st.address = FAKE_L2_CODE + 0x20;
	st.condition = expr_compile(s, l2, "rbx % 2 == 0", &e);
	assert_non_null(st.condition);
	unsigned id = intro_stop_add(s, &st, &e);
	assert_true(id);
	for (int i = 0; i < 3; i++) {
		assert_true(intro_continue(s, &e));
		const struct stop_event *ev = intro_run(s);
		assert_int_equal(ev->why, WHY_STOP);
		assert_int_equal(ev->stop, id);
		assert_int_equal(ev->at.level, 2);
		assert_int_equal(ev->rip, st.address);
		assert_int_equal(reg(s, l2, R_RBX) % 2, 0);
	}
	assert_int_equal(intro_stop(s, id)->hits, 3);
	/* the same address in L1 is another breakpoint and never hits */
	assert_true(intro_stop_del(s, id));
	stop_init(&st, STOP_BREAK, 1);
	st.address = FAKE_L2_CODE + 0x20;
	assert_true(intro_stop_add(s, &st, &e));
	intro_set_limit(s, reg(s, l2, R_RETIRED) + 500);
	assert_true(intro_continue(s, &e));
	assert_int_equal(intro_run(s)->why, WHY_LIMIT);
}

static void test_steps(void **ctx)
{
	struct intro *s = *ctx;
	struct err e = {0};
	assert_true(intro_step(s, l2, STEP_THROUGH, 1, &e));
	assert_int_equal(intro_run(s)->why, WHY_STEP);
	assert_int_equal(reg(s, l2, R_RIP), FAKE_L2_CODE + 2);
	/* through CPUID: at L1's HOST_RIP */
	assert_true(intro_step(s, l2, STEP_THROUGH, 1, &e));
	assert_int_equal(intro_run(s)->at.level, 1);
	assert_int_equal(intro_last_stop(s)->rip, FAKE_L1_CODE + 0x10);
	/* over the call in L1 */
	assert_true(intro_step(s, l1, STEP_NEXT, 3, &e));
	assert_int_equal(intro_run(s)->rip, FAKE_L1_CODE + 0x1d);
	/* to VMRESUME, then through it into L2 */
	assert_true(intro_step(s, l1, STEP_THROUGH, 2, &e));
	assert_int_equal(intro_run(s)->at.level, 2);
	assert_int_equal(intro_last_stop(s)->rip, FAKE_L2_CODE + 4);
	/* within: the call's OUT exits to L1 and is run over */
	assert_true(intro_step(s, l2, STEP_WITHIN, 5, &e));
	intro_run(s);
	assert_int_equal(intro_last_stop(s)->rip, FAKE_L2_CODE + 0x24);
	assert_true(intro_step(s, l2, STEP_WITHIN, 1, &e));
	intro_run(s);
	assert_int_equal(intro_last_stop(s)->at.level, 2);
	assert_int_equal(intro_last_stop(s)->rip, FAKE_L2_CODE + 0x26);
	assert_true(intro_step(s, l2, STEP_FINISH, 1, &e));
	assert_int_equal(intro_run(s)->rip, FAKE_L2_CODE + 0x11);
}

static void test_watch_and_catch(void **ctx)
{
	struct intro *s = *ctx;
	struct stop st;
	struct err e = {0};
	stop_init(&st, STOP_WATCH, 2);
	st.address = FAKE_L2_DATA;
	st.len = 4;
	unsigned id = intro_stop_add(s, &st, &e);
	assert_true(intro_continue(s, &e));
	const struct stop_event *ev = intro_run(s);
	assert_int_equal(ev->stop, id);
	assert_int_equal(ev->watch_address, FAKE_L2_DATA);
	assert_int_equal(ev->rip, FAKE_L2_CODE + 0xc);
	intro_stop_del(s, id);
	stop_init(&st, STOP_EXIT, 2);
	st.reason = 30;
	st.detail = 0x80;
	id = intro_stop_add(s, &st, &e);
	assert_true(intro_continue(s, &e));
	assert_int_equal(intro_run(s)->stop, id);
	struct exit_record r;
	assert_true(intro_exit(s, intro_last_stop(s)->exit, &r));
	assert_int_equal(r.reason, 30);
	intro_stop_del(s, id);
	stop_init(&st, STOP_VMWRITE, 0);
	st.field = 0x681e;
	id = intro_stop_add(s, &st, &e);
	assert_true(intro_continue(s, &e));
	assert_int_equal(intro_run(s)->stop, id);
}

struct heard {
	unsigned n;
	struct intro *s;
	unsigned self;
};

static void hear(void *ctx, const struct event *ev)
{
	struct heard *h = ctx;
	(void)ev;
	if (++h->n == 3)
		intro_unsubscribe(h->s, h->self); /* from inside its own callback */
}

static void test_events(void **ctx)
{
	struct intro *s = *ctx;
	struct heard h = {.s = s}, never = {.s = s};
	struct event_filter f;
	struct err e = {0};
	event_filter_init(&f, EVENT_REFLECT);
	f.reasons[0] = 1u << 10;
	h.self = intro_subscribe(s, &f, hear, &h, &e);
	assert_true(h.self);
	event_filter_init(&f, EVENT_REFLECT);
	f.expr = expr_compile(s, l2, "reason == HLT", &e);
	assert_true(intro_subscribe(s, &f, hear, &never, &e));
	intro_set_limit(s, reg(s, l2, R_RETIRED) + 2000);
	assert_true(intro_continue(s, &e));
	intro_run(s);
	assert_int_equal(h.n, 3);
	assert_int_equal(never.n, 0);
}

static void test_symbols_and_code(void **ctx)
{
	struct intro *s = *ctx;
	struct symbol y;
	struct insn_text t[4];
	struct buf b = {0};
	struct err e = {0};
	assert_true(intro_symbol_at(s, l2, FAKE_L2_CODE + 6, &y));
	assert_string_equal(y.name, "guest_main");
	assert_false(intro_symbol_at(s, l1, FAKE_L2_CODE + 6, &y));
	intro_symbol_print(s, l2, FAKE_L2_CODE + 6, &b);
	assert_string_equal(b.data, "guest_main+0x6 [recorded-l2]");
	buf_done(&b);
	assert_int_equal(intro_disas(s, l2, FAKE_L2_CODE + 0xc, 0, t, 2, &e), 2);
	assert_string_equal(t[0].text, "call 0x401020 <guest_work>");
	assert_int_equal(t[0].target, FAKE_L2_CODE + 0x20);
	assert_int_equal(intro_disas_back(s, l2, FAKE_L2_CODE + 0xc, 2), FAKE_L2_CODE + 4);
}

static void test_looking_changes_nothing(void **ctx)
{
	struct intro *s = *ctx;
	struct state_hash before, after;
	struct err e = {0};
	struct intro_walk w;
	struct walk_access a = {0};
	struct exit_stat top[8];
	struct insn_text t[4];
	struct frame f[4];
	assert_true(intro_hash(s, &before, &e));
	intro_walk(s, l2, SPACE_VIRTUAL, FAKE_L2_DATA, &a, &w, &e);
	intro_exit_stats(s, NULL, 3, top, 8);
	intro_disas(s, l2, FAKE_L2_CODE, 0, t, 4, &e);
	intro_backtrace(s, l2, f, 4);
	assert_true(intro_hash(s, &after, &e));
	assert_true(before.lo == after.lo && before.hi == after.hi);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {T(test_places), T(test_registers), T(test_memory),
		T(test_walk), T(test_vmcs), T(test_statistics), T(test_expressions),
		T(test_agent_bytecode), T(test_breakpoints), T(test_steps), T(test_watch_and_catch),
		T(test_events), T(test_symbols_and_code), T(test_looking_changes_nothing)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The live backend on our own L1: what it shows is what the run did, and
 * looking changes nothing. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cpu/fp.h"
#include "introspect/autopsy.h"
#include "introspect/exits.h"
#include "introspect/expr.h"
#include "introspect/live.h"
#include "introspect/machine.h"
#include "introspect/memory.h"
#include "introspect/offline.h"
#include "introspect/regs.h"
#include "introspect/run.h"
#include "introspect/symbols.h"
#include "introspect/vmcs.h"
#include "introspect/walk.h"
#include "l0/l0.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct run {
	char image[4200];
	struct l0 *l;
	struct intro *s;
};

static void start(struct run *r, const char *args, const char *l0)
{
	struct err e = {0};
	char self[4096] = "";
	assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
	snprintf(r->image, sizeof r->image, "%s/../../guests/l1.elf", dirname(self));
	struct l0_config cfg = {.mem = 128u << 20, .vcpus = 1, .l0 = l0,
		.load = {.kind = LOAD_MULTIBOOT, .kernel = r->image, .append = args}};
	if (!(r->l = l0_new(&cfg, &e)))
		fail_msg("%s", e.msg);
	r->s = live_session(r->l);
}

static void end(struct run *r)
{
	intro_free(r->s);
	l0_free(r->l);
}

static const struct stop_event *go(struct intro *s)
{
	struct err e = {0};
	if (!intro_continue(s, &e))
		fail_msg("%s", e.msg);
	return intro_run(s);
}

static unsigned catch(struct intro *s, enum stop_kind kind, uint32_t reason)
{
	struct stop st;
	struct err e = {0};
	stop_init(&st, kind, 0);
	st.reason = reason;
	unsigned id = intro_stop_add(s, &st, &e);
	assert_true(id);
	return id;
}

static struct state_hash hash_of(struct run *r)
{
	struct state_hash h;
	struct err e = {0};
	assert_true(intro_hash(r->s, &h, &e));
	return h;
}

static void test_levels_and_registers(void **ctx)
{
	struct run r;
	struct intro_level l[4];
	uint64_t rip, cr3;
	struct reg_value v;
	(void)ctx;
	start(&r, "storm", NULL);
	assert_int_equal(intro_levels(r.s, l, 4), 1);
	catch(r.s, STOP_ENTRY, UINT32_MAX);
	assert_int_equal(go(r.s)->at.level, 2);
	assert_int_equal(intro_levels(r.s, l, 4), 2);
	assert_true(l[1].alive && l[1].entries == 1);
	const struct place l1 = {1, 0}, l2 = {2, 0};
	assert_int_equal(intro_place_state(r.s, l1), PLACE_SAVED);
	assert_true(intro_reg_u64(r.s, l2, R_RIP, &rip));
	assert_int_equal(rip, intro_last_stop(r.s)->rip);
	assert_true(intro_reg_u64(r.s, l1, R_CR3, &cr3)); /* HOST_CR3 */
	/* its controls load no PAT: both levels have the processor's */
	uint64_t pat;
	assert_true(intro_reg_u64(r.s, l1, R_PAT, &pat) && pat == 0x0007040600070406);
	assert_true(intro_reg_u64(r.s, l2, R_PAT, &pat) && pat == 0x0007040600070406);
	assert_false(intro_reg(r.s, l1, R_RAX, &v));      /* L2's for now */
	assert_true(intro_reg(r.s, l2, R_XMM0, &v));
	assert_true(go(r.s)->at.level == 2); /* the next entry: L2 has exited meanwhile */
	intro_step(r.s, l2, STEP_THROUGH, 1, NULL);
	intro_run(r.s);
	end(&r);
}

/* Each transition of a run is in the ring, and the statistics add up. */
static void test_exits(void **ctx)
{
	struct run r;
	struct exit_totals t;
	struct exit_stat top[16];
	struct exit_filter f;
	struct err e = {0};
	(void)ctx;
	start(&r, "storm", NULL);
	assert_int_equal(go(r.s)->why, WHY_EXIT);
	assert_int_equal(intro_last_stop(r.s)->status, 1);
	intro_exit_totals(r.s, &t);
	assert_int_equal(t.to_l1, 2032);
	assert_int_equal(t.entries, 2032);
	assert_int_equal(t.exits[1] + t.exits[2] + t.entries, t.transitions);
	assert_true(exit_filter_parse(r.s, "level=l2 reason=IO_INSTRUCTION kind=reflect", &f, &e));
	assert_int_equal(intro_exit_stats(r.s, &f, 0, top, 16), 1);
	assert_int_equal(top[0].count, 2000);
	assert_true(top[0].cost > 0);
	end(&r);
}

static void test_breakpoint_in_l2_only(void **ctx)
{
	struct run r;
	struct stop st;
	struct err e = {0};
	(void)ctx;
	start(&r, "storm", NULL);
	catch(r.s, STOP_ENTRY, UINT32_MAX);
	uint64_t pc = go(r.s)->rip;
	intro_stop_del_owner(r.s, OWNER_USER, UINT32_MAX);
	stop_init(&st, STOP_BREAK, 1); /* L2's address, L1's level: never hits */
	st.address = pc + 7;
	assert_true(intro_stop_add(r.s, &st, &e));
	stop_init(&st, STOP_EXIT, 2);
	st.once = true;
	assert_true(intro_stop_add(r.s, &st, &e));
	const struct stop_event *ev = go(r.s);
	assert_int_equal(ev->kind, STOP_EXIT);
	end(&r);
}

/* A condition that is asked at every pass; hits are exact, nothing changes. */
static void test_conditional_breakpoint(void **ctx)
{
	struct run r;
	struct stop st;
	struct err e = {0};
	(void)ctx;
	start(&r, "storm", NULL);
	go(r.s);
	struct state_hash alone = hash_of(&r);
	end(&r);
	start(&r, "storm", NULL);
	catch(r.s, STOP_EXIT, 30);
	uint64_t in = go(r.s)->rip; /* L2's port read, once a round */
	intro_stop_del_owner(r.s, OWNER_USER, UINT32_MAX);
	stop_init(&st, STOP_BREAK, 2);
	st.address = in + 1;
	st.condition = expr_compile(r.s, (struct place){2, 0}, "rdi % 500 == 499", &e);
	assert_non_null(st.condition);
	unsigned id = intro_stop_add(r.s, &st, &e);
	unsigned stops = 0;
	while (go(r.s)->why == WHY_STOP)
		stops++;
	assert_int_equal(stops, 4);
	assert_int_equal(intro_stop(r.s, id)->hits, 4);
	struct state_hash looked = hash_of(&r);
	assert_true(alone.lo == looked.lo && alone.hi == looked.hi);
	end(&r);
}

/* stepi on an exiting instruction of L2 stops at L1's HOST_RIP, and stepi on
 * VMRESUME at L2's next instruction. */
static unsigned watch_physical(struct intro *s, unsigned level, uint64_t at, uint64_t len, unsigned access)
{
	struct stop st;
	struct err e = {0};
	stop_init(&st, STOP_WATCH, level);
	st.space = SPACE_PHYSICAL;
	st.address = at;
	st.len = len;
	st.access = access;
	unsigned id = intro_stop_add(s, &st, &e);
	if (!id)
		fail_msg("%s", e.msg);
	return id;
}

/* L1's store and L2's load of one word, by two mappings; the watches on it are
 * all counted. */
static void test_watch_physical(void **ctx)
{
	struct run r;
	(void)ctx;
	start(&r, "storm", NULL);
	unsigned both = watch_physical(r.s, 1, 0x2000500, 4, WATCH_READ | WATCH_WRITE);
	unsigned byte = watch_physical(r.s, 1, 0x2000502, 1, WATCH_WRITE);
	const struct stop_event *ev = go(r.s);
	assert_int_equal(ev->why, WHY_STOP);
	assert_int_equal(ev->stop, both);
	assert_int_equal(ev->at.level, 1);
	assert_int_equal(ev->watch_address, 0x2000500);
	assert_int_equal(ev->watch_space, SPACE_PHYSICAL);
	assert_int_equal(ev->watch_access, WATCH_WRITE);
	assert_false(ev->watch_device);
	assert_int_equal(intro_stop(r.s, byte)->hits, 1);
	ev = go(r.s);
	assert_int_equal(ev->stop, both);
	assert_int_equal(ev->at.level, 2);
	assert_int_equal(ev->watch_access, WATCH_READ);
	assert_int_equal(intro_stop(r.s, both)->hits, 2);
	assert_int_equal(intro_stop(r.s, byte)->hits, 1);
	assert_int_equal(go(r.s)->why, WHY_EXIT);
	end(&r);
}

/* L2 touches 256 pages in turn; L1 maps each when it is touched and takes the
 * last one away. The watch goes where EPT12 leads. */
static void test_watch_follows_ept12(void **ctx)
{
	struct run r;
	(void)ctx;
	start(&r, "ept", NULL);
	unsigned entry = catch(r.s, STOP_ENTRY, UINT32_MAX);
	assert_int_equal(go(r.s)->at.level, 2);
	intro_stop_del(r.s, entry);
	unsigned write = watch_physical(r.s, 2, 0x205000, 4, WATCH_WRITE);
	unsigned read = watch_physical(r.s, 2, 0x204fff, 0x1002, WATCH_READ);
	for (;;) {
		const struct stop_event *ev = go(r.s);
		if (ev->why != WHY_STOP)
			break;
		assert_int_equal(ev->at.level, 2);
		assert_int_equal(ev->watch_level, 2);
		assert_int_equal(ev->watch_space, SPACE_PHYSICAL);
		assert_true(ev->watch_address == 0x205000 ||
			(ev->stop == read && ev->watch_address == 0x206000));
	}
	/* a thousand rounds: 5, 261, 517, 773; and for its end the page behind it */
	assert_int_equal(intro_stop(r.s, write)->hits, 4);
	assert_int_equal(intro_stop(r.s, read)->hits, 8);
	end(&r);
}

static void test_steps_through_the_boundary(void **ctx)
{
	struct run r;
	struct err e = {0};
	struct intro_vmcs_value host;
	struct insn_text t;
	(void)ctx;
	start(&r, "storm", NULL);
	catch(r.s, STOP_EXIT, 30);
	struct place at = go(r.s)->at;
	at = intro_here(r.s); /* the exit has been reflected: L1 */
	intro_stop_del_owner(r.s, OWNER_USER, UINT32_MAX);
	assert_int_equal(at.level, 1);
	assert_true(intro_vmcs_get(r.s, at, INTRO_VMCS12, 0x6c16, &host, &e));
	uint64_t pc;
	assert_true(intro_pc(r.s, at, &pc));
	assert_int_equal(pc, host.value);
	unsigned steps = 0;
	while (intro_here(r.s).level == 1 && steps++ < 2000) {
		intro_pc(r.s, at, &pc);
		assert_int_equal(intro_disas(r.s, at, pc, 0, &t, 1, &e), 1);
		assert_true(intro_step(r.s, at, STEP_THROUGH, 1, &e));
		assert_int_equal(intro_run(r.s)->why, WHY_STEP);
	}
	assert_non_null(strstr(t.text, "vmresume"));
	assert_int_equal(intro_last_stop(r.s)->at.level, 2);
	/* within L2: over the exit of the next IN */
	struct place l2 = intro_here(r.s);
	uint64_t exits = 0, first;
	for (int i = 0; i < 40 && exits < 3; i++) {
		assert_true(intro_step(r.s, l2, STEP_WITHIN, 1, &e));
		assert_int_equal(intro_run(r.s)->at.level, 2);
		intro_exits_range(r.s, &first, &exits);
	}
	end(&r);
}

static void test_autopsy_names_the_planted_errors(void **ctx)
{
	struct run r;
	struct autopsy *x = calloc(1, sizeof *x);
	struct err e = {0};
	(void)ctx;
	start(&r, "entry", NULL);
	go(r.s);
	if (!intro_autopsy(r.s, (struct place){1, 0}, false, x, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(x->kind, AUTOPSY_ENTRY_FAIL);
	assert_int_equal(x->reason, 33);
	assert_int_equal(x->findings, 3);
	for (unsigned i = 0; i < x->findings; i++) {
		assert_true(x->finding[i].fields && x->finding[i].field[0].written);
		assert_non_null(x->finding[i].section);
	}
	free(x);
	end(&r);
}

/* Every page that L2's walk says it reads, memory reads too. */
static void test_walks_agree_with_memory(void **ctx)
{
	struct run r;
	struct err e = {0};
	(void)ctx;
	start(&r, "storm", NULL);
	catch(r.s, STOP_ENTRY, UINT32_MAX);
	go(r.s);
	const struct place l2 = {2, 0};
	unsigned mapped = 0;
	for (uint64_t at = 0; at < 0x400000; at += 0x1000) {
		struct intro_walk w;
		struct walk_access read = {0};
		uint64_t a = 0, b = 0;
		assert_true(intro_walk(r.s, l2, SPACE_VIRTUAL, at, &read, &w, &e));
		bool ok = intro_read_uint(r.s, l2, SPACE_VIRTUAL, at, 8, &a);
		assert_int_equal(ok, w.outcome == WALK_ACCESS_OK);
		if (!ok)
			continue;
		assert_true(intro_read_uint(r.s, l2, SPACE_HOST, w.host.v, 8, &b));
		assert_int_equal(a, b);
		mapped++;
	}
	assert_true(mapped > 10);
	end(&r);
}

/* Regions tile the whole space, and say of each page what translation says. */
static void test_regions_tile_the_space(void **ctx)
{
	struct run r;
	struct err e = {0};
	(void)ctx;
	start(&r, "storm", NULL);
	catch(r.s, STOP_ENTRY, UINT32_MAX);
	go(r.s);
	for (unsigned level = 1; level <= 2; level++) {
		const struct place at = {level, 0};
		struct intro_region g;
		uint64_t next = 0, steps = 0;
		do {
			assert_true(intro_region(r.s, at, SPACE_VIRTUAL, next, &g, &e));
			assert_true(g.from <= next && g.last >= next);
			for (unsigned k = 0; k < 40; k++) {
				uint64_t page = (k & 1 ? g.last - 0x1000 * (k / 2) : next + 0x1000 * (k / 2));
				struct hpa host;
				if (page < next || page > g.last)
					continue;
				assert_int_equal(g.mapped,
					intro_translate(r.s, at, SPACE_VIRTUAL, page, &host, NULL));
			}
			next = g.last + 1;
		} while (next && ++steps < 1000);
		assert_true(steps >= 1 && steps < 1000);
	}
	end(&r);
}

/* What the walk predicts is what the processor delivered. */
static void test_predicted_qualifications(void **ctx)
{
	struct run r;
	struct err e = {0};
	(void)ctx;
	start(&r, "ept", NULL);
	struct stop st;
	stop_init(&st, STOP_EXIT, 2);
	st.reason = 48;
	assert_true(intro_stop_add(r.s, &st, &e));
	unsigned seen = 0;
	while (seen < 100 && go(r.s)->why == WHY_STOP) {
		struct exit_record x;
		struct intro_vmcs_value linear;
		struct intro_walk w;
		assert_true(intro_exit(r.s, intro_last_stop(r.s)->exit, &x));
		if (x.kind != EXIT_REFLECT || !(x.qualification & 0x80))
			continue;
		const struct place l2 = {x.from, x.vcpu};
		struct walk_access a = {.write = x.qualification >> 1 & 1, .fetch = x.qualification >> 2 & 1};
		assert_true(intro_vmcs_get(r.s, l2, INTRO_VMCS12, 0x640a, &linear, &e));
		assert_true(intro_walk(r.s, l2, SPACE_VIRTUAL, linear.value, &a, &w, &e));
		assert_int_equal(w.outcome, WALK_EPT_VIOLATION_L1);
		assert_int_equal(w.error, x.qualification);
		assert_int_equal(w.guest_physical, x.gpa);
		seen++;
	}
	assert_int_equal(seen, 100);
	end(&r);
}

static void test_origin_covers_every_field(void **ctx)
{
	struct run r;
	struct err e = {0};
	(void)ctx;
	start(&r, "storm", NULL);
	catch(r.s, STOP_ENTRY, UINT32_MAX);
	go(r.s);
	for (unsigned i = 0; i < intro_field_count(); i++) {
		const struct intro_field *f = intro_field_at(i);
		struct intro_vmcs_origin o;
		assert_true(intro_vmcs_origin(r.s, (struct place){2, 0}, f->encoding, &o, &e));
		uint64_t all = f->size == 8 ? ~UINT64_C(0) : (UINT64_C(1) << 8 * f->size) - 1;
		assert_int_equal(o.from_l1 | o.from_l0 | o.merged | o.computed, all);
		assert_int_equal(o.from_l1 & o.from_l0, 0);
		assert_non_null(o.rule);
	}
	end(&r);
}

/* The same guest alone, and stopped and stepped and asked about everything. */
static void test_looking_changes_nothing(void **ctx)
{
	struct run r;
	struct err e = {0};
	(void)ctx;
	start(&r, "storm", NULL);
	go(r.s);
	struct state_hash alone = hash_of(&r);
	end(&r);

	start(&r, "storm", NULL);
	unsigned id = catch(r.s, STOP_EXIT, 30);
	for (int i = 0; i < 200; i++) {
		struct intro_walk w;
		struct walk_access a = {.write = true};
		struct reg_value v;
		struct frame f[8];
		struct intro_vmcs_value value;
		const struct stop_event *ev = go(r.s);
		assert_int_equal(ev->why, WHY_STOP);
		intro_walk(r.s, ev->at, SPACE_VIRTUAL, ev->rip, &a, &w, &e);
		for (enum reg_id k = 0; k < R_COUNT; k++)
			intro_reg(r.s, ev->at, k, &v);
		intro_backtrace(r.s, ev->at, f, 8);
		for (unsigned k = 0; k < intro_field_count(); k++)
			for (int w2 = 0; w2 < INTRO_VMCS_COUNT; w2++)
				intro_vmcs_get(r.s, ev->at, w2, intro_field_at(k)->encoding, &value, NULL);
		assert_true(intro_step(r.s, intro_here(r.s), i & 1 ? STEP_THROUGH : STEP_WITHIN, 5, &e));
		intro_run(r.s);
	}
	intro_stop_del(r.s, id);
	while (!intro_last_stop(r.s)->over)
		go(r.s);
	struct state_hash looked = hash_of(&r);
	assert_true(alone.lo == looked.lo && alone.hi == looked.hi);
	end(&r);
}

static void spoil(const char *path, long at)
{
	FILE *f = fopen(path, "r+be");
	assert_non_null(f);
	fseek(f, at, SEEK_SET);
	int c = fgetc(f);
	fseek(f, at, SEEK_SET);
	fputc(c ^ 0xff, f);
	fclose(f);
}

/* A snapshot with L2 running opens by itself, shows the same and runs on to
 * the same end; a damaged one is refused in one line. */
static void test_snapshots(void **ctx)
{
	char path[] = "/tmp/nestscope-snapshot-XXXXXX";
	struct run r;
	struct err e = {0};
	struct intro_vmcs_value a, b;
	int fd = mkstemp(path);
	(void)ctx;
	assert_true(fd >= 0);
	close(fd);
	start(&r, "storm", NULL);
	unsigned id = catch(r.s, STOP_EXIT, 30);
	for (int i = 0; i < 100; i++)
		go(r.s);
	if (!intro_save(r.s, path, &e))
		fail_msg("%s", e.msg);
	struct state_hash saved = hash_of(&r), loaded, end_hash;
	assert_true(intro_vmcs_get(r.s, (struct place){2, 0}, INTRO_VMCS12, 0x681e, &a, &e));
	struct intro *off = intro_open_snapshot(path, &e);
	if (!off)
		fail_msg("%s", e.msg);
	assert_true(intro_hash(off, &loaded, &e));
	assert_true(saved.lo == loaded.lo && saved.hi == loaded.hi);
	assert_true(intro_vmcs_get(off, (struct place){2, 0}, INTRO_VMCS12, 0x681e, &b, &e));
	assert_true(a.value == b.value);
	assert_int_equal(go(off)->why, WHY_EXIT);
	assert_true(intro_hash(off, &loaded, &e));
	intro_free(off);
	intro_stop_del(r.s, id);
	go(r.s);
	end_hash = hash_of(&r);
	assert_true(end_hash.lo == loaded.lo && end_hash.hi == loaded.hi);
	end(&r);
	spoil(path, 2000);
	assert_null(intro_open_snapshot(path, &e));
	assert_null(strchr(e.msg, '\n'));
	assert_int_equal(truncate(path, 100), 0);
	memset(&e, 0, sizeof e);
	assert_null(intro_open_snapshot(path, &e));
	unlink(path);
}

/* A register write is an entry of the input log. */
static void test_changes_are_logged(void **ctx)
{
	struct run r;
	struct err e = {0};
	uint64_t v;
	(void)ctx;
	start(&r, "storm", NULL);
	catch(r.s, STOP_ENTRY, UINT32_MAX);
	struct place at = go(r.s)->at;
	size_t before = intro_inputs(r.s);
	assert_true(intro_set_reg_u64(r.s, at, R_R15, 0x1234, &e));
	assert_true(intro_reg_u64(r.s, at, R_R15, &v) && v == 0x1234);
	assert_true(intro_vmcs_set(r.s, at, INTRO_VMCS12, 0x6c14, 0x5678, &e));
	assert_int_equal(intro_inputs(r.s), before + 2);
	end(&r);
}

int main(void)
{
	struct err e = {0};
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_levels_and_registers),
		cmocka_unit_test(test_exits), cmocka_unit_test(test_breakpoint_in_l2_only),
		cmocka_unit_test(test_conditional_breakpoint),
		cmocka_unit_test(test_watch_physical), cmocka_unit_test(test_watch_follows_ept12),
		cmocka_unit_test(test_steps_through_the_boundary),
		cmocka_unit_test(test_autopsy_names_the_planted_errors),
		cmocka_unit_test(test_walks_agree_with_memory),
		cmocka_unit_test(test_regions_tile_the_space),
		cmocka_unit_test(test_predicted_qualifications),
		cmocka_unit_test(test_origin_covers_every_field),
		cmocka_unit_test(test_looking_changes_nothing), cmocka_unit_test(test_changes_are_logged),
		cmocka_unit_test(test_snapshots)};
	if (!fp_host_init(&e)) {
		fprintf(stderr, "%s\n", e.msg);
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

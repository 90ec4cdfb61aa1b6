/* L0's own log of what L1 writes (use.pml=on): every page is in the set, a log
 * that is full is L0's affair alone, and the guest is the one without a log. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/state.h"
#include "tests/lib/l1_rig.h"

enum { FIRST = 0x200000, PAGES_WRITTEN = 1300 };

static struct rig *start(const char *l0)
{
	struct rig *r = test_calloc(1, sizeof *r);

	rig_start(r, l0);
	return r;
}

static void stop(struct rig *r)
{
	l0_free(r->l);
	test_free(r);
}

/* mov eax, FIRST; mov ecx, pages; 1: mov [rax], ecx; add rax, 1000h; dec ecx; jnz 1b;
 * then `end` */
static size_t writer(uint8_t *out, uint32_t pages, const uint8_t *end, size_t n)
{
	static const uint8_t code[] = {0xb8, 0, 0, 0x20, 0, 0xb9, 0, 0, 0, 0, 0x89, 0x08, 0x48, 0x05, 0,
		0x10, 0, 0, 0xff, 0xc9, 0x75, 0xf4};

	memcpy(out, code, sizeof code);
	memcpy(out + 6, &pages, 4);
	memcpy(out + sizeof code, end, n);
	return sizeof code + n;
}

static void run(struct rig *r, const uint8_t *code, size_t n)
{
	struct l0_limits lim = {.retired = l0_retired(r->l) + 100000};

	assert_true(phys_write(&r->l->machine->phys, hpa(CODE), code, n));
	r->c->rip = CODE;
	r->c->activity = ACTIVITY_ACTIVE;
	assert_int_equal(l0_run(r->l, &lim).why, L0_DEAD);
}

static unsigned full_exits(const struct rig *r, unsigned level)
{
	unsigned n = 0;

	for (uint64_t i = ring_oldest(&r->l->ring); i < r->l->ring.count; i++) {
		const struct ring_record *rec = ring_at(&r->l->ring, i);
		if (rec->from != level || rec->reason != EXIT_REASON_PML_FULL)
			continue;
		assert_int_equal(rec->handler, RING_BY_L0);
		assert_int_equal(rec->to, level);
		n++;
	}
	return n;
}

static void same_end(struct rig *a, struct rig *b)
{
	struct state_hash x = l0_hash(a->l), y = l0_hash(b->l);

	assert_memory_equal(&x, &y, sizeof x);
	assert_int_equal(a->c->retired, b->c->retired);
}

static void all_written(const struct rig *r)
{
	for (uint64_t n = 0; n < PAGES_WRITTEN - DIRTY_LOG_FIRST - 1; n++)
		if (!dirty_has(&r->l->nested->dirty, FIRST + n * PAGE_SIZE))
			fail_msg("page %u is not in the set", (unsigned)n);
	assert_false(dirty_has(&r->l->nested->dirty, FIRST + PAGES_WRITTEN * PAGE_SIZE));
	assert_false(dirty_has(&r->l->nested->dirty, FIRST - PAGE_SIZE));
}

static void test_l1(void **state)
{
	static const uint8_t halt[] = {0xf4};
	struct rig *on = start("use.pml=on"), *off = start(NULL);
	struct dirty *d = &on->l->nested->dirty;
	uint8_t code[64];
	size_t n = writer(code, PAGES_WRITTEN, halt, sizeof halt);

	(void)state;
	run(on, code, n);
	run(off, code, n);
	same_end(on, off);
	assert_int_equal(full_exits(on, 1), PAGES_WRITTEN / 512);
	assert_int_equal(full_exits(off, 1), 0);
	all_written(on);
	uint64_t before = d->count, waiting =
		dirty_waiting(d, &on->l->machine->phys, &on->nv->vmcs01);
	assert_true(before + waiting >= PAGES_WRITTEN && before + waiting < PAGES_WRITTEN + 32);
	/* written again: nothing new */
	run(on, code, n);
	assert_int_equal(full_exits(on, 1), PAGES_WRITTEN / 512);
	assert_int_equal(d->count, before);
	stop(on);
	stop(off);
}

/* The log is full when an event is being delivered, for one of these counts. */
static void test_event_delivery(void **state)
{
	static const uint8_t trap[] = {0xcc};
	unsigned met = 0;

	(void)state;
	for (uint32_t pages = 480; pages < 520; pages++) {
		struct rig *on = start("use.pml=on"), *off = start(NULL);
		uint8_t code[64];
		size_t n = writer(code, pages, trap, sizeof trap);
		on->c->gpr[RSP] = off->c->gpr[RSP] = 0xe00000; /* a page that nobody wrote */
		run(on, code, n);
		run(off, code, n);
		assert_int_equal(on->c->rip, TRAPS + 16 * VEC_BP + 1);
		same_end(on, off);
		if (full_exits(on, 1)) {
			const struct ring_record *rec = ring_at(&on->l->ring, on->l->ring.count - 1);
			met += rec->rip == CODE + n - 1 && rec->reason == EXIT_REASON_PML_FULL;
		}
		stop(on);
		stop(off);
	}
	assert_int_equal(met, 1);
}

/* An L2 without EPT of L1's runs on EPT01. */
static void run_l2(struct rig *r)
{
	static const uint8_t end[] = {0x0f, 0x01, 0xc1}; /* vmcall */
	uint8_t code[64];
	size_t n = writer(code, PAGES_WRITTEN, end, sizeof end);

	rig_current(r);
	rig_write_host(r);
	rig_controls(r, 0, 0, 0, 0, 0);
	rig_write_guest(r, code, n);
	assert_int_equal(rig_l2(r, 100000), EXIT_REASON_VMCALL);
}

static void test_l2_on_ept01(void **state)
{
	struct rig *on = start("use.pml=on,mmu=shadow-on-ept"), *off = start("mmu=shadow-on-ept");

	(void)state;
	run_l2(on);
	run_l2(off);
	same_end(on, off);
	assert_int_equal(full_exits(on, 2), PAGES_WRITTEN / 512);
	assert_int_equal(full_exits(off, 2), 0);
	all_written(on);
	stop(on);
	stop(off);
}

/* What EPT02 lets L2 write is in the set at once. */
static void test_l2_on_ept02(void **state)
{
	static const uint8_t code[] = {0xa3, 0, 0, 0x20, 0, 0, 0, 0, 0, 0x0f, 0x01, 0xc1};
	struct rig *r = start("use.pml=on");

	(void)state;
	rig_current(r);
	rig_write_host(r);
	rig_controls(r, 0, 0, PROC2_ENABLE_EPT, 0, 0);
	assert_int_equal(vmwrite(r, ENC_EPT_POINTER, rig_ept(r, PAGES + 0x10000)), OK);
	rig_write_guest(r, code, sizeof code);
	assert_false(dirty_has(&r->l->nested->dirty, FIRST));
	assert_int_equal(rig_l2(r, 1000), EXIT_REASON_VMCALL);
	assert_true(dirty_has(&r->l->nested->dirty, FIRST));
	stop(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_l1),
		cmocka_unit_test(test_event_delivery), cmocka_unit_test(test_l2_on_ept01),
		cmocka_unit_test(test_l2_on_ept02)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* cpu/tlb.h: what may be answered from a cache of the levels above the last one,
 * and what empties it. SDM Vol. 3A 4.10.4 "Invalidation of TLBs and
 * Paging-Structure Caches"; EPT in nonroot operation. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "cpu/cr.h"
#include "cpu/tlb.h"
#include "tests/lib/bare_cpu.h"

#define ROOT  UINT64_C(0x200000) /* PML4, PDPT, PD, then page tables */
#define PD    (ROOT + 0x2000)
#define PT(n) (ROOT + 0x3000 + 0x1000 * (uint64_t)(n))
#define EPT   UINT64_C(0x300000) /* the same, identity for the first 4 MiB by 4K pages */
#define A     BIT(5)
#define D     BIT(6)
#define PW    3u /* present, writable */

/* Page tables 0 and 1 map pages from 4 MiB and 6 MiB on; PD[1] and PD[3] use
 * them; all other gigabytes of PML4[0] are empty. */
static int setup(void **state)
{
	struct bare *b = calloc(1, sizeof(*b));
	bare_init(b);
	bare_put64(b, ROOT, (ROOT + 0x1000) | PW);
	bare_put64(b, ROOT + 0x1000, PD | PW);
	bare_put64(b, PD, 0x83);
	for (unsigned n = 0; n < 2; n++)
		for (unsigned k = 0; k < 512; k++)
			bare_put64(b, PT(n) + 8 * k, (uint64_t)(4 + 2 * n) << 20 | k << 12 | PW);
	bare_put64(b, PD + 8 * 1, PT(0) | PW);
	bare_put64(b, PD + 8 * 3, PT(1) | PW);
	b->c->cr3 = ROOT;
	b->c->cpl = 0;
	vcpu_state_changed(b->c);
	tlb_select(b->c);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	bare_done(*state);
	free(*state);
	return 0;
}

static uint64_t entry(struct bare *b, uint64_t at)
{
	uint64_t v = 0;
	phys_read(&b->phys, hpa(at), &v, 8);
	return v;
}

/* The host-physical address, or the error code + 1 << 63. */
static uint64_t to(struct bare *b, uint64_t at, enum tlb_want want)
{
	struct tlb_place p;
	if (tlb_resolve(b->c, at, want, ACCESS_DATA, &p) != CPU_DONE)
		return BIT(63) | b->c->fault.error;
	return p.hpa.v;
}

#define MB(n) ((uint64_t)(n) << 20)

static void test_flags(void **state)
{
	struct bare *b = *state;
	assert_true(to(b, MB(2), TLB_READ) == MB(4));
	assert_true(to(b, MB(2) + 0x1234, TLB_READ) == MB(4) + 0x1234);
	assert_true(entry(b, PD + 8) & A);
	assert_int_equal(entry(b, PT(0) + 8) & (A | D), A);
	assert_true(to(b, MB(2) + 0x2008, TLB_WRITE) == MB(4) + 0x2008);
	assert_int_equal(entry(b, PT(0) + 16) & (A | D), A | D);
	assert_int_equal(entry(b, PT(0) + 24) & (A | D), 0);
	/* D of a page whose translation is cached */
	assert_true(to(b, MB(2) + 0x1000, TLB_WRITE) == MB(4) + 0x1000);
	assert_int_equal(entry(b, PT(0) + 8) & (A | D), A | D);
}

static void test_refusals_are_exact(void **state)
{
	struct bare *b = *state;
	assert_true(to(b, MB(2), TLB_READ) == MB(4));
	bare_put64(b, PT(0) + 8 * 5, 0);
	assert_true(to(b, MB(2) + 0x5000, TLB_WRITE) == (BIT(63) | 2));
	bare_put64(b, PT(0) + 8 * 5, MB(4) | 0x5000 | 1);
	assert_true(to(b, MB(2) + 0x5000, TLB_WRITE) == (BIT(63) | 3));
	bare_put64(b, PT(0) + 8 * 5, MB(4) | 0x5000 | PW); /* more rights: no INVLPG needed */
	assert_true(to(b, MB(2) + 0x5000, TLB_WRITE) == (MB(4) | 0x5000));
	/* rights of a level above, taken and given back */
	bare_put64(b, PD + 8, PT(0) | 1 | A);
	tlb_flush_page(b->c, gva(0));
	assert_true(to(b, MB(2) + 0x6000, TLB_READ) == (MB(4) | 0x6000));
	assert_true(to(b, MB(2) + 0x7000, TLB_WRITE) == (BIT(63) | 3));
	assert_true(to(b, MB(2) + 0x6000, TLB_READ) == (MB(4) | 0x6000));
	bare_put64(b, PD + 8, PT(0) | PW | A);
	assert_true(to(b, MB(2) + 0x8000, TLB_WRITE) == (MB(4) | 0x8000));
}

static void move_table(struct bare *b, unsigned n)
{
	bare_put64(b, PD + 8, PT(n) | PW | A);
}

/* Each of these is enough, whatever page it names. */
static void test_what_empties_it(void **state)
{
	struct bare *b = *state;
	struct vcpu *c = b->c;
	uint64_t at = MB(2);
	for (unsigned k = 0; k < 6; k++) {
		assert_true(to(b, at, TLB_READ) == MB(k & 1 ? 6 : 4) + (at - MB(2)));
		move_table(b, !(k & 1));
		switch (k) {
		case 0: tlb_flush_page(c, gva(MB(8))); break;
		case 1: cr3_write(c, ROOT); break;
		case 2: tlb_flush_all(c); break;
		case 3: tlb_flush_pcid_page(c, 0, gva(0)); break;
		case 4: tlb_flush_non_global(c); break;
		case 5: tlb_flush_everything(c); break;
		}
		at += PAGE_SIZE; /* a page that no other cache holds */
		assert_true(to(b, at, TLB_READ) == MB(k & 1 ? 4 : 6) + (at - MB(2)));
		at += PAGE_SIZE;
	}
	/* another root under the same PCID */
	bare_put64(b, ROOT + 0x8000, (ROOT + 0x9000) | PW);
	bare_put64(b, ROOT + 0x9000, (ROOT + 0xa000) | PW);
	bare_put64(b, ROOT + 0xa000 + 8, PT(1) | PW);
	assert_true(to(b, at, TLB_READ) == MB(4) + (at - MB(2)));
	cr3_write(c, ROOT + 0x8000);
	assert_true(to(b, at, TLB_READ) == MB(6) + (at - MB(2)));
}

/* A level above that was not present needs no invalidation. */
static void test_a_new_table(void **state)
{
	struct bare *b = *state;
	assert_true(to(b, MB(2), TLB_READ) == MB(4));
	assert_true(to(b, MB(4), TLB_READ) == BIT(63));
	bare_put64(b, PD + 16, PT(1) | PW);
	assert_true(to(b, MB(4), TLB_READ) == MB(6));
	/* and one 1G further that shares a slot */
	assert_true(to(b, MB(1026), TLB_READ) == BIT(63));
	assert_true(to(b, MB(2) + PAGE_SIZE, TLB_READ) == MB(4) + PAGE_SIZE);
}

/* --- EPT */

static unsigned faults;
static uint64_t fault_gpa;

static enum cpu_step ept_fault(struct vcpu *c, const struct cpu_ept_fault *f)
{
	(void)c;
	faults++;
	fault_gpa = f->gpa.v;
	return CPU_EXIT;
}

static const struct cpu_hooks hooks = {.ept_fault = ept_fault};

static void with_ept(struct bare *b)
{
	bare_put64(b, EPT, (EPT + 0x1000) | 7);
	bare_put64(b, EPT + 0x1000, (EPT + 0x2000) | 7);
	bare_put64(b, EPT + 0x2000 + 0, UINT64_C(0) | 0xb7);
	bare_put64(b, EPT + 0x2000 + 8, MB(2) | 0xb7);
	bare_put64(b, EPT + 0x2000 + 16, (EPT + 0x3000) | 7);
	bare_put64(b, EPT + 0x2000 + 24, MB(10) | 0xb7);
	for (unsigned k = 0; k < 512; k++)
		bare_put64(b, EPT + 0x3000 + 8 * k, MB(8) | (uint64_t)k << 12 | 0x37);
	b->c->hooks = &hooks;
	b->c->nonroot.on = b->c->nonroot.ept = true;
	b->c->nonroot.vpid = 1;
	b->c->nonroot.eptp = EPT | 0x1e;
	vcpu_state_changed(b->c);
	tlb_select(b->c);
	faults = 0;
}

static void test_ept(void **state)
{
	struct bare *b = *state;
	struct tlb_place p;
	with_ept(b);
	assert_true(to(b, MB(2), TLB_READ) == MB(8)); /* by 4K pages of EPT */
	assert_true(to(b, MB(2) + 0x3008, TLB_WRITE) == MB(8) + 0x3008);
	assert_true(to(b, MB(6) + 0x3008, TLB_READ) == MB(10) + 0x3008); /* in a 2M one */
	assert_true(to(b, MB(6) + 0x9008, TLB_READ) == MB(10) + 0x9008);
	/* a page taken away, and given back: the violation itself is enough */
	bare_put64(b, EPT + 0x3000 + 8 * 7, 0);
	assert_int_equal(tlb_resolve(b->c, MB(2) + 0x7000, TLB_READ, ACCESS_DATA, &p), CPU_EXIT);
	assert_int_equal(faults, 1);
	assert_true(fault_gpa == MB(4) + 0x7000);
	bare_put64(b, EPT + 0x3000 + 8 * 7, MB(12) | 0x37);
	assert_true(to(b, MB(2) + 0x7000, TLB_READ) == MB(12));
	/* another table, another large page: INVEPT */
	bare_put64(b, EPT + 0x2000 + 16, MB(12) | 0xb7);
	bare_put64(b, EPT + 0x2000 + 24, MB(14) | 0xb7);
	tlb_invept(b->c, EPT | 0x1e);
	assert_true(to(b, MB(2) + 0x8000, TLB_READ) == MB(12) + 0x8000);
	assert_true(to(b, MB(6) + 0xa008, TLB_READ) == MB(14) + 0xa008);
	/* a large page without the right to write, then with it */
	bare_put64(b, EPT + 0x2000 + 24, MB(14) | 0xb5);
	tlb_invept(b->c, EPT | 0x1e);
	assert_true(to(b, MB(6) + 0xb008, TLB_READ) == MB(14) + 0xb008);
	assert_int_equal(tlb_resolve(b->c, MB(6) + 0xb008, TLB_WRITE, ACCESS_DATA, &p), CPU_EXIT);
	assert_int_equal(faults, 2);
	bare_put64(b, EPT + 0x2000 + 24, MB(14) | 0xb7);
	assert_true(to(b, MB(6) + 0xb008, TLB_WRITE) == MB(14) + 0xb008);
	/* INVVPID drops what came from the guest's tables */
	assert_true(to(b, MB(2) + 0xc000, TLB_READ) == MB(12) + 0xc000);
	move_table(b, 1);
	tlb_invvpid_page(b->c, 1, gva(MB(64)));
	assert_true(to(b, MB(2) + 0xd000, TLB_READ) == MB(14) + 0xd000);
	b->c->nonroot = (struct cpu_nonroot){0};
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_flags, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals_are_exact, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_empties_it, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_new_table, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ept, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

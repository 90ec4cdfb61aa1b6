/* ept/walk.h: every format, every refusal with its error code or exit
 * qualification and its blame, and the A and D flags. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "ept/formats.h"
#include "ept/walk.h"

#define MEM_SIZE 0x10000

struct mem {
	uint8_t byte[MEM_SIZE];
	unsigned reads, sets;
	uint64_t refuse; /* address that cannot be read */
};

static bool mem_read(void *ctx, uint64_t at, unsigned size, uint64_t *value)
{
	struct mem *m = ctx;

	m->reads++;
	if (at + size > MEM_SIZE || at == m->refuse)
		return false;
	*value = 0;
	memcpy(value, m->byte + at, size);
	return true;
}

static bool mem_set(void *ctx, uint64_t at, unsigned size, uint64_t old, uint64_t new_value)
{
	struct mem *m = ctx;
	uint64_t now = 0;

	m->sets++;
	memcpy(&now, m->byte + at, size);
	assert_true(now == old);
	memcpy(m->byte + at, &new_value, size);
	return true;
}

static void put(struct mem *m, uint64_t at, uint64_t v, unsigned size)
{
	memcpy(m->byte + at, &v, size);
}

static uint64_t get(struct mem *m, uint64_t at, unsigned size)
{
	uint64_t v = 0;

	memcpy(&v, m->byte + at, size);
	return v;
}

/* What a test works on; walks with A/D writes. */
struct fix {
	struct mem m;
	struct walk_root root;
	struct walk_access access;
	struct walk_result r;
};

static enum walk_status go(struct fix *f, uint64_t addr)
{
	struct walk_mem m = {&f->m, mem_read, mem_set};

	return ept_walk(&f->root, addr, &f->access, &m, &f->r);
}

#define P_W_U (ENTRY_P | ENTRY_W | ENTRY_U)
#define ADDR4 UINT64_C(0x00007f8040201abc) /* indices 255, 1, 1, 1 */
enum { L4 = 0x1000 + 255 * 8, L3 = 0x2000 + 8, L2 = 0x3000 + 8, L1 = 0x4000 + 8 };

static struct fix four_level(void)
{
	struct fix f = {.root = {.format = WALK_4LEVEL, .root = 0x1000 | 0x18, .phys_bits = 40,
		.page1g = true, .wp = true, .nxe = true}, .m.refuse = UINT64_MAX};

	put(&f.m, L4, 0x2000 | P_W_U, 8);
	put(&f.m, L3, 0x3000 | P_W_U, 8);
	put(&f.m, L2, 0x4000 | P_W_U, 8);
	put(&f.m, L1, 0x12345000 | P_W_U, 8);
	return f;
}

static void expect_fault(struct fix *f, uint64_t addr, uint64_t error, enum walk_blame b,
	unsigned level, uint64_t bad)
{
	assert_int_equal(go(f, addr), WALK_FAULT);
	assert_int_equal(f->r.error, error);
	assert_int_equal(f->r.blame, b);
	assert_int_equal(f->m.sets, 0);
	for (unsigned i = 0; i < f->r.steps; i++) {
		const struct walk_step *s = &f->r.step[i];
		assert_int_equal(s->blame, s->level == level ? b : BLAME_NONE);
		if (s->level == level)
			assert_true(s->bad == bad);
	}
}

static void test_paging_off_is_identity(void **ctx)
{
	(void)ctx;
	struct fix f = {.root = {.format = WALK_NONE}};

	assert_int_equal(go(&f, 0x1234567), WALK_OK);
	assert_true(f.r.pa == 0x1234567 && f.r.steps == 0);
	assert_int_equal(f.m.reads, 0);
}

static void test_4level_pages(void **ctx)
{
	(void)ctx;
	struct fix f = four_level();

	assert_int_equal(go(&f, ADDR4), WALK_OK);
	assert_true(f.r.pa == 0x12345abc && f.r.page_shift == 12 && f.r.steps == 4);
	assert_int_equal(f.r.rights, WALK_R | WALK_W | WALK_X | WALK_U);
	assert_true(f.r.step[0].at == L4 && f.r.step[3].at == L1 && f.r.step[3].leaf);

	put(&f.m, L2, 0x12200000 | P_W_U | ENTRY_PS | ENTRY_G | BIT(12) | BIT(4), 8);
	assert_int_equal(go(&f, ADDR4), WALK_OK);
	assert_true(f.r.pa == 0x12201abc && f.r.page_shift == 21 && f.r.steps == 3);
	assert_true(f.r.global && f.r.memtype == 6);

	put(&f.m, L3, UINT64_C(0x40000000) | P_W_U | ENTRY_PS | UINT64_C(5) << 59, 8);
	assert_int_equal(go(&f, ADDR4), WALK_OK);
	assert_true(f.r.pa == 0x40201abc && f.r.page_shift == 30 && f.r.steps == 2);
	assert_int_equal(f.r.key, 5);
}

static void test_4level_not_present(void **ctx)
{
	(void)ctx;
	static const uint64_t at[] = {0, L1, L2, L3, L4};

	for (unsigned level = 1; level <= 4; level++) {
		struct fix f = four_level();
		/* bits besides P do not matter when it is clear */
		put(&f.m, at[level], UINT64_MAX & ~ENTRY_P, 8);
		expect_fault(&f, ADDR4, 0, BLAME_NOT_PRESENT, level, ENTRY_P);
		assert_int_equal(f.r.steps, 5 - level);
	}
}

static void test_4level_reserved(void **ctx)
{
	(void)ctx;
	static const struct {
		uint64_t at, bits, base;
		unsigned level;
	} row[] = {
		{L4, BIT(40), 0x2000, 4}, {L3, BIT(51), 0x3000, 3}, {L2, BIT(45), 0x4000, 2},
		{L1, BIT(40), 0, 1}, {L4, ENTRY_PS, 0x2000, 4},
		{L3, BIT(13), ENTRY_PS, 3}, {L3, BIT(29), ENTRY_PS, 3},
		{L2, BIT(13), ENTRY_PS, 2}, {L2, BIT(20), ENTRY_PS, 2},
	};

	for (unsigned i = 0; i < sizeof row / sizeof *row; i++) {
		struct fix f = four_level();
		put(&f.m, row[i].at, row[i].base | row[i].bits | P_W_U, 8);
		expect_fault(&f, ADDR4, 9, BLAME_RESERVED, row[i].level, row[i].bits);
	}
	struct fix f = four_level();
	f.root.nxe = false;
	put(&f.m, L2, 0x4000 | P_W_U | ENTRY_XD, 8);
	f.access.fetch = true;
	expect_fault(&f, ADDR4, 9, BLAME_RESERVED, 2, ENTRY_XD);
	f = four_level();
	f.root.page1g = false;
	put(&f.m, L3, P_W_U | ENTRY_PS, 8);
	f.access = (struct walk_access){.user = true, .write = true};
	expect_fault(&f, ADDR4, 15, BLAME_RESERVED, 3, ENTRY_PS);
	f.root.phys_bits = 52;
	f.root.page1g = true;
	put(&f.m, L3, P_W_U | ENTRY_PS | BIT(51), 8);
	assert_int_equal(go(&f, ADDR4), WALK_OK);
	assert_true(f.r.pa == (BIT(51) | 0x201abc));
}

static void test_4level_not_canonical(void **ctx)
{
	(void)ctx;
	struct fix f = four_level();

	assert_int_equal(go(&f, ADDR4 | BIT(47)), WALK_FAULT);
	assert_int_equal(f.r.blame, BLAME_CANONICAL);
	assert_int_equal(f.m.reads, 0);
	assert_int_equal(go(&f, UINT64_C(0xffffff8000000000) | (ADDR4 & 0x7fffffffff)), WALK_FAULT);
	assert_int_equal(f.r.blame, BLAME_NOT_PRESENT);
}

/* Rights with each level as the one that refuses. */
static void test_4level_rights(void **ctx)
{
	(void)ctx;
	static const uint64_t at[] = {0, L1, L2, L3, L4};

	for (unsigned level = 1; level <= 4; level++) {
		struct fix f = four_level();
		uint64_t e = get(&f.m, at[level], 8);

		put(&f.m, at[level], e & ~ENTRY_U, 8);
		f.access = (struct walk_access){.user = true};
		expect_fault(&f, ADDR4, 5, BLAME_USER, level, ENTRY_U);
		f.access = (struct walk_access){.user = true, .fetch = true};
		expect_fault(&f, ADDR4, 0x15, BLAME_USER, level, ENTRY_U);

		put(&f.m, at[level], e & ~ENTRY_W, 8);
		f.access = (struct walk_access){.user = true, .write = true};
		expect_fault(&f, ADDR4, 7, BLAME_WRITE, level, ENTRY_W);
		f.access = (struct walk_access){.write = true};
		expect_fault(&f, ADDR4, 3, BLAME_WRITE, level, ENTRY_W);
		f.root.wp = false;
		assert_int_equal(go(&f, ADDR4), WALK_OK);
		assert_int_equal(f.r.rights, WALK_R | WALK_X | WALK_U);
		f = four_level();

		put(&f.m, at[level], e | ENTRY_XD, 8);
		f.access = (struct walk_access){.fetch = true};
		expect_fault(&f, ADDR4, 0x11, BLAME_FETCH, level, ENTRY_XD);
		f.access = (struct walk_access){.write = true};
		assert_int_equal(go(&f, ADDR4), WALK_OK);
		assert_int_equal(f.r.rights, WALK_R | WALK_W | WALK_U);
	}
}

static void test_smep_and_smap(void **ctx)
{
	(void)ctx;
	struct fix f = four_level();

	f.root.smep = f.root.smap = true;
	f.access = (struct walk_access){.fetch = true};
	expect_fault(&f, ADDR4, 0x11, BLAME_SMEP, 1, ENTRY_U);
	f.access = (struct walk_access){.write = true};
	expect_fault(&f, ADDR4, 3, BLAME_SMAP, 1, ENTRY_U);
	f.root.ac = true;
	assert_int_equal(go(&f, ADDR4), WALK_OK);
	f = four_level();
	f.root.smap = f.root.ac = true;
	f.access = (struct walk_access){.implicit = true};
	expect_fault(&f, ADDR4, 1, BLAME_SMAP, 1, ENTRY_U);
	f.access = (struct walk_access){.user = true};
	f.root.ac = false;
	assert_int_equal(go(&f, ADDR4), WALK_OK);
	/* a supervisor page on one level is a supervisor page */
	f = four_level();
	f.root.smep = f.root.smap = true;
	put(&f.m, L3, 0x3000 | ENTRY_P | ENTRY_W, 8);
	f.access = (struct walk_access){.fetch = true};
	assert_int_equal(go(&f, ADDR4), WALK_OK);
	/* without NXE and SMEP the error code does not tell fetches apart */
	f = four_level();
	f.root.nxe = false;
	put(&f.m, L1, 0, 8);
	f.access = (struct walk_access){.fetch = true};
	expect_fault(&f, ADDR4, 0, BLAME_NOT_PRESENT, 1, ENTRY_P);
	f.root.smep = true;
	expect_fault(&f, ADDR4, 0x10, BLAME_NOT_PRESENT, 1, ENTRY_P);
}

static void test_protection_keys(void **ctx)
{
	(void)ctx;
	struct fix f = four_level();
	const uint64_t leaf = 0x12345000 | P_W_U | UINT64_C(3) << 59, bad = UINT64_C(15) << 59;

	put(&f.m, L1, leaf, 8);
	f.root.pke = true;
	f.root.pkru = 1 << 6; /* AD of key 3 */
	expect_fault(&f, ADDR4, 0x21, BLAME_KEY, 1, bad);
	f.access = (struct walk_access){.user = true, .write = true};
	expect_fault(&f, ADDR4, 0x27, BLAME_KEY, 1, bad);
	f.root.pkru = 2 << 6; /* WD of key 3 */
	expect_fault(&f, ADDR4, 0x27, BLAME_KEY, 1, bad);
	f.access = (struct walk_access){.write = true};
	expect_fault(&f, ADDR4, 0x23, BLAME_KEY, 1, bad);
	f.root.wp = false;
	assert_int_equal(go(&f, ADDR4), WALK_OK);
	f = four_level();
	put(&f.m, L1, leaf, 8);
	f.root.pke = true;
	f.root.pkru = 3 << 6;
	f.access = (struct walk_access){.user = true, .fetch = true};
	assert_int_equal(go(&f, ADDR4), WALK_OK);
	/* the key shows in the error code beside another cause */
	f = four_level();
	put(&f.m, L1, leaf & ~ENTRY_W, 8);
	f.root.pke = true;
	f.root.pkru = 1 << 6;
	f.access = (struct walk_access){.user = true, .write = true};
	expect_fault(&f, ADDR4, 0x27, BLAME_WRITE, 1, ENTRY_W);
	/* supervisor pages have no key */
	put(&f.m, L1, leaf & ~ENTRY_U, 8);
	f.access = (struct walk_access){.write = true};
	assert_int_equal(go(&f, ADDR4), WALK_OK);
}

static void test_accessed_and_dirty(void **ctx)
{
	(void)ctx;
	struct fix f = four_level();

	assert_int_equal(go(&f, ADDR4), WALK_OK);
	assert_int_equal(f.m.sets, 4);
	assert_false(f.r.dirty);
	assert_int_equal(get(&f.m, L4, 8), 0x2000 | P_W_U | ENTRY_A);
	assert_int_equal(get(&f.m, L1, 8), 0x12345000 | P_W_U | ENTRY_A);
	assert_int_equal(f.r.step[3].value, 0x12345000 | P_W_U);
	f.access.write = true;
	assert_int_equal(go(&f, ADDR4), WALK_OK);
	assert_int_equal(f.m.sets, 5);
	assert_true(f.r.dirty);
	assert_int_equal(get(&f.m, L2, 8), 0x4000 | P_W_U | ENTRY_A);
	assert_int_equal(get(&f.m, L1, 8), 0x12345000 | P_W_U | ENTRY_A | ENTRY_D);
	assert_int_equal(go(&f, ADDR4), WALK_OK);
	assert_int_equal(f.m.sets, 5);

	/* without `set` nothing is written */
	struct fix g = four_level();
	struct walk_mem m = {&g.m, mem_read, NULL};
	g.access.write = true;
	assert_int_equal(ept_walk(&g.root, ADDR4, &g.access, &m, &g.r), WALK_OK);
	assert_false(g.r.dirty);
	assert_int_equal(get(&g.m, L1, 8), 0x12345000 | P_W_U);
}

/* One entry that serves all four levels. */
static void test_a_table_that_maps_itself(void **ctx)
{
	(void)ctx;
	struct fix f = four_level();

	put(&f.m, 0x1000 + 256 * 8, 0x1000 | P_W_U, 8);
	f.access.write = true;
	assert_int_equal(go(&f, UINT64_C(0xffff804020100123)), WALK_OK);
	assert_true(f.r.pa == 0x1123 && f.r.dirty);
	assert_int_equal(get(&f.m, 0x1000 + 256 * 8, 8), 0x1000 | P_W_U | ENTRY_A | ENTRY_D);
}

static void test_abort(void **ctx)
{
	(void)ctx;
	struct fix f = four_level();

	f.m.refuse = L2;
	assert_int_equal(go(&f, ADDR4), WALK_ABORT);
	assert_true(f.r.steps == 3 && f.r.step[2].blame == BLAME_ABORT);
	f = four_level();
	put(&f.m, L3, UINT64_C(0xffff000000) | P_W_U, 8); /* outside memory */
	assert_int_equal(go(&f, ADDR4), WALK_ABORT);
}

static void test_32bit(void **ctx)
{
	(void)ctx;
	struct fix f = {.root = {.format = WALK_32BIT, .root = 0x1000, .phys_bits = 36, .pse = true,
		.wp = true}, .m.refuse = UINT64_MAX};
	const uint64_t addr = 0x00c03123; /* indices 3, 3 */

	put(&f.m, 0x1000 + 12, 0x2000 | P_W_U, 4);
	put(&f.m, 0x2000 + 12, 0x80005000 | P_W_U | BIT(7), 4);
	f.access.write = true;
	assert_int_equal(go(&f, addr), WALK_OK);
	assert_true(f.r.pa == 0x80005123 && f.r.memtype == 4);
	assert_int_equal(get(&f.m, 0x2000 + 12, 4), 0x80005000 | P_W_U | BIT(7) | ENTRY_A | ENTRY_D);
	assert_int_equal(f.r.rights, WALK_R | WALK_W | WALK_X | WALK_U);
	/* 4M page, address bits 35:32 in 16:13 */
	put(&f.m, 0x1000 + 12, 0x00800000 | P_W_U | ENTRY_PS | 5 << 13 | BIT(12), 4);
	assert_int_equal(go(&f, addr), WALK_OK);
	assert_true(f.r.pa == UINT64_C(0x500803123) && f.r.page_shift == 22 && f.r.memtype == 4);
	f.m.sets = 0;
	put(&f.m, 0x1000 + 12, 0x00800000 | P_W_U | ENTRY_PS | BIT(17), 4);
	expect_fault(&f, addr, 11, BLAME_RESERVED, 2, BIT(17));
	put(&f.m, 0x1000 + 12, 0x00800000 | P_W_U | ENTRY_PS | BIT(21), 4);
	expect_fault(&f, addr, 11, BLAME_RESERVED, 2, BIT(21));
	/* without PSE, PS is ignored */
	f.root.pse = false;
	put(&f.m, 0x1000 + 12, 0x2000 | P_W_U | ENTRY_PS, 4);
	assert_int_equal(go(&f, addr), WALK_OK);
	assert_true(f.r.pa == 0x80005123);
	f.m.sets = 0;
	put(&f.m, 0x2000 + 12, 0x80005000 | ENTRY_P, 4);
	f.access = (struct walk_access){.user = true};
	expect_fault(&f, addr, 5, BLAME_USER, 1, ENTRY_U);
	/* no XD in this format: a fetch never fails on it */
	f.root.nxe = true;
	f.access = (struct walk_access){.fetch = true};
	assert_int_equal(go(&f, addr), WALK_OK);
	f.m.sets = 0;
	put(&f.m, 0x2000 + 12, 0, 4);
	expect_fault(&f, addr, 0, BLAME_NOT_PRESENT, 1, ENTRY_P);
}

static void test_pae(void **ctx)
{
	(void)ctx;
	struct fix f = {.root = {.format = WALK_PAE, .root = 0x1020, .phys_bits = 36, .wp = true,
		.nxe = true, .pdpte = {0, 0, 0x2001, 0}}, .m.refuse = UINT64_MAX};
	const uint64_t addr = 0x80603123; /* indices 2, 3, 3 */

	put(&f.m, 0x2000 + 24, 0x3000 | P_W_U, 8);
	put(&f.m, 0x3000 + 24, UINT64_C(0x812345000) | P_W_U, 8);
	assert_int_equal(go(&f, addr), WALK_OK);
	assert_true(f.r.pa == UINT64_C(0x812345123) && f.r.steps == 3);
	assert_true(f.r.step[0].at == 0x1020 + 16 && f.r.step[0].level == 3);
	assert_int_equal(f.m.sets, 2);
	f.m.sets = 0;
	expect_fault(&f, 0x40603123, 0, BLAME_NOT_PRESENT, 3, ENTRY_P);
	put(&f.m, 0x3000 + 24, 0x5000 | P_W_U | BIT(52), 8);
	expect_fault(&f, addr, 9, BLAME_RESERVED, 1, BIT(52));
	put(&f.m, 0x3000 + 24, 0x5000 | P_W_U | BIT(36), 8);
	expect_fault(&f, addr, 9, BLAME_RESERVED, 1, BIT(36));
	put(&f.m, 0x3000 + 24, 0x5000 | P_W_U | ENTRY_XD, 8);
	f.access.fetch = true;
	expect_fault(&f, addr, 0x11, BLAME_FETCH, 1, ENTRY_XD);
	f.access = (struct walk_access){.user = true, .write = true};
	put(&f.m, 0x2000 + 24, 0x3000 | ENTRY_P | ENTRY_U, 8);
	expect_fault(&f, addr, 7, BLAME_WRITE, 2, ENTRY_W);
	put(&f.m, 0x2000 + 24, 0x400000 | P_W_U | ENTRY_PS, 8);
	assert_int_equal(go(&f, addr), WALK_OK);
	assert_true(f.r.pa == 0x403123 && f.r.page_shift == 21);
	f.m.sets = 0;
	put(&f.m, 0x2000 + 24, 0x400000 | P_W_U | ENTRY_PS | BIT(20), 8);
	expect_fault(&f, addr, 15, BLAME_RESERVED, 2, BIT(20));
}

#define RWX EPT_RWX
#define WB  (6 << EPT_TYPE_SHIFT)

static struct fix ept(void)
{
	struct fix f = {.root = {.format = WALK_EPT, .root = 0x1000 | 0x1e, .phys_bits = 40,
		.page1g = true, .exec_only = true}, .m.refuse = UINT64_MAX};

	put(&f.m, L4, 0x2000 | RWX, 8);
	put(&f.m, L3, 0x3000 | RWX, 8);
	put(&f.m, L2, 0x4000 | RWX, 8);
	put(&f.m, L1, 0x12345000 | RWX | WB, 8);
	return f;
}

static void test_ept_pages(void **ctx)
{
	(void)ctx;
	struct fix f = ept();

	assert_int_equal(go(&f, ADDR4), WALK_OK);
	assert_true(f.r.pa == 0x12345abc && f.r.page_shift == 12 && f.r.memtype == 6);
	assert_int_equal(f.r.rights, WALK_R | WALK_W | WALK_X | WALK_XU);
	assert_int_equal(f.m.sets, 0);
	put(&f.m, L2, 0x12200000 | RWX | EPT_PS | EPT_IPAT | EPT_SVE, 8);
	assert_int_equal(go(&f, ADDR4), WALK_OK);
	assert_true(f.r.pa == 0x12201abc && f.r.page_shift == 21 && f.r.ignore_pat);
	assert_true(f.r.ve_suppress && f.r.memtype == 0);
	put(&f.m, L3, UINT64_C(0x40000000) | RWX | EPT_PS | WB, 8);
	assert_int_equal(go(&f, ADDR4), WALK_OK);
	assert_true(f.r.pa == 0x40201abc && f.r.page_shift == 30);
}

static void test_ept_violations(void **ctx)
{
	(void)ctx;
	static const uint64_t at[] = {0, L1, L2, L3, L4};
	static const struct {
		struct walk_access a;
		uint64_t qual;
	} who[] = {
		{{.linear = true}, 0x181}, {{.linear = true, .write = true}, 0x182},
		{{.linear = true, .fetch = true}, 0x184}, {{.linear = true, .table = true}, 0x081},
		{{.linear = true, .table = true, .write = true}, 0x083}, {{.table = true}, 0x001},
		{{.write = true}, 0x002},
	};

	for (unsigned level = 1; level <= 4; level++) {
		for (unsigned i = 0; i < sizeof who / sizeof *who; i++) {
			struct fix f = ept();
			f.access = who[i].a;
			put(&f.m, at[level], EPT_SVE, 8);
			assert_int_equal(go(&f, ADDR4), WALK_VIOLATION);
			assert_int_equal(f.r.error, who[i].qual);
			assert_int_equal(f.r.blame, BLAME_NOT_PRESENT);
			assert_int_equal(f.r.steps, 5 - level);
			assert_true(f.r.ve_suppress);
		}
	}
}

static void test_ept_rights(void **ctx)
{
	(void)ctx;
	static const struct {
		unsigned rights;
		struct walk_access a;
		uint64_t qual; /* 0: allowed */
		enum walk_blame blame;
	} row[] = {
		{1, {.linear = true}, 0, BLAME_NONE},
		{1, {.linear = true, .write = true}, 0x18a, BLAME_WRITE},
		{1, {.linear = true, .fetch = true}, 0x18c, BLAME_FETCH},
		{3, {.linear = true, .write = true}, 0, BLAME_NONE},
		{3, {.linear = true, .fetch = true}, 0x19c, BLAME_FETCH},
		{4, {.linear = true}, 0x1a1, BLAME_READ},
		{4, {.linear = true, .write = true}, 0x1a2, BLAME_WRITE},
		{4, {.linear = true, .fetch = true}, 0, BLAME_NONE},
		{5, {.linear = true, .write = true}, 0x1aa, BLAME_WRITE},
		{5, {.linear = true, .fetch = true}, 0, BLAME_NONE},
		{7, {.linear = true, .write = true}, 0, BLAME_NONE},
	};
	static const uint64_t at[] = {L1, L2, L3, L4};

	for (unsigned i = 0; i < sizeof row / sizeof *row; i++) {
		for (unsigned l = 0; l < 4; l++) {
			struct fix f = ept();
			put(&f.m, at[l], (get(&f.m, at[l], 8) & ~EPT_RWX) | row[i].rights, 8);
			f.access = row[i].a;
			assert_int_equal(go(&f, ADDR4), row[i].qual ? WALK_VIOLATION : WALK_OK);
			assert_int_equal(f.r.error, row[i].qual);
			assert_int_equal(f.r.blame, row[i].blame);
			if (row[i].qual)
				assert_int_equal(f.r.step[3 - l].blame, row[i].blame);
		}
	}
}

static void test_ept_misconfigurations(void **ctx)
{
	(void)ctx;
	static const struct {
		uint64_t at, value;
		unsigned level;
		enum walk_blame blame;
		uint64_t bad;
	} row[] = {
		{L1, 2 | WB, 1, BLAME_WRITE_ONLY, 2}, {L1, 6 | WB, 1, BLAME_WRITE_ONLY, 6},
		{L4, 0x2002, 4, BLAME_WRITE_ONLY, 2}, {L3, 0x3006, 3, BLAME_WRITE_ONLY, 6},
		{L1, RWX | 2 << 3, 1, BLAME_MEMTYPE, 2 << 3}, {L1, RWX | 3 << 3, 1, BLAME_MEMTYPE, 3 << 3},
		{L1, RWX | 7 << 3, 1, BLAME_MEMTYPE, 7 << 3},
		{L2, RWX | EPT_PS | 7 << 3, 2, BLAME_MEMTYPE, 7 << 3},
		{L1, RWX | WB | BIT(40), 1, BLAME_RESERVED, BIT(40)},
		{L4, 0x2000 | RWX | BIT(51), 4, BLAME_RESERVED, BIT(51)},
		{L4, 0x2000 | RWX | BIT(3), 4, BLAME_RESERVED, BIT(3)},
		{L4, 0x2000 | RWX | BIT(7), 4, BLAME_RESERVED, BIT(7)},
		{L3, 0x3000 | RWX | BIT(6), 3, BLAME_RESERVED, BIT(6)},
		{L2, 0x4000 | RWX | BIT(4), 2, BLAME_RESERVED, BIT(4)},
		{L3, RWX | WB | EPT_PS | BIT(12), 3, BLAME_RESERVED, BIT(12)},
		{L3, RWX | WB | EPT_PS | BIT(29), 3, BLAME_RESERVED, BIT(29)},
		{L2, RWX | WB | EPT_PS | BIT(20), 2, BLAME_RESERVED, BIT(20)},
	};

	for (unsigned i = 0; i < sizeof row / sizeof *row; i++) {
		struct fix f = ept();
		put(&f.m, row[i].at, row[i].value, 8);
		assert_int_equal(go(&f, ADDR4), WALK_MISCONFIG);
		const struct walk_step *s = &f.r.step[f.r.steps - 1];
		assert_int_equal(s->level, row[i].level);
		assert_int_equal(s->blame, row[i].blame);
		assert_true(s->bad == row[i].bad);
		/* the same bits do not matter in an entry that is not present */
		put(&f.m, row[i].at, row[i].value & ~(uint64_t)7, 8);
		assert_int_equal(go(&f, ADDR4), WALK_VIOLATION);
	}
	struct fix f = ept();
	f.root.exec_only = false;
	put(&f.m, L2, 0x4000 | EPT_X, 8);
	assert_int_equal(go(&f, ADDR4), WALK_MISCONFIG);
	assert_int_equal(f.r.blame, BLAME_WRITE_ONLY);
	f = ept();
	f.root.page1g = false;
	put(&f.m, L3, RWX | WB | EPT_PS, 8);
	assert_int_equal(go(&f, ADDR4), WALK_MISCONFIG);
	assert_int_equal(f.r.blame, BLAME_RESERVED);
}

static void test_ept_accessed_and_dirty(void **ctx)
{
	(void)ctx;
	struct fix f = ept();

	f.root.ad = true;
	assert_int_equal(go(&f, ADDR4), WALK_OK);
	assert_true(f.m.sets == 4 && !f.r.dirty);
	assert_int_equal(get(&f.m, L4, 8), 0x2000 | RWX | EPT_A);
	f.access = (struct walk_access){.linear = true, .write = true};
	assert_int_equal(go(&f, ADDR4), WALK_OK);
	assert_true(f.m.sets == 5 && f.r.dirty);
	assert_int_equal(get(&f.m, L1, 8), 0x12345000 | RWX | WB | EPT_A | EPT_D);
	/* guest-table accesses count as writes */
	f = ept();
	f.root.ad = true;
	f.access = (struct walk_access){.linear = true, .table = true};
	assert_int_equal(go(&f, ADDR4), WALK_OK);
	assert_true(f.r.dirty);
	f = ept();
	f.root.ad = true;
	f.access = (struct walk_access){.linear = true, .table = true};
	put(&f.m, L2, 0x4000 | EPT_R | EPT_X, 8);
	assert_int_equal(go(&f, ADDR4), WALK_VIOLATION);
	assert_int_equal(f.r.error, 0x0ab);
	assert_int_equal(f.m.sets, 0);
	f.root.ad = false;
	assert_int_equal(go(&f, ADDR4), WALK_OK);
}

static void test_ept_mode_based_execute(void **ctx)
{
	(void)ctx;
	struct fix f = ept();
	const struct walk_access super = {.linear = true, .fetch = true};
	const struct walk_access user = {.linear = true, .fetch = true, .linear_user = true};

	f.root.mbec = true;
	f.access = super;
	for (int i = 0; i < 3; i++)
		put(&f.m, (const uint64_t[]){L4, L3, L2}[i],
			get(&f.m, (const uint64_t[]){L4, L3, L2}[i], 8) | EPT_XU, 8);
	assert_int_equal(go(&f, ADDR4), WALK_OK);
	f.access = user;
	assert_int_equal(go(&f, ADDR4), WALK_VIOLATION);
	assert_int_equal(f.r.error, 0x1bc);
	assert_true(f.r.step[3].blame == BLAME_FETCH && f.r.step[3].bad == EPT_XU);
	put(&f.m, L1, 0x12345000 | EPT_R | EPT_XU | WB, 8);
	assert_int_equal(go(&f, ADDR4), WALK_OK);
	f.access = super;
	assert_int_equal(go(&f, ADDR4), WALK_VIOLATION);
	assert_int_equal(f.r.error, 0x1cc);
	/* present by bit 10 alone */
	put(&f.m, L1, 0x12345000 | EPT_XU | WB, 8);
	f.access = user;
	assert_int_equal(go(&f, ADDR4), WALK_OK);
	f.root.exec_only = false;
	assert_int_equal(go(&f, ADDR4), WALK_MISCONFIG);
	assert_true(f.r.blame == BLAME_WRITE_ONLY && f.r.step[3].bad == EPT_XU);
	f.root.mbec = false;
	assert_int_equal(go(&f, ADDR4), WALK_VIOLATION);
	assert_int_equal(f.r.blame, BLAME_NOT_PRESENT);
}

static void test_names(void **ctx)
{
	(void)ctx;
	for (int b = 0; b <= BLAME_ABORT; b++)
		assert_string_not_equal(walk_blame_name(b), "unknown");
	assert_string_equal(walk_level_name(WALK_EPT, 4), "EPT PML4E");
	assert_string_equal(walk_level_name(WALK_PAE, 1), "PTE");
	assert_string_equal(walk_level_name(WALK_PAE, 9), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_paging_off_is_identity),
		cmocka_unit_test(test_4level_pages), cmocka_unit_test(test_4level_not_present),
		cmocka_unit_test(test_4level_reserved), cmocka_unit_test(test_4level_not_canonical),
		cmocka_unit_test(test_4level_rights), cmocka_unit_test(test_smep_and_smap),
		cmocka_unit_test(test_protection_keys), cmocka_unit_test(test_accessed_and_dirty),
		cmocka_unit_test(test_a_table_that_maps_itself), cmocka_unit_test(test_abort),
		cmocka_unit_test(test_32bit), cmocka_unit_test(test_pae),
		cmocka_unit_test(test_ept_pages), cmocka_unit_test(test_ept_violations),
		cmocka_unit_test(test_ept_rights), cmocka_unit_test(test_ept_misconfigurations),
		cmocka_unit_test(test_ept_accessed_and_dirty),
		cmocka_unit_test(test_ept_mode_based_execute), cmocka_unit_test(test_names)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Shadow page tables against the walker itself, on random tables: what the
 * processor finds in the shadow tables is what the guest's tables say, for
 * every kind of access; after the invalidation that a change asks for,
 * nothing stale is left.
 */
#include "cpu/vcpu.h"
#include "l0/shadow/mmu.h"
#include "l0/shadow/pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define MEM    (UINT64_C(1) << 20) /* guest memory: tables, and pages that they map */
#define TABLES 24u                 /* pages that random entries point to as tables */

struct fixture {
	struct phys phys;
	struct private_mem mem;
	struct shadow_mmu m;
	struct shadow_space sp;
	struct shadow_regs r;
	struct walk_root guest; /* with AC and PKRU of the access */
	uint64_t seed;
	unsigned flushes;
	uint64_t va[64];        /* addresses in use */
	bool once;              /* a leaf was filled for this access alone */
	unsigned onces;
};

static uint64_t rnd(struct fixture *f)
{
	f->seed ^= f->seed << 13;
	f->seed ^= f->seed >> 7;
	f->seed ^= f->seed << 17;
	return f->seed;
}

static void flushed(void *ctx)
{
	struct fixture *f = ctx;

	f->flushes++;
}

static void page_flushed(void *ctx, uint64_t va)
{
	(void)va;
	flushed(ctx);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err e = {0};

	f->seed = 0x12345678abcdef;
	phys_init(&f->phys);
	if (!phys_add(&f->phys, PHYS_RAM, hpa(0), MEM, "ram", &e) ||
		!private_init(&f->mem, &f->phys, 64 << 20, &e))
		return -1;
	shadow_init(&f->m, &f->mem, &f->phys, 36);
	f->m.flush = flushed;
	f->m.flush_page = page_flushed;
	f->m.flush_ctx = f;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	shadow_done(&f->m);
	private_done(&f->mem);
	phys_done(&f->phys);
	free(f);
	return 0;
}

static bool read_mem(void *ctx, uint64_t at, unsigned size, uint64_t *value)
{
	struct fixture *f = ctx;

	*value = 0;
	if (!phys_read(&f->phys, hpa(at), value, size))
		*value = size == 4 ? UINT32_MAX : UINT64_MAX;
	return true;
}

/* --- random tables */

static unsigned entry_size(const struct fixture *f)
{
	return f->guest.format == WALK_32BIT ? 4 : 8;
}

/* Mostly well-formed: else few walks would get anywhere. */
static uint64_t random_entry(struct fixture *f)
{
	uint64_t r = rnd(f), e = (r % TABLES) << 12;

	if (r >> 8 & 1)
		e = (r >> 20 & (MEM / PAGE_SIZE - 1)) << 12;
	e |= (r >> 32 & 7) ? ENTRY_P : 0;
	e |= (r >> 35 & 3) ? ENTRY_W : 0;
	e |= (r >> 37 & 3) ? ENTRY_U : 0;
	e |= (r >> 39 & 1) ? ENTRY_A : 0;
	e |= (r >> 40 & 1) ? ENTRY_D : 0;
	e |= (r >> 41 & 7) ? 0 : ENTRY_G;
	e |= r & (BIT(3) | BIT(4));
	if (!(r >> 44 & 3)) { /* large: its low address bits are reserved */
		e = (e & 0xf7f) | ENTRY_PS;
		if (r >> 46 & 1)
			e |= 1 << 22;
	}
	if (f->guest.format == WALK_32BIT)
		return e;
	e |= (r >> 48 & 7) ? 0 : ENTRY_XD;
	e |= f->guest.format == WALK_4LEVEL ? (r >> 51 & 3) << 59 : 0;
	e |= (r >> 54 & 63) ? 0 : BIT(40); /* reserved */
	return e;
}

static void write_entry(struct fixture *f, uint64_t at, uint64_t e)
{
	phys_write(&f->phys, hpa(at), &e, entry_size(f));
}

static void random_tables(struct fixture *f)
{
	unsigned size = entry_size(f);

	for (uint64_t at = 0; at < TABLES * PAGE_SIZE; at += size)
		write_entry(f, at, random_entry(f));
}

static void random_registers(struct fixture *f)
{
	uint64_t r = rnd(f);
	unsigned format = r % 3;

	memset(&f->r, 0, sizeof(f->r));
	f->r.cr0 = CR0_PE | CR0_PG | (r >> 8 & 3 ? CR0_WP : 0);
	f->r.cr3 = (r >> 16) % TABLES << 12;
	f->r.cr4 = format ? CR4_PAE : r >> 10 & 1 ? CR4_PSE : 0;
	f->r.cr4 |= r >> 11 & 1 ? CR4_SMEP : 0;
	f->r.efer = r >> 14 & 1 && format ? EFER_NXE : 0;
	if (format == 2)
		f->r.efer |= EFER_LME | EFER_LMA;
	f->r.cr4 |= r >> 12 & 1 ? CR4_SMAP : 0;
	f->r.cr4 |= r >> 13 & 1 && format == 2 ? CR4_PKE : 0;
	for (unsigned i = 0; i < 4; i++)
		f->r.pdpte[i] = (r >> (20 + 5 * i)) % TABLES << 12 | (r >> (40 + i) & 1);
	f->guest = shadow_guest_root(&f->m, &f->r);
}

/* Few addresses, so that the same entries meet again and again. */
static void random_addresses(struct fixture *f)
{
	for (unsigned i = 0; i < 64; i++) {
		uint64_t r = rnd(f), va = (r & 3) << 12 | (r >> 2 & 3) << 21 | (r >> 4 & 3) << 30 |
			(r >> 6 & 3) << 39 | (r >> 8 & 7) << 22;
		if (f->guest.format != WALK_4LEVEL)
			va = (uint32_t)va;
		else if (r >> 20 & 1)
			va |= UINT64_C(0xffff) << 48 | BIT(47);
		f->va[i] = va | (r >> 24 & 0xfff);
	}
}

/* --- the processor */

static struct walk_root hardware_root(struct fixture *f)
{
	struct shadow_regs hw = shadow_hardware(&f->m, &f->sp, &f->r);
	struct walk_root root = {.format = hw.efer & EFER_LMA ? WALK_4LEVEL : WALK_PAE,
		.root = hw.cr3,
		.phys_bits = 46,
		.page1g = true,
		.wp = hw.cr0 & CR0_WP,
		.nxe = hw.efer & EFER_NXE,
		.smep = hw.cr4 & CR4_SMEP,
		.smap = hw.cr4 & CR4_SMAP,
		.ac = f->guest.ac,
		.pke = hw.cr4 & CR4_PKE,
		.pkru = f->guest.pkru};

	memcpy(root.pdpte, hw.pdpte, sizeof(root.pdpte));
	assert_true(root.wp && root.nxe);
	return root;
}

/* One access as processor and L0 make it together; the error code that the
 * guest gets, or -1 with *pa. */
static int64_t access_through_shadow(
	struct fixture *f, uint64_t va, const struct walk_access *a, uint64_t *pa)
{
	const struct walk_mem mem = {f, read_mem, NULL};

	for (unsigned tries = 0; tries < 3; tries++) {
		struct walk_root hw = hardware_root(f);
		struct walk_access seen = *a;
		struct walk_result found, guest;
		if (ept_walk(&hw, va, a, &mem, &found) == WALK_OK) {
			*pa = found.pa;
			return -1;
		}
		seen.implicit = a->implicit && a->user; /* an exit does not tell */
		switch (shadow_fill(&f->m, &f->sp, &f->guest, va, &seen, &guest)) {
		case SHADOW_FAULT:
			return (int64_t)guest.error;
		case SHADOW_REFUSED:
			return (int64_t)found.error;
		case SHADOW_FILLED_ONCE:
			f->once = true;
			break;
		case SHADOW_FILLED:
			break;
		}
	}
	fail_msg("no progress at %llx", (unsigned long long)va);
	return 0;
}

static void one_access(struct fixture *f)
{
	const struct walk_mem mem = {f, read_mem, NULL};
	uint64_t r = rnd(f), va = f->va[r & 63], pa = 0;
	struct walk_access a = {.write = r >> 8 & 1, .user = r >> 9 & 1};
	struct walk_result want, now;
	int64_t error;

	a.fetch = !a.write && r >> 10 & 1;
	a.implicit = !a.user && !a.fetch && r >> 11 & 1;
	if (a.write && !(f->r.cr0 & CR0_WP)) /* part of the liberty that shadow/mmu.h states */
		a.implicit = false;
	f->guest.ac = r >> 12 & 1;
	f->guest.pkru = (uint32_t)(r >> 16);
	bool ok = ept_walk(&f->guest, va, &a, &mem, &want) == WALK_OK;
	error = access_through_shadow(f, va, &a, &pa);
	if (!ok) {
		assert_int_equal(error, want.error);
		return;
	}
	assert_int_equal(error, -1);
	assert_int_equal(pa, want.pa);
	/* accessed on the way, dirty after a write */
	ept_walk(&f->guest, va, &a, &mem, &now);
	for (unsigned i = f->guest.format == WALK_PAE; i < now.steps; i++)
		assert_true(now.step[i].value & ENTRY_A);
	if (a.write)
		assert_true(now.step[now.steps - 1].value & ENTRY_D);
	if (f->once)
		shadow_over(&f->m);
	f->onces += f->once;
	f->once = false;
}

/* --- changes */

static void reload(struct fixture *f)
{
	shadow_enter(&f->m, &f->sp, &f->r, true);
}

static void change_some(struct fixture *f)
{
	unsigned size = entry_size(f);

	for (unsigned n = rnd(f) % 40; n; n--)
		write_entry(f, rnd(f) % (TABLES * PAGE_SIZE) / size * size, random_entry(f));
	/* entries that are in use */
	for (unsigned n = rnd(f) % 8; n; n--) {
		const struct walk_mem mem = {f, read_mem, NULL};
		const struct walk_access a = {0};
		struct walk_result w;
		ept_walk(&f->guest, f->va[rnd(f) & 63], &a, &mem, &w);
		unsigned first = f->guest.format == WALK_PAE;
		if (w.steps > first)
			write_entry(f, w.step[first + rnd(f) % (w.steps - first)].at, random_entry(f));
	}
}

/* One leaf that is in use changes; INVLPG for that address alone. */
static void change_one_leaf(struct fixture *f)
{
	const struct walk_mem mem = {f, read_mem, NULL};
	const struct walk_access a = {0};
	uint64_t va = f->va[rnd(f) & 63], page = PAGE_MASK;
	struct walk_result w;

	if (ept_walk(&f->guest, va, &a, &mem, &w) != WALK_OK)
		return;
	page <<= w.page_shift - 12;
	write_entry(f, w.step[w.steps - 1].at, random_entry(f));
	/* tables here map each other and themselves: all that may have changed */
	for (unsigned i = 0; i < 64; i++)
		shadow_invlpg(&f->m, &f->sp, f->va[i]);
}

static void rounds(struct fixture *f, unsigned tables, unsigned per_table)
{
	for (unsigned t = 0; t < tables; t++) {
		random_registers(f);
		random_tables(f);
		random_addresses(f);
		reload(f);
		for (unsigned i = 0; i < per_table; i++) {
			switch (rnd(f) % 16) {
			case 0:
				change_some(f);
				reload(f);
				break;
			case 1:
				change_one_leaf(f);
				break;
			default:
				one_access(f);
				break;
			}
		}
	}
}

static void agrees_with_the_guests_tables(void **state)
{
	struct fixture *f = *state;

	rounds(f, 3000, 200);
	assert_true(f->onces > 100);
}

/* With room for a few pages only, all starts afresh again and again. */
static void agrees_when_pages_run_out(void **state)
{
	struct fixture *f = *state;
	uint32_t top = f->mem.pages;

	f->mem.pages = f->mem.top + 24;
	rounds(f, 300, 200);
	assert_true(f->m.drops > 0);
	f->mem.pages = top;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(agrees_with_the_guests_tables, set_up, tear_down),
		cmocka_unit_test_setup_teardown(agrees_when_pages_run_out, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What introspection claims about tables and VMCSs, against other sources:
 * walks against an independent reading of the same tables, for every page and
 * access kind; the origin of VMCS02's bits against what L0's keys change; the
 * TLB report against a mapping that was changed behind the TLB's back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cpu/fp.h"
#include "introspect/live.h"
#include "introspect/machine.h"
#include "introspect/offline.h"
#include "introspect/regs.h"
#include "introspect/run.h"
#include "introspect/vmcs.h"
#include "introspect/walk.h"
#include "machine/machine.h"
#include "tests/lib/l1_machine.h"

#include <fcntl.h>
#include <string.h>

struct run {
	struct l0 *l;
	struct intro *s;
};

static const struct place l2 = {2, 0};

static void start(struct run *r, const char *args, const char *l0)
{
	r->l = l1_machine(args, 1, l0);
	r->s = live_session(r->l);
}

static void end(struct run *r)
{
	intro_free(r->s);
	l0_free(r->l);
}

/* Runs to the n-th entry into L2. */
static void to_entry(struct run *r, unsigned n)
{
	struct stop st;
	struct err e = {0};
	stop_init(&st, STOP_ENTRY, 0);
	st.ignore = n - 1;
	assert_true(intro_stop_add(r->s, &st, &e));
	assert_true(intro_continue(r->s, &e));
	assert_int_equal(intro_run(r->s)->why, WHY_STOP);
}

/* --- an independent reading ------------------------------------------------------ */

/* L2-physical to L1-physical by EPT12, four levels; rights in *rights. */
static bool read_ept(struct run *r, uint64_t eptp, uint64_t pa, unsigned *rights, uint64_t *out)
{
	uint64_t table = eptp & 0xfffffffff000, entry = 0;
	*rights = 7;
	for (int shift = 39; shift >= 12; shift -= 9) {
		uint64_t at = table + 8 * (pa >> shift & 511);
		assert_true(intro_read_uint(r->s, (struct place){1, 0}, SPACE_PHYSICAL, at, 8, &entry));
		*rights &= entry & 7;
		if (!(entry & 7))
			return false;
		table = entry & 0xfffffffff000;
		if (shift == 12 || (shift < 39 && entry & 0x80)) {
			uint64_t mask = (UINT64_C(1) << shift) - 1;
			*out = (table & ~mask) | (pa & mask);
			return true;
		}
	}
	return false;
}

enum verdict { FINE, FAULT, VIOLATION };

/* One access by L2's 4-level tables and EPT12, read entry by entry. */
static enum verdict by_hand(struct run *r, uint64_t cr3, uint64_t eptp, uint64_t cr0, uint64_t lin,
	const struct walk_access *a, uint64_t *l1p)
{
	uint64_t table = cr3 & 0xfffffffff000, entry = 0, pa;
	unsigned rights;
	bool w = true, u = true, x = true;
	for (int shift = 39;; shift -= 9) {
		if (!read_ept(r, eptp, table + 8 * (lin >> shift & 511), &rights, &pa) || !(rights & 1))
			return VIOLATION;
		assert_true(intro_read_uint(r->s, (struct place){1, 0}, SPACE_PHYSICAL, pa, 8, &entry));
		if (!(entry & 1))
			return FAULT;
		w &= entry >> 1 & 1;
		u &= entry >> 2 & 1;
		x &= !(entry >> 63);
		table = entry & 0xfffffffff000;
		if (shift == 12 || (shift < 39 && entry & 0x80)) {
			uint64_t mask = (UINT64_C(1) << shift) - 1;
			pa = (table & ~mask) | (lin & mask);
			break;
		}
	}
	if ((a->user && !u) || (a->write && !w && (a->user || cr0 >> 16 & 1)) || (a->fetch && !x))
		return FAULT;
	if (!read_ept(r, eptp, pa, &rights, l1p))
		return VIOLATION;
	return rights & (a->write ? 2 : a->fetch ? 4 : 1) ? FINE : VIOLATION;
}

static unsigned compare_pages(struct run *r, uint64_t from, uint64_t to)
{
	struct intro_vmcs_value eptp;
	struct err e = {0};
	uint64_t cr0, cr3;
	unsigned kinds[3] = {0};
	assert_true(intro_vmcs_get(r->s, l2, INTRO_VMCS12, 0x201a, &eptp, &e));
	assert_true(intro_reg_u64(r->s, l2, R_CR0, &cr0) && intro_reg_u64(r->s, l2, R_CR3, &cr3));
	for (uint64_t at = from; at < to; at += 0x1000) {
		for (unsigned k = 0; k < 6; k++) {
			struct walk_access a = {.write = k % 3 == 1, .fetch = k % 3 == 2, .user = k > 2};
			struct intro_walk w;
			uint64_t l1p = 0;
			assert_true(intro_walk(r->s, l2, SPACE_VIRTUAL, at, &a, &w, &e));
			enum verdict v = by_hand(r, cr3, eptp.value, cr0, at, &a, &l1p);
			kinds[v]++;
			assert_int_equal(w.outcome, v == FINE ? WALK_ACCESS_OK : v == FAULT ?
				WALK_PAGE_FAULT : WALK_EPT_VIOLATION_L1);
			if (v == FINE)
				assert_int_equal(w.host.v, l1p); /* EPT01 is one to one below the hole */
		}
	}
	return (kinds[FINE] > 0) + (kinds[FAULT] > 0) + (kinds[VIOLATION] > 0);
}

static void test_walks_against_another_reader(void **ctx)
{
	static const struct {
		const char *name;
		unsigned entry;
	} guests[] = {{"storm", 5}, {"paging", 1}, {"ept", 1}, {"ept", 500}};
	unsigned seen = 0;
	(void)ctx;
	for (unsigned i = 0; i < sizeof guests / sizeof *guests; i++) {
		struct run r;
		start(&r, guests[i].name, NULL);
		to_entry(&r, guests[i].entry);
		unsigned kinds = compare_pages(&r, 0, 64 << 20);
		kinds += compare_pages(&r, UINT64_C(0x7fffffff0000), UINT64_C(0x800000000000));
		seen = kinds > seen ? kinds : seen;
		end(&r);
	}
	assert_true(seen >= 3);
}

/* --- the origin of VMCS02's bits -------------------------------------------------- */

struct snapshot {
	uint64_t v12[256], v02[256];
	struct intro_vmcs_origin origin[256];
};

static void take(const char *l0, struct snapshot *out)
{
	struct run r;
	struct err e = {0};
	start(&r, "storm", l0);
	to_entry(&r, 3);
	assert_true(intro_field_count() <= 256);
	for (unsigned i = 0; i < intro_field_count(); i++) {
		uint32_t enc = intro_field_at(i)->encoding;
		struct intro_vmcs_value v;
		if (intro_vmcs_get(r.s, l2, INTRO_VMCS12, enc, &v, &e))
			out->v12[i] = v.value;
		if (intro_vmcs_get(r.s, l2, INTRO_VMCS02, enc, &v, &e))
			out->v02[i] = v.value;
		assert_true(intro_vmcs_origin(r.s, l2, enc, &out->origin[i], &e));
	}
	end(&r);
}

/* Fields that an exit or L2's own running writes: what stands in VMCS02 is L2's. */
static bool moves(const struct intro_field *f)
{
	return f->read_only || !strncmp(f->name, "GUEST_", 6) || !strncmp(f->name, "HOST_", 5) ||
		!strncmp(f->name, "VM_ENTRY_INTR", 13) || strstr(f->name, "PREEMPTION");
}

/* A bit that is said to be L1's equals VMCS12's; a bit that changes with one of
 * L0's keys is not said to be L1's alone. */
static void test_origin_against_keys(void **ctx)
{
	static const char *const keys[] = {"use.shadow-vmcs=off", "use.vpid=off", "mmu=shadow-on-ept",
		"cap.apicv=off", "cap.unrestricted=off"};
	struct snapshot *base = calloc(1, sizeof *base), *other = calloc(1, sizeof *other);
	unsigned changed = 0;
	(void)ctx;
	take(NULL, base);
	for (unsigned k = 0; k < sizeof keys / sizeof *keys; k++) {
		take(keys[k], other);
		for (unsigned i = 0; i < intro_field_count(); i++) {
			const struct intro_field *f = intro_field_at(i);
			if (moves(f))
				continue;
			uint64_t l1 = other->origin[i].from_l1;
			if ((other->v02[i] ^ other->v12[i]) & l1)
				fail_msg("%s with %s: L1's bits are 0x%llx, VMCS02 has 0x%llx, VMCS12 0x%llx",
					f->name, keys[k], (unsigned long long)l1,
					(unsigned long long)other->v02[i], (unsigned long long)other->v12[i]);
			/* the same VMCS12, another VMCS02: the key's doing */
			uint64_t by_key = (base->v02[i] ^ other->v02[i]) & ~(base->v12[i] ^ other->v12[i]);
			changed += by_key != 0;
			if (by_key & base->origin[i].from_l1 & other->origin[i].from_l1)
				fail_msg("%s changes 0x%llx of %s, which are said to be L1's alone", keys[k],
					(unsigned long long)by_key, f->name);
		}
	}
	assert_true(changed > 0);
	free(base);
	free(other);
}

/* --- stale translations ------------------------------------------------------------ */

/* A page-table entry of L2 changed behind the TLB: the walk says that the TLB
 * holds something else, and which instruction is missing. */
static void test_stale_tlb_is_told(void **ctx)
{
	struct run r;
	struct err e = {0};
	struct intro_walk w;
	struct walk_access read = {0};
	(void)ctx;
	start(&r, "storm", NULL);
	to_entry(&r, 5);
	assert_true(intro_step(r.s, l2, STEP_THROUGH, 1, &e)); /* L2 runs: its pages are cached */
	intro_run(r.s);
	uint64_t pc, was;
	assert_true(intro_pc(r.s, l2, &pc));
	assert_true(intro_walk(r.s, l2, SPACE_VIRTUAL, pc, &read, &w, &e));
	assert_int_equal(w.outcome, WALK_ACCESS_OK);
	assert_true(w.tlb_cached && !w.tlb_stale);
	const struct walk_step *leaf = &w.guest.result.step[w.guest.result.steps - 1];
	struct hpa host;
	assert_true(intro_translate(r.s, l2, SPACE_PHYSICAL, leaf->at, &host, NULL));
	was = leaf->value & ~UINT64_C(1);
	/* past the debugger's own write, which would flush: as a device would */
	assert_true(phys_write(&r.l->machine->phys, host, &was, 8));
	assert_true(intro_walk(r.s, l2, SPACE_VIRTUAL, pc, &read, &w, &e));
	assert_int_equal(w.outcome, WALK_PAGE_FAULT);
	assert_true(w.tlb_cached && w.tlb_stale);
	assert_non_null(strstr(w.tlb_missing, "INVLPG"));
	end(&r);
}

/* --- snapshots --------------------------------------------------------------------- */

/* How this process has a file open: the access mode, or -1. */
static int open_as(const char *path)
{
	char link[64], to[256];
	for (int fd = 3; fd < 256; fd++) {
		snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		ssize_t n = readlink(link, to, sizeof to - 1);
		if (n > 0 && (to[n] = 0, !strcmp(to, path)))
			return fcntl(fd, F_GETFL) & O_ACCMODE;
	}
	return -1;
}

/* A snapshot names its machine's disks; opening it alone writes to none of them. */
static void test_snapshot_opens_no_disk_for_writing(void **ctx)
{
	char disk[] = "/tmp/nestscope-disk-XXXXXX", snap[] = "/tmp/nestscope-snap-XXXXXX", spec[64];
	int fd = mkstemp(disk), fd2 = mkstemp(snap);
	struct err e = {0};
	(void)ctx;
	assert_true(fd >= 0 && fd2 >= 0 && !ftruncate(fd, 1 << 20));
	close(fd);
	close(fd2);
	snprintf(spec, sizeof spec, "%s,write", disk);
	struct l0_config cfg = {.mem = 32u << 20, .vcpus = 1, .disk = {spec}, .disks = 1};
	struct l0 *l = l0_new(&cfg, &e);
	if (!l)
		fail_msg("%s", e.msg);
	struct intro *s = live_session(l);
	assert_int_equal(open_as(disk), O_RDWR);
	if (!intro_save(s, snap, &e))
		fail_msg("%s", e.msg);
	intro_free(s);
	l0_free(l);
	assert_null(intro_open_snapshot(snap, &e));
	assert_non_null(strstr(e.msg, "use load"));
	assert_int_equal(open_as(disk), -1);
	unlink(disk);
	unlink(snap);
}

int main(void)
{
	struct err e = {0};
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_walks_against_another_reader),
		cmocka_unit_test(test_origin_against_keys), cmocka_unit_test(test_stale_tlb_is_told),
		cmocka_unit_test(test_snapshot_opens_no_disk_for_writing)};
	if (!fp_host_init(&e)) {
		fprintf(stderr, "%s\n", e.msg);
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

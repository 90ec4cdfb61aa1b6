/* The whole walk of one access: guest tables, EPT12, EPT01, beside EPT02.
 *
 * Each stage is one ept_walk(); the entries of a stage are read through the
 * next one, and what those nested walks came to is kept per entry. Reading
 * never writes A or D.
 */
#include "introspect/private.h"

#include <string.h>

const char *walk_table_name(enum walk_table t)
{
	static const char *const names[TABLES] = {"guest", "ept12", "ept01", "ept02", "shadow"};
	return names[t];
}

struct walker {
	struct intro *s;
	struct intro_walk *w;
	unsigned entry;             /* guest entry that is being read */
	struct walk_nested *failed; /* the nested walk that stopped the guest's */
};

bool intro_root(struct intro *s, struct place at, enum walk_table table, struct walk_root *out)
{
	return intro_place_state(s, at) != PLACE_NONE && s->ops->root(s->ctx, at, table, out);
}

static bool host_entry(void *ctx, uint64_t at, unsigned size, uint64_t *value)
{
	struct walker *k = ctx;
	*value = 0;
	return k->s->ops->host_read(k->s->ctx, hpa(at), value, size) == MEM_OK;
}

/* Entries of EPT12 are L1-physical: EPT01 leads to them. */
static bool l1p_entry(void *ctx, uint64_t at, unsigned size, uint64_t *value)
{
	struct walker *k = ctx;
	struct hpa host;
	struct intro_mem_fail fail;
	*value = 0;
	return intro_translate(k->s, (struct place){LEVEL_L1, k->w->at.vcpu}, SPACE_PHYSICAL, at,
		       &host, &fail) &&
		host_entry(k, host.v, size, value);
}

static enum walk_status stage(struct walker *k, struct walk_stage *st, enum walk_table table,
	uint64_t in, const struct walk_access *access)
{
	const struct walk_mem mem = {k, table == TABLE_EPT12 ? l1p_entry : host_entry, NULL};
	st->done = true;
	st->table = table;
	st->in = in;
	return st->status = ept_walk(&st->root, in, access, &mem, &st->result);
}

/* A physical address of the level through EPT12 (for an L2) and EPT01. */
static bool nested(struct walker *k, struct walk_nested *n, uint64_t pa,
	const struct walk_access *access)
{
	uint64_t l1p = pa;
	n->done = true;
	if (k->w->at.level >= LEVEL_L2 &&
		intro_root(k->s, k->w->at, TABLE_EPT12, &n->ept12.root)) {
		if (stage(k, &n->ept12, TABLE_EPT12, pa, access) != WALK_OK)
			return false;
		l1p = n->ept12.result.pa;
	}
	n->host = hpa(l1p);
	if (intro_root(k->s, k->w->at, TABLE_EPT01, &n->ept01.root)) {
		if (stage(k, &n->ept01, TABLE_EPT01, l1p, access) != WALK_OK)
			return false;
		n->host = hpa(n->ept01.result.pa);
	}
	return n->reached = true;
}

/* Entries of the guest's tables are physical addresses of its level. */
static bool guest_entry(void *ctx, uint64_t at, unsigned size, uint64_t *value)
{
	struct walker *k = ctx;
	struct walk_access table = {.linear = true, .table = true};
	struct walk_nested *n = &k->w->table[k->entry++ & 3];
	if (!nested(k, n, at, &table)) {
		k->failed = n;
		return false;
	}
	return host_entry(k, n->host.v, size, value);
}

/* --- the answer ---------------------------------------------------------------- */

static void blame_stage(struct intro_walk *w, const struct walk_stage *st, int entry)
{
	w->blamed = st->table;
	w->blamed_step = st->result.steps ? st->result.steps - 1 : 0;
	for (unsigned i = 0; i < st->result.steps; i++) {
		if (st->result.step[i].blame != BLAME_NONE) {
			w->blamed_step = i;
			break;
		}
	}
	w->blamed_entry = entry;
	w->error = st->result.error;
}

static void blame_nested(struct intro_walk *w, const struct walk_nested *n, int entry)
{
	const struct walk_stage *st = n->ept12.done && n->ept12.status != WALK_OK ? &n->ept12 :
		n->ept01.done && n->ept01.status != WALK_OK ? &n->ept01 : NULL;
	w->outcome = WALK_UNKNOWN;
	if (!st)
		return;
	blame_stage(w, st, entry);
	if (w->at.level >= LEVEL_L2 && n->ept12.done)
		w->guest_physical = n->ept12.in;
	else
		w->guest_physical = st->in;
	if (st->status == WALK_ABORT)
		return;
	if (st == &n->ept12)
		w->outcome = st->status == WALK_MISCONFIG ? WALK_EPT_MISCONFIG_L1 :
			WALK_EPT_VIOLATION_L1;
	else
		w->outcome = WALK_EPT_VIOLATION_L0;
}

/* SDM Vol. 3A 11.5.2.2 "Selecting Memory Types for Pentium 4, Intel Xeon, and
 * P6 Family Processors" with the EPT type in the place of the MTRRs (Vol. 3C
 * 28.3.7.2 "Memory Type Used for Translated Guest-Physical Addresses"). */
static uint8_t combine_types(unsigned ept, unsigned pat)
{
	if (pat == 0 || pat == 1) /* UC and WC win */
		return (uint8_t)pat;
	if (pat == 7) /* UC-: WC by the other side, else UC */
		return ept == 1 ? 1 : 0;
	if (ept == 0 || pat == 6)
		return (uint8_t)ept;
	if (ept == 6 || ept == pat)
		return (uint8_t)pat;
	return 0;
}

static unsigned pat_type(struct intro *s, struct place at, unsigned index)
{
	uint64_t pat = UINT64_C(0x0007040600070406);
	intro_reg_u64(s, at, R_PAT, &pat);
	return pat >> (8 * (index & 7)) & 7;
}

static void effective(struct walker *k)
{
	struct intro_walk *w = k->w;
	const struct walk_stage *st[] = {&w->guest, &w->final.ept12, &w->final.ept01};
	unsigned type = 6;
	w->rights = WALK_R | WALK_W | WALK_X | WALK_U;
	w->page_shift = 63;
	for (int i = 0; i < 3; i++) {
		if (!st[i]->done || st[i]->status != WALK_OK || st[i]->root.format == WALK_NONE)
			continue;
		uint8_t r = st[i]->result.rights;
		w->rights &= i ? r | WALK_U : r;
		if (st[i]->result.page_shift && st[i]->result.page_shift < w->page_shift)
			w->page_shift = st[i]->result.page_shift;
		if (i)
			type = type < st[i]->result.memtype ? type : st[i]->result.memtype;
	}
	if (w->page_shift == 63)
		w->page_shift = 12;
	bool ignore_pat = (w->final.ept12.done && w->final.ept12.result.ignore_pat) ||
		!w->guest.done || w->guest.root.format == WALK_NONE;
	w->memtype = ignore_pat ? (uint8_t)type :
		combine_types(type, pat_type(k->s, w->at, w->guest.result.memtype));
}

/* EPT02 beside them: where L0's merge leads. */
static void merged(struct walker *k, uint64_t pa, const struct walk_access *access)
{
	struct intro_walk *w = k->w;
	if (w->at.level < LEVEL_L2 || !intro_root(k->s, w->at, TABLE_EPT02, &w->ept02.root))
		return;
	bool ok = stage(k, &w->ept02, TABLE_EPT02, pa, access) == WALK_OK;
	/* a leaf that is not filled yet is no difference: the merge is lazy */
	if (ok)
		w->ept02_differs = !w->final.reached ||
			(w->final.host.v & PAGE_MASK) != (w->ept02.result.pa & PAGE_MASK);
}

/* The shadow tables beside the guest's: filled on demand, stale as a TLB is. */
static void shadowed(struct walker *k, const struct walk_access *access)
{
	struct intro_walk *w = k->w;
	if (w->space != SPACE_VIRTUAL || !intro_root(k->s, w->at, TABLE_SHADOW, &w->shadow.root))
		return;
	if (stage(k, &w->shadow, TABLE_SHADOW, w->address, access) == WALK_OK)
		w->shadow_differs = w->outcome != WALK_ACCESS_OK ||
			(w->final.host.v & PAGE_MASK) != (w->shadow.result.pa & PAGE_MASK);
}

static void tlb(struct walker *k)
{
	struct intro_walk *w = k->w;
	if (w->space != SPACE_VIRTUAL || !k->s->ops->tlb_peek)
		return;
	w->tlb_cached = k->s->ops->tlb_peek(
		k->s->ctx, w->at, w->address, &w->tlb_page, &w->tlb_writable);
	if (!w->tlb_cached)
		return;
	bool guest_moved = w->guest.done && w->guest.status != WALK_OK;
	bool moved = !w->final.reached ||
		(w->final.host.v & PAGE_MASK) != (w->tlb_page.v & PAGE_MASK);
	bool narrowed = w->outcome == WALK_ACCESS_OK && w->tlb_writable && !(w->rights & WALK_W);
	w->tlb_stale = moved || narrowed;
	if (!w->tlb_stale)
		return;
	if (w->at.level < LEVEL_L2 || guest_moved)
		w->tlb_missing = "INVLPG, or MOV to CR3";
	else if (w->ept02.done && w->ept02.status == WALK_OK && !w->ept02_differs)
		w->tlb_missing = "INVLPG in the guest, or INVVPID by L1";
	else
		w->tlb_missing = "INVEPT by L1";
}

static void walk_linear(struct walker *k, const struct walk_access *access)
{
	struct intro_walk *w = k->w;
	const struct walk_mem mem = {k, guest_entry, NULL};
	uint64_t pa = w->address;
	if (w->guest.root.format == WALK_NONE) {
		pa = (uint32_t)pa;
	} else {
		w->guest.done = true;
		w->guest.in = w->address;
		if (w->guest.root.format == WALK_PAE)
			k->entry = 1; /* the first entry is a register */
		w->guest.status = ept_walk(&w->guest.root, w->address, access, &mem, &w->guest.result);
		if (w->guest.status == WALK_FAULT) {
			bool gp = w->guest.result.blame == BLAME_CANONICAL;
			blame_stage(w, &w->guest, -1);
			w->outcome = gp ? WALK_GP : WALK_PAGE_FAULT;
			return;
		}
		if (w->guest.status != WALK_OK) {
			w->outcome = WALK_UNKNOWN;
			if (k->failed)
				blame_nested(w, k->failed, (int)(k->failed - w->table));
			return;
		}
		pa = w->guest.result.pa;
	}
	struct walk_access fin = *access;
	fin.linear = true;
	fin.linear_user = w->guest.done && (w->guest.result.rights & WALK_U);
	w->guest_physical = pa;
	if (!nested(k, &w->final, pa, &fin))
		blame_nested(w, &w->final, -1);
	merged(k, pa, &fin);
}

bool intro_walk(struct intro *s, struct place at, enum intro_space space, uint64_t address,
	const struct walk_access *access, struct intro_walk *out, struct err *e)
{
	struct walker k = {.s = s, .w = out};
	memset(out, 0, sizeof *out);
	out->at = at;
	out->space = space;
	out->address = address;
	out->access = *access;
	out->blamed_entry = -1;
	if (!intro_check(s, at, e))
		return false;
	if (space == SPACE_HOST)
		return err_set(e, ERR_GENERAL, "host-physical addresses have no tables to walk; "
			"give an address of a level: l1:, l2:, l1p: or l2p:");
	if (space == SPACE_VIRTUAL) {
		if (!intro_root(s, at, TABLE_GUEST, &out->guest.root))
			return err_set(e, ERR_GENERAL, "the page tables of this level are not known");
		walk_linear(&k, access);
	} else {
		struct walk_access plain = *access;
		plain.linear = false;
		out->guest_physical = address;
		if (!nested(&k, &out->final, address, &plain))
			blame_nested(out, &out->final, -1);
		merged(&k, address, &plain);
	}
	if (out->outcome == WALK_ACCESS_OK) {
		out->host = out->final.host;
		effective(&k);
	}
	shadowed(&k, access);
	tlb(&k);
	return true;
}

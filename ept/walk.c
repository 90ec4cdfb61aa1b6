/* The walk: one loop over a format's rows.
 *
 * The loop stops at the first entry that is not present or not legal; rights
 * are the AND of all levels and are looked at once, at the end; then A and D
 * are written, top level first. Which level is to blame is worked out only
 * when something failed.
 */
#include "ept/walk.h"
#include "ept/formats.h"

/* The state of one walk. */
struct walk {
	const struct format *f;
	const struct walk_root *root;
	const struct walk_access *access;
	const struct walk_mem *mem;
	struct walk_result *out;
	uint64_t reserved; /* in every present entry */
	uint64_t present;  /* any of these makes an entry present */
	uint64_t rights;   /* AND of the levels */
	uint8_t illegal;   /* bit n: an entry with low three bits n is illegal */
	bool write;        /* the access counts as a write */
};

static inline bool is_leaf(const struct walk *w, const struct format_level *l, uint64_t e)
{
	switch (l->leaf) {
	case LEAF_ALWAYS:
		return true;
	case LEAF_PS:
		return e & ENTRY_PS;
	case LEAF_PSE:
		return (e & ENTRY_PS) && w->root->pse;
	case LEAF_PAGE1G:
		return (e & ENTRY_PS) && w->root->page1g;
	default:
		return false;
	}
}

static enum walk_status blame(struct walk *w, enum walk_blame b, uint64_t bad)
{
	struct walk_step *s = &w->out->step[w->out->steps - 1];

	w->out->blame = s->blame = b;
	s->bad = bad;
	return w->f->ept && b != BLAME_NOT_PRESENT && b != BLAME_ABORT ? WALK_MISCONFIG :
		b == BLAME_ABORT ? WALK_ABORT :
		w->f->ept ? WALK_VIOLATION : WALK_FAULT;
}

/* Bits of a present entry that must be 0 here. */
static inline uint64_t reserved_bits(
	const struct walk *w, const struct format_level *l, bool leaf)
{
	uint64_t r = w->reserved | (leaf ? l->reserved_leaf : l->reserved_table);

	if (l->leaf == LEAF_PAGE1G && !leaf)
		r |= w->root->page1g ? 0 : ENTRY_PS;
	if (l->leaf == LEAF_PSE && leaf && w->root->phys_bits < 40)
		r |= (BIT(8) - 1) << 13 & ~((BIT(w->root->phys_bits - 32) - 1) << 13);
	return r;
}

/* WALK_OK while the entry is present and legal. */
static inline enum walk_status check_entry(
	struct walk *w, const struct format_level *l, uint64_t e, bool leaf)
{
	if (!(e & w->present))
		return blame(w, BLAME_NOT_PRESENT, w->present);
	uint64_t bad = e & reserved_bits(w, l, leaf);
	if (!w->f->ept)
		return bad ? blame(w, BLAME_RESERVED, bad) : WALK_OK;
	if (w->illegal >> (e & EPT_RWX) & 1)
		return blame(w, BLAME_WRITE_ONLY, e & EPT_RWX);
	if (w->root->mbec && !w->root->exec_only && (e & (EPT_XU | EPT_R)) == EPT_XU)
		return blame(w, BLAME_WRITE_ONLY, EPT_XU);
	if (bad)
		return blame(w, BLAME_RESERVED, bad);
	/* memory types 2, 3 and 7 do not exist */
	if (leaf && 0x8c >> (e >> EPT_TYPE_SHIFT & 7) & 1)
		return blame(w, BLAME_MEMTYPE, e & EPT_TYPE);
	return WALK_OK;
}

/* Down to the leaf; rights and the leaf's address are gathered on the way. */
static inline enum walk_status descend(struct walk *w, uint64_t addr, uint64_t table)
{
	const struct format *f = w->f;
	struct walk_result *out = w->out;

	for (unsigned level = w->root->upper ? 1 : f->top;; level--) {
		const struct format_level *l = &f->level[level];
		struct walk_step *s = &out->step[out->steps++];
		uint64_t e = 0;

		s->level = level;
		s->leaf = false;
		s->blame = BLAME_NONE;
		s->bad = 0;
		s->at = table + (addr >> l->shift & f->index_mask) * f->size;
		if (!w->mem->read(w->mem->ctx, s->at, f->size, &e)) {
			s->value = 0;
			return blame(w, BLAME_ABORT, 0);
		}
		s->value = e;
		bool leaf = s->leaf = is_leaf(w, l, e);
		if (level == 1)
			out->upper = (struct walk_upper){table, w->rights};
		w->rights &= e ^ f->invert;
		enum walk_status st = check_entry(w, l, e, leaf);
		if (st != WALK_OK)
			return st;
		if (!leaf) {
			table = e & f->table;
			continue;
		}
		uint64_t offset = BIT(l->shift) - 1, base = e & f->table & ~offset;
		if (l->leaf == LEAF_PSE)
			base |= (e >> 13 & 0xff) << 32;
		out->page_shift = l->shift;
		out->pa = base | (addr & offset);
		return WALK_OK;
	}
}

/* Writes A on every level and D on the leaf where they are missing. */
static enum walk_status set_flags(struct walk *w)
{
	struct walk_result *out = w->out;
	uint64_t now[4];

	for (unsigned i = 0; i < out->steps; i++)
		now[i] = out->step[i].value;
	for (unsigned i = w->root->format == WALK_PAE ? 1 : 0; i < out->steps; i++) {
		const struct walk_step *s = &out->step[i];
		uint64_t want = now[i] | w->f->accessed;
		if (s->leaf && w->write)
			want |= w->f->dirty;
		if (want == now[i])
			continue;
		if (!w->mem->set(w->mem->ctx, s->at, w->f->size, now[i], want)) {
			out->steps = i + 1;
			return blame(w, BLAME_ABORT, 0);
		}
		/* a table that maps itself: the same entry on several levels */
		for (unsigned j = i + 1; j < out->steps; j++)
			if (out->step[j].at == s->at)
				now[j] |= want;
		if (s->leaf)
			out->dirty = want & w->f->dirty;
	}
	return WALK_OK;
}

/* Marks the first level whose entry lacks `bit` (has it, when it forbids). */
static void blame_level(struct walk *w, enum walk_blame b, uint64_t bit)
{
	struct walk_result *out = w->out;

	out->blame = b;
	for (unsigned i = w->root->format == WALK_PAE ? 1 : 0; i < out->steps; i++) {
		struct walk_step *s = &out->step[i];
		if ((s->value ^ w->f->invert) & bit)
			continue;
		s->blame = b;
		s->bad = bit;
		return;
	}
}

/* For rules about the page as a whole (SMEP, SMAP, keys). */
static void blame_leaf(struct walk *w, enum walk_blame b, uint64_t bits)
{
	struct walk_step *s = &w->out->step[w->out->steps - 1];

	w->out->blame = s->blame = b;
	s->bad = bits;
}

/* The protection-key part of the error code, SDM Vol. 3A 4.6.2 "Protection
 * Keys": 0 or bit 5. */
static inline uint64_t key_error(const struct walk *w)
{
	const struct walk_root *r = w->root;

	if (!r->pke || w->access->fetch || r->format != WALK_4LEVEL || !(w->rights & ENTRY_U))
		return 0;
	unsigned rights = r->pkru >> (2 * w->out->key) & 3;
	bool no = (rights & 1) ||
		((rights & 2) && w->access->write && (w->access->user || r->wp));
	return no ? BIT(5) : 0;
}

/* SDM Vol. 3A 4.6.1 "Determination of Access Rights": what refuses the
 * access, or BLAME_NONE. */
static inline bool guest_allowed(struct walk *w)
{
	const struct walk_root *r = w->root;
	const struct walk_access *a = w->access;
	bool user_page = w->rights & ENTRY_U;

	if (a->user && !user_page)
		return blame_level(w, BLAME_USER, ENTRY_U), false;
	if (!a->user && user_page && a->fetch && r->smep)
		return blame_leaf(w, BLAME_SMEP, ENTRY_U), false;
	if (!a->user && user_page && !a->fetch && r->smap && (a->implicit || !r->ac))
		return blame_leaf(w, BLAME_SMAP, ENTRY_U), false;
	if (a->fetch && !(w->rights & ENTRY_XD) && r->nxe && w->f->invert)
		return blame_level(w, BLAME_FETCH, ENTRY_XD), false;
	if (a->write && !(w->rights & ENTRY_W) && (a->user || r->wp))
		return blame_level(w, BLAME_WRITE, ENTRY_W), false;
	if (key_error(w))
		return blame_leaf(w, BLAME_KEY, UINT64_C(0xf) << 59), false;
	return true;
}

/* The #PF error code, SDM Vol. 3A 4.7 "Page-Fault Exceptions". */
static enum walk_status guest_fault(struct walk *w, bool complete)
{
	const struct walk_access *a = w->access;
	uint64_t error = 0;

	if (w->out->blame != BLAME_NOT_PRESENT && w->out->blame != BLAME_CANONICAL)
		error |= BIT(0);
	error |= a->write ? BIT(1) : 0;
	error |= a->user ? BIT(2) : 0;
	error |= w->out->blame == BLAME_RESERVED ? BIT(3) : 0;
	if (a->fetch && (w->root->smep || (w->f->invert && w->root->nxe)))
		error |= BIT(4);
	if (complete)
		error |= key_error(w);
	w->out->error = error;
	return WALK_FAULT;
}

static inline void guest_result(struct walk *w)
{
	struct walk_result *out = w->out;
	uint64_t leaf = out->step[out->steps - 1].value;
	uint64_t pat = leaf >> (out->page_shift == 12 ? 7 : 12) & 1;

	out->rights = WALK_R | (w->rights & ENTRY_W ? WALK_W : 0) |
		(w->rights & ENTRY_U ? WALK_U : 0) |
		(w->rights & ENTRY_XD || !w->f->invert || !w->root->nxe ? WALK_X : 0);
	out->global = leaf & ENTRY_G;
	out->dirty = leaf & ENTRY_D;
	out->key = w->root->format == WALK_4LEVEL ? leaf >> 59 & 15 : 0;
	out->memtype = pat << 2 | (leaf >> 3 & 3);
}

static enum walk_status walk_guest(struct walk *w, uint64_t addr, uint64_t table)
{
	enum walk_status st = descend(w, addr, table);

	if (st != WALK_OK)
		return st == WALK_ABORT ? st : guest_fault(w, false);
	guest_result(w);
	if (!guest_allowed(w))
		return guest_fault(w, true);
	return w->mem->set ? set_flags(w) : WALK_OK;
}

/* The registers stand in for the first level, SDM Vol. 3A 4.4.1 "PDPTE
 * Registers"; their reserved bits were checked when CR3 was loaded. */
static enum walk_status walk_pae(struct walk *w, uint64_t addr)
{
	unsigned n = addr >> 30 & 3;
	struct walk_step *s = &w->out->step[w->out->steps++];

	*s = (struct walk_step){.level = 3, .value = w->root->pdpte[n],
		.at = (w->root->root & w->f->root) + 8 * n};
	if (!(s->value & ENTRY_P))
		return blame(w, BLAME_NOT_PRESENT, ENTRY_P), guest_fault(w, false);
	return walk_guest(w, addr, s->value & w->f->table);
}

/* The exit qualification, SDM Vol. 3C 27.2.1 "Basic VM-Exit Information"
 * table 27-7, without bit 12, which only the VM exit knows. */
static enum walk_status ept_violation(struct walk *w)
{
	const struct walk_access *a = w->access;
	uint64_t q = a->fetch ? BIT(2) : a->write ? BIT(1) : BIT(0);

	/* guest tables: a write is the update of A or D, which reads as well */
	if (a->table && (w->root->ad || a->write))
		q = BIT(0) | BIT(1);
	q |= (w->rights & EPT_RWX) << 3;
	if (w->root->mbec && (w->rights & EPT_XU))
		q |= BIT(6);
	if (a->linear)
		q |= BIT(7) | (a->table ? 0 : BIT(8));
	w->out->error = q;
	return WALK_VIOLATION;
}

static inline bool ept_allowed(struct walk *w)
{
	const struct walk_access *a = w->access;
	uint64_t x = w->root->mbec && a->linear_user ? EPT_XU : EPT_X;

	if (a->fetch && !(w->rights & x))
		return blame_level(w, BLAME_FETCH, x), false;
	if (!a->fetch && !w->write && !(w->rights & EPT_R))
		return blame_level(w, BLAME_READ, EPT_R), false;
	if (w->write && !(w->rights & EPT_W))
		return blame_level(w, BLAME_WRITE, EPT_W), false;
	return true;
}

static enum walk_status walk_ept(struct walk *w, uint64_t addr)
{
	const struct walk_root *r = w->root;
	struct walk_result *out = w->out;

	w->present = EPT_RWX | (r->mbec ? EPT_XU : 0);
	w->illegal = 0x44 | (r->exec_only ? 0 : 0x10);
	w->write = w->access->write || (w->access->table && r->ad);
	enum walk_status st =
		descend(w, addr, r->upper ? r->upper->table : r->root & w->f->root);
	uint64_t last = out->step[out->steps - 1].value;
	out->ve_suppress = last & EPT_SVE;
	if (st == WALK_VIOLATION)
		return ept_violation(w);
	if (st != WALK_OK)
		return st;
	out->rights = (w->rights & EPT_RWX) | (w->rights & (r->mbec ? EPT_XU : EPT_X) ? WALK_XU : 0);
	out->memtype = last >> EPT_TYPE_SHIFT & 7;
	out->ignore_pat = last & EPT_IPAT;
	out->dirty = last & EPT_D;
	if (!ept_allowed(w))
		return ept_violation(w);
	return r->ad && w->mem->set ? set_flags(w) : WALK_OK;
}

static inline void clear_result(struct walk_result *out)
{
	out->pa = 0;
	out->page_shift = 0;
	out->rights = 0;
	out->global = out->dirty = out->ignore_pat = out->ve_suppress = false;
	out->key = out->memtype = 0;
	out->error = 0;
	out->blame = BLAME_NONE;
	out->steps = 0;
}

enum walk_status ept_walk(const struct walk_root *root, uint64_t addr,
	const struct walk_access *access, const struct walk_mem *mem, struct walk_result *out)
{
	const struct format *f = &ept_formats[root->format];
	struct walk w = {.f = f, .root = root, .access = access, .mem = mem, .out = out,
		.present = ENTRY_P, .rights = f->rights, .write = access->write};

	clear_result(out);
	if (root->upper)
		w.rights = root->upper->rights;
	if (root->format == WALK_NONE) {
		out->pa = addr;
		out->page_shift = 30;
		out->rights = WALK_R | WALK_W | WALK_X | WALK_U;
		out->dirty = true;
		return WALK_OK;
	}
	if (root->format != WALK_32BIT)
		w.reserved = f->high | (ENTRY_ADDR & ~(BIT(root->phys_bits) - 1));
	if (f->invert && !root->nxe)
		w.reserved |= ENTRY_XD;
	if (f->ept)
		return walk_ept(&w, addr & f->input);
	if (root->format == WALK_4LEVEL && (uint64_t)((int64_t)(addr << 16) >> 16) != addr) {
		out->blame = BLAME_CANONICAL;
		return guest_fault(&w, false);
	}
	if (root->format == WALK_PAE)
		return walk_pae(&w, addr & f->input);
	return walk_guest(&w, addr & f->input, root->upper ? root->upper->table : root->root & f->root);
}

const char *walk_blame_name(enum walk_blame b)
{
	static const char *const name[] = {
		[BLAME_NONE] = "none", [BLAME_NOT_PRESENT] = "not present",
		[BLAME_RESERVED] = "reserved bits set", [BLAME_READ] = "not readable",
		[BLAME_WRITE] = "not writable", [BLAME_FETCH] = "not executable",
		[BLAME_USER] = "supervisor page", [BLAME_SMEP] = "user page under SMEP",
		[BLAME_SMAP] = "user page under SMAP", [BLAME_KEY] = "protection key",
		[BLAME_CANONICAL] = "address is not canonical",
		[BLAME_MEMTYPE] = "illegal memory type",
		[BLAME_WRITE_ONLY] = "illegal rights",
		[BLAME_ABORT] = "entry cannot be read or written"};

	return (unsigned)b < sizeof name / sizeof *name ? name[b] : "unknown";
}

const char *walk_level_name(enum walk_format f, unsigned level)
{
	static const char *const guest[] = {"?", "PTE", "PDE", "PDPTE", "PML4E"};
	static const char *const ept[] = {
		"?", "EPT PTE", "EPT PDE", "EPT PDPTE", "EPT PML4E"};

	if (level > 4)
		level = 0;
	return f == WALK_EPT ? ept[level] : guest[level];
}

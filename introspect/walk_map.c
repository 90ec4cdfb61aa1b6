/* The ranges that an EPT maps, and words for entries and errors. */
#include "introspect/private.h"

#include "ept/formats.h"

#include <string.h>

struct mapper {
	struct intro *s;
	struct place at;
	enum walk_table table;
	const struct walk_root *root;
	ept_range_fn *fn;
	void *ctx;
	struct ept_range open; /* grows until something differs */
	bool stopped, unreadable;
	uint64_t budget; /* entries still to be read: tables are hostile */
};

static bool flush(struct mapper *m)
{
	if (m->open.size && !m->fn(m->ctx, &m->open))
		m->stopped = true;
	m->open.size = 0;
	return !m->stopped;
}

static bool add_leaf(struct mapper *m, uint64_t in, uint64_t entry, uint64_t rights, unsigned shift)
{
	uint64_t size = BIT(shift), out = entry & ENTRY_ADDR & ~(size - 1);
	uint8_t type = entry >> EPT_TYPE_SHIFT & 7, r = rights & EPT_RWX;
	struct ept_range *o = &m->open;
	if (rights & EPT_XU && m->root->mbec)
		r |= WALK_XU;
	if (o->size && o->from + o->size == in && o->to + o->size == out && o->rights == r &&
		o->memtype == type) {
		o->size += size;
		o->pages++;
		if (shift < o->page_shift)
			o->page_shift = shift;
		return true;
	}
	if (!flush(m))
		return false;
	*o = (struct ept_range){in, size, out, r, type, shift, 1};
	return true;
}

static bool map_table(struct mapper *m, uint64_t table, unsigned level, uint64_t in, uint64_t rights)
{
	uint64_t entry[512];
	enum intro_space space = m->table == TABLE_EPT12 ? SPACE_PHYSICAL : SPACE_HOST;
	struct place l1 = {LEVEL_L1, m->at.vcpu};
	unsigned shift = 12 + 9 * (level - 1);
	if (m->budget < 512 ||
		intro_read(m->s, l1, space, table, entry, sizeof entry, NULL) != sizeof entry) {
		m->unreadable = true;
		return true;
	}
	m->budget -= 512;
	for (unsigned i = 0; i < 512; i++) {
		uint64_t e = entry[i], at = in + ((uint64_t)i << shift);
		uint64_t present = EPT_RWX | (m->root->mbec ? EPT_XU : 0);
		if (!(e & present))
			continue;
		bool leaf = level == 1 || ((level == 2 || level == 3) && (e & EPT_PS));
		if (leaf ? !add_leaf(m, at, e, rights & e, shift) :
			!map_table(m, e & ENTRY_ADDR, level - 1, at, rights & e))
			return false;
	}
	return true;
}

#define MAP_ENTRIES (UINT64_C(1) << 24)

bool intro_ept_map(struct intro *s, struct place at, enum walk_table table, ept_range_fn *fn,
	void *ctx, struct err *e)
{
	struct walk_root root;
	struct mapper m = {.s = s, .at = at, .table = table, .root = &root, .fn = fn, .ctx = ctx,
		.budget = MAP_ENTRIES};
	if (!intro_check(s, at, e))
		return false;
	if (table == TABLE_GUEST || !intro_root(s, at, table, &root))
		return err_set(e, ERR_GENERAL, "%s is not in use here%s", walk_table_name(table),
			table == TABLE_EPT01 ? "" : ": it belongs to an L2 whose VMCS12 enables EPT");
	map_table(&m, root.root & ENTRY_ADDR, 4, 0, ~UINT64_C(0));
	if (!m.stopped)
		flush(&m);
	if (m.unreadable)
		return err_set(e, ERR_GENERAL, "parts of %s could not be read", walk_table_name(table));
	return true;
}

const char *intro_memtype_name(unsigned memtype)
{
	static const char *const names[8] = {"UC", "WC", "2?", "3?", "WT", "WP", "WB", "UC-"};
	return names[memtype & 7];
}

void intro_rights_print(uint8_t rights, struct buf *out)
{
	buf_char(out, rights & WALK_R ? 'r' : '-');
	buf_char(out, rights & WALK_W ? 'w' : '-');
	buf_char(out, rights & WALK_X ? 'x' : '-');
	if (rights & WALK_U)
		buf_char(out, 'u');
}

struct bit_word {
	unsigned bit;
	const char *set, *clear; /* NULL: say nothing */
};

static void bit_words(uint64_t v, const struct bit_word *w, size_t n, struct buf *out)
{
	const char *gap = "";
	for (size_t i = 0; i < n; i++) {
		const char *t = v >> w[i].bit & 1 ? w[i].set : w[i].clear;
		if (t) {
			buf_fmt(out, "%s%s", gap, t);
			gap = ", ";
		}
	}
}

/* SDM Vol. 3C 27.2.1 "Basic VM-Exit Information" table 27-7. */
void intro_ept_qualification_decode(uint64_t q, struct buf *out)
{
	static const struct bit_word access[] = {{0, "read", NULL}, {1, "write", NULL},
		{2, "fetch", NULL}};
	bit_words(q, access, 3, out);
	buf_fmt(out, "; entry allows %c%c%c", q & 8 ? 'r' : '-', q & 16 ? 'w' : '-',
		q & 32 ? 'x' : '-');
	if (q & BIT(7))
		buf_str(out, q & BIT(8) ? "; final translation of a linear address" :
			"; access to a guest paging-structure entry");
	else
		buf_str(out, "; no linear address");
	if (q & BIT(12))
		buf_str(out, "; NMI unblocking due to IRET");
}

/* SDM Vol. 3A 4.7 "Page-Fault Exceptions" figure 4-12. */
void intro_pf_error_decode(uint64_t error, struct buf *out)
{
	static const struct bit_word words[] = {{0, "protection", "not present"},
		{1, "write", NULL}, {4, "fetch", NULL}, {2, "user", "supervisor"},
		{3, "reserved bit", NULL}, {5, "protection key", NULL}};
	bit_words(error, words, sizeof words / sizeof *words, out);
}

static void guest_entry_decode(const struct walk_step *st, struct buf *out)
{
	static const struct bit_word words[] = {{1, "W", "R"}, {2, "U", "S"}, {3, "PWT", NULL},
		{4, "PCD", NULL}, {5, "A", NULL}, {6, "D", NULL}, {8, "G", NULL}, {63, "XD", NULL}};
	bit_words(st->leaf ? st->value : st->value & ~(BIT(6) | BIT(8)), words,
		sizeof words / sizeof *words, out);
}

void intro_entry_decode(enum walk_format format, const struct walk_step *st, struct buf *out)
{
	uint64_t v = st->value;
	if (format != WALK_EPT && !(v & ENTRY_P)) {
		buf_str(out, "not present");
		return;
	}
	if (format == WALK_EPT && !(v & (EPT_RWX | EPT_XU))) {
		buf_str(out, "not present");
		return;
	}
	buf_fmt(out, "-> 0x%llx ", (unsigned long long)(v & ENTRY_ADDR));
	if (format != WALK_EPT) {
		guest_entry_decode(st, out);
	} else {
		intro_rights_print(v & EPT_RWX, out);
		if (st->leaf)
			buf_fmt(out, " %s%s", intro_memtype_name(v >> EPT_TYPE_SHIFT & 7),
				v & EPT_IPAT ? " ignore-PAT" : "");
		if (v & EPT_A)
			buf_str(out, " A");
		if (st->leaf && v & EPT_D)
			buf_str(out, " D");
	}
	if (st->leaf && st->level > 1)
		buf_str(out, st->level == 3 ? ", 1G page" : ", large page");
}

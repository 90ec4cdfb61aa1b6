/* Regions of an address space: the whole block around an address that one
 * answer covers, and its neighbours upwards while the answer stays the same. */
#include "introspect/private.h"

#include <string.h>

#define CANONICAL_LOW  UINT64_C(0x0000800000000000)
#define CANONICAL_HIGH UINT64_C(0xffff800000000000)
#define REGION_BLOCKS  65536 /* blocks that one question may look at */

/* How much of the input one entry of a level covers, as a power of two. */
static unsigned entry_shift(enum walk_format format, unsigned level)
{
	if (format == WALK_32BIT)
		return level > 1 ? 22 : 12;
	return 12 + 9 * (level ? level - 1 : 0);
}

/* The power of two around the stage's input that has the same answer. */
static unsigned stage_shift(const struct walk_stage *st)
{
	if (!st->done || st->root.format == WALK_NONE || !st->result.steps)
		return 64;
	if (st->status == WALK_OK)
		return st->result.page_shift;
	return entry_shift(st->root.format, st->result.step[st->result.steps - 1].level);
}

static bool allowed(struct intro *s, struct place at, enum intro_space space, uint64_t address,
	bool user, bool fetch, struct intro_walk *w)
{
	const struct walk_access access = {.user = user, .fetch = fetch};
	struct err e = {0};
	return intro_walk(s, at, space, address, &access, w, &e) && w->outcome == WALK_ACCESS_OK;
}

/* The block of one answer around address. */
static void block_at(struct intro *s, struct place at, enum intro_space space, uint64_t address,
	struct intro_region *out)
{
	struct intro_walk w;
	unsigned shift = 64;
	*out = (struct intro_region){.from = address};
	/* mapped is what some access reaches: SMAP, SMEP and execute-only pages count */
	out->mapped = allowed(s, at, space, address, false, false, &w) ||
		allowed(s, at, space, address, true, false, &w) ||
		allowed(s, at, space, address, false, true, &w);
	if (out->mapped)
		out->rights = w.rights & (WALK_R | WALK_W | WALK_X);
	const struct walk_stage *stage[] = {&w.guest, &w.final.ept12, &w.final.ept01};
	for (int i = 0; i < 3; i++)
		if (stage_shift(stage[i]) < shift)
			shift = stage_shift(stage[i]);
	if (shift == 64)
		shift = 12; /* nothing translates, or the tables cannot be read */
	out->from &= ~(BIT(shift) - 1);
	out->last = out->from + (BIT(shift) - 1);
}

/* The addresses that the level's mode has no name for; false: it has one. */
static bool beyond(struct intro *s, struct place at, enum intro_space space, uint64_t address,
	struct intro_region *out)
{
	struct walk_root root;
	*out = (struct intro_region){.from = UINT64_C(1) << 32, .last = UINT64_MAX};
	if (space != SPACE_VIRTUAL)
		return false;
	if (!intro_root(s, at, TABLE_GUEST, &root)) {
		out->from = 0;
		return true;
	}
	if (root.format != WALK_4LEVEL)
		return address >> 32;
	*out = (struct intro_region){.from = CANONICAL_LOW, .last = CANONICAL_HIGH - 1};
	return address >= CANONICAL_LOW && address < CANONICAL_HIGH;
}

bool intro_region(struct intro *s, struct place at, enum intro_space space, uint64_t address,
	struct intro_region *out, struct err *e)
{
	struct intro_region next;
	if (!intro_check(s, at, e))
		return false;
	if (space == SPACE_HOST)
		return err_set(e, ERR_GENERAL, "host-physical memory has no regions; see info memory");
	if (beyond(s, at, space, address, out))
		return true;
	block_at(s, at, space, address, out);
	for (unsigned n = 0; n < REGION_BLOCKS && out->last != UINT64_MAX; n++) {
		if (beyond(s, at, space, out->last + 1, &next)) {
			if (!out->mapped)
				out->last = next.last;
			if (out->mapped || out->last == UINT64_MAX)
				break;
			continue;
		}
		block_at(s, at, space, out->last + 1, &next);
		if (next.mapped != out->mapped || next.rights != out->rights)
			break;
		out->last = next.last;
	}
	return true;
}

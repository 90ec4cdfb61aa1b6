/* Watchpoints as the backend's watches: one for a range of linear or of L1's
 * physical addresses; for an L2's physical addresses one for each page, moved
 * when EPT12 leads elsewhere.
 */
#include "introspect/private.h"

#include "base/phys.h"

#include <stdlib.h>

#define FOLLOW_MAX (1u << 20) /* bytes of an L2-physical range */

static bool follows(const struct stop *st)
{
	return st->kind == STOP_WATCH && st->space == SPACE_PHYSICAL && st->level >= LEVEL_L2;
}

bool watch_acceptable(const struct stop *st, struct err *e)
{
	if (st->space == SPACE_HOST)
		return err_set(e, ERR_GENERAL, "watchpoints take l1: and l2: virtual or l1p: and l2p: physical "
			"addresses");
	if (!st->len || st->address + st->len < st->address)
		return err_set(e, ERR_GENERAL, "a watchpoint needs a length above 0 that ends below 2^64");
	if (follows(st) && st->len > FOLLOW_MAX)
		return err_set(e, ERR_GENERAL, "a watchpoint on l2p: memory is at most 1M long");
	if (st->space == SPACE_PHYSICAL && st->address + st->len > PHYS_PRIVATE)
		return err_set(e, ERR_GENERAL, "physical addresses end below 0x%llx",
			(unsigned long long)PHYS_PRIVATE);
	return true;
}

static void add(struct intro *s, const struct stop *st, uint64_t address, uint64_t len, uint64_t from)
{
	const struct backend_watch w = {.address = address, .len = len, .read = st->access & WATCH_READ,
		.write = st->access & WATCH_WRITE, .physical = st->space == SPACE_PHYSICAL};
	s->watch = xresize(s->watch, (s->watches + 1) * sizeof *s->watch);
	s->watch[s->watches++] =
		(struct watch_bind){st->id, s->ops->watch_add(s->ctx, &w), from, address};
}

/* --- an L2's pages ---------------------------------------------------------------- */

/* The i-th page of the range: where it lies now; false: past the end. */
struct piece {
	uint64_t from, len, at;
	bool mapped;
};

static bool piece_at(struct intro *s, const struct stop *st, unsigned i, struct piece *p)
{
	uint64_t vcpus = intro_level_vcpus(s, st->level), end = st->address + st->len;
	struct place of = {st->level, vcpus ? (unsigned)__builtin_ctzll(vcpus) : 0};
	struct hpa at = {0};
	p->from = i ? (st->address & PAGE_MASK) + i * (uint64_t)PAGE_SIZE : st->address;
	if (p->from >= end)
		return false;
	uint64_t room = PAGE_SIZE - p->from % PAGE_SIZE;
	p->len = end - p->from < room ? end - p->from : room;
	p->mapped = vcpus && intro_translate(s, of, SPACE_PHYSICAL, p->from, &at, NULL);
	p->at = at.v;
	return true;
}

static const struct watch_bind *bind_of(const struct intro *s, const struct stop *st, uint64_t from)
{
	for (unsigned i = 0; i < s->watches; i++)
		if (s->watch[i].stop == st->id && s->watch[i].from == from)
			return &s->watch[i];
	return NULL;
}

/* Do the backend's watches lie where the range leads? */
static bool in_place(struct intro *s, const struct stop *st)
{
	struct piece p;
	for (unsigned i = 0; piece_at(s, st, i, &p); i++) {
		const struct watch_bind *b = bind_of(s, st, p.from);
		if (p.mapped != (b != NULL) || (b && b->at != p.at))
			return false;
	}
	return true;
}

static void add_pieces(struct intro *s, const struct stop *st)
{
	struct piece p;
	for (unsigned i = 0; piece_at(s, st, i, &p); i++)
		if (p.mapped)
			add(s, st, p.at, p.len, p.from);
}

static void del_all(struct intro *s, const struct stop *st)
{
	for (unsigned i = 0; i < s->watches; i++) {
		if (s->watch[i].stop != st->id)
			continue;
		s->ops->watch_del(s->ctx, s->watch[i].id);
		s->watch[i--] = s->watch[--s->watches];
	}
}

void watches_follow(struct intro *s)
{
	for (unsigned i = 0; s->followed && i < s->stop_index.other.n; i++) {
		struct stop *st = s->stop_index.other.stop[i];
		if (!follows(st) || !st->enabled || in_place(s, st))
			continue;
		del_all(s, st);
		add_pieces(s, st);
	}
}

static void follow(void *ctx)
{
	watches_follow(ctx);
}

/* The entry is old until the instruction has ended. */
void watches_hear(struct intro *s, const struct event *ev)
{
	if (ev->kind != EVENT_EPT_CHANGE)
		return;
	for (unsigned i = 0; s->followed && i < s->stop_index.other.n; i++) {
		const struct stop *st = s->stop_index.other.stop[i];
		if (!follows(st) || !st->enabled || st->address + st->len <= ev->address ||
			(ev->size < 64 && st->address >> ev->size > ev->address >> ev->size))
			continue;
		intro_defer(s, follow, s);
		return;
	}
}

/* ---------------------------------------------------------------------------------- */

void watch_plant(struct intro *s, struct stop *st)
{
	if (!follows(st)) {
		add(s, st, st->address, st->len, st->address);
		return;
	}
	s->followed++;
	add_pieces(s, st);
}

void watch_uproot(struct intro *s, const struct stop *st)
{
	del_all(s, st);
	s->followed -= follows(st);
}

/* A stop that is not the first that was touched shares its bytes, so that they
 * are told in that one's space: the address as it was written. */
uint64_t watch_touched(const struct intro *s, const struct stop *st, const struct backend_ran *ran)
{
	for (unsigned i = 0; i < s->watches; i++)
		if (s->watch[i].stop == st->id && s->watch[i].id == ran->watch[0])
			return ran->address - s->watch[i].at + s->watch[i].from;
	return st->address;
}

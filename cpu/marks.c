/* Breakpoint marks, watched ranges, debug registers. */
#include "cpu/run.h"

#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

/* --- marks */

static unsigned slot_of(const struct engine_shared *s, uint64_t lin)
{
	return (unsigned)(lin * UINT64_C(0x9e3779b97f4a7c15) >> 40) & (s->mark_slots - 1);
}

/* The slot that holds lin, or the empty one where it would go. */
static unsigned find_slot(const struct engine_shared *s, uint64_t lin)
{
	unsigned i = slot_of(s, lin);
	while (s->mark[i] != lin && s->mark[i] != NO_MARK)
		i = (i + 1) & (s->mark_slots - 1);
	return i;
}

/* Twice the slots: at most half of them are ever in use. */
static void grow(struct engine_shared *s)
{
	uint64_t *old = s->mark;
	unsigned slots = s->mark_slots;
	s->mark_slots = slots ? slots * 2 : 64;
	s->mark = xalloc(s->mark_slots * sizeof *s->mark);
	memset(s->mark, 0xff, s->mark_slots * sizeof *s->mark);
	for (unsigned i = 0; i < slots; i++)
		if (old[i] != NO_MARK)
			s->mark[find_slot(s, old[i])] = old[i];
	free(old);
}

void engine_mark(struct engine_shared *s, struct gva at)
{
	if (at.v == NO_MARK || mark_at(s, at.v))
		return;
	if (s->marks * 2 >= s->mark_slots)
		grow(s);
	s->mark[find_slot(s, at.v)] = at.v;
	s->marks++;
	block_flush_gva(s, at.v);
}

void engine_unmark(struct engine_shared *s, struct gva at)
{
	if (at.v == NO_MARK || !mark_at(s, at.v))
		return;
	unsigned mask = s->mark_slots - 1, hole = find_slot(s, at.v);
	s->mark[hole] = NO_MARK;
	s->marks--;
	/* what was pushed on past the hole moves back into it */
	for (unsigned i = (hole + 1) & mask; s->mark[i] != NO_MARK; i = (i + 1) & mask) {
		uint64_t lin = s->mark[i];
		s->mark[i] = NO_MARK;
		s->mark[find_slot(s, lin)] = lin;
	}
	block_flush_gva(s, at.v);
}

bool mark_at(const struct engine_shared *s, uint64_t lin)
{
	return s->marks && lin != NO_MARK && s->mark[find_slot(s, lin)] == lin;
}

/* DR7's breakpoints on instructions, of every vCPU. */
bool mark_debug(const struct engine_shared *s, uint64_t lin)
{
	for (unsigned v = 0; v < s->vcpus; v++)
		if (mark_debug_hits(s->vcpu[v], lin))
			return true;
	return false;
}

uint64_t mark_debug_hits(const struct vcpu *c, uint64_t lin)
{
	uint64_t hits = 0;
	for (unsigned n = 0; n < 4; n++)
		if (c->dr7 >> (2 * n) & 3 && !(c->dr7 >> (16 + 4 * n) & 3) && c->dr[n] == lin)
			hits |= BIT(n);
	return hits;
}

/* --- watches */

static void views_changed(struct engine_shared *s)
{
	for (unsigned v = 0; v < s->vcpus; v++)
		tlb_clear_views(s->vcpu[v]->engine->pool);
}

unsigned engine_watch_add(struct engine_shared *s, const struct engine_watch *w)
{
	if (!w->len)
		return 0;
	if ((s->watches & (s->watches - 1)) == 0) /* grows by doubling */
		s->watch = xresize(s->watch, (s->watches ? s->watches * 2 : 1) * sizeof *s->watch);
	s->watch[s->watches].w = *w;
	s->watch[s->watches].id = ++s->next_watch;
	s->watches++;
	views_changed(s);
	return s->next_watch;
}

void engine_watch_del(struct engine_shared *s, unsigned id)
{
	for (unsigned i = 0; i < s->watches; i++)
		if (s->watch[i].id == id) {
			s->watch[i] = s->watch[--s->watches];
			views_changed(s);
			return;
		}
}

const struct engine_watch_hit *engine_watch_hit(const struct vcpu *c)
{
	return c->engine->hit_pending ? &c->engine->hit : NULL;
}

static unsigned debug_len(const struct vcpu *c, unsigned n)
{
	static const uint8_t len[4] = {1, 2, 8, 4};
	return len[c->dr7 >> (18 + 4 * n) & 3];
}

static bool debug_data(const struct vcpu *c, unsigned n)
{
	return c->dr7 >> (2 * n) & 3 && c->dr7 >> (16 + 4 * n) & 1;
}

static bool overlaps(uint64_t a, uint64_t alen, uint64_t b, uint64_t blen)
{
	return a < b + blen && b < a + alen;
}

bool watch_page(const struct engine_shared *s, uint64_t page, uint64_t physical)
{
	for (unsigned i = 0; i < s->watches; i++) {
		const struct engine_watch *w = &s->watch[i].w;
		if (overlaps(w->physical ? physical : page, PAGE_SIZE, w->at.v, w->len))
			return true;
	}
	for (unsigned v = 0; s->debug_watches && v < s->vcpus; v++)
		for (unsigned n = 0; n < 4; n++)
			if (debug_data(s->vcpu[v], n) && !((s->vcpu[v]->dr[n] ^ page) & PAGE_MASK))
				return true;
	return false;
}

static bool touches(
	const struct engine_watch *w, bool physical, uint64_t at, uint64_t size, bool write)
{
	return w->physical == physical && (write ? w->write : w->read) &&
		overlaps(at, size, w->at.v, w->len);
}

/* One access more of the same instruction: of a read and a write the write is
 * told; the others that it touches are `more`. */
static void note(struct engine_watch_hit *to, bool first, const struct engine_watch_hit *h)
{
	unsigned n = to->mores;
	if (first) {
		*to = *h;
		return;
	}
	if (to->id == h->id) {
		to->at = h->write ? h->at : to->at;
		to->size = h->write ? h->size : to->size;
		to->write |= h->write;
		return;
	}
	for (unsigned i = 0; i < n; i++)
		if (to->more[i] == h->id)
			return;
	if (n < sizeof to->more / sizeof *to->more)
		to->more[to->mores++] = h->id;
}

static void check(struct vcpu *c, bool physical, uint64_t at, unsigned size, bool write)
{
	struct engine_shared *s = c->engine->shared;
	for (unsigned i = 0; i < s->watches; i++) {
		if (!touches(&s->watch[i].w, physical, at, size, write))
			continue;
		note(&c->engine->hit, !c->engine->hit_pending, &(struct engine_watch_hit){
			.id = s->watch[i].id, .at = gva(at), .size = size, .write = write});
		c->engine->hit_pending = c->engine->brk = true;
	}
}

void watch_check_physical(struct vcpu *c, struct hpa at, unsigned size, bool write)
{
	check(c, true, at.v, size, write);
}

bool engine_watch_device(
	const struct engine_shared *s, struct hpa at, size_t len, bool write, struct engine_watch_hit *out)
{
	bool any = false;
	for (unsigned i = 0; i < s->watches; i++) {
		if (!touches(&s->watch[i].w, true, at.v, len, write))
			continue;
		note(out, !any, &(struct engine_watch_hit){.id = s->watch[i].id, .at = gva(at.v),
			.size = (unsigned)len, .write = write, .device = true});
		any = true;
	}
	return any;
}

void watch_check(struct vcpu *c, uint64_t at, unsigned size, bool write)
{
	struct engine_shared *s = c->engine->shared;
	check(c, false, at, size, write);
	for (unsigned n = 0; s->debug_watches && n < 4; n++) {
		unsigned len = debug_len(c, n);
		if (!debug_data(c, n) || !(write || c->dr7 >> (17 + 4 * n) & 1) ||
			!overlaps(at, size, c->dr[n] & ~(uint64_t)(len - 1), len))
			continue;
		c->pending_db |= BIT(n);
		vcpu_pend(c, PEND_DB);
		c->engine->brk = true;
	}
}

void engine_debug_changed(struct vcpu *c)
{
	struct engine_shared *s = c->engine->shared;
	unsigned insn = 0, data = 0;
	for (unsigned v = 0; v < s->vcpus; v++)
		for (unsigned n = 0; n < 4; n++) {
			const struct vcpu *x = s->vcpu[v];
			data += debug_data(x, n);
			insn += x->dr7 >> (2 * n) & 3 && !(x->dr7 >> (16 + 4 * n) & 3);
		}
	if (insn || s->debug_marks) {
		block_flush(s);
		c->engine->brk = true;
	}
	if (data || s->debug_watches)
		views_changed(s);
	s->debug_marks = insn;
	s->debug_watches = data;
}

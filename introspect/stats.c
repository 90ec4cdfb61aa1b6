/* Exit statistics: one open-addressed table of rows (level, handler, kind,
 * reason, detail, RIP, CR3), filled from the ring at slice ends, so that they
 * cost nothing while the engine runs.
 *
 * The table is bounded. When it is full, rows are folded: first without
 * detail, then without RIP.
 */
#include "introspect/private.h"
#include "introspect/expr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX  (1u << 18) /* slots; three quarters are used */
#define BUCKETS   EXIT_RATE_BUCKETS
#define BUCKET_NS UINT64_C(1000000) /* 1 ms of virtual time */

struct stats {
	struct exit_stat *row; /* owned; count 0: free slot */
	unsigned slots, used;
	uint64_t seq;          /* next record to count */
	uint64_t open[INTRO_MAX_VCPUS]; /* seq + 1 of a reflected exit whose cost is not known yet */
	struct exit_totals totals;
	uint64_t threshold;
	uint64_t bucket_start; /* clock of the newest bucket's begin, whole BUCKET_NS */
	uint64_t bucket[3][BUCKETS]; /* all, L1, L2; ring by time */
};

struct stats *stats_new(void)
{
	struct stats *st = xalloc(sizeof *st);
	st->slots = 1024;
	st->row = xalloc(st->slots * sizeof *st->row);
	return st;
}

void stats_free(struct stats *st)
{
	if (!st)
		return;
	free(st->row);
	free(st);
}

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

static bool same_row(const struct exit_stat *a, const struct exit_stat *b)
{
	return a->rip == b->rip && a->detail == b->detail && a->reason == b->reason &&
		a->level == b->level && a->handler == b->handler && a->kind == b->kind &&
		a->cr3 == b->cr3;
}

static struct exit_stat *slot_of(struct exit_stat *row, unsigned slots, const struct exit_stat *key)
{
	uint64_t h = mix(mix(mix(key->rip, key->detail), key->cr3),
		(uint64_t)key->reason << 24 | key->level << 16 | key->handler << 8 | key->kind);
	for (unsigned i = (unsigned)h & (slots - 1);; i = (i + 1) & (slots - 1))
		if (!row[i].count || same_row(&row[i], key))
			return &row[i];
}

static void grow(struct stats *st)
{
	unsigned slots = st->slots * 2;
	struct exit_stat *row = xalloc(slots * sizeof *row);
	for (unsigned i = 0; i < st->slots; i++)
		if (st->row[i].count)
			*slot_of(row, slots, &st->row[i]) = st->row[i];
	free(st->row);
	st->row = row;
	st->slots = slots;
}

/* The row for a key, made when it is not there; folds when the table is full. */
static struct exit_stat *row_for(struct stats *st, struct exit_stat key)
{
	struct exit_stat *r = slot_of(st->row, st->slots, &key);
	if (r->count)
		return r;
	if (st->used >= st->slots / 4 * 3) {
		if (st->slots < ROWS_MAX) {
			grow(st);
		} else {
			st->totals.lost++;
			key.detail = UINT64_MAX;
			r = slot_of(st->row, st->slots, &key);
			if (r->count || st->used < st->slots / 8 * 7)
				goto out;
			key.rip = key.cr3 = UINT64_MAX;
		}
	}
	r = slot_of(st->row, st->slots, &key);
out:
	if (!r->count) {
		*r = key;
		st->used++;
	}
	return r;
}

/* Kernels keep their half of the address space in every CR3: no row for each. */
static struct exit_stat key_of(const struct exit_record *r)
{
	bool entry = r->kind == EXIT_ENTRY || r->kind == EXIT_ENTRY_FAIL;
	return (struct exit_stat){.level = entry ? r->to : r->from, .handler = r->handler,
		.kind = r->kind, .reason = r->reason, .detail = entry ? UINT64_MAX : r->detail,
		.rip = r->rip, .cr3 = r->rip >> 63 ? 0 : r->cr3};
}

static void move_buckets(struct stats *st, uint64_t clock)
{
	uint64_t start = clock - clock % BUCKET_NS;
	if (start <= st->bucket_start)
		return;
	uint64_t steps = (start - st->bucket_start) / BUCKET_NS;
	for (uint64_t i = 0; i < steps && i < BUCKETS; i++) {
		uint64_t at = (start / BUCKET_NS - i) % BUCKETS;
		for (int k = 0; k < 3; k++)
			st->bucket[k][at] = 0;
	}
	st->bucket_start = start;
}

/* The cost of a reflected exit is known when L1 enters L2 again. */
static void close_cost(struct stats *st, struct intro *s, unsigned vcpu)
{
	uint64_t *open = &st->open[vcpu % INTRO_MAX_VCPUS];
	struct exit_record r;
	if (*open && intro_exit(s, *open - 1, &r))
		row_for(st, key_of(&r))->cost += r.cost;
	*open = 0;
}

static void count(struct stats *st, struct intro *s, const struct exit_record *r)
{
	struct exit_totals *t = &st->totals;
	struct exit_record cause;
	struct exit_stat *row = row_for(st, key_of(r));
	row->count++;
	row->cost += r->cost;
	row->model_cost += r->model_cost;
	row->last = r->seq;
	if (r->kind == EXIT_REFLECT && !r->cost)
		st->open[r->vcpu % INTRO_MAX_VCPUS] = r->seq + 1;
	t->transitions++;
	move_buckets(st, r->at.clock);
	if (r->kind == EXIT_ENTRY || r->kind == EXIT_ENTRY_FAIL) {
		*(r->kind == EXIT_ENTRY ? &t->entries : &t->entry_failures) += 1;
		close_cost(st, s, r->vcpu);
		return;
	}
	unsigned side = r->from >= LEVEL_L2 ? 2 : 1;
	uint64_t at = r->at.clock / BUCKET_NS % BUCKETS;
	st->bucket[0][at]++;
	st->bucket[side][at]++;
	t->exits[side]++;
	*(r->handler ? &t->to_l1 : &t->to_l0) += 1;
	if (r->cause != UINT64_MAX && side == 1) {
		t->caused++;
		if (intro_exit(s, r->cause, &cause) && cause.seq != r->seq)
			row_for(st, key_of(&cause))->caused++;
	}
}

void stats_update(struct intro *s)
{
	struct stats *st = s->stats;
	struct exit_record r;
	uint64_t first, end;
	intro_exits_range(s, &first, &end);
	if (end < st->seq)
		st->seq = first; /* a snapshot was loaded */
	if (st->seq < first) {
		st->totals.lost += first - st->seq;
		st->seq = first;
	}
	for (; st->seq < end; st->seq++)
		if (intro_exit(s, st->seq, &r))
			count(st, s, &r);
	st->totals.now = intro_position(s).clock;
}

/* --- questions --------------------------------------------------------------------- */

static int by_count(const void *a, const void *b)
{
	const struct exit_stat *x = a, *y = b;
	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	if (x->reason != y->reason)
		return x->reason < y->reason ? -1 : 1;
	return x->rip < y->rip ? -1 : x->rip > y->rip;
}

/* A row as a record, so that filters of records serve rows too. */
static struct exit_record as_record(const struct exit_stat *r)
{
	bool entry = r->kind == EXIT_ENTRY || r->kind == EXIT_ENTRY_FAIL;
	return (struct exit_record){.seq = r->last, .kind = r->kind, .from = entry ? 1 : r->level,
		.to = entry ? r->level : r->handler, .handler = r->handler, .reason = r->reason,
		.rip = r->rip, .cr3 = r->cr3, .detail = r->detail, .gpa = r->detail,
		.gla = UINT64_MAX, .vmcs12 = UINT64_MAX, .cause = UINT64_MAX, .cost = r->cost};
}

size_t intro_exit_stats(struct intro *s, const struct exit_filter *f, unsigned split,
	struct exit_stat *out, size_t max)
{
	struct stats *st = s->stats, merged = {.slots = 1024};
	size_t n = 0;
	stats_update(s);
	while (merged.slots < st->used * 2)
		merged.slots *= 2;
	merged.row = xalloc(merged.slots * sizeof *merged.row);
	for (unsigned i = 0; i < st->slots; i++) {
		struct exit_stat key = st->row[i], *r;
		struct exit_record rec = as_record(&key);
		if (!key.count || (f && !exit_filter_match(s, f, &rec)))
			continue;
		if (!(split & STAT_BY_DETAIL))
			key.detail = UINT64_MAX;
		if (!(split & STAT_BY_RIP))
			key.rip = key.cr3 = UINT64_MAX;
		r = slot_of(merged.row, merged.slots, &key);
		if (!r->count) {
			*r = key;
			continue;
		}
		r->count += key.count;
		r->cost += key.cost;
		r->model_cost += key.model_cost;
		r->caused += key.caused;
		r->last = r->last > key.last ? r->last : key.last;
	}
	for (unsigned i = 0; i < merged.slots; i++)
		if (merged.row[i].count)
			merged.row[n++] = merged.row[i];
	qsort(merged.row, n, sizeof *merged.row, by_count);
	if (n > max)
		n = max;
	memcpy(out, merged.row, n * sizeof *out);
	free(merged.row);
	return n;
}

void intro_exit_totals(struct intro *s, struct exit_totals *out)
{
	stats_update(s);
	*out = s->stats->totals;
	out->host_ns = s->host_ns;
}

void intro_exit_stats_reset(struct intro *s)
{
	struct stats *st = s->stats;
	uint64_t first, threshold = st->threshold, seq;
	intro_exits_range(s, &first, &seq);
	free(st->row);
	memset(st, 0, sizeof *st);
	st->slots = 1024;
	st->row = xalloc(st->slots * sizeof *st->row);
	st->seq = seq;
	st->threshold = threshold;
	st->totals.since = st->totals.now = intro_position(s).clock;
	s->host_ns = 0;
}

void intro_exit_rates(
	struct intro *s, unsigned level, uint64_t out[EXIT_RATE_BUCKETS], uint64_t *bucket_ns)
{
	struct stats *st = s->stats;
	stats_update(s);
	move_buckets(st, st->totals.now);
	uint64_t newest = st->bucket_start / BUCKET_NS;
	unsigned side = level >= 2 ? 2 : level;
	*bucket_ns = BUCKET_NS;
	for (unsigned i = 0; i < BUCKETS; i++) {
		uint64_t back = BUCKETS - 1 - i;
		out[i] = back > newest ? 0 : st->bucket[side][(newest - back) % BUCKETS];
	}
}

void intro_exit_storm_threshold(struct intro *s, uint64_t per_second)
{
	s->stats->threshold = per_second;
}

uint64_t stats_threshold(const struct intro *s)
{
	return s->stats->threshold;
}

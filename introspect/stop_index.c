/* Finding stops: breakpoints by their address, the others in one short list,
 * so that ten thousand breakpoints cost no more at a hit or at a transition
 * than one. */
#include "introspect/private.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS 4096u

static unsigned bucket_of(uint64_t address)
{
	return (unsigned)(address * UINT64_C(0x9e3779b97f4a7c15) >> 52) % BUCKETS;
}

static struct stop_list *list_of(struct stop_index *x, const struct stop *st)
{
	if (st->kind != STOP_BREAK)
		return &x->other;
	if (!x->bucket) {
		x->bucket = xalloc(BUCKETS * sizeof *x->bucket);
		memset(x->bucket, 0, BUCKETS * sizeof *x->bucket);
	}
	return &x->bucket[bucket_of(st->address)];
}

void stop_index_add(struct stop_index *x, struct stop *st)
{
	struct stop_list *l = list_of(x, st);
	if ((l->n & (l->n - 1)) == 0) /* grows by doubling */
		l->stop = xresize(l->stop, (l->n ? l->n * 2 : 1) * sizeof *l->stop);
	l->stop[l->n++] = st;
}

void stop_index_del(struct stop_index *x, struct stop *st)
{
	struct stop_list *l = list_of(x, st);
	for (unsigned i = 0; i < l->n; i++) {
		if (l->stop[i] != st)
			continue;
		memmove(l->stop + i, l->stop + i + 1, (l->n - i - 1) * sizeof *l->stop);
		l->n--;
		return;
	}
}

void stop_index_done(struct stop_index *x)
{
	for (unsigned i = 0; x->bucket && i < BUCKETS; i++)
		free(x->bucket[i].stop);
	free(x->bucket);
	free(x->other.stop);
	*x = (struct stop_index){0};
}

/* Both lists keep the order of ids: stops are added by rising id. */
struct stop *intro_stop_next_break(struct intro *s, uint64_t address, unsigned after)
{
	const struct stop_index *x = &s->stop_index;
	const struct stop_list *l = x->bucket ? &x->bucket[bucket_of(address)] : NULL;
	for (unsigned i = 0; l && i < l->n; i++)
		if (l->stop[i]->address == address && l->stop[i]->id > after)
			return l->stop[i];
	return NULL;
}

struct stop *intro_stop_find_break(struct intro *s, unsigned level, uint64_t address)
{
	struct stop *st = NULL;
	while ((st = intro_stop_next_break(s, address, st ? st->id : 0)) != NULL)
		if (st->enabled && (!level || !st->level || st->level == level))
			return st;
	return NULL;
}

#include "l0/dirty.h"

#include "base/buf.h"
#include "base/state.h"
#include "ept/formats.h"
#include "vmx/vmcs.h"

#include <stdlib.h>

void dirty_init(struct dirty *d, const struct phys *phys)
{
	for (unsigned i = 0; i < phys->ranges; i++) {
		const struct phys_range *r = &phys->range[i];
		uint64_t end = (r->base.v + r->size) >> PAGE_SHIFT;

		if (r->host && r->base.v < PHYS_PRIVATE && d->pages < end)
			d->pages = end;
	}
	d->bits = xalloc((d->pages + 63) / 64 * sizeof(*d->bits));
}

void dirty_done(struct dirty *d)
{
	free(d->bits);
	*d = (struct dirty){0};
}

void dirty_mark(struct dirty *d, uint64_t at, uint64_t size)
{
	for (uint64_t page = at >> PAGE_SHIFT; page << PAGE_SHIFT < at + size; page++) {
		if (page >= d->pages || d->bits[page / 64] >> page % 64 & 1)
			continue;
		d->bits[page / 64] |= BIT(page % 64);
		d->count++;
	}
}

bool dirty_has(const struct dirty *d, uint64_t at)
{
	uint64_t page = at >> PAGE_SHIFT;

	return page < d->pages && d->bits[page / 64] >> page % 64 & 1;
}

/* Entry `index` of the log; what cannot be read is no page of RAM. */
static uint64_t logged(const struct phys *phys, const struct vmcs *v, unsigned index)
{
	uint64_t at = UINT64_MAX;

	phys_read(phys, hpa(vmcs_get(v, VMCS_PML_ADDRESS) + index * 8), &at, sizeof(at));
	return at;
}

/* The first entry in use: the index is that of the next one, and 0xffff after 0. */
static unsigned first(const struct vmcs *v)
{
	return (uint16_t)(vmcs_get(v, VMCS_GUEST_PML_INDEX) + 1);
}

void dirty_drain(struct dirty *d, const struct phys *phys, struct vmcs *v)
{
	for (unsigned i = first(v); i <= DIRTY_LOG_FIRST; i++)
		dirty_mark(d, logged(phys, v, i) & PAGE_MASK, PAGE_SIZE);
	v->v[VMCS_GUEST_PML_INDEX] = DIRTY_LOG_FIRST; /* in no entry check */
}

uint64_t dirty_waiting(const struct dirty *d, const struct phys *phys, const struct vmcs *v)
{
	uint64_t n = 0;

	for (unsigned i = first(v); i <= DIRTY_LOG_FIRST; i++) {
		uint64_t at = logged(phys, v, i);
		n += at >> PAGE_SHIFT < d->pages && !dirty_has(d, at);
	}
	return n;
}

void dirty_state(struct dirty *d, struct state *s)
{
	if (!d->bits)
		return;
	state_section(s, "dirty", 1);
	state_bytes(s, d->bits, (d->pages + 63) / 64 * sizeof(*d->bits));
	state_u64(s, &d->count);
}

#include "l0/private.h"

#include "base/buf.h"
#include "base/state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool private_init(struct private_mem *m, struct phys *phys, uint64_t bytes, struct err *e)
{
	struct phys_page *page;
	enum phys_kind kind;

	memset(m, 0, sizeof(*m));
	if (!phys_add(phys, PHYS_RAM, hpa(PHYS_PRIVATE), bytes, "l0", e))
		return false;
	if (!phys_page_at(phys, hpa(PHYS_PRIVATE), &m->host, &page, &kind))
		return err_set(e, ERR_GENERAL, "L0's memory is not there");
	m->pages = (uint32_t)(bytes / PAGE_SIZE);
	m->free = xalloc(m->pages * sizeof(*m->free));
	return true;
}

void private_done(struct private_mem *m)
{
	free(m->free);
	memset(m, 0, sizeof(*m));
}

uint64_t private_new(struct private_mem *m)
{
	uint32_t n;

	if (m->frees)
		n = m->free[--m->frees];
	else if (m->top < m->pages)
		n = m->top++;
	else
		return PRIVATE_NONE;
	memset(m->host + (size_t)n * PAGE_SIZE, 0, PAGE_SIZE);
	return PHYS_PRIVATE + (uint64_t)n * PAGE_SIZE;
}

void private_free(struct private_mem *m, uint64_t hpa)
{
	uint64_t n = (hpa - PHYS_PRIVATE) / PAGE_SIZE;

	assert(hpa >= PHYS_PRIVATE && n < m->top && m->frees < m->top);
	m->free[m->frees++] = (uint32_t)n;
}

static uint64_t ept_page(void *ctx)
{
	return private_new(ctx);
}

static void ept_drop(void *ctx, uint64_t at)
{
	private_free(ctx, at);
}

static uint64_t *ept_entries(void *ctx, uint64_t at)
{
	return private_host(ctx, at);
}

struct ept_alloc private_ept_alloc(struct private_mem *m)
{
	return (struct ept_alloc){
		.ctx = m, .page = ept_page, .drop = ept_drop, .entries = ept_entries};
}

/* Free pages are saved too, with whatever is in them: they are few. */
void private_state(struct private_mem *m, struct state *s)
{
	uint64_t top = m->top, frees = m->frees;

	state_section(s, "l0-private", 1);
	state_count(s, &top, m->pages);
	state_count(s, &frees, top);
	if (!state_ok(s))
		return;
	m->top = (uint32_t)top;
	m->frees = (uint32_t)frees;
	for (uint32_t i = 0; i < m->frees; i++) {
		state_u32(s, &m->free[i]);
		if (m->free[i] >= m->top)
			state_fail(s, "L0's free list names page %u of %u", m->free[i], m->top);
	}
	for (uint32_t i = 0; i < m->top; i++)
		state_bytes(s, m->host + (size_t)i * PAGE_SIZE, PAGE_SIZE);
}

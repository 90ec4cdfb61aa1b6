/* The pool of shadow pages: look-up, allocation, saved state. */
#include "l0/shadow/pages.h"

#include "base/buf.h"
#include "base/state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CHAINS 4096u

static uint32_t hash(uint64_t key)
{
	return (uint32_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 52);
}

static void clear_index(struct shadow_mmu *m)
{
	memset(m->chain, 0xff, CHAINS * sizeof(*m->chain));
	memset(m->owner, 0xff, m->mem->pages * sizeof(*m->owner));
}

static void enter_index(struct shadow_mmu *m, uint32_t n)
{
	struct shadow_page *p = &m->page[n];
	uint32_t *head = &m->chain[hash(p->key)];

	p->next = *head;
	*head = n;
	m->owner[(p->table - PHYS_PRIVATE) / PAGE_SIZE] = n;
}

void shadow_init(struct shadow_mmu *m, struct private_mem *mem, struct phys *phys,
	unsigned phys_bits)
{
	*m = (struct shadow_mmu){.mem = mem, .phys = phys, .phys_bits = phys_bits};
	m->page = xalloc(SHADOW_PAGES * sizeof(*m->page));
	m->chain = xalloc(CHAINS * sizeof(*m->chain));
	m->owner = xalloc(mem->pages * sizeof(*m->owner));
	clear_index(m);
}

void shadow_done(struct shadow_mmu *m)
{
	free(m->page);
	free(m->chain);
	free(m->owner);
	memset(m, 0, sizeof(*m));
}

static void release(struct shadow_mmu *m, struct shadow_page *p)
{
	private_free(m->mem, p->table);
	if (p->copy != PRIVATE_NONE)
		private_free(m->mem, p->copy);
	memset(p, 0, sizeof(*p));
	m->used--;
}

static void empty(struct shadow_mmu *m, struct shadow_page *p)
{
	memset(table_of(m, p), 0, PAGE_SIZE);
	p->aliased = true; /* whatever it was used for may be cached */
}

void shadow_drop_all(struct shadow_mmu *m)
{
	clear_index(m);
	for (uint32_t n = 0; n < SHADOW_PAGES; n++) {
		struct shadow_page *p = &m->page[n];
		if (p->key && !p->pins)
			release(m, p);
		else if (p->key)
			empty(m, p);
		if (p->key)
			enter_index(m, n);
	}
	m->cursor = 0;
	m->grants = 0;
	m->zapped = true;
	m->drops++;
}

void shadow_reset(struct shadow_mmu *m)
{
	for (uint32_t n = 0; n < SHADOW_PAGES; n++)
		m->page[n].pins = 0;
	shadow_drop_all(m);
}

static uint32_t find(const struct shadow_mmu *m, uint64_t key)
{
	uint32_t n = m->chain[hash(key)];

	while (n != SHADOW_NONE && m->page[n].key != key)
		n = m->page[n].next;
	return n;
}

static uint32_t make(struct shadow_mmu *m, uint64_t key, uint64_t va)
{
	uint64_t table, copy = PRIVATE_NONE;
	struct shadow_page *p;

	if (m->used == SHADOW_PAGES)
		return SHADOW_NONE;
	while (m->page[m->cursor].key)
		m->cursor = (m->cursor + 1) % SHADOW_PAGES;
	table = private_new(m->mem);
	if (table != PRIVATE_NONE && !(key & KEY_DIRECT) &&
		(copy = private_new(m->mem)) == PRIVATE_NONE) {
		private_free(m->mem, table);
		table = PRIVATE_NONE;
	}
	if (table == PRIVATE_NONE)
		return SHADOW_NONE;
	p = &m->page[m->cursor];
	*p = (struct shadow_page){
		.key = key, .table = table, .copy = copy, .synced = ++m->stamp, .va = va};
	m->used++;
	enter_index(m, m->cursor);
	return m->cursor;
}

uint32_t shadow_page_get(struct shadow_mmu *m, uint64_t key, uint64_t va)
{
	uint32_t n = find(m, key);

	if (n == SHADOW_NONE)
		return make(m, key, va);
	if (m->page[n].va != va)
		m->page[n].aliased = true;
	return n;
}

static void page_state(struct shadow_mmu *m, struct shadow_page *p, struct state *s)
{
	uint64_t end = PHYS_PRIVATE + (uint64_t)m->mem->top * PAGE_SIZE;

	state_u64(s, &p->key);
	if (!p->key)
		return;
	state_u64(s, &p->table);
	state_u64(s, &p->copy);
	state_u64(s, &p->synced);
	state_u64(s, &p->va);
	state_u16(s, &p->pins);
	state_bool(s, &p->aliased);
	if (p->table < PHYS_PRIVATE || p->table >= end || p->table % PAGE_SIZE ||
		(p->copy != PRIVATE_NONE &&
			(p->copy < PHYS_PRIVATE || p->copy >= end || p->copy % PAGE_SIZE)) ||
		(p->copy == PRIVATE_NONE) != !!(p->key & KEY_DIRECT) || !key_level(p->key) ||
		key_level(p->key) > 4) {
		state_fail(s, "a shadow page is not where L0's pages are");
		memset(p, 0, sizeof(*p));
	}
}

/* Entries that lead to tables must lead to known pages: the contents come
 * from the same file. */
static bool entries_known(const struct shadow_mmu *m, const struct shadow_page *p)
{
	const uint64_t *e = table_of(m, p);

	for (unsigned i = 0; key_level(p->key) > 1 && i < 512; i++) {
		uint64_t n = ((e[i] & ENTRY_ADDR) - PHYS_PRIVATE) / PAGE_SIZE;
		if (e[i] && (n >= m->mem->pages || m->owner[n] == SHADOW_NONE ||
				    key_level(m->page[m->owner[n]].key) != key_level(p->key) - 1))
			return false;
	}
	return true;
}

void shadow_state(struct shadow_mmu *m, struct state *s)
{
	state_section(s, "shadow", 1);
	state_u64(s, &m->stamp);
	state_u32(s, &m->cursor);
	if (m->cursor >= SHADOW_PAGES) {
		state_fail(s, "there is no shadow page %u", m->cursor);
		m->cursor = 0;
	}
	state_u32(s, &m->grants);
	if (m->grants > SHADOW_GRANTS) {
		state_fail(s, "%u leaves are granted, of %u", m->grants, SHADOW_GRANTS);
		m->grants = 0;
	}
	for (uint32_t n = 0; n < m->grants; n++) {
		state_u32(s, &m->granted[n].page);
		state_u32(s, &m->granted[n].index);
		if (m->granted[n].page >= SHADOW_PAGES || m->granted[n].index > 511 ||
			!state_ok(s)) {
			state_fail(s, "a granted leaf is in no table");
			m->grants = n;
		}
	}
	for (uint32_t n = 0; n < SHADOW_PAGES; n++)
		page_state(m, &m->page[n], s);
	if (state_mode(s) != STATE_LOAD)
		return;
	clear_index(m);
	m->used = 0;
	for (uint32_t n = 0; n < SHADOW_PAGES; n++)
		if (m->page[n].key) {
			enter_index(m, n);
			m->used++;
		}
	for (uint32_t n = 0; n < SHADOW_PAGES && state_ok(s); n++)
		if (m->page[n].key && !entries_known(m, &m->page[n]))
			state_fail(s, "a shadow table leads to a page that is none");
}

void shadow_space_state(struct shadow_space *sp, struct state *s)
{
	uint64_t roots = sp->roots;

	state_u8(s, &sp->role);
	state_count(s, &roots, 4);
	sp->roots = (unsigned)roots;
	for (unsigned i = 0; i < 4; i++) {
		state_u32(s, &sp->root[i]);
		if (sp->root[i] != SHADOW_NONE && sp->root[i] >= SHADOW_PAGES) {
			state_fail(s, "there is no shadow page %u", sp->root[i]);
			sp->root[i] = SHADOW_NONE;
		}
	}
	state_u64(s, &sp->flushed);
}

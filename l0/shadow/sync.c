/* Invalidation: shadow entries that no longer follow from the guest's. */
#include "l0/shadow/pages.h"

#include <string.h>

const uint8_t *shadow_guest_table(const struct shadow_mmu *m, const struct shadow_page *p)
{
	struct phys_page *page;
	enum phys_kind kind;
	uint8_t *host;

	if (!phys_page_at(m->phys, hpa(p->key & KEY_ADDR), &host, &page, &kind))
		return NULL;
	return host;
}

/* A 32-bit table has twice as many entries, each for twice as much: a shadow
 * page directory covers a quarter of the guest's, a shadow page table half. */
void shadow_part(const struct shadow_page *p, unsigned *offset, unsigned *size)
{
	*size = PAGE_SIZE;
	if (role_format(key_role(p->key)) == WALK_32BIT)
		*size = key_level(p->key) == 2 ? PAGE_SIZE / 4 : PAGE_SIZE / 2;
	*offset = *size * key_quad(p->key);
	*offset %= PAGE_SIZE;
}

/* Where the guest's entry behind shadow entry `index` is, and its size. */
static unsigned entry_offset(const struct shadow_page *p, unsigned index, unsigned *size)
{
	unsigned offset, part;

	shadow_part(p, &offset, &part);
	*size = part == PAGE_SIZE ? 8 : 4;
	if (part == PAGE_SIZE / 4)
		index /= 2;
	return offset + index * *size;
}

static void zap(struct shadow_mmu *m, uint64_t *e)
{
	if (!*e)
		return;
	*e = 0;
	m->zapped = true;
	m->zaps++;
}

void shadow_revoke(struct shadow_mmu *m)
{
	for (uint32_t n = 0; n < m->grants; n++) {
		struct shadow_page *p = &m->page[m->granted[n].page];
		if (p->key)
			zap(m, &table_of(m, p)[m->granted[n].index]);
	}
	m->grants = 0;
}

void shadow_remember(struct shadow_mmu *m, struct shadow_page *p, unsigned index)
{
	unsigned offset, part, size, at = entry_offset(p, index, &size);
	const uint8_t *guest = shadow_guest_table(m, p);
	uint8_t *copy;

	if (!guest)
		return;
	copy = (uint8_t *)private_host(m->mem, p->copy) + at;
	shadow_part(p, &offset, &part);
	/* the other shadow entry of the same guest entry may be of its old value */
	if (part == PAGE_SIZE / 4 && memcmp(copy, guest + at, size))
		zap(m, &table_of(m, p)[index ^ 1]);
	memcpy(copy, guest + at, size);
}

/* Eight bytes of the guest's table changed: one entry, or two of 4 bytes. */
static void zap_behind(struct shadow_mmu *m, struct shadow_page *p, unsigned word, unsigned part)
{
	uint64_t *e = table_of(m, p);
	unsigned each = 512 * 8 / part; /* shadow entries for these eight bytes */

	for (unsigned i = 0; i < each; i++)
		zap(m, &e[word * each + i]);
}

static void compare(struct shadow_mmu *m, struct shadow_page *p)
{
	unsigned offset, part;
	const uint8_t *guest = shadow_guest_table(m, p);
	uint64_t *copy;

	if (p->copy == PRIVATE_NONE || !guest)
		return;
	shadow_part(p, &offset, &part);
	copy = (uint64_t *)(void *)((uint8_t *)private_host(m->mem, p->copy) + offset);
	guest += offset;
	if (!memcmp(copy, guest, part))
		return;
	for (unsigned i = 0; i < part / 8; i++) {
		uint64_t now = ((const uint64_t *)(const void *)guest)[i];
		if (copy[i] == now)
			continue;
		zap_behind(m, p, i, part);
		copy[i] = now;
	}
}

void shadow_sync(struct shadow_mmu *m, uint32_t n, unsigned lowest)
{
	struct shadow_page *p = &m->page[n];
	unsigned level = key_level(p->key);
	const uint64_t *e;

	if (p->key & KEY_DIRECT || p->synced == m->stamp)
		return;
	compare(m, p);
	if (lowest == 1)
		p->synced = m->stamp;
	if (level <= lowest)
		return;
	e = table_of(m, p);
	for (unsigned i = 0; i < 512; i++)
		if (e[i])
			shadow_sync(m, page_of_entry(m, e[i]), lowest);
}

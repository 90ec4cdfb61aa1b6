/* The pool of shadow pages; for l0/shadow/ alone.
 *
 * A key says it all: table or page address in bits 51:12; below it
 *   2:0 level  4:3 quadrant  7:5 rights above  8 part of a large page
 * and the role in bits 63:56. For a part of a large page, bits 20:12 are free
 * of address: they hold what else its leaves copy (protection key, caching),
 * and the quadrant says whether the large page is dirty.
 */
#ifndef L0_SHADOW_PAGES_H
#define L0_SHADOW_PAGES_H

#include "ept/formats.h"
#include "l0/shadow/mmu.h"

enum { ROLE_FORMAT = 3, ROLE_WP = 4, ROLE_NXE = 8, ROLE_PSE = 16, ROLE_SMEP = 32, ROLE_SMAP = 64,
	ROLE_PKE = 128 };

#define KEY_DIRECT     BIT(8)
#define KEY_ROLE_SHIFT 56
#define KEY_ADDR       ENTRY_ADDR

static inline unsigned key_level(uint64_t key)
{
	return key & 7;
}

static inline unsigned key_quad(uint64_t key)
{
	return key >> 3 & 3;
}

/* WALK_W, WALK_X and WALK_U as three bits. */
static inline uint64_t key_access(uint8_t rights)
{
	return (uint64_t)(rights >> 1 & 7) << 5;
}

static inline uint8_t key_rights(uint64_t key)
{
	return (uint8_t)(WALK_R | (key >> 5 & 7) << 1);
}

static inline uint8_t key_role(uint64_t key)
{
	return (uint8_t)(key >> KEY_ROLE_SHIFT);
}

static inline enum walk_format role_format(uint8_t role)
{
	return (enum walk_format)(role & ROLE_FORMAT);
}

static inline unsigned level_shift(unsigned level)
{
	return 12 + 9 * (level - 1);
}

static inline uint64_t *table_of(const struct shadow_mmu *m, const struct shadow_page *p)
{
	return private_host(m->mem, p->table);
}

/* The page of a table entry. */
static inline uint32_t page_of_entry(const struct shadow_mmu *m, uint64_t e)
{
	return m->owner[((e & ENTRY_ADDR) - PHYS_PRIVATE) / PAGE_SIZE];
}

/* Found, or made; SHADOW_NONE: there is no room for it. */
uint32_t shadow_page_get(struct shadow_mmu *m, uint64_t key, uint64_t va);
/* Frees every page but those that are pinned, which become empty. */
void shadow_drop_all(struct shadow_mmu *m);

/* The guest's table behind a page; NULL: nothing is there. */
const uint8_t *shadow_guest_table(const struct shadow_mmu *m, const struct shadow_page *p);
/* Which bytes of the guest's table the page covers. */
void shadow_part(const struct shadow_page *p, unsigned *offset, unsigned *size);
/* Entry `index` was made from the guest's entry as it is now. */
void shadow_remember(struct shadow_mmu *m, struct shadow_page *p, unsigned index);

/* Leaves that CR0.WP = 0 made writable go. */
void shadow_revoke(struct shadow_mmu *m);

/* Entries that do not follow from the guest's table any more go; of the
 * tables below too, those of level `lowest` and up. */
void shadow_sync(struct shadow_mmu *m, uint32_t page, unsigned lowest);

#endif

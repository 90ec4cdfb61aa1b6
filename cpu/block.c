/* Blocks by what they are found by: the mode that they were decoded in, their
 * place in memory, the pages that a write makes them die on. */
#include "cpu/run.h"

#include "base/buf.h"

#include <stdlib.h>

/* ES CS SS DS: no access can fail a check; FS and GS: the same but for a base. */
static bool seg_flat(const struct vcpu *c, unsigned n)
{
	const struct seg *s = &c->seg[n];
	if (s->limit != UINT32_MAX || s->ar & AR_UNUSABLE || !(s->ar & AR_P))
		return false;
	if (n == SEG_CS)
		return s->base == 0 && (s->ar & AR_READ) && (s->ar & AR_CODE);
	return (s->ar & (AR_CODE | AR_WRITE | AR_EXPAND_DOWN)) == AR_WRITE;
}

uint32_t mode_of(const struct vcpu *c)
{
	uint32_t m = 0;
	bool pe = (c->cr0 & CR0_PE) && !(c->rflags & FLAG_VM);
	if (cpu_64bit(c))
		m |= MODE_CODE64 | 0x3f << MODE_FLAT_SHIFT;
	else
		for (unsigned n = 0; n < 6; n++)
			m |= seg_flat(c, n) ? 1u << (MODE_FLAT_SHIFT + n) : 0;
	m |= !(m & MODE_CODE64) && (c->seg[SEG_CS].ar & AR_DB) ? MODE_CODE32 : 0;
	m |= !(m & MODE_CODE64) && (c->seg[SEG_SS].ar & AR_DB) ? MODE_SS32 : 0;
	m |= c->cpl == 3 && (c->cr0 & CR0_AM) && (c->rflags & FLAG_AC) ? MODE_ALIGN : 0;
	m |= pe ? MODE_PROTECTED : 0;
	m |= c->cr0 & CR0_EM ? MODE_EM : 0;
	m |= c->cr0 & CR0_TS ? MODE_TS : 0;
	m |= c->cr0 & CR0_MP ? MODE_MP : 0;
	m |= c->cr4 & CR4_OSFXSR ? MODE_OSFXSR : 0;
	m |= (c->cr4 & CR4_OSXSAVE) && (c->xcr0 & 6) == 6 ? MODE_AVX : 0;
	return m;
}

/* --- tables */

static unsigned hash_of(const uint8_t *host, uint64_t gva, uint32_t mode)
{
	uint64_t h = ((uint64_t)(uintptr_t)host >> 12) * UINT64_C(0x9e3779b97f4a7c15);
	h ^= (gva ^ (uint64_t)mode << 40) * UINT64_C(0xc2b2ae3d27d4eb4f);
	return h >> 40 & (BLOCK_HASH - 1);
}

static struct code_page **page_slot(struct engine_shared *s, uint64_t page)
{
	struct code_page **p = &s->page[(page >> PAGE_SHIFT) & (PAGE_HASH - 1)];
	while (*p && (*p)->hpa != page)
		p = &(*p)->next;
	return p;
}

static struct phys_page *desc_of(struct engine_shared *s, uint64_t at)
{
	uint8_t *host;
	struct phys_page *page;
	enum phys_kind kind;
	return phys_page_at(s->phys, hpa(at), &host, &page, &kind) ? page : NULL;
}

/* Bytes of the block on the page at `page`, as [*from, *to). */
static void span(const struct block *b, uint64_t page, unsigned *from, unsigned *to)
{
	unsigned off = b->hpa % PAGE_SIZE, end = off + b->bytes;
	if (page == (b->hpa & PAGE_MASK)) {
		*from = off;
		*to = end < PAGE_SIZE ? end : PAGE_SIZE;
	} else {
		*from = 0;
		*to = end - PAGE_SIZE;
	}
}

static uint64_t chunks(unsigned from, unsigned to)
{
	unsigned a = from / 64, z = (to - 1) / 64;
	return (~UINT64_C(0) >> (63 - z)) & (~UINT64_C(0) << a);
}

static struct block **next_on_page(struct block *b, uint64_t page)
{
	return page == (b->hpa & PAGE_MASK) ? &b->page_next : &b->page2_next;
}

static void add_to_page(struct vcpu *c, struct block *b, uint64_t page)
{
	struct engine_shared *s = c->engine->shared;
	struct code_page **slot = page_slot(s, page);
	unsigned from, to;
	if (!*slot) {
		*slot = xalloc(sizeof(**slot));
		(*slot)->hpa = page;
	}
	*next_on_page(b, page) = (*slot)->blocks;
	(*slot)->blocks = b;
	uint8_t *host;
	struct phys_page *desc;
	enum phys_kind kind;
	if (!phys_page_at(s->phys, hpa(page), &host, &desc, &kind))
		return;
	if (!desc->code)
		for (unsigned v = 0; v < s->vcpus; v++)
			tlb_protect(s->vcpu[v]->engine->pool, host, false);
	span(b, page, &from, &to);
	desc->code |= chunks(from, to);
}

static void unhash(struct engine_shared *s, struct block *b)
{
	struct block **p = &s->hash[hash_of(b->host, b->gva, b->mode)];
	while (*p != b)
		p = &(*p)->hash_next;
	*p = b->hash_next;
	s->gva_blocks[gva_page(b->gva)]--;
}

static void unlink_from_page(struct engine_shared *s, struct block *b, uint64_t page)
{
	struct block **p = &(*page_slot(s, page))->blocks;
	while (*p != b)
		p = next_on_page(*p, page);
	*p = *next_on_page(b, page);
}

/* The page's bitmap after blocks have gone. */
static void recount_page(struct engine_shared *s, uint64_t page)
{
	struct phys_page *desc = desc_of(s, page);
	uint64_t code = 0;
	for (struct block *o = (*page_slot(s, page))->blocks; o; o = *next_on_page(o, page)) {
		unsigned from, to;
		span(o, page, &from, &to);
		code |= chunks(from, to);
	}
	if (desc)
		desc->code = code;
}

/* Out of the hash and into the grave; its pages' lists are the caller's. */
static void entomb(struct engine_shared *s, struct block *b)
{
	unhash(s, b);
	b->dead = true;
	b->hash_next = s->grave;
	s->grave = b;
	s->epoch++;
	s->stats.blocks_flushed++;
	if (s->running) {
		s->running->engine->brk = true;
		s->running->engine->patch = NULL;
	}
}

static void kill(struct engine_shared *s, struct block *b)
{
	uint64_t page = b->hpa & PAGE_MASK, page2 = b->hpa2;
	entomb(s, b);
	unlink_from_page(s, b, page);
	recount_page(s, page);
	if (page2 != UINT64_MAX) {
		unlink_from_page(s, b, page2);
		recount_page(s, page2);
	}
}

void code_written(struct engine_shared *s, struct phys_page *page, uint64_t at, size_t len)
{
	uint64_t base = at & PAGE_MASK;
	unsigned from = at % PAGE_SIZE, to = from + (unsigned)len;
	bool any = false;
	if (!page->code || !(page->code & chunks(from, to)))
		return;
	struct code_page *cp = *page_slot(s, base);
	for (struct block **p = &cp->blocks; *p;) {
		struct block *b = *p;
		unsigned bf, bt;
		span(b, base, &bf, &bt);
		if (bf >= to || from >= bt) {
			p = next_on_page(b, base);
			continue;
		}
		uint64_t first = b->hpa & PAGE_MASK, other = first == base ? b->hpa2 : first;
		*p = *next_on_page(b, base);
		entomb(s, b);
		s->stats.smc_events++;
		any = true;
		if (other != UINT64_MAX && other != base) {
			unlink_from_page(s, b, other);
			recount_page(s, other);
		}
	}
	if (any)
		recount_page(s, base);
}

void block_bury(struct engine_shared *s)
{
	while (s->grave) {
		struct block *b = s->grave;
		s->grave = b->hash_next;
		s->bytes -= block_bytes(b);
		for (unsigned k = 0; b->insn && k < b->n; k++)
			if (b->insn[k]) {
				s->bytes -= sizeof(struct insn);
				free(b->insn[k]);
			}
		free(b->insn);
		free(b);
	}
}

void block_flush(struct engine_shared *s)
{
	for (unsigned h = 0; h < PAGE_HASH; h++)
		for (struct code_page *p = s->page[h]; p; p = p->next) {
			struct phys_page *desc = desc_of(s, p->hpa);
			p->blocks = NULL;
			if (desc)
				desc->code = 0;
		}
	for (unsigned h = 0; h < BLOCK_HASH; h++)
		while (s->hash[h])
			entomb(s, s->hash[h]);
}

void block_flush_gva(struct engine_shared *s, uint64_t gva)
{
	if (!s->gva_blocks[gva_page(gva)])
		return;
	for (unsigned h = 0; h < PAGE_HASH; h++)
		for (struct code_page *p = s->page[h]; p; p = p->next)
			for (struct block *b = p->blocks, *next; b; b = next) {
				next = *next_on_page(b, p->hpa);
				if (!((b->gva ^ gva) & PAGE_MASK))
					kill(s, b);
			}
}

/* Where block_find and writes to its pages find it. */
static void keep(struct vcpu *c, struct block *b)
{
	struct engine_shared *s = c->engine->shared;
	if (b->hpa2 == (b->hpa & PAGE_MASK)) {
		/* both halves in one page: on no list, gone at the next turn */
		b->dead = true;
		b->hash_next = s->grave;
		s->grave = b;
		return;
	}
	struct block **h = &s->hash[hash_of(b->host, b->gva, b->mode)];
	b->hash_next = *h;
	*h = b;
	s->gva_blocks[gva_page(b->gva)]++;
	add_to_page(c, b, b->hpa & PAGE_MASK);
	if (b->hpa2 != UINT64_MAX)
		add_to_page(c, b, b->hpa2);
}

/* --- finding */

/* The second page of a crossing instruction still leads where it did. */
static enum cpu_step second_page(struct vcpu *c, const struct block *b, bool *same)
{
	struct tlb_place p;
	uint64_t at = (b->gva & PAGE_MASK) + PAGE_SIZE;
	if (!(b->mode & MODE_CODE64))
		at = (uint32_t)at;
	enum cpu_step step = tlb_resolve(c, at, TLB_FETCH, ACCESS_DATA, &p);
	*same = step == CPU_DONE && p.hpa.v == b->hpa2;
	return step;
}

enum cpu_step block_find(struct vcpu *c, uint32_t mode, struct block **out)
{
	struct engine_shared *s = c->engine->shared;
	uint64_t lin = c->rip;
	if (mode & MODE_CODE64) {
		if ((uint64_t)((int64_t)(lin << 16) >> 16) != lin)
			return cpu_raise_error(c, VEC_GP, 0);
	} else {
		if (c->rip > c->seg[SEG_CS].limit)
			return cpu_raise_error(c, VEC_GP, 0);
		lin = (uint32_t)(c->rip + c->seg[SEG_CS].base);
	}
	const struct tlb_entry *e = &c->tlb->e[lin >> PAGE_SHIFT & (TLB_SIZE - 1)];
	const uint8_t *host;
	if (e->exec == (lin & PAGE_MASK)) {
		host = (const uint8_t *)(uintptr_t)((lin & PAGE_MASK) + e->addend);
	} else {
		struct tlb_place p;
		enum cpu_step step = tlb_resolve(c, lin, TLB_FETCH, ACCESS_DATA, &p);
		if (step != CPU_DONE)
			return step;
		host = (const uint8_t *)((uintptr_t)p.host & PAGE_MASK);
	}
	for (struct block *b = s->hash[hash_of(host, lin, mode)]; b; b = b->hash_next) {
		if (b->gva != lin || b->host != host || b->mode != mode)
			continue;
		if (b->hpa2 != UINT64_MAX) {
			bool same;
			enum cpu_step step = second_page(c, b, &same);
			if (step != CPU_DONE)
				return step;
			if (!same) {
				kill(s, b);
				break;
			}
		}
		if (!(mode & MODE_CODE64) && c->rip + b->bytes - 1 > c->seg[SEG_CS].limit)
			continue;
		*out = b;
		return CPU_DONE;
	}
	enum cpu_step step = block_build(c, mode, lin, out);
	if (step == CPU_DONE)
		keep(c, *out);
	return step;
}

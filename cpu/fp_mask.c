/* Instructions that touch memory element by element: masked moves and gathers.
 * An element whose mask is clear is not accessed at all. */
#include "cpu/fp.h"
#include "cpu/fp_regs.h"
#include "cpu/insn_table.h"
#include "cpu/mem.h"
#include "cpu/mnemonic.h"

union vector {
	uint64_t q[4];
	uint32_t d[8];
	uint8_t b[32];
};

static bool mask_bit(const union vector *m, unsigned n, unsigned size)
{
	return m->b[n * size + size - 1] >> 7;
}

static void set_element(union vector *v, unsigned n, unsigned size, bool ones)
{
	if (size == 8)
		v->q[n] = ones ? UINT64_MAX : 0;
	else
		v->d[n] = ones ? UINT32_MAX : 0;
}

static enum cpu_step masked_load(struct vcpu *c, const struct insn *i, unsigned size)
{
	union vector mask, v = {{0}};
	uint64_t at = insn_offset(c, i);

	fp_vector_get(c, i->op[1].reg, mask.q);
	for (unsigned n = 0; n < i->vector_len / size; n++) {
		if (!mask_bit(&mask, n, size))
			continue;
		enum cpu_step s = cpu_mem_read(
			c, i->seg, fp_offset_cut(i, at + n * size), v.b + n * size, size);
		if (s)
			return s;
	}
	fp_leave(c);
	fp_vector_put(c, i->op[0].reg, v.q, i->vector_len);
	return CPU_DONE;
}

/* Writes the elements of `size` bytes that `mask` selects. */
static enum cpu_step masked_store(struct vcpu *c, const struct insn *i, uint64_t at,
	const union vector *mask, const union vector *v, unsigned size, unsigned count)
{
	for (unsigned pass = 0; pass < 2; pass++)
		for (unsigned n = 0; n < count; n++) {
			uint64_t off = fp_offset_cut(i, at + n * size);
			enum cpu_step s;
			if (!mask_bit(mask, n, size))
				continue;
			s = pass ? cpu_mem_write(c, i->seg, off, v->b + n * size, size)
				 : cpu_mem_probe_write(c, i->seg, off, size);
			if (s)
				return s;
		}
	return CPU_DONE;
}

enum cpu_step fp_maskmov(struct vcpu *c, const struct insn *i)
{
	unsigned size =
		i->mnemonic == ZYDIS_MNEMONIC_VMASKMOVPD || i->mnemonic == ZYDIS_MNEMONIC_VPMASKMOVQ
			? 8
			: 4;
	union vector mask, v;

	fp_leave(c);
	if (i->op[0].kind != OPND_MEM)
		return masked_load(c, i, size);
	fp_vector_get(c, i->op[1].reg, mask.q);
	fp_vector_get(c, i->op[2].reg, v.q);
	return masked_store(c, i, insn_offset(c, i), &mask, &v, size, i->vector_len / size);
}

enum cpu_step fp_maskmovdqu(struct vcpu *c, const struct insn *i)
{
	union vector mask, v;
	unsigned n = i->operands; /* the memory operand may be listed first */

	fp_leave(c);
	fp_vector_get(c, i->op[n - 1].reg, mask.q);
	fp_vector_get(c, i->op[n - 2].reg, v.q);
	return masked_store(c, i, fp_offset_cut(i, c->gpr[RDI]), &mask, &v, 1, 16);
}

enum cpu_step fp_maskmovq(struct vcpu *c, const struct insn *i)
{
	union vector mask, v;
	unsigned n = i->operands;
	uint16_t *sw;
	enum cpu_step s;

	fp_leave(c);
	sw = fp_word(c, FX_FSW);
	s = fp_wait(c);
	if (s)
		return s;
	/* ST(k) is in stack order; MMX registers are physical */
	unsigned top = *sw >> 11 & 7;
	mask.q[0] = *(uint64_t *)fp_st(c, (i->op[n - 1].reg - top) & 7);
	v.q[0] = *(uint64_t *)fp_st(c, (i->op[n - 2].reg - top) & 7);
	s = masked_store(c, i, fp_offset_cut(i, c->gpr[RDI]), &mask, &v, 1, 8);
	if (s)
		return s;
	/* as any MMX instruction: TOP = 0, all registers valid */
	uint8_t regs[8][10];
	for (unsigned k = 0; k < 8; k++)
		for (unsigned b = 0; b < 10; b++)
			regs[(k + top) & 7][b] = fp_st(c, k)[b];
	for (unsigned k = 0; k < 8; k++)
		for (unsigned b = 0; b < 10; b++)
			fp_st(c, k)[b] = regs[k][b];
	*sw &= (uint16_t) ~(7u << 11);
	c->fp.area[FX_FTW] = 0xff;
	return CPU_DONE;
}

/* Gathers: done elements clear their mask, so that after a fault the
 * instruction goes on where it stopped. */

struct gather {
	union vector dst, index, mask;
	unsigned size;	     /* of an element, bytes */
	unsigned index_size; /* bytes */
	unsigned count;
	unsigned width; /* of the destination, bytes */
};

static void gather_shape(const struct insn *i, struct gather *g)
{
	switch (i->mnemonic) {
	case ZYDIS_MNEMONIC_VGATHERDPS:
	case ZYDIS_MNEMONIC_VPGATHERDD:
		g->size = 4, g->index_size = 4;
		break;
	case ZYDIS_MNEMONIC_VGATHERDPD:
	case ZYDIS_MNEMONIC_VPGATHERDQ:
		g->size = 8, g->index_size = 4;
		break;
	case ZYDIS_MNEMONIC_VGATHERQPS:
	case ZYDIS_MNEMONIC_VPGATHERQD:
		g->size = 4, g->index_size = 8;
		break;
	default:
		g->size = 8, g->index_size = 8;
		break;
	}
	unsigned wider = g->size > g->index_size ? g->size : g->index_size;
	g->count = i->vector_len / wider;
	g->width = g->count * g->size;
}

static uint64_t gather_offset(
	struct vcpu *c, const struct insn *i, const struct gather *g, unsigned n)
{
	int64_t index = g->index_size == 8 ? (int64_t)g->index.q[n] : (int32_t)g->index.d[n];
	uint64_t base = i->base < GPR_COUNT ? c->gpr[i->base] : 0;
	return fp_offset_cut(i, base + (uint64_t)index * i->scale + (uint64_t)i->disp);
}

/* Elements that are not done keep what they were. */
static void gather_commit(struct vcpu *c, const struct insn *i, const struct gather *g)
{
	fp_vector_put(c, i->op[0].reg, g->dst.q, g->width > 16 ? 32 : 16);
	fp_vector_put(c, i->op[2].reg, g->mask.q, g->width > 16 ? 32 : 16);
}

enum cpu_step fp_gather(struct vcpu *c, const struct insn *i)
{
	struct gather g;
	enum cpu_step s = CPU_DONE;

	fp_leave(c);
	gather_shape(i, &g);
	fp_vector_get(c, i->op[0].reg, g.dst.q);
	fp_vector_get(c, i->index, g.index.q);
	fp_vector_get(c, i->op[2].reg, g.mask.q);
	/* the sign bits fill their elements before anything is read */
	for (unsigned n = 0; n < g.count; n++)
		set_element(&g.mask, n, g.size, mask_bit(&g.mask, n, g.size));
	for (unsigned n = 0; n < g.count && !s; n++) {
		if (mask_bit(&g.mask, n, g.size))
			s = cpu_mem_read(c, i->seg, gather_offset(c, i, &g, n),
				g.dst.b + n * g.size, g.size);
		if (!s)
			set_element(&g.mask, n, g.size, false);
	}
	fp_leave(c);
	if (s == CPU_DONE && g.width < 16)
		g.dst.q[1] = g.mask.q[1] = 0;
	if (s == CPU_DONE)
		g.mask = (union vector){{0}};
	gather_commit(c, i, &g);
	return s;
}

#include "cpu/desc.h"

#include "cpu/mem.h"

enum cpu_step raise_sel(struct vcpu *c, enum cpu_vector vec, uint16_t sel, unsigned ext)
{
	return cpu_raise_error(c, vec, (sel & 0xfffcu) | ext);
}

/* Where the descriptor of `sel` lives; false when beyond its table. */
static bool locate(const struct vcpu *c, uint16_t sel, unsigned bytes, struct gva *at)
{
	unsigned off = sel & 0xfff8;

	if (sel & 4) {
		const struct seg *ldt = &c->seg[SEG_LDTR];

		if ((ldt->ar & AR_UNUSABLE) || !(ldt->ar & AR_P) || off + bytes - 1 > ldt->limit)
			return false;
		*at = gva(ldt->base + off);
	} else {
		if (off + bytes - 1 > c->gdtr.limit)
			return false;
		*at = gva(c->gdtr.base + off);
	}
	if (!cpu_long_mode(c))
		at->v &= 0xffffffff;
	return true;
}

enum cpu_step desc_read(struct vcpu *c, uint16_t sel, unsigned bytes, struct desc *d, bool *inside)
{
	struct gva at;
	uint32_t raw[4] = {0};

	*d = (struct desc){0};
	*inside = locate(c, sel, bytes, &at);
	if (!*inside)
		return CPU_DONE;
	CPU_TRY(cpu_lin_read(c, at, raw, bytes, ACCESS_SYSTEM));
	d->lo = raw[0];
	d->hi = raw[1];
	d->high = raw[2];
	return CPU_DONE;
}

enum cpu_step desc_get(struct vcpu *c, uint16_t sel, unsigned bytes, enum cpu_vector vec,
	unsigned ext, struct desc *d)
{
	bool inside;

	CPU_TRY(desc_read(c, sel, bytes, d, &inside));
	return inside ? CPU_DONE : raise_sel(c, vec, sel, ext);
}

enum cpu_step desc_mark_accessed(struct vcpu *c, uint16_t sel, struct desc *d)
{
	struct gva at;
	uint8_t b;

	if ((d->hi & 1 << 8) || !locate(c, sel, 8, &at))
		return CPU_DONE;
	d->hi |= 1 << 8;
	b = d->hi >> 8;
	at.v += 5;
	return cpu_lin_write(c, at, &b, 1, ACCESS_SYSTEM);
}

enum cpu_step desc_mark_busy(struct vcpu *c, uint16_t sel, bool busy)
{
	struct gva at;
	uint8_t b;

	if (!locate(c, sel, 8, &at))
		return CPU_DONE;
	at.v += 5;
	CPU_TRY(cpu_lin_read(c, at, &b, 1, ACCESS_SYSTEM));
	b = busy ? b | 2 : b & ~2;
	return cpu_lin_write(c, at, &b, 1, ACCESS_SYSTEM);
}

struct seg desc_seg(uint16_t sel, const struct desc *d)
{
	struct seg s = {.sel = sel, .ar = desc_ar(d)};

	s.base = (d->lo >> 16) | (d->hi & 0xff) << 16 | (d->hi & 0xff000000) |
		(uint64_t)d->high << 32;
	s.limit = (d->lo & 0xffff) | (d->hi & 0xf0000);
	if (s.ar & AR_G)
		s.limit = s.limit << 12 | 0xfff;
	return s;
}

bool seg_inside(const struct seg *s, uint64_t off, unsigned size)
{
	uint64_t last = off + size - 1;

	if ((s->ar & (AR_S | AR_CODE | AR_EXPAND_DOWN)) == (AR_S | AR_EXPAND_DOWN))
		return off > s->limit && last <= (s->ar & AR_DB ? 0xffffffffu : 0xffffu);
	return last <= s->limit && last >= off;
}

/* cpu/xsave.h: the family's stores and loads over byte images. */
#include "cpu/xsave.h"

/* memcpy and memset of the C library use vector registers. */
static void copy(uint8_t *to, const uint8_t *from, unsigned n)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

static void zero(uint8_t *to, unsigned n)
{
	__asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(0) : "memory");
}

static uint16_t get16(const uint8_t *p)
{
	return *(const uint16_t *)p;
}

static uint64_t get64(const uint8_t *p)
{
	return *(const uint64_t *)p;
}

static void put32(uint8_t *p, uint32_t v)
{
	*(uint32_t *)p = v;
}

static void put64(uint8_t *p, uint64_t v)
{
	*(uint64_t *)p = v;
}

/* Components after the legacy region, in order; none asks for alignment in
 * the compacted form. */
struct component {
	uint8_t bit;
	uint16_t offset, size;
};

static const struct component components[] = {
	{2, XSAVE_AVX, XSAVE_AVX_SIZE},
	{9, XSAVE_PKRU, XSAVE_PKRU_SIZE},
};

#define COMPONENTS (sizeof components / sizeof components[0])

/* Where component k lies in an area with these components. */
static unsigned component_at(unsigned k, uint64_t present, bool compacted)
{
	unsigned at = XSAVE_AVX;
	if (!compacted)
		return components[k].offset;
	for (unsigned n = 0; n < k; n++)
		if (present & BIT(components[n].bit))
			at += components[n].size;
	return at;
}

unsigned xsave_size(uint64_t present, bool compacted)
{
	unsigned size = XSAVE_AVX;
	for (unsigned k = 0; k < COMPONENTS; k++)
		if (present & BIT(components[k].bit))
			size = component_at(k, present, compacted) + components[k].size;
	return size;
}

static bool any(const uint8_t *p, unsigned n)
{
	for (unsigned k = 0; k < n; k++)
		if (p[k])
			return true;
	return false;
}

static bool x87_inuse(const uint8_t *a)
{
	if (get16(a + FX_FCW) != 0x37f || get16(a + FX_FSW) || a[FX_FTW] || get16(a + FX_FOP) ||
		get64(a + FX_FIP) || get64(a + FX_FDP))
		return true;
	for (unsigned n = 0; n < 8; n++)
		if (any(a + FX_ST + 16 * n, 10))
			return true;
	return false;
}

uint64_t xsave_inuse(const struct fp_state *fp, uint32_t pkru)
{
	const uint8_t *a = fp->area;
	uint64_t bv = 0;

	if (x87_inuse(a))
		bv |= XCOMP_X87;
	if (any(a + FX_XMM, 256))
		bv |= XCOMP_SSE;
	if (any(a + XSAVE_AVX, XSAVE_AVX_SIZE))
		bv |= XCOMP_AVX;
	if (pkru)
		bv |= XCOMP_PKRU;
	return bv;
}

static void add(struct xsave_image *im, unsigned at, unsigned size)
{
	im->part[im->parts++] = (struct xsave_part){(uint16_t)at, (uint16_t)size};
}

static unsigned vectors(const struct xsave_how *how)
{
	return 16 * (how->mode64 ? 16 : 8);
}

/* Bytes 0 to 23 and the eight registers. */
static void store_x87(
	struct xsave_image *out, const struct xsave_how *how, const struct fp_state *fp)
{
	const uint8_t *a = fp->area;

	copy(out->bytes, a, FX_MXCSR);
	out->bytes[FX_FTW + 1] = 0;
	if (!how->rex_w) {
		put32(out->bytes + FX_FIP + 4, how->no_fcs ? 0 : fp->fcs);
		put32(out->bytes + FX_FDP + 4, how->no_fcs ? 0 : fp->fds);
	}
	for (unsigned n = 0; n < 8; n++) {
		copy(out->bytes + FX_ST + 16 * n, a + FX_ST + 16 * n, 10);
		zero(out->bytes + FX_ST + 16 * n + 10, 6);
	}
	add(out, 0, FX_MXCSR);
	add(out, FX_ST, 128);
}

static void store_mxcsr(struct xsave_image *out, const uint8_t *a)
{
	copy(out->bytes + FX_MXCSR, a + FX_MXCSR, 4);
	put32(out->bytes + FX_MXCSR_MASK, MXCSR_VALID);
	add(out, FX_MXCSR, 8);
}

static void store_xmm(struct xsave_image *out, const struct xsave_how *how, const uint8_t *a)
{
	copy(out->bytes + FX_XMM, a + FX_XMM, vectors(how));
	add(out, FX_XMM, vectors(how));
}

/* XSAVE, XSAVEC, XSAVES store what is above the legacy region and the header. */
static void store_extended(struct xsave_image *out, const struct xsave_how *how,
	const struct fp_state *fp, uint32_t pkru, uint64_t what)
{
	bool compacted = how->kind >= DO_XSAVEC;
	for (unsigned k = 0; k < COMPONENTS; k++) {
		unsigned at = component_at(k, how->rfbm, compacted);
		unsigned size = components[k].size;
		if (!(what & BIT(components[k].bit)))
			continue;
		if (components[k].bit == 2) {
			size = vectors(how);
			copy(out->bytes + at, fp->area + XSAVE_AVX, size);
		} else {
			put64(out->bytes + at, pkru);
		}
		add(out, at, size);
	}
}

static void fxsave_store(
	struct xsave_image *out, const struct xsave_how *how, const struct fp_state *fp)
{
	store_x87(out, how, fp);
	if (how->no_sse)
		return;
	store_mxcsr(out, fp->area);
	store_xmm(out, how, fp->area);
}

void xsave_store(struct xsave_image *out, const struct xsave_how *how, const struct fp_state *fp,
	uint32_t pkru, uint64_t old_bv)
{
	uint64_t inuse = xsave_inuse(fp, pkru);
	uint64_t save = how->rfbm, bv;
	bool compacted = how->kind >= DO_XSAVEC;

	out->parts = 0;
	if (how->kind == DO_FXSAVE) {
		fxsave_store(out, how, fp);
		return;
	}
	if (compacted && get16(fp->area + FX_MXCSR) != MXCSR_INIT)
		inuse |= XCOMP_SSE;
	if (how->kind != DO_XSAVE)
		save &= inuse;
	if (save & XCOMP_X87)
		store_x87(out, how, fp);
	/* In the compacted form MXCSR belongs to SSE; in the other one it goes
	 * along with SSE or AVX, in use or not. */
	if (compacted ? save & XCOMP_SSE : how->rfbm & (XCOMP_SSE | XCOMP_AVX))
		store_mxcsr(out, fp->area);
	if (save & XCOMP_SSE)
		store_xmm(out, how, fp->area);
	bv = compacted ? save : (old_bv & ~how->rfbm) | (inuse & how->rfbm);
	put64(out->bytes + XSAVE_HEADER, bv);
	put64(out->bytes + XSAVE_HEADER + 8, how->rfbm | XSAVE_COMPACTED);
	add(out, XSAVE_HEADER, compacted ? 16 : 8);
	store_extended(out, how, fp, pkru, save);
}

/* SDM Vol. 1 13.8 "Operation of XRSTOR", 13.12 "Operation of XRSTORS": what
 * the header must look like. */
static bool header_ok(const uint8_t *h, enum xsave_kind kind, uint64_t allowed)
{
	uint64_t bv = get64(h), comp = get64(h + 8);
	if (comp & XSAVE_COMPACTED) {
		if ((comp & ~XSAVE_COMPACTED & ~allowed) || (bv & ~comp))
			return false;
		return !any(h + 16, 48);
	}
	return kind != DO_XSAVES && !(bv & ~allowed) && !comp && !get64(h + 16);
}

bool xsave_plan(struct xsave_image *in, const struct xsave_how *how, uint64_t allowed)
{
	const uint8_t *h = in->bytes + XSAVE_HEADER;
	uint64_t bv, comp, load;
	bool compacted;

	in->parts = 0;
	if (how->kind == DO_FXSAVE) {
		add(in, 0, how->no_sse ? FX_XMM : FX_XMM + vectors(how));
		return true;
	}
	if (!header_ok(h, how->kind, allowed))
		return false;
	bv = get64(h);
	comp = get64(h + 8);
	compacted = comp & XSAVE_COMPACTED;
	load = how->rfbm & bv;
	if (load & XCOMP_X87) {
		add(in, 0, FX_MXCSR);
		add(in, FX_ST, 128);
	}
	if (compacted ? load & XCOMP_SSE : how->rfbm & (XCOMP_SSE | XCOMP_AVX))
		add(in, FX_MXCSR, 8);
	if (load & XCOMP_SSE)
		add(in, FX_XMM, vectors(how));
	for (unsigned k = 0; k < COMPONENTS; k++)
		if (load & BIT(components[k].bit))
			add(in, component_at(k, comp, compacted),
				components[k].bit == 2 ? vectors(how) : components[k].size);
	return true;
}

static void load_x87(struct fp_state *fp, const struct xsave_how *how, const uint8_t *from)
{
	uint8_t *a = fp->area;
	copy(a, from, FX_MXCSR);
	a[FX_FCW] = (a[FX_FCW] & 0x3f) | 0x40; /* reserved bits read so */
	a[FX_FCW + 1] &= 0x1f;
	a[FX_FSW] &= 0x7f; /* ES and B follow from the others */
	a[FX_FSW + 1] &= 0x7f;
	if (a[FX_FSW] & ~a[FX_FCW] & 0x3f) {
		a[FX_FSW] |= 0x80;
		a[FX_FSW + 1] |= 0x80;
	} else {
		fp->ferr = false;
	}
	a[FX_FTW + 1] = 0;
	a[FX_FOP + 1] &= 0x07;
	fp->fcs = fp->fds = 0;
	if (!how->rex_w) {
		fp->fcs = get16(from + FX_FIP + 4);
		fp->fds = get16(from + FX_FDP + 4);
		put32(a + FX_FIP + 4, 0);
		put32(a + FX_FDP + 4, 0);
	} else { /* as wide as a linear address */
		put64(a + FX_FIP, (uint64_t)((int64_t)(get64(a + FX_FIP) << 16) >> 16));
		put64(a + FX_FDP, (uint64_t)((int64_t)(get64(a + FX_FDP) << 16) >> 16));
	}
	for (unsigned n = 0; n < 8; n++)
		copy(a + FX_ST + 16 * n, from + FX_ST + 16 * n, 10);
}

static void init_x87(struct fp_state *fp)
{
	zero(fp->area, FX_MXCSR);
	zero(fp->area + FX_ST, 128);
	fp->area[FX_FCW] = 0x7f;
	fp->area[FX_FCW + 1] = 0x03;
	fp->fcs = fp->fds = 0;
	fp->ferr = false;
}

static void load_avx(struct fp_state *fp, const struct xsave_how *how, const uint8_t *from)
{
	if (from) {
		copy(fp->area + XSAVE_AVX, from, vectors(how));
		put64(fp->area + XSAVE_HEADER, XCOMP_X87 | XCOMP_SSE | XCOMP_AVX);
	} else {
		zero(fp->area + XSAVE_AVX, vectors(how));
	}
}

static void load_extended(const struct xsave_image *in, const struct xsave_how *how,
	struct fp_state *fp, uint32_t *pkru, uint64_t bv, uint64_t comp)
{
	for (unsigned k = 0; k < COMPONENTS; k++) {
		unsigned at = component_at(k, comp, comp & XSAVE_COMPACTED);
		bool load = bv & BIT(components[k].bit);
		if (!(how->rfbm & BIT(components[k].bit)))
			continue;
		if (components[k].bit == 2)
			load_avx(fp, how, load ? in->bytes + at : NULL);
		else
			*pkru = load ? (uint32_t)get64(in->bytes + at) : 0;
	}
}

bool xsave_load(const struct xsave_image *in, const struct xsave_how *how, struct fp_state *fp,
	uint32_t *pkru)
{
	const uint8_t *b = in->bytes;
	bool fx = how->kind == DO_FXSAVE;
	uint64_t rfbm = fx ? XCOMP_X87 | (how->no_sse ? 0 : XCOMP_SSE) : how->rfbm;
	uint64_t bv = fx ? rfbm : get64(b + XSAVE_HEADER);
	uint64_t comp = fx ? 0 : get64(b + XSAVE_HEADER + 8);
	bool compacted = comp & XSAVE_COMPACTED;
	uint32_t mxcsr = *(const uint32_t *)(b + FX_MXCSR);
	bool sse = rfbm & XCOMP_SSE, load_sse = sse && (bv & XCOMP_SSE);
	bool load_mxcsr = compacted ? load_sse : rfbm & (XCOMP_SSE | XCOMP_AVX);

	if (load_mxcsr && (mxcsr & ~MXCSR_VALID))
		return false;
	if (load_mxcsr || sse)
		put32(fp->area + FX_MXCSR, load_mxcsr ? mxcsr : MXCSR_INIT);
	if ((rfbm & bv) & XCOMP_X87)
		load_x87(fp, how, b);
	else if (rfbm & XCOMP_X87)
		init_x87(fp);
	if (load_sse)
		copy(fp->area + FX_XMM, b + FX_XMM, vectors(how));
	else if (sse)
		zero(fp->area + FX_XMM, vectors(how));
	if (!fx)
		load_extended(in, how, fp, pkru, bv, comp);
	return true;
}

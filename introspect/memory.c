/* Memory of any level, by walking its tables with reads that never fault. */
#include "introspect/private.h"

#include <stdio.h>
#include <string.h>

const char *intro_space_name(enum intro_space space)
{
	static const char *const names[] = {"virtual", "physical", "host"};
	return names[space];
}

static void level_prefix(struct intro *s, unsigned level, char out[16])
{
	struct intro_level l;
	if (intro_level(s, level, &l))
		snprintf(out, 16, "%s", l.name);
	else
		snprintf(out, 16, "l%u", level > 2 ? 2 : level);
}

void intro_address_print(struct intro *s, const struct intro_address *a, struct buf *out)
{
	char name[16];
	if (a->space == SPACE_HOST) {
		buf_fmt(out, "h:0x%llx", (unsigned long long)a->value);
		return;
	}
	level_prefix(s, a->at.level, name);
	buf_fmt(out, "%s%s:0x%llx", name, a->space == SPACE_PHYSICAL ? "p" : "",
		(unsigned long long)a->value);
}

/* --- physical addresses to host -------------------------------------------- */

struct view {
	struct intro *s;
	struct place at;
	struct intro_mem_fail *fail; /* never NULL */
};

static bool refuse(struct view *v, enum intro_mem_status status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static bool refuse(struct view *v, enum intro_mem_status status, const char *fmt, ...)
{
	va_list ap;
	if (v->fail->status != MEM_OK)
		return false; /* the innermost reason is the right one */
	v->fail->status = status;
	va_start(ap, fmt);
	vsnprintf(v->fail->why, sizeof v->fail->why, fmt, ap);
	va_end(ap);
	return false;
}

static bool host_uint(struct view *v, uint64_t hpa_at, unsigned size, uint64_t *out)
{
	*out = 0;
	enum intro_mem_status st = v->s->ops->host_read(v->s->ctx, hpa(hpa_at), out, size);
	if (st == MEM_OK)
		return true;
	return refuse(v, st, "a table entry at h:0x%llx is in %s", (unsigned long long)hpa_at,
		st == MEM_DEVICE ? "a device window" : "no memory");
}

/* Entries of EPT01 lie in host memory. */
static bool read_host(void *ctx, uint64_t at, unsigned size, uint64_t *value)
{
	return host_uint(ctx, at, size, value);
}

static bool ept01(struct view *v, uint64_t l1p, uint64_t *host);

/* Entries of EPT12 lie in L1-physical memory. */
static bool read_l1p(void *ctx, uint64_t at, unsigned size, uint64_t *value)
{
	uint64_t host;
	return ept01(ctx, at, &host) && host_uint(ctx, host, size, value);
}

/* A read walk; where reading is not allowed but executing is, that counts. */
static bool plain_walk(struct view *v, const struct walk_root *root, uint64_t in,
	bool (*read)(void *, uint64_t, unsigned, uint64_t *), const char *table, const char *space,
	enum intro_mem_status refused, uint64_t *out)
{
	const struct walk_mem mem = {v, read, NULL};
	struct walk_access access = {0};
	struct walk_result r;
	struct walk_root lax = *root;
	lax.smap = lax.smep = lax.pke = false;
	access.linear = true;
	enum walk_status st = ept_walk(&lax, in, &access, &mem, &r);
	if (st == WALK_VIOLATION && r.blame == BLAME_READ) {
		access.fetch = true;
		st = ept_walk(&lax, in, &access, &mem, &r);
	}
	if (st == WALK_OK) {
		*out = r.pa;
		return true;
	}
	if (!r.steps || r.blame == BLAME_CANONICAL)
		return refuse(v, refused, "0x%llx is not canonical", (unsigned long long)in);
	const struct walk_step *last = &r.step[r.steps - 1];
	return refuse(v, refused, "%s %s at %s:0x%llx: %s", table,
		walk_level_name(root->format, last->level), space, (unsigned long long)last->at,
		walk_blame_name(r.blame));
}

static bool ept01(struct view *v, uint64_t l1p, uint64_t *host)
{
	struct walk_root root;
	if (!v->s->ops->root(v->s->ctx, v->at, TABLE_EPT01, &root)) {
		*host = l1p; /* bare processor: one to one */
		return true;
	}
	return plain_walk(v, &root, l1p, read_host, "EPT01", "h", MEM_EPT_REFUSES, host);
}

/* A physical address of the view's level to host memory. */
static bool phys_to_host(struct view *v, uint64_t pa, uint64_t *host)
{
	struct walk_root root;
	uint64_t l1p = pa;
	if (v->at.level >= LEVEL_L2 && v->s->ops->root(v->s->ctx, v->at, TABLE_EPT12, &root) &&
		!plain_walk(v, &root, pa, read_l1p, "EPT12", "l1p", MEM_EPT_REFUSES, &l1p))
		return false;
	return ept01(v, l1p, host);
}

/* Entries of a guest's tables lie in its own physical memory. */
static bool read_guest(void *ctx, uint64_t at, unsigned size, uint64_t *value)
{
	uint64_t host;
	return phys_to_host(ctx, at, &host) && host_uint(ctx, host, size, value);
}

static bool linear_to_phys(struct view *v, uint64_t linear, uint64_t *pa)
{
	struct walk_root root;
	if (!v->s->ops->root(v->s->ctx, v->at, TABLE_GUEST, &root))
		return refuse(v, MEM_NO_TABLES, "the address space of this level is not known");
	if (root.format == WALK_NONE) {
		*pa = (uint32_t)linear;
		return true;
	}
	return plain_walk(v, &root, linear, read_guest, "the", v->at.level == 1 ? "l1p" : "l2p",
		MEM_NOT_MAPPED, pa);
}

static bool to_host(struct view *v, enum intro_space space, uint64_t address, uint64_t *host)
{
	uint64_t pa = address;
	if (space == SPACE_HOST) {
		*host = address;
		return true;
	}
	if (intro_place_state(v->s, v->at) == PLACE_NONE)
		return refuse(v, MEM_NO_TABLES, "this level has not run on vCPU %u", v->at.vcpu);
	if (space == SPACE_VIRTUAL && !linear_to_phys(v, address, &pa))
		return false;
	return phys_to_host(v, pa, host);
}

/* --- the interface ----------------------------------------------------------- */

static struct view view_of(struct intro *s, struct place at, struct intro_mem_fail *fail)
{
	*fail = (struct intro_mem_fail){.status = MEM_OK};
	return (struct view){s, at, fail};
}

/* Completes the sentence with the address that was asked for. */
static void name_failure(struct intro *s, struct place at, enum intro_space space,
	uint64_t address, struct intro_mem_fail *fail)
{
	struct buf b = {0};
	intro_address_print(s, &(struct intro_address){at, space, address}, &b);
	buf_fmt(&b, ": %s", fail->why);
	snprintf(fail->why, sizeof fail->why, "%s", b.data);
	buf_done(&b);
	fail->at = address;
}

bool intro_translate(struct intro *s, struct place at, enum intro_space space, uint64_t address,
	struct hpa *out, struct intro_mem_fail *fail)
{
	struct intro_mem_fail own;
	struct view v = view_of(s, at, fail ? fail : &own);
	if (to_host(&v, space, address, &out->v))
		return true;
	name_failure(s, at, space, address, v.fail);
	return false;
}

bool intro_to_physical(struct intro *s, struct place at, uint64_t linear, struct gpa *out,
	struct intro_mem_fail *fail)
{
	struct intro_mem_fail own;
	struct view v = view_of(s, at, fail ? fail : &own);
	if (intro_place_state(s, at) != PLACE_NONE ? linear_to_phys(&v, linear, &out->v) :
		refuse(&v, MEM_NO_TABLES, "this level has not run on vCPU %u", at.vcpu))
		return true;
	name_failure(s, at, SPACE_VIRTUAL, linear, v.fail);
	return false;
}

size_t intro_read(struct intro *s, struct place at, enum intro_space space, uint64_t address,
	void *out, size_t len, struct intro_mem_fail *fail)
{
	struct intro_mem_fail own;
	struct view v = view_of(s, at, fail ? fail : &own);
	size_t done = 0;
	while (done < len) {
		uint64_t here = address + done, host;
		size_t n = PAGE_SIZE - (here & ~PAGE_MASK);
		if (n > len - done)
			n = len - done;
		if (!to_host(&v, space, here, &host)) {
			name_failure(s, at, space, here, v.fail);
			break;
		}
		enum intro_mem_status st =
			s->ops->host_read(s->ctx, hpa(host), (char *)out + done, n);
		if (st != MEM_OK) {
			refuse(&v, st, st == MEM_DEVICE ? "h:0x%llx is a device, which is not read" :
					"nothing is at h:0x%llx", (unsigned long long)host);
			name_failure(s, at, space, here, v.fail);
			break;
		}
		done += n;
	}
	return done;
}

static bool cannot_write(struct intro *s, struct place at, enum intro_space space,
	uint64_t address, enum intro_mem_status st, struct err *e)
{
	struct buf b = {0};
	intro_address_print(s, &(struct intro_address){at, space, address}, &b);
	err_set(e, ERR_GENERAL, "%s: %s; only RAM can be written", b.data,
		st == MEM_READ_ONLY ? "this is ROM" : st == MEM_DEVICE ? "this is a device" :
		"no memory is there");
	buf_done(&b);
	return false;
}

bool intro_write(struct intro *s, struct place at, enum intro_space space, uint64_t address,
	const void *in, size_t len, struct err *e)
{
	struct intro_mem_fail fail;
	uint8_t probe;
	if (!s->ops->host_write)
		return intro_cannot(s, "write memory", e);
	/* every page must translate before the first is written */
	for (uint64_t page = address & PAGE_MASK; len && page <= ((address + len - 1) & PAGE_MASK);
		page += PAGE_SIZE) {
		if (!intro_read(s, at, space, page < address ? address : page, &probe, 1, &fail))
			return err_set(e, ERR_GENERAL, "%s", fail.why);
		if (page + PAGE_SIZE < page)
			break;
	}
	for (size_t done = 0; done < len;) {
		struct hpa host;
		uint64_t here = address + done;
		size_t n = PAGE_SIZE - (here & ~PAGE_MASK);
		if (n > len - done)
			n = len - done;
		if (!intro_translate(s, at, space, here, &host, &fail))
			return err_set(e, ERR_GENERAL, "%s", fail.why);
		enum intro_mem_status st =
			s->ops->host_write(s->ctx, host, (const char *)in + done, n);
		if (st != MEM_OK)
			return cannot_write(s, at, space, here, st, e);
		done += n;
	}
	if (len)
		intro_changed(s, at, "memory");
	return true;
}

bool intro_read_uint(struct intro *s, struct place at, enum intro_space space, uint64_t address,
	unsigned size, uint64_t *out)
{
	*out = 0;
	return size <= 8 && intro_read(s, at, space, address, out, size, NULL) == size;
}

/* Does the pattern match at p? */
static bool match(const uint8_t *p, const uint8_t *pattern, const uint8_t *mask, size_t len)
{
	if (!mask)
		return !memcmp(p, pattern, len);
	for (size_t i = 0; i < len; i++)
		if ((p[i] ^ pattern[i]) & mask[i])
			return false;
	return true;
}

#define FIND_PATTERN_MAX 256

bool intro_find(struct intro *s, struct place at, enum intro_space space, uint64_t from,
	uint64_t len, const uint8_t *pattern, const uint8_t *mask, size_t pattern_len,
	uint64_t *found)
{
	uint8_t window[PAGE_SIZE + FIND_PATTERN_MAX];
	size_t kept = 0; /* bytes in the window that end right before `here` */
	uint64_t here = from, left = len;
	if (!pattern_len || pattern_len > FIND_PATTERN_MAX)
		return false;
	while (left) {
		size_t n = PAGE_SIZE - (here & ~PAGE_MASK);
		if (n > left)
			n = left;
		size_t got = intro_read(s, at, space, here, window + kept, n, NULL);
		size_t have = kept + got;
		for (size_t i = 0; i + pattern_len <= have; i++) {
			if (match(window + i, pattern, mask, pattern_len)) {
				*found = here - kept + i;
				return true;
			}
		}
		kept = got == n && have >= pattern_len - 1 ? pattern_len - 1 : got == n ? have : 0;
		memmove(window, window + have - kept, kept);
		here += n;
		left -= n;
	}
	return false;
}

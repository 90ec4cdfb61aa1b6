/* A Linux kernel's own symbol table, found in guest memory.
 *
 * scripts/kallsyms of the kernel emits, in .rodata: names (length-prefixed
 * strings of tokens), markers (the offset of each 256th name), the token
 * table (256 strings) and its index, and offsets relative to a base. The
 * digits' tokens are always themselves and lie side by side: that is what is
 * searched. Everything is guest-controlled: bounded and checked.
 */
#include "introspect/kernel.h"
#include "introspect/private.h"
#include "introspect/symtab.h"

#include <stdlib.h>
#include <string.h>

#define KERNEL_LOW   UINT64_C(0xffffffff80000000)
#define KERNEL_HIGH  UINT64_C(0xffffffffc0000000)
#define STEP         UINT64_C(0x200000)
#define SYMS_MAX     (2u << 20)
#define MARKERS_MAX  (SYMS_MAX / 256)

struct table {
	struct intro *s;
	struct place at;
	uint64_t tokens, index;   /* token table and its index */
	uint64_t markers, names;
	uint32_t marker_count, syms;
	uint16_t token_at[256];
	char token[8192];         /* the token table's bytes */
	uint64_t offsets, base;
};

static bool get(const struct table *t, uint64_t at, void *out, size_t n)
{
	return intro_read(t->s, t->at, SPACE_VIRTUAL, at, out, n, NULL) == n;
}

/* The index is right behind the table: 256 rising offsets, the first 0. */
static bool find_index(struct table *t, uint64_t digits)
{
	uint8_t buf[4096];
	size_t n = intro_read(t->s, t->at, SPACE_VIRTUAL, digits, buf, sizeof buf, NULL);
	for (size_t o = 20; o + 512 <= n; o++) {
		uint16_t idx[256];
		unsigned i = 1;
		if ((digits + o) & 1)
			continue;
		memcpy(idx, buf + o, sizeof idx);
		if (idx[0] || idx['1'] != idx['0'] + 2 || idx['9'] != idx['0'] + 18)
			continue;
		while (i < 256 && idx[i] > idx[i - 1])
			i++;
		if (i < 256 || idx[255] >= sizeof t->token - 64)
			continue;
		t->index = digits + o;
		t->tokens = digits - idx['0'];
		memcpy(t->token_at, idx, sizeof idx);
		memset(t->token, 0, sizeof t->token);
		return get(t, t->tokens, t->token, idx[255] + 64u);
	}
	return false;
}

/* The length of the name at `at`, its bytes' start in *body. */
static unsigned name_length(const uint8_t *p, unsigned *body)
{
	*body = 1;
	if (!(p[0] & 0x80))
		return p[0];
	*body = 2;
	return (p[0] & 0x7f) | (unsigned)p[1] << 7;
}

/* Walks n names from `at`; returns where they end, 0 when they do not parse. */
static uint64_t skip_names(const struct table *t, uint64_t at, unsigned n)
{
	uint8_t buf[PAGE_SIZE];
	uint64_t base = 0;
	size_t have = 0;
	while (n--) {
		unsigned body;
		if (!have || at < base || at + 2 > base + have) {
			base = at;
			have = intro_read(t->s, t->at, SPACE_VIRTUAL, at, buf, sizeof buf, NULL);
			if (have < 2)
				return 0;
		}
		unsigned len = name_length(buf + (at - base), &body);
		if (!len || len > 1024)
			return 0;
		at += body + len;
	}
	return at;
}

/* Markers end before `end` (after padding): rising from 0, backwards. */
static bool find_markers(struct table *t, uint64_t end)
{
	uint32_t chunk[1024], next = UINT32_MAX, count = 0;
	uint64_t at = end & ~UINT64_C(3);
	bool started = false;
	while (count < MARKERS_MAX) {
		size_t n = sizeof chunk;
		if (!get(t, at - n, chunk, n))
			return false;
		for (unsigned i = 1024; i--;) {
			if (!started && !chunk[i] && at - n + 4 * i + 16 >= end)
				continue; /* padding */
			started = true;
			if (chunk[i] >= next || (next != UINT32_MAX && next - chunk[i] > 256 * 130))
				return false;
			count++;
			next = chunk[i];
			if (!next) {
				t->markers = at - n + 4 * i;
				t->marker_count = count;
				return count >= 4;
			}
		}
		at -= n;
	}
	return false;
}

/* The names end before the markers; their count stands 8 bytes before them. */
static bool find_names(struct table *t)
{
	uint32_t last, first;
	if (!get(t, t->markers + 4u * (t->marker_count - 1), &last, 4) ||
		!get(t, t->markers + 4, &first, 4))
		return false;
	uint64_t high = (t->markers - last) & ~UINT64_C(7), low = high - 256 * 130;
	for (uint64_t at = high; at > low; at -= 8) {
		uint64_t n;
		if (!get(t, at - 8, &n, 8))
			return false;
		if (n > 256u * t->marker_count || n <= 256u * (t->marker_count - 1))
			continue;
		if (skip_names(t, at, 256) != at + first)
			continue;
		uint64_t end = skip_names(t, at + last, (unsigned)n - 256 * (t->marker_count - 1));
		if (!end || end > t->markers)
			continue;
		t->names = at;
		t->syms = (uint32_t)n;
		return true;
	}
	return false;
}

static bool is_kernel(uint64_t v)
{
	return v >= KERNEL_LOW && v < KERNEL_HIGH;
}

/* Offsets and base: before the count (to 6.3), or behind the token index. */
static bool find_offsets(struct table *t)
{
	uint64_t size = ((uint64_t)t->syms * 4 + 7) & ~UINT64_C(7);
	if (get(t, t->names - 16, &t->base, 8) && is_kernel(t->base)) {
		t->offsets = t->names - 16 - size;
		return true;
	}
	t->offsets = (t->index + 512 + 7) & ~UINT64_C(7);
	return get(t, t->offsets + size, &t->base, 8) && is_kernel(t->base);
}

static void expand(const struct table *t, const uint8_t *p, unsigned n, char *out, size_t max)
{
	size_t o = 0;
	for (unsigned i = 0; i < n; i++)
		for (const char *s = t->token + t->token_at[p[i]]; *s && o + 1 < max; s++)
			out[o++] = *s;
	out[o] = 0;
}

/* With CONFIG_KALLSYMS_ABSOLUTE_PERCPU, negative offsets count back from the
 * base and others are absolute; without, all are added. */
static bool percpu_form(const int32_t *offset, uint32_t n)
{
	uint32_t negative = 0;
	for (uint32_t i = 0; i < n; i++)
		negative += offset[i] < 0;
	return negative > n / 2;
}

static size_t read_symbols(struct table *t, struct sym_source *src)
{
	int32_t *offset = xalloc((size_t)t->syms * 4);
	size_t names_len = t->markers - t->names;
	uint8_t *names = names_len < (64u << 20) ? xalloc(names_len + 4096) : NULL;
	if (!names || !get(t, t->offsets, offset, (size_t)t->syms * 4) ||
		!get(t, t->names, names, names_len))
		goto out;
	bool percpu = percpu_form(offset, t->syms);
	size_t at = 0;
	for (uint32_t i = 0; i < t->syms && at + 2 < names_len; i++) {
		char name[512];
		unsigned body, len = name_length(names + at, &body);
		if (at + body + len > names_len)
			break;
		expand(t, names + at + body, len, name, sizeof name);
		at += body + len;
		uint64_t value = !percpu ? t->base + (uint32_t)offset[i] :
			offset[i] < 0 ? t->base - 1 - (uint64_t)(int64_t)offset[i] : (uint64_t)offset[i];
		if (value < KERNEL_LOW || !name[0])
			continue;
		char type = name[0] | 32;
		symtab_add(src, value, 0, name + 1, type == 't' || type == 'w');
	}
out:
	free(names);
	free(offset);
	return src->syms;
}

static bool try_at(struct table *t, uint64_t digits)
{
	if (!find_index(t, digits))
		return false;
	/* newer kernels put the sequence table between markers and tokens: then
	 * the markers end some way before it */
	if (find_markers(t, t->tokens) && find_names(t) && find_offsets(t))
		return true;
	for (uint64_t back = 0; back < (8u << 20); back += 8) {
		uint32_t zero[2];
		if (!get(t, t->tokens - back - 8, zero, 8))
			return false;
		/* markers start with 0 and a small number; names lie before */
		if (zero[0] || !zero[1] || zero[1] > 256 * 130)
			continue;
		uint32_t prev = 0, v, n = 0;
		uint64_t m = t->tokens - back - 8;
		while (n < MARKERS_MAX && get(t, m + 4 * n, &v, 4) && (n == 0 || (v > prev && v - prev < 256 * 130))) {
			prev = v;
			n++;
		}
		if (n < 16)
			continue;
		t->markers = m;
		t->marker_count = n;
		if (find_names(t) && find_offsets(t))
			return true;
	}
	return false;
}

static bool search(struct table *t)
{
	static const char digits[] = "0\0001\0002\0003\0004\0005\0006\0007\0008\0009";
	for (uint64_t at = KERNEL_LOW; at < KERNEL_HIGH; at += STEP) {
		uint64_t from = at, found;
		struct hpa h;
		/* the image is mapped without holes of less than a large page */
		if (!intro_translate(t->s, t->at, SPACE_VIRTUAL, at, &h, NULL) &&
			!intro_translate(t->s, t->at, SPACE_VIRTUAL, at + STEP - 4096, &h, NULL))
			continue;
		while (from < at + STEP && intro_find(t->s, t->at, SPACE_VIRTUAL, from,
						   at + STEP + 4096 - from, (const uint8_t *)digits,
						   NULL, sizeof digits, &found)) {
			if (try_at(t, found))
				return true;
			from = found + 1;
		}
	}
	return false;
}

static void drop_level(struct intro *s, unsigned level)
{
	struct symbols *y = s->symbols;
	for (unsigned i = y->sources; i--;)
		if (y->source[i]->level == level && strcmp(y->source[i]->kind, "elf"))
			intro_symbols_drop(s, y->source[i]->id);
}

size_t intro_symbols_discover(struct intro *s, struct place at, struct err *e)
{
	struct table t = {.s = s, .at = at};
	if (!intro_check(s, at, e))
		return 0;
	if (!search(&t)) {
		err_set(e, ERR_GENERAL, "no Linux kernel's symbol table was found in the memory of this level "
			"at this moment (0x%llx to 0x%llx)", (unsigned long long)KERNEL_LOW,
			(unsigned long long)KERNEL_HIGH);
		return 0;
	}
	struct sym_source *src = symtab_new(s, at.level, "vmlinux", "kallsyms");
	size_t n = read_symbols(&t, src);
	if (!n) {
		symtab_free(src);
		err_set(e, ERR_GENERAL, "the kernel's symbol table cannot be read");
		return 0;
	}
	drop_level(s, at.level);
	symtab_finish(s, src);
	return n + kernel_module_symbols(s, at);
}

static void drop_modules(struct symbols *y, struct intro *s, unsigned level, unsigned before)
{
	for (unsigned i = y->sources; i--;)
		if (y->source[i]->level == level && y->source[i]->id < before &&
			!strcmp(y->source[i]->kind, "module"))
			intro_symbols_drop(s, y->source[i]->id);
}

static bool has_source(const struct symbols *y, unsigned level, const char *kind)
{
	for (unsigned i = 0; i < y->sources; i++)
		if (y->source[i]->level == level && (!kind || !strcmp(y->source[i]->kind, kind)))
			return true;
	return false;
}

/* Reads the modules again: once where the machine stands, ever more rarely
 * while it runs. */
static bool refresh(struct intro *s, struct place at, uint64_t now)
{
	struct symbols *y = s->symbols;
	unsigned before = y->next;
	if (now < y->modules[at.level] || !has_source(y, at.level, "kallsyms"))
		return false;
	y->modules[at.level] = now + 1 + (s->running ? now / 8 : 0);
	if (!kernel_module_symbols(s, at))
		return false;
	drop_modules(y, s, at.level, before);
	return true;
}

static bool discover(struct intro *s, struct place at, uint64_t now)
{
	struct symbols *y = s->symbols;
	if (now < y->tried[at.level])
		return false;
	y->tried[at.level] = now + 1 + (s->running ? now / 2 : 0);
	return intro_symbols_discover(s, at, NULL) > 0;
}

bool symbols_missed(struct intro *s, struct place at, uint64_t address)
{
	struct symbols *y = s->symbols;
	uint64_t now = intro_position(s).clock, vcpus;
	bool more = false;
	if (address < KERNEL_LOW || y->manual || y->busy || at.level < LEVEL_L1 ||
		at.level >= INTRO_MAX_LEVELS || !(vcpus = intro_level_vcpus(s, at.level)))
		return false;
	if (now < y->latest) { /* a snapshot was loaded */
		memset(y->tried, 0, sizeof y->tried);
		memset(y->modules, 0, sizeof y->modules);
	}
	y->latest = now;
	if (at.vcpu >= 64 || !(vcpus >> at.vcpu & 1))
		at.vcpu = (unsigned)__builtin_ctzll(vcpus);
	y->busy = true;
	if (!has_source(y, at.level, NULL))
		more = discover(s, at, now);
	else if (address >= KERNEL_HIGH)
		more = refresh(s, at, now);
	y->busy = false;
	return more;
}

void symbols_auto(struct intro *s, struct place at)
{
	struct symbol known;
	uint64_t pc;
	if (at.level < INTRO_MAX_LEVELS && intro_pc(s, at, &pc))
		intro_symbol_at(s, at, pc, &known);
}

void symbols_meet(struct intro *s)
{
	struct place at = intro_here(s);
	if (at.level >= LEVEL_L2 && at.level < INTRO_MAX_LEVELS &&
		!has_source(s->symbols, at.level, NULL))
		symbols_auto(s, at);
}

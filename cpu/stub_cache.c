/* Code memory and the stubs in it (cpu/stub.h). */
#include "cpu/stub.h"
#include "base/buf.h"
#include "cpu/fp.h"

#include <cpuid.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What a guest may claim by running ever new encodings. The first page holds
 * the entry jumps and the single place of stub_once. */
#define CODE_SIZE  (16u << 20)
#define STUBS_MAX  131072u
#define TABLE_SIZE (2 * STUBS_MAX)
#define ONCE	   64u

struct stubs {
	uint8_t *write; /* the same memory twice */
	uint8_t *run;
	size_t used;
	struct stub *stub; /* owned; STUBS_MAX, touched as used */
	unsigned count;
	uint32_t *table; /* owned; index + 1 by hash of the plan */
	bool host[FEAT_COUNT];
};

static bool host_bit(uint32_t leaf, uint32_t sub, unsigned reg, unsigned bit)
{
	uint32_t r[4];
	if (!__get_cpuid_count(leaf, sub, &r[0], &r[1], &r[2], &r[3]))
		return false;
	return r[reg] >> bit & 1;
}

static void host_features(struct stubs *s)
{
	s->host[FEAT_BASE] = true;
#define FEATURE(e, n, leaf, sub, reg, bit) s->host[FEAT_##e] = host_bit(leaf, sub, reg, bit);
#include "cpu/features.def"
#undef FEATURE
}

static void *map(size_t size, int prot, int flags, int fd)
{
	void *p = mmap(NULL, size, prot, flags | MAP_NORESERVE, fd, 0);
	return p == MAP_FAILED ? NULL : p;
}

static bool map_code(struct stubs *s)
{
	int fd = memfd_create("stubs", MFD_CLOEXEC);
	if (fd < 0)
		return false;
	if (ftruncate(fd, CODE_SIZE) == 0) {
		s->write = map(CODE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
		s->run = map(CODE_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED, fd);
	}
	close(fd);
	return s->write && s->run;
}

struct stubs *stubs_new(void)
{
	struct stubs *s = xalloc(sizeof *s);
	const int anon = MAP_PRIVATE | MAP_ANONYMOUS, rw = PROT_READ | PROT_WRITE;

	s->stub = map(STUBS_MAX * sizeof *s->stub, rw, anon, -1);
	s->table = map(TABLE_SIZE * sizeof *s->table, rw, anon, -1);
	if (!map_code(s) || !s->stub || !s->table) {
		stubs_free(s);
		return NULL;
	}
	host_features(s);
	stub_emit_entries(s->write);
	s->used = ONCE + STUB_MAX;
	return s;
}

void stubs_free(struct stubs *s)
{
	if (!s)
		return;
	if (s->write)
		munmap(s->write, CODE_SIZE);
	if (s->run)
		munmap(s->run, CODE_SIZE);
	if (s->stub)
		munmap(s->stub, STUBS_MAX * sizeof *s->stub);
	if (s->table)
		munmap(s->table, TABLE_SIZE * sizeof *s->table);
	free(s);
}

/* x87 and SSE2 come with every host; the rest follows from its CPUID. */
void fp_host_limit(struct cpu_model *m)
{
	bool asked[FEAT_COUNT] = {false}; /* CPUID is slow on a virtual host */
	for (unsigned r = 0; r < insn_rows; r++) {
		unsigned f = insn_table[r].feature;
		if (!(insn_table[r].attrs & (I_NATIVE | I_AVX)) || !m->feature[f] || asked[f])
			continue;
		asked[f] = true;
		switch (f) {
#define FEATURE(e, n, leaf, sub, reg, bit)                                                         \
	case FEAT_##e:                                                                             \
		m->feature[f] = host_bit(leaf, sub, reg, bit);                                     \
		break;
#include "cpu/features.def"
#undef FEATURE
		}
	}
}

bool stub_host_has(const struct stubs *s, enum cpu_feature f)
{
	return s->host[f];
}

static uint32_t hash(const struct stub_plan *p)
{
	const uint8_t *b = (const uint8_t *)p;
	uint64_t h = 0xcbf29ce484222325;
	for (size_t n = 0; n < sizeof *p; n++)
		h = (h ^ b[n]) * 0x100000001b3;
	return (uint32_t)(h ^ h >> 32);
}

static stub_fn *emit_at(struct stubs *s, const struct stub_plan *p, size_t at, unsigned *len)
{
	*len = stub_emit(p, s->write + at, (uintptr_t)s->run + at, (uintptr_t)s->run);
	return (stub_fn *)(uintptr_t)(s->run + at);
}

const struct stub *stub_get(struct stubs *s, const struct stub_plan *p)
{
	uint32_t slot = hash(p) % TABLE_SIZE;
	unsigned len;

	for (; s->table[slot]; slot = (slot + 1) % TABLE_SIZE)
		if (!memcmp(&s->stub[s->table[slot] - 1].plan, p, sizeof *p))
			return &s->stub[s->table[slot] - 1];
	if (s->count == STUBS_MAX || s->used + STUB_MAX + 16 > CODE_SIZE)
		return NULL;
	struct stub *st = &s->stub[s->count++];
	s->table[slot] = s->count;
	s->used = (s->used + 15) & ~(size_t)15;
	memcpy(&st->plan, p, sizeof *p);
	st->code = emit_at(s, p, s->used, &len);
	s->used += len;
	return st;
}

stub_fn *stub_once(struct stubs *s, const struct stub_plan *p)
{
	unsigned len;
	return emit_at(s, p, ONCE, &len);
}

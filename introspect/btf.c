/* BTF, the BPF Type Format, as the kernel carries it for itself: structs and
 * their members' offsets. The bytes are guest-controlled: every index is
 * bounded. Format: the kernel's Documentation/bpf/btf.rst.
 */
#include "introspect/kernel.h"
#include "introspect/private.h"
#include "introspect/symtab.h"

#include "introspect/memory.h"

#include <stdlib.h>
#include <string.h>

#define BTF_MAX   (64u << 20)
#define BTF_MAGIC 0xeb9f
#define TYPES_MAX (4u << 20)

enum { KIND_INT = 1, KIND_PTR, KIND_ARRAY, KIND_STRUCT, KIND_UNION, KIND_ENUM, KIND_FWD,
	KIND_TYPEDEF, KIND_VOLATILE, KIND_CONST, KIND_RESTRICT, KIND_FUNC, KIND_FUNC_PROTO, KIND_VAR,
	KIND_DATASEC, KIND_FLOAT, KIND_DECL_TAG, KIND_TYPE_TAG, KIND_ENUM64 };

struct type {
	uint32_t name, info, size; /* or type */
};

struct member {
	uint32_t name, type, offset;
};

struct btf {
	uint8_t *data;        /* owned */
	uint32_t len;
	uint32_t types_at, types_len, strings_at, strings_len;
	uint32_t *type;       /* owned; offset of type n in the type section */
	uint32_t types;
};

void btf_free(struct btf *b)
{
	if (!b)
		return;
	free(b->type);
	free(b->data);
	free(b);
}

static uint32_t kind(const struct type *t)
{
	return t->info >> 24 & 31;
}

/* Bytes that follow a type's header. */
static uint32_t extra(const struct type *t)
{
	uint32_t n = t->info & 0xffff;
	switch (kind(t)) {
	case KIND_INT: case KIND_VAR: case KIND_DECL_TAG: return 4;
	case KIND_ARRAY: case KIND_STRUCT: case KIND_UNION: case KIND_DATASEC: case KIND_ENUM64:
		return kind(t) == KIND_ARRAY ? 12 : 12 * n;
	case KIND_ENUM: case KIND_FUNC_PROTO: return 8 * n;
	default: return 0;
	}
}

static bool header(struct btf *b)
{
	uint32_t h[6];
	uint16_t magic;
	if (b->len < 24)
		return false;
	memcpy(&magic, b->data, 2);
	memcpy(h, b->data, 24); /* magic/version/flags, hdr_len, type_off, type_len, str_off, str_len */
	uint64_t types = (uint64_t)h[1] + h[2], strings = (uint64_t)h[1] + h[4];
	if (magic != BTF_MAGIC || types + h[3] > b->len || strings + h[5] > b->len || !h[5])
		return false;
	b->types_at = (uint32_t)types;
	b->types_len = h[3];
	b->strings_at = (uint32_t)strings;
	b->strings_len = h[5];
	return b->data[strings + h[5] - 1] == 0;
}

static void index_types(struct btf *b)
{
	uint32_t at = 0, cap = 0;
	struct type t;
	while (at + 12 <= b->types_len && b->types < TYPES_MAX) {
		memcpy(&t, b->data + b->types_at + at, 12);
		if (b->types + 2 > cap) {
			cap = cap ? cap * 2 : 65536;
			b->type = xresize(b->type, cap * sizeof *b->type);
		}
		b->type[++b->types] = at; /* type 0 is void */
		uint64_t next = (uint64_t)at + 12 + extra(&t);
		if (next > b->types_len)
			break;
		at = (uint32_t)next;
	}
}

static struct btf *btf_read(struct intro *s, struct place at)
{
	struct symbol start, stop;
	if (!intro_symbol_find(s, at, "__start_BTF", &start) ||
		!intro_symbol_find(s, at, "__stop_BTF", &stop) || stop.address <= start.address ||
		stop.address - start.address > BTF_MAX)
		return NULL;
	struct btf *b = xalloc(sizeof *b);
	b->len = (uint32_t)(stop.address - start.address);
	b->data = xalloc(b->len);
	if (intro_read(s, at, SPACE_VIRTUAL, start.address, b->data, b->len, NULL) != b->len || !header(b)) {
		btf_free(b);
		return NULL;
	}
	index_types(b);
	return b;
}

static bool type_at(const struct btf *b, uint32_t id, struct type *t)
{
	if (!id || id > b->types)
		return false;
	memcpy(t, b->data + b->types_at + b->type[id], 12);
	return true;
}

static const char *string(const struct btf *b, uint32_t at)
{
	return at < b->strings_len ? (const char *)b->data + b->strings_at + at : "";
}

static bool is_record(const struct type *t)
{
	return kind(t) == KIND_STRUCT || kind(t) == KIND_UNION;
}

static uint32_t find_struct(const struct btf *b, const char *name)
{
	struct type t;
	for (uint32_t i = 1; i <= b->types; i++)
		if (type_at(b, i, &t) && is_record(&t) && !strcmp(string(b, t.name), name))
			return i;
	return 0;
}

/* Through typedefs and qualifiers to the thing itself. */
static uint32_t strip(const struct btf *b, uint32_t id)
{
	struct type t;
	for (int i = 0; i < 16 && type_at(b, id, &t); i++) {
		uint32_t k = kind(&t);
		if (k != KIND_TYPEDEF && k != KIND_VOLATILE && k != KIND_CONST && k != KIND_RESTRICT &&
			k != KIND_TYPE_TAG)
			break;
		id = t.size;
	}
	return id;
}

/* One member by name, also inside anonymous structs; *type is its type. */
static bool find_member(const struct btf *b, uint32_t id, const char *name, size_t len,
	uint32_t *offset, uint32_t *type, int depth)
{
	struct type t;
	struct member m;
	if (depth > 8 || !type_at(b, id, &t) || !is_record(&t))
		return false;
	uint32_t at = b->types_at + b->type[id] + 12, n = t.info & 0xffff;
	for (uint32_t i = 0; i < n && at + 12 * (i + 1) <= b->types_at + b->types_len; i++) {
		memcpy(&m, b->data + at + 12 * i, 12);
		uint32_t bits = t.info >> 31 ? m.offset & 0xffffff : m.offset;
		const char *s = string(b, m.name);
		if (strlen(s) == len && !strncmp(s, name, len)) {
			*offset += bits / 8;
			*type = m.type;
			return true;
		}
		uint32_t inner = *offset + bits / 8;
		if (!*s && find_member(b, strip(b, m.type), name, len, &inner, type, depth + 1)) {
			*offset = inner;
			return true;
		}
	}
	return false;
}

bool btf_offset(const struct btf *b, const char *type, const char *member, uint32_t *offset)
{
	uint32_t id = find_struct(b, type);
	*offset = 0;
	while (id) {
		size_t n = strcspn(member, ".");
		uint32_t next = 0;
		if (!find_member(b, id, member, n, offset, &next, 0))
			return false;
		if (!member[n])
			return true;
		member += n + 1;
		id = strip(b, next);
	}
	return false;
}

uint32_t btf_size(const struct btf *b, const char *type)
{
	struct type t;
	return type_at(b, find_struct(b, type), &t) ? t.size : 0;
}

/* --- for front ends ------------------------------------------------------------------ */

/* Read once for each kernel of a level. */
const struct btf *btf_of(struct intro *s, struct place at, struct err *e)
{
	struct symbols *y = s->symbols;
	struct symbol start;
	if (at.level >= INTRO_MAX_LEVELS || !intro_check(s, at, e))
		return NULL;
	if (!intro_symbol_find(s, at, "__start_BTF", &start)) {
		err_set(e, ERR_GENERAL, "no Linux kernel with BTF is known in this level");
		return NULL;
	}
	if (!y->types[at.level] || y->types_at[at.level] != start.address) {
		btf_free(y->types[at.level]);
		y->types[at.level] = btf_read(s, at);
		y->types_at[at.level] = start.address;
	}
	if (!y->types[at.level])
		err_set(e, ERR_GENERAL, "the kernel's BTF at 0x%llx cannot be read here",
			(unsigned long long)start.address);
	return y->types[at.level];
}

bool intro_type_member(struct intro *s, struct place at, const char *type, const char *member,
	uint64_t *offset, struct err *e)
{
	const struct btf *b = btf_of(s, at, e);
	uint32_t found;
	if (!b)
		return false;
	if (!btf_offset(b, type, member, &found))
		return err_set(e, ERR_GENERAL, "this kernel has no struct %s with a member %s", type, member);
	*offset = found;
	return true;
}

bool intro_type_size(
	struct intro *s, struct place at, const char *type, uint64_t *size, struct err *e)
{
	const struct btf *b = btf_of(s, at, e);
	if (!b)
		return false;
	*size = btf_size(b, type);
	return *size || err_set(e, ERR_GENERAL, "this kernel has no struct %s", type);
}

/* Registers of a level, by one table (regs.def).
 *
 * A register that nothing holds (vector state of an L2 that is not running)
 * is unavailable: never zero, never another level's value.
 */
#ifndef INTROSPECT_REGS_H
#define INTROSPECT_REGS_H

#include "introspect/session.h"

enum reg_id {
#define REG(id, name, bits, group, type) R_##id,
#include "introspect/regs.def"
#undef REG
	R_COUNT
};

enum reg_group {
	REG_GROUP_GENERAL,
	REG_GROUP_SEGMENT,
	REG_GROUP_X87,
	REG_GROUP_SSE,
	REG_GROUP_AVX,
	REG_GROUP_CONTROL,
	REG_GROUP_DEBUG,
	REG_GROUP_MSR,
	REG_GROUP_VMX, /* of the inspector: read-only */
	REG_GROUPS
};

struct reg_info {
	const char *name;
	uint16_t bits;
	enum reg_group group;
	const char *type; /* gdb's type name: "int64", "code_ptr", "i386_eflags", "vec128" ... */
};

struct reg_value {
	bool available;
	uint8_t size;      /* bytes */
	uint8_t bytes[16]; /* little-endian */
};

const struct reg_info *reg_info(enum reg_id id);
const char *reg_group_name(enum reg_group g);

/* By table name or alias ("rflags", "pc", "sp"); R_COUNT when unknown. */
enum reg_id reg_find(const char *name);

/* The named bits (regs_bits.def) that are set: appends "PE MP PG"; nothing
 * for registers without names. */
void reg_decode(enum reg_id id, uint64_t value, struct buf *out);

/* False (and out->available false): this place does not have it. */
bool intro_reg(struct intro *s, struct place at, enum reg_id id, struct reg_value *out);

/* The same for registers of up to 64 bits; false leaves *out alone. */
bool intro_reg_u64(struct intro *s, struct place at, enum reg_id id, uint64_t *out);

/* Writes through the input log. False and *e: unavailable, read-only, or a
 * value that the processor would not hold. */
bool intro_set_reg(struct intro *s, struct place at, enum reg_id id, const void *bytes, size_t len,
	struct err *e);
bool intro_set_reg_u64(
	struct intro *s, struct place at, enum reg_id id, uint64_t value, struct err *e);

/* The linear address of the next instruction (CS base + rip). */
bool intro_pc(struct intro *s, struct place at, uint64_t *linear);

/* Code width at the place: 16, 32 or 64; 0 when unavailable. */
unsigned intro_code_bits(struct intro *s, struct place at);

#endif

/* Memory of any level. Reads never fault and never lie: what is not mapped is
 * an error that says where and why, not zeros. Device windows are not read
 * (a read of a device can change it): they are an error too.
 */
#ifndef INTROSPECT_MEMORY_H
#define INTROSPECT_MEMORY_H

#include "introspect/session.h"

#include "base/addr.h"

enum intro_space {
	SPACE_VIRTUAL,  /* linear addresses of the place's level, in its address space */
	SPACE_PHYSICAL, /* guest-physical addresses of the place's level */
	SPACE_HOST      /* host-physical: nestscope's own arena; the place is ignored */
};

/* An address with its space, as commands spell it: "l1:", "l2:" virtual,
 * "l1p:", "l2p:" physical, "h:" host; "l2:3:" and "l2:3p:" name the third L2. */
struct intro_address {
	struct place at;
	enum intro_space space;
	uint64_t value;
};

enum intro_mem_status {
	MEM_OK,
	MEM_NOT_MAPPED,   /* a guest table says no */
	MEM_EPT_REFUSES,  /* EPT12 (or EPT01) says no */
	MEM_DEVICE,       /* a device window */
	MEM_NOTHING,      /* no memory at that host-physical address */
	MEM_NO_TABLES,    /* the level's address space is not known (it never ran) */
	MEM_READ_ONLY     /* ROM */
};

struct intro_mem_fail {
	enum intro_mem_status status;
	uint64_t at;    /* first address, in the space asked for, that did not work */
	char why[160];  /* one sentence: "l2:0x1000: PDE at l2p 0x3000 is not present" */
};

/* How many of the len bytes could be read, from the start; *fail (may be
 * NULL) is MEM_OK when all. */
size_t intro_read(struct intro *s, struct place at, enum intro_space space, uint64_t address,
	void *out, size_t len, struct intro_mem_fail *fail);

/* All or nothing, through the input log. Read-only pages of the guest are
 * written too (a debugger may); ROM is not. */
bool intro_write(struct intro *s, struct place at, enum intro_space space, uint64_t address,
	const void *in, size_t len, struct err *e);

/* Little-endian integers of 1, 2, 4 or 8 bytes. */
bool intro_read_uint(struct intro *s, struct place at, enum intro_space space, uint64_t address,
	unsigned size, uint64_t *out);

/* The host-physical address behind one byte; false and *fail. */
bool intro_translate(struct intro *s, struct place at, enum intro_space space, uint64_t address,
	struct hpa *out, struct intro_mem_fail *fail);

/* L2-virtual or -physical to the guest-physical address of the level itself. */
bool intro_to_physical(struct intro *s, struct place at, uint64_t linear, struct gpa *out,
	struct intro_mem_fail *fail);

/* First match of pattern in [from, from + len); unmapped pages are skipped.
 * Returns false when there is none. `mask` may be NULL (all bits count). */
bool intro_find(struct intro *s, struct place at, enum intro_space space, uint64_t from,
	uint64_t len, const uint8_t *pattern, const uint8_t *mask, size_t pattern_len,
	uint64_t *found);

const char *intro_space_name(enum intro_space space);

/* "l2p:" and the like for an address, e.g. "l2p:0x1000". */
void intro_address_print(struct intro *s, const struct intro_address *a, struct buf *out);

#endif

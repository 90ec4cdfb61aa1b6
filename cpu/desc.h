/* Segment descriptors and what is loaded from them.
 *
 * A descriptor is read with ACCESS_SYSTEM and turned into the cached form of
 * cpu/seg.h. Nothing here is committed before all checks of a load passed:
 * functions that load return CPU_FAULT with the segment registers unchanged.
 * SDM Vol. 3A 3.4.5 "Segment Descriptors", 5.8 "Privilege Level Checking When
 * Transferring Program Control Between Code Segments".
 */
#ifndef CPU_DESC_H
#define CPU_DESC_H

#include "cpu/vcpu.h"

struct desc {
	uint32_t lo, hi;
	uint32_t high; /* base 63:32 or offset 63:32 of a 16-byte descriptor */
};

/* Types of system descriptors (S = 0). */
enum desc_type {
	DESC_TSS16 = 1, DESC_LDT = 2, DESC_TSS16_BUSY = 3, DESC_CALL16 = 4, DESC_TASK_GATE = 5,
	DESC_INT16 = 6, DESC_TRAP16 = 7, DESC_TSS32 = 9, DESC_TSS32_BUSY = 11, DESC_CALL32 = 12,
	DESC_INT32 = 14, DESC_TRAP32 = 15
};

/* The access rights in VMCS form; bits 31:16 are zero. */
static inline uint32_t desc_ar(const struct desc *d)
{
	return d->hi >> 8 & 0xf0ff;
}
static inline unsigned desc_dpl(const struct desc *d)
{
	return d->hi >> 13 & 3;
}
static inline bool desc_present(const struct desc *d)
{
	return d->hi >> 15 & 1;
}
/* Code or data (S = 1), code, and the type of a system descriptor. */
static inline bool desc_plain(const struct desc *d)
{
	return d->hi >> 12 & 1;
}
static inline bool desc_code(const struct desc *d)
{
	return (d->hi >> 11 & 3) == 3;
}
static inline bool desc_conforming(const struct desc *d)
{
	return d->hi >> 10 & 1;
}
static inline unsigned desc_type(const struct desc *d)
{
	return d->hi >> 8 & 15;
}
/* Of a gate: selector, and offset of 16, 32 or 64 bits (16-bit gates: mask it). */
static inline uint16_t gate_sel(const struct desc *d)
{
	return d->lo >> 16;
}
static inline uint64_t gate_offset(const struct desc *d)
{
	return (uint64_t)d->high << 32 | (d->hi & 0xffff0000) | (d->lo & 0xffff);
}

static inline bool sel_null(uint16_t sel)
{
	return !(sel & ~3);
}

/* Reads the descriptor of `sel`, 8 or 16 bytes; *inside is false (and *d all
 * zero) when it lies beyond its table or there is no LDT. */
enum cpu_step desc_read(struct vcpu *c, uint16_t sel, unsigned bytes, struct desc *d, bool *inside);

/* The same, raising vec(sel + ext) when it lies outside. */
enum cpu_step desc_get(struct vcpu *c, uint16_t sel, unsigned bytes, enum cpu_vector vec,
	unsigned ext, struct desc *d);

/* vec with the selector as error code; ext is 0 or 1. */
enum cpu_step raise_sel(struct vcpu *c, enum cpu_vector vec, uint16_t sel, unsigned ext);

/* Writes the descriptor's type back into its table: sets the accessed flag of
 * code and data when it is clear, or the busy flag of a TSS as asked. */
enum cpu_step desc_mark_accessed(struct vcpu *c, uint16_t sel, struct desc *d);
enum cpu_step desc_mark_busy(struct vcpu *c, uint16_t sel, bool busy);

/* The cached form; `high` counts only where it was read. */
struct seg desc_seg(uint16_t sel, const struct desc *d);

/* Puts a segment register (and its seg_base copy) in place. */
void seg_set(struct vcpu *c, enum seg_reg r, const struct seg *s);
void seg_set_null(struct vcpu *c, enum seg_reg r, uint16_t sel);
void cpl_set(struct vcpu *c, unsigned cpl);
/* All of ES..GS and CS in real-address (or v8086, dpl 3) form. */
void seg_set_real(struct vcpu *c, enum seg_reg r, uint16_t sel);
void seg_set_v86(struct vcpu *c, enum seg_reg r, uint16_t sel);

/* MOV, POP, LDS ...: loads ES, SS, DS, FS or GS with every check of the mode. */
enum cpu_step seg_load(struct vcpu *c, enum seg_reg r, uint16_t sel);

/* Checks and fetches a new SS for privilege level `cpl`; faults are vec(sel +
 * ext) (#NP-like ones #SS). Does not load it. */
enum cpu_step seg_fetch_ss(struct vcpu *c, uint16_t sel, unsigned cpl, enum cpu_vector vec,
	unsigned ext, struct seg *out);

/* After a return to an outer level: data segments that the new CPL may not
 * use become null. */
void seg_drop_inner(struct vcpu *c);

/* Does [off, off + size) lie within the limit, by expansion direction? */
bool seg_inside(const struct seg *s, uint64_t off, unsigned size);

static inline bool canonical(uint64_t a)
{
	return (uint64_t)((int64_t)(a << 16) >> 16) == a;
}

static inline bool cpu_real(const struct vcpu *c)
{
	return !(c->cr0 & CR0_PE);
}

static inline bool cpu_v86(const struct vcpu *c)
{
	return (c->rflags & FLAG_VM) && !cpu_long_mode(c) && (c->cr0 & CR0_PE);
}

static inline unsigned cpu_iopl(const struct vcpu *c)
{
	return c->rflags >> 12 & 3;
}

#endif

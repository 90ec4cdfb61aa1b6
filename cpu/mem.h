/* Guest memory as instructions see it, for slow handlers.
 *
 * Offsets go through segmentation (limit, type, canonical, alignment check),
 * linear addresses through paging and, in non-root operation, EPT. On
 * CPU_FAULT nothing has been written; an access over a page end translates
 * both pages first. MMIO and hooked pages are handled here too.
 *
 * None of these may be called while FP state is live (cpu/fp.h) unless the
 * caller is the engine's own archive: they do not use vector registers.
 */
#ifndef CPU_MEM_H
#define CPU_MEM_H

#include "base/addr.h"
#include "cpu/step.h"
#include "cpu/seg.h"

#include <stddef.h>

struct vcpu;

/* Who asks: data of the current CPL, or implicit supervisor accesses
 * (descriptor tables, TSS), SDM Vol. 3A 4.6 "Access Rights". */
enum cpu_access { ACCESS_DATA, ACCESS_SYSTEM };

/* One operand of up to 64 bytes at seg:offset with the current CPL. */
enum cpu_step cpu_mem_read(
	struct vcpu *c, enum seg_reg seg, uint64_t offset, void *out, unsigned size);
enum cpu_step cpu_mem_write(
	struct vcpu *c, enum seg_reg seg, uint64_t offset, const void *in, unsigned size);
/* Everything a write would check, and A/D, without writing. */
enum cpu_step cpu_mem_probe_write(struct vcpu *c, enum seg_reg seg, uint64_t offset, unsigned size);

/* seg:offset to linear with the checks of an access of `size` bytes. */
enum cpu_step cpu_linear(struct vcpu *c, enum seg_reg seg, uint64_t offset, unsigned size,
	bool write, struct gva *out);

/* Linear addresses; size up to PAGE_SIZE. */
enum cpu_step cpu_lin_read(
	struct vcpu *c, struct gva at, void *out, unsigned size, enum cpu_access who);
enum cpu_step cpu_lin_write(
	struct vcpu *c, struct gva at, const void *in, unsigned size, enum cpu_access who);
enum cpu_step cpu_lin_probe_write(
	struct vcpu *c, struct gva at, unsigned size, enum cpu_access who);

/* Guest-physical (through EPT when it is on), naturally aligned, 1..8 bytes;
 * for page-table entries, PDPTEs, posted descriptors. */
enum cpu_step cpu_gpa_read(struct vcpu *c, struct gpa at, unsigned size, uint64_t *out);
enum cpu_step cpu_gpa_write(struct vcpu *c, struct gpa at, unsigned size, uint64_t value);

/* Invalidation, as INVLPG, MOV CR3, INVPCID, INVVPID and INVEPT need it. */
void tlb_flush_page(struct vcpu *c, struct gva at);   /* current PCID and globals */
void tlb_flush_pcid(struct vcpu *c, unsigned pcid);   /* not globals */
void tlb_flush_non_global(struct vcpu *c);            /* all PCIDs */
void tlb_flush_all(struct vcpu *c);                   /* globals too; this (non-)root, VPID */
void tlb_flush_pcid_page(struct vcpu *c, unsigned pcid, struct gva at);
void tlb_invvpid_page(struct vcpu *c, uint16_t vpid, struct gva at);
void tlb_invvpid(struct vcpu *c, uint16_t vpid, bool keep_globals);
void tlb_invvpid_all(struct vcpu *c);
void tlb_invept(struct vcpu *c, uint64_t eptp);
void tlb_invept_all(struct vcpu *c);
/* One linear page in every context, whatever its VPID and PCID. */
void tlb_flush_linear(struct vcpu *c, struct gva at);
/* Every cached translation of every context: memory map or A20 changed. */
void tlb_flush_everything(struct vcpu *c);

#endif

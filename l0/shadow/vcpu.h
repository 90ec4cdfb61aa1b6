/* What l0/ asks of its shadow MMU; nothing happens in the other MMU modes. */
#ifndef L0_SHADOW_VCPU_H
#define L0_SHADOW_VCPU_H

#include "cpu/deliver.h"
#include "l0/nested.h"

/* Bits of CR4 that the guest does not write by itself. */
#define SHADOW_OWNED_CR4                                                                           \
	(CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP | CR4_PKE | CR4_LA57)

static inline bool shadow_on(const struct nested_vcpu *nv)
{
	return nv->n->opt->mmu == L0_MMU_SHADOW_ON_SHADOW;
}

/* CR3 as the level has it, while it runs. */
static inline uint64_t shadow_cr3_of(const struct nested_vcpu *nv, unsigned level)
{
	return shadow_on(nv) && nv->paging.lowered ? nv->paging.regs[level == 2].cr3 : nv->c->cr3;
}

/* --- vcpu.c */
void shadow_new(struct nested *n);
/* Nothing is known of the guest's paging: reset, INIT. */
void shadow_forget(struct nested_vcpu *nv);
/* The vCPU has left non-root operation: it holds the guest's own registers. */
void shadow_lift(struct nested_vcpu *nv);
/* Before VMCS01 is entered: the vCPU holds the hardware's, and VMCS01 the masks. */
void shadow_lower(struct nested_vcpu *nv);
/* The same for an L2 whose registers L0 has emulated; VMCS02 follows. */
void shadow_lower_l2(struct nested_vcpu *nv, bool sync);
/* L2's registers of VMCS12, and the tables for them, into VMCS02. */
void shadow_merge(struct nested_vcpu *nv, struct vmcs *v, uint64_t vpid);
/* Does L2's CR3 lead to PDPTEs that may be loaded? */
bool shadow_pdptes_ok(const struct nested_vcpu *nv, const struct vmcs *v12);
/* L2 was entered. */
void shadow_entered(struct nested_vcpu *nv);
/* It was not, after its state was loaded: the vCPU gets L2's own registers, as
 * the processor would have left them. */
void shadow_drop_l2(struct nested_vcpu *nv);
/* A reflection: the fields of VMCS12 that VMCS02 has otherwise. */
void shadow_take(struct nested_vcpu *nv, uint64_t old_efer);
/* The registers of the level as that level has them, while it runs. */
struct shadow_regs shadow_regs_of(const struct nested_vcpu *nv, unsigned level);
/* A tool writes the registers of the level that runs. */
void shadow_write(struct nested_vcpu *nv, const struct shadow_regs *r);
void shadow_vcpu_state(struct shadow_vcpu *sv, struct state *s);

/* --- exits.c */
enum cpu_step shadow_l1_cr3(struct nested_vcpu *nv, const struct vmx_exit *x);
/* L0's part of an exit of L2; *x may become another exit for L1. */
enum shadow_exit {
	SHADOW_EXIT_PASS,    /* none of the shadow MMU's business */
	SHADOW_EXIT_REENTER, /* done: L2 goes on */
	SHADOW_EXIT_REFLECT
};
enum shadow_exit shadow_l2_exit(struct nested_vcpu *nv, struct vmx_exit *x);
/* An exit that is not a page fault ends what lasted for one instruction. */
void shadow_instruction_over(struct nested_vcpu *nv);

#endif

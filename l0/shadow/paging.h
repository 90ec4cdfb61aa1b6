/* A vCPU's paging under mmu=shadow-on-shadow.
 *
 * While the guest runs, struct vcpu is *lowered*: CR0, CR3, CR4, EFER and the
 * PDPTEs are those of the shadow tables, and the guest's own are kept here.
 * To emulate, L0 *lifts* it: the registers become the guest's own, in a TLB
 * context apart, so that whatever L0 then does to the guest (reads an operand,
 * writes CR4, loads host state) is what the processor would have done.
 */
#ifndef L0_SHADOW_PAGING_H
#define L0_SHADOW_PAGING_H

#include "l0/shadow/mmu.h"

struct shadow_vcpu {
	struct shadow_regs regs[2];   /* L1's and L2's own; as of the last lowering */
	struct shadow_space space[2];
	uint16_t vpid;                /* of L2's last entry; 0: none */
	bool lowered;                 /* struct vcpu holds the hardware's values */
	bool known;                   /* regs[0] is what space[0] was entered with */
	bool sync;                    /* L1 flushed what its CR3 leads to */
	bool once;                    /* a leaf lasts for the instruction that comes: the monitor
	                               * trap flag tells when that is over */
	bool keep;                    /* L1 wrote CR3 and kept the PCID's translations */
};

#endif

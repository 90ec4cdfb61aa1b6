/* The hardware half: what the silicon does for VMX, on one vCPU.
 *
 * L0 is C code outside the engine. It calls vmx_enter(), runs the engine
 * until LEAVE_VMEXIT, calls vmx_exit_complete(), and looks at the record. Its
 * own "host state" is C: nothing is loaded at such an exit. Host-state fields
 * of VMCS01 and VMCS02 are not looked at; a VMCS12's are loaded by L0 at
 * reflection through vmx_load_host_state(), since that is the SDM's rule.
 *
 * Between vmx_enter() and vmx_exit_complete() the vCPU is in VMX non-root
 * operation on x->vmcs, and guest state lives in struct vcpu, not in the
 * VMCS. Addresses in the VMCS of VMX structures (bitmaps, virtual-APIC page,
 * MSR lists, PML buffer, EPTP) are host-physical.
 */
#ifndef VMX_VMX_H
#define VMX_VMX_H

#include "cpu/hooks.h"
#include "cpu/vcpu.h"
#include "vmx/caps.h"
#include "vmx/checks.h"
#include "vmx/codes.h"
#include "vmx/vmcs.h"

/* A VM exit, SDM Vol. 3C 24.9 "VM-Exit Information Fields". */
struct vmx_exit {
	uint32_t reason;        /* enum vmx_exit_reason | EXIT_REASON_ENTRY_FAILURE */
	uint32_t intr_info, intr_error;
	uint32_t idt_info, idt_error;
	uint32_t insn_len, insn_info;
	uint64_t qualification;
	uint64_t linear;        /* guest-linear address */
	struct gpa gpa;         /* guest-physical address */
	bool ack;               /* an external interrupt was acknowledged: intr_info is valid */
	bool linear_user;       /* EPT violation: of a user-mode linear address */
	bool trap;              /* the instruction completed before the exit */
};

/* Who wrote a field in non-root operation through VMCS shadowing. */
typedef void vmx_shadow_wrote_fn(
	void *ctx, struct vcpu *c, struct vmcs *shadow, enum vmcs_field f, uint64_t old);

struct vmx_cpu {
	const struct vmx_caps *caps; /* the hardware's */
	struct vmcs *vmcs;           /* in use; not owned */
	struct vmcs *shadow;         /* what its link pointer names; not owned; NULL: none */
	struct vmx_exit exit;        /* the last one */
	bool exiting;                /* recorded, vmx_exit_complete() is due */
	uint64_t exits, entries;

	/* of the entry in progress */
	uint32_t pin, proc1, proc2, exit_ctl, entry_ctl; /* as in the VMCS */
	uint64_t timer_deadline;     /* TSC at which the preemption timer reaches 0 */
	struct clock_timer timer;    /* armed for it; fires into PEND_TIMER */
	bool timer_on;
	bool mtf_on;                 /* monitor trap flag */
	struct vmx_exit trap;        /* an exit that waits for the end of its instruction */
	bool trap_due;
	uint64_t ple_first, ple_last; /* TSC of the PAUSE loop */
	bool ple_seen;
	uint8_t *virtual_apic;       /* host memory of the virtual-APIC page, or NULL */
	const uint8_t *io_bitmap[2], *msr_bitmap, *vmread_bitmap, *vmwrite_bitmap;
	uint8_t rvi, svi;            /* guest interrupt status */
	bool live;                   /* struct vcpu holds the guest state of `vmcs` */
	uint64_t shadow_reads, shadow_writes; /* served without an exit */
	uint32_t shadow_error;       /* VM-instruction error of such an access since entry; 0: none */
	vmx_shadow_wrote_fn *shadow_wrote; /* may be NULL */
	void *shadow_ctx;
};

enum vmx_entry {
	VMX_ENTERED,         /* run the engine */
	VMX_ENTERED_EXIT,    /* entered, and an exit is recorded already */
	VMX_FAIL_CONTROLS,   /* VMfailValid 7: *failed is the row */
	VMX_FAIL_HOST,       /* VMfailValid 8 */
	VMX_FAIL_GUEST,      /* x->exit holds reason 33 and its qualification */
	VMX_FAIL_MSR_LOAD    /* x->exit holds reason 34; qualification is the entry's number;
	                      * guest state is loaded: the caller loads another one */
};

/* Makes the vCPU one with VMX: installs the hooks. caps must outlive it. */
bool vmx_attach(struct vcpu *c, const struct vmx_caps *caps, struct err *e);
void vmx_detach(struct vcpu *c);

static inline struct vmx_cpu *vmx_of(const struct vcpu *c)
{
	return c->vmx;
}

/* VM entry on v, SDM Vol. 3C chapter 26 "VM Entries". `shadow` is the VMCS
 * that v's link pointer names (NULL: none). On VMX_FAIL_* the vCPU is as it
 * was; *failed (when not NULL) gets the failing row's enum vmx_check_id, or
 * -1. Host-state rows are checked only when `check_host`. */
enum vmx_entry vmx_enter(struct vcpu *c, struct vmcs *v, struct vmcs *shadow, bool check_host,
	int *failed);

/* After LEAVE_VMEXIT or VMX_ENTERED_EXIT: saves guest state and exit
 * information to the VMCS, SDM Vol. 3C 27.2 "Recording VM-Exit Information
 * and Updating VM-Entry Control Fields" and 27.3 "Saving Guest State". The
 * MSR-store list is written. Returns the record, valid until the next entry.
 *
 * struct vcpu keeps the guest's state and its address spaces until the next
 * vmx_enter() or vmx_leave(), so that L0 can reach guest memory through
 * cpu/mem.h; nothing may run meanwhile. Changes that L0 makes to the guest go
 * to the VMCS. Registers that no field holds (general ones but RSP, CR2,
 * DR0-DR3, DR6, x87 and vector state, plain MSRs) are the vCPU's own. */
const struct vmx_exit *vmx_exit_complete(struct vcpu *c);

/* What the VMX-preemption timer of the last entry has left, in its own units;
 * 0 when it ran out or was not active. */
uint64_t vmx_timer_left(const struct vcpu *c);

/* The TSC before offsetting; where a timer of `value` that starts now reaches 0;
 * what a timer with such a deadline has left. */
uint64_t vmx_tsc(const struct vcpu *c);
uint64_t vmx_timer_deadline(const struct vcpu *c, uint32_t value);
uint64_t vmx_timer_until(const struct vcpu *c, uint64_t deadline);

/* Ends VMX non-root operation altogether (VMXOFF of L0, reset). */
void vmx_leave(struct vcpu *c);

/* Writes what an exit would save to the VMCS, while staying in non-root
 * operation: for whoever inspects a running guest. */
void vmx_sync(struct vcpu *c);

/* Records an exit from outside the engine (L0 makes one up: reflection of
 * external interrupts, NMI, kicks). The vCPU must be in non-root operation. */
void vmx_force_exit(struct vcpu *c, const struct vmx_exit *exit);

/* The same at the next instruction boundary, where the preemption timer has its
 * place among events; an exit that waits for that boundary already comes instead. */
void vmx_exit_at_boundary(struct vcpu *c, enum vmx_exit_reason reason);

/* SDM Vol. 3C 27.5 "Loading Host State" and 27.6 "Loading MSRs" without the
 * MSR list: loads struct vcpu from v's host-state fields. The vCPU is in the guest's
 * address spaces until the vmx_enter() or vcpu_state_changed() that has to follow.
 * 0, or the VMX-abort indicator. */
enum vmx_abort vmx_load_host_state(struct vcpu *c, const struct vmcs *v);

/* Guest-state fields from and to struct vcpu, SDM 26.3.2 "Loading Guest
 * State" and 27.3 "Saving Guest State"; no checks. */
void vmx_load_guest_state(struct vcpu *c, const struct vmcs *v);
void vmx_save_guest_state(struct vcpu *c, struct vmcs *v);

/* An MSR list of `count` entries at host-physical `at`, or through `mem` as
 * in struct vmx_check_ctx. Returns 0, or the number (from 1) of the entry
 * that could not be loaded or stored, SDM 26.4 "Loading MSRs", 27.4 "Saving
 * MSRs". */
struct vmx_msr_mem {
	void *ctx;
	bool (*read)(void *ctx, uint64_t at, void *out, unsigned size);
	bool (*write)(void *ctx, uint64_t at, const void *in, unsigned size);
};
unsigned vmx_load_msrs(struct vcpu *c, const struct vmx_msr_mem *m, uint64_t at, uint32_t count);
unsigned vmx_store_msrs(struct vcpu *c, const struct vmx_msr_mem *m, uint64_t at, uint32_t count);
struct vmx_msr_mem vmx_msr_mem_phys(struct vcpu *c);

/* The posted-interrupt notification arrived on this vCPU in non-root
 * operation: PIR to VIRR, SDM 29.6 "Posted-Interrupt Processing". `desc` is
 * host-physical. */
void vmx_process_posted(struct vcpu *c, struct hpa desc);

/* VMX instructions: operand of VMREAD, VMPTRLD, INVEPT... decoded from the
 * instruction-information field and registers, as L0 needs it on the exit.
 * Register operand: reg is set. Memory operand: linear offset and segment. */
struct vmx_operand {
	bool is_reg;
	uint8_t reg, reg2;
	enum seg_reg seg;
	uint64_t offset;
	unsigned addrsize;
};
struct vmx_operand vmx_operand(const struct vcpu *c, uint32_t insn_info, uint64_t displacement);

/* The part of saved state that is vmx/'s own. The VMCSs are their owners';
 * after a load the owner hands back the one in use and its shadow. */
void vmx_state(struct vcpu *c, struct state *s);
void vmx_reattach(struct vcpu *c, struct vmcs *v, struct vmcs *shadow);

extern const struct cpu_hooks vmx_hooks;

#endif

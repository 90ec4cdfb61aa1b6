/* Nested VMX: L0 as a hypervisor that runs L1 on VMCS01 and L2 on VMCS02,
 * with vmx/ as its hardware.
 *
 *   vmcs01.c   VMCS01, by the rows of vmcs01.def
 *   vmcs12.c   the cache of L1's VMCSs, last writers, shadow VMCS
 *   vmcs02.c   the merge, by the rows of merge.def
 *   dispatch.c who handles an exit, by the rows of exits_l1.def, reflect.def
 *   nested_insn.c, nested_entry.c   VMX instructions for L1
 *   reflect.c  an exit of L2 becomes one of L1
 *   emulate.c  what L0 completes for L1
 *   nested_timer.c  L2's preemption timer without the hardware's
 *   shadow/    paging without EPT (mmu=shadow-on-shadow)
 *
 * Invariant: between calls each vCPU is in VMX non-root operation, on VMCS01
 * (level 1) or VMCS02 (level 2), unless the machine is bare.
 */
#ifndef L0_NESTED_H
#define L0_NESTED_H

#include "l0/dirty.h"
#include "l0/ept01.h"
#include "l0/ept02.h"
#include "l0/l0.h"
#include "l0/options.h"
#include "l0/shadow/paging.h"
#include "machine/machine.h"
#include "vmx/vmx.h"

struct buf;
struct state;

#define NESTED_VMCS12S 64
#define NESTED_VERDICTS 16
#define NESTED_NONE    UINT64_MAX /* no VMCS pointer, not in VMX operation */

/* Who last wrote a field of a VMCS12. */
enum nested_writer_kind {
	NESTED_BY_NOBODY, /* as loaded from memory */
	NESTED_BY_VMWRITE,
	NESTED_BY_SHADOW, /* a VMWRITE that the shadow VMCS served */
	NESTED_BY_L0,     /* at a reflection, or an instruction error */
	NESTED_BY_TOOL,   /* a debugger */
	NESTED_BY_PLUGIN
};

struct nested_writer {
	struct position at;
	uint64_t rip, cr3; /* of L1 */
	uint8_t vcpu, kind; /* enum nested_writer_kind */
};

/* A failed VM entry, kept for the autopsy. */
struct nested_failure {
	bool valid;
	struct position at;
	uint64_t rip, cr3;      /* of L1, at the VMLAUNCH or VMRESUME */
	bool launch;
	uint32_t insn_error;    /* VMfail; 0: the entry failed with `reason` */
	uint32_t reason;
	uint64_t qualification;
	int check;              /* enum vmx_check_id of the first failing row; -1: none of them */
	bool host_long_mode;
	struct vmcs v;          /* VMCS12 as it was */
};

/* A VMCS of L1 that L0 has seen, current on a vCPU or not. */
struct nested_vmcs12 {
	uint64_t at;       /* L1-physical; NESTED_NONE: a free slot */
	uint64_t used;     /* stamp of the last VMPTRLD */
	int32_t vcpu;      /* on which it is current; -1: on none */
	struct vmcs v;     /* the cache while current; else as last seen */
	struct nested_writer writer[VMCS_FIELDS];
	struct nested_writer reflected; /* L0's last write of guest state and exit information */
	/* L2 as it was at its last exit */
	bool seen;         /* L2 has run */
	uint64_t gpr[GPR_COUNT], dr[4], dr6, cr2;
	uint64_t exits, entries;
	uint64_t eptp;     /* of the last entry; 0 without EPT */
	struct nested_failure failure; /* the last one */
};

/* L0's own end of an L2's run. */
struct nested_timer {
	struct clock_timer clock; /* registered only when in use */
	uint64_t deadline;        /* TSC */
	bool on;
};

struct nested_vcpu {
	struct nested *n;
	struct l0_vcpu *l0v;
	struct vcpu *c;
	struct vmcs vmcs01, vmcs02, shadow;
	uint64_t vmxon;              /* region; NESTED_NONE outside VMX operation */
	struct nested_vmcs12 *cur;   /* the current VMCS12; NULL: none */
	struct vmcs *shadow12;       /* owned: L1's shadow VMCS for L2 while L2 runs; NULL */
	uint64_t msr_bitmap01;       /* private pages */
	uint64_t msr_bitmap02, vmread_bitmap, vmwrite_bitmap;
	uint64_t pml02;              /* L2's log on EPT01; 0: none */
	bool merged;                 /* vmcs02 follows from cur, apart from what is dirty */
	uint64_t eptp12;             /* in use by VMCS02; 0 without EPT12 */
	uint64_t cause;              /* ring number of the L2 exit that L1 handles; RING_NONE */
	uint64_t cause_retired;      /* L1's count at that reflection */
	uint64_t detail;             /* of L1's exit in progress, for the ring: what it is about */
	bool init_blocked;           /* an INIT waits for VMXOFF */
	bool by_tool;                /* the exit in progress was swallowed or rewritten */
	struct shadow_vcpu paging;   /* mmu=shadow-on-shadow */
	struct nested_timer timer;   /* use.preemption-timer=off */
};

struct nested {
	struct l0 *l;
	const struct l0_options *opt;
	struct vmx_caps hw, l1;      /* the hardware's, and what L1 is offered */
	struct private_mem mem;
	struct ept_table ept01;
	uint64_t eptp01;
	struct ept02 ept02;
	struct dirty dirty;          /* use.pml */
	struct shadow_mmu shadow;    /* mmu=shadow-on-shadow */
	uint64_t stamp;
	uint8_t taken[VMCS_FIELDS];  /* fields that a reflection copies from VMCS02 */
	unsigned takens;
	struct nested_vmcs12 *vmcs12; /* owned; NESTED_VMCS12S slots */
	struct nested_vcpu *vcpu;     /* owned; one per vCPU */
	/* delivered by the input log, until their transitions come: at the same clock */
	struct l0_verdict verdict[NESTED_VERDICTS];
	unsigned verdicts;
};

/* Makes the machine's processors ones with VMX and puts L0 on them. Once,
 * after the vCPUs exist. */
bool nested_new(struct l0 *l, const struct l0_options *o, struct err *e);
void nested_free(struct nested *n);

/* The vCPUs stand at their start state (reset, loader): runs them on VMCS01. */
void nested_start(struct nested *n);

/* After LEAVE_VMEXIT: handles the exit; the vCPU is in non-root operation again. */
void nested_exit(struct l0_vcpu *v);

/* One vCPU after INIT. */
void nested_start_vcpu(struct nested_vcpu *nv);
void nested_flush_l1(struct nested_vcpu *nv);
void nested_loaded(struct nested_vcpu *nv);

static inline struct nested_vcpu *nested_of(const struct l0_vcpu *v)
{
	return v->nested;
}

/* What L0 granted this vCPU for one instruction is nobody else's. */
static inline bool nested_holds_turn(const struct l0_vcpu *v)
{
	return v->nested && nested_of(v)->paging.once;
}

/* --- verdict.c */
void verdict_init(struct nested *n);
/* What an observer or the log decided about this exit, done as far as *x and
 * the registers go. */
enum l0_verdict_action verdict_apply(struct nested_vcpu *nv, struct vmx_exit *x, unsigned level);

/* --- vmcs01.c */
bool vmcs01_init(struct nested_vcpu *nv);
/* Masks and read shadows of CR0 and CR4, the shadow VMCS: what follows from
 * L1's VMX operation and current VMCS12. */
void vmcs01_update(struct nested_vcpu *nv);
/* Enters VMCS01 with the state that is live in the vCPU. */
void vmcs01_enter(struct nested_vcpu *nv);
/* The same, delivering an exception to L1 first. */
void vmcs01_inject(struct nested_vcpu *nv, const struct cpu_fault *f);

/* The same after an exit in the middle of an instruction, which runs again: an event
 * whose delivery the exit ended is delivered again, blocking by NMI that IRET had
 * lifted comes back. */
void vmcs01_again(struct nested_vcpu *nv, const struct vmx_exit *x);

/* --- vmcs12.c */
/* Makes the VMCS at `at` current (VMPTRLD), NESTED_NONE: none; the one before
 * is written back. */
void vmcs12_make_current(struct nested_vcpu *nv, uint64_t at);
void vmcs12_write_back(struct nested_vcpu *nv);
struct nested_vmcs12 *vmcs12_find(const struct nested *n, uint64_t at); /* NULL: not seen */
/* Sets a field and its last writer. */
void vmcs12_put(struct nested_vcpu *nv, enum vmcs_field f, uint64_t v, enum nested_writer_kind k);
/* The shadow VMCS to the cache and back. */
void vmcs12_from_shadow(struct nested_vcpu *nv);
void vmcs12_to_shadow(struct nested_vcpu *nv);
/* For struct vmx_cpu: a VMWRITE that the shadow VMCS served. */
vmx_shadow_wrote_fn vmcs12_shadow_wrote;
/* The last writer of a field, reflections included. */
struct nested_writer vmcs12_writer(const struct nested_vmcs12 *m, enum vmcs_field f);

/* --- vmcs02.c */
void vmcs02_merge(struct nested_vcpu *nv);
/* Enters VMCS02 again after an exit that L0 handled. */
void vmcs02_reenter(struct nested_vcpu *nv, const struct vmx_exit *x);
enum vmcs02_source { SOURCE_L1, SOURCE_L0, SOURCE_MIXED };
/* Where bit `bit` of a VMCS02 field comes from, and why. */
enum vmcs02_source vmcs02_origin(
	const struct nested_vcpu *nv, enum vmcs_field f, unsigned bit, const char **why);

/* --- dispatch.c */
enum reflect_rule { RULE_ALWAYS, RULE_NEVER, RULE_LOG, RULE_PIN, RULE_PROC1, RULE_PROC2, RULE_EXCEPTION,
	RULE_PORT, RULE_MSR, RULE_CR, RULE_MEMORY, RULE_FUNCTION };
/* Does L1 want this exit of L2? */
bool reflect_wanted(const struct nested_vcpu *nv, const struct vmx_exit *x);
/* The same for an exception or NMI, by these fields. */
bool reflect_exception(const struct vmcs *v, const struct vmx_exit *x);

/* --- reflect.c */
void reflect_fields(struct nested *n);
/* The vCPU has left VMCS02: L1 sees the exit. */
void reflect(struct nested_vcpu *nv, const struct vmx_exit *x);
/* An entry that failed after the checks of controls and host state. */
void reflect_entry_failure(struct nested_vcpu *nv, uint32_t reason, uint64_t qualification);
/* --- nested_l2.c: exits of L2 that L0 may handle itself; false: reflect. */
bool nested_l2_memory(struct nested_vcpu *nv, struct vmx_exit *x);
bool nested_l2_vmfunc(struct nested_vcpu *nv, struct vmx_exit *x);
bool nested_l2_pml_full(struct nested_vcpu *nv, struct vmx_exit *x);
/* The instruction of L2 is done: its state goes into VMCS02 again. */
void nested_l2_complete(struct nested_vcpu *nv, const struct vmx_exit *x);
bool nested_l2_msr(struct nested_vcpu *nv, struct vmx_exit *x);

/* --- nested_timer.c: all but init, done and state do nothing while off. */
void nested_timer_init(struct nested_vcpu *nv);
void nested_timer_done(struct nested_vcpu *nv);
/* L1's entry on VMCS02 has succeeded; L0's own entry has. */
void nested_timer_start(struct nested_vcpu *nv);
void nested_timer_resume(struct nested_vcpu *nv);
/* L2 has left VMCS02; L2's run is over. */
void nested_timer_save(struct nested_vcpu *nv);
void nested_timer_stop(struct nested_vcpu *nv);
void nested_timer_state(struct nested_vcpu *nv, struct state *s);
/* vmx_state() as the hash wants it. */
void nested_timer_hash(struct nested_vcpu *nv, struct state *s);

/* --- nested_insn.c, nested_entry.c, emulate.c: handlers of L1's exits. The
 * vCPU has left VMCS01 and holds L1's state; a handler completes the
 * instruction or fills c->fault and returns CPU_FAULT. CPU_EXIT: the vCPU is
 * already in non-root operation again. */
typedef enum cpu_step nested_l1_fn(struct nested_vcpu *nv, const struct vmx_exit *x);
nested_l1_fn l1_vmclear, l1_vmlaunch, l1_vmptrld, l1_vmptrst, l1_vmread, l1_vmresume, l1_vmwrite,
	l1_vmxoff, l1_vmxon, l1_vmcall, l1_vmfunc, l1_invept, l1_invvpid;
/* An instruction that L0 did for the guest is over: RIP, shadows, TF, counts. */
void nested_completed(struct nested_vcpu *nv, unsigned insn_len);
void nested_retire(struct nested_vcpu *nv);
/* After an entry that delivers the event of *x again: INT n and the like count as
 * instructions once they are delivered. */
void nested_redelivered(struct nested_vcpu *nv, const struct vmx_exit *x);
nested_l1_fn l1_cpuid, l1_xsetbv, l1_bare, l1_x87_error, l1_cr, l1_rdmsr, l1_wrmsr, l1_init, l1_sipi,
	l1_triple_fault, l1_task_switch, l1_unexpected;
nested_l1_fn l1_exception, l1_trap, l1_invlpg, l1_invpcid; /* shadow/exits.c */
nested_l1_fn l1_pml_full;
/* VMX abort, SDM Vol. 3C 27.7 "VMX Aborts": the indicator into VMCS12, the vCPU
 * into shutdown. */
void nested_abort(struct nested_vcpu *nv, enum vmx_abort indicator);
/* How VMCS12 is checked: against what L1 is offered. */
struct vmx_check_ctx nested_check_ctx(const struct nested_vcpu *nv, const struct vmcs *v);

/* --- nested_record.c: the exit ring */
/* What an exit is about: address, port, MSR, vector, register, leaf. */
uint64_t record_detail(const struct nested_vcpu *nv, const struct vmx_exit *x);
void record_l1_handled(struct nested_vcpu *nv, const struct vmx_exit *x, uint64_t rip);
void record_l2_handled(struct nested_vcpu *nv, const struct vmx_exit *x);
void record_reflected(struct nested_vcpu *nv, const struct vmx_exit *x);
void record_entry(struct nested_vcpu *nv, const struct vmx_exit *x, uint64_t rip, uint32_t failed);

/* --- nested_state.c */
void nested_state(struct nested *n, struct state *s);

#endif

/* The virtual processor: all architectural state of one vCPU.
 *
 * Outside engine_run() every field is the architectural truth: rip, rflags
 * and the counters are complete, and x87/SSE/AVX state is in c->fp. Inside,
 * the engine may keep flags lazily and FP state in host registers; slow
 * handlers (cpu/insn.h) are called with rip and rflags complete.
 *
 * Whoever writes control registers, segments or EFER from outside the
 * processor calls vcpu_state_changed() afterwards, once.
 */
#ifndef CPU_VCPU_H
#define CPU_VCPU_H

#include "base/addr.h"
#include "base/clock.h"
#include "base/irq.h"
#include "cpu/hooks.h"
#include "cpu/seg.h"
#include "cpu/step.h"

enum gpr {
	RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, GPR_COUNT
};

/* RFLAGS, SDM Vol. 1 3.4.3. */
enum {
	FLAG_CF = 1 << 0, FLAG_1 = 1 << 1, FLAG_PF = 1 << 2, FLAG_AF = 1 << 4, FLAG_ZF = 1 << 6,
	FLAG_SF = 1 << 7, FLAG_TF = 1 << 8, FLAG_IF = 1 << 9, FLAG_DF = 1 << 10, FLAG_OF = 1 << 11,
	FLAG_IOPL = 3 << 12, FLAG_NT = 1 << 14, FLAG_RF = 1 << 16, FLAG_VM = 1 << 17,
	FLAG_AC = 1 << 18, FLAG_VIF = 1 << 19, FLAG_VIP = 1 << 20, FLAG_ID = 1 << 21,
	FLAGS_ARITH = FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF
};

#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)

#define CR4_VME        BIT(0)
#define CR4_PVI        BIT(1)
#define CR4_TSD        BIT(2)
#define CR4_DE         BIT(3)
#define CR4_PSE        BIT(4)
#define CR4_PAE        BIT(5)
#define CR4_MCE        BIT(6)
#define CR4_PGE        BIT(7)
#define CR4_PCE        BIT(8)
#define CR4_OSFXSR     BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP       BIT(11)
#define CR4_LA57       BIT(12)
#define CR4_VMXE       BIT(13)
#define CR4_SMXE       BIT(14)
#define CR4_FSGSBASE   BIT(16)
#define CR4_PCIDE      BIT(17)
#define CR4_OSXSAVE    BIT(18)
#define CR4_SMEP       BIT(20)
#define CR4_SMAP       BIT(21)
#define CR4_PKE        BIT(22)

#define EFER_SCE BIT(0)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)

/* Activity states, SDM Vol. 3C 24.4.2 "Guest Non-Register State". */
enum cpu_activity { ACTIVITY_ACTIVE, ACTIVITY_HLT, ACTIVITY_SHUTDOWN, ACTIVITY_WAIT_SIPI,
	ACTIVITY_MWAIT /* ours: a HLT that a store also ends */ };

/* Inputs that wait for an instruction boundary; level bits stay until their
 * source drops them. Any set bit makes the engine look (vcpu_attention). */
enum {
	PEND_INTR = 1 << 0,   /* level: cpu_pins.intr */
	PEND_NMI = 1 << 1,
	PEND_INIT = 1 << 2,
	PEND_SIPI = 1 << 3,   /* vector in sipi_vector */
	PEND_DB = 1 << 4,     /* pending_db holds DR6 bits: trap after this instruction */
	PEND_RESET = 1 << 5,
	PEND_WINDOWS = 1 << 6, /* vmx/ wants interrupt or NMI windows looked at */
	PEND_MTF = 1 << 7,
	PEND_VIRT = 1 << 8,    /* virtual-interrupt delivery has something */
	PEND_STOP = 1 << 9,    /* leave at the next boundary with LEAVE_KICK */
	PEND_TIMER = 1 << 10   /* VMX-preemption timer ran out */
};

/* Why engine_run returned. */
enum cpu_leave {
	LEAVE_SLICE,    /* the instruction budget is used up */
	LEAVE_DEADLINE, /* clock_next() is due, or came nearer */
	LEAVE_HALT,     /* activity is not ACTIVE and nothing pends */
	LEAVE_VMEXIT,   /* a VM exit is recorded (vmx/) */
	LEAVE_BREAK,    /* before an instruction with a breakpoint mark */
	LEAVE_WATCH,    /* after an instruction that touched a watched range */
	LEAVE_SHUTDOWN, /* triple fault outside VMX non-root operation */
	LEAVE_KICK,     /* PEND_STOP */
	LEAVE_YIELD     /* a PAUSE that gives its turn to another vCPU */
};

/* x87, SSE and AVX state in the layout of the non-compacted XSAVE area, while
 * it is not in host registers; PKRU too. cpu/fp.h owns it. */
struct fp_state {
	uint8_t area[1088] __attribute__((aligned(64))); /* legacy 512, header 64, AVX 256; PKRU apart */
	bool live; /* in host registers; only inside engine_run */
	bool ferr; /* FERR# is asserted; who it is wired to hears of its fall when it rises next */
	uint16_t fcs, fds; /* selectors that go with the area's FIP and FDP */
	/* Pointers that the area does not hold yet, while live: the last x87 op
	 * that sets them, and the linear address of its memory operand. */
	uintptr_t x87_op; /* 0: none; FP_CW_LOADED and FP_CLEARED (cpu/fp.h) beside it */
	uint64_t x87_at;
};

/* VMX non-root operation as the processor needs it; written by vmx/ at VM
 * entry and exit, all zero in root operation and on a bare processor. */
struct cpu_nonroot {
	bool on;           /* in VMX non-root operation */
	uint64_t cr0_mask, cr0_shadow, cr4_mask, cr4_shadow; /* guest/host masks, read shadows */
	uint64_t tsc_offset;
	uint64_t tsc_multiplier; /* 2^48 = 1; 0 when TSC scaling is off */
	bool ept;                /* guest-physical addresses go through eptp */
	uint64_t eptp;
	bool mbec;               /* mode-based execute control for EPT */
	uint8_t phys_bits;       /* MAXPHYADDR of translations without EPT; 0: the model's */
	bool pml;
	bool unrestricted;
	uint16_t vpid;           /* 0: a fresh TLB context at every transition */
	struct hpa apic_access;  /* page that calls hooks->apic_access; UINT64_MAX: none */
	uint8_t nmi_mask_by_virtual; /* "virtual NMIs": nmi_blocked is virtual-NMI blocking */
	bool extint_exits;       /* "external-interrupt exiting": IF does not hold them back */
	bool iret_keeps_nmi;     /* "NMI exiting" without "virtual NMIs": IRET unblocks nothing */
};

struct cpu_pmu {
	uint64_t fixed_ctrl, global_ctrl, global_status;
	uint64_t fixed[3], counter[4], event[4];
	uint64_t base_retired, base_clock; /* when the counters were last brought up to date */
};

struct cpu_mtrr {
	uint64_t def_type, fixed[11], base[10], mask[10];
};

/* MSRs that are plain storage. */
struct cpu_msrs {
	uint64_t efer, star, lstar, cstar, fmask, kernel_gs_base, tsc_aux;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t pat, debugctl, misc_enable, feature_control, spec_ctrl, xss;
	uint64_t tsc_adjust, mcg_status, mcg_ctl, bios_sign_id, therm_control;
	uint64_t misc_features, umwait, lbr_select, platform_info;
	uint64_t mc[10][4]; /* IA32_MCi_CTL, STATUS, ADDR, MISC */
};

struct tlb;
struct op;
struct engine;
struct cpu_model;
struct bus;
struct phys;
struct log;

struct vcpu {
	/* --- hot: the engine's register file; op slots are byte offsets from here */
	uint64_t gpr[GPR_COUNT];
	uint64_t zero;            /* always 0: "no base", "no index" */
	uint64_t tmp;             /* engine scratch */
	uint64_t seg_base[6];     /* ES CS SS DS FS GS as an address adds them: 0 for
	                           * ES CS SS DS in 64-bit mode. Copies of seg[].base. */
	uint64_t rip;             /* offset in CS */
	uint64_t rflags;          /* complete outside fast ops; the engine may hold a
	                           * lazy form in `lazy` meanwhile */
	uint64_t lazy[4];         /* the engine's own */
	int64_t ic;               /* instructions left until the horizon; engine */
	uint64_t horizon;         /* retired + ic; engine */
	struct tlb *tlb;          /* current context; engine */
	struct engine *engine;    /* this vCPU's part of the engine; owned */
	const struct op *chain;   /* the next op, in builds without sibling calls */
	uint64_t code_gen;        /* TLB view generation and mode: block links hold for it */

	/* --- architectural */
	struct seg seg[SEG_COUNT];
	struct desc_table gdtr, idtr;
	uint64_t cr0, cr2, cr3, cr4, xcr0;
	uint64_t dr[4], dr6, dr7;
	uint32_t pkru;
	uint64_t pdpte[4];        /* PAE paging: loaded with CR3 */
	struct cpu_msrs msr;
	struct cpu_mtrr mtrr;
	struct cpu_pmu pmu;
	struct fp_state fp;
	uint8_t cpl;
	enum cpu_activity activity;
	bool sti_shadow, movss_shadow; /* until the end of the next instruction */
	bool nmi_blocked;
	bool smm_blocked;
	uint32_t pending;         /* PEND_* */
	uint64_t pending_db;      /* DR6 bits of PEND_DB */
	uint8_t sipi_vector;
	bool ignne;               /* IGNNE#: an x87 exception that FERR# told of is ignored */
	struct gpa monitor;       /* armed line in host-physical memory; UINT64_MAX when not armed */
	uint64_t monitor_sum;     /* digest of the line when MONITOR armed it */
	bool mwait_intr;          /* MWAIT with ECX bit 0: an interrupt ends it with IF clear too */
	uint64_t rng;             /* deterministic RDRAND source */

	/* --- VMX */
	const struct cpu_hooks *hooks; /* NULL: bare */
	struct cpu_nonroot nonroot;
	void *vmx;                /* vmx/'s own per-vCPU struct; owned by vmx/ */

	/* --- the instruction in flight, for slow handlers */
	uint64_t next_rip;        /* where it goes on; a branch overwrites it */
	struct cpu_fault fault;   /* with CPU_FAULT */
	struct cpu_fault vectoring; /* the event being delivered, while `delivering` */
	bool delivering;
	bool iret_unblocked_nmi;  /* IRET lifted NMI blocking and then met a fault or exit */
	enum cpu_leave leave;     /* with CPU_LEAVE */
	bool pmu_wakes;           /* a counter that interrupts is on (derived from pmu) */
	bool pmu_levels;          /* a counter counts at CPL 0, or above 0, only (likewise) */
	bool mode_changed;        /* set by anything that blocks are keyed on */

	/* --- counters */
	uint64_t retired;         /* instructions of this vCPU, ever */
	uint64_t clock_base;      /* clock->now - retired, during a slice */

	/* --- surroundings; not owned */
	unsigned id;              /* index and initial APIC ID */
	struct clock *clock;
	struct bus *bus;
	struct phys *phys;
	struct log *log;
	const struct cpu_model *model;
	const struct apic_ops *apic_ops;
	void *apic;
	struct irq_line ferr;     /* FERR#, an output */
	void *owner;              /* l0/'s per-vCPU struct */
};

static inline bool cpu_long_mode(const struct vcpu *c)
{
	return c->msr.efer & EFER_LMA;
}

static inline bool cpu_64bit(const struct vcpu *c)
{
	return (c->msr.efer & EFER_LMA) && (c->seg[SEG_CS].ar & AR_L);
}

/* CR0 and CR4 as MOV and SMSW read them, under the guest/host masks; what they
 * switch on is in cr0 and cr4. SDM 25.3 "Changes to Instruction Behavior in VMX
 * Non-Root Operation". */
static inline uint64_t cpu_visible_cr0(const struct vcpu *c)
{
	return (c->cr0 & ~c->nonroot.cr0_mask) | (c->nonroot.cr0_shadow & c->nonroot.cr0_mask);
}

static inline uint64_t cpu_visible_cr4(const struct vcpu *c)
{
	return (c->cr4 & ~c->nonroot.cr4_mask) | (c->nonroot.cr4_shadow & c->nonroot.cr4_mask);
}

/* Fills c->fault and returns CPU_FAULT. */
enum cpu_step cpu_raise(struct vcpu *c, enum cpu_vector vec);
enum cpu_step cpu_raise_error(struct vcpu *c, enum cpu_vector vec, uint32_t error);
enum cpu_step cpu_raise_pf(struct vcpu *c, struct gva at, uint32_t error);

/* The one question: CPU_DONE unless in non-root operation and intercepted. */
static inline enum cpu_step cpu_intercepted(
	struct vcpu *c, enum cpu_event ev, const struct insn *i, uint64_t detail)
{
	return c->nonroot.on ? c->hooks->intercept(c, ev, i, detail) : CPU_DONE;
}

/* Something pends: the engine looks at the next instruction boundary. Also
 * callable from devices inside a slice. */
void vcpu_pend(struct vcpu *c, uint32_t bits);
void vcpu_unpend(struct vcpu *c, uint32_t bits);

/* State was written from outside (VM entry or exit, debugger, loader):
 * recomputes CPL-independent caches, seg_base[], TLB context and mode id. */
void vcpu_state_changed(struct vcpu *c);

struct vcpu_config {
	unsigned id;
	struct clock *clock;
	struct bus *bus;
	struct phys *phys;
	struct log *log;
	const struct cpu_model *model;
	struct engine_shared *engine; /* cpu/engine.h: the machine's code cache */
};

struct vcpu *vcpu_new(const struct vcpu_config *cfg);
void vcpu_free(struct vcpu *c);

/* Has it something to do when its turn comes? MWAIT counts as HLT. */
bool vcpu_may_run(const struct vcpu *c);

/* In MWAIT: true when the armed line holds something else than it did at
 * MONITOR; whoever gives out turns asks, and makes the vCPU active. */
bool vcpu_monitor_hit(const struct vcpu *c);

/* Power-up or INIT state, SDM Vol. 3A table 9-1. */
void vcpu_reset(struct vcpu *c, bool init);

struct cpu_pins vcpu_pins(struct vcpu *c);

struct state;
void vcpu_state(struct vcpu *c, struct state *s);

#endif

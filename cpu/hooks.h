/* What cpu/ asks of whoever virtualises it; vmx/ fills it in.
 *
 * cpu/ never includes vmx/. With c->hooks == NULL the processor is bare: VMX
 * instructions are #UD and nothing is intercepted. "Is this intercepted?" is
 * asked through cpu_intercepted() alone.
 */
#ifndef CPU_HOOKS_H
#define CPU_HOOKS_H

#include "cpu/step.h"
#include "base/addr.h"

#include <stddef.h>

struct vcpu;
struct insn;

enum cpu_event {
#define CPU_EVENT(name, what, detail) EV_##name,
#include "cpu/events.def"
#undef CPU_EVENT
	EV_COUNT
};

/* A guest-physical access that EPT refused; the fields that an EPT-violation
 * or EPT-misconfiguration exit reports. */
struct cpu_ept_fault {
	bool misconfig;
	uint64_t qualification; /* SDM Vol. 3C 27.2.1 table 27-7, complete */
	struct gpa gpa;
	struct gva gva; /* valid when qualification bit 7 is set */
	bool linear_user; /* a user-mode linear address, for mode-based execute control */
	bool ve_suppress; /* bit 63 of the entry that refused (walk_result.ve_suppress) */
};

/* A guest-physical access to a page that VMX virtualises (APIC access). */
struct cpu_apic_access {
	struct gpa gpa;
	struct hpa hpa;
	unsigned offset, size; /* within the page; bytes */
	bool write, fetch;
	bool linear; /* from a linear access, not from delivery or a table walk */
	uint64_t *value; /* read into or written from */
};

struct cpu_hooks {
	/* In VMX non-root operation only. CPU_DONE: not intercepted, go on.
	 * CPU_EXIT: the exit is recorded. CPU_FAULT: c->fault (e.g. #UD where a
	 * control makes the instruction undefined). `i` is NULL for events that
	 * are not instructions. */
	enum cpu_step (*intercept)(
		struct vcpu *c, enum cpu_event ev, const struct insn *i, uint64_t detail);
	/* Any VMX instruction (VMXON ... INVVPID, VMCALL, VMFUNC), in any mode. */
	enum cpu_step (*vmx_insn)(struct vcpu *c, const struct insn *i);
	/* EPT refused; returns CPU_EXIT, or CPU_FAULT for a convertible #VE. */
	enum cpu_step (*ept_fault)(struct vcpu *c, const struct cpu_ept_fault *f);
	/* The TLB fill met the APIC-access page (see vcpu.nonroot.apic_access). */
	enum cpu_step (*apic_access)(struct vcpu *c, const struct cpu_apic_access *a);
	/* MSRs that VMX owns (IA32_VMX_*, and virtualised x2APIC MSRs in non-root
	 * operation): true when handled, with *step saying how it went. */
	bool (*rdmsr)(struct vcpu *c, uint32_t msr, uint64_t *value, enum cpu_step *step);
	bool (*wrmsr)(struct vcpu *c, uint32_t msr, uint64_t value, enum cpu_step *step);
	/* CR8 in non-root operation with "use TPR shadow". */
	bool (*get_cr8)(struct vcpu *c, uint64_t *value);
	bool (*set_cr8)(struct vcpu *c, uint64_t value, enum cpu_step *step);
	/* May CR0/CR4 take this value in VMX operation? false = #GP. */
	bool (*cr0_allowed)(const struct vcpu *c, uint64_t value);
	bool (*cr4_allowed)(const struct vcpu *c, uint64_t value);
	/* PML is on and the page at `at` gets its D flag: CPU_EXIT when full. */
	enum cpu_step (*pml)(struct vcpu *c, struct gpa at);
	/* Virtual-interrupt delivery: a vector to deliver in non-root operation
	 * when interrupts are open; -1 for none. Acknowledges it. */
	int (*virtual_interrupt)(struct vcpu *c);
};

#endif

/* Exits that shadow paging brings: page faults, CR accesses, INVLPG and
 * INVPCID, EFER; of L1, and of an L2 whose L1 does not ask for them. */
#include "l0/shadow/vcpu.h"

#include "cpu/cr.h"
#include "cpu/mem.h"
#include "cpu/msr.h"
#include "vmx/controls.h"

#define PF_WRITE BIT(1)
#define PF_USER  BIT(2)
#define PF_FETCH BIT(4)

/* --- page faults */

/* What an access was, by the hardware's error code. Implicit accesses of a
 * supervisor show at CPL 3 only. */
static struct walk_access access_of(const struct nested_vcpu *nv, uint32_t error)
{
	return (struct walk_access){.write = error & PF_WRITE,
		.user = error & PF_USER,
		.fetch = error & PF_FETCH,
		.implicit = nv->c->cpl == 3 && !(error & PF_USER)};
}

/* The monitor trap flag, beside VMCS12's own in VMCS02. */
static void set_trap(struct nested_vcpu *nv, unsigned level, bool on)
{
	struct vmcs *v = level == 2 ? &nv->vmcs02 : &nv->vmcs01;
	uint64_t all = vmcs_get(v, VMCS_CPU_BASED_VM_EXEC_CONTROL) & ~(uint64_t)PROC1_MONITOR_TRAP_FLAG;

	if (level == 2 && vmcs_get(&nv->cur->v, VMCS_CPU_BASED_VM_EXEC_CONTROL) & PROC1_MONITOR_TRAP_FLAG)
		on = true;
	vmcs_set(v, VMCS_CPU_BASED_VM_EXEC_CONTROL, all | (on ? PROC1_MONITOR_TRAP_FLAG : 0));
}

static void trap_next(struct nested_vcpu *nv, unsigned level)
{
	nv->paging.once = true;
	set_trap(nv, level, true);
}

void shadow_instruction_over(struct nested_vcpu *nv)
{
	if (!nv->paging.once)
		return;
	nv->paging.once = false;
	set_trap(nv, nv->l0v->level, false);
	shadow_over(&nv->n->shadow);
}

/* The guest's tables, walked and copied; *error is the guest's error code. */
static bool fill(struct nested_vcpu *nv, unsigned level, const struct vmx_exit *x, uint32_t *error)
{
	struct shadow_vcpu *s = &nv->paging;
	struct shadow_mmu *m = &nv->n->shadow;
	struct walk_root root = shadow_guest_root(m, &s->regs[level == 2]);
	struct walk_access a = access_of(nv, x->intr_error);
	struct walk_result walk;

	root.ac = nv->c->rflags & FLAG_AC;
	root.pkru = nv->c->pkru;
	switch (shadow_fill(m, &s->space[level == 2], &root, x->qualification, &a, &walk)) {
	case SHADOW_FILLED:
		return true;
	case SHADOW_FILLED_ONCE:
		trap_next(nv, level);
		return true;
	case SHADOW_FAULT:
		*error = (uint32_t)walk.error;
		return false;
	case SHADOW_REFUSED:
		*error = x->intr_error;
		return false;
	}
	return false;
}

/* SDM Vol. 3A 6.15, table 6-5 "Conditions for Generating a Double Fault": a
 * page fault, or what else is raised here, during the delivery of an event. */
enum meeting { MEET_SERIAL, MEET_DOUBLE, MEET_TRIPLE };

static enum meeting meet(const struct vmx_exit *x, const struct cpu_fault *f)
{
	unsigned first = x->idt_info & INTR_VECTOR;

	if (!(x->idt_info & INTR_VALID) ||
		(x->idt_info & INTR_TYPE) >> INTR_TYPE_SHIFT != TYPE_HWEXC)
		return MEET_SERIAL;
	if (first == VEC_DF)
		return MEET_TRIPLE;
	if (first == VEC_PF || first == VEC_VE)
		return MEET_DOUBLE;
	if (f->vector == VEC_PF)
		return MEET_SERIAL;
	return first == VEC_DE || (first >= VEC_TS && first <= VEC_GP) ? MEET_DOUBLE : MEET_SERIAL;
}

static const struct cpu_fault double_fault = {
	.vector = VEC_DF, .type = TYPE_HWEXC, .has_error = true};

static struct cpu_fault page_fault(const struct vmx_exit *x, uint32_t error)
{
	return (struct cpu_fault){.vector = VEC_PF,
		.type = TYPE_HWEXC,
		.has_error = true,
		.error = error,
		.payload = x->qualification};
}

static bool is_page_fault(const struct vmx_exit *x)
{
	return (x->reason & 0xffff) == EXIT_REASON_EXCEPTION_NMI &&
		(x->intr_info & INTR_VECTOR) == VEC_PF &&
		(x->intr_info & INTR_TYPE) >> INTR_TYPE_SHIFT == TYPE_HWEXC;
}

enum cpu_step l1_exception(struct nested_vcpu *nv, const struct vmx_exit *first)
{
	struct cpu_fault f;
	struct vmx_exit x;
	uint32_t error;

	if ((first->intr_info & INTR_VECTOR) == VEC_MF)
		return l1_x87_error(nv, first);
	if (!shadow_on(nv) || !is_page_fault(first))
		return l1_unexpected(nv, first);
	x = *vmx_exit_complete(nv->c);
	if (fill(nv, 1, &x, &error)) {
		record_l1_handled(nv, &x, nv->c->rip);
		vmcs01_again(nv, &x);
		return CPU_EXIT;
	}
	shadow_instruction_over(nv);
	f = page_fault(&x, error);
	switch (meet(&x, &f)) {
	case MEET_TRIPLE:
		return l1_triple_fault(nv, &x);
	case MEET_DOUBLE:
		f = double_fault;
		break;
	case MEET_SERIAL:
		break;
	}
	record_l1_handled(nv, &x, nv->c->rip);
	vmcs01_inject(nv, &f);
	return CPU_EXIT;
}

/* The instruction that a leaf was granted for is over. */
enum cpu_step l1_trap(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	if (!shadow_on(nv))
		return l1_unexpected(nv, x);
	record_l1_handled(nv, x, nv->c->rip);
	vmx_exit_complete(nv->c);
	vmcs01_enter(nv);
	return CPU_EXIT;
}

/* --- L1's control registers and invalidations */

enum cpu_step shadow_l1_cr3(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	struct vcpu *c = nv->c;
	unsigned reg = x->qualification >> 8 & 15;
	uint64_t v = c->gpr[reg];
	bool keep = c->cr4 & CR4_PCIDE && v >> 63;
	enum cpu_step step;

	if (x->qualification >> 4 & 3) {
		c->gpr[reg] = c->cr3;
		return CPU_DONE;
	}
	step = cr3_write(c, cpu_64bit(c) ? v : (uint32_t)v);
	if (step == CPU_DONE) {
		nv->paging.sync = !keep;
		nv->paging.keep = keep;
	}
	return step;
}

enum cpu_step l1_invlpg(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	if (!shadow_on(nv))
		return l1_unexpected(nv, x);
	shadow_invlpg(&nv->n->shadow, &nv->paging.space[0], x->qualification);
	return CPU_DONE;
}

static bool canonical(uint64_t at)
{
	return (uint64_t)((int64_t)(at << 16) >> 16) == at;
}

/* SDM Vol. 2A "INVPCID-Invalidate Process-Context Identifier": the vCPU is
 * lifted. *here: what CR3 leads to may be stale, else only one page (*page). */
static enum cpu_step invpcid(
	struct nested_vcpu *nv, const struct vmx_exit *x, bool *here, uint64_t *page)
{
	struct vcpu *c = nv->c;
	struct vmx_operand o = vmx_operand(c, x->insn_info, x->qualification);
	uint64_t type = c->gpr[o.reg2], d[2], pcid = c->cr4 & CR4_PCIDE ? c->cr3 & 0xfff : 0;
	enum cpu_step step = cpu_mem_read(c, o.seg, o.offset, d, 16);

	if (step != CPU_DONE)
		return step;
	type = cpu_64bit(c) ? type : (uint32_t)type;
	if (type > 3 || (type < 2 && d[0] >> 12) ||
		(type < 2 && !(c->cr4 & CR4_PCIDE) && d[0]) || (type == 0 && !canonical(d[1])))
		return cpu_raise_error(c, VEC_GP, 0);
	*here = type > 1 || (type == 1 && d[0] == pcid);
	*page = type == 0 && d[0] == pcid ? d[1] : UINT64_MAX;
	return CPU_DONE;
}

enum cpu_step l1_invpcid(struct nested_vcpu *nv, const struct vmx_exit *x)
{
	struct shadow_space *sp = &nv->paging.space[0];
	uint64_t page = UINT64_MAX;
	bool here = false;
	enum cpu_step step;

	if (!shadow_on(nv))
		return l1_unexpected(nv, x);
	step = invpcid(nv, x, &here, &page);
	if (step != CPU_DONE)
		return step;
	if (page != UINT64_MAX)
		shadow_invlpg(&nv->n->shadow, sp, page);
	shadow_flushed(&nv->n->shadow, sp);
	nv->paging.sync |= here;
	return CPU_DONE;
}

/* --- exits of L2 */

/* The exit that an exception makes; does L1 ask for it? */
static bool exception_exit(
	struct nested_vcpu *nv, struct vmx_exit *x, const struct cpu_fault *f, uint32_t info)
{
	x->reason = EXIT_REASON_EXCEPTION_NMI;
	x->intr_info = info | (x->intr_info & INTR_NMI_UNBLOCK);
	x->intr_error = f->error;
	x->qualification = f->vector == VEC_PF ? f->payload : 0;
	return reflect_exception(&nv->cur->v, x);
}

static uint32_t event_info(const struct cpu_fault *f)
{
	return f->vector | (uint32_t)f->type << INTR_TYPE_SHIFT | INTR_VALID |
		(f->has_error ? INTR_ERROR_CODE : 0);
}

/* L2 gets an exception, or L1 the exit that it asked for in its place: asked
 * first for the exception itself, then for the double fault that it makes. */
static enum shadow_exit raise(struct nested_vcpu *nv, struct vmx_exit *x, struct cpu_fault f)
{
	struct vmcs *v = &nv->vmcs02;

	if (exception_exit(nv, x, &f, event_info(&f)))
		return SHADOW_EXIT_REFLECT;
	switch (meet(x, &f)) {
	case MEET_TRIPLE:
		*x = (struct vmx_exit){.reason = EXIT_REASON_TRIPLE_FAULT};
		return SHADOW_EXIT_REFLECT;
	case MEET_DOUBLE:
		f = double_fault;
		if (exception_exit(nv, x, &f, event_info(&f)))
			return SHADOW_EXIT_REFLECT;
		break;
	case MEET_SERIAL:
		break;
	}
	x->idt_info = 0;
	if (f.vector == VEC_PF)
		nv->c->cr2 = f.payload;
	vmcs_set(v, VMCS_VM_ENTRY_INTR_INFO_FIELD, event_info(&f));
	vmcs_set(v, VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE, f.error);
	return SHADOW_EXIT_REENTER;
}

static enum shadow_exit l2_page_fault(struct nested_vcpu *nv, struct vmx_exit *x)
{
	struct vmcs *v = &nv->vmcs02;
	uint32_t error = 0;

	if (!fill(nv, 2, x, &error)) {
		shadow_instruction_over(nv);
		return raise(nv, x, page_fault(x, error));
	}
	if (!(x->idt_info & INTR_VALID) && x->intr_info & INTR_NMI_UNBLOCK)
		vmcs_set(v, VMCS_GUEST_INTERRUPTIBILITY_INFO,
			vmcs_get(v, VMCS_GUEST_INTERRUPTIBILITY_INFO) | BLOCKING_NMI);
	return SHADOW_EXIT_REENTER;
}

/* An instruction of L2 that L0 has done, or tried, with the vCPU lifted. */
static enum shadow_exit completed(
	struct nested_vcpu *nv, struct vmx_exit *x, enum cpu_step step, bool sync)
{
	struct cpu_fault f = nv->c->fault;

	if (step == CPU_DONE)
		nested_completed(nv, x->insn_len);
	shadow_lower_l2(nv, sync && step == CPU_DONE);
	return step == CPU_DONE ? SHADOW_EXIT_REENTER : raise(nv, x, f);
}

static bool cr3_target(const struct vmcs *v12, uint64_t value)
{
	for (unsigned n = 0; n < vmcs_get(v12, VMCS_CR3_TARGET_COUNT) && n < 4; n++)
		if (vmcs_get(v12, VMCS_CR3_TARGET_VALUE0 + n) == value)
			return true;
	return false;
}

/* SDM Vol. 3C 25.1.3 "Instructions That Cause VM Exits Conditionally", by
 * VMCS12; `v` is the value that a MOV to CR writes. */
static bool l1_wants_cr(const struct vmcs *v12, uint64_t qualification, uint64_t v)
{
	unsigned cr = qualification & 15, type = qualification >> 4 & 3;
	uint32_t proc1 = (uint32_t)vmcs_get(v12, VMCS_CPU_BASED_VM_EXEC_CONTROL);
	uint64_t mask = vmcs_get(v12, cr ? VMCS_CR4_GUEST_HOST_MASK : VMCS_CR0_GUEST_HOST_MASK);
	uint64_t shadow = vmcs_get(v12, cr ? VMCS_CR4_READ_SHADOW : VMCS_CR0_READ_SHADOW);

	if (cr == 3)
		return type ? proc1 & PROC1_CR3_STORE_EXITING :
			      proc1 & PROC1_CR3_LOAD_EXITING && !cr3_target(v12, v);
	if (cr == 8 || type == 2) /* VMCS02's controls for these are L1's own */
		return true;
	if (type == 3) {
		v = qualification >> 16 & 0xffff;
		return ((v ^ shadow) & mask & (CR0_MP | CR0_EM | CR0_TS)) ||
			(v & ~shadow & mask & CR0_PE);
	}
	return (v ^ shadow) & mask;
}

/* L2 is not an unrestricted guest: CR0.PE, PG and NE stay set. */
static enum cpu_step write_l2_cr0(struct nested_vcpu *nv, uint64_t v, uint64_t mask)
{
	const uint64_t fixed = CR0_PE | CR0_PG | CR0_NE;

	v = (v & ~mask) | (nv->c->cr0 & mask);
	return (v & fixed) == fixed ? cr0_write(nv->c, v) : cpu_raise_error(nv->c, VEC_GP, 0);
}

static enum shadow_exit l2_cr(struct nested_vcpu *nv, struct vmx_exit *x)
{
	struct vcpu *c = nv->c;
	const struct vmcs *v12 = &nv->cur->v;
	unsigned cr = x->qualification & 15, type = x->qualification >> 4 & 3;
	uint64_t *reg = &c->gpr[x->qualification >> 8 & 15], v = cpu_64bit(c) ? *reg : (uint32_t)*reg;
	uint64_t mask = vmcs_get(v12, cr ? VMCS_CR4_GUEST_HOST_MASK : VMCS_CR0_GUEST_HOST_MASK);
	enum cpu_step step = CPU_DONE;
	bool sync = type == 0;

	if (l1_wants_cr(v12, x->qualification, v))
		return SHADOW_EXIT_PASS;
	shadow_lift(nv);
	if (cr == 3 && type) {
		*reg = c->cr3;
	} else if (cr == 3) {
		sync = !(c->cr4 & CR4_PCIDE && v >> 63);
		step = cr3_write(c, v);
	} else if (cr == 4) {
		step = cr4_write(c, (v & ~mask) | (c->cr4 & mask));
	} else {
		if (type == 3)
			v = (c->cr0 & ~UINT64_C(15)) | (x->qualification >> 16 & 15) |
				(c->cr0 & CR0_PE);
		step = write_l2_cr0(nv, v, mask);
	}
	return completed(nv, x, step, sync);
}

static enum shadow_exit l2_invalidate(struct nested_vcpu *nv, struct vmx_exit *x)
{
	uint64_t page = x->qualification;
	struct shadow_space *sp = &nv->paging.space[1];
	enum cpu_step step = CPU_DONE;
	bool here = false;

	if (vmcs_get(&nv->cur->v, VMCS_CPU_BASED_VM_EXEC_CONTROL) & PROC1_INVLPG_EXITING)
		return SHADOW_EXIT_PASS;
	shadow_lift(nv);
	if ((x->reason & 0xffff) == EXIT_REASON_INVPCID)
		step = invpcid(nv, x, &here, &page);
	if (step == CPU_DONE && page != UINT64_MAX)
		shadow_invlpg(&nv->n->shadow, sp, page);
	if (step == CPU_DONE)
		shadow_flushed(&nv->n->shadow, sp);
	return completed(nv, x, step, here);
}

static enum shadow_exit l2_efer(struct nested_vcpu *nv, struct vmx_exit *x)
{
	struct vcpu *c = nv->c;
	uint64_t v = (uint32_t)c->gpr[RAX] | c->gpr[RDX] << 32;
	bool ok;

	if ((uint32_t)c->gpr[RCX] != MSR_EFER || reflect_wanted(nv, x))
		return SHADOW_EXIT_PASS;
	shadow_lift(nv);
	if ((x->reason & 0xffff) == EXIT_REASON_MSR_WRITE) {
		ok = msr_write(c, MSR_EFER, v);
	} else {
		ok = msr_read(c, MSR_EFER, &v);
		c->gpr[RAX] = (uint32_t)v;
		c->gpr[RDX] = v >> 32;
	}
	return completed(nv, x, ok ? CPU_DONE : cpu_raise_error(c, VEC_GP, 0), false);
}

/* The trap is L0's alone when VMCS12 does not ask for one. */
static enum shadow_exit l2_trap(struct nested_vcpu *nv, bool once)
{
	bool asked = vmcs_get(&nv->cur->v, VMCS_CPU_BASED_VM_EXEC_CONTROL) & PROC1_MONITOR_TRAP_FLAG;

	return once && !asked ? SHADOW_EXIT_REENTER : SHADOW_EXIT_PASS;
}

enum shadow_exit shadow_l2_exit(struct nested_vcpu *nv, struct vmx_exit *x)
{
	bool once = nv->paging.once;

	if (!is_page_fault(x))
		shadow_instruction_over(nv);
	switch (x->reason & 0xffff) {
	case EXIT_REASON_EXCEPTION_NMI:
		return is_page_fault(x) ? l2_page_fault(nv, x) : SHADOW_EXIT_PASS;
	case EXIT_REASON_MONITOR_TRAP_FLAG:
		return l2_trap(nv, once);
	case EXIT_REASON_CR_ACCESS:
		return l2_cr(nv, x);
	case EXIT_REASON_INVLPG:
	case EXIT_REASON_INVPCID:
		return l2_invalidate(nv, x);
	case EXIT_REASON_MSR_READ:
	case EXIT_REASON_MSR_WRITE:
		return l2_efer(nv, x);
	default:
		return SHADOW_EXIT_PASS;
	}
}

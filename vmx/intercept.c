/* Is this intercepted? One function, one table (vmx/intercepts.def). */
#include "vmx/record.h"

#include <Zydis/Zydis.h>

/* Linear address of a string instruction's memory operand. */
static uint64_t string_linear(const struct vcpu *c, const struct insn *i, bool in)
{
	uint64_t offset = c->gpr[in ? RDI : RSI];
	uint64_t at;

	if (i->addrsize < 8)
		offset &= UINT64_MAX >> (64 - 8 * i->addrsize);
	at = offset + c->seg_base[in ? SEG_ES : i->seg];
	return cpu_64bit(c) ? at : (uint32_t)at;
}

static enum cpu_step on_mwait(
	struct vcpu *c, enum vmx_exit_reason reason, const struct insn *i, uint64_t detail)
{
	if (!(vmx_of(c)->proc1 & PROC1_MWAIT_EXITING))
		return CPU_DONE;
	return vmx_record(c, reason, i, detail);
}

static enum cpu_step on_invlpg(
	struct vcpu *c, enum vmx_exit_reason reason, const struct insn *i, uint64_t detail)
{
	if (!(vmx_of(c)->proc1 & PROC1_INVLPG_EXITING))
		return CPU_DONE;
	return vmx_record(c, reason, i, detail);
}

/* SDM 25.1.3, PAUSE: the control, or a loop at CPL 0 that takes longer than
 * PLE_WINDOW with no gap above PLE_GAP. */
static enum cpu_step on_pause(
	struct vcpu *c, enum vmx_exit_reason reason, const struct insn *i, uint64_t detail)
{
	struct vmx_cpu *x = vmx_of(c);

	(void)detail;
	if (x->proc1 & PROC1_PAUSE_EXITING)
		return vmx_record(c, reason, i, 0);
	if (!(x->proc2 & PROC2_PAUSE_LOOP_EXITING) || c->cpl)
		return CPU_DONE;
	uint64_t now = vmx_tsc(c);
	bool again = x->ple_seen && now - x->ple_last <= vmcs_get(x->vmcs, VMCS_PLE_GAP);
	x->ple_last = now;
	x->ple_seen = true;
	if (!again)
		x->ple_first = now;
	else if (now - x->ple_first > vmcs_get(x->vmcs, VMCS_PLE_WINDOW)) {
		x->ple_seen = false;
		return vmx_record(c, reason, i, 0);
	}
	return CPU_DONE;
}

static enum cpu_step on_invpcid(
	struct vcpu *c, enum vmx_exit_reason reason, const struct insn *i, uint64_t detail)
{
	(void)detail;
	if (!(vmx_of(c)->proc2 & PROC2_ENABLE_INVPCID))
		return cpu_raise(c, VEC_UD);
	if (!(vmx_of(c)->proc1 & PROC1_INVLPG_EXITING))
		return CPU_DONE;
	return vmx_record(c, reason, i, 0);
}

static enum cpu_step on_rdtscp(
	struct vcpu *c, enum vmx_exit_reason reason, const struct insn *i, uint64_t detail)
{
	(void)detail;
	if (!(vmx_of(c)->proc2 & PROC2_ENABLE_RDTSCP))
		return cpu_raise(c, VEC_UD);
	if (!(vmx_of(c)->proc1 & PROC1_RDTSC_EXITING))
		return CPU_DONE;
	return vmx_record(c, reason, i, 0);
}

/* No exit of its own: #UD without "enable RDTSCP", SDM 25.3. */
static enum cpu_step on_rdpid(
	struct vcpu *c, enum vmx_exit_reason reason, const struct insn *i, uint64_t detail)
{
	(void)reason, (void)i, (void)detail;
	return vmx_of(c)->proc2 & PROC2_ENABLE_RDTSCP ? CPU_DONE : cpu_raise(c, VEC_UD);
}

/* SDM 24.6.9 "MSR-Bitmap Address": 1 KiB each for reads of low and high MSRs,
 * then for writes. */
static bool msr_exits(const struct vmx_cpu *x, uint32_t msr, bool write)
{
	unsigned part = write ? 2048 : 0;

	if (!(x->proc1 & PROC1_USE_MSR_BITMAPS) || !x->msr_bitmap)
		return true;
	if (msr >= 0xc0000000 && msr <= 0xc0001fff)
		part += 1024;
	else if (msr > 0x1fff)
		return true;
	msr &= 0x1fff;
	return x->msr_bitmap[part + msr / 8] >> (msr & 7) & 1;
}

static enum cpu_step on_rdmsr(
	struct vcpu *c, enum vmx_exit_reason reason, const struct insn *i, uint64_t detail)
{
	if (!msr_exits(vmx_of(c), detail, false))
		return CPU_DONE;
	return vmx_record(c, reason, i, 0);
}

static enum cpu_step on_wrmsr(
	struct vcpu *c, enum vmx_exit_reason reason, const struct insn *i, uint64_t detail)
{
	if (!msr_exits(vmx_of(c), detail, true))
		return CPU_DONE;
	return vmx_record(c, reason, i, 0);
}

static bool io_exits(const struct vmx_cpu *x, uint32_t port, unsigned size)
{
	if (!(x->proc1 & PROC1_USE_IO_BITMAPS))
		return x->proc1 & PROC1_UNCOND_IO_EXITING;
	if (port + size > 0x10000) /* wraps around the port space */
		return true;
	for (uint32_t p = port; p < port + size; p++) {
		const uint8_t *map = x->io_bitmap[p >> 15];
		if (!map || map[(p & 0x7fff) >> 3] >> (p & 7) & 1)
			return true;
	}
	return false;
}

/* Qualification: SDM table 27-5 "Exit Qualification for I/O Instructions". */
static enum cpu_step on_io(
	struct vcpu *c, enum vmx_exit_reason reason, const struct insn *i, uint64_t detail)
{
	uint32_t port = detail & 0xffff;
	unsigned size = detail >> 16 & 0xff;
	bool in = detail >> 24 & 1, string = detail >> 25 & 1;

	if (!io_exits(vmx_of(c), port, size))
		return CPU_DONE;
	uint64_t qual = (size - 1) | (uint64_t)in << 3 | (uint64_t)string << 4 |
		(detail >> 26 & 1) << 5 | (detail >> 27 & 1) << 6 | (uint64_t)port << 16;
	vmx_record(c, reason, i, qual);
	if (string)
		vmx_of(c)->exit.linear = string_linear(c, i, in);
	return CPU_EXIT;
}

/* Qualification: SDM table 27-3 "Exit Qualification for Control-Register
 * Accesses". */
static enum cpu_step cr_exit(struct vcpu *c, const struct insn *i, unsigned cr, unsigned type,
	unsigned reg, uint64_t rest)
{
	return vmx_record(c, EXIT_REASON_CR_ACCESS, i, cr | type << 4 | reg << 8 | rest);
}

static bool is_cr3_target(const struct vmcs *v, uint64_t value)
{
	for (unsigned n = 0; n < vmcs_get(v, VMCS_CR3_TARGET_COUNT) && n < 4; n++)
		if (vmcs_get(v, VMCS_CR3_TARGET_VALUE0 + n) == value)
			return true;
	return false;
}

static enum cpu_step on_mov_to_cr(
	struct vcpu *c, enum vmx_exit_reason reason, const struct insn *i, uint64_t detail)
{
	const struct vmx_cpu *x = vmx_of(c);
	unsigned cr = i->op[0].reg, reg = i->op[1].reg;
	bool exits = false;

	(void)reason;
	if (cr == 0)
		exits = (detail ^ c->nonroot.cr0_shadow) & c->nonroot.cr0_mask;
	else if (cr == 3)
		exits = (x->proc1 & PROC1_CR3_LOAD_EXITING) && !is_cr3_target(x->vmcs, detail);
	else if (cr == 4)
		exits = (detail ^ c->nonroot.cr4_shadow) & c->nonroot.cr4_mask;
	else if (cr == 8)
		exits = x->proc1 & PROC1_CR8_LOAD_EXITING;
	return exits ? cr_exit(c, i, cr, 0, reg, 0) : CPU_DONE;
}

static enum cpu_step on_mov_from_cr(
	struct vcpu *c, enum vmx_exit_reason reason, const struct insn *i, uint64_t detail)
{
	uint32_t proc1 = vmx_of(c)->proc1;
	unsigned cr = i->op[1].reg, reg = i->op[0].reg;

	(void)reason, (void)detail;
	if ((cr == 3 && (proc1 & PROC1_CR3_STORE_EXITING)) ||
		(cr == 8 && (proc1 & PROC1_CR8_STORE_EXITING)))
		return cr_exit(c, i, cr, 1, reg, 0);
	return CPU_DONE;
}

static enum cpu_step on_clts(
	struct vcpu *c, enum vmx_exit_reason reason, const struct insn *i, uint64_t detail)
{
	(void)reason, (void)detail;
	if (c->nonroot.cr0_mask & c->nonroot.cr0_shadow & CR0_TS)
		return cr_exit(c, i, 0, 2, 0, 0);
	return CPU_DONE;
}

/* LMSW writes bits 3:0 and can set PE but not clear it. */
static enum cpu_step on_lmsw(
	struct vcpu *c, enum vmx_exit_reason reason, const struct insn *i, uint64_t detail)
{
	uint64_t mask = c->nonroot.cr0_mask, shadow = c->nonroot.cr0_shadow;
	bool mem = i->op[0].kind == OPND_MEM;

	(void)reason;
	if (!((detail ^ shadow) & mask & (CR0_MP | CR0_EM | CR0_TS)) &&
		!(detail & ~shadow & mask & CR0_PE))
		return CPU_DONE;
	cr_exit(c, i, 0, 3, 0, (mem ? BIT(6) : 0) | (detail & 0xffff) << 16);
	if (mem)
		vmx_of(c)->exit.linear = vmx_insn_linear(c, i);
	return CPU_EXIT;
}

static enum cpu_step on_mov_dr(
	struct vcpu *c, enum vmx_exit_reason reason, const struct insn *i, uint64_t detail)
{
	bool from = i->op[0].kind == OPND_GPR;
	unsigned dr = i->op[from].reg, reg = i->op[!from].reg;

	(void)detail;
	if (!(vmx_of(c)->proc1 & PROC1_MOV_DR_EXITING))
		return CPU_DONE;
	return vmx_record(c, reason, i, dr | (unsigned)from << 4 | reg << 8);
}

static enum cpu_step on_descriptor_table(
	struct vcpu *c, enum vmx_exit_reason reason, const struct insn *i, uint64_t detail)
{
	(void)detail;
	if (!(vmx_of(c)->proc2 & PROC2_DESC_EXITING))
		return CPU_DONE;
	return vmx_record(c, reason, i, 0);
}

static enum cpu_step on_rdrand(
	struct vcpu *c, enum vmx_exit_reason reason, const struct insn *i, uint64_t detail)
{
	uint32_t bit = reason == EXIT_REASON_RDRAND ? PROC2_RDRAND_EXITING : PROC2_RDSEED_EXITING;

	(void)detail;
	return vmx_of(c)->proc2 & bit ? vmx_record(c, reason, i, 0) : CPU_DONE;
}

static enum cpu_step on_xsaves(
	struct vcpu *c, enum vmx_exit_reason reason, const struct insn *i, uint64_t detail)
{
	const struct vmx_cpu *x = vmx_of(c);

	if (!(x->proc2 & PROC2_ENABLE_XSAVES))
		return cpu_raise(c, VEC_UD);
	if (!(detail & c->msr.xss & vmcs_get(x->vmcs, VMCS_XSS_EXIT_BITMAP)))
		return CPU_DONE;
	return vmx_record(c, reason, i, 0);
}

static enum cpu_step on_task_switch(
	struct vcpu *c, enum vmx_exit_reason reason, const struct insn *i, uint64_t detail)
{
	vmx_record(c, reason, i, detail);
	if (detail >> 30 != 3) /* CALL, IRET, JMP */
		vmx_of(c)->exit.insn_len = c->next_rip - c->rip;
	return CPU_EXIT;
}

/* SDM 25.2, "Exceptions": the bitmap, and for page faults the error-code mask
 * and match, which flip the bitmap's meaning where they differ. */
static bool exception_exits(const struct vmcs *v, const struct cpu_fault *f)
{
	bool bit = vmcs_get(v, VMCS_EXCEPTION_BITMAP) >> f->vector & 1;

	if (f->type == TYPE_SWINT || f->vector > 31)
		return false;
	if (f->vector != VEC_PF || f->type != TYPE_HWEXC)
		return bit;
	bool match = (f->error & vmcs_get(v, VMCS_PAGE_FAULT_ERROR_CODE_MASK)) ==
		vmcs_get(v, VMCS_PAGE_FAULT_ERROR_CODE_MATCH);
	return match == bit;
}

static enum cpu_step on_fault(
	struct vcpu *c, enum vmx_exit_reason reason, const struct insn *i, uint64_t detail)
{
	struct vmx_cpu *x = vmx_of(c);
	const struct cpu_fault *f = &c->fault;

	(void)i, (void)detail;
	if (!exception_exits(x->vmcs, f))
		return CPU_DONE;
	bool address = f->vector == VEC_PF || f->vector == VEC_DB;
	vmx_record(c, reason, NULL, address ? f->payload : 0);
	x->exit.intr_info = f->vector | (uint32_t)f->type << INTR_TYPE_SHIFT |
		(f->has_error ? INTR_ERROR_CODE : 0) | INTR_VALID;
	x->exit.intr_error = f->has_error ? f->error : 0;
	if (f->type == TYPE_SWEXC || f->type == TYPE_PRIV_SWEXC)
		x->exit.insn_len = f->insn_len;
	return CPU_EXIT;
}

/* The next vector that is not the posted-interrupt notification, SDM 29.6
 * "Posted-Interrupt Processing"; -1 when none is left. */
static int acknowledge(struct vcpu *c, const struct vmx_cpu *x)
{
	bool posted = x->pin & PIN_POSTED_INTR;
	int vector;

	while ((vector = c->apic_ops->ack(c->apic)) >= 0) {
		if (!posted || (unsigned)vector != vmcs_get(x->vmcs, VMCS_POSTED_INTR_NV))
			return vector;
		c->apic_ops->eoi(c->apic);
		vmx_process_posted(c, hpa(vmcs_get(x->vmcs, VMCS_POSTED_INTR_DESC_ADDR)));
	}
	return -1;
}

static enum cpu_step on_extint(
	struct vcpu *c, enum vmx_exit_reason reason, const struct insn *i, uint64_t detail)
{
	struct vmx_cpu *x = vmx_of(c);

	(void)i, (void)detail;
	if (!(x->pin & PIN_EXT_INTR_EXITING))
		return CPU_DONE;
	int vector = -1;
	if ((x->exit_ctl & EXIT_ACK_INTR_ON_EXIT) && c->apic_ops) {
		vector = acknowledge(c, x);
		if (vector < 0)
			return CPU_DONE;
	}
	vmx_record(c, reason, NULL, 0);
	if (vector >= 0) {
		x->exit.ack = true;
		x->exit.intr_info = (uint32_t)vector | TYPE_EXTINT << INTR_TYPE_SHIFT | INTR_VALID;
	}
	return CPU_EXIT;
}

static enum cpu_step on_nmi(
	struct vcpu *c, enum vmx_exit_reason reason, const struct insn *i, uint64_t detail)
{
	struct vmx_cpu *x = vmx_of(c);

	(void)i, (void)detail;
	if (!(x->pin & PIN_NMI_EXITING))
		return CPU_DONE;
	vcpu_unpend(c, PEND_NMI); /* the exit takes the place of its delivery */
	vmx_record(c, reason, NULL, 0);
	x->exit.intr_info = VEC_NMI | TYPE_NMI << INTR_TYPE_SHIFT | INTR_VALID;
	return CPU_EXIT;
}

static enum cpu_step on_sipi(
	struct vcpu *c, enum vmx_exit_reason reason, const struct insn *i, uint64_t detail)
{
	(void)i;
	vcpu_unpend(c, PEND_SIPI);
	return vmx_record(c, reason, NULL, detail & 0xff);
}

static enum cpu_step on_init(
	struct vcpu *c, enum vmx_exit_reason reason, const struct insn *i, uint64_t detail)
{
	(void)i, (void)detail;
	vcpu_unpend(c, PEND_INIT);
	return vmx_record(c, reason, NULL, 0);
}

/* SDM 25.5.2 "Monitor Trap Flag"; the engine asks after an instruction. */
static enum cpu_step on_mtf(
	struct vcpu *c, enum vmx_exit_reason reason, const struct insn *i, uint64_t detail)
{
	(void)i, (void)detail;
	return vmx_of(c)->mtf_on ? vmx_record(c, reason, NULL, 0) : CPU_DONE;
}

/* Asked at instruction boundaries while PEND_TIMER is set: exits that waited
 * for the end of their instruction, then SDM 25.5.1 "VMX-Preemption Timer". */
static enum cpu_step on_timer(
	struct vcpu *c, enum vmx_exit_reason reason, const struct insn *i, uint64_t detail)
{
	struct vmx_cpu *x = vmx_of(c);

	(void)i, (void)detail;
	if (x->trap_due) {
		x->exit = x->trap;
		x->trap_due = false;
		x->exiting = true;
		return CPU_EXIT;
	}
	if (x->timer_on && vmx_tsc(c) >= x->timer_deadline)
		return vmx_record(c, reason, NULL, 0);
	vcpu_unpend(c, PEND_TIMER);
	return CPU_DONE;
}

typedef enum cpu_step intercept_fn(
	struct vcpu *c, enum vmx_exit_reason reason, const struct insn *i, uint64_t detail);

enum group_offset { OFFSET_NONE, OFFSET_PIN = offsetof(struct vmx_cpu, pin),
	OFFSET_PROC1 = offsetof(struct vmx_cpu, proc1),
	OFFSET_PROC2 = offsetof(struct vmx_cpu, proc2) };

static const struct intercept {
	uint8_t reason;
	uint16_t controls; /* offset of the control word; 0: none */
	uint32_t bit;
	intercept_fn *fn;
} table[EV_COUNT] = {
#define ALWAYS_EXITS(ev, r) [EV_##ev] = {EXIT_REASON_##r, 0, 0, NULL},
#define INTERCEPT(ev, group, control, r) \
	[EV_##ev] = {EXIT_REASON_##r, OFFSET_##group, group##_##control, NULL},
#define INTERCEPT_BY(ev, f, r) [EV_##ev] = {EXIT_REASON_##r, 0, 0, f},
#define INTERCEPT_NEVER(ev, r, why) ALWAYS_EXITS(ev, r)
#include "vmx/intercepts.def"
#undef ALWAYS_EXITS
#undef INTERCEPT
#undef INTERCEPT_BY
#undef INTERCEPT_NEVER
};

enum cpu_step vmx_intercept(
	struct vcpu *c, enum cpu_event ev, const struct insn *i, uint64_t detail)
{
	const struct intercept *t = &table[ev];
	const char *x = c->vmx;

	if (t->fn)
		return t->fn(c, t->reason, i, detail);
	if (t->controls && !(*(const uint32_t *)(x + t->controls) & t->bit))
		return CPU_DONE;
	return vmx_record(c, t->reason, i, 0);
}

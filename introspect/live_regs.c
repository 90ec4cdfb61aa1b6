/* Registers of the live machine.
 *
 * Running: from struct vcpu. L2 not running: guest-state fields of VMCS12 and
 * the copies kept at its last exit. L1 while L2 runs: what its next exit will
 * load, the host-state fields; its general registers are L2's until then, so
 * they are unavailable.
 */
#include "introspect/live_machine.h"

#include "vmx/controls.h"

#include "cpu/deliver.h"
#include "cpu/xsave.h"
#include "base/input.h"
#include "l0/shadow/vcpu.h"

#include <string.h>

/* The enumerators of regs.def as indexes of enum gpr. */
static int gpr_of(enum reg_id id)
{
	static const enum reg_id order[GPR_COUNT] = {R_RAX, R_RCX, R_RDX, R_RBX, R_RSP, R_RBP, R_RSI,
		R_RDI, R_R8, R_R9, R_R10, R_R11, R_R12, R_R13, R_R14, R_R15};
	for (int i = 0; i < GPR_COUNT; i++)
		if (order[i] == id)
			return i;
	return -1;
}

/* Segment registers: row = segment, column = selector, base, limit, rights. */
static const enum reg_id segment[SEG_COUNT][4] = {{R_ES, R_ES_BASE, R_ES_LIMIT, R_ES_AR},
	{R_CS, R_CS_BASE, R_CS_LIMIT, R_CS_AR}, {R_SS, R_SS_BASE, R_SS_LIMIT, R_SS_AR},
	{R_DS, R_DS_BASE, R_DS_LIMIT, R_DS_AR}, {R_FS, R_FS_BASE, R_FS_LIMIT, R_FS_AR},
	{R_GS, R_GS_BASE, R_GS_LIMIT, R_GS_AR}, {R_LDTR, R_LDTR_BASE, R_LDTR_LIMIT, R_LDTR_AR},
	{R_TR, R_TR_BASE, R_TR_LIMIT, R_TR_AR}};

static bool segment_of(enum reg_id id, unsigned *seg, unsigned *part)
{
	for (*seg = 0; *seg < SEG_COUNT; ++*seg)
		for (*part = 0; *part < 4; ++*part)
			if (segment[*seg][*part] == id)
				return true;
	return false;
}

static bool put(struct reg_value *out, uint64_t v)
{
	memcpy(out->bytes, &v, out->size < 8 ? out->size : 8);
	return out->available = true;
}

/* Plain 64-bit registers of struct vcpu that a debugger may write too. */
static uint64_t *plain(struct vcpu *c, enum reg_id id)
{
	int g = gpr_of(id);
	if (g >= 0)
		return &c->gpr[g];
	switch (id) {
	case R_RIP: return &c->rip;
	case R_CR2: return &c->cr2;
	case R_CR3: return &c->cr3;
	case R_EFER: return &c->msr.efer;
	case R_XCR0: return &c->xcr0;
	case R_DR0: return &c->dr[0];
	case R_DR1: return &c->dr[1];
	case R_DR2: return &c->dr[2];
	case R_DR3: return &c->dr[3];
	case R_DR6: return &c->dr6;
	case R_DR7: return &c->dr7;
	case R_STAR: return &c->msr.star;
	case R_LSTAR: return &c->msr.lstar;
	case R_CSTAR: return &c->msr.cstar;
	case R_FMASK: return &c->msr.fmask;
	case R_KERNEL_GS_BASE: return &c->msr.kernel_gs_base;
	case R_TSC_AUX: return &c->msr.tsc_aux;
	case R_SYSENTER_CS: return &c->msr.sysenter_cs;
	case R_SYSENTER_ESP: return &c->msr.sysenter_esp;
	case R_SYSENTER_EIP: return &c->msr.sysenter_eip;
	case R_PAT: return &c->msr.pat;
	case R_DEBUGCTL: return &c->msr.debugctl;
	case R_MISC_ENABLE: return &c->msr.misc_enable;
	case R_SPEC_CTRL: return &c->msr.spec_ctrl;
	case R_XSS: return &c->msr.xss;
	case R_GDTR_BASE: return &c->gdtr.base;
	case R_IDTR_BASE: return &c->idtr.base;
	default: return NULL;
	}
}

/* A register inside the XSAVE area: where and how long. */
static bool in_area(enum reg_id id, unsigned *at, unsigned *size)
{
	if (id >= R_ST0 && id <= R_ST7) {
		*at = FX_ST + 16 * (unsigned)(id - R_ST0);
		*size = 10;
	} else if (id >= R_XMM0 && id <= R_XMM15) {
		*at = FX_XMM + 16 * (unsigned)(id - R_XMM0);
		*size = 16;
	} else if (id >= R_YMM0H && id <= R_YMM15H) {
		*at = XSAVE_AVX + 16 * (unsigned)(id - R_YMM0H);
		*size = 16;
	} else if (id == R_MXCSR) {
		*at = FX_MXCSR;
		*size = 4;
	} else if (id == R_FCTRL || id == R_FSTAT || id == R_FOP) {
		*at = id == R_FCTRL ? FX_FCW : id == R_FSTAT ? FX_FSW : FX_FOP;
		*size = 2;
	} else if (id == R_FIOFF || id == R_FOOFF) {
		*at = id == R_FIOFF ? FX_FIP : FX_FDP;
		*size = 4;
	} else {
		return false;
	}
	return true;
}

/* The full tag word from the abridged one: SDM Vol. 1 8.1.7 "x87 FPU Tag Word". */
static uint16_t full_tags(const uint8_t *area)
{
	uint16_t out = 0, fsw;
	memcpy(&fsw, area + FX_FSW, 2);
	for (unsigned phys = 0; phys < 8; phys++) {
		unsigned st = (phys - (fsw >> 11 & 7)) & 7, tag = 2;
		uint64_t mant;
		uint16_t exp;
		memcpy(&mant, area + FX_ST + 16 * st, 8);
		memcpy(&exp, area + FX_ST + 16 * st + 8, 2);
		exp &= 0x7fff;
		if (!(area[FX_FTW] >> phys & 1))
			tag = 3;
		else if (!exp && !mant)
			tag = 1;
		else if (exp && exp != 0x7fff && mant >> 63)
			tag = 0;
		out |= (uint16_t)(tag << 2 * phys);
	}
	return out;
}

/* Registers that shadow paging keeps for the guest, while the processor holds
 * others. */
static bool shadowed(const struct nested_vcpu *nv, enum reg_id id, uint64_t *out)
{
	if (!nv || !shadow_on(nv))
		return false;
	struct shadow_regs r = shadow_regs_of(nv, nv->l0v->level);
	switch (id) {
	case R_CR3: *out = r.cr3; return true;
	case R_EFER: *out = r.efer; return true;
	case R_CR0: *out = r.cr0; return nv->l0v->level == 2;
	case R_CR4: *out = r.cr4; return nv->l0v->level == 2;
	default: return false;
	}
}

static bool running(struct vcpu *c, unsigned level, enum reg_id id, struct reg_value *out)
{
	unsigned seg, part, at, size;
	const uint64_t *p = plain(c, id);
	if (p)
		return put(out, *p);
	if (segment_of(id, &seg, &part)) {
		const struct seg *s = &c->seg[seg];
		return put(out, part == 0 ? s->sel : part == 1 ? s->base : part == 2 ? s->limit : s->ar);
	}
	if (in_area(id, &at, &size)) {
		memcpy(out->bytes, c->fp.area + at, size);
		return out->available = true;
	}
	switch (id) {
	case R_EFLAGS: return put(out, c->rflags);
	/* L1 does not see what L0 keeps for itself; of L2 the real one is shown */
	case R_CR0: return put(out, level == LEVEL_L1 ? cpu_visible_cr0(c) : c->cr0);
	case R_CR4: return put(out, level == LEVEL_L1 ? cpu_visible_cr4(c) : c->cr4);
	case R_PKRU: return put(out, c->pkru);
	case R_CPL: return put(out, c->cpl);
	case R_FTAG: return put(out, full_tags(c->fp.area));
	case R_FISEG: return put(out, c->fp.fcs);
	case R_FOSEG: return put(out, c->fp.fds);
	case R_GDTR_LIMIT: return put(out, c->gdtr.limit);
	case R_IDTR_LIMIT: return put(out, c->idtr.limit);
	case R_TSC: return put(out, c->clock->now + c->msr.tsc_adjust + c->nonroot.tsc_offset);
	case R_CR8:
		return c->apic_ops ? put(out, c->apic_ops->get_tpr(c->apic) >> 4) : false;
	case R_APIC_BASE:
		return c->apic_ops ? put(out, c->apic_ops->get_base(c->apic)) : false;
	default: return false;
	}
}

/* Guest-state and host-state fields that hold a register. */
static const struct {
	enum reg_id id;
	uint16_t guest, host; /* enum vmcs_field; VMCS_FIELDS: none */
} saved[] = {
#define SAVED(reg, guest, host) {R_##reg, VMCS_##guest, VMCS_##host},
#include "introspect/live_saved.def"
#undef SAVED
};

static bool from_vmcs12(
	const struct nested_vmcs12 *m, enum reg_id id, bool host, struct reg_value *out)
{
	for (size_t i = 0; i < sizeof saved / sizeof *saved; i++) {
		uint16_t f = host ? saved[i].host : saved[i].guest;
		if (saved[i].id == id && f != VMCS_FIELDS)
			return put(out, vmcs_get(&m->v, f));
	}
	return false;
}

/* MSRs that a level keeps only where its controls load them: without that the
 * processor's own value goes on. SDM Vol. 3C 26.3.2.1 "Loading Guest Control
 * Registers, Debug Registers, and MSRs", 27.5.1 "Loading Host Control
 * Registers, Debug Registers, MSRs". False: the VMCS12 has it. */
static bool not_switched(const struct nested_vmcs12 *m, const struct vcpu *c, enum reg_id id,
	bool host, struct reg_value *out)
{
	uint64_t entry = vmcs_get(&m->v, VMCS_VM_ENTRY_CONTROLS);
	uint64_t exit = vmcs_get(&m->v, VMCS_VM_EXIT_CONTROLS);
	bool long_mode = host ? exit & EXIT_HOST_ADDR_SPACE_SIZE : entry & ENTRY_IA32E_MODE;
	switch (id) {
	case R_PAT:
		return !(host ? exit & EXIT_LOAD_IA32_PAT : entry & ENTRY_LOAD_IA32_PAT) &&
			put(out, c->msr.pat);
	case R_EFER:
		return !(host ? exit & EXIT_LOAD_IA32_EFER : entry & ENTRY_LOAD_IA32_EFER) &&
			put(out, (c->msr.efer & ~(uint64_t)(EFER_LMA | EFER_LME)) |
					(long_mode ? EFER_LMA | EFER_LME : 0));
	default:
		return false;
	}
}

static bool saved_l2(const struct nested_vmcs12 *m, const struct vcpu *c, enum reg_id id,
	struct reg_value *out)
{
	int g = gpr_of(id);
	if (not_switched(m, c, id, false, out) || from_vmcs12(m, id, false, out))
		return true;
	if (g >= 0)
		return put(out, m->gpr[g]);
	if (id >= R_DR0 && id <= R_DR3)
		return put(out, m->dr[id - R_DR0]);
	if (id == R_DR6)
		return put(out, m->dr6);
	if (id == R_CR2)
		return put(out, m->cr2);
	return false;
}

/* What an exit loads, SDM Vol. 3C 27.5 "Loading Host State". */
static bool saved_l1(const struct nested_vmcs12 *m, const struct vcpu *c, enum reg_id id,
	struct reg_value *out)
{
	bool long_mode = vmcs_get(&m->v, VMCS_VM_EXIT_CONTROLS) & EXIT_HOST_ADDR_SPACE_SIZE;
	if (not_switched(m, c, id, true, out) || from_vmcs12(m, id, true, out))
		return true;
	switch (id) {
	case R_EFLAGS: return put(out, 2);
	case R_DR7: return put(out, 0x400);
	case R_CS_AR: return put(out, long_mode ? 0xa09b : 0xc09b);
	case R_SS_AR: case R_DS_AR: case R_ES_AR: return put(out, 0xc093);
	case R_CS_BASE: case R_SS_BASE: case R_DS_BASE: case R_ES_BASE: return put(out, 0);
	case R_CS_LIMIT: case R_SS_LIMIT: case R_DS_LIMIT: case R_ES_LIMIT:
		return put(out, 0xffffffff);
	case R_GDTR_LIMIT: case R_IDTR_LIMIT: return put(out, 0xffff);
	default: return false;
	}
}

static bool vmx_view(struct live *v, struct place at, enum reg_id id, struct reg_value *out)
{
	const struct nested_vmcs12 *m = live_vmcs12(v, at);
	if (!m)
		return false;
	switch (id) {
	case R_EXIT_REASON: return put(out, vmcs_get(&m->v, VMCS_VM_EXIT_REASON));
	case R_EXIT_QUALIFICATION: return put(out, vmcs_get(&m->v, VMCS_EXIT_QUALIFICATION));
	case R_EPTP: return put(out, vmcs_get(&m->v, VMCS_EPT_POINTER));
	default: return false;
	}
}

bool live_reg_get(void *ctx, struct place at, enum reg_id id, struct reg_value *out)
{
	struct live *v = ctx;
	if (id == R_EXIT_REASON || id == R_EXIT_QUALIFICATION || id == R_EPTP)
		return vmx_view(v, at, id, out);
	uint64_t own;
	switch (live_place_state(v, at)) {
	case PLACE_RUNNING:
		if (shadowed(live_nested(v, at.vcpu), id, &own))
			return put(out, own);
		return running(live_cpu(v, at.vcpu), at.level, id, out);
	case PLACE_SAVED: {
		const struct nested_vmcs12 *m = live_vmcs12(v, at);
		const struct vcpu *c = live_cpu(v, at.vcpu);
		return m && (at.level == LEVEL_L1 ? saved_l1(m, c, id, out) : saved_l2(m, c, id, out));
	}
	default:
		return false;
	}
}

/* --- writing, through the input log ---------------------------------------------------- */

struct reg_input {
	uint16_t reg;
	uint16_t level;
	uint8_t bytes[16];
};

static bool writable(struct vcpu *c, enum reg_id id)
{
	unsigned seg, part, at, size;
	return plain(c, id) || segment_of(id, &seg, &part) || in_area(id, &at, &size) ||
		id == R_EFLAGS || id == R_CR0 || id == R_CR4 || id == R_PKRU || id == R_GDTR_LIMIT ||
		id == R_IDTR_LIMIT;
}

static void set_segment(struct seg *s, unsigned part, uint64_t v)
{
	if (part == 0)
		s->sel = (uint16_t)v;
	else if (part == 1)
		s->base = v;
	else if (part == 2)
		s->limit = (uint32_t)v;
	else
		s->ar = (uint32_t)v;
}

static void apply_running(struct vcpu *c, enum reg_id id, const uint8_t *bytes)
{
	unsigned seg, part, at, size;
	uint64_t v, *p = plain(c, id);
	memcpy(&v, bytes, 8);
	if (p)
		*p = v;
	else if (segment_of(id, &seg, &part))
		set_segment(&c->seg[seg], part, v);
	else if (in_area(id, &at, &size))
		memcpy(c->fp.area + at, bytes, size);
	else if (id == R_EFLAGS)
		c->rflags = (v & 0x3f7fd7) | FLAG_1;
	else if (id == R_CR0)
		c->cr0 = (c->cr0 & c->nonroot.cr0_mask) | (v & ~c->nonroot.cr0_mask);
	else if (id == R_CR4)
		c->cr4 = (c->cr4 & c->nonroot.cr4_mask) | (v & ~c->nonroot.cr4_mask);
	else if (id == R_PKRU)
		c->pkru = (uint32_t)v;
	else if (id == R_GDTR_LIMIT)
		c->gdtr.limit = (uint16_t)v;
	else if (id == R_IDTR_LIMIT)
		c->idtr.limit = (uint16_t)v;
	if (id == R_DR0 || id == R_DR1 || id == R_DR2 || id == R_DR3 || id == R_DR7)
		engine_debug_changed(c);
	vcpu_state_changed(c);
}

static void apply_saved(struct live *v, struct nested_vmcs12 *m, enum reg_id id, uint64_t value,
	enum nested_writer_kind by)
{
	int g = gpr_of(id);
	for (size_t i = 0; i < sizeof saved / sizeof *saved; i++) {
		if (saved[i].id != id || saved[i].guest == VMCS_FIELDS)
			continue;
		if (m->vcpu >= 0)
			vmcs12_put(&v->n->vcpu[m->vcpu], saved[i].guest, value, by);
		return;
	}
	if (g >= 0)
		m->gpr[g] = value;
}

/* CR3 and IA32_EFER of a guest on shadow tables: other tables follow. */
static bool apply_shadowed(struct nested_vcpu *nv, enum reg_id id, const uint8_t *bytes)
{
	uint64_t value;
	if (!nv || !shadow_on(nv) || (id != R_CR3 && id != R_EFER))
		return false;
	struct shadow_regs r = shadow_regs_of(nv, nv->l0v->level);
	memcpy(&value, bytes, 8);
	if (id == R_CR3)
		r.cr3 = value;
	else
		r.efer = (value & (EFER_SCE | EFER_NXE)) | (r.efer & (EFER_LME | EFER_LMA));
	shadow_write(nv, &r);
	return true;
}

/* Who put an input: the bit leaves its target. */
static enum nested_writer_kind taken(uint32_t *target)
{
	bool plugin = *target & LIVE_BY_PLUGIN;
	*target &= ~LIVE_BY_PLUGIN;
	return plugin ? NESTED_BY_PLUGIN : NESTED_BY_TOOL;
}

static uint32_t target_of(const struct live *v, uint32_t target)
{
	return target | (v->by_plugin ? LIVE_BY_PLUGIN : 0);
}

static void input_register(void *ctx, uint32_t target, const uint8_t *data, uint32_t len)
{
	struct live *v = ctx;
	struct reg_input in;
	enum nested_writer_kind by = taken(&target);
	if (len != sizeof in || target >= v->l->vcpus)
		return;
	memcpy(&in, data, sizeof in);
	struct place at = {in.level, target};
	if (in.reg >= R_COUNT)
		return;
	if (live_place_state(v, at) == PLACE_RUNNING) {
		if (!apply_shadowed(live_nested(v, target), in.reg, in.bytes))
			apply_running(live_cpu(v, target), in.reg, in.bytes);
	} else if (in.level >= LEVEL_L2) {
		struct nested_vmcs12 *m = live_vmcs12(v, at);
		uint64_t value;
		memcpy(&value, in.bytes, 8);
		if (m)
			apply_saved(v, m, in.reg, value, by);
	}
}

static bool logged(bool delivered, struct err *e)
{
	return delivered || err_set(e, ERR_GENERAL, "recorded inputs are being played; what is typed or "
		"changed now would break the recording");
}

bool live_reg_set(void *ctx, struct place at, enum reg_id id, const void *bytes, size_t len,
	struct err *e)
{
	struct live *v = ctx;
	struct reg_input in = {.reg = (uint16_t)id, .level = (uint16_t)at.level};
	const struct nested_vmcs12 *m;
	bool field = false;
	memcpy(in.bytes, bytes, len < 16 ? len : 16);
	if (live_place_state(v, at) == PLACE_RUNNING) {
		if (!writable(live_cpu(v, at.vcpu), id))
			return err_set(e, ERR_GENERAL, "'%s' cannot be written", reg_info(id)->name);
	} else {
		for (size_t i = 0; i < sizeof saved / sizeof *saved; i++)
			field |= saved[i].id == id && saved[i].guest != VMCS_FIELDS;
		m = live_vmcs12(v, at);
		if (at.level == LEVEL_L1 || !m || m->vcpu < 0 || !field)
			return err_set(e, ERR_GENERAL, "'%s' of a level that is not running cannot be "
				"written unless a field of its current VMCS12 holds it", reg_info(id)->name);
	}
	return logged(input_put(v->l->inputs, INPUT_REGISTER, target_of(v, at.vcpu), &in, sizeof in), e);
}

struct vmcs_input {
	uint64_t vmcs12, value;
	uint32_t encoding, pad;
};

static void input_vmcs(void *ctx, uint32_t target, const uint8_t *data, uint32_t len)
{
	struct live *v = ctx;
	struct vmcs_input in;
	struct nested_vmcs12 *m;
	enum nested_writer_kind by = taken(&target);
	if (len != sizeof in || target >= v->l->vcpus || !v->n)
		return;
	memcpy(&in, data, sizeof in);
	int f = vmcs_find(in.encoding);
	m = vmcs12_find(v->n, in.vmcs12);
	if (f >= 0 && m && m->vcpu >= 0)
		vmcs12_put(&v->n->vcpu[m->vcpu], (enum vmcs_field)f, in.value, by);
}

bool live_vmcs_set(void *ctx, struct place at, uint32_t encoding, uint64_t value, struct err *e)
{
	struct live *v = ctx;
	const struct nested_vmcs12 *m = live_vmcs12(v, at);
	struct vmcs_input in = {.value = value, .encoding = encoding};
	if (!m || m->vcpu < 0)
		return err_set(e, ERR_GENERAL, "this VMCS12 is not current on any vCPU; L1 must VMPTRLD it");
	in.vmcs12 = m->at;
	return logged(input_put(v->l->inputs, INPUT_VMCS, target_of(v, at.vcpu), &in, sizeof in), e);
}

static void input_memory(void *ctx, uint32_t target, const uint8_t *data, uint32_t len)
{
	struct live *v = ctx;
	uint64_t at;
	(void)target;
	if (len < 8)
		return;
	memcpy(&at, data, 8);
	phys_write(&v->l->machine->phys, hpa(at), data + 8, len - 8);
}

static void input_inject(void *ctx, uint32_t target, const uint8_t *data, uint32_t len)
{
	struct live *v = ctx;
	struct cpu_fault f;
	taken(&target);
	if (len != sizeof f || target >= v->l->vcpus)
		return;
	memcpy(&f, data, sizeof f);
	struct vcpu *c = live_cpu(v, target);
	c->next_rip = c->rip;
	if (c->activity == ACTIVITY_HLT || c->activity == ACTIVITY_MWAIT)
		c->activity = ACTIVITY_ACTIVE;
	cpu_inject(c, &f);
	vcpu_state_changed(c);
}

bool live_inject(void *ctx, struct place at, unsigned vector, unsigned type, bool has_error,
	uint32_t error, struct err *e)
{
	struct live *v = ctx;
	struct cpu_fault f;
	memset(&f, 0, sizeof f);
	f.vector = (uint8_t)vector;
	f.type = (uint8_t)type;
	f.has_error = has_error;
	f.error = error;
	if (live_place_state(v, at) != PLACE_RUNNING)
		return err_set(e, ERR_GENERAL, "this level is not running on vCPU %u; step into it first",
			at.vcpu);
	return logged(input_put(v->l->inputs, INPUT_INJECT, target_of(v, at.vcpu), &f, sizeof f), e);
}

void live_register_inputs(struct live *v)
{
	inputs_register(v->l->inputs, INPUT_REGISTER, input_register, v);
	inputs_register(v->l->inputs, INPUT_VMCS, input_vmcs, v);
	inputs_register(v->l->inputs, INPUT_MEMORY, input_memory, v);
	inputs_register(v->l->inputs, INPUT_INJECT, input_inject, v);
}

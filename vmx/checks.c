/* Evaluating the rows of checks_*.def.
 *
 * Each class is included twice: once as a chain that returns at the first
 * failure, once as a list that reports all of them.
 */
#include "vmx/checks.h"
#include "cpu/vcpu.h"
#include "vmx/codes.h"
#include "vmx/controls.h"

/* What the rows look at: the context with the common parts taken out. */
struct in {
	const struct vmcs *v;
	const struct vmx_caps *caps;
	const struct vmx_check_ctx *ctx;
	uint32_t proc2;       /* 0 unless the primary controls activate it */
	uint32_t inject;      /* interruption information when valid, else 0 */
	uint64_t current_vmcs;
	uint64_t above;       /* address bits above the physical-address width */
	bool host_long_mode, waive_ept;
};

#define V(field)   (in->v->v[VMCS_##field])
#define MSR(name)  vmx_caps_msr(in->caps, MSR_VMX_##name)
#define PIN(c)     (V(PIN_BASED_VM_EXEC_CONTROL) & PIN_##c)
#define PROC1(c)   (V(CPU_BASED_VM_EXEC_CONTROL) & PROC1_##c)
#define PROC2(c)   ((uint64_t)(in->proc2 & PROC2_##c))
#define EXIT(c)    (V(VM_EXIT_CONTROLS) & EXIT_##c)
#define ENTRY(c)   (V(VM_ENTRY_CONTROLS) & ENTRY_##c)
#define ALL_IF(c)  ((c) ? UINT64_MAX : 0)
#define LOW(n)     (BIT(n) - 1)
#define WIDE(a)    ((a) & in->above)
#define MUST_1(g)  must_1(in, GROUP_##g)
#define MUST_0(g)  must_0(in, GROUP_##g)

#define INJECT        (in->inject != 0)
#define INJECT_IS(t)  (INJECT && (in->inject & INTR_TYPE) >> INTR_TYPE_SHIFT == (t))
#define INJECT_SOFTWARE \
	(INJECT_IS(TYPE_SWINT) || INJECT_IS(TYPE_PRIV_SWEXC) || INJECT_IS(TYPE_SWEXC))
#define VECTOR        (in->inject & INTR_VECTOR)
#define UNRESTRICTED  PROC2(UNRESTRICTED_GUEST)
#define GUEST_PE      ((V(GUEST_CR0) & CR0_PE) || !UNRESTRICTED)
#define EPTP_SWITCHING (PROC2(ENABLE_VMFUNC) && V(VM_FUNCTION_CONTROL) & 1)

#define HOST64        (EXIT(HOST_ADDR_SPACE_SIZE) != 0)
#define GUEST64       (ENTRY(IA32E_MODE) != 0)
#define V86           ((V(GUEST_RFLAGS) & FLAG_VM) != 0)
#define USABLE(s)     (!(V(GUEST_##s##_AR_BYTES) & AR_UNUSABLE))
#define TYPE(s)       (V(GUEST_##s##_AR_BYTES) & AR_TYPE)
#define DPL(s)        (V(GUEST_##s##_AR_BYTES) >> AR_DPL_SHIFT & 3)
#define AR_RESERVED   UINT64_C(0xfffe0f00)
#define NONCANONICAL(a) ((uint64_t)((int64_t)((a) << 16) >> 16) ^ (a))
#define LINK          (V(VMCS_LINK_POINTER) != UINT64_MAX)
#define HOLDS_TRAP \
	((V(GUEST_INTERRUPTIBILITY_INFO) & (BLOCKING_STI | BLOCKING_MOV_SS)) || \
		V(GUEST_ACTIVITY_STATE) == ACTIVITY_HLT)
#define SINGLE_STEP   ((V(GUEST_RFLAGS) & FLAG_TF) && !(V(GUEST_IA32_DEBUGCTL) & 2))
/* With unrestricted guest the waiver puts them into fields too. */
#define PDPTE_FIELDS (PROC2(ENABLE_EPT) || (in->waive_ept && PROC2(UNRESTRICTED_GUEST)))
#define GUEST_PAE \
	(!GUEST64 && (V(GUEST_CR0) & CR0_PG) && (V(GUEST_CR4) & CR4_PAE))

#define EFER_BITS     (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)
#define PERF_BITS     UINT64_C(0x70000000f) /* three fixed, four general counters */
#define DEBUGCTL_BITS UINT64_C(0xdfc3)      /* LBR, BTF, TR..FREEZE_WHILE_SMM, without RTM */

/* The TRUE MSR where the processor has it. */
static uint64_t group_msr(const struct in *in, enum vmx_control_group g)
{
	return in->caps->msr[vmx_control_msr(in->caps, g) - MSR_VMX_BASIC];
}

static uint64_t must_1(const struct in *in, enum vmx_control_group g)
{
	return ~in->v->v[vmx_control_groups[g].field] & (uint32_t)group_msr(in, g);
}

static uint64_t must_0(const struct in *in, enum vmx_control_group g)
{
	return in->v->v[vmx_control_groups[g].field] & ~(group_msr(in, g) >> 32);
}

static bool mem(const struct in *in, uint64_t at, unsigned size, uint64_t *value)
{
	return in->ctx->mem && in->ctx->mem(in->ctx->mem_ctx, at, size, value);
}

static bool pushes_error(unsigned vector)
{
	return vector < 32 && 0x00027d00 >> vector & 1;
}

/* Bits 3:0 of the threshold against bits 7:4 of the virtual TPR, where no
 * exit can tell software about it. */
static uint64_t tpr_threshold(const struct in *in)
{
	uint64_t vtpr;

	if (!PROC1(TPR_SHADOW) || PROC2(VIRTUALIZE_APIC_ACCESSES) || PROC2(VIRTUAL_INTR_DELIVERY) ||
		!(V(TPR_THRESHOLD) & 15))
		return 0;
	if (!mem(in, V(VIRTUAL_APIC_PAGE_ADDR) + 0x80, 4, &vtpr))
		return 0;
	return (V(TPR_THRESHOLD) & 15) > (vtpr >> 4 & 15) ? 15 : 0;
}

static bool eptp_type(const struct in *in)
{
	uint64_t type = V(EPT_POINTER) & 7;

	return (type == 0 && MSR(EPT_VPID_CAP) & EPT_VPID_UC) ||
		(type == 6 && MSR(EPT_VPID_CAP) & EPT_VPID_WB);
}

static uint64_t list_end(const struct in *in, uint64_t at, uint64_t count)
{
	if (!count || WIDE(at))
		return 0;
	return ALL_IF(WIDE(at + count * 16 - 1));
}

static uint64_t bad_pat(uint64_t pat)
{
	uint64_t bad = 0;

	for (int n = 0; n < 64; n += 8) {
		unsigned type = pat >> n & 0xff;
		if (type > 7 || type == 2 || type == 3)
			bad |= UINT64_C(0xff) << n;
	}
	return bad;
}

static bool hlt_event(const struct in *in)
{
	switch ((in->inject & INTR_TYPE) >> INTR_TYPE_SHIFT) {
	case TYPE_EXTINT:
	case TYPE_NMI:
		return true;
	case TYPE_HWEXC:
		return VECTOR == VEC_DB || VECTOR == VEC_MC;
	default:
		return INJECT_IS(TYPE_OTHER) && !VECTOR;
	}
}

static bool link_header(const struct in *in, uint64_t *header)
{
	return LINK && !(V(VMCS_LINK_POINTER) & LOW(12)) && !WIDE(V(VMCS_LINK_POINTER)) &&
		mem(in, V(VMCS_LINK_POINTER), 4, header);
}

static bool link_revision(const struct in *in)
{
	uint64_t header;

	return link_header(in, &header) &&
		((header ^ MSR(BASIC)) & UINT64_C(0x7fffffff));
}

static bool link_shadow(const struct in *in)
{
	uint64_t header;

	return link_header(in, &header) && (header >> 31 & 1) != (PROC2(SHADOW_VMCS) != 0);
}

static uint64_t pdpte_bits(const struct in *in, uint64_t pdpte)
{
	return pdpte & 1 ? pdpte & (UINT64_C(0x1e6) | in->above) : 0;
}

static bool memory_pdptes(const struct in *in)
{
	for (int n = 0; n < 4; n++) {
		uint64_t pdpte;
		if (in->ctx->mem && (!mem(in, (V(GUEST_CR3) & UINT64_C(0xffffffe0)) + 8 * n, 8, &pdpte) ||
			pdpte_bits(in, pdpte)))
			return true;
	}
	return false;
}

static struct in open_ctx(const struct vmx_check_ctx *ctx)
{
	const struct vmcs *v = ctx->v;
	uint32_t info = v->v[VMCS_VM_ENTRY_INTR_INFO_FIELD];

	return (struct in){.v = v, .caps = ctx->caps, .ctx = ctx, .proc2 = vmcs_proc2(v),
		.inject = info & INTR_VALID ? info : 0, .current_vmcs = ctx->current_vmcs,
		.above = ~(BIT(ctx->caps->phys_bits) - 1), .host_long_mode = ctx->host_long_mode,
		.waive_ept = ctx->caps->private_rules && ctx->caps->cap[CAP_UNRESTRICTED_NO_EPT]};
}

#define CHECK(name, section, fields, msr, legal, bad) \
	{                                             \
		uint64_t bits_ = (bad);               \
		if (bits_)                            \
			return CHECK_##name;          \
	}

static int first_ctrl(const struct in *in)
{
#include "vmx/checks_ctrl.def"
	return -1;
}

static int first_host(const struct in *in)
{
#include "vmx/checks_host.def"
	return -1;
}

static int first_guest(const struct in *in)
{
#include "vmx/checks_guest.def"
	return -1;
}
#undef CHECK

int vmx_check_first(const struct vmx_check_ctx *ctx, enum vmx_check_class class)
{
	const struct in in = open_ctx(ctx);

	return class == CHECK_CTRL ? first_ctrl(&in) : class == CHECK_HOST ? first_host(&in) :
		first_guest(&in);
}

struct report {
	struct vmx_check_failure *out;
	unsigned max, count;
};

static void report(struct report *r, enum vmx_check_id id, uint64_t bad)
{
	if (!bad)
		return;
	if (r->count < r->max)
		r->out[r->count] = (struct vmx_check_failure){
			id, bad & vmcs_mask(vmx_checks[id].field[0])};
	r->count++;
}

#define CHECK(name, section, fields, msr, legal, bad) report(r, CHECK_##name, bad);

static void all_ctrl(const struct in *in, struct report *r)
{
#include "vmx/checks_ctrl.def"
}

static void all_host(const struct in *in, struct report *r)
{
#include "vmx/checks_host.def"
}

static void all_guest(const struct in *in, struct report *r)
{
#include "vmx/checks_guest.def"
}
#undef CHECK

unsigned vmx_check_all(const struct vmx_check_ctx *ctx, struct vmx_check_failure *out, unsigned max)
{
	const struct in in = open_ctx(ctx);
	struct report r = {.out = out, .max = max};

	all_ctrl(&in, &r);
	all_host(&in, &r);
	all_guest(&in, &r);
	return r.count;
}

uint64_t vmx_check_qualification(enum vmx_check_id id)
{
	switch (id) {
	case CHECK_GUEST_LINK_ALIGNED:
	case CHECK_GUEST_LINK_WIDTH:
	case CHECK_GUEST_LINK_REVISION:
	case CHECK_GUEST_LINK_SHADOW:
	case CHECK_GUEST_LINK_CURRENT:
		return ENTRY_QUAL_LINK_POINTER;
	case CHECK_GUEST_PDPTE0_RESERVED:
	case CHECK_GUEST_PDPTE1_RESERVED:
	case CHECK_GUEST_PDPTE2_RESERVED:
	case CHECK_GUEST_PDPTE3_RESERVED:
	case CHECK_GUEST_PDPTES_IN_MEMORY:
		return ENTRY_QUAL_PDPTE;
	default:
		return ENTRY_QUAL_DEFAULT;
	}
}

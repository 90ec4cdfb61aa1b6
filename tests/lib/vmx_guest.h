/* A bare processor (tests/lib/bare_cpu.h) with VMX, and a VMCS whose guest is
 * the state that bare_init left: 64-bit mode, CPL 0, no EPT. Pages that
 * controls point at stand from VG_PAGES up. */
#ifndef TESTS_VMX_GUEST_H
#define TESTS_VMX_GUEST_H

#include "tests/lib/bare_cpu.h"
#include "vmx/controls.h"
#include "vmx/vmx.h"

#include <stdio.h>

enum {
	VG_PAGES = 0x20000,
	VG_MSR_BITMAP = VG_PAGES,
	VG_IO_A = VG_PAGES + 0x1000,
	VG_IO_B = VG_PAGES + 0x2000,
	VG_VAPIC = VG_PAGES + 0x3000,
	VG_APIC_ACCESS = VG_PAGES + 0x4000,
	VG_VMREAD = VG_PAGES + 0x5000,
	VG_VMWRITE = VG_PAGES + 0x6000,
	VG_PML = VG_PAGES + 0x7000,
	VG_VE = VG_PAGES + 0x8000,
	VG_EPTP_LIST = VG_PAGES + 0x9000,
	VG_MSR_LIST = VG_PAGES + 0xa000,
	VG_EPT = VG_PAGES + 0x10000 /* PML4, PDPT, PD, PT of the first 2 MiB */
};

struct vg {
	struct bare b;
	struct vmx_caps caps;
	struct vmcs v, shadow;
	struct vcpu *c;
	struct vmx_cpu *x;
};

static inline void vg_set(struct vg *g, enum vmcs_field f, uint64_t value)
{
	vmcs_set(&g->v, f, value);
}

static inline uint64_t vg_get(const struct vg *g, enum vmcs_field f)
{
	return vmcs_get(&g->v, f);
}

static inline void vg_or(struct vg *g, enum vmcs_field f, uint64_t bits)
{
	vmcs_set(&g->v, f, vmcs_get(&g->v, f) | bits);
}

/* Secondary controls, and the bit that activates them. */
static inline void vg_proc2(struct vg *g, uint32_t bits)
{
	vg_or(g, VMCS_CPU_BASED_VM_EXEC_CONTROL, PROC1_SECONDARY_CONTROLS);
	vg_or(g, VMCS_SECONDARY_VM_EXEC_CONTROL, bits);
}

static inline void vg_ept(struct vg *g, uint32_t more)
{
	bare_put64(&g->b, VG_EPT, (VG_EPT + 0x1000) | 7);
	bare_put64(&g->b, VG_EPT + 0x1000, (VG_EPT + 0x2000) | 7);
	bare_put64(&g->b, VG_EPT + 0x2000, (VG_EPT + 0x3000) | 7);
	for (uint64_t n = 0; n < 512; n++)
		bare_put64(&g->b, VG_EPT + 0x3000 + 8 * n, n << 12 | 0x37);
	for (uint64_t n = 1; n < BARE_RAM >> 21; n++)
		bare_put64(&g->b, VG_EPT + 0x2000 + 8 * n, n << 21 | 0xb7);
	vg_proc2(g, PROC2_ENABLE_EPT | more);
	vg_set(g, VMCS_EPT_POINTER, VG_EPT | 0x1e);
}

static inline void vg_init(struct vg *g)
{
	bool cap[CAP_COUNT];

	memset(g, 0, sizeof *g);
	bare_init(&g->b);
	g->c = g->b.c;
	vmx_caps_full(cap);
	vmx_caps_make(&g->caps, cap, g->b.model.phys_bits,
		vmx_model_cr4(&g->b.model) | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE);
	assert(vmx_attach(g->c, &g->caps, NULL));
	g->x = vmx_of(g->c);
	g->c->cr4 |= CR4_VMXE;
	g->c->seg[SEG_TR] = (struct seg){.sel = 24, .limit = 0x67, .ar = 11 | AR_P};
	g->c->seg[SEG_LDTR] = (struct seg){.ar = AR_UNUSABLE};
	vmcs_init(&g->v, hpa(VG_PAGES + 0x1f000));
	vmcs_init(&g->shadow, hpa(VG_PAGES + 0x1e000));
	g->shadow.shadow = true;
	vg_set(g, VMCS_PIN_BASED_VM_EXEC_CONTROL, 0x16);
	vg_set(g, VMCS_CPU_BASED_VM_EXEC_CONTROL, 0x04006172);
	vg_set(g, VMCS_VM_EXIT_CONTROLS, 0x36dfb | EXIT_HOST_ADDR_SPACE_SIZE);
	vg_set(g, VMCS_VM_ENTRY_CONTROLS, 0x11fb | ENTRY_IA32E_MODE);
	vmx_save_guest_state(g->c, &g->v);
	vg_set(g, VMCS_VMCS_LINK_POINTER, UINT64_MAX);
	vg_set(g, VMCS_MSR_BITMAP, VG_MSR_BITMAP);
	vg_set(g, VMCS_IO_BITMAP_A, VG_IO_A);
	vg_set(g, VMCS_IO_BITMAP_B, VG_IO_B);
	vg_set(g, VMCS_VIRTUAL_APIC_PAGE_ADDR, VG_VAPIC);
	vg_set(g, VMCS_APIC_ACCESS_ADDR, VG_APIC_ACCESS);
	vg_set(g, VMCS_VMREAD_BITMAP, VG_VMREAD);
	vg_set(g, VMCS_VMWRITE_BITMAP, VG_VMWRITE);
	vg_set(g, VMCS_PML_ADDRESS, VG_PML);
	vg_set(g, VMCS_VE_INFORMATION_ADDRESS, VG_VE);
	vg_set(g, VMCS_EPTP_LIST_ADDRESS, VG_EPTP_LIST);
	vg_set(g, VMCS_VIRTUAL_PROCESSOR_ID, 1);
}

static inline void vg_done(struct vg *g)
{
	vmx_detach(g->c);
	bare_done(&g->b);
}

/* Puts code at BARE_CODE and points the guest's RIP there. */
static inline void vg_code(struct vg *g, const void *code, size_t n)
{
	bare_code(&g->b, code, n);
	vg_set(g, VMCS_GUEST_RIP, BARE_CODE);
}

/* Enters; the check that fails is printed. */
static inline enum vmx_entry vg_enter(struct vg *g)
{
	int failed = -1;
	enum vmx_entry e = vmx_enter(g->c, &g->v, &g->shadow, false, &failed);

	if (failed >= 0)
		fprintf(stderr, "entry check %s failed\n", vmx_checks[failed].name);
	return e;
}

/* Enters, runs to the exit, completes it. NULL: no exit within the budget. */
static inline const struct vmx_exit *vg_run(struct vg *g, uint64_t budget)
{
	enum vmx_entry e = vg_enter(g);

	if (e == VMX_ENTERED) {
		uint64_t end = g->c->retired + budget;
		enum cpu_leave l;
		do {
			clock_run(&g->b.clock);
			l = engine_run(g->c, end - g->c->retired);
		} while (l == LEAVE_DEADLINE && g->c->retired < end);
		if (l != LEAVE_VMEXIT)
			return NULL;
	} else if (e != VMX_ENTERED_EXIT) {
		return NULL;
	}
	return vmx_exit_complete(g->c);
}

#endif

/* The functions behind the FUNC and RANGE rows of cpu/msrs.def. Each gets the
 * MSR's number; false = #GP(0). */
#ifndef CPU_MSR_SPECIAL_H
#define CPU_MSR_SPECIAL_H

#include "cpu/vcpu.h"

typedef bool msr_read_fn(struct vcpu *c, uint32_t n, uint64_t *v);
typedef bool msr_write_fn(struct vcpu *c, uint32_t n, uint64_t v);

#define msr_rd_none NULL
#define msr_wr_none NULL

msr_read_fn rd_nothing, rd_tsc, rd_apic_base, rd_feature_control, rd_tsc_adjust, rd_spec_ctrl,
	rd_bios_sign, rd_arch_caps, rd_sysenter_esp, rd_sysenter_eip, rd_mtrr_var, rd_mtrr_fixed,
	rd_pat, rd_mtrr_def, rd_mc, rd_deadline, rd_x2apic, rd_xss, rd_efer, rd_lstar, rd_cstar,
	rd_fs_base, rd_gs_base, rd_kernel_gs, rd_tsc_aux,
	rd_k7_perf;
msr_write_fn wr_nothing, wr_tsc, wr_apic_base, wr_feature_control, wr_tsc_adjust, wr_spec_ctrl,
	wr_sysenter_esp, wr_sysenter_eip, wr_mtrr_var, wr_mtrr_fixed, wr_pat, wr_mtrr_def, wr_mc,
	wr_deadline, wr_x2apic, wr_xss, wr_efer, wr_lstar, wr_cstar, wr_fs_base, wr_gs_base,
	wr_kernel_gs, wr_tsc_aux, wr_k7_perf;

/* cpu/pmu.c */
msr_read_fn rd_pmc, rd_event, rd_fixed, rd_fixed_ctrl, rd_global_status, rd_global_ctrl;
msr_write_fn wr_pmc, wr_event, wr_fixed, wr_fixed_ctrl, wr_global_ctrl, wr_global_ovf;

/* Is every byte of `v` a memory type that PAT (or MTRR) knows? */
bool memtypes_legal(uint64_t v, bool pat);

#endif

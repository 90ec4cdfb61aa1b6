/* The merge rules: what VMCS02 has of each control bit of VMCS12. */
#include "l0/nested.h"
#include "l0/shadow/vcpu.h"
#include "vmx/controls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
	struct l0 l;
	struct l0_options opt;
	struct nested n;
	struct nested_vcpu nv;
	struct nested_vmcs12 m;
	struct machine *machine;
	struct vcpu c;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct machine_config mc = {.mem = 16 << 20, .cpus = 1};
	struct err e = {0};

	f->machine = machine_new(&mc, &e);
	if (!f->machine || !l0_options_parse(&f->opt, NULL, &e))
		return -1;
	f->l.machine = f->machine;
	f->n.l = &f->l;
	f->n.opt = &f->opt;
	if (!private_init(&f->n.mem, &f->machine->phys, 16 << 20, &e) ||
		!ept01_build(&f->n.ept01, &f->n.mem, &f->machine->phys, 36, false) ||
		!ept02_init(&f->n.ept02, &f->n.mem, &f->machine->phys, 36))
		return -1;
	f->n.eptp01 = ept_table_eptp(&f->n.ept01, false);
	f->nv = (struct nested_vcpu){.n = &f->n, .cur = &f->m, .c = &f->c};
	f->nv.msr_bitmap01 = private_new(&f->n.mem);
	f->nv.msr_bitmap02 = private_new(&f->n.mem);
	vmcs_init(&f->m.v, hpa(0x1000));
	vmcs_set(&f->m.v, VMCS_VMCS_LINK_POINTER, UINT64_MAX);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	private_done(&f->n.mem);
	machine_free(f->machine);
	free(f->nv.shadow12);
	free(f);
	return 0;
}

static void set12(struct fixture *f, enum vmcs_field field, uint64_t v)
{
	f->m.v.v[field] = v;
	vmcs02_merge(&f->nv);
}

/* Each control bit of VMCS12 arrives in VMCS02 exactly when no row says that
 * the bit is L0's. */
static void each_control_bit_follows_its_rule(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < vmx_controls_count; i++) {
		const struct vmx_control *c = &vmx_controls[i];
		enum vmcs_field field = vmx_control_groups[c->group].field;
		const char *why;
		bool off, on;

		f->m.v.v[VMCS_CPU_BASED_VM_EXEC_CONTROL] = PROC1_SECONDARY_CONTROLS;
		f->m.v.v[field] &= ~BIT(c->bit);
		if (c->group != GROUP_PROC1 || c->bit != 31)
			set12(f, field, f->m.v.v[field]);
		off = f->nv.vmcs02.v[field] >> c->bit & 1;
		set12(f, field, f->m.v.v[field] | BIT(c->bit));
		on = f->nv.vmcs02.v[field] >> c->bit & 1;
		if (vmcs02_origin(&f->nv, field, c->bit, &why) == SOURCE_L0)
			assert_int_equal(off, on);
		else
			assert_true(!off && on);
		f->m.v.v[field] = 0;
	}
}

static void secondary_controls_need_activation(void **state)
{
	struct fixture *f = *state;

	f->m.v.v[VMCS_CPU_BASED_VM_EXEC_CONTROL] = 0;
	set12(f, VMCS_SECONDARY_VM_EXEC_CONTROL, PROC2_WBINVD_EXITING);
	assert_false(f->nv.vmcs02.v[VMCS_SECONDARY_VM_EXEC_CONTROL] & PROC2_WBINVD_EXITING);
	assert_true(f->nv.vmcs02.v[VMCS_SECONDARY_VM_EXEC_CONTROL] & PROC2_ENABLE_EPT);
	assert_int_equal(f->nv.vmcs02.v[VMCS_EPT_POINTER], f->n.eptp01);
}

static void ept_and_vpid_of_l1(void **state)
{
	struct fixture *f = *state;

	f->m.v.v[VMCS_CPU_BASED_VM_EXEC_CONTROL] = PROC1_SECONDARY_CONTROLS;
	f->m.v.v[VMCS_EPT_POINTER] = 0x5000 | 3 << 3 | 6;
	f->m.v.v[VMCS_VIRTUAL_PROCESSOR_ID] = 7;
	set12(f, VMCS_SECONDARY_VM_EXEC_CONTROL, PROC2_ENABLE_EPT | PROC2_ENABLE_VPID);
	assert_int_equal(
		f->nv.vmcs02.v[VMCS_EPT_POINTER], ept02_pointer(&f->n.ept02, 0x5000 | 3 << 3 | 6));
	assert_int_equal(f->nv.vmcs02.v[VMCS_VIRTUAL_PROCESSOR_ID], 7);
	assert_int_equal(f->nv.eptp12, 0x5000 | 3 << 3 | 6);
	f->opt.use[L0_USE_VPID] = false;
	vmcs02_merge(&f->nv);
	assert_int_equal(f->nv.vmcs02.v[VMCS_VIRTUAL_PROCESSOR_ID], 0);
	assert_false(f->nv.vmcs02.v[VMCS_SECONDARY_VM_EXEC_CONTROL] & PROC2_ENABLE_VPID);
	f->opt.use[L0_USE_VPID] = true;
}

static void msr_bitmaps_are_joined(void **state)
{
	struct fixture *f = *state;
	uint8_t *mine = private_host(&f->n.mem, f->nv.msr_bitmap01), *joined;
	uint8_t theirs[PAGE_SIZE] = {[5] = 0x20};

	mine[MSR_VMX_BASIC / 8] = 1;
	phys_write(&f->machine->phys, hpa(0x6000), theirs, sizeof(theirs));
	f->m.v.v[VMCS_MSR_BITMAP] = 0x6000;
	set12(f, VMCS_CPU_BASED_VM_EXEC_CONTROL, PROC1_USE_MSR_BITMAPS);
	assert_int_equal(f->nv.vmcs02.v[VMCS_MSR_BITMAP], f->nv.msr_bitmap02);
	joined = private_host(&f->n.mem, f->nv.msr_bitmap02);
	assert_int_equal(joined[5], 0x20);
	assert_int_equal(joined[MSR_VMX_BASIC / 8], 1);
	assert_int_equal(joined[6], 0);
}

/* Guest state and controls that no row names are L1's to the bit. */
static void fields_without_a_row_are_l1s(void **state)
{
	struct fixture *f = *state;
	const char *why;

	for (unsigned i = 0; i < VMCS_FIELDS; i++) {
		enum vmcs_type t = vmcs_encoding_type(vmcs_encoding(i));
		bool ruled = false;
		if (t == VMCS_TYPE_HOST || t == VMCS_TYPE_READ_ONLY)
			continue;
		for (unsigned bit = 0; bit < 64; bit++)
			ruled |= vmcs02_origin(&f->nv, i, bit, &why) != SOURCE_L1;
		if (ruled)
			continue;
		set12(f, i, 0x5a5a5a5a5a5a5a5a & vmcs_mask(i));
		assert_int_equal(f->nv.vmcs02.v[i], 0x5a5a5a5a5a5a5a5a & vmcs_mask(i));
		f->m.v.v[i] = 0;
	}
}

/* The same rules where L0 does without EPT, with those of the shadow MMU. */
static void on_shadow_tables(void **state)
{
	struct fixture *f = *state;
	const char *why;

	f->opt.mmu = L0_MMU_SHADOW_ON_SHADOW;
	shadow_new(&f->n);
	memset(f->m.v.v, 0, sizeof(f->m.v.v)); /* no VPID: there is no TLB here to flush */
	f->m.v.v[VMCS_VMCS_LINK_POINTER] = UINT64_MAX;
	each_control_bit_follows_its_rule(state);
	fields_without_a_row_are_l1s(state);
	f->m.v.v[VMCS_GUEST_CR0] = CR0_PE | CR0_PG | CR0_NE;
	f->m.v.v[VMCS_GUEST_CR3] = 0x5000;
	f->m.v.v[VMCS_GUEST_CR4] = CR4_PAE | CR4_VMXE;
	f->m.v.v[VMCS_VM_ENTRY_CONTROLS] = ENTRY_IA32E_MODE;
	vmcs02_merge(&f->nv);
	assert_int_equal(vmcs02_origin(&f->nv, VMCS_GUEST_CR3, 12, &why), SOURCE_L0);
	assert_true(f->nv.vmcs02.v[VMCS_GUEST_CR3] >= PHYS_PRIVATE);
	assert_true(f->nv.vmcs02.v[VMCS_GUEST_CR0] & CR0_WP);
	assert_false(f->nv.vmcs02.v[VMCS_SECONDARY_VM_EXEC_CONTROL] & PROC2_ENABLE_EPT);
	shadow_done(&f->n.shadow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_control_bit_follows_its_rule),
		cmocka_unit_test(secondary_controls_need_activation),
		cmocka_unit_test(ept_and_vpid_of_l1),
		cmocka_unit_test(msr_bitmaps_are_joined),
		cmocka_unit_test(fields_without_a_row_are_l1s),
		cmocka_unit_test(on_shadow_tables),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}

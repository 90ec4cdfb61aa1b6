/* VMCS fields, VMCS12's layout, capabilities: what follows from the rows. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/vcpu.h"
#include "vmx/codes.h"
#include "vmx/controls.h"

static struct vmx_caps full(void)
{
	struct vmx_caps c = {0};
	bool cap[CAP_COUNT];

	vmx_caps_full(cap);
	vmx_caps_make(&c, cap, 40, CR4_PAE | CR4_PGE);
	return c;
}

static struct vmx_caps without(const char *key)
{
	struct vmx_caps c = {0};
	bool cap[CAP_COUNT];

	vmx_caps_full(cap);
	assert_true(vmx_caps_switch(cap, key, false, NULL));
	vmx_caps_make(&c, cap, 40, CR4_PAE);
	return c;
}

static void test_every_field_is_found(void **ctx)
{
	(void)ctx;
	static const uint8_t bytes[] = {2, 8, 4, 8};

	for (int f = 0; f < VMCS_FIELDS; f++) {
		uint32_t e = vmcs_encoding(f);
		assert_int_equal(vmcs_find(e), f);
		assert_int_equal(vmcs_find_name(vmcs_name(f)), f);
		assert_int_equal(vmcs_bytes(f), bytes[vmcs_encoding_width(e)]);
		assert_int_equal(vmcs_find(e | 1), vmcs_bytes(f) == 8 && (e >> 13 & 3) == 1 ? f : -1);
		assert_int_equal(vmcs_find(e | BIT(12)), -1);
		assert_int_equal(vmcs_find(e | BIT(15)), -1);
	}
	assert_int_equal(vmcs_find(0x681e), VMCS_GUEST_RIP);
	assert_int_equal(vmcs_find(0x0006), -1);
	assert_int_equal(vmcs_find(UINT32_MAX), -1);
	assert_int_equal(vmcs_find_name("guest_rip"), VMCS_GUEST_RIP);
	assert_int_equal(vmcs_find_name("GUEST_RIPX"), -1);
}

static void test_read_and_write(void **ctx)
{
	(void)ctx;
	struct vmx_caps c = full();
	struct vmcs v;
	uint64_t value;
	enum vmcs_field f;

	vmcs_init(&v, hpa(0x1000));
	v.dirty = 0;
	assert_int_equal(vmcs_write(&v, &c, ENC_TSC_OFFSET, 0x1122334455667788, &f), 0);
	assert_int_equal(f, VMCS_TSC_OFFSET);
	assert_int_equal(v.dirty, 1 << VMCS_TYPE_CONTROL);
	assert_int_equal(vmcs_read(&v, &c, ENC_TSC_OFFSET | 1, &value, NULL), 0);
	assert_true(value == 0x11223344);
	assert_int_equal(vmcs_write(&v, &c, ENC_TSC_OFFSET | 1, 0xaabbccdd99, NULL), 0);
	assert_int_equal(vmcs_read(&v, &c, ENC_TSC_OFFSET, &value, NULL), 0);
	assert_true(value == 0xbbccdd9955667788);
	/* a value is cut to its field */
	assert_int_equal(vmcs_write(&v, &c, ENC_GUEST_CS_SELECTOR, 0x12345, NULL), 0);
	assert_true(vmcs_get(&v, VMCS_GUEST_CS_SELECTOR) == 0x2345);
	assert_int_equal(vmcs_read(&v, &c, ENC_GUEST_SSP, &value, NULL), 12);
	assert_int_equal(vmcs_read(&v, &c, 0x6fff0, &value, NULL), 12);
	assert_int_equal(vmcs_write(&v, &c, ENC_VM_EXIT_REASON, 7, NULL), 0);
	struct vmx_caps old = without("vmcs-shadowing");
	assert_int_equal(vmcs_write(&v, &old, ENC_VM_EXIT_REASON, 7, NULL), 13);
	assert_int_equal(vmcs_read(&v, &old, ENC_VMREAD_BITMAP, &value, NULL), 12);
	old = without("vpid");
	assert_int_equal(vmcs_write(&v, &old, ENC_VIRTUAL_PROCESSOR_ID, 7, NULL), 12);
}

static void test_vmcs12_layout(void **ctx)
{
	(void)ctx;
	uint8_t page[VMCS_SIZE] = {0}, used[VMCS_SIZE] = {0};
	struct vmcs a, b;

	memset(used, 1, 12);
	for (int f = 0; f < VMCS_FIELDS; f++) {
		assert_true(vmcs12_offset(f) >= 12);
		assert_int_equal(vmcs12_offset(f) % vmcs_bytes(f), 0);
		for (unsigned n = 0; n < vmcs_bytes(f); n++)
			assert_int_equal(used[vmcs12_offset(f) + n]++, 0);
	}
	assert_int_equal(vmcs12_offset(VMCS_GUEST_RIP), 544);
	assert_int_equal(vmcs12_offset(VMCS_GUEST_PML_INDEX), 996);
	vmcs_init(&a, hpa(0));
	for (int f = 0; f < VMCS_FIELDS; f++)
		vmcs_set(&a, f, UINT64_C(0x0101010101010101) * (f + 1));
	a.launched = a.shadow = true;
	page[4095] = 0x5a;
	vmcs12_store(&a, page);
	assert_int_equal(page[4095], 0x5a);
	assert_int_equal(page[3], 0x11 | 0x80);
	assert_int_equal(page[8], 1);
	vmcs_init(&b, hpa(0));
	vmcs12_load(&b, page);
	assert_memory_equal(a.v, b.v, sizeof a.v);
	assert_true(b.launched && b.shadow && b.revision == VMCS_REVISION);
}

static void test_control_msrs(void **ctx)
{
	(void)ctx;
	struct vmx_caps c = full();
	uint64_t v;

	assert_true(vmx_caps_rdmsr(&c, MSR_VMX_BASIC, &v));
	assert_true((uint32_t)v == VMCS_REVISION && (v & BIT(55)) && (v >> 32 & 0x1fff) == 4096);
	for (unsigned i = 0; i < vmx_controls_count; i++) {
		const struct vmx_control *r = &vmx_controls[i];
		const struct vmx_control_group_row *g = &vmx_control_groups[r->group];
		assert_ptr_equal(vmx_control_find(r->group, r->bit), r);
		assert_true(vmx_caps_rdmsr(&c, g->true_msr, &v));
		assert_int_equal(v >> (32 + r->bit) & 1, r->cap != CAP_NEVER);
		assert_int_equal(v >> r->bit & 1, 0);
	}
	/* default1: plain MSRs force what the TRUE ones leave free */
	assert_true(vmx_caps_rdmsr(&c, MSR_VMX_PROCBASED_CTLS, &v));
	assert_int_equal((uint32_t)v, 0x0401e172);
	assert_true(vmx_caps_rdmsr(&c, MSR_VMX_TRUE_PROCBASED_CTLS, &v));
	assert_int_equal((uint32_t)v, 0x04006172);
	assert_true(vmx_caps_rdmsr(&c, MSR_VMX_VMCS_ENUM, &v));
	assert_int_equal(v, 0x19 << 1);
}

static void test_withdrawing(void **ctx)
{
	(void)ctx;
	struct vmx_caps c = without("ept");
	uint64_t v;

	static const enum vmx_cap gone[] = {CAP_EPT, CAP_UNRESTRICTED, CAP_PML, CAP_VMFUNC, CAP_VE,
		CAP_MBEC, CAP_EPT_AD, CAP_EPT_1G};
	for (unsigned i = 0; i < sizeof gone / sizeof *gone; i++)
		assert_false(c.cap[gone[i]]);
	assert_true(vmx_caps_rdmsr(&c, MSR_VMX_PROCBASED_CTLS2, &v));
	assert_int_equal(v >> 32 & (PROC2_ENABLE_EPT | PROC2_UNRESTRICTED_GUEST | PROC2_ENABLE_PML), 0);
	assert_true(v >> 32 & PROC2_ENABLE_VPID);
	assert_false(vmx_caps_rdmsr(&c, MSR_VMX_VMFUNC, &v));
	assert_true(vmx_caps_rdmsr(&c, MSR_VMX_EPT_VPID_CAP, &v));
	assert_true((v & UINT32_MAX) == 0 && (v & EPT_VPID_INVVPID));
	assert_false(vmcs_exists(&c, VMCS_EPT_POINTER));
	c = without("secondary");
	assert_false(vmx_caps_rdmsr(&c, MSR_VMX_PROCBASED_CTLS2, &v));
	assert_false(vmx_caps_rdmsr(&c, MSR_VMX_EPT_VPID_CAP, &v));
	c = without("true-controls");
	assert_false(vmx_caps_rdmsr(&c, MSR_VMX_TRUE_PINBASED_CTLS, &v));
	assert_false(vmx_caps_rdmsr(&c, 0x492, &v));
	bool cap[CAP_COUNT];
	struct err e = {0};
	assert_false(vmx_caps_switch(cap, "nonsense", true, &e));
	assert_int_equal(e.status, ERR_USAGE);
}

static void test_codes(void **ctx)
{
	(void)ctx;
	assert_string_equal(vmx_exit_reason_name(10), "CPUID");
	assert_null(vmx_exit_reason_name(35));
	assert_null(vmx_exit_reason_name(1000));
	assert_int_equal(vmx_exit_reason_find("ept_violation"), 48);
	assert_int_equal(vmx_exit_reason_find("x"), -1);
	assert_string_equal(vmx_insn_error_text(12),
		"VMREAD/VMWRITE from/to unsupported VMCS component");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_field_is_found),
		cmocka_unit_test(test_read_and_write), cmocka_unit_test(test_vmcs12_layout),
		cmocka_unit_test(test_control_msrs), cmocka_unit_test(test_withdrawing),
		cmocka_unit_test(test_codes)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

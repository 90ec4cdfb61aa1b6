/* APIC virtualisation: posted interrupts. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/lib/vmx_guest.h"

enum { NOTIFICATION = 0xf2, DESCRIPTOR = VG_PAGES + 0xb000, VIRR = 0x200, VTPR = 0x80 };

/* Vectors that wait in a local APIC, the next one last. */
struct pic {
	struct vg g;
	uint8_t vector[4];
	unsigned count, eois;
};

static int ack(void *apic)
{
	struct pic *p = apic;
	int v = p->count ? p->vector[--p->count] : -1;

	if (!p->count)
		vcpu_unpend(p->g.c, PEND_INTR);
	return v;
}

static void eoi(void *apic)
{
	((struct pic *)apic)->eois++;
}

static int setup(void **state)
{
	static const struct apic_ops ops = {.ack = ack, .eoi = eoi};
	struct pic *p = test_malloc(sizeof *p);
	struct vg *g = &p->g;

	memset(p, 0, sizeof *p);
	vg_init(g);
	g->c->apic_ops = &ops;
	g->c->apic = p;
	vg_or(g, VMCS_PIN_BASED_VM_EXEC_CONTROL, PIN_EXT_INTR_EXITING | PIN_POSTED_INTR);
	vg_or(g, VMCS_CPU_BASED_VM_EXEC_CONTROL, PROC1_TPR_SHADOW | PROC1_HLT_EXITING);
	vg_or(g, VMCS_VM_EXIT_CONTROLS, EXIT_ACK_INTR_ON_EXIT);
	vg_proc2(g, PROC2_VIRTUAL_INTR_DELIVERY);
	vg_set(g, VMCS_POSTED_INTR_NV, NOTIFICATION);
	vg_set(g, VMCS_POSTED_INTR_DESC_ADDR, DESCRIPTOR);
	vg_set(g, VMCS_GUEST_RFLAGS, FLAG_1 | FLAG_IF);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct pic *p = *state;

	vg_done(&p->g);
	test_free(p);
	return 0;
}

static void post(struct pic *p, unsigned vector)
{
	bare_put64(&p->g.b, DESCRIPTOR + vector / 64 * 8, BIT(vector & 63));
	bare_put64(&p->g.b, DESCRIPTOR + 32, 1); /* ON */
}

static void arrive(struct pic *p, uint8_t vector)
{
	p->vector[p->count++] = vector;
	vcpu_pend(p->g.c, PEND_INTR);
}

static uint32_t get32(struct pic *p, uint64_t at)
{
	uint32_t v;

	assert_true(phys_read(&p->g.b.phys, hpa(at), &v, sizeof v));
	return v;
}

static const uint8_t nops[] = {0x90, 0x90, 0x90, 0xf4};

static void test_notification_is_no_exit(void **state)
{
	struct pic *p = *state;

	vg_code(&p->g, nops, sizeof nops);
	post(p, 0x1f);
	arrive(p, NOTIFICATION);
	const struct vmx_exit *x = vg_run(&p->g, 100);
	assert_int_equal(x->reason, EXIT_REASON_HLT);
	assert_int_equal(p->g.c->rip, BARE_TRAPS + 16 * 0x1f); /* before the first NOP */
	assert_int_equal(p->eois, 1);
	assert_int_equal(get32(p, DESCRIPTOR), 0);
	assert_int_equal(get32(p, DESCRIPTOR + 32), 0);
	assert_int_equal(vg_get(&p->g, VMCS_GUEST_INTR_STATUS), 0x1f00);
	uint64_t return_rip;
	phys_read(&p->g.b.phys, hpa(BARE_STACK - 40), &return_rip, 8);
	assert_int_equal(return_rip, BARE_CODE);
}

/* What the virtual TPR holds back stays in VIRR and RVI. */
static void test_masked_vector_waits(void **state)
{
	struct pic *p = *state;
	uint32_t tpr = 0x10;

	vg_code(&p->g, nops, sizeof nops);
	phys_write(&p->g.b.phys, hpa(VG_VAPIC + VTPR), &tpr, 4);
	post(p, 0x1f);
	arrive(p, NOTIFICATION);
	assert_int_equal(vg_run(&p->g, 100)->reason, EXIT_REASON_HLT);
	assert_int_equal(p->g.c->rip, BARE_CODE + 3);
	assert_int_equal(get32(p, VG_VAPIC + VIRR), BIT(31));
	assert_int_equal(vg_get(&p->g, VMCS_GUEST_INTR_STATUS), 0x1f);
}

/* Another vector behind the notification exits, acknowledged. */
static void test_other_vector_exits(void **state)
{
	struct pic *p = *state;

	vg_code(&p->g, nops, sizeof nops);
	post(p, 0x1f);
	arrive(p, 0x40);
	arrive(p, NOTIFICATION);
	const struct vmx_exit *x = vg_run(&p->g, 100);
	assert_int_equal(x->reason, EXIT_REASON_EXTERNAL_INTERRUPT);
	assert_int_equal(x->intr_info, INTR_VALID | 0x40);
	assert_int_equal(p->eois, 1);
	assert_int_equal(vg_get(&p->g, VMCS_GUEST_INTR_STATUS), 0x1f);
}

/* A halted processor wakes for what it can take, and sleeps on otherwise. */
static void test_halted(void **state)
{
	struct pic *p = *state;

	vg_code(&p->g, nops, sizeof nops);
	vg_set(&p->g, VMCS_GUEST_ACTIVITY_STATE, ACTIVITY_HLT);
	arrive(p, NOTIFICATION);
	assert_null(vg_run(&p->g, 100));
	assert_int_equal(p->eois, 1);
	assert_int_equal(p->g.c->activity, ACTIVITY_HLT);
	post(p, 0x1f);
	arrive(p, NOTIFICATION);
	assert_int_equal(engine_run(p->g.c, 100), LEAVE_VMEXIT);
	assert_int_equal(vmx_exit_complete(p->g.c)->reason, EXIT_REASON_HLT);
	assert_int_equal(p->g.c->rip, BARE_TRAPS + 16 * 0x1f);
}

/* Which writes of the interrupt command register send to the guest itself, and
 * which are the hypervisor's. */
static void test_self_ipi(void **state)
{
	struct pic *p = *state;
	static const struct {
		uint32_t icr;
		bool self;
	} row[] = {{0x4401f, true}, {0x4001f, true}, {0x4481f, true}, {0x4001f | BIT(8), false},
		{0x4001f | BIT(12), false}, {0x4001f | BIT(13), false}, {0x4001f | BIT(15), false},
		{0x4001f | BIT(16), false}, {0x4001f | BIT(20), false}, {0x8001f, false}, {0x1f, false},
		{0x4000f, false}};
	/* mov [VG_APIC_ACCESS + 300h], eax; nop; hlt */
	static const uint8_t code[] = {0xa3, 0, 0x43, 2, 0, 0, 0, 0, 0, 0x90, 0xf4};

	vg_set(&p->g, VMCS_GUEST_RFLAGS, FLAG_1);
	vg_proc2(&p->g, PROC2_VIRTUALIZE_APIC_ACCESSES);
	for (unsigned n = 0; n < sizeof row / sizeof *row; n++) {
		vg_set(&p->g, VMCS_GUEST_INTR_STATUS, 0);
		vg_code(&p->g, code, sizeof code);
		p->g.c->gpr[RAX] = row[n].icr;
		const struct vmx_exit *x = vg_run(&p->g, 100);
		if (x->reason != (row[n].self ? EXIT_REASON_HLT : EXIT_REASON_APIC_WRITE))
			fail_msg("ICR %#x: exit reason %u", row[n].icr, x->reason);
		assert_int_equal(vg_get(&p->g, VMCS_GUEST_INTR_STATUS), row[n].self ? 0x1f : 0);
	}
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {T(test_notification_is_no_exit), T(test_masked_vector_waits),
		T(test_other_vector_exits), T(test_halted), T(test_self_ipi)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

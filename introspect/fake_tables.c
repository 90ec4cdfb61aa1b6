/* The recorded machine's memory: tables of L1, EPT12, EPT01, EPT02 and L2,
 * and the code that the script executes. */
#include "introspect/fake_machine.h"

#include "ept/formats.h"

#include <string.h>

static void put64(uint8_t *mem, uint64_t at, uint64_t v)
{
	memcpy(mem + at, &v, 8);
}

static void build_l1(struct fake *f)
{
	const uint64_t rw = ENTRY_P | ENTRY_W | ENTRY_A;
	uint64_t pml4 = FAKE_L1_PML4, kernel = pml4 + 0x1000, direct = pml4 + 0x2000;
	uint64_t kernel_pd = pml4 + 0x3000, direct_pd = pml4 + 0x4000;
	put64(f->ram, pml4 + 8 * 511, kernel | rw);
	put64(f->ram, pml4 + 8 * 273, direct | rw); /* ffff888000000000 */
	put64(f->ram, kernel + 8 * 510, kernel_pd | rw);
	put64(f->ram, kernel_pd + 8 * 8, FAKE_L1_CODE_PA | rw | ENTRY_PS | ENTRY_D | ENTRY_G);
	put64(f->ram, direct, direct_pd | rw);
	for (uint64_t i = 0; i < FAKE_RAM >> 21; i++)
		put64(f->ram, direct_pd + 8 * i, i << 21 | rw | ENTRY_PS | ENTRY_D | ENTRY_XD);
}

/* Four levels at table, 0x1000 apart; leaves are written by the caller. */
static uint64_t ept_spine(uint8_t *mem, uint64_t table, uint64_t base)
{
	for (int i = 0; i < 3; i++)
		put64(mem, table + 0x1000u * i, (base + table + 0x1000u * (i + 1)) | EPT_RWX);
	return table + 0x3000;
}

static void build_ept(struct fake *f)
{
	uint64_t wb = 6u << EPT_TYPE_SHIFT;
	uint64_t pt12 = ept_spine(f->ram, FAKE_EPT12_PML4, 0);
	uint64_t pt02 = ept_spine(f->priv, 0x4000, PHYS_PRIVATE);
	/* EPT01: 2M pages, one to one */
	put64(f->priv, 0x1000, (PHYS_PRIVATE + 0x2000) | EPT_RWX);
	put64(f->priv, 0x2000, (PHYS_PRIVATE + 0x3000) | EPT_RWX);
	for (uint64_t i = 0; i < FAKE_RAM >> 21; i++)
		put64(f->priv, 0x3000 + 8 * i, i << 21 | EPT_RWX | wb | EPT_PS);
	for (uint64_t i = 0; i < FAKE_L2_PAGES; i++) {
		uint64_t to = FAKE_L2_RAM_PA + (i << 12);
		if (i << 12 == FAKE_L2_HOLE_PA)
			continue;
		put64(f->ram, pt12 + 8 * i, to | EPT_RWX | wb);
		if (i < 12) /* the merge is filled on demand: some leaves are not there yet */
			put64(f->priv, pt02 + 8 * i, to | EPT_RWX | wb);
	}
}

static void build_l2(struct fake *f)
{
	uint8_t *mem = f->ram + FAKE_L2_RAM_PA;
	const uint64_t user = ENTRY_P | ENTRY_W | ENTRY_U | ENTRY_A;
	put64(mem, 0x1000, 0x2000 | user);
	put64(mem, 0x2000, 0x3000 | user);
	put64(mem, 0x3000 + 8 * 2, 0x4000 | user);
	put64(mem, 0x4000 + 8 * 1, 0x6000 | ENTRY_P | ENTRY_U | ENTRY_A);
	put64(mem, 0x4000 + 8 * 3, 0x7000 | user | ENTRY_D | ENTRY_XD);
	put64(mem, 0x4000 + 8 * 4, 0x8000 | user | ENTRY_D | ENTRY_XD);
	put64(mem, 0x4000 + 8 * 0x100, FAKE_L2_HOLE_PA | user | ENTRY_XD);
	memcpy(mem + 0x7010, "hello from l2", 14);
}

static const uint8_t l1_loop[] = {
	0x0f, 0x01, 0xc3, /* l1_entry_loop: vmresume */
	0xeb, 0xfe,       /* jmp . */
};
static const uint8_t l1_exit[] = {
	0xb8, 0x02, 0x44, 0x00, 0x00, /* l1_exit: mov eax, 0x4402 */
	0x0f, 0x78, 0xc3,             /* vmread rbx, rax */
	0xe8, 0x13, 0x00, 0x00, 0x00, /* call handle_exit */
	0xeb, 0xe1,                   /* jmp l1_entry_loop */
};
static const uint8_t l1_handle[] = {
	0x55,                         /* handle_exit: push rbp */
	0x48, 0x89, 0xe5,             /* mov rbp, rsp */
	0xb8, 0x1e, 0x68, 0x00, 0x00, /* mov eax, 0x681e */
	0x0f, 0x79, 0xc3,             /* vmwrite rax, rbx */
	0x5d,                         /* pop rbp */
	0xc3,                         /* ret */
};
static const uint8_t l2_main[] = {
	0x31, 0xc0,                         /* guest_main: xor eax, eax */
	0x0f, 0xa2,                         /* cpuid */
	0xff, 0xc3,                         /* inc ebx */
	0x89, 0x1d, 0xf4, 0x1f, 0x00, 0x00, /* mov [rip + 0x1ff4], ebx */
	0xe8, 0x0f, 0x00, 0x00, 0x00,       /* call guest_work */
	0xeb, 0xed,                         /* jmp guest_main */
};
static const uint8_t l2_work[] = {
	0x55,             /* guest_work: push rbp */
	0x48, 0x89, 0xe5, /* mov rbp, rsp */
	0xe6, 0x80,       /* out 0x80, al */
	0x5d,             /* pop rbp */
	0xc3,             /* ret */
};

void fake_build_memory(struct fake *f)
{
	f->ram = xalloc(FAKE_RAM);
	f->priv = xalloc(FAKE_PRIVATE);
	build_l1(f);
	build_ept(f);
	build_l2(f);
	memcpy(f->ram + FAKE_L1_CODE_PA, l1_loop, sizeof l1_loop);
	memcpy(f->ram + FAKE_L1_CODE_PA + 0x10, l1_exit, sizeof l1_exit);
	memcpy(f->ram + FAKE_L1_CODE_PA + 0x30, l1_handle, sizeof l1_handle);
	memcpy(f->ram + FAKE_L1_CODE_PA + 0x1000, "nestscope recorded l1", 22);
	memcpy(f->ram + FAKE_L2_RAM_PA + 0x6000, l2_main, sizeof l2_main);
	memcpy(f->ram + FAKE_L2_RAM_PA + 0x6020, l2_work, sizeof l2_work);
	put64(f->ram, FAKE_VMCS12, UINT64_C(0x11e57ed0)); /* revision */
}

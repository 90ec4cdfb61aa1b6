/* machine/load.h: small images of every format, and damaged ones. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/phys.h"
#include "machine/load.h"
#include "machine/machine.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MEM (UINT64_C(64) << 20)

struct file {
	char path[40];
	uint8_t data[65536];
	size_t size;
};

static void put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, 4);
}

static struct file *file_new(size_t size)
{
	struct file *f = calloc(1, sizeof(*f));
	strcpy(f->path, "/tmp/nestscope-load-XXXXXX");
	int fd = mkstemp(f->path);
	assert_true(fd >= 0);
	close(fd);
	f->size = size;
	return f;
}

static void file_free(struct file *f)
{
	unlink(f->path);
	free(f);
}

static struct machine *machine(void)
{
	struct machine_config cfg = {.mem = MEM, .cpus = 1, .rtc = MACHINE_RTC};
	struct err e = {0};
	struct machine *m = machine_new(&cfg, &e);
	assert_non_null(m);
	machine_firmware(m);
	return m;
}

static bool load_cfg(struct machine *m, struct file *f, struct load_config cfg,
	struct load_entry *en, struct err *e)
{
	FILE *out = fopen(f->path, "wb");
	assert_true(out && fwrite(f->data, 1, f->size, out) == f->size && !fclose(out));
	cfg.kernel = f->path;
	memset(e, 0, sizeof(*e));
	return load_guest(m, &cfg, en, e);
}

static bool load(struct machine *m, struct file *f, enum load_kind kind, struct load_entry *en,
	struct err *e)
{
	return load_cfg(m, f, (struct load_config){.kind = kind, .append = "a b"}, en, e);
}

static uint32_t peek(struct machine *m, uint64_t at)
{
	uint32_t v;
	assert_true(phys_read(&m->phys, hpa(at), &v, 4));
	return v;
}

static const char *text(struct machine *m, uint64_t at, char out[64])
{
	assert_true(phys_read(&m->phys, hpa(at), out, 64));
	out[63] = 0;
	return out;
}

/* --- images --------------------------------------------------------------- */

static struct file *bzimage(void)
{
	struct file *f = file_new(512 * 5 + 4096);
	uint8_t *d = f->data;
	d[0x1f1] = 4;
	put32(d + 0x1f4, 4096 / 16);
	d[0x1fe] = 0x55;
	d[0x1ff] = 0xaa;
	d[0x200] = 0xeb;
	d[0x201] = 0x66;
	memcpy(d + 0x202, "HdrS", 4);
	d[0x206] = 0x0f;
	d[0x207] = 2;
	put32(d + 0x22c, 0x7fffffff);
	d[0x236] = 1;
	put32(d + 0x238, 2047);
	put32(d + 0x258, 0x1000000);
	put32(d + 0x260, 0x100000);
	put32(d + 512 * 5 + 0x200, 0x12345678);
	return f;
}

static struct file *elf64(uint32_t paddr, bool pvh)
{
	struct file *f = file_new(0x2000);
	Elf64_Ehdr *eh = (void *)f->data;
	memcpy(eh->e_ident, ELFMAG, SELFMAG);
	eh->e_ident[EI_CLASS] = ELFCLASS64;
	eh->e_ident[EI_DATA] = ELFDATA2LSB;
	eh->e_ident[EI_VERSION] = EV_CURRENT;
	eh->e_type = ET_EXEC;
	eh->e_machine = EM_X86_64;
	eh->e_version = EV_CURRENT;
	eh->e_entry = UINT64_C(0xffffffff80000000) + paddr + 0x10;
	eh->e_phoff = sizeof(*eh);
	eh->e_ehsize = sizeof(*eh);
	eh->e_phentsize = sizeof(Elf64_Phdr);
	eh->e_phnum = pvh ? 2 : 1;
	Elf64_Phdr *ph = (void *)(f->data + eh->e_phoff);
	ph[0] = (Elf64_Phdr){.p_type = PT_LOAD, .p_offset = 0x1000, .p_filesz = 0x1000,
		.p_memsz = 0x3000, .p_paddr = paddr, .p_vaddr = UINT64_C(0xffffffff80000000) + paddr};
	put32(f->data + 0x1000, 0xcafef00d);
	if (pvh) {
		ph[1] = (Elf64_Phdr){.p_type = PT_NOTE, .p_offset = 0x800, .p_filesz = 20, .p_align = 4};
		put32(f->data + 0x800, 4);
		put32(f->data + 0x804, 4);
		put32(f->data + 0x808, 18);
		memcpy(f->data + 0x80c, "Xen", 4);
		put32(f->data + 0x810, paddr + 0x40);
	}
	return f;
}

static void multiboot1(struct file *f, size_t at, uint32_t flags)
{
	put32(f->data + at, 0x1badb002);
	put32(f->data + at + 4, flags);
	put32(f->data + at + 8, 0u - 0x1badb002 - flags);
}

/* --- tests ---------------------------------------------------------------- */

static void test_bzimage(void **ctx)
{
	(void)ctx;
	struct machine *m = machine();
	struct file *f = bzimage(), *initrd = file_new(5000);
	struct load_entry en;
	struct err e;
	memset(initrd->data, 7, 5000);
	FILE *out = fopen(initrd->path, "wb");
	assert_true(out && fwrite(initrd->data, 1, 5000, out) == 5000 && !fclose(out));
	struct load_config cfg = {.kind = LOAD_KERNEL, .append = "console=ttyS0", .initrd = initrd->path};
	assert_true(load_cfg(m, f, cfg, &en, &e));
	assert_int_equal(en.mode, LOAD_LONG);
	assert_true(en.rip == 0x1000200 && peek(m, en.rip) == 0x12345678);
	char line[64];
	assert_string_equal(text(m, peek(m, en.rsi + 0x228), line), "console=ttyS0");
	uint32_t at = peek(m, en.rsi + 0x218);
	assert_true(at >= 0x1100000 && at % 4096 == 0 && peek(m, at) == 0x07070707);
	assert_int_equal(peek(m, en.rsi + 0x21c), 5000);
	assert_true(peek(m, en.cr3) & 1);
	file_free(f);
	file_free(initrd);
	machine_free(m);
}

static void test_bzimage_of_32_bits(void **ctx)
{
	(void)ctx;
	struct machine *m = machine();
	struct file *f = bzimage();
	struct load_entry en;
	struct err e;
	f->data[0x236] = 0; /* no 64-bit entry point */
	assert_true(load(m, f, LOAD_KERNEL, &en, &e));
	assert_int_equal(en.mode, LOAD_PROTECTED);
	assert_true(en.rip == 0x1000000 && en.cs == 0x10 && en.ds == 0x18);
	assert_true(peek(m, en.rsi + 0x202) == 0x53726448);
	assert_true(peek(m, en.gdt_base + 0x14) == 0x00cf9b00 && peek(m, en.gdt_base + 0x1c) == 0x00cf9300);
	f->data[0x206] = 9;
	assert_false(load(m, f, LOAD_KERNEL, &en, &e));
	assert_non_null(strstr(e.msg, "boot protocol 2.09; 2.10 or later"));
	file_free(f);
	machine_free(m);
}

static void test_pvh_and_plain(void **ctx)
{
	(void)ctx;
	struct load_entry en;
	struct err e;
	for (int pvh = 0; pvh < 2; pvh++) {
		struct machine *m = machine();
		struct file *f = elf64(0x200000, pvh);
		assert_true(load(m, f, LOAD_KERNEL, &en, &e));
		assert_true(peek(m, 0x200000) == 0xcafef00d);
		assert_int_equal(en.mode, pvh ? LOAD_PROTECTED : LOAD_LONG);
		assert_true(en.rip == (pvh ? 0x200040 : 0x200010));
		if (pvh)
			assert_true(peek(m, en.rbx) == 0x336ec578);
		file_free(f);
		machine_free(m);
	}
}

static void test_multiboot_elf(void **ctx)
{
	(void)ctx;
	struct machine *m = machine();
	struct file *f = elf64(0x200000, false), *mod = file_new(10);
	memcpy(mod->data, "0123456789", 10);
	FILE *out = fopen(mod->path, "wb");
	assert_true(out && fwrite(mod->data, 1, 10, out) == 10 && !fclose(out));
	multiboot1(f, 0x1100, 3);
	char spec[64], line[64];
	snprintf(spec, sizeof(spec), "%s x=1", mod->path);
	struct load_config cfg = {
		.kind = LOAD_MULTIBOOT, .append = "args", .module = {spec}, .modules = 1};
	struct load_entry en;
	struct err e;
	assert_true(load_cfg(m, f, cfg, &en, &e));
	assert_true(en.mode == LOAD_PROTECTED && en.rax == 0x2badb002 && en.rip == 0x200010);
	uint64_t info = en.rbx;
	text(m, peek(m, info + 16), line);
	assert_memory_equal(line, f->path, strlen(f->path));
	assert_string_equal(line + strlen(f->path), " args");
	assert_int_equal(peek(m, info + 20), 1);
	uint32_t list = peek(m, info + 24);
	assert_memory_equal(text(m, peek(m, list), line), "0123456789", 10);
	assert_int_equal(peek(m, list + 4) - peek(m, list), 10);
	assert_string_equal(text(m, peek(m, list + 8), line), spec);
	assert_int_equal(peek(m, peek(m, info + 48)), 20);
	assert_true(peek(m, info + 4) >= 600 && peek(m, info + 8) >= 60 * 1024);
	file_free(f);
	file_free(mod);
	machine_free(m);
}

static void test_multiboot_addresses(void **ctx)
{
	(void)ctx;
	struct machine *m = machine();
	struct file *f = file_new(0x2000);
	multiboot1(f, 0x100, 1 << 16);
	put32(f->data + 0x10c, 0x300100); /* header at 0x300100, so offset 0 loads at 0x300000 */
	put32(f->data + 0x110, 0x300000);
	put32(f->data + 0x118, 0x304000);
	put32(f->data + 0x11c, 0x300200);
	put32(f->data + 0x200, 0x11223344);
	struct load_entry en;
	struct err e;
	assert_true(load(m, f, LOAD_MULTIBOOT, &en, &e));
	assert_true(en.rip == 0x300200 && peek(m, 0x300200) == 0x11223344);
	put32(f->data + 0x110, 0x400000); /* loads above its own header */
	assert_false(load(m, f, LOAD_MULTIBOOT, &en, &e));
	put32(f->data + 0x110, 0x300000);
	put32(f->data + 0x114, 0x3f0000); /* more than the file has */
	assert_false(load(m, f, LOAD_MULTIBOOT, &en, &e));
	assert_int_equal(e.status, ERR_FILE);
	file_free(f);
	machine_free(m);
}

static void test_multiboot2(void **ctx)
{
	(void)ctx;
	struct machine *m = machine();
	struct file *f = elf64(0x200000, false);
	uint8_t *h = f->data + 0x1100;
	put32(h, 0xe85250d6);
	put32(h + 8, 24);
	put32(h + 12, 0u - 0xe85250d6 - 24);
	put32(h + 20, 8);
	struct load_entry en;
	struct err e;
	assert_true(load(m, f, LOAD_MULTIBOOT, &en, &e));
	assert_true(en.rax == 0x36d76289 && en.rbx % 8 == 0);
	uint32_t total = peek(m, en.rbx), seen = 0;
	for (uint32_t at = 8; at < total;) {
		uint32_t type = peek(m, en.rbx + at), size = peek(m, en.rbx + at + 4);
		assert_true(size >= 8 && type < 32);
		seen |= 1u << type;
		at += (size + 7) & ~7u;
	}
	const uint32_t want = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 4 | 1 << 6 | 1 << 8;
	assert_int_equal(seen & want, want);
	put32(h + 20, 0xffffffff); /* a damaged tag */
	put32(h + 16, 4);
	assert_false(load(m, f, LOAD_MULTIBOOT, &en, &e));
	file_free(f);
	machine_free(m);
}

static void test_flat(void **ctx)
{
	(void)ctx;
	struct machine *m = machine();
	struct file *f = file_new(512);
	put32(f->data, 0x55667788);
	struct load_entry en;
	struct err e;
	struct load_config cfg = {.kind = LOAD_FLAT, .flat_base = 0x7c00};
	assert_true(load_cfg(m, f, cfg, &en, &e));
	assert_true(en.mode == LOAD_REAL && en.cs == 0 && en.rip == 0x7c00 && peek(m, 0x7c00) == 0x55667788);
	cfg.flat_base = 0x100000;
	assert_true(load_cfg(m, f, cfg, &en, &e));
	assert_true(en.mode == LOAD_PROTECTED && en.rip == 0x100000);
	cfg.flat_base = MEM - 256;
	assert_false(load_cfg(m, f, cfg, &en, &e));
	assert_int_equal(e.status, ERR_FILE);
	cfg.flat_base = UINT64_MAX - 16;
	assert_false(load_cfg(m, f, cfg, &en, &e));
	file_free(f);
	machine_free(m);
}

/* Every prefix of an image, and every single damaged byte of its headers,
 * loads or is refused with one line; nothing else happens. */
static void test_damage(void **ctx)
{
	(void)ctx;
	struct machine *m = machine();
	struct file *f[3] = {bzimage(), elf64(0x200000, true), elf64(0x200000, false)};
	multiboot1(f[2], 0x100, 1 << 16);
	enum load_kind kind[3] = {LOAD_KERNEL, LOAD_KERNEL, LOAD_MULTIBOOT};
	struct load_entry en;
	struct err e;
	for (int k = 0; k < 3; k++) {
		size_t full = f[k]->size;
		for (size_t n = 0; n < full; n += n < 0x280 ? 13 : 501) {
			f[k]->size = n;
			if (!load(m, f[k], kind[k], &en, &e))
				assert_true(e.status == ERR_FILE && !strchr(e.msg, '\n'));
		}
		f[k]->size = full;
		for (size_t at = 0; at < 0x280; at++) {
			uint8_t keep = f[k]->data[at];
			f[k]->data[at] ^= (uint8_t)(1 + at * 37);
			if (!load(m, f[k], kind[k], &en, &e))
				assert_true(e.status == ERR_FILE && !strchr(e.msg, '\n'));
			f[k]->data[at] = keep;
		}
		file_free(f[k]);
	}
	machine_free(m);
}

static void test_initrd_too_large(void **ctx)
{
	(void)ctx;
	struct machine *m = machine();
	struct file *f = bzimage(), *big = file_new(0);
	assert_int_equal(truncate(big->path, (off_t)MEM), 0);
	struct load_entry en;
	struct err e;
	struct load_config cfg = {.kind = LOAD_KERNEL, .initrd = big->path};
	assert_false(load_cfg(m, f, cfg, &en, &e));
	assert_int_equal(e.status, ERR_FILE);
	assert_non_null(strstr(e.msg, "too large"));
	cfg.initrd = "/nonexistent";
	assert_false(load_cfg(m, f, cfg, &en, &e));
	assert_int_equal(e.status, ERR_FILE);
	file_free(f);
	file_free(big);
	machine_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_bzimage), cmocka_unit_test(test_bzimage_of_32_bits),
		cmocka_unit_test(test_pvh_and_plain), cmocka_unit_test(test_multiboot_elf),
		cmocka_unit_test(test_multiboot_addresses), cmocka_unit_test(test_multiboot2),
		cmocka_unit_test(test_flat), cmocka_unit_test(test_damage),
		cmocka_unit_test(test_initrd_too_large)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

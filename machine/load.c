#include "machine/load_parts.h"

#include "base/phys.h"
#include "machine/machine.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

bool load_open(struct load_file *f, const char *path, const char *what, struct err *e)
{
	*f = (struct load_file){.path = path};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, "%s %s", what, path);
	struct stat st;
	bool ok = true;
	if (fstat(fd, &st))
		ok = err_errno(e, "%s %s", what, path);
	else if (!S_ISREG(st.st_mode))
		ok = err_set(e, ERR_FILE, "%s %s is not a regular file", what, path);
	else if (!st.st_size)
		ok = err_set(e, ERR_FILE, "%s %s is empty", what, path);
	else if ((uint64_t)st.st_size > LOAD_FILE_MAX)
		ok = err_set(e, ERR_FILE, "%s %s is larger than any guest's RAM", what, path);
	if (ok) {
		f->size = (size_t)st.st_size;
		f->data = mmap(NULL, f->size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (f->data == MAP_FAILED) {
			f->data = NULL;
			ok = err_errno(e, "%s %s", what, path);
		}
	}
	close(fd);
	return ok;
}

void load_close(struct load_file *f)
{
	if (f->data && !f->lent)
		munmap(f->data, f->size);
	f->data = NULL;
}

static bool usable(const struct load *l, uint64_t at, uint64_t size)
{
	struct machine_range map[MACHINE_RANGES];
	unsigned n = machine_memory_map(l->m, map);
	for (unsigned i = 0; i < n; i++)
		if (map[i].type == 1 && at >= map[i].base && size <= map[i].size &&
			at - map[i].base <= map[i].size - size)
			return true;
	return false;
}

static const char *overlap(const struct load *l, uint64_t at, uint64_t size, uint64_t *end)
{
	for (unsigned i = 0; i < l->pieces; i++)
		if (at < l->piece[i].end && l->piece[i].base < at + size) {
			if (end)
				*end = l->piece[i].end;
			return l->piece[i].what;
		}
	return NULL;
}

static bool zero(struct load *l, uint64_t at, uint64_t len)
{
	static const uint8_t none[PAGE_SIZE];
	for (uint64_t done = 0; done < len;) {
		uint64_t n = len - done < sizeof(none) ? len - done : sizeof(none);
		if (!phys_load(&l->m->phys, hpa(at + done), none, n))
			return false;
		done += n;
	}
	return true;
}

bool load_place(struct load *l, uint64_t at, const void *data, uint64_t len, uint64_t room,
	const char *what)
{
	const char *kernel = l->cfg->kernel;
	if (room < len)
		room = len;
	if (!room)
		return true;
	if (room > LOAD_FILE_MAX || !usable(l, at, room))
		return err_set(l->err, ERR_FILE,
			"%s: the %s wants %" PRIu64 " bytes at %#" PRIx64
			", where this machine has no RAM (--mem is %" PRIu64 " MiB)",
			kernel, what, room, at, l->m->cfg.mem >> 20);
	const char *other = overlap(l, at, room, NULL);
	if (other)
		return err_set(l->err, ERR_FILE, "%s: the %s at %#" PRIx64 " overlaps the %s", kernel,
			what, at, other);
	if (l->pieces == LOAD_PIECES)
		return err_set(l->err, ERR_FILE, "%s has too many segments (%u fit)", kernel, LOAD_PIECES);
	if ((len && !phys_load(&l->m->phys, hpa(at), data, len)) || !zero(l, at + len, room - len))
		return err_set(l->err, ERR_FILE, "%s: the %s does not fit at %#" PRIx64, kernel, what, at);
	l->piece[l->pieces].base = at;
	l->piece[l->pieces].end = at + room;
	l->piece[l->pieces++].what = what;
	return true;
}

static uint64_t align_up(uint64_t v, uint64_t align)
{
	return (v + align - 1) & ~(align - 1);
}

static uint64_t room_low(
	const struct load *l, uint64_t at, uint64_t end, uint64_t size, uint64_t align)
{
	for (at = align_up(at, align); at < end && size <= end - at;) {
		uint64_t next = 0;
		if (!overlap(l, at, size, &next))
			return at;
		at = align_up(next, align);
	}
	return 0;
}

static uint64_t room_high(
	const struct load *l, uint64_t from, uint64_t end, uint64_t size, uint64_t align)
{
	while (end > from && size <= end - from) {
		uint64_t at = (end - size) & ~(align - 1), below = UINT64_MAX;
		if (at < from)
			return 0;
		for (unsigned i = 0; i < l->pieces; i++)
			if (at < l->piece[i].end && l->piece[i].base < at + size &&
				l->piece[i].base < below)
				below = l->piece[i].base;
		if (below == UINT64_MAX)
			return at;
		end = below;
	}
	return 0;
}

uint64_t load_room(const struct load *l, uint64_t from, uint64_t below, uint64_t size,
	uint64_t align, bool high)
{
	struct machine_range map[MACHINE_RANGES];
	unsigned n = machine_memory_map(l->m, map);
	for (unsigned k = 0; k < n; k++) {
		const struct machine_range *r = &map[high ? n - 1 - k : k];
		uint64_t lo = r->base > from ? r->base : from;
		uint64_t end = r->base + r->size < below ? r->base + r->size : below;
		if (r->type != 1 || lo >= end)
			continue;
		uint64_t at = high ? room_high(l, lo, end, size, align) : room_low(l, lo, end, size, align);
		if (at)
			return at;
	}
	return 0;
}

uint64_t load_low(struct load *l, const void *data, uint64_t len, uint64_t align, const char *what)
{
	uint64_t at = load_room(l, LOAD_LOW, 0xa0000, len, align, false);
	if (!at)
		at = load_room(l, LOAD_LOW, UINT64_C(1) << 32, len, align, false);
	if (!at) {
		err_set(l->err, ERR_FILE, "%s: no room for the %s (%" PRIu64 " bytes)", l->cfg->kernel,
			what, len);
		return 0;
	}
	return load_place(l, at, data, len, len, what) ? at : 0;
}

bool load_tables(struct load *l, enum load_mode mode, uint16_t cs)
{
	const uint64_t data = UINT64_C(0x00cf93000000ffff), code32 = UINT64_C(0x00cf9b000000ffff),
		       code64 = UINT64_C(0x00af9b000000ffff);
	const bool paging = mode == LOAD_LONG;
	uint64_t gdt[4] = {0, code32, data, data};
	struct load_entry *en = l->entry;
	gdt[cs / 8] = paging ? code64 : code32;
	en->gdt_base = load_low(l, gdt, sizeof(gdt), 4096, "descriptor table");
	if (!en->gdt_base)
		return false;
	en->gdt_limit = sizeof(gdt) - 1;
	en->mode = mode;
	en->cs = cs;
	en->ds = cs + 8;
	if (!paging)
		return true;
	uint64_t table[6][512] = {{0}};
	uint64_t at = load_room(l, LOAD_LOW, 0xa0000, sizeof(table), 4096, false);
	table[0][0] = (at + 4096) | 3;
	for (unsigned g = 0; g < 4; g++) {
		table[1][g] = (at + 4096 * (2 + g)) | 3;
		for (unsigned i = 0; i < 512; i++)
			table[2 + g][i] = ((uint64_t)g << 30 | (uint64_t)i << 21) | 0x83;
	}
	if (!at)
		return err_set(l->err, ERR_FILE, "%s: no room for page tables", l->cfg->kernel);
	en->cr3 = at;
	return load_place(l, at, table, sizeof(table), sizeof(table), "page tables");
}

unsigned load_e820(const struct load *l, uint8_t *out, unsigned max)
{
	struct machine_range map[MACHINE_RANGES];
	unsigned n = machine_memory_map(l->m, map);
	if (n > max)
		n = max;
	for (unsigned i = 0; i < n; i++) {
		load_put64(out + 20 * i, map[i].base);
		load_put64(out + 20 * i + 8, map[i].size);
		load_put32(out + 20 * i + 16, map[i].type);
	}
	return n;
}

void load_mem_sizes(const struct load *l, uint32_t *lower, uint32_t *upper)
{
	struct machine_range map[MACHINE_RANGES];
	unsigned n = machine_memory_map(l->m, map);
	*lower = *upper = 0;
	for (unsigned i = 0; i < n; i++) {
		if (map[i].type == 1 && map[i].base == 0)
			*lower = (uint32_t)(map[i].size >> 10);
		if (map[i].type == 1 && map[i].base == 0x100000)
			*upper = (uint32_t)(map[i].size >> 10);
	}
}

bool load_initrd(struct load *l, uint64_t below, uint64_t *at, uint64_t *size)
{
	*at = *size = 0;
	if (!l->cfg->initrd)
		return true;
	struct load_file f;
	if (!load_open(&f, l->cfg->initrd, "initrd", l->err))
		return false;
	*size = f.size;
	*at = load_room(l, 0x100000, below, f.size, 4096, true);
	bool ok = *at && load_place(l, *at, f.data, f.size, f.size, "initrd");
	if (!*at)
		err_set(l->err, ERR_FILE,
			"initrd %s (%zu bytes) is too large for the RAM left by the kernel (--mem is %" PRIu64
			" MiB)",
			f.path, f.size, l->m->cfg.mem >> 20);
	load_close(&f);
	return ok;
}

bool load_flat(struct load *l, const struct load_file *f)
{
	uint64_t at = l->cfg->flat_base;
	l->entry->rip = at;
	if (!load_place(l, at, f->data, f->size, f->size, "image"))
		return false;
	if (at >= 0x100000)
		return load_tables(l, LOAD_PROTECTED, LOAD_CS);
	/* As a boot sector starts: CS 0 where it reaches, a stack below the image. */
	l->entry->mode = LOAD_REAL;
	l->entry->cs = at <= 0xffff ? 0 : (uint16_t)(at >> 4);
	l->entry->rip = at <= 0xffff ? at : at & 15;
	l->entry->rsp = 0x7c00;
	return true;
}

bool load_guest(
	struct machine *m, const struct load_config *cfg, struct load_entry *out, struct err *e)
{
	memset(out, 0, sizeof(*out));
	if (cfg->kind == LOAD_NOTHING)
		return true;
	struct load l = {.m = m, .cfg = cfg, .entry = out, .err = e};
	struct load_file f = {cfg->kernel, (uint8_t *)cfg->image, cfg->image_size, true};
	bool ok = cfg->image || load_open(&f, cfg->kernel, "kernel", e);
	if (!ok)
		return false;
	if (cfg->kind == LOAD_MULTIBOOT)
		ok = load_multiboot(&l, &f);
	else if (cfg->kind == LOAD_FLAT)
		ok = load_flat(&l, &f);
	else if (load_elf_is(&f))
		ok = load_elf(&l, &f);
	else if (load_linux_is(&f))
		ok = load_linux(&l, &f);
	else
		ok = err_set(e, ERR_FILE,
			"kernel %s is neither a bzImage nor an ELF file for x86 (damaged, or another format)",
			cfg->kernel);
	load_close(&f);
	return ok;
}

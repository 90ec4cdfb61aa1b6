/* Multiboot 1 (0.6.96) and multiboot 2 (2.0): ELF32, ELF64 and the address
 * fields of the header ("a.out kludge"); modules with their arguments.
 *
 * Command lines, of the kernel and of modules, are `FILE ARGS`.
 */
#include "machine/load_parts.h"

#include "base/buf.h"
#include "machine/machine.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MB1_HEADER 0x1badb002u
#define MB1_BOOT   0x2badb002u
#define MB2_HEADER 0xe85250d6u
#define MB2_BOOT   0x36d76289u
#define LOADER     "nestscope"

enum { MB1_ADDRESSES = 1 << 16, MB1_KNOWN_MUST = 0x3 | 0x4 };

struct module {
	uint64_t at, size;
	char *line; /* owned: "FILE ARGS" */
};

struct multiboot {
	struct load *l;
	const struct load_file *f;
	uint64_t header; /* file offset */
	bool two;
	/* a.out kludge */
	bool addresses;
	uint32_t header_addr, load_addr, load_end, bss_end;
	bool have_entry;
	uint32_t entry;
	struct module module[LOAD_MODULES];
	unsigned modules;
	char *line; /* owned */
};

static bool find_header(struct multiboot *b)
{
	const uint8_t *d = b->f->data;
	for (uint64_t at = 0; at + 12 <= b->f->size && at < 8192; at += 4)
		if (load_le32(d + at) == MB1_HEADER &&
			load_le32(d + at) + load_le32(d + at + 4) + load_le32(d + at + 8) == 0) {
			b->header = at;
			return true;
		}
	for (uint64_t at = 0; at + 16 <= b->f->size && at < 32768; at += 8)
		if (load_le32(d + at) == MB2_HEADER && load_le32(d + at) + load_le32(d + at + 4) +
				load_le32(d + at + 8) + load_le32(d + at + 12) == 0) {
			b->header = at;
			b->two = true;
			return true;
		}
	return err_set(b->l->err, ERR_FILE, "%s has no multiboot header (1 in its first 8 KiB, or 2 in "
		"its first 32 KiB)", b->f->path);
}

static bool read_header1(struct multiboot *b)
{
	const uint8_t *h = b->f->data + b->header;
	uint32_t flags = load_le32(h + 4);
	if (flags & 0xffff & ~MB1_KNOWN_MUST)
		return err_set(b->l->err, ERR_FILE, "%s asks for multiboot features %#x that are unknown",
			b->f->path, flags & 0xffff & ~MB1_KNOWN_MUST);
	if (!(flags & MB1_ADDRESSES))
		return true;
	if (b->header + 32 > b->f->size)
		return err_set(b->l->err, ERR_FILE, "%s: its multiboot header is cut off", b->f->path);
	b->addresses = true;
	b->header_addr = load_le32(h + 12);
	b->load_addr = load_le32(h + 16);
	b->load_end = load_le32(h + 20);
	b->bss_end = load_le32(h + 24);
	b->entry = load_le32(h + 28);
	b->have_entry = true;
	return true;
}

static bool read_header2(struct multiboot *b)
{
	const uint8_t *h = b->f->data + b->header;
	uint32_t length = load_le32(h + 8);
	if (load_le32(h + 4) != 0)
		return err_set(b->l->err, ERR_FILE, "%s: its multiboot header is for another processor",
			b->f->path);
	if (length < 16 || length > b->f->size - b->header)
		return err_set(b->l->err, ERR_FILE, "%s: its multiboot header is cut off", b->f->path);
	for (uint32_t at = 16; length - at >= 8;) {
		unsigned type = load_le16(h + at), optional = load_le16(h + at + 2) & 1;
		uint32_t size = load_le32(h + at + 4), left = length - at;
		if (type == 0)
			return true;
		if (size < 8 || size > left)
			return err_set(b->l->err, ERR_FILE, "%s: a tag of its multiboot header is damaged",
				b->f->path);
		if (type == 2 && size >= 24) {
			b->addresses = true;
			b->header_addr = load_le32(h + at + 8);
			b->load_addr = load_le32(h + at + 12);
			b->load_end = load_le32(h + at + 16);
			b->bss_end = load_le32(h + at + 20);
		} else if (type == 3 && size >= 12) {
			b->entry = load_le32(h + at + 8);
			b->have_entry = true;
		} else if (type > 10 && !optional) {
			return err_set(b->l->err, ERR_FILE, "%s asks for multiboot tag %u, which is unknown",
				b->f->path, type);
		}
		at += (size + 7) & ~7u;
		if (at > length)
			break;
	}
	return true;
}

/* Loads by the header's address fields: file offset, load address and sizes
 * all follow from where the header itself is to land. */
static bool place_by_addresses(struct multiboot *b)
{
	struct load *l = b->l;
	uint64_t back = (uint64_t)b->header_addr - b->load_addr;
	if (b->load_addr == UINT32_MAX)
		back = b->header;
	if (b->load_addr > b->header_addr || back > b->header)
		return err_set(l->err, ERR_FILE, "%s: the multiboot header's load address is damaged",
			b->f->path);
	uint64_t offset = b->header - back, at = b->header_addr - back;
	uint64_t len = b->load_end ? b->load_end - at : b->f->size - offset;
	if (b->load_end && (b->load_end < at || len > b->f->size - offset))
		return err_set(l->err, ERR_FILE,
			"%s is cut off: its multiboot header wants %" PRIu64 " bytes from offset %" PRIu64,
			b->f->path, len, offset);
	uint64_t room = b->bss_end ? b->bss_end - at : len;
	if (b->bss_end && b->bss_end < at)
		return err_set(l->err, ERR_FILE, "%s: the multiboot header's bss end is damaged",
			b->f->path);
	l->top = at + (room > len ? room : len);
	return load_place(l, at, b->f->data + offset, len, room, "kernel");
}

static bool place_kernel(struct multiboot *b)
{
	struct load *l = b->l;
	if (b->addresses) {
		l->entry->rip = b->entry;
		return place_by_addresses(b) &&
		       (b->have_entry || err_set(l->err, ERR_FILE,
				"%s: its multiboot header has no entry address", b->f->path));
	}
	struct load_elf_info info;
	if (!load_elf_is(b->f))
		return err_set(l->err, ERR_FILE, "%s has a multiboot header without addresses, and is no ELF "
			"file", b->f->path);
	if (!load_elf_segments(l, b->f, &info))
		return false;
	l->entry->rip = b->have_entry ? b->entry : info.entry;
	return true;
}

static bool place_module(struct multiboot *b, const char *spec)
{
	struct module *mod = &b->module[b->modules++];
	size_t name = strcspn(spec, " ");
	mod->line = xstrdup(spec);
	char *path = xstrdup(spec);
	path[name] = 0;
	struct load_file f;
	bool ok = load_open(&f, path, "module", b->l->err);
	if (ok) {
		uint64_t from = b->l->top > 0x100000 ? b->l->top : 0x100000;
		mod->size = f.size;
		mod->at = load_room(b->l, from, UINT64_C(1) << 32, f.size, 4096, false);
		if (!mod->at)
			ok = err_set(b->l->err, ERR_FILE,
				"module %s (%zu bytes) is too large for the RAM left (--mem is %" PRIu64 " MiB)",
				path, f.size, b->l->m->cfg.mem >> 20);
		else
			ok = load_place(b->l, mod->at, f.data, f.size, f.size, "module");
		load_close(&f);
	}
	free(path);
	return ok;
}

static void add32(struct buf *out, uint32_t v)
{
	uint8_t raw[4];
	load_put32(raw, v);
	buf_add(out, raw, 4);
}

static bool info1(struct multiboot *b)
{
	struct load *l = b->l;
	uint8_t info[116] = {0}, e820[MACHINE_RANGES * 20];
	struct buf mmap = {0}, mods = {0};
	uint32_t lower, upper;
	load_mem_sizes(l, &lower, &upper);
	unsigned n = load_e820(l, e820, MACHINE_RANGES);
	for (unsigned i = 0; i < n; i++) {
		add32(&mmap, 20);
		buf_add(&mmap, e820 + 20 * i, 20);
	}
	bool ok = true;
	for (unsigned i = 0; ok && i < b->modules; i++) {
		struct module *m = &b->module[i];
		uint64_t line = load_low(l, m->line, strlen(m->line) + 1, 4, "module string");
		ok = line != 0;
		add32(&mods, (uint32_t)m->at);
		add32(&mods, (uint32_t)(m->at + m->size));
		add32(&mods, (uint32_t)line);
		add32(&mods, 0);
	}
	uint64_t line = ok ? load_low(l, b->line, strlen(b->line) + 1, 4, "command line") : 0;
	uint64_t name = line ? load_low(l, LOADER, sizeof(LOADER), 4, "loader name") : 0;
	uint64_t map = name ? load_low(l, mmap.data, mmap.len, 4, "memory map") : 0;
	uint64_t list = map && mods.len ? load_low(l, mods.data, mods.len, 4, "module list") : 0;
	ok = map && (list || !mods.len);
	/* Valid: memory sizes, command line, modules, memory map, loader name. */
	load_put32(info, 1 << 0 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9);
	load_put32(info + 4, lower);
	load_put32(info + 8, upper);
	load_put32(info + 16, (uint32_t)line);
	load_put32(info + 20, b->modules);
	load_put32(info + 24, (uint32_t)list);
	load_put32(info + 44, (uint32_t)mmap.len);
	load_put32(info + 48, (uint32_t)map);
	load_put32(info + 64, (uint32_t)name);
	l->entry->rax = MB1_BOOT;
	l->entry->rbx = ok ? load_low(l, info, sizeof(info), 16, "multiboot information") : 0;
	buf_done(&mmap);
	buf_done(&mods);
	return l->entry->rbx != 0;
}

/* One tag of multiboot 2: type, size, body, padded to 8. */
static void tag(struct buf *out, uint32_t type, const void *body, size_t len)
{
	static const uint8_t pad[8];
	add32(out, type);
	add32(out, (uint32_t)len + 8);
	buf_add(out, body, len);
	buf_add(out, pad, (8 - len % 8) % 8);
}

static void tag_memory(struct buf *out, const struct load *l)
{
	uint8_t e820[MACHINE_RANGES * 20];
	uint32_t size[2];
	load_mem_sizes(l, &size[0], &size[1]);
	tag(out, 4, size, sizeof(size));
	struct buf map = {0};
	unsigned n = load_e820(l, e820, MACHINE_RANGES);
	add32(&map, 24);
	add32(&map, 0);
	for (unsigned i = 0; i < n; i++) {
		buf_add(&map, e820 + 20 * i, 20);
		add32(&map, 0);
	}
	tag(out, 6, map.data, map.len);
	buf_done(&map);
}

static bool info2(struct multiboot *b)
{
	struct load *l = b->l;
	struct buf out = {0}, body = {0};
	add32(&out, 0);
	add32(&out, 0);
	tag(&out, 1, b->line, strlen(b->line) + 1);
	tag(&out, 2, LOADER, sizeof(LOADER));
	for (unsigned i = 0; i < b->modules; i++) {
		const struct module *m = &b->module[i];
		buf_clear(&body);
		add32(&body, (uint32_t)m->at);
		add32(&body, (uint32_t)(m->at + m->size));
		buf_add(&body, m->line, strlen(m->line) + 1);
		tag(&out, 3, body.data, body.len);
	}
	tag_memory(&out, l);
	/* The text screen: address, pitch, 80 x 25 cells of 16 bits, type 2. */
	static const uint8_t screen[24] = {0, 0x80, 0x0b, 0, 0, 0, 0, 0, 160, 0, 0, 0, 80, 0, 0, 0, 25,
		0, 0, 0, 16, 2, 0, 0};
	tag(&out, 8, screen, sizeof(screen));
	uint8_t rsdp[36];
	if (machine_rsdp(l->m) && phys_read(&l->m->phys, hpa(machine_rsdp(l->m)), rsdp, sizeof(rsdp))) {
		tag(&out, 14, rsdp, 20);
		tag(&out, 15, rsdp, sizeof(rsdp));
	}
	tag(&out, 0, NULL, 0);
	load_put32((uint8_t *)out.data, (uint32_t)out.len);
	l->entry->rax = MB2_BOOT;
	l->entry->rbx = load_low(l, out.data, out.len, 8, "multiboot information");
	buf_done(&out);
	buf_done(&body);
	return l->entry->rbx != 0;
}

static bool load_all(struct multiboot *b)
{
	struct load *l = b->l;
	if (!find_header(b) || !(b->two ? read_header2(b) : read_header1(b)) || !place_kernel(b))
		return false;
	for (unsigned i = 0; i < l->cfg->modules; i++)
		if (!place_module(b, l->cfg->module[i]))
			return false;
	struct buf line = {0};
	buf_str(&line, b->f->path);
	if (l->cfg->append && *l->cfg->append)
		buf_fmt(&line, " %s", l->cfg->append);
	b->line = xstrdup(line.data);
	buf_done(&line);
	return (b->two ? info2(b) : info1(b)) && load_tables(l, LOAD_PROTECTED, LOAD_CS);
}

bool load_multiboot(struct load *l, const struct load_file *f)
{
	struct multiboot *b = xalloc(sizeof(*b));
	b->l = l;
	b->f = f;
	bool ok = load_all(b);
	for (unsigned i = 0; i < b->modules; i++)
		free(b->module[i].line);
	free(b->line);
	free(b);
	return ok;
}

/* ELF kernels: by PVH when the file carries the note (32-bit start, EBX =
 * start info), else plain: a 64-bit file starts as Linux' startup_64 expects,
 * a 32-bit one in flat protected mode.
 */
#include "machine/load_parts.h"

#include "machine/machine.h"

#include <gelf.h>
#include <inttypes.h>
#include <libelf.h>
#include <string.h>

#define NOTE_PHYS32_ENTRY 18 /* of owner "Xen" */
#define PVH_MAGIC         0x336ec578u

bool load_elf_is(const struct load_file *f)
{
	return f->size > SELFMAG && !memcmp(f->data, ELFMAG, SELFMAG);
}

static void find_pvh(Elf *elf, const GElf_Phdr *ph, struct load_elf_info *out)
{
	Elf_Data *data = elf_getdata_rawchunk(elf, (int64_t)ph->p_offset, ph->p_filesz,
		ph->p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
	GElf_Nhdr nh;
	size_t name, desc;
	for (size_t at = 0; data && (at = gelf_getnote(data, at, &nh, &name, &desc));) {
		const uint8_t *d = data->d_buf;
		if (nh.n_namesz != 4 || memcmp(d + name, "Xen", 4) || nh.n_type != NOTE_PHYS32_ENTRY)
			continue;
		if (nh.n_descsz == 4)
			out->pvh = load_le32(d + desc);
		else if (nh.n_descsz == 8)
			out->pvh = load_le64(d + desc);
	}
}

static bool place_segment(struct load *l, const struct load_file *f, const GElf_Phdr *ph)
{
	if (ph->p_filesz > f->size || ph->p_offset > f->size - ph->p_filesz)
		return err_set(l->err, ERR_FILE,
			"kernel %s is cut off: a segment of %" PRIu64 " bytes lies at file offset %" PRIu64
			", the file has %zu",
			f->path, (uint64_t)ph->p_filesz, (uint64_t)ph->p_offset, f->size);
	if (ph->p_memsz < ph->p_filesz)
		return err_set(l->err, ERR_FILE,
			"kernel %s: a segment is larger in the file than in memory", f->path);
	return load_place(
		l, ph->p_paddr, f->data + ph->p_offset, ph->p_filesz, ph->p_memsz, "kernel segment");
}

static bool segments(
	struct load *l, const struct load_file *f, Elf *elf, struct load_elf_info *out)
{
	GElf_Ehdr eh;
	size_t count;
	if (!elf || elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &eh) ||
		elf_getphdrnum(elf, &count))
		return err_set(l->err, ERR_FILE, "kernel %s is a damaged ELF file", f->path);
	if (eh.e_machine != EM_X86_64 && eh.e_machine != EM_386)
		return err_set(l->err, ERR_FILE, "kernel %s is an ELF file for another processor (machine %u)",
			f->path, eh.e_machine);
	out->is64 = gelf_getclass(elf) == ELFCLASS64;
	out->entry = eh.e_entry;
	bool any = false;
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr ph;
		if (!gelf_getphdr(elf, (int)i, &ph))
			return err_set(l->err, ERR_FILE, "kernel %s: its program headers are cut off", f->path);
		if (ph.p_type == PT_NOTE && ph.p_filesz <= f->size && ph.p_offset <= f->size - ph.p_filesz)
			find_pvh(elf, &ph, out);
		if (ph.p_type != PT_LOAD || !ph.p_memsz)
			continue;
		if (!place_segment(l, f, &ph))
			return false;
		any = true;
		/* An entry given as a virtual address becomes the physical one. */
		if (eh.e_entry >= ph.p_vaddr && eh.e_entry - ph.p_vaddr < ph.p_memsz)
			out->entry = eh.e_entry - ph.p_vaddr + ph.p_paddr;
		if (ph.p_paddr + ph.p_memsz > l->top)
			l->top = ph.p_paddr + ph.p_memsz;
	}
	return any || err_set(l->err, ERR_FILE, "kernel %s has no loadable segment", f->path);
}

bool load_elf_segments(struct load *l, const struct load_file *f, struct load_elf_info *out)
{
	memset(out, 0, sizeof(*out));
	elf_version(EV_CURRENT);
	Elf *elf = elf_memory((char *)f->data, f->size);
	bool ok = segments(l, f, elf, out);
	elf_end(elf);
	return ok;
}

static bool start_pvh(struct load *l, uint64_t entry)
{
	uint8_t info[56] = {0}, map[MACHINE_RANGES * 24] = {0}, e820[MACHINE_RANGES * 20];
	const char *append = l->cfg->append ? l->cfg->append : "";
	uint64_t initrd, size;
	if (!load_initrd(l, UINT64_C(1) << 32, &initrd, &size))
		return false;
	unsigned n = load_e820(l, e820, MACHINE_RANGES);
	for (unsigned i = 0; i < n; i++)
		memcpy(map + 24 * i, e820 + 20 * i, 20);
	uint8_t module[32] = {0};
	load_put64(module, initrd);
	load_put64(module + 8, size);
	uint64_t at_map = load_low(l, map, 24 * n, 16, "memory map");
	uint64_t at_line = load_low(l, append, strlen(append) + 1, 16, "command line");
	uint64_t at_module = load_low(l, module, sizeof(module), 16, "module list");
	if (!at_map || !at_line || !at_module)
		return false;
	load_put32(info, PVH_MAGIC);
	load_put32(info + 4, 1);
	load_put32(info + 12, size ? 1 : 0);
	load_put64(info + 16, size ? at_module : 0);
	load_put64(info + 24, at_line);
	load_put64(info + 32, machine_rsdp(l->m));
	load_put64(info + 40, at_map);
	load_put32(info + 48, n);
	l->entry->rbx = load_low(l, info, sizeof(info), 16, "start info");
	l->entry->rip = entry;
	return l->entry->rbx && load_tables(l, LOAD_PROTECTED, LOAD_CS);
}

bool load_elf(struct load *l, const struct load_file *f)
{
	struct load_elf_info info;
	if (!load_elf_segments(l, f, &info))
		return false;
	if (info.pvh)
		return start_pvh(l, info.pvh);
	l->entry->rip = info.entry;
	if (info.is64)
		return load_linux_params(l, NULL, 0, UINT64_C(1) << 32) &&
			load_tables(l, LOAD_LONG, LOAD_LINUX_CS);
	return load_tables(l, LOAD_PROTECTED, LOAD_CS);
}

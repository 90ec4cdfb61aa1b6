/* Symbols from ELF files, and an ELF file from symbols. */
#include "introspect/cfi.h"
#include "introspect/dwarf.h"
#include "introspect/private.h"
#include "introspect/symtab.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void add_section(struct sym_source *src, Elf *elf, Elf_Scn *scn, const GElf_Shdr *sh)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	size_t n = sh->sh_entsize ? sh->sh_size / sh->sh_entsize : 0;
	for (size_t i = 0; data && i < n; i++) {
		GElf_Sym sym;
		if (!gelf_getsym(data, (int)i, &sym) || sym.st_shndx == SHN_UNDEF)
			continue;
		unsigned type = GELF_ST_TYPE(sym.st_info);
		const char *name = elf_strptr(elf, sh->sh_link, sym.st_name);
		if (!name || type == STT_SECTION || type == STT_FILE || type == STT_TLS ||
			sym.st_shndx == SHN_ABS)
			continue;
		symtab_add(src, sym.st_value + (uint64_t)src->bias, sym.st_size, name,
			type == STT_FUNC);
	}
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

unsigned intro_symbols_load(
	struct intro *s, unsigned level, const char *path, int64_t bias, struct err *e)
{
	unsigned id = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		err_errno(e, "cannot read symbols from '%s'", path);
		return 0;
	}
	elf_version(EV_CURRENT);
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	struct sym_source *src = symtab_new(s, level, base_name(path), "elf");
	src->bias = bias;
	if (!elf || elf_kind(elf) != ELF_K_ELF) {
		err_set(e, ERR_FILE, "'%s' is no ELF file", path);
		goto out;
	}
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(elf, scn));) {
		GElf_Shdr sh;
		if (gelf_getshdr(scn, &sh) && (sh.sh_type == SHT_SYMTAB || sh.sh_type == SHT_DYNSYM))
			add_section(src, elf, scn, &sh);
	}
	if (!src->syms) {
		err_set(e, ERR_FILE, "'%s' has no symbols (it is stripped); use the unstripped file", path);
		goto out;
	}
	src->lines = dwarf_load(fd);
	id = symtab_finish(s, src);
	src = NULL;
out:
	symtab_free(src);
	elf_end(elf);
	close(fd);
	return id;
}

/* --- writing --------------------------------------------------------------------------- */

static Elf_Scn *add_scn(Elf *elf, uint32_t name, uint32_t type, void *data, size_t size,
	uint64_t entsize, Elf_Type what)
{
	Elf_Scn *scn = elf_newscn(elf);
	Elf_Data *d = scn ? elf_newdata(scn) : NULL;
	GElf_Shdr sh;
	if (!d || !gelf_getshdr(scn, &sh))
		return NULL;
	*d = (Elf_Data){.d_buf = data, .d_type = what, .d_size = size, .d_align = 8,
		.d_version = EV_CURRENT};
	sh.sh_name = name;
	sh.sh_type = type;
	sh.sh_entsize = entsize;
	gelf_update_shdr(scn, &sh);
	return scn;
}

/* Symbols need a section that they lie in: an empty .text over all of them. */
static bool write_all(Elf *elf, Elf64_Sym *sym, size_t n, struct buf *names, struct buf *frames,
	uint64_t low, uint64_t size)
{
	static char shnames[] = "\0.text\0.symtab\0.strtab\0.shstrtab\0.debug_frame";
	GElf_Ehdr eh;
	GElf_Shdr sh;
	if (!gelf_newehdr(elf, ELFCLASS64) || !gelf_getehdr(elf, &eh))
		return false;
	eh.e_type = ET_EXEC;
	eh.e_machine = EM_X86_64;
	eh.e_ident[EI_DATA] = ELFDATA2LSB;
	eh.e_version = EV_CURRENT;
	Elf_Scn *text = elf_newscn(elf);
	if (!text || !gelf_getshdr(text, &sh))
		return false;
	sh.sh_name = 1;
	sh.sh_type = SHT_NOBITS;
	sh.sh_flags = SHF_ALLOC | SHF_EXECINSTR;
	sh.sh_addr = low;
	sh.sh_size = size;
	gelf_update_shdr(text, &sh);
	Elf_Data *empty = elf_newdata(text);
	if (!empty)
		return false;
	*empty = (Elf_Data){.d_type = ELF_T_BYTE, .d_size = size, .d_align = 16, .d_version = EV_CURRENT};
	Elf_Scn *st = add_scn(elf, 7, SHT_SYMTAB, sym, n * sizeof *sym, sizeof *sym, ELF_T_SYM);
	Elf_Scn *str = add_scn(elf, 15, SHT_STRTAB, names->data, names->len, 0, ELF_T_BYTE);
	Elf_Scn *shstr = add_scn(elf, 23, SHT_STRTAB, shnames, sizeof shnames, 0, ELF_T_BYTE);
	if (frames->len && !add_scn(elf, 33, SHT_PROGBITS, frames->data, frames->len, 0, ELF_T_BYTE))
		return false;
	if (!st || !str || !shstr || !gelf_getshdr(st, &sh))
		return false;
	sh.sh_link = (uint32_t)elf_ndxscn(str);
	sh.sh_info = 1;
	gelf_update_shdr(st, &sh);
	eh.e_shstrndx = (uint16_t)elf_ndxscn(shstr);
	gelf_update_ehdr(elf, &eh);
	return elf_update(elf, ELF_C_WRITE) >= 0;
}

bool intro_symbols_write_elf(struct intro *s, unsigned level, const char *path, struct err *e)
{
	struct buf names = {0}, frames = {0};
	uint64_t vcpus = intro_level_vcpus(s, level);
	struct symbol y;
	size_t n = 0;
	uint64_t low = UINT64_MAX, high = 0;
	const struct place at = {level, vcpus ? (unsigned)__builtin_ctzll(vcpus) : 0};
	if (vcpus && !intro_symbol_nth(s, level, 0, &y))
		intro_symbols_discover(s, at, NULL);
	while (intro_symbol_nth(s, level, n, &y))
		n++;
	if (!n)
		return err_set(e, ERR_GENERAL, "this level has no symbols; symbols finds or loads them");
	Elf64_Sym *sym = xalloc((n + 1) * sizeof *sym);
	buf_char(&names, 0);
	for (size_t i = 0; i < n && intro_symbol_nth(s, level, i, &y); i++) {
		sym[i + 1] = (Elf64_Sym){.st_name = (uint32_t)names.len,
			.st_info = ELF64_ST_INFO(STB_GLOBAL, y.is_function ? STT_FUNC : STT_OBJECT),
			.st_shndx = 1, .st_value = y.address, .st_size = y.size};
		buf_add(&names, y.name, strlen(y.name) + 1);
		low = y.address < low ? y.address : low;
		high = y.address + y.size > high ? y.address + y.size : high;
	}
	if (vcpus)
		cfi_from_orc(s, at, &frames);
	elf_version(EV_CURRENT);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	bool ok = false;
	if (fd < 0) {
		err_errno(e, "cannot write '%s'", path);
	} else {
		Elf *elf = elf_begin(fd, ELF_C_WRITE, NULL);
		ok = elf && write_all(elf, sym, n + 1, &names, &frames, low, high - low);
		if (!ok)
			err_set(e, ERR_FILE, "cannot write '%s': %s", path, elf_errmsg(-1));
		elf_end(elf);
		close(fd);
	}
	free(sym);
	buf_done(&names);
	buf_done(&frames);
	return ok;
}

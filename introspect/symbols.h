/* Symbols of each level: from files the user names (ELF, DWARF lines), from
 * the kallsyms table found in guest memory, and from the guest kernel's own
 * list of modules. Addresses are linear addresses of the level.
 */
#ifndef INTROSPECT_SYMBOLS_H
#define INTROSPECT_SYMBOLS_H

#include "introspect/session.h"

struct symbol {
	uint64_t address;
	uint64_t size;     /* 0: not known; reaches to the next symbol */
	const char *name;  /* owned by the session while its source is loaded */
	const char *module; /* "vmlinux", "kvm_intel", a file's base name */
	bool is_function;
};

/* The symbol that covers an address at the place (its address space counts
 * where a source is bound to one). False: none. */
bool intro_symbol_at(struct intro *s, struct place at, uint64_t address, struct symbol *out);
/* For an address space named by CR3 (records in the past). */
bool intro_symbol_at_cr3(
	struct intro *s, unsigned level, uint64_t cr3, uint64_t address, struct symbol *out);
/* Appends "name", "name+0x12", or "0x..." and returns false when there is none. */
bool intro_symbol_print_cr3(
	struct intro *s, unsigned level, uint64_t cr3, uint64_t address, struct buf *out);
/* Appends "name+0x12 [module]", or "0x..." when there is none. */
void intro_symbol_print(struct intro *s, struct place at, uint64_t address, struct buf *out);

/* By name ("kvm_intel:vmx_vcpu_run" names the module). False: unknown. */
bool intro_symbol_find(struct intro *s, struct place at, const char *name, struct symbol *out);
/* The i-th name that starts with prefix, for completion; false past the end. */
bool intro_symbol_complete(
	struct intro *s, struct place at, const char *prefix, size_t i, struct symbol *out);
/* The i-th symbol of a level, by address; false past the end. */
bool intro_symbol_nth(struct intro *s, unsigned level, size_t i, struct symbol *out);

struct symbol_source {
	unsigned id;        /* > 0 */
	unsigned level;
	const char *name;   /* file, "kallsyms", module */
	const char *kind;   /* "elf", "kallsyms", "module" */
	int64_t bias;       /* added to the file's addresses */
	uint64_t low, high; /* what it covers, inclusive */
	size_t symbols;
	bool lines;         /* has DWARF line tables */
};
unsigned intro_symbol_sources(struct intro *s, struct symbol_source *out, unsigned max);

/* Reads an ELF file for a level; bias moves all its addresses. Returns the
 * source's id, or 0 and *e. */
unsigned intro_symbols_load(
	struct intro *s, unsigned level, const char *path, int64_t bias, struct err *e);
/* Looks for a Linux kernel's kallsyms (and its modules) in the level's memory
 * at this moment. Returns how many names, or 0 and *e. */
size_t intro_symbols_discover(struct intro *s, struct place at, struct err *e);
/* Tries that by itself at stops and when a name is asked for (default on). */
void intro_symbols_auto(struct intro *s, bool on);
bool intro_symbols_drop(struct intro *s, unsigned source);
/* Writes an ELF file with the level's symbols that gdb can load. */
bool intro_symbols_write_elf(struct intro *s, unsigned level, const char *path, struct err *e);

struct source_line {
	const char *file; /* as the compiler saw it; owned by the session */
	unsigned line;
	uint64_t address; /* of the line's first instruction */
};
bool intro_line_at(struct intro *s, struct place at, uint64_t address, struct source_line *out);
/* "file.c:123" to an address. */
bool intro_line_find(
	struct intro *s, struct place at, const char *text, uint64_t *address, struct err *e);

/* Modules of the level's kernel, from its own list. */
struct intro_module {
	char name[64];
	uint64_t base, size;
};
size_t intro_modules(struct intro *s, struct place at, struct intro_module *out, size_t max,
	struct err *e);

/* From a Linux kernel's own BTF: a member's offset in bytes ("se.vruntime" goes
 * into structs); a struct's size. False and *e: no kernel with BTF is known in
 * the level, or it has no such thing. */
bool intro_type_member(struct intro *s, struct place at, const char *type, const char *member,
	uint64_t *offset, struct err *e);
bool intro_type_size(
	struct intro *s, struct place at, const char *type, uint64_t *size, struct err *e);

/* --- code ---------------------------------------------------------------- */

struct insn_text {
	uint64_t address;
	unsigned length;      /* bytes; 1 with text "(bad)" where it does not decode */
	uint8_t bytes[15];
	char text[96];        /* Intel syntax */
	uint64_t target;      /* of a direct branch or RIP-relative operand; UINT64_MAX: none */
	bool is_call, is_branch, is_return;
};
/* Disassembles up to max instructions with the place's code width (bits 0) or
 * 16, 32, 64. Returns how many; fewer where memory is not readable. */
size_t intro_disas(struct intro *s, struct place at, uint64_t address, unsigned bits,
	struct insn_text *out, size_t max, struct err *e);
/* Address of the instruction boundary about n instructions before address. */
uint64_t intro_disas_back(struct intro *s, struct place at, uint64_t address, unsigned n);

struct frame {
	uint64_t pc, sp, fp;
	const char *how; /* "pc", "frame pointer", "orc", "call" (found by the call), "scan" */
};
/* The stack from the innermost frame; returns how many. */
size_t intro_backtrace(struct intro *s, struct place at, struct frame *out, size_t max);

#endif

/* SPDX-License-Identifier: MIT
 *
 * Copyright (c) 2026 the nestscope authors
 *
 * Permission is hereby granted, free of charge, to any person obtaining a copy
 * of this software and associated documentation files (the "Software"), to deal
 * in the Software without restriction, including without limitation the rights
 * to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
 * copies of the Software, and to permit persons to whom the Software is
 * furnished to do so, subject to the following conditions:
 *
 * The above copyright notice and this permission notice shall be included in
 * all copies or substantial portions of the Software.
 *
 * THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
 * IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
 * FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
 * AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
 * LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
 * OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
 * SOFTWARE.
 *
 * The plugin interface of nestscope, for C and for whatever can call C. A
 * plugin that uses nothing of nestscope but this header may carry any licence.
 *
 * A plugin is a shared object that defines
 *
 *	const uint32_t nestscope_plugin_version = NESTSCOPE_PLUGIN_VERSION;
 *	int nestscope_plugin_load(struct nestscope_plugin *self,
 *		const struct nestscope_host *host);           0: loaded
 *	void nestscope_plugin_unload(struct nestscope_plugin *self);   optional
 *
 * All calls happen on the one thread of nestscope. The table and `self` are
 * valid from load to the return of unload. Entries are only ever appended: a
 * plugin built for an older version runs on every newer host, and one that
 * wants a later entry asks NESTSCOPE_HAS(host, entry) first. Strings handed to
 * the host are copied; strings that it hands out live until the next call of
 * the host, an event until its callback returns, unless said otherwise.
 *
 * Looking changes nothing. What changes the machine (set_reg, write, set_vmcs,
 * inject, swallow, rewrite) is an entry of the input log that names a plugin;
 * from inside an event it happens before the next instruction.
 *
 * Version history:
 *	1	the first: events, looking, acts, commands, panels, files
 */
#ifndef NESTSCOPE_PLUGIN_H
#define NESTSCOPE_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#define NESTSCOPE_PLUGIN_VERSION 1

/* Does this host's table reach as far as `entry`, and is it there? */
#define NESTSCOPE_HAS(host, entry)                                                                \
	((host)->size >= offsetof(struct nestscope_host, entry) + sizeof((host)->entry) &&        \
		(host)->entry)

/* "No such value" wherever a number could be anything. */
#define NESTSCOPE_NONE UINT64_MAX

struct nestscope_plugin; /* this plugin; the host's */
struct nestscope_output; /* what a command answers; valid in the command's callback */
struct nestscope_canvas; /* a panel's rectangle; valid in its draw callback */
struct nestscope_file;   /* a file of the plugin's own; until closed or unloaded */

/* What happened. Parts that an event has not are 0, NESTSCOPE_NONE or NULL. */
struct nestscope_event {
	uint32_t size;          /* of this struct, in this host */
	uint32_t level, vcpu;   /* where: 1 is L1, 2 and up the L2 guests */
	uint32_t has_exit;      /* the transition's fields are there */
	const char *kind;       /* the event's name, static */
	uint64_t clock;         /* virtual ns: instructions plus idle time */
	uint64_t seq;           /* number of the transition */
	uint32_t from, to;      /* levels; 0 is L0; changes of tables: from writes */
	uint32_t reflected;     /* L1 handles it */
	uint32_t reason;        /* basic exit reason; bit 31: entry failure */
	uint64_t qualification, detail, rip, cr3, gpa, gla;
	uint64_t vmcs12, cause, cost;
	uint32_t intr_info, insn_length;
	uint64_t address, value, old_value; /* of writes; breakpoint: its id in value;
	                         * changes of tables: the first address that the entry
	                         * translates, 2^access_size bytes; it is at gpa */
	uint32_t field;         /* vmwrite: the field's encoding */
	uint32_t access_size, write;
	uint32_t can_decide;    /* swallow and rewrite may be used */
	const char *text;       /* console: the line; stop: why; snapshot: the file */
	uint64_t handle;        /* of the `on` or `breakpoint` that brought it */
	const char *writer;     /* vmwrite: "VMWRITE", "shadowed" ...; static */
};

/* What to hear of; asked before the callback. Zero means "any". */
struct nestscope_filter {
	uint32_t size;          /* sizeof(struct nestscope_filter) */
	uint32_t levels;        /* bit per level */
	int32_t vcpu;           /* -1: any (0 is the first) */
	uint32_t has_range;     /* low <= detail (exits) or address <= high */
	uint64_t low, high;
	uint64_t every;         /* each n-th match */
	uint64_t period;        /* "timer": virtual ns */
	const char *events;     /* names with commas, e.g. "exit,entry"; "*": every event there is */
	const char *reasons;    /* exits: names with commas, e.g. "CPUID,HLT" */
	const char *field;      /* vmwrite: its name */
	const char *condition;  /* an expression of the command language */
	const char *access;     /* "memory": "r", "w" or "rw" */
};

struct nestscope_level {
	uint32_t id;
	uint32_t alive;
	char name[16];          /* "l1", "l2", "l2:2" */
	uint64_t vmcs12, eptp, entries, exits;
};

/* Who wrote a field of VMCS12 last. */
struct nestscope_write {
	uint64_t clock, rip, cr3, old_value, value;
	uint32_t field, vcpu;
	const char *writer;     /* "VMWRITE", "shadow VMCS" ...; static */
};

/* A row of the exit statistics. */
struct nestscope_stat {
	uint32_t level, reflected, reason;
	uint32_t entry;         /* an entry, not an exit */
	uint64_t detail, rip, count, cost, caused;
};

struct nestscope_insn {
	uint64_t address, target; /* target of a direct branch or NESTSCOPE_NONE */
	uint32_t length;
	char text[96];
};

typedef void nestscope_event_fn(
	struct nestscope_plugin *self, void *ctx, const struct nestscope_event *ev);
typedef void nestscope_text_fn(void *ctx, const char *text, size_t len);
typedef void nestscope_stat_fn(void *ctx, const struct nestscope_stat *row);
/* 0: it worked; else fail() has said why. `rest` is the line after the name. */
typedef int nestscope_command_fn(struct nestscope_plugin *self, void *ctx, const char *rest,
	struct nestscope_output *out);
typedef void nestscope_draw_fn(struct nestscope_plugin *self, void *ctx,
	struct nestscope_canvas *canvas, uint32_t width, uint32_t height);
/* A Unicode code point or a key of 0x110000 and up; nonzero: taken. */
typedef int nestscope_key_fn(struct nestscope_plugin *self, void *ctx, uint32_t key);

/* The host's table. A place is (level, vcpu); level 0 is the place that runs
 * now. Functions that can fail return 0 for failure unless said otherwise;
 * error() then says why. */
struct nestscope_host {
	uint32_t version; /* of the host */
	uint32_t size;    /* bytes of the table */

	/* --- version 1 */
	/* Why the last call of this plugin failed; "" when none has. */
	const char *(*error)(struct nestscope_plugin *self);
	/* The value of KEY in --plugin FILE,KEY=VALUE; NULL: not given. Lives as
	 * long as the plugin. */
	const char *(*argument)(struct nestscope_plugin *self, const char *key);
	/* A line on the session's output; a newline is added. */
	void (*print)(struct nestscope_plugin *self, const char *text);
	/* Into the session's log, at "info", "warn" or "error". */
	void (*log)(struct nestscope_plugin *self, const char *level, const char *text);
	/* A failed command callback says why. */
	void (*fail)(struct nestscope_plugin *self, const char *text);

	/* A subscription: a handle above 0. */
	uint64_t (*on)(struct nestscope_plugin *self, const struct nestscope_filter *f,
		nestscope_event_fn *fn, void *ctx);
	/* Ends a subscription or a breakpoint; may be called in its callback. */
	int (*off)(struct nestscope_plugin *self, uint64_t handle);
	/* Matches so far, and conditions that could not be evaluated. */
	int (*counts)(struct nestscope_plugin *self, uint64_t handle, uint64_t *matches,
		uint64_t *faults);
	/* Before the instruction at a linear address of a level ("l2:0x1000",
	 * "kvm_intel:vmx_vcpu_run"): calls fn, and goes on. `once`: one time. A
	 * handle above 0. */
	uint64_t (*breakpoint)(struct nestscope_plugin *self, const char *address,
		const char *condition, int once, nestscope_event_fn *fn, void *ctx);

	void (*here)(struct nestscope_plugin *self, uint32_t *level, uint32_t *vcpu);
	uint64_t (*clock)(struct nestscope_plugin *self);
	/* The i-th level; 0 past the last. */
	int (*level)(struct nestscope_plugin *self, uint32_t i, struct nestscope_level *out);
	uint32_t (*vcpus)(struct nestscope_plugin *self);

	/* Registers of up to 64 bits, by name. */
	int (*reg)(struct nestscope_plugin *self, uint32_t level, uint32_t vcpu, const char *name,
		uint64_t *value);
	int (*set_reg)(struct nestscope_plugin *self, uint32_t level, uint32_t vcpu,
		const char *name, uint64_t value);
	/* Memory in a space: "l1", "l2", "l2:2" virtual, "l1p", "l2p" physical, "h"
	 * host; "l2.1" is as vCPU 1 sees it. Returns how many bytes could be read. */
	size_t (*read)(struct nestscope_plugin *self, const char *space, uint64_t address, void *out,
		size_t len);
	int (*write)(struct nestscope_plugin *self, const char *space, uint64_t address,
		const void *in, size_t len);
	/* The host-physical address behind an address. */
	int (*translate)(struct nestscope_plugin *self, const char *space, uint64_t address,
		uint64_t *host);
	/* Fields of a VMCS ("01", "12", "02", "shadow") by name or "0x681e". */
	int (*vmcs)(struct nestscope_plugin *self, const char *which, uint32_t level, uint32_t vcpu,
		const char *field, uint64_t *value);
	int (*set_vmcs)(struct nestscope_plugin *self, uint32_t level, uint32_t vcpu,
		const char *field, uint64_t value);
	int (*vmcs_writer)(struct nestscope_plugin *self, uint32_t level, uint32_t vcpu,
		const char *field, struct nestscope_write *out);
	/* "name+0x12", or the number. cr3 names an address space, or NESTSCOPE_NONE. */
	const char *(*symbol)(
		struct nestscope_plugin *self, uint32_t level, uint64_t cr3, uint64_t address);
	int (*symbol_find)(struct nestscope_plugin *self, uint32_t level, uint32_t vcpu,
		const char *name, uint64_t *address);
	/* From a Linux kernel's own BTF: a member's offset in bytes ("se.vruntime"
	 * goes into structs), a struct's size. */
	int (*member)(struct nestscope_plugin *self, uint32_t level, uint32_t vcpu,
		const char *type, const char *member, uint64_t *offset);
	int (*type_size)(struct nestscope_plugin *self, uint32_t level, uint32_t vcpu,
		const char *type, uint64_t *size);
	/* An expression of the command language. */
	int (*eval)(struct nestscope_plugin *self, uint32_t level, uint32_t vcpu, const char *text,
		uint64_t *value);
	/* One instruction as text; 0: not readable. */
	int (*disassemble)(struct nestscope_plugin *self, uint32_t level, uint32_t vcpu,
		uint64_t address, struct nestscope_insn *out);

	/* A transition that the ring still keeps. */
	int (*transition)(
		struct nestscope_plugin *self, uint64_t seq, struct nestscope_event *out);
	/* Statistics: rows by falling count; by: "", "detail", "rip" or both. The
	 * filter is that of `exits`. */
	int (*exit_stats)(struct nestscope_plugin *self, const char *filter, const char *by,
		nestscope_stat_fn *fn, void *ctx);
	/* Static names; numbers of names. */
	const char *(*reason_name)(struct nestscope_plugin *self, uint32_t reason);
	int (*reason_find)(struct nestscope_plugin *self, const char *name, uint32_t *reason);
	const char *(*field_name)(struct nestscope_plugin *self, uint32_t encoding);
	int (*field_find)(struct nestscope_plugin *self, const char *name, uint32_t *encoding);
	/* What a transition is about in words: "IA32_EFER", "port 0x3f8 out". */
	const char *(*detail_text)(
		struct nestscope_plugin *self, uint32_t reason, uint64_t detail, uint64_t qualification);

	/* Any line of the command table; its answer goes to fn, as one JSON object
	 * or for humans. 0: it failed, and the answer says why. */
	int (*command)(struct nestscope_plugin *self, const char *line, int json,
		nestscope_text_fn *fn, void *ctx);
	/* Stops the machine; from inside an event, there. */
	void (*stop)(struct nestscope_plugin *self, const char *why);
	/* Lets a machine that stands run on. */
	int (*resume)(struct nestscope_plugin *self);

	/* An event as VMX encodes its type: 0 interrupt, 2 NMI, 3 exception. */
	int (*inject)(struct nestscope_plugin *self, uint32_t level, uint32_t vcpu, uint32_t vector,
		uint32_t type, int has_error, uint32_t error);
	/* In "exit-before": the level goes on behind the instruction as if it had
	 * done nothing but set the registers whose bits are set in `mask` (RAX is
	 * bit 0, in the processor's order). L1 and L0 never see the exit. */
	int (*swallow)(struct nestscope_plugin *self, const struct nestscope_event *ev, uint32_t mask,
		const uint64_t *gpr);
	/* In "exit-before" of an L2: L1 gets this reason and qualification. */
	int (*rewrite)(struct nestscope_plugin *self, const struct nestscope_event *ev,
		uint32_t reason, uint64_t qualification);

	/* A command of the plugin, with help and completion: lower-case words of
	 * `usage` are completed. Gone with the plugin. */
	int (*add_command)(struct nestscope_plugin *self, const char *name, const char *usage,
		const char *summary, const char *details, nestscope_command_fn *fn, void *ctx);
	void (*out_text)(struct nestscope_output *out, const char *text);
	/* Opens a table, "level,>count": '>' aligns right; then cells, row by row. */
	void (*out_table)(struct nestscope_output *out, const char *name, const char *columns);
	/* Opens key-values; then out_key and a cell, pair by pair. */
	void (*out_values)(struct nestscope_output *out, const char *name);
	void (*out_key)(struct nestscope_output *out, const char *key);
	void (*out_str)(struct nestscope_output *out, const char *text);
	void (*out_u64)(struct nestscope_output *out, uint64_t value);
	void (*out_hex)(struct nestscope_output *out, uint64_t value);
	/* Renders tables outside of a command: fn fills it, and it is printed. */
	void (*print_output)(struct nestscope_plugin *self,
		void (*fn)(void *ctx, struct nestscope_output *out), void *ctx);

	/* A panel of the full-screen front end. Gone with the plugin. */
	int (*add_panel)(struct nestscope_plugin *self, const char *name, const char *title,
		nestscope_draw_fn *draw, nestscope_key_fn *key, void *ctx);
	/* Colours: "default", "dim", "title", "good", "warn", "bad", "l0", "l1",
	 * "l2", "address", "symbol", "number", "red" ... Returns the next column. */
	uint32_t (*panel_text)(struct nestscope_canvas *canvas, uint32_t x, uint32_t y,
		const char *colour, const char *text);
	void (*panel_bar)(struct nestscope_canvas *canvas, uint32_t x, uint32_t y, uint32_t width,
		const char *colour, uint64_t part, uint64_t whole);

	/* A new file: a plain name in the current folder, or a path that is one of
	 * the plugin's arguments; anything with --plugin-unsafe. NULL: failure. */
	struct nestscope_file *(*create)(struct nestscope_plugin *self, const char *path);
	int (*put)(struct nestscope_file *file, const void *data, size_t len);
	int (*close)(struct nestscope_file *file);

	/* Unloads this plugin, when it has returned. */
	void (*unload)(struct nestscope_plugin *self);
};

#endif

/* levels, level, regs, set, print. */
#include "command/cmds.h"
#include "introspect/expr.h"
#include "introspect/memory.h"
#include "introspect/regs.h"
#include "introspect/symbols.h"
#include "introspect/vmcs.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

void cmd_symbol(struct shell *sh, struct place at, uint64_t address, struct output *o)
{
	struct symbol y;
	struct buf b = {0};
	if (intro_symbol_at(sh->s, at, address, &y)) {
		intro_symbol_print(sh->s, at, address, &b);
		out_str(o, b.data);
	} else {
		out_none(o);
	}
	buf_done(&b);
}

void cmd_level_name(unsigned level, struct output *o)
{
	static const char *const plain[] = {"l0", "l1", "l2"};
	if (level > 2)
		out_fmt(o, "l2:%u", level - 1);
	else
		out_str(o, plain[level]);
}

static void show_levels(struct shell *sh, struct output *o)
{
	struct intro_level l[INTRO_MAX_LEVELS];
	unsigned n = intro_levels(sh->s, l, INTRO_MAX_LEVELS);
	out_table(o, "levels", "level,state,vmcs12,eptp,>vpid,>entries,>exits,>last_seen");
	for (unsigned i = 0; i < n; i++) {
		bool running = false;
		for (unsigned v = 0; v < intro_vcpus(sh->s); v++)
			running |= intro_place_state(sh->s, (struct place){l[i].id, v}) == PLACE_RUNNING;
		out_str(o, l[i].name);
		out_str(o, running ? "running" : l[i].alive ? "saved" : "ended");
		if (l[i].id == LEVEL_L1) {
			out_none(o);
			out_none(o);
			out_none(o);
		} else {
			out_hex(o, l[i].vmcs12);
			out_hex(o, l[i].eptp);
			out_u64(o, l[i].vpid);
		}
		out_grouped(o, l[i].entries);
		out_grouped(o, l[i].exits);
		out_grouped(o, l[i].last_seen);
	}
}

bool cmd_levels(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	static const char *const vmx[] = {"off", "root", "non-root"};
	struct intro_vcpu v;
	if (!args_end(a, e))
		return false;
	show_levels(sh, o);
	out_gap(o);
	out_table(o, "vcpus", ">vcpu,level,mode,>cpl,activity,vmx,vmcs12,pc,symbol,>retired");
	for (unsigned i = 0; i < intro_vcpus(sh->s); i++) {
		uint64_t pc = 0;
		if (!intro_vcpu(sh->s, i, &v))
			continue;
		struct place at = {v.level, i};
		out_u64(o, i);
		cmd_level_name(v.level, o);
		out_str(o, v.mode);
		out_u64(o, v.cpl);
		out_str(o, v.activity);
		out_str(o, vmx[v.vmx]);
		if (v.vmcs12 == UINT64_MAX)
			out_none(o);
		else
			out_hex(o, v.vmcs12);
		intro_pc(sh->s, at, &pc);
		out_hex(o, pc);
		cmd_symbol(sh, at, pc, o);
		out_grouped(o, v.retired);
	}
	return true;
}

bool cmd_level(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	struct intro_level l;
	static const char *const states[] = {"running", "saved", "never ran"};
	if (args_next(a)) {
		struct place at = sh->focus;
		if (!intro_parse_place(sh->s, a->word, &at, e) || !args_end(a, e))
			return false;
		sh->focus = at;
	}
	intro_level(sh->s, sh->focus.level, &l);
	out_values(o, NULL);
	out_key(o, "level");
	out_str(o, l.name);
	out_key(o, "vcpu");
	out_u64(o, sh->focus.vcpu);
	out_key(o, "state");
	out_str(o, states[intro_place_state(sh->s, sh->focus)]);
	return true;
}

/* --- regs -------------------------------------------------------------------- */

static void show_reg(struct shell *sh, struct place at, enum reg_id id, struct output *o)
{
	struct reg_value v;
	struct buf b = {0};
	uint64_t u = 0;
	out_str(o, reg_info(id)->name);
	if (!intro_reg(sh->s, at, id, &v)) {
		out_none(o);
		out_str(o, "unavailable: this level is not running");
		return;
	}
	if (v.size > 8) {
		struct buf h = {0};
		buf_str(&h, "0x");
		for (unsigned i = v.size; i--;)
			buf_fmt(&h, "%02x", v.bytes[i]);
		out_str(o, h.data);
		out_str(o, "");
		buf_done(&h);
		return;
	}
	memcpy(&u, v.bytes, v.size);
	out_hexw(o, u, v.size);
	reg_decode(id, u, &b);
	if (!b.len && (id == R_RIP || id == R_PC_LINEAR || reg_info(id)->bits == 64)) {
		struct symbol y;
		if (intro_symbol_at(sh->s, at, u, &y))
			intro_symbol_print(sh->s, at, u, &b);
	}
	out_str(o, b.data ? b.data : "");
	buf_done(&b);
}

static bool reg_matches(enum reg_id id, const char *pattern)
{
	const struct reg_info *r = reg_info(id);
	return !strcasecmp(pattern, "all") || !strcasecmp(pattern, reg_group_name(r->group)) ||
		!fnmatch(pattern, r->name, FNM_CASEFOLD) || reg_find(pattern) == id;
}

static void add_matches(bool *wanted, const char *pattern, unsigned *n)
{
	*n = 0;
	for (enum reg_id r = 0; r < R_COUNT; r++) {
		if (reg_matches(r, pattern)) {
			wanted[r] = true;
			++*n;
		}
	}
}

bool cmd_regs(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	struct place at = sh->focus;
	bool wanted[R_COUNT] = {false}, any = false;
	unsigned n;
	if (!args_place(sh, a, &at, e) || !intro_check(sh->s, at, e))
		return false;
	while (args_next(a)) {
		add_matches(wanted, a->word, &n);
		if (!n)
			return err_set(e, ERR_GENERAL, "no register or group '%s'; groups are general segment "
				"x87 sse avx control debug msr vmx, and all", a->word);
		any = true;
	}
	if (!any)
		add_matches(wanted, "general", &n);
	out_table(o, "registers", "name,value,meaning");
	for (enum reg_id r = 0; r < R_COUNT; r++)
		if (wanted[r])
			show_reg(sh, at, r, o);
	return true;
}

/* --- set --------------------------------------------------------------------- */

/* "u32[ADDRESS]" or "ADDRESS": the address and size of the store. */
static bool memory_target(struct shell *sh, struct place at, char *left, struct intro_address *to,
	unsigned *size, struct err *e)
{
	static const struct {
		const char *head;
		unsigned size;
	} heads[] = {{"u8[", 1}, {"u16[", 2}, {"u32[", 4}, {"u64[", 8}, {"[", 8}};
	size_t n = strlen(left);
	for (size_t i = 0; i < 5; i++) {
		size_t h = strlen(heads[i].head);
		if (strncmp(left, heads[i].head, h) || !n || left[n - 1] != ']')
			continue;
		left[n - 1] = 0;
		*size = heads[i].size;
		return intro_parse_address(sh->s, at, left + h, to, e);
	}
	return err_set(e, ERR_GENERAL, "'%.60s' is no register, VMCS field or memory; write e.g. rax, "
		"GUEST_RIP or u32[l2:0x1000]", left);
}

static bool set_vmcs(struct shell *sh, struct place at, const char *left, uint64_t v, bool *done,
	struct err *e)
{
	enum intro_vmcs which = INTRO_VMCS12;
	const char *dot = strchr(left, '.');
	char head[16] = "";
	if (dot && (size_t)(dot - left) < sizeof head) {
		snprintf(head, sizeof head, "%.*s", (int)(dot - left), left);
		if (intro_vmcs_parse(head, &which))
			left = dot + 1;
	}
	const struct intro_field *f = intro_field_find(left);
	*done = f != NULL;
	return f && intro_vmcs_set(sh->s, at, which, f->encoding, v, e);
}

bool cmd_set(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	struct place at = sh->focus;
	struct intro_address to;
	char left[256], shown[256];
	uint64_t v;
	unsigned size = 8;
	bool done;
	if (!args_place(sh, a, &at, e))
		return false;
	const char *rest = args_rest(a), *eq = rest ? strchr(rest, '=') : NULL;
	if (!eq)
		return err_set(e, ERR_GENERAL, "'=' is missing; write e.g. set rax = 5");
	size_t n = (size_t)(eq - rest);
	while (n && (rest[n - 1] == ' ' || rest[n - 1] == '\t'))
		n--;
	if (!n || n >= sizeof left)
		return err_set(e, ERR_GENERAL, "what to set is missing before '='");
	snprintf(left, sizeof left, "%.*s", (int)n, rest);
	snprintf(shown, sizeof shown, "%s", left);
	if (!intro_eval(sh->s, at, eq + 1, &v, e))
		return false;
	enum reg_id r = reg_find(left);
	if (r != R_COUNT) {
		if (!intro_set_reg_u64(sh->s, at, r, v, e))
			return false;
	} else if (!set_vmcs(sh, at, left, v, &done, e)) {
		if (done || !memory_target(sh, at, left, &to, &size, e) ||
			!intro_write(sh->s, to.at, to.space, to.value, &v, size, e))
			return false;
	}
	out_text(o, "%s = 0x%llx", shown, (unsigned long long)v);
	return true;
}

bool cmd_print(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	uint64_t v;
	const char *text = args_rest(a);
	struct symbol y;
	if (!text)
		return err_set(e, ERR_GENERAL, "an expression is missing, e.g. print rsp + 8");
	if (!intro_eval(sh->s, sh->focus, text, &v, e))
		return false;
	out_values(o, NULL);
	out_key(o, "hex");
	out_hex(o, v);
	out_key(o, "decimal");
	out_u64(o, v);
	if (intro_symbol_at(sh->s, sh->focus, v, &y)) {
		out_key(o, "symbol");
		cmd_symbol(sh, sh->focus, v, o);
	}
	return true;
}

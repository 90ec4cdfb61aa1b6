/* info, typing, keys, snapshots, inputs, hash, log. */
#include "command/cmds.h"
#include "base/log.h"
#include "introspect/machine.h"
#include "introspect/regs.h"

#include <inttypes.h>
#include <regex.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

static void info_devices(struct shell *sh, struct output *o)
{
	struct intro_device d[192];
	size_t n = intro_devices(sh->s, d, 192);
	out_table(o, "devices", "space,from,to,device");
	for (size_t i = 0; i < n; i++) {
		out_str(o, d[i].space);
		out_hex(o, d[i].base);
		out_hex(o, d[i].base + d[i].size - 1);
		out_str(o, d[i].name);
	}
}

static void info_memory(struct shell *sh, struct output *o)
{
	struct intro_memory_range r[64];
	size_t n = intro_memory_ranges(sh->s, r, 64);
	out_table(o, "memory", "from,to,kind,name");
	for (size_t i = 0; i < n; i++) {
		out_hex(o, r[i].base);
		out_hex(o, r[i].base + r[i].size - 1);
		out_str(o, r[i].kind);
		out_str(o, r[i].name);
	}
}

static void info_cpu(struct shell *sh, struct output *o)
{
	struct buf b = {0};
	intro_cpu_info(sh->s, &b);
	out_values(o, NULL);
	char *save = NULL;
	for (char *l = b.data ? strtok_r(b.data, "\n", &save) : NULL; l; l = strtok_r(NULL, "\n", &save)) {
		char *colon = strstr(l, ": ");
		if (!colon)
			continue;
		*colon = 0;
		out_key(o, l);
		out_str(o, colon + 2);
	}
	buf_done(&b);
}

#define INPUTS_SHOWN 200

static void info_inputs(struct shell *sh, struct output *o)
{
	size_t n = intro_inputs(sh->s);
	struct intro_input in;
	out_table(o, "inputs", ">number,>clock,kind,>target,>bytes,data");
	for (size_t i = n > INPUTS_SHOWN ? n - INPUTS_SHOWN : 0; i < n; i++) {
		struct buf b = {0};
		if (!intro_input_at(sh->s, i, &in))
			continue;
		out_u64(o, i);
		out_u64(o, in.at.clock);
		out_fmt(o, "%s%s", in.kind, in.by_plugin ? " by plugin" : "");
		out_u64(o, in.target);
		out_u64(o, in.len);
		buf_hex(&b, in.data, in.len < 16 ? in.len : 16);
		out_str(o, b.data ? b.data : "");
		buf_done(&b);
	}
}

static void info_registers(struct output *o)
{
	out_table(o, "registers", "name,>bits,group,type");
	for (enum reg_id r = 0; r < R_COUNT; r++) {
		out_str(o, reg_info(r)->name);
		out_u64(o, reg_info(r)->bits);
		out_str(o, reg_group_name(reg_info(r)->group));
		out_str(o, reg_info(r)->type);
	}
}

bool cmd_info(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	const char *w = args_next(a);
	if (!w)
		w = "";
	if (!strcmp(w, "devices"))
		info_devices(sh, o);
	else if (!strcmp(w, "memory"))
		info_memory(sh, o);
	else if (!strcmp(w, "cpu"))
		info_cpu(sh, o);
	else if (!strcmp(w, "inputs"))
		info_inputs(sh, o);
	else if (!strcmp(w, "registers"))
		info_registers(o);
	else if (!strcmp(w, "stop"))
		command_show_stop(sh, intro_last_stop(sh->s), o);
	else
		return cmd_choices("topic", w, "devices, cpu, memory, inputs, registers, stop", e);
	return args_end(a, e);
}

/* --- typing ------------------------------------------------------------------- */

/* C escapes; the result is never longer. */
static size_t unescape(const char *text, char *out)
{
	size_t n = 0;
	for (; *text; text++) {
		if (*text != '\\' || !text[1]) {
			out[n++] = *text;
			continue;
		}
		switch (*++text) {
		case 'n': out[n++] = '\n'; break;
		case 'r': out[n++] = '\r'; break;
		case 't': out[n++] = '\t'; break;
		case 'e': out[n++] = 27; break;
		case 'x': {
			char *end, hex[3] = {text[1], text[1] ? text[2] : 0, 0};
			out[n++] = (char)strtoul(hex, &end, 16);
			text += end - hex;
			break;
		}
		default: out[n++] = *text;
		}
	}
	return n;
}

/* The rest of the line, without one pair of quotes around all of it. */
static const char *line_text(struct args *a, char *copy, size_t max)
{
	const char *t = args_rest(a);
	size_t n = t ? strlen(t) : 0;
	if (!n || n >= max)
		return NULL;
	if (n >= 2 && (t[0] == '"' || t[0] == '\'') && t[n - 1] == t[0]) {
		t++;
		n -= 2;
	}
	memcpy(copy, t, n);
	copy[n] = 0;
	return copy;
}

bool cmd_type(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	char text[4096], bytes[4096];
	(void)o;
	if (!line_text(a, text, sizeof text))
		return err_set(e, ERR_GENERAL, "a text of 1 to 4095 characters is wanted, e.g. type root\\n");
	return intro_type(sh->s, 0, bytes, unescape(text, bytes), e);
}

/* The first place of the text or /RE/ in what was printed; false: not yet. */
static bool printed(const char *want, const regex_t *re, const char *have, size_t *end)
{
	regmatch_t m;
	const char *at;
	if (re) {
		if (regexec(re, have, 1, &m, 0))
			return false;
		*end = (size_t)m.rm_eo;
		return true;
	}
	if (!(at = strstr(have, want)))
		return false;
	*end = (size_t)(at - have) + strlen(want);
	return true;
}

#define EXPECT_SLICE 1000000

static bool expect_loop(struct shell *sh, const char *want, const regex_t *re, uint64_t deadline,
	struct output *o, struct err *e)
{
	struct buf have = {0};
	size_t end = 0, checked = 0;
	uint64_t from = sh->expect_from, wake;
	bool found = false, ended = false;
	for (;;) {
		uint64_t before = from;
		intro_console_read(sh->s, 0, &from, &have);
		if (from != before || !checked++)
			found = have.data && printed(want, re, have.data, &end);
		if (found || ended || intro_position(sh->s).clock >= deadline)
			break;
		if (!intro_running(sh->s) && !intro_continue(sh->s, e))
			break;
		ended = intro_run_slice(sh->s, EXPECT_SLICE, &wake) == RUN_STOPPED;
	}
	if (intro_running(sh->s)) {
		intro_pause(sh->s);
		intro_run(sh->s);
	}
	sh->focus = intro_last_stop(sh->s)->at;
	if (found) {
		sh->expect_from = from - (have.len - end);
		out_text(o, "printed at clock %" PRIu64, intro_position(sh->s).clock);
	} else if (ended) {
		err_set(e, ERR_GENERAL, "'%s' was not printed: %s", want, intro_last_stop(sh->s)->text);
	} else {
		err_set(e, ERR_GENERAL, "'%s' was not printed in time", want);
	}
	buf_done(&have);
	return found;
}

/* A word, or /RE/ up to the slash that a blank or the end follows. */
static bool expected_text(struct args *a, char *want, size_t max)
{
	const char *rest = args_rest(a);
	if (!rest || *rest != '/') {
		if (args_next(a))
			snprintf(want, max, "%s", a->word);
		return rest != NULL;
	}
	const char *end = rest + 1;
	while (*end && !(*end == '/' && (!end[1] || end[1] == ' ')))
		end++;
	snprintf(want, max, "%.*s", (int)(end - rest) + (*end == '/'), rest);
	a->rest = *end ? end + 1 : end;
	return true;
}

bool cmd_expect(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	char want[512];
	regex_t re;
	uint64_t seconds = 60;
	if (!expected_text(a, want, sizeof want))
		return err_set(e, ERR_GENERAL, "a text or /RE/ is missing");
	if ((args_rest(a) && !args_number(sh, a, &seconds, e)) || !args_end(a, e))
		return false;
	if (intro_running(sh->s))
		return err_set(e, ERR_GENERAL, "it runs; pause first");
	uint64_t now = intro_position(sh->s).clock;
	uint64_t deadline = seconds < 1000000 ? now + seconds * CLOCK_HZ : UINT64_MAX;
	size_t n = strlen(want);
	if (n < 3 || want[0] != '/' || want[n - 1] != '/') {
		char plain[512];
		plain[unescape(want, plain)] = 0;
		return expect_loop(sh, plain, NULL, deadline, o, e);
	}
	want[n - 1] = 0;
	if (regcomp(&re, want + 1, REG_EXTENDED | REG_NEWLINE))
		return err_set(e, ERR_GENERAL, "/%s/ is no regular expression", want + 1);
	bool ok = expect_loop(sh, want + 1, &re, deadline, o, e);
	regfree(&re);
	return ok;
}

bool cmd_key(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	(void)o;
	if (!args_next(a))
		return err_set(e, ERR_GENERAL, "a key's name is missing, e.g. key enter");
	return intro_key(sh->s, a->word, e) && args_end(a, e);
}

bool cmd_nmi(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	uint64_t vcpu = 0;
	(void)o;
	if ((args_rest(a) && !args_number(sh, a, &vcpu, e)) || !args_end(a, e))
		return false;
	return intro_nmi(sh->s, (unsigned)vcpu, e);
}

bool cmd_inject(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	struct place at = sh->focus;
	uint64_t vector, error = 0;
	unsigned type;
	(void)o;
	if (!args_place(sh, a, &at, e) || !args_number(sh, a, &vector, e))
		return false;
	type = args_take(a, "nmi") ? 2 : args_take(a, "interrupt") ? 0 :
		args_take(a, "exception") ? 3 : vector == 2 ? 2 : vector < 32 ? 3 : 0;
	bool has_error = args_rest(a) != NULL;
	if ((has_error && !args_number(sh, a, &error, e)) || !args_end(a, e))
		return false;
	return intro_inject(sh->s, at, (unsigned)vector, type, has_error, (uint32_t)error, e);
}

bool cmd_reset(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	(void)o;
	return args_end(a, e) && intro_reset(sh->s, e);
}

bool cmd_powerdown(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	(void)o;
	return args_end(a, e) && intro_powerdown(sh->s, e);
}

/* Code page 437 below and above ASCII, as UTF-8, near enough to read. */
static void screen_char(uint8_t c, struct buf *out)
{
	static const char *const line[] = {"░", "▒", "▓", "│", "┤", "╡", "╢", "╖", "╕", "╣", "║", "╗", "╝",
		"╜", "╛", "┐", "└", "┴", "┬", "├", "─", "┼", "╞", "╟", "╚", "╔", "╩", "╦", "╠", "═", "╬", "╧",
		"╨", "╤", "╥", "╙", "╘", "╒", "╓", "╫", "╪", "┘", "┌", "█"};
	if (c >= 0x20 && c < 0x7f)
		buf_char(out, (char)c);
	else if (c >= 0xb0 && c <= 0xdb)
		buf_str(out, line[c - 0xb0]);
	else
		buf_char(out, ' ');
}

bool cmd_screen(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	struct intro_screen *sc = xalloc(sizeof *sc);
	struct buf b = {0};
	bool ok = args_end(a, e) && intro_screen(sh->s, sc, e);
	for (unsigned r = 0; ok && r < sc->rows; r++) {
		for (unsigned c = 0; c < sc->columns; c++)
			screen_char(sc->cell[r][c].character, &b);
		while (b.len && b.data[b.len - 1] == ' ')
			b.data[--b.len] = 0;
		buf_char(&b, '\n');
	}
	if (ok)
		out_raw(o, "screen", b.data ? b.data : "", b.len);
	buf_done(&b);
	free(sc);
	return ok;
}

bool cmd_console(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	struct buf b = {0};
	uint64_t lines = 24, from = 0;
	if ((args_rest(a) && !args_number(sh, a, &lines, e)) || !args_end(a, e))
		return false;
	intro_console_read(sh->s, 0, &from, &b);
	size_t at = b.len;
	while (at && (b.data[at - 1] != '\n' || at == b.len || --lines))
		at--;
	out_raw(o, "console", b.data ? b.data + at : "", b.len - at);
	buf_done(&b);
	return true;
}

/* --- snapshots, inputs, hash, log ------------------------------------------------ */

static bool file_arg(struct args *a, struct err *e)
{
	if (!args_next(a))
		return err_set(e, ERR_GENERAL, "a file name is missing");
	return args_end(a, e);
}

bool cmd_save(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	if (!file_arg(a, e) || !intro_save(sh->s, a->word, e))
		return false;
	out_text(o, "saved: %s", a->word);
	return true;
}

bool cmd_load(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	if (!file_arg(a, e) || !intro_load(sh->s, a->word, e))
		return false;
	sh->focus = intro_here(sh->s);
	out_text(o, "loaded: %s", a->word);
	return true;
}

bool cmd_inputs(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	if (args_take(a, "save"))
		return file_arg(a, e) && intro_inputs_save(sh->s, a->word, e);
	if (args_take(a, "play"))
		return file_arg(a, e) && intro_inputs_play(sh->s, a->word, e);
	if (args_next(a))
		return cmd_choices("use of inputs", a->word, "save FILE, play FILE", e);
	info_inputs(sh, o);
	return true;
}

bool cmd_hash(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	struct state_hash h;
	if (!args_end(a, e) || !intro_hash(sh->s, &h, e))
		return false;
	out_values(o, NULL);
	out_key(o, "hash");
	out_fmt(o, "%016" PRIx64 "%016" PRIx64, h.hi, h.lo);
	out_key(o, "clock");
	out_u64(o, intro_position(sh->s).clock);
	return true;
}

bool cmd_log(struct shell *sh, struct args *a, struct output *o, struct err *e)
{
	static const char *const levels[] = {"debug", "info", "warning", "error"};
	struct log *l = intro_log(sh->s);
	uint64_t count = 40;
	if ((args_rest(a) && !args_number(sh, a, &count, e)) || !args_end(a, e))
		return false;
	size_t n = log_count(l);
	out_table(o, "log", ">clock,level,topic,>count,text");
	for (size_t i = n > count ? n - count : 0; i < n; i++) {
		const struct log_line *line = log_at(l, i);
		out_grouped(o, line->clock);
		out_str(o, levels[line->level]);
		out_str(o, line->topic);
		out_u64(o, line->count);
		out_str(o, line->text);
	}
	return true;
}

/* Threads and processes: levels are processes, vCPUs are threads. */
#include "gdbstub/handlers.h"

#include "base/hex.h"

#include <stdlib.h>
#include <string.h>

void thread_print(struct conn *c, struct place at, struct buf *out)
{
	if (c->multiprocess)
		buf_fmt(out, "p%x.%x", at.level, at.vcpu + 1);
	else
		buf_fmt(out, "%x", at.vcpu + 1);
}

/* A hex number or -1 (as *all); 0 is "any". */
static bool part(const char **p, unsigned *n, bool *all)
{
	char *end;
	if (!strncmp(*p, "-1", 2)) {
		*all = true;
		*p += 2;
		return true;
	}
	if (hex_digit(**p) < 0)
		return false;
	unsigned long v = strtoul(*p, &end, 16);
	*n = v > 0xffff ? 0xffff : (unsigned)v;
	*p = end;
	return true;
}

/* gdb asks for a process's description when it connects and never for one that
 * appears later, so that the first L2 is a process from the start: until L1
 * enters it, its registers are unavailable. */
static bool level_known(struct conn *c, unsigned id)
{
	struct intro_level level;
	return intro_level(c->s, id, &level) || id == (c->multiprocess ? (unsigned)LEVEL_L2 : c->level);
}

bool thread_parse(struct conn *c, const char **p, struct place *at, bool *all)
{
	struct place here = intro_here(c->s);
	unsigned process = c->multiprocess ? here.level : c->level, thread = 0;
	*all = false;
	if (**p == 'p') {
		++*p;
		if (!part(p, &process, all))
			return false;
		if (*all || process == 0)
			process = here.level;
		if (**p == '.') {
			++*p;
			if (!part(p, &thread, all))
				return false;
		} else {
			*all = true;
		}
	} else if (!part(p, &thread, all)) {
		return false;
	}
	at->level = process;
	at->vcpu = *all || !thread ? here.vcpu : thread - 1;
	if (at->vcpu >= intro_vcpus(c->s))
		return false;
	return level_known(c, at->level);
}

unsigned thread_list(struct conn *c, struct place *out, unsigned max)
{
	struct intro_level level[INTRO_MAX_LEVELS];
	unsigned levels = intro_levels(c->s, level, INTRO_MAX_LEVELS), n = 0;
	for (unsigned i = 0; i < levels; i++) {
		if (!c->multiprocess && level[i].id != c->level)
			continue;
		if (level[i].id > LEVEL_L2 && !level[i].alive)
			continue;
		uint64_t known = intro_level_vcpus(c->s, level[i].id);
		for (unsigned v = 0; v < intro_vcpus(c->s) && n < max; v++)
			if (level[i].id == LEVEL_L1 || known >> v & 1 || (level[i].id == LEVEL_L2 && !v))
				out[n++] = (struct place){level[i].id, v};
	}
	if (c->multiprocess ? levels == 1 : n == 0)
		out[n++] = (struct place){c->multiprocess ? LEVEL_L2 : c->level, 0};
	return n;
}

void thread_suffix(struct conn *c, char *args)
{
	char *s = c->thread_suffix ? strstr(args, ";thread:") : NULL;
	if (!s)
		return;
	const char *p = s + 8;
	struct place at;
	bool all;
	if (thread_parse(c, &p, &at, &all))
		c->general = at;
	*s = 0;
}

/* The thread that a packet is about; false: it has been answered that there is
 * none. */
static bool thread_arg(struct conn *c, const char *text, struct place *at)
{
	bool all;
	if (thread_parse(c, &text, at, &all))
		return true;
	reply_error(c, "no such thread");
	return false;
}

void packet_H(struct conn *c, char *args, size_t len)
{
	struct place at;
	if (!thread_arg(c, len ? args + 1 : "", &at))
		return;
	if (args[0] == 'g')
		c->general = at;
	else
		c->resume = at;
	reply_ok(c);
}

void packet_T(struct conn *c, char *args, size_t len)
{
	struct place at;
	(void)len;
	if (thread_arg(c, args, &at))
		reply_ok(c);
}

void packet_qC(struct conn *c, char *args, size_t len)
{
	(void)args, (void)len;
	buf_str(&c->reply, "QC");
	thread_print(c, c->general, &c->reply);
}

void packet_qsThreadInfo(struct conn *c, char *args, size_t len)
{
	struct place at[INTRO_MAX_VCPUS * 4];
	unsigned n = thread_list(c, at, sizeof(at) / sizeof(at[0]));
	(void)args, (void)len;
	if (c->thread_next >= n) {
		buf_str(&c->reply, "l");
		return;
	}
	for (char sep = 'm'; c->thread_next < n; sep = ',') {
		buf_char(&c->reply, sep);
		thread_print(c, at[c->thread_next++], &c->reply);
	}
}

void packet_qfThreadInfo(struct conn *c, char *args, size_t len)
{
	c->thread_next = 0;
	packet_qsThreadInfo(c, args, len);
}

/* "L2 VMX non-root, 64-bit, VMCS12 0x5000, saved" */
static void describe(struct conn *c, struct place at, struct buf *out)
{
	struct intro_level level;
	struct intro_vcpu v;
	if (!intro_vcpu(c->s, at.vcpu, &v))
		return;
	if (!intro_level(c->s, at.level, &level)) {
		buf_str(out, "l2, not entered yet");
		return;
	}
	enum intro_state state = intro_place_state(c->s, at);
	buf_fmt(out, "%s vCPU %u", level.name, at.vcpu);
	if (at.level == LEVEL_L1)
		buf_str(out, v.vmx == INTRO_VMX_OFF ? ", VMX off" : ", VMX root");
	else
		buf_str(out, ", VMX non-root");
	uint64_t vmcs12 = at.level == LEVEL_L1 ? v.vmcs12 : level.vmcs12;
	if (vmcs12 != UINT64_MAX)
		buf_fmt(out, ", VMCS12 0x%llx", (unsigned long long)vmcs12);
	if (state == PLACE_RUNNING)
		buf_fmt(out, ", %s, %s", v.mode, v.activity);
	else
		buf_str(out, state == PLACE_SAVED ? ", saved" : ", never ran here");
}

void packet_qThreadExtraInfo(struct conn *c, char *args, size_t len)
{
	struct buf text = {0};
	struct place at;
	if (!thread_arg(c, len ? args + 1 : "", &at))
		return;
	describe(c, at, &text);
	buf_hex(&c->reply, text.data ? text.data : "", text.len);
	buf_done(&text);
}

/* Sends part of a document: "[annex:]offset,length". */
void xfer(struct conn *c, const char *range, const struct buf *doc)
{
	char *end;
	unsigned long offset = strtoul(range, &end, 16);
	unsigned long length = *end == ',' ? strtoul(end + 1, NULL, 16) : 0;
	if (*end != ',') {
		reply_error(c, "qXfer wants OFFSET,LENGTH");
		return;
	}
	if (offset >= doc->len) {
		buf_str(&c->reply, "l");
		return;
	}
	if (length > FRAME_MAX / 2)
		length = FRAME_MAX / 2;
	size_t n = doc->len - offset < length ? doc->len - offset : length;
	buf_char(&c->reply, offset + n < doc->len ? 'm' : 'l');
	buf_add(&c->reply, doc->data + offset, n);
}

void packet_threads(struct conn *c, char *args, size_t len)
{
	struct place at[INTRO_MAX_VCPUS * 4];
	unsigned n = thread_list(c, at, sizeof(at) / sizeof(at[0]));
	struct buf doc = {0};
	(void)len;
	buf_str(&doc, "<?xml version=\"1.0\"?>\n<threads>\n");
	for (unsigned i = 0; i < n; i++) {
		buf_str(&doc, "<thread id=\"");
		thread_print(c, at[i], &doc);
		buf_fmt(&doc, "\" core=\"%u\">", at[i].vcpu);
		describe(c, at[i], &doc);
		buf_str(&doc, "</thread>\n");
	}
	buf_str(&doc, "</threads>\n");
	xfer(c, *args == ':' ? args + 1 : args, &doc);
	buf_done(&doc);
}

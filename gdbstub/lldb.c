/* What lldb asks and gdb does not. */
#include "gdbstub/handlers.h"

static void hex_text(struct buf *out, const char *s)
{
	size_t n = 0;
	while (s[n])
		n++;
	buf_hex(out, s, n);
}

static void describe(struct conn *c)
{
	buf_str(&c->reply, "triple:");
	hex_text(&c->reply, c->i386 ? "i386-unknown-none-elf" : "x86_64-unknown-none-elf");
	buf_fmt(&c->reply, ";endian:little;ptrsize:%u;", c->i386 ? 4 : 8);
}

void packet_qHostInfo(struct conn *c, char *args, size_t len)
{
	(void)args, (void)len;
	describe(c);
}

void packet_qProcessInfo(struct conn *c, char *args, size_t len)
{
	(void)args, (void)len;
	buf_fmt(&c->reply, "pid:%x;", c->level);
	describe(c);
}

void packet_QThreadSuffix(struct conn *c, char *args, size_t len)
{
	(void)args, (void)len;
	c->thread_suffix = true;
	reply_ok(c);
}

void packet_jThreadsInfo(struct conn *c, char *args, size_t len)
{
	struct place at[INTRO_MAX_VCPUS];
	unsigned n = thread_list(c, at, INTRO_MAX_VCPUS);
	struct place here = intro_here(c->s);
	(void)args, (void)len;
	buf_char(&c->reply, '[');
	for (unsigned i = 0; i < n; i++) {
		bool is_here = at[i].vcpu == here.vcpu;
		buf_fmt(&c->reply, "%s{\"tid\":%u,\"reason\":\"%s\"}", i ? "," : "", at[i].vcpu + 1,
			is_here ? "trap" : "none");
	}
	buf_char(&c->reply, ']');
}

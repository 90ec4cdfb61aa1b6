/* Registers on the wire, in the order of introspect/regs.def. */
#include "gdbstub/handlers.h"

#include "base/hex.h"

#include <stdlib.h>
#include <string.h>

/* What the description leaves out on a 32-bit session has no bytes. */
unsigned target_regs(const struct conn *c, enum reg_id id)
{
	const struct reg_info *r = reg_info(id);
	if (!c->i386)
		return r->bits / 8;
	if (id >= R_R8 && id <= R_R15)
		return 0;
	if ((id >= R_XMM8 && id <= R_XMM15) || (id >= R_YMM8H && id <= R_YMM15H))
		return 0;
	return id <= R_RIP ? 4 : r->bits / 8;
}

static void put(struct conn *c, enum reg_id id)
{
	struct reg_value v;
	unsigned size = target_regs(c, id);
	if (intro_reg(c->s, c->general, id, &v)) {
		uint8_t bytes[16] = {0};
		memcpy(bytes, v.bytes, v.size < sizeof(bytes) ? v.size : sizeof(bytes));
		buf_hex(&c->reply, bytes, size);
	} else {
		for (unsigned i = 0; i < size; i++)
			buf_str(&c->reply, "xx");
	}
}

void packet_g(struct conn *c, char *args, size_t len)
{
	(void)args, (void)len;
	for (enum reg_id id = 0; id <= TARGET_G_END; id++)
		put(c, id);
}

void packet_p(struct conn *c, char *args, size_t len)
{
	char *end;
	unsigned long n = strtoul(args, &end, 16);
	(void)len;
	if (end == args || n >= R_COUNT)
		reply_error(c, "no such register number");
	else
		put(c, (enum reg_id)n);
}

/* True when the register holds what is written already (gdb's G writes all). */
static bool same(struct conn *c, enum reg_id id, const uint8_t *bytes, unsigned size)
{
	struct reg_value v;
	return intro_reg(c->s, c->general, id, &v) && !memcmp(v.bytes, bytes, size);
}

static bool set(struct conn *c, enum reg_id id, const char *hex, unsigned size)
{
	uint8_t bytes[16];
	struct err e = {0};
	if (!strncmp(hex, "xx", 2))
		return true;
	if (!hex_decode(bytes, hex, size)) {
		reply_error(c, "register contents are hex digits");
		return false;
	}
	if (same(c, id, bytes, size) || intro_set_reg(c->s, c->general, id, bytes, size, &e))
		return true;
	reply_err(c, &e);
	return false;
}

void packet_G(struct conn *c, char *args, size_t len)
{
	size_t want = 0, at = 0;
	for (enum reg_id id = 0; id <= TARGET_G_END; id++)
		want += 2 * target_regs(c, id);
	if (len < want) {
		reply_error(c, "G is shorter than the registers of g");
		return;
	}
	for (enum reg_id id = 0; id <= TARGET_G_END; id++) {
		if (!set(c, id, args + at, target_regs(c, id)))
			return;
		at += 2 * target_regs(c, id);
	}
	reply_ok(c);
}

void packet_P(struct conn *c, char *args, size_t len)
{
	char *end;
	unsigned long n = strtoul(args, &end, 16);
	if (end == args || *end != '=' || n >= R_COUNT) {
		reply_error(c, "P wants NUMBER=VALUE");
		return;
	}
	unsigned size = target_regs(c, (enum reg_id)n);
	if (!size || (size_t)(args + len - end - 1) != 2 * size)
		reply_error(c, "the value has not the size of the register");
	else if (set(c, (enum reg_id)n, end + 1, size))
		reply_ok(c);
}

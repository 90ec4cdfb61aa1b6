/* Memory of the chosen level: virtual through its tables (and EPT12), or
 * guest-physical after `monitor physical on`. */
#include "gdbstub/handlers.h"

#include "base/hex.h"
#include "introspect/walk.h"

#include <stdlib.h>
#include <string.h>

static enum intro_space space(const struct conn *c)
{
	return c->physical ? SPACE_PHYSICAL : SPACE_VIRTUAL;
}

/* "ADDR,LEN" and what follows; NULL: malformed or too long. */
static char *parse(struct conn *c, char *args, uint64_t *at, uint64_t *len)
{
	char *end;
	*at = strtoull(args, &end, 16);
	if (end == args || *end != ',') {
		reply_error(c, "ADDRESS,LENGTH expected");
		return NULL;
	}
	char *n = end + 1;
	*len = strtoull(n, &end, 16);
	if (end == n) {
		reply_error(c, "ADDRESS,LENGTH expected");
		return NULL;
	}
	return end;
}

void packet_m(struct conn *c, char *args, size_t len)
{
	uint64_t at, n;
	(void)len;
	if (!parse(c, args, &at, &n))
		return;
	if (n > FRAME_MAX / 2)
		n = FRAME_MAX / 2;
	uint8_t *bytes = xalloc(n);
	struct intro_mem_fail fail;
	size_t got = intro_read(c->s, c->general, space(c), at, bytes, n, &fail);
	if (got || !n)
		buf_hex(&c->reply, bytes, got);
	else
		buf_str(&c->reply, "E01"); /* gdb takes no text here */
	free(bytes);
}

static void write_bytes(struct conn *c, uint64_t at, const void *bytes, size_t n)
{
	struct err e = {0};
	if (!n || intro_write(c->s, c->general, space(c), at, bytes, n, &e))
		reply_ok(c);
	else
		reply_err(c, &e);
}

void packet_M(struct conn *c, char *args, size_t len)
{
	uint64_t at, n;
	char *data = parse(c, args, &at, &n);
	if (!data)
		return;
	if (*data != ':' || n > FRAME_MAX / 2 || (size_t)(args + len - data - 1) != 2 * n ||
		!hex_decode(data, data + 1, n))
		reply_error(c, "M wants as many hex digits as its length says");
	else
		write_bytes(c, at, data, n);
}

void packet_X(struct conn *c, char *args, size_t len)
{
	uint64_t at, n;
	char *data = parse(c, args, &at, &n);
	if (!data)
		return;
	if (*data != ':' || (uint64_t)(args + len - data - 1) != n)
		reply_error(c, "X wants as many bytes as its length says");
	else
		write_bytes(c, at, data + 1, n);
}

void packet_qSearch(struct conn *c, char *args, size_t len)
{
	char *end, *n_end;
	uint64_t at = strtoull(args, &end, 16), found;
	uint64_t n = *end == ';' ? strtoull(end + 1, &n_end, 16) : 0;
	if (*end != ';' || *n_end != ';') {
		reply_error(c, "qSearch wants ADDRESS;LENGTH;PATTERN");
		return;
	}
	const char *pattern = n_end + 1;
	size_t pattern_len = (size_t)(args + len - pattern);
	if (pattern_len &&
		intro_find(c->s, c->general, space(c), at, n, (const uint8_t *)pattern, NULL,
			pattern_len, &found))
		buf_fmt(&c->reply, "1,%llx", (unsigned long long)found);
	else
		buf_str(&c->reply, "0");
}

void packet_qCRC(struct conn *c, char *args, size_t len)
{
	uint64_t at, n;
	uint32_t crc = 0xffffffff;
	(void)len;
	if (!parse(c, args, &at, &n))
		return;
	uint8_t page[4096];
	while (n) {
		size_t part = n < sizeof(page) ? (size_t)n : sizeof(page);
		if (intro_read(c->s, c->general, space(c), at, page, part, NULL) != part) {
			reply_error(c, "not all of the range can be read");
			return;
		}
		crc = gdb_crc32(crc, page, part);
		at += part;
		n -= part;
	}
	buf_fmt(&c->reply, "C%x", crc);
}

/* All of the linear space: what is mapped changes while the guest runs, and gdb
 * refuses addresses that a map leaves out. */
void packet_memory_map(struct conn *c, char *args, size_t len)
{
	struct buf doc = {0};
	(void)len;
	buf_str(&doc, "<?xml version=\"1.0\"?>\n<memory-map>\n"
		      "<memory type=\"ram\" start=\"0x0\" length=\"0xffffffffffffffff\"/>\n"
		      "</memory-map>\n");
	xfer(c, *args == ':' ? args + 1 : args, &doc);
	buf_done(&doc);
}

/* Whole regions, not pages: before it evaluates an expression lldb asks region
 * by region, from 0 up, until it finds a hole. */
void packet_qMemoryRegionInfo(struct conn *c, char *args, size_t len)
{
	uint64_t at = strtoull(args, NULL, 16);
	struct intro_region r;
	struct err e = {0};
	(void)len;
	if (!intro_region(c->s, c->general, space(c), at, &r, &e))
		r = (struct intro_region){.last = UINT64_MAX}; /* it has not run: nothing is mapped */
	/* lldb takes the end of a hole at 2^64 for 0 and asks on for ever */
	uint64_t size = r.last - r.from + (r.mapped || r.last != UINT64_MAX);
	buf_fmt(&c->reply, "start:%llx;size:%llx;", (unsigned long long)r.from,
		(unsigned long long)size);
	if (r.mapped)
		buf_fmt(&c->reply, "permissions:%s%s%s;", r.rights & WALK_R ? "r" : "",
			r.rights & WALK_W ? "w" : "", r.rights & WALK_X ? "x" : "");
}

#include "base/hex.h"

#include <errno.h>
#include <stdlib.h>

void hex_encode(char *out, const void *in, size_t n)
{
	const unsigned char *p = in;
	for (size_t i = 0; i < n; i++) {
		out[2 * i] = "0123456789abcdef"[p[i] >> 4];
		out[2 * i + 1] = "0123456789abcdef"[p[i] & 15];
	}
}

int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool hex_decode(void *out, const char *in, size_t n)
{
	unsigned char *p = out;
	for (size_t i = 0; i < n; i++) {
		int hi = hex_digit(in[2 * i]);
		int lo = hi < 0 ? -1 : hex_digit(in[2 * i + 1]);
		if (lo < 0)
			return false;
		p[i] = (unsigned char)(hi << 4 | lo);
	}
	return true;
}

bool parse_u64(const char *s, uint64_t *out)
{
	if (!(*s >= '0' && *s <= '9'))
		return false;
	bool is_hex = s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
	char *end;
	errno = 0;
	unsigned long long v = strtoull(s, &end, is_hex ? 16 : 10);
	if (errno || end == s || (is_hex && end == s + 1))
		return false;
	unsigned shift = 0;
	switch (*end) {
	case 'k': case 'K': shift = 10; end++; break;
	case 'm': case 'M': shift = 20; end++; break;
	case 'g': case 'G': shift = 30; end++; break;
	case 't': case 'T': shift = 40; end++; break;
	}
	if (*end || (shift && v >> (64 - shift)))
		return false;
	*out = (uint64_t)v << shift;
	return true;
}
